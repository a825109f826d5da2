//! `wasi:http/outgoing-handler`: a thin coat of the wire.
//!
//! Owns the translation between the standard interface and
//! [`wire`](crate::wire): the request is read into an [`HttpTarget`], checked
//! against the run's access, and sent by the wire; errors become the codes that
//! a guest knows. It never opens anything and never decides: the decision is
//! [`NetAccess::check`], and without its receipt the wire does nothing.

use std::io::ErrorKind;
use std::sync::{Arc, OnceLock};

use ::http::{Request, Response};
use http_body_util::BodyExt;
use wardroom_core::capability::net::{GrantedRequest, HttpTarget, NetAccess, TargetError};
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::credential::{CredentialError, Credentials};
use wardroom_core::witness::{HostFault, Witness};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::wire::{AnswerBody, Budget, Call, HttpLimits, Timeouts, Wire, WireError};

/// What a request being sent reports on the side: nothing, here.
type Background = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Background), Error>;

/// What a gate is lent of its run.
pub struct GateRun {
    /// Told what happens.
    pub witness: Arc<dyn Witness>,
    /// What may be filled in.
    pub credentials: Arc<dyn Credentials>,
}

/// One run's way to the network.
///
/// Where nothing is granted it still stands there, and refuses by name.
pub struct HttpGate {
    wire: Arc<Wire>,
    access: Arc<NetAccess>,
    witness: Arc<dyn Witness>,
    credentials: Arc<dyn Credentials>,
    budget: Arc<Budget>,
    /// The first failure of ours: the guest sees an internal error, the run
    /// ends with the host to blame.
    fault: Arc<OnceLock<HostFault>>,
}

impl HttpGate {
    /// For one run, with nothing of `limits` used.
    #[must_use]
    pub fn new(wire: Arc<Wire>, access: Arc<NetAccess>, run: GateRun, limits: HttpLimits) -> Self {
        let budget = Arc::new(Budget::new(limits));
        Self { wire, access, witness: run.witness, credentials: run.credentials, budget, fault: Arc::default() }
    }

    /// What of ours failed under a request, if anything did.
    #[must_use]
    pub fn fault(&self) -> Option<HostFault> {
        self.fault.get().cloned()
    }

    /// The placeholder of an address becomes the address before it is checked.
    fn grant(&self, request: &Request<WasiBody>) -> Result<GrantedRequest, Error> {
        let url = request.uri().to_string();
        let written = HttpTarget::parse(request.method().as_str(), &url).map_err(unreadable)?;
        let address = self.credentials.target(&written).map_err(|error| self.failed(WireError::Credential(error)))?;
        let target = address.unwrap_or(written);
        self.access.check(&target).map_err(|refusal| refused(&*self.witness, &refusal))
    }

    fn failed(&self, error: WireError) -> Error {
        failed(error, &*self.witness, &self.fault)
    }
}

impl std::fmt::Debug for HttpGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpGate").field("access", &self.access).field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl WasiHttpHooks for HttpGate {
    /// What a body's stream takes before it is sent is kept by the host.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        super::requests::BODY_CHUNK_BYTES
    }

    /// The wire sets it from the checked target.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_processed: Background,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let granted = match self.grant(&request) {
            Ok(granted) => granted,
            Err(error) => return Box::new(std::future::ready(Err(error))),
        };
        let (wire, budget) = (Arc::clone(&self.wire), Arc::clone(&self.budget));
        let (witness, fault) = (Arc::clone(&self.witness), Arc::clone(&self.fault));
        let credentials = Arc::clone(&self.credentials);
        let timeouts = timeouts(options, wire.timeouts());
        Box::new(async move {
            let call = Call { timeouts, budget: &budget, witness: &*witness, credentials: &*credentials };
            match wire.send(request, granted, call).await {
                Ok(response) => Ok((response.map(body), Box::new(async { Ok(()) }) as Background)),
                Err(error) => Err(failed(error, &*witness, &fault)),
            }
        })
    }
}

/// What the guest is told of a request that got no answer; what concerns
/// others is told them.
fn failed(error: WireError, witness: &dyn Witness, fault: &OnceLock<HostFault>) -> Error {
    match error {
        WireError::Refused(refusal) | WireError::Credential(CredentialError::Refused(refusal)) => refused(witness, &refusal),
        WireError::Credential(CredentialError::Unfit(reason)) => {
            let wanted = "filling a request".to_owned();
            refused(witness, &Refusal { capability: Capability::Credentials, wanted, reason, scope: None })
        }
        WireError::Host(error) | WireError::Credential(CredentialError::Host(error)) => {
            // Only the first is kept: the others follow from it.
            drop(fault.set(error));
            Error::InternalError(None)
        }
        error => code(&error),
    }
}

/// Records a refusal; the guest gets its ordinary answer.
fn refused(witness: &dyn Witness, refusal: &Refusal) -> Error {
    witness.refused(refusal);
    Error::HttpRequestDenied
}

/// The guest's wishes, up to ours.
fn timeouts(options: Option<RequestOptions>, ours: Timeouts) -> Timeouts {
    let asked = options.unwrap_or_default();
    ours.capped(Timeouts {
        connect: asked.connect_timeout.unwrap_or(ours.connect),
        first_byte: asked.first_byte_timeout.unwrap_or(ours.first_byte),
        between_bytes: asked.between_bytes_timeout.unwrap_or(ours.between_bytes),
    })
}

fn body(body: AnswerBody) -> WasiBody {
    body.map_err(|error| code(&error)).boxed_unsync()
}

const fn unreadable(error: TargetError) -> Error {
    match error {
        TargetError::TooLong => Error::HttpRequestUriTooLong,
        TargetError::Method => Error::HttpRequestMethodInvalid,
        _ => Error::HttpRequestUriInvalid,
    }
}

/// The code of `wasi:http` that says it best.
fn code(error: &WireError) -> Error {
    match error {
        WireError::Refused(_) | WireError::Credential(_) => Error::HttpRequestDenied,
        WireError::Encoding => Error::HttpResponseContentCoding(None),
        WireError::TooManyRequests { .. } | WireError::TooManyConnections => Error::ConnectionLimitReached,
        WireError::Target => Error::HttpRequestUriInvalid,
        WireError::ContentLength => Error::HttpRequestBodySize(None),
        WireError::RequestHead { limit } => Error::HttpRequestHeaderSectionSize(u32::try_from(*limit).ok()),
        WireError::RequestBody { limit } => Error::HttpRequestBodySize(Some(*limit)),
        WireError::NameNotFound { .. } => Error::DnsError { rcode: Some("name not found".to_owned()), info_code: None },
        WireError::NameTimeout { .. } => Error::DnsTimeout,
        WireError::Connect { source, .. } => connect_code(source.kind()),
        WireError::ConnectTimeout { .. } => Error::ConnectionTimeout,
        WireError::Proxy { .. } => Error::DestinationUnavailable,
        WireError::Certificate { .. } => Error::TlsCertificateError,
        WireError::Tls { .. } => Error::TlsProtocolError,
        WireError::FirstByteTimeout => Error::HttpResponseTimeout,
        WireError::BetweenBytesTimeout => Error::ConnectionReadTimeout,
        WireError::ResponseHead { limit } => Error::HttpResponseHeaderSectionSize(u32::try_from(*limit).ok()),
        WireError::ResponseBody { limit } => Error::HttpResponseBodySize(Some(*limit)),
        WireError::Incomplete => Error::HttpResponseIncomplete,
        WireError::Protocol { .. } => Error::HttpProtocolError,
        WireError::Host(_) => Error::InternalError(None),
    }
}

const fn connect_code(kind: ErrorKind) -> Error {
    match kind {
        ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        ErrorKind::TimedOut => Error::ConnectionTimeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Error::DestinationIpUnroutable,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof => Error::ConnectionTerminated,
        _ => Error::DestinationUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use http_body_util::Empty;
    use wardroom_core::credential::NoCredentials;
    use wardroom_core::log::{LogLine, Progress};
    use wardroom_core::witness::BoxFuture;

    use super::*;
    use crate::wire::WireConfig;

    /// Remembers refusals; its start row fails where told so.
    #[derive(Default)]
    struct Notes {
        refused: Mutex<Vec<Refusal>>,
        broken: bool,
    }

    impl Witness for Notes {
        fn line(&self, _: &LogLine) {}
        fn progress(&self, _: &Progress) {}
        fn refused(&self, refusal: &Refusal) {
            self.refused.lock().unwrap().push(refusal.clone());
        }
        fn contacted(&self, _: &str) {}
        fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
            let answer = if self.broken { Err(HostFault("disk full".to_owned())) } else { Ok(()) };
            Box::pin(std::future::ready(answer))
        }
    }

    fn gate(scopes: &[&str], notes: &Arc<Notes>) -> HttpGate {
        let scopes = scopes.iter().map(|text| text.parse().unwrap()).collect();
        let wire = Wire::new(WireConfig::default()).unwrap();
        let run = GateRun { witness: Arc::clone(notes) as Arc<dyn Witness>, credentials: Arc::new(NoCredentials) };
        HttpGate::new(Arc::new(wire), Arc::new(NetAccess::new(scopes)), run, HttpLimits::default())
    }

    async fn send(gate: &mut HttpGate, url: &str) -> Result<u16, Error> {
        let body: WasiBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(url).body(body).unwrap();
        let sent = gate.send_request(request, None, Box::new(async { Ok(()) }));
        Box::into_pin(sent).await.map(|(response, _)| response.status().as_u16())
    }

    #[tokio::test]
    async fn a_request_without_a_grant_is_refused_and_recorded() {
        let notes = Arc::new(Notes::default());
        let mut gate = gate(&[], &notes);
        assert!(matches!(send(&mut gate, "https://example.org/x?y=z").await, Err(Error::HttpRequestDenied)));
        let refused = notes.refused.lock().unwrap().clone();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].flag().as_deref(), Some("--allow-net=https://example.org,GET"));
        assert_eq!(refused[0].wanted, "GET https://example.org/x");
    }

    #[tokio::test]
    async fn a_host_fault_sends_nothing_and_is_remembered() {
        let notes = Arc::new(Notes { broken: true, ..Notes::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut gate = gate(&[&origin], &notes);
        assert!(matches!(send(&mut gate, &origin).await, Err(Error::InternalError(None))));
        assert_eq!(gate.fault().unwrap().to_string(), "disk full");
        let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "a connection was opened without a start row");
    }

    #[test]
    fn a_guest_lowers_a_timeout_and_never_raises_it() {
        let ours = Timeouts::default();
        let asked = RequestOptions {
            connect_timeout: Some(Duration::from_millis(1)),
            first_byte_timeout: Some(Duration::from_secs(6000)),
            between_bytes_timeout: None,
        };
        let expected = Timeouts { connect: Duration::from_millis(1), ..ours };
        assert_eq!(timeouts(Some(asked), ours), expected);
        assert_eq!(timeouts(None, ours), ours);
    }
}
