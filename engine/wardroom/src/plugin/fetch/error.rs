//! Why something was not fetched.

use serde::Deserialize;
use wardroom_core::blame::Blame;
use wardroom_core::capability::Refusal;
use wardroom_core::capability::net::TargetError;
use wardroom_core::id::Digest;
use wardroom_core::limit::{DurationText, MAX_PROGRAM_BYTES};
use wardroom_host::wire::WireError;

use super::MAX_REDIRECTS;
use crate::credential::CredentialUseError;

/// Bytes of a refusal that are looked at for its word.
pub(super) const MAX_ERROR_BYTES: usize = 16 << 10;
/// Characters of a server's word that are repeated.
pub(super) const MAX_WORD: usize = 60;

/// Something was not fetched. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A flag that a file has no use for.
    #[error("a file is not fetched: expected no `{0}`")]
    File(&'static str),
    /// A credential for an address.
    #[error("`{0}` is fetched without saying who it is: a credential is for a registry (`oci://…`)")]
    UrlCredential(String),
    /// Nothing allows going there.
    #[error("{}{refusal}", from.as_ref().map_or_else(String::new, |from| format!("`{from}` leads on elsewhere: ")))]
    Refused {
        /// What was wanted, and why not.
        refusal: Box<Refusal>,
        /// Who sent it there, where it was sent on.
        from: Option<String>,
    },
    /// The credential may not go there.
    #[error("{0}")]
    Credential(Box<Refusal>),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] CredentialUseError),
    /// It is sent on again and again.
    #[error("`{0}` leads on more than {MAX_REDIRECTS} times")]
    Redirects(String),
    /// It is sent on, and nobody says where to.
    #[error("`{0}` leads on without saying where to")]
    Nowhere(String),
    /// It is sent on to something that is no address.
    #[error("`{place}` leads on to something that cannot be asked for: {source}")]
    Location {
        /// Who sent it there.
        place: String,
        /// Why not.
        source: TargetError,
    },
    /// The way there, or the answer on its way.
    #[error("`{place}` was not fetched: {source}")]
    Wire {
        /// Which place.
        place: String,
        /// What failed.
        source: WireError,
    },
    /// It took too long.
    #[error("fetching took longer than {0}")]
    Deadline(DurationText),
    /// It is not there, or not for everybody.
    #[error("`{place}` answers {status}{}", code.as_ref().map_or_else(String::new, |code| format!(" ({code})")))]
    Status {
        /// Which place.
        place: String,
        /// HTTP's.
        status: u16,
        /// What a registry calls it.
        code: Option<String>,
    },
    /// It is packed, and nobody asked for that: a digest is of the bytes as they are.
    #[error("`{place}` answers with bytes packed as `{coding}`, which nobody asked for")]
    Packed {
        /// Which place.
        place: String,
        /// How.
        coding: String,
    },
    /// Other bytes than those that were named.
    #[error("what `{place}` gives is not {expected}, but {size} bytes{} of {found}", if kind.is_empty() { String::new() } else { format!(" ({kind})") })]
    Digest {
        /// Which place.
        place: String,
        /// What was named.
        expected: Digest,
        /// What came.
        found: Digest,
        /// Bytes of it.
        size: usize,
        /// What the server calls it.
        kind: String,
    },
    /// The tag leads elsewhere by now.
    #[error("the tag `{tag}` of `{place}` leads to {found}, and no longer to {expected}")]
    TagMoved {
        /// Which registry and repository.
        place: String,
        /// Which tag.
        tag: String,
        /// What was named.
        expected: Digest,
        /// Where it leads.
        found: Digest,
    },
    /// Not an artifact that can be a plugin.
    #[error("the artifact at `{place}` is no plugin: {reason}")]
    Artifact {
        /// Which place.
        place: String,
        /// Why not.
        reason: String,
    },
    /// A list of artifacts.
    #[error("`{place}` is an index of several artifacts: expected the digest of one of them{}", listed(digests))]
    Index {
        /// Which place.
        place: String,
        /// The first of what it lists.
        digests: Vec<Digest>,
    },
    /// The artifact says that it is larger than any program.
    #[error("the plugin at `{place}` has {size} bytes: expected at most {MAX_PROGRAM_BYTES}")]
    TooLarge {
        /// Which place.
        place: String,
        /// Bytes that its manifest names.
        size: u64,
    },
    /// Fewer bytes than the manifest says, or more.
    #[error("`{place}` gives {found} bytes, and the manifest says {expected}")]
    Size {
        /// Which place.
        place: String,
        /// Bytes that the manifest names.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The registry asks who it is.
    #[error("the registry `{0}` asks who it is")]
    Login(String),
    /// It does not believe it.
    #[error("the registry `{0}` does not accept who it is")]
    LoginFailed(String),
    /// It asks in a way that nobody here understands.
    #[error("the registry `{registry}` asks who it is in a way that is not understood: {reason}")]
    Challenge {
        /// Which registry.
        registry: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl FetchError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Vault(error) => error.blame(),
            Self::Wire { source: WireError::Host(_), .. } => Blame::Host,
            // The operator chose the place.
            _ => Blame::Operator,
        }
    }
}

fn listed(digests: &[Digest]) -> String {
    if digests.is_empty() {
        return String::new();
    }
    format!(" ({})", digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    code: String,
}

/// The word of a registry's refusal. Its sentences are not repeated: they are a
/// stranger's, and may say what was sent.
pub(super) fn code(bytes: &[u8]) -> Option<String> {
    let refusals: Refusals = serde_json::from_slice(bytes).ok()?;
    let code = refusals.errors.into_iter().next()?.code;
    let is_word = code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    (is_word && (1..=MAX_WORD).contains(&code.len())).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_registrys_refusal_only_the_word_is_repeated() {
        assert_eq!(code(br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"s3cret"}]}"#), Some("MANIFEST_UNKNOWN".to_owned()));
        for other in [&b"<html>"[..], b"{}", br#"{"errors":[]}"#, br#"{"errors":[{"code":"no word"}]}"#, br#"{"errors":[{"code":""}]}"#] {
            assert_eq!(code(other), None);
        }
    }
}
