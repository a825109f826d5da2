//! Asking the person in front of a client, where the operator trusts that client
//! to show the question: `wardroom mcp --elicitation=trusted`.
//!
//! ```text
//!  a tool asked for an approval ─▶ 2026-07-28: input required, with a sealed state ─▶ the call again, with both
//!                               └▶ before that: a request of ours to the client
//! ```
//!
//! What the client says of itself is no evidence; that it is trusted is the
//! operator's word. A state is sealed for this process, this tool and these
//! arguments, is good once, and for [`STATE_LASTS`]; the approval itself is bound to
//! its task, bytes and scopes.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rmcp::model::{
    BooleanSchema, CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, ProtocolVersion, RequestStateCodec, SealOptions,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Digest as _;
use wardroom_core::text::{for_terminal_line, truncated};
use wardroom_db::ApprovalId;

use super::Server;
use super::answer::{Answer, Refused};
use crate::approval::ApprovalView;
use crate::audit;

/// How long a person may take.
const STATE_LASTS: Duration = Duration::from_secs(300);
/// States that were used, which is more than a person can answer.
const MAX_USED: usize = 10_000;
/// Under which name the question is asked.
const QUESTION: &str = "approval";

/// What is needed to ask.
pub(super) struct Consent {
    codec: RequestStateCodec,
    used: Mutex<HashSet<String>>,
}

#[derive(Serialize, Deserialize)]
struct State {
    approval: ApprovalId,
    nonce: String,
}

/// What came of asking.
pub(super) enum Asked {
    /// The call is over.
    Answered(Answer),
    /// The client has to ask, and to call again.
    Required(InputRequiredResult),
}

fn random<const N: usize>() -> Result<[u8; N], Refused> {
    let mut bytes = [0; N];
    let failed = |error| Refused { code: "internal_error", message: format!("the system gives no random numbers: {error}"), hint: None };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl Consent {
    pub(super) fn new() -> Option<Self> {
        let key = random::<32>().ok()?;
        Some(Self { codec: RequestStateCodec::try_new(key.to_vec()).ok()?, used: Mutex::default() })
    }

    /// Whether this state was not used before.
    fn spend(&self, nonce: String) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.len() < MAX_USED && used.insert(nonce)
    }
}

/// What a state is for: this tool, called like this, in this session.
fn binding(request: &CallToolRequestParams) -> Vec<u8> {
    let arguments = Value::Object(request.arguments.clone().unwrap_or_default()).to_string();
    let digest = sha2::Sha256::digest(arguments.as_bytes());
    let mut bytes = format!("{}|{}|", audit::session().unwrap_or_default(), request.name).into_bytes();
    bytes.extend_from_slice(&digest);
    bytes
}

/// The question, with nothing left out of what would be given.
fn question(view: &ApprovalView) -> String {
    let digest = view.digest.map_or_else(String::new, |digest| format!(" (program {digest})"));
    let why = for_terminal_line(truncated(&view.reason, 300));
    let asks: Vec<String> = view.asks.iter().map(|ask| format!("  {}", for_terminal_line(ask))).collect();
    format!("Allow this for the {}{digest}?\n{}\nWhy, in the assistant's words: {why}", for_terminal_line(&view.about), asks.join("\n"))
}

fn form(message: String) -> Result<ElicitRequestParams, Refused> {
    let approve = |schema: BooleanSchema| schema.title("Allow").description("Whether to allow exactly this");
    let schema = ElicitationSchema::builder().required_bool_with("approve", approve).build();
    let broken = |error: &str| Refused { code: "internal_error", message: error.to_owned(), hint: None };
    Ok(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema: schema.map_err(broken)? })
}

/// Yes is an accepted form that says so, and nothing else is.
fn is_yes(result: &ElicitResult) -> bool {
    result.action == ElicitationAction::Accept && result.content.as_ref().and_then(|content| content.get("approve")) == Some(&json!(true))
}

/// Asks, where this client may be asked; else the answer is what it was.
pub(super) async fn ask(
    server: &Server,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    answer: Answer,
) -> Result<Asked, Refused> {
    let (Some(consent), Some(id)) = (&server.consent, answer.asks()) else { return Ok(Asked::Answered(answer)) };
    let can_show = context.client_capabilities().and_then(|can| can.elicitation).is_some_and(|how| how.form.is_some() || how.url.is_none());
    if !can_show {
        return Ok(Asked::Answered(answer));
    }
    let params = form(question(&server.wardroom.approval(&id.to_string())?))?;
    let is_modern = context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
    if is_modern {
        let nonce = HEXLOWER.encode(&random::<16>()?);
        let binding = binding(request);
        let options = SealOptions::new().associated_data(&binding).ttl(STATE_LASTS);
        let state = consent.codec.seal_json_with(&State { approval: id, nonce }, &options);
        let state = state.map_err(|error| Refused { code: "internal_error", message: error.to_string(), hint: None })?;
        let question = InputRequest::Elicitation(ElicitRequest::new(params));
        return Ok(Asked::Required(InputRequiredResult::new(Some(BTreeMap::from([(QUESTION.to_owned(), question)])), Some(state))));
    }
    let asked = context.peer.create_elicitation_with_timeout(params, Some(STATE_LASTS));
    let said = tokio::select! {
        said = asked => said,
        () = context.ct.cancelled() => return Ok(Asked::Answered(answer)),
    };
    match said {
        Ok(said) if is_yes(&said) => {
            server.wardroom.approve(id).await?;
            Ok(Asked::Answered(answer.approved(true)))
        }
        // Declined, or not asked after all: it waits, as it would have.
        _ => Ok(Asked::Answered(answer.approved(false))),
    }
}

/// A call that comes with what a person said; none where this is no such call.
pub(super) async fn resume(server: &Server, request: &CallToolRequestParams) -> Option<Result<Answer, Refused>> {
    let sealed = request.request_state.as_ref()?;
    Some(resumed(server, request, sealed).await)
}

async fn resumed(server: &Server, request: &CallToolRequestParams, sealed: &str) -> Result<Answer, Refused> {
    let refused = |message: &str| Refused {
        code: "invalid_state",
        message: message.to_owned(),
        hint: Some("Call the tool again, without a state.".to_owned()),
    };
    let consent = server.consent.as_ref().ok_or_else(|| refused("this server asks nobody through its client"))?;
    let state: State = consent
        .codec
        .open_json_with(sealed, &binding(request))
        .map_err(|_| refused("the state is none of this server's, is too old, or belongs to another call"))?;
    if !consent.spend(state.nonce) {
        return Err(refused("the state was used before"));
    }
    let said = request.input_responses.as_ref().and_then(|responses| responses.get(QUESTION)).cloned().unwrap_or_default();
    let yes = serde_json::from_value::<ElicitResult>(said).is_ok_and(|said| is_yes(&said));
    if yes {
        server.wardroom.approve(state.approval).await?;
    }
    let view = server.wardroom.approval(&state.approval.to_string())?;
    let text = format!("{}: {}", view.about, if yes { "approved" } else { "not approved; it waits for a person" });
    Ok(Answer::new(json!({ "approval": view }), text).approved(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_an_accepted_form_that_says_so() {
        let said = |value: Value| serde_json::from_value::<ElicitResult>(value).is_ok_and(|said| is_yes(&said));
        assert!(said(json!({ "action": "accept", "content": { "approve": true } })));
        for no in [
            json!({ "action": "accept" }),
            json!({ "action": "accept", "content": {} }),
            json!({ "action": "accept", "content": { "approve": "true" } }),
            json!({ "action": "accept", "content": { "approve": 1 } }),
            json!({ "action": "accept", "content": [true] }),
            json!({ "action": "decline", "content": { "approve": true } }),
            json!({ "action": "cancel", "content": { "approve": true } }),
            json!({ "approve": true }),
            json!(true),
            json!(null),
        ] {
            assert!(!said(no.clone()), "{no}");
        }
    }

    #[test]
    fn a_state_is_good_once() {
        let consent = Consent::new().unwrap();
        assert!(consent.spend("a".to_owned()) && consent.spend("b".to_owned()));
        assert!(!consent.spend("a".to_owned()));
    }
}
