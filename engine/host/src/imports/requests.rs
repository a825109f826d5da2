//! `wasi:http/types`, bounded: what a request is made of is kept by the host,
//! outside of the guest's memory and its budget.
//!
//! Everything else of the interface is wasmtime's own; here stand the four
//! setters that take a text of any length.
//!
//! What one handle makes the host keep, at most:
//!
//! | | |
//! |---|---|
//! | outgoing request | path 16 KiB, method, scheme and authority under 1 KiB |
//! | its fields | 16 KiB as counted; up to 48 KiB, where all values are empty |
//! | its body | two chunks of 8 KiB |
//! | file stream | 64 KiB being read or written |
//! | response | a head of 64 KiB, from a granted host |
//!
//! About 80 KiB, times 512 handles: 40 MiB a run. Listings of folders have a
//! count of their own (`files`).

use wardroom_core::limit::MAX_HANDLES;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method, OutgoingRequest, Scheme};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpView};

use crate::run::RunState;

const INTERFACE: &str = "wasi:http/types@0.2.12";
/// Bytes of a method that has no name of its own.
const METHOD_BYTES: usize = 64;
/// Bytes of a scheme other than http and https.
const SCHEME_BYTES: usize = 64;
/// Bytes of `host:port`; a host name has at most 253.
const AUTHORITY_BYTES: usize = 512;
/// Bytes of path and query; servers take 8 KiB.
const PATH_BYTES: usize = 16 << 10;
/// Bytes of all headers of one request, as wasmtime counts them: 72 a header
/// beside its text. wasmtime ends the guest that goes beyond.
pub(crate) const FIELDS_BYTES: usize = 16 << 10;
/// Bytes that a body takes at once; it keeps two of these.
pub(super) const BODY_CHUNK_BYTES: usize = 8 << 10;

// An entry of the map takes about three times what is counted for an empty one.
const _: () = assert!((PATH_BYTES + 3 * FIELDS_BYTES + 2 * BODY_CHUNK_BYTES + 1024) * MAX_HANDLES < 48 << 20);

/// What wasmtime keeps a run's limits on headers in.
pub(crate) fn context() -> WasiHttpCtx {
    let mut context = WasiHttpCtx::new();
    context.set_field_size_limit(FIELDS_BYTES);
    context
}

type Store<'a> = StoreContextMut<'a, RunState>;
type Request = Resource<OutgoingRequest>;

/// Puts the bounded setters in front of wasmtime's.
pub(super) fn bound(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(INTERFACE)?;
    types.func_wrap("[method]outgoing-request.set-method", |mut store: Store<'_>, (request, method): (Request, Method)| {
        let fits = !matches!(&method, Method::Other(text) if text.len() > METHOD_BYTES);
        Ok((if fits { store.data_mut().http().set_method(request, method)? } else { Err(()) },))
    })?;
    types.func_wrap("[method]outgoing-request.set-scheme", |mut store: Store<'_>, (request, scheme): (Request, Option<Scheme>)| {
        let fits = !matches!(&scheme, Some(Scheme::Other(text)) if text.len() > SCHEME_BYTES);
        Ok((if fits { store.data_mut().http().set_scheme(request, scheme)? } else { Err(()) },))
    })?;
    types.func_wrap("[method]outgoing-request.set-authority", |mut store: Store<'_>, (request, text): (Request, Option<String>)| {
        let fits = is_within(text.as_deref(), AUTHORITY_BYTES);
        Ok((if fits { store.data_mut().http().set_authority(request, text)? } else { Err(()) },))
    })?;
    types.func_wrap("[method]outgoing-request.set-path-with-query", |mut store: Store<'_>, (request, text): (Request, Option<String>)| {
        let fits = is_within(text.as_deref(), PATH_BYTES);
        Ok((if fits { store.data_mut().http().set_path_with_query(request, text)? } else { Err(()) },))
    })
}

fn is_within(text: Option<&str>, bytes: usize) -> bool {
    text.is_none_or(|text| text.len() <= bytes)
}
