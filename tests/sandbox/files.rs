//! Folders: read where reading was granted, changed where writing was.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wardroom_core::capability::Capability;
use wardroom_core::failure::FailureKind;

use super::{refusal, refusals};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    folder
}

/// A command that does these operations.
fn files(operations: &Value) -> Job {
    Job::command("files").stdin(operations.to_string())
}

fn all_errors(answers: &Value) -> bool {
    answers.as_array().unwrap().iter().all(|answer| answer.get("error").is_some())
}

/// Every operation that changes something, on `/data`.
fn changes() -> Value {
    json!([
        ["write", "/data/new.txt", "x"],
        ["write", "/data/a.txt", "x"],
        ["append", "/data/a.txt", "x"],
        ["truncate", "/data/a.txt"],
        ["touch", "/data/a.txt"],
        ["mkdir", "/data/new"],
        ["rmdir", "/data/sub"],
        ["remove", "/data/a.txt"],
        ["rename", "/data/a.txt", "/data/b.txt"],
        ["copy", "/data/a.txt", "/data/c.txt"],
        ["hardlink", "/data/a.txt", "/data/d.txt"],
        ["symlink", "a.txt", "/data/e.txt"],
    ])
}

fn unchanged(folder: &Path) -> bool {
    let names = |path: &Path| {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    };
    names(folder) == ["a.txt", "sub"] && names(&folder.join("sub")).is_empty() && fs::read(folder.join("a.txt")).unwrap() == b"one"
}

#[test]
fn a_folder_granted_for_reading_is_read() {
    let folder = folder();
    let operations = json!([["read", "/data/a.txt"], ["list", "/data"], ["stat", "/data/a.txt"], ["read", "/data/none.txt"]]);
    let finished = files(&operations).folder("/data", folder.path(), false).finish();
    let answers = finished.json();
    assert_eq!(answers[0], json!({ "ok": "one" }));
    assert_eq!(answers[1], json!({ "ok": "a.txt sub" }));
    assert!(answers[2]["ok"].as_str().unwrap().ends_with(" 3"));
    assert_eq!(answers[3]["error"], "NotFound");
    assert_eq!((refusals(&finished).len(), finished.seen.effects), (0, 0), "reading is no effect");
}

#[test]
fn a_name_that_is_no_text_is_left_out_of_a_listing_and_the_others_are_not() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    for name in [&b"\xff"[..], b"b\xc3.txt"] {
        fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let finished = files(&json!([["list", "/data"], ["list", "/data"]])).folder("/data", folder.path(), false).finish();
    assert_eq!(finished.json(), &json!([{ "ok": "a.txt sub" }, { "ok": "a.txt sub" }]));
    let said: Vec<_> = finished.lines().into_iter().filter(|line| line.contains("not UTF-8")).collect();
    assert_eq!(said.len(), 1, "{:?}", finished.seen.lines);
    let script = Job::script("return (await fs.readdir('/data')).sort()").folder("/data", folder.path(), false).finish();
    assert_eq!(script.json(), &json!(["a.txt", "sub"]));
}

#[test]
fn a_folder_granted_for_reading_is_read_denied() {
    let folder = folder();
    let path = folder.path().join("a.txt").to_str().unwrap().to_owned();
    let finished = files(&json!([["read", path]])).finish();
    assert!(all_errors(finished.json()), "{}", finished.json());
    let refusal = refusal(&finished);
    assert_eq!((refusal.capability, refusal.reason.as_str()), (Capability::Read, "it lies outside of the granted folders"));
    // The fence stands at the root: what arrives there has lost its first slash.
    let seen = folder.path().to_str().unwrap().trim_start_matches('/');
    assert_eq!(refusal.flag(), Some(format!("--allow-read={seen}")));
}

#[test]
fn the_operator_is_told_the_folder_that_would_help() {
    let (home, folder) = (Home::new(), folder());
    let path = folder.path().join("a.txt").to_str().unwrap().to_owned();
    let script = home.file("s.js", format!("return await fs.readFile({path:?}, 'utf8')"));
    let refused = home.record(&[script.to_str().unwrap()]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    let flag = format!("--allow-read={}", folder.path().display());
    assert!(refused.ended.stderr.contains(&format!("`{flag}`")), "{}", refused.ended);
    assert_eq!(home.record(&[&flag, script.to_str().unwrap()]).succeeded().result(), "one");
}

#[test]
fn a_folder_granted_for_writing_is_read_and_changed() {
    let folder = folder();
    let operations = json!([
        ["write", "/data/new.txt", "x"],
        ["append", "/data/new.txt", "y"],
        ["read", "/data/new.txt"],
        ["mkdir", "/data/more"],
        ["rename", "/data/new.txt", "/data/more/moved.txt"],
        ["copy", "/data/more/moved.txt", "/data/copy.txt"],
        ["remove", "/data/a.txt"],
        ["rmdir", "/data/sub"],
        ["list", "/data"],
    ]);
    let finished = files(&operations).folder("/data", folder.path(), true).finish();
    let answers = finished.json().as_array().unwrap();
    assert!(answers.iter().all(|answer| answer.get("ok").is_some()), "{answers:?}");
    assert_eq!((&answers[2]["ok"], &answers[8]["ok"]), (&json!("xy"), &json!("copy.txt more")));
    assert_eq!(fs::read(folder.path().join("more/moved.txt")).unwrap(), b"xy");
    assert!(finished.seen.effects >= 1, "the start row comes before the first change");
}

#[test]
fn a_folder_granted_for_writing_is_read_and_changed_denied() {
    let folder = folder();
    let path = folder.path().join("new.txt").to_str().unwrap().to_owned();
    let finished = files(&json!([["write", path, "x"]])).finish();
    assert!(all_errors(finished.json()), "{}", finished.json());
    let refusal = refusal(&finished);
    assert_eq!(refusal.capability, Capability::Write);
    let seen = folder.path().to_str().unwrap().trim_start_matches('/');
    assert_eq!(refusal.flag(), Some(format!("--allow-write={seen}")));
    assert!(unchanged(folder.path()) && finished.seen.effects == 0);
}

#[test]
fn a_folder_granted_for_reading_is_not_changed_in_any_way() {
    let folder = folder();
    let finished = files(&changes()).folder("/data", folder.path(), false).finish();
    assert!(all_errors(finished.json()), "{}", finished.json());
    assert!(unchanged(folder.path()) && finished.seen.effects == 0);
    let refused = &finished.outcome.usage.refusals;
    let wanted: Vec<&str> = refused.iter().map(|refusal| refusal.wanted.as_str()).collect();
    assert_eq!(wanted, ["new.txt", "a.txt", "new", "sub", "c.txt", "e.txt"], "each once");
    assert!(refused.iter().all(|refusal| refusal.reason == "the folder was granted for reading only"), "{refused:?}");
    assert!(refused.iter().all(|refusal| refusal.flag().as_deref() == Some("--allow-write=/data")), "{refused:?}");
}

#[test]
fn of_two_folders_each_keeps_its_own_right() {
    let (read, write) = (folder(), folder());
    let operations = json!([
        ["write", "/in/x.txt", "x"],
        ["write", "/out/x.txt", "x"],
        ["rename", "/out/a.txt", "/in/b.txt"],
        ["rename", "/in/a.txt", "/out/b.txt"],
        ["hardlink", "/in/a.txt", "/out/c.txt"],
        ["copy", "/in/a.txt", "/out/d.txt"],
    ]);
    let finished = files(&operations).folder("/in", read.path(), false).folder("/out", write.path(), true).finish();
    let ok: Vec<bool> = finished.json().as_array().unwrap().iter().map(|answer| answer.get("ok").is_some()).collect();
    assert_eq!(ok, [false, true, false, false, false, true], "{}", finished.json());
    assert!(unchanged(read.path()));
}

#[test]
fn a_write_grant_does_not_widen_what_a_header_asks_to_read() {
    let home = Home::new();
    home.file("data/a.txt", "one");
    let header = "// /// wardroom\n// read = [\"data\"]\n// ///\n";
    let script = home.file("s.js", format!("{header}await fs.writeFile('data/a.txt', 'x'); return 1"));
    let refused = home.record(&[script.to_str().unwrap(), "--allow-write=data"]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    assert_eq!(fs::read(home.work().join("data/a.txt")).unwrap(), b"one");
}

#[test]
fn nothing_is_changed_where_the_start_row_cannot_be_written() {
    let folder = folder();
    for operation in changes().as_array().unwrap() {
        let finished = files(&json!([operation])).folder("/data", folder.path(), true).without_start_row().finish();
        // `copy` reads first; making a link is refused before anything else.
        assert_eq!(finished.failure().0, FailureKind::Host, "{operation}");
        assert!(unchanged(folder.path()), "{operation}");
    }
}

#[test]
fn links_are_never_made_for_a_program() {
    let folder = folder();
    let finished = files(&json!([["symlink", "../..", "/data/up"]])).folder("/data", folder.path(), true).finish();
    assert!(all_errors(finished.json()));
    assert_eq!(refusal(&finished).reason, "links are never made or moved for a program");
    assert!(unchanged(folder.path()));
}

#[test]
fn a_missing_folder_is_the_operators_to_correct() {
    let home = Home::new();
    let guest = guests::command("files");
    let ended = home.feed(&["run", "--allow-read=not-there", guest.to_str().unwrap()], "[]");
    assert!(matches!(ended.code, Some(1 | 2)), "{ended}");
    assert!(ended.stderr.contains("not-there"), "{ended}");
}
