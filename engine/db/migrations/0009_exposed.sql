-- Whether assistants are shown a task as a tool of its own. Other bytes end it.
ALTER TABLE tasks ADD COLUMN exposed INTEGER NOT NULL DEFAULT 0 CHECK (exposed IN (0, 1));
