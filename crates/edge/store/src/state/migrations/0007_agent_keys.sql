-- The key by which each node agent was attested: SHA-256 of its SubjectPublicKeyInfo.
CREATE TABLE IF NOT EXISTS agent_keys (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL
);
