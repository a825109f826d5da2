//! Credentials that are an address: the stand-in's host becomes the secret's
//! origin, path and query, and a guest may add a query where it has none.

use wardroom_core::capability::net::{HttpTarget, Scheme};

use crate::Secret;

/// Why an address cannot be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The guest changed more than the query, or added one to one.
    Changed,
    /// The value is no address that a request can go to.
    Value,
}

/// Where a request toward the stand-in really goes.
pub(super) fn restored(value: &Secret, target: &HttpTarget) -> Result<HttpTarget, Broken> {
    let given = target.path_and_query();
    let query = match given.strip_prefix('/') {
        Some("") => None,
        Some(rest) => Some(rest.strip_prefix('?').ok_or(Broken::Changed)?),
        None => return Err(Broken::Changed),
    };
    if target.scheme() != Scheme::Https || target.port() != Scheme::Https.default_port() {
        return Err(Broken::Changed);
    }
    let own = address(value).ok_or(Broken::Value)?;
    let line = own.path_and_query();
    let origin = format!("{}://{}", own.scheme().name(), own.authority());
    let whole = match query {
        None => format!("{origin}{line}"),
        Some(query) => format!("{origin}{line}?{query}"),
    };
    let real = HttpTarget::parse(target.method(), &whole).map_err(|_| Broken::Changed)?;
    // The text was read a second time: it must not have become another place, nor have a query after its own.
    if leads_to(&own, &real, &real.path_and_query()) { Ok(real) } else { Err(Broken::Changed) }
}

/// Whether a request with this line is one toward the secret address.
pub(super) fn is_at(value: &Secret, target: &HttpTarget, line: &str) -> bool {
    address(value).is_some_and(|own| leads_to(&own, target, line))
}

fn leads_to(own: &HttpTarget, target: &HttpTarget, line: &str) -> bool {
    let own_line = own.path_and_query();
    let rest = line.strip_prefix(&own_line);
    let continues = |rest: &str| rest.is_empty() || (rest.starts_with('?') && !own_line.contains('?'));
    own.scheme() == target.scheme() && own.endpoint() == target.endpoint() && rest.is_some_and(continues)
}

fn address(value: &Secret) -> Option<HttpTarget> {
    HttpTarget::parse("GET", value.expose_text()?).ok()
}
