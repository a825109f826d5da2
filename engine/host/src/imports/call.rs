//! `wardroom:automation/call`: what a run may start, and how many of those it may
//! have open. What is started, and how, is known to whoever was lent for it
//! ([`Calls`](wardroom_core::call::Calls)); here are the grants.
//!
//! A program that was shown the value of a credential hands it to nobody: its params
//! pass the redactor. One that was not is looked through in neither direction, as a
//! request to a host that its credentials are not for: whoever sees what was removed
//! from its own words could guess the value, a call at a time. What a callee says has
//! passed that one's own redactor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Map, Value};
use tokio::time::Instant;
use wardroom_core::call::{CallError, CallRequest, CalleeView, Calls, MAX_OPEN_CALLS};
use wardroom_core::capability::call::{CallScope, CalleeName};
use wardroom_core::capability::credentials::CredentialUse;
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::credential::redact::redact_json;
use wardroom_core::failure::{Failure, FailureKind};
use wardroom_core::limit::MAX_PARAMS_BYTES;
use wardroom_core::witness::{BoxFuture, Witness};
use wasmtime::component::Resource;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::automation::wardroom::automation::call as wit;
use crate::run::RunState;

/// What a run calls with.
pub(crate) struct Calling {
    calls: Arc<dyn Calls>,
    /// The run's own deadline, which is that of all that it calls.
    end: Instant,
    open: Arc<AtomicUsize>,
}

impl Calling {
    pub(crate) fn new(calls: Arc<dyn Calls>, end: Instant) -> Self {
        Self { calls, end, open: Arc::default() }
    }

    fn remaining(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// One more, if there may be.
    fn open(&self) -> Option<Open> {
        let more = |count: usize| (count < MAX_OPEN_CALLS).then(|| count + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Open(self.open.clone()))
    }
}

/// While it lives, a call counts as open.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

type End = Result<Value, CallError>;

/// A call on its way. Dropped, it is cancelled.
#[expect(unreachable_pub, reason = "the bindings name it as theirs")]
pub struct Running {
    name: String,
    execution: String,
    stage: Stage,
}

enum Stage {
    Waiting(BoxFuture<'static, End>, Open),
    /// It counts as open for as long as its result lies here.
    Ended(End, #[expect(dead_code, reason = "held, and let go with the result")] Open),
    Told,
}

impl Running {
    fn ended(&mut self, end: End) {
        if let Stage::Waiting(_, open) = std::mem::replace(&mut self.stage, Stage::Told) {
            self.stage = Stage::Ended(end, open);
        }
    }

    fn take(&mut self) -> Option<End> {
        if let Stage::Waiting(end, _) = &mut self.stage {
            let end = end.now_or_never()?;
            self.ended(end);
        }
        match std::mem::replace(&mut self.stage, Stage::Told) {
            Stage::Ended(end, _) => Some(end),
            Stage::Waiting(..) | Stage::Told => None,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Running {
    async fn ready(&mut self) {
        if let Stage::Waiting(end, _) = &mut self.stage {
            let end = end.await;
            self.ended(end);
        }
    }
}

impl RunState {
    /// What has this name, where it was granted.
    fn callee(&self, name: &str) -> Result<CallScope, wit::Error> {
        let granted = self.access.call.iter().find(|scope| scope.name().as_str() == name);
        granted.cloned().ok_or_else(|| {
            let scope = name.parse::<CalleeName>().ok().map(String::from);
            self.refuse_call(name, "no grant covers it", scope)
        })
    }

    fn refuse_call(&self, name: &str, reason: &str, scope: Option<String>) -> wit::Error {
        let refusal = Refusal { capability: Capability::Call, wanted: name.to_owned(), reason: reason.to_owned(), scope };
        self.notes.refused(&refusal);
        wit::Error::NotGranted(refusal.to_string())
    }

    fn params(&self, text: &str) -> Result<Map<String, Value>, wit::Error> {
        if text.len() as u64 > MAX_PARAMS_BYTES {
            return Err(wit::Error::Params(format!("the params have {} bytes of JSON: expected at most {MAX_PARAMS_BYTES}", text.len())));
        }
        match serde_json::from_str(text) {
            Ok(params) => match if self.was_shown_a_value() { redact_json(self.notes.redactor(), params) } else { params } {
                Value::Object(params) => Ok(params),
                _ => Err(wit::Error::Params("the params should be a JSON object".to_owned())),
            },
            Err(error) => Err(wit::Error::Params(format!("the params are no JSON: {error}"))),
        }
    }

    fn was_shown_a_value(&self) -> bool {
        self.access.credentials.iter().any(|scope| scope.uses.contains(&CredentialUse::Reveal))
    }

    /// A call's end in the guest's words; what of ours failed ends the run.
    fn told(&self, name: &str, error: CallError) -> wasmtime::Result<wit::Error> {
        Ok(match error {
            CallError::Gone(why) => self.refuse_call(name, &why, None),
            CallError::Loop(why) => wit::Error::Loop(why),
            CallError::TooMany(why) => wit::Error::TooMany(why),
            CallError::Busy(why) => wit::Error::Busy(why),
            CallError::Failed { failure, id } => wit::Error::Failed(wit::Failed {
                kind: kind(&failure),
                message: failure.message,
                after_ms: failure.retry_after_ms,
                execution: id.map(|id| id.to_string()),
            }),
            CallError::Host(fault) => return Err(wasmtime::Error::new(fault)),
            other => wit::Error::TooMany(other.to_string()),
        })
    }
}

fn kind(failure: &Failure) -> wit::FailureKind {
    match failure.kind {
        FailureKind::Invalid => wit::FailureKind::Invalid,
        FailureKind::Denied => wit::FailureKind::Denied,
        FailureKind::Unavailable => wit::FailureKind::Unavailable,
        FailureKind::Permanent => wit::FailureKind::Permanent,
        FailureKind::RetryAfter => wit::FailureKind::RetryAfter,
        FailureKind::NeedsApproval => wit::FailureKind::NeedsApproval,
        FailureKind::Exit => wit::FailureKind::Exit,
        FailureKind::Trap => wit::FailureKind::Trap,
        FailureKind::Limit => wit::FailureKind::Limit,
        FailureKind::Deadline => wit::FailureKind::Deadline,
        FailureKind::Cancelled => wit::FailureKind::Cancelled,
        FailureKind::Program => wit::FailureKind::Program,
        FailureKind::Host => wit::FailureKind::Host,
        _ => wit::FailureKind::Failed,
    }
}

impl wit::Host for RunState {
    fn list(&mut self) -> wasmtime::Result<Vec<wit::Callee>> {
        if self.access.call.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.calling.calls.callees(&self.access.call).map_err(wasmtime::Error::new)?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn start(&mut self, name: String, params: String) -> wasmtime::Result<Result<Resource<Running>, wit::Error>> {
        let callee = match self.callee(&name) {
            Ok(callee) => callee,
            Err(refused) => return Ok(Err(refused)),
        };
        let params = match self.params(&params) {
            Ok(params) => params,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let Some(open) = self.calling.open() else {
            return Ok(Err(wit::Error::TooMany(format!(
                "{MAX_OPEN_CALLS} calls are open already: expected one of them to be finished first"
            ))));
        };
        // Its record names this run's, which has to be there.
        self.notes.effect().await.map_err(wasmtime::Error::new)?;
        let request = CallRequest { callee, params, remaining: self.calling.remaining() };
        match self.calling.calls.call(request) {
            Ok(started) => {
                let running = Running { name, execution: started.id.to_string(), stage: Stage::Waiting(started.end, open) };
                Ok(Ok(self.ctx().table.push(running)?))
            }
            Err(error) => Ok(Err(self.told(&name, error)?)),
        }
    }
}

impl wit::HostRunning for RunState {
    fn execution(&mut self, running: Resource<Running>) -> wasmtime::Result<String> {
        Ok(self.ctx().table.get(&running)?.execution.clone())
    }

    fn subscribe(&mut self, running: Resource<Running>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.ctx().table, running)
    }

    fn finish(&mut self, running: Resource<Running>) -> wasmtime::Result<Option<Result<String, wit::Error>>> {
        let running = self.ctx().table.get_mut(&running)?;
        let Some(end) = running.take() else { return Ok(None) };
        let name = running.name.clone();
        Ok(Some(match end {
            Ok(result) => Ok(result.to_string()),
            Err(error) => Err(self.told(&name, error)?),
        }))
    }

    fn drop(&mut self, running: Resource<Running>) -> wasmtime::Result<()> {
        self.ctx().table.delete(running)?;
        Ok(())
    }
}

impl From<CalleeView> for wit::Callee {
    fn from(view: CalleeView) -> Self {
        Self { name: view.name, description: view.description, params: view.params.to_string() }
    }
}
