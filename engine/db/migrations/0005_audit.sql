-- What was done with credentials and settings, for ever: rows outlive what they
-- describe, so nothing here refers to another table.
--
-- `event` has no CHECK, because its words grow with the product. `hash` chains
-- each row to the one before, `mac` proves that the row was written when its key
-- still existed.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY CHECK (seq >= 1),
    chain     BLOB    NOT NULL CHECK (length(chain) = 16),
    at_ms     INTEGER NOT NULL,
    event     TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    actor     TEXT    NOT NULL CHECK (actor IN ('operator', 'guest', 'engine')),
    session   TEXT,
    execution TEXT    CHECK (length(execution) = 36),
    attempt   INTEGER CHECK (attempt >= 1),
    detail    TEXT    NOT NULL,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    mac       BLOB    NOT NULL CHECK (length(mac) = 32),
    CHECK (attempt IS NULL OR execution IS NOT NULL)
) STRICT;

CREATE INDEX audit_by_event ON audit (event);
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_execution ON audit (execution) WHERE execution IS NOT NULL;

-- Against mistakes of our own statements. Whoever has the file can drop a
-- trigger; the chain is what shows that.
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_has_no_gaps BEFORE INSERT ON audit
WHEN NEW.seq IS NOT 1 + COALESCE((SELECT MAX(seq) FROM audit), 0) BEGIN
    SELECT RAISE(ABORT, 'the audit log has no gaps');
END;
