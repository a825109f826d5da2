//! Running something again that ran before: the same bytes, the same params but
//! for those that were named, and whatever is granted by now.

use wardroom_core::capability::Grants;
use wardroom_core::execution::Trigger;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::NamedLimits;
use wardroom_core::plan::Plan;
use wardroom_core::program::{Entry, ProgramName};
use wardroom_core::task::{Keep, Occasion, TaskId};
use wardroom_db::ExecutionRecord;

use super::TaskError;
use super::definition::{Run, Task};
use crate::execution::manage::ManageError;
use crate::execution::resolve::{RunRequest, Source, TRIED};
use crate::wardroom::Wardroom;

impl Wardroom {
    /// A plan to run an execution's program again, and where the program lies.
    ///
    /// # Errors
    ///
    /// [`TaskError::Manage`] where there is no such execution or its program
    /// has other bytes by now; [`TaskError::Resolve`] where it cannot be run.
    pub async fn again(
        &self,
        id: &str,
        text_params: Vec<(String, String)>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<(Plan, String), TaskError> {
        let record = self.show(id).await?;
        let (request, program) = self.same_request(&record, text_params)?;
        let resolved = self.resolve(request).await?;
        if resolved.program.digest != record.summary.digest {
            let (id, task) = (record.summary.id, record.summary.task);
            return Err(ManageError::OtherBytes { id, program, task }.into());
        }
        if matches!(resolved.entry, Entry::Command { .. }) && record.summary.task.is_none() {
            return Err(ManageError::Arguments { id: record.summary.id, program }.into());
        }
        Ok((self.authorize(resolved, Grants::default(), env)?, program))
    }

    fn same_request(&self, record: &ExecutionRecord, text_params: Vec<(String, String)>) -> Result<(RunRequest, String), TaskError> {
        let (subject, params) = (&record.summary.subject, record.params.clone());
        let occasion = Occasion { origin: Some(record.summary.id), ..Occasion::default() };
        let (id, attempt, trigger, offered) = (ExecutionId::fresh(), 1, Trigger::Cli, serde_json::Map::new());
        if let Some(task) = TaskId::of_subject(subject) {
            let name = record.summary.task.clone().unwrap_or_default();
            let task = self.db.task_by_id(task)?.map(Task::read).transpose()?.ok_or_else(|| self.unknown_task(&name))?;
            if task.definition.keep == Keep::None && text_params.is_empty() && !task.definition.params.is_empty() {
                return Err(ManageError::NotKept { id: record.summary.id }.into());
            }
            let program = task.definition.origin.display().to_string();
            return Ok((task.request(Run { id, attempt, trigger, occasion, params, text_params, offered }), program));
        }
        if subject == TRIED {
            return Err(ManageError::Tried { id: record.summary.id }.into());
        }
        let (source, base) = match self.source_of_subject(subject)? {
            Some(source) => (source, std::path::PathBuf::from("/")),
            None => {
                let name = ProgramName::parse(subject)?;
                let base = name.path.parent().unwrap_or(std::path::Path::new("/")).to_owned();
                (Source::File(name), base)
            }
        };
        let limits = NamedLimits::default();
        let request = RunRequest {
            source,
            id,
            attempt,
            base,
            trigger,
            occasion,
            params,
            offered,
            text_params,
            args: Vec::new(),
            stdin: Vec::new(),
            limits,
            output_bytes: None,
        };
        Ok((request, subject.clone()))
    }
}
