//! What a client is told without asking: lists that change, and resources that
//! it subscribed to, whichever process changes them.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::Client;
use crate::support::PATIENCE;
use crate::support::home::{Home, Running};

const TOOLS: &str = "notifications/tools/list_changed";
const RESOURCES: &str = "notifications/resources/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// Says something every 20 ms, for a while.
const TICKS: &str =
    "for (let i = 0; i < 100; i++) { console.log('tick', i); await new Promise((done) => setTimeout(done, 20)); } return 1;";
const ENDLESS: &str = "for (;;) { console.log('tick'); await new Promise((done) => setTimeout(done, 20)); }";

fn task(home: &Home, name: &str, text: &str) {
    let file = home.file(&format!("{name}.js"), text);
    let added = home.run(&["task", "add", name, file.to_str().unwrap()]);
    assert_eq!(added.code, Some(0), "{added}");
}

fn done(home: &Home, args: &[&str]) {
    let ended = home.run(args);
    assert_eq!(ended.code, Some(0), "{args:?}: {ended}");
}

fn names(client: &mut Client) -> Vec<String> {
    let tools = client.request("tools/list", json!({}))["result"]["tools"].clone();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn subscribe(client: &mut Client, uri: &str) -> Value {
    client.request("resources/subscribe", json!({ "uri": uri }))
}

/// What every request of the era without `initialize` says.
pub(super) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn files(home: &Home, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(home.path().join("run")).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

/// Waits until there are so many files of an ending.
pub(super) fn until_files(home: &Home, ending: &str, count: usize) {
    let start = std::time::Instant::now();
    while files(home, ending).len() != count {
        assert!(start.elapsed() < PATIENCE, "{:?}", files(home, ending));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The text of a resource.
fn text(client: &mut Client, uri: &str) -> String {
    let read = client.request("resources/read", json!({ "uri": uri }));
    read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{read}")).to_owned()
}

/// The first execution that runs.
fn running(client: &mut Client) -> String {
    let start = std::time::Instant::now();
    loop {
        let listed = client.done("get_executions", json!({ "status": "running" }));
        if let Some(id) = listed["executions"][0]["id"].as_str() {
            return id.to_owned();
        }
        assert!(start.elapsed() < PATIENCE, "nothing runs");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_task_that_the_command_line_exposes_is_told_to_every_server() {
    let home = Home::new();
    let (mut first, mut second) = (Client::new(&home, "operate"), Client::new(&home, "author"));
    let mut looks = Client::new(&home, "read");
    for client in [&mut first, &mut second, &mut looks] {
        names(client);
    }
    until_files(&home, "lists", 3);
    task(&home, "report", "return 1;");
    for client in [&mut first, &mut second, &mut looks] {
        client.told(RESOURCES);
        assert!(!names(client).contains(&"task__report".to_owned()));
    }
    done(&home, &["expose", "report"]);
    for client in [&mut first, &mut second] {
        client.told(TOOLS);
        assert!(names(client).contains(&"task__report".to_owned()));
    }
    // By its new name, it is another tool.
    done(&home, &["task", "edit", "report", "--rename=summary"]);
    for client in [&mut first, &mut second] {
        client.told(TOOLS);
        client.told(RESOURCES);
        assert!(names(client).contains(&"task__summary".to_owned()));
    }
    done(&home, &["unexpose", "summary"]);
    first.told(TOOLS);
    done(&home, &["expose", "summary"]);
    first.told(TOOLS);
    done(&home, &["task", "rm", "summary"]);
    first.told(TOOLS);
    assert!(!names(&mut first).iter().any(|name| name.starts_with("task__")));
    // Who only looks has no such tools: it is told of tasks, and nothing else.
    looks.told(RESOURCES);
    names(&mut looks);
    assert!(looks.notes.iter().all(|note| note["method"] == RESOURCES), "{:?}", looks.notes);
}

#[test]
fn what_is_declared_is_what_is_told() {
    let home = Home::new();
    for (profile, tools) in [("read", Value::Null), ("operate", json!(true)), ("author", json!(true))] {
        let mut client = Client::raw(&home, &["--profile", profile]);
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
        let legacy = client.request("initialize", hello)["result"]["capabilities"].clone();
        let mut client = Client::raw(&home, &["--profile", profile]);
        let modern = client.request("server/discover", json!({ "_meta": meta() }))["result"]["capabilities"].clone();
        for declared in [legacy, modern] {
            assert_eq!(declared["tools"]["listChanged"], tools, "{profile}: {declared}");
            assert_eq!(declared["resources"], json!({ "listChanged": true, "subscribe": true }), "{profile}");
            assert_eq!(declared["prompts"], json!({}), "{profile}");
        }
    }
}

#[test]
fn an_execution_of_another_process_is_followed_to_its_end() {
    let home = Home::new();
    let mut client = Client::new(&home, "operate");
    let run = home.start(&["run", home.file("endless.js", ENDLESS).to_str().unwrap()]);
    let id = running(&mut client);
    let uri = format!("wardroom://execution/{id}/log");
    assert_eq!(subscribe(&mut client, &uri)["result"], json!({}));
    // Of twenty lines a second a client is told some times, and that is enough.
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        assert_eq!(client.told(UPDATED)["params"]["uri"], uri);
    }
    assert!(begun.elapsed().as_millis() >= 3 * 250 - 50, "told more often than it is of use: {:?}", begun.elapsed());
    assert!(text(&mut client, &uri).contains("tick"));
    client.done("cancel_execution", json!({ "id": id }));
    // However late: once it ended, that is told.
    let record = format!("wardroom://execution/{id}");
    while !text(&mut client, &record).contains("\"cancelled\"") {
        client.told(UPDATED);
    }
    assert_ne!(run.wait().code, Some(0));
}

#[test]
fn one_that_dies_with_its_process_is_told_of() {
    let home = Home::new();
    let mut client = Client::new(&home, "operate");
    let run = home.start(&["run", home.file("endless.js", ENDLESS).to_str().unwrap()]);
    let id = running(&mut client);
    let uri = format!("wardroom://execution/{id}");
    assert_eq!(subscribe(&mut client, &uri)["result"], json!({}));
    run.signal(rustix::process::Signal::KILL);
    loop {
        let record = text(&mut client, &uri);
        if record.contains("\"interrupted\"") {
            break;
        }
        println!("{record}");
        client.told(UPDATED);
    }
}

fn serve(home: &Home) -> Running {
    let daemon = home.start(&["serve"]);
    daemon.until_stderr("serving");
    daemon
}

#[test]
fn one_that_waits_for_its_turn_is_told_of_when_it_runs_and_when_it_ends() {
    let home = Home::new();
    let _daemon = serve(&home);
    task(&home, "slow", TICKS);
    let mut client = Client::new(&home, "operate");
    assert_eq!(subscribe(&mut client, "wardroom://task/slow")["result"], json!({}));
    let id = client.done("execute_task", json!({ "name": "slow", "wait": false }))["execution_id"].as_str().unwrap().to_owned();
    let uri = format!("wardroom://execution/{id}");
    assert_eq!(subscribe(&mut client, &uri)["result"], json!({}));
    let mut told = 0;
    while !text(&mut client, &uri).contains("\"success\"") {
        while client.told(UPDATED)["params"]["uri"] != uri {}
        told += 1;
    }
    assert!(told >= 3, "it runs for two seconds, and says so: {told}");
    // And its task has another last run.
    while client.told(UPDATED)["params"]["uri"] != "wardroom://task/slow" {}
    assert!(text(&mut client, "wardroom://task/slow").contains(&id));
    done(&home, &["task", "pause", "slow"]);
    while client.told(UPDATED)["params"]["uri"] != "wardroom://task/slow" {}
    while !text(&mut client, "wardroom://task/slow").contains("\"paused\"") {
        client.told(UPDATED);
    }
}

#[test]
fn a_client_has_a_hundred_subscriptions_and_takes_them_with_it() {
    let home = Home::new();
    task(&home, "one", "return 1;");
    done(&home, &["task", "run", "one"]);
    let mut client = Client::new(&home, "operate");
    let id = client.done("get_executions", json!({}))["executions"][0]["id"].as_str().unwrap().to_owned();
    let log = |line: usize| format!("wardroom://execution/{id}/log?from={line}");
    for line in 0..100 {
        assert_eq!(subscribe(&mut client, &log(line))["result"], json!({}), "{line}");
    }
    // The same once more is none.
    assert_eq!(subscribe(&mut client, &log(7))["result"], json!({}));
    let beyond = subscribe(&mut client, "wardroom://task/one");
    assert!(beyond["error"]["message"].as_str().unwrap().contains("may have 100"), "{beyond}");
    client.request("resources/unsubscribe", json!({ "uri": log(7) }));
    client.request("resources/unsubscribe", json!({ "uri": "wardroom://task/never" }));
    assert_eq!(subscribe(&mut client, "wardroom://task/one")["result"], json!({}));
    for (uri, word) in [
        ("wardroom://task/none", "no resource"),
        ("wardroom://execution/00000000", "no resource"),
        ("file:///etc/passwd", "no resource"),
        ("wardroom://template/log-message", "stays as it is"),
    ] {
        let refused = subscribe(&mut client, uri);
        assert!(refused["error"]["message"].as_str().unwrap().contains(word), "{uri}: {refused}");
    }
    assert_eq!((files(&home, "lists").len(), files(&home, "items").len()), (1, 1));
    client.close();
    assert_eq!((files(&home, "lists").len(), files(&home, "items").len()), (0, 0), "nobody is told for a client that is gone");
}

#[test]
fn a_stream_tells_what_was_asked_for_until_it_is_cancelled() {
    let home = Home::new();
    task(&home, "one", "return 1;");
    let mut client = Client::raw(&home, &["--profile", "operate"]);
    let wanted = json!({
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourceSubscriptions": ["wardroom://task/one", "wardroom://task/none", "wardroom://template/log-message"],
    });
    let stream = client.begin("subscriptions/listen", json!({ "_meta": meta(), "notifications": wanted }));
    let accepted = client.told(ACKNOWLEDGED)["params"]["notifications"].clone();
    assert_eq!(accepted, json!({ "toolsListChanged": true, "resourceSubscriptions": ["wardroom://task/one"] }));
    until_files(&home, "items", 1);
    done(&home, &["expose", "one"]);
    for method in [TOOLS, UPDATED] {
        let told = client.told(method);
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], stream, "{told}");
    }
    // A task more is no news to who did not ask.
    task(&home, "two", "return 1;");
    done(&home, &["task", "pause", "one"]);
    client.told(UPDATED);
    assert!(client.notes.iter().all(|note| note["method"] != RESOURCES), "{:?}", client.notes);
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": stream } }));
    until_files(&home, "items", 0);
    until_files(&home, "lists", 0);
    // The era has no other way to ask.
    let legacy = client.request("resources/subscribe", json!({ "_meta": meta(), "uri": "wardroom://task/one" }));
    assert_eq!(legacy["error"]["code"], -32601, "{legacy}");
}

#[test]
fn streams_are_bounded_as_subscriptions_are() {
    let home = Home::new();
    task(&home, "one", "return 1;");
    let mut client = Client::raw(&home, &[]);
    let many: Vec<String> = (0..500).map(|at| format!("wardroom://task/one?{at}")).collect();
    let listen = |wanted: Value| json!({ "_meta": meta(), "notifications": wanted });
    client.begin("subscriptions/listen", listen(json!({ "resourceSubscriptions": many })));
    let accepted = client.told(ACKNOWLEDGED)["params"]["notifications"]["resourceSubscriptions"].as_array().unwrap().len();
    assert_eq!(accepted, 99, "the stream is one as well");
    until_files(&home, "items", 1);
    let more = client.begin("subscriptions/listen", listen(json!({ "toolsListChanged": true })));
    let refused = client.answer(more);
    assert!(refused["error"]["message"].as_str().unwrap().contains("may have 100"), "{refused}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_does_not_read_costs_no_memory_and_hears_the_last_of_it() {
    let home = Home::new();
    task(&home, "one", "return 1;");
    let mut client = Client::new(&home, "operate");
    subscribe(&mut client, "wardroom://task/one");
    names(&mut client);
    until_files(&home, "items", 1);
    let socket = files(&home, "items")[0].with_extension("sock");
    let resident = |client: &Client| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", client.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // As fast as another process can tell it, one message after the other.
    let tell = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(b"{\"changed\": [\"tools\", \"tasks\", {\"task\": \"one\"}]}\n").unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.contains("ok"), "{answer}");
    };
    (0..200).for_each(|_| tell());
    let before = resident(&client);
    (0..10_000).for_each(|_| tell());
    let grown = resident(&client).saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
    done(&home, &["task", "rm", "one"]);
    client.told(UPDATED);
    names(&mut client);
    assert!(client.notes.len() < 1000, "{} notifications of 30,000 changes", client.notes.len());
}
