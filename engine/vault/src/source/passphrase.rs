//! A vault whose key is derived from a passphrase: nothing is stored anywhere.
//!
//! Owns what is asked, and what is refused as a new passphrase. It must never
//! ask itself: who has a terminal, an environment or a file is outside.

use wardroom_core::blame::Blame;

use crate::Secret;

/// Characters of a new passphrase at least (NIST SP 800-63B, 5.1.1.2).
pub const MIN_PASSPHRASE_CHARS: usize = 8;

/// Why a passphrase is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Of a vault that there is.
    Unlock,
    /// Of a vault that is being made or gets another key: asked twice, where a
    /// person types it.
    New,
}

/// Where passphrases come from: a prompt, the environment, a file.
pub trait Passphrases {
    /// The passphrase. A line's end that a file or a terminal added is already
    /// off: every byte counts.
    ///
    /// # Errors
    ///
    /// [`PassphraseError`] where there is nobody to ask, or nothing came.
    fn passphrase(&self, why: Ask) -> Result<Secret, PassphraseError>;
}

/// Why there is no passphrase. Never repeats one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// No terminal, and none in the environment or a file.
    #[error("the vault is opened with a passphrase, and there is nobody here to ask for it")]
    NobodyToAsk,
    /// Typed twice, differently.
    #[error("the two passphrases differ")]
    Differ,
    /// Too easily guessed.
    #[error("a new passphrase has at least {MIN_PASSPHRASE_CHARS} characters; this one has fewer")]
    TooShort,
    /// Could not be typed again by hand.
    #[error("a passphrase is text in UTF-8; this one is not")]
    NotText,
    /// The file, the variable or the terminal failed; says which and why.
    #[error("the passphrase cannot be read: {0}")]
    Unreadable(String),
}

impl PassphraseError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

/// None at all, for vaults whose key is kept elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPassphrases;

impl Passphrases for NoPassphrases {
    fn passphrase(&self, _: Ask) -> Result<Secret, PassphraseError> {
        Err(PassphraseError::NobodyToAsk)
    }
}

/// A new passphrase that is long enough.
pub(crate) fn fresh(passphrases: &dyn Passphrases) -> Result<Secret, PassphraseError> {
    let passphrase = passphrases.passphrase(Ask::New)?;
    let chars = passphrase.expose_text().ok_or(PassphraseError::NotText)?.chars().count();
    if chars < MIN_PASSPHRASE_CHARS { Err(PassphraseError::TooShort) } else { Ok(passphrase) }
}
