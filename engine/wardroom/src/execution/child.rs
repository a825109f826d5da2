//! Executions that were called: each is one like any other, begun for its caller
//! and over no later than that.
//!
//! ```text
//!  caller's run ── call ──▶ Children ── spawned ──▶ plan ─▶ execute ─▶ record
//!       │                      │                     callee.rs    here again, deeper
//!       └── ends ──────────────┴─▶ whatever still runs is cancelled, and waited for
//! ```
//!
//! It never hands anything of the caller's on but the params, its session and what
//! is left of its time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wardroom_core::blame::Blame;
use wardroom_core::call::{CallError, CallRequest, CalleeView, Calls, MAX_CALL_DEPTH, MAX_CALLS, StartedCall};
use wardroom_core::capability::call::{CallScope, CalleeName, CalleeNameError};
use wardroom_core::failure::{Failure, FailureKind, Outcome, Output};
use wardroom_core::id::ExecutionId;
use wardroom_core::plan::Resolved;
use wardroom_core::task::Caller;
use wardroom_core::witness::HostFault;
use wardroom_db::DbError;

use super::resolve::TRIED;
use super::{ExecuteError, Unwatched, caught};
use crate::callee::{Beside, Callee, Calling};
use crate::wardroom::Wardroom;

/// A name that cannot be called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalleeError {
    /// No name.
    #[error(transparent)]
    Name(#[from] CalleeNameError),
    /// Nothing has it.
    #[error("there is nothing to call that is named `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name asked for.
        name: CalleeName,
        /// One that is nearly so.
        near: Option<String>,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl CalleeError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Db(error) => error.blame(),
            Self::Name(_) | Self::Unknown { .. } => Blame::Operator,
        }
    }
}

/// Where an execution stands among those that called each other.
#[derive(Clone)]
pub(super) struct Lineage {
    id: ExecutionId,
    root: ExecutionId,
    /// Of the root, of each that was called since, and at last its own.
    subjects: Vec<String>,
    /// Calls of the root and of all that came of it.
    made: Arc<AtomicU32>,
    session: Option<String>,
}

impl Lineage {
    /// Of one that nobody called.
    pub(super) fn root(resolved: &Resolved) -> Self {
        Self {
            id: resolved.id,
            root: resolved.id,
            subjects: vec![resolved.subject.clone()],
            made: Arc::default(),
            session: resolved.occasion.session.clone(),
        }
    }

    fn child(&self, id: ExecutionId, subject: String) -> Self {
        let subjects = self.subjects.iter().cloned().chain([subject]).collect();
        Self { id, root: self.root, subjects, made: self.made.clone(), session: self.session.clone() }
    }

    /// How many were called, one from the next, to come to it.
    pub(super) fn depth(&self) -> u32 {
        u32::try_from(self.subjects.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// A script that an assistant tries may call what is exposed, and no more than
    /// that: also where it was exposed a moment ago.
    fn calls_exposed_only(&self) -> bool {
        self.subjects.last().is_some_and(|subject| subject == TRIED)
    }

    /// Counts one more call, where the callee may be called from here.
    fn admit(&self, callee: &CallScope, subject: &str) -> Result<(), CallError> {
        if self.subjects.iter().any(|own| own == subject) {
            return Err(CallError::Loop(format!("`{callee}` is among those that called each other to come here")));
        }
        if self.depth() >= MAX_CALL_DEPTH {
            return Err(CallError::TooMany(format!("{MAX_CALL_DEPTH} executions called each other to come here, which is the most")));
        }
        let more = |made: u32| (made < MAX_CALLS).then(|| made + 1);
        match self.made.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(CallError::TooMany(format!("{MAX_CALLS} calls were made already, which is the most"))),
        }
    }
}

/// What one execution called, while it runs.
pub(super) struct Children {
    wardroom: Arc<Wardroom>,
    lineage: Lineage,
    /// None: it is over, and calls nobody any more. Never held across an await.
    running: Mutex<Option<JoinSet<()>>>,
    over: watch::Sender<bool>,
}

impl Children {
    pub(super) fn new(wardroom: Arc<Wardroom>, lineage: Lineage) -> Self {
        Self { wardroom, lineage, running: Mutex::new(Some(JoinSet::new())), over: watch::Sender::new(false) }
    }

    /// Cancels what still runs, and waits until it is recorded.
    pub(super) async fn end(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.over.send_replace(true);
        if let Some(mut running) = running {
            while running.join_next().await.is_some() {}
        }
    }
}

impl Calls for Children {
    fn callees(&self, granted: &[CallScope]) -> Result<Vec<CalleeView>, HostFault> {
        let all = self.wardroom.callees().map_err(|error| HostFault(error.to_string()))?;
        let only = self.lineage.calls_exposed_only();
        let is_held = |callee: &&Callee| (!only || callee.is_exposed()) && granted.contains(&callee.scope());
        Ok(all.iter().filter(is_held).map(|callee| callee.view(&self.wardroom)).collect())
    }

    fn call(&self, request: CallRequest) -> Result<StartedCall, CallError> {
        let subject = request.callee.subject().ok_or_else(|| gone(&request.callee))?.to_owned();
        self.lineage.admit(&request.callee, &subject)?;
        let id = ExecutionId::fresh();
        let (tell, end) = oneshot::channel();
        let child = Child {
            wardroom: self.wardroom.clone(),
            lineage: self.lineage.child(id, subject),
            caller: Caller { parent: self.lineage.id, root: self.lineage.root },
            exposed_only: self.lineage.calls_exposed_only(),
            until: Instant::now() + request.remaining,
            stop: Arc::new(Notify::new()),
            request,
        };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = running.as_mut().ok_or_else(|| CallError::TooMany("the caller has ended".to_owned()))?;
        // What has ended is forgotten, so that a thousand calls are not kept.
        while running.try_join_next().is_some() {}
        drop(running.spawn(child.run_while_wanted(tell, self.over.subscribe())));
        let end = Box::pin(async move {
            let unheard = |_| Err(CallError::Host(HostFault("a call ended without saying how".to_owned())));
            end.await.unwrap_or_else(unheard)
        });
        Ok(StartedCall { id, end })
    }
}

fn gone(callee: &CallScope) -> CallError {
    CallError::Gone("what was granted under this name is not there any more, or not for this caller".to_owned() + &hint(callee))
}

fn hint(callee: &CallScope) -> String {
    format!(": `--allow-call={callee}` grants what has the name now")
}

/// One call.
struct Child {
    wardroom: Arc<Wardroom>,
    lineage: Lineage,
    caller: Caller,
    exposed_only: bool,
    /// When its caller has no more time.
    until: Instant,
    /// Told once: it is to end.
    stop: Arc<Notify>,
    request: CallRequest,
}

impl Child {
    /// Runs it, until it ends, nobody waits for it, or its caller is over.
    async fn run_while_wanted(self, mut tell: oneshot::Sender<Result<Value, CallError>>, mut over: watch::Receiver<bool>) {
        let stop = self.stop.clone();
        let mut run = Box::pin(caught(self.run()));
        let unwanted = async {
            tokio::select! {
                () = tell.closed() => {}
                // An error says that the caller is gone.
                _ = over.wait_for(|over| *over) => {}
            }
        };
        let ended = tokio::select! {
            ended = &mut run => ended,
            () = unwanted => {
                stop.notify_one();
                run.await
            }
        };
        let ended = ended.unwrap_or_else(|failure| Err(CallError::Failed { failure, id: None }));
        // Nobody may wait for it any more.
        drop(tell.send(ended));
    }

    async fn run(self) -> Result<Value, CallError> {
        let (callee, _turn, plan) = tokio::select! {
            ready = self.prepare() => ready?,
            () = self.stop.notified() => return Err(cancelled()),
        };
        let id = plan.resolved().id;
        let stop = self.stop.clone();
        let stopped = Box::pin(async move { stop.notified().await });
        let ended = self.wardroom.clone().execute_of(self.lineage.clone(), Arc::new(plan), Arc::new(Unwatched), stopped).await;
        match ended {
            Ok(outcome) => result(outcome).map_err(|failure| CallError::Failed { failure, id: Some(id) }),
            Err(error) => Err(unstarted(&callee, &error)),
        }
    }

    /// Everything before it runs: what it is, its turn, its plan.
    async fn prepare(&self) -> Result<(Callee, Turn<'_>, wardroom_core::plan::Plan), CallError> {
        let (wardroom, scope) = (&self.wardroom, &self.request.callee);
        let callee = match wardroom.callee(scope.name()) {
            Ok(callee) if callee.scope() == *scope && (!self.exposed_only || callee.is_exposed()) => callee,
            Ok(_) | Err(CalleeError::Unknown { .. } | CalleeError::Name(_)) => return Err(gone(scope)),
            Err(CalleeError::Db(error)) => return Err(CallError::Host(HostFault(error.to_string()))),
        };
        let turn = wardroom.turns.take(&callee, wardroom, self.lineage.depth()).await?;
        let calling = Calling {
            id: self.lineage.id,
            params: self.request.params.clone(),
            caller: self.caller,
            session: self.lineage.session.clone(),
            remaining: self.until.saturating_duration_since(Instant::now()),
        };
        let plan = wardroom.plan_call(&callee, calling).await?;
        Ok((callee, turn, plan))
    }
}

fn cancelled() -> CallError {
    CallError::Failed { failure: Failure::new(FailureKind::Cancelled, "the call was cancelled before it began"), id: None }
}

/// What a caller is given of an end: the result, or kind and words of the failure.
/// Where it happened in the callee is in the callee's own record.
fn result(outcome: Outcome) -> Result<Value, Failure> {
    let output = outcome.ending.map_err(|failure| Failure { stack: None, position: None, ..failure })?;
    Ok(match output {
        Output::Json(value) => value,
        Output::Text(text) => Value::from(text),
        bytes @ Output::Bytes(_) => {
            // Its JSON has base64 under the name of its kind.
            let written = serde_json::to_value(bytes).unwrap_or_default();
            written.get("bytes").cloned().unwrap_or_default()
        }
    })
}

/// A call that could not begin, or not be recorded. Why is the operator's to see:
/// vaults and folders are no business of a caller's.
fn unstarted(callee: &Callee, error: &ExecuteError) -> CallError {
    let kind = match error.blame() {
        Blame::Operator => FailureKind::Denied,
        Blame::Guest => FailureKind::Program,
        Blame::Host => FailureKind::Host,
    };
    let name = callee.name();
    let message = format!("`{name}` cannot be started as it is: `wardroom task check {name}` says why");
    CallError::Failed { failure: Failure::new(kind, message), id: None }
}

/// Callees that run for a call in this process and not beside themselves.
#[derive(Default)]
pub(crate) struct Turns {
    taken: Mutex<HashSet<String>>,
    freed: Notify,
}

/// While it lives, its callee runs for nobody else; without a subject, for
/// whoever wants.
struct Turn<'a> {
    turns: &'a Turns,
    subject: Option<String>,
}

impl Turns {
    /// The turn of a callee, as its rule of overlap has it. Only what a root
    /// called may wait for one: what is deeper holds a place among those that were
    /// called, and two that wait for each other's turn and place wait for ever.
    async fn take(&self, callee: &Callee, wardroom: &Wardroom, depth: u32) -> Result<Turn<'_>, CallError> {
        let (beside, subject) = (callee.beside(), callee.subject());
        if beside == Beside::Runs {
            return Ok(Turn { turns: self, subject: None });
        }
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.taken().insert(subject.clone()) {
                break;
            }
            if beside == Beside::Refused || depth > 1 {
                return Err(busy(callee));
            }
            freed.await;
        }
        let turn = Turn { turns: self, subject: Some(subject) };
        match wardroom.runs_already(callee).await {
            Ok(false) => Ok(turn),
            Ok(true) => Err(busy(callee)),
            Err(error) => Err(CallError::Host(HostFault(error.to_string()))),
        }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(subject) = &self.subject {
            self.turns.taken().remove(subject);
            self.turns.freed.notify_waiters();
        }
    }
}

fn busy(callee: &Callee) -> CallError {
    let name = callee.name();
    CallError::Busy(format!("`{name}` runs already: `wardroom task edit {name} --overlap=allow` lets it run beside itself"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(subject: &str) -> Lineage {
        let id = ExecutionId::fresh();
        Lineage { id, root: id, subjects: vec![subject.to_owned()], made: Arc::default(), session: None }
    }

    fn callee() -> CallScope {
        CallScope::named("callee".parse().unwrap())
    }

    #[test]
    fn none_calls_what_called_it_however_far_back() {
        let family = root("task:a").child(ExecutionId::fresh(), "task:b".to_owned()).child(ExecutionId::fresh(), "task:c".to_owned());
        for subject in ["task:a", "task:b", "task:c"] {
            assert!(matches!(family.admit(&callee(), subject), Err(CallError::Loop(_))), "{subject}");
        }
        assert!(family.admit(&callee(), "task:d").is_ok());
        assert_eq!(family.made.load(Ordering::Acquire), 1, "what is refused is not counted");
    }

    #[test]
    fn calls_are_counted_over_all_that_come_of_one_execution() {
        let family = root("root");
        let child = family.child(ExecutionId::fresh(), "child".to_owned());
        for number in 0..MAX_CALLS {
            let of = if number % 2 == 0 { &family } else { &child };
            assert!(of.admit(&callee(), "other").is_ok(), "{number}");
        }
        for of in [&family, &child] {
            assert!(matches!(of.admit(&callee(), "other"), Err(CallError::TooMany(_))));
        }
        assert!(root("root").admit(&callee(), "other").is_ok(), "another execution has its own");
    }

    #[test]
    fn a_chain_ends_at_its_depth() {
        let mut at = root("0");
        for depth in 0..MAX_CALL_DEPTH {
            assert_eq!(at.depth(), depth);
            assert!(at.admit(&callee(), "other").is_ok(), "{depth}");
            at = at.child(ExecutionId::fresh(), (depth + 1).to_string());
        }
        assert!(matches!(at.admit(&callee(), "other"), Err(CallError::TooMany(_))));
    }

    #[test]
    fn a_script_that_is_tried_calls_what_is_exposed_and_what_it_calls_has_its_own_say() {
        let tried = root(TRIED);
        assert!(tried.calls_exposed_only() && !tried.child(ExecutionId::fresh(), "task:a".to_owned()).calls_exposed_only());
        assert!(!root("task:a").calls_exposed_only());
    }
}
