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

use crate::column::{integer, optional_time, parsed, plain, time};
use crate::executions::{empty_queue, is_unique_violation};
use crate::grants::insert_grants;
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
    /// Assistants are shown it as a tool of its own.
    pub is_exposed: bool,
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
    /// Why it is paused from the same moment on, where it is not already.
    pub paused_for: Option<String>,
    /// With other bytes goes what the old ones kept.
    pub forgets_state: bool,
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
    /// The task is not as it was read, or one that it names is gone.
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

const SCHEDULED: &str = "
    SELECT id, revision, schedule, cursor_ms FROM tasks WHERE schedule IS NOT NULL AND paused_ms IS NULL";

const RENAME: &str = "
    UPDATE executions INDEXED BY executions_by_task SET task = ? WHERE task = ? AND subject = ?";

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

    /// How many tasks there are.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn task_count(&self) -> Result<u64, DbError> {
        self.read(|connection| Ok(connection.query_row("SELECT COUNT(*) FROM tasks", [], |row| row.get::<_, u32>(0))?.into()))
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
        self.read(|connection| by_id(connection, id))
    }

    /// All tasks with a schedule that are not paused.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn scheduled(&self) -> Result<Vec<ScheduledRecord>, DbError> {
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
        self.read(|connection| connection.prepare_cached(LINKS)?.query_and_then([], link)?.collect())
    }

    /// The links that one task is an end of.
    ///
    /// # Errors
    ///
    /// As [`tasks`](Self::tasks).
    pub fn links_of(&self, task: TaskId) -> Result<Vec<Link>, DbError> {
        const LINKS: &str = "
            SELECT source, kind, target FROM task_links WHERE source = ?1
            UNION
            SELECT source, kind, target FROM task_links WHERE target = ?1
            ORDER BY source, kind, target";
        self.read(|connection| connection.prepare_cached(LINKS)?.query_and_then([task.to_string()], link)?.collect())
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
            if !are_linkable(connection, id, &terms.links)? {
                return Ok(TaskChange::Changed);
            }
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
            hold(connection, id, &terms, now)?;
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

    /// A task that is paused for one reason is paused for another from now on.
    pub fn change_pause(&self, id: TaskId, from: String, to: String) -> Answer<TaskChange> {
        const CHANGE: &str = "
            UPDATE tasks SET pause_reason = ?3, revision = revision + 1 WHERE id = ?1 AND pause_reason = ?2";
        self.write(move |connection| {
            let changed = connection.prepare_cached(CHANGE)?.execute(params![id.to_string(), from, to])? > 0;
            Ok(if changed { TaskChange::Done } else { TaskChange::Changed })
        })
    }

    /// Resumes a task: its slots from now on are due, its failures counted anew.
    /// Its first success is a recovery all the same.
    pub fn resume_task(&self, id: TaskId, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        self.write_audited(events, move |connection| {
            let resumed = resume(connection, id, None, now)?;
            Ok(if resumed { TaskChange::Done } else { TaskChange::Changed })
        })
    }

    /// Shows a task to assistants as a tool of its own, as long as it has these
    /// bytes; or does so no more.
    pub fn expose_task(&self, seen: &TaskRecord, is_exposed: bool, now: Timestamp, events: Vec<AuditEvent>) -> Answer<TaskChange> {
        const EXPOSE: &str = "
            UPDATE tasks SET exposed = ?1, revision = revision + 1, updated_ms = ?2
            WHERE id = ?3 AND digest = ?4 AND exposed <> ?1";
        let seen = seen.clone();
        self.write_audited(events, move |connection| {
            let params = params![is_exposed, now.ms(), seen.id.to_string(), seen.digest.to_string()];
            let changed = connection.prepare_cached(EXPOSE)?.execute(params)? > 0;
            Ok(if changed { TaskChange::Done } else { TaskChange::Changed })
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

pub(crate) fn by_id(connection: &Connection, id: TaskId) -> Result<Option<TaskRecord>, DbError> {
    const TASK: &str = "
        SELECT * FROM tasks WHERE id = ?";
    connection.prepare_cached(TASK)?.query_and_then([id.to_string()], record)?.next().transpose()
}

fn link(row: &Row<'_>) -> Result<Link, DbError> {
    let kind: String = plain(row, "kind")?;
    Ok(Link { source: parsed(row, "source")?, kind: LinkKind::of(&kind)?, target: parsed(row, "target")? })
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
        is_exposed: plain(row, "exposed")?,
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
    // Where the schedule stays, so does the cursor: not as it was read, because
    // slots were accounted for meanwhile.
    const CHANGE: &str = "
        UPDATE tasks
        SET name = ?1, digest = ?2, definition = ?3, cursor_ms = iif(schedule IS ?4, cursor_ms, iif(?4 IS NULL, NULL, ?5)),
            schedule = ?4, updated_ms = ?5, revision = revision + 1, exposed = exposed AND digest = ?2
        WHERE id = ?6";
    let standing = standing(connection, seen)?;
    if standing != TaskChange::Done {
        return Ok(standing);
    }
    if !are_linkable(connection, seen.id, &terms.links)? {
        return Ok(TaskChange::Changed);
    }
    let rescheduled = seen.schedule != terms.schedule;
    let changed = connection.prepare_cached(CHANGE)?.execute(params![
        terms.name.as_str(),
        terms.digest.to_string(),
        terms.definition,
        terms.schedule,
        now.ms(),
        seen.id.to_string(),
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
    if terms.forgets_state && seen.digest != terms.digest {
        connection.prepare_cached("DELETE FROM state WHERE subject = ?")?.execute([seen.id.subject()])?;
    }
    hold(connection, seen.id, terms, now)?;
    Ok(TaskChange::Done)
}

fn hold(connection: &Connection, id: TaskId, terms: &TaskTerms, now: Timestamp) -> Result<(), DbError> {
    match &terms.paused_for {
        Some(reason) => pause(connection, id, reason, now).map(drop),
        None => Ok(()),
    }
}

/// Answers whether it was not paused before.
pub(crate) fn pause(connection: &Connection, id: TaskId, reason: &str, now: Timestamp) -> Result<bool, DbError> {
    const PAUSE: &str = "
        UPDATE tasks
        SET paused_ms = ?1, pause_reason = ?2, revision = revision + 1, updated_ms = ?1
        WHERE id = ?3 AND paused_ms IS NULL";
    let paused = connection.prepare_cached(PAUSE)?.execute(params![now.ms(), reason, id.to_string()])? > 0;
    if paused {
        empty_queue(connection, &id.subject(), "paused", now)?;
        close_span(connection, id, now)?;
    }
    Ok(paused)
}

/// Resumes a task, where one is named only if it is paused for that reason:
/// its slots from now on are due, its failures counted anew.
fn resume(connection: &Connection, id: TaskId, paused_for: Option<&str>, now: Timestamp) -> Result<bool, DbError> {
    const RESUME: &str = "
        UPDATE tasks
        SET paused_ms = NULL, pause_reason = NULL, revision = revision + 1, updated_ms = ?1,
            unrecovered = unrecovered OR failures > 0, failures = 0,
            cursor_ms = iif(schedule IS NULL, NULL, ?1)
        WHERE id = ?2 AND paused_ms IS NOT NULL AND (?3 IS NULL OR pause_reason = ?3)
        RETURNING schedule";
    let mut statement = connection.prepare_cached(RESUME)?;
    let schedule =
        statement.query_and_then(params![now.ms(), id.to_string(), paused_for], |row| plain::<Option<String>>(row, "schedule"))?;
    match schedule.last().transpose()? {
        Some(schedule) => open_span(connection, id, schedule.as_deref(), now).map(|()| true),
        None => Ok(false),
    }
}

/// A task that is paused for this reason goes on.
pub(crate) fn resume_if_paused_for(connection: &Connection, id: TaskId, reason: &str, now: Timestamp) -> Result<bool, DbError> {
    resume(connection, id, Some(reason), now)
}

/// Counts a change that is none of its own text, where it still is as it was
/// read: what was read of it before is old. `false`: it is gone, or another.
pub(crate) fn touch(connection: &Connection, id: TaskId, revision: u64, digest: Digest, now: Timestamp) -> Result<bool, DbError> {
    const TOUCH: &str = "
        UPDATE tasks SET revision = revision + 1, updated_ms = ? WHERE id = ? AND digest = ? AND revision = ?";
    let params = params![now.ms(), id.to_string(), digest.to_string(), integer(revision)];
    Ok(connection.prepare_cached(TOUCH)?.execute(params)? > 0)
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

/// Whether the other ends are there: one may have been removed since its name
/// was looked up.
fn are_linkable(connection: &Connection, id: TaskId, links: &[Link]) -> Result<bool, DbError> {
    const THERE: &str = "
        SELECT 1 FROM tasks WHERE id = ?";
    let mut statement = connection.prepare_cached(THERE)?;
    for end in links.iter().flat_map(|link| [link.source, link.target]).filter(|end| *end != id) {
        if !statement.exists([end.to_string()])? {
            return Ok(false);
        }
    }
    Ok(true)
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
    insert_grants(connection, &subject, terms.digest, &terms.grants, now).map(drop)
}

#[cfg(test)]
mod tests {
    use wardroom_core::capability::Capability;
    use wardroom_core::execution::Status;

    use super::*;
    use crate::testing::{Home, add, again, at, ending, event, force, number, plan, start, succeeded, terms, turn, waiting};
    use crate::{AuditFilter, Filter};

    fn grant(capability: Capability, scope: &str) -> NewGrant {
        NewGrant { capability, scope: scope.to_owned(), callee: None }
    }

    async fn change(database: &Database, seen: &TaskRecord, terms: TaskTerms, ms: i64) -> TaskChange {
        database.change_task(seen, terms, at(ms), Vec::new()).await.unwrap()
    }

    fn spans(database: &Database, task: &TaskRecord) -> Vec<(i64, Option<i64>, String)> {
        let spans = database.spans(task.id).unwrap();
        spans.into_iter().map(|span| (span.from.ms(), span.until.map(Timestamp::ms), span.schedule)).collect()
    }

    #[tokio::test]
    async fn what_is_saved_to_wait_is_paused_from_that_moment_on_and_other_bytes_may_forget() {
        let home = Home::new();
        let database = home.open();
        let waits = TaskTerms { paused_for: Some("first".to_owned()), schedule: Some("daily".to_owned()), ..terms("a") };
        let id = TaskId::fresh();
        assert_eq!(database.add_task(id, waits.clone(), at(1), Vec::new()).await.unwrap(), TaskChange::Done);
        let task = database.task_by_id(id).unwrap().unwrap();
        assert_eq!(task.pause_reason.as_deref(), Some("first"));
        assert_eq!(spans(&database, &task).iter().filter(|(_, until, _)| until.is_none()).count(), 0);
        assert_eq!(database.change_pause(id, "other".to_owned(), "x".to_owned()).await.unwrap(), TaskChange::Changed);
        assert_eq!(database.change_pause(id, "first".to_owned(), "second".to_owned()).await.unwrap(), TaskChange::Done);
        let keep = || format!("INSERT INTO state (subject, key, value) VALUES ('{}', 'k', 'v') ON CONFLICT DO NOTHING", id.subject());
        let kept = || database.state(&id.subject()).unwrap().len();
        force(&database, &keep()).await.unwrap();
        let same = TaskTerms { forgets_state: true, ..waits.clone() };
        let seen = again(&database, &task);
        assert_eq!((change(&database, &seen, same, 2).await, kept()), (TaskChange::Done, 1));
        assert_eq!(again(&database, &task).pause_reason.as_deref(), Some("second"), "it was paused already");
        let others = TaskTerms { digest: Digest::from_bytes([8; 32]), forgets_state: true, ..waits };
        let seen = again(&database, &task);
        assert_eq!((change(&database, &seen, others, 3).await, kept()), (TaskChange::Done, 0));
    }

    #[tokio::test]
    async fn a_task_is_exposed_with_its_bytes_and_not_with_others() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        assert_eq!(database.expose_task(&task, true, at(2), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!(database.expose_task(&task, true, at(3), Vec::new()).await.unwrap(), TaskChange::Changed, "it is already");
        let seen = again(&database, &task);
        assert!(seen.is_exposed);
        assert_eq!(change(&database, &seen, terms("b"), 4).await, TaskChange::Done);
        let seen = again(&database, &task);
        assert!(seen.is_exposed, "another name is no other program");
        let others = TaskTerms { digest: Digest::from_bytes([9; 32]), ..terms("b") };
        assert_eq!(change(&database, &seen, others, 5).await, TaskChange::Done);
        assert!(!again(&database, &task).is_exposed);
        // Exposed were those bytes, not these.
        assert_eq!(database.expose_task(&seen, true, at(6), Vec::new()).await.unwrap(), TaskChange::Changed);
        assert!(!again(&database, &task).is_exposed);
    }

    #[tokio::test]
    async fn a_task_is_found_by_its_name_and_by_its_identity_and_listed_by_name() {
        let home = Home::new();
        let database = home.open();
        let unscheduled = TaskTerms { schedule: None, definition: "{\"d\":1}".to_owned(), ..terms("b") };
        let (b, c, a) = (add(&database, unscheduled).await, add(&database, terms("c")).await, add(&database, terms("a")).await);
        assert_eq!(database.tasks().unwrap(), [a.clone(), b.clone(), c.clone()]);
        assert_eq!(database.task(&a.name).unwrap(), Some(a.clone()));
        assert_eq!(database.task_by_id(b.id).unwrap(), Some(b.clone()));
        assert_eq!(database.task(&"d".parse().unwrap()).unwrap(), None);
        assert_eq!(database.task_by_id(TaskId::fresh()).unwrap(), None);
        let expected = TaskRecord {
            id: a.id,
            name: "a".parse().unwrap(),
            revision: 1,
            created_at: at(1_000),
            updated_at: at(1_000),
            digest: Digest::from_bytes([7; 32]),
            definition: "{}".to_owned(),
            schedule: Some("hourly".to_owned()),
            cursor: Some(at(1_000)),
            paused_at: None,
            pause_reason: None,
            failures: 0,
            is_exposed: false,
        };
        assert_eq!(a, expected);
        assert_eq!((b.cursor, b.definition.as_str()), (None, "{\"d\":1}"));
        let mut scheduled: Vec<_> = database.scheduled().unwrap().into_iter().map(|record| (record.id, record.cursor.ms())).collect();
        scheduled.sort_unstable();
        let mut expected = [(a.id, 1_000), (c.id, 1_000)];
        expected.sort_unstable();
        assert_eq!(scheduled, expected);
        assert_eq!((spans(&database, &b), spans(&database, &a)), (vec![], vec![(1_000, None, "hourly".to_owned())]));
    }

    #[tokio::test]
    async fn a_name_is_taken_once_and_whoever_comes_second_leaves_nothing() {
        let home = Home::new();
        let database = home.open();
        database.begin_audit().unwrap();
        let (a, b) = (add(&database, terms("a")).await, add(&database, terms("b")).await);
        let second = TaskTerms { grants: vec![grant(Capability::Read, "/r")], schedule: Some("daily".to_owned()), ..terms("a") };
        let id = TaskId::fresh();
        let added = database.add_task(id, second.clone(), at(2_000), vec![event("a")]).await.unwrap();
        assert_eq!(added, TaskChange::NameTaken);
        assert_eq!(database.change_task(&b, second, at(2_000), vec![event("a")]).await.unwrap(), TaskChange::NameTaken);
        assert_eq!(database.tasks().unwrap(), [a, b.clone()]);
        assert_eq!(spans(&database, &b), [(1_000, None, "hourly".to_owned())]);
        for subject in [id.subject(), b.id.subject()] {
            assert_eq!(database.grants(&subject, None).unwrap(), []);
        }
        assert_eq!(database.audit(&AuditFilter::default()).unwrap().len(), 0);
    }

    #[tokio::test]
    async fn of_two_that_change_what_they_read_the_second_is_told() {
        let home = Home::new();
        let (database, other) = (home.open(), home.open());
        database.begin_audit().unwrap();
        let seen = add(&database, terms("a")).await;
        let changed = TaskTerms { definition: "1".to_owned(), ..terms("a") };
        assert_eq!(database.change_task(&seen, changed, at(2_000), vec![event("a")]).await.unwrap(), TaskChange::Done);
        let late = TaskTerms { definition: "2".to_owned(), ..terms("a") };
        assert_eq!(other.change_task(&seen, late.clone(), at(3_000), vec![event("a")]).await.unwrap(), TaskChange::Changed);
        assert_eq!(other.remove_task(&seen, at(3_000), vec![event("a")]).await.unwrap(), TaskChange::Changed);
        let now = again(&other, &seen);
        assert_eq!((now.definition.as_str(), now.revision, now.updated_at), ("1", 2, at(2_000)));
        assert_eq!(database.remove_task(&now, at(4_000), vec![event("a")]).await.unwrap(), TaskChange::Done);
        assert_eq!(other.change_task(&now, late, at(5_000), vec![event("a")]).await.unwrap(), TaskChange::Missing);
        assert_eq!(other.remove_task(&now, at(5_000), vec![event("a")]).await.unwrap(), TaskChange::Missing);
        // What was not done is no event.
        assert_eq!(database.audit(&AuditFilter::default()).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_new_name_moves_the_executions_and_keeps_grants_and_state() {
        let home = Home::new();
        let database = home.open();
        let old = TaskTerms { grants: vec![grant(Capability::Read, "/r")], ..terms("old") };
        let task = add(&database, old.clone()).await;
        let subject = task.id.subject();
        let mut row = start(&subject);
        row.task = Some("old");
        let mut outcome = succeeded();
        outcome.state_changes = vec![("k".to_owned(), Some("v".to_owned()))];
        database.record(&row, ending(&outcome)).await.unwrap();
        database.enqueue(vec![waiting(&task, 2_000)]).await.unwrap();
        // Of another task that had this name before.
        let mut others = start("task:gone");
        others.task = Some("old");
        database.record(&others, ending(&succeeded())).await.unwrap();

        assert_eq!(change(&database, &task, TaskTerms { name: "new".parse().unwrap(), ..old }, 3_000).await, TaskChange::Done);
        let of = |name: &str| -> Vec<String> {
            let filter = Filter { task: Some(name.to_owned()), ..Filter::default() };
            database.list(&filter).unwrap().into_iter().map(|row| row.subject).collect()
        };
        assert_eq!((of("new"), of("old")), (vec![subject.clone(), subject.clone()], vec!["task:gone".to_owned()]));
        assert_eq!(database.grants(&subject, None).unwrap().len(), 1);
        assert_eq!(database.state(&subject).unwrap().len(), 1);
        assert_eq!(database.queued(9).unwrap()[0].task, task.id);
        assert_eq!((database.task(&task.name).unwrap(), again(&database, &task).name.as_str()), (None, "new"));
    }

    #[tokio::test]
    async fn grants_that_stay_keep_their_date_and_those_of_other_bytes_go() {
        let home = Home::new();
        let database = home.open();
        let (old, young) = (Digest::from_bytes([7; 32]), Digest::from_bytes([8; 32]));
        let both = vec![grant(Capability::Read, "/r"), grant(Capability::Net, "https://a")];
        let task = add(&database, TaskTerms { grants: both, ..terms("a") }).await;
        let subject = task.id.subject();
        let held = || -> Vec<(Digest, String, i64)> {
            let grants = database.grants(&subject, None).unwrap();
            grants.into_iter().map(|grant| (grant.digest, grant.scope, grant.created_at.ms())).collect()
        };
        let changed = vec![grant(Capability::Read, "/r"), grant(Capability::Write, "/r")];
        let same_bytes = TaskTerms { grants: changed, ..terms("a") };
        assert_eq!(change(&database, &task, same_bytes.clone(), 2_000).await, TaskChange::Done);
        assert_eq!(held(), [(old, "/r".to_owned(), 1_000), (old, "/r".to_owned(), 2_000)]);
        let other_bytes = TaskTerms { digest: young, ..same_bytes };
        assert_eq!(change(&database, &again(&database, &task), other_bytes, 3_000).await, TaskChange::Done);
        assert_eq!(held(), [(young, "/r".to_owned(), 3_000), (young, "/r".to_owned(), 3_000)]);
        assert_eq!(change(&database, &again(&database, &task), terms("a"), 4_000).await, TaskChange::Done);
        assert_eq!(held(), []);
    }

    #[tokio::test]
    async fn links_are_replaced_by_the_task_whose_text_names_them_and_by_no_other() {
        let home = Home::new();
        let database = home.open();
        let (a, b, c) = (add(&database, terms("a")).await, add(&database, terms("b")).await, add(&database, terms("c")).await);
        let link = |source: &TaskRecord, kind, target: &TaskRecord| Link { source: source.id, kind, target: target.id };
        let named = vec![link(&a, LinkKind::After, &b), link(&b, LinkKind::OnFailure, &c), link(&b, LinkKind::OnRecovery, &c)];
        assert_eq!(change(&database, &b, TaskTerms { links: named.clone(), ..terms("b") }, 2_000).await, TaskChange::Done);
        let links = || database.links().unwrap();
        let sorted = |mut links: Vec<Link>| {
            links.sort_unstable_by_key(|link| (link.source.to_string(), link.kind.name(), link.target.to_string()));
            links
        };
        assert_eq!(links(), sorted(named.clone()));
        let names = |source: &TaskRecord| -> Vec<(LinkKind, String)> {
            let followers = database.followers(source.id).unwrap();
            followers.into_iter().map(|(kind, task)| (kind, task.name.to_string())).collect()
        };
        assert_eq!(names(&a), [(LinkKind::After, "b".to_owned())]);
        assert_eq!(names(&b).len(), 2);

        // The texts of its neighbours name none of these.
        assert_eq!(change(&database, &a, terms("a"), 3_000).await, TaskChange::Done);
        assert_eq!(change(&database, &c, terms("c"), 3_000).await, TaskChange::Done);
        assert_eq!(links(), sorted(named));
        let fewer = TaskTerms { links: vec![link(&c, LinkKind::After, &b)], ..terms("b") };
        assert_eq!(change(&database, &again(&database, &b), fewer, 4_000).await, TaskChange::Done);
        assert_eq!(links(), [link(&c, LinkKind::After, &b)]);
        assert_eq!(database.remove_task(&again(&database, &c), at(5_000), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!(links(), []);
    }

    #[tokio::test]
    async fn a_pause_closes_the_schedules_span_and_going_on_opens_another_from_then() {
        let home = Home::new();
        let database = home.open();
        database.begin_audit().unwrap();
        let task = add(&database, terms("a")).await;
        force(&database, "UPDATE tasks SET failures = 3").await.unwrap();
        let pause = |ms| database.pause_task(task.id, "by hand".to_owned(), at(ms), vec![event("a")]);
        let resume = |ms| database.resume_task(task.id, at(ms), vec![event("a")]);
        assert_eq!(resume(1_500).await.unwrap(), TaskChange::Changed);
        assert_eq!(pause(2_000).await.unwrap(), TaskChange::Done);
        assert_eq!(pause(2_500).await.unwrap(), TaskChange::Changed);
        let paused = again(&database, &task);
        assert_eq!((paused.paused_at, paused.pause_reason.as_deref(), paused.revision), (Some(at(2_000)), Some("by hand"), 2));
        assert_eq!(database.scheduled().unwrap(), []);
        assert_eq!(resume(3_000).await.unwrap(), TaskChange::Done);
        let resumed = again(&database, &task);
        assert_eq!((resumed.paused_at, resumed.pause_reason, resumed.failures, resumed.revision), (None, None, 0, 3));
        assert_eq!(resumed.cursor, Some(at(3_000)));
        assert_eq!(database.scheduled().unwrap()[0].cursor, at(3_000));
        assert_eq!(spans(&database, &task), [(1_000, Some(2_000), "hourly".to_owned()), (3_000, None, "hourly".to_owned())]);
        assert_eq!(database.audit(&AuditFilter::default()).unwrap().len(), 2);

        let unscheduled = add(&database, TaskTerms { schedule: None, ..terms("b") }).await;
        assert_eq!(database.pause_task(unscheduled.id, "r".to_owned(), at(2_000), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!(database.resume_task(unscheduled.id, at(3_000), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!((again(&database, &unscheduled).cursor, spans(&database, &unscheduled)), (None, vec![]));
    }

    #[tokio::test]
    async fn another_schedule_begins_now_and_the_same_one_goes_on() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let daily = TaskTerms { schedule: Some("daily".to_owned()), ..terms("a") };
        assert_eq!(change(&database, &task, daily.clone(), 2_000).await, TaskChange::Done);
        assert_eq!(again(&database, &task).cursor, Some(at(2_000)));
        assert_eq!(change(&database, &again(&database, &task), daily.clone(), 3_000).await, TaskChange::Done);
        assert_eq!(again(&database, &task).cursor, Some(at(2_000)));
        let (hourly_span, daily_span) = ((1_000, Some(2_000), "hourly".to_owned()), (2_000, None, "daily".to_owned()));
        assert_eq!(spans(&database, &task), [hourly_span.clone(), daily_span]);
        let none = TaskTerms { schedule: None, ..terms("a") };
        assert_eq!(change(&database, &again(&database, &task), none, 4_000).await, TaskChange::Done);
        assert_eq!((again(&database, &task).cursor, database.scheduled().unwrap()), (None, vec![]));
        // While it is paused, no schedule is in force.
        assert_eq!(database.pause_task(task.id, "r".to_owned(), at(5_000), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!(change(&database, &again(&database, &task), daily, 6_000).await, TaskChange::Done);
        assert_eq!(spans(&database, &task), [hourly_span, (2_000, Some(4_000), "daily".to_owned())]);
        assert_eq!(database.resume_task(task.id, at(7_000), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!(spans(&database, &task)[2], (7_000, None, "daily".to_owned()));
    }

    #[tokio::test]
    async fn a_removed_task_takes_everything_with_it_but_its_executions_and_slots() {
        let home = Home::new();
        let database = home.open();
        let held = TaskTerms { grants: vec![grant(Capability::Read, "/r")], ..terms("a") };
        let (task, other) = (add(&database, held).await, add(&database, terms("b")).await);
        let subject = task.id.subject();
        let mut row = start(&subject);
        row.task = Some("a");
        let mut outcome = succeeded();
        outcome.state_changes = vec![("k".to_owned(), Some("v".to_owned()))];
        database.record(&row, ending(&outcome)).await.unwrap();
        let (first, second, others) = (waiting(&task, 2_000), waiting(&task, 2_001), waiting(&other, 2_000));
        database.enqueue(vec![first.clone(), second.clone(), others.clone()]).await.unwrap();
        database.start(&turn(&second, &subject)).await.unwrap();

        assert_eq!(database.remove_task(&task, at(3_000), Vec::new()).await.unwrap(), TaskChange::Done);
        assert_eq!((database.task_by_id(task.id).unwrap(), database.grants(&subject, None).unwrap()), (None, vec![]));
        assert_eq!(database.state(&subject).unwrap(), []);
        assert_eq!(spans(&database, &task), [(1_000, Some(3_000), "hourly".to_owned())]);
        let left = |id| database.execution(id, None).unwrap().unwrap().summary;
        assert_eq!((left(first.id).status, left(first.id).reason.as_deref()), (Status::Skipped, Some("removed")));
        assert_eq!(left(first.id).finished_at, Some(at(3_000)));
        assert_eq!((left(second.id).status, left(row.id).status), (Status::Running, Status::Success));
        assert_eq!(left(others.id).status, Status::Queued);
        // Nothing follows from what never ran.
        assert_eq!(database.unfollowed().unwrap(), []);
        assert_eq!(number(&database, "SELECT COUNT(*) FROM executions WHERE task = 'a'"), 3);
    }

    #[tokio::test]
    async fn a_run_that_outlives_its_task_leaves_no_state() {
        let home = Home::new();
        let database = home.open();
        let task = add(&database, terms("a")).await;
        let (row, subject) = (waiting(&task, 2_000), task.id.subject());
        database.enqueue(vec![row.clone()]).await.unwrap();
        database.start(&turn(&row, &subject)).await.unwrap();
        assert_eq!(database.remove_task(&task, at(3_000), Vec::new()).await.unwrap(), TaskChange::Done);
        let mut outcome = succeeded();
        outcome.state_changes = vec![("k".to_owned(), Some("v".to_owned()))];
        database.finish(row.id, 1, ending(&outcome)).await.unwrap();
        assert_eq!(database.execution(row.id, None).unwrap().unwrap().summary.status, Status::Success);
        assert_eq!(database.state(&subject).unwrap(), []);
    }

    #[tokio::test]
    async fn a_link_to_a_task_that_went_meanwhile_is_a_change_and_saves_nothing() {
        let home = Home::new();
        let database = home.open();
        let (gone, task) = (TaskId::fresh(), add(&database, terms("a")).await);
        let link = |id| Link { source: gone, kind: LinkKind::After, target: id };
        let changed = TaskTerms { definition: "1".to_owned(), links: vec![link(task.id)], ..terms("a") };
        assert_eq!(change(&database, &task, changed, 2_000).await, TaskChange::Changed);
        let id = TaskId::fresh();
        let added = database.add_task(id, TaskTerms { links: vec![link(id)], ..terms("b") }, at(2_000), Vec::new()).await.unwrap();
        assert_eq!(added, TaskChange::Changed);
        assert_eq!(database.tasks().unwrap(), std::slice::from_ref(&task));
        // To itself there is always one: whether that is wanted is not asked here.
        let own = Link { source: id, kind: LinkKind::OnFailure, target: id };
        let added = database.add_task(id, TaskTerms { links: vec![own], ..terms("b") }, at(2_000), Vec::new()).await.unwrap();
        assert_eq!(added, TaskChange::Done);
    }

    #[tokio::test]
    async fn what_is_queued_by_an_old_name_stands_under_the_new_one() {
        let home = Home::new();
        let database = home.open();
        let seen = add(&database, terms("old")).await;
        assert_eq!(change(&database, &seen, terms("new"), 2_000).await, TaskChange::Done);
        let row = waiting(&seen, 3_000);
        database.enqueue(vec![row.clone()]).await.unwrap();
        assert_eq!(database.execution(row.id, None).unwrap().unwrap().summary.task.as_deref(), Some("new"));
        // Of one that is gone it keeps the name that it had.
        assert_eq!(database.remove_task(&again(&database, &seen), at(4_000), Vec::new()).await.unwrap(), TaskChange::Done);
        let late = waiting(&seen, 5_000);
        database.enqueue(vec![late.clone()]).await.unwrap();
        assert_eq!(database.execution(late.id, None).unwrap().unwrap().summary.task.as_deref(), Some("old"));
    }

    #[test]
    fn tasks_are_read_as_a_whole_and_executions_are_not() {
        let home = Home::new();
        let database = home.open();
        // As many as a person has; the columns that it needs stand in front.
        assert_eq!(plan(&database, SCHEDULED), ["SCAN tasks"]);
        assert_eq!(plan(&database, RENAME), ["SEARCH executions USING INDEX executions_by_task (task=?)"]);
    }
}
