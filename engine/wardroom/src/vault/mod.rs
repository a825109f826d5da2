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

pub(crate) mod mirror;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_db::{CredentialRecord, DbError, NewVault, Resealed, VaultChange, VaultCreation, VaultSwap};
use wardroom_vault::rotation::{self, Rotated, Rotation, StoredRotation};
use wardroom_vault::vault::discard_unsaved;
use wardroom_vault::{Identity, OpenVault, RecordError, SealError, Sealed, SealedVault, Secret, Source, VaultError, VaultRecord};

use crate::audit::{self, event};
use crate::wardroom::Wardroom;

/// A file that holds the passphrase, for servers.
pub(crate) const PASSPHRASE_FILE: &str = "WARDROOM_PASSPHRASE_FILE";

/// How often what another process changed meanwhile is read again, and the
/// change tried again.
pub(crate) const TRIES: usize = 20;

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

/// The open vault of a process. Another process may have given the vault another
/// key since: it is asked whether it is the record's.
pub(crate) type Opened = Mutex<Option<Arc<OpenVault>>>;

/// Held while the vault gets another key.
struct RotationLock {
    _held: File,
}

impl Wardroom {
    fn vault_row(&self) -> Result<(String, VaultRecord), VaultUseError> {
        let text = self.db.vault_record()?.ok_or(VaultUseError::None)?.record;
        let record = VaultRecord::parse_in(self.home.path(), &text)?;
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

    fn made_status(&self) -> Result<VaultStatus, VaultUseError> {
        self.vault_status()?.ok_or(VaultUseError::None)
    }

    /// Makes the vault, and begins the audit log with it.
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
        self.mirrored.appended();
        let now = self.clock.now();
        let passphrases = self.passphrases.clone();
        let (record, open) = off_thread(move || SealedVault::create(source, &*passphrases, now)).await??;
        let audit_root = match self.db.begin_audit()? {
            Some(root) => Some(kept(open.seal_bytes(AUDIT_ROOT, root.expose_bytes())?)),
            None => None,
        };
        let new = NewVault { record: record.to_text_in(self.home.path()), audit_root, created_at: now };
        match self.db.create_vault(new, vec![audit::of_vault(now, event::VAULT_CREATED, &record)]).await? {
            VaultCreation::Created => {
                self.mirrored.begun();
                self.made_status()
            }
            VaultCreation::Exists => {
                off_thread(move || discard_unsaved(&record)).await??;
                Err(VaultUseError::Exists(self.made_status()?.place))
            }
        }
    }

    /// Opens the vault, or answers the one that this process has open. The text
    /// is the record it was opened by: a value sealed now names it.
    pub(crate) async fn open_vault(&self) -> Result<(String, Arc<OpenVault>), VaultUseError> {
        self.mirrored.appended();
        let mut left = TRIES;
        loop {
            let (text, record) = self.recovered_row().await?;
            left -= 1;
            match self.unlocked(record).await {
                Ok(open) => return Ok((text, open)),
                // Between reading the record and fetching its key, a rotation of another process may have ended: its
                // key is gone, and nothing is wrong.
                Err(_) if left > 0 && self.vault_row()?.0 != text => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn unlocked(&self, record: VaultRecord) -> Result<Arc<OpenVault>, VaultUseError> {
        let known = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A rotation that has only begun changes the record and not the key.
        if let Some(open) = known.filter(|open| open.is_of(&record)) {
            return Ok(open);
        }
        let passphrases = self.passphrases.clone();
        let open = Arc::new(off_thread(move || SealedVault::new(record).unlock(&*passphrases)).await??);
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(open.clone());
        Ok(open)
    }

    /// The record; where a crash left a rotation unfinished, it is brought to an
    /// end first, unless it is not a crash but another process at work.
    async fn recovered_row(&self) -> Result<(String, VaultRecord), VaultUseError> {
        let (text, record) = self.vault_row()?;
        if record.pending().is_none() && record.retired().is_none() {
            return Ok((text, record));
        }
        if let Ok(_lock) = self.lock_rotation() {
            // A place that does not answer keeps a key too many; this opens all
            // the same.
            drop(self.recover_vault().await);
        }
        self.vault_row()
    }

    /// Opens the log's first keys; none where there is no log.
    pub(crate) async fn open_audit_root(&self) -> Result<Option<Secret>, VaultUseError> {
        let mut left = TRIES;
        loop {
            let Some(sealed) = self.db.vault_record()?.ok_or(VaultUseError::None)?.audit_root else { return Ok(None) };
            let (_, open) = self.open_vault().await?;
            left -= 1;
            match open.open_bytes(AUDIT_ROOT, &parsed(AUDIT_ROOT, &sealed)?) {
                // Sealed anew since it was read.
                Err(VaultError::KeyVersion { .. }) if left > 0 => {}
                opened => return Ok(opened.map(Some)?),
            }
        }
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
        let (before, old) = self.open_vault().await?;
        let record = VaultRecord::parse_in(self.home.path(), &before)?;
        let to = to.unwrap_or_else(|| record.source().clone());
        let (rotation, pending) = Rotation::begin(&record, to)?;
        self.swap_record(before, &pending).await?;
        let passphrases = self.passphrases.clone();
        let moved = match off_thread(move || rotation.store_key(&*passphrases)).await? {
            Ok(stored) => self.move_values(stored, &old, &pending).await,
            Err(error) => Err(error.into()),
        };
        // What was begun is undone, and the key that is no more in use goes. If
        // its place does not answer, the next rotation tries again.
        let recovered = self.recover_vault().await;
        moved?;
        match recovered {
            Ok(()) | Err(VaultUseError::Vault(_)) => self.made_status(),
            Err(error) => Err(error),
        }
    }

    /// Step 3 of a rotation: everything sealed, sealed anew, in one transaction;
    /// again, where others gave or took a value meanwhile.
    async fn move_values(&self, stored: StoredRotation, old: &OpenVault, pending: &VaultRecord) -> Result<(), VaultUseError> {
        let rotated = stored.finish(old, self.clock.now())?;
        for _ in 0..TRIES {
            if self.move_once(&rotated, old, pending).await? == VaultChange::Swapped {
                *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(rotated.vault));
                return Ok(());
            }
        }
        Err(VaultUseError::Changed)
    }

    async fn move_once(&self, rotated: &Rotated, old: &OpenVault, pending: &VaultRecord) -> Result<VaultChange, VaultUseError> {
        let sealed = self.sealed_values()?;
        let values: Vec<(Identity<'_>, &Sealed)> = sealed.iter().map(|value| (value.identity(), &value.sealed)).collect();
        let root = self.db.vault_record()?.and_then(|vault| vault.audit_root);
        let parsed = root.as_ref().map(|root| parsed(AUDIT_ROOT, root)).transpose()?;
        let small: Vec<(&str, &Sealed)> = parsed.iter().map(|root| (AUDIT_ROOT, root)).collect();
        let moved = rotated.reseal(old, &values, &small)?;
        let renewed = sealed.iter().zip(moved.credentials).map(|(value, new)| {
            let old = value.row.sealed.clone().unwrap_or_else(|| kept(value.sealed.clone()));
            (value.row.id, Resealed { old, new: kept(new) })
        });
        let now = self.clock.now();
        let swap = VaultSwap {
            expected: pending.to_text_in(self.home.path()),
            record: rotated.record.to_text_in(self.home.path()),
            values: renewed.collect(),
            audit_root: root.zip(moved.small.into_iter().next()).map(|(old, new)| Resealed { old, new: kept(new) }),
            at: now,
        };
        let event = audit::of_vault(now, event::VAULT_ROTATED, &rotated.record);
        Ok(self.db.swap_vault(swap, vec![event]).await?)
    }

    fn sealed_values(&self) -> Result<Vec<SealedValue>, VaultUseError> {
        let rows = self.db.credentials()?.into_iter();
        let valued = rows.filter_map(|row| row.sealed.clone().map(|sealed| (row, sealed)));
        valued.map(|(row, sealed)| Ok(SealedValue { sealed: parsed(row.name.as_str(), &sealed)?, id: row.id.to_string(), row })).collect()
    }

    /// Saves a record that only says how far a rotation has come.
    async fn swap_record(&self, before: String, record: &VaultRecord) -> Result<(), VaultUseError> {
        let record = record.to_text_in(self.home.path());
        match self.db.swap_vault_record(before, record, self.clock.now()).await? {
            VaultChange::Swapped => Ok(()),
            VaultChange::Changed => Err(VaultUseError::Changed),
        }
    }

    /// Brings to an end what a crash left of a rotation.
    async fn recover_vault(&self) -> Result<(), VaultUseError> {
        // Pending becomes retired, retired goes; one more look sees that it did.
        for _ in 0..3 {
            let (before, record) = self.vault_row()?;
            let Some(next) = off_thread(move || rotation::recover(&record)).await?? else { return Ok(()) };
            self.swap_record(before, &next).await?;
        }
        Ok(())
    }

    /// One rotation at a time, of all processes on this folder; released by the
    /// kernel when its holder dies.
    fn lock_rotation(&self) -> Result<RotationLock, VaultUseError> {
        let path = self.home.run().join("rotation.lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(VaultUseError::Lock)?;
        match file.try_lock() {
            Ok(()) => Ok(RotationLock { _held: file }),
            Err(TryLockError::WouldBlock) => Err(VaultUseError::Rotating),
            Err(TryLockError::Error(error)) => Err(VaultUseError::Lock(error)),
        }
    }
}

/// A credential's value as it lies in the database.
struct SealedValue {
    row: CredentialRecord,
    id: String,
    sealed: Sealed,
}

impl SealedValue {
    fn identity(&self) -> Identity<'_> {
        Identity { id: &self.id, name: &self.row.name, kind: self.row.kind }
    }
}

/// As the database keeps it.
pub(crate) fn kept(sealed: Sealed) -> wardroom_db::Sealed {
    wardroom_db::Sealed::new(sealed.into_bytes())
}

/// As the vault opens it.
pub(crate) fn parsed(name: &str, sealed: &wardroom_db::Sealed) -> Result<Sealed, VaultUseError> {
    Sealed::parse(sealed.bytes().to_vec()).map_err(|source| VaultUseError::Sealed { name: name.to_owned(), source })
}

/// Deriving a key takes a good part of a second, and a keychain may take
/// longer: neither holds up what else this process does.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, VaultUseError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| VaultUseError::Thread)
}
