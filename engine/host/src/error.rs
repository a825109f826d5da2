//! What can go wrong before a guest runs, with whom to blame.

use serde::{Deserialize, Serialize};
use wardroom_core::blame::Blame;
use wardroom_core::failure::{Failure, FailureKind};

/// Something went wrong before a guest ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostError {
    /// The bytes are no valid WebAssembly.
    #[error("the program is no valid WebAssembly: {0}")]
    Invalid(String),
    /// A folder of WIT that does not parse.
    #[error("the WIT does not hold: {0}")]
    Wit(String),
    /// The program imports what this host does not serve.
    #[error("the program imports `{name}`, which this host does not serve{}", hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})")))]
    UnknownImport {
        /// The import's whole name.
        name: String,
        /// Which version is served, or what else is known.
        hint: Option<String>,
    },
    /// The program has no such export.
    #[error("the program has no function `{wanted}`{}", near.as_ref().map_or_else(String::new, |near| format!(" (is `{near}` meant?)")))]
    NoFunction {
        /// What was asked for.
        wanted: String,
        /// A name that is near.
        near: Option<String>,
    },
    /// The function's types cannot cross into JSON.
    #[error("the function `{function}` cannot be called with JSON: {reason}")]
    Unsupported {
        /// Which function.
        function: String,
        /// Why.
        reason: String,
    },
    /// The program has several functions and none was named, or nothing at all.
    #[error("{0}")]
    NoEntry(String),
    /// The TypeScript does not parse.
    #[error("{message}")]
    Script {
        /// What the parser says.
        message: String,
        /// Where: line and column, counted from 1.
        position: Option<(u32, u32)>,
    },
    /// Compiling took more than a program may take.
    #[error("compiling the program took more than {0}")]
    CompileLimit(String),
    /// The program is too large.
    #[error("the program has {size} bytes, more than the {max} that are read")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// The ceiling.
        max: u64,
    },
    /// It declares more memories, tables or instances than a run may have.
    #[error("the program needs more than the sandbox has: {0}")]
    TooMuch(String),
    /// The machine, or a bug of ours.
    #[error("{0}")]
    Host(String),
}

impl HostError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Host(_) => Blame::Host,
            Self::NoFunction { .. } | Self::NoEntry(_) => Blame::Operator,
            _ => Blame::Guest,
        }
    }

    /// As the end of an execution.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let kind = match self.blame() {
            Blame::Host => FailureKind::Host,
            Blame::Operator => FailureKind::Invalid,
            Blame::Guest => FailureKind::Program,
        };
        let position = match &self {
            Self::Script { position: Some((line, column)), .. } => Some(wardroom_core::failure::Position { line: *line, column: *column }),
            _ => None,
        };
        Failure { position, ..Failure::new(kind, self.to_string()) }
    }

    pub(crate) fn engine(error: &wasmtime::Error) -> Self {
        Self::Host(format!("the sandbox cannot be set up: {error:#}"))
    }

    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Self::Host(format!("{what}: {error}"))
    }
}
