//! Approvals: what an assistant asks for, and only a person can give.
//!
//! ```text
//!  ask_grants, ask_removal ──▶ waits ──▶ approve (a person) ──▶ given, in one transaction
//!                                └─────▶ reject, or seven days
//! ```
//!
//! An approval names the task, the bytes and the exact scopes. It is given to
//! those bytes or to nobody, once. Nothing here asks whether the one who decides
//! is a person: the doors do, each in its way.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wardroom_core::blame::Blame;
use wardroom_core::capability::{Capability, Grants, Scope};
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::CredentialName;
use wardroom_core::id::Digest;
use wardroom_core::program::Format;
use wardroom_core::task::TaskId;
use wardroom_core::text::truncated;
use wardroom_db::{
    ApprovalId, ApprovalRecord, ApprovalStatus, Asking, CredentialId, DbError, Decision, Gift, GrantRecord, MAX_WAITING_APPROVALS,
    NewApproval, NewGrant,
};

use crate::audit::{self, event};
use crate::credential::CredentialUseError;
use crate::execution::changed::Changed;
use crate::execution::child::CalleeError;
use crate::execution::grants::{GrantError, GrantTexts, stored};
use crate::execution::resolve::ResolveError;
use crate::task::TaskError;
use crate::task::definition::Task;
use crate::wardroom::Wardroom;

/// How long an approval can be given.
pub const APPROVAL_LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes of a reason at most.
pub const MAX_REASON: usize = 1024;
/// Grants of one approval: what a person can take in.
pub const MAX_ASKED: usize = 16;
/// Bytes of their texts together.
pub const MAX_ASKED_BYTES: usize = 4096;
/// Bytes of a task's params that an approval shows.
const MAX_SHOWN_INPUT: usize = 400;
/// Approvals that one list shows.
pub const MAX_LISTED: u64 = 1000;

/// What an approval would give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Asked {
    Grants { task: TaskId, digest: Digest, format: Format, grants: Vec<AskedGrant> },
    RemoveCredential { name: CredentialName, force: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedGrant {
    capability: Capability,
    scope: String,
    /// Which credential it names: another one of that name is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialId>,
    /// On whom the grants of what it calls hang: another one of that name is
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    callee: Option<String>,
}

/// An approval as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct ApprovalView {
    /// Which.
    pub id: ApprovalId,
    /// `waiting`, `approved`, `rejected`, or `expired`.
    pub status: &'static str,
    /// What it is about, in words.
    pub about: String,
    /// The bytes that it would be given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What it would give, each as the flag that would give it.
    pub asks: Vec<String>,
    /// What it would give, where that still means something here.
    #[serde(skip)]
    pub scopes: Vec<Scope>,
    /// What else to know before saying yes: what it holds already, and where
    /// credentials may be sent.
    pub beside: Vec<String>,
    /// Where its program can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// Why, in the words of whoever asked.
    pub reason: String,
    /// The client's session that asked.
    pub session: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Nobody can give it from then on.
    pub expires_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// An approval that cannot be asked for, found or decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// There is none of this id.
    #[error("there is no approval `{0}`")]
    Unknown(String),
    /// Several begin like this.
    #[error("`{0}` is the beginning of several approvals' ids: expected more of it")]
    Ambiguous(String),
    /// It was decided before.
    #[error("the approval `{id}` is {status} already")]
    Decided {
        /// Which.
        id: ApprovalId,
        /// How.
        status: &'static str,
    },
    /// Its time is over.
    #[error("the approval `{0}` has expired")]
    Expired(ApprovalId),
    /// What it is about changed since.
    #[error("the approval `{0}` was asked for something that is gone, or has other bytes by now")]
    Stale(ApprovalId),
    /// One of its scopes means something else by now.
    #[error("what the approval `{id}` names as `{scope}` is not there any more, or something else is in its place")]
    Moved {
        /// Which.
        id: ApprovalId,
        /// The scope.
        scope: String,
    },
    /// Nothing was asked for.
    #[error("nothing is asked for: expected at least one grant that `{0}` does not have")]
    Nothing(String),
    /// The reason is too long, or missing.
    #[error("the reason has {0} bytes: expected 1 to {MAX_REASON}")]
    Reason(usize),
    /// Nobody could take it in at once.
    #[error("it asks for {0} grants of {1} bytes together: expected at most {MAX_ASKED} of {MAX_ASKED_BYTES}")]
    TooMuch(usize, usize),
    /// Too many wait.
    #[error("{MAX_WAITING_APPROVALS} approvals wait already")]
    Full,
    /// The row is none of ours.
    #[error("the approval `{0}` is damaged in the database")]
    Damaged(ApprovalId),
    /// The task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The credential.
    #[error(transparent)]
    Credential(#[from] CredentialUseError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl ApprovalError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Task(error) => error.blame(),
            Self::Credential(error) => error.blame(),
            Self::Db(error) => error.blame(),
            Self::Damaged(_) => Blame::Host,
            _ => Blame::Operator,
        }
    }
}

/// Why a task is paused that waits for this approval.
pub(crate) fn paused_for(id: ApprovalId) -> String {
    format!("waits for approval {id}")
}

/// The approval that a task was to wait for, where that is why it is paused;
/// whether it can still be given is not looked at.
#[must_use]
pub fn waited_for(task: &Task) -> Option<ApprovalId> {
    task.record.pause_reason.as_deref()?.strip_prefix("waits for approval ")?.parse().ok()
}

impl Wardroom {
    /// Asks a person for grants for a task, as its bytes are now. Scopes that it
    /// has already are left out.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Nothing`], [`ApprovalError::Task`] where a text is no
    /// scope, names a credential that does not exist, or lies outside of what
    /// the program declares.
    pub async fn ask_grants(&self, task: &Task, texts: &GrantTexts, reason: &str) -> Result<ApprovalId, ApprovalError> {
        let scopes = self.scopes(&task.definition.base, texts).map_err(TaskError::from)?;
        for scope in &scopes {
            if let Scope::Credential(credential) = scope
                && self.db.credential(&credential.name)?.is_none()
            {
                return Err(TaskError::NoCredential(credential.name.clone()).into());
            }
        }
        self.ask_scopes(task, &scopes, reason).await
    }

    /// The same, for scopes.
    ///
    /// # Errors
    ///
    /// As [`ask_grants`](Self::ask_grants).
    pub async fn ask_scopes(&self, task: &Task, scopes: &[Scope], reason: &str) -> Result<ApprovalId, ApprovalError> {
        let held = self.db.grants(&task.id().subject(), Some(task.record.digest))?;
        let held: Vec<Scope> = held.iter().filter_map(|grant| self.stored_scope(grant)).collect();
        let wanted: Vec<Scope> = scopes.iter().filter(|scope| !held.iter().any(|own| own.covers(scope))).cloned().collect();
        if wanted.is_empty() {
            return Err(ApprovalError::Nothing(task.name().to_string()));
        }
        for scope in &wanted {
            // An approval would be of something that nobody knows yet.
            if let Scope::Call(named) = scope
                && named.subject().is_none()
            {
                let unknown = CalleeError::Unknown { name: named.name().clone(), near: None };
                return Err(TaskError::from(GrantError::from(unknown)).into());
            }
        }
        let links = self.db.links_of(task.id())?;
        self.refuse_loop(task.id(), task.name().as_str(), &links, &wanted)?;
        let resolved = self.resolve(task.request(crate::task::check::trial())).await.map_err(TaskError::from)?;
        resolved.authorize(&Grants(wanted.clone())).map_err(|error| TaskError::from(ResolveError::from(error)))?;
        let mut grants = Vec::new();
        for (scope, NewGrant { capability, scope: text, callee }) in wanted.iter().zip(stored(&wanted)) {
            let credential = match scope {
                Scope::Credential(credential) => self.db.credential(&credential.name)?.map(|found| found.id),
                _ => None,
            };
            grants.push(AskedGrant { capability, scope: text, credential, callee });
        }
        let bytes = grants.iter().map(|grant| grant.scope.len()).sum();
        if grants.len() > MAX_ASKED || bytes > MAX_ASKED_BYTES {
            return Err(ApprovalError::TooMuch(grants.len(), bytes));
        }
        let asked = Asked::Grants { task: task.id(), digest: task.record.digest, format: task.definition.program.format, grants };
        self.ask(task.id().subject(), &asked, reason).await
    }

    /// Asks a person to remove a credential.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Credential`] where there is none.
    pub async fn ask_removal(&self, name: &CredentialName, force: bool, reason: &str) -> Result<ApprovalId, ApprovalError> {
        self.credential(name)?;
        self.ask(name.to_string(), &Asked::RemoveCredential { name: name.clone(), force }, reason).await
    }

    async fn ask(&self, subject: String, asked: &Asked, reason: &str) -> Result<ApprovalId, ApprovalError> {
        if !(1..=MAX_REASON).contains(&reason.len()) {
            return Err(ApprovalError::Reason(reason.len()));
        }
        let (id, now) = (ApprovalId::fresh(), self.clock.now());
        let lasts = i64::try_from(APPROVAL_LASTS.as_millis()).unwrap_or(i64::MAX);
        let text = serde_json::to_string(asked).map_err(|_| ApprovalError::Damaged(id))?;
        let detail = serde_json::json!({ "subject": subject, "asked": asked, "reason": reason });
        let events = self.audited(|| audit::by_asker(now, event::APPROVAL_ASKED, &id.to_string(), detail))?;
        let new = NewApproval {
            id,
            created_at: now,
            expires_at: Timestamp::from_ms(now.ms().saturating_add(lasts)),
            subject,
            session: audit::session(),
            reason: reason.to_owned(),
            asked: text,
        };
        match self.db.ask_approval(new, events).await? {
            Asking::Waits(id) | Asking::WaitsAlready(id) => Ok(id),
            Asking::Full => Err(ApprovalError::Full),
        }
    }

    /// Approvals, newest first; at most [`MAX_LISTED`].
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Db`].
    pub fn approvals(&self, waiting_only: bool) -> Result<Vec<ApprovalView>, ApprovalError> {
        let status = waiting_only.then_some(ApprovalStatus::Waiting);
        let views: Vec<ApprovalView> =
            self.db.approvals(status, MAX_LISTED)?.iter().map(|record| self.approval_view(record)).collect::<Result<_, _>>()?;
        Ok(views.into_iter().filter(|view| !waiting_only || view.status == ApprovalStatus::Waiting.name()).collect())
    }

    /// One approval, by its id or a beginning of it that no other has.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Unknown`], [`ApprovalError::Ambiguous`].
    pub fn approval(&self, id: &str) -> Result<ApprovalView, ApprovalError> {
        self.approval_view(&self.approval_record(id)?)
    }

    fn approval_record(&self, id: &str) -> Result<ApprovalRecord, ApprovalError> {
        if id.is_empty() {
            return Err(ApprovalError::Unknown(String::new()));
        }
        let mut found = self.db.approvals_by_prefix(id)?;
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(ApprovalError::Ambiguous(id.to_owned())),
            (None, _) => Err(ApprovalError::Unknown(id.to_owned())),
        }
    }

    fn approval_view(&self, record: &ApprovalRecord) -> Result<ApprovalView, ApprovalError> {
        let now = self.clock.now();
        let over = now >= record.expires_at || now < record.created_at;
        let status = if record.status == ApprovalStatus::Waiting && over { "expired" } else { record.status.name() };
        let (mut beside, mut program) = (Vec::new(), None);
        let (about, digest, asks, scopes) = match asked(record)? {
            Asked::Grants { task, digest, format, grants } => {
                let found = self.db.task_by_id(task)?;
                let name = found.as_ref().map_or_else(|| format!("{task} (removed)"), |task| task.name.to_string());
                if let Some(found) = found {
                    beside.extend(how_it_runs(&Task::read(found)?));
                }
                program = Some(self.components().path(digest, format)).filter(|path| path.exists());
                let held = self.db.grants(&record.subject, Some(digest))?;
                beside.extend(held.iter().map(|grant| format!("it holds already {}={}", grant.capability.flag(), grant.scope)));
                let scopes: Vec<Scope> = grants.iter().filter_map(|grant| self.stored_scope(&record_of(record, digest, grant))).collect();
                for scope in &scopes {
                    beside.extend(self.where_to(scope)?);
                }
                let flags = grants.iter().map(|grant| format!("{}={}", grant.capability.flag(), grant.scope)).collect();
                (format!("task {name}"), Some(digest), flags, scopes)
            }
            Asked::RemoveCredential { name, force } => {
                let how = if force { ", also where tasks use it" } else { "" };
                (format!("credential {name}"), None, vec![format!("remove the credential {name}{how}")], Vec::new())
            }
        };
        let ApprovalRecord { id, created_at, expires_at, decided_at, reason, session, .. } = record.clone();
        Ok(ApprovalView { id, status, about, digest, asks, scopes, beside, program, reason, session, created_at, expires_at, decided_at })
    }

    /// What a scope comes to where that is not in its text: where a credential's
    /// value may be sent, and what a callee may do itself.
    fn where_to(&self, scope: &Scope) -> Result<Vec<String>, ApprovalError> {
        let scope = match scope {
            Scope::Credential(scope) => scope,
            Scope::Call(scope) => return Ok(self.reach_of(scope)?),
            _ => return Ok(Vec::new()),
        };
        let Some(found) = self.db.credential(&scope.name)?.filter(|_| scope.host.is_none()) else { return Ok(Vec::new()) };
        let hosts: Vec<String> = found.hosts.iter().map(ToString::to_string).collect();
        let hosts = if hosts.is_empty() { "nowhere yet".to_owned() } else { hosts.join(", ") };
        let value = if found.sealed.is_none() { ", and has no value yet" } else { "" };
        Ok(vec![format!("{} may be sent to {hosts}{value}", scope.name)])
    }

    /// The approval that a task waits for and that can still be given.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Db`].
    pub fn waits_for(&self, task: &Task) -> Result<Option<ApprovalId>, ApprovalError> {
        let subject = task.id().subject();
        let waiting = self.db.approvals(Some(ApprovalStatus::Waiting), MAX_LISTED)?;
        for record in waiting.iter().filter(|record| record.subject == subject) {
            let view = self.approval_view(record)?;
            let is_its = waited_for(task).is_none_or(|id| id == record.id);
            if is_its && view.status == ApprovalStatus::Waiting.name() && view.digest == Some(task.record.digest) {
                return Ok(Some(record.id));
            }
        }
        Ok(None)
    }

    /// Whether a yes would still be one to what was asked: nobody needs to be
    /// asked for one that would not.
    ///
    /// # Errors
    ///
    /// What [`approve`](Self::approve) would say.
    pub fn check_approval(&self, id: ApprovalId) -> Result<(), ApprovalError> {
        let record = self.approval_record(&id.to_string())?;
        self.decidable(&record)?;
        self.gift(&record, &asked(&record)?).map(drop)
    }

    /// What a yes gives, and what changes by it, where all is as it was asked for.
    fn gift(&self, record: &ApprovalRecord, asked: &Asked) -> Result<(Gift, Option<Changed>), ApprovalError> {
        let id = record.id;
        let Asked::Grants { task, digest, format, grants } = asked else { return Ok((Gift::Nothing, None)) };
        let found = self.db.task_by_id(*task)?.ok_or(ApprovalError::Stale(id))?;
        if found.digest != *digest {
            return Err(ApprovalError::Stale(id));
        }
        let (revision, changed) = (found.revision, Changed::Task(found.name.clone()));
        // The same text in another language is another program.
        if Task::read(found)?.definition.program.format != *format {
            return Err(ApprovalError::Stale(id));
        }
        for grant in grants {
            // Given is what was asked for, not what took its place.
            match self.stored_scope(&record_of(record, *digest, grant)) {
                None => return Err(ApprovalError::Moved { id, scope: grant.scope.clone() }),
                Some(Scope::Credential(scope)) if self.db.credential(&scope.name)?.map(|found| found.id) != grant.credential => {
                    return Err(ApprovalError::Stale(id));
                }
                Some(_) => {}
            }
        }
        let grants =
            grants.iter().map(|grant| NewGrant { capability: grant.capability, scope: grant.scope.clone(), callee: grant.callee.clone() });
        Ok((Gift::Grants { task: *task, revision, digest: *digest, grants: grants.collect(), paused_for: paused_for(id) }, Some(changed)))
    }

    /// A person said yes.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Decided`], [`ApprovalError::Expired`],
    /// [`ApprovalError::Stale`], [`ApprovalError::Moved`], or what removing a
    /// credential answers.
    pub async fn approve(&self, id: ApprovalId) -> Result<(), ApprovalError> {
        let record = self.approval_record(&id.to_string())?;
        let (asked, now) = (asked(&record)?, self.clock.now());
        let (gift, changed) = self.gift(&record, &asked)?;
        if let Asked::RemoveCredential { name, force } = &asked {
            self.decidable(&record)?;
            self.remove_credential(name, *force).await?;
        }
        let detail = serde_json::json!({ "subject": record.subject, "asked": asked });
        let events = self.audited(|| audit::by_asker(now, event::APPROVAL_GIVEN, &id.to_string(), detail))?;
        let decision = self.db.approve(id, gift, now, events).await?;
        self.decided(id, decision)?;
        self.wake_scheduler().await;
        if let Some(changed) = changed {
            self.tell_changed(&[changed]).await;
        }
        Ok(())
    }

    /// A person said no.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Decided`].
    pub async fn reject(&self, id: ApprovalId) -> Result<(), ApprovalError> {
        let (record, now) = (self.approval_record(&id.to_string())?, self.clock.now());
        let detail = serde_json::json!({ "subject": record.subject });
        let events = self.audited(|| audit::by_asker(now, event::APPROVAL_REFUSED, &id.to_string(), detail))?;
        let decision = self.db.reject(id, now, events).await?;
        self.decided(id, decision)
    }

    fn decidable(&self, record: &ApprovalRecord) -> Result<(), ApprovalError> {
        match self.approval_view(record)?.status {
            "waiting" => Ok(()),
            "expired" => Err(ApprovalError::Expired(record.id)),
            status => Err(ApprovalError::Decided { id: record.id, status }),
        }
    }

    fn decided(&self, id: ApprovalId, decision: Decision) -> Result<(), ApprovalError> {
        match decision {
            Decision::Done => Ok(()),
            Decision::Expired => Err(ApprovalError::Expired(id)),
            Decision::Stale => Err(ApprovalError::Stale(id)),
            Decision::NotWaiting => {
                let status = self.approval(&id.to_string())?.status;
                Err(ApprovalError::Decided { id, status })
            }
        }
    }
}

/// When a task would run, and with what: a right is as wide as its use.
fn how_it_runs(task: &Task) -> Vec<String> {
    let definition = &task.definition;
    let when = task.schedule_words().unwrap_or_else(|| "only when it is started".to_owned());
    let params = (!definition.params.is_empty()).then(|| serde_json::Value::from(definition.params.clone()).to_string());
    let args = (!definition.args.is_empty()).then(|| definition.args.join(" "));
    let shown = |what: &str, text: String| format!("it runs with {what} {}", truncated(&text, MAX_SHOWN_INPUT));
    let mut words = vec![format!("it runs {when}")];
    words.extend(params.map(|text| shown("the params", text)));
    words.extend(args.map(|text| shown("the arguments", text)));
    words
}

fn asked(record: &ApprovalRecord) -> Result<Asked, ApprovalError> {
    serde_json::from_str(&record.asked).map_err(|_| ApprovalError::Damaged(record.id))
}

fn record_of(record: &ApprovalRecord, digest: Digest, grant: &AskedGrant) -> GrantRecord {
    let AskedGrant { capability, scope, callee, .. } = grant.clone();
    GrantRecord { subject: record.subject.clone(), digest, capability, scope, callee, created_at: record.created_at }
}
