//! The queue: executions that wait for their turn, and what follows from one
//! that ended.
//!
//! ```text
//!  a slot · another task's end · a retry ──▶ queued ──▶ BEGIN (executions) ──▶ …
//!                                              ├──▶ skipped   (reason)
//!                                              └──▶ cancelled
//! ```
//!
//! A row waits with what is known of it; what it will hold is resolved and
//! authorized when its turn comes. Following is done once: the ended row's
//! `followed` goes from 0 to 1 in the transaction that queues what follows.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::failure::Failure;
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::task::{TaskId, TaskName};

use crate::audit::EncodedEvent;
use crate::column::{integer, optional_parsed, optional_time, parsed, plain, time, word};
use crate::executions::{Standing, begin_bare, change_status};
use crate::writer::Answer;
use crate::{AuditEvent, Database, DbError};

/// An execution that is to wait for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQueued {
    /// The execution.
    pub id: ExecutionId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// The task it is a run of.
    pub task: TaskId,
    /// The task's name.
    pub name: TaskName,
    /// The program as it is named.
    pub program: String,
    /// The program's bytes, as the task pins them now.
    pub digest: Digest,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The slot of its schedule.
    pub scheduled_for: Option<Timestamp>,
    /// It is not started earlier than this.
    pub not_before: Option<Timestamp>,
    /// The execution that led to it.
    pub origin: Option<ExecutionId>,
}

/// An execution that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRecord {
    /// The execution.
    pub id: ExecutionId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// The task it is a run of, which may be gone.
    pub task: TaskId,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The slot of its schedule.
    pub scheduled_for: Option<Timestamp>,
    /// It is not started earlier than this.
    pub not_before: Option<Timestamp>,
    /// The execution that led to it.
    pub origin: Option<ExecutionId>,
}

impl QueuedRecord {
    /// When its turn may come.
    #[must_use]
    pub fn ready_at(&self) -> Timestamp {
        self.not_before.unwrap_or(self.created_at)
    }
}

/// How an execution's end counts for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// It is no end yet (a retry follows), or none that counts.
    Nothing,
    /// The task works: its failures are over.
    Success,
    /// The task failed once more; after so many in a row it is paused.
    Failure {
        /// How many; none: never.
        pause_after: Option<u32>,
    },
}

/// What follows from an execution that ended.
#[derive(Debug, Clone)]
pub struct Following {
    /// The execution.
    pub id: ExecutionId,
    /// Which attempt.
    pub attempt: u32,
    /// Its task.
    pub task: TaskId,
    /// How its end counts.
    pub tally: Tally,
    /// Queued in any case.
    pub queue: Vec<NewQueued>,
    /// Queued where the task had failed before.
    pub on_recovery: Vec<NewQueued>,
    /// Recorded where this pauses the task, and where an audit log was begun.
    pub pause: (String, Vec<AuditEvent>),
    /// When.
    pub at: Timestamp,
}

/// What following came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    /// It was followed before: nothing was done.
    pub is_old: bool,
    /// The task's failures in a row, now.
    pub failures: u32,
    /// This paused the task.
    pub is_paused: bool,
    /// How many executions were queued.
    pub queued: usize,
}

/// An ended execution of which nobody has followed what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfollowed {
    /// The execution.
    pub id: ExecutionId,
    /// Which attempt.
    pub attempt: u32,
}

impl Database {
    /// Puts executions into the queue, all or none.
    pub fn enqueue(&self, rows: Vec<NewQueued>) -> Answer<()> {
        self.write(move |connection| rows.iter().try_for_each(|row| insert_queued(connection, row)))
    }

    /// The executions that wait, in the order of their turns, at most so many.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn queued(&self, limit: u64) -> Result<Vec<QueuedRecord>, DbError> {
        const QUEUED: &str = "
            SELECT id, attempt, trigger, subject, created_ms, scheduled_for_ms, not_before_ms, origin
            FROM executions INDEXED BY executions_queued
            WHERE status = 'queued'
            ORDER BY COALESCE(not_before_ms, created_ms), serial
            LIMIT ?";
        self.read(|connection| connection.prepare_cached(QUEUED)?.query_and_then([integer(limit)], queued)?.collect())
    }

    /// Takes an execution out of the queue: it is skipped, for this reason.
    ///
    /// The answer is [`DbError::IllegalMove`] where it does not wait any more.
    pub fn skip_queued(&self, id: ExecutionId, attempt: u32, reason: String, now: Timestamp) -> Answer<()> {
        self.leave_queue(id, attempt, Status::Skipped, Some(reason), now)
    }

    /// Takes an execution out of the queue: it is cancelled.
    ///
    /// The answer is [`DbError::IllegalMove`] where it does not wait any more.
    pub fn cancel_queued(&self, id: ExecutionId, attempt: u32, now: Timestamp) -> Answer<()> {
        self.leave_queue(id, attempt, Status::Cancelled, None, now)
    }

    fn leave_queue(&self, id: ExecutionId, attempt: u32, status: Status, reason: Option<String>, now: Timestamp) -> Answer<()> {
        self.write(move |connection| {
            change_status(connection, id, attempt, &Standing::never_ran(status, reason.clone(), now))?;
            mark_followed(connection, id, attempt).map(drop)
        })
    }

    /// Ends an execution whose turn came and which cannot be started: it ran
    /// for no time and failed.
    ///
    /// The answer is [`DbError::IllegalMove`] where it does not wait any more.
    pub fn fail_queued(&self, id: ExecutionId, attempt: u32, holder: &str, failure: &Failure, now: Timestamp) -> Answer<()> {
        let (holder, failure) = (holder.to_owned(), failure.clone());
        self.write(move |connection| {
            begin_bare(connection, id, attempt, &holder, now)?;
            change_status(connection, id, attempt, &Standing::never_began(&failure, now)?).map(drop)
        })
    }

    /// Ended executions of tasks of which nobody has followed what follows,
    /// oldest first: their process died in between.
    ///
    /// # Errors
    ///
    /// As [`queued`](Self::queued).
    pub fn unfollowed(&self) -> Result<Vec<Unfollowed>, DbError> {
        const UNFOLLOWED: &str = "
            SELECT id, attempt
            FROM executions INDEXED BY executions_unfollowed
            WHERE followed = 0 AND status NOT IN ('queued', 'running', 'awaiting-approval')
            ORDER BY serial";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(UNFOLLOWED)?;
            let rows = statement.query_and_then([], |row| Ok(Unfollowed { id: parsed(row, "id")?, attempt: plain(row, "attempt")? }))?;
            rows.collect()
        })
    }

    /// Notes how an execution's end counts, and queues what follows from it,
    /// once and together.
    pub fn follow(&self, following: Following) -> Answer<Followed> {
        let events: Result<Vec<EncodedEvent>, DbError> = following.pause.1.iter().cloned().map(EncodedEvent::encode).collect();
        match events {
            Err(error) => Answer::known(Err(error)),
            Ok(events) if events.is_empty() => self.write(move |connection| follow(connection, &following)),
            Ok(events) => self.write_with_ledger(move |connection, ledger| {
                let followed = follow(connection, &following)?;
                if followed.is_paused {
                    ledger.append(connection, &events)?;
                }
                Ok(followed)
            }),
        }
    }

    /// How many executions of a task wait or run.
    ///
    /// # Errors
    ///
    /// As [`queued`](Self::queued).
    pub fn unfinished(&self, task: TaskId) -> Result<Vec<(ExecutionId, u32, Status)>, DbError> {
        const UNFINISHED: &str = "
            SELECT id, attempt, status
            FROM executions INDEXED BY executions_by_status
            WHERE status IN ('queued', 'running') AND subject = ?
            ORDER BY serial";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(UNFINISHED)?;
            let rows = statement
                .query_and_then([task.subject()], |row| Ok((parsed(row, "id")?, plain(row, "attempt")?, parsed(row, "status")?)))?;
            rows.collect()
        })
    }

    /// When executions of a task (of all tasks, without one) started after a
    /// time, oldest first.
    ///
    /// # Errors
    ///
    /// As [`queued`](Self::queued).
    pub fn starts(&self, task: Option<TaskId>, after: Timestamp) -> Result<Vec<Timestamp>, DbError> {
        // Asked for after the time covers what started after it, but for what
        // waited: the queue is short.
        const OF_ONE: &str = "
            SELECT started_ms FROM executions INDEXED BY executions_by_subject
            WHERE subject = ?1 AND created_ms > ?2 - 86400000 AND started_ms > ?2
            ORDER BY started_ms";
        const OF_ALL: &str = "
            SELECT started_ms FROM executions INDEXED BY executions_by_time
            WHERE created_ms > ?2 - 86400000 AND task IS NOT NULL AND started_ms > ?2 AND ?1 IS NULL
            ORDER BY started_ms";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(if task.is_some() { OF_ONE } else { OF_ALL })?;
            let subject = task.map(TaskId::subject);
            statement.query_and_then(params![subject, after.ms()], |row| time(row, "started_ms"))?.collect()
        })
    }
}

fn queued(row: &Row<'_>) -> Result<QueuedRecord, DbError> {
    let subject: String = plain(row, "subject")?;
    Ok(QueuedRecord {
        id: parsed(row, "id")?,
        attempt: plain(row, "attempt")?,
        trigger: word(row, "trigger")?,
        task: TaskId::of_subject(&subject).ok_or(DbError::Damaged { column: "subject" })?,
        created_at: time(row, "created_ms")?,
        scheduled_for: optional_time(row, "scheduled_for_ms")?,
        not_before: optional_time(row, "not_before_ms")?,
        origin: optional_parsed(row, "origin")?,
    })
}

/// Puts an execution into the queue. Params, access and limits are known when
/// its turn comes.
pub(crate) fn insert_queued(connection: &Connection, row: &NewQueued) -> Result<(), DbError> {
    const INSERT: &str = "
        INSERT INTO executions (
            id, attempt, status, trigger, task, subject, program, digest,
            created_ms, scheduled_for_ms, not_before_ms, origin, followed, limits, access, params)
        VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '{}', '{}', '{}')";
    connection.prepare_cached(INSERT)?.execute(params![
        row.id.to_string(),
        row.attempt,
        row.trigger.name(),
        row.name.as_str(),
        row.task.subject(),
        row.program,
        row.digest.to_string(),
        row.created_at.ms(),
        row.scheduled_for.map(Timestamp::ms),
        row.not_before.map(Timestamp::ms),
        row.origin.map(|origin| origin.to_string()),
    ])?;
    Ok(())
}

/// Answers whether it was not before.
fn mark_followed(connection: &Connection, id: ExecutionId, attempt: u32) -> Result<bool, DbError> {
    const MARK: &str = "
        UPDATE executions SET followed = 1 WHERE id = ? AND attempt = ? AND followed = 0";
    Ok(connection.prepare_cached(MARK)?.execute(params![id.to_string(), attempt])? > 0)
}

fn follow(connection: &Connection, following: &Following) -> Result<Followed, DbError> {
    if !mark_followed(connection, following.id, following.attempt)? {
        return Ok(Followed { is_old: true, ..Followed::default() });
    }
    let (before, mut followed) = (failures(connection, following.task)?, Followed::default());
    match following.tally {
        Tally::Nothing => followed.failures = before,
        Tally::Success => set_failures(connection, following.task, 0)?,
        Tally::Failure { pause_after } => {
            followed.failures = before.saturating_add(1);
            set_failures(connection, following.task, followed.failures)?;
            if pause_after.is_some_and(|most| followed.failures >= most) {
                followed.is_paused = crate::tasks::pause(connection, following.task, &following.pause.0, following.at)?;
            }
        }
    }
    let recovered = following.tally == Tally::Success && before > 0;
    let recovery = following.on_recovery.iter().filter(|_| recovered);
    for row in following.queue.iter().chain(recovery) {
        insert_queued(connection, row)?;
        followed.queued += 1;
    }
    Ok(followed)
}

/// A task that is gone has none.
fn failures(connection: &Connection, task: TaskId) -> Result<u32, DbError> {
    const FAILURES: &str = "
        SELECT failures FROM tasks WHERE id = ?";
    let found: Option<u32> = connection.prepare_cached(FAILURES)?.query_row([task.to_string()], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

fn set_failures(connection: &Connection, task: TaskId, failures: u32) -> Result<(), DbError> {
    const SET: &str = "
        UPDATE tasks SET failures = ?1 WHERE id = ?2 AND failures <> ?1";
    connection.prepare_cached(SET)?.execute(params![failures, task.to_string()])?;
    Ok(())
}
