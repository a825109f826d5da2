//! Tasks of installed plugins, saved by an assistant, and the scheduler that runs
//! beside it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, approve};
use crate::support::guests;
use crate::support::home::Home;

const ASKS: &str = "// /// wardroom\n// name = 'asks'\n// net = ['https://one.example']\n// [params.n]\n// type = 'integer'\n// required = true\n// ///\nreturn params.n + 1;";

fn hourly() -> Value {
    json!({ "type": "interval", "minutes": 60 })
}

fn of(name: &str, plugin: &str, params: Value) -> Value {
    json!({ "name": name, "plugin": plugin, "params": params, "schedule": hourly() })
}

#[test]
fn a_task_is_made_of_an_installed_function_and_of_no_file() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(&guests::command("echo"), "echoes");
    // What an assistant may have had written has the plugin's names.
    for name in ["typed", "typed.add", "echoes", "loose.add"] {
        home.file(name, "return 'a file';");
    }
    let mut client = Client::new(&home, "operate");
    let saved = client.done("schedule_task", of("sum", "typed.add", json!({ "a": 1, "b": "2" })));
    assert_eq!((&saved["task"]["program"], &saved["approval"]), (&json!("typed.add"), &Value::Null), "{saved}");
    assert_eq!(client.done("execute_task", json!({ "name": "sum" }))["result"], 3);
    client.done("schedule_task", of("echo", "echoes", json!({ "args": ["one", "two"] })));
    assert!(client.done("execute_task", json!({ "name": "echo" }))["result"].to_string().contains("two"));
    // Other params of the same, by the same rules.
    client.done("update_task", json!({ "name": "sum", "params": { "a": 5, "b": 5 } }));
    assert_eq!(client.done("execute_task", json!({ "name": "sum" }))["result"], 10);
    for (code, arguments) in [
        ("validation_error", of("a", "typed.add", json!({ "a": 1 }))),
        ("validation_error", of("a", "typed.add", json!({ "a": -1, "b": 1 }))),
        ("validation_error", of("a", "typed.add", json!({ "a": 1, "b": 1, "c": 1 }))),
        ("validation_error", of("a", "echoes", json!({ "args": [], "stdin": "nobody is there" }))),
        ("plugin_not_found", of("a", "typed.subtract", json!({}))),
        ("plugin_not_found", of("a", "loose.add", json!({}))),
        ("plugin_not_found", of("a", "./typed.add", json!({ "a": 1, "b": 1 }))),
        ("validation_error", json!({ "name": "a", "plugin": "typed.add", "template_id": "log-message", "schedule": hourly() })),
        ("validation_error", json!({ "name": "a", "schedule": hourly() })),
    ] {
        assert_eq!(client.refused("schedule_task", arguments.clone()), code, "{arguments}");
    }
    assert_eq!(client.done("list_tasks", json!({}))["tasks"].as_array().unwrap().len(), 2, "nothing of that was saved");
}

#[test]
fn what_the_plugin_asks_for_waits_for_a_person() {
    let home = Home::new();
    home.install(&home.file("asks.js", ASKS), "asks");
    let mut client = Client::new(&home, "operate");
    let saved = client.done("schedule_task", of("asking", "asks", json!({ "n": 1 })));
    let approval = &saved["approval"];
    assert_eq!(approval["asks"], json!(["--allow-net=https://one.example"]), "{saved}");
    assert_eq!(client.refused("toggle_task", json!({ "name": "asking", "enabled": true })), "waits_for_approval");
    let Some(_) = approve(&home, approval["id"].as_str().unwrap()) else { return };
    assert_eq!(client.done("get_task", json!({ "name": "asking" }))["missing"], json!([]));
    assert_eq!(client.done("execute_task", json!({ "name": "asking" }))["result"], 2);
}

#[test]
fn nobody_is_asked_for_a_yes_that_would_be_for_nothing() {
    let home = Home::new();
    home.install(&home.file("asks.js", ASKS), "asks");
    let mut client = Client::new(&home, "operate");
    let saved = client.done("schedule_task", of("asking", "asks", json!({ "n": 1 })));
    let id = saved["approval"]["id"].as_str().unwrap();
    // A person gave it another program meanwhile.
    let other = home.file("other.js", "return 'other';");
    home.task(&["upgrade", "asking", other.to_str().unwrap(), "--input={}"]);
    let Some(screen) = approve(&home, id) else { return };
    assert!(screen.contains("has other bytes by now") && !screen.contains("Type "), "{screen}");
    assert_eq!(home.read(&["approval", "show", id, "--json"])["status"], "waiting");
}

#[test]
fn it_schedules_while_its_client_is_there_and_where_nobody_else_does() {
    let home = Home::new();
    home.add("tick", "return 1;", &["--every=1s"]);
    home.add("long", "await new Promise(done => setTimeout(done, 60000));", &["--every=1s"]);
    let mut client = Client::raw(&home, &["--schedule"]);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    client.request("initialize", hello);
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let rows = home.until_ended("tick", 2);
    assert!(rows.iter().all(|row| row["trigger"] == "schedule" && row["status"] == "success"), "{rows:?}");
    while home.runs("long").iter().all(|row| row["status"] != "running") {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Another one waits for its turn, and gets it when the client goes.
    let daemon = home.start(&["serve"]);
    daemon.until_stderr("waiting");
    let (took, code) = client.close();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "it does not wait for what runs: {took:?}");
    daemon.until_stderr("serving");
    let rows = home.runs("long");
    assert_eq!(
        rows.iter().filter(|row| row["started_at"].is_string()).map(|row| &row["status"]).next(),
        Some(&json!("interrupted")),
        "{rows:?}"
    );
    drop(daemon);
    // Without being told to, it schedules nothing.
    let count = home.runs("tick").len();
    let mut client = Client::new(&home, "operate");
    assert_eq!(client.done("get_status", json!({}))["scheduler"], false);
    assert_eq!(home.runs("tick").len(), count);
}
