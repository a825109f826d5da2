//! A task as it is stored: what a person said of it, checked.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Trigger;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::{DurationText, NamedLimits};
use wardroom_core::program::ProgramName;
use wardroom_core::task::{Keep, Occasion, TaskId, TaskName};
use wardroom_db::{TaskRecord, WhenBusy};
use wardroom_schedule::calendar::Schedule;
use wardroom_schedule::rate::RateLimit;
use wardroom_schedule::retry::RetryRule;
use wardroom_schedule::rules::{MissedRule, OverlapRule};
use wardroom_schedule::zone::Zone;

use super::TaskError;
use super::draft::TaskDraft;
use crate::execution::grants::GrantTexts;
use crate::execution::resolve::{RunRequest, Source};
use crate::execution::store::StoredProgram;

/// Failures in a row after which a task is paused, unless somebody says
/// otherwise.
pub const DEFAULT_PAUSE_AFTER: u32 = 5;

/// Executions of one task that may wait in the queue.
pub const MAX_WAITING: u64 = 100;

/// When a task is due, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    pub(crate) cron: Option<String>,
    pub(crate) every: Option<DurationText>,
    pub(crate) at: Option<String>,
}

/// What is stored of a task beside its name, schedule, links and grants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) program: StoredProgram,
    /// Where the bytes were read from; `upgrade` looks there again.
    pub(crate) origin: PathBuf,
    pub(crate) args: Vec<String>,
    /// What relative folders are relative to.
    pub(crate) base: PathBuf,
    pub(crate) params: Map<String, Value>,
    pub(crate) limits: NamedLimits,
    pub(crate) when: When,
    pub(crate) zone: Zone,
    pub(crate) on_files: Vec<PathBuf>,
    pub(crate) missed: Option<MissedRule>,
    pub(crate) overlap: OverlapRule,
    pub(crate) rate: Option<RateLimit>,
    pub(crate) retry: RetryRule,
    pub(crate) pause_after: u32,
    pub(crate) keep: Keep,
}

/// A task as it is read from the database.
#[derive(Debug, Clone)]
pub struct Task {
    pub(crate) record: TaskRecord,
    pub(crate) definition: Definition,
    pub(crate) schedule: Option<Schedule>,
}

impl Task {
    pub(crate) fn read(record: TaskRecord) -> Result<Self, TaskError> {
        let damaged = |error: serde_json::Error| TaskError::Damaged { name: record.name.clone(), message: error.to_string() };
        let definition = serde_json::from_str(&record.definition).map_err(damaged)?;
        let schedule = record.schedule.as_deref().map(serde_json::from_str).transpose().map_err(damaged)?;
        Ok(Self { record, definition, schedule })
    }

    /// As it is read for a run of it, which does not ask when it is due: reading
    /// a cron expression takes longer than all the rest.
    pub(crate) fn read_to_run(record: TaskRecord) -> Result<Self, TaskError> {
        let damaged = |error: serde_json::Error| TaskError::Damaged { name: record.name.clone(), message: error.to_string() };
        let definition = serde_json::from_str(&record.definition).map_err(damaged)?;
        Ok(Self { record, definition, schedule: None })
    }

    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.record.id
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &TaskName {
        &self.record.name
    }

    /// The rule for slots that nobody was there for.
    pub(crate) fn missed(&self, now: Timestamp) -> MissedRule {
        let default = || self.schedule.as_ref().map_or(MissedRule::Skip, |schedule| MissedRule::default_for(schedule, now));
        self.definition.missed.unwrap_or_else(default)
    }

    /// The wait before the attempt that follows a failed one, where one does.
    pub(crate) fn retry_delay(&self, failed_attempt: u32, random: u64) -> Option<Duration> {
        self.definition.retry.delay(failed_attempt, random)
    }

    /// What becomes of another execution while some wait or run.
    pub(crate) const fn when_busy(&self) -> WhenBusy {
        match self.definition.overlap {
            OverlapRule::Skip => WhenBusy::Skip,
            OverlapRule::Queue | OverlapRule::CancelPrevious | OverlapRule::Allow => WhenBusy::Queue(MAX_WAITING),
        }
    }

    pub(crate) fn pause_after(&self) -> Option<u32> {
        Some(self.definition.pause_after).filter(|most| *most > 0)
    }

    /// What a run of it asks for.
    pub(crate) fn request(&self, run: Run) -> RunRequest {
        let definition = &self.definition;
        let mut params = definition.params.clone();
        params.extend(run.params);
        RunRequest {
            source: Source::Task(definition.program.clone(), self.id()),
            id: run.id,
            attempt: run.attempt,
            base: definition.base.clone(),
            trigger: run.trigger,
            occasion: Occasion { task: Some(self.name().clone()), keep: definition.keep, ..run.occasion },
            params,
            offered: run.offered,
            text_params: run.text_params,
            args: definition.args.clone(),
            stdin: Vec::new(),
            limits: definition.limits.clone(),
            output_bytes: None,
        }
    }

    /// As a person would write it now.
    pub(crate) fn draft(&self, links: LinkNames, grants: GrantTexts) -> TaskDraft {
        let definition = self.definition.clone();
        TaskDraft {
            name: self.name().to_string(),
            title: definition.title,
            description: definition.description,
            // A plugin's function is part of its own name.
            program: match definition.program.plugin {
                Some(_) => definition.origin.display().to_string(),
                None => ProgramName { path: definition.origin, function: definition.program.function }.to_string(),
            },
            args: definition.args,
            tags: definition.tags,
            cron: definition.when.cron,
            every: definition.when.every,
            at: definition.when.at,
            zone: Some(definition.zone.to_string()),
            after: links.after,
            on_files: definition.on_files.iter().map(|folder| folder.display().to_string()).collect(),
            on_failure: links.on_failure,
            on_recovery: links.on_recovery,
            missed: definition.missed,
            overlap: Some(definition.overlap),
            rate: definition.rate,
            retry: Some(definition.retry),
            pause_after: Some(definition.pause_after),
            keep: Some(definition.keep),
            limits: definition.limits,
            params: definition.params,
            grants,
        }
    }
}

/// One run of a task, and what is particular about it.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: ExecutionId,
    pub(crate) attempt: u32,
    pub(crate) trigger: Trigger,
    pub(crate) occasion: Occasion,
    /// In place of the task's own.
    pub(crate) params: Map<String, Value>,
    pub(crate) text_params: Vec<(String, String)>,
    /// For a program that declares them.
    pub(crate) offered: Map<String, Value>,
}

/// The links that a task's own text names.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkNames {
    pub(crate) after: Vec<String>,
    pub(crate) on_failure: Option<String>,
    pub(crate) on_recovery: Option<String>,
}
