//! The vault of a data folder: made once, opened when a credential is used, given
//! another key, or another place for it.
//!
//! ```text
//!  init ─▶ key in its place ─▶ record + first audit row, one transaction
//!  rotate ─▶ lock ─▶ record: pending ─▶ new key in its place ─▶ all rows, one transaction ─▶ old key gone
//! ```
//!
//! Opening derives a key, which is slow on purpose and happens on a thread of
//! its own; a process that runs on opens it once.

mod mirror;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_db::{DbError, VaultSwap};
use wardroom_vault::record::{RecordError, VaultRecord};
use wardroom_vault::rotation::{self, Rotation};
use wardroom_vault::seal::{Identity, SealError, Sealed};
use wardroom_vault::source::{Passphrases, Source};
use wardroom_vault::vault::{self, OpenVault, SealedVault, VaultError};

use crate::audit::Event;
use crate::wardroom::Wardroom;

/// What the audit log's first key is sealed as.
pub(crate) const AUDIT_ROOT: &str = "audit-root";

/// Why the vault did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultUseError {
    /// There is none yet.
    #[error("there is no vault in this data folder yet")]
    None,
    /// There is one.
    #[error("this data folder has a vault already, its key is kept in {0}")]
    Exists(String),
    /// Its key would be gone with this process.
    #[error("a vault in memory lives inside `serve` and `mcp` alone: expected keychain, passphrase or file")]
    MemoryOnly,
    /// Another process is at it.
    #[error("another process is giving the vault another key")]
    Rotating,
    /// Something was written in between, again and again.
    #[error("the credentials were changed by another process while the vault got its new key; nothing was changed here")]
    Changed,
    /// The lock cannot be made.
    #[error("the vault cannot be locked: {0}")]
    Lock(std::io::Error),
    /// What the vault says.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Its row.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A row of a value.
    #[error("the value of `{name}` is damaged: {source}")]
    Sealed {
        /// Whose.
        name: String,
        /// What is wrong with it.
        source: SealError,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The thread that was to open it.
    #[error("the vault's thread ended early")]
    Thread,
}

impl VaultUseError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::None | Self::Exists(_) | Self::MemoryOnly | Self::Rotating | Self::Changed => Blame::Operator,
            Self::Lock(_) | Self::Thread | Self::Sealed { .. } => Blame::Host,
            Self::Vault(error) => error.blame(),
            Self::Record(error) => error.blame(),
            Self::Db(error) => error.blame(),
        }
    }
}

/// What a person may know of the vault.
#[derive(Debug, Clone, Serialize)]
pub struct VaultStatus {
    /// Where its key is kept: `keychain`, `passphrase`, `key_file`, `memory`.
    pub source: &'static str,
    /// The same, with the path or service.
    pub place: String,
    /// Which key, within that place.
    pub key_id: String,
    /// How many keys it has had.
    pub key_version: u32,
    /// Rounds of derivation.
    pub iterations: u32,
    /// Since when it has this key.
    pub created_at: Timestamp,
    /// A rotation was begun and not ended.
    pub unfinished: bool,
    /// Credentials that have a value.
    pub values: usize,
}

/// A place in a person's words.
#[must_use]
pub fn place_words(source: &Source) -> String {
    match source {
        Source::Keychain { service } => format!("the operating system's keychain (service {service})"),
        Source::Passphrase => "nobody's hands but yours (a passphrase)".to_owned(),
        Source::KeyFile { path } => format!("the file {}", path.display()),
        Source::Memory => "memory".to_owned(),
    }
}

/// The open vault of a process, and the record it was opened by: another
/// process may have given it another key since.
pub(crate) type Opened = Mutex<Option<(String, Arc<OpenVault>)>>;

/// Held while the vault gets another key.
struct RotationLock(#[expect(dead_code, reason = "holding it is what it is for")] File);

impl Wardroom {
    fn vault_row(&self) -> Result<(String, VaultRecord), VaultUseError> {
        let text = self.db.vault_record()?.ok_or(VaultUseError::None)?;
        let record = VaultRecord::parse(&text)?;
        Ok((text, record))
    }

    /// What the vault is; `None` where there is none yet. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`VaultUseError::Record`] where its row is damaged, or the database's.
    pub fn vault_status(&self) -> Result<Option<VaultStatus>, VaultUseError> {
        let record = match self.vault_row() {
            Ok((_, record)) => record,
            Err(VaultUseError::None) => return Ok(None),
            Err(error) => return Err(error),
        };
        let values = self.db.credentials()?.iter().filter(|credential| credential.sealed.is_some()).count();
        Ok(Some(VaultStatus {
            source: record.source().name(),
            place: place_words(record.source()),
            key_id: record.key_id().to_string(),
            key_version: record.key_version(),
            iterations: record.iterations(),
            created_at: record.created_at(),
            unfinished: record.pending().is_some() || record.retired().is_some(),
            values,
        }))
    }

    /// Makes the vault, and the audit log with it.
    ///
    /// # Errors
    ///
    /// [`VaultUseError::Exists`]; [`VaultUseError::Vault`] where the place keeps
    /// no key.
    pub async fn init_vault(&self, source: Source) -> Result<VaultStatus, VaultUseError> {
        if source == Source::Memory {
            return Err(VaultUseError::MemoryOnly);
        }
        if let Some(status) = self.vault_status()? {
            return Err(VaultUseError::Exists(status.place));
        }
        let now = self.clock.now();
        let passphrases = self.passphrases.clone();
        let (record, open) = off_thread(move || SealedVault::create(source, &*passphrases, now)).await??;
        let root = self.db.begin_audit().await?;
        let root = root.map(|root| open.seal_bytes(AUDIT_ROOT, root.expose_bytes())).transpose()?;
        let event = Event::vault("vault_created", &record);
        let made = self.db.create_vault(record.to_text(), root.map(Sealed::into_bytes), vec![event.by_operator()], now).await?;
        if !made {
            vault::discard_unsaved(&record)?;
            return Err(VaultUseError::Exists(self.vault_status()?.map_or_else(String::new, |status| status.place)));
        }
        self.vault_status()?.ok_or(VaultUseError::None)
    }

    /// Opens the vault, or answers the one that this process has open. The text
    /// is the record it was opened by: a value sealed now names it.
    ///
    /// # Errors
    ///
    /// [`VaultUseError`].
    pub(crate) async fn open_vault(&self) -> Result<(String, Arc<OpenVault>), VaultUseError> {
        let (text, record) = self.vault_row()?;
        if let Some((opened_by, open)) = &*self.opened.lock().unwrap_or_else(PoisonError::into_inner)
            && *opened_by == text
        {
            return Ok((text, open.clone()));
        }
        let passphrases = self.passphrases.clone();
        let open = Arc::new(off_thread(move || SealedVault::new(record).unlock(&*passphrases)).await??);
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some((text.clone(), open.clone()));
        Ok((text, open))
    }

    /// Gives the vault another key, in another place where one is named. All
    /// values move at once; whatever kills this process leaves all of the old
    /// or all of the new.
    ///
    /// # Errors
    ///
    /// [`VaultUseError::Rotating`], [`VaultUseError::Changed`], or what the
    /// vault says.
    pub async fn rotate_vault(&self, to: Option<Source>) -> Result<VaultStatus, VaultUseError> {
        if to == Some(Source::Memory) {
            return Err(VaultUseError::MemoryOnly);
        }
        let _lock = self.lock_rotation()?;
        self.recover_vault().await?;
        let (_, old) = self.open_vault().await?;
        let (before, record) = self.vault_row()?;
        let to = to.unwrap_or_else(|| record.source().clone());
        let (rotation, pending) = Rotation::begin(&record, to)?;
        self.swap_record(&before, &pending, Vec::new()).await?;
        let passphrases = self.passphrases.clone();
        let stored = off_thread(move || rotation.store_key(&*passphrases)).await?;
        let rotated = match stored {
            Ok(stored) => self.move_rows(stored, &old, &pending).await,
            Err(error) => Err(error.into()),
        };
        // What was begun is undone at once, or with the next use.
        let record = match rotated {
            Ok(record) => record,
            Err(error) => {
                self.recover_vault().await?;
                return Err(error);
            }
        };
        let done = off_thread(move || rotation::retire(&record).map(|done| (record, done))).await?;
        match done {
            Ok((record, done)) => self.swap_record(&record.to_text(), &done, Vec::new()).await?,
            // The new key is in use; the old one is removed when its place answers.
            Err(_) => {}
        }
        self.vault_status()?.ok_or(VaultUseError::None)
    }

    async fn move_rows(&self, stored: rotation::StoredRotation, old: &OpenVault, pending: &VaultRecord) -> Result<VaultRecord, VaultUseError> {
        let rows = self.db.credentials()?;
        let mut sealed = Vec::new();
        for row in &rows {
            if let Some(bytes) = &row.sealed {
                let parsed = Sealed::parse(bytes.clone()).map_err(|source| VaultUseError::Sealed { name: row.name.to_string(), source })?;
                sealed.push((row, parsed, bytes.clone()));
            }
        }
        let values: Vec<(Identity<'_>, &Sealed)> = sealed
            .iter()
            .map(|(row, parsed, _)| (Identity { id: &row.id, name: &row.name, kind: row.kind }, parsed))
            .collect();
        let root = self.db.audit_root()?.map(Sealed::parse).transpose().map_err(damaged_root)?;
        let small: Vec<(&str, &Sealed)> = root.iter().map(|root| (AUDIT_ROOT, root)).collect();
        let now = self.clock.now();
        let rotated = stored.finish(old, &values, &small, now)?;
        let event = Event::vault("vault_rotated", &rotated.record);
        let resealed = sealed.iter().zip(rotated.credentials).map(|((row, _, before), after)| (row.id.clone(), before.clone(), after.into_bytes()));
        let swap = VaultSwap {
            expected: pending.to_text(),
            record: rotated.record.to_text(),
            resealed: resealed.collect(),
            audit_root: rotated.small.into_iter().next().map(Sealed::into_bytes),
        };
        if !self.db.swap_vault(swap, vec![event.by_operator()], now).await? {
            return Err(VaultUseError::Changed);
        }
        let text = rotated.record.to_text();
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some((text, Arc::new(rotated.vault)));
        Ok(rotated.record)
    }

    /// Brings to an end what a crash left of a rotation, step by step.
    async fn recover_vault(&self) -> Result<(), VaultUseError> {
        // Two steps at most: pending becomes retired, retired goes.
        for _ in 0..3 {
            let (before, record) = self.vault_row()?;
            let Some(next) = off_thread(move || rotation::recover(&record)).await?? else { return Ok(()) };
            self.swap_record(&before, &next, Vec::new()).await?;
        }
        Ok(())
    }
}
