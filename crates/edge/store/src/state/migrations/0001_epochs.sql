-- Every estate, by the digest that epochs and records name it by.
CREATE TABLE IF NOT EXISTS estates (
    digest TEXT NOT NULL PRIMARY KEY,
    document BYTEA NOT NULL
);

-- Every epoch that was ever in force, in the order of (generation, epoch).
CREATE TABLE IF NOT EXISTS epochs (
    generation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    estate TEXT NOT NULL REFERENCES estates (digest),
    applied TEXT NOT NULL,
    PRIMARY KEY (generation, epoch)
);

-- What changed, in the order of commits. The one row of change_counter holds the last number that was given.
CREATE TABLE IF NOT EXISTS change_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO change_counter (id, seq) VALUES (1, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL
);
