//! Calls as a run makes them: the words of a call, and the trait through which
//! the host is lent somebody who starts what is called.
//!
//! The host knows what was granted by name; what has that name, what it may do and
//! how it is run is known to whoever implements [`Calls`].

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::capability::call::CallScope;
use crate::failure::Failure;
use crate::id::ExecutionId;
use crate::witness::{BoxFuture, HostFault};

/// Executions that may have called each other, one from the next, counted without
/// the first.
pub const MAX_CALL_DEPTH: u32 = 8;
/// Calls of one execution and of all that it called together. A loop would
/// otherwise be a thousand programs.
pub const MAX_CALLS: u32 = 1000;
/// Calls of one execution between their start and their end being read. What the
/// host keeps of one is its params and its result, a mebibyte each.
pub const MAX_OPEN_CALLS: usize = 16;

/// Something that may be called, as a program is shown it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalleeView {
    /// Its name.
    pub name: String,
    /// What it is for, in its author's words.
    pub description: String,
    /// JSON Schema (2020-12) of its params.
    pub params: Value,
    /// JSON Schema of its result, where its program says of which type that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// One call that was granted.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// What is called.
    pub callee: CallScope,
    /// With what.
    pub params: Map<String, Value>,
    /// What the caller has left of its own time.
    pub remaining: Duration,
}

/// A call without a result. Texts are one lower-case clause each, and hold nothing
/// that the callee alone may know.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// What was granted is not there any more, or not for this caller.
    #[error("{0}")]
    Gone(String),
    /// The callee is among those that called each other to come here.
    #[error("{0}")]
    Loop(String),
    /// Too deep, or too many.
    #[error("{0}")]
    TooMany(String),
    /// The callee runs already, and not beside itself.
    #[error("{0}")]
    Busy(String),
    /// It ended without a result, or did not begin.
    #[error("{failure}")]
    Failed {
        /// How.
        failure: Failure,
        /// The execution, where it is recorded.
        id: Option<ExecutionId>,
    },
    /// Ours.
    #[error(transparent)]
    Host(HostFault),
}

/// A call on its way. Dropping its end cancels it.
pub struct StartedCall {
    /// The execution that it is to be.
    pub id: ExecutionId,
    /// Its result as JSON, or why there is none.
    pub end: BoxFuture<'static, Result<Value, CallError>>,
}

/// Starts others, for one run. That something was granted is checked before.
pub trait Calls: Send + Sync {
    /// Those of these that can be called now, in order of names.
    ///
    /// # Errors
    ///
    /// [`HostFault`] where that cannot be read.
    fn callees(&self, granted: &[CallScope]) -> Result<Vec<CalleeView>, HostFault>;

    /// Starts one. It goes on by itself, whether anybody waits for it or not.
    ///
    /// # Errors
    ///
    /// [`CallError`] where it may not start.
    fn call(&self, request: CallRequest) -> Result<StartedCall, CallError>;
}

/// Nobody: for whoever grants no call.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCalls;

impl Calls for NoCalls {
    fn callees(&self, _: &[CallScope]) -> Result<Vec<CalleeView>, HostFault> {
        Ok(Vec::new())
    }

    fn call(&self, _: CallRequest) -> Result<StartedCall, CallError> {
        Err(CallError::Host(HostFault("nobody was lent to start what is called".to_owned())))
    }
}
