//! What lasts from one run of a task to its next: keys with JSON values.
//!
//! Needs the grant `state` (`--state=64KiB`); without it every call answers
//! [`Error::Denied`]. Writes are kept only when the run succeeds.
//!
//! ```no_run
//! # use wardroom_guest::{Failure, state};
//! # fn run() -> Result<u64, Failure> {
//! let runs: u64 = state::get("runs")?.unwrap_or(0) + 1;
//! state::set("runs", &runs)?;
//! # Ok(runs)
//! # }
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::bindings::wardroom::automation::state as wire;

/// Why a call did nothing. Becomes a [`Failure`] with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The run was not granted any state.
    Denied(String),
    /// The write would exceed the granted bytes (keys and values together).
    Quota(String),
    /// The key is empty or longer than 256 bytes.
    InvalidKey(String),
    /// What lies under the key is not what was asked for, or the value has no
    /// JSON form.
    Json(String),
}

/// The value under a key, if there is one.
///
/// # Errors
///
/// [`Error::Denied`] without the grant, [`Error::InvalidKey`], or
/// [`Error::Json`] where the value is not a `T`.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    let Some(text) = wire::get(key)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Json(format!("the state under `{key}` does not fit: {error}")))
}

/// Stores a value under a key.
///
/// # Errors
///
/// [`Error::Denied`] without the grant, [`Error::Quota`],
/// [`Error::InvalidKey`], or [`Error::Json`] where the value has no JSON form.
pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::Json(format!("the value for `{key}` has no JSON form: {error}")))?;
    Ok(wire::set(key, &text)?)
}

/// Removes a key; no error where there is none.
///
/// # Errors
///
/// [`Error::Denied`] without the grant, or [`Error::InvalidKey`].
pub fn delete(key: &str) -> Result<(), Error> {
    Ok(wire::delete(key)?)
}

/// All keys, in byte order.
///
/// # Errors
///
/// [`Error::Denied`] without the grant.
pub fn keys() -> Result<Vec<String>, Error> {
    Ok(wire::keys()?)
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::Denied(why) => Self::Denied(why),
            wire::Error::Quota(why) => Self::Quota(why),
            wire::Error::InvalidKey(why) => Self::InvalidKey(why),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Denied(why) | Self::Quota(why) | Self::InvalidKey(why) | Self::Json(why)) = self;
        f.write_str(why)
    }
}

// No `std::error::Error`: every one of those becomes `Failed`, and a denial is
// none of the program's failures.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(why) => Self::Denied(why),
            Error::Quota(why) | Error::InvalidKey(why) | Error::Json(why) => Self::Permanent(why),
        }
    }
}
