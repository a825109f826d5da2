//! Each capability works with its grant, and is refused by name without it.

mod env;
mod escape;
mod files;
mod net;
mod sqlite;
mod sqlite_hostile;
mod state;

use wardroom_core::capability::{Capability, Refusal};

use crate::support::library::Finished;

/// What was refused: kind, what was tried, and the flag that would allow it.
fn refusals(finished: &Finished) -> Vec<(Capability, &str, Option<String>)> {
    finished.outcome.usage.refusals.iter().map(|refusal| (refusal.capability, refusal.wanted.as_str(), refusal.flag())).collect()
}

/// The one thing that was refused.
#[track_caller]
fn refusal(finished: &Finished) -> &Refusal {
    match finished.outcome.usage.refusals.as_slice() {
        [only] => only,
        others => panic!("one refusal, found {others:?}"),
    }
}
