//! How long executions are kept.

use rusqlite::{Connection, params};
use wardroom_core::clock::Timestamp;

use crate::column::{integer, plain};
use crate::{Database, DbError};

/// Deletions in one write: between two of them others get their turn.
const BATCH: usize = 500;
const MS_PER_DAY: i64 = 86_400_000;

/// What to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days since an execution was asked for.
    pub max_age_days: u32,
    /// The newest executions of each task; those without a task count together
    /// as one.
    pub per_task: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_age_days: 90, per_task: 200 }
    }
}

impl Database {
    /// Deletes executions, with their lines, that are too old or too many of
    /// their task, and answers how many. What is not over stays.
    ///
    /// Looks at every row, outside of any write; then deletes in small writes.
    ///
    /// # Errors
    ///
    /// Those of reading and writing: [`DbError::Corrupt`], [`DbError::Disk`],
    /// [`DbError::Full`], [`DbError::Busy`].
    pub async fn prune(&self, now: Timestamp, retention: Retention) -> Result<usize, DbError> {
        let outlived = self.read(|connection| outlived(connection, now, retention))?;
        let mut deleted = 0;
        for batch in outlived.chunks(BATCH) {
            let batch = batch.to_vec();
            deleted += self.write(move |connection| delete(connection, &batch)).await?;
        }
        self.write(move |connection| forget_slots(connection, oldest(now, retention))).await?;
        Ok(deleted)
    }
}

/// The key of an attempt. Not its serial: that may be given again, to a new row,
/// while another process prunes too.
type Key = (String, u32);

fn outlived(connection: &Connection, now: Timestamp, retention: Retention) -> Result<Vec<Key>, DbError> {
    const OUTLIVED: &str = "
        SELECT id, attempt
        FROM (
            SELECT id, attempt, status, created_ms,
                   ROW_NUMBER() OVER (PARTITION BY task, slot_count IS NOT NULL ORDER BY created_ms DESC, serial DESC) AS place,
                   slot_count
            FROM executions)
        WHERE (created_ms < ? OR (place > ? AND slot_count IS NULL)) AND status NOT IN ('queued', 'running', 'awaiting-approval')
        ORDER BY created_ms";
    let oldest = oldest(now, retention);
    let mut statement = connection.prepare_cached(OUTLIVED)?;
    let keys =
        statement.query_and_then(params![oldest, integer(retention.per_task)], |row| Ok((plain(row, "id")?, plain(row, "attempt")?)))?;
    keys.collect()
}

fn oldest(now: Timestamp, retention: Retention) -> i64 {
    now.ms().saturating_sub(i64::from(retention.max_age_days) * MS_PER_DAY)
}

/// What became of slots is told for as long as executions are kept, also of
/// those that were too many for their task.
fn forget_slots(connection: &Connection, oldest: i64) -> Result<(), DbError> {
    const SLOTS: &str = "
        DELETE FROM slots WHERE at_ms < ?";
    const SPANS: &str = "
        DELETE FROM schedule_spans WHERE until_ms < ?";
    connection.prepare_cached(SLOTS)?.execute([oldest])?;
    connection.prepare_cached(SPANS)?.execute([oldest])?;
    Ok(())
}

/// The status is not asked again: what is final stays final.
fn delete(connection: &Connection, batch: &[Key]) -> Result<usize, DbError> {
    const DELETE: &str = "
        DELETE FROM executions WHERE id = ? AND attempt = ?";
    let mut statement = connection.prepare_cached(DELETE)?;
    let mut deleted = 0;
    for (id, attempt) in batch {
        deleted += statement.execute(params![id, attempt])?;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use wardroom_core::execution::Status;

    use super::*;
    use crate::Filter;
    use crate::testing::{Home, ending, start, succeeded};

    const DAY: i64 = MS_PER_DAY;

    async fn record(database: &Database, task: Option<&str>, day: i64) {
        let mut row = start("s");
        row.task = task;
        row.created_at = Timestamp::from_ms(day * DAY);
        database.record(&row, ending(&succeeded())).await.unwrap();
    }

    fn days(database: &Database) -> Vec<(Option<String>, i64)> {
        let rows = database.list(&Filter { limit: u64::MAX, ..Filter::default() }).unwrap();
        rows.into_iter().map(|row| (row.task, row.created_at.ms() / DAY)).collect()
    }

    #[tokio::test]
    async fn what_is_too_old_goes_with_its_lines() {
        let home = Home::new();
        let database = home.open();
        for day in [0, 9, 10, 11] {
            record(&database, None, day).await;
        }
        let retention = Retention { max_age_days: 90, per_task: 200 };
        assert_eq!(database.prune(Timestamp::from_ms(100 * DAY), retention).await.unwrap(), 2);
        assert_eq!(days(&database), [(None, 11), (None, 10)]);
        let lines = |connection: &Connection| Ok(connection.query_row("SELECT COUNT(*) FROM log_lines", [], |row| row.get::<_, i64>(0))?);
        assert_eq!(database.read(lines).unwrap(), 2);
        assert_eq!(database.prune(Timestamp::from_ms(100 * DAY), retention).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn each_task_keeps_its_newest_and_runs_without_one_count_together() {
        let home = Home::new();
        let database = home.open();
        for day in 0..4 {
            record(&database, None, day).await;
            record(&database, Some("a"), day).await;
        }
        record(&database, Some("b"), 0).await;
        let retention = Retention { max_age_days: 90, per_task: 2 };
        assert_eq!(database.prune(Timestamp::from_ms(4 * DAY), retention).await.unwrap(), 4);
        let (a, b) = (|| Some("a".to_owned()), || Some("b".to_owned()));
        assert_eq!(days(&database), [(a(), 3), (None, 3), (a(), 2), (None, 2), (b(), 0)]);
    }

    #[tokio::test]
    async fn what_is_not_over_stays_however_old() {
        let home = Home::new();
        let database = home.open();
        database.start(&start("s")).await.unwrap();
        let everything = Retention { max_age_days: 0, per_task: 0 };
        assert_eq!(database.prune(Timestamp::from_ms(i64::MAX), everything).await.unwrap(), 0);
        let running = Filter { status: Some(Status::Running), ..Filter::default() };
        assert_eq!(database.list(&running).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn more_than_one_batch_is_deleted() {
        let home = Home::new();
        let database = home.open();
        let outcome = succeeded();
        let answers: Vec<_> = (0..BATCH + 2).map(|_| database.record(&start("s"), ending(&outcome))).collect();
        for answer in answers {
            answer.await.unwrap();
        }
        let one = Retention { max_age_days: 90, per_task: 1 };
        assert_eq!(database.prune(Timestamp::from_ms(DAY), one).await.unwrap(), BATCH + 1);
        assert_eq!(days(&database).len(), 1);
    }
}
