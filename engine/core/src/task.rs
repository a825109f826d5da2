//! Tasks as words: what they are called, and why one of their executions came
//! to be. What a task is lies above, in the use cases.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::id::ExecutionId;
use crate::text::{MAX_NAME, is_name};

/// Characters of a task's name at most.
pub const MAX_TASK_NAME: usize = MAX_NAME;

/// A name that tools are built from, so that no task may have it.
pub(crate) const RESERVED: &str = "task";

/// A name such as `nightly-report`: `^[a-z][a-z0-9-]{0,47}$`, and not `task`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName(String);

/// Why a text names no task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskNameError {
    /// Not the form of a name.
    #[error("`{0}` names no task: expected a lower-case letter, then up to 47 lower-case letters, digits and `-`")]
    Form(String),
    /// A word that means something else.
    #[error("`{RESERVED}` is reserved: expected another name")]
    Reserved,
}

impl TaskName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TaskName {
    type Err = TaskNameError;

    fn from_str(text: &str) -> Result<Self, TaskNameError> {
        if !is_name(text) {
            return Err(TaskNameError::Form(text.to_owned()));
        }
        if text == RESERVED {
            return Err(TaskNameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TaskName {
    type Error = TaskNameError;

    fn try_from(text: String) -> Result<Self, TaskNameError> {
        text.parse()
    }
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.0
    }
}

/// A task's identity. Its name may change and be given to another one; grants
/// and state hang on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

impl TaskId {
    /// A fresh one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// On whom the task's grants and state hang. No program's path starts like
    /// this: those are absolute.
    #[must_use]
    pub fn subject(self) -> String {
        format!("{SUBJECT}{}", self.0)
    }

    /// The task that a subject stands for, where it is a task.
    #[must_use]
    pub fn of_subject(subject: &str) -> Option<Self> {
        subject.strip_prefix(SUBJECT)?.parse().ok()
    }
}

const SUBJECT: &str = "task:";

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What is kept of a task's executions beside the fact that they happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Neither params, result nor log.
    None,
    /// Params and result.
    Result,
    /// Params, result and log.
    #[default]
    All,
}

/// Who called an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The execution that waits for it.
    pub parent: ExecutionId,
    /// The one that nobody called, with which the calls began.
    pub root: ExecutionId,
}

/// Why an execution came to be, beside its trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occasion {
    /// The task that it is a run of.
    pub task: Option<TaskName>,
    /// The slot of the task's schedule.
    pub scheduled_for: Option<Timestamp>,
    /// The execution that led to this one.
    pub origin: Option<ExecutionId>,
    /// The execution that called it, and the first of those that called each other.
    pub caller: Option<Caller>,
    /// It waits in the queue already, as a row.
    pub is_queued: bool,
    /// What is kept of it.
    pub keep: Keep,
    /// The client's session that asked for it.
    pub session: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let longest = "a".repeat(MAX_TASK_NAME);
        for text in ["a", "nightly-report", "a1-", longest.as_str()] {
            assert_eq!(text.parse::<TaskName>().unwrap().as_str(), text);
        }
        let too_long = "a".repeat(MAX_TASK_NAME + 1);
        for text in ["", "A", "1a", "-a", "a_b", "a b", "é", "a\n", too_long.as_str()] {
            assert_eq!(text.parse::<TaskName>(), Err(TaskNameError::Form(text.to_owned())), "{text}");
        }
        assert_eq!("task".parse::<TaskName>(), Err(TaskNameError::Reserved));
        assert!(serde_json::from_str::<TaskName>("\"Task\"").is_err());
    }

    #[test]
    fn a_subject_stands_for_its_task_and_no_path_does() {
        let id = TaskId::fresh();
        assert_eq!(TaskId::of_subject(&id.subject()), Some(id));
        for text in ["/home/me/task:x", "task:", "task:x", ""] {
            assert_eq!(TaskId::of_subject(text), None, "{text}");
        }
    }
}
