//! What the tests share: guests built from source, a home folder of their own
//! for each test, the binary and the library under a time limit, a real server
//! on loopback.

pub(crate) mod credentials;
pub(crate) mod database;
#[cfg(target_os = "linux")]
pub(crate) mod desktop;
pub(crate) mod guests;
pub(crate) mod home;
pub(crate) mod keyring;
pub(crate) mod library;
pub(crate) mod mirror;
pub(crate) mod parts;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod stranger;
pub(crate) mod terminal;

use std::time::Duration;

/// The longest that anything here is waited for. Generous on purpose: what is
/// asserted is that it ends at all, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
