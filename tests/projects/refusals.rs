//! What is refused, what is noted, and what a failing case looks like.

use std::fs;

use serde_json::json;

use super::{edit, has, made, plugin};
use crate::support::home::{Ended, Home, Running};

/// A compiler that copies a module that is there: what is told of a project does
/// not hang on who compiled it.
const ADD: &str = r#"(module
    (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
    (func (export "fail") unreachable))"#;
const WIT: &str =
    "package test:sums;\nworld sums {\n    /// Adds.\n    export add: func(a: u32, b: u32) -> u32;\n    export fail: func();\n}\n";

/// A project in C whose compiler is a shell script.
fn sums(home: &Home) -> std::path::PathBuf {
    let folder = made(home, "c");
    for path in ["wit", "bindings", "src", "cases"] {
        fs::remove_dir_all(folder.join(path)).unwrap();
        fs::create_dir(folder.join(path)).unwrap();
    }
    fs::write(folder.join("wit/sums.wit"), WIT).unwrap();
    fs::write(folder.join("cases/adds.json"), r#"{"function": "add", "params": {"a": 1, "b": 2}, "result": 3}"#).unwrap();
    fs::write(folder.join("module.wasm"), wat::parse_str(ADD).unwrap()).unwrap();
    fs::create_dir_all(folder.join(".venv/bin")).unwrap();
    let zig = folder.join(".venv/bin/zig");
    fs::write(&zig, "#!/bin/sh\ncp module.wasm build/module.wasm\n").unwrap();
    crate::support::home::chmod(&zig, 0o755);
    folder
}

fn refused(ended: &Ended, code: i32, message: &str) {
    assert_eq!(ended.code, Some(code), "{ended}");
    assert!(ended.stderr.contains(message), "{ended}");
}

#[test]
fn a_module_becomes_a_component_by_its_wit_and_carries_manifest_and_comments() {
    let home = Home::new();
    let folder = sums(&home);
    let built = plugin(&home, &["build", "made", "--json"]);
    assert_eq!(built.code, Some(0), "{built}");
    assert_eq!(built.json()["imported_not_requested"], json!([]));
    let bytes = fs::read(folder.join("build/made.wasm")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("wardroom-manifest") && holds(&fs::read_to_string(folder.join("wardroom.toml")).unwrap()));
    assert!(holds("wardroom-docs") && holds("Adds."));
    assert_eq!(home.record(&["made/build/made.wasm#add", "--input", r#"{"a": 20, "b": 22}"#]).result(), &json!(42));
}

#[test]
fn what_is_there_is_not_overwritten() {
    let home = Home::new();
    let folder = made(&home, "js");
    fs::write(folder.join("src/plugin.js"), "mine").unwrap();
    refused(&plugin(&home, &["new", "made", "--lang", "js"]), 1, "is there already");
    assert_eq!(fs::read_to_string(folder.join("src/plugin.js")).unwrap(), "mine");
    refused(&plugin(&home, &["new", "../made2", "--lang", "js"]), 1, "names no plugin");
    refused(&plugin(&home, &["new", "made2", "--lang", "cobol"]), 2, "possible values: rust, js, ts, python, c, go");
    refused(&plugin(&home, &["build", "."]), 1, "is no project");
}

#[test]
fn a_project_keeps_its_key_out_of_the_repository_and_says_how_it_is_signed() {
    for language in ["rust", "js", "ts", "python", "c", "go"] {
        let home = Home::new();
        let folder = made(&home, language);
        assert!(fs::read_to_string(folder.join(".gitignore")).unwrap().lines().any(|line| line == "*.key"), "{language}");
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(readme.contains("`wardroom plugin sign build/made.wasm --key=KEYFILE`"), "{language}: {readme}");
    }
}

#[test]
fn unknown_keys_are_refused_before_anything_is_compiled() {
    let home = Home::new();
    let folder = sums(&home);
    let manifest = folder.join("wardroom.toml");
    edit(&manifest, "version =", "raed = ['.']\nversion =");
    refused(&plugin(&home, &["build", "made"]), 3, "raed");
    edit(&manifest, "raed = ['.']\n", "");
    edit(&folder.join("project.toml"), "[grants]", "[grants]\nprocess = ['sh']");
    refused(&plugin(&home, &["build", "made"]), 3, "unknown field `process`");
    assert!(!folder.join("build").exists());
}

#[test]
fn a_compiler_that_is_missing_is_named_with_what_installs_it() {
    let home = Home::new();
    made(&home, "python");
    let mut command = home.command(&["plugin", "build", "made"]);
    command.env("PATH", "");
    let ended = Running::start(&mut command, b"").wait();
    refused(&ended, 1, "componentize-py is not installed");
    assert!(ended.stderr.contains(".venv/bin/pip install --requirement requirements.txt"), "{ended}");
}

#[test]
fn a_compiler_that_fails_leaves_no_plugin_and_is_heard() {
    let home = Home::new();
    let folder = sums(&home);
    fs::write(folder.join(".venv/bin/zig"), "#!/bin/sh\necho no such type >&2\nexit 4\n").unwrap();
    let ended = plugin(&home, &["build", "made"]);
    refused(&ended, 3, "exit status: 4");
    assert!(ended.stderr.contains("no such type") && !folder.join("build/made.wasm").exists(), "{ended}");
    refused(&plugin(&home, &["test", "made"]), 1, "is not built");
}

#[test]
fn what_is_asked_for_is_held_against_what_is_imported() {
    let home = Home::new();
    let folder = sums(&home);
    edit(&folder.join("wardroom.toml"), "version =", "state = '4KiB'\nversion =");
    let built = plugin(&home, &["build", "made", "--json"]).json();
    assert_eq!((&built["asks_for"], &built["requested_not_imported"]), (&json!(["state 4KiB"]), &json!(["state"])));
    let shown = plugin(&home, &["build", "made"]);
    assert!(shown.stderr.contains("asks for `state`, and nothing that it imports uses `state`"), "{shown}");
    edit(&folder.join("wardroom.toml"), "state = '4KiB'\n", "");
    let reads = r#"(module (import "wardroom:automation/state@0.1.0" "keys" (func (param i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
        (func (export "add") (param i32 i32) (result i32) i32.const 8 call 0 i32.const 0)
        (func (export "fail")))"#;
    fs::write(folder.join("module.wasm"), wat::parse_str(reads).unwrap()).unwrap();
    edit(&folder.join("wit/sums.wit"), "world sums {", "world sums {\n    import wardroom:automation/state@0.1.0;");
    let contract = folder.join("wit/deps/automation");
    fs::create_dir_all(&contract).unwrap();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/automation.wit"), contract.join("automation.wit")).unwrap();
    let refers_to = folder.join("wit/deps/io");
    fs::create_dir_all(&refers_to).unwrap();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/deps/io.wit"), refers_to.join("io.wit")).unwrap();
    let built = plugin(&home, &["build", "made", "--json"]);
    assert_eq!(built.code, Some(0), "{built}");
    let surplus = json!([{"capability": "state", "imports": ["wardroom:automation/state@0.1.0"]}]);
    assert_eq!(built.json()["imported_not_requested"], surplus);
}

#[test]
fn a_case_that_fails_is_shown_as_a_difference_and_ends_with_three() {
    let home = Home::new();
    let folder = sums(&home);
    assert_eq!(plugin(&home, &["build", "made"]).code, Some(0));
    let cases = folder.join("cases");
    fs::write(cases.join("traps.json"), r#"{"function": "fail", "failure": {"kind": "trap"}}"#).unwrap();
    fs::write(cases.join("wrong.json"), r#"{"function": "add", "params": {"a": 2, "b": 2}, "result": 5}"#).unwrap();
    let ended = plugin(&home, &["test", "made"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    let row = |name: &str| ended.text().lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(row("adds").contains("passed") && row("traps").contains("passed") && row("wrong").contains("failed"), "{ended}");
    assert!(ended.stderr.contains("-   \"result\": 5") && ended.stderr.contains("+   \"result\": 4"), "{ended}");
    assert_eq!(plugin(&home, &["test", "made", "--case", "adds"]).code, Some(0));
    refused(&plugin(&home, &["test", "made", "--case", "none"]), 1, "there is no case `none`");
    fs::write(cases.join("both.json"), r#"{"result": 1, "failure": {"kind": "trap"}}"#).unwrap();
    refused(&plugin(&home, &["test", "made"]), 3, "either `result` or `failure`");
}

#[test]
fn cases_run_with_the_grants_of_the_project_and_no_other() {
    if !has("python-zig") {
        return;
    }
    let home = Home::new();
    let folder = made(&home, "c");
    fs::remove_dir_all(folder.join("bindings")).unwrap();
    fs::create_dir(folder.join("bindings")).unwrap();
    fs::remove_dir_all(folder.join("cases")).unwrap();
    fs::create_dir(folder.join("cases")).unwrap();
    edit(&folder.join("wardroom.toml"), "version =", "read = [\"notes\"]\nversion =");
    // A plain command, of no WIT at all.
    edit(&folder.join("project.toml"), "wit = \"wit\"", "");
    let reads = "#include <stdio.h>\nint main(void) { FILE *file = fopen(\"notes/a.txt\", \"r\"); char text[16] = \"nothing\";\n\
        if (file) fgets(text, sizeof text, file); fputs(text, stdout); return 0; }\n";
    fs::write(folder.join("src/words.c"), reads).unwrap();
    fs::create_dir(folder.join("notes")).unwrap();
    fs::write(folder.join("notes/a.txt"), "a note").unwrap();
    fs::write(folder.join("cases/reads.json"), r#"{"result": "a note"}"#).unwrap();
    let built = plugin(&home, &["build", "made", "--json"]);
    assert_eq!(built.code, Some(0), "{built}");
    assert_eq!(built.json()["shape"], "command");
    let denied = plugin(&home, &["test", "made", "--json"]);
    assert_eq!((denied.code, &denied.json()["cases"][0]["found"]), (Some(3), &json!({"result": "nothing"})), "{denied}");
    assert_eq!(denied.json()["cases"][0]["refused"], json!(["--allow-read=notes"]), "{denied}");
    edit(&folder.join("project.toml"), "[grants]", "[grants]\nread = [\"notes\"]");
    let allowed = plugin(&home, &["test", "made"]);
    assert_eq!(allowed.code, Some(0), "{allowed}");
}
