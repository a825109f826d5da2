//! Trust: which bytes may be run at all, and whose signature a plugin has to carry.
//!
//! ```text
//!  program ─▶ revoked? ─▶ of a plugin: what its source's rule asks for ─▶ Admitted ─▶ resolved
//!              lists.rs    config.rs, vault/signer.rs
//! ```
//!
//! Owns the gate that every program passes on its way to a run (`Wardroom::admit`)
//! and the lists behind it. Whether a signature holds is found out once for the same
//! bytes in a process; who is trusted and what is revoked is asked of the database
//! each time, because another process may have said otherwise a moment ago (the
//! database remembers its answer only while nobody commits: `db/memo.rs`).
//!
//! Look next at `lists.rs` (what is kept, its seal, its changes) and `sign.rs`
//! (making keys, and signing files).

mod lists;
mod sign;
mod uses;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;
use wardroom_core::plugin::{PluginSource, SourceKind};
use wardroom_core::program::{Format, Program};
use wardroom_core::signature::SignerKey;
use wardroom_core::text::for_terminal_line;
use wardroom_db::DbError;
use wardroom_vault::signer::verify;
use wardroom_vault::{SignatureError, Verified};

use crate::config::SignedRule;
use crate::seal::SealError;
use crate::wardroom::Wardroom;

pub use lists::{MAX_REASON, MAX_REVOKED, MAX_SIGNER_NAME, MAX_SIGNERS, RevokedBytes, TRUST_SUBJECT, TrustLists, TrustView, TrustedView};
pub use sign::{SignError, SignedFile, sign_file};
pub use uses::Uses;

/// Programs of which it is kept in memory who signed them.
const KEPT_SIGNATURES: usize = 256;

/// A program that is not admitted, or lists that cannot be used or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Its bytes are revoked.
    #[error("`{name}` has bytes that were revoked ({digest}){}", reason.as_ref().map_or_else(String::new, |reason| format!(": {}", for_terminal_line(reason))))]
    Revoked {
        /// As it is shown.
        name: String,
        /// The bytes.
        digest: Digest,
        /// Why, in the operator's words.
        reason: Option<String>,
    },
    /// It carries no signature, and has to.
    #[error("`{name}` is not signed: a plugin from {} has to be (`require_signed.{kind}`)", place(*kind))]
    Unsigned {
        /// As it is shown.
        name: String,
        /// Where it comes from.
        kind: SourceKind,
    },
    /// Nobody who is trusted signed it.
    #[error("`{name}` is signed by {signer}, which is not trusted: a plugin from {} has to be signed by a key that is (`require_signed.{kind}`)", place(*kind))]
    Unknown {
        /// As it is shown.
        name: String,
        /// Where it comes from.
        kind: SourceKind,
        /// Who signed.
        signer: SignerKey,
    },
    /// Its signature does not hold.
    #[error("`{name}` is not run: {source}")]
    Signature {
        /// As it is shown.
        name: String,
        /// Why not.
        source: SignatureError,
    },
    /// The lists are not as they were sealed.
    #[error("the lists of trusted keys and revoked bytes were changed in the database by somebody else than Wardroom, so nothing is run")]
    Altered,
    /// The audit log tells of later ones.
    #[error(
        "the lists of trusted keys and revoked bytes are not those of the last change that the audit log tells of: somebody else than Wardroom put older ones back"
    )]
    PutBack,
    /// No name for a signer.
    #[error("`{}` names no signer: expected 1 to {MAX_SIGNER_NAME} visible characters, without blanks at its ends", for_terminal_line(.0))]
    Name(String),
    /// Another key has the name.
    #[error("another key is trusted as `{}` already: {signer}", for_terminal_line(name))]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        signer: SignerKey,
    },
    /// It is trusted already.
    #[error("{signer} is trusted already, as `{}`", for_terminal_line(name))]
    Trusted {
        /// The key.
        signer: SignerKey,
        /// Its name.
        name: String,
    },
    /// Neither a key nor a name of one.
    #[error("nobody is trusted as `{}`", for_terminal_line(.0))]
    NotTrusted(String),
    /// Nobody can sign with it, or everybody.
    #[error(transparent)]
    Key(SignatureError),
    /// A reason that is too long.
    #[error("the reason has {0} bytes: expected at most {MAX_REASON}")]
    Reason(usize),
    /// They are revoked already.
    #[error("{0} is revoked already")]
    RevokedAlready(Digest),
    /// They are not revoked.
    #[error("{0} is not revoked")]
    NotRevoked(Digest),
    /// There are as many as there may be.
    #[error("there are {0} of them already, and no more are kept")]
    Full(usize),
    /// Another process was faster.
    #[error("the lists of trusted keys and revoked bytes were changed meanwhile")]
    Changed,
    /// The lists are as they were sealed, and need no new seal.
    #[error("the lists of trusted keys and revoked bytes are as Wardroom left them")]
    Intact,
    /// The key of the seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TrustError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Signature { source, .. } => source.blame(),
            Self::Seal(_) => Blame::Host,
            Self::Db(error) => error.blame(),
            _ => Blame::Operator,
        }
    }
}

/// In a person's words.
const fn place(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::File => "a file",
        SourceKind::Url => "an address",
        SourceKind::Oci => "a registry",
    }
}

/// What of a plugin's source decides whether its bytes are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// What kind of place they came from.
    pub kind: SourceKind,
    /// The digest of the manifest that a registry keeps them under. It is what the
    /// plugin is known by there, so that a revocation may name it.
    pub manifest: Option<Digest>,
}

impl Provenance {
    /// A file.
    pub(crate) const FILE: Self = Self { kind: SourceKind::File, manifest: None };
}

impl From<&PluginSource> for Provenance {
    fn from(source: &PluginSource) -> Self {
        let manifest = match source {
            PluginSource::Oci(oci) => Some(oci.digest()),
            // An address names the bytes' own digest.
            PluginSource::File(_) | PluginSource::Url(_) => None,
        };
        Self { kind: source.kind(), manifest }
    }
}

/// A program that may be run as far as its bytes go. [`Wardroom::admit`] alone
/// makes one, and nothing is resolved without.
#[derive(Debug)]
#[must_use]
pub(crate) struct Admitted(Program);

impl Admitted {
    /// The program.
    pub(crate) const fn program(&self) -> &Program {
        &self.0
    }

    /// The program, on its way to be resolved.
    pub(crate) fn into_program(self) -> Program {
        self.0
    }
}

/// How a signature stands to who is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignatureState {
    /// There is none.
    Unsigned,
    /// By a key that is trusted.
    Trusted {
        /// The key.
        signer: SignerKey,
        /// Whose it is.
        name: String,
    },
    /// By a key that is not.
    UnknownKey {
        /// The key.
        signer: SignerKey,
    },
    /// It does not hold.
    Invalid {
        /// Why not.
        reason: String,
    },
}

/// What is said of a program's signature, wherever a program is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureView {
    /// Who signed.
    #[serde(flatten)]
    pub signature: SignatureState,
    /// These bytes are revoked: since when, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<RevokedView>,
    /// What the operator should know of it under the rule of its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokedView {
    /// Since when.
    pub revoked_at: Timestamp,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SignatureView {
    /// In few words.
    #[must_use]
    pub fn words(&self) -> String {
        let signed = match &self.signature {
            SignatureState::Unsigned => "unsigned".to_owned(),
            SignatureState::Trusted { name, .. } => for_terminal_line(name),
            SignatureState::UnknownKey { .. } => "unknown key".to_owned(),
            SignatureState::Invalid { .. } => "does not hold".to_owned(),
        };
        if self.revoked.is_some() { format!("{signed}, REVOKED") } else { signed }
    }

    /// In a sentence's length, a line each.
    #[must_use]
    pub fn lines(&self) -> String {
        let signed = match &self.signature {
            SignatureState::Unsigned => "not signed".to_owned(),
            SignatureState::Trusted { signer, name } => format!("signed by {}, whose key is trusted\n{signer}", for_terminal_line(name)),
            SignatureState::UnknownKey { signer } => format!("signed by a key that is not trusted\n{signer}"),
            SignatureState::Invalid { reason } => for_terminal_line(reason),
        };
        let revoked = self.revoked.as_ref().map(|revoked| {
            let reason = revoked.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", for_terminal_line(reason)));
            format!("\nREVOKED since {}{reason}", revoked.revoked_at)
        });
        format!("{signed}{}", revoked.unwrap_or_default())
    }
}

/// Who signed bytes, as it was found out.
struct Looked {
    digest: Digest,
    format: Format,
    found: Result<Option<Verified>, SignatureError>,
}

/// What this process found out about bytes, and the lists as it read them last.
#[derive(Default)]
pub(crate) struct Trust {
    signatures: Mutex<VecDeque<Looked>>,
    lists: Mutex<Option<Arc<TrustLists>>>,
}

impl Wardroom {
    /// The gate: a program whose bytes are not revoked and, where it is of a plugin
    /// of this provenance, signed as the settings ask for.
    ///
    /// # Errors
    ///
    /// [`TrustError`] says why it is not run.
    pub(crate) fn admit(&self, program: Program, provenance: Option<Provenance>) -> Result<Admitted, TrustError> {
        let lists = self.trust_lists()?;
        lists.check_revoked(&program, provenance)?;
        let kind = provenance.map(|provenance| provenance.kind);
        if let Some(kind) = kind.filter(|kind| self.config.plugins.rule(*kind) == SignedRule::Enforce) {
            let signed = self.signature_of(&program).map_err(|source| TrustError::Signature { name: program.name.clone(), source })?;
            check_signed(&lists, &program, kind, signed)?;
        }
        Ok(Admitted(program))
    }

    /// The same of a program that is to become a plugin: a signature that does not
    /// hold is refused under every rule. Answers who signed, too.
    pub(crate) fn admit_plugin(&self, program: Program, provenance: Provenance) -> Result<(Admitted, Option<SignerKey>), TrustError> {
        let signed = self.signature_of(&program).map_err(|source| TrustError::Signature { name: program.name.clone(), source })?;
        Ok((self.admit(program, Some(provenance))?, signed.map(Verified::signer)))
    }

    /// One key that is trusted signed both.
    pub(crate) fn has_same_signer(&self, one: &Program, other: &Program) -> Result<bool, TrustError> {
        let (Ok(Some(one)), Ok(Some(other))) = (self.signature_of(one), self.signature_of(other)) else { return Ok(false) };
        Ok(one == other && self.trust_lists()?.name_of(one.signer()).is_some())
    }

    /// How a program that lies somewhere is signed.
    ///
    /// # Errors
    ///
    /// [`TrustError::Altered`], [`TrustError::Seal`], or [`TrustError::Db`].
    pub(crate) fn signature_view(&self, program: &Program, provenance: Provenance) -> Result<SignatureView, TrustError> {
        let lists = self.trust_lists()?;
        let state = match self.signature_of(program) {
            Ok(signed) => lists.state(signed.map(Verified::signer)),
            Err(error) => SignatureState::Invalid { reason: error.to_string() },
        };
        Ok(self.standing(&lists, program.digest, state, provenance))
    }

    /// How bytes stand of which it was found out before who signed them.
    pub(crate) fn signer_view(
        &self,
        lists: &TrustLists,
        digest: Digest,
        signer: Option<SignerKey>,
        provenance: Provenance,
    ) -> SignatureView {
        self.standing(lists, digest, lists.state(signer), provenance)
    }

    /// What whoever runs a program should know of its signature, where it is of a
    /// plugin.
    ///
    /// # Errors
    ///
    /// [`TrustError::Altered`], [`TrustError::Seal`], or [`TrustError::Db`].
    pub fn run_warning(&self, program: &Program, provenance: Option<Provenance>) -> Result<Option<String>, TrustError> {
        let is_asked = |provenance: &Provenance| self.config.plugins.rule(provenance.kind) != SignedRule::Off;
        let Some(provenance) = provenance.filter(is_asked) else { return Ok(None) };
        Ok(self.signature_view(program, provenance)?.warning)
    }

    fn standing(&self, lists: &TrustLists, digest: Digest, signature: SignatureState, provenance: Provenance) -> SignatureView {
        let kind = provenance.kind;
        let is_trusted = matches!(signature, SignatureState::Trusted { .. });
        let warning = match self.config.plugins.rule(kind) {
            SignedRule::Off => None,
            _ if is_trusted => None,
            SignedRule::Warn => Some(format!("it comes from {}, and nobody whom you trust signed it", place(kind))),
            SignedRule::Enforce => Some(format!(
                "it comes from {}, nobody whom you trust signed it, and so it is not run (`require_signed.{kind}`)",
                place(kind)
            )),
        };
        SignatureView { signature, revoked: lists.revocation_of(digest, Some(provenance)).map(|(_, revoked)| revoked), warning }
    }

    /// Who signed these bytes: found out once for them in this process.
    fn signature_of(&self, program: &Program) -> Result<Option<Verified>, SignatureError> {
        let lock = || self.trust.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |looked: &&Looked| (looked.digest, looked.format) == (program.digest, program.format);
        if let Some(looked) = lock().iter().find(same) {
            return looked.found.clone();
        }
        let found = verify(program.format, &program.bytes);
        let mut kept = lock();
        if kept.len() == KEPT_SIGNATURES {
            kept.pop_front();
        }
        kept.push_back(Looked { digest: program.digest, format: program.format, found: found.clone() });
        found
    }
}

fn check_signed(lists: &TrustLists, program: &Program, kind: SourceKind, signed: Option<Verified>) -> Result<(), TrustError> {
    let name = || program.name.clone();
    let Some(signed) = signed else { return Err(TrustError::Unsigned { name: name(), kind }) };
    let signer = signed.signer();
    if lists.name_of(signer).is_none() {
        return Err(TrustError::Unknown { name: name(), kind, signer });
    }
    Ok(())
}
