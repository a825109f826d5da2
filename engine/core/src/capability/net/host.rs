//! Host names and literal addresses in their one form.
//!
//! Everything goes through the WHATWG host parser, so `0x7f.1`, `127.1`,
//! `１２７.0.0.1` and `[::ffff:127.0.0.1]` all become the address that a browser
//! would dial. What remains a name is lower-case ASCII without a final dot.

use std::fmt;
use std::net::IpAddr;

/// RFC 1035, 2.3.4, without the final dot.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::capability) enum Host {
    Name(String),
    /// Never IPv4-mapped: that is the IPv4 address.
    Address(IpAddr),
}

/// The text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::capability) struct NoHost;

impl Host {
    /// Reads `text` as the host part of a URL (IPv6 in brackets).
    pub(in crate::capability) fn parse(text: &str) -> Result<Self, NoHost> {
        let host = url::Host::parse(text).map_err(|_| NoHost)?;
        Self::from_url(&host)
    }

    /// Takes over what the `url` crate has read.
    pub(in crate::capability) fn from_url<S: AsRef<str>>(host: &url::Host<S>) -> Result<Self, NoHost> {
        match host {
            url::Host::Domain(name) => Self::from_name(name.as_ref()),
            url::Host::Ipv4(address) => Ok(Self::Address(IpAddr::V4(*address))),
            url::Host::Ipv6(address) => Ok(Self::Address(IpAddr::V6(*address).to_canonical())),
        }
    }

    fn from_name(name: &str) -> Result<Self, NoHost> {
        // `example.com.` and `example.com` are one name to DNS and to TLS.
        let name = name.strip_suffix('.').unwrap_or(name);
        let plain = |label: &str| {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
            !label.is_empty() && label.len() <= MAX_LABEL_BYTES && label.bytes().all(allowed)
        };
        if name.len() <= MAX_NAME_BYTES && name.split('.').all(plain) { Ok(Self::Name(name.to_owned())) } else { Err(NoHost) }
    }

    /// Whether the name means this machine whatever a resolver says (RFC 6761, 6.3).
    pub(in crate::capability) fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if below_or_equal(name, "localhost"))
    }
}

impl Host {
    /// Whether nothing sent there leaves this machine: by its own name, or a
    /// loopback address.
    pub(in crate::capability) fn is_loopback(&self) -> bool {
        self.is_localhost() || matches!(self, Self::Address(address) if address.is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// The hosts that a scope means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::capability) enum HostPattern {
    /// This one.
    Exactly(Host),
    /// `*.name`: every name that ends in `.name`, at any depth, never `name`.
    Below(String),
}

impl HostPattern {
    /// Reads a host, or `*.` before a name of at least two labels.
    pub(in crate::capability) fn parse(text: &str) -> Option<Self> {
        let plain = |text: &str| if text.contains(['*', '%', '@', '/', '?', '#', '\\']) { None } else { Host::parse(text).ok() };
        match text.strip_prefix("*.") {
            None => plain(text).map(Self::Exactly),
            Some(parent) => match plain(parent)? {
                Host::Name(name) if name.contains('.') => Some(Self::Below(name)),
                Host::Name(_) | Host::Address(_) => None,
            },
        }
    }

    pub(in crate::capability) fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(own), _) => own == host,
            (Self::Below(parent), Host::Name(name)) => below(name, parent),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    pub(in crate::capability) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exactly(host)) => self.matches(host),
            (Self::Below(parent), Self::Below(name)) => below_or_equal(name, parent),
            (Self::Exactly(_), Self::Below(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(host) => host.fmt(f),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// Whether `name` is a subdomain of `parent`, at any depth.
fn below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

fn below_or_equal(name: &str, parent: &str) -> bool {
    name == parent || below(name, parent)
}
