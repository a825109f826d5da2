-- The execution that called this one and waits for it, and the one with which the
-- calls began.
ALTER TABLE executions ADD COLUMN parent TEXT CHECK (length(parent) = 36);
ALTER TABLE executions ADD COLUMN root TEXT CHECK (length(root) = 36 AND (root IS NULL) = (parent IS NULL));
CREATE INDEX executions_by_parent ON executions (parent, created_ms, serial, status) WHERE parent IS NOT NULL;
-- Of a grant `call`: on whom the grants of what was meant hang. What takes over
-- its name later is something else.
ALTER TABLE grants ADD COLUMN callee TEXT;
