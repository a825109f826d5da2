//! Credentials for runs on the library: the vault's own ring and redactor, with
//! nothing kept of their use.

use std::sync::Arc;

use wardroom_core::capability::Scope;
use wardroom_core::capability::credentials::CredentialScope;
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::clock::{Clock, SystemClock};
use wardroom_core::credential::{Assigned, CredentialError, CredentialKind, Credentials, Draft, NoCredentials, Redact, SignScheme, Signed};
use wardroom_core::witness::BoxFuture;
use wardroom_vault::Secret;
use wardroom_vault::redact::Redactor;
use wardroom_vault::ring::{Held, Ring};

/// A credential of a test.
pub(crate) struct Stored {
    pub(crate) kind: CredentialKind,
    pub(crate) scope: CredentialScope,
    /// Where it may go, beside what its scope says.
    pub(crate) hosts: Vec<String>,
    pub(crate) value: String,
}

struct Lent {
    ring: Ring,
    redactor: Redactor,
}

/// What a run is lent of these.
pub(crate) fn lend(stored: Vec<Stored>) -> Arc<dyn Credentials> {
    if stored.is_empty() {
        return Arc::new(NoCredentials);
    }
    let held = stored.into_iter().map(|stored| Held {
        name: stored.scope.name.clone(),
        kind: stored.kind,
        hosts: stored.hosts.iter().map(|host| host.parse().unwrap()).collect(),
        scopes: vec![stored.scope],
        value: Secret::new(stored.value.into_bytes()),
    });
    let ring = Ring::new(held.collect()).unwrap();
    let redactor = Redactor::new(ring.values()).unwrap();
    Arc::new(Lent { ring, redactor })
}

impl Stored {
    pub(crate) fn grant(&self) -> Scope {
        Scope::Credential(self.scope.clone())
    }
}

impl Credentials for Lent {
    fn assigned(&self) -> Vec<Assigned> {
        self.ring.assigned()
    }

    fn target(&self, target: &HttpTarget) -> Result<Option<HttpTarget>, CredentialError> {
        self.ring.target(target)
    }

    fn wants_body(&self, target: &HttpTarget) -> bool {
        self.ring.wants_body(target)
    }

    fn is_for(&self, target: &HttpTarget) -> bool {
        self.ring.is_for(target)
    }

    fn check(&self, draft: &Draft) -> Result<bool, CredentialError> {
        self.ring.check(draft).map(|carried| !carried.is_empty())
    }

    fn fill(&self, draft: Draft) -> BoxFuture<'_, Result<Draft, CredentialError>> {
        let filled = self.ring.check(&draft).and_then(|carried| self.ring.fill(draft, &carried));
        Box::pin(std::future::ready(filled))
    }

    fn found_in_stream(&self, target: &HttpTarget) -> CredentialError {
        self.ring.found_in_stream(target)
    }

    fn sign<'a>(&'a self, name: &'a str, scheme: &'a SignScheme) -> BoxFuture<'a, Result<Signed, CredentialError>> {
        Box::pin(std::future::ready(self.ring.sign(name, scheme, SystemClock.now())))
    }

    fn reveal<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, CredentialError>> {
        let value = self.ring.reveal(name).map(|value| value.expose_text().unwrap().to_owned());
        Box::pin(std::future::ready(value))
    }

    fn redactor(&self) -> &dyn Redact {
        &self.redactor
    }
}
