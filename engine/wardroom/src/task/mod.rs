//! Tasks: what a person saved to be run later, and again.
//!
//! ```text
//!  flags · file · editor ──▶ draft ──▶ save ──▶ stored, with its bytes and grants
//!                            draft.rs  save.rs  definition.rs, execution/store.rs, db/tasks.rs
//! ```
//!
//! Grants hang on the task's identity and its program's digest: another task of
//! the same program, and other bytes of the same task, start with none.

mod again;
pub mod check;
pub mod definition;
pub mod draft;
pub mod follow;
mod save;
pub mod state;
pub mod view;

use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::CredentialName;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::LimitError;
use wardroom_core::plugin::of_tool_subject;
use wardroom_core::program::ProgramNameError;
use wardroom_core::task::{TaskId, TaskName, TaskNameError};
use wardroom_core::text::nearest;
use wardroom_db::{DbError, Link, LinkKind, TaskChange, TaskRecord};
use wardroom_schedule::calendar::ScheduleError;
use wardroom_schedule::rules::RuleError;
use wardroom_schedule::zone::ZoneError;

use crate::audit::{self, event};
use crate::execution::changed::Changed;
use crate::execution::grants::{GrantError, GrantTexts};
use crate::execution::manage::ManageError;
use crate::execution::resolve::ResolveError;
use crate::execution::store::StoreError;
use crate::plugin::PluginError;
use crate::wardroom::Wardroom;
use definition::{LinkNames, Task};
use draft::TaskDraft;

pub use save::{Bytes, Saved, Saving};

/// A task that cannot be saved, changed or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Its name.
    #[error(transparent)]
    Name(#[from] TaskNameError),
    /// There is none of this name.
    #[error("there is no task `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name asked for.
        name: String,
        /// One that is nearly so.
        near: Option<String>,
    },
    /// There is one of this name.
    #[error("there is a task `{0}` already")]
    Exists(TaskName),
    /// Another process was faster.
    #[error("the task `{0}` was changed meanwhile")]
    Changed(TaskName),
    /// Its file is none.
    #[error("the task's file does not hold, line {line}: {message}")]
    File {
        /// Which line, counted from 1.
        line: usize,
        /// What TOML's reader says.
        message: String,
    },
    /// It has no file.
    #[error("the task has a param that a file has no word for: {0}")]
    Unwritable(String),
    /// What is stored of it is none of ours.
    #[error("the task `{name}` is damaged in the database: {message}")]
    Damaged {
        /// Which.
        name: TaskName,
        /// What its reader says.
        message: String,
    },
    /// Several schedules.
    #[error("the task has several schedules: expected one of cron, every and at")]
    Schedules,
    /// Its schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Its zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// Rules that contradict each other.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Tasks that would run each other for ever.
    #[error("these tasks would run each other for ever: {}", .0.join(" ▶ "))]
    Loop(Vec<String>),
    /// A folder to be watched that it may not read.
    #[error("the task watches `{0}`, which it may not read")]
    Unwatchable(String),
    /// A folder to be watched that it may write: it would run itself.
    #[error("the task watches `{0}`, which it may write: it would run itself for ever")]
    SelfTriggered(String),
    /// Granted was a place, and now something else is there.
    #[error("what was granted as `{0}` is not there any more, or something else is in its place")]
    Moved(String),
    /// A credential that does not exist.
    #[error("there is no credential `{0}`")]
    NoCredential(CredentialName),
    /// Its program.
    #[error(transparent)]
    Program(#[from] ProgramNameError),
    /// What it is granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// What it runs.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Its bytes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has executions that run.
    #[error("the task `{0}` is running")]
    Running(TaskName),
    /// Others need it.
    #[error("the task `{name}` is needed by {}", users.join(", "))]
    InUse {
        /// Which.
        name: TaskName,
        /// By whom.
        users: Vec<String>,
    },
    /// The plugin that it runs.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// One of its executions.
    #[error(transparent)]
    Manage(#[from] ManageError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TaskError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Resolve(error) => error.blame(),
            Self::Store(error) => error.blame(),
            Self::Plugin(error) => error.blame(),
            Self::Manage(error) => error.blame(),
            Self::Db(error) => error.blame(),
            Self::Damaged { .. } => Blame::Host,
            _ => Blame::Operator,
        }
    }
}

/// A slot of the past or a start: when and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LastRun {
    /// The execution.
    pub id: ExecutionId,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Milliseconds that it took.
    pub duration_ms: Option<u64>,
}

impl Wardroom {
    /// The task of this name.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`] with a near name, [`TaskError::Name`], or
    /// [`TaskError::Db`].
    pub fn task(&self, name: &str) -> Result<Task, TaskError> {
        Task::read(self.task_record(name)?)
    }

    /// The same for a run of it, which does not ask when it is due.
    pub(crate) fn task_to_run(&self, name: &str) -> Result<Task, TaskError> {
        Task::read_to_run(self.task_record(name)?)
    }

    fn task_record(&self, name: &str) -> Result<wardroom_db::TaskRecord, TaskError> {
        let found = match name.parse::<TaskName>() {
            Ok(name) => self.db.task(&name)?,
            Err(_) => None,
        };
        found.ok_or_else(|| self.unknown_task(name))
    }

    pub(crate) fn unknown_task(&self, name: &str) -> TaskError {
        let names: Vec<String> = self.db.tasks().unwrap_or_default().iter().map(|task| task.name.to_string()).collect();
        let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        TaskError::Unknown { name: name.to_owned(), near }
    }

    /// All tasks that can be read, in order of their names.
    ///
    /// # Errors
    ///
    /// [`TaskError::Db`].
    pub fn tasks(&self) -> Result<Vec<Task>, TaskError> {
        Ok(self.db.tasks()?.into_iter().filter_map(|record| Task::read(record).ok()).collect())
    }

    /// What is wrong with those that cannot be read.
    ///
    /// # Errors
    ///
    /// [`TaskError::Db`].
    pub fn damaged_tasks(&self) -> Result<Vec<TaskError>, TaskError> {
        Ok(self.db.tasks()?.into_iter().filter_map(|record| Task::read(record).err()).collect())
    }

    /// The bytes that a task pins.
    ///
    /// # Errors
    ///
    /// [`TaskError::Store`] where they are gone or others.
    pub fn stored_program(&self, task: &Task) -> Result<wardroom_core::program::Program, TaskError> {
        Ok(self.components().load(&task.definition.program)?)
    }

    /// A task as a person would write it.
    ///
    /// # Errors
    ///
    /// [`TaskError::Db`].
    pub fn draft_of(&self, task: &Task) -> Result<TaskDraft, TaskError> {
        let grants = self.db.grants(&task.id().subject(), Some(task.record.digest))?;
        Ok(task.draft(self.link_names(task)?, GrantTexts::of(&grants)))
    }

    fn link_names(&self, task: &Task) -> Result<LinkNames, TaskError> {
        let mut names = LinkNames::default();
        for link in self.db.links_of(task.id())? {
            if link.kind == LinkKind::After && link.target == task.id() {
                names.after.extend(self.task_name(link.source)?);
            } else if link.source == task.id() && link.kind == LinkKind::OnFailure {
                names.on_failure = self.task_name(link.target)?;
            } else if link.source == task.id() && link.kind == LinkKind::OnRecovery {
                names.on_recovery = self.task_name(link.target)?;
            }
        }
        Ok(names)
    }

    fn task_name(&self, id: TaskId) -> Result<Option<String>, DbError> {
        Ok(self.db.task_by_id(id)?.map(|task| task.name.to_string()))
    }

    /// A subject in a person's words: `task nightly` for a task's, `tool
    /// weather.now` for a tool's, else as it is.
    ///
    /// # Errors
    ///
    /// Those of reading the database.
    pub fn subject_words(&self, subject: &str) -> Result<String, DbError> {
        let name = match TaskId::of_subject(subject) {
            Some(id) => self.task_name(id)?,
            None => None,
        };
        let tool = || of_tool_subject(subject).map_or_else(|| subject.to_owned(), |tool| format!("tool {tool}"));
        Ok(name.map_or_else(tool, |name| format!("task {name}")))
    }

    /// Pauses a task: it has no due slots until it is resumed. What runs goes
    /// on, what waits is skipped. `false`: it was paused before.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], or [`TaskError::Db`].
    pub async fn pause(&self, name: &str, reason: &str) -> Result<bool, TaskError> {
        let task = self.task(name)?;
        self.account_before_change(&task).await?;
        let now = self.clock.now();
        let events = self.audited(|| audit::by_asker(now, event::TASK_PAUSED, name, serde_json::json!({ "reason": reason })))?;
        let change = self.db.pause_task(task.id(), reason.to_owned(), now, events).await?;
        self.wake_scheduler().await;
        self.tell_changed(&[Changed::Task(task.name().clone())]).await;
        Ok(change == TaskChange::Done)
    }

    /// Resumes a task: its slots from now on are due. `false`: it was not
    /// paused.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], or [`TaskError::Db`].
    pub async fn resume(&self, name: &str) -> Result<bool, TaskError> {
        let (task, now) = (self.task(name)?, self.clock.now());
        let events = self.audited(|| audit::by_asker(now, event::TASK_RESUMED, name, serde_json::json!({})))?;
        let change = self.db.resume_task(task.id(), now, events).await?;
        self.wake_scheduler().await;
        self.tell_changed(&[Changed::Task(task.name().clone())]).await;
        Ok(change == TaskChange::Done)
    }

    /// Shows a task to assistants as a tool of its own, or does so no more; it
    /// stays so as long as it has the bytes that it has now. `false`: it was so
    /// before.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], [`TaskError::Resolve`] where its bytes are not run at
    /// all, or [`TaskError::Db`].
    pub async fn expose(&self, name: &str, is_exposed: bool) -> Result<bool, TaskError> {
        let (task, now) = (self.task(name)?, self.clock.now());
        if is_exposed {
            // A tool that no call gets through to is none.
            let stored = &task.definition.program;
            drop(self.admit(self.program_of(stored)?, stored.provenance()).map_err(ResolveError::from)?);
        }
        let event = if is_exposed { event::TASK_EXPOSED } else { event::TASK_UNEXPOSED };
        let detail = serde_json::json!({ "digest": task.record.digest.to_string() });
        let events = self.audited(|| audit::by_asker(now, event, name, detail))?;
        let is_changed = self.db.expose_task(&task.record, is_exposed, now, events).await? == TaskChange::Done;
        if is_changed {
            self.tell_changed(&[Changed::Tools, Changed::Task(task.name().clone())]).await;
        }
        Ok(is_changed)
    }

    /// What the operator should know of the signature of what a task runs.
    ///
    /// # Errors
    ///
    /// [`TaskError::Store`], or [`TaskError::Resolve`] where nobody can tell who is
    /// trusted.
    pub fn task_warning(&self, task: &Task) -> Result<Option<String>, TaskError> {
        let stored = &task.definition.program;
        if stored.provenance().is_none() {
            return Ok(None);
        }
        Ok(self.run_warning(&self.program_of(stored)?, stored.provenance()).map_err(ResolveError::from)?)
    }

    /// Removes a task with its grants and state. Its executions stay. By
    /// force also one that runs, or that others need.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], [`TaskError::Running`], [`TaskError::InUse`],
    /// [`TaskError::Changed`], or [`TaskError::Db`].
    pub async fn remove_task(&self, name: &str, force: bool) -> Result<TaskRecord, TaskError> {
        let found = name.parse().ok().map(|name| self.db.task(&name)).transpose()?.flatten();
        // Not as a task: one that is damaged can be removed.
        let record = found.ok_or_else(|| self.unknown_task(name))?;
        self.reap().await?;
        let running = self.db.unfinished(record.id)?.into_iter().filter(|(_, _, status)| *status == Status::Running);
        let running: Vec<ExecutionId> = running.map(|(id, _, _)| id).collect();
        let users = self.users(record.id)?;
        if !force && !running.is_empty() {
            return Err(TaskError::Running(record.name));
        }
        if !force && !users.is_empty() {
            return Err(TaskError::InUse { name: record.name, users });
        }
        for id in running {
            match self.cancel(&id.to_string()).await {
                Ok(_) | Err(ManageError::Ended { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Ok(task) = Task::read(record.clone()) {
            self.account_before_change(&task).await?;
        }
        let now = self.clock.now();
        let events = self.audited(|| audit::by_asker(now, event::TASK_REMOVED, name, serde_json::json!({})))?;
        match self.db.remove_task(&record, now, events).await? {
            TaskChange::Done => {}
            TaskChange::Missing => return Err(self.unknown_task(name)),
            TaskChange::Changed | TaskChange::NameTaken => return Err(TaskError::Changed(record.name)),
        }
        self.wake_scheduler().await;
        let tools = record.is_exposed.then_some(Changed::Tools);
        let changed: Vec<_> = [Changed::Tasks, Changed::Task(record.name.clone())].into_iter().chain(tools).collect();
        self.tell_changed(&changed).await;
        Ok(record)
    }

    /// The tasks whose own text names this one.
    fn users(&self, id: TaskId) -> Result<Vec<String>, TaskError> {
        let named_by = |link: &Link| match link.kind {
            LinkKind::After => (link.source == id).then_some(link.target),
            LinkKind::OnFailure | LinkKind::OnRecovery => (link.target == id).then_some(link.source),
        };
        let mut users = Vec::new();
        for user in self.db.links_of(id)?.iter().filter_map(named_by) {
            users.extend(self.task_name(user)?);
        }
        users.sort();
        users.dedup();
        Ok(users)
    }

    /// Removes bytes that no task, no plugin and no execution that could be run
    /// again pins.
    pub(crate) fn sweep_components(&self) -> Result<(), TaskError> {
        let components = self.components();
        let mut pinned: Vec<_> =
            self.tasks()?.iter().map(|task| components.path(task.definition.program.digest, task.definition.program.format)).collect();
        pinned.extend(self.db.plugin_bytes()?.into_iter().map(|(digest, format)| components.path(digest, format)));
        components.sweep(&pinned);
        Ok(())
    }

    /// An event to be recorded, where an audit log was begun: it begins with
    /// the vault.
    pub(crate) fn audited(&self, event: impl FnOnce() -> wardroom_db::AuditEvent) -> Result<Vec<wardroom_db::AuditEvent>, DbError> {
        let begun = self.db.audit_head()?.is_some();
        if begun {
            self.mirrored.appended();
        }
        Ok(if begun { vec![event()] } else { Vec::new() })
    }
}
