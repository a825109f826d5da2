//! What the official conformance suite wants to find in a server that it judges:
//! tools, resources and prompts of fixed names, put around this engine's own
//! server. What is asked for under other names goes through to that.
//!
//! They are here and nowhere else: the binary has none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::*;
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use serde_json::{Map, Value, json};
use wardroom::Wardroom;
use wardroom::mcp::Server;

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIAAAyAQEAr6R0xwAAAABJRU5ErkJggg==";
/// No sample at all, of 8 kHz.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
/// Between two messages of one call, so that they are seen to be two.
const BETWEEN: Duration = Duration::from_millis(50);
/// The task that is exposed and hidden again, so that the list of tools changes.
pub(super) const CHANGING: &str = "changing";

/// Tools that always answer the same.
fn fixed(name: &str) -> Option<Value> {
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let resource =
        |uri: &str, kind: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } });
    Some(match name {
        "test_simple_text" => json!({ "content": [text("This is a simple text response for testing.")] }),
        "test_image_content" => json!({ "content": [image] }),
        "test_audio_content" => json!({ "content": [{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }] }),
        "test_embedded_resource" => {
            json!({ "content": [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")] })
        }
        "test_multiple_content_types" => {
            let data = resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#);
            json!({ "content": [text("Multiple content types test:"), image, data] })
        }
        "json_schema_2020_12_tool" | "test_custom_header" => json!({ "content": [text("It takes what it says.")] }),
        "test_error_handling" => json!({ "isError": true, "content": [text("This tool intentionally returns an error for testing")] }),
        _ => return None,
    })
}

/// Tools that do something, and what they take.
const DOING: [(&str, &[&str]); 9] = [
    ("test_tool_with_logging", &[]),
    ("test_logging_tool", &[]),
    ("test_tool_with_progress", &[]),
    ("test_sampling", &["prompt"]),
    ("test_elicitation", &["message"]),
    ("test_elicitation_sep1034_defaults", &[]),
    ("test_elicitation_sep1330_enums", &[]),
    ("test_missing_capability", &[]),
    ("test_trigger_tool_change", &[]),
];
const FIXED: [&str; 6] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
];

/// Tools that are there for what their schemas say.
const SCHEMAS: [&str; 2] = ["json_schema_2020_12_tool", "test_custom_header"];

/// One of those, as it is listed.
fn described(name: &str) -> Option<Tool> {
    match name {
        "json_schema_2020_12_tool" => Some(tool("json_schema_2020_12_tool", &keywords())),
        "test_custom_header" => Some(tool("test_custom_header", &mirrored())),
        _ => None,
    }
}

/// Keywords that a server must not drop on the way.
fn keywords() -> Value {
    let address = json!({ "$anchor": "addressDef", "type": "object", "properties": { "street": { "type": "string" }, "city": { "type": "string" } } });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": address },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

/// A param that stands in a header, too, and has to be the same there.
fn mirrored() -> Value {
    json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } })
}

fn tool(name: &'static str, schema: &Value) -> Tool {
    Tool::new(name, "A part of the conformance suite", Arc::new(schema.as_object().unwrap().clone()))
}

/// A tool or prompt of the era without sessions: it asks, once or several times,
/// before it answers.
struct Asking {
    /// What it asks for in each round, by name.
    rounds: Vec<Value>,
    /// It hands the client a sealed state.
    is_sealed: bool,
}

const ASKING: [&str; 9] = [
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "test_streaming_elicitation",
];

fn asking(name: &str) -> Option<Asking> {
    let form = |message: &str, field: &str, kind: &str| {
        let schema = json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
        json!({ "method": "elicitation/create", "params": { "mode": "form", "message": message, "requestedSchema": schema } })
    };
    let sample = |prompt: &str| {
        let messages = json!([{ "role": "user", "content": text(prompt) }]);
        json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": 100 } })
    };
    let roots = || json!({ "method": "roots/list", "params": {} });
    let who = || form("What is your name?", "name", "string");
    let (rounds, is_sealed) = match name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => (vec![json!({ "user_name": who() })], false),
        "test_input_required_result_sampling" => (vec![json!({ "capital_question": sample("What is the capital of France?") })], false),
        "test_input_required_result_list_roots" => (vec![json!({ "client_roots": roots() })], false),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            (vec![json!({ "confirm": form("Please confirm", "ok", "boolean") })], true)
        }
        "test_input_required_result_multiple_inputs" => {
            (vec![json!({ "user_name": who(), "greeting": sample("Generate a greeting"), "client_roots": roots() })], true)
        }
        "test_input_required_result_multi_round" => {
            let color = form("Step 2: What is your favorite color?", "color", "string");
            (vec![json!({ "step1": form("Step 1: What is your name?", "name", "string") }), json!({ "step2": color })], true)
        }
        "test_input_required_result_capabilities" => {
            (vec![json!({ "user_name": who(), "greeting": sample("Generate a greeting") })], false)
        }
        "test_input_required_result_prompt" => {
            (vec![json!({ "user_context": form("What context should the prompt use?", "context", "string") })], false)
        }
        _ => return None,
    };
    Some(Asking { rounds, is_sealed })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// A result that is whole, as it stands in the protocol.
fn whole(mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result
}

/// A value of the library's, from what stands in the protocol.
fn made<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn said(words: String) -> Result<CallToolResponse, ErrorData> {
    Ok(CallToolResult::success(vec![ContentBlock::text(words)]).into())
}

/// What a client answered is what it was asked for.
fn answers(asked: &Value, answer: Option<&Value>) -> bool {
    let Some(answer) = answer else { return false };
    match asked["method"].as_str() {
        Some("elicitation/create") => {
            let required = asked["params"]["requestedSchema"]["required"].as_array().cloned().unwrap_or_default();
            answer["action"] == "accept" && required.iter().all(|field| answer["content"].get(field.as_str().unwrap()).is_some())
        }
        Some("sampling/createMessage") => answer["content"].is_object(),
        _ => answer["roots"].is_array(),
    }
}

/// What of this a client can be asked for at all.
fn askable(round: &Value, client: Option<&ClientCapabilities>) -> Value {
    let can = |asked: &Value| match asked["method"].as_str() {
        Some("elicitation/create") => client.is_some_and(|can| can.elicitation.is_some()),
        Some("sampling/createMessage") => client.is_some_and(|can| can.sampling.is_some()),
        _ => client.is_some_and(|can| can.roots.is_some()),
    };
    let asked = round.as_object().unwrap().iter().filter(|(_, asked)| can(asked));
    Value::Object(asked.map(|(name, asked)| (name.clone(), asked.clone())).collect())
}

/// The server, with what the suite looks for around it.
pub(super) struct Fixtures {
    server: Server,
    wardroom: Arc<Wardroom>,
    states: RequestStateCodec,
    is_exposed: AtomicBool,
}

impl Fixtures {
    pub(super) fn around(server: Server, wardroom: Arc<Wardroom>) -> Self {
        let states = RequestStateCodec::try_new(b"thirty-two bytes that are no key".to_vec()).unwrap();
        Self { server, wardroom, states, is_exposed: AtomicBool::new(false) }
    }

    /// The next round of asking; none when all is answered.
    fn ask(
        &self,
        name: &str,
        given: (Option<&String>, Option<&InputResponses>),
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<InputRequiredResult>, ErrorData> {
        let Asking { rounds, is_sealed } = asking(name).unwrap();
        let (state, responses) = given;
        let tampered = |_| ErrorData::invalid_params("the state is none of this server's", None);
        let round: usize = match state {
            Some(state) => self.states.open_json_with(state, name.as_bytes()).map_err(tampered)?,
            None => 0,
        };
        let responses = json!(responses);
        let answered = rounds[round].as_object().unwrap().iter().all(|(key, asked)| answers(asked, responses.get(key)));
        let next = if answered && (state.is_some() || !is_sealed) { round + 1 } else { round };
        let Some(asked) = rounds.get(next) else { return Ok(None) };
        let requests = made(askable(asked, context.client_capabilities().as_ref()))?;
        let options = SealOptions::new().associated_data(name.as_bytes());
        let state = is_sealed.then(|| self.states.seal_json_with(&next, &options).unwrap());
        Ok(Some(InputRequiredResult::new(Some(requests), state)))
    }

    async fn do_it(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match request.name.as_ref() {
            "test_tool_with_logging" | "test_logging_tool" => log(&context).await,
            "test_tool_with_progress" => progress(&context).await,
            "test_sampling" => sample(&context, &argument("prompt")).await,
            "test_elicitation" => {
                let properties = json!({
                    "username": { "type": "string", "description": "User's response" },
                    "email": { "type": "string", "description": "User's email address" },
                });
                elicit(&context, argument("message"), properties, &["username", "email"]).await
            }
            "test_elicitation_sep1034_defaults" => elicit(&context, "Please fill in".to_owned(), defaults(), &[]).await,
            "test_elicitation_sep1330_enums" => elicit(&context, "Please choose".to_owned(), enums(), &[]).await,
            "test_missing_capability" => {
                if context.client_capabilities().is_some_and(|can| can.sampling.is_some()) {
                    return said("the client can sample".to_owned());
                }
                Err(ErrorData::missing_required_client_capability(made(json!({ "sampling": {} }))?))
            }
            _ => {
                let is_exposed = !self.is_exposed.fetch_xor(true, Ordering::SeqCst);
                self.wardroom.expose(CHANGING, is_exposed).await.unwrap();
                said("changed".to_owned())
            }
        }
    }
}

#[expect(deprecated, reason = "the suite asks for it in the eras that have it")]
async fn log(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    let is_modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    for words in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        // From then on, who wants that says so with the request.
        if !is_modern || context.meta.log_level().is_some() {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(words));
            context.peer.notify_logging_message(message).await.ok();
        }
        tokio::time::sleep(BETWEEN).await;
    }
    said("Logged".to_owned())
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let progress = ProgressNotificationParam::new(token, done).with_total(100.0);
            context.peer.notify_progress(progress).await.ok();
        }
        tokio::time::sleep(BETWEEN).await;
    }
    said("Done".to_owned())
}

#[expect(deprecated, reason = "the suite asks for it in the eras that have it")]
async fn sample(context: &RequestContext<RoleServer>, prompt: &str) -> Result<CallToolResponse, ErrorData> {
    let params = json!({ "messages": [{ "role": "user", "content": text(prompt) }], "maxTokens": 100 });
    let answer = context.peer.create_message(made(params)?).await;
    let answer = json!(answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?);
    said(format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()))
}

async fn elicit(
    context: &RequestContext<RoleServer>,
    message: String,
    properties: Value,
    required: &[&str],
) -> Result<CallToolResponse, ErrorData> {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let params = made(json!({ "mode": "form", "message": message, "requestedSchema": schema }))?;
    let answer = context.peer.create_elicitation(params).await;
    let answer = json!(answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?);
    let action = answer["action"].as_str().unwrap_or_default();
    said(format!("Elicitation completed: action={action}, content={}", answer["content"]))
}

/// A default of each kind.
fn defaults() -> Value {
    json!({
        "name": { "type": "string", "description": "User name", "default": "John Doe" },
        "age": { "type": "integer", "description": "User age", "default": 30 },
        "score": { "type": "number", "description": "User score", "default": 95.5 },
        "status": { "type": "string", "description": "User status", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "description": "Verification status", "default": true },
    })
}

/// Choices of each kind.
fn enums() -> Value {
    let titled = |key: &str| {
        let choice = |index: usize, title: &str| json!({ "const": format!("value{index}"), "title": format!("{title} {key}") });
        json!([choice(1, "First"), choice(2, "Second"), choice(3, "Third")])
    };
    json!({
        "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
        "titledSingle": { "type": "string", "oneOf": titled("Option") },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
    })
}

fn prompt(name: &str, arguments: &JsonObject) -> Option<Value> {
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let user = |content: Value| json!({ "role": "user", "content": content });
    let messages = match name {
        "test_simple_prompt" => vec![user(text("This is a simple prompt for testing."))],
        "test_prompt_with_arguments" => {
            let words = format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2"));
            vec![user(text(&words))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource =
                json!({ "uri": argument("resourceUri"), "mimeType": "text/plain", "text": "Embedded resource content for testing." });
            vec![user(json!({ "type": "resource", "resource": resource })), user(text("Please process the embedded resource above."))]
        }
        "test_prompt_with_image" => {
            let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
            vec![user(image), user(text("Please analyze the image above."))]
        }
        "test_input_required_result_prompt" => vec![user(text("With the context that was given."))],
        _ => return None,
    };
    Some(json!({ "messages": messages }))
}

const PROMPTS: [(&str, &[&str]); 5] = [
    ("test_simple_prompt", &[]),
    ("test_prompt_with_arguments", &["arg1", "arg2"]),
    ("test_prompt_with_embedded_resource", &["resourceUri"]),
    ("test_prompt_with_image", &[]),
    ("test_input_required_result_prompt", &[]),
];

fn resource(uri: &str) -> Option<Value> {
    let contents = match uri {
        "test://static-text" => json!({ "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource." }),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        "test://watched-resource" => json!({ "uri": uri, "mimeType": "text/plain", "text": "It is watched." }),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
    };
    Some(json!({ "contents": [contents] }))
}

#[expect(deprecated, reason = "the suite asks for them in the eras that have them")]
impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.server.get_info();
        // What its own tools log goes to an execution's record, not to the client.
        info.capabilities.logging = Some(Map::new());
        info
    }

    async fn set_level(&self, _: SetLevelRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        if context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        Ok(())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut listed = self.server.list_tools(request, context).await?;
        let more = FIXED.iter().chain(&ASKING).map(|name| (*name, &[] as &[&str])).chain(DOING);
        for (name, takes) in more {
            let properties: Map<String, Value> = takes.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
            listed.tools.push(tool(name, &json!({ "type": "object", "properties": properties, "required": takes })));
        }
        listed.tools.extend(SCHEMAS.into_iter().filter_map(described));
        Ok(listed)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        described(name).or_else(|| self.server.get_tool(name))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        if let Some(always) = fixed(&request.name) {
            return Ok(made::<CallToolResult>(whole(always))?.into());
        }
        if asking(&request.name).is_some() && ASKING.contains(&request.name.as_ref()) {
            let given = (request.request_state.as_ref(), request.input_responses.as_ref());
            return match self.ask(&request.name, given, &context)? {
                Some(required) => Ok(required.into()),
                None => said(format!("state-ok: {}", json!(request.input_responses))),
            };
        }
        if DOING.iter().any(|(name, _)| *name == request.name) {
            return self.do_it(request, context).await;
        }
        self.server.call_tool(request, context).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut listed = self.server.list_resources(request, context).await?;
        for uri in ["test://static-text", "test://static-binary", "test://watched-resource"] {
            listed.resources.push(Resource::new(uri, uri).with_description("A part of the conformance suite"));
        }
        Ok(listed)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut listed = self.server.list_resource_templates(request, context).await?;
        listed.resource_templates.push(ResourceTemplate::new("test://template/{id}/data", "test"));
        Ok(listed)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match resource(&request.uri) {
            Some(contents) => Ok(made::<ReadResourceResult>(whole(contents))?.into()),
            None => self.server.read_resource(request, context).await,
        }
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        if resource(&request.uri).is_some() {
            return Ok(());
        }
        self.server.subscribe(request, context).await
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.server.unsubscribe(request, context).await
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.server.accepted_subscription_filter(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.server.listen(context).await
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.server.on_initialized(context).await;
    }

    async fn complete(&self, request: CompleteRequestParams, context: RequestContext<RoleServer>) -> Result<CompleteResult, ErrorData> {
        self.server.complete(request, context).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut listed = self.server.list_prompts(request, context).await?;
        for (name, takes) in PROMPTS {
            let arguments = takes.iter().map(|name| PromptArgument::new(*name).with_required(true)).collect();
            listed.prompts.push(Prompt::new(name, Some("A part of the conformance suite"), Some(arguments)));
        }
        Ok(listed)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let Some(messages) = prompt(&request.name, &request.arguments.clone().unwrap_or_default()) else {
            return self.server.get_prompt(request, context).await;
        };
        if asking(&request.name).is_some() {
            let given = (request.request_state.as_ref(), request.input_responses.as_ref());
            if let Some(required) = self.ask(&request.name, given, &context)? {
                return Ok(required.into());
            }
        }
        Ok(made::<GetPromptResult>(whole(messages))?.into())
    }
}

/// Every name that is a fixture's, and nothing of the engine's.
pub(super) fn names() -> Vec<&'static str> {
    let prompts = PROMPTS.iter().map(|(name, _)| *name);
    let doing = DOING.iter().map(|(name, _)| *name);
    FIXED.into_iter().chain(ASKING).chain(SCHEMAS).chain(doing).chain(prompts).collect()
}
