//! A draft: a task as a person writes it, in a file or with flags.
//!
//! Export, import, `edit` and every front door speak this one shape. Nothing in
//! it has been judged yet; `save.rs` does that.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wardroom_core::limit::{DurationText, NamedLimits};
use wardroom_core::task::Keep;
use wardroom_schedule::rate::RateLimit;
use wardroom_schedule::retry::RetryRule;
use wardroom_schedule::rules::{MissedRule, OverlapRule};

use super::TaskError;
use crate::execution::grants::GrantTexts;

/// Bytes of a task's file.
pub const MAX_TASK_FILE: usize = 1 << 20;

/// A task as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskDraft {
    /// Its name.
    pub name: String,
    /// A title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The program: a path, optionally with `#function`.
    pub program: String,
    /// A command's own arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it is due, as a cron expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// When it is due, as a period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<DurationText>,
    /// When it is due, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The time zone of all that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Tasks after whose success it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Folders in which a change runs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_files: Vec<String>,
    /// The task that runs after its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// The task that runs after its first success since a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_recovery: Option<String>,
    /// What becomes of slots that nobody was there for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedRule>,
    /// What becomes of a slot while an earlier run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<OverlapRule>,
    /// How many runs may start in which time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateLimit>,
    /// How often and when a failed run is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRule>,
    /// Failures in a row after which it is paused; 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after: Option<u32>,
    /// What is kept of its executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Its limits, where they are not the settings'.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: NamedLimits,
    /// Its params.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// What it is granted.
    #[serde(skip_serializing_if = "GrantTexts::is_empty")]
    pub grants: GrantTexts,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TaskDraft {
    /// Reads a task's file.
    ///
    /// # Errors
    ///
    /// [`TaskError::File`] with the line.
    pub fn parse(text: &str) -> Result<Self, TaskError> {
        if text.len() > MAX_TASK_FILE {
            return Err(TaskError::File { line: 1, message: format!("it has more than {MAX_TASK_FILE} bytes") });
        }
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            TaskError::File { line: before.matches('\n').count() + 1, message: error.message().replace('\n', ", ") }
        })
    }

    /// Writes a task's file: what is set as it is, what is not as a comment
    /// that shows how.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unwritable`] for a param that TOML has no word for (null).
    pub fn render(&self) -> Result<String, TaskError> {
        let text = toml::to_string(self).map_err(|error| TaskError::Unwritable(error.to_string()))?;
        let (plain, tables) = text.split_at(text.find("\n[").map_or(text.len(), |at| at + 1));
        let set = |key: &str| plain.lines().any(|line| line.starts_with(&format!("{key} =")));
        let table = |key: &str| tables.lines().any(|line| line == format!("[{key}]"));
        let mut file = String::from(plain);
        file.push('\n');
        for (key, example) in EXAMPLES.iter().filter(|(key, _)| !set(key)) {
            file.push_str(&format!("# {key} = {example}\n"));
        }
        file.push('\n');
        file.push_str(tables);
        for (key, example) in TABLE_EXAMPLES.iter().filter(|(key, _)| !table(key)) {
            file.push_str(&format!("\n# [{key}]\n{}", example.lines().map(|line| format!("# {line}\n")).collect::<String>()));
        }
        Ok(file)
    }
}

const EXAMPLES: [(&str, &str); 17] = [
    ("title", "\"What people call it\""),
    ("description", "\"What it is for\""),
    ("tags", "[\"reports\"]"),
    ("cron", "\"0 9 * * 1-5\"         # or `every`, or `at`"),
    ("every", "\"15m\""),
    ("at", "\"2030-01-31 09:00\""),
    ("zone", "\"Europe/Berlin\""),
    ("after", "[\"other-task\"]     # runs when that one succeeded"),
    ("on_files", "[\"inbox\"]      # runs when something in a granted folder changed"),
    ("on_failure", "\"tell-me\"     # the task that runs when this one failed"),
    ("on_recovery", "\"tell-me\""),
    ("missed", "\"latest\"          # skip, latest, all: slots that nobody was there for"),
    ("overlap", "\"skip\"           # skip, queue, cancel-previous, allow"),
    ("rate", "\"10/1h\"             # at most so many starts in such a time"),
    ("retry", "\"3 base 10s factor 2 cap 1h jitter 20\""),
    ("pause_after", "5           # failures in a row; 0: never"),
    ("keep", "\"all\"               # none, result, all: what is kept of its executions"),
];

const TABLE_EXAMPLES: [(&str, &str); 3] = [
    ("limits", "timeout = \"5m\"\nmemory = \"64MiB\"\n"),
    ("params", "name = \"value\"\n"),
    ("grants", "net = [\"https://api.example.org/v1/,GET\"]\nread = [\"data\"]\ncredentials = [\"API_TOKEN\"]\n"),
];
