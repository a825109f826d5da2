//! Under which name what a client changes and runs is recorded.
//!
//! A session is a name that is made up here: unguessable, and no claim of the
//! client's. Where the protocol has sessions, or a client has this process to
//! itself, there is one for each client. Requests of 2026-07-28 over HTTP belong to
//! no session and come over any connection; all that tells their senders apart is
//! what each says of itself, program and version. That is a claim, so it decides
//! what is written down and nothing else: everybody who has the token may do the
//! same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rmcp::model::Implementation;
use rmcp::service::{RequestContext, RoleServer};
use sha2::Digest as _;

/// Clients of one server that are told apart; those beyond share a session, so
/// that nobody fills the memory by taking names.
const MAX_CLIENTS: usize = 64;

/// The sessions of one server.
pub(super) struct Sessions {
    /// Of the one client that it has, or of those that cannot be told apart.
    own: String,
    /// Of those that say who they are, by the digest of that.
    told: Option<Mutex<HashMap<[u8; 32], String>>>,
}

impl Sessions {
    /// For a server of one client.
    pub(super) fn one() -> Self {
        Self { own: fresh(), told: None }
    }

    /// For a server whose requests belong to no session.
    pub(super) fn many() -> Self {
        Self { own: fresh(), told: Some(Mutex::default()) }
    }

    /// The one that a request belongs to.
    pub(super) fn of(&self, context: &RequestContext<RoleServer>) -> String {
        match &self.told {
            None => self.own.clone(),
            Some(told) => context.client_info().map_or_else(|| self.own.clone(), |client| self.of_client(told, &client)),
        }
    }

    fn of_client(&self, told: &Mutex<HashMap<[u8; 32], String>>, client: &Implementation) -> String {
        // As JSON, in which no name runs into a version.
        let said = serde_json::json!([client.name, client.version]).to_string();
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let place = told.len() < MAX_CLIENTS;
        let digest = sha2::Sha256::digest(said.as_bytes()).into();
        match told.get(&digest) {
            Some(session) => session.clone(),
            None if place => told.entry(digest).or_insert_with(fresh).clone(),
            None => self.own.clone(),
        }
    }
}

fn fresh() -> String {
    format!("mcp-{}", wardroom_core::id::ExecutionId::fresh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart_by_what_they_say_and_not_without_end() {
        let sessions = Sessions::many();
        let of = |name: &str, version: &str| {
            let told = sessions.told.as_ref().unwrap();
            sessions.of_client(told, &Implementation::new(name, version))
        };
        assert_eq!(of("a", "1"), of("a", "1"));
        let different = [of("a", "1"), of("b", "1"), of("a", "2"), of("a1", ""), of("", "a1"), of("a\",\"1", "")];
        assert_eq!(different.iter().collect::<std::collections::HashSet<_>>().len(), different.len());
        assert!(different.iter().all(|session| session.starts_with("mcp-") && *session != sessions.own));
        for index in different.len()..MAX_CLIENTS {
            assert_ne!(of("other", &index.to_string()), sessions.own);
        }
        assert_eq!((of("late", "1"), of("later", "1")), (sessions.own.clone(), sessions.own.clone()));
        assert_eq!(of("a", "1"), different[0], "those that were there before stay");
    }
}
