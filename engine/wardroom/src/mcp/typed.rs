//! Typed tools: each task that the operator exposed is a tool of its own, with
//! its program's params as arguments.
//!
//! It runs as the task would, with the task's grants and nothing else: a param
//! that names a place leads where that place was granted, or is denied.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, Tool, ToolAnnotations};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value};
use wardroom_core::call::CalleeView;
use wardroom_core::id::ExecutionId;
use wardroom_core::text::for_terminal_line;

use super::schema::portable;
use super::tool::Done;
use super::tools::running::ended_schema;
use super::{Profile, Server};
use crate::callee::Callee;
use crate::task::definition::Task;

/// What stands before a task's name: no other tool's name begins so.
const PREFIX: &str = "task__";

/// A task's name as a tool's: at most 54 letters, digits, `-` and `_`, which is
/// what common clients accept.
#[must_use]
pub fn tool_name(task: &str) -> String {
    format!("{PREFIX}{task}")
}

/// The tools of the tasks that were exposed, in order of their names. Nothing is
/// compiled.
pub(super) fn listed(server: &Server) -> Result<Vec<Tool>, ErrorData> {
    if server.options.profile < Profile::Operate {
        return Ok(Vec::new());
    }
    let tasks = server.wardroom.tasks().map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(tasks.iter().filter(|task| task.record.is_exposed).map(|task| tool(server, task)).collect())
}

fn tool(server: &Server, task: &Task) -> Tool {
    let name = task.name().as_str();
    let CalleeView { description: about, params: schema, .. } = Callee::from(task.clone()).view(&server.wardroom);
    let title = for_terminal_line(task.definition.title.as_deref().unwrap_or(name));
    let annotations = ToolAnnotations::from_raw(Some(title.clone()), Some(false), Some(true), Some(false), Some(true));
    Tool::new(tool_name(name), format!("Runs the task {name}, with what it was granted. What it says of itself: {about}"), object(schema))
        .with_title(title)
        .with_raw_output_schema(object(ended_schema()))
        .with_annotations(annotations)
}

fn object(schema: Value) -> Arc<Map<String, Value>> {
    Arc::new(match portable(schema) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    })
}

/// Calls the tool of an exposed task; none where there is no such tool.
pub(super) fn call<'a>(
    server: &'a Server,
    request: &'a CallToolRequestParams,
    context: &'a RequestContext<RoleServer>,
) -> Option<Done<'a>> {
    let name = request.name.strip_prefix(PREFIX)?;
    if server.options.profile < Profile::Operate {
        return None;
    }
    let task = server.wardroom.task_to_run(name).ok().filter(|task| task.record.is_exposed)?;
    Some(Box::pin(async move {
        let plan = server.plan(&task, ExecutionId::fresh(), request.arguments.clone().unwrap_or_default()).await?;
        server.run_and_tell(Arc::new(plan), context).await
    }))
}
