//! The official conformance suite judges the door over HTTP: our server and our
//! listener, with the fixtures around them that the suite looks for.
//!
//! It is installed by `tests/clients/install`; without it the test says so. What
//! it finds wrong and we leave as it is stands in `tests/clients/conformance/baseline.txt`,
//! with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use wardroom::Wardroom;
use wardroom::mcp::http::{Door, Token, loopback};
use wardroom::mcp::{Profile, ServerOptions};
use wardroom_host::Silent;

use super::fixtures::{CHANGING, Fixtures, names};
use crate::support::PATIENCE;
use crate::support::home::{BINARY, Home, Running};
use crate::support::library::RUNTIME;
use crate::support::parts::needs;

/// What was found wrong: revision, scenario and check, with the words of the suite.
type Findings = BTreeMap<[String; 3], String>;

/// What stands in the baseline, each with its reason.
type Baseline = BTreeMap<[String; 3], String>;

/// The Node that it needs, and the suite itself.
fn suite() -> Option<[PathBuf; 2]> {
    let modules = super::clients::folder().join("conformance/node_modules");
    let parts = [modules.join("node/bin/node"), modules.join("@modelcontextprotocol/conformance/dist/index.js")];
    let present = parts.iter().all(|part| part.exists());
    needs("the official MCP conformance suite", present, "tests/clients/install").then_some(parts)
}

fn told(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/conformance")).join(name)
}

/// The door in this process, with the fixtures, until it is dropped.
struct Judged {
    url: String,
    token: String,
    _end: tokio::sync::oneshot::Sender<()>,
}

impl Judged {
    fn start(home: &Home) -> Self {
        let file = home.file("changing.js", "return 1;");
        assert_eq!(home.run(&["task", "add", CHANGING, file.to_str().unwrap()]).code, Some(0));
        let wardroom = Arc::new(Wardroom::open(&home.path(), PathBuf::from(BINARY), Arc::new(Silent)).unwrap());
        let options = ServerOptions { profile: Profile::Author, base: home.work(), elicitation: false };
        let token = Token::fresh().unwrap();
        let shown = token.shown().to_owned();
        let door = RUNTIME.block_on(Door::open(loopback("127.0.0.1:0").unwrap(), token)).unwrap();
        let url = door.url();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let around = {
            let wardroom = wardroom.clone();
            move |server| Fixtures::around(server, wardroom.clone())
        };
        RUNTIME.spawn(async move {
            let end = async { drop(ended.await) };
            door.serve_around(wardroom, options, around, end).await.unwrap();
        });
        Self { url, token: shown, _end: end }
    }
}

/// What came of one requirement set.
struct Judgement {
    /// What it requires.
    required: BTreeSet<String>,
    /// In which scenarios something was found right.
    right: BTreeSet<String>,
    wrong: Findings,
}

/// The scenarios for servers that a revision requires.
fn required(suite: &Path, revision: &str) -> BTreeSet<String> {
    let file = suite.parent().and_then(Path::parent).unwrap().join(format!("requirements/{revision}.yaml"));
    let text = std::fs::read_to_string(file).unwrap();
    let (_, after) = text.split_once("\nserver:\n").unwrap();
    after.lines().map_while(|line| line.strip_prefix("  - ")).map(str::to_owned).collect()
}

/// Judges one requirement set.
fn judge(home: &Home, judged: &Judged, [node, suite]: &[PathBuf; 2], revision: &str) -> Judgement {
    let results = home.work().join(revision);
    let mut command = Command::new(node);
    home.prepare(&mut command);
    command.env("WARDROOM_MCP_URL", &judged.url).env("WARDROOM_MCP_TOKEN", &judged.token);
    command.arg("--import").arg(told("token.mjs")).arg(suite).args(["server", "--url", &judged.url, "--requirements", revision, "-o"]);
    let ended = Running::start(command.arg(&results), b"").wait_within(PATIENCE * 2);
    assert!(matches!(ended.code, Some(0 | 1)), "{ended}");
    let (mut right, mut wrong) = (BTreeSet::new(), Findings::new());
    for entry in std::fs::read_dir(&results).unwrap().map(Result::unwrap) {
        // server-SCENARIO-2026-11-22T10-00-00-000Z
        let name = entry.file_name().into_string().unwrap();
        let scenario = name.strip_prefix("server-").and_then(|name| name.get(..name.len().checked_sub(25)?)).unwrap();
        let checks: Vec<Value> = serde_json::from_slice(&std::fs::read(entry.path().join("checks.json")).unwrap()).unwrap();
        for check in &checks {
            match check["status"].as_str() {
                Some("SUCCESS") => drop(right.insert(scenario.to_owned())),
                Some("INFO" | "SKIPPED") => {}
                _ => {
                    let id = [revision, scenario, check["id"].as_str().unwrap_or_default()].map(str::to_owned);
                    wrong.insert(id, format!("{}: {}", check["status"], check["errorMessage"]));
                }
            }
        }
    }
    Judgement { required: required(suite, revision), right, wrong }
}

/// Each line of a baseline that is neither empty nor a remark.
fn baseline(text: &str) -> Baseline {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (what, reason) = line.split_once(": ")?;
        let what: [&str; 3] = what.split(' ').collect::<Vec<_>>().try_into().ok()?;
        (!reason.trim().is_empty()).then(|| (what.map(str::to_owned), reason.to_owned()))
    };
    lines.map(|line| entry(line).unwrap_or_else(|| panic!("no entry of a baseline: {line}"))).collect()
}

/// What was found wrong and is not listed, and what is listed and was not found.
fn differences(wrong: &Findings, listed: &Baseline) -> Vec<String> {
    let covers = |entry: &[String; 3], id: &[String; 3]| entry[..2] == id[..2] && (entry[2] == "*" || entry[2] == id[2]);
    let found = wrong.iter().filter(|(id, _)| !listed.keys().any(|entry| covers(entry, id)));
    let found = found.map(|(id, words)| format!("wrong, and not listed: {}: {words}", id.join(" ")));
    let passed = listed.keys().filter(|entry| !wrong.keys().any(|id| covers(entry, id)));
    found.chain(passed.map(|entry| format!("listed, and found right: {}", entry.join(" ")))).collect()
}

#[test]
fn the_official_suite_finds_nothing_wrong_but_what_is_listed() {
    let Some(parts) = suite() else { return };
    let home = Home::new();
    let judged = Judged::start(&home);
    let listed = baseline(&std::fs::read_to_string(told("baseline.txt")).unwrap());
    let mut wrong = Findings::new();
    for revision in ["2025-11-25", "2026-07-28"] {
        let judgement = judge(&home, &judged, &parts, revision);
        assert!(judgement.required.len() >= 30, "{revision}: {:?}", judgement.required);
        let silent: Vec<_> = judgement.required.difference(&judgement.right).collect();
        assert!(silent.is_empty(), "{revision}: required, and nothing was found right: {silent:?}");
        let excused = listed.keys().find(|[of, scenario, _]| of == revision && judgement.required.contains(scenario));
        assert!(excused.is_none(), "required, and in the baseline: {excused:?}");
        wrong.extend(judgement.wrong);
    }
    let differences = differences(&wrong, &listed);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_baseline_excuses_what_it_names_and_holds_nothing_that_is_right() {
    let listed = baseline("# a remark\n\n1 a x: for a reason\n1 b *: for another\n");
    let found = |ids: &[[&str; 3]]| -> Findings { ids.iter().map(|id| (id.map(str::to_owned), "FAILURE".to_owned())).collect() };
    let all = [["1", "a", "x"], ["1", "b", "y"], ["1", "b", "z"]];
    assert!(differences(&found(&all), &listed).is_empty());
    let more = differences(&found(&[all[0], all[1], ["1", "a", "y"], ["2", "a", "x"]]), &listed);
    assert!(more.len() == 2 && more.iter().all(|line| line.starts_with("wrong, and not listed")), "{more:?}");
    assert_eq!(differences(&found(&all[1..]), &listed), ["listed, and found right: 1 a x"]);
    assert_eq!(differences(&found(&all[..1]), &listed), ["listed, and found right: 1 b *"]);
    for bad in ["1 a x", "1 a x: ", "1 a: for a reason", "1 a x y: for a reason"] {
        assert!(std::panic::catch_unwind(|| baseline(bad)).is_err(), "{bad}");
    }
}

#[test]
fn the_binary_holds_none_of_the_fixtures() {
    let bytes = std::fs::read(BINARY).unwrap();
    // A name of its own is found, by which this is seen to look.
    let looked_for: Vec<&str> = names().into_iter().chain(["delete_credential"]).collect();
    let search = aho_corasick::AhoCorasick::new(&looked_for).unwrap();
    let found: BTreeSet<&str> = search.find_iter(&bytes).map(|at| looked_for[at.pattern()]).collect();
    assert_eq!(found, BTreeSet::from(["delete_credential"]));
    let mut client = super::Client::new(&Home::new(), "author");
    let listed = client.request("tools/list", serde_json::json!({})).to_string();
    assert!(listed.contains("delete_credential") && !names().iter().any(|name| listed.contains(name)), "{listed}");
    let refused = client.request("tools/call", serde_json::json!({ "name": "test_simple_text", "arguments": {} }));
    assert!(refused["error"].is_object(), "{refused}");
}
