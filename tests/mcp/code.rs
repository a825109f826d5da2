//! Code mode: a script that an assistant tries calls what the operator exposed,
//! and nothing else.

use serde_json::{Value, json};

use super::{Client, approve};
use crate::support::home::Home;

const ADD: &str = "// /// wardroom\n// description = \"Adds two numbers */ console.log(1)\"\n// [params.a]\n// type = \"number\"\n// default = 1\n\
                   // [params.b]\n// type = \"integer\"\n// default = 2\n// description = \"The other\"\n// ///\nreturn params.a + params.b;";

fn cron() -> Value {
    json!({ "type": "cron", "expression": "0 9 * * *" })
}

/// The task, saved by a person.
fn add(home: &Home, name: &str, script: &str, flags: &[&str]) {
    let file = home.file(&format!("{name}.js"), script);
    let all: Vec<&str> = ["task", "add", name, file.to_str().unwrap()].iter().chain(flags).copied().collect();
    assert_eq!(home.run(&all).code, Some(0));
}

#[test]
fn a_script_that_is_tried_calls_what_is_exposed_and_nothing_else() {
    let home = Home::new();
    add(&home, "add-two", ADD, &["--overlap=allow"]);
    add(&home, "shut", "return 'reached';", &[]);
    add(&home, "beyond", "return tools.task.shut();", &["--allow-call=shut"]);
    for name in ["add-two", "beyond"] {
        assert_eq!(home.run(&["expose", name]).code, Some(0));
    }
    let mut client = Client::new(&home, "author");
    let code = "const caught = async (call) => { try { return await call(); } catch (error) { return error.kind; } };\n\
                return { names: Object.keys(tools.task), sums: await Promise.all([tools.task.addTwo({ a: 5 }), tools.task.addTwo()]),\n\
                shut: await caught(() => tools.task.shut()), beyond: await tools.task.beyond(),\n\
                manage: await caught(() => tools.task.runScript({})), other: await caught(() => tools.wardroom.listTasks({})) };";
    let ran = client.done("run_script", json!({ "code": code }));
    let expected = json!({ "names": ["addTwo", "beyond"], "sums": [7, 3], "shut": "denied", "beyond": "reached", "manage": "denied", "other": "denied" });
    assert_eq!(ran["result"], expected, "{ran}");
    // The answer names what it called, and those belong to the session.
    let children = ran["children"].as_array().unwrap();
    let mut names: Vec<_> = children.iter().map(|child| (child["name"].as_str().unwrap(), child["status"].as_str().unwrap())).collect();
    names.sort_unstable();
    assert_eq!(names, [("add-two", "success"), ("add-two", "success"), ("beyond", "success")]);
    let parent = client.done("get_execution", json!({ "id": ran["execution_id"] }));
    assert_eq!((parent["children"].as_array().unwrap().len(), &parent["parent"]), (3, &Value::Null), "{parent}");
    for child in children {
        let child = client.done("get_execution", json!({ "id": child["execution_id"] }));
        assert_eq!((&child["parent"], &child["session"]), (&ran["execution_id"], &parent["session"]), "{child}");
    }
    let listed = client.done("get_executions", json!({ "parent": ran["execution_id"] }));
    assert_eq!(listed["executions"].as_array().unwrap().len(), 3, "{listed}");
    // What is not exposed any more is called no more, also where the script began before.
    assert_eq!(home.run(&["unexpose", "add-two"]).code, Some(0));
    let after =
        client.done("run_script", json!({ "code": "try { await tools.task.addTwo(); return 1; } catch (error) { return error.kind; }" }));
    assert_eq!((&after["result"], &after["denied"][0]["flag"]), (&json!("denied"), &json!("--allow-call=add-two")), "{after}");
    // A header narrows; it widens nothing.
    let header =
        "// /// wardroom\n// call = [\"shut\"]\n// ///\nreturn [Object.keys(tools), await tools.task.shut().catch((error) => error.kind)];";
    assert_eq!(client.done("run_script", json!({ "code": header }))["result"], json!([[], "denied"]));
    drop(client);
    assert_eq!(home.run(&["expose", "add-two"]).code, Some(0));
    let mut client = Client::new(&home, "operate");
    assert_eq!(client.refused("run_script", json!({ "code": "return tools.task.addTwo();" })), "not_allowed");
}

#[test]
fn what_was_exposed_when_a_script_began_is_looked_at_again_when_it_calls() {
    let home = Home::new();
    add(&home, "open", "return 'reached';", &[]);
    assert_eq!(home.run(&["expose", "open"]).code, Some(0));
    let mut client = Client::new(&home, "author");
    let code = "console.log('begun');\nfor (;;) {\n  try { await tools.task.open(); } catch (error) { return error.kind; }\n  await new Promise((done) => setTimeout(done, 20));\n}";
    let params = json!({ "name": "run_script", "arguments": { "code": code }, "_meta": { "progressToken": "p" } });
    let id = client.begin("tools/call", params);
    client.receive(crate::support::PATIENCE).expect("it says that it began");
    assert_eq!(home.run(&["unexpose", "open"]).code, Some(0));
    let answer = client.answer(id);
    assert_eq!(answer["result"]["structuredContent"]["result"], "denied", "{answer}");
}

#[test]
fn the_types_of_what_is_exposed_are_a_resource_for_whoever_may_write_scripts() {
    let home = Home::new();
    add(&home, "add-two", ADD, &["--param", "a=4"]);
    add(&home, "shut", "return 1;", &[]);
    assert_eq!(home.run(&["expose", "add-two"]).code, Some(0));
    let uri = "wardroom://tools.d.ts";
    let read = |client: &mut Client| client.request("resources/read", json!({ "uri": uri }));
    let listed = |client: &mut Client| client.request("resources/list", json!({})).to_string().contains(uri);
    let mut client = Client::new(&home, "author");
    assert!(listed(&mut client));
    let text = read(&mut client)["result"]["contents"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("  readonly task: {\n"), "{text}");
    assert!(text.contains("    /** Adds two numbers *\\/ console.log(1) */\n"), "{text}");
    assert!(
        text.contains("    addTwo(params?: { /** Default: 4.0 */ a?: number") || text.contains("/** Default: 4 */ a?: number"),
        "{text}"
    );
    assert!(text.contains("/** The other. Default: 2 */ b?: number }): Promise<unknown>;"), "{text}");
    assert!(!text.contains("shut"), "{text}");
    let tools = client.request("tools/list", json!({})).to_string();
    assert!(tools.contains(uri), "run_script says where they are");
    let prompt = client.request("prompts/get", json!({ "name": "write-automation", "arguments": { "goal": "x" } })).to_string();
    assert!(prompt.contains(uri), "{prompt}");
    let mut client = Client::new(&home, "operate");
    assert!(!listed(&mut client) && read(&mut client)["error"].is_object());
}

#[test]
fn an_assistants_task_waits_for_a_person_before_it_calls() {
    let home = Home::new();
    add(&home, "open", "return 'reached';", &["--allow-env=HOME"]);
    let mut client = Client::new(&home, "author");
    let code = "// /// wardroom\n// call = [\"open\"]\n// ///\nreturn tools.task.open().catch((error) => error.kind);";
    let saved = client.done("schedule_task", json!({ "name": "mine", "code": code, "schedule": cron() }));
    assert_eq!(saved["approval"]["asks"], json!(["--allow-call=open"]), "{saved}");
    assert_eq!(client.done("execute_task", json!({ "name": "mine" }))["result"], "denied");
    let id = saved["approval"]["id"].as_str().unwrap().to_owned();
    let shown = home.run(&["approval", "show", &id]).text();
    assert!(shown.contains("open runs with what it was granted itself: --allow-env=HOME"), "{shown}");
    // What nobody knows yet is not asked for, and neither is a loop.
    let unknown = "// /// wardroom\n// call = [\"none\"]\n// ///\nreturn 1;";
    client.call("schedule_task", json!({ "name": "theirs", "code": unknown, "schedule": cron() }));
    assert_eq!(client.done("execute_task", json!({ "name": "theirs" }))["result"], 1);
    let own = client.call("request_grant", json!({ "task": "mine", "grants": { "call": ["mine"] }, "reason": "again" }));
    assert_eq!(own["isError"], true, "{own}");
    let Some(_) = approve(&home, &id) else { return };
    assert_eq!(client.done("execute_task", json!({ "name": "mine" }))["result"], "reached");
    // Another task that takes the name was not approved.
    client.done("update_task", json!({ "name": "open", "new_name": "was-open" }));
    client.done("schedule_task", json!({ "name": "open", "code": "return 'an impostor';", "schedule": cron() }));
    assert_eq!(client.done("execute_task", json!({ "name": "mine" }))["result"], "denied");
    // Other bytes of the callee hold nothing, whoever may call it.
    client.done("update_task", json!({ "name": "open", "new_name": "impostor" }));
    client.done("update_task", json!({ "name": "was-open", "new_name": "open", "code": "return process.env.HOME ?? 'nothing';" }));
    assert_eq!(client.done("execute_task", json!({ "name": "mine" }))["result"], "nothing");
}
