//! How a task ends without a result.

use std::fmt;
use std::time::Duration;

use crate::bindings::wardroom::automation::types;

/// Why a task ended without a result, and who has to act.
///
/// The text is shown to people: one clause, without a final period, no secret
/// in it.
///
/// Every [`std::error::Error`] becomes [`Failed`](Self::Failed) with `?`, so
/// that `Failure` itself is no `Error`. An [`std::io::Error`] for a folder that
/// was not granted is told apart by [`Failure::from_io`].
///
/// ```
/// use wardroom_guest::Failure;
///
/// fn total(text: &str) -> Result<u64, Failure> {
///     let mut sum = 0;
///     for number in text.split(',') {
///         sum += number.trim().parse::<u64>()?;
///     }
///     Ok(sum)
/// }
///
/// assert_eq!(total("1, 2, 3"), Ok(6));
/// assert!(matches!(total("1, two"), Err(Failure::Failed(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The params do not fit. Never retried: the caller has to change them.
    Invalid(String),
    /// Something was refused that the task needs. Never retried: the operator
    /// has to grant it.
    Denied(String),
    /// Something outside did not answer. Retried where the task has retries.
    Unavailable(String),
    /// The run failed. Retried where the task has retries.
    Failed(String),
    /// The run failed and would fail again. Never retried.
    Permanent(String),
    /// Too early.
    RetryAfter {
        /// When to try again, from now; at most 7 days.
        after: Duration,
        /// What to wait for.
        reason: String,
    },
    /// A person has to agree first. The run ends here; an approval starts a new
    /// attempt.
    NeedsApproval(String),
}

impl Failure {
    /// The params do not fit.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    /// Something was refused that the task needs.
    pub fn denied(why: impl Into<String>) -> Self {
        Self::Denied(why.into())
    }

    /// Something outside did not answer.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable(why.into())
    }

    /// The run failed.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    /// The run failed and would fail again.
    pub fn permanent(why: impl Into<String>) -> Self {
        Self::Permanent(why.into())
    }

    /// Too early: try again after a time of at most 7 days.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::RetryAfter { after, reason: reason.into() }
    }

    /// A person has to agree first.
    pub fn needs_approval(why: impl Into<String>) -> Self {
        Self::NeedsApproval(why.into())
    }

    /// An error of the file system, with what was being done; a refusal becomes
    /// [`Denied`](Self::Denied), everything else [`Failed`](Self::Failed).
    ///
    /// ```
    /// use wardroom_guest::Failure;
    ///
    /// # fn run() -> Result<(), Failure> {
    /// let text = std::fs::read_to_string("notes/today.md").map_err(|error| Failure::from_io("today's notes cannot be read", &error))?;
    /// # Ok(())
    /// # }
    /// # assert_eq!(run().map_err(|failure| matches!(failure, Failure::Failed(_))), Err(true));
    /// ```
    #[must_use]
    pub fn from_io(what: &str, error: &std::io::Error) -> Self {
        let why = format!("{what}: {error}");
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Denied(why),
            _ => Self::Failed(why),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why)
            | Self::Denied(why)
            | Self::Unavailable(why)
            | Self::Failed(why)
            | Self::Permanent(why)
            | Self::RetryAfter { reason: why, .. }
            | Self::NeedsApproval(why) => f.write_str(why),
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    /// [`Failed`](Self::Failed), with the error and what caused it.
    fn from(error: E) -> Self {
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        Self::Failed(why)
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(why) => Self::Invalid(why),
            Failure::Denied(why) => Self::Denied(why),
            Failure::Unavailable(why) => Self::Unavailable(why),
            Failure::Failed(why) => Self::Failed(why),
            Failure::Permanent(why) => Self::Permanent(why),
            Failure::RetryAfter { after, reason } => {
                let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                Self::RetryAfter(types::RetryAfter { after_ms, reason })
            }
            Failure::NeedsApproval(why) => Self::NeedsApproval(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn any_error_fails_the_run_and_says_why_it_came_about() {
        let inner = "x".parse::<u8>().unwrap_err();
        let failure = Failure::from(io::Error::other(inner));
        assert!(matches!(failure, Failure::Failed(why) if why.contains("invalid digit")));
    }

    #[test]
    fn a_refused_file_is_a_denial_and_a_missing_one_is_not() {
        let of = |kind: io::ErrorKind| Failure::from_io("the list cannot be read", &kind.into());
        assert!(matches!(of(io::ErrorKind::PermissionDenied), Failure::Denied(_)));
        assert!(matches!(of(io::ErrorKind::NotFound), Failure::Failed(_)));
    }

    #[test]
    fn a_wait_crosses_in_milliseconds() {
        let crossed = types::Failure::from(Failure::retry_after(Duration::from_secs(90), "the quota is used up"));
        assert!(matches!(crossed, types::Failure::RetryAfter(retry) if retry.after_ms == 90_000));
    }
}
