//! The protocol itself: pure output, a quick end, and whatever a client sends.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::Client;
use crate::support::PATIENCE;
use crate::support::home::Home;

/// Far more than it takes; a budget is no test's.
pub(super) const SOON: Duration = Duration::from_secs(1);

#[test]
fn it_ends_with_its_input_whether_anybody_spoke_or_not() {
    let home = Home::new();
    let (took, code) = Client::raw(&home, &[]).close();
    assert!(took < SOON && code == Some(0), "{took:?} {code:?}");
    let mut client = Client::new(&home, "author");
    client.done("get_status", json!({}));
    let (took, code) = client.close();
    println!("gone after {took:?}");
    assert!(took < SOON && code == Some(0), "{took:?} {code:?}");
}

#[test]
fn it_ends_by_a_signal_and_says_of_what_ran_that_it_was_interrupted() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let slow = "await new Promise((done) => setTimeout(done, 60000));";
    client.begin("tools/call", json!({ "name": "run_script", "arguments": { "code": slow, "timeout_ms": 60_000 } }));
    let running = || home.executions().iter().any(|row| row["status"] == "running");
    let start = std::time::Instant::now();
    while !running() {
        assert!(start.elapsed() < PATIENCE, "it does not run");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&client.child), Signal::TERM).unwrap();
    let (took, code) = client.gone();
    assert!(took < SOON && code == Some(0), "{took:?} {code:?}");
    assert_eq!(home.executions()[0]["status"], "interrupted");
}

#[test]
fn what_spins_holds_up_no_end_and_is_recorded_however_new_it_is() {
    let home = Home::new();
    for by_signal in [true, false] {
        let mut client = Client::new(&home, "author");
        // The interpreter is compiled before anything spins.
        client.done("run_script", json!({ "code": "return 1;" }));
        let before = home.executions().len();
        for token in ["a", "b", "c"] {
            let arguments = json!({ "code": "console.log('hi'); for (;;) {}", "timeout_ms": 60_000 });
            client.begin("tools/call", json!({ "name": "run_script", "arguments": arguments, "_meta": { "progressToken": token } }));
            // It runs, and may be in no record yet.
            client.told("notifications/progress");
        }
        if by_signal {
            kill_process(Pid::from_child(&client.child), Signal::TERM).unwrap();
        } else {
            drop(client.stdin.take());
        }
        let (took, code) = client.gone();
        println!("gone after {took:?}");
        assert!(took < SOON && code == Some(0), "{took:?} {code:?}");
        let executions = home.executions();
        let interrupted = executions.iter().filter(|row| row["status"] == "interrupted").count();
        assert_eq!((executions.len() - before, interrupted), (3, if by_signal { 3 } else { 6 }), "{executions:?}");
    }
}

#[test]
fn answers_that_are_nearly_done_come_out_before_the_end() {
    let home = Home::new();
    let mut client = Client::new(&home, "read");
    let id = client.begin("tools/call", json!({ "name": "get_status", "arguments": {} }));
    drop(client.stdin.take());
    assert_eq!(client.answer(id)["result"]["structuredContent"]["success"], true);
}

#[test]
fn nonsense_is_answered_or_passed_over_and_the_next_request_works() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let deep =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":7001,\"method\":\"tools/call\",\"params\":{}1{}}}", "[".repeat(5000), "]".repeat(5000))
            + "\n";
    let nonsense: [&[u8]; 12] = [
        b"\n",
        b"nonsense\n",
        b"{\"jsonrpc\":\"2.0\"}\n",
        b"[]\n",
        b"null\n",
        b"{\"jsonrpc\":\"1.0\",\"id\":7000,\"method\":\"ping\"}\n",
        b"\xff\xfe\x00\xc3\x28\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}\n",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":99999}}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":7002,\"result\":{}}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":7003,\"method\":\"no/such\",\"params\":{}}\n",
        deep.as_bytes(),
    ];
    for bytes in nonsense {
        client.send_bytes(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let answer = client.request("tools/call", json!({ "name": "get_status", "arguments": {} }));
        assert_eq!(answer["result"]["structuredContent"]["success"], true, "after {shown}: {answer}");
    }
    // Longer than any line may be: it is dropped, and the next one is read.
    let mut long = vec![b'x'; 17 << 20];
    long.push(b'\n');
    client.send_bytes(&long);
    client.done("get_status", json!({}));
}

#[test]
fn arguments_are_checked_before_anything_happens() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    for (tool, arguments) in [
        ("list_tasks", json!({ "enabld": true })),
        ("get_task", json!({})),
        ("get_task", json!({ "name": "a", "recent_executions": 51 })),
        ("get_task", json!({ "name": "Not A Name" })),
        ("get_executions", json!({ "limit": 501 })),
        ("get_executions", json!({ "since": "yesterday" })),
        ("execute_task", json!({ "name": "a", "wait": "no" })),
        ("schedule_task", json!({ "name": "a", "template_id": "log-message", "schedule": { "type": "cron" } })),
        ("schedule_task", json!({ "name": "a", "schedule": { "type": "interval", "minutes": 5 } })),
        (
            "schedule_task",
            json!({ "name": "a", "template_id": "log-message", "code": "return 1", "schedule": { "type": "interval", "minutes": 5 } }),
        ),
        ("run_script", json!({ "code": "" })),
        ("run_script", json!({ "code": "return 1", "timeout_ms": 300_001 })),
        ("request_grant", json!({ "task": "a", "grants": { "everything": true }, "reason": "x" })),
        ("add_credential", json!({ "name": "lower", "type": "api_key" })),
    ] {
        assert_eq!(client.refused(tool, arguments.clone()), "validation_error", "{tool} {arguments}");
    }
    for (tool, arguments, code) in [
        ("get_task", json!({ "name": "nothing" }), "task_not_found"),
        (
            "schedule_task",
            json!({ "name": "a", "template_id": "log-mesage", "schedule": { "type": "interval", "minutes": 5 } }),
            "template_not_found",
        ),
        (
            "schedule_task",
            json!({ "name": "a", "template_id": "log-message", "schedule": { "type": "interval", "minutes": 5 } }),
            "invalid_params",
        ),
        (
            "schedule_task",
            json!({ "name": "a", "template_id": "log-message", "params": { "message": "x" }, "schedule": { "type": "cron", "expression": "61 * * * *" } }),
            "invalid_schedule",
        ),
        ("get_execution", json!({ "id": "ffffffff" }), "execution_not_found"),
        ("delete_credential", json!({ "name": "NOTHING" }), "credential_not_found"),
    ] {
        assert_eq!(client.refused(tool, arguments.clone()), code, "{tool} {arguments}");
    }
    assert_eq!(client.done("list_tasks", json!({}))["tasks"], json!([]));
    let unknown = client.request("tools/call", json!({ "name": "list_task", "arguments": {} }));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("did you mean `list_tasks`"), "{unknown}");
}

#[test]
fn a_client_that_never_reads_holds_up_nobody_and_is_gone_with_its_input() {
    let home = Home::new();
    let mut child = home
        .command(&["mcp"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "deaf", "version": "1" } } });
    writeln!(stdin, "{hello}").unwrap();
    for id in 1..200 {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {} });
        // Its pipe may be full: that is where it stops to read as well.
        rustix::fs::fcntl_setfl(&stdin, rustix::fs::OFlags::NONBLOCK).unwrap();
        if writeln!(stdin, "{message}").is_err() {
            break;
        }
    }
    // Another one works meanwhile.
    Client::new(&home, "read").done("get_status", json!({}));
    drop(stdin);
    let start = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_a_client_puts_into_its_settings_starts_this_server() {
    let home = Home::new();
    for client in ["claude", "cursor", "vscode", "windsurf", "zed"] {
        let printed = home.read(&["mcp", "--print-config", client, "--profile", "read"]);
        let servers = printed.as_object().unwrap().values().next().unwrap();
        let server = &servers["wardroom"];
        assert_eq!(server["command"], crate::support::home::BINARY);
        let args: Vec<&str> = server["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        assert_eq!(args[0], "--home");
        assert_eq!(&args[2..], ["mcp", "--profile", "read"]);
        assert_eq!(args[1], home.path().to_str().unwrap());
    }
}

#[test]
fn what_nobody_waits_for_is_interrupted_with_the_input() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let code = "await new Promise((done) => setTimeout(done, 60000));";
    client.done("schedule_task", json!({ "name": "slow", "code": code, "schedule": { "type": "interval", "minutes": 60 } }));
    client.done("execute_task", json!({ "name": "slow", "wait": false }));
    let (took, code) = client.close();
    assert!(took < SOON && code == Some(0), "{took:?} {code:?}");
    // Read as it stands, without anybody having looked for the dead.
    let database = recorded_status(&home);
    assert_eq!(database, "interrupted");
}

/// The status of the only execution, from the file itself.
fn recorded_status(home: &Home) -> String {
    let database = wardroom_db::Database::open(&home.path(), wardroom_db::DbConfig::default()).unwrap();
    database.list(&wardroom_db::Filter::default()).unwrap()[0].status.to_string()
}

#[test]
fn a_run_that_cannot_begin_says_so_whether_anybody_waits_or_not() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file=vault.key"]).code, Some(0));
    assert_eq!(home.feed(&["credential", "add", "API_TOKEN", "--host=a.example"], "0123456789").code, Some(0));
    let file = home.file("t.js", "await new Promise((done) => setTimeout(done, 60000));");
    let add = ["task", "add", "t", file.to_str().unwrap(), "--credential=API_TOKEN"];
    assert_eq!(home.run(&add).code, Some(0));
    let mut client = Client::new(&home, "operate");
    let key = home.work().join("vault.key");
    let aside = home.work().join("aside");
    std::fs::rename(&key, &aside).unwrap();
    for wait in [true, false] {
        assert_eq!(client.refused("execute_task", json!({ "name": "t", "wait": wait })), "vault_unavailable", "{wait}");
    }
    std::fs::rename(&aside, &key).unwrap();
    let id = client.done("execute_task", json!({ "name": "t", "wait": false }))["execution_id"].as_str().unwrap().to_owned();
    // Its rule is the rule here, too.
    assert_eq!(client.refused("execute_task", json!({ "name": "t", "wait": false })), "task_busy");
    assert!(home.run(&["exec", "show", &id]).text().contains("session"));
    client.done("cancel_execution", json!({ "id": id }));
    let mut author = Client::new(&home, "author");
    let tried = author.done("run_script", json!({ "code": "return 1;" }))["execution_id"].as_str().unwrap().to_owned();
    let again = home.run(&["exec", "rerun", &tried]);
    assert!(again.code == Some(1) && again.stderr.contains("its text was not kept"), "{again}");
}
