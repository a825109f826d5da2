//! Does what a list of file operations says, and answers what came of each.
//!
//! In: `[["read", "a.txt"], ["rename", "a", "b"], …]` on standard input. Out:
//! `[{"ok": "text"}, {"error": "NotFound", "code": 44}, …]`.

use std::fs;
use std::io::{self, Read};

use serde_json::{Value, json};

fn main() {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("standard input is text");
    let operations: Vec<Vec<String>> = serde_json::from_str(&text).expect("a list of lists of texts");
    let answers: Vec<Value> = operations.iter().map(|operation| answer(&run(operation))).collect();
    println!("{}", Value::from(answers));
}

fn answer(result: &io::Result<String>) -> Value {
    match result {
        Ok(text) => json!({ "ok": text }),
        Err(error) => json!({ "error": format!("{:?}", error.kind()), "code": error.raw_os_error() }),
    }
}

fn run(operation: &[String]) -> io::Result<String> {
    let words: Vec<&str> = operation.iter().map(String::as_str).collect();
    let done = |result: io::Result<()>| result.map(|()| String::new());
    match words.as_slice() {
        ["read", path] => fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ["list", path] => list(path),
        ["stat", path] => fs::metadata(path).map(|meta| format!("{:?} {}", meta.file_type(), meta.len())),
        ["lstat", path] => fs::symlink_metadata(path).map(|meta| format!("{:?} {}", meta.file_type(), meta.len())),
        ["readlink", path] => fs::read_link(path).map(|target| target.to_string_lossy().into_owned()),
        ["write", path, text] => done(fs::write(path, text)),
        ["append", path, text] => append(path, text),
        ["mkdir", path] => done(fs::create_dir(path)),
        ["rmdir", path] => done(fs::remove_dir(path)),
        ["remove", path] => done(fs::remove_file(path)),
        ["rename", from, to] => done(fs::rename(from, to)),
        ["copy", from, to] => fs::copy(from, to).map(|bytes| bytes.to_string()),
        ["hardlink", from, to] => done(fs::hard_link(from, to)),
        ["symlink", target, link] => symlink(target, link),
        ["truncate", path] => done(fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0))),
        ["touch", path] => touch(path),
        _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}

fn list(path: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names.join(" "))
}

fn append(path: &str, text: &str) -> io::Result<String> {
    use std::io::Write;
    fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes()).map(|()| String::new())
}

fn touch(path: &str) -> io::Result<String> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).map(|()| String::new())
}

/// std has no stable call for it here, so straight to the interface, below the
/// preopen that the link's name starts with.
fn symlink(target: &str, link: &str) -> io::Result<String> {
    use wasip2::filesystem::preopens::get_directories;
    for (folder, name) in get_directories() {
        if let Some(rest) = link.strip_prefix(&format!("{name}/")) {
            return match folder.symlink_at(target, rest) {
                Ok(()) => Ok(String::new()),
                Err(code) => Err(io::Error::other(format!("{code:?}"))),
            };
        }
    }
    Err(io::Error::from(io::ErrorKind::NotFound))
}
