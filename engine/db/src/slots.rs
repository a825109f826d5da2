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

/// What to do with a slot whose task has executions that wait or run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    /// Skip it: `overlap`.
    Skip,
    /// Queue it, up to so many that wait; beyond, skip it: `queue-full`.
    Queue(u64),
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
        // The last attempt is what became of it.
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
        let reason = match accounting.when_busy {
            WhenBusy::Skip if unfinished > 0 => Some(OVERLAP),
            WhenBusy::Queue(most) if unfinished > most => Some(QUEUE_FULL),
            _ => None,
        };
        match reason {
            Some(reason) => {
                skip(connection, accounting, SkippedRun { first: *at, last: *at, count: 1 }, reason)?;
                accounted.skipped += 1;
            }
            None if claim(connection, &task, *at, *execution)? => {
                insert_queued(connection, &queued(accounting, *at, *execution))?;
                accounted.queued.push(*execution);
                unfinished += 1;
            }
            // Claimed before: by a clock that went back since.
            None => {}
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
    }
}

/// Answers whether the slot was free.
fn claim(connection: &Connection, task: &str, at: Timestamp, execution: ExecutionId) -> Result<bool, DbError> {
    const CLAIM: &str = "
        INSERT INTO slots (task, at_ms, execution) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    Ok(connection.prepare_cached(CLAIM)?.execute(params![task, at.ms(), execution.to_string()])? > 0)
}

/// A retry that waits for its time is no run that a new one would overlap with.
fn unfinished(connection: &Connection, task: TaskId) -> Result<u64, DbError> {
    const UNFINISHED: &str = "
        SELECT COUNT(*) AS unfinished
        FROM executions INDEXED BY executions_by_status
        WHERE (status = 'running' OR (status = 'queued' AND not_before_ms IS NULL)) AND subject = ?";
    let mut statement = connection.prepare_cached(UNFINISHED)?;
    let mut rows = statement.query_and_then([task.subject()], |row| count(row, "unfinished"))?;
    rows.next().unwrap_or(Ok(0))
}

/// Slots that follow on skipped ones, for the same reason and with nothing in
/// between, are one row with those.
fn skip(connection: &Connection, accounting: &Accounting, run: SkippedRun, reason: &str) -> Result<(), DbError> {
    const LAST: &str = "
        SELECT serial, reason, slot_last_ms
        FROM executions INDEXED BY executions_by_subject
        WHERE subject = ? AND scheduled_for_ms IS NOT NULL
        ORDER BY created_ms DESC, serial DESC
        LIMIT 1";
    const EXTEND: &str = "
        UPDATE executions SET slot_last_ms = ?, slot_count = slot_count + ?, finished_ms = ? WHERE serial = ?";
    const INSERT: &str = "
        INSERT INTO executions (
            id, attempt, status, reason, trigger, task, subject, program, digest,
            created_ms, finished_ms, scheduled_for_ms, slot_last_ms, slot_count, limits, access, params)
        VALUES (?1, 1, 'skipped', ?2, 'schedule', ?3, ?4, ?5, ?6, ?9, ?9, ?7, ?8, ?10, '{}', '{}', '{}')";
    let subject = accounting.task.subject();
    let before = connection
        .prepare_cached(LAST)?
        .query_row([&subject], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<i64>>(2)?)))
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
