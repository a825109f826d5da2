//! Functions of plugins as tools, by real guests of every shape.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::Client;
use super::news::meta;
use super::wire::SOON;
use crate::plugins::{docs_section, with_section};
use crate::support::PATIENCE;
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

fn with_typed() -> Home {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    expose(&home, &["typed"]);
    home
}

/// Messages until these requests are answered; nothing else is, and none twice.
fn answers(client: &Client, mut waited: BTreeSet<u64>) -> BTreeMap<u64, Value> {
    let mut answers = BTreeMap::new();
    while !waited.is_empty() {
        let answer = client.receive(PATIENCE).unwrap_or_else(|| panic!("no answer to {waited:?}"));
        let id = answer["id"].as_u64().unwrap();
        assert!(waited.remove(&id), "{answer}");
        answers.insert(id, answer);
    }
    answers
}

#[test]
fn many_calls_at_once_are_answered_once_and_recorded_whatever_is_among_them() {
    let home = with_typed();
    let mut client = Client::new(&home, "operate");
    let mut text = String::new();
    let (mut waited, mut spinning) = (BTreeSet::new(), Vec::new());
    for id in 1000..1040_u64 {
        let (name, arguments) = match id % 10 {
            3 => ("typed__spin", json!({})),
            5 => ("typed__nobody", json!({})),
            6 => ("typed__add", json!({ "a": 1 })),
            7 => ("get_status", json!({})),
            8 => ("typed__repeat-text", json!({ "text": "x".repeat(1000), "times": 19 })),
            _ => ("typed__add", json!({ "a": id, "b": 1 })),
        };
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "arguments": arguments } });
        text.push_str(&format!("{message}\n"));
        if name == "typed__spin" {
            spinning.push(id);
        } else {
            waited.insert(id);
        }
    }
    // In one write.
    client.send_bytes(text.as_bytes());
    for (id, answer) in answers(&client, waited) {
        let result = &answer["result"]["structuredContent"]["result"];
        match id % 10 {
            5 => assert!(answer["error"]["message"].as_str().unwrap().contains("there is no tool"), "{answer}"),
            6 => assert_eq!(answer["result"]["structuredContent"]["error"], "validation_error", "{answer}"),
            7 => assert_eq!(answer["result"]["structuredContent"]["success"], true, "{answer}"),
            8 => assert_eq!(result.as_str().map(str::len), Some(19_000), "{answer}"),
            _ => assert_eq!(*result, json!(id + 1), "{answer}"),
        }
    }
    for id in &spinning {
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    }
    let with = |status: &str| home.executions().iter().filter(|row| row["status"] == status).count();
    let start = std::time::Instant::now();
    while with("cancelled") < spinning.len() {
        assert!(start.elapsed() < PATIENCE, "{:?}", home.executions());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // What was cancelled is not answered.
    let id = client.begin("ping", json!({}));
    answers(&client, BTreeSet::from([id]));
    // Those that could be run, and nothing twice.
    assert_eq!((with("success"), home.executions().len()), (24, 28));
}

#[test]
fn a_client_that_reads_late_gets_each_answer_whole() {
    let home = with_typed();
    let mut command = home.command(&["mcp", "--profile", "operate"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, mut answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "late", "version": "1" } });
    writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello })).unwrap();
    answers.next().unwrap().unwrap();
    writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
    let params = json!({ "name": "typed__repeat-text", "arguments": { "text": "x".repeat(1000), "times": 9 } });
    let mut call =
        |id: u64| writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })).unwrap();
    // It is compiled, known to be over at once, and then over early.
    for id in 0..3 {
        call(id);
        answers.next().unwrap().unwrap();
    }
    // Many times what a pipe holds; each is short enough for the journal, or somebody
    // else would write it down and the answer would be the library's.
    (3..50).for_each(&mut call);
    let start = std::time::Instant::now();
    while home.executions().len() < 50 {
        assert!(start.elapsed() < PATIENCE, "it does not go on");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || answers.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let ids: BTreeSet<u64> = std::iter::repeat_with(|| lines.recv_timeout(PATIENCE).unwrap())
        .map(|line| serde_json::from_str::<Value>(&line).unwrap())
        .inspect(|answer| assert_eq!(answer["result"]["structuredContent"]["result"].as_str().map(str::len), Some(9000)))
        .map(|answer| answer["id"].as_u64().unwrap())
        .take(47)
        .collect();
    assert_eq!(ids, (3..50).collect());
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn whoever_calls_without_a_pause_holds_up_no_other_request() {
    let home = with_typed();
    let mut client = Client::new(&home, "operate");
    for _ in 0..3 {
        client.done("typed__nothing", json!({}));
    }
    // Few of them come in one read, and there are always more.
    const LINE: usize = 4096;
    const CALLS: u64 = 6000;
    const PING: u64 = 500;
    let mut stdin = client.stdin.take().unwrap();
    let calling = std::thread::spawn(move || {
        for id in 10_000..10_000 + CALLS {
            let message = if id % PING == 0 {
                json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })
            } else {
                json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "typed__nothing", "arguments": {} } })
            };
            stdin.write_all(format!("{:<width$}\n", message.to_string(), width = LINE - 1).as_bytes()).unwrap();
        }
        stdin
    });
    let answered: Vec<u64> = (0..CALLS).map(|_| client.receive(PATIENCE).unwrap()["id"].as_u64().unwrap()).collect();
    drop(calling.join().unwrap());
    // Calls that were asked for later, and answered before.
    let overtook = |at: usize, ping: u64| answered[..at].iter().filter(|id| **id > ping).count();
    let pings = answered.iter().enumerate().filter(|(_, id)| **id % PING == 0);
    let most = pings.map(|(at, id)| overtook(at, *id)).max().unwrap();
    println!("at most {most} of {CALLS} calls came before a ping that was asked for earlier");
    assert!(most < 300, "{most}");
}

#[test]
fn whoever_never_stops_calling_holds_up_no_end() {
    const AT_ONCE: usize = 64;
    let home = with_typed();
    let mut client = Client::new(&home, "operate");
    client.done("typed__nothing", json!({}));
    let mut stdin = client.stdin.take().unwrap();
    let lines = std::mem::replace(&mut client.lines, std::sync::mpsc::channel().1);
    let (sender, under_way) = std::sync::mpsc::channel();
    let call = json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": { "name": "typed__nothing", "arguments": {} } });
    let call = format!("{call}\n");
    // One more for each answer, until nobody reads it any more.
    let calling = std::thread::spawn(move || {
        stdin.write_all(call.repeat(AT_ONCE).as_bytes()).unwrap();
        lines
            .iter()
            .take_while(|_| {
                sender.send(()).ok();
                stdin.write_all(call.as_bytes()).is_ok()
            })
            .count()
    });
    for _ in 0..500 {
        under_way.recv_timeout(PATIENCE).unwrap();
    }
    kill_process(Pid::from_child(&client.child), Signal::TERM).unwrap();
    let (took, code) = client.gone();
    println!("gone after {took:?}, {} were answered", calling.join().unwrap());
    assert!(took < SOON && code == Some(0), "{took:?} {code:?}");
    assert!(home.executions().iter().all(|row| row["status"] == "success" || row["status"] == "interrupted"));
}

#[test]
fn a_call_says_what_its_era_has_to_say() {
    let home = with_typed();
    let mut client = Client::raw(&home, &["--profile", "operate"]);
    let (tools, arguments) = (["get_status", "typed__add"], [json!({}), json!({ "a": 1, "b": 2 })]);
    for (tool, arguments) in tools.iter().zip(&arguments) {
        let answer = client.request("tools/call", json!({ "name": tool, "arguments": arguments, "_meta": meta() }));
        assert_eq!((&answer["result"]["resultType"], &answer["result"]["isError"]), (&json!("complete"), &json!(false)), "{answer}");
    }
    // One that does not end at once is cancelled as in any era.
    let spins = client.begin("tools/call", json!({ "name": "typed__spin", "arguments": {}, "_meta": meta() }));
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": spins } }));
    let start = std::time::Instant::now();
    while !home.executions().iter().any(|row| row["status"] == "cancelled") {
        assert!(start.elapsed() < PATIENCE, "{:?}", home.executions());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Whoever reads it first: what is wrong is answered in the same words.
    let mut error = |more: Value| {
        let errors = tools.iter().zip(&arguments).map(|(tool, arguments)| {
            let mut params = json!({ "name": tool, "arguments": arguments });
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            client.request("tools/call", params)["error"].clone()
        });
        let errors: Vec<Value> = errors.collect();
        assert_eq!(errors[0], errors[1], "{more}");
        errors[0]["message"].as_str().unwrap_or_else(|| panic!("{errors:?}")).to_owned()
    };
    assert!(error(json!({})).contains("_meta is missing"));
    assert!(error(json!({ "_meta": {} })).contains("_meta is missing"));
    let mut unknown = meta();
    unknown["io.modelcontextprotocol/protocolVersion"] = json!("1999-01-01");
    assert!(error(json!({ "_meta": unknown })).to_lowercase().contains("unsupported"));
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
