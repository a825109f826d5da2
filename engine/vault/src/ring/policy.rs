//! Which credential may stand where, and what is said where it may not.
//!
//! The operator speaks twice: a credential is bound to hosts, and a run is
//! granted scopes of it. Both have to allow; a scope narrows and never widens.

use std::fmt;

use wardroom_core::capability::credentials::{BoundHost, CredentialScope, CredentialUse, is_private};
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::credential::lent::foreign_placeholder;
use wardroom_core::credential::{CredentialError, CredentialName};

use super::{Held, Place};

/// Where a request goes, and what that is called.
#[derive(Clone, Copy)]
pub(super) struct Toward<'a> {
    pub(super) target: &'a HttpTarget,
    /// The credential whose value the address is: its host is part of the
    /// secret, so only the name is said.
    pub(super) secret: Option<&'a CredentialName>,
}

impl fmt::Display for Toward<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.secret {
            Some(name) => name.fmt(f),
            None => f.write_str(&self.target.endpoint()),
        }
    }
}

impl Held {
    fn granted(&self) -> impl Iterator<Item = &CredentialScope> {
        self.scopes.iter().filter(|scope| scope.name == self.name)
    }

    fn is_bound_to(&self, target: &HttpTarget) -> bool {
        self.hosts.iter().any(|host| host.admits(target))
    }

    /// A scope narrows the credential's own hosts; one that has none goes
    /// nowhere, whatever a scope says: its host may be the program's own wish.
    fn reaches(&self, scope: &CredentialScope, target: &HttpTarget) -> bool {
        self.is_bound_to(target) && scope.host.as_ref().is_none_or(|host| host.admits(target))
    }

    /// Whether one scope allows both the host and the use: two that allow one
    /// each do not add up.
    pub(super) fn allows(&self, word: Option<CredentialUse>, target: &HttpTarget) -> bool {
        let says = |scope: &CredentialScope| word.is_none_or(|word| scope.uses.contains(&word));
        self.granted().any(|scope| says(scope) && self.reaches(scope, target))
    }

    /// Whether it may be used so at all, toward whatever host.
    pub(super) fn has(&self, word: CredentialUse) -> bool {
        self.granted().any(|scope| scope.uses.contains(&word))
    }

    /// The scope that adds this use, written as the operator would.
    fn scope_with(&self, host: Option<BoundHost>, word: Option<CredentialUse>) -> String {
        CredentialScope { name: self.name.clone(), host, uses: word.into_iter().collect() }.to_string()
    }

    /// Refuses what no grant ever allows.
    pub(super) fn never(&self, place: &str, toward: Option<Toward<'_>>, reason: &str) -> CredentialError {
        let toward = toward.map(|toward| format!(" toward {toward}")).unwrap_or_default();
        refused(format!("{} {place}{toward}", self.name), reason.to_owned(), None)
    }

    /// Refuses a use that needs a word and no host.
    pub(super) fn without(&self, word: CredentialUse, wanted: &str, reason: &str) -> CredentialError {
        refused(format!("{} {wanted}", self.name), reason.to_owned(), Some(self.scope_with(None, Some(word))))
    }

    /// Refuses a place that [`allows`](Self::allows) has denied.
    pub(super) fn denied(&self, place: Place, toward: Toward<'_>) -> CredentialError {
        let word = place.needs();
        let (reason, scope) = match self.granted().find(|scope| self.reaches(scope, toward.target)) {
            Some(scope) => (place.forbidden().to_owned(), Some(self.scope_with(scope.host.clone(), word))),
            None => {
                let (reason, scope) = self.misdirected(word, toward.target);
                (reason, scope.filter(|_| toward.secret.is_none()))
            }
        };
        if place == Place::Address {
            return refused(format!("{} {}", self.name, place.phrase()), reason, None);
        }
        refused(format!("{} {} toward {toward}", self.name, place.phrase()), reason, scope)
    }

    /// Refuses a signature for a request to where the credential may not go.
    pub(super) fn may_sign_for(&self, target: &HttpTarget) -> Result<(), CredentialError> {
        let word = Some(CredentialUse::Sign);
        if self.allows(word, target) {
            return Ok(());
        }
        let (reason, scope) = match self.granted().find(|scope| self.reaches(scope, target)) {
            Some(scope) => ("it may not be signed with there".to_owned(), Some(self.scope_with(scope.host.clone(), word))),
            None => self.misdirected(word, target),
        };
        Err(refused(format!("{} for a signature toward {}", self.name, target.endpoint()), reason, scope))
    }

    fn misdirected(&self, word: Option<CredentialUse>, target: &HttpTarget) -> (String, Option<String>) {
        let granted: Vec<&BoundHost> = self.granted().filter_map(|scope| scope.host.as_ref()).collect();
        let bound: Vec<&BoundHost> = if self.hosts.is_empty() { granted.clone() } else { self.hosts.iter().collect() };
        if bound.is_empty() {
            return ("it is bound to no host".to_owned(), None);
        }
        if self.is_bound_to(target) {
            // Only here does a grant help: the credential itself is for that host.
            let host = target.endpoint().parse().ok();
            return (format!("this run may use it only toward {}", listed(&granted)), Some(self.scope_with(host, word)));
        }
        if !is_private(target) && over_tls(target).iter().any(|safe| bound.iter().any(|host| host.admits(safe))) {
            return ("it would leave in the clear".to_owned(), None);
        }
        (format!("it is bound to {}", listed(&bound)), None)
    }
}

/// What the same host would be over TLS, on the same port and on the usual one.
fn over_tls(target: &HttpTarget) -> Vec<HttpTarget> {
    let urls = [format!("https://{}/", target.endpoint()), format!("https://{}/", target.host())];
    urls.iter().filter_map(|url| HttpTarget::parse("GET", url).ok()).collect()
}

fn listed(hosts: &[&BoundHost]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn refused(wanted: String, reason: String, scope: Option<String>) -> CredentialError {
    CredentialError::Refused(Box::new(Refusal { capability: Capability::Credentials, wanted, reason, scope }))
}

/// Refuses a placeholder that this ring does not hold.
pub(super) fn foreign(toward: Toward<'_>) -> CredentialError {
    match foreign_placeholder(toward.target) {
        CredentialError::Refused(refusal) => {
            CredentialError::Refused(Box::new(Refusal { wanted: format!("a placeholder toward {toward}"), ..*refusal }))
        }
        other => other,
    }
}

/// A placeholder stands in a body that was not held back.
pub(super) fn streamed(held: &[&Held], target: &HttpTarget) -> CredentialError {
    let wanted = format!("a placeholder in the body toward {}", target.endpoint());
    if held.iter().any(|held| held.allows(Some(CredentialUse::Body), target)) {
        let most = wardroom_core::credential::MAX_FILLED_BODY_BYTES;
        return refused(wanted, format!("the body is longer than the {most} bytes that credentials are filled in"), None);
    }
    let near: Vec<&&Held> = held.iter().filter(|held| held.allows(None, target)).collect();
    let scope = match near.as_slice() {
        // Whose placeholder it was is not known; with one candidate it is.
        [only] => Some(only.scope_with(None, Some(CredentialUse::Body))),
        _ => None,
    };
    refused(wanted, Place::Body.forbidden().to_owned(), scope)
}
