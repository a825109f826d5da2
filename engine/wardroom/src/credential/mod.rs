//! Credentials: what a person stores, names and hands to programs.
//!
//! Values go in here and never come out: no function of this module answers one.
//! What a run may do with them is [`lent`].

mod lent;
mod value;

use std::collections::BTreeMap;

use serde::Serialize;
use wardroom_core::blame::Blame;
use wardroom_core::capability::credentials::{BoundHost, CredentialScope};
use wardroom_core::credential::{CredentialKind, CredentialName};
use wardroom_core::text::nearest;
use wardroom_db::DbError;
use wardroom_vault::Secret;

use crate::vault::VaultUseError;
use crate::wardroom::Wardroom;

pub use value::{ValueError, Warning};

/// Why a credential was not stored, changed or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialUseError {
    /// There is none of this name.
    #[error("there is no credential `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name asked for.
        name: CredentialName,
        /// One that is nearly so.
        near: Option<String>,
    },
    /// There is one of this name.
    #[error("there is a credential `{0}` already")]
    Exists(CredentialName),
    /// It is stored without a value.
    #[error("the credential `{0}` has no value yet")]
    NoValue(CredentialName),
    /// Somebody still has it.
    #[error("the credential `{name}` is assigned to {}", users.join(", "))]
    InUse {
        /// Which.
        name: CredentialName,
        /// To whom.
        users: Vec<String>,
    },
    /// The value cannot be one.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultUseError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl CredentialUseError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Vault(error) => error.blame(),
            Self::Db(error) => error.blame(),
            _ => Blame::Operator,
        }
    }
}
