//! What guests may import: one file per WIT interface that is ours or that we
//! stand in front of, and the linker that serves them all.
//!
//! Every served interface is linked for every run: to its implementation where
//! granted, else to one that refuses, records, and reaches nothing. Nothing is
//! inherited from this process.

pub(crate) mod call;
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

use automation::wardroom::automation as contract;

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
            "wardroom:automation/call": trappable,
            "wardroom:automation/call.start": async | trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wardroom:automation/call.running": crate::imports::call::Running,
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
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wardroom:automation/call": super::automation::wardroom::automation::call,
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
    // One by one: the world has what ours refer to as well, and that is there.
    contract::call::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
    contract::credential::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
    contract::log::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
    contract::sqlite::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
    contract::state::add_to_linker::<_, HasSelf<RunState>>(&mut linker, |state| state)?;
    Ok(linker)
}
