//! Log lines and progress, as a guest says them and as they are kept.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How much a line matters; the order is the order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For whoever wrote the program.
    Debug,
    /// For whoever runs it.
    Info,
    /// Something is odd, the run goes on.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

/// A word that is no level.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is no log level: expected debug, info, warn or error")]
pub struct UnknownLevel(pub String);

/// One line of an execution's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When the host received it.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The guest's own text, not yet made safe for a terminal.
    pub text: String,
}

/// How far a run says it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all, where known.
    pub total: Option<u64>,
    /// What is being done, in the guest's words.
    pub message: String,
}
