//! The task that does nothing: what it costs is what a run costs.

use wardroom_guest::Failure;

/// No params.
#[derive(serde::Deserialize)]
struct Params {}

fn run(_: Params) -> Result<bool, Failure> {
    Ok(true)
}

wardroom_guest::task!(run);
