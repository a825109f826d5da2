-- One: its failures were forgotten when it was resumed, and it has not succeeded
-- since: its next success is a recovery.
ALTER TABLE tasks ADD COLUMN unrecovered INTEGER NOT NULL DEFAULT 0 CHECK (unrecovered IN (0, 1));
