//! A vault, sealed and open.
//!
//! Owns the way from one to the other: [`SealedVault`] has a record and can
//! open nothing, [`OpenVault`] has a key and is only made by unlocking. It must
//! never keep a value, or say anything of one in an error.

use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::MAX_VALUE_BYTES;

use crate::Secret;
use crate::key::{DerivedKey, KeyId, MasterKey, RandomError, SALT_BYTES, random};
use crate::record::{KeyPlace, RecordError, VaultRecord};
use crate::seal::{Domain, Identity, SealError, Sealed, SealingKey};
use crate::source::{
    Ask, KeyFileError, KeychainError, PassphraseError, Passphrases, PlaceError, Source, SourceNameError, fresh_passphrase,
};

/// What is sealed to tell a right key from a wrong one. Its bytes tell nothing.
const CHECK_TEXT: &[u8] = b"wardroom";

/// Why a vault, or a value in it, does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The database is here, its key is not: copied from another machine or
    /// user, or the key was removed.
    #[error("the vault's master key {key_id} is not in {place}")]
    KeyMissing {
        /// Where it should be.
        place: Source,
        /// Which one.
        key_id: KeyId,
    },
    /// The passphrase is another one.
    #[error("the passphrase does not open this vault")]
    WrongPassphrase,
    /// There is a key of the right id, and it is not the one.
    #[error("the master key in {place} does not open this vault")]
    WrongKey {
        /// Where it is.
        place: Source,
    },
    /// The key is right, the value's row is not.
    #[error("the sealed value of `{name}` is damaged: it was changed or moved in the database")]
    Damaged {
        /// The credential, or what the small secret is for.
        name: String,
    },
    /// Sealed before or after a rotation that this process does not know of.
    #[error("`{name}` is sealed with key version {found}; the vault is open with version {open}")]
    KeyVersion {
        /// The credential, or what the small secret is for.
        name: String,
        /// Of the value.
        found: u32,
        /// Of the open vault.
        open: u32,
    },
    /// A value that cannot be sealed.
    #[error("a value has at most {MAX_VALUE_BYTES} bytes; this one has {0}")]
    TooLong(usize),
    /// An earlier rotation was not finished: recover first.
    #[error("an earlier change of the vault's key is not finished")]
    RotationUnfinished,
    /// The open vault is not the one of this record.
    #[error("the vault's key was changed meanwhile")]
    OtherVault,
    /// Key versions are used up: 2^32 rotations.
    #[error("the vault's key was changed too often")]
    VersionsUsedUp,
    /// The record does not read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Not a place for a key.
    #[error(transparent)]
    Source(#[from] SourceNameError),
    /// The keychain is absent, locked or silent.
    #[error(transparent)]
    Keychain(#[from] KeychainError),
    /// The key file is not as it should be.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// No passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl VaultError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::KeyMissing { .. }
            | Self::WrongPassphrase
            | Self::WrongKey { .. }
            | Self::KeyVersion { .. }
            | Self::TooLong(_)
            | Self::RotationUnfinished
            | Self::OtherVault => Blame::Operator,
            Self::Damaged { .. } | Self::VersionsUsedUp | Self::Random(_) => Blame::Host,
            Self::Record(error) => error.blame(),
            Self::Source(error) => error.blame(),
            Self::Keychain(error) => error.blame(),
            Self::KeyFile(error) => error.blame(),
            Self::Passphrase(error) => error.blame(),
        }
    }

    fn of_value(name: &str, error: SealError) -> Self {
        let name = || name.to_owned();
        match error {
            SealError::KeyVersion { found, open } => Self::KeyVersion { name: name(), found, open },
            SealError::TooLong(bytes) => Self::TooLong(bytes),
            SealError::Random(error) => Self::Random(error),
            SealError::TooShort(_) | SealError::Format(_) | SealError::Broken => Self::Damaged { name: name() },
        }
    }
}

impl From<PlaceError> for VaultError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Keychain(error) => Self::Keychain(error),
            PlaceError::KeyFile(error) => Self::KeyFile(error),
        }
    }
}

/// A vault that opens nothing: its record, checked.
#[derive(Debug, Clone)]
pub struct SealedVault {
    record: VaultRecord,
}

impl SealedVault {
    /// The vault of a record.
    #[must_use]
    pub const fn new(record: VaultRecord) -> Self {
        Self { record }
    }

    /// Makes a vault: a new master key is in its place before this returns. The
    /// caller saves the record where there is none; whoever comes second calls
    /// [`discard_unsaved`] with theirs.
    ///
    /// # Errors
    ///
    /// [`VaultError`] where the place does not keep a key, or there is no
    /// passphrase that would do.
    pub fn create(source: Source, passphrases: &dyn Passphrases, now: Timestamp) -> Result<(VaultRecord, OpenVault), VaultError> {
        let fresh = FreshKey::make(KeyPlace { source, key_id: KeyId::fresh() }, passphrases)?;
        fresh.into_vault(1, now, None)
    }

    /// The record.
    #[must_use]
    pub const fn record(&self) -> &VaultRecord {
        &self.record
    }

    /// Opens it. Slow by design: it derives the key.
    ///
    /// # Errors
    ///
    /// [`VaultError`] that tells a missing key from a wrong one.
    pub fn unlock(&self, passphrases: &dyn Passphrases) -> Result<OpenVault, VaultError> {
        let VaultRecord { key: KeyPlace { source, key_id }, iterations, salt, .. } = &self.record;
        let key = match source {
            Source::Passphrase => {
                let passphrase = passphrases.passphrase(Ask::Unlock)?;
                DerivedKey::derive(passphrase.expose_bytes(), salt, *iterations)
            }
            place => {
                let missing = || VaultError::KeyMissing { place: place.clone(), key_id: *key_id };
                place.load(*key_id)?.ok_or_else(missing)?.derive(salt, *iterations)
            }
        };
        let vault = OpenVault { key: SealingKey { version: self.record.key_version, key }, key_id: *key_id };
        if vault.passes(&self.record.check) {
            return Ok(vault);
        }
        Err(match source {
            Source::Passphrase => VaultError::WrongPassphrase,
            place => VaultError::WrongKey { place: place.clone() },
        })
    }
}

/// Removes the master key of a record that was made and never saved, because
/// another process made the vault first.
///
/// # Errors
///
/// [`VaultError`] where its place does not answer.
pub fn discard_unsaved(record: &VaultRecord) -> Result<(), VaultError> {
    Ok(record.key.source.remove(record.key.key_id)?)
}

/// A vault that seals and opens; its key is wiped when it is dropped.
pub struct OpenVault {
    key: SealingKey,
    key_id: KeyId,
}

impl OpenVault {
    /// Which version of the key this is. Rows are only written while the
    /// record in the database still has the same.
    #[must_use]
    pub const fn key_version(&self) -> u32 {
        self.key.version
    }

    /// Whether this is the vault of that record, with its present key.
    #[must_use]
    pub fn is_of(&self, record: &VaultRecord) -> bool {
        self.key.version == record.key_version && self.key_id == record.key.key_id
    }

    /// Seals a credential's value.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLong`], [`VaultError::Random`].
    pub fn seal(&self, identity: &Identity<'_>, value: &Secret) -> Result<Sealed, VaultError> {
        let sealed = self.key.seal(Domain::Credential, &fields(identity), value.expose_bytes());
        sealed.map_err(|error| VaultError::of_value(identity.name.as_str(), error))
    }

    /// Opens a credential's value.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] where it is not this credential's,
    /// [`VaultError::KeyVersion`] where another key sealed it.
    pub fn open(&self, identity: &Identity<'_>, sealed: &Sealed) -> Result<Secret, VaultError> {
        let opened = self.key.open(Domain::Credential, &fields(identity), sealed);
        opened.map_err(|error| VaultError::of_value(identity.name.as_str(), error))
    }

    /// Seals a small secret of our own.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    pub fn seal_bytes(&self, purpose: &str, value: &[u8]) -> Result<Sealed, VaultError> {
        self.key.seal(Domain::Small, &[purpose], value).map_err(|error| VaultError::of_value(purpose, error))
    }

    /// Opens a small secret of our own.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_bytes(&self, purpose: &str, sealed: &Sealed) -> Result<Secret, VaultError> {
        self.key.open(Domain::Small, &[purpose], sealed).map_err(|error| VaultError::of_value(purpose, error))
    }

    fn check_value(&self) -> Result<Sealed, VaultError> {
        let sealed = self.key.seal(Domain::Check, &[&self.key_id.to_string()], CHECK_TEXT);
        sealed.map_err(|error| VaultError::of_value("key check", error))
    }

    fn passes(&self, check: &Sealed) -> bool {
        let opened = self.key.open(Domain::Check, &[&self.key_id.to_string()], check);
        opened.is_ok_and(|text| text.expose_bytes() == CHECK_TEXT)
    }
}

fn fields<'a>(identity: &Identity<'a>) -> [&'a str; 3] {
    [identity.id, identity.name.as_str(), identity.kind.name()]
}

/// A key that is in its place and seals nothing yet.
pub(crate) struct FreshKey {
    place: KeyPlace,
    salt: [u8; SALT_BYTES],
    key: DerivedKey,
}

impl FreshKey {
    /// Makes a key and puts it in its place; reads it back, because a key that
    /// a keychain lost is every value lost.
    pub(crate) fn make(place: KeyPlace, passphrases: &dyn Passphrases) -> Result<Self, VaultError> {
        place.source.check()?;
        let salt = random()?;
        let iterations = place.source.iterations();
        let key = if place.source == Source::Passphrase {
            DerivedKey::derive(fresh_passphrase(passphrases)?.expose_bytes(), &salt, iterations)
        } else {
            let master = MasterKey::generate()?;
            place.source.store(place.key_id, &master)?;
            kept(&place, &master, place.source.load(place.key_id)?)?;
            master.derive(&salt, iterations)
        };
        Ok(Self { place, salt, key })
    }

    /// The vault that this key opens.
    pub(crate) fn into_vault(
        self,
        key_version: u32,
        now: Timestamp,
        retired: Option<KeyPlace>,
    ) -> Result<(VaultRecord, OpenVault), VaultError> {
        let iterations = self.place.source.iterations();
        let vault = OpenVault { key: SealingKey { version: key_version, key: self.key }, key_id: self.place.key_id };
        let check = vault.check_value()?;
        let record =
            VaultRecord { key: self.place, key_version, iterations, salt: self.salt, check, created_at: now, pending: None, retired };
        Ok((record, vault))
    }
}

/// What a place gave back, against what it was given.
fn kept(place: &KeyPlace, given: &MasterKey, back: Option<MasterKey>) -> Result<(), VaultError> {
    match back {
        Some(back) if back.is_same(given) => Ok(()),
        Some(_) => Err(KeychainError::Forgetful.into()),
        None => Err(VaultError::KeyMissing { place: place.source.clone(), key_id: place.key_id }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_gives_back_another_key_or_none_has_not_kept_it() {
        let place = KeyPlace { source: Source::Memory, key_id: KeyId::fresh() };
        let (given, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        assert!(kept(&place, &given, Some(given.duplicate())).is_ok());
        assert!(matches!(kept(&place, &given, Some(other)), Err(VaultError::Keychain(KeychainError::Forgetful))));
        let missing = kept(&place, &given, None);
        assert!(matches!(missing, Err(VaultError::KeyMissing { key_id, .. }) if key_id == place.key_id));
    }
}
