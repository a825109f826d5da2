//! What can be counted about executions: how often, how it went, how long.

use rusqlite::{Connection, params};
use serde::Serialize;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;

use crate::column::{count, integer, optional_count, parsed, plain};
use crate::slots::{MISSED, OVERLAP, QUEUE_FULL};
use crate::{Database, DbError};

/// What is known of a task's executions in a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskStats {
    /// The task; none: runs without one.
    pub task: Option<String>,
    /// Executions that ended, by success or not; those that were skipped or
    /// cancelled did not run.
    pub runs: u64,
    /// How many of them succeeded.
    pub successes: u64,
    /// Slots that nobody was there for.
    pub missed: u64,
    /// Slots that came while an earlier execution went on.
    pub skipped: u64,
    /// Half of the successful ones took no longer, in milliseconds.
    pub median_ms: Option<u64>,
    /// Nineteen of twenty took no longer.
    pub p95_ms: Option<u64>,
    /// The last ones, oldest first, with their milliseconds.
    pub last: Vec<(Status, Option<u64>)>,
}

impl Database {
    /// What is known of one task, or of each, since a time; `last` of its
    /// executions one by one.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn stats(&self, task: Option<&str>, since: Timestamp, last: u64) -> Result<Vec<TaskStats>, DbError> {
        self.read(|connection| {
            let of = match task {
                Some(task) => vec![Some(task.to_owned())],
                None => tasks(connection)?.into_iter().map(Some).chain([None]).collect(),
            };
            let mut found = Vec::new();
            for task in of {
                let Some(stats) = sums(connection, task.as_deref(), since)? else { continue };
                let (median_ms, p95_ms) = percentiles(connection, task.as_deref(), since)?;
                let last = newest(connection, task.as_deref(), since, last)?;
                found.push(TaskStats { task, median_ms, p95_ms, last, ..stats });
            }
            Ok(found)
        })
    }
}

/// The names under which executions stand, in order, by jumping through the
/// index from one to the next.
const TASKS: &str = "
    WITH RECURSIVE names (name) AS (
        SELECT MIN(task) FROM executions INDEXED BY executions_by_task WHERE task IS NOT NULL
        UNION ALL
        SELECT (SELECT MIN(task) FROM executions INDEXED BY executions_by_task WHERE task > name) FROM names WHERE name IS NOT NULL)
    SELECT name FROM names WHERE name IS NOT NULL";

fn tasks(connection: &Connection) -> Result<Vec<String>, DbError> {
    connection.prepare_cached(TASKS)?.query_and_then([], |row| plain(row, "name"))?.collect()
}

/// One range of one index: `?1` is the task, `?2` the time.
const fn range(task: Option<&str>) -> &'static str {
    match task {
        Some(_) => "executions INDEXED BY executions_by_task WHERE task = ?1 AND created_ms >= ?2",
        None => "executions INDEXED BY executions_by_time WHERE task IS ?1 AND task IS NULL AND created_ms >= ?2",
    }
}

fn sums_sql(range: &str) -> String {
    format!(
        "SELECT COUNT(*) AS found,
                SUM(status IN ('success', 'failed', 'timeout', 'interrupted')) AS runs,
                SUM(status = 'success') AS successes,
                SUM(iif(reason = '{MISSED}', COALESCE(slot_count, 1), 0)) AS missed,
                SUM(iif(reason IN ('{OVERLAP}', '{QUEUE_FULL}'), COALESCE(slot_count, 1), 0)) AS skipped
         FROM {range}"
    )
}

/// None where there is nothing to count.
fn sums(connection: &Connection, task: Option<&str>, since: Timestamp) -> Result<Option<TaskStats>, DbError> {
    let mut statement = connection.prepare_cached(&sums_sql(range(task)))?;
    let mut rows = statement.query(params![task, since.ms()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    if count(row, "found")? == 0 {
        return Ok(None);
    }
    Ok(Some(TaskStats {
        task: None,
        runs: count(row, "runs")?,
        successes: count(row, "successes")?,
        missed: count(row, "missed")?,
        skipped: count(row, "skipped")?,
        median_ms: None,
        p95_ms: None,
        last: Vec::new(),
    }))
}

fn percentiles_sql(range: &str) -> String {
    format!(
        "WITH took AS (
             SELECT duration_ms AS ms, ROW_NUMBER() OVER (ORDER BY duration_ms) AS place, COUNT(*) OVER () AS total
             FROM {range} AND status = 'success')
         SELECT MIN(iif(place * 2 >= total, ms, NULL)) AS median, MIN(iif(place * 20 >= total * 19, ms, NULL)) AS p95
         FROM took"
    )
}

/// By rank: the smallest that so many are not longer than.
fn percentiles(connection: &Connection, task: Option<&str>, since: Timestamp) -> Result<(Option<u64>, Option<u64>), DbError> {
    let mut statement = connection.prepare_cached(&percentiles_sql(range(task)))?;
    let mut rows =
        statement.query_and_then(params![task, since.ms()], |row| Ok((optional_count(row, "median")?, optional_count(row, "p95")?)))?;
    rows.next().unwrap_or(Ok((None, None)))
}

fn newest_sql(range: &str) -> String {
    format!("SELECT status, duration_ms FROM {range} ORDER BY created_ms DESC, serial DESC LIMIT ?3")
}

fn newest(connection: &Connection, task: Option<&str>, since: Timestamp, last: u64) -> Result<Vec<(Status, Option<u64>)>, DbError> {
    let mut statement = connection.prepare_cached(&newest_sql(range(task)))?;
    let rows = statement.query_and_then(params![task, since.ms(), integer(last)], |row| {
        Ok((parsed(row, "status")?, optional_count(row, "duration_ms")?))
    })?;
    let mut newest: Vec<(Status, Option<u64>)> = rows.collect::<Result<_, DbError>>()?;
    newest.reverse();
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Home, add, at, ending, failed, force, plan, start, succeeded, terms};

    /// Ended so, after so many milliseconds.
    async fn record(database: &Database, task: Option<&str>, created: i64, took: Option<i64>) {
        let outcome = if took.is_some() { succeeded() } else { failed() };
        let mut row = start("s");
        (row.task, row.created_at) = (task, at(created));
        let mut end = ending(&outcome);
        end.finished_at = at(1_000 + took.unwrap_or(50));
        database.record(&row, end).await.unwrap();
    }

    #[tokio::test]
    async fn every_task_is_counted_by_itself_and_runs_without_one_together() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(database.stats(None, at(0), 9).unwrap(), []);
        for number in 1..=20 {
            record(&database, Some("a"), 2_000 + number, Some(number * 10)).await;
        }
        record(&database, Some("a"), 3_000, None).await;
        record(&database, Some("a"), 1_999, Some(90_000)).await;
        record(&database, None, 2_000, Some(7)).await;
        record(&database, Some("b"), 2_000, None).await;
        record(&database, Some("c"), 1_000, None).await;
        let last = vec![(Status::Success, Some(190)), (Status::Success, Some(200)), (Status::Failed, Some(50))];
        let none = TaskStats { task: None, runs: 1, successes: 0, missed: 0, skipped: 0, median_ms: None, p95_ms: None, last: Vec::new() };
        let name = |name: &str| Some(name.to_owned());
        let a = TaskStats { task: name("a"), runs: 21, successes: 20, median_ms: Some(100), p95_ms: Some(190), last, ..none.clone() };
        let b = TaskStats { task: name("b"), last: vec![(Status::Failed, Some(50))], ..none.clone() };
        let (median_ms, p95_ms) = (Some(7), Some(7));
        let by_hand = TaskStats { successes: 1, median_ms, p95_ms, last: vec![(Status::Success, Some(7))], ..none };
        assert_eq!(database.stats(None, at(2_000), 3).unwrap(), [a.clone(), b, by_hand]);
        assert_eq!(database.stats(Some("a"), at(2_000), 3).unwrap(), [a]);
        assert_eq!(database.stats(Some("no such"), at(2_000), 3).unwrap(), []);
    }

    #[tokio::test]
    async fn slots_that_did_not_run_are_counted_one_by_one_and_by_their_reasons() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        for (reason, first, count) in [(MISSED, 1, 5), (OVERLAP, 10, 3), (QUEUE_FULL, 20, 2), (MISSED, 30, 1)] {
            let sql = format!(
                "INSERT INTO executions (id, attempt, status, reason, trigger, task, subject, program, digest, created_ms, finished_ms,
                                         scheduled_for_ms, slot_last_ms, slot_count, limits, access, params)
                 VALUES (printf('%036d', {first}), 1, 'skipped', '{reason}', 'schedule', 'a', 's', 'p', printf('%071d', 0),
                         {first}, {first}, {first}, {first} + 4, {count}, '{{}}', '{{}}', '{{}}')"
            );
            force(&database, &sql).await.unwrap();
        }
        // Waited, and did not run: no slot of its own.
        let row = crate::testing::waiting(&task, 40);
        database.enqueue(vec![row.clone()]).await.unwrap();
        database.skip_queued(row.id, 1, "paused".to_owned(), at(50)).await.unwrap();
        let stats = database.stats(Some("a"), at(0), 0).unwrap();
        assert_eq!((stats[0].runs, stats[0].missed, stats[0].skipped, stats[0].last.len()), (0, 6, 5, 0));
    }

    #[test]
    fn every_count_reads_one_range_of_an_index() {
        let home = Home::new();
        let database = home.open();
        for (task, index) in [(Some("a"), "executions_by_task"), (None, "executions_by_time")] {
            for sql in [sums_sql(range(task)), percentiles_sql(range(task)), newest_sql(range(task))] {
                let plan = plan(&database, &sql);
                let reads: Vec<_> = plan.iter().filter(|line| line.contains("executions")).collect();
                let [only] = reads.as_slice() else { panic!("{plan:?}") };
                assert!(only.starts_with("SEARCH") && only.contains(index), "{plan:?}");
            }
        }
        let jumps = plan(&database, TASKS);
        assert!(jumps.iter().filter(|line| line.contains("executions")).all(|line| line.starts_with("SEARCH")), "{jumps:?}");
    }
}
