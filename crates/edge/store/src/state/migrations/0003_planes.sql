-- Every plane that was ever enrolled, the key by which services know its word, and what it last said of itself. Positions are 0 until it has said something.
CREATE TABLE IF NOT EXISTS planes (
    id TEXT NOT NULL PRIMARY KEY,
    enrolled TEXT NOT NULL,
    record TEXT NOT NULL,
    assertion_key TEXT NOT NULL,
    heard TEXT NOT NULL,
    generation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    revocation_seq BIGINT NOT NULL
);

-- Enrolment tokens that were used: each is good for one use.
CREATE TABLE IF NOT EXISTS enrolments (
    credential TEXT NOT NULL PRIMARY KEY,
    plane TEXT NOT NULL
);
