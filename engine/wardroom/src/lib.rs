//! Wardroom: the use cases, and the doors in front of them.
//!
//! Owns what happens in which order; the mechanisms (sandbox, database) are
//! crates of their own. Only `cli` prints, only `cli` names clap. Start
//! reading at [`execution`].

#![forbid(unsafe_code)]

pub mod approval;
pub mod audit;
pub mod callee;
pub mod cli;
pub mod config;
pub mod credential;
mod error;
pub mod execution;
pub mod home;
pub mod mcp;
pub mod plugin;
pub mod project;
pub mod schedule;
mod seal;
pub mod task;
pub mod template;
pub mod trust;
pub mod vault;
mod wardroom;

pub use wardroom::{OpenError, Wardroom};
