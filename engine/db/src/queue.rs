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
//! `followed` goes from 0 to 1 in the transaction that queues what follows, or,
//! where nothing does, in the one that records the end.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::failure::Failure;
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::task::{TaskId, TaskName};

use crate::audit::EncodedEvent;
use crate::column::{integer, optional_parsed, optional_time, parsed, plain, time, word};
use crate::executions::{Standing, begin_bare, change_status};
use crate::slots::{WhenBusy, unfinished};
use crate::tasks::by_id;
use crate::writer::Answer;
use crate::{AuditEvent, Database, DbError, TaskRecord};

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
    /// The client's session that asked for it.
    pub session: Option<String>,
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
    /// Where it stands in the queue.
    #[must_use]
    pub fn place(&self) -> Timestamp {
        self.not_before.unwrap_or(self.created_at)
    }

    /// How long it was to wait when it was queued.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| Duration::from_millis(at.ms_since(self.created_at)))
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
    /// Queued in any case: retries.
    pub queue: Vec<NewQueued>,
    /// Queued as the rule of their own task lets them.
    pub followers: Vec<(NewQueued, WhenBusy)>,
    /// The same, where the task had failed before.
    pub on_recovery: Vec<(NewQueued, WhenBusy)>,
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

const QUEUED: &str = "
    SELECT id, attempt, trigger, subject, created_ms, scheduled_for_ms, not_before_ms, origin
    FROM executions INDEXED BY executions_queued
    WHERE status = 'queued'
    ORDER BY COALESCE(not_before_ms, created_ms), serial
    LIMIT ?";

/// Where more waits than is read: of every task its first, then of every task its
/// second, so that none is kept from its turn by others that wait in numbers.
const QUEUED_OF_EACH: &str = "
    SELECT id, attempt, trigger, subject, created_ms, scheduled_for_ms, not_before_ms, origin
    FROM (
        SELECT id, attempt, trigger, subject, created_ms, scheduled_for_ms, not_before_ms, origin, serial,
            ROW_NUMBER() OVER (PARTITION BY subject ORDER BY COALESCE(not_before_ms, created_ms), serial) AS turn
        FROM executions INDEXED BY executions_queued
        WHERE status = 'queued'
        ORDER BY turn, COALESCE(not_before_ms, created_ms), serial
        LIMIT ?)
    ORDER BY COALESCE(not_before_ms, created_ms), serial";

const UNFOLLOWED: &str = "
    SELECT id, attempt
    FROM executions INDEXED BY executions_unfollowed
    WHERE followed = 0 AND status NOT IN ('queued', 'running', 'awaiting-approval')
    ORDER BY serial";

const UNFINISHED: &str = "
    SELECT id, attempt, status
    FROM executions INDEXED BY executions_unfinished
    WHERE status IN ('queued', 'running') AND task IS NOT NULL AND subject = ?
    ORDER BY serial";

/// Asked for after the time covers what started after it, but for what
/// waited: the queue is short.
const STARTS_OF_ONE: &str = "
    SELECT started_ms FROM executions INDEXED BY executions_by_subject
    WHERE subject = ?1 AND created_ms > ?2 - 86400000 AND started_ms > ?2
    ORDER BY started_ms";

const STARTS_OF_ALL: &str = "
    SELECT started_ms FROM executions INDEXED BY executions_by_time
    WHERE created_ms > ?2 - 86400000 AND task IS NOT NULL AND started_ms > ?2 AND ?1 IS NULL
    ORDER BY started_ms";

impl Database {
    /// Puts an execution into the queue, as the rule of its task lets it; one
    /// that it does not let is recorded as skipped.
    pub fn enqueue_unless_busy(&self, row: NewQueued, when_busy: WhenBusy) -> Answer<bool> {
        self.write(move |connection| enqueue_unless_busy(connection, &row, when_busy))
    }

    /// Puts executions into the queue, all or none.
    #[cfg(test)]
    pub(crate) fn enqueue(&self, rows: Vec<NewQueued>) -> Answer<()> {
        self.write(move |connection| rows.iter().try_for_each(|row| insert_queued(connection, row)))
    }

    /// The executions that wait, in the order of their turns, at most so many.
    /// Where there are more, each task has as many among them as the next, as
    /// far as it has them.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn queued(&self, limit: u64) -> Result<Vec<QueuedRecord>, DbError> {
        self.read(|connection| {
            let first = connection.prepare_cached(QUEUED)?.query_and_then([integer(limit)], queued)?.collect::<Result<Vec<_>, _>>()?;
            if (first.len() as u64) < limit {
                return Ok(first);
            }
            connection.prepare_cached(QUEUED_OF_EACH)?.query_and_then([integer(limit)], queued)?.collect()
        })
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
            change_status(connection, id, attempt, &Standing::never_ran(status, reason.as_deref(), now))?;
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

    /// The executions of a task that wait or run, in the order of their recording.
    ///
    /// # Errors
    ///
    /// As [`queued`](Self::queued).
    pub fn unfinished(&self, task: TaskId) -> Result<Vec<(ExecutionId, u32, Status)>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(UNFINISHED)?;
            let rows = statement
                .query_and_then([task.subject()], |row| Ok((parsed(row, "id")?, plain(row, "attempt")?, parsed(row, "status")?)))?;
            rows.collect()
        })
    }

    /// A task whose turn may have come, and whether it runs, whoever runs it.
    ///
    /// # Errors
    ///
    /// As [`queued`](Self::queued).
    pub fn turn_of(&self, task: TaskId) -> Result<Option<(TaskRecord, bool)>, DbError> {
        const RUNS: &str = "
            SELECT 1 FROM executions INDEXED BY executions_unfinished
            WHERE status IN ('queued', 'running') AND task IS NOT NULL AND subject = ? AND status = 'running'";
        self.read(|connection| {
            let Some(record) = by_id(connection, task)? else { return Ok(None) };
            Ok(Some((record, connection.prepare_cached(RUNS)?.exists([task.subject()])?)))
        })
    }

    /// When executions of a task (of all tasks, without one) started after a
    /// time, oldest first.
    ///
    /// # Errors
    ///
    /// As [`queued`](Self::queued).
    pub fn starts(&self, task: Option<TaskId>, after: Timestamp) -> Result<Vec<Timestamp>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(if task.is_some() { STARTS_OF_ONE } else { STARTS_OF_ALL })?;
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
/// its turn comes. The task may have another name since it was read.
pub(crate) fn insert_queued(connection: &Connection, row: &NewQueued) -> Result<(), DbError> {
    const INSERT: &str = "
        INSERT INTO executions (
            id, attempt, status, trigger, task, subject, program, digest,
            created_ms, scheduled_for_ms, not_before_ms, origin, session, followed, limits, access, params)
        VALUES (
            ?1, ?2, 'queued', ?3, COALESCE((SELECT name FROM tasks WHERE id = ?12), ?4), ?5, ?6, ?7,
            ?8, ?9, ?10, ?11, ?13, 0, '{}', '{}', '{}')";
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
        row.task.to_string(),
        row.session,
    ])?;
    Ok(())
}

/// Answers whether it waits now; where it may not, it is recorded as skipped.
fn enqueue_unless_busy(connection: &Connection, row: &NewQueued, when_busy: WhenBusy) -> Result<bool, DbError> {
    insert_queued(connection, row)?;
    let Some(reason) = when_busy.refuses(unfinished(connection, row.task)?.saturating_sub(1)) else { return Ok(true) };
    let standing = Standing::never_ran(Status::Skipped, Some(reason), row.created_at);
    change_status(connection, row.id, row.attempt, &standing)?;
    mark_followed(connection, row.id, row.attempt)?;
    Ok(false)
}

/// Answers whether it was not before.
fn mark_followed(connection: &Connection, id: ExecutionId, attempt: u32) -> Result<bool, DbError> {
    const MARK: &str = "
        UPDATE executions SET followed = 1 WHERE id = ? AND attempt = ? AND followed = 0";
    Ok(connection.prepare_cached(MARK)?.execute(params![id.to_string(), attempt])? > 0)
}

/// Marks a success as followed where nothing follows from it: no task runs after
/// this one, and it has no failures that would be over now, counted or not.
/// Answers whether it did. Most ends are such, and cost no second transaction.
pub(crate) fn ends_here(connection: &Connection, serial: i64, task: TaskId) -> Result<bool, DbError> {
    const MARK: &str = "
        UPDATE executions SET followed = 1
        WHERE serial = ?1 AND status = 'success'
            AND NOT EXISTS (SELECT 1 FROM task_links WHERE source = ?2 AND kind = 'after')
            AND (SELECT failures > 0 OR unrecovered FROM tasks WHERE id = ?2) = 0";
    Ok(connection.prepare_cached(MARK)?.execute(params![serial, task.to_string()])? > 0)
}

fn follow(connection: &Connection, following: &Following) -> Result<Followed, DbError> {
    if !mark_followed(connection, following.id, following.attempt)? {
        return Ok(Followed { is_old: true, ..Followed::default() });
    }
    let (before, has_failed) = failures(connection, following.task)?;
    let mut followed = Followed::default();
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
    let recovered = following.tally == Tally::Success && has_failed;
    let recovery = following.on_recovery.iter().filter(|_| recovered);
    for row in &following.queue {
        insert_queued(connection, row)?;
        followed.queued += 1;
    }
    for (row, when_busy) in following.followers.iter().chain(recovery) {
        followed.queued += usize::from(enqueue_unless_busy(connection, row, *when_busy)?);
    }
    Ok(followed)
}

/// How many in a row are counted, and whether there was one since the last
/// success. A task that is gone has none.
fn failures(connection: &Connection, task: TaskId) -> Result<(u32, bool), DbError> {
    const FAILURES: &str = "
        SELECT failures, failures > 0 OR unrecovered FROM tasks WHERE id = ?";
    let mut statement = connection.prepare_cached(FAILURES)?;
    let found = statement.query_row([task.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.unwrap_or_default())
}

/// None of them: it has recovered, too.
fn set_failures(connection: &Connection, task: TaskId, failures: u32) -> Result<(), DbError> {
    const SET: &str = "
        UPDATE tasks SET failures = ?1, unrecovered = unrecovered AND ?1 > 0
        WHERE id = ?2 AND (failures <> ?1 OR (unrecovered AND ?1 = 0))";
    connection.prepare_cached(SET)?.execute(params![failures, task.to_string()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use wardroom_core::failure::{FailureKind, Outcome};

    use super::*;
    use crate::testing::{Home, add, again, at, ending, event, failed, force, number, plan, start, succeeded, terms, turn, waiting};
    use crate::{AuditFilter, Sequel, TaskRecord};

    /// What ended as attempt 1 of a task, and was not followed.
    async fn ended(database: &Database, task: &TaskRecord) -> Following {
        let subject = task.id.subject();
        let mut row = start(&subject);
        row.task = Some(task.name.as_str());
        database.record(&row, ending(&failed())).await.unwrap();
        Following {
            id: row.id,
            attempt: 1,
            task: task.id,
            tally: Tally::Nothing,
            queue: Vec::new(),
            followers: Vec::new(),
            on_recovery: Vec::new(),
            pause: ("5 failures in a row".to_owned(), Vec::new()),
            at: at(5_000),
        }
    }

    fn status(database: &Database, row: &NewQueued) -> (Status, Option<String>) {
        let summary = database.execution(row.id, Some(row.attempt)).unwrap().unwrap().summary;
        (summary.status, summary.reason)
    }

    fn illegal<T>(answer: Result<T, DbError>, expected: (Status, Status)) -> bool {
        matches!(answer, Err(DbError::IllegalMove { from, to, .. }) if (from, to) == expected)
    }

    #[tokio::test]
    async fn what_waits_is_told_in_the_order_of_its_turns() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let later = NewQueued { not_before: Some(at(9_000)), attempt: 2, ..waiting(&task, 1_000) };
        let origin = Some(ExecutionId::fresh());
        let first = NewQueued { scheduled_for: Some(at(900)), trigger: Trigger::After, origin, ..waiting(&task, 2_000) };
        let second = waiting(&task, 2_000);
        let between = NewQueued { not_before: Some(at(3_000)), ..waiting(&task, 8_000) };
        let all = [&later, &first, &second, &between];
        database.enqueue(all.map(Clone::clone).to_vec()).await.unwrap();
        let queued = database.queued(9).unwrap();
        assert_eq!(queued.iter().map(|row| row.id).collect::<Vec<_>>(), [first.id, second.id, between.id, later.id]);
        assert_eq!(queued.iter().map(|row| row.place().ms()).collect::<Vec<_>>(), [2_000, 2_000, 3_000, 9_000]);
        assert_eq!(database.queued(2).unwrap(), queued[..2]);
        let expected = QueuedRecord {
            id: first.id,
            attempt: 1,
            trigger: Trigger::After,
            task: task.id,
            created_at: at(2_000),
            scheduled_for: Some(at(900)),
            not_before: None,
            origin,
        };
        assert_eq!(queued[0], expected);
    }

    #[tokio::test]
    async fn a_task_that_waits_in_numbers_keeps_no_other_from_its_turn() {
        let home = Home::new();
        let database = home.open();
        let (busy, other, late) = (add(&database, terms("a")).await, add(&database, terms("b")).await, add(&database, terms("c")).await);
        let mut rows: Vec<NewQueued> = (0..9).flat_map(|ms| [waiting(&busy, ms), waiting(&other, ms)]).collect();
        rows.push(waiting(&late, 100));
        database.enqueue(rows.clone()).await.unwrap();
        let read = |limit| database.queued(limit).unwrap().iter().map(|row| row.id).collect::<Vec<_>>();
        let ids = |indexes: &[usize]| indexes.iter().map(|index| rows[*index].id).collect::<Vec<_>>();
        assert_eq!(read(3), ids(&[0, 1, 18]));
        assert_eq!(read(6), ids(&[0, 1, 2, 3, 4, 18]));
        assert_eq!(read(99).len(), rows.len());
    }

    #[tokio::test]
    async fn a_success_that_nothing_follows_is_followed_in_its_end() {
        let home = Home::new();
        let database = home.open();
        let (task, other) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        let subject = task.id.subject();
        let run = async |outcome: &Outcome, steps: u8| {
            let row = waiting(&task, 1);
            database.enqueue(vec![row.clone()]).await.unwrap();
            if steps == 1 {
                return database.record(&turn(&row, &subject), ending(outcome)).await.unwrap();
            }
            database.start(&turn(&row, &subject)).await.unwrap();
            database.finish(row.id, 1, ending(outcome)).await.unwrap()
        };
        let link = |kind: &str| format!("INSERT INTO task_links VALUES ('{}', '{kind}', '{}')", task.id, other.id);
        force(&database, &link("on-failure")).await.unwrap();
        force(&database, &link("on-recovery")).await.unwrap();
        assert_eq!([run(&succeeded(), 1).await, run(&succeeded(), 2).await], [Sequel::None; 2]);
        assert_eq!(database.unfollowed().unwrap(), []);
        assert_eq!(number(&database, "SELECT SUM(followed) FROM executions WHERE status = 'success'"), 2);

        assert_eq!([run(&failed(), 1).await, run(&failed(), 2).await], [Sequel::Due; 2]);
        let due = |count| {
            assert_eq!(database.unfollowed().unwrap().len(), count);
            database.write(|connection| Ok(connection.execute("UPDATE executions SET followed = 1", [])?))
        };
        due(2).await.unwrap();
        // It recovers: that is told, and counted.
        force(&database, "UPDATE tasks SET failures = 1").await.unwrap();
        assert_eq!(run(&succeeded(), 1).await, Sequel::Due);
        due(1).await.unwrap();
        // Also where a pause has set the count back.
        force(&database, "UPDATE tasks SET failures = 0, unrecovered = 1").await.unwrap();
        assert_eq!(run(&succeeded(), 1).await, Sequel::Due);
        due(1).await.unwrap();
        force(&database, "UPDATE tasks SET unrecovered = 0").await.unwrap();
        force(&database, &link("after")).await.unwrap();
        assert_eq!(run(&succeeded(), 2).await, Sequel::Due);
        due(1).await.unwrap();
    }

    #[tokio::test]
    async fn of_executions_that_are_queued_together_all_wait_or_none() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let row = waiting(&task, 1);
        let twice = database.enqueue(vec![row.clone(), waiting(&task, 2), row]).await;
        assert!(matches!(twice, Err(DbError::Sqlite(_))));
        assert_eq!(database.queued(9).unwrap(), []);
    }

    #[tokio::test]
    async fn what_waits_is_started_once_and_ends_in_one_step_or_two() {
        let home = Home::new();
        let (database, other) = (home.open(), home.open());
        let task = add(&database, terms("a")).await;
        let subject = task.id.subject();
        let (two, one) = (NewQueued { scheduled_for: Some(at(900)), ..waiting(&task, 1_000) }, waiting(&task, 1_000));
        database.enqueue(vec![two.clone(), one.clone()]).await.unwrap();
        let (started, late) = tokio::join!(database.start(&turn(&two, &subject)), other.start(&turn(&two, &subject)));
        assert!(started.is_ok() != late.is_ok());
        assert!(illegal(started.and(late), (Status::Running, Status::Running)));
        let record = database.execution(two.id, None).unwrap().unwrap();
        // What was resolved when its turn came, and why it was asked for.
        assert_eq!((record.summary.status, record.holder.as_deref()), (Status::Running, Some("me")));
        assert_eq!((record.summary.program.as_str(), record.params["city"].as_str()), (subject.as_str(), Some("Århus")));
        assert_eq!((record.summary.trigger, record.summary.scheduled_for), (Trigger::Schedule, Some(at(900))));
        database.finish(two.id, 1, ending(&succeeded())).await.unwrap();
        database.record(&turn(&one, &subject), ending(&failed())).await.unwrap();
        assert_eq!((status(&database, &two).0, status(&database, &one).0), (Status::Success, Status::Failed));
        assert!(illegal(database.record(&turn(&one, &subject), ending(&succeeded())).await, (Status::Failed, Status::Running)));
        assert_eq!(database.queued(9).unwrap(), []);
        let never = waiting(&task, 1);
        let unknown = database.start(&turn(&never, &subject)).await;
        assert!(matches!(unknown, Err(DbError::UnknownExecution { id, attempt: 1 }) if id == never.id));
    }

    #[tokio::test]
    async fn what_leaves_the_queue_without_running_says_why_and_nothing_follows() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let (skipped, cancelled, failed) = (waiting(&task, 1), waiting(&task, 2), waiting(&task, 3));
        database.enqueue(vec![skipped.clone(), cancelled.clone(), failed.clone()]).await.unwrap();
        database.skip_queued(skipped.id, 1, "paused".to_owned(), at(10)).await.unwrap();
        database.cancel_queued(cancelled.id, 1, at(11)).await.unwrap();
        let failure = Failure::new(FailureKind::Invalid, "no such param");
        database.fail_queued(failed.id, 1, "me", &failure, at(12)).await.unwrap();
        assert_eq!(status(&database, &skipped), (Status::Skipped, Some("paused".to_owned())));
        assert_eq!(status(&database, &cancelled), (Status::Cancelled, None));
        let record = database.execution(failed.id, None).unwrap().unwrap();
        assert_eq!((record.summary.status, record.failure), (Status::Failed, Some(failure.clone())));
        assert_eq!((record.summary.started_at, record.summary.duration_ms), (Some(at(12)), Some(0)));
        assert_eq!(record.summary.blame, Some(wardroom_core::blame::Blame::Operator));
        // But for what failed.
        assert_eq!(database.unfollowed().unwrap(), [Unfollowed { id: failed.id, attempt: 1 }]);

        assert!(illegal(database.skip_queued(cancelled.id, 1, "r".to_owned(), at(20)).await, (Status::Cancelled, Status::Skipped)));
        assert!(illegal(database.cancel_queued(skipped.id, 1, at(20)).await, (Status::Skipped, Status::Cancelled)));
        assert!(illegal(database.fail_queued(failed.id, 1, "me", &failure, at(20)).await, (Status::Failed, Status::Running)));
        let (running, subject) = (waiting(&task, 4), task.id.subject());
        database.enqueue(vec![running.clone()]).await.unwrap();
        database.start(&turn(&running, &subject)).await.unwrap();
        assert!(illegal(database.skip_queued(running.id, 1, "r".to_owned(), at(20)).await, (Status::Running, Status::Skipped)));
        assert_eq!(database.unfinished(task.id).unwrap(), [(running.id, 1, Status::Running)]);
        let unknown = database.cancel_queued(running.id, 2, at(20)).await;
        assert!(matches!(unknown, Err(DbError::UnknownExecution { attempt: 2, .. })));
    }

    #[tokio::test]
    async fn what_follows_is_queued_once_however_many_follow() {
        let home = Home::new();
        let (database, other) = (home.open(), home.open());
        let task = add(&database, terms("a")).await;
        let mut following = ended(&database, &task).await;
        following.tally = Tally::Failure { pause_after: None };
        following.queue = vec![NewQueued { id: following.id, attempt: 2, not_before: Some(at(9_000)), ..waiting(&task, 5_000) }];
        assert_eq!(database.unfollowed().unwrap(), [Unfollowed { id: following.id, attempt: 1 }]);
        let (one, two) = tokio::join!(database.follow(following.clone()), other.follow(following.clone()));
        let (one, two) = (one.unwrap(), two.unwrap());
        let (done, old) = if one.is_old { (two, one) } else { (one, two) };
        assert_eq!(done, Followed { is_old: false, failures: 1, is_paused: false, queued: 1 });
        assert_eq!(old, Followed { is_old: true, ..Followed::default() });
        assert_eq!(database.unfollowed().unwrap(), []);
        let queued = database.queued(9).unwrap();
        let [retry] = queued.as_slice() else { panic!("{queued:?}") };
        assert_eq!((retry.id, retry.attempt, retry.place()), (following.id, 2, at(9_000)));
        assert_eq!(again(&database, &task).failures, 1);
        // Counting is no change of the task: what was read of it still holds.
        assert_eq!(again(&database, &task).revision, 1);
    }

    #[tokio::test]
    async fn following_that_fails_leaves_the_end_to_be_followed() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let mut following = ended(&database, &task).await;
        following.tally = Tally::Failure { pause_after: Some(1) };
        let row = waiting(&task, 1);
        following.queue = vec![row.clone(), row];
        assert!(database.follow(following.clone()).await.is_err());
        let now = again(&database, &task);
        assert_eq!((now.failures, now.paused_at, database.unfollowed().unwrap().len()), (0, None, 1));
        following.queue.truncate(1);
        assert!(database.follow(following).await.unwrap().is_paused);
    }

    #[tokio::test]
    async fn failures_in_a_row_pause_the_task_once_and_only_that_is_recorded() {
        let home = Home::new();
        let database = home.open();
        database.begin_audit().unwrap();
        let task = add(&database, terms("a")).await;
        let mut paused = Vec::new();
        for _ in 0..4 {
            let mut following = ended(&database, &task).await;
            following.tally = Tally::Failure { pause_after: Some(3) };
            following.pause.1 = vec![event("a")];
            let followed = database.follow(following.clone()).await.unwrap();
            paused.push((followed.failures, followed.is_paused, database.audit(&AuditFilter::default()).unwrap().len()));
            assert!(database.follow(following).await.unwrap().is_old);
        }
        assert_eq!(paused, [(1, false, 0), (2, false, 0), (3, true, 1), (4, false, 1)]);
        let now = again(&database, &task);
        assert_eq!((now.paused_at, now.pause_reason.as_deref()), (Some(at(5_000)), Some("5 failures in a row")));
        assert_eq!(database.spans(task.id).unwrap()[0].until, Some(at(5_000)));
        assert_eq!(database.scheduled().unwrap(), []);
    }

    #[tokio::test]
    async fn a_success_ends_the_failures_and_only_then_is_a_recovery() {
        let home = Home::new();
        let database = home.open();
        let (task, other) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        let mut came = Vec::new();
        for tally in [Tally::Success, Tally::Failure { pause_after: None }, Tally::Nothing, Tally::Success, Tally::Success] {
            let mut following = ended(&database, &task).await;
            (following.tally, following.on_recovery) = (tally, vec![(waiting(&other, 5_000), WhenBusy::Queue(9))]);
            let followed = database.follow(following).await.unwrap();
            came.push((followed.failures, followed.queued, again(&database, &task).failures));
        }
        assert_eq!(came, [(0, 0, 0), (1, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 0)]);
    }

    #[tokio::test]
    async fn the_first_success_after_a_pause_is_a_recovery_and_the_next_is_none() {
        let home = Home::new();
        let database = home.open();
        let (task, other) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        let mut came = Vec::new();
        let failure = Tally::Failure { pause_after: Some(1) };
        for tally in [failure, Tally::Nothing, Tally::Success, Tally::Success] {
            let mut following = ended(&database, &task).await;
            (following.tally, following.on_recovery) = (tally, vec![(waiting(&other, 5_000), WhenBusy::Queue(9))]);
            let followed = database.follow(following).await.unwrap();
            came.push((followed.is_paused, followed.failures, followed.queued));
            let resumed = database.resume_task(task.id, at(6_000), Vec::new()).await.unwrap();
            assert_eq!(resumed == crate::TaskChange::Done, followed.is_paused);
        }
        assert_eq!(came, [(true, 1, 0), (false, 0, 0), (false, 0, 1), (false, 0, 0)]);
        // One that never failed recovers from nothing.
        assert_eq!(database.pause_task(other.id, "by hand".to_owned(), at(7_000), Vec::new()).await.unwrap(), crate::TaskChange::Done);
        assert_eq!(database.resume_task(other.id, at(8_000), Vec::new()).await.unwrap(), crate::TaskChange::Done);
        let mut following = ended(&database, &other).await;
        (following.tally, following.on_recovery) = (Tally::Success, vec![(waiting(&task, 9_000), WhenBusy::Queue(9))]);
        assert_eq!(database.follow(following).await.unwrap().queued, 0);
    }

    #[tokio::test]
    async fn the_end_of_a_task_that_is_gone_is_followed_by_nothing() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let mut following = ended(&database, &task).await;
        assert_eq!(database.remove_task(&task, at(2_000), Vec::new()).await.unwrap(), crate::TaskChange::Done);
        following.tally = Tally::Failure { pause_after: Some(1) };
        assert!(!database.follow(following).await.unwrap().is_paused);
        assert_eq!(database.unfollowed().unwrap(), []);
    }

    #[tokio::test]
    async fn what_a_dead_process_left_of_a_task_is_still_to_be_followed() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let (row, subject) = (waiting(&task, 1), task.id.subject());
        database.enqueue(vec![row.clone()]).await.unwrap();
        database.start(&turn(&row, &subject)).await.unwrap();
        let (without_task, mut by_hand) = (start("/s"), start(&subject));
        by_hand.task = Some("a");
        database.start(&without_task).await.unwrap();
        database.start(&by_hand).await.unwrap();
        assert_eq!(database.unfollowed().unwrap(), []);
        assert_eq!(database.interrupt("me", at(9_000)).await.unwrap().len(), 3);
        let left = [row.id, by_hand.id].map(|id| Unfollowed { id, attempt: 1 });
        assert_eq!(database.unfollowed().unwrap(), left);
    }

    #[tokio::test]
    async fn starts_are_told_of_one_task_or_of_all_and_of_nothing_else() {
        let home = Home::new();
        let database = home.open();
        let (a, b) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        for (task, started) in [(Some(&a), 5_000), (Some(&b), 6_000), (Some(&a), 4_000), (Some(&a), 3_000), (None, 7_000)] {
            let subject = task.map_or("/s".to_owned(), |task| task.id.subject());
            let mut row = start(&subject);
            (row.task, row.started_at) = (task.map(|task| task.name.as_str()), at(started));
            database.record(&row, ending(&succeeded())).await.unwrap();
        }
        database.enqueue(vec![waiting(&a, 8_000)]).await.unwrap();
        let starts = |task| database.starts(task, at(3_000)).unwrap().iter().map(|at| at.ms()).collect::<Vec<_>>();
        assert_eq!((starts(Some(a.id)), starts(Some(b.id)), starts(None)), (vec![4_000, 5_000], vec![6_000], vec![4_000, 5_000, 6_000]));
    }

    #[tokio::test]
    async fn sql_refuses_what_no_queue_holds() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        database.enqueue(vec![waiting(&task, 1)]).await.unwrap();
        for wrong in ["followed = 2", "followed = NULL", "slot_count = 0", "origin = 'x'", "status = 'running'", "finished_ms = 1"] {
            let refused = force(&database, &format!("UPDATE executions SET {wrong}")).await;
            assert!(matches!(refused, Err(DbError::Sqlite(_))), "{wrong}");
        }
        let wrong_tasks = ["cursor_ms = NULL", "schedule = NULL", "paused_ms = 1", "pause_reason = 'r'", "failures = -1", "name = ''"];
        for wrong in wrong_tasks {
            let refused = force(&database, &format!("UPDATE tasks SET {wrong}")).await;
            assert!(matches!(refused, Err(DbError::Sqlite(_))), "{wrong}");
        }
    }

    #[test]
    fn the_queue_and_what_is_to_be_followed_are_read_from_indexes_that_hold_nothing_else() {
        let home = Home::new();
        let database = home.open();
        let only = |sql: &str| -> String {
            let mut plan = plan(&database, sql);
            // One task's are few, and put in order.
            plan.retain(|line| line != "USE TEMP B-TREE FOR ORDER BY");
            let [only] = plan.as_slice() else { panic!("{plan:?}") };
            only.clone()
        };
        assert_eq!(plan(&database, QUEUED), ["SCAN executions USING INDEX executions_queued"]);
        assert_eq!(plan(&database, UNFOLLOWED), ["SCAN executions USING INDEX executions_unfollowed"]);
        assert_eq!(only(UNFINISHED), "SEARCH executions USING INDEX executions_unfinished (subject=? AND status=?)");
        assert_eq!(only(STARTS_OF_ONE), "SEARCH executions USING INDEX executions_by_subject (subject=? AND created_ms>?)");
        assert_eq!(only(STARTS_OF_ALL), "SEARCH executions USING INDEX executions_by_time (created_ms>?)");
    }
}
