-- The vault's record, opaque here, and what was sealed under it.
--
-- One row at most. A value that is written names the record it was sealed under,
-- so that none under an old key lands after a rotation. `audit_root` is the
-- sealed first key of the audit log's chain.
CREATE TABLE vault (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    updated_ms INTEGER NOT NULL,
    record     TEXT    NOT NULL,
    audit_root BLOB    CHECK (length(audit_root) > 0)
) STRICT;

-- Credentials: what they are, and their values sealed. Without `sealed` there is
-- no value yet.
CREATE TABLE credentials (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    name         TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    kind         TEXT    NOT NULL CHECK (kind IN ('api_key', 'oauth_token', 'env_var', 'secret', 'url', 'form')),
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL,
    value_at_ms  INTEGER,
    last_used_ms INTEGER,
    hosts        TEXT    NOT NULL,
    note         TEXT    CHECK (octet_length(note) BETWEEN 1 AND 1024),
    sealed       BLOB    CHECK (length(sealed) > 0),
    CHECK ((sealed IS NULL) = (value_at_ms IS NULL))
) STRICT;
