//! Signatures, and who gets none.

use wardroom_core::clock::Timestamp;
use wardroom_core::credential::{AwsRequest, CredentialKind, HmacHash, JwtAlgorithm, SignScheme, Signed};

use super::*;

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// 2015-08-30T12:36:00Z, the time of AWS's published test suite.
const SUITE: i64 = 1_440_938_160_000;
/// 2013-05-24T00:00:00Z, the time of the examples in the S3 reference.
const S3: i64 = 1_369_353_600_000;

fn ring(hosts: &[&str], scopes: &[&str], value: &str) -> Ring {
    Ring::new(vec![held(CredentialKind::Secret, hosts, scopes, value)]).unwrap()
}

fn suite(method: &str, url: &str, headers: &[(&str, &str)]) -> AwsRequest {
    AwsRequest {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        region: "us-east-1".to_owned(),
        service: "service".to_owned(),
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        payload_hash: EMPTY.to_owned(),
    }
}

/// The headers that are added for a request.
fn aws(request: AwsRequest, at: i64) -> Result<Vec<(String, String)>, CredentialError> {
    let (hosts, key) = if request.service == "s3" {
        (["examplebucket.s3.amazonaws.com"], "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    } else {
        (["example.amazonaws.com"], "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    };
    match ring(&hosts, &["KEY:sign"], key).sign("KEY", &SignScheme::AwsSigV4(request), Timestamp::from_ms(at))? {
        Signed::Headers(headers) => Ok(headers),
        other => panic!("expected headers: {other:?}"),
    }
}

fn authorization(request: AwsRequest, at: i64) -> String {
    aws(request, at).unwrap().swap_remove(0).1
}

#[test]
fn the_published_suite_is_reproduced() {
    let vanilla = authorization(suite("GET", "https://example.amazonaws.com/", &[]), SUITE);
    let scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    assert_eq!(vanilla, format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={signature}"));
    for (method, path, headers, signature) in [
        // post-vanilla, get-vanilla-query-order-key-case, get-vanilla-empty-query-key
        ("POST", "/", &[] as &[(&str, &str)], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("GET", "/?Param2=value2&Param1=value1", &[], "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("GET", "/?Param1=value1", &[], "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
        // get-unreserved, get-slashes, get-relative
        (
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            &[],
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        ("GET", "//example//", &[], "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        ("GET", "/example/..", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        // get-header-value-trim
        (
            "GET",
            "/",
            &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ] {
        let signed = authorization(suite(method, &format!("https://example.amazonaws.com{path}"), headers), SUITE);
        assert!(signed.ends_with(&format!("Signature={signature}")), "{method} {path}: {signed}");
    }
}

fn object(method: &str, path: &str, headers: &[(&str, &str)]) -> AwsRequest {
    AwsRequest {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        service: "s3".to_owned(),
        ..suite(method, &format!("https://examplebucket.s3.amazonaws.com{path}"), headers)
    }
}

#[test]
fn the_examples_of_the_s3_reference_are_reproduced() {
    for (path, headers, signature) in [
        ("/test.txt", &[("Range", "bytes=0-9")] as &[(&str, &str)], "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("/?lifecycle", &[], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", &[], "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let signed = authorization(object("GET", path, headers), S3);
        assert!(signed.ends_with(&format!("Signature={signature}")), "{path}: {signed}");
    }
    let headers = [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let mut put = object("PUT", "/test$file.text", &headers);
    put.payload_hash = "44CE7DD67C959E0D3524FFAC1771DFBBA87D2B6B4B4E99E42034A8B803F8B072".to_owned();
    assert!(authorization(put, S3).ends_with("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

#[test]
fn an_object_is_signed_with_the_hash_of_its_content() {
    let names = |request| aws(request, S3).unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(object("GET", "/a", &[])), ["authorization", "x-amz-date", "x-amz-content-sha256"]);
    assert_eq!(names(suite("GET", "https://example.amazonaws.com/", &[])), ["authorization", "x-amz-date"]);
    for (service, is_s3) in [("s3express", true), ("s3-outposts", true), ("s3tables", false), ("as3", false)] {
        let request = AwsRequest { service: service.to_owned(), ..suite("GET", "https://example.amazonaws.com/", &[]) };
        assert_eq!(names(request).len(), if is_s3 { 3 } else { 2 }, "{service}");
    }
    assert!(aws(object("GET", "/a", &[("X-Amz-Content-SHA256", EMPTY)]), S3).is_ok());
    unfit(aws(object("GET", "/a", &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]), S3));
}

#[test]
fn what_cannot_be_signed_is_unfit() {
    let fine = || suite("GET", "https://example.amazonaws.com/", &[]);
    let with = |change: fn(&mut AwsRequest)| {
        let mut request = fine();
        change(&mut request);
        request
    };
    for request in [
        with(|request| request.region = "us\r\nx: y".to_owned()),
        with(|request| request.region = String::new()),
        with(|request| request.service = "a/b".to_owned()),
        with(|request| request.access_key_id = "A, B".to_owned()),
        with(|request| request.access_key_id = "A".repeat(129)),
        with(|request| request.method = "G T".to_owned()),
        with(|request| request.url = "example.amazonaws.com".to_owned()),
        with(|request| request.url = "https://user@example.amazonaws.com/".to_owned()),
        with(|request| request.payload_hash = "0".repeat(63)),
        with(|request| request.payload_hash = "g".repeat(64)),
        suite("GET", "https://example.amazonaws.com/", &[("Host", "evil.example")]),
        suite("GET", "https://example.amazonaws.com/", &[("x-amz-date", "x")]),
        suite("GET", "https://example.amazonaws.com/", &[("a b", "x")]),
        suite("GET", "https://example.amazonaws.com/", &[("a:b", "x")]),
        suite("GET", "https://example.amazonaws.com/", &[("a", "x\ny")]),
    ] {
        assert!(!unfit(aws(request.clone(), SUITE)).contains("wJalr"), "{request:?}");
    }
    for at in [i64::MAX, i64::MIN, 253_402_300_800_000, -1] {
        unfit(aws(fine(), at));
    }
}

#[test]
fn a_request_is_signed_only_toward_the_credentials_own_hosts() {
    for (url, reason) in [
        ("https://evil.example/", "it is bound to example.amazonaws.com"),
        ("https://example.amazonaws.com:8443/", "it is bound to example.amazonaws.com"),
        ("http://example.amazonaws.com/", "it would leave in the clear"),
    ] {
        let refusal = refusal(aws(suite("GET", url, &[]), SUITE));
        assert_eq!((refusal.reason.as_str(), refusal.scope), (reason, None), "{url}");
    }
    let narrow = ring(&["*.amazonaws.com"], &["KEY@a.amazonaws.com:sign", "KEY"], VALUE);
    let scheme = SignScheme::AwsSigV4(suite("GET", "https://b.amazonaws.com/", &[]));
    assert_eq!(refusal(narrow.sign("KEY", &scheme, Timestamp::from_ms(SUITE))).scope.as_deref(), Some("KEY:sign"));
}

#[test]
fn nothing_is_signed_without_the_word() {
    let ring = ring(&["example.amazonaws.com"], &["KEY:reveal:body"], VALUE);
    let schemes = [
        SignScheme::Hmac { hash: HmacHash::Sha256, message: b"x".to_vec() },
        SignScheme::Jwt { algorithm: JwtAlgorithm::Hs256, key_id: None, claims: "{}".to_owned() },
        SignScheme::AwsSigV4(suite("GET", "https://example.amazonaws.com/", &[])),
    ];
    for scheme in schemes {
        let refused = refusal(ring.sign("KEY", &scheme, Timestamp::from_ms(0)));
        assert_eq!((refused.reason.as_str(), refused.scope.as_deref()), ("it may not be signed with", Some("KEY:sign")));
        assert!(matches!(ring.sign("OTHER", &scheme, Timestamp::from_ms(0)), Err(CredentialError::NotAssigned(_))));
    }
}

#[test]
fn a_code_and_a_token_need_no_host() {
    let ring = ring(&[], &["KEY:sign"], &"k".repeat(32));
    let code = ring.sign("KEY", &SignScheme::Hmac { hash: HmacHash::Sha1, message: Vec::new() }, Timestamp::from_ms(0));
    assert!(matches!(code, Ok(Signed::Bytes(code)) if code.len() == 20));
    let token = |algorithm, claims: &str| {
        ring.sign("KEY", &SignScheme::Jwt { algorithm, key_id: None, claims: claims.to_owned() }, Timestamp::from_ms(0))
    };
    assert!(
        matches!(token(JwtAlgorithm::Hs256, "{}"), Ok(Signed::Text(token)) if token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30."))
    );
    assert_eq!(
        unfit(token(JwtAlgorithm::Hs512, "{}")),
        "`KEY` cannot sign this: expected a key of at least 64 bytes for HS512 (RFC 7518, 3.2)"
    );
    for algorithm in [JwtAlgorithm::Rs256, JwtAlgorithm::Es256, JwtAlgorithm::EdDsa] {
        assert!(!unfit(token(algorithm, "{}")).contains("kk"));
    }
    unfit(token(JwtAlgorithm::Hs256, "[]"));
}
