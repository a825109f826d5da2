//! What is refused at the installation: with the reason, and with everything as
//! it was before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::with_section;
use crate::support::guests;
use crate::support::home::{BINARY, Home, Running};

/// Everything below the home that a refusal must leave as it is.
fn state(home: &Home) -> (Vec<String>, Vec<PathBuf>) {
    let components = fs::read_dir(home.path().join("components")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = components.map(|entry| entry.path()).collect();
    files.sort();
    (home.installed(), files)
}

#[track_caller]
pub(super) fn refused(home: &Home, file: &Path, name: &str, code: i32, reason: &str) {
    let before = state(home);
    let ended = home.try_plugin(&["install", file.to_str().unwrap(), "--name", name]);
    assert_eq!(ended.code, Some(code), "{ended}");
    assert!(ended.stderr.contains(reason), "expected `{reason}`: {ended}");
    assert_eq!(state(home), before, "nothing is changed");
}

fn wat(home: &Home, name: &str, text: &str) -> PathBuf {
    home.file(name, wat::parse_str(text).unwrap_or_else(|error| panic!("{error}")))
}

/// A component of functions that do nothing.
fn functions(names: impl Iterator<Item = String>) -> String {
    let exports: String = names.map(|name| format!("(export \"{name}\" (func $f))")).collect();
    format!(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            {exports})"#
    )
}

#[test]
fn a_program_that_is_none_or_fits_nothing_here_is_refused() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    let typed = fs::read(guests::typed()).unwrap();
    let file = |name: &str, bytes: &[u8]| home.file(name, bytes);
    refused(&home, &file("cut.wasm", &typed[..typed.len() - 7]), "cut", 3, "no valid WebAssembly");
    refused(&home, &file("empty.wasm", b""), "empty", 3, "the file is empty");
    refused(&home, &file("text.wasm", b"hello"), "text", 3, "no WebAssembly");
    refused(&home, &file("x.py", b"print()"), "python", 3, "neither WebAssembly nor a script");
    refused(&home, &file("bad.ts", b"const = ;"), "bad-ts", 3, "SyntaxError");
    refused(&home, &home.work(), "folder", 1, "no regular file");
    refused(&home, &home.work().join("none.wasm"), "none", 1, "cannot be read");
    let newer = r#"(component (import "wardroom:automation/log@0.9.0" (instance (export "f" (func)))))"#;
    refused(&home, &wat(&home, "newer.wasm", newer), "newer", 3, "is served in version 0.1.0");
    refused(&home, &wat(&home, "nothing.wasm", "(component)"), "nothing", 3, "exports nothing that can be called");
    let many = functions((0..257).map(|n| format!("f{n}")));
    refused(&home, &wat(&home, "many.wasm", &many), "many", 3, "257 functions: expected at most 256");
}

#[test]
fn a_file_of_half_a_gigabyte_is_refused_unread() {
    let home = Home::new();
    let path = home.work().join("huge.wasm");
    fs::File::create(&path).unwrap().set_len(500 << 20).unwrap();
    refused(&home, &path, "huge", 3, "more than the 67108864 that are read");
}

#[test]
fn names_are_taken_once_and_have_one_form() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    let other = home.file("other.js", "return 1;");
    refused(&home, &other, "typed", 1, "there is a plugin `typed` already");
    refused(&home, &other, "task", 1, "`task` is reserved");
    refused(&home, &other, "Typed", 1, "names no plugin");
    refused(&home, &other, "log-message", 1, "is a template's name");
    let odd = home.file("odd_name.js", "return 1;");
    let ended = home.try_plugin(&["install", odd.to_str().unwrap()]);
    assert!(ended.code == Some(1) && ended.stderr.contains("--name=NAME"), "{ended}");
}

#[test]
fn functions_that_cannot_be_told_apart_are_refused() {
    let home = Home::new();
    let two = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $one (export "f" (func $f)))
        (instance $two (export "f" (func $f)))
        (export "a:x/ops@1.0.0" (instance $one))
        (export "b:y/ops@1.0.0" (instance $two)))"#;
    refused(&home, &wat(&home, "two.wasm", two), "two", 3, "`ops.f` and `ops.f`");
    let one = two.replace("b:y/ops", "b:y/other");
    assert_eq!(home.install(&wat(&home, "one.wasm", &one), "one")["functions"], json!(["ops.f", "other.f"]));
}

#[test]
fn a_manifest_that_does_not_hold_or_lies_is_refused() {
    let home = Home::new();
    for (manifest, code, reason) in [
        ("process = true", 3, "line 1 of the manifest does not hold: unknown field `process`"),
        ("name = 'x'\nnet = ['ftp://x']", 3, "line 2 of the manifest"),
        ("net = ['{params.url}']", 3, "the param `url`, which is not declared"),
        ("[reasons]\nnet = 'to ask'", 3, "a reason is given for `net`, which nothing asks for"),
        ("[params.x]\ntype = 'string'", 3, "declares params, which only a task or a script takes"),
        ("state = '1GiB'", 3, "out of range"),
    ] {
        let file = home.with_manifest(&guests::typed(), "lies.wasm", manifest);
        refused(&home, &file, "lies", code, reason);
        assert_eq!(
            home.run(&["inspect", file.to_str().unwrap()]).code,
            Some(if manifest.contains("params.x") { 0 } else { 3 }),
            "{manifest}"
        );
    }
    let typed = fs::read(guests::typed()).unwrap();
    let twice = with_section(&with_section(&typed, "wardroom-manifest", b"name = 'a'"), "wardroom-manifest", b"name = 'b'");
    refused(&home, &home.file("twice.wasm", twice), "twice", 3, "its manifest cannot be read: there are several");
    let binary = with_section(&typed, "wardroom-manifest", b"\xff\xfe");
    refused(&home, &home.file("binary.wasm", binary), "binary", 3, "it is no UTF-8");
}

/// Runs the binary while no file may have more than so many bytes.
fn with_small_files(home: &Home, blocks: u32, args: &[&str]) -> crate::support::home::Ended {
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("/bin/sh");
    home.prepare(&mut command);
    command.args(["-c", &line, "sh", BINARY]).args(args);
    Running::start(&mut command, b"").wait()
}

#[test]
fn a_disk_that_is_full_half_way_leaves_what_was_there() {
    let home = Home::new();
    home.install(&guests::task(), "worker");
    let before = state(&home);
    // Larger than what may be written, and prepared by nobody: it is a script.
    let large = home.file("large.js", format!("// {}\nreturn 1;", "x".repeat(3 << 20)));
    let large = large.to_str().unwrap();
    let full = with_small_files(&home, 2048, &["plugin", "install", large, "--name", "large"]);
    assert_eq!(full.code, Some(70), "{full}");
    assert!(full.stderr.contains("cannot be used"), "{full}");
    assert_eq!(state(&home), before);
    let full = with_small_files(&home, 2048, &["plugin", "upgrade", "worker", large]);
    assert_eq!(full.code, Some(70), "{full}");
    assert_eq!(state(&home), before);
    assert_eq!(home.record(&["worker"]).succeeded().word("status"), "success");
    home.plugin(&["install", large, "--name", "large"]);
}
