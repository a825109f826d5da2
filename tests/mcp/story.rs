//! What an assistant does in a day: looks, writes, asks, runs, schedules, reads.

use serde_json::{Value, json};

use super::{Client, approve};
use crate::support::home::Home;
use crate::support::server::Server;

const HOURLY: &str = "0 * * * *";

fn cron() -> Value {
    json!({ "type": "cron", "expression": HOURLY })
}

#[test]
fn a_task_of_a_template_waits_for_a_person_and_then_runs() {
    let (home, server) = (Home::new(), Server::start());
    let mut client = Client::new(&home, "operate");
    let templates = client.done("list_templates", json!({ "category": "monitoring" }));
    let health = templates["templates"].as_array().unwrap().iter().find(|one| one["name"] == "http-health-check").unwrap().clone();
    assert_eq!(health["params"]["properties"]["url"]["type"], "string");

    let url = format!("{}/health", server.base());
    let params = json!({ "url": url });
    let saved =
        client.done("schedule_task", json!({ "name": "health", "template_id": "http-health-check", "params": params, "schedule": cron() }));
    let approval = saved["approval"]["id"].as_str().unwrap().to_owned();
    assert_eq!(saved["approval"]["command"], format!("wardroom approval approve {approval}"));
    assert_eq!(saved["approval"]["asks"].as_array().unwrap().len(), 1);
    assert_eq!(saved["task"]["paused"], format!("waits for approval {approval}"));
    assert_eq!(client.done("get_task", json!({ "name": "health" }))["waits_for_approval"], approval);

    // Run by hand it is what it is: without the right, it is denied.
    let denied = client.call("execute_task", json!({ "name": "health" }))["structuredContent"].clone();
    assert_eq!((&denied["status"], &denied["error"]["kind"]), (&json!("failed"), &json!("denied")), "{denied}");
    assert_eq!(server.requests().len(), 0);
    assert_eq!(client.refused("toggle_task", json!({ "name": "health", "enabled": true })), "waits_for_approval");

    let listed = home.read(&["approval", "list", "--json"]);
    assert_eq!(listed["approvals"][0]["id"], approval);
    assert_eq!(listed["approvals"][0]["status"], "waiting");
    let Some(screen) = approve(&home, &approval) else { return };
    assert!(screen.contains("approved: task health") && screen.contains("requests"), "{screen}");

    let task = client.done("get_task", json!({ "name": "health" }));
    assert_eq!((&task["waits_for_approval"], &task["missing"]), (&Value::Null, &json!([])));
    assert!(task["task"].get("paused").is_none(), "{task}");
    let ran = client.done("execute_task", json!({ "name": "health" }));
    assert_eq!((&ran["status"], &ran["result"]["healthy"]), (&json!("success"), &json!(true)), "{ran}");
    assert_eq!(server.requests().len(), 1);

    // The same by its record, which says who asked.
    let id = ran["execution_id"].as_str().unwrap();
    let record = home.read(&["exec", "show", id, "--json"]);
    assert_eq!(record["trigger"], "mcp");
    let session = client.done("get_status", json!({}))["session"].clone();
    assert_eq!(record["session"], session);

    // Another address is another right: it waits again, and nothing is sent.
    let other = format!("{}/other", server.base().replace("127.0.0.1", "localhost"));
    let changed = client.done("update_task", json!({ "name": "health", "params": { "url": other } }));
    assert!(changed["approval"]["id"].is_string(), "{changed}");
    assert_ne!(changed["approval"]["id"], approval);
    assert_eq!(client.call("execute_task", json!({ "name": "health" }))["structuredContent"]["error"]["kind"], "denied");
    assert_eq!(server.requests().len(), 1);
    client.done("delete_task", json!({ "name": "health" }));
    assert_eq!(client.refused("get_task", json!({ "name": "health" })), "task_not_found");
}

#[test]
fn code_is_tried_with_no_rights_and_saved_as_a_task() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let tried = client.done("run_script", json!({ "code": "console.log('hi'); return params.n * 2;", "params": { "n": 21 } }));
    assert_eq!((&tried["result"], &tried["log"]), (&json!(42), &json!(["info: hi"])), "{tried}");
    let typed = client.done("run_script", json!({ "code": "const n: number = 2; return n;", "language": "typescript" }));
    assert_eq!(typed["result"], 2);
    let thrown = client.call("run_script", json!({ "code": "return missing;" }))["structuredContent"].clone();
    assert!(thrown["error"]["message"].as_str().unwrap().contains("missing"), "{thrown}");
    assert!(thrown["error"]["position"]["line"].is_number(), "{thrown}");

    let saved = client.done("schedule_task", json!({ "name": "mine", "code": "return 1 + 1;", "schedule": cron(), "description": "sums" }));
    assert_eq!(saved["approval"], Value::Null, "{saved}");
    assert_eq!(client.done("check_task", json!({ "name": "mine" }))["check"]["next"].as_array().unwrap().len(), 5);
    assert_eq!(client.done("execute_task", json!({ "name": "mine" }))["result"], 2);
    client.done("update_task", json!({ "name": "mine", "code": "return 3;", "new_name": "ours" }));
    assert_eq!(client.done("execute_task", json!({ "name": "ours" }))["result"], 3);
    // It is a task like any other at the command line.
    assert_eq!(home.read(&["task", "show", "ours", "--json"])["description"], "sums");
    assert_eq!(home.run(&["task", "upgrade", "ours"]).code, Some(0));
}

#[test]
fn a_run_tells_its_log_as_it_goes_and_ends_when_its_request_is_cancelled() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let code = "for (let i = 1; ; i += 1) { console.log('step ' + i); await new Promise((done) => setTimeout(done, 50)); }";
    let params = json!({ "name": "run_script", "arguments": { "code": code, "timeout_ms": 60_000 }, "_meta": { "progressToken": "p1" } });
    let id = client.begin("tools/call", params);
    let mut last = 0.0;
    for _ in 0..3 {
        let note = client.receive(crate::support::PATIENCE).unwrap();
        assert_eq!((&note["method"], &note["params"]["progressToken"]), (&json!("notifications/progress"), &json!("p1")), "{note}");
        let progress = note["params"]["progress"].as_f64().unwrap();
        assert!(progress > last, "{note}");
        last = progress;
        assert!(note["params"]["message"].as_str().unwrap().contains("step"), "{note}");
    }
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    let start = std::time::Instant::now();
    while home.executions()[0]["status"] != "cancelled" {
        assert!(start.elapsed() < crate::support::PATIENCE, "{:?}", home.executions());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_nobody_waits_for_is_found_by_its_id_and_cancelled_by_it() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let code = "console.log('begun'); await new Promise((done) => setTimeout(done, 60000));";
    client.done("schedule_task", json!({ "name": "slow", "code": code, "schedule": cron() }));
    let started = client.done("execute_task", json!({ "name": "slow", "wait": false }));
    let id = started["execution_id"].as_str().unwrap().to_owned();
    assert_eq!(client.done("get_execution", json!({ "id": id }))["execution"]["status"], "running");
    client.done("cancel_execution", json!({ "id": id }));
    let start = std::time::Instant::now();
    while client.done("get_execution", json!({ "id": id }))["execution"]["status"] != "cancelled" {
        assert!(start.elapsed() < crate::support::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(client.refused("cancel_execution", json!({ "id": id })), "execution_ended");
    let listed = client.done("get_executions", json!({ "task_name": "slow", "status": "cancelled" }));
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);
    // What it asked for itself is told from what others did.
    let script = home.file("hello.js", "return 1;");
    assert_eq!(home.run(&["run", script.to_str().unwrap()]).code, Some(0));
    let mut count = |arguments| client.done("get_executions", arguments)["executions"].as_array().unwrap().len();
    assert_eq!(count(json!({})), 2);
    assert_eq!(count(json!({ "session": "own" })), 1);
    assert_eq!(count(json!({ "session": "mcp-of-nobody" })), 0);
    let own = client.done("get_status", json!({}))["session"].as_str().unwrap().to_owned();
    let listed = home.read(&["exec", "list", "--session", &own, "--json"]);
    assert_eq!((listed["executions"].as_array().unwrap().len(), &listed["executions"][0]["id"]), (1, &json!(id)));

    // Where somebody schedules, that one runs it: it outlives this client.
    let serving = home.start(&["serve"]);
    serving.until_stderr("serving");
    let started = client.done("execute_task", json!({ "name": "slow", "wait": false }));
    let id = started["execution_id"].as_str().unwrap().to_owned();
    let session = client.done("get_status", json!({}))["session"].clone();
    client.close();
    let start = std::time::Instant::now();
    while home.read(&["exec", "show", &id, "--json"])["status"] != "running" {
        assert!(start.elapsed() < crate::support::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(home.read(&["exec", "show", &id, "--json"])["session"], session);
    assert_eq!(home.run(&["exec", "cancel", &id]).code, Some(0));
}

#[test]
fn long_logs_and_results_come_in_parts() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let code = "for (let i = 0; i < 1500; i += 1) console.log(i + ' ' + 'x'.repeat(100)); return 'y'.repeat(50000);";
    let ran = client.done("run_script", json!({ "code": code }));
    let id = ran["execution_id"].as_str().unwrap().to_owned();
    let (mut lines, mut from) = (Vec::new(), json!(0));
    let (mut result, mut result_from) = (String::new(), json!(0));
    while !from.is_null() || !result_from.is_null() {
        let log_from = if from.is_null() { json!(10_000) } else { from.clone() };
        let part_from = if result_from.is_null() { json!(10_000_000) } else { result_from.clone() };
        let part = client.done("get_execution", json!({ "id": id, "log_offset": log_from, "result_offset": part_from }));
        if !from.is_null() {
            lines.extend(part["log"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()));
            from = part["next_log_offset"].clone();
        }
        if !result_from.is_null() {
            result.push_str(part["result"].as_str().unwrap());
            result_from = part["next_result_offset"].clone();
        }
    }
    assert_eq!(lines.len(), 1500);
    assert!(lines.iter().enumerate().all(|(i, line)| line.starts_with(&format!("{i} "))));
    assert_eq!(result.trim_matches('"'), "y".repeat(50_000));
    let log = client.request("resources/read", json!({ "uri": format!("wardroom://execution/{id}/log") }));
    let text = log["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.contains("\u{20}0 x") && text.contains("more: wardroom://execution/"), "{}", &text[..200]);
}

#[test]
fn resources_completions_and_prompts_lead_to_the_same_things() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    client.done("schedule_task", json!({ "name": "mine", "code": "return 1;", "schedule": cron() }));
    client.done("execute_task", json!({ "name": "mine" }));
    let listed = client.request("resources/list", json!({}));
    let uris: Vec<&str> = listed["result"]["resources"].as_array().unwrap().iter().map(|one| one["uri"].as_str().unwrap()).collect();
    assert!(uris.contains(&"wardroom://task/mine") && uris.contains(&"wardroom://template/log-message"), "{uris:?}");
    assert!(uris.iter().any(|uri| uri.starts_with("wardroom://execution/")), "{uris:?}");
    for uri in uris.iter().filter(|uri| !uri.ends_with(".d.ts")) {
        let read = client.request("resources/read", json!({ "uri": uri }));
        let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{uri}: {read}"));
        assert!(serde_json::from_str::<Value>(text).unwrap().is_object(), "{uri}");
    }
    for wrong in ["wardroom://task/other", "wardroom://", "file:///etc/passwd", "wardroom://execution/%", "wardroom://task/mine?from=1/2"] {
        let read = client.request("resources/read", json!({ "uri": wrong }));
        assert!(read["error"].is_object() || wrong.contains("?from"), "{wrong}: {read}");
    }
    let templates = client.request("resources/templates/list", json!({}));
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 8);
    let complete =
        json!({ "ref": { "type": "ref/resource", "uri": "wardroom://task/{name}" }, "argument": { "name": "name", "value": "mi" } });
    assert_eq!(client.request("completion/complete", complete)["result"]["completion"]["values"], json!(["mine"]));
    let prompts = client.request("prompts/list", json!({}));
    assert_eq!(prompts["result"]["prompts"].as_array().unwrap().len(), 3);
    let prompt = client.request("prompts/get", json!({ "name": "debug-execution", "arguments": { "execution": "abc" } }));
    assert!(prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap().contains("abc"), "{prompt}");
    assert!(client.request("prompts/get", json!({ "name": "debug-execution", "arguments": {} }))["error"].is_object());
}

#[test]
fn a_credential_is_an_entry_here_and_its_value_comes_from_a_person() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    assert_eq!(client.refused("add_credential", json!({ "name": "API_TOKEN" })), "vault_unavailable");
    home.file("pass", "correct horse battery staple");
    let init = home.run(&["init", "--vault", "file", "--json"]);
    assert_eq!(init.code, Some(0), "{init}");
    assert_eq!(client.refused("add_credential", json!({ "name": "API_TOKEN", "value": "sk-live-0123456789" })), "secret_refused");
    let added = client.done("add_credential", json!({ "name": "API_TOKEN", "hosts": ["api.example.org"], "description": "for reports" }));
    assert_eq!((&added["has_value"], &added["command"]), (&json!(false), &json!("wardroom credential set API_TOKEN")));
    let listed = client.done("list_credentials", json!({}));
    assert_eq!((&listed["credentials"][0]["name"], &listed["credentials"][0]["has_value"]), (&json!("API_TOKEN"), &json!(false)));

    // Using one is a request; one that is not there is none.
    let schedule = |credential: &str| json!({ "name": "uses", "code": "return 1;", "schedule": cron(), "credentials": [credential] });
    assert_eq!(client.refused("schedule_task", schedule("OTHER")), "credential_not_found");
    let saved = client.done("schedule_task", schedule("API_TOKEN"));
    assert!(saved["approval"]["asks"][0].as_str().unwrap().starts_with("--credential=API_TOKEN"), "{saved}");

    // Deleting one is a request as well.
    let asked = client.done("delete_credential", json!({ "name": "API_TOKEN" }));
    assert_eq!(home.read(&["credential", "list", "--json"])["credentials"].as_array().unwrap().len(), 1);
    let id = asked["approval"]["id"].as_str().unwrap();
    if approve(&home, id).is_some() {
        assert_eq!(home.read(&["credential", "list", "--json"])["credentials"].as_array().unwrap().len(), 0);
    }

    // All of it is in the log, as the assistant's.
    let session = client.done("get_status", json!({}))["session"].clone();
    let log = home.read(&["audit", "list", "--json"]);
    for event in ["credential-added", "task-added", "approval-asked"] {
        let found = log["events"].as_array().unwrap().iter().find(|row| row["event"] == event);
        let found = found.unwrap_or_else(|| panic!("{event}: {log}"));
        assert_eq!((&found["actor"], &found["session"]), (&json!("assistant"), &session), "{found}");
    }
    assert_eq!(home.run(&["audit", "verify"]).code, Some(0));
}

#[test]
fn an_exposed_task_is_a_tool_of_its_own_with_its_grants_and_its_bytes() {
    let (home, server) = (Home::new(), Server::start());
    let url = format!("{}/health", server.base());
    let add =
        ["task", "add", "health", "http-health-check", "--param", &format!("url={url}"), &format!("--allow-net={url}"), "--title=Health"];
    assert_eq!(home.run(&add).code, Some(0));
    let mut client = Client::new(&home, "operate");
    let tools = |client: &mut Client| client.request("tools/list", json!({}))["result"]["tools"].as_array().unwrap().clone();
    let named = |tools: &[Value]| tools.iter().find(|tool| tool["name"] == "task__health").cloned();
    assert_eq!(named(&tools(&mut client)), None);
    assert!(client.request("tools/call", json!({ "name": "task__health", "arguments": {} }))["error"].is_object());
    let exposed = home.run(&["expose", "health"]);
    assert!(exposed.code == Some(0) && exposed.text().contains("task__health"), "{exposed}");
    let tool = named(&tools(&mut client)).unwrap();
    assert_eq!(tool["inputSchema"]["properties"]["url"]["default"], url);
    assert_eq!(tool["inputSchema"]["required"], json!([]));
    assert_eq!(tool["annotations"]["openWorldHint"], true);
    assert_eq!(client.done("task__health", json!({}))["result"]["healthy"], true);
    let other = client.call("task__health", json!({ "expectedStatus": 201 }))["structuredContent"].clone();
    assert_eq!((&other["success"], &other["status"]), (&json!(false), &json!("failed")), "{other}");
    assert_eq!(server.requests().len(), 2);
    // Its arguments are params, and lead nowhere that was not granted.
    assert_eq!(client.refused("task__health", json!({ "expectedStatus": "many" })), "invalid_params");
    assert_eq!(client.refused("task__health", json!({ "wait": true })), "invalid_params");
    let elsewhere = client.call("task__health", json!({ "url": format!("{}/other", server.base()) }))["structuredContent"].clone();
    assert_eq!(elsewhere["success"], false, "{elsewhere}");
    assert_eq!(server.requests().len(), 2);
    // Those who only look have none.
    let mut reader = Client::new(&home, "read");
    assert_eq!(named(&tools(&mut reader)), None);
    assert!(reader.request("tools/call", json!({ "name": "task__health", "arguments": {} }))["error"].is_object());
    // Other bytes are another tool, which nobody exposed.
    let mut author = Client::new(&home, "author");
    author.done("update_task", json!({ "name": "health", "code": "return 'mine';", "params": {} }));
    assert_eq!(named(&tools(&mut client)), None);
    assert!(client.request("tools/call", json!({ "name": "task__health", "arguments": {} }))["error"].is_object());
    assert_eq!(home.run(&["unexpose", "health"]).code, Some(0));
}

#[test]
fn the_audit_log_tells_what_a_change_of_a_task_changed() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    let mut client = Client::new(&home, "author");
    client.done("schedule_task", json!({ "name": "mine", "code": "return params;", "schedule": cron() }));
    let schedule = json!({ "type": "interval", "minutes": 60 });
    client
        .done("update_task", json!({ "name": "mine", "new_name": "ours", "schedule": schedule, "params": { "token": "not-for-the-log" } }));
    let log = home.read(&["audit", "list", "--json"]);
    let changed = log["events"].as_array().unwrap().iter().find(|row| row["event"] == "task-changed").unwrap();
    let detail = &changed["detail"];
    assert_eq!(detail["was_named"], "mine", "{changed}");
    assert_eq!(detail["changed"], json!(["params", "when"]), "{changed}");
    assert_eq!(detail["when"]["every"], "1h", "{changed}");
    assert!(!log.to_string().contains("not-for-the-log"), "{log}");
}
