//! Lines in the execution's log: [`debug!`], [`info!`], [`warn!`], [`error!`].
//!
//! They need no grant. All lines of a run together are kept up to 1 MiB of
//! text. What is printed becomes lines, too: standard output `info`, standard
//! error `warn`.

use crate::bindings::wardroom::automation::log;

pub use crate::bindings::wardroom::automation::log::Level;

/// Adds one line; line breaks inside are kept. The macros are shorter.
pub fn emit(level: Level, message: &str) {
    log::emit(level, message);
}

/// A line for whoever wrote the task; written like [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($part:tt)+) => { $crate::log::emit($crate::log::Level::Debug, &::std::format!($($part)+)) };
}

/// A line for whoever runs the task; written like [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($part:tt)+) => { $crate::log::emit($crate::log::Level::Info, &::std::format!($($part)+)) };
}

/// Something is odd, the run goes on; written like [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($part:tt)+) => { $crate::log::emit($crate::log::Level::Warn, &::std::format!($($part)+)) };
}

/// Something failed; written like [`format!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($part:tt)+) => { $crate::log::emit($crate::log::Level::Error, &::std::format!($($part)+)) };
}

#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __warn as warn};
