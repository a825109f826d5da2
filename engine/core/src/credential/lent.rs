//! What a run is lent of the credentials assigned to it.
//!
//! The host never sees how a value is kept: it shows a request as the guest
//! wrote it and gets it back filled, as the last step before the socket.
//!
//! ```text
//!  request ─ target ─▶ net check ─ check ─▶ connect ─ fill ─▶ socket
//!             │                      │                  │
//!             │ kind url: address    │ refused, audited │ used, audited
//! ```

use std::borrow::Cow;

use super::redact::{Redact, RedactStream};
use super::{CredentialKind, CredentialName, SignScheme, Signed, holds_placeholder};
use crate::capability::net::HttpTarget;
use crate::capability::{Capability, Refusal};
use crate::witness::{BoxFuture, HostFault};

/// A credential of a run, as its guest may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Its name.
    pub name: CredentialName,
    /// What it is.
    pub kind: CredentialKind,
    /// What stands in for the value, in this execution alone.
    pub placeholder: String,
}

/// A request about to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where it goes. Already checked against the run's network access.
    pub target: HttpTarget,
    /// Path and query as they will stand in the request line.
    pub path_and_query: String,
    /// Header fields, in order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, where it is held back whole; `None` where it is streamed, and
    /// nothing in it will be filled.
    pub body: Option<Vec<u8>>,
}

/// Why a credential did not do what the guest wanted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It is not assigned, or there is none of this name: a guest cannot tell.
    #[error("no credential `{0}` is assigned to this execution")]
    NotAssigned(String),
    /// The operator did not allow this use.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// It cannot be used like that: what the value or the request lacks. Never
    /// says anything of the value.
    #[error("{0}")]
    Unfit(String),
    /// Something of ours failed.
    #[error(transparent)]
    Host(#[from] HostFault),
}

/// The credentials of one run.
pub trait Credentials: Send + Sync {
    /// What is assigned, in order of names.
    fn assigned(&self) -> Vec<Assigned>;

    /// Where a request really goes: `Some` where its host is the placeholder of
    /// a kind `url`. The answer is checked like any address.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] where the host is a placeholder that this run does
    /// not hold, or carries more than the placeholder.
    fn target(&self, target: &HttpTarget) -> Result<Option<HttpTarget>, CredentialError>;

    /// Whether a body on its way there has to be held back whole, because a
    /// credential may be filled in it.
    fn wants_body(&self, target: &HttpTarget) -> bool;

    /// Whether a value may go there, so that what comes back may hold it. What
    /// others answer is not looked through: a program could otherwise ask any
    /// server to echo its guesses, and see which of them is removed.
    fn is_for(&self, target: &HttpTarget) -> bool;

    /// Whether the request carries placeholders, all of them where they may be
    /// filled. A refusal is audited, and nothing of the request may be sent.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] where one stands where it may not.
    fn check(&self, draft: &Draft) -> Result<bool, CredentialError>;

    /// Puts the values in, and audits that it did. `check` has said yes.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); and where the use cannot be recorded.
    fn fill(&self, draft: Draft) -> BoxFuture<'_, Result<Draft, CredentialError>>;

    /// A placeholder turned up in a body that is streamed: refused, audited.
    fn found_in_stream(&self, target: &HttpTarget) -> CredentialError;

    /// Signs with a credential; audited.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] where it is not assigned for signing, or cannot sign.
    fn sign<'a>(&'a self, name: &'a str, scheme: &'a SignScheme) -> BoxFuture<'a, Result<Signed, CredentialError>>;

    /// The value itself; audited.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] where it is not assigned with `reveal`.
    fn reveal<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, CredentialError>>;

    /// Removes the values from what leaves the run.
    fn redactor(&self) -> &dyn Redact;
}

/// No credentials at all. A placeholder, of whatever execution, still stops a
/// request.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

/// The refusal of a placeholder that this execution does not hold.
#[must_use]
pub fn foreign_placeholder(target: &HttpTarget) -> CredentialError {
    CredentialError::Refused(Box::new(Refusal {
        capability: Capability::Credentials,
        wanted: format!("a placeholder toward {}", target.endpoint()),
        reason: "this execution holds no such placeholder".to_owned(),
        scope: None,
    }))
}

impl Credentials for NoCredentials {
    fn assigned(&self) -> Vec<Assigned> {
        Vec::new()
    }

    fn target(&self, target: &HttpTarget) -> Result<Option<HttpTarget>, CredentialError> {
        if holds_placeholder(target.host().as_bytes()) { Err(foreign_placeholder(target)) } else { Ok(None) }
    }

    fn wants_body(&self, _: &HttpTarget) -> bool {
        false
    }

    fn is_for(&self, _: &HttpTarget) -> bool {
        false
    }

    fn check(&self, draft: &Draft) -> Result<bool, CredentialError> {
        let fields = draft.headers.iter().any(|(name, value)| holds_placeholder(name.as_bytes()) || holds_placeholder(value));
        let body = draft.body.as_deref().is_some_and(holds_placeholder);
        let found = fields || body || holds_placeholder(draft.path_and_query.as_bytes());
        if found { Err(foreign_placeholder(&draft.target)) } else { Ok(false) }
    }

    fn fill(&self, draft: Draft) -> BoxFuture<'_, Result<Draft, CredentialError>> {
        Box::pin(std::future::ready(self.check(&draft).map(|_| draft)))
    }

    fn found_in_stream(&self, target: &HttpTarget) -> CredentialError {
        foreign_placeholder(target)
    }

    fn sign<'a>(&'a self, name: &'a str, _: &'a SignScheme) -> BoxFuture<'a, Result<Signed, CredentialError>> {
        Box::pin(std::future::ready(Err(CredentialError::NotAssigned(name.to_owned()))))
    }

    fn reveal<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(std::future::ready(Err(CredentialError::NotAssigned(name.to_owned()))))
    }

    fn redactor(&self) -> &dyn Redact {
        self
    }
}

impl Redact for NoCredentials {
    fn is_idle(&self) -> bool {
        true
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(bytes)
    }

    fn stream(&self) -> Box<dyn RedactStream> {
        Box::new(*self)
    }

    fn count(&self) -> u64 {
        0
    }
}

impl RedactStream for NoCredentials {
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(piece);
    }

    fn finish(&mut self, _: &mut Vec<u8>) {}
}
