//! The official clients do the whole story, each in the eras that it speaks.
//!
//! They are installed by `tests/clients/install`; without them the tests say so.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::approve;
use crate::support::home::{BINARY, Home};
use crate::support::parts::needs;
use crate::support::server::Server;

pub(super) fn folder() -> PathBuf {
    // Where cargo puts what it builds, whatever it was told.
    let target = PathBuf::from(BINARY).ancestors().nth(2).map(PathBuf::from).unwrap_or_default();
    target.join("clients")
}

fn program(name: &str) -> Option<PathBuf> {
    let path = if name == "python" { folder().join("venv/bin/python") } else { PathBuf::from("node") };
    let part = if name == "python" { path.clone() } else { folder().join("node_modules/@modelcontextprotocol/client") };
    let present = part.exists() && Command::new(&path).arg("--version").output().is_ok_and(|output| output.status.success());
    if !needs("the official MCP clients", present, "tests/clients/install") {
        return None;
    }
    // Beside what they import: that is where Node looks.
    static COPIED: std::sync::Once = std::sync::Once::new();
    COPIED.call_once(|| {
        let told = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients"));
        for story in ["story.py", "story.mjs", "story-v1.mjs", "story-v2.mjs"] {
            std::fs::copy(told.join(story), folder().join(story)).unwrap();
        }
    });
    Some(path)
}

/// Runs a story to its end; approves what it asks for.
fn tell(program: &std::path::Path, words: &dyn Fn(&str, &str) -> Vec<String>) {
    let (home, server) = (Home::new(), Server::start());
    // What clients give a server is little; the data folder is ours to name.
    let env = serde_json::json!({ "WARDROOM_HOME": home.path(), "HOME": home.work(), "PATH": std::env::var("PATH").unwrap_or_default() });
    let mut command = Command::new(program);
    command.args(words(&format!("{}/a", server.base()), &env.to_string())).current_dir(folder());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout, mut stderr) = (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        drop(std::io::Read::read_to_string(&mut stderr, &mut text));
        text
    });
    // A story that hangs is ended, so that a test does not.
    let pid = rustix::process::Pid::from_child(&child);
    let (over, watch) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if watch.recv_timeout(crate::support::PATIENCE * 2).is_err() {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    });
    let mut heard = Vec::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if let Some(id) = line.strip_prefix("approve ") {
            if approve(&home, id).is_none() {
                drop(child.kill());
                drop(child.wait());
                return;
            }
            writeln!(stdin, "approved").unwrap();
        }
        heard.push(line);
    }
    let status = child.wait().unwrap();
    over.send(()).ok();
    guard.join().unwrap();
    let complaints = complaints.join().unwrap();
    println!("{heard:?}");
    assert!(status.success() && heard.last().is_some_and(|line| line == "done"), "{heard:?}\n{complaints}");
}

#[test]
fn the_python_client_in_both_eras() {
    let Some(python) = program("python") else { return };
    for mode in ["auto", "legacy"] {
        tell(&python, &|url, env| vec!["story.py".into(), mode.into(), BINARY.into(), url.into(), env.into()]);
    }
}

#[test]
fn the_person_in_front_of_a_trusted_client_approves_in_both_eras() {
    let Some(python) = program("python") else { return };
    for mode in ["auto", "legacy"] {
        let args = r#"["mcp", "--elicitation=trusted"]"#;
        tell(&python, &|url, env| vec!["story.py".into(), mode.into(), BINARY.into(), url.into(), env.into(), args.into()]);
    }
}

#[test]
fn the_first_typescript_client() {
    let Some(node) = program("node") else { return };
    tell(&node, &|url, env| vec!["story-v1.mjs".into(), BINARY.into(), url.into(), env.into()]);
}

#[test]
fn the_second_typescript_client_in_both_eras() {
    let Some(node) = program("node") else { return };
    for mode in ["auto", "legacy"] {
        tell(&node, &|url, env| vec!["story-v2.mjs".into(), BINARY.into(), url.into(), env.into(), mode.into()]);
    }
}
