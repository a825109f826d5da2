//! State: what successful executions of a subject left for the next one.

use rusqlite::{Connection, params};

use crate::column::{count, plain};
use crate::writer::Answer;
use crate::{Database, DbError};

impl Database {
    /// All keys and values of a subject, in byte order of the keys.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn state(&self, subject: &str) -> Result<Vec<(String, String)>, DbError> {
        const STATE: &str = "
            SELECT key, value FROM state WHERE subject = ? ORDER BY key";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(STATE)?;
            statement.query_and_then([subject], |row| Ok((plain(row, "key")?, plain(row, "value")?)))?.collect()
        })
    }

    /// The bytes of all keys and values of a subject.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub fn state_bytes(&self, subject: &str) -> Result<u64, DbError> {
        const BYTES: &str = "
            SELECT COALESCE(SUM(octet_length(key) + octet_length(value)), 0) AS bytes
            FROM state
            WHERE subject = ?";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(BYTES)?;
            statement.query_and_then([subject], |row| count(row, "bytes"))?.next().unwrap_or(Ok(0))
        })
    }
}

impl Database {
    /// Forgets one key of a subject, or all, and answers how many those were.
    pub fn clear_state(&self, subject: &str, key: Option<&str>) -> Answer<usize> {
        const CLEAR: &str = "
            DELETE FROM state WHERE subject = ?1 AND (?2 IS NULL OR key = ?2)";
        let (subject, key) = (subject.to_owned(), key.map(str::to_owned));
        self.write(move |connection| Ok(connection.prepare_cached(CLEAR)?.execute(params![subject, key])?))
    }
}

/// Keeps what a run changed; `None` deletes.
pub(crate) fn apply(connection: &Connection, subject: &str, changes: &[(String, Option<String>)]) -> Result<(), DbError> {
    const PUT: &str = "
        INSERT INTO state (subject, key, value)
        VALUES (?, ?, ?)
        ON CONFLICT (subject, key) DO UPDATE SET value = excluded.value";
    const DELETE: &str = "
        DELETE FROM state WHERE subject = ? AND key = ?";
    for (key, value) in changes {
        match value {
            Some(value) => connection.prepare_cached(PUT)?.execute(params![subject, key, value])?,
            None => connection.prepare_cached(DELETE)?.execute(params![subject, key])?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Home, ending, failed, start, succeeded};

    #[tokio::test]
    async fn only_success_changes_the_state() {
        let home = Home::new();
        let database = home.open();
        let change = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        let mut outcome = succeeded();
        outcome.state_changes = vec![change("b", Some("é")), change("a", Some("1")), change("never", None)];
        database.record(&start("s"), ending(&outcome)).await.unwrap();
        assert_eq!(database.state("s").unwrap(), [("a".into(), "1".into()), ("b".into(), "é".into())]);
        assert_eq!((database.state_bytes("s").unwrap(), database.state_bytes("t").unwrap()), (5, 0));

        let mut failed = failed();
        failed.state_changes = vec![change("a", None)];
        database.record(&start("s"), ending(&failed)).await.unwrap();
        assert_eq!(database.state("s").unwrap().len(), 2);

        outcome.state_changes = vec![change("a", None), change("b", Some("2"))];
        let running = start("s");
        database.start(&running).await.unwrap();
        database.finish(running.id, 1, ending(&outcome)).await.unwrap();
        assert_eq!(database.state("s").unwrap(), [("b".into(), "2".into())]);
        assert_eq!(database.state("other").unwrap(), []);
    }
}
