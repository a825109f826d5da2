//! Functions of plugins as tools: each that the operator exposed is a tool of its
//! own, with the params and the result of its own type.
//!
//! They are listed from what was kept when the plugin was installed: nothing is
//! compiled. A call's arguments are checked against the very schema that was
//! published, then it runs as anything else does, with the tool's own grants.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, JsonObject, Tool, ToolAnnotations};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value, json};
use wardroom_core::capability::{Capability, Grants};
use wardroom_core::execution::Trigger;
use wardroom_core::id::Digest;
use wardroom_core::text::{for_terminal_line, truncated};
use wardroom_db::GrantRecord;

use super::answer::{Answer, Refused};
use super::schema::portable;
use super::tool::{Done, Hints, checked_by};
use super::tools::running::ended_schema;
use super::{Profile, Server};
use crate::plugin::{ExposedTool, Installed, PluginFunction};

/// Bytes of a description.
const MAX_ABOUT: usize = 1024;
/// Schemas that are kept ready to check arguments with.
const READY_CHECKS: usize = 256;

/// The tools of the functions that were exposed, in order of their names.
pub(super) fn listed(server: &Server) -> Result<Vec<Tool>, ErrorData> {
    if server.options.profile < Profile::Operate {
        return Ok(Vec::new());
    }
    let internal = |error: crate::plugin::PluginError| ErrorData::internal_error(error.to_string(), None);
    let tools = server.wardroom.exposed_tools().map_err(internal)?;
    tools.iter().map(|tool| Ok(published(tool, hints(&server.wardroom.tool_grants(tool).map_err(internal)?)))).collect()
}

fn published(tool: &ExposedTool, hints: Hints) -> Tool {
    let (dotted, summary) = (tool.dotted(), tool.plugin.summary());
    let own = tool.function.about.as_ref().or(summary.description.as_ref());
    let own = own.map_or_else(|| "nothing".to_owned(), |about| for_terminal_line(truncated(about, MAX_ABOUT)));
    let title = for_terminal_line(&dotted);
    let about = format!("Runs {title} of an installed plugin, with what it was granted. What it says of itself: {own}");
    let Hints { read_only, destructive, idempotent, open_world } = hints;
    let annotations =
        ToolAnnotations::from_raw(Some(title.clone()), Some(read_only), Some(destructive), Some(idempotent), Some(open_world));
    Tool::new(tool.tool_name(), about, input(&tool.function))
        .with_title(title)
        .with_raw_output_schema(output(tool))
        .with_annotations(annotations)
}

/// What the tool may do is what it was granted: without any, it reckons. What
/// changes nothing has no further effect when it is done again.
fn hints(grants: &[GrantRecord]) -> Hints {
    let reaches = |grant: &GrantRecord| matches!(grant.capability, Capability::Net | Capability::Credentials | Capability::Call);
    let reads = |grant: &GrantRecord| match grant.capability {
        Capability::Read | Capability::Env => true,
        Capability::Sqlite => !grant.scope.ends_with(":write"),
        _ => false,
    };
    let read_only = grants.iter().all(reads);
    let keeps = |grant: &GrantRecord| reads(grant) || grant.capability == Capability::State;
    Hints { read_only, destructive: !grants.iter().all(keeps), idempotent: read_only, open_world: grants.iter().any(reaches) }
}

fn input(function: &PluginFunction) -> Arc<JsonObject> {
    let params = function.params.as_ref().and_then(Value::as_object);
    let schema = params.cloned().unwrap_or_else(|| Map::from_iter([("type".to_owned(), json!("object"))]));
    Arc::new(portable(Value::Object(schema)).as_object().cloned().unwrap_or_default())
}

/// As of any execution that ended, and its result by the function's own type.
fn output(tool: &ExposedTool) -> Arc<JsonObject> {
    let mut schema = ended_schema();
    let result = tool.function.result.clone().unwrap_or_else(|| json!({}));
    let parts = json!({ "type": ["string", "null"], "description": "A part of a long result's text; null where it failed" });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("result".to_owned(), json!({ "anyOf": [result, parts] }));
    }
    Arc::new(portable(schema).as_object().cloned().unwrap_or_default())
}

type Checks = HashMap<(Digest, String), Option<Arc<Validator>>>;

/// By bytes and function: what was exposed under a name may become another.
static CHECKS: LazyLock<Mutex<Checks>> = LazyLock::new(Mutex::default);

fn check(tool: &ExposedTool) -> Option<Arc<Validator>> {
    ready_check(tool.plugin.digest(), &tool.function)
}

/// What arguments of a function are checked by: the schema that is published.
fn ready_check(digest: Digest, function: &PluginFunction) -> Option<Arc<Validator>> {
    let key = (digest, function.name.clone());
    let mut checks = CHECKS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = checks.get(&key) {
        return found.clone();
    }
    if checks.len() == READY_CHECKS {
        checks.clear();
    }
    // A schema that does not hold lets nothing through.
    let ready = jsonschema::validator_for(&Value::Object((*input(function)).clone())).ok().map(Arc::new);
    checks.insert(key, ready.clone());
    ready
}

/// Params of a plugin's function are what it publishes.
pub(super) fn check_params(installed: &Installed, params: &Map<String, Value>) -> Result<(), Refused> {
    checked_by(ready_check(installed.plugin.digest(), &installed.function).as_deref(), params)
}

/// Calls the tool of an exposed function; none where there is no such tool.
pub(super) fn call<'a>(
    server: &'a Server,
    request: &'a CallToolRequestParams,
    context: &'a RequestContext<RoleServer>,
) -> Option<Done<'a>> {
    if server.options.profile < Profile::Operate {
        return None;
    }
    match server.wardroom.exposed_by_tool_name(&request.name) {
        Ok(found) => found.map(|tool| -> Done<'a> {
            Box::pin(async move { run(server, &tool, request.arguments.clone().unwrap_or_default(), context).await })
        }),
        Err(error) => Some(Box::pin(std::future::ready(Err(error.into())))),
    }
}

async fn run(
    server: &Server,
    tool: &ExposedTool,
    arguments: Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> Result<Answer, Refused> {
    checked_by(check(tool).as_deref(), &arguments)?;
    let request = tool.request(arguments, server.options.base.clone(), Trigger::Mcp, server.occasion());
    let resolved = server.wardroom.resolve(request).await?;
    let plan = server.wardroom.authorize(resolved, Grants::default(), crate::schedule::operator_env)?;
    server.run_and_tell(Arc::new(plan), context).await
}

#[cfg(test)]
mod tests {
    use wardroom_core::clock::Timestamp;

    use super::*;

    fn of(grants: &[(Capability, &str)]) -> (bool, bool, bool, bool) {
        let record = |(capability, scope): &(Capability, &str)| GrantRecord {
            subject: "tool:p.f".to_owned(),
            digest: Digest::from_bytes([0; 32]),
            capability: *capability,
            scope: (*scope).to_owned(),
            callee: None,
            created_at: Timestamp::from_ms(0),
        };
        let Hints { read_only, destructive, idempotent, open_world } = hints(&grants.iter().map(record).collect::<Vec<_>>());
        (read_only, destructive, idempotent, open_world)
    }

    #[test]
    fn a_tool_is_said_to_do_what_it_was_granted_and_no_less() {
        use Capability::{Call, Credentials, Env, Net, Read, Sqlite, State, Write};
        assert_eq!(of(&[]), (true, false, true, false));
        assert_eq!(of(&[(Read, "/a"), (Env, "A"), (Sqlite, "/a.db")]), (true, false, true, false));
        assert_eq!(of(&[(State, "4KiB")]), (false, false, false, false));
        assert_eq!(of(&[(Sqlite, "/a.db:write")]), (false, true, false, false));
        assert_eq!(of(&[(Write, "/a")]), (false, true, false, false));
        assert_eq!(of(&[(Net, "https://a.example,GET")]), (false, true, false, true));
        assert_eq!(of(&[(Credentials, "A")]), (false, true, false, true));
        assert_eq!(of(&[(Call, "task")]), (false, true, false, true), "whatever that does");
    }
}
