//! Strangers: servers and registries of our own that lie, change their answer,
//! never end, and ask again and again. Each is refused with what it did.

use std::sync::Arc;

use serde_json::json;

use super::{SCRIPT, pinned};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::registry::{MANIFEST, WASM, digest};
use crate::support::stranger::{Asked, Reply, Stranger, head};

const OCTETS: &[(&str, &str)] = &[("content-type", "application/octet-stream")];

fn always(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Stranger {
    Stranger::start(move |_, _| reply())
}

#[test]
fn what_is_larger_than_any_program_is_stopped_where_it_shows() {
    let home = Home::new();
    // Half a gigabyte, by its own word: not a byte of it is waited for.
    let honest = always(|| Reply::Silence(head(200, OCTETS, 500 << 20)));
    home.refused(&pinned(&honest.base()), &[], "longer than 67108864 bytes");
    // The same without saying so.
    let start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let liar = always(|| Reply::Endless(start.to_vec(), [b"100000\r\n".to_vec(), vec![0; 1 << 20], b"\r\n".to_vec()].concat()));
    home.refused(&pinned(&liar.base()), &[], "longer than 67108864 bytes");
}

#[test]
fn what_takes_for_ever_is_stopped_in_time() {
    let home = Home::new();
    let silent = always(|| Reply::Silence(Vec::new()));
    let drip = always(|| Reply::Drip(head(200, OCTETS, 1 << 20)));
    let slow_head = always(|| Reply::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec()));
    for slow in [silent, drip, slow_head] {
        let ended = home.refused(&pinned(&slow.base()), &["--timeout=500ms"], "fetching took longer than 500ms");
        assert!(ended.stderr.contains("--timeout="), "{ended}");
    }
}

#[test]
fn what_is_not_the_bytes_that_were_named_is_refused() {
    let home = Home::new();
    let page = always(|| Reply::answer(200, &[("content-type", "text/html; charset=x")], b"<html>sign in</html>"));
    let ended = home.refused(&pinned(&page.base()), &[], "20 bytes (text/html) of");
    assert!(ended.stderr.contains("other bytes than it did"), "{ended}");
    let gone = always(|| Reply::answer(404, &[], b"<html>no</html>"));
    home.refused(&pinned(&gone.base()), &[], "answers 404");
    let part = always(|| Reply::answer(206, OCTETS, SCRIPT.as_bytes()));
    home.refused(&pinned(&part.base()), &[], "answers 206");
    let short = always(|| Reply::Whole([head(200, OCTETS, 100), SCRIPT.as_bytes().to_vec()].concat()));
    home.refused(&pinned(&short.base()), &[], "the connection ended before the response did");
    let packed = always(|| Reply::answer(200, &[("content-encoding", "gzip")], SCRIPT.as_bytes()));
    home.refused(&pinned(&packed.base()), &[], "packed as `gzip`");
    let framed = always(|| Reply::Whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_vec()));
    home.refused(&pinned(&framed.base()), &[], "was not fetched");
    let nonsense = always(|| Reply::Whole(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    home.refused(&pinned(&nonsense.base()), &[], "does not keep to HTTP");
    let nothing = always(|| Reply::Whole(Vec::new()));
    home.refused(&pinned(&nothing.base()), &[], "the connection ended");
    let head_flood =
        always(|| Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), [b"x: ".to_vec(), vec![b'y'; 1000], b"\r\n".to_vec()].concat()));
    home.refused(&pinned(&head_flood.base()), &[], "the response's headers are longer");
}

/// What a registry gives, and what it can do with it.
#[derive(Clone)]
struct Artifact {
    manifest: String,
    blob: Vec<u8>,
}

impl Artifact {
    fn new() -> Self {
        let blob = std::fs::read(guests::command("say")).unwrap();
        let layer = json!({ "mediaType": WASM, "digest": digest(&blob), "size": blob.len() });
        let config = json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2 });
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] }).to_string();
        Self { manifest, blob }
    }

    fn digest(&self) -> String {
        digest(self.manifest.as_bytes())
    }

    fn manifest(&self) -> Reply {
        Reply::answer(200, &[("content-type", MANIFEST)], self.manifest.as_bytes())
    }

    fn blob(&self) -> Reply {
        Reply::answer(200, OCTETS, &self.blob)
    }

    /// A registry that does something else, where its script says so.
    fn registry(&self, script: impl Fn(&Self, &Asked, usize) -> Option<Reply> + Send + Sync + 'static) -> Stranger {
        let artifact = self.clone();
        Stranger::start(move |asked, before| {
            let ordinary = || if asked.target().contains("/manifests/") { artifact.manifest() } else { artifact.blob() };
            script(&artifact, asked, before).unwrap_or_else(ordinary)
        })
    }

    fn source(&self, registry: &Stranger) -> String {
        format!("oci://{}/p@{}", registry.host(), self.digest())
    }
}

#[test]
fn a_registry_that_does_as_it_should_is_pulled_from() {
    let (home, artifact) = (Home::new(), Artifact::new());
    let registry = artifact.registry(|_, _, _| None);
    let ended = home.fetch(&artifact.source(&registry), &[]);
    assert_eq!(ended.code, Some(0), "{ended}");
    let targets: Vec<String> = registry.asked().iter().map(|asked| asked.target().to_owned()).collect();
    assert_eq!(targets, [format!("/v2/p/manifests/{}", artifact.digest()), format!("/v2/p/blobs/{}", digest(&artifact.blob))]);
    assert!(registry.asked()[0].header("accept").unwrap().contains(MANIFEST));
}

#[test]
fn a_registry_that_changes_its_answer_is_refused() {
    let (home, artifact) = (Home::new(), Artifact::new());
    // The first time it is right: that it was proves nothing the next time.
    let other = artifact.manifest.replace("\"schemaVersion\":2", "\"schemaVersion\": 2");
    let changing = artifact.registry(move |_, asked, before| {
        let changes = asked.target().contains("/manifests/") && before > 0;
        changes.then(|| Reply::answer(200, &[("content-type", MANIFEST)], other.as_bytes()))
    });
    assert_eq!(home.fetch(&artifact.source(&changing), &[]).code, Some(0));
    home.plugin(&["remove", "p"]);
    let home = Home::new();
    home.refused(&artifact.source(&changing), &[], "is not sha256:");
    let lie = |reply: fn(&Artifact) -> Reply| artifact.registry(move |of, asked, _| asked.target().contains("/blobs/").then(|| reply(of)));
    let same_size = lie(|of| Reply::answer(200, OCTETS, &vec![0; of.blob.len()]));
    home.refused(&artifact.source(&same_size), &[], "is not sha256:");
    let shorter = lie(|of| Reply::answer(200, OCTETS, &of.blob[1..]));
    home.refused(&artifact.source(&shorter), &[], "and the manifest says");
    let longer = lie(|of| Reply::answer(200, OCTETS, &[&of.blob[..], b"x"].concat()));
    home.refused(&artifact.source(&longer), &[], "the response's body is longer than");
    let cut = lie(|of| Reply::Whole([head(200, OCTETS, of.blob.len()), of.blob[..100].to_vec()].concat()));
    home.refused(&artifact.source(&cut), &[], "the connection ended before the response did");
    let page = artifact.registry(|_, _, _| Some(Reply::answer(200, &[("content-type", "text/html")], b"<html>")));
    home.refused(&artifact.source(&page), &[], "6 bytes (text/html)");
    let tagged = artifact.source(&page).replace("/p@", "/p:1@");
    home.refused(&tagged, &[], "6 bytes (text/html)");
}

#[test]
fn what_a_manifest_names_is_neither_believed_nor_gone_to() {
    let (home, artifact) = (Home::new(), Artifact::new());
    let size = artifact.blob.len();
    for (from, to, reason) in [
        (format!("\"size\":{size}"), format!("\"size\":{}", 500_u64 << 20), "has 524288000 bytes: expected at most"),
        (WASM.to_owned(), "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(), "its layer is of the type"),
        (digest(&artifact.blob), "sha512:00".to_owned(), "something else than a SHA-256"),
        ("\"schemaVersion\":2".to_owned(), "\"schemaVersion\":1".to_owned(), "expected a manifest of the type"),
        ("\"layers\"".to_owned(), "\"fsLayers\"".to_owned(), "it has 0 layers"),
    ] {
        let changed = Artifact { manifest: artifact.manifest.replace(&from, &to), ..artifact.clone() };
        let registry = changed.registry(|_, _, _| None);
        home.refused(&changed.source(&registry), &[], reason);
        assert_eq!(registry.asked().len(), 1, "nothing is asked for after that: {reason}");
    }
    let large = Artifact { manifest: format!("{}{}", artifact.manifest, " ".repeat(5 << 20)), ..artifact };
    let registry = large.registry(|_, _, _| None);
    home.refused(&large.source(&registry), &[], "longer than 4194304 bytes");
}

const BASIC: &str = "Basic realm=\"here\"";

#[test]
fn a_registry_that_asks_again_and_again_is_left() {
    let (home, artifact) = (Home::new(), Artifact::new());
    let token = artifact.registry(|_, asked, _| {
        if asked.target().starts_with("/token") {
            return Some(Reply::answer(200, &[], br#"{"token":"t0ken-of-nothing"}"#));
        }
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", asked.header("host").unwrap());
        Some(Reply::answer(401, &[("www-authenticate", &realm)], b""))
    });
    let ended = home.refused(&artifact.source(&token), &[], "does not accept who it is");
    assert!(!ended.stderr.contains("t0ken"), "{ended}");
    let asked = token.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[1].target(), "/token?service=s&scope=repository%3Ap%3Apull");
    assert_eq!(asked[2].header("authorization"), Some("Bearer t0ken-of-nothing"));
    for (challenge, reason) in [
        ("Negotiate", "names no way"),
        ("Bearer realm=\"ftp://x\"", "its realm"),
        ("Bearer realm=\"http://auth.example/token\"", "in the clear"),
        (BASIC, "asks who it is"),
    ] {
        let registry = artifact.registry(move |_, _, _| Some(Reply::answer(401, &[("www-authenticate", challenge)], b"")));
        home.refused(&artifact.source(&registry), &[], reason);
        assert_eq!(registry.asked().len(), 1);
    }
    for answer in ["{}", "<html>", r#"{"token":""}"#, r#"{"token":"a b"}"#, r#"{"token":"a\r\nx: y"}"#] {
        let registry = artifact.registry(move |_, asked, _| {
            let realm = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
            let is_token = asked.target().starts_with("/token");
            Some(if is_token {
                Reply::answer(200, &[], answer.as_bytes())
            } else {
                Reply::answer(401, &[("www-authenticate", &realm)], b"")
            })
        });
        home.refused(&artifact.source(&registry), &[], "gives no token");
    }
}

#[test]
fn a_token_is_shown_to_nobody_but_its_registry() {
    let (home, artifact) = (Home::new(), Artifact::new());
    let kept = Arc::new(artifact.blob.clone());
    let elsewhere = Stranger::start(move |_, _| Reply::answer(200, OCTETS, &kept));
    let location = format!("{}/blob?signed=yes", elsewhere.base());
    let registry = artifact.registry(move |_, asked, _| {
        let host = asked.header("host").unwrap();
        if asked.target().starts_with("/token") {
            return Some(Reply::answer(200, &[], br#"{"access_token":"t0ken"}"#));
        }
        if asked.header("authorization") != Some("Bearer t0ken") {
            return Some(Reply::answer(401, &[("www-authenticate", &format!("Bearer realm=\"http://{host}/token\""))], b""));
        }
        asked.target().contains("/blobs/").then(|| Reply::answer(307, &[("location", &location)], b""))
    });
    let flag = format!("--allow-net={},GET", elsewhere.base());
    let ended = home.refused(&artifact.source(&registry), &[], "leads on elsewhere");
    assert!(ended.stderr.contains(&flag), "{ended}");
    let ended = home.fetch(&artifact.source(&registry), &[&flag]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(elsewhere.asked().len(), 1);
    assert_eq!(elsewhere.asked()[0].header("authorization"), None);
}

#[test]
fn whoever_it_is_sent_on_to_may_not_ask_who_it_is() {
    let (home, artifact) = (Home::new(), Artifact::new());
    let asks = Stranger::start(|_, _| Reply::answer(401, &[("www-authenticate", BASIC)], b""));
    let location = format!("{}/x", asks.base());
    let registry = artifact.registry(move |_, _, _| Some(Reply::answer(307, &[("location", &location)], b"")));
    home.refused(&artifact.source(&registry), &[&format!("--allow-net={}", asks.base())], "answers 401");
    assert_eq!(asks.asked().len(), 1);
}
