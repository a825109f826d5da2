//! Environment variables: those named, and no other.

use serde_json::json;

use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

const OPERATORS: [(&str, &str); 3] = [("TEST_TOKEN", "canary"), ("HOME", "/home/operator"), ("PATH", "/bin")];

#[test]
fn a_granted_variable_is_seen_and_no_other() {
    let finished = Job::command("env").environment(&OPERATORS).env("TEST_TOKEN").finish();
    assert_eq!(finished.json(), &json!({ "TEST_TOKEN": "canary" }));
    let script = Job::script("return process.env").environment(&OPERATORS).env("HOME").finish();
    assert_eq!(script.json(), &json!({ "HOME": "/home/operator" }));
}

#[test]
fn a_granted_variable_is_seen_and_no_other_denied() {
    let finished = Job::command("env").environment(&OPERATORS).finish();
    assert_eq!(finished.json(), &json!({}));
    let script = Job::script("return process.env").environment(&OPERATORS).finish();
    assert_eq!(script.json(), &json!({}));
}

#[test]
fn a_granted_variable_that_is_not_set_is_absent() {
    let finished = Job::command("env").environment(&OPERATORS).env("NOT_SET").finish();
    assert_eq!(finished.json(), &json!({}));
}

#[test]
fn the_command_lines_own_environment_stays_outside() {
    let home = Home::new();
    let guest = guests::command("env");
    let run = |flags: &[&str]| {
        let mut command = home.command(&["run", "--json"]);
        command.args(flags).arg(&guest).env("TEST_TOKEN", "canary").env("OTHER", "canary");
        let ended = crate::support::home::Running::start(&mut command, b"").wait();
        assert_eq!(ended.code, Some(0), "{ended}");
        ended.json()["output"]["json"].clone()
    };
    assert_eq!(run(&[]), json!({}));
    assert_eq!(run(&["--allow-env=TEST_TOKEN"]), json!({ "TEST_TOKEN": "canary" }));
}
