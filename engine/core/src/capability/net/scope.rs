//! The text of a network scope.
//!
//! ```text
//!   [scheme://]host[:port][/path][,METHOD[,METHOD…]][=ADDRESS]
//!   tcp://host:port[=ADDRESS]
//! ```
//!
//! A bare host is `https` on 443. No method means any (never CONNECT or
//! TRACE). `*.example.org` means every subdomain, never `example.org` itself.
//! `,` and `=` always end the path; a path that needs one is written shorter.
//! `Display` gives the canonical text, and reads back as the same scope.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::host::{Host, HostPattern};
use super::path::{Ambiguity, PathPrefix, has_dot_segment};
use super::target::{HttpTarget, Scheme};
use crate::address::{AddressClass, classify};
use crate::blame::Blame;

/// Bytes of a scope's text: grants are read by people.
pub const MAX_SCOPE_BYTES: usize = 2048;

/// Why a text is no network scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Nothing at all.
    #[error("a network scope is empty; expected a host such as `https://api.example.org`")]
    Empty,
    /// Longer than [`MAX_SCOPE_BYTES`].
    #[error("a network scope is longer than {MAX_SCOPE_BYTES} bytes")]
    TooLong,
    /// White space, a control character or a backslash.
    #[error("`{0}` holds a space, a control character or a backslash; expected `https://host/path`")]
    Character(String),
    /// Neither of the three schemes.
    #[error("`{0}` is no scheme of a network scope; expected http, https or tcp")]
    Scheme(String),
    /// `*` alone.
    #[error("`*` alone would allow every host; expected the hosts by name, such as `*.example.org`")]
    EveryHost,
    /// `*` anywhere but as the whole first label, or above a single label.
    #[error("`{0}` is no host pattern; expected `*.` before a name of at least two labels, such as `*.example.org`")]
    Pattern(String),
    /// `user:password@`.
    #[error("a network scope holds a user name; expected only the host, credentials have their own flag")]
    Userinfo,
    /// `?…`
    #[error("`{0}` holds a query; expected it without, a scope allows every query")]
    Query(String),
    /// `#…`
    #[error("`{0}` holds a fragment; expected it without, a fragment is never sent")]
    Fragment(String),
    /// No host or an impossible one.
    #[error("`{0}` is no host; expected a name such as `api.example.org` or an address")]
    Host(String),
    /// Not 1 to 65535.
    #[error("`{0}` is no port; expected a number from 1 to 65535")]
    Port(String),
    /// `tcp://` without a port.
    #[error("`{0}` has no port; expected `tcp://host:port`")]
    PortMissing(String),
    /// The path has more than one reading.
    #[error("the path `{path}` holds {reason}; expected one that reads only one way")]
    Path {
        /// As typed.
        path: String,
        /// What is ambiguous in it.
        reason: Ambiguity,
    },
    /// `tcp://` with a path or methods.
    #[error("`{0}` stands behind a tcp scope; expected only `tcp://host:port`")]
    NotForTcp(String),
    /// A comma with nothing behind it.
    #[error("a comma without a method; expected `{0},GET` or no comma")]
    MethodMissing(String),
    /// Lower case, or not a token.
    #[error("`{0}` is no method; expected upper case such as GET")]
    Method(String),
    /// CONNECT or TRACE.
    #[error("`{0}` is never allowed; expected a method such as GET or POST")]
    NeverAllowed(String),
    /// What follows the comma looks like a host.
    #[error("`{second}` looks like a second host; expected one scope each: `{first}` and `{second}`")]
    SecondHost {
        /// Before the comma.
        first: String,
        /// Behind it.
        second: String,
    },
    /// What follows `=` is no address.
    #[error("`{0}` is no address to bind to; expected `name=192.0.2.1` or `name=2001:db8::1`")]
    Address(String),
    /// `=ADDRESS` behind a pattern, a literal address or localhost.
    #[error("`{0}` cannot be bound to an address; expected one full host name before `=`")]
    NotBindable(String),
    /// An address to which no connection can be meant.
    #[error("{address} is {class}; expected the address of one machine")]
    NotOneMachine {
        /// The address.
        address: IpAddr,
        /// Its class.
        class: AddressClass,
    },
    /// A param's value with a pattern, a comma or `=` in it.
    #[error("`{0}` cannot be filled in; expected an origin with a path, without `*`, `,` or `=`")]
    NotPlain(String),
}

impl ScopeError {
    /// Whoever wrote the scope: the operator, who also reads a program's
    /// requests before any of it runs.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

/// One thing that may be reached over the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum NetScope {
    /// Requests.
    Http(HttpScope),
    /// A connection, for drivers.
    Tcp(TcpScope),
}

impl NetScope {
    /// Whether this scope, as a grant, gives everything that `request` asks
    /// for.
    ///
    /// A grant with an address gives a request without one: the program names
    /// the host, the operator says where it stands. The other way round is
    /// refused: a program must not send a granted name to an address of its
    /// own choice.
    #[must_use]
    pub fn covers(&self, request: &Self) -> bool {
        match (self, request) {
            (Self::Http(grant), Self::Http(request)) => grant.covers(request),
            (Self::Tcp(grant), Self::Tcp(request)) => grant.covers(request),
            _ => false,
        }
    }

    /// What remains of `request` under this scope as a grant: the narrower of
    /// both in each part, with the grant's address. `None` where nothing does.
    #[must_use]
    pub fn effective(&self, request: &Self) -> Option<Self> {
        match (self, request) {
            (Self::Http(grant), Self::Http(request)) => grant.effective(request).map(Self::Http),
            (Self::Tcp(grant), Self::Tcp(request)) => grant.covers(request).then(|| Self::Tcp(grant.clone())),
            _ => None,
        }
    }
}

impl FromStr for NetScope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let parts = Parts::split(text)?;
        match parts.scheme {
            Some(word) if word.eq_ignore_ascii_case("tcp") => TcpScope::from_parts(&parts).map(Self::Tcp),
            _ => HttpScope::from_parts(&parts).map(Self::Http),
        }
    }
}

impl fmt::Display for NetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(scope) => scope.fmt(f),
            Self::Tcp(scope) => scope.fmt(f),
        }
    }
}

impl TryFrom<String> for NetScope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<NetScope> for String {
    fn from(scope: NetScope) -> Self {
        scope.to_string()
    }
}

impl From<HttpScope> for NetScope {
    fn from(scope: HttpScope) -> Self {
        Self::Http(scope)
    }
}

/// Requests to one host, or to all subdomains of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpScope {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    path: PathPrefix,
    /// Empty: any.
    methods: BTreeSet<String>,
    bound: Option<IpAddr>,
}

impl HttpScope {
    /// Reads the value of a param that stands for a whole scope.
    ///
    /// It gives an origin and a path, and never a pattern: whoever fills in
    /// the param would else choose how much is allowed. A query or fragment is
    /// cut off.
    ///
    /// # Errors
    ///
    /// [`ScopeError::NotPlain`] for `*`, `,` and `=`; else as [`FromStr`].
    pub fn from_param(text: &str) -> Result<Self, ScopeError> {
        let plain = text.split(['?', '#']).next().unwrap_or_default();
        if plain.contains(['*', ',', '=']) {
            return Err(ScopeError::NotPlain(shown(plain)));
        }
        Self::from_parts(&Parts::split(plain)?)
    }

    /// The smallest useful scope that holds `target`: its host and method.
    #[must_use]
    pub fn around(target: &HttpTarget) -> Self {
        let method = target.method();
        let methods = if is_method(method) { BTreeSet::from([method.to_owned()]) } else { BTreeSet::new() };
        Self {
            scheme: target.scheme(),
            host: HostPattern::Exactly(target.host_part().clone()),
            port: target.port(),
            path: PathPrefix::any(),
            methods,
            bound: None,
        }
    }

    /// The same, bound to an address.
    #[must_use]
    pub(super) fn bound_to(self, address: IpAddr) -> Self {
        Self { bound: Some(address), ..self }
    }

    /// The address that the operator says the name stands at.
    #[must_use]
    pub const fn bound(&self) -> Option<IpAddr> {
        self.bound
    }

    /// Whether scheme, host and port are those of `target`.
    pub(super) fn same_origin(&self, target: &HttpTarget) -> bool {
        self.scheme == target.scheme() && self.port == target.port() && self.host.matches(target.host_part())
    }

    pub(super) fn allows_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    pub(super) const fn path(&self) -> &PathPrefix {
        &self.path
    }

    fn covers(&self, request: &Self) -> bool {
        let methods = self.methods.is_empty() || (!request.methods.is_empty() && request.methods.is_subset(&self.methods));
        self.scheme == request.scheme
            && self.port == request.port
            && self.host.covers(&request.host)
            && self.path.covers(&request.path)
            && methods
            && (request.bound.is_none() || request.bound == self.bound)
    }

    fn effective(&self, request: &Self) -> Option<Self> {
        let origin = self.scheme == request.scheme && self.port == request.port;
        if !origin || (request.bound.is_some() && request.bound != self.bound) {
            return None;
        }
        let methods = if self.methods.is_empty() {
            request.methods.clone()
        } else if request.methods.is_empty() {
            self.methods.clone()
        } else {
            let both: BTreeSet<String> = self.methods.intersection(&request.methods).cloned().collect();
            (!both.is_empty()).then_some(both)?
        };
        Some(Self {
            scheme: self.scheme,
            host: narrower(&self.host, &request.host, HostPattern::covers)?,
            port: self.port,
            path: narrower(&self.path, &request.path, PathPrefix::covers)?,
            methods,
            bound: self.bound,
        })
    }

    fn from_parts(parts: &Parts<'_>) -> Result<Self, ScopeError> {
        let scheme = match parts.scheme {
            None => Scheme::Https,
            Some(word) => Scheme::parse(word).ok_or_else(|| ScopeError::Scheme(shown(word)))?,
        };
        let host = parts.pattern()?;
        let port = parts.port()?.unwrap_or(scheme.default_port());
        let bound = parts.bound_for(&host)?;
        Ok(Self { scheme, host, port, path: parts.path()?, methods: parts.methods()?, bound })
    }
}

fn narrower<T: Clone>(a: &T, b: &T, covers: impl Fn(&T, &T) -> bool) -> Option<T> {
    if covers(a, b) { Some(b.clone()) } else { covers(b, a).then(|| a.clone()) }
}

impl FromStr for HttpScope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::from_parts(&Parts::split(text)?)
    }
}

impl fmt::Display for HttpScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        self.path.fmt(f)?;
        self.methods.iter().try_for_each(|method| write!(f, ",{method}"))?;
        self.bound.iter().try_for_each(|address| write!(f, "={address}"))
    }
}

/// A connection to one host and port, for drivers.
///
/// Only read and compared so far: nothing in this version opens one, and
/// [`NetAccess::check`](super::NetAccess::check) never takes it for a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpScope {
    host: Host,
    port: u16,
    bound: Option<IpAddr>,
}

impl TcpScope {
    fn covers(&self, request: &Self) -> bool {
        self.host == request.host && self.port == request.port && (request.bound.is_none() || request.bound == self.bound)
    }

    fn from_parts(parts: &Parts<'_>) -> Result<Self, ScopeError> {
        let pattern = parts.pattern()?;
        let port = parts.port()?.ok_or_else(|| ScopeError::PortMissing(shown(parts.authority)))?;
        if let Some(extra) = Some(parts.path).filter(|path| !path.is_empty()).or(parts.methods) {
            return Err(ScopeError::NotForTcp(shown(extra)));
        }
        let bound = parts.bound_for(&pattern)?;
        match pattern {
            HostPattern::Exactly(host) => Ok(Self { host, port, bound }),
            HostPattern::Below(_) => Err(ScopeError::Host(shown(parts.authority))),
        }
    }
}

impl fmt::Display for TcpScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}:{}", self.host, self.port)?;
        self.bound.iter().try_for_each(|address| write!(f, "={address}"))
    }
}

/// The text, cut at its delimiters and not yet understood.
struct Parts<'a> {
    /// Everything before the first comma or binding.
    head: &'a str,
    scheme: Option<&'a str>,
    authority: &'a str,
    path: &'a str,
    /// Behind the first comma.
    methods: Option<&'a str>,
    /// Behind the last `=`.
    bound: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, ScopeError> {
        if text.len() > MAX_SCOPE_BYTES {
            return Err(ScopeError::TooLong);
        }
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(ScopeError::Character(shown(text)));
        }
        let (rest, bound) = match text.split_once('=') {
            Some((rest, bound)) => (rest, Some(bound)),
            None => (text, None),
        };
        let (head, methods) = match rest.split_once(',') {
            Some((head, methods)) => (head, Some(methods)),
            None => (rest, None),
        };
        let (scheme, rest) = match head.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, head),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // Before all else, so that no later message repeats a password.
        if authority.contains('@') {
            return Err(ScopeError::Userinfo);
        }
        if let Some(word) = scheme.filter(|word| !word.eq_ignore_ascii_case("tcp") && Scheme::parse(word).is_none()) {
            return Err(ScopeError::Scheme(shown(word)));
        }
        let parts = Self { head, scheme, authority, path, methods, bound };
        parts.refuse_extras(text).map(|()| parts)
    }

    fn refuse_extras(&self, text: &str) -> Result<(), ScopeError> {
        if text.contains('#') {
            return Err(ScopeError::Fragment(shown(self.head)));
        }
        if text.contains('?') {
            return Err(ScopeError::Query(shown(self.head)));
        }
        match self.authority {
            "" => Err(ScopeError::Host(shown(self.head))),
            "*" => Err(ScopeError::EveryHost),
            _ => Ok(()),
        }
    }

    /// Host and port as typed: the last colon outside of brackets parts them.
    fn host_and_port(&self) -> (&'a str, Option<&'a str>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (self.authority, None),
        }
    }

    fn port(&self) -> Result<Option<u16>, ScopeError> {
        let Some(text) = self.host_and_port().1 else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let port = text.parse().ok().filter(|port| digits && *port != 0);
        port.map(Some).ok_or_else(|| ScopeError::Port(shown(text)))
    }

    fn pattern(&self) -> Result<HostPattern, ScopeError> {
        let text = self.host_and_port().0;
        let Some(parent) = text.strip_prefix("*.") else {
            return self.one_host(text).map(HostPattern::Exactly);
        };
        let wrong = || ScopeError::Pattern(shown(text));
        match self.one_host(parent)? {
            // One label is a top-level domain, which nobody means; `localhost`
            // is this machine.
            Host::Name(name) if name.contains('.') || name == "localhost" => Ok(HostPattern::Below(name)),
            Host::Name(_) | Host::Address(_) => Err(wrong()),
        }
    }

    fn one_host(&self, text: &str) -> Result<Host, ScopeError> {
        if text == "*" {
            return Err(ScopeError::EveryHost);
        }
        if text.contains('*') {
            return Err(ScopeError::Pattern(shown(text)));
        }
        let wrong = || ScopeError::Host(shown(text));
        if text.contains('%') {
            return Err(wrong());
        }
        let host = Host::parse(text).map_err(|_| wrong())?;
        if let Host::Address(address) = host {
            one_machine(address)?;
        }
        Ok(host)
    }

    fn path(&self) -> Result<PathPrefix, ScopeError> {
        if self.path.is_empty() {
            return Ok(PathPrefix::any());
        }
        let wrong = |reason| ScopeError::Path { path: shown(self.path), reason };
        if has_dot_segment(self.path) {
            return Err(wrong(Ambiguity::DotSegment));
        }
        if self.path.contains('*') {
            return Err(ScopeError::Pattern(shown(self.path)));
        }
        // Percent-encodes what a request's path will have encoded too.
        let url = Url::parse(&format!("https://h{}", self.path)).map_err(|_| wrong(Ambiguity::Percent))?;
        PathPrefix::new(url.path()).map_err(wrong)
    }

    fn methods(&self) -> Result<BTreeSet<String>, ScopeError> {
        let Some(list) = self.methods else { return Ok(BTreeSet::new()) };
        list.split(',').map(|word| self.method(word)).collect()
    }

    fn method(&self, word: &str) -> Result<String, ScopeError> {
        if word.is_empty() {
            return Err(ScopeError::MethodMissing(shown(self.head)));
        }
        if word.contains(['.', ':', '/', '[', '*']) || word == "localhost" {
            return Err(ScopeError::SecondHost { first: shown(self.head), second: shown(word) });
        }
        if is_never_allowed(word) {
            return Err(ScopeError::NeverAllowed(shown(word)));
        }
        if is_method(word) { Ok(word.to_owned()) } else { Err(ScopeError::Method(shown(word))) }
    }

    fn bound_for(&self, host: &HostPattern) -> Result<Option<IpAddr>, ScopeError> {
        let Some(text) = self.bound else { return Ok(None) };
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let address: IpAddr = bare.parse().map_err(|_| ScopeError::Address(shown(text)))?;
        match host {
            HostPattern::Exactly(name @ Host::Name(_)) if !name.is_localhost() => one_machine(address.to_canonical()).map(Some),
            _ => Err(ScopeError::NotBindable(host.to_string())),
        }
    }
}

fn one_machine(address: IpAddr) -> Result<IpAddr, ScopeError> {
    let class = classify(address);
    if class.is_dialable() { Ok(address) } else { Err(ScopeError::NotOneMachine { address, class }) }
}

/// A method that a scope can name: an upper-case token, and not one that opens
/// a tunnel or echoes headers.
fn is_method(word: &str) -> bool {
    let tail = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().all(tail) && !is_never_allowed(word)
}

/// CONNECT turns a server into a tunnel to anywhere; TRACE sends back headers
/// that the guest may not see. Servers differ on case, so any case counts.
pub(super) fn is_never_allowed(method: &str) -> bool {
    ["CONNECT", "TRACE"].iter().any(|never| method.eq_ignore_ascii_case(never))
}

/// A piece of the operator's own text for a message: short, and safe to print.
fn shown(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
