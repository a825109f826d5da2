//! JSON web tokens in compact form (RFC 7515, 7.1; RFC 7519).

use ::ring::rand::SystemRandom;
use ::ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value};
use wardroom_core::credential::{HmacHash, JwtAlgorithm};
use zeroize::Zeroizing;

use super::{SignError, hmac};

/// The token over these claims.
pub(super) fn token(key: &[u8], algorithm: JwtAlgorithm, key_id: Option<&str>, claims: &str) -> Result<String, SignError> {
    // RFC 7519, 4: names are unique. What is signed is what was read, so a name
    // that was given twice stands once, with its last value.
    let claims: Map<String, Value> = serde_json::from_str(claims).map_err(|_| SignError::Claims)?;
    let mut header = Map::new();
    header.insert("alg".to_owned(), name(algorithm).into());
    header.insert("typ".to_owned(), "JWT".into());
    if let Some(key_id) = key_id {
        header.insert("kid".to_owned(), key_id.into());
    }
    let part = |part: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(part).to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = signature(key, algorithm, input.as_bytes())?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// RFC 7518, 3.1; RFC 8037, 3.1.
const fn name(algorithm: JwtAlgorithm) -> &'static str {
    match algorithm {
        JwtAlgorithm::Hs256 => "HS256",
        JwtAlgorithm::Hs512 => "HS512",
        JwtAlgorithm::Rs256 => "RS256",
        JwtAlgorithm::Es256 => "ES256",
        JwtAlgorithm::EdDsa => "EdDSA",
    }
}

fn signature(key: &[u8], algorithm: JwtAlgorithm, input: &[u8]) -> Result<Vec<u8>, SignError> {
    match algorithm {
        JwtAlgorithm::Hs256 => keyed(key, algorithm, HmacHash::Sha256, 32, input),
        JwtAlgorithm::Hs512 => keyed(key, algorithm, HmacHash::Sha512, 64, input),
        JwtAlgorithm::Rs256 => rsa(key, input),
        JwtAlgorithm::Es256 => ecdsa(key, input),
        JwtAlgorithm::EdDsa => eddsa(key, input),
    }
}

/// RFC 7518, 3.2: "A key of the same size as the hash output […] or larger MUST
/// be used". Whoever sees a token can try keys for as long as they like.
fn keyed(key: &[u8], algorithm: JwtAlgorithm, hash: HmacHash, bytes: usize, input: &[u8]) -> Result<Vec<u8>, SignError> {
    if key.len() < bytes {
        return Err(SignError::Short { algorithm: name(algorithm), bytes });
    }
    Ok(hmac::code(hash, key, &[input]))
}

fn rsa(pem: &[u8], input: &[u8]) -> Result<Vec<u8>, SignError> {
    const WRONG: SignError = SignError::Pem("RS256 (PKCS#8 or PKCS#1, 2048 bits or more)");
    let der = Zeroizing::new(private_key(pem).ok_or(WRONG)?);
    let pair = match &*der {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(WRONG),
    };
    let pair = pair.map_err(|_| WRONG)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).map_err(|_| SignError::Failed)?;
    Ok(signature)
}

fn ecdsa(pem: &[u8], input: &[u8]) -> Result<Vec<u8>, SignError> {
    const WRONG: SignError = SignError::Pem("ES256 (PKCS#8, on P-256)");
    let random = SystemRandom::new();
    let der = pkcs8(pem).ok_or(WRONG)?;
    let PrivateKeyDer::Pkcs8(der) = &*der else { return Err(WRONG) };
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random).map_err(|_| WRONG)?;
    // The two numbers side by side, not in ASN.1 (RFC 7518, 3.4).
    pair.sign(&random, input).map(|signature| signature.as_ref().to_vec()).map_err(|_| SignError::Failed)
}

fn eddsa(pem: &[u8], input: &[u8]) -> Result<Vec<u8>, SignError> {
    const WRONG: SignError = SignError::Pem("EdDSA (PKCS#8, Ed25519)");
    let der = pkcs8(pem).ok_or(WRONG)?;
    let PrivateKeyDer::Pkcs8(der) = &*der else { return Err(WRONG) };
    // OpenSSL leaves the public key out; it follows from the private one.
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| WRONG)?;
    Ok(pair.sign(input).as_ref().to_vec())
}

fn pkcs8(pem: &[u8]) -> Option<Zeroizing<PrivateKeyDer<'static>>> {
    private_key(pem).map(Zeroizing::new)
}

/// The first private key in the text.
fn private_key(pem: &[u8]) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).ok()
}
