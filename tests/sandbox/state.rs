//! State: kept for runs that succeed, up to its quota, and only where granted.

use serde_json::json;
use wardroom_core::capability::Capability;
use wardroom_core::failure::FailureKind;

use super::refusal;
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

fn job(params: serde_json::Value) -> Job {
    Job::file(&guests::task()).params(params)
}

#[test]
fn state_is_read_and_changed() {
    let params = json!({ "set": { "b": "2" }, "delete": ["a"], "get": ["a", "b", "c"], "keys": true });
    let finished = job(params).state(100, &[("a", "1"), ("c", "3")]).finish();
    let expected = json!({ "set b": null, "delete a": null, "get a": null, "get b": "2", "get c": "3", "keys": ["b", "c"] });
    assert_eq!(finished.json()["state"], expected);
    let changes = vec![("a".to_owned(), None), ("b".to_owned(), Some("2".to_owned()))];
    assert_eq!(finished.outcome.state_changes, changes);
}

#[test]
fn state_is_read_and_changed_denied() {
    let params = json!({ "set": { "b": "2" }, "delete": ["a"], "get": ["a"], "keys": true });
    let finished = job(params).finish();
    let denied = json!({ "error": "denied" });
    assert_eq!(finished.json()["state"], json!({ "set b": denied, "delete a": denied, "get a": denied, "keys": denied }));
    let refusal = refusal(&finished);
    assert_eq!((refusal.capability, refusal.reason.as_str()), (Capability::State, "no state was granted"));
    assert_eq!(refusal.flag().as_deref(), Some("--state=64KiB"));
    assert!(finished.outcome.state_changes.is_empty());
}

#[test]
fn a_write_beyond_the_quota_changes_nothing() {
    let params = json!({ "set": { "a": "x".repeat(100), "b": "fits" }, "get": ["a", "b"] });
    let finished = job(params).state(50, &[]).finish();
    let quota = json!({ "error": "quota" });
    assert_eq!(finished.json()["state"], json!({ "set a": quota, "set b": null, "get a": null, "get b": "fits" }));
}

#[test]
fn a_key_is_neither_empty_nor_longer_than_256_bytes() {
    let long = "k".repeat(257);
    let just = "k".repeat(256);
    let finished = job(json!({ "get": ["", long, just] })).state(1000, &[]).finish();
    let wrong = json!({ "error": "invalid-key" });
    let mut expected = serde_json::Map::new();
    expected.insert("get ".to_owned(), wrong.clone());
    expected.insert(format!("get {long}"), wrong);
    expected.insert(format!("get {just}"), json!(null));
    assert_eq!(finished.json()["state"], serde_json::Value::Object(expected));
}

#[test]
fn state_lasts_from_one_successful_run_to_the_next_and_a_failed_one_leaves_no_trace() {
    let home = Home::new();
    let guest = guests::task();
    let run = |params: &str| home.record(&[guest.to_str().unwrap(), "--state=4KiB", "--input", params]);
    run(r#"{"set": {"kept": "one"}}"#).succeeded();
    let failed = run(r#"{"set": {"kept": "two", "more": "x"}, "end": "failed"}"#);
    assert_eq!(failed.ending(), ("failed", "failed", "guest", Some(3)));
    let seen = run(r#"{"get": ["kept", "more"]}"#);
    assert_eq!(seen.succeeded().result()["state"], json!({ "get kept": "one", "get more": null }));
}

#[test]
fn state_belongs_to_its_subject() {
    let home = Home::new();
    let first = home.file("first.js", "state.set('a', 'mine'); return state.keys()");
    let second = home.file("second.js", "return state.keys()");
    let run = |path: &std::path::Path| home.record(&[path.to_str().unwrap(), "--state=1KiB"]).succeeded().result().clone();
    assert_eq!(run(&first), json!(["a"]));
    assert_eq!(run(&second), json!([]));
    assert_eq!(run(&first), json!(["a"]));
}

#[test]
fn a_script_without_state_fails_as_denied() {
    let finished = Job::script("state.set('a', 1)").finish();
    assert_eq!(finished.failure().0, FailureKind::Denied);
}
