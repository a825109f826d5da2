//! Tools: what one is, which there are, and the way of a call to it.

use std::sync::{Arc, LazyLock};

use futures::future::BoxFuture;
use jsonschema::Validator;
use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject, Tool as Listed, ToolAnnotations};
use rmcp::service::{RequestContext, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use wardroom_core::text::nearest;

use super::answer::{Answer, Refused, json_bytes};
use super::consent::{self, Asked};
use super::schema::portable;
use super::tools::{approvals, credentials, executions, programs, scripts, status, tasks};
use super::{Profile, Server, function, typed};

/// Bytes of the arguments of one call, as JSON text.
pub(super) const MAX_ARGUMENTS: usize = 1 << 20;

/// What a client's user may be told of a tool before it is called. All four are
/// said, because what is not said has a default that says the worst.
#[derive(Clone, Copy)]
pub(super) struct Hints {
    pub(super) read_only: bool,
    pub(super) destructive: bool,
    pub(super) idempotent: bool,
    pub(super) open_world: bool,
}

/// It looks, and changes nothing.
pub(super) const LOOKS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
/// It adds something; again, it adds another.
pub(super) const ADDS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: false };
/// It sets something; again, nothing more happens.
pub(super) const SETS: Hints = Hints { read_only: false, destructive: false, idempotent: true, open_world: false };
/// It replaces or takes away; again, nothing more happens.
pub(super) const REPLACES: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };
/// It runs a program, which may do whatever it was granted.
pub(super) const RUNS: Hints = Hints { read_only: false, destructive: true, idempotent: false, open_world: true };

/// One call of a tool.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) arguments: Map<String, Value>,
    pub(super) context: RequestContext<RoleServer>,
}

impl Call<'_> {
    /// The arguments, which the schema has let through, as a type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_value(Value::Object(self.arguments.clone())).map_err(|error| Refused::arguments(error.to_string()))
    }
}

pub(super) type Done<'a> = BoxFuture<'a, Result<Answer, Refused>>;

/// One tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// The narrowest profile that has it.
    pub(super) least: Profile,
    pub(super) hints: Hints,
    /// JSON Schema of its arguments, which are checked against it.
    pub(super) input: fn() -> Value,
    /// JSON Schema of its structured answer.
    pub(super) output: fn() -> Value,
    pub(super) call: for<'a> fn(Call<'a>) -> Done<'a>,
}

/// A tool as it is listed, and what its arguments are checked by.
struct Ready {
    tool: &'static Tool,
    listed: Listed,
    check: Option<Validator>,
}

/// All management tools, in the order in which they are listed.
static READY: LazyLock<Vec<Ready>> = LazyLock::new(|| {
    let all = [programs::TOOLS, tasks::TOOLS, executions::TOOLS, scripts::TOOLS, credentials::TOOLS, approvals::TOOLS, status::TOOLS];
    all.into_iter().flatten().map(Ready::new).collect()
});

impl Ready {
    fn new(tool: &'static Tool) -> Self {
        let Hints { read_only, destructive, idempotent, open_world } = tool.hints;
        let annotations =
            ToolAnnotations::from_raw(Some(tool.title.to_owned()), Some(read_only), Some(destructive), Some(idempotent), Some(open_world));
        let input = portable((tool.input)());
        let listed = Listed::new(tool.name, tool.about, as_object(&input))
            .with_title(tool.title)
            .with_raw_output_schema(as_object(&portable((tool.output)())))
            .with_annotations(annotations);
        // A schema that does not hold lets nothing through; a test looks at each.
        Self { tool, listed, check: jsonschema::validator_for(&input).ok() }
    }
}

fn as_object(schema: &Value) -> Arc<JsonObject> {
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

/// The tools of a profile.
pub(super) fn listed(profile: Profile) -> Vec<Listed> {
    READY.iter().filter(|ready| ready.tool.least <= profile).map(|ready| ready.listed.clone()).collect()
}

/// Whether a tool of this name would be an exposed function or task: no other has
/// these two in its name.
pub(super) fn is_typed(name: &str) -> bool {
    name.contains("__")
}

/// Calls a tool by its name.
pub(super) async fn call(
    server: &Server,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    if let Some(ready) = READY.iter().find(|ready| ready.tool.name == request.name) {
        // Apart: a call of a typed tool would be as large.
        return Ok(Box::pin(manage(server, ready, request, context)).await);
    }
    match typed::call(server, &request, &context).or_else(|| function::call(server, &request, &context)) {
        Some(called) => Ok(done(called.await)),
        None => Err(unknown(&request.name, server.options.profile)),
    }
}

fn done(answer: Result<Answer, Refused>) -> CallToolResponse {
    answer.map_or_else(Refused::into_result, Answer::into_result).into()
}

async fn manage(server: &Server, ready: &Ready, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> CallToolResponse {
    let profile = server.options.profile;
    if ready.tool.least > profile {
        server.note_refused(ready.tool.name).await;
        let message = format!("the profile `{}` does not have {}", profile.name(), ready.tool.name);
        let hint = format!("The operator chooses the profile: `wardroom mcp --profile {}`.", ready.tool.least.name());
        return done(Err(Refused { code: "not_allowed", message, hint: Some(hint) }));
    }
    if let Some(answer) = consent::resume(server, &request).await {
        return done(answer);
    }
    let arguments = request.arguments.clone().unwrap_or_default();
    let answer = match checked(ready, &arguments) {
        Ok(()) => (ready.tool.call)(Call { server, arguments, context: context.clone() }).await,
        Err(refused) => Err(refused),
    };
    match answer {
        Ok(answer) => match consent::ask(server, &request, &context, answer).await {
            Ok(Asked::Required(required)) => required.into(),
            Ok(Asked::Answered(answer)) => done(Ok(answer)),
            Err(refused) => done(Err(refused)),
        },
        Err(refused) => done(Err(refused)),
    }
}

fn unknown(name: &str, profile: Profile) -> ErrorData {
    let own = READY.iter().filter(|ready| ready.tool.least <= profile).map(|ready| ready.tool.name);
    let near = nearest(name, own).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let name = wardroom_core::text::truncated(name, 64);
    ErrorData::invalid_params(format!("there is no tool `{}`{near}", wardroom_core::text::for_terminal_line(name)), None)
}

fn checked(ready: &Ready, arguments: &Map<String, Value>) -> Result<(), Refused> {
    checked_by(ready.check.as_ref(), arguments)
}

/// Arguments are what the published schema says, and not too long; without a
/// schema that holds, none are.
pub(super) fn checked_by(check: Option<&Validator>, arguments: &Map<String, Value>) -> Result<(), Refused> {
    let arguments = Value::Object(arguments.clone());
    let bytes = json_bytes(&arguments);
    if bytes > MAX_ARGUMENTS {
        return Err(Refused::arguments(format!("the arguments have {bytes} bytes: expected at most {MAX_ARGUMENTS}")));
    }
    let Some(check) = check else { return Err(Refused::arguments("the tool's schema does not hold")) };
    if check.is_valid(&arguments) {
        return Ok(());
    }
    let faults: Vec<String> = check.iter_errors(&arguments).take(5).map(|fault| fault_words(&fault)).collect();
    Err(Refused::arguments(faults.join("; ")))
}

/// Where and what, without the whole of a long value.
fn fault_words(fault: &jsonschema::ValidationError<'_>) -> String {
    let place = fault.instance_path().to_string();
    let what = fault.masked_with("the value").to_string();
    if place.is_empty() { what } else { format!("{place}: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What common clients accept; one name that is not hides the whole list.
    fn is_accepted(name: &str) -> bool {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    }

    #[test]
    fn each_tool_is_listed_once_with_all_that_clients_want_to_know() {
        let mut names = std::collections::BTreeSet::new();
        for ready in READY.iter() {
            let (name, listed) = (ready.tool.name, &ready.listed);
            assert!(is_accepted(name) && names.insert(name) && !is_typed(name), "{name}");
            assert!(ready.check.is_some(), "{name}");
            assert!(jsonschema::validator_for(&(ready.tool.output)()).is_ok(), "{name}");
            assert!(listed.description.as_ref().is_some_and(|about| about.len() > 20), "{name}");
            let hints = listed.annotations.as_ref().unwrap();
            let said = [hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint];
            assert!(said.iter().all(Option::is_some), "{name}");
            assert_eq!(hints.read_only_hint, Some(ready.tool.least == Profile::Read), "{name}: what changes nothing is for all");
            assert_eq!(listed.input_schema["additionalProperties"], false, "{name}");
            let described = listed.input_schema["properties"].as_object().unwrap().values();
            assert!(
                described.into_iter().all(|property| property["description"].is_string() || property["properties"].is_object()),
                "{name}"
            );
        }
    }

    #[test]
    fn each_profile_has_what_the_narrower_have() {
        let of = |profile| listed(profile).into_iter().map(|tool| tool.name.into_owned()).collect::<Vec<_>>();
        let (read, operate, author) = (of(Profile::Read), of(Profile::Operate), of(Profile::Author));
        assert!(read.iter().all(|name| operate.contains(name)) && operate.iter().all(|name| author.contains(name)));
        assert!(read.len() < operate.len() && operate.len() < author.len());
        let read_only = ["list_", "get_", "check_"];
        assert!(read.iter().all(|name| read_only.iter().any(|prefix| name.starts_with(prefix))), "{read:?}");
        for writes in ["run_script", "add_credential"] {
            assert!(author.contains(&writes.to_owned()) && !operate.contains(&writes.to_owned()), "{writes}");
        }
        // Stable, so that a client's cache of it holds.
        assert_eq!(of(Profile::Author), author);
    }

    #[test]
    fn arguments_are_what_the_schema_says_and_nothing_else() {
        let find = |name: &str| READY.iter().find(|ready| ready.tool.name == name).unwrap();
        let check = |name: &str, arguments: Value| checked(find(name), arguments.as_object().unwrap());
        assert!(check("get_executions", serde_json::json!({ "limit": 500 })).is_ok());
        for bad in [
            serde_json::json!({ "limit": 501 }),
            serde_json::json!({ "limit": 0 }),
            serde_json::json!({ "limit": -1 }),
            serde_json::json!({ "limit": "5" }),
            serde_json::json!({ "limit": 1.5 }),
            serde_json::json!({ "limits": 5 }),
            serde_json::json!({ "status": "great" }),
        ] {
            assert_eq!(check("get_executions", bad.clone()).unwrap_err().code, "validation_error", "{bad}");
        }
        let long = check("get_executions", serde_json::json!({ "status": "x".repeat(10_000) })).unwrap_err().message;
        assert!(long.len() < 1000, "{long}");
        assert!(check("run_script", serde_json::json!({ "code": "x".repeat(MAX_ARGUMENTS) })).is_err());
    }
}
