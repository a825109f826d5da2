//! The README's table of first-party plugins is what the folders say.

use std::fs;
use std::path::{Path, PathBuf};

use wardroom_core::manifest::Manifest;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The folders of `plugins` that hold a plugin, in the order of names.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(top().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("wardroom.toml").is_file()).collect();
    folders.sort_unstable();
    folders
}

fn manifest(folder: &Path) -> Manifest {
    Manifest::parse(&fs::read_to_string(folder.join("wardroom.toml")).unwrap(), 1)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// The functions that a plugin's world exports, those of an interface behind its name.
fn functions(folder: &Path) -> Vec<String> {
    let wit = fs::read_to_string(folder.join(format!("wit/{}.wit", name(folder)))).unwrap();
    let function = |line: &str| line.split_once(": func").map(|(name, _)| name.trim().trim_start_matches('%').to_owned());
    let mut found = Vec::new();
    for export in wit.lines().filter_map(|line| line.trim().strip_prefix("export ")) {
        match export.strip_suffix(';').filter(|name| !name.contains(':')) {
            None => found.extend(function(export)),
            Some(interface) => {
                let block = wit.split(&format!("interface {interface} {{")).nth(1).unwrap().split("\n}").next().unwrap();
                found.extend(
                    block.lines().filter(|line| !line.contains("///")).filter_map(function).map(|name| format!("{interface}.{name}")),
                );
            }
        }
    }
    found
}

fn language(folder: &Path) -> &'static str {
    let has = |file: &str| folder.join(file).is_file();
    match (has("Cargo.toml"), has("package.json"), has("requirements.txt")) {
        (true, false, false) => "Rust",
        (false, true, false) => "JavaScript",
        (false, false, true) => "Python",
        found => panic!("{}: {found:?}", folder.display()),
    }
}

#[test]
fn the_readme_lists_every_plugin_with_its_functions() {
    let rows: String = folders()
        .iter()
        .map(|folder| {
            let (name, functions) = (name(folder), functions(folder));
            let functions: Vec<String> = functions.iter().map(|function| format!("`{function}`")).collect();
            let what = manifest(folder).description.unwrap();
            format!("| [`{name}`](plugins/{name}/README.md) | {what} | {} | {} |\n", functions.join(", "), language(folder))
        })
        .collect();
    let readme = fs::read_to_string(top().join("README.md")).unwrap();
    let marked = readme.split("<!-- plugins: checked").nth(1).unwrap().split("<!-- plugins: end").next().unwrap();
    let found = marked.split("|---|---|---|---|\n").nth(1).unwrap();
    assert_eq!(found, rows, "the README's table of plugins should read as on the right");
}

#[test]
fn every_plugin_is_named_alike_everywhere_and_documents_each_function() {
    for folder in folders() {
        let (name, manifest) = (name(&folder), manifest(&folder));
        assert_eq!(manifest.name.as_deref(), Some(name.as_str()));
        assert_eq!(manifest.version.as_deref(), Some("0.1.0"));
        assert_eq!(manifest.licence.as_deref(), Some("MIT OR Apache-2.0"));
        let wit = fs::read_to_string(folder.join(format!("wit/{name}.wit"))).unwrap();
        assert!(wit.contains(&format!("package wardroom:{name}@0.1.0;")) && wit.contains(&format!("world {name} {{")), "{name}");
        let mut before = "";
        for line in wit.lines() {
            let line = line.trim();
            let item = ["record ", "variant ", "enum ", "interface ", "world ", "package "].iter().any(|word| line.starts_with(word));
            let function = line.contains(": func(") && !line.starts_with("///");
            assert!(!(item || function) || before.starts_with("///"), "{name}: `{line}` has no description");
            before = line;
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        for function in functions(&folder) {
            assert!(readme.contains(&format!("`{function}`")), "{name}'s README does not name {function}");
        }
    }
}
