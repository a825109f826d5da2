//! `wasi:sockets`: linked, and refused. Guests reach the network through
//! `wasi:http`, where a request can be checked as a whole.
//!
//! No socket is ever made, so nothing is left of the interface but the refusal:
//! a guest that could open sockets and use none would still take the process's
//! descriptors.

use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::witness::Witness;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::tcp::TcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::UdpSocket;

use crate::notes::Notes;
use crate::run::RunState;

/// Refuses names, and whatever a socket that cannot be there would do.
pub(crate) fn refuse_sockets(wasi: &mut WasiCtxBuilder) {
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
}

/// Puts the refusals in front of what makes sockets.
pub(super) fn refuse(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?.func_wrap(
        "create-tcp-socket",
        |store: StoreContextMut<'_, RunState>, (_,): (IpAddressFamily,)| {
            Ok((Err::<Resource<TcpSocket>, _>(refused(&store.data().notes, "a TCP socket")),))
        },
    )?;
    linker.instance("wasi:sockets/udp-create-socket@0.2.12")?.func_wrap(
        "create-udp-socket",
        |store: StoreContextMut<'_, RunState>, (_,): (IpAddressFamily,)| {
            Ok((Err::<Resource<UdpSocket>, _>(refused(&store.data().notes, "a UDP socket")),))
        },
    )
}

fn refused(notes: &Notes, wanted: &str) -> ErrorCode {
    notes.refused(&Refusal {
        capability: Capability::Net,
        wanted: wanted.to_owned(),
        reason: "raw sockets are never granted to a program: use HTTP".to_owned(),
        scope: None,
    });
    ErrorCode::AccessDenied
}
