-- What successful executions of a subject left for the next one.
CREATE TABLE state (
    subject TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (subject, key)
) STRICT;
