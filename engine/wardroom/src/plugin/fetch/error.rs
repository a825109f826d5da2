//! Why something was not fetched.

use wardroom_core::blame::Blame;
use wardroom_core::capability::Refusal;
use wardroom_core::capability::net::TargetError;
use wardroom_core::id::Digest;
use wardroom_core::limit::{DurationText, MAX_PROGRAM_BYTES};
use wardroom_host::wire::WireError;

use super::MAX_REDIRECTS;
use crate::credential::CredentialUseError;

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
    #[error("{refusal}")]
    Credential {
        /// What was wanted, and why not.
        refusal: Box<Refusal>,
        /// Toward which port.
        port: u16,
    },
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
    #[error("`{place}` answers {status}{}", code.map_or_else(String::new, |code| format!(" ({code})")))]
    Status {
        /// Which place.
        place: String,
        /// HTTP's.
        status: u16,
        /// What a registry calls it, where that is a known word.
        code: Option<&'static str>,
    },
    /// It is packed, and nobody asked for that: a digest is of the bytes as they are.
    #[error("`{place}` answers with bytes packed{}, which nobody asked for", coding.map_or_else(String::new, |coding| format!(" as `{coding}`")))]
    Packed {
        /// Which place.
        place: String,
        /// How, where that is a known word.
        coding: Option<&'static str>,
    },
    /// Other bytes than those that were named.
    #[error("what `{place}` gives is not {expected}, but {size} bytes{} of {found}", kind.map_or_else(String::new, |kind| format!(" ({kind})")))]
    Digest {
        /// Which place.
        place: String,
        /// What was named.
        expected: Digest,
        /// What came.
        found: Digest,
        /// Bytes of it.
        size: usize,
        /// What the server calls it, where that is a known word.
        kind: Option<&'static str>,
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
