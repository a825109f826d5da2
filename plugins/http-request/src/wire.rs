//! One exchange over wasi:http, ended at its time.

use std::time::{Duration, Instant};

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme, http_error_code,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::bindings::{Error, Header};
use crate::request::{Bounds, Request};

/// How much of a body is asked for at once.
const READ_BYTES: u64 = 64 << 10;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn exchange(request: &Request, bounds: &Bounds) -> Result<Answer, Error> {
    let deadline = &bounds.deadline;
    let (future, upload) = start(request)?;
    if let Some((stream, body)) = upload {
        let pushed = push(&stream, request.body.as_deref().unwrap_or_default(), deadline);
        // Before the body that it belongs to.
        drop(stream);
        // A write that fails needs no report: the response, or its error, follows.
        if pushed? {
            let _finished = OutgoingBody::finish(body, None);
        }
    }
    let response = loop {
        match future.get() {
            Some(Ok(Ok(response))) => break response,
            Some(Ok(Err(code))) => return Err(refused(&code)),
            Some(Err(())) => return Err(Error::Failed("the response was taken before".to_owned())),
            None => deadline.wait(&future.subscribe())?,
        }
    };
    receive(&response, bounds)
}

/// Until when all is to be done.
pub(crate) struct Deadline {
    end: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self { end: Instant::now() + timeout, timeout }
    }

    fn wait(&self, for_this: &Pollable) -> Result<(), Error> {
        let left = self.end.saturating_duration_since(Instant::now());
        let late = || Error::Unavailable(format!("it took longer than {} ms", self.timeout.as_millis()));
        if left.is_zero() {
            return Err(late());
        }
        let alarm = subscribe_duration(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
        let ready = poll(&[for_this, &alarm]);
        if ready.contains(&0) { Ok(()) } else { Err(late()) }
    }
}

type Started = (FutureIncomingResponse, Option<(OutputStream, OutgoingBody)>);

fn start(request: &Request) -> Result<Started, Error> {
    let fields = Fields::new();
    for header in &request.headers {
        let added = fields.append(&header.name, header.value.as_bytes());
        added.map_err(|_| Error::Invalid(format!("the header `{}` does not hold", header.name)))?;
    }
    if request.body.is_some() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        let length = request.body.as_ref().map_or(0, Vec::len).to_string();
        let added = fields.append("content-length", length.as_bytes());
        added.map_err(|_| Error::Failed("the body's length cannot be said".to_owned()))?;
    }
    let url = &request.url;
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let outgoing = OutgoingRequest::new(fields);
    let set = outgoing
        .set_method(&method(&request.method))
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(&authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&target)));
    set.map_err(|()| Error::Invalid("the request cannot be sent as it is".to_owned()))?;
    let upload = match &request.body {
        None => None,
        Some(_) => {
            let body = outgoing.body().map_err(|()| Error::Failed("the body cannot be sent".to_owned()))?;
            let stream = body.write().map_err(|()| Error::Failed("the body cannot be sent".to_owned()))?;
            Some((stream, body))
        }
    };
    let future = outgoing_handler::handle(outgoing, None).map_err(|code| refused(&code))?;
    Ok((future, upload))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// Writes a body; false where nobody takes it.
fn push(stream: &OutputStream, bytes: &[u8], deadline: &Deadline) -> Result<bool, Error> {
    let mut sent = 0;
    while sent < bytes.len() {
        let Ok(permitted) = stream.check_write() else { return Ok(false) };
        if permitted == 0 {
            deadline.wait(&stream.subscribe())?;
            continue;
        }
        let rest = bytes.get(sent..).unwrap_or_default();
        let piece = rest.get(..usize::try_from(permitted).unwrap_or(usize::MAX)).unwrap_or(rest);
        if stream.write(piece).is_err() {
            return Ok(false);
        }
        sent += piece.len();
    }
    Ok(stream.flush().is_ok())
}

fn receive(response: &IncomingResponse, bounds: &Bounds) -> Result<Answer, Error> {
    let status = response.status();
    let entries = response.headers().entries();
    let headers = entries.into_iter().map(|(name, value)| Header { name, value: String::from_utf8_lossy(&value).into_owned() });
    let gone = |()| Error::Failed("the response has no body to read".to_owned());
    let body = response.consume().map_err(gone)?;
    let stream = body.stream().map_err(gone)?;
    Ok(Answer { status, headers: headers.collect(), body: read(&stream, bounds)? })
}

fn read(stream: &InputStream, bounds: &Bounds) -> Result<Vec<u8>, Error> {
    let mut gathered = Vec::new();
    loop {
        match stream.read(READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => bounds.deadline.wait(&stream.subscribe())?,
            Ok(bytes) if gathered.len() + bytes.len() > bounds.bytes => {
                return Err(Error::TooLarge(format!("the body has more than {} bytes", bounds.bytes)));
            }
            Ok(bytes) => gathered.extend(bytes),
            Err(StreamError::Closed) => return Ok(gathered),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(
                    http_error_code(&error).map_or_else(|| Error::Failed("the response broke off".to_owned()), |code| refused(&code))
                );
            }
        }
    }
}

/// What went wrong, as something that a caller can act on.
fn refused(code: &ErrorCode) -> Error {
    use ErrorCode as E;
    let unavailable = |why: &str| Error::Unavailable(why.to_owned());
    match code {
        E::HttpRequestDenied | E::DestinationIpProhibited => Error::Denied("this address was not granted".to_owned()),
        E::DnsTimeout | E::DnsError(_) | E::DestinationNotFound => unavailable("the host was not found"),
        E::DestinationUnavailable | E::DestinationIpUnroutable => unavailable("the host cannot be reached"),
        E::ConnectionRefused => unavailable("the connection was refused"),
        E::ConnectionTerminated => unavailable("the connection was closed"),
        E::ConnectionTimeout | E::ConnectionReadTimeout | E::ConnectionWriteTimeout | E::HttpResponseTimeout => {
            unavailable("the host took too long")
        }
        E::TlsProtocolError | E::TlsAlertReceived(_) => unavailable("the secure connection failed"),
        E::TlsCertificateError => unavailable("the server's certificate is not valid"),
        E::HttpResponseIncomplete => Error::Failed("the response broke off".to_owned()),
        E::InternalError(Some(message)) => Error::Failed(message.clone()),
        other => Error::Failed(format!("{other:?}")),
    }
}
