//! Signatures and HTTP Basic: what a program gets instead of the key, checked by
//! computations that know nothing of ours.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey,
};
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::commands::says;
use super::{VALUE, Vaulted, assert_clean, assert_clean_folder, ok};
use crate::support::guests;
use crate::support::server::Request;

/// The key of RFC 7515, A.2, as PKCS#8: ring makes none of this kind.
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

/// A vault whose `KEY` is this.
fn with_key(value: &str) -> Vaulted {
    let vaulted = Vaulted::empty();
    vaulted.add("KEY", value, &["--kind=secret"]);
    vaulted
}

/// What a script answers that may sign.
#[track_caller]
fn signed(vaulted: &Vaulted, source: &str) -> Value {
    let (record, ended) = vaulted.script(source, "KEY:sign", &[]);
    assert_eq!(record["status"], "success", "{record}\n{ended}");
    record["output"]["json"].clone()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Header, claims, what was signed, the signature.
fn parts(token: &Value) -> (Value, Value, String, Vec<u8>) {
    let token = token.as_str().unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(header), json(claims), input.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

#[test]
fn an_hmac_is_that_of_rfc_4231() {
    let vaulted = with_key("Jefe");
    let source = "return ['sha1', 'sha256', 'sha512'].map((hash) =>
        credentials.sign('KEY', { hmac: { hash, message: 'what do ya want for nothing?' } }).toHex());";
    assert_eq!(
        signed(&vaulted, source),
        json!([
            // RFC 2202, case 2; RFC 4231, case 2.
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ])
    );
    let audit = vaulted.home.read(&["audit", "list", "--event=credential-signed", "--json"]);
    let events = audit["events"].as_array().unwrap();
    assert!(events.len() == 3 && events.iter().all(|event| event["subject"] == "KEY" && event["detail"]["scheme"] == "hmac"), "{audit}");
}

#[test]
fn a_token_of_a_shared_key_is_the_one_that_others_compute() {
    let key = "a shared key of more than 64 bytes, so that HS512 takes it too ~ 1a2b3c4d";
    let vaulted = with_key(key);
    for (algorithm, computed) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
        let source = format!(
            "return credentials.sign('KEY', {{ jwt: {{ algorithm: '{algorithm}', keyId: 'k1', claims: {{ iss: 'me', n: 1 }} }} }});"
        );
        let (header, claims, input, signature) = parts(&signed(&vaulted, &source));
        assert_eq!((header, claims), (json!({ "alg": algorithm, "typ": "JWT", "kid": "k1" }), json!({ "iss": "me", "n": 1 })));
        hmac::verify(&hmac::Key::new(computed, key.as_bytes()), input.as_bytes(), &signature).unwrap();
    }
    assert_clean_folder(&vaulted.home.path(), key);
}

#[test]
fn a_token_of_a_private_key_is_verified_with_its_public_one() {
    let random = SystemRandom::new();
    let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let p256_public =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap().public_key().as_ref().to_vec();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed25519_public = Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap().public_key().as_ref().to_vec();
    let rsa_public = signature::RsaKeyPair::from_pkcs8(&der(RSA)).unwrap().public_key().as_ref().to_vec();
    let cases: [(&str, String, &dyn signature::VerificationAlgorithm, Vec<u8>); 3] = [
        ("RS256", RSA.to_owned(), &signature::RSA_PKCS1_2048_8192_SHA256, rsa_public),
        ("ES256", pem(p256.as_ref()), &ECDSA_P256_SHA256_FIXED, p256_public),
        ("EdDSA", pem(ed25519.as_ref()), &ED25519, ed25519_public),
    ];
    for (algorithm, pem, verification, public) in cases {
        let vaulted = with_key(&pem);
        let source = format!("return credentials.sign('KEY', {{ jwt: {{ algorithm: '{algorithm}', claims: {{ iss: 'me' }} }} }});");
        let (header, claims, input, signature) = parts(&signed(&vaulted, &source));
        assert_eq!((header, claims), (json!({ "alg": algorithm, "typ": "JWT" }), json!({ "iss": "me" })));
        let key = UnparsedPublicKey::new(verification, public);
        key.verify(input.as_bytes(), &signature).unwrap();
        assert!(key.verify(b"something else", &signature).is_err());
        assert_clean_folder(&vaulted.home.path(), pem.lines().nth(1).unwrap());
    }
}

#[test]
fn a_key_that_does_not_fit_signs_nothing_and_is_not_repeated() {
    let vaulted = with_key(VALUE);
    for algorithm in ["HS256", "HS512", "RS256", "ES256", "EdDSA"] {
        let source = format!("return credentials.sign('KEY', {{ jwt: {{ algorithm: '{algorithm}', claims: {{}} }} }});");
        let (record, ended) = vaulted.script(&source, "KEY:sign", &[]);
        assert_eq!(record["status"], "failed", "{record}");
        assert!(record["failure"]["message"].as_str().unwrap().contains("`KEY` cannot sign this"), "{record}");
        assert_clean("the answer", ended.to_string().as_bytes(), VALUE);
    }
}

/// Signature Version 4 as the service has to compute it from what arrived.
fn aws_signature(secret: &str, request: &Request) -> String {
    let field = &request.headers["authorization"];
    let word = |name: &str| field.split([' ', ',']).find_map(|word| word.strip_prefix(name)).unwrap().to_owned();
    let scope = word("Credential=").split_once('/').unwrap().1.to_owned();
    let names = word("SignedHeaders=");
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", request.headers[name])).collect();
    let query: BTreeMap<&str, &str> = request.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let payload = hex(digest::digest(&digest::SHA256, &request.body).as_ref());
    let canonical = format!("{}\n{}\n{}\n{headers}\n{names}\n{payload}", request.method, request.path, query.join("&"));
    let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", request.headers["x-amz-date"]);
    let code = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, piece| code(&key, piece));
    hex(&code(&key, &to_sign))
}

#[test]
fn a_signed_request_is_the_one_that_the_service_computes() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let vaulted = with_key(secret);
    let source = "
        const url = 'BASE/things/of-mine?b=2&a=1';
        const body = JSON.stringify({ hello: 'world' });
        const headers = { 'Content-Type': 'application/json', 'X-Note': 'one' };
        const asked = { accessKeyId: 'AKIDEXAMPLE', region: 'eu-central-1', service: 'execute-api', method: 'POST', url, headers, body };
        const added = credentials.sign('KEY', { awsSigV4: asked });
        const r = await fetch(url, { method: 'POST', headers: { ...headers, ...added }, body });
        return [r.status, Object.keys(added).sort()];";
    assert_eq!(signed(&vaulted, source), json!([200, ["authorization", "x-amz-date"]]));
    let request = vaulted.server.requests().remove(0);
    let field = &request.headers["authorization"];
    assert!(
        field.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") && field.contains("/eu-central-1/execute-api/aws4_request"),
        "{field}"
    );
    assert!(field.contains("SignedHeaders=content-type;host;x-amz-date;x-note,"), "{field}");
    assert_eq!(field.split("Signature=").nth(1).unwrap(), aws_signature(secret, &request), "{request:?}");
    assert_clean("the request", format!("{request:?}").as_bytes(), secret);
}

#[test]
fn a_request_to_a_place_that_the_key_is_not_for_is_not_signed() {
    let vaulted = with_key(VALUE);
    let source = "return credentials.sign('KEY', { awsSigV4: { accessKeyId: 'A', region: 'r', service: 's3', method: 'GET', url: 'https://other.example/x' } });";
    let (record, ended) = vaulted.script(source, "KEY:sign", &[]);
    assert_eq!((record["status"].as_str(), record["failure_kind"].as_str()), (Some("failed"), Some("denied")), "{record}");
    assert_clean("the answer", ended.to_string().as_bytes(), VALUE);
    let audit = vaulted.home.read(&["audit", "list", "--event=credential-refused", "--json"]);
    assert_eq!(audit["events"][0]["subject"], "KEY", "{audit}");
}

#[test]
fn signing_without_the_grant_is_denied_recorded_and_told_how_to_allow() {
    let vaulted = with_key(VALUE);
    vaulted.home.file("sign.js", "return credentials.sign('KEY', { hmac: { hash: 'sha256', message: 'x' } }).toHex();");
    let record = vaulted.home.record(&["sign.js", "--credential=KEY"]);
    assert_eq!(record.ending(), ("failed", "denied", "operator", Some(1)), "{}", record.json);
    assert_eq!(record.json["refusals"][0]["capability"], "credentials", "{}", record.json);
    let ended = vaulted.home.run(&["run", "sign.js", "--credential=KEY"]);
    says(&ended, 1, &["denied", "--credential=KEY:sign"]);
    let events =
        |name: &str| vaulted.home.read(&["audit", "list", &format!("--event={name}"), "--json"])["events"].as_array().unwrap().len();
    assert_eq!((events("credential-refused"), events("credential-signed")), (2, 0));
    ok(&vaulted.home.run(&["run", "sign.js", "--credential=KEY:sign"]));
    assert_eq!(events("credential-signed"), 1);
}

#[test]
fn http_basic_is_filled_inside_its_base64() {
    let vaulted = Vaulted::new();
    let source = "
        const P = credentials.API_TOKEN;
        for (const pair of ['user:' + P, P + ':x-oauth-basic', P + ':', 'user:' + P + P]) {
            const r = await fetch('BASE/basic', { headers: { Authorization: 'Basic ' + btoa(pair) } });
            if (r.status !== 200) throw new Error(pair);
        }";
    let (record, ended) = vaulted.script(source, "API_TOKEN", &[]);
    assert_eq!(record["status"], "success", "{record}\n{ended}");
    let seen: Vec<String> = vaulted
        .server
        .requests()
        .iter()
        .map(|request| {
            let field = request.headers["authorization"].strip_prefix("Basic ").unwrap();
            String::from_utf8(STANDARD.decode(field).unwrap()).unwrap()
        })
        .collect();
    assert_eq!(seen, [format!("user:{VALUE}"), format!("{VALUE}:x-oauth-basic"), format!("{VALUE}:"), format!("user:{VALUE}{VALUE}")]);
    assert_clean_folder(&vaulted.home.path(), VALUE);
}

/// What the guest of the SDK answers with this scope.
fn guest(vaulted: &Vaulted, scope: &str) -> Value {
    let program = guests::credentials().display().to_string();
    let record = vaulted.home.record(&[
        program,
        "--param=name=KEY".to_owned(),
        format!("--param=base={}", vaulted.base()),
        vaulted.allow(),
        format!("--credential={scope}"),
        "--credential=OTHER".to_owned(),
    ]);
    record.succeeded();
    record.result().clone()
}

#[test]
fn a_guest_in_rust_uses_its_credentials_through_the_contract() {
    let key = "Jefe of 32 bytes and some more ~ 1a2b3c4d";
    let vaulted = with_key(key);
    vaulted.add("OTHER", "value-of-other", &[]);
    vaulted.add("NOT_MINE", "value-of-not-mine", &[]);
    let answer = guest(&vaulted, "KEY:sign:reveal");
    assert_eq!(answer["assigned"], json!([["KEY", "Kind::Secret"], ["OTHER", "Kind::ApiKey"]]), "{answer}");
    assert_eq!((&answer["listed"], &answer["status"]), (&true.into(), &200.into()), "{answer}");
    assert_eq!(vaulted.server.requests()[0].headers["authorization"], format!("Bearer {key}"));
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), b"what do ya want for nothing?");
    assert_eq!(answer["hmac"], hex(code.as_ref()));
    let (header, claims, input, signature) = parts(&answer["jwt"]);
    assert_eq!((&header["kid"], &claims["iss"]), (&"k1".into(), &"guest".into()));
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), input.as_bytes(), &signature).unwrap();
    assert_eq!(answer["aws"], "authorization x-amz-date");
    assert_eq!(answer["revealed"], key.len().to_string());
    assert_eq!(answer["other"], json!({ "error": "NotAssigned" }));
    assert_clean_folder(&vaulted.home.path(), key);
}

#[test]
fn a_guest_in_rust_is_denied_what_was_not_granted() {
    let vaulted = with_key(VALUE);
    vaulted.add("OTHER", "value-of-other", &[]);
    let answer = guest(&vaulted, "KEY");
    assert_eq!(answer["status"], 200, "{answer}");
    for word in ["hmac", "jwt", "aws", "revealed"] {
        assert_eq!(answer[word], json!({ "error": "Denied" }), "{answer}");
    }
    assert_eq!(answer["other"], json!({ "error": "NotAssigned" }));
}
