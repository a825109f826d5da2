//! What a run needs from above while it goes on, as two small lent traits.
//!
//! The host knows neither the database nor the terminal. Whoever starts a run
//! lends it a [`Witness`] (told what happens) and a [`StateSource`] (asked for
//! what an earlier run left).

use std::future::Future;
use std::pin::Pin;

use crate::capability::Refusal;
use crate::log::{LogLine, Progress};

/// A boxed future, for traits that cross an await behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something of ours (the disk, the database) failed under a running guest.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct HostFault(pub String);

/// Told what a run does, while it does it.
///
/// All calls but [`effect`](Self::effect) must return at once: they happen on
/// the run's own thread, between two host calls.
pub trait Witness: Send + Sync {
    /// A log line, already capped.
    fn line(&self, line: &LogLine);

    /// How far the run says it has come.
    fn progress(&self, progress: &Progress);

    /// Something was refused. The guest got its ordinary answer.
    fn refused(&self, refusal: &Refusal);

    /// A connection to this `host:port` is about to be opened.
    fn contacted(&self, host: &str);

    /// Called before a host call that changes anything outside the sandbox (a
    /// request, a file opened for writing). Resolves once the execution's
    /// start row is durable; after that at once.
    ///
    /// # Errors
    ///
    /// [`HostFault`] where the row cannot be written: the call must then not
    /// happen, and the run ends with the host to blame.
    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>>;
}

/// The state that earlier runs of the same subject left.
pub trait StateSource: Send + Sync {
    /// All keys and values, in byte order of the keys.
    ///
    /// # Errors
    ///
    /// [`HostFault`] where they cannot be read.
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, HostFault>>;
}
