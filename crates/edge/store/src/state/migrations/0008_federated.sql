-- The bundle of every trust domain that this one federates with, as it was last had, and the digest of what an estate said of how it is had.
CREATE TABLE IF NOT EXISTS federated (
    domain TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    terms TEXT NOT NULL,
    fetched TEXT NOT NULL,
    document BYTEA NOT NULL
);
