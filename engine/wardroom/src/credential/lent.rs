//! The credentials of one run: the vault's ring, every use of it written down
//! before it happens.
//!
//! ```text
//!  check ─▶ refused: audited, nothing is sent
//!  fill, sign, reveal ─▶ audited, durable ─▶ done
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use wardroom_core::capability::credentials::CredentialScope;
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::clock::Clock;
use wardroom_core::credential::{
    Assigned, CredentialError, CredentialName, Credentials, Draft, MAX_CREDENTIAL_USES, NoCredentials, Redact, SignScheme, Signed,
};
use wardroom_core::plan::Plan;
use wardroom_core::witness::{BoxFuture, HostFault};
use wardroom_db::{AuditEvent, Database};
use wardroom_vault::redact::Redactor;
use wardroom_vault::ring::{Held, Ring};

use super::CredentialUseError;
use crate::audit::{self, Run, event};
use crate::wardroom::Wardroom;

/// What a run is lent.
pub(crate) struct LentCredentials {
    ring: Ring,
    redactor: Redactor,
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
    user: User,
    /// Uses so far: each is a row for ever.
    uses: AtomicU64,
    /// Refusals so far, by what they were of. A flood of one kind must neither
    /// fill a disk nor keep another kind from being written down.
    refusals: Mutex<HashMap<String, u32>>,
}

/// Who uses them, as the audit log says it.
#[derive(Debug, Clone, Copy)]
enum User {
    /// A program.
    Run(Run),
    /// Wardroom itself, with what a person at the command line named.
    Asker,
}

/// How often a refusal of one kind is written down.
const SAME_REFUSALS: u32 = 10;
/// Kinds of refusal that are written down.
const REFUSAL_KINDS: usize = 1000;

impl Wardroom {
    /// The credentials that a plan holds, their values opened. Without any, the
    /// vault stays shut.
    pub(crate) async fn lend(&self, plan: &Plan) -> Result<Arc<dyn Credentials>, CredentialUseError> {
        let resolved = plan.resolved();
        let run = Run { execution: resolved.id, attempt: resolved.attempt };
        self.lent(&plan.access().credentials, User::Run(run)).await
    }

    /// The credential that a person named for fetching something, its value
    /// opened; none: the vault stays shut.
    pub(crate) async fn lend_to_fetch(&self, scope: Option<&CredentialScope>) -> Result<Arc<dyn Credentials>, CredentialUseError> {
        if scope.is_some() {
            self.mirrored.appended();
        }
        self.lent(scope.map_or(&[], std::slice::from_ref), User::Asker).await
    }

    async fn lent(&self, assigned: &[CredentialScope], user: User) -> Result<Arc<dyn Credentials>, CredentialUseError> {
        if assigned.is_empty() {
            return Ok(Arc::new(NoCredentials));
        }
        // Each execution would be as large.
        Box::pin(self.opened(assigned, user)).await
    }

    async fn opened(&self, assigned: &[CredentialScope], user: User) -> Result<Arc<dyn Credentials>, CredentialUseError> {
        let mut scopes: BTreeMap<&CredentialName, Vec<CredentialScope>> = BTreeMap::new();
        for scope in assigned {
            scopes.entry(&scope.name).or_default().push(scope.clone());
        }
        let mut held = Vec::new();
        for (name, scopes) in scopes {
            let (record, value) = self.open_value(self.known(name)?).await?;
            held.push(Held { name: record.name, kind: record.kind, hosts: record.hosts, scopes, value });
        }
        let prepare = |error: &dyn std::error::Error| CredentialUseError::Prepare(error.to_string());
        let ring = Ring::new(held).map_err(|error| prepare(&error))?;
        let redactor = Redactor::new(ring.values()).map_err(|error| prepare(&error))?;
        Ok(Arc::new(LentCredentials {
            ring,
            redactor,
            db: self.db.clone(),
            clock: self.clock.clone(),
            user,
            uses: AtomicU64::new(0),
            refusals: Mutex::default(),
        }))
    }
}

impl LentCredentials {
    /// One more row; none beyond the ceiling.
    fn spend(&self) -> Result<(), CredentialError> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        if used < MAX_CREDENTIAL_USES {
            return Ok(());
        }
        Err(CredentialError::Unfit(format!("the run has used its credentials {MAX_CREDENTIAL_USES} times, and may not any more")))
    }

    /// Written down and durable before the use happens.
    async fn record(&self, names: Vec<CredentialName>, events: Vec<AuditEvent>) -> Result<(), CredentialError> {
        let written = self.db.touch_credentials(names, self.clock.now(), events).await;
        written.map_err(|error| CredentialError::Host(HostFault(format!("the use of a credential cannot be audited: {error}"))))
    }

    fn event(&self, event: &'static str, subject: &str, detail: Value) -> AuditEvent {
        match self.user {
            User::Run(run) => run.event(self.clock.now(), event, subject, detail),
            User::Asker => audit::by_asker(self.clock.now(), event, subject, detail),
        }
    }

    /// Writes a refusal down. Nothing waits for it: nothing happened.
    fn refused(&self, error: CredentialError) -> CredentialError {
        let detail = match &error {
            CredentialError::Refused(refusal) => json!({ "wanted": refusal.wanted, "reason": refusal.reason }),
            CredentialError::Unfit(reason) => json!({ "reason": reason }),
            CredentialError::NotAssigned(_) => json!({ "reason": "it is not assigned" }),
            _ => return error,
        };
        let detail = wardroom_core::credential::redact::redact_json(&self.redactor, detail);
        if self.is_news(&detail) {
            let subject = match &error {
                CredentialError::Refused(refusal) => self.subject(&refusal.wanted),
                _ => "credential".to_owned(),
            };
            drop(self.db.append_audit(vec![self.event(event::CREDENTIAL_REFUSED, &subject, detail)]));
        }
        error
    }

    fn is_news(&self, detail: &Value) -> bool {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = detail.to_string();
        let room = refusals.len() < REFUSAL_KINDS;
        match refusals.get_mut(&kind) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count <= SAME_REFUSALS
            }
            None if room => {
                refusals.insert(kind, 1);
                true
            }
            None => false,
        }
    }

    /// The credential that a refusal is about, by the name it begins with.
    fn subject(&self, wanted: &str) -> String {
        let first = wanted.split(' ').next().unwrap_or_default();
        let named = self.ring.assigned().into_iter().find(|assigned| assigned.name.as_str() == first);
        named.map_or_else(|| "placeholder".to_owned(), |assigned| assigned.name.to_string())
    }

    fn known_name(&self, name: &str) -> Option<CredentialName> {
        self.ring.assigned().into_iter().map(|assigned| assigned.name).find(|known| known.as_str() == name)
    }

    async fn filled(&self, draft: Draft) -> Result<Draft, CredentialError> {
        let carried = self.ring.check(&draft).map_err(|error| self.refused(error))?;
        self.spend()?;
        let to = draft.target.endpoint();
        let mut names = Vec::new();
        let mut events = Vec::new();
        for (name, place) in carried.uses() {
            names.push(name.clone());
            events.push(self.event(event::CREDENTIAL_USED, name.as_str(), json!({ "to": to, "in": place.name() })));
        }
        self.record(names, events).await?;
        self.ring.fill(draft, &carried)
    }

    async fn signed(&self, name: &str, scheme: &SignScheme) -> Result<Signed, CredentialError> {
        let signed = self.ring.sign(name, scheme, self.clock.now()).map_err(|error| self.refused(error))?;
        self.spend()?;
        let names = self.known_name(name).into_iter().collect();
        self.record(names, vec![self.event(event::CREDENTIAL_SIGNED, name, json!({ "scheme": scheme.name() }))]).await?;
        Ok(signed)
    }

    async fn revealed(&self, name: &str) -> Result<String, CredentialError> {
        let value = self.ring.reveal(name).map_err(|error| self.refused(error))?;
        self.spend()?;
        let names = self.known_name(name).into_iter().collect();
        self.record(names, vec![self.event(event::CREDENTIAL_REVEALED, name, json!({}))]).await?;
        value.expose_text().map(str::to_owned).ok_or_else(|| CredentialError::Unfit("the value is no text".to_owned()))
    }
}

impl Credentials for LentCredentials {
    fn assigned(&self) -> Vec<Assigned> {
        self.ring.assigned()
    }

    fn target(&self, target: &HttpTarget) -> Result<Option<HttpTarget>, CredentialError> {
        self.ring.target(target).map_err(|error| self.refused(error))
    }

    fn wants_body(&self, target: &HttpTarget) -> bool {
        self.ring.wants_body(target)
    }

    fn is_for(&self, target: &HttpTarget) -> bool {
        self.ring.is_for(target)
    }

    fn check(&self, draft: &Draft) -> Result<bool, CredentialError> {
        self.ring.check(draft).map(|carried| !carried.is_empty()).map_err(|error| self.refused(error))
    }

    fn fill(&self, draft: Draft) -> BoxFuture<'_, Result<Draft, CredentialError>> {
        Box::pin(self.filled(draft))
    }

    fn found_in_stream(&self, target: &HttpTarget) -> CredentialError {
        self.refused(self.ring.found_in_stream(target))
    }

    fn sign<'a>(&'a self, name: &'a str, scheme: &'a SignScheme) -> BoxFuture<'a, Result<Signed, CredentialError>> {
        Box::pin(self.signed(name, scheme))
    }

    fn reveal<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, CredentialError>> {
        Box::pin(self.revealed(name))
    }

    fn redactor(&self) -> &dyn Redact {
        &self.redactor
    }
}
