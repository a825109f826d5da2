//! What may be called by name: one answer for whoever grants, runs or lists it.
//!
//! A callee is the operator's own: it has a subject on which its own grants hang,
//! and a run of it holds those and nothing of its caller's. Running it is for
//! [`execution::child`](crate::execution).

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wardroom_core::blame::Blame;
use wardroom_core::call::{CallError, CalleeView};
use wardroom_core::capability::call::{CallScope, CalleeName};
use wardroom_core::capability::{Grants, Requests, Scope};
use wardroom_core::execution::Trigger;
use wardroom_core::failure::{Failure, FailureKind};
use wardroom_core::id::ExecutionId;
use wardroom_core::manifest::Manifest;
use wardroom_core::plan::Plan;
use wardroom_core::task::{Caller, Occasion};
use wardroom_core::text::{for_terminal_line, truncated};
use wardroom_db::DbError;
use wardroom_schedule::rules::OverlapRule;

use crate::execution::child::CalleeError;
use crate::execution::resolve::{ResolveError, RunRequest, asked};
use crate::plugin::{ExposedTool, PluginError};
use crate::schedule::operator_env;
use crate::task::TaskError;
use crate::task::definition::{Run, Task};
use crate::wardroom::Wardroom;

/// Callees, and what they call in turn, of which it is told what they hold.
const MAX_REACHED: usize = 16;
/// Bytes of a description.
const MAX_ABOUT: usize = 1024;

/// Something that can be called.
#[derive(Debug, Clone)]
pub struct Callee {
    name: CalleeName,
    what: What,
}

/// The kinds of them.
#[derive(Debug, Clone)]
enum What {
    Task(Box<Task>),
    /// A function of a plugin that the operator exposed.
    Tool(Arc<ExposedTool>),
}

/// What becomes of a call while the callee runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// It runs as well.
    Runs,
    /// It waits for other calls to end.
    Waits,
    /// It is refused.
    Refused,
}

/// One call that is about to be planned.
pub(crate) struct Calling {
    pub(crate) id: ExecutionId,
    pub(crate) params: Map<String, Value>,
    pub(crate) caller: Caller,
    /// The client's session that the callers carry.
    pub(crate) session: Option<String>,
    /// What the caller has left of its own time.
    pub(crate) remaining: Duration,
}

impl From<Task> for Callee {
    fn from(task: Task) -> Self {
        Self { name: task.name().into(), what: What::Task(Box::new(task)) }
    }
}

impl Callee {
    /// Under which name it is called.
    #[must_use]
    pub const fn name(&self) -> &CalleeName {
        &self.name
    }

    /// On whom its own grants hang: what it is, whatever it is called.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.what {
            What::Task(task) => task.id().subject(),
            What::Tool(tool) => tool.plugin.name().tool_subject(&tool.function.name),
        }
    }

    /// The operator lets assistants see and call it.
    #[must_use]
    pub const fn is_exposed(&self) -> bool {
        match &self.what {
            What::Task(task) => task.record.is_exposed,
            What::Tool(_) => true,
        }
    }

    /// It, as what may be granted.
    #[must_use]
    pub fn scope(&self) -> CallScope {
        CallScope::of(self.name.clone(), self.subject())
    }

    pub(crate) fn beside(&self) -> Beside {
        match &self.what {
            What::Task(task) => match task.definition.overlap {
                OverlapRule::Allow => Beside::Runs,
                // Nothing is skipped that somebody waits for.
                OverlapRule::Skip | OverlapRule::Queue => Beside::Waits,
                OverlapRule::CancelPrevious => Beside::Refused,
            },
            What::Tool(_) => Beside::Runs,
        }
    }

    /// What programs and assistants are told of it. Nothing is compiled.
    #[must_use]
    pub fn view(&self, wardroom: &Wardroom) -> CalleeView {
        let (description, params, result) = match &self.what {
            What::Task(task) => {
                let (description, params) = about_task(wardroom, task);
                (description, params, None)
            }
            What::Tool(tool) => about_tool(tool),
        };
        let description = for_terminal_line(truncated(&description, MAX_ABOUT));
        CalleeView { name: self.name.to_string(), description, params, result }
    }
}

fn about_tool(tool: &ExposedTool) -> (String, Value, Option<Value>) {
    let own = tool.function.about.clone().or_else(|| tool.plugin.summary().description.clone());
    let about = own.unwrap_or_else(|| format!("Runs {} of an installed plugin", tool.dotted()));
    (about, tool.function.params.clone().unwrap_or_else(|| json!({ "type": "object" })), tool.function.result.clone())
}

fn about_task(wardroom: &Wardroom, task: &Task) -> (String, Value) {
    let manifest = wardroom.stored_program(task).ok().and_then(|program| {
        let source = std::str::from_utf8(&program.bytes).ok().filter(|_| program.format.is_script())?;
        Manifest::of_script(source).ok().flatten()
    });
    let own = task.definition.description.clone();
    let about = own.or_else(|| manifest.as_ref()?.description.clone()).unwrap_or_else(|| format!("Runs the task {}", task.name()));
    (about, manifest.map_or_else(|| json!({ "type": "object" }), |manifest| schema(&manifest, &task.definition.params)))
}

/// The program's params; what the task gives is what they are unless a call says
/// otherwise.
fn schema(manifest: &Manifest, given: &Map<String, Value>) -> Value {
    let mut schema = manifest.params.schema();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_none_or(|name| !given.contains_key(name)));
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, value) in given {
            if let Some(property) = properties.get_mut(name).and_then(Value::as_object_mut) {
                property.insert("default".to_owned(), value.clone());
            }
        }
    }
    schema
}

impl Wardroom {
    /// What has this name now: the one place that looks a callee up.
    ///
    /// # Errors
    ///
    /// [`CalleeError::Unknown`] with a near name, or [`CalleeError::Db`].
    pub fn callee(&self, name: &CalleeName) -> Result<Callee, CalleeError> {
        let unknown = |near| CalleeError::Unknown { name: name.clone(), near };
        if name.function().is_some() {
            return match self.exposed_tool(name.as_str()) {
                Ok(tool) => Ok(Callee { name: name.clone(), what: What::Tool(tool) }),
                Err(PluginError::Db(error)) => Err(error.into()),
                // What is not exposed, or damaged, is not called.
                Err(_) => Err(unknown(None)),
            };
        }
        match self.task(name.as_str()) {
            Ok(task) => Ok(task.into()),
            Err(TaskError::Db(error)) => Err(error.into()),
            Err(TaskError::Unknown { near, .. }) => Err(unknown(near)),
            // What is damaged is not called.
            Err(_) => Err(unknown(None)),
        }
    }

    /// All that can be called, in order of names.
    ///
    /// # Errors
    ///
    /// Those of reading the database.
    pub fn callees(&self) -> Result<Vec<Callee>, DbError> {
        let mut callees: Vec<Callee> =
            self.db.tasks()?.into_iter().filter_map(|record| Task::read(record).ok()).map(Callee::from).collect();
        match self.exposed_tools() {
            // A function whose name no grant could say is not called.
            Ok(tools) => callees.extend(tools.into_iter().filter_map(|tool| {
                let name = tool.dotted().parse().ok()?;
                Some(Callee { name, what: What::Tool(Arc::new(tool)) })
            })),
            Err(PluginError::Db(error)) => return Err(error),
            Err(_) => {}
        }
        callees.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(callees)
    }

    /// Those that the operator exposed to assistants, in order of names.
    ///
    /// # Errors
    ///
    /// Those of reading the database.
    pub fn exposed_callees(&self) -> Result<Vec<Callee>, DbError> {
        Ok(self.callees()?.into_iter().filter(Callee::is_exposed).collect())
    }

    /// A name as what may be granted: what has it now.
    ///
    /// # Errors
    ///
    /// [`CalleeError`] where it is no name, or nothing's.
    pub(crate) fn call_scope(&self, text: &str) -> Result<CallScope, CalleeError> {
        Ok(self.callee(&text.parse()?)?.scope())
    }

    /// Another execution of it runs, in whichever process.
    pub(crate) async fn runs_already(&self, callee: &Callee) -> Result<bool, DbError> {
        let What::Task(task) = &callee.what else { return Ok(false) };
        let runs = || Ok::<_, DbError>(self.db.turn_of(task.id())?.is_some_and(|(_, runs)| runs));
        if !runs()? {
            return Ok(false);
        }
        // What a dead process left does not run.
        self.reap().await?;
        runs()
    }

    /// Steps 1 and 2 of a call: the callee's own program, grants and limits; of its
    /// caller, the params alone, and no more time than that has left.
    pub(crate) async fn plan_call(&self, callee: &Callee, calling: Calling) -> Result<Plan, CallError> {
        let Calling { id, params, caller, session, remaining } = calling;
        let occasion = Occasion { caller: Some(caller), session, ..Occasion::default() };
        let request = match &callee.what {
            What::Task(task) => {
                let (text_params, offered) = (Vec::new(), Map::new());
                task.request(Run { id, attempt: 1, trigger: Trigger::Call, occasion, params, text_params, offered })
            }
            What::Tool(tool) => RunRequest { id, ..tool.request(params, PathBuf::from("/"), Trigger::Call, occasion) },
        };
        let refused = |error| CallError::Failed { failure: unplanned(callee, &error), id: None };
        let mut resolved = self.resolve(request).await.map_err(refused)?;
        resolved.limits.deadline = resolved.limits.deadline.min(remaining);
        self.authorize(resolved, Grants::default(), operator_env).map_err(refused)
    }

    /// What a scope lets others do, in the operator's words: what the callee was
    /// granted itself, and so on for what that calls.
    pub(crate) fn reach_of(&self, scope: &CallScope) -> Result<Vec<String>, DbError> {
        let Some(subject) = scope.subject() else { return Ok(vec![format!("there is no {scope}")]) };
        let (mut lines, mut seen) = (Vec::new(), BTreeSet::new());
        let mut ahead = VecDeque::from([(scope.to_string(), subject.to_owned())]);
        while let Some((name, subject)) = ahead.pop_front() {
            if lines.len() == MAX_REACHED {
                lines.push(format!("{} more are called from there", ahead.len() + 1));
                break;
            }
            if !seen.insert(subject.clone()) {
                continue;
            }
            let held = self.db.grants(&subject, None)?;
            let texts: Vec<String> = held.iter().map(|grant| format!("{}={}", grant.capability.flag(), grant.scope)).collect();
            let texts = if texts.is_empty() { "nothing".to_owned() } else { texts.join(" ") };
            lines.push(format!("{name} runs with what it was granted itself: {texts}"));
            ahead.extend(held.into_iter().filter_map(|grant| Some((grant.scope, grant.callee?))));
        }
        Ok(lines)
    }
}

/// Why a call has no plan. A caller is told what is wrong with its own data; what
/// is wrong with the callee, and what there is on this machine, is the operator's.
fn unplanned(callee: &Callee, error: &ResolveError) -> Failure {
    let own = |kind| {
        let name = callee.name();
        let command = match &callee.what {
            What::Task(_) => format!("wardroom task check {name}"),
            What::Tool(tool) => format!("wardroom plugin verify {}", tool.plugin.name()),
        };
        Failure::new(kind, format!("`{name}` cannot be started as it is: `{command}` says why"))
    };
    match error {
        ResolveError::Param(_) | ResolveError::ParamsTooLong(_) | ResolveError::ParamsForCommand => {
            Failure::new(FailureKind::Invalid, error.to_string())
        }
        ResolveError::Request(_) => Failure::new(FailureKind::Denied, "the params name a place that the callee was not granted"),
        error => match error.blame() {
            Blame::Operator => own(FailureKind::Denied),
            Blame::Guest => own(FailureKind::Program),
            Blame::Host => own(FailureKind::Host),
        },
    }
}

/// All that a program with these requests may be granted of calling such callees.
pub(crate) fn call_grants(callees: &[Callee], requests: &Requests) -> Grants {
    let scopes = callees.iter().map(|callee| Scope::Call(callee.scope()));
    Grants(scopes.filter(|scope| asked(requests, scope)).collect())
}
