//! Who has to act when something goes wrong.

use serde::{Deserialize, Serialize};

/// The one question every error answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Whoever wrote the program.
    Guest,
    /// The person at the keyboard: a missing grant, a wrong word.
    Operator,
    /// Us, or the machine: a full disk, a bug.
    Host,
}

impl Blame {
    /// The lower-case word, as in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Operator => "operator",
            Self::Host => "host",
        }
    }
}
