//! The script that the README runs first, on real input, against an oracle.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::home::Home;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn script(name: &str) -> String {
    format!("{ROOT}/plugins/scripts/{name}.js")
}

/// The same report, by TOML's own reader.
fn oracle(lock: &str) -> Value {
    let lock: toml::Table = toml::from_str(lock).unwrap();
    let packages: Vec<&toml::Table> = lock["package"].as_array().unwrap().iter().filter_map(toml::Value::as_table).collect();
    let text = |package: &toml::Table, key: &str| package[key].as_str().unwrap().to_owned();
    let own: Vec<String> = packages.iter().filter(|package| !package.contains_key("source")).map(|package| text(package, "name")).collect();
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    let mut needed = BTreeMap::<String, usize>::new();
    for package in &packages {
        versions.entry(text(package, "name")).or_default().push(text(package, "version"));
        for dependency in package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten() {
            let name = dependency.as_str().unwrap().split(' ').next().unwrap();
            *needed.entry(name.to_owned()).or_default() += 1;
        }
    }
    versions.retain(|_, all| all.len() > 1);
    let mut needed: Vec<(String, usize)> = needed.into_iter().collect();
    needed.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let most: serde_json::Map<String, Value> = needed.into_iter().take(5).map(|(name, count)| (name, json!(count))).collect();
    json!({"packages": packages.len(), "own": own, "in_several_versions": versions, "most_needed": most})
}

#[test]
fn the_dependency_report_is_what_a_toml_reader_finds() {
    let home = Home::new();
    let lock = std::fs::read_to_string(format!("{ROOT}/Cargo.lock")).unwrap();
    home.file("project/Cargo.lock", &lock);
    let record = home.record(&[&script("dependency-report"), "--param", "directory=project", "--allow-read=project"]);
    assert_eq!(record.succeeded().result(), &oracle(&lock));
    let listed = home.executions();
    assert_eq!((listed.len(), listed[0]["id"].as_str()), (1, Some(record.id())));
}

#[test]
fn the_dependency_report_is_denied_without_its_grant_and_the_flag_is_named() {
    let home = Home::new();
    home.file("Cargo.lock", "");
    let ended = home.run(&["run", &script("dependency-report")]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("Allow what the program asks for with `--allow-read=.`."), "{ended}");
    assert_eq!(home.executions()[0]["failure_kind"], "denied");
}
