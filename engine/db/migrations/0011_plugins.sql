-- Programs that a person installed under a name: as they are now, and as they
-- were before the last upgrade. `summary`, `functions` and `wit` are what was
-- found out at the installation, so that nothing is compiled to show them;
-- `seal` is a keyed hash over the row, by a key that lies beside the database.
CREATE TABLE plugins (
    name         TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 48),
    standing     TEXT    NOT NULL CHECK (standing IN ('current', 'previous')),
    digest       TEXT    NOT NULL CHECK (length(digest) = 71),
    format       TEXT    NOT NULL,
    size         INTEGER NOT NULL CHECK (size >= 0),
    installed_ms INTEGER NOT NULL,
    seal         TEXT    NOT NULL CHECK (length(seal) = 64),
    summary      TEXT    NOT NULL,
    functions    TEXT    NOT NULL,
    wit          TEXT,
    PRIMARY KEY (name, standing)
) STRICT;

-- Functions that assistants are shown as tools, each with the bytes that it was
-- exposed with: other bytes are not.
CREATE TABLE exposed_functions (
    plugin     TEXT    NOT NULL,
    function   TEXT    NOT NULL,
    digest     TEXT    NOT NULL CHECK (length(digest) = 71),
    exposed_ms INTEGER NOT NULL,
    PRIMARY KEY (plugin, function, digest)
) STRICT, WITHOUT ROWID;
