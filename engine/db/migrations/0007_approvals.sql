-- An assistant acts for the operator and is none: it has a word of its own. The
-- table is made anew with it; every row stays as it is, and so does its hash.
DROP TRIGGER audit_is_never_changed;
DROP TRIGGER audit_is_never_deleted;
DROP TRIGGER audit_has_no_gaps;
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY CHECK (seq >= 1),
    chain     BLOB    NOT NULL CHECK (length(chain) = 16),
    at_ms     INTEGER NOT NULL,
    event     TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    actor     TEXT    NOT NULL CHECK (actor IN ('operator', 'assistant', 'guest', 'engine')),
    session   TEXT,
    execution TEXT    CHECK (length(execution) = 36),
    attempt   INTEGER CHECK (attempt >= 1),
    detail    TEXT    NOT NULL,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    mac       BLOB    NOT NULL CHECK (length(mac) = 32),
    CHECK (attempt IS NULL OR execution IS NOT NULL),
    CHECK (actor <> 'assistant' OR session IS NOT NULL)
) STRICT;
INSERT INTO audit SELECT * FROM audit_before ORDER BY seq;
DROP TABLE audit_before;
CREATE INDEX audit_by_event ON audit (event);
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_execution ON audit (execution) WHERE execution IS NOT NULL;
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

-- What waits for a person to say yes or no. `asked` is JSON that only the use
-- cases read; what it would give, and to which bytes, is in it and never changes.
CREATE TABLE approvals (
    id         TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    status     TEXT    NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'approved', 'rejected')),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    decided_ms INTEGER,
    -- On whom it is about: a task's subject, or a credential's name.
    subject    TEXT    NOT NULL,
    session    TEXT,
    reason     TEXT    NOT NULL,
    asked      TEXT    NOT NULL,
    CHECK (expires_ms > created_ms),
    CHECK ((status = 'waiting') = (decided_ms IS NULL))
) STRICT;

CREATE INDEX approvals_by_time ON approvals (created_ms);
CREATE INDEX approvals_waiting ON approvals (subject) WHERE status = 'waiting';
