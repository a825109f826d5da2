//! From a real registry that wants to know who it is: name and password, or a
//! token. The value is seen by nobody but those that it is for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::guests;
use crate::support::home::{Ended, Home};
use crate::support::mirror::gzip;
use crate::support::registry::{Asks, Issuer, LOGIN, MANIFEST, Registry, WASM, digest};
use crate::support::stranger::{Asked, Reply, Stranger};

fn home_with(value: &str, hosts: &[&str]) -> Home {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault=file"]).code, Some(0));
    let hosts: Vec<String> = hosts.iter().map(|host| format!("--host={host}")).collect();
    let args: Vec<&str> = ["credential", "add", "LOGIN"].into_iter().chain(hosts.iter().map(String::as_str)).collect();
    let added = home.feed(&args, value);
    assert_eq!(added.code, Some(0), "{added}");
    home
}

fn typed() -> Vec<u8> {
    std::fs::read(guests::typed()).unwrap()
}

/// Neither the value nor what a header makes of it is anywhere.
#[track_caller]
fn is_told_nobody(home: &Home, value: &str, ended: &Ended) {
    for needle in [value.to_owned(), STANDARD.encode(value), value.split(':').nth(1).unwrap().to_owned()] {
        assert!(!format!("{ended}").contains(&needle), "{ended}");
        for entry in std::fs::read_dir(home.path()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()), "{}", entry.path().display());
        }
    }
}

#[test]
fn a_registry_that_asks_for_a_password_is_given_it_out_of_the_vault() {
    let Some(registry) = Registry::start(&Asks::Basic) else { return };
    let home = home_with(LOGIN, &[&registry.host()]);
    let pushed = registry.push("p", "1", &typed());
    let source = format!("oci://{}/p@{pushed}", registry.host());
    let ended = home.refused(&source, &[], "asks who it is");
    assert!(ended.stderr.contains(&format!("--host={}", registry.host())) && ended.stderr.contains("--credential="), "{ended}");
    let ended = home.fetch(&source, &["--credential=LOGIN"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    is_told_nobody(&home, LOGIN, &ended);
    let audited = home.read(&["audit", "list", "--json"]).to_string();
    assert!(audited.contains("credential-used") && audited.contains("\"operator\"") && audited.contains(&registry.host()), "{audited}");
    assert_eq!(home.run(&["audit", "verify"]).code, Some(0));
}

#[test]
fn a_wrong_password_is_said_once_and_not_repeated() {
    let Some(registry) = Registry::start(&Asks::Basic) else { return };
    let value = "puller:wr0ng passw0rd";
    let home = home_with(value, &[&registry.host()]);
    let ended =
        home.refused(&format!("oci://{}/p@{}", registry.host(), digest(b"x")), &["--credential=LOGIN"], "does not accept who it is");
    is_told_nobody(&home, value, &ended);
    let ended = home.fetch(&format!("oci://{}/p@{}", registry.host(), digest(b"x")), &["--credential=LOGINN"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("did you mean `LOGIN`?"), "{ended}");
}

#[test]
fn a_credential_goes_to_its_own_hosts_alone() {
    let asks = Stranger::start(|_, _| Reply::answer(401, &[("www-authenticate", "Basic realm=\"here\"")], b""));
    let home = home_with(LOGIN, &["registry.example"]);
    let source = format!("oci://{}/p@{}", asks.host(), digest(b"x"));
    let ended = home.refused(&source, &["--credential=LOGIN"], "LOGIN");
    assert!(ended.stderr.contains("wardroom credential set LOGIN --host="), "{ended}");
    assert!(asks.asked().iter().all(|asked| asked.header("authorization").is_none()), "{:?}", asks.asked());
    is_told_nobody(&home, LOGIN, &ended);
    // Narrowed by the flag, it is the same.
    let home = home_with(LOGIN, &[&asks.host()]);
    home.refused(&source, &["--credential=LOGIN@registry.example"], "LOGIN");
    assert!(asks.asked().iter().all(|asked| asked.header("authorization").is_none()));
    // The host is the right one, and what is wrong is the port.
    let (host, port) = asks.host().split_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let home = home_with(LOGIN, &[&host]);
    let ended = home.refused(&source, &["--credential=LOGIN"], &format!("443 where none is named, and here it is {port};"));
    assert!(ended.stderr.contains(&format!("wardroom credential set LOGIN --host=HOST:{port}`")), "{ended}");
}

/// Says back what it was told, in one of the fields of an answer.
fn said_back(field: &str, asked: &Asked, told: &str) -> Reply {
    let error = format!("{{\"errors\":[{{\"code\":\"{told}\",\"message\":\"{told}\"}}]}}");
    match field {
        "code" => Reply::answer(404, &[], error.as_bytes()),
        "type" => Reply::answer(200, &[("content-type", told)], b"other bytes"),
        "typed" => Reply::answer(200, &[("content-type", &format!("text/html; charset={told}"))], b"other bytes"),
        "coding" => Reply::answer(200, &[("content-encoding", told)], b"other bytes"),
        "elsewhere" => Reply::answer(302, &[("location", &format!("http://localhost:1/{told}"))], b""),
        "nowhere" => Reply::answer(302, &[("location", &format!("ftp://localhost/{told}"))], b""),
        // Sent on within the same origin, and there it fails.
        _ if asked.target().contains(told) => Reply::answer(404, &[], b""),
        _ => Reply::answer(302, &[("location", &format!("/{told}"))], b""),
    }
}

const FIELDS: [&str; 7] = ["code", "type", "typed", "coding", "elsewhere", "nowhere", "here"];

#[test]
fn a_password_that_a_registry_says_back_is_told_nobody() {
    let value = "puller:HUNTER2SECRET";
    let encoded = STANDARD.encode(value);
    for told in ["HUNTER2SECRET", value, &encoded] {
        for field in FIELDS {
            let said = told.to_owned();
            let registry = Stranger::start(move |asked, _| match asked.header("authorization") {
                None => Reply::answer(401, &[("www-authenticate", "Basic realm=\"here\"")], b""),
                Some(_) => said_back(field, asked, &said),
            });
            let home = home_with(value, &[&registry.host()]);
            let ended = home.refused(&format!("oci://{}/p@{}", registry.host(), digest(b"x")), &["--credential=LOGIN"], &registry.host());
            is_told_nobody(&home, value, &ended);
            assert!(!ended.stderr.contains("redacted") && registry.asked().iter().any(|asked| asked.header("authorization").is_some()));
        }
    }
    // Known from another time, it is named before anything was sent.
    let registry =
        Stranger::start(|_, _| Reply::answer(401, &[("www-authenticate", "Bearer realm=\"http://127.0.0.1:1/HUNTER2SECRET\"")], b""));
    let home = home_with(value, &[&registry.host()]);
    let ended = home.refused(&format!("oci://{}/p@{}", registry.host(), digest(b"x")), &["--credential=LOGIN"], "`GET http://127.0.0.1:1`");
    is_told_nobody(&home, value, &ended);
}

#[test]
fn a_token_that_a_registry_says_back_is_told_nobody() {
    for field in FIELDS {
        let registry = Stranger::start(move |asked, _| {
            let host = asked.header("host").unwrap();
            match asked.header("authorization") {
                _ if asked.target().starts_with("/token") => Reply::answer(200, &[], br#"{"token":"T0K3NVALUE"}"#),
                None => Reply::answer(401, &[("www-authenticate", &format!("Bearer realm=\"http://{host}/token\""))], b""),
                Some(_) => said_back(field, asked, "T0K3NVALUE"),
            }
        });
        let home = Home::new();
        let ended = home.refused(&format!("oci://{}/p@{}", registry.host(), digest(b"x")), &[], &registry.host());
        is_told_nobody(&home, "Bearer:T0K3NVALUE", &ended);
        assert!(registry.asked().iter().any(|asked| asked.header("authorization") == Some("Bearer T0K3NVALUE")), "{field}");
    }
}

#[test]
fn a_key_in_a_query_that_a_server_says_back_is_told_nobody() {
    for field in FIELDS {
        let server = Stranger::start(move |asked, _| said_back(field, asked, "QU3RYK3Y"));
        let home = Home::new();
        let source = format!("{}/a.js?key=QU3RYK3%59@{}", server.base(), digest(b"x"));
        let ended = home.refused(&source, &[], &server.host());
        is_told_nobody(&home, "key:QU3RYK3Y", &ended);
    }
}

#[test]
fn what_was_unpacked_to_be_looked_through_is_refused_as_packed() {
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","layers":[{{"mediaType":"{WASM}","digest":"{}","size":{}}}]}}"#,
        digest(&typed()),
        typed().len()
    );
    let (packed, blob) = (gzip(manifest.as_bytes()), typed());
    let registry = Stranger::start(move |asked, _| match asked.header("authorization") {
        None => Reply::answer(401, &[("www-authenticate", "Basic realm=\"here\"")], b""),
        _ if asked.target().contains("/blobs/") => Reply::answer(200, &[], &blob),
        _ => Reply::answer(200, &[("content-type", MANIFEST), ("content-encoding", "gzip")], &packed),
    });
    let home = home_with(LOGIN, &[&registry.host()]);
    let source = format!("oci://{}/p@{}", registry.host(), digest(manifest.as_bytes()));
    home.refused(&source, &["--credential=LOGIN"], "packed as `gzip`");
}

/// Gives tokens to whoever shows the login, or to anybody.
fn realm(issuer: &Arc<Issuer>, login: Option<&'static str>) -> Stranger {
    let issuer = issuer.clone();
    Stranger::start(move |asked, _| {
        let right = login.is_none_or(|login| asked.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(login))));
        let good = right && asked.target() == "/token?service=the+registry&scope=repository%3Ateam%2Fp%3Apull";
        let answer = format!("{{\"token\":\"{}\"}}", issuer.token("team/p", &["pull"]));
        if good { Reply::answer(200, &[("content-type", "application/json")], answer.as_bytes()) } else { Reply::answer(401, &[], b"") }
    })
}

#[test]
fn a_token_is_fetched_where_that_is_allowed_and_shown_to_the_registry() {
    let issuer = Arc::new(Issuer::new());
    let realm = realm(&issuer, None);
    let asks = Asks::Token { realm: &format!("{}/token", realm.base()), issuer: &issuer };
    let Some(mut registry) = Registry::start(&asks) else { return };
    registry.authorize(format!("Bearer {}", issuer.token("team/p", &["pull", "push"])));
    let pushed = registry.push("team/p", "1", &typed());
    let (home, source) = (Home::new(), format!("oci://{}/team/p@{pushed}", registry.host()));
    let flag = format!("--allow-net={},GET", realm.base());
    let ended = home.refused(&source, &[], "no grant covers it");
    assert!(ended.stderr.contains(&flag) && realm.asked().is_empty(), "{ended}");
    let ended = home.fetch(&source, &[&flag]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(realm.asked().len(), 1, "one token does for both");
    assert_eq!(realm.asked()[0].header("authorization"), None);
}

#[test]
fn a_token_for_somebody_is_asked_for_with_the_credential() {
    let issuer = Arc::new(Issuer::new());
    let realm = realm(&issuer, Some(LOGIN));
    let asks = Asks::Token { realm: &format!("{}/token", realm.base()), issuer: &issuer };
    let Some(mut registry) = Registry::start(&asks) else { return };
    registry.authorize(format!("Bearer {}", issuer.token("team/p", &["pull", "push"])));
    let pushed = registry.push("team/p", "1", &typed());
    let source = format!("oci://{}/team/p@{pushed}", registry.host());
    let flag = format!("--allow-net={},GET", realm.base());
    let home = home_with(LOGIN, &[&registry.host()]);
    home.refused(&source, &[&flag], "asks who it is");
    // Stored for the registry is not stored for whoever it names.
    home.refused(&source, &[&flag, "--credential=LOGIN"], "LOGIN");
    assert!(realm.asked().iter().all(|asked| asked.header("authorization").is_none()));
    let home = home_with(LOGIN, &[&registry.host(), &realm.host()]);
    let ended = home.fetch(&source, &[&flag, "--credential=LOGIN"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    is_told_nobody(&home, LOGIN, &ended);
    let wrong = "puller:wr0ng passw0rd";
    let home = home_with(wrong, &[&registry.host(), &realm.host()]);
    let ended = home.refused(&source, &[&flag, "--credential=LOGIN"], "does not accept who it is");
    is_told_nobody(&home, wrong, &ended);
}
