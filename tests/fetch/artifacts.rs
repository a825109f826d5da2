//! From a real registry that asks nobody who they are.

use serde_json::json;

use super::SCRIPT;
use crate::support::guests;
use crate::support::home::Home;
use crate::support::registry::{Asks, INDEX, MANIFEST, Registry, WASM, digest};

fn typed() -> Vec<u8> {
    std::fs::read(guests::typed()).unwrap()
}

#[test]
fn an_artifact_is_installed_by_its_digest_and_upgraded_by_another() {
    let Some(registry) = Registry::start(&Asks::Nobody) else { return };
    let home = Home::new();
    let first = registry.push("team/typed", "1.0", &typed());
    let source = format!("oci://{}/team/typed@{first}", registry.host());
    let installed = home.plugin_json(&["install", &source])["plugin"].clone();
    assert_eq!((&installed["name"], &installed["source"]), (&"typed".into(), &source.as_str().into()));
    assert_eq!(installed["digest"], digest(&typed()), "the plugin's digest is of its own bytes, the source's of the manifest");
    assert_eq!(home.record(&["typed.add", "--param", "a=1", "--param", "b=2"]).succeeded().result(), 3);
    home.plugin(&["verify"]);
    let second = registry.push("team/typed", "2.0", &std::fs::read(guests::task()).unwrap());
    let newer = format!("oci://{}/team/typed:2.0@{second}", registry.host());
    assert_eq!(home.plugin_json(&["upgrade", "typed", &newer])["plugin"]["source"], newer);
    let listed = home.plugin(&["list"]).text();
    assert!(listed.lines().any(|line| line.split_whitespace().take(2).eq(["typed", "oci"])), "{listed}");
    home.plugin(&["rollback", "typed"]);
    assert_eq!(home.plugin_json(&["inspect", "typed"])["source"], source);
    assert!(registry.folder().join("data").exists() && registry.pid().as_raw_nonzero().get() > 0);
}

#[test]
fn a_revocation_of_the_manifest_that_a_plugin_is_known_by_stops_it() {
    let Some(registry) = Registry::start(&Asks::Nobody) else { return };
    let home = Home::new();
    let first = registry.push("p", "1", &typed());
    let source = format!("oci://{}/p@{first}", registry.host());
    home.plugin(&["install", &source, "--name=p"]);
    let add = ["--param", "a=1", "--param", "b=2"];
    assert_eq!(home.run(&[&["task", "add", "t", "p.add"], &add[..]].concat()).code, Some(0));
    assert_eq!(home.run(&["expose", "p.add"]).code, Some(0));
    let told = home.plugin(&["revoke", &first, "--reason", "it lies"]).text();
    assert!(told.contains("the plugin p, the task t"), "{told}");
    for words in [
        [&["run", "p.add"], &add[..]].concat(),
        vec!["task", "run", "t"],
        vec!["expose", "p.add"],
        vec!["plugin", "install", &source, "--name=q"],
    ] {
        let ended = home.run(&words);
        assert!(ended.code == Some(1) && ended.stderr.contains("it lies") && ended.stderr.contains(&first), "{words:?}: {ended}");
    }
    assert_eq!(home.plugin_json(&["list"])["plugins"][0]["signature"]["revoked"]["reason"], "it lies");
    assert!(home.plugin(&["inspect", "p"]).text().contains("REVOKED since"));
    assert!(home.executions().is_empty());
    // Another artifact is another; there is no way back, and a task goes on being stopped.
    let second = registry.push("p", "2", &std::fs::read(guests::task()).unwrap());
    home.plugin(&["upgrade", "p", &format!("oci://{}/p@{second}", registry.host())]);
    assert_eq!(home.installed(), ["p"]);
    for back in [&["rollback", "p"][..], &["upgrade", "p", &source]] {
        let ended = home.try_plugin(back);
        assert!(ended.code == Some(1) && ended.stderr.contains("it lies"), "{ended}");
    }
    assert_eq!(home.run(&["task", "run", "t"]).code, Some(1));
}

#[test]
fn a_tag_has_to_lead_to_the_digest_that_was_named_with_it() {
    let Some(registry) = Registry::start(&Asks::Nobody) else { return };
    let home = Home::new();
    let first = registry.push("p", "latest", &typed());
    let second = registry.push("p", "latest", &std::fs::read(guests::task()).unwrap());
    let ended = home.refused(&format!("oci://{}/p:latest@{first}", registry.host()), &[], "leads to");
    assert!(ended.stderr.contains(&second) && ended.stderr.contains("Leave `:latest` away"), "{ended}");
    assert_eq!(home.fetch(&format!("oci://{}/p@{first}", registry.host()), &[]).code, Some(0));
}

#[test]
fn what_is_not_there_is_called_as_the_registry_calls_it() {
    let Some(registry) = Registry::start(&Asks::Nobody) else { return };
    let home = Home::new();
    registry.push("p", "1", &typed());
    home.refused(&format!("oci://{}/p@{}", registry.host(), digest(b"none")), &[], "answers 404 (MANIFEST_UNKNOWN)");
    home.refused(&format!("oci://{}/nobody/p:1@{}", registry.host(), digest(b"none")), &[], "answers 404 (MANIFEST_UNKNOWN)");
}

#[test]
fn what_is_no_plugin_is_refused() {
    let Some(registry) = Registry::start(&Asks::Nobody) else { return };
    let home = Home::new();
    let source = |digest: &str| format!("oci://{}/p@{digest}", registry.host());
    let (wasm, other) = (registry.blob("p", WASM, &typed()), registry.blob("p", "application/octet-stream", &typed()));
    let two = registry.push_layers("p", "two", &json!([wasm, wasm]));
    home.refused(&source(&two), &[], "it has 2 layers: expected exactly one");
    let kind = registry.push_layers("p", "kind", &json!([other]));
    home.refused(&source(&kind), &[], "its layer is of the type `application/octet-stream`");
    let one = registry.push("p", "one", &typed());
    let size = std::fs::read(registry.folder().join("data/docker/registry/v2/blobs/sha256").join(&one[7..9]).join(&one[7..]).join("data"))
        .unwrap()
        .len();
    let listed = json!({ "mediaType": MANIFEST, "digest": one, "size": size, "platform": { "architecture": "wasm", "os": "wasip2" } });
    let index = registry.push_manifest("p", "index", INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [listed] }));
    let ended = home.refused(&source(&index), &[], "an index of several artifacts");
    assert!(ended.stderr.contains(&one), "{ended}");
    // What says that it is wasm, and is a script.
    let lies = registry.push("p", "lies", SCRIPT.as_bytes());
    let ended = home.fetch(&source(&lies), &[]);
    assert!(ended.code == Some(3) && ended.stderr.contains("no program"), "{ended}");
    home.is_untouched();
}

#[test]
fn a_registry_over_tls_is_known_by_its_certificate() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(["registry.test".to_owned()]).unwrap();
    let certificate = home.file("registry.pem", made.cert.pem());
    let key = home.file("registry.key", made.signing_key.serialize_pem());
    let Some(registry) = Registry::start_with(&Asks::Nobody, Some((&certificate, &key))) else { return };
    let source = format!("oci://registry.test:{}/p@{}", registry.port(), digest(b"none"));
    let flag = format!("--allow-net=https://registry.test:{},GET=127.0.0.1", registry.port());
    home.refused(&source, &[&flag], "the certificate of");
    home.trust_server(&made.cert.pem());
    home.refused(&source, &[&flag], "MANIFEST_UNKNOWN");
}
