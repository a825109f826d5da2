//! What guests may import: one file per WIT interface that is ours or that we
//! stand in front of, and the linker that serves them all.
//!
//! Every served interface is linked for every run: to its implementation where
//! granted, else to one that refuses, records, and reaches nothing. Nothing is
//! inherited from this process.

mod credential;
pub(crate) mod files;
mod fresh;
pub mod http;
mod log;
pub(crate) mod requests;
mod sockets;
mod sqlite;
pub(crate) mod state;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings::filesystem::types;

pub(crate) use sockets::refuse_sockets;

use crate::run::RunState;

/// The contract's own interfaces, and the task export.
pub(crate) mod automation {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "task-program",
        imports: {
            "wardroom:automation/credential.sign": async | trappable,
            "wardroom:automation/credential.reveal": async | trappable,
            "wardroom:automation/sqlite.query": async | trappable,
            "wardroom:automation/sqlite.execute": async | trappable,
            "wardroom:automation/sqlite.snapshot": async | trappable,
        },
        exports: { default: async },
    });
}

/// The bundled interpreter's export.
pub(crate) mod interpreter {
    wasmtime::component::bindgen!({
        path: ["../../wit", "../../plugins/javascript/wit"],
        world: "wardroom:interpreter/interpreter",
        exports: { default: async },
        with: {
            "wardroom:automation/credential": super::automation::wardroom::automation::credential,
            "wardroom:automation/log": super::automation::wardroom::automation::log,
            "wardroom:automation/sqlite": super::automation::wardroom::automation::sqlite,
            "wardroom:automation/state": super::automation::wardroom::automation::state,
            "wardroom:automation/types": super::automation::wardroom::automation::types,
        },
    });
}

/// Everything, linked once for an engine.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<RunState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    // Ours stand in front of some of wasmtime's own.
    linker.allow_shadowing(true);
    types::add_to_linker::<_, files::GuardedFiles>(&mut linker, RunState::files)?;
    requests::bound(&mut linker)?;
    sockets::refuse(&mut linker)?;
    linker.allow_shadowing(false);
    automation::TaskProgram::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
    Ok(linker)
}
