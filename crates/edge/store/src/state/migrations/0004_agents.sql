-- Every node agent that was ever attested: how, and what was attested of its node, one selector a line.
CREATE TABLE IF NOT EXISTS agents (
    id TEXT NOT NULL PRIMARY KEY,
    attested TEXT NOT NULL,
    record TEXT NOT NULL,
    method TEXT NOT NULL,
    selectors TEXT NOT NULL
);
