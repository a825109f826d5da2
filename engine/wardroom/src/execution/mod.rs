//! Executions: the one path that every run takes.
//!
//! ```text
//!  resolve ──▶ authorize ──▶ run ──▶ settle ──────────────▶ follow
//!  resolve.rs  core::plan    host    here, with recorder.rs  task/follow.rs
//! ```
//!
//! What an execution calls takes the same path ([`child`]). Liveness and talk
//! between processes are in [`session`]; who is told of what changed, in
//! [`changed`].

pub mod changed;
pub mod child;
pub mod databases;
pub mod grants;
pub mod manage;
mod recorder;
pub mod resolve;
pub mod session;
pub mod store;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use wardroom_core::blame::Blame;
use wardroom_core::call::{Calls, NoCalls};
use wardroom_core::capability::Refusal;
use wardroom_core::failure::{Failure, FailureKind, Outcome, Usage};
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::plan::{Lent, Plan, Runner};
use wardroom_core::witness::{BoxFuture, HostFault, StateSource};
use wardroom_db::{Database, DbError};

use self::changed::Changed;
use crate::credential::CredentialUseError;
use crate::wardroom::{OpenError, Wardroom};
use child::{Children, Lineage};
use recorder::Recorder;

/// How long a run may go on before its start row is written even if it had no
/// effect yet.
const START_ROW_AFTER: Duration = Duration::from_millis(50);
/// How often the lines of a long run are written.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Shown what a run does, as it happens.
pub trait Live: Send + Sync {
    /// A log line.
    fn line(&self, line: &LogLine);
    /// How far it has come.
    fn progress(&self, progress: &Progress);
    /// Something was refused.
    fn refused(&self, refusal: &Refusal);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Live for Unwatched {
    fn line(&self, _: &LogLine) {}
    fn progress(&self, _: &Progress) {}
    fn refused(&self, _: &Refusal) {}
}

/// An execution that ended, and whose end could not be recorded.
#[derive(Debug, thiserror::Error)]
#[error("the execution ended ({status}) and could not be recorded: {source}", status = outcome.status())]
pub struct RecordError {
    /// How it ended: nothing of it is lost yet.
    pub outcome: Box<Outcome>,
    /// Why not.
    pub source: DbError,
}

/// An execution that did not start, or whose end could not be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// It did not start.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It did not start, for want of a credential.
    #[error(transparent)]
    Credential(#[from] CredentialUseError),
    /// It ended.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl ExecuteError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Open(error) => error.blame(),
            Self::Credential(error) => error.blame(),
            Self::Record(error) => error.source.blame(),
        }
    }
}

impl Wardroom {
    /// Steps 3 and 4: runs a plan to its end and records it. `cancelled`
    /// resolves when the caller wants it to end.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`] where this process cannot run or record anything;
    /// whatever a guest does is in the outcome.
    pub fn execute(
        self: &Arc<Self>,
        plan: impl Into<Arc<Plan>>,
        live: Arc<dyn Live>,
        cancelled: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<Outcome, ExecuteError>> {
        let plan = plan.into();
        self.clone().execute_of(Lineage::root(plan.resolved()), plan, live, cancelled)
    }

    /// The same, of one that may have been called. Boxed: it may come back here.
    fn execute_of(
        self: Arc<Self>,
        lineage: Lineage,
        plan: Arc<Plan>,
        live: Arc<dyn Live>,
        cancelled: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<Outcome, ExecuteError>> {
        Box::pin(async move { self.run_and_record(lineage, plan, live, cancelled).await })
    }

    async fn run_and_record(
        self: &Arc<Self>,
        lineage: Lineage,
        plan: Arc<Plan>,
        live: Arc<dyn Live>,
        cancelled: BoxFuture<'static, ()>,
    ) -> Result<Outcome, ExecuteError> {
        // Opened first: what cannot be lent does not begin to run.
        let credentials = self.lend(&plan).await?;
        let session = self.session().await.map_err(OpenError::from)?.clone();
        let recorder = Arc::new(Recorder::new(plan.clone(), self.db.clone(), self.clock.clone(), session.holder().to_owned(), live));
        let _announced = session.announce(plan.resolved().id, recorder.clone());
        if plan.resolved().occasion.is_queued {
            let runs = Changed::Runs { id: plan.resolved().id, holder: session.holder().to_owned() };
            self.tell_changed(&[runs]).await;
        }
        let stop = recorder.clone();
        let depth = lineage.depth();
        let children = (!plan.access().call.is_empty()).then(|| Arc::new(Children::new(self.clone(), lineage)));
        let calls: Arc<dyn Calls> = match &children {
            Some(children) => children.clone(),
            None => Arc::new(NoCalls),
        };
        let lent = Lent {
            witness: recorder.clone(),
            state: Arc::new(StoredState { db: self.db.clone(), subject: plan.resolved().subject.clone() }),
            credentials,
            databases: Arc::new(self.databases()),
            calls,
            depth,
            cancelled: Box::pin(async move {
                tokio::select! {
                    () = cancelled => {}
                    () = stop.cancelled() => {}
                }
            }),
        };
        let host = self.host()?;
        let outcome = tokio::select! {
            // A timer is set only for what does not end at once: setting one wakes
            // whoever waits for the next.
            biased;
            outcome = caught(async { host.run(plan.clone(), lent).await }) => outcome.unwrap_or_else(failed),
            fault = recorder.keep() => unrecordable(&fault),
        };
        // Nothing that it called outlives it, and nothing of that is recorded later.
        if let Some(children) = children {
            children.end().await;
        }
        let (outcome, sequel) = recorder.settle(outcome).await?;
        self.follow_end(plan.resolved(), sequel).await;
        if let Some(task) = &plan.resolved().occasion.task {
            self.tell_changed(&[Changed::Task(task.clone()), Changed::Execution(plan.resolved().id)]).await;
        }
        // Forgetting old executions can wait; this one's answer cannot fail
        // for it.
        drop(self.tidy_daily().await);
        Ok(outcome)
    }
}

/// Runs our own code, in which a bug ends one execution and nothing beside it:
/// its record says so, and whom to blame. What a panic says goes to standard
/// error; it may hold what no record may.
///
/// No `async fn`: that would hold the work twice, and move all of it once more.
pub(crate) fn caught<T>(work: impl Future<Output = T>) -> impl Future<Output = Result<T, Failure>> {
    let bug = |_| Failure::new(FailureKind::Host, "a bug in Wardroom ended the execution: standard error has more");
    AssertUnwindSafe(work).catch_unwind().map(move |ended| ended.map_err(bug))
}

/// What cannot be recorded does not go on.
fn unrecordable(fault: &HostFault) -> Outcome {
    failed(Failure::new(FailureKind::Host, format!("the execution cannot be recorded: {fault}")))
}

fn failed(failure: Failure) -> Outcome {
    Outcome { ending: Err(failure), partial_output: None, usage: Usage::default(), state_changes: Vec::new(), redactions: 0 }
}

/// What earlier runs of a subject left.
struct StoredState {
    db: Arc<Database>,
    subject: String,
}

impl StateSource for StoredState {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, HostFault>> {
        Box::pin(async { self.db.state(&self.subject).map_err(|error| HostFault(error.to_string())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failure_of_the_hosts_and_holds_none_of_its_words() {
        let failure = caught(async { panic!("with a value in it") }).await.map(|()| 0).unwrap_err();
        assert_eq!((failure.kind, failure.blame()), (FailureKind::Host, Blame::Host));
        assert!(!failure.message.contains("value"), "{}", failure.message);
        assert_eq!(caught(async { 1 }).await.ok(), Some(1));
    }
}
