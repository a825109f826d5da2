//! Giving a vault another key, or another place for it, so that a crash at any
//! moment leaves all of the old or all of the new.
//!
//! Owns the steps; saving is the caller's, each time by comparing the record in
//! the database with the one this started from and swapping it.
//!
//! ```text
//!  1 begin      save the record: it names the key to come (pending)
//!  2 store_key  the new key is in its place
//!  3 finish     save record and resealed rows in ONE transaction;
//!               the record names the old key (retired)
//!  4 retire     the old key is gone; save the record
//! ```
//!
//! A crash before 3 was saved leaves the old key in use and perhaps a new one
//! in its place; after 3, the new key in use and the old one in its place.
//! [`recover`] brings either to an end. It must never remove a key that a
//! record could still come to use: what is pending is first moved to retired
//! and saved, which makes the swap of a rotation that is only slow fail, and
//! only then removed.

use wardroom_core::clock::Timestamp;

use crate::key::KeyId;
use crate::record::{KeyPlace, VaultRecord};
use crate::seal::{Identity, Sealed};
use crate::source::{Passphrases, Source};
use crate::vault::{FreshKey, OpenVault, VaultError};

/// A rotation whose record is to be saved before it goes on.
#[must_use = "a rotation that was begun is to be finished or recovered"]
pub struct Rotation {
    from: VaultRecord,
    to: KeyPlace,
}

/// A rotation whose new key is in its place.
#[must_use = "a rotation that was begun is to be finished or recovered"]
pub struct StoredRotation {
    from: VaultRecord,
    fresh: FreshKey,
}

/// The vault under its new key, with nothing in it yet.
pub struct Rotated {
    /// The new record; it names the old key as retired.
    pub record: VaultRecord,
    /// Opens what is resealed.
    pub vault: OpenVault,
}

/// Everything sealed, to be saved with the new record in one transaction.
pub struct Moved {
    /// The credentials' values, in the order they came in.
    pub credentials: Vec<Sealed>,
    /// The small secrets, in the order they came in.
    pub small: Vec<Sealed>,
}

impl Rotation {
    /// Begins; the caller saves the record before the next step.
    ///
    /// # Errors
    ///
    /// [`VaultError::RotationUnfinished`] where [`recover`] has work left,
    /// [`VaultError::Source`] where `to` is no place.
    pub fn begin(record: &VaultRecord, to: Source) -> Result<(Self, VaultRecord), VaultError> {
        if record.pending.is_some() || record.retired.is_some() {
            return Err(VaultError::RotationUnfinished);
        }
        to.check()?;
        let to = KeyPlace { source: to, key_id: KeyId::fresh() };
        let from = VaultRecord { pending: Some(to.clone()), ..record.clone() };
        Ok((Self { from: from.clone(), to }, from))
    }

    /// Makes the new key and puts it in its place; of a passphrase, asks for
    /// the new one.
    ///
    /// # Errors
    ///
    /// [`VaultError`] where the place does not keep it; then [`recover`].
    pub fn store_key(self, passphrases: &dyn Passphrases) -> Result<StoredRotation, VaultError> {
        Ok(StoredRotation { from: self.from, fresh: FreshKey::make(self.to, passphrases)? })
    }
}

impl StoredRotation {
    /// The vault that the new key opens.
    ///
    /// # Errors
    ///
    /// [`VaultError::OtherVault`] where `old` is not the vault that this began
    /// with.
    pub fn finish(self, old: &OpenVault, now: Timestamp) -> Result<Rotated, VaultError> {
        if !old.is_of(&self.from) {
            return Err(VaultError::OtherVault);
        }
        let key_version = self.from.key_version.checked_add(1).ok_or(VaultError::VersionsUsedUp)?;
        let (record, vault) = self.fresh.into_vault(key_version, now, Some(self.from.key))?;
        Ok(Rotated { record, vault })
    }
}

impl Rotated {
    /// Reseals everything: the credentials, and the small secrets by what they
    /// are for. Both lists must be whole: what is left out never opens again.
    /// To be done again with what is there then, where something changed before
    /// it was saved.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] at the first value that does not open.
    pub fn reseal(&self, old: &OpenVault, credentials: &[(Identity<'_>, &Sealed)], small: &[(&str, &Sealed)]) -> Result<Moved, VaultError> {
        let credentials = credentials.iter().map(|(identity, sealed)| self.vault.seal(identity, &old.open(identity, sealed)?));
        let credentials = credentials.collect::<Result<_, _>>()?;
        let small = small.iter().map(|(purpose, sealed)| self.vault.seal_bytes(purpose, old.open_bytes(purpose, sealed)?.expose_bytes()));
        let small = small.collect::<Result<_, _>>()?;
        Ok(Moved { credentials, small })
    }
}

/// Removes the key that a rotation left behind; the caller saves the record.
///
/// # Errors
///
/// [`VaultError`] where its place does not answer. The vault opens all the
/// same, and [`recover`] tries again.
pub fn retire(record: &VaultRecord) -> Result<VaultRecord, VaultError> {
    if let Some(KeyPlace { source, key_id }) = &record.retired {
        source.remove(*key_id)?;
    }
    Ok(VaultRecord { retired: None, ..record.clone() })
}

/// One step towards a record without leftovers: the record to save, after which
/// this is called again; `None` where nothing is left to do.
///
/// # Errors
///
/// As [`retire`]. Where its place is gone for good, [`abandon`] it.
pub fn recover(record: &VaultRecord) -> Result<Option<VaultRecord>, VaultError> {
    match (&record.pending, &record.retired) {
        (Some(_), _) => Ok(Some(VaultRecord { pending: None, retired: record.pending.clone(), ..record.clone() })),
        (None, Some(_)) => retire(record).map(Some),
        (None, None) => Ok(None),
    }
}

/// Gives up removing what a rotation left behind, where its place is gone for
/// good; the key stays wherever that is. The caller saves the record.
#[must_use]
pub fn abandon(record: &VaultRecord) -> VaultRecord {
    VaultRecord { pending: None, retired: None, ..record.clone() }
}
