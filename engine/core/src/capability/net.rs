//! Network scopes: what is written, what it allows, and the receipt of a check.
//!
//! Owns [`NetScope`] (the text of `--allow-net` and of `net = […]`),
//! [`HttpTarget`] (one request, read once, the way a browser reads a URL),
//! [`NetAccess::check`], which alone makes a [`GrantedRequest`], and
//! [`GrantedRequest::admit`], which alone makes the [`GrantedAddress`] that a
//! dialler accepts. It never resolves and never opens anything: that is the
//! host's `wire`, which can do neither without these two receipts.
//!
//! ```text
//!   text ──parse──▶ NetScope ─┐
//!                             ├─ check ─▶ GrantedRequest ─ admit(address) ─▶ GrantedAddress ─▶ dial
//!   request ─────▶ HttpTarget ┘
//! ```

mod access;
mod host;
mod path;
mod scope;
mod target;

pub(super) use host::HostPattern;

pub use access::{AddressRule, GrantedAddress, GrantedRequest, Lookup, NetAccess};
pub use path::Ambiguity;
pub use scope::{HttpScope, MAX_SCOPE_BYTES, NetScope, ScopeError, TcpScope};
pub use target::{HttpTarget, MAX_TARGET_BYTES, Scheme, TargetError};

#[cfg(test)]
mod tests;
