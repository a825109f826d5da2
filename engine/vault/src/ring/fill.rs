//! Requests: every placeholder is found and judged, and only then is any
//! replaced, in one pass.
//!
//! ```text
//!  draft ─▶ Work::new ─ for each text: find ─ judge ─ encode ─▶ Work ─ apply ─▶ filled
//! ```

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use wardroom_core::capability::net::{HttpTarget, MAX_TARGET_BYTES};
use wardroom_core::credential::lent::foreign_placeholder;
use wardroom_core::credential::{CredentialError, CredentialKind, Draft, MAX_FILLED_BODY_BYTES, holds_placeholder};
use zeroize::Zeroizing;

use super::encode::{Encoding, percent_decoded};
use super::placeholder::Found;
use super::policy::{self, Toward};
use super::{Carried, Held, Place, Ring, url};

/// Bytes of all filled header values of a request. A guest may repeat a
/// placeholder as often as it fits, and each becomes a value of up to 64 KiB.
const MAX_FILLED_HEADER_BYTES: usize = 256 << 10;

/// The name of the header that says how many bytes a body has.
const CONTENT_LENGTH: &str = "content-length";

/// Headers whose values frame the message or name its host: whoever could put
/// a value there could split the request, or see it routed and logged as a
/// name (RFC 9110, 7.2 and 7.6.1; RFC 9112, 6).
const FRAMING: [&str; 10] =
    ["host", CONTENT_LENGTH, "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"];

/// Taken off a request that carries a value: an answer in pieces, or coded,
/// could bring the value back in a form that the redactor does not know.
const PIECEMEAL: [&str; 4] = ["range", "if-range", "accept-encoding", "te"];

/// As RFC 7617 wants it, with or without padding.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// One text of a request in which placeholders were found, all of them allowed.
struct Filling {
    found: Vec<Found>,
    /// By credential, as this place writes it.
    values: BTreeMap<usize, Zeroizing<Vec<u8>>>,
    /// Bytes of the text when filled.
    filled: usize,
}

impl Filling {
    fn apply(&self, text: &[u8]) -> Vec<u8> {
        // In its final size, so that no copy of a value stays behind.
        let mut out = Vec::with_capacity(self.filled);
        let mut end = 0;
        for found in &self.found {
            out.extend_from_slice(text.get(end..found.start).unwrap_or_default());
            out.extend_from_slice(self.values.get(&found.entry).map_or(&[], |value| value.as_slice()));
            end = found.end;
        }
        out.extend_from_slice(text.get(end..).unwrap_or_default());
        out
    }
}

/// A header value to be filled.
struct HeaderFilling {
    /// Which, in the draft.
    at: usize,
    filling: Filling,
    /// Of `Authorization: Basic`: what it decodes to.
    basic: Option<Vec<u8>>,
}

impl HeaderFilling {
    fn apply(&self, value: &[u8]) -> Vec<u8> {
        match &self.basic {
            None => self.filling.apply(value),
            Some(decoded) => {
                let filled = Zeroizing::new(self.filling.apply(decoded));
                format!("Basic {}", BASIC.encode(&*filled)).into_bytes()
            }
        }
    }
}

/// What has to be done to a request, all of it allowed.
pub(super) struct Work {
    pub(super) carried: Carried,
    /// Where it really goes, where the draft still names a stand-in.
    target: Option<HttpTarget>,
    /// The request line with its values.
    line: Option<String>,
    headers: Vec<HeaderFilling>,
    body: Option<Filling>,
}

/// The judging of one request.
struct Judge<'a> {
    ring: &'a Ring,
    toward: Toward<'a>,
    carried: Carried,
}

impl Work {
    /// Judges a whole request.
    pub(super) fn new(ring: &Ring, draft: &Draft) -> Result<Self, CredentialError> {
        let real = ring.target(&draft.target)?;
        let target = real.as_ref().unwrap_or(&draft.target);
        let given = match &real {
            // Somebody changed the line and not the address.
            Some(_) if draft.path_and_query != draft.target.path_and_query() => return Err(foreign_placeholder(&draft.target)),
            Some(real) => real.path_and_query(),
            None => draft.path_and_query.clone(),
        };
        let mut judge = Judge { ring, toward: Toward { target, secret: None }, carried: Carried::default() };
        judge.address(&given);
        judge.nowhere(target.method().as_bytes(), "in the method", "it may not stand in a method")?;
        let line = judge.line(&given)?;
        let headers = judge.headers(&draft.headers)?;
        let body = judge.body(draft)?;
        let carried = judge.carried;
        let line = line.or_else(|| real.is_some().then_some(given));
        Ok(Self { carried, target: real, line, headers, body })
    }

    /// Fills. Cannot fail: everything was judged.
    pub(super) fn apply(self, mut draft: Draft) -> Draft {
        if self.carried.is_empty() {
            return draft;
        }
        if let Some(target) = self.target {
            draft.target = target;
        }
        if let Some(line) = self.line {
            draft.path_and_query = line;
        }
        for filling in &self.headers {
            if let Some((_, value)) = draft.headers.get_mut(filling.at) {
                *value = filling.apply(value);
            }
        }
        if let (Some(filling), Some(body)) = (&self.body, &mut draft.body) {
            *body = filling.apply(body);
            let lengths = draft.headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(CONTENT_LENGTH));
            lengths.for_each(|(_, value)| *value = body.len().to_string().into_bytes());
        }
        draft.headers.retain(|(name, _)| !PIECEMEAL.iter().any(|gone| name.eq_ignore_ascii_case(gone)));
        draft.headers.push(("accept-encoding".to_owned(), b"identity".to_vec()));
        draft
    }
}

impl<'a> Judge<'a> {
    /// A request toward a secret address is a use of it, also where the
    /// address was put back before.
    fn address(&mut self, line: &str) {
        let there = |held: &&Held| held.kind == CredentialKind::Url && url::is_at(&held.value, self.toward.target, line);
        let used = self.ring.held().filter(there).find(|held| held.allows(Place::Address.needs(), self.toward.target));
        if let Some(held) = used {
            self.carried.add(&held.name, Place::Address);
            self.toward.secret = Some(&held.name);
        }
    }

    fn line(&mut self, line: &str) -> Result<Option<String>, CredentialError> {
        // The first `?` begins the query, whatever follows (RFC 3986, 3.4).
        let (path, query) = line.split_at(line.find('?').unwrap_or(line.len()));
        let filled_path = self.text(path.as_bytes(), Place::Path, Encoding::Path)?;
        let filled_query = self.text(query.as_bytes(), Place::Query, Encoding::Query)?;
        if filled_path.is_none() && filled_query.is_none() {
            return Ok(None);
        }
        let length = |filling: &Option<Filling>, text: &str| filling.as_ref().map_or(text.len(), |filling| filling.filled);
        let length = length(&filled_path, path) + length(&filled_query, query);
        if length > MAX_TARGET_BYTES {
            return Err(CredentialError::Unfit(format!("with its credentials the request line is longer than {MAX_TARGET_BYTES} bytes")));
        }
        let mut whole = Vec::with_capacity(length);
        for (filling, text) in [(filled_path, path), (filled_query, query)] {
            let text = text.as_bytes();
            let filled = Zeroizing::new(filling.map_or_else(|| text.to_vec(), |filling| filling.apply(text)));
            whole.extend_from_slice(&filled);
        }
        // What was put in is percent-encoded, the rest was text before.
        let broken = |_| CredentialError::Unfit("the request line is no text".to_owned());
        String::from_utf8(whole).map(Some).map_err(broken)
    }

    fn headers(&mut self, headers: &[(String, Vec<u8>)]) -> Result<Vec<HeaderFilling>, CredentialError> {
        let mut fillings = Vec::new();
        let mut total: usize = 0;
        for (at, (name, value)) in headers.iter().enumerate() {
            self.nowhere(name.as_bytes(), "in a header's name", "it may not stand in the name of a header")?;
            if name.starts_with(':') || FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                let place = "in a header that frames the request";
                self.nowhere(value, place, "it may not stand in a header such as host or content-length")?;
                continue;
            }
            let Some(filling) = self.header(at, name, value)? else { continue };
            total = total.saturating_add(filling.filling.filled);
            if total > MAX_FILLED_HEADER_BYTES {
                return Err(CredentialError::Unfit(format!(
                    "with their credentials the headers are longer than {MAX_FILLED_HEADER_BYTES} bytes"
                )));
            }
            fillings.push(filling);
        }
        Ok(fillings)
    }

    fn header(&mut self, at: usize, name: &str, value: &[u8]) -> Result<Option<HeaderFilling>, CredentialError> {
        let plain = self.text(value, Place::Header, Encoding::Header)?;
        if let Some(filling) = plain {
            // `_` is no letter of base64: a value with a placeholder is not
            // encoded, and what is encoded shows none.
            return Ok(Some(HeaderFilling { at, filling, basic: None }));
        }
        let Some(decoded) = name.eq_ignore_ascii_case("authorization").then(|| basic(value)).flatten() else { return Ok(None) };
        // RFC 7617, 2: neither name nor password may have control characters,
        // as in any header.
        let filling = self.text(&decoded, Place::Header, Encoding::Header)?;
        Ok(filling.map(|filling| HeaderFilling { at, filling, basic: Some(decoded) }))
    }

    fn body(&mut self, draft: &Draft) -> Result<Option<Filling>, CredentialError> {
        let Some(body) = draft.body.as_deref() else { return Ok(None) };
        let kind = draft.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let encoding = Encoding::of_body(kind.map(|(_, value)| value.as_slice()));
        let Some(filling) = self.text(body, Place::Body, encoding)? else { return Ok(None) };
        let values: usize = filling.values.values().map(|value| value.len()).sum();
        if filling.filled > MAX_FILLED_BODY_BYTES + values {
            return Err(CredentialError::Unfit(format!("with its credentials the body is longer than {MAX_FILLED_BODY_BYTES} bytes")));
        }
        Ok(Some(filling))
    }

    /// Judges one text; `None` where there is nothing to fill in it.
    fn text(&mut self, text: &[u8], place: Place, encoding: Encoding) -> Result<Option<Filling>, CredentialError> {
        let found = self.found(text)?;
        if encoding.is_percent() {
            self.nothing_encoded(text, &found)?;
        }
        if found.iter().any(|found| encoding.swallows(text.get(..found.start).unwrap_or_default())) {
            return Err(policy::foreign(self.toward));
        }
        if found.is_empty() {
            return Ok(None);
        }
        let mut values: BTreeMap<usize, Zeroizing<Vec<u8>>> = BTreeMap::new();
        let mut filled = text.len();
        for one in &found {
            let length = match values.entry(one.entry) {
                Entry::Occupied(known) => known.get().len(),
                Entry::Vacant(new) => new.insert(self.value(one.entry, place, encoding)?).len(),
            };
            filled = filled.saturating_sub(one.end - one.start).saturating_add(length);
        }
        Ok(Some(Filling { found, values, filled }))
    }

    /// The value as the place writes it, where it may stand there at all.
    fn value(&mut self, entry: usize, place: Place, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
        let held = self.ring.held_at(entry).ok_or_else(|| policy::foreign(self.toward))?;
        if held.kind == CredentialKind::Url {
            return Err(held.never(place.phrase(), Some(self.toward), "it stands only where a request goes"));
        }
        if !held.allows(place.needs(), self.toward.target) {
            return Err(held.denied(place, self.toward));
        }
        let unfit = || CredentialError::Unfit(format!("the value of `{}` cannot be written {}", held.name, place.phrase()));
        let value = encoding.write(held.value.expose_bytes()).ok_or_else(unfit)?;
        self.carried.add(&held.name, place);
        Ok(value)
    }

    /// Refuses any placeholder, of whomever.
    fn nowhere(&self, text: &[u8], place: &str, reason: &str) -> Result<(), CredentialError> {
        match self.found(text)?.first() {
            None => Ok(()),
            Some(found) => {
                let held = self.ring.held_at(found.entry);
                Err(held.map_or_else(|| policy::foreign(self.toward), |held| held.never(place, Some(self.toward), reason)))
            }
        }
    }

    fn found(&self, text: &[u8]) -> Result<Vec<Found>, CredentialError> {
        self.ring.marks.find(text).map_err(|_| policy::foreign(self.toward))
    }

    /// A placeholder that shows only after decoding would not be filled; that
    /// it was tried is refused like a foreign one.
    fn nothing_encoded(&self, text: &[u8], found: &[Found]) -> Result<(), CredentialError> {
        let starts = found.iter().map(|found| found.start).chain([text.len()]);
        let ends = [0].into_iter().chain(found.iter().map(|found| found.end));
        let mut between = ends.zip(starts).map(|(from, to)| text.get(from..to).unwrap_or_default());
        let hidden = between.any(|piece| piece.contains(&b'%') && holds_placeholder(&percent_decoded(piece)));
        if hidden { Err(policy::foreign(self.toward)) } else { Ok(()) }
    }
}

/// What `Basic …` decodes to. Whatever does not decode is a value like any
/// other: a placeholder in it is filled as it stands.
fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_at_checked(b"Basic".len())?;
    let is_basic = scheme.eq_ignore_ascii_case(b"basic") && rest.starts_with(b" ");
    if is_basic { BASIC.decode(rest.trim_ascii()).ok() } else { None }
}
