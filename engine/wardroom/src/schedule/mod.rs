//! The scheduler: runs tasks when they are due, once, and tells when it did not.
//!
//! ```text
//!  agenda ──▶ fire ──▶ slots, queue (database) ──▶ dispatch ──▶ the one execution path
//!             fire.rs                               dispatch.rs      │
//!     ▲  timer · wake · files · an end                               ▼
//!     └───────────────────────── serve.rs ◀──────────────────── follow.rs
//! ```
//!
//! Whatever runs by itself waits in the queue first: a slot, a retry, a task
//! after another. So a death loses nothing: what waited still waits, what ran is
//! interrupted and follows its task's rule. Nothing polls: the scheduler sleeps
//! until the next slot or until somebody wakes it.

#[cfg(target_os = "linux")]
mod desktop;
mod dispatch;
mod fire;
pub mod lease;
pub mod serve;
pub mod slots;
mod timer;
pub mod unit;
mod watch;

pub(crate) use dispatch::operator_env;
pub use serve::{News, ServeError, ServeOptions, Told};
