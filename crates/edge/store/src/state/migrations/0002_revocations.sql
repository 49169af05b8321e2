-- Every revocation and every restoration, in the order of commits: what holds at a number is all of it up to there.
CREATE TABLE IF NOT EXISTS revocations (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    act TEXT NOT NULL,
    time TEXT NOT NULL,
    actor TEXT NOT NULL,
    record TEXT NOT NULL
);
