//! How long executions are kept.

use rusqlite::{Connection, params};
use wardroom_core::clock::Timestamp;

use crate::column::{integer, plain};
use crate::{Database, DbError};

/// Deletions in one write: between two of them others get their turn.
const BATCH: usize = 500;
/// Tasks whose slots go in one write: of one that is due every second that is
/// 86,400 for each day since the last time.
const TASKS_BATCH: usize = 8;
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
        let outlived = self.read_executions(|connection| outlived(connection, now, retention))?;
        let mut deleted = 0;
        for batch in outlived.chunks(BATCH) {
            let batch = batch.to_vec();
            deleted += self.write(move |connection| delete(connection, &batch)).await?;
        }
        let oldest = oldest(now, retention);
        for tasks in self.read(slot_tasks)?.chunks(TASKS_BATCH) {
            let tasks = tasks.to_vec();
            self.write(move |connection| forget_slots(connection, &tasks, oldest)).await?;
        }
        self.write(move |connection| forget_spans(connection, oldest)).await?;
        Ok(deleted)
    }
}

/// The key of an attempt. Not its serial: that may be given again, to a new row,
/// while another process prunes too.
type Key = (String, u32);

fn outlived(connection: &Connection, now: Timestamp, retention: Retention) -> Result<Vec<Key>, DbError> {
    // A row of several skipped slots is as old as the last of them.
    const OUTLIVED: &str = "
        SELECT id, attempt
        FROM (
            SELECT id, attempt, status, slot_count, created_ms, COALESCE(slot_last_ms, created_ms) AS last_ms,
                   ROW_NUMBER() OVER (PARTITION BY task, slot_count IS NOT NULL ORDER BY created_ms DESC, serial DESC) AS place
            FROM executions)
        WHERE (last_ms < ? OR (place > ? AND slot_count IS NULL)) AND status NOT IN ('queued', 'running', 'awaiting-approval')
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

/// Tasks of which slots are kept, by jumping through the key from one to the
/// next.
const SLOT_TASKS: &str = "
    WITH RECURSIVE tasks (id) AS (
        SELECT MIN(task) FROM slots
        UNION ALL
        SELECT (SELECT MIN(task) FROM slots WHERE task > id) FROM tasks WHERE id IS NOT NULL)
    SELECT id FROM tasks WHERE id IS NOT NULL";

fn slot_tasks(connection: &Connection) -> Result<Vec<String>, DbError> {
    connection.prepare_cached(SLOT_TASKS)?.query_and_then([], |row| plain(row, "id"))?.collect()
}

/// What became of slots is told for as long as executions are kept, also of
/// those that were too many for their task.
fn forget_slots(connection: &Connection, tasks: &[String], oldest: i64) -> Result<(), DbError> {
    const FORGET: &str = "
        DELETE FROM slots WHERE task = ? AND at_ms < ?";
    let mut statement = connection.prepare_cached(FORGET)?;
    for task in tasks {
        statement.execute(params![task, oldest])?;
    }
    Ok(())
}

/// What was due before is told of nowhere any more, so no schedule may claim it.
fn forget_spans(connection: &Connection, oldest: i64) -> Result<(), DbError> {
    const OVER: &str = "
        DELETE FROM schedule_spans WHERE until_ms < ?";
    const BEGUN: &str = "
        UPDATE OR IGNORE schedule_spans SET from_ms = ?1 - 1 WHERE from_ms < ?1 - 1";
    connection.prepare_cached(OVER)?.execute([oldest])?;
    connection.prepare_cached(BEGUN)?.execute([oldest])?;
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
    use crate::slots::{Accounting, SkippedRun, WhenBusy};
    use crate::testing::{Home, add, at, ending, number, plan, start, succeeded, terms, waiting};

    const DAY: i64 = MS_PER_DAY;

    /// A task whose slots of these days were missed, and claimed after that.
    async fn account(database: &Database, task: &crate::TaskRecord, missed: Option<(i64, i64)>, fire: Option<i64>) {
        let run = |(first, last): (i64, i64)| SkippedRun { first: at(first * DAY), last: at(last * DAY), count: 1 };
        let cursor = fire.or(missed.map(|(_, last)| last)).unwrap();
        let queued = waiting(task, 0);
        let accounting = Accounting {
            task: task.id,
            revision: task.revision,
            name: task.name.clone(),
            program: queued.program,
            digest: task.digest,
            fire: fire.map(|day| (at(day * DAY), queued.id)).into_iter().collect(),
            missed: missed.map(run).into_iter().collect(),
            when_busy: WhenBusy::Queue(100),
            cursor: at(cursor * DAY),
            now: at(cursor * DAY),
        };
        assert!(!database.account(accounting).await.unwrap().is_stale);
    }

    fn told(database: &Database, task: &crate::TaskRecord) -> Vec<i64> {
        let slots = database.slots(task.id, at(0), at(i64::MAX)).unwrap();
        slots.into_iter().map(|slot| slot.first.ms() / DAY).collect()
    }

    #[tokio::test]
    async fn rows_of_skipped_slots_take_no_executions_place() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        for day in 1..4 {
            account(&database, &task, Some((day * 10, day * 10 + 1)), Some(day * 10 + 2)).await;
        }
        let queued = database.queued(9).unwrap();
        for row in &queued {
            database.cancel_queued(row.id, 1, at(50 * DAY)).await.unwrap();
        }
        let two = Retention { max_age_days: 90, per_task: 2 };
        assert_eq!(database.prune(at(50 * DAY), two).await.unwrap(), 1);
        assert_eq!(database.execution(queued[0].id, None).unwrap(), None);
        assert_eq!(days(&database).iter().map(|(_, day)| *day).collect::<Vec<_>>(), [32, 32, 22, 22, 12]);
        // Its slot is still told of.
        assert_eq!(told(&database, &task), [10, 12, 20, 22, 30, 32]);
    }

    #[tokio::test]
    async fn slots_are_told_of_for_as_long_as_executions_are_kept_and_no_longer() {
        let home = Home::new();
        let database = home.open();
        let (task, other) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        for day in [5, 9, 10, 11] {
            account(&database, &task, None, Some(day)).await;
            account(&database, &other, None, Some(day)).await;
        }
        for row in database.queued(99).unwrap() {
            database.cancel_queued(row.id, 1, at(12 * DAY)).await.unwrap();
        }
        let retention = Retention { max_age_days: 90, per_task: 200 };
        assert_eq!(database.prune(at(100 * DAY), retention).await.unwrap(), 4);
        assert_eq!((told(&database, &task), told(&database, &other)), (vec![10, 11], vec![10, 11]));
        assert_eq!(number(&database, "SELECT COUNT(*) FROM slots"), 4);
        // Nor does its schedule say that more was due.
        let spans = database.spans(task.id).unwrap();
        assert_eq!(spans.iter().map(|span| (span.from.ms(), span.until)).collect::<Vec<_>>(), [(10 * DAY - 1, None)]);
        assert_eq!(database.prune(at(100 * DAY), retention).await.unwrap(), 0);
        assert_eq!(
            database.remove_task(&crate::testing::again(&database, &task), at(100 * DAY), Vec::new()).await.unwrap(),
            crate::TaskChange::Done
        );
        database.prune(at(300 * DAY), retention).await.unwrap();
        assert_eq!((database.spans(task.id).unwrap(), told(&database, &task)), (vec![], vec![]));
        assert_eq!(database.spans(other.id).unwrap().len(), 1);
    }

    /// A machine that is off every night misses one slot a day, for ever.
    #[tokio::test]
    async fn a_row_of_skipped_slots_is_as_old_as_its_last() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        account(&database, &task, Some((1, 2)), None).await;
        account(&database, &task, Some((95, 99)), None).await;
        let retention = Retention { max_age_days: 90, per_task: 200 };
        assert_eq!(database.prune(at(100 * DAY), retention).await.unwrap(), 0);
        assert_eq!(told(&database, &task), [1]);
        assert_eq!(database.prune(at(190 * DAY), retention).await.unwrap(), 1);
    }

    #[test]
    fn tasks_of_slots_are_found_by_jumping_through_the_key() {
        let home = Home::new();
        let jumps = plan(&home.open(), SLOT_TASKS);
        assert!(jumps.iter().filter(|line| line.contains("slots")).all(|line| line.starts_with("SEARCH")), "{jumps:?}");
    }

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
