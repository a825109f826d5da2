//! Where the master key of a vault is kept.
//!
//! Owns [`Source`], which names a place and holds no secret, and what each
//! place can do. It must never choose a place by itself, nor fall back from one
//! to another: a vault opens from where its record says, or not at all.

mod key_file;
mod keychain;
mod memory;
mod passphrase;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wardroom_core::blame::Blame;
use wardroom_core::text::for_terminal_line;

use crate::key::{KEY_ITERATIONS, KeyId, MasterKey, PASSPHRASE_ITERATIONS};

pub use key_file::KeyFileError;
pub(crate) use key_file::{create_private, read_private};
pub use keychain::{KEYCHAIN_SERVICE, KeychainError, KeychainNote};
pub(crate) use passphrase::fresh as fresh_passphrase;
pub use passphrase::{Ask, MIN_PASSPHRASE_CHARS, NoPassphrases, PassphraseError, Passphrases};

/// Bytes of a key file's path at most (Linux: `PATH_MAX`).
const MAX_PATH_BYTES: usize = 4096;
/// Characters of a keychain service at most.
const MAX_SERVICE: usize = 64;

/// A place for a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSource", into = "RawSource")]
pub enum Source {
    /// The operating system's keychain.
    Keychain {
        /// The service its entries stand under; [`KEYCHAIN_SERVICE`] unless a
        /// test says otherwise.
        service: String,
    },
    /// Nowhere: derived from a passphrase each time.
    Passphrase,
    /// A file of its own.
    KeyFile {
        /// Absolute, and UTF-8: it is kept as text.
        path: PathBuf,
    },
    /// This process's memory.
    Memory,
}

/// Not a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceNameError {
    /// A relative path means another file from another folder.
    #[error("the path of a key file is absolute, in UTF-8 and up to {MAX_PATH_BYTES} bytes long; `{0}` is not")]
    Path(String),
    /// Not a service that we would use.
    #[error("a keychain service has up to {MAX_SERVICE} lower-case letters, digits, `.`, `_` and `-`; `{0}` has not")]
    Service(String),
    /// In a record.
    #[error("a source is keychain with a service, key_file with a path, passphrase or memory")]
    Form,
}

impl SourceNameError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

/// What a place did instead of keeping or giving a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlaceError {
    #[error(transparent)]
    Keychain(#[from] KeychainError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

impl Source {
    /// The keychain, under our own service.
    #[must_use]
    pub fn keychain() -> Self {
        Self::Keychain { service: KEYCHAIN_SERVICE.to_owned() }
    }

    /// The word in flags, answers and records.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Keychain { .. } => "keychain",
            Self::Passphrase => "passphrase",
            Self::KeyFile { .. } => "key_file",
            Self::Memory => "memory",
        }
    }

    /// Whether it is a place that could be named in a record.
    ///
    /// # Errors
    ///
    /// [`SourceNameError`] that says what is expected.
    pub fn check(&self) -> Result<(), SourceNameError> {
        match self {
            Self::Keychain { service } => {
                let plain = service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
                let fits = plain && !service.is_empty() && service.len() <= MAX_SERVICE;
                if fits { Ok(()) } else { Err(SourceNameError::Service(shown(service))) }
            }
            Self::KeyFile { path } => {
                let fits = path.to_str().is_some_and(|text| text.len() <= MAX_PATH_BYTES && !text.contains('\0'));
                if fits && path.is_absolute() && path.file_name().is_some() {
                    Ok(())
                } else {
                    Err(SourceNameError::Path(shown(&path.to_string_lossy())))
                }
            }
            Self::Passphrase | Self::Memory => Ok(()),
        }
    }

    /// Whether keys can be kept there now; changes nothing that stays.
    ///
    /// # Errors
    ///
    /// [`VaultError`](crate::vault::VaultError) that says what the place did
    /// instead.
    pub fn probe(&self) -> Result<(), crate::vault::VaultError> {
        match self {
            Self::Keychain { service } => Ok(keychain::probe(service)?),
            Self::KeyFile { path } => Ok(key_file::probe(path)?),
            Self::Passphrase | Self::Memory => Ok(()),
        }
    }

    /// Rounds of derivation at least.
    pub(crate) const fn iterations(&self) -> u32 {
        match self {
            Self::Passphrase => PASSPHRASE_ITERATIONS,
            Self::Keychain { .. } | Self::KeyFile { .. } | Self::Memory => KEY_ITERATIONS,
        }
    }

    /// Keeps a key. Nothing to keep for a passphrase.
    pub(crate) fn store(&self, key_id: KeyId, key: &MasterKey) -> Result<(), PlaceError> {
        match self {
            Self::Keychain { service } => Ok(keychain::store(service, key_id, key)?),
            Self::KeyFile { path } => Ok(key_file::store(path, key_id, key)?),
            Self::Memory => {
                memory::store(key_id, key);
                Ok(())
            }
            Self::Passphrase => Ok(()),
        }
    }

    /// Gives a key; `None` where there is none of this id.
    pub(crate) fn load(&self, key_id: KeyId) -> Result<Option<MasterKey>, PlaceError> {
        match self {
            Self::Keychain { service } => Ok(keychain::load(service, key_id)?),
            Self::KeyFile { path } => Ok(key_file::load(path, key_id)?),
            Self::Memory => Ok(memory::load(key_id)),
            Self::Passphrase => Ok(None),
        }
    }

    /// Forgets a key; one that is gone already is fine.
    pub(crate) fn remove(&self, key_id: KeyId) -> Result<(), PlaceError> {
        match self {
            Self::Keychain { service } => Ok(keychain::remove(service, key_id)?),
            Self::KeyFile { path } => Ok(key_file::remove(path, key_id)?),
            Self::Memory => {
                memory::remove(key_id);
                Ok(())
            }
            Self::Passphrase => Ok(()),
        }
    }
}

/// A foreign text in a message: one line, not too long.
fn shown(text: &str) -> String {
    for_terminal_line(wardroom_core::text::truncated(text, 80))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keychain { service } => write!(f, "the operating system's keychain (service `{service}`)"),
            Self::Passphrase => f.write_str("a passphrase"),
            Self::KeyFile { path } => write!(f, "the key file {}", for_terminal_line(&path.to_string_lossy())),
            Self::Memory => f.write_str("the memory of one process"),
        }
    }
}

/// As it stands in a record: nothing missing, nothing more.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl From<Source> for RawSource {
    fn from(source: Source) -> Self {
        let kind = source.name().to_owned();
        match source {
            Source::Keychain { service } => Self { kind, service: Some(service), path: None },
            Source::KeyFile { path } => Self { kind, service: None, path: Some(path.to_string_lossy().into_owned()) },
            Source::Passphrase | Source::Memory => Self { kind, service: None, path: None },
        }
    }
}

impl TryFrom<RawSource> for Source {
    type Error = SourceNameError;

    fn try_from(raw: RawSource) -> Result<Self, SourceNameError> {
        let source = match (raw.kind.as_str(), raw.service, raw.path) {
            ("keychain", Some(service), None) => Self::Keychain { service },
            ("key_file", None, Some(path)) => Self::KeyFile { path: path.into() },
            ("passphrase", None, None) => Self::Passphrase,
            ("memory", None, None) => Self::Memory,
            _ => return Err(SourceNameError::Form),
        };
        source.check().map(|()| source)
    }
}
