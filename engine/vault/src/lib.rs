//! The vault: the only crate that sees key bytes or the value of a credential.
//!
//! Owns how values are sealed ([`seal`]), where the master key comes from
//! ([`source`]), what a run may do with what is assigned to it ([`ring`]), and
//! the redactor ([`redact`]). It must never open the database, a network
//! connection or a terminal: rows and passphrases are handed to it. Beside credentials
//! it has what signs plugins, and what finds out whether a signature holds ([`signer`]).

#![forbid(unsafe_code)]

mod key;
pub mod record;
pub mod redact;
pub mod ring;
pub mod rotation;
pub mod seal;
mod secret;
pub mod signer;
pub mod source;
pub mod vault;

pub use key::{KeyId, KeyIdError, RandomError};
pub use record::{KeyPlace, RecordError, VaultRecord};
pub use rotation::{Rotated, Rotation, StoredRotation};
pub use seal::{Identity, SealError, Sealed};
pub use secret::Secret;
pub use signer::{SignatureError, SigningKey, SigningKeyError, Verified};
pub use source::{Ask, KeyFileError, KeychainError, KeychainNote, PassphraseError, Passphrases, Source};
pub use vault::{OpenVault, SealedVault, VaultError};
