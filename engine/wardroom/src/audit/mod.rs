//! The audit log: the events that this crate records, and looking at them.
//!
//! What a row proves is the database's to say; here events get their words, and
//! the log's first keys are fetched from the vault so that it can be checked.

use serde_json::{Map, Value, json};
use wardroom_core::clock::Timestamp;
use wardroom_core::id::ExecutionId;
use wardroom_db::{Actor, AuditEvent, AuditFilter, AuditRecord, AuditReport, AuditRestart, AuditRoot, Restarted, Sealing};

use crate::vault::{AUDIT_ROOT, VaultUseError, place_words};
use crate::wardroom::Wardroom;

/// Rows that one list may have.
pub use wardroom_db::audit::MAX_AUDIT_ROWS;

/// What happened, as words in rows. They are never renamed: rows last for ever.
pub(crate) mod event {
    pub(crate) const VAULT_CREATED: &str = "vault-created";
    pub(crate) const VAULT_ROTATED: &str = "vault-rotated";
    pub(crate) const CREDENTIAL_ADDED: &str = "credential-added";
    pub(crate) const CREDENTIAL_CHANGED: &str = "credential-changed";
    pub(crate) const CREDENTIAL_VALUE_SET: &str = "credential-value-set";
    pub(crate) const CREDENTIAL_CLEARED: &str = "credential-cleared";
    pub(crate) const CREDENTIAL_RENAMED: &str = "credential-renamed";
    pub(crate) const CREDENTIAL_REMOVED: &str = "credential-removed";
    pub(crate) const CREDENTIAL_ASSIGNED: &str = "credential-assigned";
    pub(crate) const CREDENTIAL_USED: &str = "credential-used";
    pub(crate) const CREDENTIAL_SIGNED: &str = "credential-signed";
    pub(crate) const CREDENTIAL_REVEALED: &str = "credential-revealed";
    pub(crate) const CREDENTIAL_REFUSED: &str = "credential-refused";
    pub(crate) const TASK_ADDED: &str = "task-added";
    pub(crate) const TASK_CHANGED: &str = "task-changed";
    pub(crate) const TASK_PAUSED: &str = "task-paused";
    pub(crate) const TASK_RESUMED: &str = "task-resumed";
    pub(crate) const TASK_REMOVED: &str = "task-removed";
    pub(crate) const TASK_EXPOSED: &str = "task-exposed";
    pub(crate) const TASK_UNEXPOSED: &str = "task-unexposed";
    pub(crate) const PLUGIN_INSTALLED: &str = "plugin-installed";
    pub(crate) const PLUGIN_UPGRADED: &str = "plugin-upgraded";
    pub(crate) const PLUGIN_ROLLED_BACK: &str = "plugin-rolled-back";
    pub(crate) const PLUGIN_REMOVED: &str = "plugin-removed";
    pub(crate) const PLUGIN_EXPOSED: &str = "plugin-exposed";
    pub(crate) const PLUGIN_UNEXPOSED: &str = "plugin-unexposed";
    pub(crate) const SIGNER_TRUSTED: &str = "signer-trusted";
    pub(crate) const SIGNER_UNTRUSTED: &str = "signer-untrusted";
    pub(crate) const PROGRAM_REVOKED: &str = "program-revoked";
    pub(crate) const PROGRAM_UNREVOKED: &str = "program-unrevoked";
    pub(crate) const TRUST_RESEALED: &str = "trust-resealed";
    pub(crate) const APPROVAL_ASKED: &str = "approval-asked";
    pub(crate) const APPROVAL_GIVEN: &str = "approval-given";
    pub(crate) const APPROVAL_REFUSED: &str = "approval-refused";
    pub(crate) const TOOL_REFUSED: &str = "tool-refused";
}

tokio::task_local! {
    static SESSION: String;
}

/// Does something that an assistant asked for: what changes by it is recorded
/// as the assistant's, with its session.
pub(crate) fn as_assistant<T>(session: String, work: impl Future<Output = T>) -> impl Future<Output = T> {
    SESSION.scope(session, work)
}

/// The session of the assistant that asked for this, where one did.
pub(crate) fn session() -> Option<String> {
    SESSION.try_with(Clone::clone).ok()
}

/// An event by whoever asked: the person at the keyboard, or an assistant.
pub(crate) fn by_asker(at: Timestamp, event: &'static str, subject: &str, detail: Value) -> AuditEvent {
    let session = session();
    AuditEvent {
        at,
        event,
        subject: subject.to_owned(),
        actor: if session.is_some() { Actor::Assistant } else { Actor::Operator },
        session,
        execution: None,
        attempt: None,
        detail: map(detail),
    }
}

/// An event that nobody asked for: the engine did it by a rule.
pub(crate) fn by_engine(at: Timestamp, event: &'static str, subject: &str, detail: Value) -> AuditEvent {
    AuditEvent { actor: Actor::Engine, session: None, ..by_asker(at, event, subject, detail) }
}

/// An event about the vault.
pub(crate) fn of_vault(at: Timestamp, event: &'static str, record: &wardroom_vault::VaultRecord) -> AuditEvent {
    let detail =
        json!({ "place": place_words(record.source()), "key_id": record.key_id().to_string(), "key_version": record.key_version() });
    by_asker(at, event, "vault", detail)
}

/// One attempt of one execution, as the one who did it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) execution: ExecutionId,
    pub(crate) attempt: u32,
}

impl Run {
    /// An event by a program.
    pub(crate) fn event(self, at: Timestamp, event: &'static str, subject: &str, detail: Value) -> AuditEvent {
        AuditEvent {
            at,
            event,
            subject: subject.to_owned(),
            actor: Actor::Guest,
            session: None,
            execution: Some(self.execution),
            attempt: Some(self.attempt),
            detail: map(detail),
        }
    }
}

fn map(detail: Value) -> Map<String, Value> {
    match detail {
        Value::Object(map) => map,
        other => Map::from_iter([("detail".to_owned(), other)]),
    }
}

/// What checking the log came to.
#[derive(Debug, serde::Serialize)]
pub struct Verified {
    /// What the rows say.
    #[serde(flatten)]
    pub report: AuditReport,
    /// Why the log's first keys are not at hand, where they are not: what was
    /// written with them cannot be told from what somebody computed anew.
    pub unproven_because: Option<String>,
    /// What the keychain remembers of the log's end.
    pub mirror: Mirror,
    /// What is missing around the log, a sentence each: it was begun with the
    /// vault, and its first key lies there.
    pub doubts: Vec<String>,
}

/// How the log's end stands to what the keychain remembers of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "mirror", rename_all = "kebab-case")]
pub enum Mirror {
    /// The vault's key is not in a keychain: nothing is mirrored.
    None,
    /// Nothing is remembered yet.
    Empty,
    /// The row it remembers is there, unchanged.
    Agrees {
        /// Which row.
        count: u64,
    },
    /// The row it remembers is gone or another: rows were taken back.
    Contradicts {
        /// Which row.
        count: u64,
    },
    /// The keychain does not answer.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Verified {
    /// Whether anything speaks against the log.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.report.is_intact() && self.doubts.is_empty() && !matches!(self.mirror, Mirror::Contradicts { .. })
    }
}

impl Wardroom {
    /// Rows of the log, newest first.
    ///
    /// # Errors
    ///
    /// [`VaultUseError::Db`].
    pub fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, VaultUseError> {
        Ok(self.db.audit(filter)?)
    }

    /// Checks the whole log, with its first keys where the vault opens.
    ///
    /// # Errors
    ///
    /// [`VaultUseError::Db`] where it cannot be read; what is wrong with it is
    /// in the answer.
    pub async fn verify_audit(&self) -> Result<Verified, VaultUseError> {
        let (roots, unproven_because) = match self.audit_roots().await {
            Ok(roots) => (roots, None),
            Err(VaultUseError::Db(error)) => return Err(error.into()),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let report = self.db.verify_audit(&roots)?;
        let mirror = self.compare_mirror().await?;
        let doubts = self.doubts(&report, roots.is_empty() && unproven_because.is_none())?;
        Ok(Verified { report, unproven_because, mirror, doubts })
    }

    /// What only the whole folder shows: a log without its first key was begun
    /// by somebody else, and so was one that is not there.
    fn doubts(&self, report: &AuditReport, without_key: bool) -> Result<Vec<String>, VaultUseError> {
        let has_vault = self.db.vault_record()?.is_some();
        let has_credentials = !self.db.credentials()?.is_empty();
        let unproven = report.chains.iter().filter(|chain| chain.proven < chain.last - chain.first + 1).count();
        let put_back = self.lists_contradict_audit()?;
        let all = [
            (
                put_back,
                "the lists of trusted keys and revoked bytes are not those of the last change that the log tells of: older ones were put back",
            ),
            (has_vault && without_key, "the vault has lost the log's first key: who wrote these rows is not known"),
            (has_vault && report.rows == 0, "the log is empty, although it begins with the vault"),
            (!has_vault && (report.rows > 0 || has_credentials), "the vault is gone, and with it the log's first key"),
            (!without_key && has_vault && unproven > 0 && report.proven > 0, "the log has a chain whose first key the vault does not hold"),
        ];
        Ok(all.into_iter().filter(|(holds, _)| *holds).map(|(_, words)| words.to_owned()).collect())
    }

    /// Begins a new chain where the old one cannot go on, which stays visible
    /// for ever.
    ///
    /// # Errors
    ///
    /// [`VaultUseError::Changed`] where the vault got another key meanwhile.
    pub async fn restart_audit(&self) -> Result<(), VaultUseError> {
        let root = AuditRoot::fresh()?;
        let sealed_root = match self.audit_roots().await {
            Ok(earlier) => Some(self.seal_roots(&earlier, &root).await?),
            Err(VaultUseError::None) => None,
            Err(error) => return Err(error),
        };
        let at = self.clock.now();
        match self.db.restart_audit(AuditRestart { at, session: None, root, sealed_root }).await? {
            Restarted::Restarted => {
                self.mirrored.begun();
                Ok(())
            }
            Restarted::Changed => Err(VaultUseError::Changed),
        }
    }

    async fn audit_roots(&self) -> Result<Vec<AuditRoot>, VaultUseError> {
        let Some(bytes) = self.open_audit_root().await? else { return Ok(Vec::new()) };
        Ok(bytes.expose_bytes().chunks(AuditRoot::BYTES).filter_map(AuditRoot::from_bytes).collect())
    }

    async fn seal_roots(&self, earlier: &[AuditRoot], root: &AuditRoot) -> Result<Sealing, VaultUseError> {
        let (vault, open) = self.open_vault().await?;
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity((earlier.len() + 1) * AuditRoot::BYTES));
        for root in earlier.iter().chain([root]) {
            bytes.extend_from_slice(root.expose_bytes());
        }
        let sealed = open.seal_bytes(AUDIT_ROOT, &bytes)?;
        Ok(Sealing { sealed: wardroom_db::Sealed::new(sealed.into_bytes()), vault })
    }
}
