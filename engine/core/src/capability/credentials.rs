//! Scopes of credentials: which one, toward which hosts, for which uses.
//!
//! ```text
//!  NAME[@HOST[:PORT]][:USE]…      GITHUB_TOKEN   API_KEY@api.example.org:query   SIGNING_KEY:sign
//! ```
//!
//! Without a host the credential's own hosts hold. Placeholders in header
//! values need no word; every other use has its own.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::net::{HostPattern, HttpTarget, Scheme};
use crate::credential::{CredentialName, CredentialNameError};

/// Characters of a scope at most.
const MAX_TEXT: usize = 1024;

/// A host that a credential is for, and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BoundHost {
    host: HostPattern,
    port: u16,
}

/// Why a text is no host of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundHostError {
    /// No host at all.
    #[error(
        "`{0}` is no host: expected a name or address, then a port where it is not 443 (api.example.org, localhost:8080, *.example.org)"
    )]
    Host(String),
    /// A port that does not exist.
    #[error("`{0}` is no port: expected 1 to 65535")]
    Port(String),
}

impl BoundHost {
    /// Whether a request goes there in a way that a value may: to this host and
    /// port, over TLS or without leaving the machine.
    #[must_use]
    pub fn admits(&self, target: &HttpTarget) -> bool {
        self.port == target.port() && self.host.matches(target.host_part()) && is_private(target)
    }

    /// Whatever the other one means, this one means too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.port == other.port && self.host.covers(&other.host)
    }
}

/// Over TLS, or to this machine by its own name or address.
#[must_use]
pub fn is_private(target: &HttpTarget) -> bool {
    target.scheme() == Scheme::Https || target.host_part().is_loopback()
}

impl FromStr for BoundHost {
    type Err = BoundHostError;

    fn from_str(text: &str) -> Result<Self, BoundHostError> {
        let shown = |text: &str| crate::text::truncated(text, 80).to_owned();
        let wrong = || BoundHostError::Host(shown(text));
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten().filter(|port| *port != 0);
        let port = port.map_or(Ok(443), |port| digits(port).ok_or_else(|| BoundHostError::Port(shown(port))))?;
        let host = HostPattern::parse(host).ok_or_else(wrong)?;
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for BoundHost {
    type Error = BoundHostError;

    fn try_from(text: String) -> Result<Self, BoundHostError> {
        text.parse()
    }
}

impl From<BoundHost> for String {
    fn from(host: BoundHost) -> Self {
        host.to_string()
    }
}

impl fmt::Display for BoundHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        if self.port == 443 { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// What a credential may be used for beside header values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialUse {
    /// Its placeholder in a query.
    Query,
    /// Its placeholder in a path.
    Path,
    /// Its placeholder in a body.
    Body,
    /// Signatures made with it.
    Sign,
    /// The value itself, in the guest's hands.
    Reveal,
}

impl CredentialUse {
    /// Every use.
    pub const ALL: [Self; 5] = [Self::Query, Self::Path, Self::Body, Self::Sign, Self::Reveal];

    /// The word in scopes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Path => "path",
            Self::Body => "body",
            Self::Sign => "sign",
            Self::Reveal => "reveal",
        }
    }
}

/// One credential, toward one host or its own ones, for these uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialScope {
    /// Which.
    pub name: CredentialName,
    /// Only there; none: where the credential itself is bound to.
    pub host: Option<BoundHost>,
    /// Beside header values.
    pub uses: BTreeSet<CredentialUse>,
}

/// Why a text is no scope of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialScopeError {
    /// The name.
    #[error(transparent)]
    Name(#[from] CredentialNameError),
    /// The host.
    #[error(transparent)]
    Host(#[from] BoundHostError),
    /// A use that there is not.
    #[error("`{0}` is no use of a credential: expected query, path, body, sign or reveal")]
    Use(String),
    /// Two credentials in one text.
    #[error("one credential a flag: expected `--credential=FIRST --credential=SECOND`")]
    Several,
    /// Longer than any scope.
    #[error("the text is longer than {MAX_TEXT} bytes")]
    TooLong,
}

impl CredentialScope {
    /// Whatever the other allows, this one allows too. A scope without a host
    /// asks for no more than it is given.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let hosts = match (&self.host, &other.host) {
            (None, _) | (_, None) => true,
            (Some(own), Some(other)) => own.covers(other),
        };
        self.name == other.name && hosts && self.uses.is_superset(&other.uses)
    }

    /// What a grant gives of a request. A grant of more uses than are asked for
    /// is no answer to the request, so that it is said.
    #[must_use]
    pub fn effective(grant: &Self, request: &Self) -> Option<Self> {
        if grant.name != request.name || !grant.uses.is_subset(&request.uses) {
            return None;
        }
        let host = match (&grant.host, &request.host) {
            (None, host) | (host, None) => host.clone(),
            (Some(grant), Some(request)) if grant.covers(request) => Some(request.clone()),
            (Some(grant), Some(request)) if request.covers(grant) => Some(grant.clone()),
            _ => return None,
        };
        Some(Self { name: grant.name.clone(), host, uses: grant.uses.clone() })
    }
}

impl FromStr for CredentialScope {
    type Err = CredentialScopeError;

    fn from_str(text: &str) -> Result<Self, CredentialScopeError> {
        if text.len() > MAX_TEXT {
            return Err(CredentialScopeError::TooLong);
        }
        if text.contains(',') {
            return Err(CredentialScopeError::Several);
        }
        let (rest, uses) = uses(text)?;
        let (name, host) = match rest.split_once('@') {
            Some((name, host)) => (name, Some(host)),
            None => (rest, None),
        };
        // An address in the place of the name says that it looks like one.
        let name: CredentialName = name.parse()?;
        Ok(Self { name, host: host.map(str::parse).transpose()?, uses })
    }
}

/// Splits the words off the end. What is no word and no port is an error here,
/// so that a misspelt one never becomes part of a host.
fn uses(text: &str) -> Result<(&str, BTreeSet<CredentialUse>), CredentialScopeError> {
    let mut rest = text;
    let mut uses = BTreeSet::new();
    while let Some((before, word)) = rest.rsplit_once(':') {
        let port = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if word.ends_with(']') || (port && before.contains('@')) || before.ends_with(['/', ':']) || word.starts_with("//") {
            break;
        }
        let found = CredentialUse::ALL.into_iter().find(|known| known.name() == word);
        uses.insert(found.ok_or_else(|| CredentialScopeError::Use(crate::text::truncated(word, 20).to_owned()))?);
        rest = before;
    }
    Ok((rest, uses))
}

impl TryFrom<String> for CredentialScope {
    type Error = CredentialScopeError;

    fn try_from(text: String) -> Result<Self, CredentialScopeError> {
        text.parse()
    }
}

impl From<CredentialScope> for String {
    fn from(scope: CredentialScope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for CredentialScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        self.host.iter().try_for_each(|host| write!(f, "@{host}"))?;
        self.uses.iter().try_for_each(|word| write!(f, ":{}", word.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> CredentialScope {
        text.parse().unwrap()
    }

    fn target(url: &str) -> HttpTarget {
        HttpTarget::parse("GET", url).unwrap()
    }

    #[test]
    fn a_scope_reads_as_it_is_written() {
        for text in [
            "A",
            "A@h.example",
            "A@h.example:8443",
            "A@*.h.example:query",
            "A:query:path:body:sign:reveal",
            "A@[::1]:8080:reveal",
            "A@[::1]",
        ] {
            assert_eq!(scope(text).to_string(), text);
        }
        assert_eq!(scope("A@H.example:443:reveal:sign").to_string(), "A@h.example:sign:reveal");
        for wrong in [
            "",
            "a",
            "A@",
            "A@*",
            "A@h.example:0",
            "A@h.example:99999",
            "A@h.example/x",
            "A@https://h.example",
            "A@u@h",
            "A:show",
            "A:",
            "A@h.example:qurey",
            "A:443",
            "A,B",
            "A@h.example,i.example",
        ] {
            assert!(wrong.parse::<CredentialScope>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_goes_to_its_host_and_port_over_tls_or_not_out_of_the_machine() {
        let host: BoundHost = "h.example".parse().unwrap();
        assert!(host.admits(&target("https://h.example/a")) && host.admits(&target("https://H.EXAMPLE.:443/")));
        for other in
            ["http://h.example:443/", "https://h.example:8443/", "https://x.h.example/", "https://h.example.evil/", "https://evil/"]
        {
            assert!(!host.admits(&target(other)), "{other}");
        }
        let local: BoundHost = "localhost:8080".parse().unwrap();
        assert!(local.admits(&target("http://localhost:8080/")) && local.admits(&target("https://localhost:8080/")));
        let literal: BoundHost = "127.0.0.1:8080".parse().unwrap();
        assert!(literal.admits(&target("http://127.0.0.1:8080/")) && !literal.admits(&target("http://localhost:8080/")));
        let lan: BoundHost = "192.168.1.5:8080".parse().unwrap();
        assert!(!lan.admits(&target("http://192.168.1.5:8080/")) && lan.admits(&target("https://192.168.1.5:8080/")));
        let below: BoundHost = "*.h.example".parse().unwrap();
        assert!(below.admits(&target("https://a.b.h.example/")) && !below.admits(&target("https://h.example/")));
    }

    #[test]
    fn a_grant_narrows_and_never_widens() {
        let effective =
            |grant: &str, request: &str| CredentialScope::effective(&scope(grant), &scope(request)).map(|scope| scope.to_string());
        assert_eq!(effective("A", "A@h.example"), Some("A@h.example".to_owned()));
        assert_eq!(effective("A@h.example", "A"), Some("A@h.example".to_owned()));
        assert_eq!(effective("A@*.h.example", "A@b.h.example"), Some("A@b.h.example".to_owned()));
        assert_eq!(effective("A", "A:reveal"), Some("A".to_owned()));
        for (grant, request) in [("A:reveal", "A"), ("B", "A"), ("A@h.example", "A@i.example"), ("A@h.example:444", "A@h.example")] {
            assert_eq!(effective(grant, request), None, "{grant} {request}");
        }
        assert!(
            scope("A").covers(&scope("A@h.example")) && scope("A@h.example").covers(&scope("A")) && !scope("A").covers(&scope("A:reveal"))
        );
    }
}
