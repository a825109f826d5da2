//! What a scope's text means, and that it never means more.

use proptest::prelude::*;

use super::*;

fn scope(text: &str) -> NetScope {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn get(url: &str) -> HttpTarget {
    HttpTarget::parse("GET", url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn access(scopes: &[&str]) -> NetAccess {
    NetAccess::new(scopes.iter().map(|text| scope(text)).collect())
}

fn allows(scope: &str, method: &str, url: &str) -> bool {
    HttpTarget::parse(method, url).is_ok_and(|target| access(&[scope]).check(&target).is_ok())
}

#[test]
fn every_form_has_one_canonical_text() {
    let table = [
        ("api.github.com", "https://api.github.com"),
        ("API.GitHub.com.", "https://api.github.com"),
        ("https://api.github.com:443/", "https://api.github.com"),
        ("HTTPS://api.github.com/repos/,GET", "https://api.github.com/repos/,GET"),
        ("http://example.org:80", "http://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("example.org:8443,POST,GET,POST", "https://example.org:8443,GET,POST"),
        ("*.example.org", "https://*.example.org"),
        ("https://*.localhost:3000", "https://*.localhost:3000"),
        ("http://localhost:11434", "http://localhost:11434"),
        ("https://nas.lan=192.168.1.5", "https://nas.lan=192.168.1.5"),
        ("https://nas.lan/api/,GET=[fd00::5]", "https://nas.lan/api/,GET=fd00::5"),
        ("https://nas.lan=::ffff:192.168.1.5", "https://nas.lan=192.168.1.5"),
        ("http://0x7f.1:8080", "http://127.0.0.1:8080"),
        ("http://2130706433", "http://127.0.0.1"),
        ("http://0177.0.0.1", "http://127.0.0.1"),
        ("http://[::ffff:10.0.0.1]", "http://10.0.0.1"),
        ("http://[FD00:0::1]:81/a", "http://[fd00::1]:81/a"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("ＥＸＡＭＰＬＥ．org", "https://example.org"),
        ("https://h.example/%7euser/%e2%82%ac", "https://h.example/~user/%E2%82%AC"),
        ("https://h.example/€", "https://h.example/%E2%82%AC"),
        ("tcp://db.example:5432", "tcp://db.example:5432"),
        ("tcp://db.lan:5432=10.0.0.7", "tcp://db.lan:5432=10.0.0.7"),
        ("tcp://[::1]:6379", "tcp://[::1]:6379"),
    ];
    for (typed, canonical) in table {
        assert_eq!(scope(typed).to_string(), canonical, "{typed}");
        assert_eq!(scope(canonical), scope(typed), "{typed}");
    }
}

#[test]
fn a_scope_is_its_text_in_json() {
    let text = "\"https://api.github.com/repos/,GET\"";
    let read: NetScope = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert!(serde_json::from_str::<NetScope>("\"*\"").is_err());
}

/// The name of the variant, which is what callers tell apart.
fn refusal_of(text: &str) -> String {
    let error = text.parse::<NetScope>().map(|scope| scope.to_string()).expect_err(text);
    let debug = format!("{error:?}");
    debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn every_wrong_text_is_refused_with_its_own_reason() {
    let table = [
        ("", "Empty"),
        ("a b", "Character"),
        ("https://a\\b", "Character"),
        ("https://a\n", "Character"),
        ("ftp://example.org", "Scheme"),
        ("file:///etc/passwd", "Scheme"),
        ("wss://example.org", "Scheme"),
        ("*", "EveryHost"),
        ("https://*", "EveryHost"),
        ("https://*:443", "EveryHost"),
        ("*.com", "Pattern"),
        ("*.*.org", "Pattern"),
        ("a*.example.org", "Pattern"),
        ("api.*.example.org", "Pattern"),
        ("*.127.0.0.1", "Pattern"),
        ("https://h.example/*", "Pattern"),
        ("https://user:secret@example.org", "Userinfo"),
        ("https://@example.org", "Userinfo"),
        ("https://example.org?x", "Query"),
        ("https://example.org/a?x=1", "Query"),
        ("https://example.org#x", "Fragment"),
        ("https://", "Host"),
        ("https:///example.org", "Host"),
        ("https://exa%6dple.org", "Host"),
        ("https://a..example", "Host"),
        ("https://[::1", "Host"),
        ("https://[fe80::1%25eth0]", "Host"),
        ("https://1.2.3.4.5", "Host"),
        ("https://256.1.1.1", "Host"),
        ("example.org:0", "Port"),
        ("example.org:", "Port"),
        ("example.org:65536", "Port"),
        ("example.org:+80", "Port"),
        ("example.org:http", "Port"),
        ("tcp://db.example", "PortMissing"),
        ("tcp://db.example:1/x", "NotForTcp"),
        ("tcp://db.example:1,GET", "NotForTcp"),
        ("tcp://*.example.org:1", "Host"),
        ("https://h.example/a/../b", "Path"),
        ("https://h.example/a/%2e%2E/b", "Path"),
        ("https://h.example/a%2fb", "Path"),
        ("https://h.example//b", "Path"),
        ("https://h.example/%zz", "Path"),
        ("https://h.example/%252e", "Path"),
        ("https://h.example/%c0%af", "Path"),
        ("example.org,", "MethodMissing"),
        ("example.org,GET,", "MethodMissing"),
        ("example.org,get", "Method"),
        ("example.org,G@T", "Method"),
        ("example.org,CONNECT", "NeverAllowed"),
        ("example.org,Trace", "NeverAllowed"),
        ("example.org,second.example", "SecondHost"),
        ("example.org,https://second.example", "SecondHost"),
        ("example.org,localhost", "SecondHost"),
        ("nas.lan=", "Address"),
        ("nas.lan=router", "Address"),
        ("nas.lan=0x7f.1", "Address"),
        ("nas.lan=10.0.0.1,GET", "Address"),
        ("*.example.org=10.0.0.1", "NotBindable"),
        ("10.0.0.1=10.0.0.1", "NotBindable"),
        ("localhost=127.0.0.1", "NotBindable"),
        ("a.localhost=127.0.0.1", "NotBindable"),
        ("nas.lan=0.0.0.0", "NotOneMachine"),
        ("http://0", "NotOneMachine"),
        ("http://[::]", "NotOneMachine"),
        ("http://255.255.255.255", "NotOneMachine"),
        ("http://224.0.0.1", "NotOneMachine"),
        ("http://[ff02::1]", "NotOneMachine"),
    ];
    for (text, variant) in table {
        assert_eq!(refusal_of(text), variant, "{text}");
    }
    assert_eq!(refusal_of(&"a".repeat(MAX_SCOPE_BYTES + 1)), "TooLong");
}

#[test]
fn no_message_repeats_a_password() {
    for text in ["https://user:hunter2@example.org", "ftp://user:hunter2@h/x?y#z", "user:hunter2@h,GET=1"] {
        let error = text.parse::<NetScope>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert!(!get("https://example.org/x?key=hunter2").to_string().contains("hunter2"));
}

#[test]
fn a_request_passes_only_where_the_text_says_so() {
    // scope, method, url, allowed
    let table = [
        ("example.org", "GET", "https://example.org/", true),
        ("example.org", "PURGE", "https://example.org./x?y", true),
        ("example.org", "GET", "http://example.org/", false),
        ("example.org", "GET", "https://example.org:444/", false),
        ("example.org", "GET", "https://www.example.org/", false),
        ("example.org", "GET", "https://example.org.evil.example/", false),
        ("example.org", "GET", "https://evilexample.org/", false),
        ("example.org", "CONNECT", "https://example.org/", false),
        ("example.org", "trace", "https://example.org/", false),
        ("example.org,GET,HEAD", "HEAD", "https://example.org/", true),
        ("example.org,GET,HEAD", "get", "https://example.org/", false),
        ("example.org,GET", "POST", "https://example.org/", false),
        ("*.example.org", "GET", "https://a.example.org/", true),
        ("*.example.org", "GET", "https://a.b.example.org/", true),
        ("*.example.org", "GET", "https://example.org/", false),
        ("*.example.org", "GET", "https://aexample.org/", false),
        ("*.example.org", "GET", "https://evil-example.org/", false),
        ("*.example.org", "GET", "https://.example.org/", false),
        ("h.example/repos/", "GET", "https://h.example/repos/", true),
        ("h.example/repos/", "GET", "https://h.example/repos/a/b?c=/../d", true),
        ("h.example/repos/", "GET", "https://h.example/%72epos/a", true),
        ("h.example/repos/", "GET", "https://h.example/repos/./a", true),
        ("h.example/repos/", "GET", "https://h.example/x/../repos/a", true),
        ("h.example/repos/", "GET", "https://h.example/repos", false),
        ("h.example/repos/", "GET", "https://h.example/Repos/", false),
        ("h.example/repos/", "GET", "https://h.example/", false),
        ("h.example/repos/", "GET", "https://h.example/repos-evil", false),
        ("h.example/repos/", "GET", "https://h.example/repos/../admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/%2e%2e/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/.%2E/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/%252e%252e/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..%2fadmin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..%5Cadmin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..\\admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..;/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..;x=1/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..%3B/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/%c0%ae%c0%ae/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/..%ef%bc%8fadmin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/%00/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos//admin", false),
        ("h.example/repos/", "GET", "https://h.example//repos/admin", false),
        ("h.example/repos/", "GET", "https://h.example/repos/%zz", false),
        ("h.example/repos", "GET", "https://h.example/repos", true),
        ("h.example/repos", "GET", "https://h.example/repos?x", true),
        ("h.example/repos", "GET", "https://h.example/repos/a", true),
        ("h.example/repos", "GET", "https://h.example/repos-evil", false),
        ("h.example/repos", "GET", "https://h.example/repos.json", false),
        // Without a path there is nothing to break out of.
        ("h.example", "GET", "https://h.example/a%2Fb//c/..;/d", true),
        ("http://127.0.0.1:81", "GET", "http://0x7f000001:81/", true),
        ("http://127.0.0.1:81", "GET", "http://localhost:81/", false),
        ("http://localhost:81", "GET", "http://LOCALHOST.:81/", true),
        ("http://localhost:81", "GET", "http://127.0.0.1:81/", false),
        ("http://localhost:81", "GET", "http://a.localhost:81/", false),
        ("tcp://example.org:443", "GET", "https://example.org/", false),
    ];
    for (scope, method, url, expected) in table {
        assert_eq!(allows(scope, method, url), expected, "{scope} {method} {url}");
    }
}

#[test]
fn a_refusal_names_the_scope_that_would_allow_it() {
    let table: [(&[&str], &str, &str, Option<&str>); 8] = [
        (&[], "GET", "https://api.github.com/repos/x?token=1", Some("https://api.github.com,GET")),
        (&["https://api.github.com,GET"], "POST", "https://api.github.com/x", Some("https://api.github.com,POST")),
        (&["https://h.example/a"], "GET", "https://h.example/b", Some("https://h.example,GET")),
        (&["https://h.example/a"], "GET", "https://h.example/a//b", Some("https://h.example,GET")),
        (&[], "GET", "http://0x7f.1:8080/", Some("http://127.0.0.1:8080,GET")),
        (&[], "weird", "http://h.example/", Some("http://h.example")),
        (&[], "GET", "http://0.0.0.0/", None),
        (&["h.example"], "CONNECT", "https://h.example/", None),
    ];
    for (scopes, method, url, expected) in table {
        let target = HttpTarget::parse(method, url).unwrap();
        let refusal = access(scopes).check(&target).unwrap_err();
        assert_eq!(refusal.scope.as_deref(), expected, "{method} {url}");
        let Some(scope) = refusal.scope else { continue };
        assert!(allows(&scope, method, url), "the advice `{scope}` does not help");
    }
}

#[test]
fn a_name_leads_to_public_addresses_unless_the_operator_binds_it() {
    let target = get("https://nas.lan/x");
    let granted = access(&["https://nas.lan"]).check(&target).unwrap();
    assert_eq!((granted.rule(), granted.lookup()), (AddressRule::PublicOnly, Lookup::Name("nas.lan")));
    assert!(granted.admit("93.184.216.34".parse().unwrap()).is_ok());
    let refusal = granted.admit("192.168.1.5".parse().unwrap()).unwrap_err();
    let advice = refusal.scope.expect("a scope that would allow it");
    assert_eq!(advice, "https://nas.lan,GET=192.168.1.5");
    assert_eq!(granted.admit("0.0.0.0".parse().unwrap()).unwrap_err().scope, None);

    let bound = access(&["https://nas.lan", &advice]).check(&target).unwrap();
    let address: std::net::IpAddr = "192.168.1.5".parse().unwrap();
    assert_eq!(bound.lookup(), Lookup::Addresses(vec![address]));
    assert_eq!(bound.admit(address).unwrap().socket().to_string(), "192.168.1.5:443");
    assert!(bound.admit("93.184.216.34".parse().unwrap()).is_err());
}

#[test]
fn localhost_is_this_machine_whatever_a_resolver_says() {
    for (scope, url) in [("http://localhost:81", "http://localhost:81/"), ("http://*.localhost", "http://a.b.localhost./")] {
        let granted = access(&[scope]).check(&get(url)).unwrap();
        let Lookup::Addresses(addresses) = granted.lookup() else { panic!("{url} would be resolved") };
        assert!(addresses.iter().all(|address| granted.admit(*address).is_ok()));
        for other in ["93.184.216.34", "10.0.0.1", "0.0.0.0", "::", "64:ff9b::7f00:1"] {
            assert!(granted.admit(other.parse().unwrap()).is_err(), "{other}");
        }
    }
}

#[test]
fn a_literal_address_grants_just_itself() {
    let granted = access(&["http://10.0.0.1"]).check(&get("http://10.1/")).unwrap();
    assert_eq!(granted.rule(), AddressRule::Exactly("10.0.0.1".parse().unwrap()));
    assert!(granted.admit("10.0.0.1".parse().unwrap()).is_ok());
    assert!(granted.admit("::ffff:10.0.0.1".parse().unwrap()).is_ok());
    assert!(granted.admit("10.0.0.2".parse().unwrap()).is_err());
}

#[test]
fn a_grant_covers_the_same_and_the_narrower() {
    // grant, request, covered, what remains
    let table: [(&str, &str, bool, Option<&str>); 20] = [
        ("h.example", "h.example", true, Some("https://h.example")),
        ("h.example", "h.example/a,GET", true, Some("https://h.example/a,GET")),
        ("h.example/a,GET", "h.example", false, Some("https://h.example/a,GET")),
        ("h.example/a", "h.example,GET", false, Some("https://h.example/a,GET")),
        ("h.example/a", "h.example/a/", true, Some("https://h.example/a/")),
        ("h.example/a/", "h.example/a", false, Some("https://h.example/a/")),
        ("h.example/a", "h.example/ab", false, None),
        ("h.example,GET,POST", "h.example,GET", true, Some("https://h.example,GET")),
        ("h.example,GET,POST", "h.example,GET,PUT", false, Some("https://h.example,GET")),
        ("h.example,GET", "h.example,POST", false, None),
        ("*.h.example", "a.h.example", true, Some("https://a.h.example")),
        ("*.h.example", "*.a.h.example", true, Some("https://*.a.h.example")),
        ("a.h.example", "*.h.example", false, Some("https://a.h.example")),
        ("*.h.example", "h.example", false, None),
        ("h.example", "http://h.example", false, None),
        ("h.example", "h.example:444", false, None),
        ("nas.lan=10.0.0.1", "nas.lan", true, Some("https://nas.lan=10.0.0.1")),
        ("nas.lan", "nas.lan=10.0.0.1", false, None),
        ("nas.lan=10.0.0.2", "nas.lan=10.0.0.1", false, None),
        ("tcp://h.example:443", "h.example", false, None),
    ];
    for (grant, request, covered, remains) in table {
        let (grant, request) = (scope(grant), scope(request));
        assert_eq!(grant.covers(&request), covered, "{grant} covers {request}");
        let effective = grant.effective(&request).map(|scope| scope.to_string());
        assert_eq!(effective.as_deref(), remains, "{grant} leaves of {request}");
    }
}

#[test]
fn a_param_fills_an_origin_with_path_and_never_a_pattern() {
    let read = |text| HttpScope::from_param(text).map(|scope| scope.to_string());
    assert_eq!(read("https://h.example/feed.xml?a=1,2#x").unwrap(), "https://h.example/feed.xml");
    assert_eq!(read("http://h.example:81").unwrap(), "http://h.example:81");
    for pattern in ["*.h.example", "https://h.example/*", "h.example,POST", "nas.lan=10.0.0.1", "https://h.example/a=b"] {
        assert!(matches!(read(pattern), Err(ScopeError::NotPlain(_))), "{pattern}");
    }
    assert!(read("tcp://h.example:1").is_err());
    assert!(read("https://u:p@h.example").is_err());
    assert!(read("").is_err());
}

#[test]
fn a_target_is_read_once_and_sent_as_read() {
    let target = get("HTTPS://Example.ORG:443/a/./b/../c?q#frag");
    assert_eq!(target.endpoint(), "example.org:443");
    assert_eq!((target.authority(), target.path_and_query()), ("example.org".to_owned(), "/a/c?q".to_owned()));
    assert_eq!(get("http://[::1]:8080").authority(), "[::1]:8080");
    let wrong = [
        ("https://u@h.example/", TargetError::Userinfo),
        ("https://@h.example/", TargetError::Userinfo),
        ("https://h.example\\@evil.example/", TargetError::Character),
        ("https://h.example /", TargetError::Character),
        ("https:h.example/", TargetError::Scheme),
        ("https:/h.example/", TargetError::Scheme),
        ("https:////h.example/", TargetError::Host),
        ("ftp://h.example/", TargetError::Scheme),
        ("https://h.example:0/", TargetError::Port),
        ("https://h.example:99999/", TargetError::Port),
        ("https://h..example/", TargetError::Host),
        ("https://[fe80::1%25eth0]/", TargetError::Host),
        ("https://*.h.example/", TargetError::Host),
    ];
    for (url, expected) in wrong {
        assert_eq!(HttpTarget::parse("GET", url), Err(expected), "{url}");
    }
    assert_eq!(HttpTarget::parse("GE T", "https://h.example/"), Err(TargetError::Method));
    assert_eq!(HttpTarget::parse("GET", &format!("https://h/{}", "a".repeat(MAX_TARGET_BYTES))), Err(TargetError::TooLong));
}

fn hosts() -> impl Strategy<Value = String> {
    let label = "[a-z0-9_]{1,4}";
    prop_oneof![
        proptest::collection::vec(label, 1..4).prop_map(|labels| labels.join(".")),
        any::<[u8; 4]>().prop_map(|b| std::net::Ipv4Addr::from(b).to_string()),
        any::<[u16; 8]>().prop_map(|g| format!("[{}]", std::net::Ipv6Addr::from(g))),
    ]
}

fn scopes() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![Just(""), Just("http://"), Just("https://")];
    let star = prop_oneof![4 => Just(""), 1 => Just("*.")];
    let path = prop_oneof![Just(String::new()), "(/[a-z%.]{0,3}){1,3}"];
    let rest = prop_oneof![Just(""), Just(",GET"), Just(",POST,GET"), Just("=10.0.0.1")];
    (scheme, star, hosts(), path, rest).prop_map(|(s, star, h, p, r)| format!("{s}{star}{h}{p}{r}"))
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics_and_always_round_trips(text in "\\PC{0,40}") {
        if let Ok(scope) = text.parse::<NetScope>() {
            prop_assert_eq!(scope.to_string().parse::<NetScope>(), Ok(scope));
        }
        drop(HttpTarget::parse("GET", &text));
        drop(HttpScope::from_param(&text));
    }

    #[test]
    fn likely_text_round_trips_and_covers_itself(text in scopes()) {
        if let Ok(scope) = text.parse::<NetScope>() {
            prop_assert_eq!(scope.to_string().parse::<NetScope>(), Ok(scope.clone()));
            prop_assert!(scope.covers(&scope));
            prop_assert_eq!(scope.effective(&scope), Some(scope));
        }
    }

    /// The law of grants: what remains of a request under a grant lets nothing
    /// through that either of them would stop.
    #[test]
    fn the_effective_scope_allows_no_more_than_either(
        grant in "(\\*\\.)?[ab]\\.c(/[ab]){0,2}/?(,GET)?",
        request in "(\\*\\.)?[ab]\\.c(/[ab]){0,2}/?(,GET|,POST)?",
        url in "https://([ab]\\.){1,2}c(/[ab.]{1,2}){0,3}/?",
        method in "GET|POST",
    ) {
        let (Ok(grant), Ok(request)) = (grant.parse::<NetScope>(), request.parse::<NetScope>()) else {
            return Ok(());
        };
        let Ok(target) = HttpTarget::parse(&method, &url) else { return Ok(()) };
        let passes = |scope: &NetScope| NetAccess::new(vec![scope.clone()]).check(&target).is_ok();
        let both = passes(&grant) && passes(&request);
        let effective = grant.effective(&request).is_some_and(|scope| passes(&scope));
        prop_assert_eq!(effective, both, "{} with {} for {}", grant, request, target);
        if grant.covers(&request) {
            prop_assert!(!passes(&request) || passes(&grant));
        }
    }

    #[test]
    fn no_path_leads_out_of_a_prefix(tail in "(/|\\.|%2e|%2f|%5c|;|%25|a|\\.\\.){0,8}") {
        let url = format!("https://h.example/in/{tail}");
        if let Ok(target) = HttpTarget::parse("GET", &url)
            && access(&["h.example/in/"]).check(&target).is_ok()
        {
            let sent = target.path_and_query();
            prop_assert!(sent.starts_with("/in/"), "{sent}");
            let lax = sent.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
            prop_assert!(!lax.split('/').any(|segment| segment.split(';').next() == Some("..")), "{sent}");
        }
    }
}

#[test]
fn a_redirect_is_read_from_where_it_was_said() {
    let from = HttpTarget::parse("GET", "https://h.example/a/b?c=d").unwrap();
    for (location, to, same) in [
        ("e", "GET https://h.example/a/e", true),
        ("/e?f=g#h", "GET https://h.example/e", true),
        ("https://H.example:443/e", "GET https://h.example/e", true),
        ("//i.example/e", "GET https://i.example/e", false),
        ("http://h.example/e", "GET http://h.example/e", false),
        ("https://h.example:8443/e", "GET https://h.example:8443/e", false),
    ] {
        let target = from.redirected(location).unwrap();
        assert_eq!((target.to_string().as_str(), target.is_same_origin(&from)), (to, same), "{location}");
    }
    for wrong in ["ftp://h.example/", "data:,x", "https://u:p@h.example/", "https:\\\\i.example", "/a b", "//"] {
        assert!(from.redirected(wrong).is_err(), "{wrong}");
    }
    let token =
        HttpTarget::parse("GET", "https://h.example/token?a=b").unwrap().with_query(&[("scope", "repository:x/y:pull"), ("s", "&")]);
    assert_eq!(token.path_and_query(), "/token?a=b&scope=repository%3Ax%2Fy%3Apull&s=%26");
}
