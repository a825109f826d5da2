//! What the keychain remembers of the audit log's end, so that a whole folder
//! put back from yesterday is seen to be yesterday's.
//!
//! Only where the vault's key is in a keychain: written when a process ends, and
//! by one that schedules after a run, at most once a minute, so that a busy day
//! is no flood of writes there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use wardroom_core::clock::Timestamp;
use wardroom_db::{AuditFilter, AuditHead};
use wardroom_vault::{KeychainNote, Source};

use super::{VaultUseError, off_thread};
use crate::audit::Mirror;
use crate::wardroom::Wardroom;

/// Milliseconds between two writes of a process that runs on.
const EVERY_MS: u64 = 60_000;

/// What this process did to the log, and when it last wrote that down.
#[derive(Debug, Default)]
pub(crate) struct Mirrored {
    appended: AtomicU64,
    /// How many of those the keychain has.
    written: AtomicU64,
    /// A person began the log anew: what was remembered of another one is not
    /// held against it.
    begun: AtomicBool,
    last: Mutex<Option<Timestamp>>,
}

impl Mirrored {
    /// The log has, or is about to have, rows of this process.
    pub(crate) fn appended(&self) {
        self.appended.fetch_add(1, Ordering::Relaxed);
    }

    /// There are rows of this process that the keychain does not have, and it
    /// was not written to within the last minute.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_behind() && last.is_none_or(|last| now.ms_since(last) >= EVERY_MS || now < last)
    }

    fn is_behind(&self) -> bool {
        self.appended.load(Ordering::Relaxed) != self.written.load(Ordering::Relaxed)
    }

    /// The log begins anew, because somebody said so.
    pub(crate) fn begun(&self) {
        self.begun.store(true, Ordering::Relaxed);
        self.appended();
    }
}

/// As it is written there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    chain: String,
    count: u64,
    hash: String,
}

impl Note {
    fn of(head: &AuditHead) -> Self {
        Self { chain: head.chain.to_string(), count: head.count, hash: head.hash.to_string() }
    }
}

impl Wardroom {
    fn keychain_service(&self) -> Result<Option<String>, VaultUseError> {
        match self.vault_row() {
            Ok((_, record)) => Ok(match record.source() {
                Source::Keychain { service } => Some(service.clone()),
                _ => None,
            }),
            Err(VaultUseError::None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One note for each data folder, whatever happens to the log in it.
    fn folder_id(&self) -> String {
        let digest = sha2::Sha256::digest(self.home.path().as_os_str().as_encoded_bytes());
        HEXLOWER.encode(digest.split_at(16).0)
    }

    /// Writes the log's end into the keychain, where the vault's key is in one
    /// and this process added rows. `ending`: it will not be asked again. What
    /// contradicts the log is left as it is: it is the only witness that the
    /// folder was put back, and the next use must not wipe it out.
    ///
    /// # Errors
    ///
    /// [`VaultUseError`] where the keychain does not take it.
    pub async fn mirror_audit(&self, ending: bool) -> Result<(), VaultUseError> {
        let now = self.clock.now();
        if !(self.mirrored.is_due(now) || ending && self.mirrored.is_behind()) {
            return Ok(());
        }
        // Before it is tried: a keychain that does not answer is asked no oftener.
        *self.mirrored.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        // Before the log is read: what is appended meanwhile is still to be written.
        let appended = self.mirrored.appended.load(Ordering::Relaxed);
        let (Some(head), Some(service)) = (self.db.audit_head()?, self.keychain_service()?) else { return Ok(()) };
        let begun = self.mirrored.begun.load(Ordering::Relaxed);
        if begun || !matches!(self.compare_mirror().await?, Mirror::Contradicts { .. }) {
            let text = serde_json::to_string(&Note::of(&head)).unwrap_or_default();
            let id = self.folder_id();
            off_thread(move || KeychainNote::new(&service, &id)?.set(&text)).await?.map_err(wardroom_vault::VaultError::from)?;
        }
        self.mirrored.written.store(appended, Ordering::Relaxed);
        Ok(())
    }

    /// Compares the log with what the keychain remembers of it.
    pub(crate) async fn compare_mirror(&self) -> Result<Mirror, VaultUseError> {
        let Some(service) = self.keychain_service()? else { return Ok(Mirror::None) };
        let id = self.folder_id();
        let read = off_thread(move || KeychainNote::new(&service, &id)?.get()).await?;
        let note: Note = match read {
            Err(error) => return Ok(Mirror::Unknown { why: error.to_string() }),
            Ok(None) => return Ok(Mirror::Empty),
            Ok(Some(text)) => match serde_json::from_str(&text) {
                Ok(note) => note,
                Err(_) => return Ok(Mirror::Unknown { why: "what it remembers is not ours".to_owned() }),
            },
        };
        let filter = AuditFilter { before: Some(note.count.saturating_add(1)), limit: 1, ..AuditFilter::default() };
        let found = self.db.audit(&filter)?.into_iter().next();
        let same = found.is_some_and(|row| row.seq == note.count && row.hash.to_string() == note.hash);
        Ok(if same { Mirror::Agrees { count: note.count } } else { Mirror::Contradicts { count: note.count } })
    }
}
