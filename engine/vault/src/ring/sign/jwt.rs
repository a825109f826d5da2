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

#[cfg(test)]
mod tests {
    use ::ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// RFC 7515, appendix A: the payload of A.1 to A.3.
    const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    /// The key of A.2, put into PKCS#8.
    const RSA: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO
jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL
aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn
juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5
ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf
toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg
VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW
PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G
O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj
kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6
XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB
4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K
pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr
0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE
lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6
kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP
rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw
kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp
5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2
9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/
evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG
yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj
OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2
tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3
ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56
03k2+ZQwVK0JKSHuLFkuQ3U=
-----END PRIVATE KEY-----";
    /// The key of A.3, put into PKCS#8.
    const P256: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt
-----END PRIVATE KEY-----";
    /// The key of RFC 8037, appendix A, put into PKCS#8 without its public half.
    const ED25519: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";

    fn coded(key: &[u8], algorithm: JwtAlgorithm, input: &str) -> Result<String, SignError> {
        signature(key, algorithm, input.as_bytes()).map(|signature| URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn rfc_7515_a_1_is_reproduced() {
        let key = URL_SAFE_NO_PAD.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").unwrap();
        let input = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}");
        assert_eq!(coded(&key, JwtAlgorithm::Hs256, &input).as_deref(), Ok("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    }

    #[test]
    fn rfc_7515_a_2_is_reproduced() {
        let input = format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}");
        let expected = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-\
             0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--\
             f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqt\
             FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77\
             Rw";
        assert_eq!(coded(RSA.as_bytes(), JwtAlgorithm::Rs256, &input).as_deref(), Ok(expected));
        // The same key in the older form that OpenSSL wrote: without the 26
        // bytes that PKCS#8 puts before it.
        let base64 = base64::engine::general_purpose::STANDARD;
        let der = base64.decode(RSA.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
        let old = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", base64.encode(&der[26..]));
        assert_eq!(coded(old.as_bytes(), JwtAlgorithm::Rs256, &input).as_deref(), Ok(expected));
    }

    #[test]
    fn rfc_8037_a_4_is_reproduced() {
        let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(coded(ED25519.as_bytes(), JwtAlgorithm::EdDsa, input).as_deref(), Ok(expected));
    }

    #[test]
    fn es256_is_verified_with_the_key_of_rfc_7515_a_3() {
        let token = token(P256.as_bytes(), JwtAlgorithm::Es256, None, r#"{"iss":"joe"}"#).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut public = vec![4];
        public.extend(URL_SAFE_NO_PAD.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap());
        public.extend(URL_SAFE_NO_PAD.decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap());
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        assert!(key.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_ok());
        assert!(key.verify(b"other", &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_err());
    }

    #[test]
    fn the_claims_are_an_object_compact_and_in_order() {
        let key = [7; 64];
        let claims = "{ \"z\": 1,\r\n\"a\": [1.50, 18446744073709551615, \"\\u00e9\"], \"z\": 2 }";
        let token = token(&key, JwtAlgorithm::Hs512, Some("k\"1"), claims).unwrap();
        let part = |at: usize| String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap();
        assert_eq!(part(0), r#"{"alg":"HS512","typ":"JWT","kid":"k\"1"}"#);
        assert_eq!(part(1), r#"{"z":2,"a":[1.5,18446744073709551615,"é"]}"#);
        for wrong in ["", "[]", "1", "null", "{", "{} {}", &"[".repeat(100_000)] {
            assert_eq!(super::token(&key, JwtAlgorithm::Hs256, None, wrong), Err(SignError::Claims));
        }
    }

    #[test]
    fn a_key_of_the_wrong_kind_signs_nothing() {
        for (key, algorithm) in [
            (P256, JwtAlgorithm::Rs256),
            (ED25519, JwtAlgorithm::Rs256),
            (RSA, JwtAlgorithm::Es256),
            (ED25519, JwtAlgorithm::Es256),
            (RSA, JwtAlgorithm::EdDsa),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", JwtAlgorithm::EdDsa),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", JwtAlgorithm::Es256),
            ("no PEM", JwtAlgorithm::Rs256),
            ("", JwtAlgorithm::Es256),
        ] {
            assert!(matches!(coded(key.as_bytes(), algorithm, "x"), Err(SignError::Pem(_))), "{algorithm:?}");
        }
    }

    #[test]
    fn a_shared_key_is_as_long_as_its_hash() {
        for (bytes, algorithm) in [(32, JwtAlgorithm::Hs256), (64, JwtAlgorithm::Hs512)] {
            assert!(coded(&vec![1; bytes], algorithm, "x").is_ok());
            assert!(matches!(coded(&vec![1; bytes - 1], algorithm, "x"), Err(SignError::Short { .. })));
        }
    }
}
