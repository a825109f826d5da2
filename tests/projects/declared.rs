//! A task of an ordinary function: its params are declared by their types, its
//! requests go through the SDK.

use std::fs;

use serde_json::json;

use super::{edit, made, plugin};
use crate::credentials::{VALUE, Vaulted, assert_clean};
use crate::support::guests;
use crate::support::home::{Home, chmod};

/// A project whose compiler brings the guest that was built already.
fn declared(home: &Home) -> std::path::PathBuf {
    let folder = made(home, "c");
    edit(&folder.join("project.toml"), "wit = \"wit\"", "");
    fs::remove_dir_all(folder.join("cases")).unwrap();
    fs::create_dir_all(folder.join(".venv/bin")).unwrap();
    let zig = folder.join(".venv/bin/zig");
    fs::write(&zig, format!("#!/bin/sh\ncp '{}' build/module.wasm\n", guests::declared().display())).unwrap();
    chmod(&zig, 0o755);
    folder
}

#[test]
fn the_params_of_a_functions_types_are_in_the_manifest_that_is_embedded() {
    let home = Home::new();
    let folder = declared(&home);
    let built = plugin(&home, &["build", "made", "--json"]);
    assert_eq!(built.code, Some(0), "{built}");
    assert_eq!(built.json()["shape"], "task");
    let surplus: Vec<_> = built.json()["imported_not_requested"].as_array().unwrap().iter().map(|one| one["capability"].clone()).collect();
    assert!(surplus.contains(&json!("net")) && surplus.contains(&json!("credentials")), "{surplus:?}");
    let bytes = fs::read(folder.join("build/made.wasm")).unwrap();
    let text = fs::read_to_string(folder.join("wardroom.toml")).unwrap();
    let wanted = format!(
        "{text}\n\n[params.\"url\"]\ntype = \"string\"\nrequired = true\ndescription = \"Where to ask.\"\n\n[params.\"method\"]\ntype = \"enum\"\nvalues = [\"get\", \"post\"]\n\n[params.\"body\"]\ntype = \"json\"\ndescription = \"What to send along.\"\n\n[params.\"times\"]\ntype = \"integer\"\n"
    );
    let found = bytes.windows(wanted.len()).filter(|window| *window == wanted.as_bytes()).count();
    assert_eq!(found, 1, "the manifest should end with the params");
    fs::write(folder.join("wardroom.toml"), format!("{text}\n[params.url]\ntype = \"string\"\n")).unwrap();
    let twice = plugin(&home, &["build", "made"]);
    assert!(twice.code == Some(3) && twice.stderr.contains("declared twice"), "{twice}");
}

#[test]
fn a_request_of_the_sdk_carries_a_placeholder_that_the_host_fills() {
    let vaulted = Vaulted::new();
    vaulted.server.answers(200, &[("content-type", "text/plain")], "an answer");
    let guest = guests::declared();
    let (url, allow) = (format!("url={}/x?y=z", vaulted.base()), vaulted.allow());
    let args = [guest.to_str().unwrap(), "--param", &url, "--param", "method=post", "--param", "body={\"a\": [1]}", &allow];
    let record = vaulted.home.record(&[&args[..], &["--credential=API_TOKEN"]].concat());
    record.succeeded();
    assert_eq!(record.result(), &json!({"status": 200, "kind": "text/plain", "text": "an answer", "times": 0}));
    let requests = vaulted.server.requests();
    let request = requests.last().unwrap();
    assert_eq!((request.headers["authorization"].as_str(), request.body.as_slice()), (&*format!("Bearer {VALUE}"), &b"{\"a\":[1]}"[..]));
    assert_clean("the record", &record.ended.stdout, VALUE);
}

#[test]
fn a_request_of_the_sdk_is_refused_without_its_grant() {
    let vaulted = Vaulted::new();
    let guest = guests::declared();
    let record = vaulted.home.record(&[guest.to_str().unwrap(), "--param", &format!("url={}/x", vaulted.base())]);
    assert_eq!(record.ending(), ("failed", "denied", "operator", Some(1)), "{}", record.json);
    assert!(record.message().contains("is not allowed"), "{}", record.message());
    assert!(vaulted.server.requests().is_empty());
    vaulted.server.answers(503, &[], "");
    let busy = vaulted.home.record(&[guest.to_str().unwrap(), "--param", &format!("url={}/x", vaulted.base()), &vaulted.allow()]);
    assert_eq!(busy.ending(), ("failed", "unavailable", "guest", Some(3)), "{}", busy.json);
}
