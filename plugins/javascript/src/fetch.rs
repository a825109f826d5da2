//! One HTTP request and its response over wasi:http, never blocking: each step
//! does what it can and leaves what to wait for to the event loop. Redirects
//! and everything else that makes it `fetch` are in `prelude/fetch.js`.

use rquickjs::{Ctx, Function, IntoJs, Object, Persistent, Result, TypedArray, Value, convert::List, function::Opt, prelude::Func};
use url::Url;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
    http_error_code,
};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::event_loop::{self, Event};
use crate::text::{Bytes, Text};

/// How much of a body is asked for at once.
const READ_BYTES: u64 = 64 * 1024;

/// A request on its way, or a response whose body is still to be read.
pub(crate) struct Exchange {
    /// Who asked for the next step; nobody, while a response lies unread.
    waiter: Option<Waiter>,
    upload: Option<Upload>,
    stage: Stage,
}

struct Waiter {
    done: Persistent<Function<'static>>,
    /// Everything up to the end of the body, or only the next piece.
    whole: bool,
    gathered: Vec<u8>,
}

enum Stage {
    Sent(FutureIncomingResponse),
    Arrived(Download),
    Ended,
}

/// The fields' order is the order of their drops: children before parents.
struct Download {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

struct Upload {
    stream: OutputStream,
    body: OutgoingBody,
    bytes: Vec<u8>,
    sent: usize,
}

/// What a step brought for the waiter.
enum Outcome {
    Pending,
    Head { status: u16, headers: Vec<(String, Vec<u8>)> },
    Piece(Option<Vec<u8>>),
    Failed(Refusal),
}

/// Why an exchange failed: the kind of failure that it is, and the words.
struct Refusal {
    kind: &'static str,
    message: String,
}

impl Exchange {
    pub(crate) fn pollables(&self) -> Vec<Pollable> {
        // Without a waiter nothing comes of it, and a run does not wait for it.
        if self.waiter.is_none() {
            return Vec::new();
        }
        let upload = self.upload.as_ref().map(|upload| upload.stream.subscribe());
        let stage = match &self.stage {
            Stage::Sent(future) => Some(future.subscribe()),
            Stage::Arrived(download) => Some(download.stream.subscribe()),
            Stage::Ended => None,
        };
        upload.into_iter().chain(stage).collect()
    }

    fn step(&mut self) -> Outcome {
        self.push_upload();
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Sent(future) => self.take_response(future),
            Stage::Arrived(download) => self.read_body(download),
            Stage::Ended => Outcome::Piece(self.take_rest()),
        }
    }

    /// A write that fails needs no report: the response, or its error, follows.
    fn push_upload(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        match upload.push() {
            Ok(true) => upload.finish(),
            Ok(false) => self.upload = Some(upload),
            Err(_) => {}
        }
    }

    fn take_response(&mut self, future: FutureIncomingResponse) -> Outcome {
        match future.get() {
            None => {
                self.stage = Stage::Sent(future);
                Outcome::Pending
            }
            Some(Ok(Ok(response))) => self.accept(response),
            Some(Ok(Err(code))) => Outcome::Failed(Refusal::from(code)),
            Some(Err(())) => Outcome::Failed(Refusal::from(ErrorCode::InternalError(None))),
        }
    }

    fn accept(&mut self, response: IncomingResponse) -> Outcome {
        let status = response.status();
        let headers = response.headers().entries();
        let body = response.consume();
        let Some((body, stream)) = body.ok().and_then(|body| body.stream().ok().map(|stream| (body, stream))) else {
            return Outcome::Failed(Refusal::from(ErrorCode::InternalError(None)));
        };
        self.stage = Stage::Arrived(Download { stream, _body: body, _response: response });
        Outcome::Head { status, headers }
    }

    fn read_body(&mut self, download: Download) -> Outcome {
        loop {
            match download.stream.read(READ_BYTES) {
                Ok(bytes) if bytes.is_empty() => {
                    self.stage = Stage::Arrived(download);
                    return Outcome::Pending;
                }
                Ok(bytes) => match &mut self.waiter {
                    Some(waiter) if waiter.whole => waiter.gathered.extend(bytes),
                    _ => {
                        self.stage = Stage::Arrived(download);
                        return Outcome::Piece(Some(bytes));
                    }
                },
                Err(StreamError::Closed) => return Outcome::Piece(self.take_rest()),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = http_error_code(&error);
                    return Outcome::Failed(Refusal::from(code.unwrap_or(ErrorCode::HttpResponseIncomplete)));
                }
            }
        }
    }

    /// All that was gathered; nothing where only the next piece was asked for.
    fn take_rest(&mut self) -> Option<Vec<u8>> {
        let waiter = self.waiter.as_mut().filter(|waiter| waiter.whole)?;
        Some(std::mem::take(&mut waiter.gathered))
    }
}

impl Upload {
    /// Writes what the stream takes; true once all is written.
    fn push(&mut self) -> std::result::Result<bool, StreamError> {
        while self.sent < self.bytes.len() {
            let permitted = usize::try_from(self.stream.check_write()?).unwrap_or(usize::MAX);
            if permitted == 0 {
                return Ok(false);
            }
            let rest = self.bytes.get(self.sent..).unwrap_or_default();
            let piece = rest.get(..permitted).unwrap_or(rest);
            self.stream.write(piece)?;
            self.sent += piece.len();
        }
        self.stream.flush()?;
        Ok(true)
    }

    fn finish(self) {
        drop(self.stream);
        // An error here comes back as the response's.
        let _finished = OutgoingBody::finish(self.body, None);
    }
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { kind: "failed", message: message.into() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        use ErrorCode as E;
        let (kind, message) = match code {
            E::HttpRequestDenied => ("denied", "the request was refused: this task may not make it"),
            E::DestinationIpProhibited => ("denied", "the request was refused: its address is not allowed"),
            E::DnsTimeout => ("unavailable", "looking up the host took too long"),
            E::DnsError(_) | E::DestinationNotFound => ("unavailable", "the host was not found"),
            E::DestinationUnavailable | E::DestinationIpUnroutable => ("unavailable", "the host cannot be reached"),
            E::ConnectionRefused => ("unavailable", "the connection was refused"),
            E::ConnectionTerminated => ("unavailable", "the connection was closed"),
            E::ConnectionTimeout => ("unavailable", "connecting took too long"),
            E::ConnectionReadTimeout | E::HttpResponseTimeout => ("unavailable", "the response took too long"),
            E::ConnectionWriteTimeout => ("unavailable", "sending the request took too long"),
            E::ConnectionLimitReached => ("unavailable", "too many connections are open"),
            E::TlsProtocolError | E::TlsAlertReceived(_) => ("unavailable", "the secure connection failed"),
            E::TlsCertificateError => ("unavailable", "the server's certificate is not valid"),
            E::HttpResponseIncomplete => ("unavailable", "the response broke off"),
            E::HttpProtocolError => ("unavailable", "the server's answer is no HTTP"),
            E::HttpRequestUriInvalid => ("failed", "the request's URL is not valid"),
            E::HttpRequestMethodInvalid => ("failed", "the request's method is not valid"),
            E::HttpRequestBodySize(_) => ("failed", "the request's body is too large"),
            E::HttpResponseBodySize(_) => ("failed", "the response's body is too large"),
            E::InternalError(Some(message)) => return Self::invalid(message),
            other => return Self::invalid(words(&format!("{other:?}"))),
        };
        Self { kind, message: message.to_owned() }
    }
}

/// `ErrorCode::LoopDetected` as `loop detected`.
fn words(variant: &str) -> String {
    let name = variant.rsplit("::").next().unwrap_or(variant);
    let spaced = name.chars().flat_map(|letter| {
        let gap = letter.is_uppercase().then_some(' ');
        gap.into_iter().chain(letter.to_lowercase())
    });
    spaced.collect::<String>().trim_start().to_owned()
}

pub(crate) fn install(host: &Object<'_>) -> Result<()> {
    host.set("sendExchange", Func::from(send_exchange))?;
    host.set("readExchange", Func::from(read_exchange))?;
    host.set("closeExchange", Func::from(close_exchange))?;
    host.set("statusText", Func::from(status_text))
}

/// Starts a request. Its id, or `[kind, message]` where it cannot even be sent.
fn send_exchange<'js>(
    ctx: Ctx<'js>,
    method: Text,
    url: Text,
    headers: Vec<Vec<Text>>,
    body: Option<Bytes>,
    done: Function<'js>,
) -> Result<Value<'js>> {
    let done = Persistent::save(&ctx, done);
    match start(&method.0, &url.0, headers, body.map(|Bytes(bytes)| bytes)) {
        Ok((future, upload)) => {
            let waiter = Waiter { done, whole: false, gathered: Vec::new() };
            let exchange = Exchange { waiter: Some(waiter), upload, stage: Stage::Sent(future) };
            event_loop::with(|waiting| {
                let id = waiting.next_id();
                waiting.exchanges.insert(id, exchange);
                waiting.announce(Event::Exchange(id));
                id
            })
            .into_js(&ctx)
        }
        Err(refusal) => List((refusal.kind, refusal.message)).into_js(&ctx),
    }
}

type Started = (FutureIncomingResponse, Option<Upload>);

fn start(method: &str, url: &str, headers: Vec<Vec<Text>>, body: Option<Vec<u8>>) -> std::result::Result<Started, Refusal> {
    let fields = fields(headers, method, body.as_deref())?;
    let request = request(method, url, fields)?;
    let upload = body.map(|bytes| open_upload(&request, bytes)).transpose()?;
    let future = outgoing_handler::handle(request, None).map_err(Refusal::from)?;
    Ok((future, upload))
}

fn request(method: &str, url: &str, fields: Fields) -> std::result::Result<OutgoingRequest, Refusal> {
    let url = Url::parse(url).map_err(|error| Refusal::invalid(error.to_string()))?;
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let request = OutgoingRequest::new(fields);
    let set = request
        .set_method(&method_of(method))
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(&authority)))
        .and_then(|()| request.set_path_with_query(Some(&target)));
    set.map_err(|()| Refusal::invalid(format!("{method} {} cannot be sent", url.path())))?;
    Ok(request)
}

fn method_of(method: &str) -> Method {
    match method {
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

/// The script's headers, with what every client adds where they are missing.
fn fields(headers: Vec<Vec<Text>>, method: &str, body: Option<&[u8]>) -> std::result::Result<Fields, Refusal> {
    let fields = Fields::new();
    for pair in headers {
        let [Text(name), Text(value)] = pair.as_slice() else { continue };
        // The body's own length is what counts; another would only break the request.
        if name != "content-length" {
            append(&fields, name, &latin1(value))?;
        }
    }
    for (name, value) in [("accept", "*/*"), ("user-agent", "Wardroom")] {
        if !fields.has(name) {
            append(&fields, name, value.as_bytes())?;
        }
    }
    let length = body.map_or(0, <[u8]>::len);
    if body.is_some() || matches!(method, "POST" | "PUT" | "PATCH") {
        append(&fields, "content-length", length.to_string().as_bytes())?;
    }
    Ok(fields)
}

fn append(fields: &Fields, name: &str, value: &[u8]) -> std::result::Result<(), Refusal> {
    fields.append(name, value).map_err(|error| match error {
        HeaderError::Forbidden => Refusal::invalid(format!("the header '{name}' cannot be set by a script")),
        _ => Refusal::invalid(format!("the header '{name}' is not valid")),
    })
}

/// Header values are bytes, which scripts see as the characters U+0000 to U+00FF.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

fn open_upload(request: &OutgoingRequest, bytes: Vec<u8>) -> std::result::Result<Upload, Refusal> {
    let broken = |()| Refusal::from(ErrorCode::InternalError(None));
    let body = request.body().map_err(broken)?;
    let stream = body.write().map_err(broken)?;
    Ok(Upload { stream, body, bytes, sent: 0 })
}

/// Asks for the next piece of a response's body, or for all of it.
fn read_exchange<'js>(ctx: Ctx<'js>, id: u32, whole: bool, done: Function<'js>) -> Result<()> {
    let waiter = Waiter { done: Persistent::save(&ctx, done.clone()), whole, gathered: Vec::new() };
    let is_open = event_loop::with(|waiting| {
        let Some(exchange) = waiting.exchanges.get_mut(&id) else { return false };
        exchange.waiter = Some(waiter);
        waiting.announce(Event::Exchange(id));
        true
    });
    if is_open {
        return Ok(());
    }
    let message = "the response was closed";
    done.call((List(("failed", message)),))
}

/// Gives up an exchange; the other side sees its connection close.
fn close_exchange(Opt(id): Opt<Option<u32>>) {
    let closed = id.flatten().and_then(|id| event_loop::with(|waiting| waiting.exchanges.remove(&id)));
    drop(closed);
}

/// Moves an exchange on and tells its waiter what came of it.
pub(crate) fn advance(ctx: &Ctx<'_>, id: u32) -> Result<()> {
    let found = event_loop::with(|waiting| {
        let exchange = waiting.exchanges.get_mut(&id)?;
        exchange.waiter.as_ref()?;
        let outcome = exchange.step();
        if matches!(outcome, Outcome::Pending) {
            return None;
        }
        let waiter = exchange.waiter.take()?;
        Some((waiter.done, outcome))
    });
    let Some((done, outcome)) = found else { return Ok(()) };
    let done = done.restore(ctx)?;
    match outcome {
        Outcome::Pending => Ok(()),
        Outcome::Head { status, headers } => {
            let headers: Vec<_> = headers.into_iter().map(|(name, value)| List((name, from_latin1(&value)))).collect();
            done.call((Value::new_null(ctx.clone()), List((id, status, headers))))
        }
        Outcome::Piece(Some(bytes)) => done.call((Value::new_null(ctx.clone()), TypedArray::<u8>::new(ctx.clone(), bytes)?)),
        Outcome::Piece(None) => done.call((Value::new_null(ctx.clone()), Value::new_null(ctx.clone()))),
        Outcome::Failed(refusal) => {
            close_exchange(Opt(Some(Some(id))));
            done.call((List((refusal.kind, refusal.message)),))
        }
    }
}

fn from_latin1(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}

/// The usual words for a status: wasi:http does not carry the server's own.
fn status_text(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        418 => "I'm a teapot",
        422 => "Unprocessable Content",
        425 => "Too Early",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
