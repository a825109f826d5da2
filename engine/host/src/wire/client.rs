//! One request, from receipt to response.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use wardroom_core::capability::net::{HttpTarget, Lookup, Scheme};
use wardroom_core::credential::{Draft, Redact};
use wardroom_core::witness::Witness;

use super::body::{Lifeline, RequestBody, ResponseBody, Source};
use super::scrub::AnswerBody;
use super::{
    BoxConnection, BoxError, Budget, Call, GrantedAddress, GrantedRequest, MAX_ADDRESSES, MAX_RESPONSE_HEAD_BYTES, MAX_RESPONSE_HEADERS,
    ProxyConfig, Slot, Wire, WireError, headers, proxy, scrub,
};

impl Wire {
    /// Sends one granted request and returns its response as soon as its head
    /// is read. Dropping the future, or the response's body, closes the
    /// connection.
    ///
    /// Method, host, path and query are those of the receipt; of `request` only
    /// headers and body are taken. The witness learns of the effect before
    /// anything, a look-up included, leaves the machine.
    ///
    /// # Errors
    ///
    /// [`WireError`]; [`WireError::Refused`] where the host's name leads to no
    /// address that the receipt admits.
    pub async fn send<B>(&self, request: Request<B>, granted: GrantedRequest, call: Call<'_>) -> Result<Response<AnswerBody>, WireError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let limits = call.budget.limits();
        let call = Call { timeouts: self.timeouts.capped(call.timeouts), ..call };
        let target = granted.target();
        if body.size_hint().lower() > limits.max_request_body {
            return Err(WireError::RequestBody { limit: limits.max_request_body });
        }
        let head = headers::outgoing(parts.headers, target, body.size_hint().exact())?;
        call.budget.take_request()?;
        let held = call.credentials.wants_body(target);
        let body = if held { Source::hold(body, call.timeouts.first_byte).await? } else { Source::streaming(body) };
        let draft = draft(&head, &body, target);
        let carries = call.credentials.check(&draft).map_err(WireError::Credential)?;

        let deadline = Instant::now() + call.timeouts.connect;
        let slot = self.slot(call.budget, deadline).await?;
        call.witness.effect().await?;
        let connection = self.connect(&granted, call.witness, deadline).await?;

        let looked_through = call.credentials.is_for(granted.target());
        let (request, body) = if carries {
            let filled = call.credentials.fill(draft).await.map_err(WireError::Credential)?;
            self.filled(filled, &granted, body)?
        } else {
            (self.compose(head, &granted, &draft.path_and_query)?, body)
        };
        let (body, stop) = RequestBody::new(body, limits.max_request_body);
        let exchanged = exchange(connection, quiet(request, looked_through).map(|()| body), call, slot).await;
        match exchanged {
            Err(_) if stop.over() => Err(WireError::RequestBody { limit: limits.max_request_body }),
            Err(_) if stop.placeholder() => Err(WireError::Credential(call.credentials.found_in_stream(granted.target()))),
            Ok((response, lifeline)) => {
                let redact = looked_through.then(|| call.credentials.redactor());
                finish(response, lifeline, call, redact).await
            }
            Err(error) => Err(error),
        }
    }

    /// The request line from the receipt; the path as it is given, which is
    /// the receipt's but for what was filled in.
    fn compose(&self, headers: HeaderMap, granted: &GrantedRequest, path_and_query: &str) -> Result<Request<()>, WireError> {
        let target = granted.target();
        let through_proxy = self.proxy.is_some() && ProxyConfig::takes(granted);
        let mut request = Request::new(());
        *request.method_mut() = target.method().parse().map_err(|_| WireError::Target)?;
        *request.uri_mut() = proxy::request_uri(target, path_and_query, through_proxy)?;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// A request with its values in place.
    fn filled<B>(&self, draft: Draft, granted: &GrantedRequest, body: Source<B>) -> Result<(Request<()>, Source<B>), WireError> {
        let mut fields = HeaderMap::new();
        for (name, value) in draft.headers {
            let name = HeaderName::try_from(name).map_err(|_| WireError::Target)?;
            let mut value = HeaderValue::try_from(value).map_err(|_| WireError::Target)?;
            // Not shown by anything that prints headers.
            value.set_sensitive(true);
            fields.append(name, value);
        }
        let body = match draft.body {
            Some(bytes) => Source::whole(bytes),
            None => body,
        };
        Ok((self.compose(fields, granted, &draft.path_and_query)?, body))
    }

    async fn slot(&self, budget: &Budget, deadline: Instant) -> Result<Slot, WireError> {
        // First the run's own: one run's queue must not hold the process's.
        let run = permit(&budget.connections, deadline).await?;
        let process = permit(&self.connections, deadline).await?;
        Ok(Slot { _run: run, _process: process })
    }

    async fn connect(&self, granted: &GrantedRequest, witness: &dyn Witness, deadline: Instant) -> Result<BoxConnection, WireError> {
        let target = granted.target();
        let late = || WireError::ConnectTimeout { endpoint: target.endpoint() };
        let opened = async {
            let via = self.proxy.as_ref().filter(|_| ProxyConfig::takes(granted));
            let raw = match via {
                None => self.reach(granted, &target.endpoint(), witness, deadline).await?,
                Some(proxy) => {
                    let hop = proxy.granted().map_err(|refusal| WireError::Refused(Box::new(refusal)))?;
                    let raw = self.reach(&hop, &target.endpoint(), witness, deadline).await?;
                    if target.scheme() == Scheme::Https { proxy::tunnel(raw, target).await? } else { raw }
                }
            };
            match target.scheme() {
                Scheme::Http => Ok(raw),
                Scheme::Https => self.tls.handshake(raw, target).await,
            }
        };
        // Look-up and dialling watch the same deadline and say more about it.
        timeout_at(deadline, opened).await.unwrap_or_else(|_| Err(late()))
    }

    /// Resolves once, keeps what is admitted, and dials it in order. `endpoint`
    /// is what the witness hears: the target, also where a proxy is dialled.
    async fn reach(
        &self,
        granted: &GrantedRequest,
        endpoint: &str,
        witness: &dyn Witness,
        deadline: Instant,
    ) -> Result<BoxConnection, WireError> {
        let found = match granted.lookup() {
            Lookup::Addresses(addresses) => addresses,
            Lookup::Name(name) => self.look_up(name, deadline).await?,
        };
        let admitted = admit(granted, found)?;
        witness.contacted(endpoint);
        let late = || WireError::ConnectTimeout { endpoint: endpoint.to_owned() };
        let mut last = late();
        for (index, address) in admitted.iter().enumerate() {
            // One dead address leaves its share of the time to the others.
            let shares = u32::try_from(admitted.len() - index).unwrap_or(1);
            let share = deadline.saturating_duration_since(Instant::now()) / shares.max(1);
            match timeout(share, self.dialer.dial(address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(source)) => last = WireError::Connect { endpoint: endpoint.to_owned(), source },
                Err(_) => last = late(),
            }
        }
        Err(last)
    }

    async fn look_up(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, WireError> {
        let missing = |source: Option<io::Error>| WireError::NameNotFound { name: name.to_owned(), source };
        match timeout_at(deadline, self.resolver.resolve(name)).await {
            Err(_) => Err(WireError::NameTimeout { name: name.to_owned() }),
            Ok(Err(source)) => Err(missing(Some(source))),
            Ok(Ok(addresses)) if addresses.is_empty() => Err(missing(None)),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }
}

async fn permit(semaphore: &Arc<Semaphore>, deadline: Instant) -> Result<tokio::sync::OwnedSemaphorePermit, WireError> {
    let free = Arc::clone(semaphore).acquire_owned();
    match timeout_at(deadline, free).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(WireError::TooManyConnections),
    }
}

/// The admitted ones of what was found; the first refusal where none is.
fn admit(granted: &GrantedRequest, found: Vec<IpAddr>) -> Result<Vec<GrantedAddress>, WireError> {
    let mut admitted = Vec::new();
    let mut refused = None;
    for address in found.into_iter().take(MAX_ADDRESSES) {
        match granted.admit(address) {
            Ok(address) => admitted.push(address),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    match refused {
        Some(refusal) if admitted.is_empty() => Err(WireError::Refused(Box::new(refusal))),
        _ => Ok(admitted),
    }
}

/// Sends, and reads the response's head.
async fn exchange<B>(
    connection: BoxConnection,
    request: Request<RequestBody<B>>,
    call: Call<'_>,
    slot: Slot,
) -> Result<(Response<Incoming>, Lifeline), WireError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut sender, driver) = http1::Builder::new()
        .max_headers(MAX_RESPONSE_HEADERS)
        .max_header_size(MAX_RESPONSE_HEAD_BYTES)
        .max_buf_size(MAX_RESPONSE_HEAD_BYTES)
        .handshake(TokioIo::new(connection))
        .await
        .map_err(WireError::from_hyper)?;
    // Its errors come back through the response and its body.
    let driver = tokio::spawn(async move { drop(driver.await) });
    let lifeline = Lifeline::new(driver, slot);
    let response = timeout(call.timeouts.first_byte, sender.send_request(request))
        .await
        .map_err(|_| WireError::FirstByteTimeout)?
        .map_err(WireError::from_hyper)?;
    Ok((response, lifeline))
}

/// What the vault is shown of a request.
fn draft<B>(head: &HeaderMap, body: &Source<B>, target: &HttpTarget) -> Draft {
    Draft {
        target: target.clone(),
        path_and_query: target.path_and_query(),
        headers: head.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
        body: body.bytes().map(<[u8]>::to_vec),
    }
}

/// What will be looked through is asked for in the clear: what is compressed has
/// to be unpacked first.
fn quiet(mut request: Request<()>, looked_through: bool) -> Request<()> {
    if looked_through {
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    request
}

async fn finish(
    response: Response<Incoming>,
    lifeline: Lifeline,
    call: Call<'_>,
    redact: Option<&dyn Redact>,
) -> Result<Response<AnswerBody>, WireError> {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        // Upgrade was never sent: what follows would be no HTTP.
        return Err(WireError::Protocol { source: None });
    }
    if !headers::is_plainly_framed(&parts.headers) {
        return Err(WireError::Encoding);
    }
    parts.headers = headers::incoming(parts.headers);
    // What the client attached (a reason phrase, an upgrade) is not for guests.
    parts.extensions = http::Extensions::new();
    let limit = call.budget.limits().max_response_body;
    let body = ResponseBody::new(body, limit, call.timeouts.between_bytes, lifeline)?;
    scrub::response(parts, body, limit, redact).await
}
