//! The sandbox: the only crate that names wasmtime, and the only one with
//! unsafe code (one place, in `load`).
//!
//! It loads programs and runs [`Plan`](wardroom_core::plan::Plan)s; it decides
//! nothing about who may do what, keeps no record, and prints nothing. Start
//! reading at [`Host`], then `call` for the doors and `imports` for what a
//! guest can reach.

#![deny(unsafe_code)]

mod cache;
mod call;
mod capture;
mod describe;
mod ending;
mod engine;
mod error;
pub mod imports;
mod inspect;
mod ledger;
mod load;
mod notes;
pub mod package;
mod prepare;
mod run;
pub mod value;
pub mod wire;

#[doc(hidden)]
pub mod fuzz {
    //! For fuzzing only: what the preparing child does with a program's bytes,
    //! in this process and without its limits.

    use std::path::Path;

    use wardroom_core::program::Format;

    use crate::engine::EngineKind;
    use crate::prepare::Job;

    /// Prepares whatever the bytes are; what comes of it does not matter.
    pub fn prepare(bytes: &[u8]) {
        let job = Format::of(Path::new("fuzz.ts"), bytes).ok().and_then(|format| Job::of(format, EngineKind::Epoch));
        drop(job.map(|job| job.work(bytes)));
    }
}

#[doc(hidden)]
pub mod bench {
    //! For benches only: what bare wasmtime is set to, so that it is as ours.

    use crate::engine::{EngineKind, pooled_config};

    /// The settings that a run without a fuel budget has.
    #[must_use]
    pub fn config() -> wasmtime::Config {
        pooled_config(EngineKind::Epoch)
    }
}

pub use describe::Described;
pub use engine::{EngineKind, MAX_PARALLEL_RUNS};
pub use error::HostError;
pub use inspect::{FunctionView, Inspection};
pub use load::{Notice, Silent, interpreter_digest};
pub use prepare::{CHILD_ARGUMENT, child};
pub use run::{Host, HostConfig};
