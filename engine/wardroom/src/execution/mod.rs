//! Executions: the one path that every run takes.
//!
//! ```text
//!  resolve ──▶ authorize ──▶ run ──▶ settle ──────────────▶ follow
//!  resolve.rs  core::plan    host    here, with recorder.rs  task/follow.rs
//! ```
//!
//! Liveness and talk between processes are in [`session`].

pub mod databases;
pub mod grants;
pub mod manage;
mod recorder;
pub mod resolve;
pub mod session;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use wardroom_core::blame::Blame;
use wardroom_core::capability::Refusal;
use wardroom_core::failure::{Failure, FailureKind, Outcome, Usage};
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::plan::{Lent, Plan, Runner};
use wardroom_core::witness::{BoxFuture, HostFault, StateSource};
use wardroom_db::{Database, DbError};

use crate::credential::CredentialUseError;
use crate::wardroom::{OpenError, Wardroom};
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
    pub async fn execute(&self, plan: Plan, live: Arc<dyn Live>, cancelled: BoxFuture<'static, ()>) -> Result<Outcome, ExecuteError> {
        // Opened first: what cannot be lent does not begin to run.
        let credentials = self.lend(&plan).await?;
        let session = self.session().await.map_err(OpenError::from)?.clone();
        let plan = Arc::new(plan);
        let recorder = Arc::new(Recorder::new(plan.clone(), self.db.clone(), self.clock.clone(), session.holder().to_owned(), live));
        let _announced = session.announce(plan.resolved().id, recorder.clone());
        let stop = recorder.clone();
        let lent = Lent {
            witness: recorder.clone(),
            state: Arc::new(StoredState { db: self.db.clone(), subject: plan.resolved().subject.clone() }),
            credentials,
            databases: Arc::new(self.databases()),
            cancelled: Box::pin(async move {
                tokio::select! {
                    () = cancelled => {}
                    () = stop.cancelled() => {}
                }
            }),
        };
        let outcome = tokio::select! {
            outcome = self.host()?.run(plan.clone(), lent) => outcome,
            fault = recorder.keep() => unrecordable(&fault),
        };
        let (outcome, sequel) = recorder.settle(outcome).await?;
        self.follow_end(plan.resolved(), sequel).await;
        // Forgetting old executions can wait; this one's answer cannot fail
        // for it.
        drop(self.tidy_daily().await);
        Ok(outcome)
    }
}

/// What cannot be recorded does not go on.
fn unrecordable(fault: &HostFault) -> Outcome {
    let failure = Failure::new(FailureKind::Host, format!("the execution cannot be recorded: {fault}"));
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
