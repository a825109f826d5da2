//! One HTTP request, read once.
//!
//! The text is read by the WHATWG rules, and only what was read is checked,
//! dialled and sent: there is no second parser to disagree with.

use std::fmt;

use url::Url;

use super::host::Host;
use crate::blame::Blame;

/// Bytes of a request's URL. Longer ones are refused before they are parsed;
/// servers give up near 8 KiB.
pub const MAX_TARGET_BYTES: usize = 32 * 1024;

/// How a connection is spoken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.name()))
    }
}

/// Why a request's method and URL cannot be read. No variant carries the text:
/// it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Longer than [`MAX_TARGET_BYTES`].
    #[error("the URL is longer than {MAX_TARGET_BYTES} bytes")]
    TooLong,
    /// A space, a control character or a backslash.
    #[error("the URL holds a space, a control character or a backslash; expected them percent-encoded")]
    Character,
    /// Not `http://…` or `https://…`.
    #[error("the URL does not begin with http:// or https://")]
    Scheme,
    /// `user:password@`.
    #[error("the URL holds a user name; expected credentials in a header")]
    Userinfo,
    /// No host, or one that cannot exist.
    #[error("the URL's host is neither a name nor an address")]
    Host,
    /// Port 0 or beyond 65535.
    #[error("the URL's port is not between 1 and 65535")]
    Port,
    /// Not a token of RFC 9110.
    #[error("the method is not a token such as GET")]
    Method,
}

impl TargetError {
    /// Always the guest's own URL.
    #[must_use]
    pub const fn blame(self) -> Blame {
        Blame::Guest
    }
}

/// What a guest wants to send where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    method: String,
    scheme: Scheme,
    host: Host,
    port: u16,
    path: String,
    query: Option<String>,
}

impl HttpTarget {
    /// Reads a method and an absolute URL. The fragment is dropped.
    ///
    /// # Errors
    ///
    /// [`TargetError`] says which part cannot be read.
    pub fn parse(method: &str, text: &str) -> Result<Self, TargetError> {
        if text.len() > MAX_TARGET_BYTES {
            return Err(TargetError::TooLong);
        }
        if method.is_empty() || !method.bytes().all(is_token_byte) {
            return Err(TargetError::Method);
        }
        let (scheme, url) = read(text)?;
        let host = url.host().ok_or(TargetError::Host)?;
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(TargetError::Port);
        }
        Ok(Self {
            method: method.to_owned(),
            scheme,
            host: Host::from_url(&host).map_err(|_| TargetError::Host)?,
            port,
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        })
    }

    /// The method, as the guest wrote it.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host without port; IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port, also where the URL does not name it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, always with the port.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The value of the Host header: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() { self.host() } else { self.endpoint() }
    }

    /// Scheme, host and port, as a browser writes them: `https://HOST[:PORT]`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority())
    }

    /// Whether it has a query.
    #[must_use]
    pub const fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// What stands in the request line: path and query, normalised.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Whether both go to one scheme, host and port (RFC 6454, 5): what was given
    /// for the one may be given to the other.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }

    /// Where a redirect leads: the same method, at what `location` means from
    /// here (RFC 9110, 10.2.2). Nothing says yet that it may be followed.
    ///
    /// # Errors
    ///
    /// [`TargetError`] says what of it cannot be read.
    pub fn redirected(&self, location: &str) -> Result<Self, TargetError> {
        if location.len() > MAX_TARGET_BYTES {
            return Err(TargetError::TooLong);
        }
        if location.bytes().any(is_repaired) {
            return Err(TargetError::Character);
        }
        let base = format!("{}://{}{}", self.scheme.name(), self.endpoint(), self.path_and_query());
        let joined = Url::parse(&base).and_then(|base| base.join(location)).map_err(|_| TargetError::Host)?;
        Self::parse(&self.method, joined.as_str())
    }

    /// The same with more in its query, percent-encoded.
    #[must_use]
    pub fn with_query(mut self, pairs: &[(&str, &str)]) -> Self {
        let mut query = url::form_urlencoded::Serializer::new(self.query.take().unwrap_or_default());
        query.extend_pairs(pairs);
        self.query = Some(query.finish());
        self
    }

    pub(in crate::capability) const fn host_part(&self) -> &Host {
        &self.host
    }

    /// The address, where the URL names one instead of a host name.
    #[must_use]
    pub const fn host_address(&self) -> Option<std::net::IpAddr> {
        match self.host {
            Host::Name(_) => None,
            Host::Address(address) => Some(address),
        }
    }

    /// The name, where the URL names one instead of an address.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// For people and records: `GET https://example.org/x`, without the query,
/// where keys are often put, and with a long path cut.
impl fmt::Display for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whole: who cuts it short removes the values of credentials first, and
        // half of one would not be known again.
        write!(f, "{} {}://{}{}", self.method, self.scheme.name(), self.authority(), self.path)
    }
}

/// Parses, after refusing what the WHATWG parser would quietly repair.
fn read(text: &str) -> Result<(Scheme, Url), TargetError> {
    if text.bytes().any(is_repaired) {
        return Err(TargetError::Character);
    }
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
    let scheme = Scheme::parse(scheme).ok_or(TargetError::Scheme)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(TargetError::Host);
    }
    if authority.contains('@') {
        return Err(TargetError::Userinfo);
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::InvalidPort => TargetError::Port,
        _ => TargetError::Host,
    })?;
    Ok((scheme, url))
}

/// What the WHATWG parser takes away, or takes for a slash.
const fn is_repaired(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f || byte == b'\\'
}

/// RFC 9110, 5.6.2.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}
