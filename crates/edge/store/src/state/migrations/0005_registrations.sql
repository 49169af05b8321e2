-- Registrations that were put one by one, beside those of the estate: the last document of each name, in JSON; empty once it was
-- deleted, so that whoever follows hears of that too.
CREATE TABLE IF NOT EXISTS registrations (
    name TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    document TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS registrations_by_seq ON registrations (seq, name);
