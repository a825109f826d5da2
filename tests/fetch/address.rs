//! From an address: over real TLS, through the proxy, sent on, stopped, and
//! nowhere that nobody allowed.

use rustix::process::Signal;

use super::{SCRIPT, pinned};
use crate::support::home::Home;
use crate::support::registry::digest;
use crate::support::server::Server;
use crate::support::stranger::{Reply, Stranger, head};
use crate::support::terminal::on_a_terminal;

const JS: &[(&str, &str)] = &[("content-type", "text/javascript")];

#[test]
fn a_plugin_comes_over_tls_is_shown_with_its_address_and_runs() {
    let (home, server) = (Home::new(), Server::start_tls());
    home.trust_server(server.pem());
    server.answers(200, JS, SCRIPT);
    let source = pinned(&server.base());
    let installed = home.plugin_json(&["install", &source])["plugin"].clone();
    assert_eq!((&installed["name"], &installed["source"]), (&"p".into(), &source.as_str().into()));
    assert_eq!(home.record(&["p"]).succeeded().result(), 42);
    home.plugin(&["verify"]);
    let asked = server.requests();
    assert_eq!(asked.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect::<Vec<_>>(), [("GET", "/p.js")]);
    assert!(!asked[0].headers.contains_key("authorization") && asked[0].headers["accept-encoding"] == "identity", "{asked:?}");
    server.answers(200, JS, "return 43;");
    let newer = format!("{}/p.js@{}", server.base(), digest(b"return 43;"));
    assert_eq!(home.plugin_json(&["upgrade", "p", &newer])["plugin"]["source"], newer);
    home.plugin(&["rollback", "p"]);
    assert_eq!(home.plugin_json(&["inspect", "p"])["source"], source);
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused() {
    let (home, server) = (Home::new(), Server::start_tls());
    home.refused(&pinned(&server.base()), &[], "the certificate of");
    assert!(server.requests().is_empty());
}

#[test]
fn what_has_no_digest_is_not_even_asked_for() {
    let (home, server) = (Home::new(), Server::start());
    for (source, hint) in [
        (format!("{}/p.js", server.base()), "sha256sum"),
        (format!("oci://{}/p:1", server.address()), "oras resolve"),
        (format!("{}/p.js@sha256:00", server.base()), "64 lower-case hex digits"),
        (format!("{}?token=s3cret", pinned(&server.base())), "followed by a query"),
        (format!("oci://{}/p?token=s3cret@{}", server.address(), digest(b"x")), "an artifact has no query"),
        (format!("oci://u:s3cret@{}/p@{}", server.address(), digest(b"x")), "--credential=NAME"),
        (format!("http://u:s3cret@{}/p.js", server.address()), "sha256sum"),
    ] {
        let ended = home.fetch(&source, &[]);
        assert!(ended.code == Some(2) && ended.stderr.contains(hint) && !ended.stderr.contains("s3cret"), "{ended}");
    }
    home.is_untouched();
    assert!(server.requests().is_empty());
}

#[test]
fn a_flag_that_has_no_use_is_refused() {
    let home = Home::new();
    let file = home.file("p.js", SCRIPT);
    for flag in ["--allow-net=https://a.example", "--credential=A", "--timeout=1s"] {
        let ended = home.fetch(file.to_str().unwrap(), &[flag]);
        assert!(ended.code == Some(2) && ended.stderr.contains("a file is not fetched"), "{ended}");
    }
    let source = pinned("https://a.example");
    for (flag, reason) in [
        ("--credential=A", "a credential is for a registry"),
        ("--allow-net=tcp://a.example:1", "expected an origin of http or https"),
        ("--timeout=0s", "out of range"),
        ("--timeout=31m", "out of range"),
    ] {
        let ended = home.fetch(&source, &[flag]);
        assert!(ended.code == Some(2) && ended.stderr.contains(reason), "{ended}");
    }
    let ended =
        home.fetch("oci://a.example/p@sha256:0000000000000000000000000000000000000000000000000000000000000000", &["--credential=A:reveal"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("in a header"), "{ended}");
    home.is_untouched();
}

#[test]
fn what_is_sent_on_elsewhere_is_refused_with_the_flag_that_would_allow_it() {
    let home = Home::new();
    let other = Stranger::start(|_, _| Reply::answer(200, JS, SCRIPT.as_bytes()));
    let location = format!("{}/kept/p.js?key=s3cret", other.base());
    let first = Stranger::start(move |_, _| Reply::answer(302, &[("location", &location)], b""));
    let source = pinned(&first.base());
    let flag = format!("--allow-net={},GET", other.base());
    let ended = home.refused(&source, &[], "leads on elsewhere");
    assert!(ended.stderr.contains(&format!("add `{flag}`")), "{ended}");
    assert!(other.asked().is_empty() && !ended.stderr.contains("s3cret"), "{ended}");
    assert_eq!(home.fetch(&source, &[&flag]).code, Some(0));
    assert_eq!((first.asked().len(), other.asked().len()), (2, 1));
    assert_eq!(home.record(&["p"]).succeeded().result(), 42);
}

#[test]
fn another_name_of_the_same_machine_is_elsewhere() {
    let home = Home::new();
    let server = Stranger::start(|asked, _| match asked.header("host").unwrap().split_once(':') {
        Some(("127.0.0.1", port)) => Reply::answer(307, &[("location", &format!("http://localhost:{port}/p.js"))], b""),
        _ => Reply::answer(200, JS, SCRIPT.as_bytes()),
    });
    home.refused(&pinned(&server.base()), &[], "leads on elsewhere");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_redirect_within_the_origin_is_followed_and_not_for_ever() {
    let home = Home::new();
    let once = Stranger::start(|_, before| match before {
        0 => Reply::answer(301, &[("location", "../q.js")], b""),
        _ => Reply::answer(200, JS, SCRIPT.as_bytes()),
    });
    assert_eq!(home.fetch(&pinned(&once.base()), &[]).code, Some(0));
    assert_eq!(once.asked()[1].target(), "/q.js");
    home.plugin(&["remove", "p"]);
    let home = Home::new();
    let round = Stranger::start(|_, _| Reply::answer(302, &[("location", "/p.js")], b""));
    home.refused(&pinned(&round.base()), &[], "leads on more than 5 times");
    assert_eq!(round.asked().len(), 6);
    for (location, reason) in [("ftp://a.example/", "cannot be asked for"), ("http://u:p@a.example/", "cannot be asked for")] {
        let odd = Stranger::start(move |_, _| Reply::answer(302, &[("location", location)], b""));
        home.refused(&pinned(&odd.base()), &[], reason);
    }
    let nowhere = Stranger::start(|_, _| Reply::answer(302, &[], b""));
    home.refused(&pinned(&nowhere.base()), &[], "without saying where to");
}

#[test]
fn a_name_is_bound_to_an_address_as_for_a_program() {
    let (home, server) = (Home::new(), Stranger::start(|_, _| Reply::answer(200, JS, SCRIPT.as_bytes())));
    let port = server.host().rsplit(':').next().unwrap().to_owned();
    let source = pinned(&format!("http://plugins.test:{port}"));
    let ended = home.fetch(&source, &[&format!("--allow-net=http://plugins.test:{port},GET=127.0.0.1")]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(server.asked()[0].header("host").unwrap(), format!("plugins.test:{port}"));
}

#[test]
fn the_operators_proxy_is_asked_as_by_a_program() {
    let (home, proxy) = (Home::new(), Stranger::start(|_, _| Reply::answer(200, JS, SCRIPT.as_bytes())));
    home.configure(&format!("[network]\nproxy = '{}'\n", proxy.base()));
    assert_eq!(home.fetch(&pinned("http://plugins.example"), &[]).code, Some(0));
    assert_eq!(proxy.asked()[0].target(), "http://plugins.example/p.js");
}

#[test]
fn a_key_in_a_query_is_sent_and_neither_kept_nor_shown() {
    let (home, server) = (Home::new(), Stranger::start(|_, _| Reply::answer(200, JS, SCRIPT.as_bytes())));
    let wrong = format!("{}/p.js?key=s3cret@{}", server.base(), digest(b"else"));
    let refused = home.refused(&wrong, &[], "is not sha256:");
    assert!(!refused.stderr.contains("s3cret"), "{refused}");
    let ended = home.fetch(&format!("{}/p.js?key=s3cret@{}", server.base(), digest(SCRIPT.as_bytes())), &[]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(server.asked()[1].target(), "/p.js?key=s3cret");
    assert_eq!(home.plugin_json(&["inspect", "p"])["source"], pinned(&server.base()));
    for file in ["wardroom.db", "wardroom.db-wal"] {
        let bytes = std::fs::read(home.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"), "{file}");
    }
}

#[test]
fn whoever_stops_it_finds_nothing_of_it() {
    let home = Home::new();
    let half = Stranger::start(|_, _| Reply::Silence([head(200, JS, 1000), b"return".to_vec()].concat()));
    let running = home.start(&["plugin", "install", &pinned(&half.base())]);
    while half.asked().is_empty() {
        std::thread::yield_now();
    }
    running.signal(Signal::INT);
    let ended = running.wait();
    assert!(ended.code == Some(130) && ended.stderr.contains("nothing was installed"), "{ended}");
    home.is_untouched();
}

#[test]
fn on_a_terminal_it_is_seen_how_much_has_come() {
    let (home, server) = (Home::new(), Stranger::start(|_, _| Reply::answer(200, JS, SCRIPT.as_bytes())));
    let Some(screen) = on_a_terminal(&home, &format!("plugin install {}", pinned(&server.base())), "nothing is asked", None) else {
        return;
    };
    assert!(screen.contains("fetching p.js: 1 of 1 KiB") && screen.contains("installed"), "{screen}");
}
