//! Slots: every moment at which a task was due, and what became of it.
//!
//! A slot ends in exactly one way: claimed (a row of `slots`, whose execution
//! ran or was skipped), or within a row of skipped slots of `executions`. All is
//! written in the transaction that moves the task's cursor over it.

use rusqlite::{Connection, OptionalExtension as _, params};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::task::{TaskId, TaskName};

use crate::column::{count, integer, optional_parsed, parsed, plain, time};
use crate::queue::{NewQueued, insert_queued};
use crate::writer::Answer;
use crate::{Database, DbError};

/// Slots that follow each other and were skipped together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedRun {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
}

/// What to do with a slot, or with an execution that follows another, whose task has executions that wait or run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    /// Skip it: `overlap`.
    Skip,
    /// Queue it, up to so many that wait; beyond, skip it: `queue-full`.
    Queue(u64),
}

impl WhenBusy {
    /// Why it does not let another one wait, where so many wait or run.
    pub(crate) const fn refuses(self, unfinished: u64) -> Option<&'static str> {
        match self {
            Self::Skip if unfinished > 0 => Some(OVERLAP),
            Self::Queue(most) if unfinished > most => Some(QUEUE_FULL),
            Self::Skip | Self::Queue(_) => None,
        }
    }
}

/// A task's slots up to a moment, and what is to become of them.
#[derive(Debug, Clone)]
pub struct Accounting {
    /// The task.
    pub task: TaskId,
    /// As it was read: a task that changed since has other slots.
    pub revision: u64,
    /// The task's name.
    pub name: TaskName,
    /// The program as it is named.
    pub program: String,
    /// The program's bytes.
    pub digest: Digest,
    /// Slots that become executions, oldest first.
    pub fire: Vec<(Timestamp, ExecutionId)>,
    /// Slots that were missed.
    pub missed: Vec<SkippedRun>,
    /// What becomes of a slot while earlier ones wait or run.
    pub when_busy: WhenBusy,
    /// All slots up to and including this one are accounted for.
    pub cursor: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What accounting came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounted {
    /// The task changed, was paused or is gone: nothing was done.
    pub is_stale: bool,
    /// What was queued.
    pub queued: Vec<ExecutionId>,
    /// How many slots were skipped because of earlier executions.
    pub skipped: u64,
}

/// What became of a slot, or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRecord {
    /// The slot; the first of several.
    pub first: Timestamp,
    /// The last of several.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
    /// The execution that it became, where it became one.
    pub execution: Option<ExecutionId>,
    /// Where that stands; none: its record was pruned.
    pub status: Option<Status>,
    /// Why it was skipped.
    pub reason: Option<String>,
}

/// Slots that nobody was there for.
pub const MISSED: &str = "missed";
/// Slots that came while an earlier execution waited or ran.
pub const OVERLAP: &str = "overlap";
/// Slots that came while too many waited.
pub const QUEUE_FULL: &str = "queue-full";

/// The last attempt is what became of it.
const SLOTS: &str = "
    SELECT at_ms AS first_ms, at_ms AS last_ms, 1 AS count, slots.execution AS execution, status, reason
    FROM slots LEFT JOIN executions ON executions.id = slots.execution
        AND attempt = (SELECT MAX(attempt) FROM executions WHERE id = slots.execution)
    WHERE slots.task = ?1 AND at_ms > ?3 AND at_ms <= ?4
    UNION ALL
    SELECT scheduled_for_ms, slot_last_ms, slot_count, NULL, status, reason
    FROM executions INDEXED BY executions_by_subject
    WHERE subject = ?2 AND slot_count IS NOT NULL AND slot_last_ms > ?3 AND scheduled_for_ms <= ?4
    ORDER BY first_ms, last_ms";

/// A retry that waits for its time is no run that a new one would overlap with.
const UNFINISHED: &str = "
    SELECT COUNT(*) AS unfinished
    FROM executions INDEXED BY executions_unfinished
    WHERE status IN ('queued', 'running') AND task IS NOT NULL AND subject = ?
        AND (status = 'running' OR not_before_ms IS NULL)";

/// Rows of a time to come were recorded by a clock that went back since: what
/// follows on those is another row, once.
const LAST_OF_SLOTS: &str = "
    SELECT serial, reason, slot_last_ms
    FROM executions INDEXED BY executions_by_subject
    WHERE subject = ? AND created_ms <= ? AND scheduled_for_ms IS NOT NULL
    ORDER BY created_ms DESC, serial DESC
    LIMIT 1";

impl Database {
    /// Accounts for a task's slots: claims, queues, skips and moves its cursor,
    /// all or nothing.
    pub fn account(&self, accounting: Accounting) -> Answer<Accounted> {
        self.write(move |connection| account(connection, &accounting))
    }

    /// What became of a task's slots after a time up to and including another,
    /// in order of the slots.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn slots(&self, task: TaskId, after: Timestamp, until: Timestamp) -> Result<Vec<SlotRecord>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(SLOTS)?;
            let rows = statement.query_and_then(params![task.to_string(), task.subject(), after.ms(), until.ms()], |row| {
                Ok(SlotRecord {
                    first: time(row, "first_ms")?,
                    last: time(row, "last_ms")?,
                    count: count(row, "count")?,
                    execution: optional_parsed(row, "execution")?,
                    status: optional_parsed(row, "status")?,
                    reason: plain(row, "reason")?,
                })
            })?;
            rows.collect()
        })
    }

    /// The last slot of a task that became an execution.
    ///
    /// # Errors
    ///
    /// As [`slots`](Self::slots).
    pub fn last_slot(&self, task: TaskId) -> Result<Option<(Timestamp, ExecutionId)>, DbError> {
        const LAST: &str = "
            SELECT at_ms, execution FROM slots WHERE task = ? ORDER BY at_ms DESC LIMIT 1";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(LAST)?;
            let mut rows = statement.query_and_then([task.to_string()], |row| Ok((time(row, "at_ms")?, parsed(row, "execution")?)))?;
            rows.next().transpose()
        })
    }
}

fn account(connection: &Connection, accounting: &Accounting) -> Result<Accounted, DbError> {
    // The cursor only moves where the task is as it was read.
    const MOVE_CURSOR: &str = "
        UPDATE tasks SET cursor_ms = ? WHERE id = ? AND revision = ? AND paused_ms IS NULL AND schedule IS NOT NULL";
    let (task, revision) = (accounting.task.to_string(), integer(accounting.revision));
    if connection.prepare_cached(MOVE_CURSOR)?.execute(params![accounting.cursor.ms(), task, revision])? == 0 {
        return Ok(Accounted { is_stale: true, ..Accounted::default() });
    }
    let mut accounted = Accounted::default();
    for run in &accounting.missed {
        skip(connection, accounting, *run, MISSED)?;
    }
    let mut unfinished = unfinished(connection, accounting.task)?;
    for (at, execution) in &accounting.fire {
        // A clock that went back since walks over slots that have their end.
        if is_claimed(connection, &task, *at)? {
            continue;
        }
        if let Some(reason) = accounting.when_busy.refuses(unfinished) {
            skip(connection, accounting, SkippedRun { first: *at, last: *at, count: 1 }, reason)?;
            accounted.skipped += 1;
        } else {
            claim(connection, &task, *at, *execution)?;
            insert_queued(connection, &queued(accounting, *at, *execution))?;
            accounted.queued.push(*execution);
            unfinished += 1;
        }
    }
    Ok(accounted)
}

fn queued(accounting: &Accounting, at: Timestamp, execution: ExecutionId) -> NewQueued {
    NewQueued {
        id: execution,
        attempt: 1,
        trigger: Trigger::Schedule,
        task: accounting.task,
        name: accounting.name.clone(),
        program: accounting.program.clone(),
        digest: accounting.digest,
        created_at: accounting.now,
        scheduled_for: Some(at),
        not_before: None,
        origin: None,
        session: None,
    }
}

fn is_claimed(connection: &Connection, task: &str, at: Timestamp) -> Result<bool, DbError> {
    const CLAIMED: &str = "
        SELECT 1 FROM slots WHERE task = ? AND at_ms = ?";
    Ok(connection.prepare_cached(CLAIMED)?.exists(params![task, at.ms()])?)
}

fn claim(connection: &Connection, task: &str, at: Timestamp, execution: ExecutionId) -> Result<(), DbError> {
    const CLAIM: &str = "
        INSERT INTO slots (task, at_ms, execution) VALUES (?, ?, ?)";
    connection.prepare_cached(CLAIM)?.execute(params![task, at.ms(), execution.to_string()])?;
    Ok(())
}

pub(crate) fn unfinished(connection: &Connection, task: TaskId) -> Result<u64, DbError> {
    let mut statement = connection.prepare_cached(UNFINISHED)?;
    let mut rows = statement.query_and_then([task.subject()], |row| count(row, "unfinished"))?;
    rows.next().unwrap_or(Ok(0))
}

/// Slots that follow on skipped ones, for the same reason and with nothing in
/// between, are one row with those.
fn skip(connection: &Connection, accounting: &Accounting, run: SkippedRun, reason: &str) -> Result<(), DbError> {
    const EXTEND: &str = "
        UPDATE executions SET slot_last_ms = ?, slot_count = slot_count + ?, finished_ms = ? WHERE serial = ?";
    const INSERT: &str = "
        INSERT INTO executions (
            id, attempt, status, reason, trigger, task, subject, program, digest,
            created_ms, finished_ms, scheduled_for_ms, slot_last_ms, slot_count, limits, access, params)
        VALUES (?1, 1, 'skipped', ?2, 'schedule', ?3, ?4, ?5, ?6, ?9, ?9, ?7, ?8, ?10, '{}', '{}', '{}')";
    let subject = accounting.task.subject();
    let before = connection
        .prepare_cached(LAST_OF_SLOTS)?
        .query_row(params![subject, accounting.now.ms()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<i64>>(2)?))
        })
        .optional()?;
    if let Some((serial, Some(of), Some(last))) = before
        && of == reason
        && last < run.first.ms()
    {
        connection.prepare_cached(EXTEND)?.execute(params![run.last.ms(), integer(run.count), accounting.now.ms(), serial])?;
        return Ok(());
    }
    connection.prepare_cached(INSERT)?.execute(params![
        ExecutionId::fresh().to_string(),
        reason,
        accounting.name.as_str(),
        subject,
        accounting.program,
        accounting.digest.to_string(),
        run.first.ms(),
        run.last.ms(),
        accounting.now.ms(),
        integer(run.count),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Home, add, again, at, ending, failed, force, number, plan, start, succeeded, terms, turn, waiting};
    use crate::{Filter, TaskRecord};

    /// Fires one slot, at once, as the task stands now.
    fn accounting(database: &Database, task: &TaskRecord, slot: i64) -> Accounting {
        Accounting {
            task: task.id,
            revision: again(database, task).revision,
            name: task.name.clone(),
            program: "p.js".to_owned(),
            digest: task.digest,
            fire: vec![(at(slot), ExecutionId::fresh())],
            missed: Vec::new(),
            when_busy: WhenBusy::Skip,
            cursor: at(slot),
            now: at(slot),
        }
    }

    /// Slots that nobody was there for, told at the last of them.
    fn missed(database: &Database, task: &TaskRecord, first: i64, last: i64, count: u64) -> Accounting {
        let missed = vec![SkippedRun { first: at(first), last: at(last), count }];
        Accounting { fire: Vec::new(), missed, ..accounting(database, task, last) }
    }

    /// First, last, how many, and why not; without a reason it became an execution.
    fn told(database: &Database, task: &TaskRecord) -> Vec<(i64, i64, u64, Option<String>)> {
        let slots = database.slots(task.id, at(0), at(i64::MAX)).unwrap();
        let tell = |slot: SlotRecord| {
            assert_eq!(slot.execution.is_some(), slot.reason.is_none());
            (slot.first.ms(), slot.last.ms(), slot.count, slot.reason)
        };
        slots.into_iter().map(tell).collect()
    }

    fn why(reason: &str) -> Option<String> {
        Some(reason.to_owned())
    }

    async fn end(database: &Database, task: &TaskRecord, id: ExecutionId) {
        let (subject, row) = (task.id.subject(), NewQueued { id, ..waiting(task, 0) });
        database.record(&turn(&row, &subject), ending(&succeeded())).await.unwrap();
    }

    #[tokio::test]
    async fn a_slot_becomes_one_execution_that_waits() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let accounting = accounting(&database, &task, 2_000);
        let (_, id) = accounting.fire[0];
        let accounted = database.account(accounting).await.unwrap();
        assert_eq!(accounted, Accounted { is_stale: false, queued: vec![id], skipped: 0 });
        assert_eq!(again(&database, &task).cursor, Some(at(2_000)));
        assert_eq!(database.last_slot(task.id).unwrap(), Some((at(2_000), id)));
        let record = database.execution(id, None).unwrap().unwrap();
        let summary = record.summary;
        assert_eq!((summary.status, summary.trigger, summary.scheduled_for), (Status::Queued, Trigger::Schedule, Some(at(2_000))));
        assert_eq!((summary.task.as_deref(), summary.subject), (Some("a"), task.id.subject()));
        // Its revision did not change: nobody said anything else of it.
        assert_eq!(again(&database, &task).revision, 1);
    }

    #[tokio::test]
    async fn a_slot_that_is_accounted_for_twice_runs_once() {
        let home = Home::new();
        let (database, other) = (home.open(), home.open());
        let task = add(&database, terms("a")).await;
        for when_busy in [WhenBusy::Queue(9), WhenBusy::Skip] {
            let once = Accounting { when_busy, ..accounting(&database, &task, 2_000) };
            let again = Accounting { when_busy, ..accounting(&other, &task, 2_000) };
            let (one, two) = tokio::join!(database.account(once), other.account(again));
            let (one, two) = (one.unwrap(), two.unwrap());
            assert!(!one.is_stale && !two.is_stale);
            // Nor is it skipped beside that.
            assert_eq!((one.skipped, two.skipped), (0, 0));
        }
        assert_eq!(number(&database, "SELECT COUNT(*) FROM executions"), 1);
        assert_eq!(told(&database, &task), [(2_000, 2_000, 1, None)]);
    }

    #[tokio::test]
    async fn a_task_that_changed_paused_or_went_since_it_was_read_is_left_alone() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let read = || {
            let missed = vec![SkippedRun { first: at(1_500), last: at(1_600), count: 2 }];
            Accounting { missed, ..accounting(&database, &task, 2_000) }
        };
        let before_change = read();
        let changed = database.change_task(&task, terms("b"), at(1_700), Vec::new()).await.unwrap();
        assert_eq!(changed, crate::TaskChange::Done);
        let before_pause = read();
        let paused = database.pause_task(task.id, "r".to_owned(), at(1_800), Vec::new()).await.unwrap();
        assert_eq!(paused, crate::TaskChange::Done);
        let while_paused = read();
        let gone = Accounting { task: TaskId::fresh(), ..read() };
        for stale in [before_change, before_pause, while_paused, gone] {
            let accounted = database.account(stale).await.unwrap();
            assert_eq!(accounted, Accounted { is_stale: true, ..Accounted::default() });
        }
        let unscheduled = add(&database, crate::TaskTerms { schedule: None, ..terms("c") }).await;
        assert!(database.account(accounting(&database, &unscheduled, 2_000)).await.unwrap().is_stale);
        assert_eq!(number(&database, "SELECT COUNT(*) FROM executions"), 0);
        assert_eq!(again(&database, &task).cursor, Some(at(1_000)));
    }

    #[tokio::test]
    async fn a_slot_while_an_earlier_one_waits_or_runs_is_skipped_or_queued_up_to_so_many() {
        let home = Home::new();
        let database = home.open();
        let (skips, queues) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        let fire = |task: &TaskRecord, slot, when_busy| {
            let accounting = Accounting { when_busy, ..accounting(&database, task, slot) };
            (accounting.fire[0].1, database.account(accounting))
        };
        let (first, answer) = fire(&skips, 2_000, WhenBusy::Skip);
        assert_eq!(answer.await.unwrap().queued, [first]);
        assert_eq!(fire(&skips, 3_000, WhenBusy::Skip).1.await.unwrap().skipped, 1);
        let subject = skips.id.subject();
        database.start(&turn(&NewQueued { id: first, ..waiting(&skips, 0) }, &subject)).await.unwrap();
        assert_eq!(fire(&skips, 4_000, WhenBusy::Skip).1.await.unwrap().skipped, 1);
        database.finish(first, 1, ending(&succeeded())).await.unwrap();
        let (next, answer) = fire(&skips, 5_000, WhenBusy::Skip);
        assert_eq!(answer.await.unwrap().queued, [next]);
        let expected = [(2_000, 2_000, 1, None), (3_000, 4_000, 2, why(OVERLAP)), (5_000, 5_000, 1, None)];
        assert_eq!(told(&database, &skips), expected);

        // One that goes on, and two that wait for it; other tasks do not count.
        let accounted: Vec<u64> = {
            let mut skipped = Vec::new();
            for slot in [2_000, 3_000, 4_000, 5_000, 6_000] {
                skipped.push(fire(&queues, slot, WhenBusy::Queue(2)).1.await.unwrap().skipped);
            }
            skipped
        };
        assert_eq!(accounted, [0, 0, 0, 1, 1]);
        assert_eq!(told(&database, &queues)[3], (5_000, 6_000, 2, why(QUEUE_FULL)));
        // Several slots at once count each other.
        let many = add(&database, terms("c")).await;
        let fire = vec![(at(2_000), ExecutionId::fresh()), (at(3_000), ExecutionId::fresh())];
        let accounted = database.account(Accounting { fire, ..accounting(&database, &many, 3_000) }).await.unwrap();
        assert_eq!((accounted.queued.len(), accounted.skipped), (1, 1));
    }

    #[tokio::test]
    async fn a_retry_that_waits_for_its_time_keeps_no_slot_from_running() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let retry = NewQueued { not_before: Some(at(9_000)), attempt: 2, ..waiting(&task, 1_500) };
        database.enqueue(vec![retry]).await.unwrap();
        assert_eq!(database.account(accounting(&database, &task, 2_000)).await.unwrap().queued.len(), 1);
    }

    #[tokio::test]
    async fn skipped_slots_that_follow_each_other_for_one_reason_are_one_row() {
        let home = Home::new();
        let database = home.open();
        let (task, other) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        database.account(missed(&database, &task, 2_000, 4_000, 3)).await.unwrap();
        // Of another task: not in between.
        database.account(missed(&database, &other, 4_500, 4_500, 1)).await.unwrap();
        database.account(missed(&database, &task, 5_000, 5_000, 1)).await.unwrap();
        // By hand: no slot.
        let (subject, mut by_hand) = (task.id.subject(), start("x"));
        (by_hand.subject, by_hand.task) = (&subject, Some("a"));
        database.record(&by_hand, ending(&failed())).await.unwrap();
        database.account(missed(&database, &task, 6_000, 7_000, 2)).await.unwrap();
        assert_eq!(told(&database, &task), [(2_000, 7_000, 6, why(MISSED))]);
        let filter = Filter { status: Some(Status::Skipped), task: why("a"), ..Filter::default() };
        let rows = database.list(&filter).unwrap();
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((row.scheduled_for, row.slot_last, row.slot_count), (Some(at(2_000)), Some(at(7_000)), Some(6)));
        assert_eq!((row.created_at, row.finished_at, row.duration_ms), (at(4_000), Some(at(7_000)), None));
    }

    #[tokio::test]
    async fn a_slot_in_between_or_another_reason_begins_another_row() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        database.account(missed(&database, &task, 2_000, 2_000, 1)).await.unwrap();
        let fired = accounting(&database, &task, 3_000);
        let (_, id) = fired.fire[0];
        database.account(fired).await.unwrap();
        database.account(accounting(&database, &task, 4_000)).await.unwrap();
        database.account(missed(&database, &task, 5_000, 6_000, 2)).await.unwrap();
        database.account(missed(&database, &task, 7_000, 7_000, 1)).await.unwrap();
        end(&database, &task, id).await;
        let expected =
            [(2_000, 2_000, 1, why(MISSED)), (3_000, 3_000, 1, None), (4_000, 4_000, 1, why(OVERLAP)), (5_000, 7_000, 3, why(MISSED))];
        assert_eq!(told(&database, &task), expected);
    }

    /// A clock that went back for hours walks over the same slots again.
    #[tokio::test]
    async fn after_a_clock_that_went_back_rows_still_tell_slots_in_their_order() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        database.account(missed(&database, &task, 100_000, 200_000, 2)).await.unwrap();
        for slot in [3_000, 4_000, 5_000] {
            database.account(missed(&database, &task, slot, slot, 1)).await.unwrap();
        }
        let expected = [(3_000, 5_000, 3, why(MISSED)), (100_000, 200_000, 2, why(MISSED))];
        assert_eq!(told(&database, &task), expected);
        assert_eq!(again(&database, &task).cursor, Some(at(5_000)));
    }

    #[tokio::test]
    async fn accounting_that_fails_leaves_nothing() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let row = waiting(&task, 0);
        database.enqueue(vec![NewQueued { not_before: Some(at(9)), ..row.clone() }]).await.unwrap();
        // The last of its executions is there already.
        let fire = vec![(at(3_000), ExecutionId::fresh()), (at(4_000), row.id)];
        let accounting = Accounting { fire, when_busy: WhenBusy::Queue(9), ..missed(&database, &task, 2_000, 2_000, 1) };
        let failed = database.account(Accounting { cursor: at(4_000), ..accounting }).await;
        assert!(matches!(failed, Err(crate::DbError::Sqlite(_))));
        assert_eq!((told(&database, &task), number(&database, "SELECT COUNT(*) FROM slots")), (vec![], 0));
        assert_eq!((number(&database, "SELECT COUNT(*) FROM executions"), again(&database, &task).cursor), (1, Some(at(1_000))));
    }

    #[tokio::test]
    async fn every_slot_is_told_within_its_time_with_what_became_of_its_last_attempt() {
        let home = Home::new();
        let database = home.open();
        let (task, other) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        database.account(missed(&database, &task, 2_000, 4_000, 3)).await.unwrap();
        let fired = accounting(&database, &task, 5_000);
        let (_, id) = fired.fire[0];
        database.account(fired).await.unwrap();
        database.account(accounting(&database, &other, 5_000)).await.unwrap();
        let (subject, row) = (task.id.subject(), NewQueued { id, ..waiting(&task, 0) });
        database.record(&turn(&row, &subject), ending(&failed())).await.unwrap();
        let retry = NewQueued { id, attempt: 2, scheduled_for: Some(at(5_000)), ..waiting(&task, 5_500) };
        database.enqueue(vec![retry]).await.unwrap();
        let between = |after, until| -> Vec<(i64, Option<ExecutionId>, Option<Status>)> {
            let slots = database.slots(task.id, at(after), at(until)).unwrap();
            slots.into_iter().map(|slot| (slot.first.ms(), slot.execution, slot.status)).collect()
        };
        let (skipped, claimed) = ((2_000, None, Some(Status::Skipped)), (5_000, Some(id), Some(Status::Queued)));
        assert_eq!(between(0, 9_000), [skipped, claimed]);
        assert_eq!((between(3_000, 4_999), between(4_000, 5_000)), (vec![skipped], vec![claimed]));
        assert_eq!((between(5_000, 9_000), between(0, 1_999)), (vec![], vec![]));
        // Its record was too many for its task.
        force(&database, "DELETE FROM executions WHERE slot_count IS NULL").await.unwrap();
        assert_eq!(between(4_000, 5_000), [(5_000, Some(id), None)]);
    }

    #[tokio::test]
    async fn a_change_of_a_task_that_was_read_earlier_takes_no_slot_back() {
        let home = Home::new();
        let database = home.open();
        let seen = add(&database, terms("a")).await;
        database.account(accounting(&database, &seen, 2_000)).await.unwrap();
        let renamed = database.change_task(&seen, terms("b"), at(3_000), Vec::new()).await.unwrap();
        assert_eq!(renamed, crate::TaskChange::Done);
        assert_eq!(again(&database, &seen).cursor, Some(at(2_000)));
    }

    #[test]
    fn slots_are_accounted_for_and_told_without_a_walk_through_the_table() {
        let home = Home::new();
        let database = home.open();
        let unfinished = plan(&database, UNFINISHED);
        assert_eq!(unfinished.len(), 1, "{unfinished:?}");
        assert!(unfinished[0].contains("INDEX executions_unfinished (subject=? AND status=?)"), "{unfinished:?}");
        let last = plan(&database, LAST_OF_SLOTS);
        assert_eq!(last.len(), 1, "{last:?}");
        assert!(last[0].contains("INDEX executions_by_subject (subject=? AND created_ms<?)"), "{last:?}");
        let slots = plan(&database, SLOTS);
        assert!(!slots.iter().any(|line| line.starts_with("SCAN")), "{slots:?}");
    }
}
