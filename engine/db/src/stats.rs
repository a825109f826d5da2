//! What can be counted about executions: how often, how it went, how long.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{Row, params};
use serde::Serialize;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;

use crate::column::{optional_count, parsed, plain};
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
        self.read_executions(|connection| {
            let mut tallies: BTreeMap<(bool, Option<String>), Tallied> = BTreeMap::new();
            let mut statement = connection.prepare_cached(if task.is_some() { OF_ONE } else { OF_ALL })?;
            let mut rows = statement.query(params![task, since.ms()])?;
            while let Some(row) = rows.next()? {
                let task: Option<String> = plain(row, "task")?;
                // Runs without a task come last.
                tallies.entry((task.is_none(), task)).or_default().add(row, last)?;
            }
            Ok(tallies.into_iter().map(|((_, task), tally)| tally.stats(task)).collect())
        })
    }
}

/// One walk tells everything: a million rows take a second or two.
const OF_ALL: &str = "
    SELECT task, status, reason, slot_count, duration_ms
    FROM executions INDEXED BY executions_by_time
    WHERE ?1 IS NULL AND created_ms >= ?2
    ORDER BY created_ms, serial";

const OF_ONE: &str = "
    SELECT task, status, reason, slot_count, duration_ms
    FROM executions INDEXED BY executions_by_task
    WHERE task = ?1 AND created_ms >= ?2
    ORDER BY created_ms, serial";

/// What was counted so far.
#[derive(Debug, Default)]
struct Tallied {
    runs: u64,
    successes: u64,
    missed: u64,
    skipped: u64,
    /// Of each success.
    took: Vec<u64>,
    last: VecDeque<(Status, Option<u64>)>,
}

impl Tallied {
    fn add(&mut self, row: &Row<'_>, last: u64) -> Result<(), DbError> {
        let (status, took): (Status, Option<u64>) = (parsed(row, "status")?, optional_count(row, "duration_ms")?);
        let reason: Option<String> = plain(row, "reason")?;
        let slots = optional_count(row, "slot_count")?.unwrap_or(1);
        match (status, reason.as_deref()) {
            (Status::Success, _) => {
                self.runs += 1;
                self.successes += 1;
                self.took.extend(took);
            }
            (Status::Failed | Status::Timeout | Status::Interrupted, _) => self.runs += 1,
            (Status::Skipped, Some(MISSED)) => self.missed += slots,
            (Status::Skipped, Some(OVERLAP | QUEUE_FULL)) => self.skipped += slots,
            _ => {}
        }
        self.last.push_back((status, took));
        if self.last.len() as u64 > last {
            self.last.pop_front();
        }
        Ok(())
    }

    fn stats(mut self, task: Option<String>) -> TaskStats {
        self.took.sort_unstable();
        // By rank: the smallest that so many of twenty are not longer than.
        let rank = |part: usize| self.took.get((self.took.len() * part).div_ceil(20).saturating_sub(1)).copied();
        TaskStats {
            task,
            runs: self.runs,
            successes: self.successes,
            missed: self.missed,
            skipped: self.skipped,
            median_ms: rank(10),
            p95_ms: rank(19),
            last: self.last.into(),
        }
    }
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
    fn everything_is_counted_on_one_walk_through_one_range_of_an_index() {
        let home = Home::new();
        let database = home.open();
        let walk = |index: &str, range: &str| [format!("SEARCH executions USING INDEX {index} ({range})")];
        assert_eq!(plan(&database, OF_ONE), walk("executions_by_task", "task=? AND created_ms>?"));
        assert_eq!(plan(&database, OF_ALL), walk("executions_by_time", "created_ms>?"));
    }
}
