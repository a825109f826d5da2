//! AWS Signature Version 4, in headers.
//!
//! As "Create a signed AWS API request" of the IAM user guide has it:
//!
//! ```text
//!  method, path, query, headers, payload hash ─▶ canonical request ─ SHA-256 ┐
//!  date, region, service ─▶ scope ──────────────────────────────▶ string to sign
//!  secret ─ HMAC date ─ HMAC region ─ HMAC service ─ HMAC ─▶ key ─ HMAC ─▶ signature
//! ```
//!
//! Signed is what is sent: path and query as the request's one reading has
//! them, which are also what stands in the request line.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use wardroom_core::capability::net::HttpTarget;
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::{AwsRequest, HmacHash};
use zeroize::Zeroizing;

use super::{SignError, hmac};
use crate::ring::encode::{fits_header, percent_decoded, percent_encoded};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const DATE: &str = "x-amz-date";
const CONTENT: &str = "x-amz-content-sha256";
/// Bytes of an access key's identifier, a region or a service at most.
const MAX_WORD: usize = 128;

/// A request that can be signed.
pub(super) struct Read<'a> {
    request: &'a AwsRequest,
    target: HttpTarget,
    /// By name in lower case; values trimmed, several joined.
    headers: BTreeMap<String, String>,
    payload_hash: String,
}

impl<'a> Read<'a> {
    /// Reads what the guest gave.
    pub(super) fn new(request: &'a AwsRequest) -> Result<Self, SignError> {
        let target = HttpTarget::parse(&request.method, &request.url)?;
        for (text, what) in [
            (&request.access_key_id, "the identifier of an access key, of letters, digits, `-`, `_` and `.`"),
            (&request.region, "a region such as eu-central-1"),
            (&request.service, "a service such as s3"),
        ] {
            if !is_word(text) {
                return Err(SignError::Request(what));
            }
        }
        let payload_hash = payload_hash(&request.payload_hash)?;
        let headers = canonical_headers(&request.headers)?;
        Ok(Self { request, target, headers, payload_hash })
    }

    /// Where the request goes.
    pub(super) const fn target(&self) -> &HttpTarget {
        &self.target
    }

    /// The headers to add.
    pub(super) fn signed(mut self, key: &[u8], now: Timestamp) -> Result<Vec<(String, String)>, SignError> {
        let time = time(now)?;
        let day = time.get(..8).ok_or(SignError::Clock)?;
        let mut added = vec![(DATE.to_owned(), time.clone())];
        if self.is_s3() {
            added.push((CONTENT.to_owned(), self.payload_hash.clone()));
        }
        self.headers.insert("host".to_owned(), self.target.authority());
        for (name, value) in &added {
            let given = self.headers.insert(name.clone(), value.clone());
            if given.is_some_and(|given| given != *value) {
                return Err(SignError::Request("x-amz-content-sha256 left out, or the payload's hash"));
            }
        }
        let scope = format!("{day}/{}/{}/aws4_request", self.request.region, self.request.service);
        let request = HEXLOWER.encode(&Sha256::digest(self.canonical_request()));
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{request}");
        let signing = self.signing_key(key, day);
        let signature = HEXLOWER.encode(&hmac::code(HmacHash::Sha256, &signing, &[to_sign.as_bytes()]));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.request.access_key_id,
            self.signed_headers(),
        );
        added.insert(0, ("authorization".to_owned(), authorization));
        Ok(added)
    }

    /// S3 and its relatives sign the path as it is and the payload's hash with
    /// it.
    fn is_s3(&self) -> bool {
        let service = self.request.service.as_str();
        service == "s3" || service == "s3express" || service.starts_with("s3-")
    }

    fn canonical_request(&self) -> String {
        let line = self.target.path_and_query();
        let (path, query) = line.split_once('?').unwrap_or((&line, ""));
        let path = if self.is_s3() { object_path(path) } else { service_path(path) };
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (method, query) = (self.target.method(), canonical_query(query));
        format!("{method}\n{path}\n{query}\n{headers}\n{}\n{}", self.signed_headers(), self.payload_hash)
    }

    fn signed_headers(&self) -> String {
        self.headers.keys().map(String::as_str).collect::<Vec<_>>().join(";")
    }

    fn signing_key(&self, secret: &[u8], day: &str) -> Zeroizing<Vec<u8>> {
        let mut first = Zeroizing::new(Vec::with_capacity(secret.len() + 4));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret);
        let words = [day, &self.request.region, &self.request.service, "aws4_request"];
        words.into_iter().fold(first, |key, word| Zeroizing::new(hmac::code(HmacHash::Sha256, &key, &[word.as_bytes()])))
    }
}

/// What stands between the slashes and commas of the authorization.
fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(plain)
}

fn payload_hash(text: &str) -> Result<String, SignError> {
    let is_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash {
        Ok(text.to_ascii_lowercase())
    } else if text == UNSIGNED {
        Ok(UNSIGNED.to_owned())
    } else {
        Err(SignError::Request("the payload's SHA-256 as 64 hex digits, or UNSIGNED-PAYLOAD"))
    }
}

/// Names in lower case, values trimmed and with single spaces, those of one
/// name joined in order.
fn canonical_headers(given: &[(String, String)]) -> Result<BTreeMap<String, String>, SignError> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in given {
        let name = name.to_ascii_lowercase();
        if let Some(own) = ["host", DATE, "authorization"].into_iter().find(|own| *own == name) {
            return Err(SignError::Header(own));
        }
        // RFC 9110, 5.1: a token. `:` or a line break would end it early.
        let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !is_token || !fits_header(value.as_bytes()) {
            return Err(SignError::Request("headers with a name and a value on one line"));
        }
        let value = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        headers
            .entry(name)
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert(value);
    }
    Ok(headers)
}

/// The key of an object: encoded once, with nothing taken out.
fn object_path(path: &str) -> String {
    path.split('/').map(|piece| encoded(&percent_decoded(piece.as_bytes()))).collect::<Vec<_>>().join("/")
}

/// Of any other service: without empty pieces, and what stands in the request
/// line encoded once more.
fn service_path(path: &str) -> String {
    let pieces: Vec<String> = path.split('/').filter(|piece| !piece.is_empty()).map(|piece| encoded(piece.as_bytes())).collect();
    let end = if path.ends_with('/') && !pieces.is_empty() { "/" } else { "" };
    format!("/{}{end}", pieces.join("/"))
}

/// Names and values decoded as a server does, encoded as AWS does, and sorted
/// by name, then value.
fn canonical_query(query: &str) -> String {
    let canonical = |text: &str| encoded(&percent_decoded(text.replace('+', " ").as_bytes()));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (canonical(name), canonical(value))
    };
    let mut pairs: Vec<(String, String)> = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encoded(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&percent_encoded(bytes)).into_owned()
}

/// `20150830T123600Z`.
fn time(now: Timestamp) -> Result<String, SignError> {
    // Before 1970 the clock is broken; year 0 and earlier have another form.
    let at = jiff::Timestamp::from_millisecond(now.ms()).ok().filter(|_| now.ms() >= 0).ok_or(SignError::Clock)?;
    Ok(at.strftime("%Y%m%dT%H%M%SZ").to_string())
}
