-- What the operator granted for good: to one subject, for one digest.
CREATE TABLE grants (
    subject    TEXT    NOT NULL,
    digest     TEXT    NOT NULL CHECK (length(digest) = 71),
    capability TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (subject, digest, capability, scope)
) STRICT, WITHOUT ROWID;
