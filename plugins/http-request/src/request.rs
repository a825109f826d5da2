//! A request as it was asked for: checked, bounded, credentials in their places.

use std::time::Duration;

use url::Url;

use crate::bindings::wardroom::automation::credential;
use crate::bindings::{Body, Error, Header};
use crate::wire::Deadline;

const MOST_REDIRECTS: u32 = 20;
const USUAL_BYTES: u32 = 512 << 10;
const MOST_BYTES: u32 = 4 << 20;
const USUAL_TIMEOUT_MS: u32 = 30_000;
const MOST_TIMEOUT_MS: u32 = 300_000;
/// Headers of a request.
const MOST_HEADERS: usize = 100;
/// Where a credential stands in a header's value.
const OPEN: &str = "{credentials.";

/// How much, how long, how often.
pub(crate) struct Bounds {
    pub(crate) redirects: u32,
    pub(crate) bytes: usize,
    /// For all of it, redirects included.
    pub(crate) deadline: Deadline,
}

impl Bounds {
    pub(crate) fn of(redirects: Option<u32>, bytes: Option<u32>, timeout_ms: Option<u32>) -> Result<Self, Error> {
        let redirects = bounded("redirects", redirects, 0, 0..=MOST_REDIRECTS)?;
        let bytes = bounded("max_bytes", bytes, USUAL_BYTES, 0..=MOST_BYTES)?;
        let timeout = bounded("timeout_ms", timeout_ms, USUAL_TIMEOUT_MS, 1..=MOST_TIMEOUT_MS)?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Self { redirects, bytes, deadline: Deadline::after(Duration::from_millis(timeout.into())) })
    }
}

fn bounded(name: &str, asked: Option<u32>, usual: u32, range: std::ops::RangeInclusive<u32>) -> Result<u32, Error> {
    let value = asked.unwrap_or(usual);
    let (from, to) = (range.start(), range.end());
    if range.contains(&value) { Ok(value) } else { Err(Error::Invalid(format!("`{name}` is {value}: expected {from} to {to}"))) }
}

/// A header that is sent.
pub(crate) struct Sent {
    pub(crate) name: String,
    pub(crate) value: String,
    /// It speaks for somebody: it stays with the origin that it was meant for.
    pub(crate) personal: bool,
}

/// What is sent.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: Url,
    pub(crate) headers: Vec<Sent>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn of(url: &str, method: Option<String>, headers: Vec<Header>, body: Option<Body>) -> Result<Self, Error> {
        let mut url = Url::parse(url).map_err(|error| Error::Invalid(format!("`url` does not hold: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Invalid(format!("`url` is {}: expected http or https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Invalid("`url` holds a user name: a credential belongs into a header".to_owned()));
        }
        url.set_fragment(None);
        let method = method.unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::Invalid("`method` should be upper case, such as GET".to_owned()));
        }
        if headers.len() > MOST_HEADERS {
            return Err(Error::Invalid(format!("there are {} headers: expected at most {MOST_HEADERS}", headers.len())));
        }
        let mut headers = headers.into_iter().map(sent).collect::<Result<Vec<_>, _>>()?;
        let body = body.map(|body| match body {
            Body::Text(text) => (text.into_bytes(), "text/plain; charset=utf-8"),
            Body::Bytes(bytes) => (bytes, "application/octet-stream"),
        });
        let has = |headers: &[Sent], name: &str| headers.iter().any(|header| header.name == name);
        let mut add = |name: &str, value: &str| {
            if !has(&headers, name) {
                headers.push(Sent { name: name.to_owned(), value: value.to_owned(), personal: false });
            }
        };
        add("accept", "*/*");
        add("user-agent", "Wardroom");
        if let Some((_, kind)) = &body {
            add("content-type", kind);
        }
        Ok(Self { method, url, headers, body: body.map(|(bytes, _)| bytes) })
    }
}

fn sent(header: Header) -> Result<Sent, Error> {
    let name = header.name.to_ascii_lowercase();
    // Theirs are the wire's to say.
    if matches!(name.as_str(), "content-length" | "transfer-encoding" | "host" | "connection") {
        return Err(Error::Invalid(format!("the header `{name}` is not for programs to set")));
    }
    let (value, filled) = with_placeholders(&header.value)?;
    let personal = filled || matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie");
    Ok(Sent { name, value, personal })
}

/// A value with the placeholder of each credential that it names, and whether it
/// names one.
fn with_placeholders(value: &str) -> Result<(String, bool), Error> {
    let mut made = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(Error::Invalid(format!("a header's `{OPEN}` is never closed: expected `{OPEN}NAME}}`")));
        };
        made.push_str(before);
        made.push_str(&credential::placeholder(name).map_err(refused)?);
        rest = behind;
    }
    let filled = rest.len() < value.len();
    made.push_str(rest);
    Ok((made, filled))
}

fn refused(error: credential::Error) -> Error {
    match error {
        credential::Error::NotAssigned(why) | credential::Error::Denied(why) => Error::Denied(why),
        credential::Error::Unfit(why) => Error::Invalid(why),
    }
}
