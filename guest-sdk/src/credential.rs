//! The credentials assigned to this execution: stand-ins for their values, and
//! signatures with them.
//!
//! Needs the grant `credentials`, for each one by name
//! (`--credential=GITHUB_TOKEN@api.github.com`). The values stay with the host: a
//! task puts a credential's placeholder where the value belongs, and the host
//! fills it in as the request leaves, toward the hosts that it is for.
//!
//! ```no_run
//! # use wardroom_guest::{Failure, credential};
//! # use wardroom_guest::credential::Hash;
//! # fn post(_: &str, _: &[(&str, String)], _: &str) -> Result<(), Failure> { Ok(()) }
//! # fn run() -> Result<(), Failure> {
//! let body = r#"{"ready":true}"#;
//! let token = credential::placeholder("API_TOKEN")?;
//! let code = credential::sign_hmac("WEBHOOK_KEY", Hash::Sha256, body)?;
//! let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
//! post("https://api.example.org/events", &[("authorization", format!("Bearer {token}")), ("x-signature", hex)], body)?;
//! # Ok(())
//! # }
//! ```

use std::fmt;

use serde::Serialize;

use crate::Failure;
use crate::bindings::wardroom::automation::credential as wire;

pub use crate::bindings::wardroom::automation::credential::{Hash, JwtAlgorithm, Kind};

/// Why a call gave nothing. Becomes a [`Failure`] with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not assigned to this execution, or there is none of this name.
    NotAssigned(String),
    /// The operator did not allow this use.
    Denied(String),
    /// It cannot be used like that.
    Unfit(String),
    /// The claims have no JSON form.
    Json(String),
}

/// A credential as a task may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assigned {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What stands in for its value, in this execution alone.
    pub placeholder: String,
}

/// A request that AWS Signature Version 4 is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsRequest<'a> {
    /// The access key's identifier; no secret.
    pub access_key_id: &'a str,
    /// Such as `eu-central-1`.
    pub region: &'a str,
    /// Such as `s3`.
    pub service: &'a str,
    /// The method, in capitals.
    pub method: &'a str,
    /// The whole address; its host must be one that the credential is for.
    pub url: &'a str,
    /// Headers to sign beside `host` and `x-amz-date`.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body as 64 hex digits, or `UNSIGNED-PAYLOAD`.
    pub payload_hash: &'a str,
}

/// What is assigned, in order of names.
#[must_use]
pub fn assigned() -> Vec<Assigned> {
    let list = wire::list().into_iter();
    list.map(|wire::Assigned { name, kind, placeholder }| Assigned { name, kind, placeholder }).collect()
}

/// What stands in for a credential's value. In header values it is always
/// filled, toward the hosts that the credential is for; in a query, a path or a
/// body where the grant says so. Anywhere else it stops the request.
///
/// # Errors
///
/// [`Error::NotAssigned`].
pub fn placeholder(name: &str) -> Result<String, Error> {
    Ok(wire::placeholder(name)?)
}

/// The value of a credential that was granted with `reveal`. Each call is
/// recorded.
///
/// # Errors
///
/// [`Error::NotAssigned`], or [`Error::Denied`] where it was granted without
/// `reveal`.
pub fn reveal(name: &str) -> Result<String, Error> {
    Ok(wire::reveal(name)?)
}

/// The HMAC of a message (RFC 2104), with a credential that was granted with
/// `sign`; its value is the key.
///
/// # Errors
///
/// [`Error::NotAssigned`], or [`Error::Denied`] where it was granted without
/// `sign`.
pub fn sign_hmac(name: &str, hash: Hash, message: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
    let request = wire::HmacRequest { hash, message: message.as_ref().to_vec() };
    match wire::sign(name, &wire::Scheme::Hmac(request))? {
        wire::Signature::Bytes(bytes) => Ok(bytes),
        _ => Err(other_scheme()),
    }
}

/// A JSON web token (RFC 7519), signed with a credential that was granted with
/// `sign`. For `HS…` its value is the key; else it is a private key in PEM.
/// `key_id` is the header's `kid`, and the claims are anything that serde writes
/// as a JSON object.
///
/// ```no_run
/// # use wardroom_guest::{Failure, credential};
/// # use wardroom_guest::credential::JwtAlgorithm;
/// #[derive(serde::Serialize)]
/// struct Claims {
///     iss: &'static str,
///     exp: u64,
/// }
///
/// # fn run(now: u64) -> Result<String, Failure> {
/// let claims = Claims { iss: "app-12345", exp: now + 600 };
/// let token = credential::sign_jwt("APP_KEY", JwtAlgorithm::Rs256, None, &claims)?;
/// # Ok(token)
/// # }
/// ```
///
/// # Errors
///
/// [`Error::NotAssigned`], [`Error::Denied`] where it was granted without
/// `sign`, [`Error::Unfit`] where the value is no key for the algorithm or the
/// claims are no object, or [`Error::Json`] where they have no JSON form.
pub fn sign_jwt<C: Serialize + ?Sized>(name: &str, algorithm: JwtAlgorithm, key_id: Option<&str>, claims: &C) -> Result<String, Error> {
    let claims = serde_json::to_string(claims).map_err(|error| Error::Json(format!("the claims have no JSON form: {error}")))?;
    let request = wire::JwtRequest { algorithm, key_id: key_id.map(str::to_owned), claims };
    match wire::sign(name, &wire::Scheme::Jwt(request))? {
        wire::Signature::Text(token) => Ok(token),
        _ => Err(other_scheme()),
    }
}

/// The headers that make a request one of AWS (Signature Version 4), with a
/// credential that was granted with `sign`; its value is the secret access key.
/// They are to be sent in addition to those that were signed.
///
/// # Errors
///
/// [`Error::NotAssigned`], [`Error::Denied`] where it was granted without
/// `sign`, or [`Error::Unfit`] where something of the request is wrong.
pub fn sign_aws_sigv4(name: &str, request: &AwsRequest<'_>) -> Result<Vec<(String, String)>, Error> {
    match wire::sign(name, &wire::Scheme::AwsSigv4(request.to_wire()))? {
        wire::Signature::Headers(headers) => Ok(headers),
        _ => Err(other_scheme()),
    }
}

impl AwsRequest<'_> {
    fn to_wire(self) -> wire::AwsRequest {
        wire::AwsRequest {
            access_key_id: self.access_key_id.to_owned(),
            region: self.region.to_owned(),
            service: self.service.to_owned(),
            method: self.method.to_owned(),
            url: self.url.to_owned(),
            headers: self.headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            payload_hash: self.payload_hash.to_owned(),
        }
    }
}

/// The contract promises each scheme its own kind of signature.
fn other_scheme() -> Error {
    Error::Unfit("the host answered with the signature of another scheme".to_owned())
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::NotAssigned(why) => Self::NotAssigned(why),
            wire::Error::Denied(why) => Self::Denied(why),
            wire::Error::Unfit(why) => Self::Unfit(why),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotAssigned(why) | Self::Denied(why) | Self::Unfit(why) | Self::Json(why)) = self;
        f.write_str(why)
    }
}

// No `std::error::Error`, as in `state`: a denial is none of the program's failures.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotAssigned(why) | Error::Denied(why) => Self::Denied(why),
            Error::Unfit(why) | Error::Json(why) => Self::Permanent(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_has_to_grant_ends_the_run_as_a_denial() {
        let of = |error: wire::Error| Failure::from(Error::from(error));
        let why = || "why".to_owned();
        assert_eq!(of(wire::Error::NotAssigned(why())), Failure::denied("why"));
        assert_eq!(of(wire::Error::Denied(why())), Failure::denied("why"));
        assert_eq!(of(wire::Error::Unfit(why())), Failure::permanent("why"));
    }

    #[test]
    fn claims_without_a_json_form_never_reach_the_host() {
        let claims = std::collections::BTreeMap::from([((1, 2), 3)]);
        let signed = sign_jwt("APP_KEY", JwtAlgorithm::Hs256, None, &claims);
        assert!(matches!(signed, Err(Error::Json(why)) if why.contains("JSON form")));
    }
}
