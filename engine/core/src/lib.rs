//! The vocabulary of Wardroom: what every other crate speaks in.
//!
//! Owns ids, limits, scopes, requests and grants, the manifest, the typed
//! failure and the [`Plan`](plan::Plan) — values and the rules between them.
//! It must never open a file, a socket or a database, read the environment, or
//! print; time comes in through [`clock::Clock`]. Start reading at [`plan`].

#![forbid(unsafe_code)]

pub mod address;
pub mod blame;
pub mod call;
pub mod capability;
pub mod clock;
pub mod credential;
pub mod execution;
pub mod failure;
pub mod id;
pub mod limit;
pub mod log;
pub mod manifest;
pub mod param;
pub mod plan;
pub mod plugin;
pub mod program;
pub mod signature;
pub mod sqlite;
pub mod task;
pub mod text;
pub mod witness;
