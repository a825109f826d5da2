//! Typed tools: each task that the operator exposed is a tool of its own, with
//! its program's params as arguments.
//!
//! It runs as the task would, with the task's grants and nothing else: a param
//! that names a place leads where that place was granted, or is denied.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, Tool, ToolAnnotations};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value, json};
use wardroom_core::id::ExecutionId;
use wardroom_core::manifest::Manifest;
use wardroom_core::text::{for_terminal_line, truncated};

use super::answer::{Answer, Refused};
use super::tools::running::ended_schema;
use super::{Profile, Server};
use crate::task::definition::Task;

/// What stands before a task's name: no other tool's name begins so.
const PREFIX: &str = "task__";
/// Bytes of a description.
const MAX_ABOUT: usize = 1024;

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
    let manifest = server.wardroom.stored_program(task).ok().and_then(|program| {
        let source = std::str::from_utf8(&program.bytes).ok().filter(|_| program.format.is_script())?;
        Manifest::of_script(source).ok().flatten()
    });
    let own = task.definition.description.clone();
    let about = own.or_else(|| manifest.as_ref()?.description.clone()).unwrap_or_else(|| format!("Runs the task {name}"));
    let about = for_terminal_line(truncated(&about, MAX_ABOUT));
    let schema = manifest.map_or_else(|| json!({ "type": "object" }), |manifest| schema(&manifest, &task.definition.params));
    let title = for_terminal_line(task.definition.title.as_deref().unwrap_or(name));
    let annotations = ToolAnnotations::from_raw(Some(title.clone()), Some(false), Some(true), Some(false), Some(true));
    Tool::new(tool_name(name), format!("Runs the task {name}, with what it was granted. What it says of itself: {about}"), object(schema))
        .with_title(title)
        .with_raw_output_schema(object(ended_schema()))
        .with_annotations(annotations)
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

fn object(schema: Value) -> Arc<Map<String, Value>> {
    Arc::new(match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    })
}

/// Calls the tool of an exposed task; none where there is no such tool.
pub(super) async fn call(
    server: &Server,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<Answer, Refused>> {
    let name = request.name.strip_prefix(PREFIX)?;
    if server.options.profile < Profile::Operate {
        return None;
    }
    let task = server.wardroom.task_to_run(name).ok().filter(|task| task.record.is_exposed)?;
    let arguments = request.arguments.clone().unwrap_or_default();
    Some(match server.plan(&task, ExecutionId::fresh(), arguments).await {
        Ok(plan) => server.run_and_tell(plan, context).await,
        Err(refused) => Err(refused),
    })
}
