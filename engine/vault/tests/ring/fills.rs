//! What is filled, and how it then looks.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use wardroom_core::credential::CredentialKind;

use super::*;

const HOST: &[&str] = &["api.example.org"];

#[test]
fn a_ring_assigns_in_order_of_names_with_placeholders_of_its_own() {
    let two = || vec![key(HOST, &["B"]), held(CredentialKind::Url, HOST, &["A"], "https://api.example.org/x")];
    let (one, other) = (Ring::new(two()).unwrap(), Ring::new(two()).unwrap());
    let names: Vec<String> = one.assigned().iter().map(|assigned| assigned.name.to_string()).collect();
    assert_eq!(names, ["A", "B"]);
    assert!(placeholder(&one, 0).starts_with("https://") && placeholder(&one, 0).ends_with(".wardroom.invalid/"));
    assert!(placeholder(&one, 1).starts_with("wardroom_") && placeholder(&one, 1).len() == 41);
    assert!(placeholder(&one, 0) != placeholder(&other, 0) && placeholder(&one, 1) != placeholder(&other, 1));
}

#[test]
fn a_name_is_assigned_once() {
    let twice = Ring::new(vec![key(HOST, &["A"]), key(&[], &["A:query"])]);
    assert!(matches!(twice, Err(wardroom_vault::ring::RingError::Twice(name)) if name.as_str() == "A"));
}

#[test]
fn the_redactor_is_told_the_values_and_their_parts() {
    let ring = Ring::new(vec![
        held(CredentialKind::Url, HOST, &["HOOK"], "https://api.example.org/T0/B0"),
        held(CredentialKind::Form, HOST, &["LOGIN"], r#"{"user":"me","password":"pass word"}"#),
    ])
    .unwrap();
    let values: Vec<(&str, String)> = ring.values().map(|(name, value)| (name, String::from_utf8_lossy(value).into_owned())).collect();
    let expected = [
        ("HOOK", "https://api.example.org/T0/B0"),
        ("HOOK", "/T0/B0"),
        ("HOOK", "T0/B0"),
        ("LOGIN", r#"{"user":"me","password":"pass word"}"#),
        ("LOGIN", "me"),
        ("LOGIN", "pass word"),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_header_is_filled_and_the_answer_asked_for_whole_and_plain() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let bearer = format!("Bearer {mark}");
    let sent = [("authorization", bearer.as_str()), ("range", "bytes=0-3"), ("if-range", "x"), ("accept-encoding", "gzip"), ("te", "gzip")];
    let draft = draft("https://api.example.org/a", &sent, Some("x"));
    assert_eq!(uses(&ring.check(&draft).unwrap()), ["KEY header"]);
    let out = filled(&ring, draft).unwrap();
    assert_eq!(header(&out, "authorization"), Some("Bearer s3cr3t-value"));
    assert_eq!(header(&out, "accept-encoding"), Some("identity"));
    assert_eq!(out.headers.len(), 2);
}

#[test]
fn cookies_and_joined_placeholders_are_filled() {
    let ring = Ring::new(vec![key(HOST, &["A"]), held(CredentialKind::ApiKey, HOST, &["B"], "other")]).unwrap();
    let joined = format!("wardroom_{}{}x", placeholder(&ring, 0), placeholder(&ring, 1));
    let out = filled(&ring, draft("https://api.example.org/", &[("cookie", &joined)], None)).unwrap();
    assert_eq!(header(&out, "cookie"), Some("wardroom_s3cr3t-valueotherx"));
}

#[test]
fn a_value_that_reads_like_a_placeholder_is_not_filled_in_turn() {
    // The first draw tells nothing of the second, so the value is built after
    // the fact: a form that only another ring could hold.
    let looks = format!("wardroom_{}", "0".repeat(32));
    let ring = Ring::new(vec![held(CredentialKind::ApiKey, HOST, &["A"], &looks), key(HOST, &["B"])]).unwrap();
    let pair = format!("{}{}", placeholder(&ring, 0), placeholder(&ring, 1));
    let out = filled(&ring, draft("https://api.example.org/", &[("x-pair", &pair)], None)).unwrap();
    assert_eq!(header(&out, "x-pair"), Some(format!("{looks}{VALUE}").as_str()));
}

#[test]
fn basic_is_filled_inside_its_encoding_padded_or_not() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    for coded in [STANDARD.encode(format!("user:{mark}")), STANDARD_NO_PAD.encode(format!("user:{mark}"))] {
        for scheme in ["Basic ", "basic   "] {
            let given = format!("{scheme}{coded}");
            let out = filled(&ring, draft("https://api.example.org/", &[("authorization", &given)], None)).unwrap();
            let expected = format!("Basic {}", STANDARD.encode(format!("user:{VALUE}")));
            assert_eq!(header(&out, "authorization"), Some(expected.as_str()));
        }
    }
}

#[test]
fn basic_with_the_placeholder_for_what_is_encoded_is_filled_as_it_stands() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let out = filled(&ring, draft("https://api.example.org/", &[("authorization", &format!("Basic {mark}"))], None)).unwrap();
    assert_eq!(header(&out, "authorization"), Some("Basic s3cr3t-value"));
}

#[test]
fn path_and_query_are_percent_encoded() {
    let ring = Ring::new(vec![held(CredentialKind::ApiKey, HOST, &["KEY:path:query"], "a/b?c&d")]).unwrap();
    let mark = placeholder(&ring, 0);
    let draft = draft(&format!("https://api.example.org/bot{mark}/send?key={mark}&x=1"), &[], None);
    assert_eq!(uses(&ring.check(&draft).unwrap()), ["KEY path", "KEY query"]);
    let out = filled(&ring, draft).unwrap();
    assert_eq!(out.path_and_query, "/bota%2Fb%3Fc%26d/send?key=a%2Fb%3Fc%26d&x=1");
    assert!(!out.target.to_string().contains("a%2Fb"), "the target is shown to people");
}

#[test]
fn what_is_encoded_and_hides_nothing_stays_as_it_is() {
    let (ring, mark) = ring_of(HOST, &["KEY:path:query:body"]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let given = draft(&format!("https://api.example.org/a%20b/{mark}?k={mark}&x=%31"), &form, Some(&format!("x=%31&k={mark}")));
    let out = filled(&ring, given).unwrap();
    assert_eq!(out.path_and_query, format!("/a%20b/{VALUE}?k={VALUE}&x=%31"));
    assert_eq!(out.body, Some(format!("x=%31&k={VALUE}").into_bytes()));
    assert!(ring.check(&draft("https://any.example/a%20b?x=%31", &[], None)).unwrap().is_empty());
    // Whoever reads a header, JSON or a text takes `%77` for no `w`.
    let hidden = mark.replacen('w', "%77", 1);
    for kind in ["application/json", "text/plain"] {
        let sent = [("content-type", kind), ("x-key", &hidden)];
        assert!(ring.check(&draft("https://api.example.org/", &sent, Some(&hidden))).unwrap().is_empty(), "{kind}");
    }
}

#[test]
fn a_body_is_filled_as_its_type_wants_and_its_length_counted_again() {
    let ring = Ring::new(vec![held(CredentialKind::Secret, HOST, &["KEY:body"], "a \"q\"\n&")]).unwrap();
    let mark = placeholder(&ring, 0);
    assert!(ring.wants_body(&target("https://api.example.org/")) && !ring.wants_body(&target("https://evil.example/")));
    for (kind, expected) in [
        ("application/json", "k=a \\\"q\\\"\\n&"),
        ("application/problem+json; charset=utf-8", "k=a \\\"q\\\"\\n&"),
        ("application/x-www-form-urlencoded", "k=a+%22q%22%0A%26"),
        ("text/plain", "k=a \"q\"\n&"),
    ] {
        let sent = [("content-type", kind), ("content-length", "43")];
        let out = filled(&ring, draft("https://api.example.org/", &sent, Some(&format!("k={mark}")))).unwrap();
        assert_eq!(out.body.as_deref(), Some(expected.as_bytes()), "{kind}");
        assert_eq!(header(&out, "content-length"), Some(expected.len().to_string().as_str()), "{kind}");
    }
}

#[test]
fn a_ring_is_for_where_any_of_its_values_may_go() {
    let ring = Ring::new(vec![key(HOST, &["A"]), key(&["*.example.com"], &["B@b.example.com:query"])]).unwrap();
    for (url, is_for) in [
        ("https://api.example.org/", true),
        ("https://b.example.com/", true),
        ("https://a.example.com/", false),
        ("http://api.example.org/", false),
        ("https://evil.example/", false),
    ] {
        assert_eq!(ring.is_for(&target(url)), is_for, "{url}");
    }
}

#[test]
fn a_scope_without_the_word_wants_no_body() {
    let (ring, _) = ring_of(HOST, &["KEY:query"]);
    assert!(!ring.wants_body(&target("https://api.example.org/")));
}

#[test]
fn a_host_is_one_in_any_case_with_a_final_dot_and_as_an_address() {
    let (ring, mark) = ring_of(&["api.example.org", "[2001:db8::1]:8443", "127.0.0.1:8080", "*.wide.example"], &["KEY"]);
    for url in [
        "https://API.Example.ORG/",
        "https://api.example.org./",
        "https://[2001:DB8:0::1]:8443/",
        "http://127.0.0.1:8080/",
        "https://a.b.wide.example/",
    ] {
        assert!(filled(&ring, draft(url, &[("x-key", &mark)], None)).is_ok(), "{url}");
    }
}

#[test]
fn a_credential_without_hosts_goes_nowhere_whatever_a_scope_says() {
    let (ring, mark) = ring_of(&[], &["KEY@api.example.org"]);
    for url in ["https://api.example.org/", "https://evil.example/"] {
        assert!(ring.check(&draft(url, &[("x-key", &mark)], None)).is_err(), "{url}");
    }
}

#[test]
fn nothing_before_a_placeholder_takes_its_beginning() {
    let (ring, mark) = ring_of(HOST, &["KEY:query:path:body"]);
    for url in [
        format!("https://api.example.org/?k=%{mark}"),
        format!("https://api.example.org/?k=%4{mark}"),
        format!("https://api.example.org/a%{mark}"),
    ] {
        // What no address can be is refused earlier.
        let Ok(target) = wardroom_core::capability::net::HttpTarget::parse("GET", &url) else { continue };
        let line = target.path_and_query();
        let draft = wardroom_core::credential::Draft { target, path_and_query: line, headers: Vec::new(), body: None };
        assert!(ring.check(&draft).is_err(), "{url}");
    }
    let body = |kind: &str, text: String| draft("https://api.example.org/", &[("content-type", kind)], Some(text.as_str()));
    for text in [format!("k=%{mark}"), format!("k=%a{mark}")] {
        assert!(ring.check(&body("application/x-www-form-urlencoded", text.clone())).is_err(), "{text}");
    }
    for before in ["\\", "\\u", "\\u0", "\\u00a", "\\\\\\"] {
        assert!(ring.check(&body("application/json", format!("{{\"k\":\"{before}{mark}\"}}"))).is_err(), "{before}");
    }
    for before in ["", "\\\\", "u00a", "\\u00e9", "\\n"] {
        assert!(ring.check(&body("application/json", format!("{{\"k\":\"{before}{mark}\"}}"))).is_ok(), "{before}");
    }
}

#[test]
fn a_wildcard_scope_holds_within_the_credentials_own_hosts() {
    let (ring, mark) = ring_of(&["api.example.org"], &["KEY@*.example.org:query"]);
    assert!(ring.check(&draft(&format!("https://api.example.org/?k={mark}"), &[], None)).is_ok());
    assert!(ring.check(&draft(&format!("https://other.example.org/?k={mark}"), &[], None)).is_err());
}

#[test]
fn an_address_is_put_back_and_a_query_added() {
    for (secret, given, expected) in [
        ("https://hooks.example/T0/B0", "", "/T0/B0"),
        ("https://hooks.example/T0/B0", "?a=b", "/T0/B0?a=b"),
        ("https://hooks.example/T0?key=v", "", "/T0?key=v"),
        ("https://hooks.example", "", "/"),
    ] {
        let ring = Ring::new(vec![held(CredentialKind::Url, &["hooks.example"], &["HOOK"], secret)]).unwrap();
        for base in [placeholder(&ring, 0), placeholder(&ring, 0).trim_end_matches('/').to_owned(), placeholder(&ring, 0).to_uppercase()] {
            let real = ring.target(&target(&format!("{base}{given}"))).unwrap().unwrap();
            assert_eq!((real.endpoint().as_str(), real.path_and_query().as_str()), ("hooks.example:443", expected));
            assert_eq!(real.method(), "POST");
        }
    }
}

#[test]
fn a_request_to_an_address_is_a_use_of_it_before_and_after_it_was_put_back() {
    let ring = Ring::new(vec![
        held(CredentialKind::Url, &["hooks.example"], &["HOOK"], "https://hooks.example/T0"),
        key(&["hooks.example"], &["KEY:query"]),
    ])
    .unwrap();
    let stand_in = draft(&format!("{}?k={}", placeholder(&ring, 0), placeholder(&ring, 1)), &[], None);
    let real = ring.target(&stand_in.target).unwrap().unwrap();
    let put_back = Draft { path_and_query: real.path_and_query(), target: real, ..stand_in.clone() };
    for draft in [stand_in, put_back] {
        assert_eq!(uses(&ring.check(&draft).unwrap()), ["HOOK address", "KEY query"]);
        let out = filled(&ring, draft).unwrap();
        assert_eq!((out.target.endpoint().as_str(), out.path_and_query.as_str()), ("hooks.example:443", "/T0?k=s3cr3t-value"));
    }
}

#[test]
fn other_requests_to_the_host_of_an_address_are_no_use_of_it() {
    let ring = Ring::new(vec![held(CredentialKind::Url, &["hooks.example"], &["HOOK"], "https://hooks.example/T0")]).unwrap();
    for url in ["https://hooks.example/T01", "https://hooks.example/", "https://hooks.example:444/T0", "https://other.example/T0"] {
        assert!(ring.check(&draft(url, &[], None)).unwrap().is_empty(), "{url}");
    }
}

#[test]
fn a_request_without_placeholders_stays_as_it_is() {
    let (ring, _) = ring_of(HOST, &["KEY:body"]);
    let plain = draft("https://evil.example/?q=wardroom_", &[("range", "bytes=0-1"), ("content-length", "9")], Some("wardroom"));
    let out = filled(&ring, plain.clone()).unwrap();
    assert!(out == plain);
}

#[test]
fn only_the_request_that_was_checked_is_filled() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let checked = ring.check(&draft("https://api.example.org/", &[], None)).unwrap();
    let other = draft("https://api.example.org/", &[("x-key", &mark)], None);
    assert!(matches!(ring.fill(other, &checked), Err(CredentialError::Host(_))));
}
