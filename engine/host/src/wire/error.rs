//! What can go wrong on the wire. No variant carries a header, a query or a
//! body: they may hold secrets.

use std::io;

use wardroom_core::blame::Blame;
use wardroom_core::capability::Refusal;
use wardroom_core::capability::net::{ScopeError, TargetError};
use wardroom_core::credential::CredentialError;
use wardroom_core::witness::HostFault;

/// An error of somebody else's making.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The operator's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireConfigError {
    /// Not PEM, or no certificate in it.
    #[error("extra root {index} holds no certificate; expected PEM text")]
    NoCertificate {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// A certificate that cannot be trusted as a root.
    #[error("extra root {index} is no usable certificate")]
    Certificate {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The proxy's text is no scope.
    #[error("the proxy cannot be read: {0}; expected `http://host:port` or `http://name:port=ADDRESS`")]
    Proxy(#[from] ScopeError),
    /// The proxy's text is no URL.
    #[error("the proxy cannot be read: {0}; expected `http://host:port`")]
    ProxyTarget(#[from] TargetError),
    /// Only plain HTTP towards the proxy.
    #[error("the proxy is not reached over plain http; expected `http://host:port`")]
    ProxyScheme,
    /// A path, methods, or a pattern.
    #[error("the proxy has more than a host and port; expected `http://host:port`")]
    ProxyShape,
}

impl WireConfigError {
    /// Always the operator's own text.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

/// Why a request got no (whole) response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The name leads nowhere that is granted.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A credential does not go there. The first of whatever else was sent may
    /// have left, never a value.
    #[error(transparent)]
    Credential(CredentialError),
    /// The body comes in an encoding that cannot be looked into.
    #[error("the response is encoded as something else than was asked for; expected identity, gzip, deflate or br")]
    Encoding,
    /// The start row could not be written; nothing was sent.
    #[error("nothing was sent: {0}")]
    Host(#[from] HostFault),
    /// More than [`HttpLimits::max_requests`](super::HttpLimits).
    #[error("the run has sent its {limit} requests")]
    TooManyRequests {
        /// The ceiling.
        limit: u64,
    },
    /// No connection became free in time.
    #[error("too many connections are open, and none became free in time")]
    TooManyConnections,
    /// The path cannot stand in a request line.
    #[error("the URL's path cannot be sent")]
    Target,
    /// A length that is no number, or not the body's.
    #[error("the content-length header is not the length of the body")]
    ContentLength,
    /// More than [`MAX_REQUEST_HEAD_BYTES`](super::MAX_REQUEST_HEAD_BYTES).
    #[error("the request's headers are longer than {limit} bytes")]
    RequestHead {
        /// The ceiling.
        limit: usize,
    },
    /// More than [`HttpLimits::max_request_body`](super::HttpLimits).
    #[error("the request's body is longer than {limit} bytes")]
    RequestBody {
        /// The ceiling.
        limit: u64,
    },
    /// The name has no address.
    #[error("the name `{name}` was not found")]
    NameNotFound {
        /// The name.
        name: String,
        /// What the resolver says; none: it answered with nothing.
        source: Option<io::Error>,
    },
    /// The resolver did not answer.
    #[error("looking up `{name}` took longer than allowed")]
    NameTimeout {
        /// The name.
        name: String,
    },
    /// No address took the connection.
    #[error("cannot connect to `{endpoint}`")]
    Connect {
        /// `host:port`.
        endpoint: String,
        /// What the last address tried says.
        source: io::Error,
    },
    /// No connection within [`Timeouts::connect`](super::Timeouts).
    #[error("connecting to `{endpoint}` took longer than allowed")]
    ConnectTimeout {
        /// `host:port`.
        endpoint: String,
    },
    /// The proxy did not open a tunnel.
    #[error("the proxy answered {status} instead of opening a tunnel to `{endpoint}`")]
    Proxy {
        /// `host:port` of the target.
        endpoint: String,
        /// Its status; 0: no HTTP at all.
        status: u16,
    },
    /// The server's certificate is not to be trusted.
    #[error("the certificate of `{endpoint}` is not valid for it")]
    Certificate {
        /// `host:port`.
        endpoint: String,
        /// Why not.
        source: io::Error,
    },
    /// No TLS connection for another reason.
    #[error("no TLS connection to `{endpoint}`")]
    Tls {
        /// `host:port`.
        endpoint: String,
        /// Why not.
        source: io::Error,
    },
    /// No head within [`Timeouts::first_byte`](super::Timeouts).
    #[error("the server did not answer in time")]
    FirstByteTimeout,
    /// No byte of the body within [`Timeouts::between_bytes`](super::Timeouts).
    #[error("the server stopped in the middle of the response")]
    BetweenBytesTimeout,
    /// More than [`MAX_RESPONSE_HEAD_BYTES`](super::MAX_RESPONSE_HEAD_BYTES) or
    /// [`MAX_RESPONSE_HEADERS`](super::MAX_RESPONSE_HEADERS).
    #[error("the response's headers are longer than {limit} bytes, or too many")]
    ResponseHead {
        /// The ceiling in bytes.
        limit: usize,
    },
    /// More than [`HttpLimits::max_response_body`](super::HttpLimits).
    #[error("the response's body is longer than {limit} bytes")]
    ResponseBody {
        /// The ceiling.
        limit: u64,
    },
    /// The connection ended before the response did.
    #[error("the connection ended before the response did")]
    Incomplete,
    /// What came back is not HTTP/1.1, or an answer to something never asked.
    #[error("the server does not keep to HTTP/1.1")]
    Protocol {
        /// What the client says, where it says something.
        source: Option<hyper::Error>,
    },
}

impl WireError {
    /// Who has to act. A server that fails is the guest's to handle: it chose
    /// the server, and gets a code to act upon.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Refused(_) | Self::Proxy { .. } | Self::Credential(CredentialError::Refused(_)) => Blame::Operator,
            Self::Host(_) | Self::Credential(CredentialError::Host(_)) => Blame::Host,
            _ => Blame::Guest,
        }
    }

    /// Sorts what the HTTP client says.
    pub(super) fn from_hyper(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            return Self::ResponseHead { limit: super::MAX_RESPONSE_HEAD_BYTES };
        }
        let ended = error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_io(&error);
        if ended { Self::Incomplete } else { Self::Protocol { source: Some(error) } }
    }
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<io::Error>())
}
