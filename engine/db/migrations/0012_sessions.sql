-- Serves the list of what one client's session asked for, newest first.
CREATE INDEX executions_by_session ON executions (session, created_ms, serial, status) WHERE session IS NOT NULL;
