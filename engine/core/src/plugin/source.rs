//! Where a plugin comes from, as it is typed, kept and shown.
//!
//! ```text
//!  FILE
//!  https://HOST[:PORT]/PATH@sha256:HEX               the bytes' own digest
//!  oci://REGISTRY[:PORT]/REPOSITORY[:TAG]@sha256:HEX the manifest's digest
//! ```
//!
//! What comes over a network is named by its digest, in one form for both: behind
//! an `@` at the end of the same word, so that it is copied, pasted and written
//! down with what it is of, and never without. A text without one is refused
//! here, before anything is asked for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::capability::credentials::is_private;
use crate::capability::net::{HttpTarget, TargetError};
use crate::id::Digest;
use crate::text::truncated;

/// Bytes of a source's text: it is kept with the plugin and shown in lists.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// Characters of a registry and a repository together, as registries have it.
const MAX_REPOSITORY: usize = 255;
/// Characters of a tag (OCI distribution specification, "Pulling manifests").
const MAX_TAG: usize = 128;
/// How much of a wrong text is said back.
const MAX_SHOWN: usize = 120;

const OCI: &str = "oci";
const DIGEST: &str = "@sha";

/// What kind of place a plugin comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A file of this machine.
    File,
    /// An address of http or https.
    Url,
    /// A registry of artifacts.
    Oci,
}

impl SourceKind {
    /// The word in settings, lists and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Url => "url",
            Self::Oci => "oci",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PluginSource {
    /// A file of this machine.
    File(PathBuf),
    /// An address, and the digest of what has to be there.
    Url(UrlSource),
    /// An artifact of a registry.
    Oci(OciSource),
}

/// An address, and the digest of the bytes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlSource {
    target: HttpTarget,
    digest: Digest,
}

/// An artifact of a registry, by its manifest's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciSource {
    registry: HttpTarget,
    repository: String,
    tag: Option<String>,
    digest: Digest,
}

/// Why a text is no source of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing, or a NUL byte in it.
    #[error("`{0}` names no plugin: expected FILE, `https://…@sha256:…` or `oci://…@sha256:…`")]
    Form(String),
    /// Longer than [`MAX_SOURCE_BYTES`].
    #[error("the text is longer than {MAX_SOURCE_BYTES} bytes")]
    TooLong,
    /// Another scheme.
    #[error("a plugin cannot come from `{0}://`: expected FILE, https:// or oci:// (`./` before a file of such a name)")]
    Scheme(String),
    /// It does not say which bytes are meant.
    #[error("`{place}` is named without a digest, so it could be anything: expected `{place}@sha256:HEX`")]
    NoDigest {
        /// The place, without a query and without a user.
        place: String,
        /// Of which kind.
        kind: SourceKind,
    },
    /// What follows the `@` is no SHA-256. It is not said back: behind an `@` also
    /// stands what is typed wrong of a password.
    #[error("what follows the `@` is no digest: expected `sha256:` and 64 lower-case hex digits")]
    Digest,
    /// A query behind the digest.
    #[error("the digest is followed by a query: expected it at the very end, `https://…?QUERY@sha256:HEX`")]
    Behind,
    /// An artifact with a query.
    #[error("an artifact has no query: expected `oci://REGISTRY/REPOSITORY[:TAG]@sha256:HEX`")]
    Query,
    /// An artifact with a user, or with more than one `@`.
    #[error(
        "an artifact is named without saying who you are: expected `oci://REGISTRY/REPOSITORY[:TAG]@sha256:HEX`, and `--credential=NAME` beside it"
    )]
    Userinfo,
    /// The address cannot be read.
    #[error("the address cannot be read: {0}")]
    Url(#[from] TargetError),
    /// No registry.
    #[error("`{0}` is no registry: expected `HOST` or `HOST:PORT`")]
    Registry(String),
    /// No repository.
    #[error("`{0}` is no repository: expected lower-case letters and digits, parted by `/`, `.`, `_`, `__` or `-`")]
    Repository(String),
    /// No tag.
    #[error("`{0}` is no tag: expected a letter, digit or `_`, then up to 127 of those, `.` and `-`")]
    Tag(String),
}

impl PluginSource {
    /// Of which kind.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::File(_) => SourceKind::File,
            Self::Url(_) => SourceKind::Url,
            Self::Oci(_) => SourceKind::Oci,
        }
    }

    /// What it is called there, with a file's ending: the name of a plugin that
    /// says none of itself comes from it.
    #[must_use]
    pub fn file_name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.file_name().map(PathBuf::from).unwrap_or_default(),
            Self::Url(url) => url.file_name().into(),
            Self::Oci(oci) => oci.repository.rsplit('/').next().unwrap_or_default().into(),
        }
    }
}

impl UrlSource {
    /// The request that fetches it, with its query.
    #[must_use]
    pub const fn target(&self) -> &HttpTarget {
        &self.target
    }

    /// The digest of the bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    fn file_name(&self) -> String {
        let path = self.target.path_and_query();
        let path = path.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    fn parse(text: &str) -> Result<Self, SourceError> {
        let (url, digest) = digest(text, SourceKind::Url)?;
        Ok(Self { target: HttpTarget::parse("GET", url)?, digest })
    }
}

impl OciSource {
    /// `HOST` or `HOST:PORT`.
    #[must_use]
    pub fn registry(&self) -> String {
        self.registry.authority()
    }

    /// How the registry is spoken to, and where it is: `https://HOST`. A registry
    /// of this same machine (localhost, or a loopback address) is spoken to in
    /// the clear, as registries that are started there expect.
    #[must_use]
    pub fn origin(&self) -> String {
        self.registry.origin()
    }

    /// Its name there: `team/plugin`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag that has to lead to the digest, where one was named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    fn parse(text: &str) -> Result<Self, SourceError> {
        let (place, digest) = digest(text, SourceKind::Oci)?;
        let rest = place.split_once("://").map_or("", |(_, rest)| rest);
        // Looked for in all of it: either may hold a `/` of its own, and what is
        // said back below is to hold nothing of them.
        if rest.contains('@') {
            return Err(SourceError::Userinfo);
        }
        if rest.contains(['?', '#']) {
            return Err(SourceError::Query);
        }
        let (registry, rest) = rest.split_once('/').ok_or_else(|| SourceError::Repository(shown(rest)))?;
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !repository.split('/').all(is_component) || registry.len() + 1 + repository.len() > MAX_REPOSITORY {
            return Err(SourceError::Repository(shown(repository)));
        }
        if let Some(wrong) = tag.filter(|tag| !is_tag(tag)) {
            return Err(SourceError::Tag(shown(wrong)));
        }
        let (repository, tag) = (repository.to_owned(), tag.map(str::to_owned));
        Ok(Self { registry: registry_target(registry)?, repository, tag, digest })
    }
}

fn registry_target(registry: &str) -> Result<HttpTarget, SourceError> {
    let wrong = || SourceError::Registry(shown(registry));
    let target = |scheme: &str| HttpTarget::parse("GET", &format!("{scheme}://{registry}/v2/")).map_err(|_| wrong());
    // Private in the clear: it does not leave the machine.
    let plain = target("http")?;
    if is_private(&plain) { Ok(plain) } else { target("https") }
}

/// A text taken apart into a place and the digest of what is there.
fn digest(text: &str, kind: SourceKind) -> Result<(&str, Digest), SourceError> {
    let before = text.split(['?', '#']).next().unwrap_or_default();
    let has_query = before.len() < text.len();
    let at = text.rfind(DIGEST).filter(|at| text.get(*at..).is_some_and(|rest| !rest.contains('/')));
    match at {
        Some(at) if !has_query || at > before.len() => {
            let (place, rest) = text.split_at(at);
            Ok((place, rest.trim_start_matches('@').parse().map_err(|_| SourceError::Digest)?))
        }
        _ if has_query && before.rsplit('/').next().is_some_and(|last| last.contains(DIGEST)) => Err(SourceError::Behind),
        _ => Err(SourceError::NoDigest { place: shown(&public(before)), kind }),
    }
}

/// A place without who asks there: neither a user name nor a password.
fn public(place: &str) -> String {
    let (scheme, rest) = place.split_once("://").unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    // What stands where a port should is the start of a password with a `/`, `?`
    // or `#` in it, and the rest of it is in the path.
    let is_port = host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { format!("{scheme}://{host}{path}") } else { format!("{scheme}://…") }
}

/// OCI distribution specification, "Pulling manifests": letters and digits,
/// parted by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_parting = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    let ends = text.starts_with(plain) && text.ends_with(plain);
    ends && text.split(plain).filter(|run| !run.is_empty()).all(is_parting)
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(word) && text.len() <= MAX_TAG && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn shown(text: &str) -> String {
    truncated(text, MAX_SHOWN).to_owned()
}

/// An address without its query, where keys are often put: what is kept and shown
/// is the place, not the way in.
impl fmt::Display for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.target.to_string();
        let place = shown.split_once(' ').map_or(shown.as_str(), |(_, place)| place);
        write!(f, "{place}@{}", self.digest)
    }
}

impl fmt::Display for OciSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OCI}://{}/{}", self.registry(), self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        write!(f, "@{}", self.digest)
    }
}

impl fmt::Display for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
            Self::Oci(oci) => oci.fmt(f),
        }
    }
}

/// Whatever has no scheme is a file; so is anything that begins with `/` or `.`.
impl FromStr for PluginSource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text.len() > MAX_SOURCE_BYTES {
            return Err(SourceError::TooLong);
        }
        if text.is_empty() || text.contains('\0') {
            return Err(SourceError::Form(shown(&text.escape_debug().to_string())));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref().filter(|_| !text.starts_with(['/', '.'])) {
            None => Ok(Self::File(text.into())),
            Some(OCI) => OciSource::parse(text).map(Self::Oci),
            Some("http" | "https") => UrlSource::parse(text).map(Self::Url),
            Some(other) => Err(SourceError::Scheme(shown(other))),
        }
    }
}

impl From<&Path> for PluginSource {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl TryFrom<String> for PluginSource {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        text.parse()
    }
}

impl From<PluginSource> for String {
    fn from(source: PluginSource) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn source(text: &str) -> Result<PluginSource, SourceError> {
        text.replace('#', HEX).parse()
    }

    #[test]
    fn a_source_is_a_file_an_address_or_an_artifact() {
        for (text, kind, name) in [
            ("a.wasm", SourceKind::File, "a.wasm"),
            ("./https://x", SourceKind::File, "x"),
            ("/a/b:c@d.js", SourceKind::File, "b:c@d.js"),
            ("https://h.example/a/b.wasm@#", SourceKind::Url, "b.wasm"),
            ("http://localhost:8080/@v1/b@2/c.js@#", SourceKind::Url, "c.js"),
            ("oci://r.example/team/a-b@#", SourceKind::Oci, "a-b"),
            ("oci://localhost:5000/a__b:v1.2_3@#", SourceKind::Oci, "a__b"),
            ("oci://[::1]:5000/a@#", SourceKind::Oci, "a"),
        ] {
            let source = source(text).unwrap();
            assert_eq!((source.kind(), source.file_name()), (kind, name.into()), "{text}");
            assert_eq!(source.to_string(), text.replace('#', HEX), "{text}");
        }
        assert_eq!(source("HTTPS://H.example:443/x@#").unwrap().to_string(), format!("https://h.example/x@{HEX}"));
    }

    #[test]
    fn the_way_in_is_not_kept() {
        let source: PluginSource = format!("https://h.example/x.wasm?key=s3cret@{HEX}").parse().unwrap();
        assert_eq!(source.to_string(), format!("https://h.example/x.wasm@{HEX}"));
        let PluginSource::Url(url) = source else { panic!() };
        assert_eq!(url.target().path_and_query(), "/x.wasm?key=s3cret", "it is asked for as it was typed");
        let refused = "https://h.example/x?key=s3cret".parse::<PluginSource>().unwrap_err().to_string();
        assert!(!refused.contains("s3cret"), "{refused}");
    }

    #[test]
    fn a_registry_of_this_machine_alone_is_spoken_to_in_the_clear() {
        for (registry, origin) in [
            ("r.example", "https://r.example"),
            ("r.example:443", "https://r.example"),
            ("r.example:80", "https://r.example:80"),
            ("192.168.1.5:5000", "https://192.168.1.5:5000"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("localhost.evil.example", "https://localhost.evil.example"),
        ] {
            let PluginSource::Oci(oci) = source(&format!("oci://{registry}/a@#")).unwrap() else { panic!() };
            assert_eq!(oci.origin(), origin);
        }
    }

    #[test]
    fn what_is_fetched_is_named_by_its_digest() {
        for text in [
            "https://h.example/a",
            "https://h.example/@shared/a",
            "https://h.example/a@",
            "https://h.example/a@1.2",
            "oci://r.example/a:v1",
        ] {
            assert!(matches!(source(text), Err(SourceError::NoDigest { .. })), "{text}");
        }
        for text in ["https://h.example/a@#?x=1", "https://h.example/a@#?x=1/2", "https://h.example/a@sha256:0?x"] {
            assert!(matches!(source(text), Err(SourceError::Behind)), "{text}");
        }
        for text in ["https://h.example/a@sha256:", "https://h.example/a@sha512:00", "oci://r.example/a@#0", "oci://r.example/a@sha256:ABC"]
        {
            assert!(matches!(source(text), Err(SourceError::Digest)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["oci://r.example/A@#", "oci://r.example/a//b@#", "oci://r.example/@#", "oci://r.example@#", "oci://r.example/a..b@#"] {
            assert!(matches!(source(text), Err(SourceError::Repository(_))), "{text}");
        }
        for text in ["oci://r.example/a___b@#", "oci://r.example/-a@#", "oci://r.example/../v2/x@#", "oci://r.example/a..@#"] {
            assert!(matches!(source(text), Err(SourceError::Repository(_))), "{text}");
        }
        for text in ["oci://r.example/a?x@#", "oci://r?x/a@#"] {
            assert!(matches!(source(text), Err(SourceError::Query)), "{text}");
        }
        for text in ["oci://u:p@r.example/a@#", "oci://u@r.example@#", "oci://r.example/a@#@#"] {
            assert!(matches!(source(text), Err(SourceError::Userinfo)), "{text}");
        }
        for text in ["oci://r.example/a:@#", "oci://r.example/a:.x@#", "oci://r.example/a:b/c@#", "oci://r.example/a:b:c@#"] {
            assert!(matches!(source(text), Err(SourceError::Tag(_))), "{text}");
        }
        for text in ["oci:///a@#", "oci://r.example:0/a@#", "oci://r.example:x/a@#"] {
            assert!(matches!(source(text), Err(SourceError::Registry(_))), "{text}");
        }
        for text in ["https://u:p@h.example/a@#", "https:///a@#", "https://h.example:99999/a@#"] {
            assert!(matches!(source(text), Err(SourceError::Url(_))), "{text}");
        }
        for text in ["ftp://h.example/a@#", "file:///a.wasm", "docker://r.example/a@#", "://x"] {
            assert!(matches!(source(text), Err(SourceError::Scheme(_))), "{text}");
        }
        assert!(matches!(source(""), Err(SourceError::Form(_))) && matches!(source("a\0b"), Err(SourceError::Form(_))));
        assert!(matches!(source(&"a".repeat(MAX_SOURCE_BYTES + 1)), Err(SourceError::TooLong)));
    }

    #[test]
    fn neither_a_query_nor_who_asks_is_said_back() {
        for text in [
            "https://h.example/a?k=S3CRET",
            "https://h.example/a?k=S3CRET@shaX",
            "https://h.example/a?k=S3CRET@sha256:00",
            "https://h.example/a@#?k=S3CRET",
            "https://h.example/a@#?k=S3CRET/x",
            "https://h.example/a@#?k=x/S3CRET",
            "https://h.example/a@shaS3CRET",
            "https://u:S3CRET@h.example/a",
            "https://S3CRET@h.example/a",
            "https://u:p@S3CRET@h.example/a",
            "https://u:S3CRET/x@h.example/a",
            "https://u:x/S3CRET@h.example/a",
            "https://u:x?S3CRET@h.example/a",
            "https://u:S3CRET?x@h.example/a",
            "https://u:S3CRET@h.example/a@#",
            "https://u:x@shaS3CRET@h.example",
            "oci://r.example/a?k=S3CRET@#",
            "oci://r.example/a?k=S3CRET",
            "oci://r.example/a:t?k=S3CRET@#",
            "oci://r.example?k=x/S3CRET@#",
            "oci://r.example?k=S3CRET@#",
            "oci://u:S3CRET@r.example/a@#",
            "oci://u:S3CRET@r.example/a",
            "oci://u:S3CRET@r.example@#",
            "oci://u:S3CRET/x@r.example/a@#",
            "oci://u:x/S3CRET@r.example/a@#",
            "oci://u:x?S3CRET@r.example/a@#",
            "ftp://S3CRET@h.example/a",
        ] {
            let said = source(text).unwrap_err().to_string();
            assert!(!said.contains("S3CRET"), "{text}: {said}");
        }
        let Err(SourceError::NoDigest { place, .. }) = source("https://u:p@h.example:80/@x/a?k") else { panic!() };
        assert_eq!(place, "https://h.example:80/@x/a");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same(text in "(oci://|https://|)[a-z0-9./:_@?-]{1,40}(@sha256:[0-9a-f]{64})?") {
            if let Ok(source) = text.parse::<PluginSource>() {
                let shown = source.to_string();
                let again: PluginSource = shown.parse().unwrap();
                prop_assert_eq!(again.to_string(), shown);
                prop_assert_eq!(again.kind(), source.kind());
            }
        }
    }
}
