//! The vault: the only crate that sees key bytes or the value of a credential.
//!
//! Owns how values are sealed ([`seal`]), where the master key comes from
//! ([`source`]), what a run may do with what is assigned to it ([`ring`]), and
//! the redactor ([`redact`]). It must never open the database, a network
//! connection or a terminal: rows and passphrases are handed to it.

#![forbid(unsafe_code)]

pub mod redact;
pub mod ring;
pub mod seal;
mod secret;
pub mod source;

pub use secret::Secret;
