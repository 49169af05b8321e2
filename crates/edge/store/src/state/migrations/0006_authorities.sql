-- Every key that ever signed, or was to sign, SVIDs of a trust domain. Private keys are sealed: whoever has this table alone has none of them.
CREATE TABLE IF NOT EXISTS authorities (
    domain TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    standing TEXT NOT NULL,
    public_key BYTEA NOT NULL,
    certificate BYTEA NOT NULL,
    made TEXT NOT NULL,
    since TEXT NOT NULL,
    ends TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (domain, id)
);

-- What was done with them, by whom, in the order of commits.
CREATE TABLE IF NOT EXISTS authority_acts (
    seq BIGINT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    authority TEXT NOT NULL,
    act TEXT NOT NULL,
    time TEXT NOT NULL,
    actor TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS authority_acts_of_domain ON authority_acts (domain, seq);
