-- For an authority whose certificate an outer one signed: certificates in PEM. What stands between it and the roots, its own first, and the roots.
CREATE TABLE IF NOT EXISTS authority_upstreams (
    domain TEXT NOT NULL,
    id TEXT NOT NULL,
    above TEXT NOT NULL,
    roots TEXT NOT NULL,
    PRIMARY KEY (domain, id)
);
