//! Signatures: what a guest gets instead of the key.
//!
//! Whether it may be signed with was judged before; here are only the schemes,
//! one a file, and what keys they take.

mod aws;
mod hmac;
mod jwt;

use wardroom_core::clock::Timestamp;
use wardroom_core::credential::{CredentialError, SignScheme, Signed};

use super::Held;

/// Signs as the scheme wants.
pub(super) fn signed(held: &Held, scheme: &SignScheme, now: Timestamp) -> Result<Signed, CredentialError> {
    let key = held.value.expose_bytes();
    match scheme {
        SignScheme::Hmac { hash, message } => Ok(Signed::Bytes(hmac::code(*hash, key, &[message]))),
        SignScheme::Jwt { algorithm, key_id, claims } => {
            let token = jwt::token(key, *algorithm, key_id.as_deref(), claims);
            token.map(Signed::Text).map_err(|error| unfit(held, &error))
        }
        SignScheme::AwsSigV4(request) => {
            let read = aws::Read::new(request).map_err(|error| unfit(held, &error))?;
            held.may_sign_for(read.target())?;
            read.signed(key, now).map(Signed::Headers).map_err(|error| unfit(held, &error))
        }
    }
}

/// Why nothing is signed. No variant carries anything of the key, nor a
/// library's words about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum SignError {
    #[error("expected a key of at least {bytes} bytes for {algorithm} (RFC 7518, 3.2)")]
    Short { algorithm: &'static str, bytes: usize },
    #[error("expected a private key in PEM for {0}")]
    Pem(&'static str),
    #[error("expected the claims as a JSON object")]
    Claims,
    #[error("expected an address that can be requested: {0}")]
    Address(#[from] wardroom_core::capability::net::TargetError),
    #[error("expected {0}")]
    Request(&'static str),
    #[error("the header `{0}` is the signature's own; expected it left out")]
    Header(&'static str),
    #[error("the clock shows no date that can be signed")]
    Clock,
    #[error("the signature failed")]
    Failed,
}

fn unfit(held: &Held, error: &SignError) -> CredentialError {
    CredentialError::Unfit(format!("`{}` cannot sign this: {error}", held.name))
}
