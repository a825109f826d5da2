//! What a program tries that wants a value, or wants it elsewhere. Nothing here
//! may fill anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wardroom_core::capability::credentials::CredentialUse;
use wardroom_core::capability::net::MAX_TARGET_BYTES;
use wardroom_core::credential::{CredentialKind, MAX_FILLED_BODY_BYTES};

use super::*;

const HOST: &[&str] = &["api.example.org"];
const HOME: &str = "https://api.example.org/";

fn toward(scopes: &[&str], url: &str) -> Refusal {
    let (ring, mark) = ring_of(HOST, scopes);
    refusal(ring.check(&draft(url, &[("x-key", &mark)], None)))
}

/// What one header toward the right host is answered, given the placeholder.
fn with_header(header: impl Fn(&str) -> (String, String)) -> Refusal {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let (name, value) = header(&mark);
    refusal(ring.check(&draft(HOME, &[(&name, &value)], None)))
}

const FOREIGN: &str = "this execution holds no such placeholder";

#[test]
fn another_host_is_refused_and_no_grant_is_offered() {
    for (url, endpoint) in [
        ("https://evil.example/", "evil.example:443"),
        ("https://api.example.org.evil.example/", "api.example.org.evil.example:443"),
        ("https://sub.api.example.org/", "sub.api.example.org:443"),
        ("https://example.org/", "example.org:443"),
        ("https://xapi.example.org/", "xapi.example.org:443"),
        ("https://api.example.org:8443/", "api.example.org:8443"),
        ("https://[::ffff:1.2.3.4]/", "1.2.3.4:443"),
        ("https://127.0.0.1/", "127.0.0.1:443"),
        ("http://localhost:443/", "localhost:443"),
    ] {
        let refusal = toward(&["KEY"], url);
        assert_eq!(refusal.wanted, format!("KEY in a header toward {endpoint}"));
        assert_eq!((refusal.reason.as_str(), refusal.scope), ("it is bound to api.example.org", None), "{url}");
    }
}

#[test]
fn in_the_clear_nothing_leaves() {
    for url in ["http://api.example.org/", "http://api.example.org:443/", "http://API.EXAMPLE.ORG./"] {
        let refusal = toward(&["KEY"], url);
        assert_eq!((refusal.reason.as_str(), refusal.scope), ("it would leave in the clear", None), "{url}");
    }
}

#[test]
fn a_credential_bound_to_no_host_goes_nowhere() {
    let (ring, mark) = ring_of(&[], &["KEY"]);
    let refusal = refusal(ring.check(&draft(HOME, &[("x-key", &mark)], None)));
    assert_eq!((refusal.reason.as_str(), refusal.scope), ("it is bound to no host", None));
}

#[test]
fn a_scope_cannot_widen_what_the_credential_is_bound_to() {
    for scope in ["KEY@evil.example", "KEY@*.example.org"] {
        let (ring, mark) = ring_of(HOST, &[scope]);
        for url in ["https://evil.example/", "https://x.example.org/"] {
            assert_eq!(refusal(ring.check(&draft(url, &[("x-key", &mark)], None))).scope, None, "{scope} {url}");
        }
    }
}

#[test]
fn a_narrower_scope_is_kept_and_the_wider_one_offered() {
    let (ring, mark) = ring_of(&["api.example.org", "two.example:8443"], &["KEY@api.example.org"]);
    let refusal = refusal(ring.check(&draft(&format!("https://two.example:8443/?k={mark}"), &[], None)));
    assert_eq!(refusal.reason, "this run may use it only toward api.example.org");
    assert_eq!(refusal.scope.as_deref(), Some("KEY@two.example:8443:query"));
}

#[test]
fn two_scopes_do_not_add_up() {
    let (ring, mark) = ring_of(&["one.example", "two.example"], &["KEY@one.example:query", "KEY@two.example"]);
    let refusal = refusal(ring.check(&draft(&format!("https://two.example/?k={mark}"), &[], None)));
    assert_eq!(refusal.reason, "it may not stand in a query");
    assert_eq!(refusal.scope.as_deref(), Some("KEY@two.example:query"));
}

#[test]
fn a_scope_of_another_name_allows_nothing() {
    let mut other = key(HOST, &["KEY"]);
    other.name = "OTHER".parse().unwrap();
    let ring = Ring::new(vec![other]).unwrap();
    assert!(ring.check(&draft(HOME, &[("x-key", &placeholder(&ring, 0))], None)).is_err());
}

#[test]
fn places_need_their_word() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let cases = [
        (draft(&format!("{HOME}?k={mark}"), &[], None), "query"),
        (draft(&format!("{HOME}{mark}/x"), &[], None), "path"),
        (draft(HOME, &[], Some(&mark)), "body"),
    ];
    for (draft, word) in cases {
        let refusal = refusal(ring.check(&draft));
        assert_eq!(refusal.wanted, format!("KEY in the {word} toward api.example.org:443"));
        assert_eq!(refusal.reason, format!("it may not stand in a {word}"));
        assert_eq!(refusal.flag(), Some(format!("--credential=KEY:{word}")));
    }
}

#[test]
fn one_word_is_not_another() {
    let (ring, mark) = ring_of(HOST, &["KEY:query:body:sign:reveal"]);
    assert!(ring.check(&draft(&format!("{HOME}{mark}"), &[], None)).is_err());
    // A second `?` begins no path.
    assert!(ring.check(&draft(&format!("{HOME}?a?/{mark}"), &[], None)).is_ok());
}

#[test]
fn a_header_name_is_no_place() {
    assert_eq!(with_header(|mark| (mark.to_owned(), "x".to_owned())).reason, "it may not stand in the name of a header");
}

#[test]
fn framing_headers_are_no_place() {
    for name in
        ["host", "HOST", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive", ":authority"]
    {
        let refusal = with_header(|mark| (name.to_owned(), mark.to_owned()));
        assert_eq!(refusal.reason, "it may not stand in a header such as host or content-length", "{name}");
    }
}

#[test]
fn a_method_is_no_place() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let target = HttpTarget::parse(&mark, HOME).unwrap();
    let draft = Draft { target, path_and_query: "/".to_owned(), headers: Vec::new(), body: None };
    assert_eq!(refusal(ring.check(&draft)).reason, "it may not stand in a method");
}

#[test]
fn a_host_is_no_place() {
    let (ring, mark) = ring_of(HOST, &["KEY:path:query"]);
    for url in [format!("https://{mark}/"), format!("https://{mark}.evil.example/")] {
        assert_eq!(refusal(ring.target(&target(&url))).reason, "it may not stand in a host");
        assert_eq!(refusal(ring.check(&draft(&url, &[], None))).reason, "it may not stand in a host");
    }
}

#[test]
fn percent_encoding_hides_nothing() {
    let (ring, mark) = ring_of(HOST, &["KEY:path:query:body"]);
    let hidden = mark.replacen('w', "%77", 1);
    let last = format!("{}%{:02x}", &mark[..40], mark.as_bytes()[40]);
    let host = "0".repeat(32) + "%2ewardroom%2Einvalid";
    for text in [&hidden, &last, &host] {
        for url in [format!("{HOME}{text}"), format!("{HOME}?k={text}"), format!("{HOME}?k={mark}{text}")] {
            assert_eq!(refusal(ring.check(&draft(&url, &[], None))).reason, FOREIGN, "{url}");
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(refusal(ring.check(&draft(HOME, &form, Some(text)))).reason, FOREIGN);
    }
}

#[test]
fn basic_toward_another_host_is_refused() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let basic = format!("Basic {}", STANDARD.encode(format!("{mark}:")));
    assert_eq!(
        refusal(ring.check(&draft("https://evil.example/", &[("authorization", &basic)], None))).reason,
        "it is bound to api.example.org"
    );
}

#[test]
fn a_foreign_placeholder_in_basic_is_refused() {
    let refusal = with_header(|mark| ("authorization".to_owned(), format!("Basic {}", STANDARD.encode(mark.to_uppercase()))));
    assert_eq!(refusal.reason, FOREIGN);
}

#[test]
fn broken_basic_is_not_filled() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    let coded = STANDARD.encode(format!("user:{mark}"));
    for broken in [format!("Basic !{coded}"), format!("Basic {coded}!"), format!("Basic{coded}"), "Basic".to_owned(), "Basic ".to_owned()] {
        let sent = draft(HOME, &[("authorization", &broken)], None);
        let out = filled(&ring, sent.clone()).unwrap();
        assert!(out == sent, "{broken}");
    }
}

#[test]
fn of_two_joined_both_must_be_allowed() {
    let ring = Ring::new(vec![key(HOST, &["A"]), key(&["other.example"], &["B"])]).unwrap();
    let (a, b) = (placeholder(&ring, 0), placeholder(&ring, 1));
    for value in [format!("{a}{b}"), format!("{b}{a}"), format!("{a} {b}")] {
        for url in [HOME, "https://other.example/"] {
            assert!(ring.check(&draft(url, &[("x-key", &value)], None)).is_err());
        }
    }
    assert!(ring.check(&draft(HOME, &[("x-a", &a), ("x-b", &b)], None)).is_err());
}

#[test]
fn overlapping_ones_confuse_nothing() {
    let (ring, mark) = ring_of(HOST, &["KEY"]);
    for value in
        [format!("{}{mark}", &mark[..20]), format!("wardroom_{mark}"), format!("{mark}{}", &mark[9..]), format!("{mark}{}", "0".repeat(32))]
    {
        let out = filled(&ring, draft(HOME, &[("x-key", &value)], None)).unwrap();
        assert_eq!(header(&out, "x-key"), Some(value.replace(&mark, VALUE).as_str()));
    }
}

#[test]
fn another_rings_placeholder_is_refused() {
    let (ring, own) = ring_of(HOST, &["KEY:path:query:body"]);
    let (_, other) = ring_of(HOST, &["KEY"]);
    let values = [
        other.clone(),
        own.to_uppercase(),
        format!("{own}{other}"),
        format!("{own}.wardroom.invalid"),
        format!("x{}y", other.to_uppercase()),
    ];
    for value in values {
        for draft in [
            draft(HOME, &[("x-key", &value)], None),
            draft(HOME, &[(&value, "x")], None),
            draft(HOME, &[("host", &value)], None),
            draft(&format!("{HOME}{value}"), &[], None),
            draft(&format!("{HOME}?{value}"), &[], None),
            draft(HOME, &[], Some(&value)),
        ] {
            let refusal = refusal(ring.check(&draft));
            assert_eq!((refusal.reason.as_str(), refusal.scope), (FOREIGN, None), "{value}");
        }
    }
}

#[test]
fn an_unassigned_name_and_an_unknown_one_answer_alike() {
    let (ring, _) = ring_of(HOST, &["KEY:reveal:sign"]);
    for name in ["OTHER", "NO_SUCH", "key", "KEY ", ""] {
        assert!(matches!(ring.reveal(name), Err(CredentialError::NotAssigned(said)) if said == name));
    }
    assert!(matches!(ring.reveal(&"x".repeat(1 << 20)), Err(CredentialError::NotAssigned(said)) if said.len() == 80));
}

#[test]
fn nothing_is_revealed_without_the_word() {
    let (ring, _) = ring_of(HOST, &["KEY:sign:query"]);
    let refusal = refusal(ring.reveal("KEY"));
    assert_eq!((refusal.reason.as_str(), refusal.scope.as_deref()), ("it may not be revealed", Some("KEY:reveal")));
    let (ring, _) = ring_of(HOST, &["KEY@api.example.org:reveal"]);
    assert_eq!(ring.reveal("KEY").ok().and_then(Secret::expose_text), Some(VALUE));
}

fn hook(hosts: &[&str], secret: &str) -> (Ring, String) {
    let ring = Ring::new(vec![held(CredentialKind::Url, hosts, &["HOOK:query:path:body"], secret)]).unwrap();
    let mark = placeholder(&ring, 0);
    (ring, mark)
}

const SECRET: &str = "https://hooks.example/s3cr3t-value";

#[test]
fn an_address_stands_only_where_a_request_goes() {
    let (ring, mark) = hook(&["hooks.example"], SECRET);
    let bare = mark.trim_start_matches("https://").trim_end_matches('/').to_owned();
    for text in [&mark, &bare, &bare.to_uppercase()] {
        for draft in [
            draft("https://hooks.example/", &[("x-hook", text)], None),
            draft("https://hooks.example/", &[("host", text)], None),
            draft("https://hooks.example/", &[(text, "x")], None),
            draft("https://hooks.example/", &[], Some(text)),
            draft(&format!("https://hooks.example/?to={text}"), &[], None),
            draft(&format!("https://hooks.example/{text}"), &[], None),
            draft(&format!("{mark}?to={text}"), &[], None),
        ] {
            assert_eq!(refusal(ring.check(&draft)).scope, None);
        }
    }
}

#[test]
fn an_address_is_used_whole() {
    let (ring, mark) = hook(&["hooks.example"], SECRET);
    let host = mark.trim_start_matches("https://").trim_end_matches('/');
    for changed in [
        format!("{mark}x"),
        format!("{mark}/"),
        format!("{mark};x"),
        format!("https://{host}:8443/"),
        format!("http://{host}/"),
        format!("http://{host}:443/"),
        format!("https://x.{host}/"),
        format!("https://x{host}/"),
    ] {
        let refusal = refusal(ring.target(&target(&changed)));
        assert_eq!(refusal.wanted, "HOOK as an address");
        assert_eq!(refusal.reason, "nothing but a query may be added to it, and only where it has none", "{changed}");
    }
    for foreign in [format!("https://{}.wardroom.invalid/", "0".repeat(32)), "https://x.wardroom.invalid/".to_owned()] {
        assert_eq!(refusal(ring.target(&target(&foreign))).reason, FOREIGN);
    }
}

#[test]
fn no_query_is_added_to_an_address_that_has_one() {
    let (ring, mark) = hook(&["hooks.example"], "https://hooks.example/a?key=s3cr3t-value");
    assert!(ring.target(&target(&format!("{mark}?a=b"))).is_err() && ring.target(&target(&format!("{mark}?"))).is_err());
}

#[test]
fn an_address_beside_its_hosts_is_refused_without_saying_where_it_leads() {
    for (hosts, secret, reason) in [
        (&["other.example"] as &[&str], SECRET, "it is bound to other.example"),
        (&[], SECRET, "it is bound to no host"),
        (&["hooks.example"], "http://hooks.example/s3cr3t-value", "it would leave in the clear"),
        (&["hooks.example"], "https://hooks.example:8443/", "it is bound to hooks.example"),
    ] {
        let (ring, mark) = hook(hosts, secret);
        let refusal = refusal(ring.target(&target(&mark)));
        assert_eq!((refusal.wanted.as_str(), refusal.reason.as_str(), refusal.scope), ("HOOK as an address", reason, None));
    }
}

#[test]
fn a_refusal_toward_an_address_does_not_say_where_it_leads() {
    let address = held(CredentialKind::Url, &["hooks.example"], &["HOOK"], SECRET);
    let ring = Ring::new(vec![address, key(HOST, &["KEY"]), key(&["hooks.example"], &["NEAR@other.example"])]).unwrap();
    let (_, other) = ring_of(HOST, &["KEY"]);
    let url = placeholder(&ring, 0);
    for (value, wanted) in [
        (placeholder(&ring, 1), "KEY in a header toward HOOK"),
        (placeholder(&ring, 2), "NEAR in a header toward HOOK"),
        (url.clone(), "HOOK in a header toward HOOK"),
        (other, "a placeholder toward HOOK"),
    ] {
        let refusal = refusal(ring.check(&draft(&url, &[("x-key", &value)], None)));
        assert_eq!((refusal.wanted.as_str(), refusal.scope), (wanted, None));
    }
}

#[test]
fn a_value_that_is_no_address_is_unfit_and_not_repeated() {
    for secret in [
        "s3cr3t-value",
        "ftp://hooks.example/s3cr3t-value",
        "https://user:s3cr3t-value@hooks.example/",
        "https://hooks.example/ s3cr3t-value",
    ] {
        let (ring, mark) = hook(&["hooks.example"], secret);
        assert!(!unfit(ring.target(&target(&mark))).contains(VALUE));
    }
}

#[test]
fn a_line_that_was_changed_after_the_address_is_refused() {
    let (ring, mark) = hook(&["hooks.example"], SECRET);
    let mut changed = draft(&mark, &[], None);
    changed.path_and_query = "/elsewhere".to_owned();
    assert!(ring.check(&changed).is_err());
}

#[test]
fn a_body_too_large_to_hold_back_says_what_would_help() {
    let (ring, _) = ring_of(HOST, &["KEY"]);
    let without = refusal::<()>(Err(ring.found_in_stream(&target(HOME))));
    assert_eq!((without.reason.as_str(), without.scope.as_deref()), ("it may not stand in a body", Some("KEY:body")));
    let elsewhere = refusal::<()>(Err(ring.found_in_stream(&target("https://evil.example/"))));
    assert_eq!(elsewhere.scope, None);
    let (ring, _) = ring_of(HOST, &["KEY:body"]);
    let long = refusal::<()>(Err(ring.found_in_stream(&target(HOME))));
    assert!(long.reason.contains("longer than the 1048576 bytes") && long.scope.is_none());
}

#[test]
fn nothing_grows_without_end() {
    let ring = Ring::new(vec![held(CredentialKind::Secret, HOST, &["KEY:body:query:path"], &"v".repeat(64 << 10))]).unwrap();
    let many = placeholder(&ring, 0).repeat(MAX_FILLED_BODY_BYTES / 41);
    unfit(ring.check(&draft(HOME, &[], Some(&many))));
    unfit(ring.check(&draft(HOME, &[("x-key", &many[..41 * 5])], None)));
    unfit(ring.check(&draft(&format!("{HOME}?{}", &many[..41]), &[], None)));
    let headers: Vec<(&str, &str)> = (0..5).map(|_| ("x-key", &many[..41])).collect();
    unfit(ring.check(&draft(HOME, &headers, None)));
}

#[test]
fn what_grows_is_filled_up_to_its_limit_and_no_byte_beyond() {
    let value = "v".repeat(16 << 10);
    let ring = Ring::new(vec![held(CredentialKind::Secret, HOST, &["KEY:body:query"], &value)]).unwrap();
    let mark = placeholder(&ring, 0);
    let line = |bytes: usize| draft(&format!("{HOME}?{}{mark}", "x".repeat(bytes - "/?".len() - value.len())), &[], None);
    let headers = |bytes: usize| {
        let last = format!("{mark}{}", "x".repeat(bytes - (256 << 10)));
        let values = [vec![mark.as_str(); 15], vec![last.as_str()]].concat();
        draft(HOME, &values.into_iter().map(|value| ("x-key", value)).collect::<Vec<_>>(), None)
    };
    // A body may be as long as one that is held back, and its values beside that.
    let body = |bytes: usize| draft(HOME, &[], Some(&format!("{}{mark}", "x".repeat(bytes - value.len()))));
    for (most, draft) in
        [(MAX_TARGET_BYTES, &line as &dyn Fn(usize) -> Draft), (256 << 10, &headers), (MAX_FILLED_BODY_BYTES + value.len(), &body)]
    {
        assert!(filled(&ring, draft(most)).is_ok(), "{most}");
        assert!(unfit(ring.check(&draft(most + 1))).contains("longer than"), "{most}");
    }
}

#[test]
fn a_line_break_begins_no_header() {
    for value in ["a\nb", "a\r\nx-evil: b", "a\0b", "a\x7fb"] {
        let ring = Ring::new(vec![held(CredentialKind::Secret, HOST, &["KEY"], value)]).unwrap();
        let mark = placeholder(&ring, 0);
        let basic = format!("Basic {}", STANDARD.encode(format!("u:{mark}")));
        for header in [mark, basic] {
            let said = unfit(ring.check(&draft(HOME, &[("authorization", &header)], None)));
            assert_eq!(said, "the value of `KEY` cannot be written in a header");
        }
    }
}

#[test]
fn a_value_makes_no_other_path() {
    for value in [".", "..", ""] {
        let ring = Ring::new(vec![held(CredentialKind::Secret, HOST, &["KEY:path"], value)]).unwrap();
        unfit(ring.check(&draft(&format!("{HOME}a/{}/b", placeholder(&ring, 0)), &[], None)));
    }
}

#[test]
fn an_empty_ring_still_stops_placeholders() {
    let ring = Ring::new(Vec::new()).unwrap();
    let (_, other) = ring_of(HOST, &["KEY"]);
    assert_eq!(refusal(ring.check(&draft(HOME, &[("x-key", &other)], None))).reason, FOREIGN);
    assert!(ring.target(&target("https://x.wardroom.invalid/")).is_err() && ring.assigned().is_empty());
}

#[test]
fn every_use_has_a_place_or_a_function() {
    use wardroom_vault::ring::Place;
    let places = [Place::Address, Place::Header, Place::Path, Place::Query, Place::Body];
    let of_places: Vec<CredentialUse> = places.into_iter().filter_map(Place::needs).collect();
    let rest: Vec<CredentialUse> = CredentialUse::ALL.into_iter().filter(|word| !of_places.contains(word)).collect();
    assert_eq!(rest, [CredentialUse::Sign, CredentialUse::Reveal]);
}
