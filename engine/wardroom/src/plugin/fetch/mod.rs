//! Fetching a plugin from elsewhere: a granted network act like any other.
//!
//! ```text
//!  what was typed ─▶ one origin granted ─▶ wire ─▶ counted, hashed ─▶ offer
//!                    + --allow-net          │
//!                      redirect elsewhere: asked again, refused by name
//! ```
//!
//! What the operator typed grants the origin that stands in it, to be read from,
//! and nothing else; it goes through the same checks, look-ups, roots and proxy
//! as a program's requests (`wardroom_host::wire`). A redirect is the next
//! request and is checked again; whoever is asked for at another origin is sent
//! no authorization. Everything stays in memory, at most as much as a program may
//! have, until its digest is the one that was named: of what is refused,
//! cancelled or killed, nothing has ever been on the disk.
//!
//! Who is told a secret can say it back, in any field. So of what a server says
//! nothing is repeated but words that are known beforehand (`words.rs`), and of
//! where it sends on to only the origin, which the operator may have to allow.
//!
//! Look next at `registry.rs` (artifacts of registries), `challenge.rs` (how they
//! ask who it is) and `error.rs`.

mod challenge;
mod error;
mod registry;
mod words;

use std::sync::Arc;
use std::time::Duration;

use sha2::Digest as _;
use wardroom_core::capability::credentials::CredentialScope;
use wardroom_core::capability::net::{HttpScope, HttpTarget, NetAccess, NetScope};
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::credential::{CredentialError, Credentials, NoCredentials};
use wardroom_core::id::Digest;
use wardroom_core::limit::{DurationText, MAX_PROGRAM_BYTES};
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::plugin::{PluginSource, UrlSource};
use wardroom_core::witness::{BoxFuture, HostFault, Witness};
use wardroom_host::wire::{Answer, Budget, Call, HttpLimits, Wire, WireError};
use zeroize::Zeroizing;

use super::{Offer, PluginError};
use crate::execution::resolve::program_of;
use crate::wardroom::Wardroom;

pub use error::FetchError;

/// How long fetching may take unless somebody says otherwise: a plugin of the
/// largest size over a slow line.
pub const FETCH_DEADLINE: Duration = Duration::from_secs(300);
/// Redirects that are followed one after another. Registries need one.
pub const MAX_REDIRECTS: usize = 5;
/// Who asks: some servers answer nobody without a name.
const AGENT: &str = concat!("wardroom/", env!("CARGO_PKG_VERSION"));

/// On what terms something is fetched.
#[derive(Debug, Clone, Default)]
pub struct FetchTerms {
    /// What may be reached beside the origin that the source names.
    pub allow: Vec<NetScope>,
    /// Who it is, for a registry that asks: `USER:PASSWORD` in the vault.
    pub credential: Option<CredentialScope>,
    /// How long it may take; none: [`FETCH_DEADLINE`].
    pub deadline: Option<Duration>,
}

impl FetchTerms {
    /// The first of them that says something, by its flag.
    fn named(&self) -> Option<&'static str> {
        let credential = self.credential.as_ref().map(|_| Capability::Credentials.flag());
        let net = (!self.allow.is_empty()).then_some(Capability::Net.flag());
        net.or(credential).or(self.deadline.map(|_| "--timeout"))
    }
}

/// Told how many bytes have come, and how many there will be where that is known.
pub type Told<'a> = &'a (dyn Fn(u64, Option<u64>) + Sync);

impl Wardroom {
    /// What a source offers: read from its file, or fetched. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`PluginError::Resolve`] where it is no program, [`PluginError::Fetch`]
    /// says why it was not fetched.
    pub async fn offer(&self, source: &PluginSource, terms: FetchTerms, told: Told<'_>) -> Result<Offer, PluginError> {
        let (origin, fetched) = match source {
            PluginSource::File(path) => {
                return match terms.named() {
                    None => self.offer_of_file(path),
                    Some(flag) => Err(FetchError::File(flag).into()),
                };
            }
            PluginSource::Url(url) if terms.credential.is_some() => return Err(FetchError::UrlCredential(url.to_string()).into()),
            PluginSource::Url(url) => (url.target().clone(), FetchedFrom::Url(url)),
            PluginSource::Oci(oci) => (registry::base(oci)?, FetchedFrom::Registry(oci)),
        };
        let deadline = terms.deadline.unwrap_or(FETCH_DEADLINE);
        let credentials = self.lend_to_fetch(terms.credential.as_ref()).await.map_err(FetchError::from)?;
        let session = Session::new(self.host()?.wire(), origin, terms.allow, credentials, told);
        let fetching = async {
            match fetched {
                FetchedFrom::Url(url) => session.file(url).await,
                FetchedFrom::Registry(oci) => registry::pull(&session, oci).await,
            }
        };
        let late = |_| FetchError::Deadline(DurationText(deadline));
        let bytes = tokio::time::timeout(deadline, fetching).await.map_err(late)??;
        let program = program_of(&source.file_name(), bytes)?;
        Ok(Offer { program, source: source.clone() })
    }
}

enum FetchedFrom<'a> {
    Url(&'a UrlSource),
    Registry(&'a wardroom_core::plugin::OciSource),
}

/// One fetching: what it may reach, and who it is.
struct Session<'a> {
    wire: &'a Wire,
    access: NetAccess,
    credentials: Arc<dyn Credentials>,
    told: Told<'a>,
}

/// Who it is, toward one origin.
enum Authorization {
    /// A header with a placeholder, filled by the vault as the last step.
    Credential(String),
    /// A header with a token that the registry gave out for this.
    Token(Zeroizing<String>),
}

/// Where something is asked for, and how much of that may be said.
#[derive(Clone)]
struct Stop {
    target: HttpTarget,
    /// Chosen by a server that was told something: its path may be that.
    guarded: bool,
}

/// One thing to be asked for.
struct Wanted<'a> {
    at: Stop,
    accept: &'a str,
    authorization: Option<&'a Authorization>,
    /// Bytes that the answer may have.
    limit: u64,
}

/// An answer, and where it was given.
struct Found {
    answer: Answer,
    at: Stop,
}

impl<'a> Session<'a> {
    fn new(wire: &'a Wire, origin: HttpTarget, allow: Vec<NetScope>, credentials: Arc<dyn Credentials>, told: Told<'a>) -> Self {
        let typed = NetScope::from(HttpScope::around(&origin));
        let access = NetAccess::new([typed].into_iter().chain(allow).collect());
        Self { wire, access, credentials, told }
    }

    /// The bytes at an address, if they are those that were named.
    async fn file(&self, url: &UrlSource) -> Result<Vec<u8>, FetchError> {
        let wanted = Wanted { at: Stop::typed(url.target().clone()), accept: "*/*", authorization: None, limit: MAX_PROGRAM_BYTES };
        let found = self.ask(wanted).await?;
        let found = found.good().await?;
        self.whole(found, url.digest()).await
    }

    /// Whether whoever is asked may know a value of the vault, from now or from
    /// another time.
    fn is_somebody(&self) -> bool {
        !self.credentials.assigned().is_empty()
    }

    /// Asks, and goes where it is sent on to as long as that is granted.
    async fn ask(&self, wanted: Wanted<'_>) -> Result<Found, FetchError> {
        let (mut at, mut from) = (wanted.at.clone(), None);
        let mut told = wanted.authorization.is_some() || self.is_somebody();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once(&at, &wanted, from.as_deref()).await?;
            if !matches!(answer.status(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Found { answer, at });
            }
            let place = at.place();
            let location = answer.headers("location").next().ok_or_else(|| FetchError::Nowhere(place.clone()))?;
            let next = at.target.redirected(location).map_err(|source| FetchError::Location { place: place.clone(), source })?;
            // A query may hold a key.
            told |= at.target.has_query();
            (at, from) = (Stop { target: next, guarded: told }, Some(place));
        }
        Err(FetchError::Redirects(wanted.at.place()))
    }

    async fn once(&self, at: &Stop, wanted: &Wanted<'_>, from: Option<&str>) -> Result<Answer, FetchError> {
        let target = &at.target;
        let refused = |refusal: Refusal| FetchError::Refused { refusal: Box::new(at.refused(refusal)), from: from.map(str::to_owned) };
        let granted = self.access.check(target).map_err(refused)?;
        let mut headers = vec![("accept", wanted.accept), ("accept-encoding", "identity"), ("user-agent", AGENT)];
        // Given for one origin, and for that one alone (Fetch standard, 4.4).
        let authorization = wanted.authorization.filter(|_| target.is_same_origin(&wanted.at.target));
        // What is fetched with a token is not looked through: no value was sent.
        let mut credentials: &dyn Credentials = &NoCredentials;
        match authorization {
            Some(Authorization::Credential(header)) => {
                headers.push(("authorization", header));
                credentials = &*self.credentials;
            }
            Some(Authorization::Token(header)) => headers.push(("authorization", header)),
            None => {}
        }
        let budget = Budget::new(HttpLimits { max_requests: 1, max_request_body: 0, max_response_body: wanted.limit });
        let call = Call { timeouts: self.wire.timeouts(), budget: &budget, witness: &Nobody, credentials };
        self.wire.ask(granted, &headers, call).await.map_err(|error| match error {
            WireError::Refused(refusal) => refused(*refusal),
            WireError::Credential(CredentialError::Refused(refusal)) => FetchError::Credential { refusal, port: target.port() },
            source => FetchError::Wire { place: at.place(), source },
        })
    }

    /// All bytes of an answer, if they are those.
    async fn whole(&self, mut found: Found, digest: Digest) -> Result<Vec<u8>, FetchError> {
        let total = found.answer.length();
        let mut bytes = Vec::new();
        (self.told)(0, total);
        while let Some(more) = found.more().await? {
            bytes.extend_from_slice(&more);
            (self.told)(bytes.len() as u64, total);
        }
        if digest_of(&bytes) == digest {
            return Ok(bytes);
        }
        let kind = found.answer.headers("content-type").next().and_then(words::kind);
        Err(FetchError::Digest { place: found.at.place(), expected: digest, found: digest_of(&bytes), size: bytes.len(), kind })
    }
}

impl Found {
    /// With a body that may be read: found, and as it is.
    async fn good(mut self) -> Result<Self, FetchError> {
        let place = self.at.place();
        let status = self.answer.status();
        if status != 200 {
            return Err(FetchError::Status { place, status, code: self.code().await });
        }
        let packed = self.answer.headers("content-encoding").find(|coding| !coding.eq_ignore_ascii_case("identity")).map(words::coding);
        // What is looked through for values was unpacked for that.
        let packed = packed.or_else(|| self.answer.unpacked().map(Some));
        packed.map_or(Ok(self), |coding| Err(FetchError::Packed { place, coding }))
    }

    async fn more(&mut self) -> Result<Option<impl std::ops::Deref<Target = [u8]>>, FetchError> {
        self.answer.bytes().await.map_err(|source| FetchError::Wire { place: self.at.place(), source })
    }

    /// What a registry calls its refusal, where it has a word for it (OCI
    /// distribution specification, "Error Codes").
    async fn code(&mut self) -> Option<&'static str> {
        let mut bytes = Vec::new();
        while let Ok(Some(more)) = self.more().await {
            bytes.extend_from_slice(&more);
            if bytes.len() > words::MAX_ERROR_BYTES {
                return None;
            }
        }
        words::code(&bytes)
    }
}

impl Stop {
    /// Of what the operator typed.
    const fn typed(target: HttpTarget) -> Self {
        Self { target, guarded: false }
    }

    /// What may be said of it: never its query, where keys are often put.
    fn place(&self) -> String {
        if self.guarded {
            return self.target.origin();
        }
        let shown = self.target.to_string();
        shown.split_once(' ').map_or(shown.clone(), |(_, place)| place.to_owned())
    }

    fn refused(&self, refusal: Refusal) -> Refusal {
        Refusal { wanted: format!("{} {}", self.target.method(), self.place()), ..refusal }
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// There is no execution to tell: whoever fetches learns of a refusal by the
/// error.
struct Nobody;

impl Witness for Nobody {
    fn line(&self, _: &LogLine) {}
    fn progress(&self, _: &Progress) {}
    fn refused(&self, _: &Refusal) {}
    fn contacted(&self, _: &str) {}
    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
