//! The wire: the only place that opens sockets.
//!
//! Owns one HTTP/1.1 client on a resolver and a dialler that are lent to it. It
//! takes a [`GrantedRequest`] and dials only a [`GrantedAddress`], and makes
//! neither: both are receipts of `wardroom_core::capability::net`. A name is
//! resolved once per request and the checked address is the dialled one.
//! Redirects are never followed: they are the guest's next request, checked
//! again. Connections are not kept: nothing of one run reaches another.
//!
//! ```text
//!   resolve.rs ─▶ admit (core) ─▶ dial.rs ─▶ [proxy.rs] ─▶ tls.rs ─▶ headers.rs ─▶ client.rs ─▶ body.rs, scrub.rs
//! ```

mod body;
mod client;
mod dial;
mod error;
mod fetch;
mod headers;
mod proxy;
mod resolve;
mod scrub;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wardroom_core::capability::net::{GrantedAddress, GrantedRequest};
use wardroom_core::credential::Credentials;
use wardroom_core::limit::{DEFAULT_HTTP_BODY, DEFAULT_HTTP_REQUESTS, Limits};
use wardroom_core::witness::Witness;

pub use dial::{BoxConnection, Connection, Dial, SystemDialer};
pub use error::{BoxError, WireConfigError, WireError};
pub use fetch::Answer;
pub use headers::is_hop_by_hop;
pub use proxy::ProxyConfig;
pub use resolve::{Resolve, SystemResolver};
pub use scrub::AnswerBody;

use tls::Tls;

/// Bytes of a response's status line and headers, and of its trailers. A server
/// could otherwise fill memory before the body's cap counts.
pub const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;
/// Header fields of a response: each costs more in memory than on the wire.
pub const MAX_RESPONSE_HEADERS: usize = 128;
/// Bytes of a request's headers, names and values together: what servers accept.
pub const MAX_REQUEST_HEAD_BYTES: usize = 64 * 1024;
/// Addresses of one name that are tried. A hostile zone may list thousands, and
/// each would be a connection attempt in the operator's name.
pub const MAX_ADDRESSES: usize = 8;
/// Connections of one run at once; the next waits. Each holds a descriptor and
/// its buffers.
pub const MAX_CONNECTIONS_PER_RUN: usize = 32;
/// Connections of the whole process at once: below the customary 1024
/// descriptors, with room for everything else.
pub const MAX_CONNECTIONS: usize = 512;

/// How much HTTP one run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Requests in all. A loop would otherwise be a flood in the operator's name.
    pub max_requests: u64,
    /// Bytes of one request's body.
    pub max_request_body: u64,
    /// Bytes of one response's body.
    pub max_response_body: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { max_requests: DEFAULT_HTTP_REQUESTS, max_request_body: DEFAULT_HTTP_BODY, max_response_body: DEFAULT_HTTP_BODY }
    }
}

impl From<&Limits> for HttpLimits {
    fn from(limits: &Limits) -> Self {
        Self { max_requests: limits.http_requests, max_request_body: limits.http_body, max_response_body: limits.http_body }
    }
}

/// What one run has left of its [`HttpLimits`].
#[derive(Debug)]
pub struct Budget {
    limits: HttpLimits,
    requests: AtomicU64,
    connections: Arc<Semaphore>,
}

impl Budget {
    /// Nothing used yet.
    #[must_use]
    pub fn new(limits: HttpLimits) -> Self {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS_PER_RUN));
        Self { limits, requests: AtomicU64::new(0), connections }
    }

    /// The ceilings.
    #[must_use]
    pub const fn limits(&self) -> HttpLimits {
        self.limits
    }

    /// Counts one request; the count never falls.
    fn take_request(&self) -> Result<(), WireError> {
        let limit = self.limits.max_requests;
        let left = |used: u64| (used < limit).then(|| used + 1);
        match self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
            Ok(_) => Ok(()),
            Err(_) => Err(WireError::TooManyRequests { limit }),
        }
    }
}

/// How long each step of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands: a free slot, the name, TCP, proxy and TLS,
    /// together.
    pub connect: Duration,
    /// From there until the response's head is read, the request's body
    /// included.
    pub first_byte: Duration,
    /// While reading the response's body: without a single byte.
    pub between_bytes: Duration,
}

/// Short for connecting, long for thinking: some services take a minute before
/// they answer. The run's deadline holds all the same.
impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), first_byte: Duration::from_secs(120), between_bytes: Duration::from_secs(60) }
    }
}

impl Timeouts {
    /// The shorter of both in each step: a guest may lower them, never raise.
    #[must_use]
    pub fn capped(self, asked: Self) -> Self {
        Self {
            connect: self.connect.min(asked.connect),
            first_byte: self.first_byte.min(asked.first_byte),
            between_bytes: self.between_bytes.min(asked.between_bytes),
        }
    }
}

/// What the operator says about the network, once per process.
#[derive(Debug, Clone, Default)]
pub struct WireConfig {
    /// PEM text of certificates to trust beside the well-known ones.
    pub extra_roots: Vec<Vec<u8>>,
    /// Where requests go through, if not straight to their hosts.
    pub proxy: Option<ProxyConfig>,
    /// How long each step may take.
    pub timeouts: Timeouts,
}

/// What a single request brings from its run.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// At most the wire's own.
    pub timeouts: Timeouts,
    /// The run's.
    pub budget: &'a Budget,
    /// The run's.
    pub witness: &'a dyn Witness,
    /// The run's.
    pub credentials: &'a dyn Credentials,
}

/// The HTTP client of a process. Cheap to make: trust is built with the first
/// TLS connection.
pub struct Wire {
    resolver: Arc<dyn Resolve>,
    dialer: Arc<dyn Dial>,
    tls: Tls,
    proxy: Option<ProxyConfig>,
    timeouts: Timeouts,
    connections: Arc<Semaphore>,
}

impl Wire {
    /// On the system's resolver and sockets.
    ///
    /// # Errors
    ///
    /// [`WireConfigError`] where an extra root is no certificate.
    pub fn new(config: WireConfig) -> Result<Self, WireConfigError> {
        Self::with(config, Arc::new(SystemResolver), Arc::new(SystemDialer))
    }

    /// On a resolver and a dialler of the caller's: for tests, and for whoever
    /// has sockets of another kind.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with(config: WireConfig, resolver: Arc<dyn Resolve>, dialer: Arc<dyn Dial>) -> Result<Self, WireConfigError> {
        Ok(Self {
            resolver,
            dialer,
            tls: Tls::new(&config.extra_roots)?,
            proxy: config.proxy,
            timeouts: config.timeouts,
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }

    /// The longest that each step may take here.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("proxy", &self.proxy).field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// The right to hold one connection; given back when dropped.
#[derive(Debug)]
struct Slot {
    _run: OwnedSemaphorePermit,
    _process: OwnedSemaphorePermit,
}
