-- One row per attempt of an execution, and the lines it logged.
--
-- Small columns come first: SQLite reads a row from its front, so listing never
-- walks through the pages of a large result.
--
-- `serial` is declared because log lines refer to it: an undeclared rowid may
-- change under VACUUM. `trigger` and `failure_kind` have no CHECK, because their
-- words grow with the product and a CHECK cannot be altered in place. For a list
-- (`IN`) of more than two words SQLite would build a table of them for each row
-- that is written: so they are compared one by one.
CREATE TABLE executions (
    serial           INTEGER PRIMARY KEY,
    id               TEXT    NOT NULL CHECK (length(id) = 36),
    attempt          INTEGER NOT NULL CHECK (attempt >= 1),
    status           TEXT    NOT NULL CHECK (
                         status = 'success' OR status = 'failed' OR status = 'timeout' OR status = 'cancelled'
                         OR status = 'running' OR status = 'queued' OR status = 'awaiting-approval'
                         OR status = 'skipped' OR status = 'interrupted'),
    created_ms       INTEGER NOT NULL,
    started_ms       INTEGER,
    finished_ms      INTEGER,
    scheduled_for_ms INTEGER,
    -- When a process died is not known, only when somebody noticed.
    duration_ms      INTEGER GENERATED ALWAYS AS (
                         CASE WHEN status <> 'interrupted' THEN MAX(0, finished_ms - started_ms) END) VIRTUAL,
    trigger          TEXT    NOT NULL,
    task             TEXT,
    subject          TEXT    NOT NULL,
    program          TEXT    NOT NULL,
    digest           TEXT    NOT NULL CHECK (length(digest) = 71),
    holder           TEXT,
    session          TEXT,
    reason           TEXT,
    failure_kind     TEXT,
    blame            TEXT    CHECK (blame = 'guest' OR blame = 'operator' OR blame = 'host'),
    cpu_us           INTEGER NOT NULL DEFAULT 0 CHECK (cpu_us >= 0),
    fuel             INTEGER CHECK (fuel >= 0),
    peak_memory      INTEGER NOT NULL DEFAULT 0 CHECK (peak_memory >= 0),
    log_truncated    INTEGER NOT NULL DEFAULT 0 CHECK (log_truncated IN (0, 1)),
    output_truncated INTEGER NOT NULL DEFAULT 0 CHECK (output_truncated IN (0, 1)),
    redactions       INTEGER NOT NULL DEFAULT 0 CHECK (redactions >= 0),
    result_kind      TEXT    CHECK (result_kind = 'json' OR result_kind = 'text' OR result_kind = 'bytes'),
    limits           TEXT    NOT NULL,
    access           TEXT    NOT NULL,
    params           TEXT    NOT NULL,
    hosts            TEXT    NOT NULL DEFAULT '[]',
    refusals         TEXT    NOT NULL DEFAULT '[]',
    failure          TEXT,
    result           ANY,
    UNIQUE (id, attempt),
    CHECK (status <> 'running' OR (holder IS NOT NULL AND started_ms IS NOT NULL)),
    CHECK (status NOT IN ('queued', 'running') OR finished_ms IS NULL),
    CHECK (status = 'queued' OR status = 'running' OR status = 'awaiting-approval' OR finished_ms IS NOT NULL),
    CHECK (status <> 'skipped' OR reason IS NOT NULL),
    CHECK (status <> 'success' OR failure IS NULL),
    CHECK (status NOT IN ('failed', 'timeout') OR failure IS NOT NULL),
    CHECK ((failure IS NULL) = (failure_kind IS NULL) AND (failure IS NULL) = (blame IS NULL)),
    CHECK ((result IS NULL) = (result_kind IS NULL)),
    CHECK (result_kind IS NULL OR typeof(result) = iif(result_kind = 'bytes', 'blob', 'text'))
) STRICT;

-- Each serves one way to list, newest first, without sorting. `serial` stands
-- before `status` so that rows of one millisecond keep the order of their
-- insertion while the status is still checked without a look into the table.
CREATE INDEX executions_by_time ON executions (created_ms);
CREATE INDEX executions_by_status ON executions (status, created_ms);
CREATE INDEX executions_by_subject ON executions (subject, created_ms, serial, status);
CREATE INDEX executions_by_program ON executions (program, created_ms, serial, status);

CREATE TABLE log_lines (
    execution INTEGER NOT NULL REFERENCES executions (serial) ON DELETE CASCADE,
    seq       INTEGER NOT NULL CHECK (seq >= 0),
    at_ms     INTEGER NOT NULL,
    level     TEXT    NOT NULL CHECK (level = 'info' OR level = 'debug' OR level = 'warn' OR level = 'error'),
    text      TEXT    NOT NULL,
    PRIMARY KEY (execution, seq)
) STRICT, WITHOUT ROWID;
