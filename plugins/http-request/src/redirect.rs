//! Redirects, as the Fetch standard follows them.

use url::{Origin, Url};

use crate::bindings::Error;
use crate::request::Request;
use crate::wire::Answer;

/// Where an answer leads, if it leads anywhere.
pub(crate) fn target(request: &Request, answer: &Answer) -> Result<Option<Url>, Error> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location")) else { return Ok(None) };
    let odd = |why: &str| Error::Failed(format!("it redirects to an address that cannot be asked: {why}"));
    let target = request.url.join(&location.value).map_err(|error| odd(&error.to_string()))?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(odd("it is neither http nor https"));
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err(odd("it holds a user name"));
    }
    Ok(Some(target))
}

/// The origins that redirects may lead to.
pub(crate) struct Allowed(Vec<Origin>);

impl Allowed {
    pub(crate) fn of(url: &Url, more: Option<String>) -> Result<Self, Error> {
        let more = more.map(|more| Url::parse(&more)).transpose();
        let more = more.map_err(|error| Error::Invalid(format!("`redirects_to` does not hold: {error}")))?;
        Ok(Self(std::iter::once(url).chain(&more).map(Url::origin).collect()))
    }

    pub(crate) fn check(&self, target: Url) -> Result<Url, Error> {
        let origin = target.origin();
        if self.0.contains(&origin) {
            return Ok(target);
        }
        let origin = origin.ascii_serialization();
        Err(Error::Denied(format!("it redirects to {origin}: say so in `redirects_to`, if that is meant")))
    }
}

/// The request that follows a redirect.
pub(crate) fn follow(request: Request, mut target: Url, status: u16) -> Request {
    target.set_fragment(None);
    let Request { mut method, url, mut headers, mut body } = request;
    let becomes_get = match status {
        303 => method != "HEAD",
        301 | 302 => method == "POST",
        _ => false,
    };
    if becomes_get {
        "GET".clone_into(&mut method);
        body = None;
        headers.retain(|header| !header.name.starts_with("content-"));
    }
    if target.origin() != url.origin() {
        headers.retain(|header| !header.personal);
    }
    Request { method, url: target, headers, body }
}
