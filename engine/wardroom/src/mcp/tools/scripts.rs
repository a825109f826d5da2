//! Trying a script: it runs once, with no rights but to call what the operator
//! exposed.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wardroom_core::execution::Trigger;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::{DurationText, NamedLimits};

use super::super::Profile;
use super::super::answer::Refused;
use super::super::schema;
use super::super::tool::{Call, Done, RUNS, Tool};
use super::running::ended_schema;
use super::tasks::{Language, MAX_CODE, script};
use crate::callee::call_grants;
use crate::execution::resolve::{RunRequest, Source, TRIED};

/// Milliseconds that a script may take, unless it is told.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;

pub(in super::super) const TOOLS: &[Tool] = &[Tool {
    name: "run_script",
    title: "Run a script",
    about: "Runs JavaScript or TypeScript once, in the sandbox, with no rights of its own: no network, no files, no credentials. \
            `params` is an object, `console` is the log, and what the script returns is the result. It may call what the operator \
            exposed, several at once: `await tools.task.NAME(params)`; the resource wardroom://tools.d.ts has their types. Only a \
            person exposes more, with `wardroom expose NAME`. To give a script rights, save it with schedule_task.",
    least: Profile::Author,
    hints: RUNS,
    input: || {
        let properties = json!({
            "code": schema::bounded_text("The program's text", MAX_CODE),
            "language": { "enum": ["javascript", "typescript"], "default": "javascript", "description": "What it is written in" },
            "params": { "type": "object", "description": "What `params` holds" },
            "timeout_ms": schema::whole("Milliseconds that it may take", 1, 300_000, DEFAULT_TIMEOUT_MS),
        });
        schema::object(properties, &["code"])
    },
    output: ended_schema,
    call: run_script,
}];

#[derive(Deserialize)]
struct Script {
    code: String,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    params: Map<String, Value>,
    timeout_ms: Option<u64>,
}

fn run_script(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let Script { code, language, params, timeout_ms } = call.read()?;
        let server = call.server;
        let timeout = Duration::from_millis(timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS));
        let request = RunRequest {
            source: Source::Given(Arc::new(script(&code, language, "script")), TRIED.to_owned()),
            id: ExecutionId::fresh(),
            attempt: 1,
            base: server.options.base.clone(),
            trigger: Trigger::Mcp,
            occasion: server.occasion(),
            params,
            offered: Map::new(),
            text_params: Vec::new(),
            args: Vec::new(),
            stdin: Vec::new(),
            limits: NamedLimits { timeout: Some(DurationText(timeout)), ..NamedLimits::default() },
            output_bytes: None,
        };
        let resolved = server.wardroom.resolve(request).await.map_err(Refused::from)?;
        // Whatever is exposed now; each is looked at again when it is called.
        let grants = call_grants(&server.wardroom.exposed_callees()?, &resolved.requests);
        let plan = server.wardroom.authorize(resolved, grants, |_| None)?;
        server.run_and_tell(Arc::new(plan), &call.context).await
    })
}
