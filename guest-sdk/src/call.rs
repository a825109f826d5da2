//! Other tasks, and functions of plugins, started by name. Each runs with its own
//! grants and credentials, none of the caller's, and has a record of its own.
//!
//! Needs the grant `call`, for each by name (`--allow-call=nightly`).
//!
//! ```no_run
//! # use wardroom_guest::{Failure, call};
//! # fn run() -> Result<(), Failure> {
//! let letters: u64 = call::call("count-letters", &serde_json::json!({ "text": "hello" }))?;
//! // Two at once.
//! let one = call::start("fetch-report", &serde_json::json!({ "of": "monday" }))?;
//! let two = call::start("summarise", &serde_json::json!({ "letters": letters }))?;
//! let (report, summary): (String, String) = (one.wait()?, two.wait()?);
//! # drop((report, summary));
//! # Ok(())
//! # }
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::bindings::wardroom::automation::call as wire;

pub use crate::bindings::wardroom::automation::call::{Callee, Failed, FailureKind};

/// Why a call gave no result. Becomes a [`Failure`] with `?`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// It was not granted, or what was granted is not there any more.
    NotGranted(String),
    /// The params are no JSON object, or cannot be written as one.
    Params(String),
    /// The callee is among those that called each other to come here.
    Loop(String),
    /// Too deep, too many, or too many at once.
    TooMany(String),
    /// The callee runs already, and not beside itself.
    Busy(String),
    /// The callee ended without a result.
    Failed(Failed),
    /// The callee's result is none of the type that was asked for.
    Result(String),
}

/// A call on its way. Dropping it cancels the call.
pub struct Running(wire::Running);

/// What may be called now, in order of names.
#[must_use]
pub fn list() -> Vec<Callee> {
    wire::list()
}

/// Starts a callee and waits for its result. `params` become a JSON object.
///
/// # Errors
///
/// [`Error`].
pub fn call<R: DeserializeOwned>(name: &str, params: &impl Serialize) -> Result<R, Error> {
    start(name, params)?.wait()
}

/// Starts a callee, which runs beside the caller from now on.
///
/// # Errors
///
/// [`Error`], but for what the callee comes to.
pub fn start(name: &str, params: &impl Serialize) -> Result<Running, Error> {
    let params = serde_json::to_string(params).map_err(|error| Error::Params(error.to_string()))?;
    Ok(Running(wire::start(name, &params)?))
}

impl Running {
    /// The execution that it is.
    #[must_use]
    pub fn execution(&self) -> String {
        self.0.execution()
    }

    /// Waits for its result.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn wait<R: DeserializeOwned>(self) -> Result<R, Error> {
        loop {
            if let Some(end) = self.0.finish() {
                return serde_json::from_str(&end?).map_err(|error| Error::Result(error.to_string()));
            }
            self.0.subscribe().block();
        }
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::NotGranted(why) => Self::NotGranted(why),
            wire::Error::Params(why) => Self::Params(why),
            wire::Error::Loop(why) => Self::Loop(why),
            wire::Error::TooMany(why) => Self::TooMany(why),
            wire::Error::Busy(why) => Self::Busy(why),
            wire::Error::Failed(failed) => Self::Failed(failed),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGranted(why) | Self::Params(why) | Self::Loop(why) | Self::TooMany(why) | Self::Busy(why) | Self::Result(why) => why,
            Self::Failed(failed) => &failed.message,
        })
    }
}

// No `std::error::Error`, as in `state`: a denial is none of the program's failures.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotGranted(why) => Self::Denied(why),
            Error::Busy(why) => Self::Unavailable(why),
            Error::Loop(why) => Self::Permanent(why),
            Error::Params(why) | Error::TooMany(why) | Error::Result(why) => Self::Failed(why),
            Error::Failed(failed) => of_callee(failed),
        }
    }
}

/// What a callee's failure is to its caller: whoever has to act for the one has to
/// for the other, but wrong params and a lack of time are the caller's own affair.
fn of_callee(Failed { kind, message, after_ms, .. }: Failed) -> Failure {
    match kind {
        FailureKind::Denied | FailureKind::NeedsApproval => Failure::Denied(message),
        FailureKind::Unavailable | FailureKind::Host => Failure::Unavailable(message),
        FailureKind::Permanent | FailureKind::Program => Failure::Permanent(message),
        FailureKind::RetryAfter => Failure::retry_after(std::time::Duration::from_millis(after_ms.unwrap_or(0)), message),
        _ => Failure::Failed(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_to_act_for_a_callee_has_to_for_its_caller() {
        let of = |kind| Failure::from(Error::Failed(Failed { kind, message: "why".to_owned(), after_ms: Some(7), execution: None }));
        assert_eq!(of(FailureKind::Denied), Failure::denied("why"));
        assert_eq!(of(FailureKind::Unavailable), Failure::unavailable("why"));
        assert_eq!(of(FailureKind::Invalid), Failure::failed("why"));
        assert_eq!(of(FailureKind::RetryAfter), Failure::retry_after(std::time::Duration::from_millis(7), "why"));
        assert_eq!(Failure::from(Error::Loop("why".to_owned())), Failure::permanent("why"));
        assert_eq!(Failure::from(Error::NotGranted("why".to_owned())), Failure::denied("why"));
    }
}
