//! What is fuzzed: one function for each target, from bytes to claims that hold
//! for all of them. A claim that does not hold panics.
//!
//! ```text
//!  fuzz_targets/NAME.rs   libFuzzer calls NAME with bytes of its own making
//!  seeds/NAME/            bytes to begin with; tests/replay.rs replays them
//! ```
//!
//! `.ci/long fuzz` runs them. Nothing here is part of the product.

#![forbid(unsafe_code)]

mod header;
mod scopes;
mod signature;
mod texts;

#[cfg(feature = "host")]
mod component;
#[cfg(feature = "host")]
mod value;

pub use header::{header, params};
pub use scopes::scopes;
pub use signature::signature;
pub use texts::texts;

#[cfg(feature = "host")]
pub use component::component;
#[cfg(feature = "host")]
pub use value::value;

/// One target.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("scopes", scopes),
    ("header", header),
    ("params", params),
    ("texts", texts),
    ("signature", signature),
    #[cfg(feature = "host")]
    ("value", value),
    #[cfg(feature = "host")]
    ("component", component),
];

/// What is text in bytes, up to the first line break, and the rest.
fn line(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    (std::str::from_utf8(line).unwrap_or(""), rest.get(1..).unwrap_or_default())
}
