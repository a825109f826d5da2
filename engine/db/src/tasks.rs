//! Tasks: what a person saved, which follows which, and which schedule was in
//! force when.
//!
//! What a definition or a schedule says is for the use cases to read; here they
//! are texts. A change names the revision it was made from, so that of two at
//! once one is told.

use rusqlite::{Connection, Row, params};
use serde::Serialize;
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;
use wardroom_core::task::{TaskId, TaskName};

use crate::column::{optional_time, parsed, plain, time};
use crate::executions::{empty_queue, is_unique_violation};
use crate::writer::{Answer, Effect};
use crate::{AuditEvent, Database, DbError, NewGrant};

/// A stored task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Which.
    pub id: TaskId,
    /// Its name.
    pub name: TaskName,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its program's bytes.
    pub digest: Digest,
    /// All else that a person said of it, as JSON.
    pub definition: String,
    /// Its schedule, as JSON.
    pub schedule: Option<String>,
    /// Slots up to and including this one are accounted for.
    pub cursor: Option<Timestamp>,
    /// Since when it is paused, where it is.
    pub paused_at: Option<Timestamp>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Failures in a row.
    pub failures: u32,
}

/// How one task follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// After its success.
    After,
    /// After its failure.
    OnFailure,
    /// After its first success since a failure.
    OnRecovery,
}

impl LinkKind {
    /// The word in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::OnFailure => "on-failure",
            Self::OnRecovery => "on-recovery",
        }
    }

    fn of(word: &str) -> Result<Self, DbError> {
        let all = [Self::After, Self::OnFailure, Self::OnRecovery];
        all.into_iter().find(|kind| kind.name() == word).ok_or(DbError::Damaged { column: "kind" })
    }
}

/// `target` runs after `source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Whose end it is.
    pub source: TaskId,
    /// Which end.
    pub kind: LinkKind,
    /// What runs then.
    pub target: TaskId,
}

/// What a task is from now on.
#[derive(Debug, Clone)]
pub struct TaskTerms {
    /// Its name.
    pub name: TaskName,
    /// Its program's bytes.
    pub digest: Digest,
    /// All else that a person said of it, as JSON.
    pub definition: String,
    /// Its schedule, as JSON.
    pub schedule: Option<String>,
    /// All links that it is an end of and that its own text names.
    pub links: Vec<Link>,
    /// All that it is granted, for these bytes.
    pub grants: Vec<NewGrant>,
}

/// How a change of a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TaskChange {
    /// It is done.
    Done,
    /// There is no such task any more.
    Missing,
    /// Another one has that name.
    NameTaken,
    /// The task is not as it was read.
    Changed,
}

impl Effect for TaskChange {
    fn is_change(&self) -> bool {
        *self == Self::Done
    }
}

/// A task with a schedule, as the scheduler needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledRecord {
    /// Which.
    pub id: TaskId,
    /// Counts its changes.
    pub revision: u64,
    /// Its schedule, as JSON.
    pub schedule: String,
    /// Slots up to and including this one are accounted for.
    pub cursor: Timestamp,
}

/// A schedule that was, or is, in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRecord {
    /// For slots after this.
    pub from: Timestamp,
    /// Up to and including this; none: still.
    pub until: Option<Timestamp>,
    /// The schedule, as JSON.
    pub schedule: String,
}

impl Database {
    /// All tasks, in order of their names.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn tasks(&self) -> Result<Vec<TaskRecord>, DbError> {
        const TASKS: &str = "
            SELECT * FROM tasks ORDER BY name";
        self.read(|connection| connection.prepare_cached(TASKS)?.query_and_then([], record)?.collect())
    }

    /// The task of this name.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn task(&self, name: &TaskName) -> Result<Option<TaskRecord>, DbError> {
        const TASK: &str = "
            SELECT * FROM tasks WHERE name = ?";
        self.read(|connection| connection.prepare_cached(TASK)?.query_and_then([name.as_str()], record)?.next().transpose())
    }

    /// The task of this identity.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn task_by_id(&self, id: TaskId) -> Result<Option<TaskRecord>, DbError> {
        const TASK: &str = "
            SELECT * FROM tasks WHERE id = ?";
        self.read(|connection| connection.prepare_cached(TASK)?.query_and_then([id.to_string()], record)?.next().transpose())
    }

    /// All tasks with a schedule that are not paused.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn scheduled(&self) -> Result<Vec<ScheduledRecord>, DbError> {
        const SCHEDULED: &str = "
            SELECT id, revision, schedule, cursor_ms FROM tasks WHERE schedule IS NOT NULL AND paused_ms IS NULL";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(SCHEDULED)?;
            let rows = statement.query_and_then([], |row| {
                Ok(ScheduledRecord {
                    id: parsed(row, "id")?,
                    revision: plain::<i64>(row, "revision")?.unsigned_abs(),
                    schedule: plain(row, "schedule")?,
                    cursor: time(row, "cursor_ms")?,
                })
            })?;
            rows.collect()
        })
    }

    /// All links between tasks.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn links(&self) -> Result<Vec<Link>, DbError> {
        const LINKS: &str = "
            SELECT source, kind, target FROM task_links ORDER BY source, kind, target";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(LINKS)?;
            let rows = statement.query_and_then([], |row| {
                let kind: String = plain(row, "kind")?;
                Ok(Link { source: parsed(row, "source")?, kind: LinkKind::of(&kind)?, target: parsed(row, "target")? })
            })?;
            rows.collect()
        })
    }

    /// The tasks that follow one, and how.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn followers(&self, source: TaskId) -> Result<Vec<(LinkKind, TaskRecord)>, DbError> {
        const FOLLOWERS: &str = "
            SELECT task_links.kind, tasks.*
            FROM task_links JOIN tasks ON tasks.id = task_links.target
            WHERE task_links.source = ?
            ORDER BY tasks.name";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(FOLLOWERS)?;
            let rows =
                statement.query_and_then([source.to_string()], |row| Ok((LinkKind::of(&plain::<String>(row, "kind")?)?, record(row)?)))?;
            rows.collect()
        })
    }

    /// The schedules that a task had, oldest first.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn spans(&self, task: TaskId) -> Result<Vec<SpanRecord>, DbError> {
        const SPANS: &str = "
            SELECT from_ms, until_ms, schedule FROM schedule_spans WHERE task = ? ORDER BY from_ms";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(SPANS)?;
            let rows = statement.query_and_then([task.to_string()], |row| {
                Ok(SpanRecord { from: time(row, "from_ms")?, until: optional_time(row, "until_ms")?, schedule: plain(row, "schedule")? })
            })?;
            rows.collect()
        })
    }

    /// Saves a new task with its grants. The events are recorded with it.
    pub fn add_task(&self, id: TaskId, terms: TaskTerms, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        const INSERT: &str = "
            INSERT INTO tasks (id, name, created_ms, updated_ms, digest, definition, schedule, cursor_ms)
            VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, iif(?6 IS NULL, NULL, ?3))";
        self.write_audited(events, move |connection| {
            let inserted = connection.prepare_cached(INSERT)?.execute(params![
                id.to_string(),
                terms.name.as_str(),
                now.ms(),
                terms.digest.to_string(),
                terms.definition,
                terms.schedule,
            ]);
            match inserted {
                Ok(_) => {}
                // The other unique key is a fresh id.
                Err(error) if is_unique_violation(&error) => return Ok(TaskChange::NameTaken),
                Err(error) => return Err(error.into()),
            }
            open_span(connection, id, terms.schedule.as_deref(), now)?;
            replace_links(connection, id, &terms.links)?;
            replace_grants(connection, id, &terms, now)?;
            Ok(TaskChange::Done)
        })
    }

    /// Changes a task, its grants and its links to what it is from now on. A
    /// schedule that changed begins now. The events are recorded with it.
    pub fn change_task(&self, seen: &TaskRecord, terms: TaskTerms, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        let seen = seen.clone();
        self.write_audited(events, move |connection| change(connection, &seen, &terms, now))
    }

    /// Pauses a task: it has no due slots until it is resumed.
    pub fn pause_task(&self, id: TaskId, reason: String, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        self.write_audited(events, move |connection| {
            let paused = pause(connection, id, &reason, now)?;
            Ok(if paused { TaskChange::Done } else { TaskChange::Changed })
        })
    }

    /// Resumes a task: its slots from now on are due, its failures forgotten.
    pub fn resume_task(&self, id: TaskId, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        const RESUME: &str = "
            UPDATE tasks
            SET paused_ms = NULL, pause_reason = NULL, failures = 0, revision = revision + 1, updated_ms = ?1,
                cursor_ms = iif(schedule IS NULL, NULL, ?1)
            WHERE id = ?2 AND paused_ms IS NOT NULL
            RETURNING schedule";
        self.write_audited(events, move |connection| {
            let mut statement = connection.prepare_cached(RESUME)?;
            let schedule = statement.query_and_then(params![now.ms(), id.to_string()], |row| plain::<Option<String>>(row, "schedule"))?;
            match schedule.last().transpose()? {
                Some(schedule) => open_span(connection, id, schedule.as_deref(), now).map(|()| TaskChange::Done),
                None => Ok(TaskChange::Changed),
            }
        })
    }

    /// Removes a task with its grants, its state and what waits of it in the
    /// queue. Its executions stay. The events are recorded with it.
    pub fn remove_task(&self, seen: &TaskRecord, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        let seen = seen.clone();
        self.write_audited(events, move |connection| {
            let standing = standing(connection, &seen)?;
            if standing != TaskChange::Done {
                return Ok(standing);
            }
            empty_queue(connection, &seen.id.subject(), "removed", now)?;
            close_span(connection, seen.id, now)?;
            for delete in ["DELETE FROM grants WHERE subject = ?", "DELETE FROM state WHERE subject = ?"] {
                connection.prepare_cached(delete)?.execute([seen.id.subject()])?;
            }
            connection.prepare_cached("DELETE FROM tasks WHERE id = ?")?.execute([seen.id.to_string()])?;
            Ok(TaskChange::Done)
        })
    }
}

fn record(row: &Row<'_>) -> Result<TaskRecord, DbError> {
    Ok(TaskRecord {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        revision: plain::<i64>(row, "revision")?.unsigned_abs(),
        created_at: time(row, "created_ms")?,
        updated_at: time(row, "updated_ms")?,
        digest: parsed(row, "digest")?,
        definition: plain(row, "definition")?,
        schedule: plain(row, "schedule")?,
        cursor: optional_time(row, "cursor_ms")?,
        paused_at: optional_time(row, "paused_ms")?,
        pause_reason: plain(row, "pause_reason")?,
        failures: plain(row, "failures")?,
    })
}

/// Whether a task still is as it was read: [`TaskChange::Done`] where it is.
fn standing(connection: &Connection, seen: &TaskRecord) -> Result<TaskChange, DbError> {
    const STANDING: &str = "
        SELECT revision FROM tasks WHERE id = ?";
    let mut statement = connection.prepare_cached(STANDING)?;
    let mut rows = statement.query([seen.id.to_string()])?;
    let Some(row) = rows.next()? else { return Ok(TaskChange::Missing) };
    let same = plain::<i64>(row, "revision")?.unsigned_abs() == seen.revision;
    Ok(if same { TaskChange::Done } else { TaskChange::Changed })
}

fn change(connection: &Connection, seen: &TaskRecord, terms: &TaskTerms, now: Timestamp) -> Result<TaskChange, DbError> {
    const CHANGE: &str = "
        UPDATE tasks
        SET name = ?, digest = ?, definition = ?, schedule = ?, cursor_ms = ?, updated_ms = ?, revision = revision + 1
        WHERE id = ?";
    const RENAME: &str = "
        UPDATE executions INDEXED BY executions_by_task SET task = ? WHERE task = ? AND subject = ?";
    let standing = standing(connection, seen)?;
    if standing != TaskChange::Done {
        return Ok(standing);
    }
    let rescheduled = seen.schedule != terms.schedule;
    let cursor = match (&terms.schedule, rescheduled) {
        (None, _) => None,
        (Some(_), true) => Some(now),
        (Some(_), false) => seen.cursor,
    };
    let (id, digest) = (seen.id.to_string(), terms.digest.to_string());
    let cursor = cursor.map(Timestamp::ms);
    let changed = connection.prepare_cached(CHANGE)?.execute(params![
        terms.name.as_str(),
        digest,
        terms.definition,
        terms.schedule,
        cursor,
        now.ms(),
        id
    ]);
    match changed {
        Ok(_) => {}
        Err(error) if is_unique_violation(&error) => return Ok(TaskChange::NameTaken),
        Err(error) => return Err(error.into()),
    }
    if seen.name != terms.name {
        connection.prepare_cached(RENAME)?.execute(params![terms.name.as_str(), seen.name.as_str(), seen.id.subject()])?;
    }
    if rescheduled && seen.paused_at.is_none() {
        close_span(connection, seen.id, now)?;
        open_span(connection, seen.id, terms.schedule.as_deref(), now)?;
    }
    replace_links(connection, seen.id, &terms.links)?;
    replace_grants(connection, seen.id, terms, now)?;
    Ok(TaskChange::Done)
}

/// Answers whether it was not paused before.
pub(crate) fn pause(connection: &Connection, id: TaskId, reason: &str, now: Timestamp) -> Result<bool, DbError> {
    const PAUSE: &str = "
        UPDATE tasks
        SET paused_ms = ?1, pause_reason = ?2, revision = revision + 1, updated_ms = ?1
        WHERE id = ?3 AND paused_ms IS NULL";
    let paused = connection.prepare_cached(PAUSE)?.execute(params![now.ms(), reason, id.to_string()])? > 0;
    if paused {
        close_span(connection, id, now)?;
    }
    Ok(paused)
}

fn open_span(connection: &Connection, id: TaskId, schedule: Option<&str>, now: Timestamp) -> Result<(), DbError> {
    const OPEN: &str = "
        INSERT INTO schedule_spans (task, from_ms, schedule)
        VALUES (?, ?, ?)
        ON CONFLICT (task, from_ms) DO UPDATE SET until_ms = NULL, schedule = excluded.schedule";
    if let Some(schedule) = schedule {
        connection.prepare_cached(OPEN)?.execute(params![id.to_string(), now.ms(), schedule])?;
    }
    Ok(())
}

fn close_span(connection: &Connection, id: TaskId, now: Timestamp) -> Result<(), DbError> {
    // After a clock that went back it covers nothing, rather than less.
    const CLOSE: &str = "
        UPDATE schedule_spans SET until_ms = MAX(from_ms, ?) WHERE task = ? AND until_ms IS NULL";
    connection.prepare_cached(CLOSE)?.execute(params![now.ms(), id.to_string()])?;
    Ok(())
}

/// `links` are those that the task's own text names: that it follows others,
/// and what follows its failure and recovery. That others follow its success is
/// for their texts to say.
fn replace_links(connection: &Connection, id: TaskId, links: &[Link]) -> Result<(), DbError> {
    const CLEAR: &str = "
        DELETE FROM task_links WHERE (target = ?1 AND kind = 'after') OR (source = ?1 AND kind <> 'after')";
    const ADD: &str = "
        INSERT INTO task_links (source, kind, target) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    connection.prepare_cached(CLEAR)?.execute([id.to_string()])?;
    for link in links {
        connection.prepare_cached(ADD)?.execute(params![link.source.to_string(), link.kind.name(), link.target.to_string()])?;
    }
    Ok(())
}

/// What was granted and still is keeps its date.
fn replace_grants(connection: &Connection, id: TaskId, terms: &TaskTerms, now: Timestamp) -> Result<(), DbError> {
    const ADD: &str = "
        INSERT INTO grants (subject, digest, capability, scope, created_ms)
        VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO NOTHING";
    const STORED: &str = "
        SELECT digest, capability, scope FROM grants WHERE subject = ?";
    const REMOVE: &str = "
        DELETE FROM grants WHERE subject = ? AND digest = ? AND capability = ? AND scope = ?";
    let (subject, digest) = (id.subject(), terms.digest.to_string());
    let mut statement = connection.prepare_cached(STORED)?;
    let stored: Result<Vec<(String, String, String)>, DbError> =
        statement.query_and_then([&subject], |row| Ok((plain(row, "digest")?, plain(row, "capability")?, plain(row, "scope")?)))?.collect();
    for (of, capability, scope) in stored? {
        let kept = of == digest && terms.grants.iter().any(|grant| grant.capability.name() == capability && grant.scope == scope);
        if !kept {
            connection.prepare_cached(REMOVE)?.execute(params![subject, of, capability, scope])?;
        }
    }
    for grant in &terms.grants {
        connection.prepare_cached(ADD)?.execute(params![subject, digest, grant.capability.name(), grant.scope, now.ms()])?;
    }
    Ok(())
}
