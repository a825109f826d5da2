//! The ring of an execution through its public face: what is filled, what is
//! refused, what is signed.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

mod attacks;
mod fills;
mod properties;
mod signs;

use wardroom_core::capability::Refusal;
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::credential::{CredentialError, CredentialKind, Draft};
use wardroom_vault::Secret;
use wardroom_vault::ring::{Carried, Held, Ring};

/// The value of every credential that needs no other.
const VALUE: &str = "s3cr3t-value";

fn held(kind: CredentialKind, hosts: &[&str], scopes: &[&str], value: &str) -> Held {
    let name = scopes[0].split(['@', ':']).next().unwrap().parse().unwrap();
    Held {
        name,
        kind,
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        value: Secret::new(value.as_bytes().to_vec()),
    }
}

fn key(hosts: &[&str], scopes: &[&str]) -> Held {
    held(CredentialKind::ApiKey, hosts, scopes, VALUE)
}

/// A ring of one key, and its placeholder.
fn ring_of(hosts: &[&str], scopes: &[&str]) -> (Ring, String) {
    let ring = Ring::new(vec![key(hosts, scopes)]).unwrap();
    let placeholder = placeholder(&ring, 0);
    (ring, placeholder)
}

fn placeholder(ring: &Ring, at: usize) -> String {
    ring.assigned()[at].placeholder.clone()
}

fn target(url: &str) -> HttpTarget {
    HttpTarget::parse("POST", url).unwrap()
}

/// A request as a host would hand it over.
fn draft(url: &str, headers: &[(&str, &str)], body: Option<&str>) -> Draft {
    let target = target(url);
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Draft { path_and_query: target.path_and_query(), target, headers, body: body.map(|body| body.as_bytes().to_vec()) }
}

fn filled(ring: &Ring, draft: Draft) -> Result<Draft, CredentialError> {
    let carried = ring.check(&draft)?;
    ring.fill(draft, &carried)
}

/// Places that a request uses, such as `KEY header`.
fn uses(carried: &Carried) -> Vec<String> {
    carried.uses().iter().map(|(name, place)| format!("{name} {}", place.name())).collect()
}

fn header<'a>(draft: &'a Draft, name: &str) -> Option<&'a str> {
    let found = draft.headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

fn refusal<T>(result: Result<T, CredentialError>) -> Refusal {
    match result {
        Err(CredentialError::Refused(refusal)) => {
            assert!(!refusal.to_string().contains(VALUE));
            *refusal
        }
        Err(other) => panic!("expected a refusal: {other}"),
        Ok(_) => panic!("expected a refusal"),
    }
}

fn unfit<T>(result: Result<T, CredentialError>) -> String {
    match result {
        Err(CredentialError::Unfit(text)) => text,
        Err(other) => panic!("expected what does not fit: {other}"),
        Ok(_) => panic!("expected what does not fit"),
    }
}
