//! Functions of plugins as tools, by real guests of every shape.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::Client;
use crate::plugins::{docs_section, with_section};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::server::Server;

#[track_caller]
fn expose(home: &Home, args: &[&str]) {
    let all: Vec<&str> = ["expose"].iter().chain(args).copied().collect();
    let ended = home.run(&all);
    assert_eq!(ended.code, Some(0), "{ended}");
}

fn listed(client: &mut Client) -> Vec<Value> {
    let listed = client.request("tools/list", json!({}));
    listed["result"]["tools"].as_array().unwrap().iter().filter(|tool| tool["name"].as_str().unwrap().contains("__")).cloned().collect()
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn each_exposed_function_is_a_tool_with_its_own_types() {
    let home = Home::new();
    let file = home.file("typed.wasm", with_section(&fs::read(guests::typed()).unwrap(), "package-docs", &docs_section()));
    home.install(&file, "typed");
    let mut client = Client::new(&home, "operate");
    assert!(listed(&mut client).is_empty(), "installed is not exposed");
    expose(&home, &["typed"]);
    let tools = listed(&mut client);
    let expected = [
        "typed__add",
        "typed__fail",
        "typed__greet-all",
        "typed__nothing",
        "typed__refuse",
        "typed__repeat-text",
        "typed__shapes_area",
        "typed__shapes_mirror",
        "typed__spin",
    ];
    assert_eq!(names(&tools), expected, "in one order, and none that cannot be called");
    let add = &tools[0];
    assert_eq!(add["inputSchema"]["required"], json!(["a", "b"]));
    assert_eq!(add["inputSchema"]["additionalProperties"], false);
    assert_eq!(add["inputSchema"]["properties"]["a"]["maximum"], json!(u64::MAX));
    assert_eq!(add["outputSchema"]["properties"]["result"]["anyOf"][0]["maximum"], json!(u64::MAX));
    let about = add["description"].as_str().unwrap();
    assert!(about.ends_with("What it says of itself: Adds two numbers.\\u{1b}[2J"), "{about}");
    for tool in &tools {
        let hints = &tool["annotations"];
        // They were granted nothing, and so change nothing.
        let said = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"].map(|hint| hints[hint].as_bool());
        assert_eq!(said, [Some(true), Some(false), Some(true), Some(false)], "{tool}");
        jsonschema::validator_for(&tool["inputSchema"]).unwrap();
        assert_eq!(tool["inputSchema"]["type"], "object");
    }
    // What is answered is what the schema says.
    for (tool, arguments, result) in [
        ("typed__add", json!({ "a": 1, "b": "2" }), json!(3)),
        ("typed__add", json!({ "a": u64::MAX, "b": 0 }), json!("18446744073709551615")),
        ("typed__greet-all", json!({ "names": ["a"], "greeting": null }), Value::Null),
        ("typed__shapes_area", json!({ "shape": { "circle": 1 } }), json!(std::f64::consts::PI)),
        ("typed__nothing", json!({}), json!(null)),
    ] {
        let answer = client.done(tool, arguments);
        let schema = &tools.iter().find(|found| found["name"] == tool).unwrap()["outputSchema"];
        let validator = jsonschema::validator_for(schema).unwrap();
        assert!(validator.is_valid(&answer), "{tool}: {answer}");
        if tool != "typed__greet-all" {
            assert_eq!(answer["result"], result, "{tool}");
        }
    }
    let failed = client.call("typed__fail", json!({ "why": "so" }));
    assert_eq!((&failed["isError"], &failed["structuredContent"]["error"]["message"]), (&json!(true), &json!("so")));
}

#[test]
fn arguments_are_what_the_schema_says_and_nothing_else() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(&guests::command("echo"), "echoes");
    home.install(
        &home.file("s.js", "// /// wardroom\n// [params.n]\n// type = 'integer'\n// required = true\n// ///\nreturn params.n;"),
        "s",
    );
    expose(&home, &["typed.add"]);
    expose(&home, &["echoes"]);
    expose(&home, &["s"]);
    let mut client = Client::new(&home, "operate");
    for (tool, arguments) in [
        ("typed__add", json!({})),
        ("typed__add", json!({ "a": 1, "b": 2, "c": 3 })),
        ("typed__add", json!({ "a": -1, "b": 2 })),
        ("typed__add", json!({ "a": 1.5, "b": 2 })),
        ("typed__add", json!({ "a": "18446744073709551616", "b": 2 })),
        ("echoes__run", json!({ "args": "a" })),
        ("echoes__run", json!({ "args": [1] })),
        ("echoes__run", json!({ "arguments": [] })),
        ("s__run", json!({})),
        ("s__run", json!({ "n": "1" })),
        ("s__run", json!({ "n": 1, "m": 1 })),
    ] {
        assert_eq!(client.refused(tool, arguments.clone()), "validation_error", "{tool} {arguments}");
    }
    assert!(home.executions().is_empty(), "nothing of that ran");
    assert_eq!(client.done("s__run", json!({ "n": 7 }))["result"], 7);
}

#[test]
fn a_command_a_task_and_a_module_are_tools_too_and_recorded_with_the_session() {
    let home = Home::new();
    home.install(&guests::command("echo"), "echoes");
    home.install(&guests::task(), "worker");
    home.install(&guests::preview1(), "old");
    for name in ["echoes", "worker", "old"] {
        expose(&home, &[name]);
    }
    let mut client = Client::new(&home, "operate");
    assert_eq!(names(&listed(&mut client)), ["echoes__run", "old__run", "worker__run"]);
    let echoed = client.done("echoes__run", json!({ "args": ["one", "two"], "stdin": "in" }));
    assert!(echoed["result"].to_string().contains("one"), "{echoed}");
    let old = client.done("old__run", json!({ "args": ["x"], "stdin": "given" }));
    assert_eq!((&old["result"]["args"], &old["result"]["stdin"]), (&json!(["x"]), &json!("given")));
    assert_eq!(client.done("worker__run", json!({ "any": 1 }))["result"]["params"]["any"], 1);
    let failed = client.call("worker__run", json!({ "end": "invalid" }));
    assert_eq!(failed["structuredContent"]["success"], false);
    for execution in home.executions() {
        let record = home.read(&["exec", "show", execution["id"].as_str().unwrap(), "--json"]);
        assert!(record["session"].as_str().is_some_and(|session| session.starts_with("mcp-")), "{record}");
        assert!(execution["subject"].as_str().unwrap().starts_with("tool:"), "{execution}");
    }
}

#[test]
fn a_tool_ends_at_its_deadline_and_a_manifest_may_shorten_it() {
    let home = Home::new();
    home.install(&home.with_manifest(&guests::typed(), "short.wasm", "[limits]\ntimeout = '200ms'"), "short");
    expose(&home, &["short.spin"]);
    let mut client = Client::new(&home, "operate");
    let ended = client.call("short__spin", json!({}));
    assert_eq!(ended["structuredContent"]["status"], "timeout", "{ended}");
    let record = home.read(&["exec", "show", ended["structuredContent"]["execution_id"].as_str().unwrap(), "--json"]);
    assert_eq!(record["limits"]["deadline_ms"], 200, "{record}");
    home.install(&guests::typed(), "plain");
    expose(&home, &["plain.nothing"]);
    let done = client.done("plain__nothing", json!({}));
    let record = home.read(&["exec", "show", done["execution_id"].as_str().unwrap(), "--json"]);
    assert_eq!(record["limits"]["deadline_ms"], 30_000, "{record}");
}

#[test]
fn what_is_not_exposed_or_not_for_the_profile_is_no_tool() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    expose(&home, &["typed.add"]);
    let mut reader = Client::new(&home, "read");
    assert!(listed(&mut reader).is_empty());
    let mut client = Client::new(&home, "operate");
    for tool in ["typed__nothing", "typed__shapes_area", "typed__counters_count", "typed__", "__add", "other__add", "typed__add__x"] {
        let answer = client.request("tools/call", json!({ "name": tool, "arguments": {} }));
        assert_eq!(answer["error"]["code"], -32602, "{tool}: {answer}");
    }
    let answer = reader.request("tools/call", json!({ "name": "typed__add", "arguments": { "a": 1, "b": 2 } }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(client.done("typed__add", json!({ "a": 1, "b": 2 }))["result"], 3);
    assert_eq!(home.run(&["unexpose", "typed.add"]).code, Some(0));
    assert!(listed(&mut client).is_empty());
    let answer = client.request("tools/call", json!({ "name": "typed__add", "arguments": { "a": 1, "b": 2 } }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let uncallable = home.run(&["expose", "typed.counters.count"]);
    assert!(uncallable.code == Some(1) && uncallable.stderr.contains("cannot be called"), "{uncallable}");
}

#[test]
fn a_tools_grants_are_its_own() {
    let home = Home::new();
    let server = Server::start();
    let origin = server.base();
    let script = format!("// /// wardroom\n// net = ['{origin}']\n// ///\nreturn (await fetch('{origin}/x')).status;");
    let file = home.file("asks.js", script);
    home.install(&file, "asks");
    home.install(&file, "other");
    let surplus = home.run(&["expose", "asks", "--allow-env=HOME"]);
    assert!(surplus.code == Some(2) && surplus.stderr.contains("does not ask for"), "{surplus}");
    let exposed = home.run(&["expose", "asks"]);
    assert!(exposed.code == Some(0) && exposed.stderr.contains(&format!("wardroom expose asks --allow-net={origin}")), "{exposed}");
    expose(&home, &["other"]);
    let mut client = Client::new(&home, "operate");
    let denied = client.call("asks__run", json!({}));
    assert_eq!(denied["structuredContent"]["denied"][0]["capability"], "net", "{denied}");
    expose(&home, &["asks", &format!("--allow-net={origin}")]);
    assert_eq!(client.done("asks__run", json!({}))["result"], 200);
    let said = listed(&mut client).into_iter().find(|tool| tool["name"] == "asks__run").unwrap()["annotations"].clone();
    assert_eq!((&said["readOnlyHint"], &said["openWorldHint"]), (&json!(false), &json!(true)));
    // Neither another tool of the same bytes nor the command line has them.
    assert_eq!(client.call("other__run", json!({}))["structuredContent"]["success"], false);
    assert_eq!(home.read(&["run", "asks", "--dry-run", "--json"])["missing"].as_array().unwrap().len(), 1);
    // Other bytes are neither exposed nor granted.
    home.plugin(&["upgrade", "asks", home.file("asks2.js", "return 1;").to_str().unwrap()]);
    assert_eq!(names(&listed(&mut client)), ["other__run"]);
    home.plugin(&["rollback", "asks"]);
    assert_eq!(client.done("asks__run", json!({}))["result"], 200);
    home.run(&["unexpose", "asks"]);
    expose(&home, &["asks"]);
    assert_eq!(client.call("asks__run", json!({}))["structuredContent"]["success"], false, "what was taken is gone");
}

#[test]
fn names_of_any_length_are_ones_that_clients_accept() {
    let home = Home::new();
    let functions: Vec<String> =
        (0..3).map(|n| format!("{}-{n}", "a-very-long-name-of-a-function-that-somebody-wrote".repeat(2))).collect();
    let exports: String = functions.iter().map(|name| format!("(export \"{name}\" (func $f))")).collect();
    let text = format!(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\"))) {exports})"
    );
    home.install(&home.file("long.wasm", wat::parse_str(text).unwrap()), &"p".repeat(48));
    expose(&home, &[&"p".repeat(48)]);
    let mut client = Client::new(&home, "operate");
    let tools = listed(&mut client);
    let found: BTreeSet<&str> = names(&tools).into_iter().collect();
    assert_eq!(found.len(), 3);
    for name in found {
        assert!(name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{name}");
        client.done(name, json!({}));
    }
}

#[test]
fn an_assistant_finds_what_is_installed_with_its_functions_and_schemas() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(
        &home.with_manifest(&guests::task(), "w.wasm", "description = \"Works\\u001b[2J\"\nstate = '4KiB'\n[reasons]\nstate = 'to keep'"),
        "worker",
    );
    expose(&home, &["typed.add"]);
    let mut client = Client::new(&home, "read");
    let found = client.done("list_plugins", json!({}));
    let plugins: Vec<&Value> = found["plugins"].as_array().unwrap().iter().filter(|plugin| plugin["kind"] == "plugin").collect();
    assert_eq!((&plugins[0]["name"], &plugins[0]["exposed"]), (&json!("typed"), &json!(["add"])));
    assert!(found["plugins"].as_array().unwrap().iter().any(|plugin| plugin["kind"] == "template"));
    let one = client.done("get_plugin", json!({ "name": "worker" }));
    assert_eq!((&one["plugin"]["requests"][0]["reason"], &one["functions"][0]["name"]), (&json!("to keep"), &json!("run")));
    assert_eq!(client.done("get_plugin", json!({ "name": "log-message" }))["plugin"]["name"], "log-message");
    assert_eq!(client.refused("get_plugin", json!({ "name": "wroker" })), "plugin_not_found");
    let mut read = |uri: &str| client.request("resources/read", json!({ "uri": uri }));
    let text = |answer: &Value| answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert!(text(&read("wardroom://plugin/typed/wit")).contains("export add: func(a: u64, b: u64) -> u64;"));
    let functions: Value = serde_json::from_str(&text(&read("wardroom://plugin/typed/functions"))).unwrap();
    assert_eq!(functions[0]["name"], "add");
    assert_eq!(serde_json::from_str::<Value>(&text(&read("wardroom://plugin/typed"))).unwrap()["name"], "typed");
    assert!(read("wardroom://plugin/none")["error"].is_object() && read("wardroom://plugin/typed/other")["error"].is_object());
    let listed = client.request("resources/list", json!({}));
    assert!(listed.to_string().contains("wardroom://plugin/worker"));
    let completed = client.request(
        "completion/complete",
        json!({ "ref": { "type": "ref/resource", "uri": "wardroom://plugin/{name}" }, "argument": { "name": "name", "value": "ty" } }),
    );
    assert_eq!(completed["result"]["completion"]["values"], json!(["typed"]));
}

#[test]
fn a_row_that_somebody_changed_is_no_tool_any_more() {
    if !crate::support::database::is_here() {
        return;
    }
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(&guests::task(), "worker");
    expose(&home, &["typed.add"]);
    expose(&home, &["worker"]);
    let mut client = Client::new(&home, "operate");
    crate::support::database::edit(
        &home.path(),
        "db.execute('UPDATE plugins SET functions = replace(functions, \"u64\", \"x\") || \" \" WHERE name = \"typed\"')",
    );
    assert_eq!(names(&listed(&mut client)), ["worker__run"]);
    assert_eq!(client.refused("typed__add", json!({ "a": 1, "b": 2 })), "internal_error");
    assert!(home.executions().is_empty());
}

#[test]
fn a_client_is_told_when_tools_come_and_go() {
    let home = Home::new();
    home.install(&home.file("a.js", "return 1;"), "one");
    let mut client = Client::new(&home, "operate");
    assert!(listed(&mut client).is_empty());
    super::news::until_files(&home, "lists", 1);
    let told = |client: &mut Client| client.told("notifications/tools/list_changed");
    expose(&home, &["one"]);
    told(&mut client);
    assert_eq!(names(&listed(&mut client)), ["one__run"]);
    home.plugin(&["upgrade", "one", home.file("b.js", "return 2;").to_str().unwrap()]);
    told(&mut client);
    assert!(listed(&mut client).is_empty());
    home.plugin(&["rollback", "one"]);
    told(&mut client);
    assert_eq!(home.run(&["unexpose", "one"]).code, Some(0));
    told(&mut client);
    home.plugin(&["remove", "one"]);
    told(&mut client);
}
