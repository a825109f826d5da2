//! Capabilities: what a program may be given, and who said so.
//!
//! Owns the scopes (one file each), [`Requests`] (what a program asks for),
//! [`Grants`] (what the operator allows), [`Access`] (their intersection, which
//! is all that a run ever holds) and [`Refusal`] (what is said where something
//! is missing). It checks; it never opens anything.

pub mod call;
pub mod credentials;
pub mod env;
pub mod files;
pub mod net;
mod refusal;
mod set;
pub mod sqlite;

pub use refusal::{Capability, Refusal};
pub use set::{Access, Grants, Missing, Requests, Scope, Surplus};
