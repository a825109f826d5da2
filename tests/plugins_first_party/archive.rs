//! Archives that other programs made, and that other programs read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Function, failure, printed};
use crate::support::home::Home;
use crate::support::parts::needs;

/// Whether Python and tar are there.
pub(super) fn tools() -> bool {
    let there = |tool: &str, arg: &str| Command::new(tool).arg(arg).output().is_ok_and(|ended| ended.status.success());
    needs("python3", there("python3", "--version"), "apt-get install python3")
        && needs("tar", there("tar", "--version"), "apt-get install tar")
}

/// Every file below a folder with its bytes, every folder with none.
pub(super) fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if entry.is_dir() {
                left.push(entry);
                found.insert(name, None);
            } else {
                found.insert(name, Some(fs::read(entry).unwrap()));
            }
        }
    }
    found
}

/// A home with a folder `in` of files, and an empty folder `out`.
fn home() -> Home {
    let home = Home::new();
    home.file("in/a.txt", "hello\n");
    home.file("in/deep/er/blob", (0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    home.file("in/deep/grüße 1", "ü");
    home.file("in/none", "");
    fs::create_dir(home.work().join("in/empty")).unwrap();
    fs::create_dir(home.work().join("out")).unwrap();
    home
}

/// Python: makes `in.zip` and `in.tar.xx` of the folder `in`.
const MAKE: &str = "import os, tarfile, zipfile\n\
    with zipfile.ZipFile('out/python.zip', 'w', zipfile.ZIP_DEFLATED) as z:\n\
    \x20   for folder, folders, files in os.walk('in'):\n\
    \x20       for name in folders + files: p = os.path.join(folder, name); z.write(p, os.path.relpath(p, 'in'))\n\
    for mode, name, form in [('w', 'gnu.tar', tarfile.GNU_FORMAT), ('w:gz', 'pax.tgz', tarfile.PAX_FORMAT), ('w', 'ustar.tar', tarfile.USTAR_FORMAT)]:\n\
    \x20   with tarfile.open('out/' + name, mode, format=form) as t: t.add('in', '.')\n";

#[test]
fn archives_of_other_programs_are_extracted_as_they_were() {
    if !tools() {
        return;
    }
    let home = home();
    let deep = format!("in/{}/{}/long", "d".repeat(120), "e".repeat(120));
    printed(Command::new("python3").args(["-c", MAKE]).current_dir(home.work()));
    // What a plain tar cannot name needs the extensions.
    home.file(&deep, "far down");
    printed(Command::new("tar").args(["czf", "out/system.tar.gz", "-C", "in", "."]).current_dir(home.work()));
    let extract = Function::of(&home, "archive", "extract");
    for (file, files, folders) in [("python.zip", 4, 3), ("gnu.tar", 4, 3), ("pax.tgz", 4, 3), ("ustar.tar", 4, 3), ("system.tar.gz", 5, 5)]
    {
        let into = format!("into-{file}");
        fs::create_dir(home.work().join(&into)).unwrap();
        let params = json!({ "folder": "out", "file": file, "into": into });
        let record = extract.call(&params, &["--allow-read=out", &format!("--allow-write={into}")]);
        let result = record.succeeded().result();
        assert_eq!((&result["files"], &result["folders"]), (&json!(files), &json!(folders)), "{file}");
        let mut expected = tree(&home.work().join("in"));
        expected.retain(|name, _| file == "system.tar.gz" || !name.starts_with("ddd"));
        assert_eq!(tree(&home.work().join(&into)), expected, "{file}");
    }
}

#[test]
fn archives_are_created_as_other_programs_read_them() {
    if !tools() {
        return;
    }
    let home = home();
    let create = Function::of(&home, "archive", "create");
    for (file, format) in [("a.zip", json!(null)), ("a.tar", json!(null)), ("a.tar.gz", json!(null)), ("a.backup", json!("tar_gz"))] {
        let record = create
            .call(&json!({ "folder": "in", "into": "out", "file": file, "format": format }), &["--allow-read=in", "--allow-write=out"]);
        let result = record.succeeded().result();
        let archive = home.work().join("out").join(file);
        assert_eq!(result, &json!({ "entries": 7, "bytes": fs::metadata(&archive).unwrap().len() }), "{file}");
        let folder = home.work().join(format!("read-{file}"));
        fs::create_dir(&folder).unwrap();
        let mut reader = if file == "a.zip" { Command::new("python3") } else { Command::new("tar") };
        match file {
            "a.zip" => reader.args(["-m", "zipfile", "-e"]).arg(&archive).arg(&folder),
            _ => reader.arg("xf").arg(&archive).arg("-C").arg(&folder),
        };
        printed(&mut reader);
        assert_eq!(tree(&folder), tree(&home.work().join("in")), "{file}");
    }
    let some = json!({ "folder": "in", "names": ["deep/er", "./a.txt"], "into": "out", "file": "some.zip" });
    create.call(&some, &["--allow-read=in", "--allow-write=out"]).succeeded();
    let listed = printed(
        Command::new("python3").args(["-c", "import zipfile; print(zipfile.ZipFile('out/some.zip').namelist())"]).current_dir(home.work()),
    );
    assert_eq!(listed.trim(), "['deep/er/', 'deep/er/blob', 'a.txt']");
}

#[test]
fn an_archive_is_listed_with_what_would_be_refused() {
    if !tools() {
        return;
    }
    let home = home();
    std::os::unix::fs::symlink("a.txt", home.work().join("in/link")).unwrap();
    fs::remove_dir_all(home.work().join("in/deep")).unwrap();
    printed(Command::new("tar").args(["cf", "out/a.tar", "--sort=name", "-C", "in", "."]).current_dir(home.work()));
    let listed = Function::of(&home, "archive", "list").call(&json!({ "folder": "out", "file": "a.tar" }), &["--allow-read=out"]);
    let entry =
        |name: &str, kind: &str, bytes: u64, problem: Value| json!({ "name": name, "kind": kind, "bytes": bytes, "problem": problem });
    let entries = json!([
        entry("./", "folder", 0, json!(null)),
        entry("./a.txt", "file", 6, json!(null)),
        entry("./empty/", "folder", 0, json!(null)),
        entry("./link", "other", 0, json!("link")),
        entry("./none", "file", 0, json!(null)),
    ]);
    assert_eq!(listed.succeeded().result(), &json!({ "format": "tar", "entries": entries }));
}

#[test]
fn nothing_that_is_there_is_replaced_and_nothing_is_left_of_what_was_begun() {
    if !tools() {
        return;
    }
    let home = home();
    printed(Command::new("python3").args(["-c", MAKE]).current_dir(home.work()));
    home.file("into/none", "mine");
    let flags = ["--allow-read=in", "--allow-write=out", "--allow-write=into"];
    for file in ["python.zip", "gnu.tar", "pax.tgz"] {
        let refused = Function::of(&home, "archive", "extract").call(&json!({ "folder": "out", "file": file, "into": "into" }), &flags);
        assert_eq!(failure(&refused), json!({ "exists": "`into/none` is there already" }), "{file}");
        let left = tree(&home.work().join("into"));
        assert_eq!(left, BTreeMap::from([("none".to_owned(), Some(b"mine".to_vec()))]), "{file}");
    }
    let before = fs::read(home.work().join("out/gnu.tar")).unwrap();
    let refused = Function::of(&home, "archive", "create").call(&json!({ "folder": "in", "into": "out", "file": "gnu.tar" }), &flags);
    assert_eq!(failure(&refused), json!({ "exists": "`out/gnu.tar` is there already" }));
    assert_eq!(fs::read(home.work().join("out/gnu.tar")).unwrap(), before);
}

#[test]
fn links_and_pipes_are_not_archived() {
    let home = home();
    std::os::unix::fs::symlink("/etc/passwd", home.work().join("in/deep/link")).unwrap();
    printed(Command::new("mkfifo").arg(home.work().join("in/pipe")));
    let flags = ["--allow-read=in", "--allow-write=out"];
    let refused = Function::of(&home, "archive", "create").call(&json!({ "folder": "in", "into": "out", "file": "a.zip" }), &flags);
    let problem = |name: &str, reason: &str| json!({ "name": name, "reason": reason });
    assert_eq!(failure(&refused), json!({ "refused": [problem("deep/link", "link"), problem("pipe", "special_file")] }));
    let outside = json!({ "folder": "in", "names": ["../secret"], "into": "out", "file": "a.zip" });
    let refused = Function::of(&home, "archive", "create").call(&outside, &flags);
    assert_eq!(failure(&refused), json!({ "invalid": "`../secret` is no path below `in`" }));
    assert_eq!(tree(&home.work().join("out")).len(), 0);
}

#[test]
fn nothing_is_read_or_written_without_its_grant_and_the_flag_is_named() {
    if !tools() {
        return;
    }
    let home = home();
    printed(Command::new("python3").args(["-c", MAKE]).current_dir(home.work()));
    fs::create_dir(home.work().join("into")).unwrap();
    let params = json!({ "folder": "out", "file": "python.zip", "into": "into" });
    let extract = Function::of(&home, "archive", "extract");
    for (flags, hint) in [
        (&[][..], "Allow it with `--allow-read=out`."),
        (&["--allow-read=out"][..], "Allow it with `--allow-read=into`."),
        (&["--allow-read=out", "--allow-read=into"][..], "Allow it with `--allow-write="),
    ] {
        let refused = extract.call(&params, flags);
        assert!(failure(&refused)["denied"].is_string(), "{}", refused.ended);
        assert!(refused.ended.stderr.contains(hint), "{hint}: {}", refused.ended);
        assert_eq!(tree(&home.work().join("into")).len(), 0);
    }
}
