//! What can be counted about executions: how often, how it went, how long.

use rusqlite::{Connection, params};
use serde::Serialize;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;

use crate::column::{count, integer, optional_count, parsed, plain};
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
            let mut found = sums(connection, task, since)?;
            for stats in &mut found {
                (stats.median_ms, stats.p95_ms) = percentiles(connection, stats.task.as_deref(), since)?;
                stats.last = newest(connection, stats.task.as_deref(), since, last)?;
            }
            Ok(found)
        })
    }
}

fn sums(connection: &Connection, task: Option<&str>, since: Timestamp) -> Result<Vec<TaskStats>, DbError> {
    const SUMS: &str = "
        SELECT task,
               SUM(status IN ('success', 'failed', 'timeout', 'interrupted')) AS runs,
               SUM(status = 'success') AS successes,
               SUM(iif(reason = 'missed', slot_count, 0)) AS missed,
               SUM(iif(status = 'skipped' AND reason <> 'missed', COALESCE(slot_count, 1), 0)) AS skipped
        FROM executions
        WHERE created_ms >= ?2 AND (?1 IS NULL OR task = ?1)
        GROUP BY task
        ORDER BY task IS NULL, task";
    let mut statement = connection.prepare_cached(SUMS)?;
    let rows = statement.query_and_then(params![task, since.ms()], |row| {
        Ok(TaskStats {
            task: plain(row, "task")?,
            runs: count(row, "runs")?,
            successes: count(row, "successes")?,
            missed: count(row, "missed")?,
            skipped: count(row, "skipped")?,
            median_ms: None,
            p95_ms: None,
            last: Vec::new(),
        })
    })?;
    rows.collect()
}

/// By rank: the smallest that so many are not longer than.
fn percentiles(connection: &Connection, task: Option<&str>, since: Timestamp) -> Result<(Option<u64>, Option<u64>), DbError> {
    const RANKED: &str = "
        WITH took AS (
            SELECT duration_ms AS ms, ROW_NUMBER() OVER (ORDER BY duration_ms) AS place, COUNT(*) OVER () AS total
            FROM executions
            WHERE task IS ?1 AND created_ms >= ?2 AND status = 'success')
        SELECT MIN(iif(place * 2 >= total, ms, NULL)) AS median, MIN(iif(place * 20 >= total * 19, ms, NULL)) AS p95
        FROM took";
    let mut statement = connection.prepare_cached(RANKED)?;
    let mut rows =
        statement.query_and_then(params![task, since.ms()], |row| Ok((optional_count(row, "median")?, optional_count(row, "p95")?)))?;
    rows.next().unwrap_or(Ok((None, None)))
}

fn newest(connection: &Connection, task: Option<&str>, since: Timestamp, last: u64) -> Result<Vec<(Status, Option<u64>)>, DbError> {
    const NEWEST: &str = "
        SELECT status, duration_ms
        FROM executions
        WHERE task IS ?1 AND created_ms >= ?2
        ORDER BY created_ms DESC, serial DESC
        LIMIT ?3";
    let mut statement = connection.prepare_cached(NEWEST)?;
    let rows = statement.query_and_then(params![task, since.ms(), integer(last)], |row| {
        Ok((parsed(row, "status")?, optional_count(row, "duration_ms")?))
    })?;
    let mut newest: Vec<(Status, Option<u64>)> = rows.collect::<Result<_, DbError>>()?;
    newest.reverse();
    Ok(newest)
}
