//! `wasi:sockets`: linked, and refused. Guests reach the network through
//! `wasi:http`, where a request can be checked as a whole.

use std::sync::Arc;

use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::witness::Witness;
use wasmtime_wasi::WasiCtxBuilder;

/// Refuses every address that a guest would bind, connect or send to.
pub(crate) fn refuse_sockets(wasi: &mut WasiCtxBuilder, notes: Arc<dyn Witness>) {
    // Sockets exist, so that a refusal names the address that was wanted.
    wasi.allow_tcp(true).allow_udp(true).allow_ip_name_lookup(false);
    wasi.socket_addr_check(move |address, _use| {
        notes.refused(&Refusal {
            capability: Capability::Net,
            wanted: address.to_string(),
            reason: "raw sockets are never granted to a program: use HTTP".to_owned(),
            scope: None,
        });
        Box::pin(async { false })
    });
}
