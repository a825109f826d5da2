//! Plugins that ship, as whoever reads their READMEs has them: built as projects,
//! installed by the name in their manifests, called.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::plugin;
use crate::support::home::Home;

const PLUGINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins");
/// What the workspace of those in Rust is made of.
const WORKSPACE: [&str; 7] = ["Cargo.toml", "Cargo.lock", "archive", "http-request", "json-query", "sqlite-query", "text"];

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.file_name() != "build") {
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

#[test]
fn plugins_that_ship_are_built_with_their_manifests_and_called_by_name() {
    let home = Home::new();
    fs::create_dir_all(home.work().join("plugins")).unwrap();
    for part in WORKSPACE {
        copy(&Path::new(PLUGINS).join(part), &home.work().join("plugins").join(part));
    }
    for (name, function, params, expected) in [
        ("json-query", "query", json!({ "filter": ".a", "input": "{\"a\": 1}" }), json!({ "values": ["1"], "truncated": false })),
        ("text", "split", json!({ "text": "a-b", "pattern": "-" }), json!(["a", "b"])),
    ] {
        let folder = format!("plugins/{name}");
        let built = plugin(&home, &["build", &folder]);
        assert_eq!(built.code, Some(0), "{built}");
        // Nobody says its name: its manifest does.
        let installed = home.plugin_json(&["install", &format!("{folder}/build/{name}.wasm")]);
        assert_eq!((&installed["plugin"]["name"], &installed["plugin"]["version"]), (&json!(name), &json!("0.1.0")), "{installed}");
        let record = home.record(&[&format!("{name}#{function}"), "--input", &params.to_string()]);
        assert_eq!(record.succeeded().result(), &expected);
    }
}
