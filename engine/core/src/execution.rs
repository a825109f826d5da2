//! The life of an execution, as words; the database moves it (one place).

use serde::{Deserialize, Serialize};

/// Where an execution stands.
///
/// ```text
///  queued ──▶ running ──▶ success | failed | timeout | cancelled
///     │          ├──────▶ awaiting-approval   (the guest asked for a person)
///     │          └──────▶ interrupted         (its process died)
///     └──▶ skipped | cancelled
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Runs.
    Running,
    /// Waits for a person.
    AwaitingApproval,
    /// Ended with a result.
    Success,
    /// Ended without one.
    Failed,
    /// Ended at its deadline.
    Timeout,
    /// Ended because somebody said so.
    Cancelled,
    /// Never ran, for a reason in its row.
    Skipped,
    /// The process that ran it died.
    Interrupted,
}

impl Status {
    /// All of them, in the order of the drawing.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::AwaitingApproval,
        Self::Success,
        Self::Failed,
        Self::Timeout,
        Self::Cancelled,
        Self::Skipped,
        Self::Interrupted,
    ];

    /// The word in rows, JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Nothing will change it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::AwaitingApproval)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let found = Self::ALL.into_iter().find(|status| status.name() == text);
        found.ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no status: expected one of {all}", all = Status::ALL.map(Status::name).join(", "))]
pub struct UnknownStatus(pub String);

/// What asked for an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trigger {
    /// A person at the command line.
    Cli,
    /// A slot of its task's schedule.
    Schedule,
    /// Another task's success.
    After,
    /// Another task's failure.
    OnFailure,
    /// Another task's first success after a failure.
    OnRecovery,
    /// A file that changed.
    Files,
    /// An assistant, over MCP.
    Mcp,
    /// Another execution, which called it.
    Call,
}

impl Trigger {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Schedule => "schedule",
            Self::After => "after",
            Self::OnFailure => "on-failure",
            Self::OnRecovery => "on-recovery",
            Self::Files => "files",
            Self::Mcp => "mcp",
            Self::Call => "call",
        }
    }
}
