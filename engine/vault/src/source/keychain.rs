//! The operating system's keychain: Secret Service, macOS Keychain, Windows
//! Credential Manager.
//!
//! Owns the crates that speak to it, and the time it may take. Nothing else
//! names them, and no operation on a keychain runs on the caller's thread: a
//! locked one asks a person, and waits for an answer without end.
//!
//! Opening a store proves nothing; only [`probe`] tells whether one works. On
//! Linux it is found by `DBUS_SESSION_BUS_ADDRESS`, else at `bus` in
//! `XDG_RUNTIME_DIR`, else at `/run/user/UID/bus`: the store's D-Bus crate looks
//! there itself, so a process started with a bare environment finds it too.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error};
use uuid::Uuid;
use wardroom_core::blame::Blame;
use wardroom_core::text;
use zeroize::Zeroizing;

use crate::key::{KeyId, MasterKey};

/// The service that our entries stand under.
pub const KEYCHAIN_SERVICE: &str = "wardroom";
/// How long a keychain may take. One that works answers within 0.2 s; one that
/// shows a prompt waits for ever, and whoever started us (a schedule, an MCP
/// client) may be far from its screen. Unlock the keychain, then try again.
const LIMIT: Duration = Duration::from_secs(3);
/// Bytes of a note at most: what every store takes (Windows: 2560).
const MAX_NOTE_BYTES: usize = 2048;

/// What the keychain did instead. Holds no byte of an entry: the crate's own
/// errors do, and are never kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainError {
    /// None runs here, or it cannot be spoken to.
    #[error("the keychain cannot be reached: {0}")]
    Unavailable(String),
    /// It wants to be unlocked first, or has no collection to keep things in.
    #[error("the keychain is locked, or has no default collection")]
    Locked,
    /// No answer; it may be showing a prompt somewhere.
    #[error("the keychain did not answer within {} s", LIMIT.as_secs())]
    TimedOut,
    /// Several entries under one name: somebody else wrote one.
    #[error("the keychain has several entries `{0}`; expected one")]
    Ambiguous(String),
    /// An entry that is not what we store.
    #[error("the entry `{0}` of the keychain is not what Wardroom stored there")]
    Malformed(String),
    /// What was stored did not come back the same.
    #[error("the keychain did not keep what it was given")]
    Forgetful,
    /// Not something a note can hold, or be called.
    #[error("a note has at most {MAX_NOTE_BYTES} bytes and a name of letters, digits and hyphens")]
    Note,
}

impl KeychainError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Forgetful | Self::Note => Blame::Host,
            _ => Blame::Operator,
        }
    }
}

/// Whether this keychain keeps and gives back: stores, reads and removes an
/// entry of its own.
///
/// # Errors
///
/// [`KeychainError`] that says what it did instead.
pub(super) fn probe(service: &str) -> Result<(), KeychainError> {
    let account = format!("probe-{}", Uuid::now_v7());
    within(service.to_owned(), account, |slot| {
        slot.set(b"probe")?;
        let kept = slot.get();
        // Whatever came back, nothing stays behind.
        slot.remove()?;
        if kept?.is_some_and(|kept| kept.as_slice() == b"probe") { Ok(()) } else { Err(KeychainError::Forgetful) }
    })
}

fn account(key_id: KeyId) -> String {
    format!("master-{key_id}")
}

pub(super) fn store(service: &str, key_id: KeyId, key: &MasterKey) -> Result<(), KeychainError> {
    let hex = key.expose_hex();
    within(service.to_owned(), account(key_id), move |slot| slot.set(&hex))
}

pub(super) fn load(service: &str, key_id: KeyId) -> Result<Option<MasterKey>, KeychainError> {
    within(service.to_owned(), account(key_id), |slot| {
        let Some(hex) = slot.get()? else { return Ok(None) };
        MasterKey::from_hex(&hex).map(Some).ok_or_else(|| KeychainError::Malformed(slot.account.clone()))
    })
}

pub(super) fn remove(service: &str, key_id: KeyId) -> Result<(), KeychainError> {
    within(service.to_owned(), account(key_id), Slot::remove)
}

/// A text in the keychain that is no secret, but that whoever rewrites the
/// database cannot rewrite with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeychainNote {
    service: String,
    account: String,
}

impl KeychainNote {
    /// The note of this id: lower-case letters, digits and hyphens, up to 64.
    ///
    /// # Errors
    ///
    /// [`KeychainError::Note`] where it is something else.
    pub fn new(service: &str, id: &str) -> Result<Self, KeychainError> {
        let plain = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain || id.is_empty() || id.len() > 64 {
            return Err(KeychainError::Note);
        }
        Ok(Self { service: service.to_owned(), account: format!("audit-{id}") })
    }

    /// What it says; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`KeychainError`] where the keychain does not answer, or holds no text.
    pub fn get(&self) -> Result<Option<String>, KeychainError> {
        within(self.service.clone(), self.account.clone(), |slot| {
            let Some(bytes) = slot.get()? else { return Ok(None) };
            let note = String::from_utf8(bytes.to_vec()).map_err(|_| KeychainError::Malformed(slot.account.clone()))?;
            Ok(Some(note))
        })
    }

    /// Writes it anew.
    ///
    /// # Errors
    ///
    /// [`KeychainError`] where it is too long, or the keychain does not take it.
    pub fn set(&self, note: &str) -> Result<(), KeychainError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(KeychainError::Note);
        }
        let bytes = note.as_bytes().to_vec();
        within(self.service.clone(), self.account.clone(), move |slot| slot.set(&bytes))
    }
}

/// One entry, on the thread that may hang.
struct Slot {
    entry: Entry,
    account: String,
}

impl Slot {
    fn set(&self, bytes: &[u8]) -> Result<(), KeychainError> {
        self.entry.set_secret(bytes).map_err(|error| self.explain(error))
    }

    fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
        match self.entry.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// What is gone already is fine.
    fn remove(&self) -> Result<(), KeychainError> {
        match self.entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn explain(&self, error: Error) -> KeychainError {
        explain(&self.account, error)
    }
}

/// The crate's error without the bytes that some of its variants carry.
fn explain(account: &str, error: Error) -> KeychainError {
    match error {
        Error::NoStorageAccess(_) => KeychainError::Locked,
        Error::Ambiguous(_) => KeychainError::Ambiguous(account.to_owned()),
        Error::BadEncoding(bytes) | Error::BadDataFormat(bytes, _) => {
            drop(Zeroizing::new(bytes));
            KeychainError::Malformed(account.to_owned())
        }
        Error::PlatformFailure(cause) => {
            let cause = cause.to_string();
            // The Secret Service says so in several places, by this name.
            let locked = cause.contains("org.freedesktop.Secret.Error.IsLocked");
            if locked { KeychainError::Locked } else { unavailable(&cause) }
        }
        other => unavailable(&other.to_string()),
    }
}

fn unavailable(cause: &str) -> KeychainError {
    KeychainError::Unavailable(text::for_terminal_line(text::truncated(cause, 300)))
}

/// Works on an entry, on a thread of its own. A thread that hangs is left
/// behind with its connection: nothing can end it but the keychain's answer,
/// which then goes nowhere and is wiped.
fn within<T: Send + 'static>(
    service: String,
    account: String,
    work: impl FnOnce(&Slot) -> Result<T, KeychainError> + Send + 'static,
) -> Result<T, KeychainError> {
    let (answer, answers) = mpsc::sync_channel(1);
    let run = move || {
        let slot = open(&service, &account).map(|entry| Slot { entry, account: account.clone() });
        let worked = slot.map_err(|error| explain(&account, error)).and_then(|slot| work(&slot));
        // Nobody waits any more: dropping the answer wipes it.
        drop(answer.send(worked));
    };
    let spawned = std::thread::Builder::new().name("keychain".to_owned()).spawn(run);
    drop(spawned.map_err(|error| unavailable(&error.to_string()))?);
    match answers.recv_timeout(LIMIT) {
        Ok(worked) => worked,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(KeychainError::TimedOut),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(unavailable("its driver failed")),
    }
}

/// A store for this entry alone: one that hangs holds a lock that every other
/// entry of the same store would wait for.
fn open(service: &str, account: &str) -> Result<Entry, Error> {
    let store: Arc<CredentialStore> = native_store()?;
    store.build(service, account, None)
}

#[cfg(target_os = "linux")]
fn native_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn native_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(target_os = "windows")]
fn native_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn native_store() -> Result<Arc<CredentialStore>, Error> {
    Err(Error::NotSupportedByStore("there is no keychain for this operating system".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keychains in the field have entries of this name: under another, no key is found.
    #[test]
    fn a_key_stands_under_its_own_id() {
        let key_id: KeyId = "0190b5a0-0000-7000-8000-000000000000".parse().unwrap();
        assert_eq!(account(key_id), "master-0190b5a0-0000-7000-8000-000000000000");
    }

    #[test]
    fn only_what_no_person_can_mend_is_the_machines() {
        for error in [KeychainError::Forgetful, KeychainError::Note] {
            assert_eq!(error.blame(), Blame::Host, "{error}");
        }
        for error in [KeychainError::Locked, KeychainError::TimedOut, KeychainError::Unavailable("no bus".to_owned())] {
            assert_eq!(error.blame(), Blame::Operator, "{error}");
        }
    }
}
