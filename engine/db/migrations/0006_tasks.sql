-- Tasks, when they are due, and what waits for its turn.
--
-- `definition` and `schedule` are JSON that only the use cases read. All slots of
-- the schedule up to and including `cursor_ms` are accounted for.
CREATE TABLE tasks (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    name         TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 48),
    revision     INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1),
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL,
    digest       TEXT    NOT NULL CHECK (length(digest) = 71),
    failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    cursor_ms    INTEGER,
    paused_ms    INTEGER,
    pause_reason TEXT,
    schedule     TEXT,
    definition   TEXT    NOT NULL,
    CHECK ((schedule IS NULL) = (cursor_ms IS NULL)),
    CHECK ((paused_ms IS NULL) = (pause_reason IS NULL))
) STRICT;

-- Which task follows which: `target` runs after `source`.
CREATE TABLE task_links (
    source TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    kind   TEXT NOT NULL CHECK (kind IN ('after', 'on-failure', 'on-recovery')),
    target TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (source, kind, target)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_links_by_target ON task_links (target);

-- Which schedule was in force when, so that what was due can be told later:
-- slots after `from_ms` up to and including `until_ms`. Rows outlive the task.
CREATE TABLE schedule_spans (
    task     TEXT    NOT NULL,
    from_ms  INTEGER NOT NULL,
    until_ms INTEGER,
    schedule TEXT    NOT NULL,
    PRIMARY KEY (task, from_ms)
) STRICT, WITHOUT ROWID;

-- A slot that became an execution. Whoever inserts the row has claimed the slot.
CREATE TABLE slots (
    task      TEXT    NOT NULL,
    at_ms     INTEGER NOT NULL,
    execution TEXT    NOT NULL CHECK (length(execution) = 36),
    PRIMARY KEY (task, at_ms)
) STRICT, WITHOUT ROWID;

-- A row of skipped slots stands for all of them: from `scheduled_for_ms` to
-- `slot_last_ms`, so many.
ALTER TABLE executions ADD COLUMN slot_last_ms INTEGER;
ALTER TABLE executions ADD COLUMN slot_count INTEGER CHECK (slot_count >= 1);
-- What waits is not started earlier than this.
ALTER TABLE executions ADD COLUMN not_before_ms INTEGER;
-- The execution that led to this one.
ALTER TABLE executions ADD COLUMN origin TEXT CHECK (length(origin) = 36);
-- Zero: what follows from its end (retries, other tasks) is still to be queued.
ALTER TABLE executions ADD COLUMN followed INTEGER NOT NULL DEFAULT 1 CHECK (followed IN (0, 1));

CREATE INDEX executions_by_task ON executions (task, created_ms, serial, status) WHERE task IS NOT NULL;
CREATE INDEX executions_queued ON executions (COALESCE(not_before_ms, created_ms), serial) WHERE status = 'queued';
CREATE INDEX executions_unfollowed ON executions (serial) WHERE followed = 0;
-- Of one task, without those of all others: a thousand tasks may be due at once.
CREATE INDEX executions_unfinished ON executions (subject, status)
    WHERE status IN ('queued', 'running') AND task IS NOT NULL;
