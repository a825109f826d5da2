//! What is said where something was refused, and who can change it.

use serde::{Deserialize, Serialize};

/// The kinds of capability, named as in manifests and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// Requests and connections over the network.
    Net,
    /// Reading a folder.
    Read,
    /// Reading and writing a folder.
    Write,
    /// Working on a SQLite database.
    Sqlite,
    /// Reading an environment variable.
    Env,
    /// Keeping state from one run to the next.
    State,
    /// Using a credential.
    Credentials,
    /// Starting another task, or a tool.
    Call,
}

impl Capability {
    /// The key in manifests and the word in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "net",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sqlite => "sqlite",
            Self::Env => "env",
            Self::State => "state",
            Self::Credentials => "credentials",
            Self::Call => "call",
        }
    }

    /// The flag of `wardroom run` that grants it, without a value.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Net => "--allow-net",
            Self::Read => "--allow-read",
            Self::Write => "--allow-write",
            Self::Sqlite => "--allow-sqlite",
            Self::Env => "--allow-env",
            Self::State => "--state",
            Self::Credentials => "--credential",
            Self::Call => "--allow-call",
        }
    }
}

/// One refused use of a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of thing was wanted.
    pub capability: Capability,
    /// What the guest tried, for people: `GET https://example.org/x`.
    pub wanted: String,
    /// Why not, as one lower-case clause: `no grant covers it`.
    pub reason: String,
    /// The scope whose grant would have allowed it, where any would: the text
    /// after `=` of the flag. `None` where no grant ever allows it.
    pub scope: Option<String>,
}

impl Refusal {
    /// The exact flag that would allow it: `--allow-net=https://example.org/x,GET`.
    #[must_use]
    pub fn flag(&self) -> Option<String> {
        let scope = self.scope.as_ref()?;
        Some(format!("{}={scope}", self.capability.flag()))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}` refused: {}", self.capability.name(), self.wanted, self.reason)
    }
}
