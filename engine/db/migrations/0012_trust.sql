-- Whose signatures of plugins the operator trusts, and which bytes are never run
-- again. `trust_head` has one row from the first change on: how many there were,
-- and a keyed hash over both lists as they are together, by a key that lies beside
-- the database; so a row that is added, changed or taken away is one that shows.
CREATE TABLE trusted_signers (
    signer     TEXT    NOT NULL PRIMARY KEY CHECK (length(signer) = 72),
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    trusted_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revoked_programs (
    digest     TEXT    NOT NULL PRIMARY KEY CHECK (length(digest) = 71),
    reason     TEXT,
    revoked_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE trust_head (
    only    INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL CHECK (version > 0),
    seal    TEXT    NOT NULL CHECK (length(seal) = 64)
) STRICT;
