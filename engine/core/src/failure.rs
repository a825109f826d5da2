//! How a run ends, and who has to act.

use serde::{Deserialize, Serialize};

use crate::blame::Blame;
use crate::capability::Refusal;
use crate::execution::Status;

/// Why a run ended without a result.
///
/// The first seven are the guest's own typed failures (`failure` in
/// `wit/automation.wit`); the others are ours, about the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The params do not fit.
    Invalid,
    /// Something was refused that the program needs.
    Denied,
    /// Something outside did not answer.
    Unavailable,
    /// The run failed.
    Failed,
    /// The run failed and would fail again.
    Permanent,
    /// Too early.
    RetryAfter,
    /// A person has to agree first.
    NeedsApproval,
    /// A command ended with an exit code other than 0.
    Exit,
    /// The guest trapped: a panic, an unreachable, a stack overflow.
    Trap,
    /// A limit other than the deadline was hit.
    Limit,
    /// The deadline passed.
    Deadline,
    /// Somebody cancelled it.
    Cancelled,
    /// The program could not be started: it is no component, lacks what was
    /// asked of it, or imports what no host serves.
    Program,
    /// Our own fault, or the machine's.
    Host,
}

impl FailureKind {
    /// The lower-case word, as in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
            Self::Permanent => "permanent",
            Self::RetryAfter => "retry_after",
            Self::NeedsApproval => "needs_approval",
            Self::Exit => "exit",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
            Self::Program => "program",
            Self::Host => "host",
        }
    }

    /// Who has to act.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Invalid | Self::Denied | Self::NeedsApproval | Self::Cancelled => Blame::Operator,
            Self::Host => Blame::Host,
            _ => Blame::Guest,
        }
    }
}

/// A run that ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of end.
    pub kind: FailureKind,
    /// One clause for people, with the guest's own words where it gave some.
    pub message: String,
    /// The guest's stack, one frame a line, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Where in a script it happened, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Milliseconds after which to try again (`retry_after` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The exit code of a command that ended by itself (`exit` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
}

/// A place in a script, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in UTF-16 code units as JavaScript counts them.
    pub column: u32,
}

impl Failure {
    /// A failure of a kind, with its clause.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), stack: None, position: None, retry_after_ms: None, exit_code: None }
    }

    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        self.kind.blame()
    }

    /// The execution's last status when it ends this way.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.kind {
            FailureKind::Deadline => Status::Timeout,
            FailureKind::Cancelled => Status::Cancelled,
            FailureKind::NeedsApproval => Status::AwaitingApproval,
            _ => Status::Failed,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a successful run gave back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// JSON: from a task, a typed function or a script. From a command, where
    /// its standard output is this value's compact text and a line break.
    Json(serde_json::Value),
    /// Standard output that is any other text, as it was written.
    Text(String),
    /// Standard output that is no UTF-8; base64 in JSON.
    Bytes(#[serde(with = "as_base64")] Vec<u8>),
}

mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a run cost and touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Microseconds of processor time in the guest and in host calls on its behalf,
    /// on the run's own thread: at least what they used, and at most as long as its
    /// turns lasted, which those of under a millisecond count.
    pub cpu_us: u64,
    /// Fuel used, for runs with a fuel budget.
    pub fuel: Option<u64>,
    /// The most bytes that all memories and tables held together.
    pub peak_memory: u64,
    /// The `host:port`s it connected to, in the order of first contact.
    pub hosts: Vec<String>,
    /// What was refused, in order; at most [`MAX_REFUSALS`](crate::limit::MAX_REFUSALS).
    pub refusals: Vec<Refusal>,
    /// Log text beyond the cap was dropped.
    pub log_truncated: bool,
    /// Result text beyond the cap was dropped.
    pub output_truncated: bool,
}

/// How a run ended: step 3's answer to step 4.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The result, or why there is none.
    pub ending: Result<Output, Failure>,
    /// Output that a command had written before it failed; kept in the record.
    pub partial_output: Option<Output>,
    /// What it cost and touched.
    pub usage: Usage,
    /// Keys that the run changed (`None`: deleted), to be kept if it succeeded.
    pub state_changes: Vec<(String, Option<String>)>,
    /// How many values of credentials were removed from all of this and from
    /// what the run was answered.
    pub redactions: u64,
}

impl Outcome {
    /// The execution's last status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.ending.as_ref().map_or_else(Failure::status, |_| Status::Success)
    }
}
