//! A task as lists and JSON show it.

use serde::Serialize;
use serde_json::Value;
use wardroom_core::clock::Timestamp;
use wardroom_db::Filter;

use super::check::{NEXT_FIRES, NextFire};
use super::definition::Task;
use super::{LastRun, TaskError};
use crate::wardroom::Wardroom;

/// A task as JSON, and as lists show it.
#[derive(Debug, Serialize)]
pub struct TaskView {
    pub(crate) name: String,
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) draft: Value,
    pub(crate) digest: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<String>,
    pub(crate) failures: u32,
    pub(crate) exposed: bool,
    #[serde(rename = "schedule_words", skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<String>,
    pub(crate) next: Vec<NextFire>,
    pub(crate) last: Option<LastRun>,
}

impl TaskView {
    /// # Errors
    ///
    /// [`TaskError::Db`].
    pub(crate) fn of(wardroom: &Wardroom, task: &Task) -> Result<Self, TaskError> {
        let draft = serde_json::to_value(wardroom.draft_of(task)?).map_err(|error| TaskError::Unwritable(error.to_string()))?;
        let mut draft = draft;
        if let Some(draft) = draft.as_object_mut() {
            draft.shift_remove("name");
        }
        Ok(Self {
            name: task.name().to_string(),
            id: task.id().to_string(),
            draft,
            digest: task.record.digest.to_string(),
            created_at: task.record.created_at,
            updated_at: task.record.updated_at,
            paused: task.record.pause_reason.clone(),
            failures: task.record.failures,
            exposed: task.record.is_exposed,
            schedule: task.schedule_words(),
            next: task.next_fires(wardroom.now(), NEXT_FIRES),
            last: last(wardroom, task)?,
        })
    }
}

fn last(wardroom: &Wardroom, task: &Task) -> Result<Option<LastRun>, TaskError> {
    let filter = Filter { task: Some(task.name().to_string()), limit: 1, ..Filter::default() };
    let last = wardroom.database().list(&filter)?.pop();
    Ok(last.map(|summary| LastRun {
        id: summary.id,
        status: summary.status,
        created_at: summary.created_at,
        duration_ms: summary.duration_ms,
    }))
}
