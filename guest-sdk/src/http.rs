//! HTTP requests, over `wasi:http`.
//!
//! Needs the grant `net` (`--allow-net=https://api.example.org`). A credential's
//! placeholder goes where its value belongs; the host fills it in as the request
//! leaves, toward the hosts that it is for. Redirects are not followed: what they
//! name is in the response's header `location`.
//!
//! ```no_run
//! use serde::Deserialize;
//! use wardroom_guest::{Failure, credential, http};
//!
//! #[derive(Deserialize)]
//! struct Issue {
//!     title: String,
//! }
//!
//! fn titles() -> Result<Vec<String>, Failure> {
//!     let token = credential::placeholder("GITHUB_TOKEN")?;
//!     let request = http::get("https://api.github.com/repos/o/r/issues").header("authorization", format!("Bearer {token}"));
//!     let issues: Vec<Issue> = request.send()?.successful()?.json()?;
//!     Ok(issues.into_iter().map(|issue| issue.title).collect())
//! }
//! ```

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::{InputStream, StreamError};

use crate::Failure;

/// Bytes that a stream takes at once (wasi:io 0.2).
const PIECE: usize = 4096;
/// Bytes of a body that are read at once.
const READ: u64 = 64 << 10;

/// A request that is being put together.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
    /// What cannot be sent, told when it is.
    wrong: Option<String>,
}

/// An answer, whole. Its body has at most what the run's limits allow.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// In the order in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Unpacked.
    pub body: Vec<u8>,
}

/// Why there is no answer, or none that fits. Becomes a [`Failure`] with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The operator did not allow it.
    Denied(String),
    /// Nobody answered, or not to the end.
    Unavailable(String),
    /// It is no request.
    Invalid(String),
    /// The answer's status is none of success.
    Status(u16),
    /// The answer's body, or the request's, has not the form that was wanted.
    Form(String),
}

/// `GET`.
pub fn get(url: impl Into<String>) -> Request {
    Request::new("GET", url)
}

/// `POST`; the body comes with [`Request::body`] or [`Request::json`].
pub fn post(url: impl Into<String>) -> Request {
    Request::new("POST", url)
}

impl Request {
    /// With any method, in capitals.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new(), timeout: None, wrong: None }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Gives it a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Gives it a body of JSON, and says so in `content-type`.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = body,
            Err(error) => self.wrong = Some(format!("the body has no JSON form: {error}")),
        }
        self.header("content-type", "application/json")
    }

    /// How long to wait for a connection, for the first byte, and between bytes;
    /// the run's own deadline holds in any case.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it, and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] without the grant, [`Error::Unavailable`] where nobody
    /// answers, [`Error::Invalid`] or [`Error::Form`] for what cannot be sent.
    pub fn send(self) -> Result<Response, Error> {
        if let Some(wrong) = self.wrong {
            return Err(Error::Form(wrong));
        }
        let options = self.timeout.map(options).transpose()?;
        let request = self.outgoing()?;
        let body = request.body().map_err(|()| invalid("its body is taken"))?;
        let answer = handle(request, options).map_err(|code| self.failed(&code))?;
        write(body, &self.body).map_err(|why| Error::Unavailable(format!("{}: {why}", self.what())))?;
        answer.subscribe().block();
        let answered = answer.get().ok_or_else(|| Error::Unavailable(format!("{}: no answer", self.what())))?;
        let response = answered.map_err(|()| invalid("its answer is taken"))?.map_err(|code| self.failed(&code))?;
        self.whole(&response)
    }

    fn outgoing(&self) -> Result<OutgoingRequest, Error> {
        let target = Target::of(&self.url)?;
        let headers = self.headers.clone();
        let fields = Fields::from_list(&headers).map_err(|error| invalid(&format!("its headers are refused: {error:?}")))?;
        let request = OutgoingRequest::new(fields);
        let refused = |what: &'static str| move |()| invalid(&format!("its {what} is refused"));
        request.set_method(&method(&self.method)).map_err(refused("method"))?;
        request.set_scheme(Some(&target.scheme)).map_err(refused("scheme"))?;
        request.set_authority(Some(target.authority)).map_err(refused("host"))?;
        request.set_path_with_query(Some(&target.path)).map_err(refused("path"))?;
        Ok(request)
    }

    fn whole(&self, response: &IncomingResponse) -> Result<Response, Error> {
        let gone = |why: String| Error::Unavailable(format!("{}: {why}", self.what()));
        let body = response.consume().map_err(|()| invalid("its answer's body is taken"))?;
        let stream = body.stream().map_err(|()| invalid("its answer's body is taken"))?;
        let bytes = read(&stream).map_err(gone)?;
        // The stream is the body's child, and has to go first.
        drop(stream);
        drop(IncomingBody::finish(body));
        Ok(Response { status: response.status(), headers: response.headers().entries(), body: bytes })
    }

    /// For messages: without the query, in which a secret's placeholder may be.
    fn what(&self) -> String {
        format!("{} {}", self.method, self.url.split(['?', '#']).next().unwrap_or_default())
    }

    fn failed(&self, code: &ErrorCode) -> Error {
        let what = self.what();
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Error::Denied(format!("{what} is not allowed")),
            ErrorCode::HttpRequestMethodInvalid
            | ErrorCode::HttpRequestUriInvalid
            | ErrorCode::HttpRequestUriTooLong
            | ErrorCode::HttpRequestLengthRequired
            | ErrorCode::HttpRequestBodySize(_)
            | ErrorCode::HttpRequestHeaderSectionSize(_)
            | ErrorCode::HttpRequestHeaderSize(_) => Error::Invalid(format!("{what}: {code}")),
            _ => Error::Unavailable(format!("{what}: {code}")),
        }
    }
}

impl Response {
    /// The first value of a header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The answer, if its status is one of success (200 to 299).
    ///
    /// # Errors
    ///
    /// [`Error::Status`].
    pub fn successful(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(Error::Status(self.status)) }
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// [`Error::Form`] where it is no UTF-8.
    pub fn text(self) -> Result<String, Error> {
        String::from_utf8(self.body).map_err(|_| Error::Form("the answer is no UTF-8".to_owned()))
    }

    /// The body as JSON, read with serde.
    ///
    /// # Errors
    ///
    /// [`Error::Form`] where it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Form(format!("the answer does not fit: {error}")))
    }
}

/// An address, as `wasi:http` wants it.
struct Target<'a> {
    scheme: Scheme,
    authority: &'a str,
    path: String,
}

impl<'a> Target<'a> {
    fn of(url: &'a str) -> Result<Self, Error> {
        let (scheme, rest) = match url.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            _ => return Err(invalid("expected an address that starts with https:// or http://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        if authority.is_empty() {
            return Err(invalid("its address has no host"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, authority, path: format!("{slash}{path}") })
    }
}

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("the request cannot be sent: {why}"))
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

fn options(timeout: Duration) -> Result<RequestOptions, Error> {
    let options = RequestOptions::new();
    let nanoseconds = u64::try_from(timeout.as_nanos()).ok();
    let refused = |()| invalid("its time limit is refused");
    options.set_connect_timeout(nanoseconds).map_err(refused)?;
    options.set_first_byte_timeout(nanoseconds).map_err(refused)?;
    options.set_between_bytes_timeout(nanoseconds).map_err(refused)?;
    Ok(options)
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| "its body is taken".to_owned())?;
        for piece in bytes.chunks(PIECE) {
            // Who answers early need not listen to the end: the answer tells.
            match stream.blocking_write_and_flush(piece) {
                Err(StreamError::Closed) => break,
                other => other.map_err(|error| error.to_string())?,
            }
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| code.to_string())
}

fn read(stream: &InputStream) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) | Self::Unavailable(why) | Self::Invalid(why) | Self::Form(why) => f.write_str(why),
            Self::Status(status) => write!(f, "the answer has the status {status}"),
        }
    }
}

// No `std::error::Error`, as in `state`: a denial is none of the program's failures.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Denied(_) => Self::Denied(why),
            Error::Unavailable(_) | Error::Status(408 | 425 | 429 | 500..) => Self::Unavailable(why),
            Error::Invalid(_) | Error::Form(_) => Self::Permanent(why),
            Error::Status(_) => Self::Failed(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_as_wasi_wants_it() {
        let of = |url: &str| Target::of(url).map(|target| format!("{:?} {} {}", target.scheme, target.authority, target.path)).ok();
        assert_eq!(of("https://a.example:8443/x?y=z#part").as_deref(), Some("Scheme::Https a.example:8443 /x?y=z"));
        assert_eq!(of("http://a.example?y").as_deref(), Some("Scheme::Http a.example /?y"));
        assert_eq!(of("http://a.example").as_deref(), Some("Scheme::Http a.example /"));
        for wrong in ["ftp://a.example", "a.example", "https:///x", ""] {
            assert!(matches!(Target::of(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn whose_fault_an_answer_is_decides_how_the_run_ends() {
        assert!(matches!(Failure::from(Error::Denied("x".into())), Failure::Denied(_)));
        assert!(matches!(Failure::from(Error::Status(503)), Failure::Unavailable(_)));
        assert!(matches!(Failure::from(Error::Status(404)), Failure::Failed(_)));
        assert!(matches!(Failure::from(Error::Form("x".into())), Failure::Permanent(_)));
    }

    #[test]
    fn what_cannot_be_sent_is_told_when_it_is() {
        let pairs = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(post("https://a.example").json(&pairs).send(), Err(Error::Form(_))));
        let secret = get("https://a.example/x?token=wardroom_1");
        assert_eq!(secret.what(), "GET https://a.example/x");
    }
}
