//! The ring of one execution: the credentials assigned to it, what stands in
//! for them, and where each may be put.
//!
//! Owns the drawing of placeholders (`placeholder`), the rules (`policy`),
//! the filling of requests (`fill`, `url`) and signatures (`sign`). It is
//! pure: it opens no connection, keeps no record and waits for nobody. Whoever
//! lends it to a run does that.
//!
//! ```text
//!  guest ── wardroom_3f9c… in a header ──▶ check ── Carried ──▶ fill ──▶ socket
//!                                            │
//!                            refused: another host, place or execution
//! ```

mod encode;
mod fill;
mod placeholder;
mod policy;
mod sign;
mod url;

use wardroom_core::capability::credentials::{BoundHost, CredentialScope, CredentialUse};
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::lent::foreign_placeholder;
use wardroom_core::credential::{Assigned, CredentialError, CredentialKind, CredentialName, Draft, SignScheme, Signed, holds_placeholder};

use self::placeholder::Marks;
use self::policy::Toward;
use crate::Secret;

/// Bytes of a name that a guest asked for and that is said back to it.
const MAX_SHOWN_NAME: usize = 80;

/// Why the placeholder of an address is not put back.
const ONLY_A_QUERY: &str = "nothing but a query may be added to it, and only where it has none";

/// One credential of a run.
pub struct Held {
    /// Its name.
    pub name: CredentialName,
    /// What it is.
    pub kind: CredentialKind,
    /// The hosts that the credential itself is bound to; may be none.
    pub hosts: Vec<BoundHost>,
    /// What this run was granted of it.
    pub scopes: Vec<CredentialScope>,
    /// The value.
    pub value: Secret,
}

/// Where a value stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// It is where the request goes.
    Address,
    /// A header's value.
    Header,
    /// The path.
    Path,
    /// The query.
    Query,
    /// The body.
    Body,
}

impl Place {
    /// The word in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Header => "header",
            Self::Path => "path",
            Self::Query => "query",
            Self::Body => "body",
        }
    }

    /// The word that a scope must have for it, where one is needed.
    #[must_use]
    pub const fn needs(self) -> Option<CredentialUse> {
        match self {
            Self::Address | Self::Header => None,
            Self::Path => Some(CredentialUse::Path),
            Self::Query => Some(CredentialUse::Query),
            Self::Body => Some(CredentialUse::Body),
        }
    }

    const fn phrase(self) -> &'static str {
        match self {
            Self::Address => "as an address",
            Self::Header => "in a header",
            Self::Path => "in the path",
            Self::Query => "in the query",
            Self::Body => "in the body",
        }
    }

    const fn forbidden(self) -> &'static str {
        match self {
            Self::Address => "it may not stand where a request goes",
            Self::Header => "it may not stand in a header",
            Self::Path => "it may not stand in a path",
            Self::Query => "it may not stand in a query",
            Self::Body => "it may not stand in a body",
        }
    }
}

/// What a checked request carries: which credential, and where. Made only by
/// [`Ring::check`], and demanded by [`Ring::fill`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried(Vec<(CredentialName, Place)>);

impl Carried {
    /// The request carries none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each credential and place once, in order.
    #[must_use]
    pub fn uses(&self) -> &[(CredentialName, Place)] {
        &self.0
    }

    fn add(&mut self, name: &CredentialName, place: Place) {
        let used = (name.clone(), place);
        if let Err(at) = self.0.binary_search(&used) {
            self.0.insert(at, used);
        }
    }
}

/// Why a run gets no ring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// Two credentials of one name: which is meant cannot be known.
    #[error("the credential `{0}` is assigned twice")]
    Twice(CredentialName),
    /// The system's random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

/// The credentials of one execution. Has no `Debug`: it holds values.
pub struct Ring {
    /// In order of names.
    entries: Vec<Entry>,
    marks: Marks,
}

struct Entry {
    held: Held,
    placeholder: String,
    /// What of the value is as secret as the whole, for the redactor.
    parts: Vec<Secret>,
}

impl Ring {
    /// Takes over the credentials of a run and draws a placeholder for each.
    ///
    /// # Errors
    ///
    /// [`RingError::Twice`] where a name stands for two, [`RingError::Random`]
    /// where nothing can be drawn.
    pub fn new(mut held: Vec<Held>) -> Result<Self, RingError> {
        held.sort_by(|one, other| one.name.cmp(&other.name));
        let twice = held.iter().zip(held.iter().skip(1)).find(|(one, other)| one.name == other.name);
        if let Some((held, _)) = twice {
            return Err(RingError::Twice(held.name.clone()));
        }
        let mut ring = Self { entries: Vec::with_capacity(held.len()), marks: Marks::default() };
        for held in held {
            let hex = placeholder::draw().map_err(RingError::Random)?;
            let is_address = held.kind == CredentialKind::Url;
            ring.marks.add(&hex, is_address, ring.entries.len());
            let placeholder = if is_address { placeholder::address_of(&hex) } else { placeholder::text_of(&hex) };
            let parts = encode::parts(held.kind, held.value.expose_bytes()).into_iter().map(Secret::new).collect();
            ring.entries.push(Entry { held, placeholder, parts });
        }
        Ok(ring)
    }

    /// What is assigned, in order of names.
    #[must_use]
    pub fn assigned(&self) -> Vec<Assigned> {
        let assigned =
            |entry: &Entry| Assigned { name: entry.held.name.clone(), kind: entry.held.kind, placeholder: entry.placeholder.clone() };
        self.entries.iter().map(assigned).collect()
    }

    /// What must never leave the run, and by which name it is called: every
    /// value, of an address also what follows its host, of a form also every
    /// text in it.
    pub fn values(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().flat_map(|entry| {
            let secrets = std::iter::once(&entry.held.value).chain(&entry.parts);
            secrets.map(|secret| (entry.held.name.as_str(), secret.expose_bytes()))
        })
    }

    /// Where a request really goes, where its host is the placeholder of an
    /// address.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Refused`] where the host is any other placeholder, or
    /// more than a query was added to it, or the address is none that the
    /// credential is bound to. [`CredentialError::Unfit`] where the value is no
    /// address.
    pub fn target(&self, target: &HttpTarget) -> Result<Option<HttpTarget>, CredentialError> {
        let host = target.host();
        if !holds_placeholder(host.as_bytes()) {
            return Ok(None);
        }
        let Some(held) = self.marks.address(&host).and_then(|at| self.held_at(at)) else {
            return Err(self.in_the_host(target));
        };
        let real = url::restored(&held.value, target).map_err(|broken| match broken {
            url::Broken::Changed => held.never(Place::Address.phrase(), None, ONLY_A_QUERY),
            url::Broken::Value => CredentialError::Unfit(format!("`{}` does not serve as an address of http or https", held.name)),
        })?;
        if held.allows(Place::Address.needs(), &real) {
            return Ok(Some(real));
        }
        Err(held.denied(Place::Address, Toward { target: &real, secret: Some(&held.name) }))
    }

    /// Whether a body on its way there is held back, to be filled.
    #[must_use]
    pub fn wants_body(&self, target: &HttpTarget) -> bool {
        let real = self.target(target).ok().flatten();
        let target = real.as_ref().unwrap_or(target);
        // An address never stands in a body.
        self.held().any(|held| held.kind != CredentialKind::Url && held.allows(Place::Body.needs(), target))
    }

    /// Whether any value may go there.
    #[must_use]
    pub fn is_for(&self, target: &HttpTarget) -> bool {
        self.held().any(|held| held.allows(None, target))
    }

    /// Checks every placeholder of a request, before anything of it is sent.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Refused`] where one stands where it may not, or is of
    /// no credential of this run; [`CredentialError::Unfit`] where a value
    /// cannot be written where its placeholder stands.
    pub fn check(&self, draft: &Draft) -> Result<Carried, CredentialError> {
        Ok(fill::Work::new(self, draft)?.carried)
    }

    /// Puts the values in. Nothing is filled unless everything can be, and
    /// what was filled is not searched for placeholders again.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and [`CredentialError::Host`] where this is
    /// not the request that was checked.
    pub fn fill(&self, draft: Draft, carried: &Carried) -> Result<Draft, CredentialError> {
        let work = fill::Work::new(self, &draft)?;
        if work.carried != *carried {
            let fault = "the request is not the one whose credentials were checked";
            return Err(CredentialError::Host(wardroom_core::witness::HostFault(fault.to_owned())));
        }
        Ok(work.apply(draft))
    }

    /// The refusal of a placeholder in a body that is streamed.
    #[must_use]
    pub fn found_in_stream(&self, target: &HttpTarget) -> CredentialError {
        let candidates: Vec<&Held> = self.held().filter(|held| held.kind != CredentialKind::Url).collect();
        policy::streamed(&candidates, target)
    }

    /// Signs with a credential.
    ///
    /// # Errors
    ///
    /// [`CredentialError::NotAssigned`], [`CredentialError::Refused`] without
    /// the word `sign` or toward a host of another, [`CredentialError::Unfit`]
    /// where the value is no key of this scheme or the request cannot be read.
    pub fn sign(&self, name: &str, scheme: &SignScheme, now: Timestamp) -> Result<Signed, CredentialError> {
        let held = self.named(name)?;
        if !held.has(CredentialUse::Sign) {
            return Err(held.without(CredentialUse::Sign, "for a signature", "it may not be signed with"));
        }
        sign::signed(held, scheme, now)
    }

    /// The value itself.
    ///
    /// # Errors
    ///
    /// [`CredentialError::NotAssigned`], or [`CredentialError::Refused`]
    /// without the word `reveal`.
    pub fn reveal(&self, name: &str) -> Result<&Secret, CredentialError> {
        let held = self.named(name)?;
        if held.has(CredentialUse::Reveal) {
            return Ok(&held.value);
        }
        Err(held.without(CredentialUse::Reveal, "as it is", "it may not be revealed"))
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.entries.iter().map(|entry| &entry.held)
    }

    fn held_at(&self, at: usize) -> Option<&Held> {
        self.entries.get(at).map(|entry| &entry.held)
    }

    fn named(&self, name: &str) -> Result<&Held, CredentialError> {
        let none = || CredentialError::NotAssigned(wardroom_core::text::truncated(name, MAX_SHOWN_NAME).to_owned());
        self.held().find(|held| held.name.as_str() == name).ok_or_else(none)
    }

    /// A host that holds a placeholder and is not an address of this ring.
    fn in_the_host(&self, target: &HttpTarget) -> CredentialError {
        let found = self.marks.find(target.host().as_bytes()).unwrap_or_default();
        match found.first().and_then(|found| self.held_at(found.entry)) {
            Some(held) if held.kind == CredentialKind::Url => held.never(Place::Address.phrase(), None, ONLY_A_QUERY),
            Some(held) => held.never("in the host", None, "it may not stand in a host"),
            None => foreign_placeholder(target),
        }
    }
}
