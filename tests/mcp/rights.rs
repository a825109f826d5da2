//! Ways for a client to obtain more than its profile and its approvals give.
//! None works.

use serde_json::{Value, json};

use super::{Client, approve};
use crate::support::home::Home;
use crate::support::server::Server;

fn hourly() -> Value {
    json!({ "type": "interval", "minutes": 60 })
}

#[test]
fn a_profile_has_its_tools_and_no_others() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    for (profile, has, has_not) in [
        (
            "read",
            vec!["list_tasks", "get_status", "check_task"],
            vec!["execute_task", "schedule_task", "run_script", "request_grant", "delete_task"],
        ),
        ("operate", vec!["execute_task", "schedule_task", "request_grant"], vec!["run_script", "add_credential", "delete_credential"]),
        ("author", vec!["run_script", "add_credential"], vec![]),
    ] {
        let mut client = Client::new(&home, profile);
        let listed = client.request("tools/list", json!({}));
        let names: Vec<&str> = listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        for tool in has {
            assert!(names.contains(&tool), "{profile} lacks {tool}");
        }
        for tool in has_not {
            assert!(!names.contains(&tool), "{profile} lists {tool}");
            // Calling it unlisted helps as little, with whatever arguments.
            for _ in 0..3 {
                assert_eq!(client.refused(tool, json!({ "name": "x", "profile": "author" })), "not_allowed", "{profile} {tool}");
            }
        }
    }
    // Once for each tool and session, not for each call.
    let refused = home.read(&["audit", "list", "--json", "--event=tool-refused", "--limit=100"]);
    assert_eq!(refused["events"].as_array().unwrap().len(), 8, "{refused}");
    // The profile is the operator's; there is no other way to say it.
    let mut client = Client::raw(&home, &["--profile", "read"]);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": { "experimental": { "profile": { "name": "author" } } },
        "clientInfo": { "name": "wardroom-operator", "version": "1", "profile": "author" }, "_meta": { "profile": "author" } });
    client.request("initialize", hello);
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!(client.refused("run_script", json!({ "code": "return 1;" })), "not_allowed");
}

#[test]
fn the_readme_lists_the_tools_of_each_profile() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let found = readme.split("<!-- mcp: checked").nth(1).unwrap().split("<!-- mcp: end").next().unwrap();
    let found = found.split("|---|---|\n").nth(1).unwrap();
    let home = Home::new();
    let (mut known, mut expected) = (Vec::new(), String::new());
    for (profile, cell) in [("read", "`read`"), ("operate", "`operate`"), ("author", "`author` (default)")] {
        let listed = Client::new(&home, profile).request("tools/list", json!({}));
        let names = listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        let new: Vec<String> = names.filter(|name| !known.contains(name)).collect();
        let row: Vec<String> = new.iter().map(|name| format!("`{name}`")).collect();
        expected.push_str(&format!("| {cell} | {} |\n", row.join(" ")));
        known.extend(new);
    }
    assert_eq!(found, expected, "the README's table of tools should read as on the right");
    let lasts = wardroom_core::limit::DurationText(wardroom::approval::APPROVAL_LASTS).to_string();
    let sentence = format!("An approval waits for {lasts}; at most {} wait at once.", wardroom_db::MAX_WAITING_APPROVALS);
    assert!(readme.replace('\n', " ").contains(&sentence), "{sentence}");
}

#[test]
fn code_is_for_authors_wherever_it_is_put() {
    let home = Home::new();
    let mut author = Client::new(&home, "author");
    author.done("schedule_task", json!({ "name": "mine", "code": "return 1;", "schedule": hourly() }));
    let mut client = Client::new(&home, "operate");
    for (tool, arguments) in [
        ("schedule_task", json!({ "name": "theirs", "code": "return 2;", "schedule": hourly() })),
        ("update_task", json!({ "name": "mine", "code": "return 2;" })),
    ] {
        assert_eq!(client.refused(tool, arguments), "not_allowed", "{tool}");
    }
    // A template is a name and no path.
    for path in ["./mine.js", "/etc/passwd", "../x.js", "log-message.js", "log-message#x", "mine", "LOG-MESSAGE", "log-message/"] {
        let arguments = json!({ "name": "theirs", "template_id": path, "schedule": hourly() });
        assert_eq!(client.refused("schedule_task", arguments), "template_not_found", "{path}");
    }
    assert_eq!(client.done("execute_task", json!({ "name": "mine" }))["result"], 1);
}

/// A script that fetches its param, with or without a header.
fn fetching(header: bool) -> String {
    let head = "// /// wardroom\n// net = [\"{params.url}\"]\n// [params.url]\n// type = \"string\"\n// ///\n";
    format!("{}return (await fetch(params.url)).status;", if header { head } else { "" })
}

#[track_caller]
fn assert_denied(client: &mut Client, name: &str) {
    let ran = client.call("execute_task", json!({ "name": name }))["structuredContent"].clone();
    assert_eq!(ran["error"]["kind"], "denied", "{name}: {ran}");
}

#[test]
fn what_was_granted_stays_with_its_task_its_bytes_and_its_place() {
    let (home, server) = (Home::new(), Server::start());
    let mut client = Client::new(&home, "author");
    let url = format!("{}/a", server.base());
    let task = |name: &str, code: &str| json!({ "name": name, "code": code, "params": { "url": url }, "schedule": hourly() });
    let saved = client.done("schedule_task", task("first", &fetching(true)));
    let Some(_) = approve(&home, saved["approval"]["id"].as_str().unwrap()) else { return };
    assert_eq!(client.done("execute_task", json!({ "name": "first" }))["result"], 200);
    let asked = server.requests().len();

    // A second task of the same bytes starts with nothing, and so does one that
    // takes the first one's name.
    client.done("schedule_task", task("second", &fetching(true)));
    assert_denied(&mut client, "second");
    client.done("update_task", json!({ "name": "first", "new_name": "old" }));
    client.done("update_task", json!({ "name": "second", "new_name": "first" }));
    assert_denied(&mut client, "first");
    client.done("delete_task", json!({ "name": "first" }));
    client.done("schedule_task", task("first", &fetching(true)));
    assert_denied(&mut client, "first");

    // Other bytes of the granted task keep nothing, and neither do the old ones
    // when they come back.
    client.done("update_task", json!({ "name": "old", "code": format!("{}\n", fetching(true)) }));
    assert_denied(&mut client, "old");
    client.done("update_task", json!({ "name": "old", "code": fetching(true) }));
    assert_denied(&mut client, "old");
    client.done("update_task", json!({ "name": "old", "code": fetching(false) }));
    assert_denied(&mut client, "old");
    assert_eq!(server.requests().len(), asked, "nothing was sent");
}

#[test]
fn params_lead_nowhere_that_was_not_approved() {
    let (home, server, other) = (Home::new(), Server::start(), Server::start());
    let mut client = Client::new(&home, "author");
    let params = json!({ "url": format!("{}/a", server.base()) });
    let saved = client.done("schedule_task", json!({ "name": "t", "code": fetching(true), "params": params, "schedule": hourly() }));
    let Some(_) = approve(&home, saved["approval"]["id"].as_str().unwrap()) else { return };
    // Where it was approved, it goes.
    assert_eq!(client.done("execute_task", json!({ "name": "t" }))["result"], 200);
    let there = format!("{}/a", other.base());
    let base = server.base();
    for url in [
        there.clone(),
        format!("{base}.example.org/"),
        format!("{}@{}", base, there.trim_start_matches("http://")),
        "http://169.254.169.254/latest".to_owned(),
        "https://*.example.org".to_owned(),
        format!("{there},GET"),
        format!("{there}=127.0.0.1"),
        "file:///etc/passwd".to_owned(),
    ] {
        let changed = client.call("update_task", json!({ "name": "t", "params": { "url": url } }))["structuredContent"].clone();
        // Refused as no place, or a request that waits.
        assert!(changed["success"] == false || changed["approval"]["id"].is_string(), "{url}: {changed}");
        let ran = client.call("execute_task", json!({ "name": "t" }))["structuredContent"].clone();
        if changed["success"] == true {
            assert_ne!(ran["status"], "success", "{url}: {ran}");
        }
    }
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn nobody_approves_but_a_person_and_nobody_twice() {
    let (home, server) = (Home::new(), Server::start());
    let mut client = Client::new(&home, "author");
    client.done(
        "schedule_task",
        json!({ "name": "t", "code": fetching(false), "params": { "url": format!("{}/a", server.base()) }, "schedule": hourly() }),
    );
    let net = json!({ "net": [server.base()] });
    let wish = json!({ "task": "t", "grants": net, "reason": "to ask" });
    let asked = client.done("request_grant", wish.clone());
    let id = asked["approval"]["id"].as_str().unwrap().to_owned();
    // The very same is the very same request.
    assert_eq!(client.done("request_grant", wish)["approval"]["id"], id);
    // There is no such tool, under no name.
    for tool in ["approve", "approval_approve", "approve_request", "grant", "approval"] {
        let answer = client.request("tools/call", json!({ "name": tool, "arguments": { "id": id } }));
        assert!(answer["error"].is_object(), "{tool}: {answer}");
    }
    // Without a terminal nobody is a person; a code that was typed ahead is none.
    for stdin in ["", "y\n", "yes\nbbbb\ncccc\n"] {
        let ended = home.feed(&["approval", "approve", &id], stdin);
        assert_eq!(ended.code, Some(1), "{ended}");
        assert!(ended.stderr.contains("in a terminal"), "{ended}");
    }
    let wrong =
        crate::support::terminal::on_a_terminal(&home, &format!("approval approve {id}"), "anything else to leave it:", Some("yes\n"));
    let Some(screen) = wrong else { return };
    assert!(screen.contains("not approved"), "{screen}");
    assert_denied(&mut client, "t");
    // It was asked for these bytes: for others it is nothing.
    client.done("update_task", json!({ "name": "t", "code": format!("{}//", fetching(false)) }));
    let screen = approve(&home, &id).unwrap();
    assert!(screen.contains("other bytes"), "{screen}");
    assert_denied(&mut client, "t");
    client.done("update_task", json!({ "name": "t", "code": fetching(false) }));
    assert!(approve(&home, &id).unwrap().contains("approved: task t"));
    assert_eq!(client.done("execute_task", json!({ "name": "t" }))["result"], 200);
    // Once.
    assert!(approve(&home, &id).unwrap().contains("approved already"));
    // Rejected is rejected.
    let other = client.done("request_grant", json!({ "task": "t", "grants": { "env": ["HOME"] }, "reason": "x" }));
    let other = other["approval"]["id"].as_str().unwrap();
    assert_eq!(home.run(&["approval", "reject", other]).code, Some(0));
    assert!(approve(&home, other).unwrap().contains("rejected already"));
}

#[test]
fn a_wish_outside_of_what_the_program_declares_or_of_what_can_be_granted_is_none() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let message = json!({ "message": "x" });
    client.done("schedule_task", json!({ "name": "t", "template_id": "log-message", "params": message, "schedule": hourly() }));
    client.done("schedule_task", json!({ "name": "free", "code": "return 1;", "schedule": hourly() }));
    let own = home.path();
    let own = own.to_str().unwrap();
    let database = format!("{own}/wardroom.db");
    for (task, grants) in [
        ("t", json!({ "net": ["https://example.org"] })),
        ("free", json!({ "read": [own] })),
        ("free", json!({ "write": ["/"] })),
        ("free", json!({ "read": ["/proc"] })),
        ("free", json!({ "sqlite": [database] })),
        ("free", json!({ "net": ["https://*"] })),
        ("free", json!({ "state": "1TiB" })),
        ("free", json!({ "credentials": ["NOT_THERE"] })),
        ("free", json!({})),
    ] {
        let wish = json!({ "task": task, "grants": grants, "reason": "because" });
        let code = client.refused("request_grant", wish.clone());
        assert!(["validation_error", "invalid_program", "credential_not_found"].contains(&code.as_str()), "{wish}: {code}");
    }
    assert_eq!(home.read(&["approval", "list", "--json"])["approvals"], json!([]));
    // A reason is words on a terminal and nothing more.
    let wish = json!({ "task": "free", "grants": { "env": ["HOME"] }, "reason": "\u{1b}[2J\u{1b}[1;1Happroved\r\n" });
    let id = client.done("request_grant", wish)["approval"]["id"].as_str().unwrap().to_owned();
    let shown = home.run(&["approval", "show", &id]);
    assert!(!shown.text().contains('\u{1b}'), "{shown}");
}

#[test]
fn scripts_that_are_tried_hold_nothing_even_where_such_bytes_were_granted() {
    let (home, server) = (Home::new(), Server::start());
    let code = format!("return (await fetch('{}/a')).status;", server.base());
    let file = home.file("script.js", &code);
    let flag = format!("--allow-net={}", server.base());
    assert_eq!(home.run(&["task", "add", "granted", file.to_str().unwrap(), &flag]).code, Some(0));
    let mut client = Client::new(&home, "author");
    let ran = client.call("run_script", json!({ "code": code }))["structuredContent"].clone();
    assert_eq!(ran["error"]["kind"], "denied", "{ran}");
    for code in [
        "const fs = await import('node:fs'); return fs.readFileSync('/etc/passwd', 'utf8');",
        "return await (await fetch('http://127.0.0.1:1/')).text();",
        "return credentials.API_TOKEN.length;",
        "return process.env.HOME.length;",
    ] {
        let ran = client.call("run_script", json!({ "code": code }))["structuredContent"].clone();
        assert_eq!(ran["success"], false, "{code}: {ran}");
    }
    assert_eq!(server.requests().len(), 0);
    // The task itself does what it was granted.
    assert_eq!(client.done("execute_task", json!({ "name": "granted" }))["result"], 200);
}

/// Calls in the era of 2026-07-28, where each says all about itself.
pub(super) fn modern(client: &mut Client, tool: &str, arguments: &Value, more: Value) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    });
    let mut params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.request("tools/call", params)["result"].clone()
}

#[test]
fn a_state_is_for_one_call_and_once_and_a_client_that_is_not_trusted_is_not_asked() {
    let (home, server) = (Home::new(), Server::start());
    let saved = json!({ "name": "t", "code": fetching(false), "params": { "url": format!("{}/a", server.base()) }, "schedule": hourly() });
    let wish = json!({ "task": "t", "grants": { "net": [server.base()] }, "reason": "to ask" });
    let yes = json!({ "approval": { "action": "accept", "content": { "approve": true } } });
    let no = json!({ "approval": { "action": "decline" } });

    // Whatever a client can do: who is not trusted is not asked.
    let mut plain = Client::raw(&home, &[]);
    assert_eq!(modern(&mut plain, "schedule_task", &saved, json!({}))["structuredContent"]["success"], true);
    let asked = modern(&mut plain, "request_grant", &wish, json!({}));
    assert_eq!(asked["structuredContent"]["approval"]["status"], "waiting", "{asked}");
    for state in [json!("rs1.e30.x"), json!(""), json!("x".repeat(10_000))] {
        let forged = modern(&mut plain, "request_grant", &wish, json!({ "requestState": state, "inputResponses": yes }));
        assert_eq!(forged["structuredContent"]["error"], "invalid_state", "{forged}");
    }

    let mut client = Client::raw(&home, &["--elicitation=trusted"]);
    let ask = |client: &mut Client| {
        let required = modern(client, "request_grant", &wish, json!({}));
        assert_eq!(required["resultType"], "input_required", "{required}");
        let question = required["inputRequests"]["approval"]["params"]["message"].as_str().unwrap();
        assert!(question.contains(&format!("--allow-net={}", server.base())) && question.contains("task t"), "{question}");
        required["requestState"].as_str().unwrap().to_owned()
    };
    let state = ask(&mut client);
    let with = |state: &str, said: &Value| json!({ "requestState": state, "inputResponses": said });
    let mut altered = state.clone().into_bytes();
    let last = altered.len() - 1;
    altered[last] = if altered[last] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let other = json!({ "task": "t", "grants": { "env": ["HOME"] }, "reason": "to ask" });
    for (tool, arguments, state) in [
        ("request_grant", &wish, altered.as_str()),
        ("request_grant", &other, state.as_str()),
        ("schedule_task", &wish, state.as_str()),
        ("delete_credential", &wish, state.as_str()),
    ] {
        let refused = modern(&mut client, tool, arguments, with(state, &yes));
        assert_eq!(refused["structuredContent"]["error"], "invalid_state", "{tool} {arguments}: {refused}");
    }
    // Another server is another key, and a profile without the tool has no state either.
    let mut second = Client::raw(&home, &["--elicitation=trusted"]);
    assert_eq!(modern(&mut second, "request_grant", &wish, with(&state, &yes))["structuredContent"]["error"], "invalid_state");
    let mut reader = Client::raw(&home, &["--elicitation=trusted", "--profile", "read"]);
    assert_eq!(modern(&mut reader, "request_grant", &wish, with(&state, &yes))["structuredContent"]["error"], "not_allowed");
    assert_eq!(home.read(&["approval", "list", "--json"])["approvals"].as_array().unwrap().len(), 1);

    // No is no, also for whoever says yes with the same state afterwards.
    let declined = modern(&mut client, "request_grant", &wish, with(&state, &no));
    assert_eq!(
        (&declined["structuredContent"]["approved"], &declined["structuredContent"]["approval"]["status"]),
        (&json!(false), &json!("waiting"))
    );
    assert_eq!(modern(&mut client, "request_grant", &wish, with(&state, &yes))["structuredContent"]["error"], "invalid_state");
    // Silence, and anything else, is no yes.
    for said in [json!({}), json!({ "approval": true }), json!({ "other": { "action": "accept", "content": { "approve": true } } })] {
        let state = ask(&mut client);
        let silent = modern(&mut client, "request_grant", &wish, with(&state, &said));
        assert_eq!(silent["structuredContent"]["approved"], false, "{said}: {silent}");
    }
    let state = ask(&mut client);
    let approved = modern(&mut client, "request_grant", &wish, with(&state, &yes));
    assert_eq!(
        (&approved["structuredContent"]["approved"], &approved["structuredContent"]["approval"]["status"]),
        (&json!(true), &json!("approved"))
    );
    assert_eq!(modern(&mut client, "request_grant", &wish, with(&state, &yes))["structuredContent"]["error"], "invalid_state");
    assert_eq!(modern(&mut client, "execute_task", &json!({ "name": "t" }), json!({}))["structuredContent"]["result"], 200);
}

#[test]
fn the_same_text_in_another_language_is_another_program() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let head = "// /// wardroom\n// env = [\"HOME\"]\n// ///\n";
    let code = |more: &str| format!("{head}function f(v) {{ return 'typed ' + v }} const x = 1, A = 2;{more}\nreturn String(f<A>(x));");
    let saved = client.done("schedule_task", json!({ "name": "p", "code": code(""), "schedule": hourly() }));
    let id = saved["approval"]["id"].as_str().unwrap().to_owned();
    let other = json!({ "name": "p", "code": code(""), "language": "typescript" });
    assert_eq!(client.refused("update_task", other.clone()), "validation_error");
    // Nor by a way round.
    client.done("update_task", json!({ "name": "p", "code": code("//"), "language": "typescript" }));
    client.done("update_task", other);
    let Some(screen) = approve(&home, &id) else { return };
    assert!(!screen.contains("approved: task"), "{screen}");
    assert_eq!(home.read(&["task", "show", "p", "--json"]).get("grants"), None);
}

#[test]
fn other_bytes_do_not_find_what_the_old_ones_kept() {
    let home = Home::new();
    let head = "// /// wardroom\n// state = \"4KiB\"\n// ///\n";
    let file = home.file("op.js", format!("{head}await state.set('token', 'OPERATORS-OWN'); return 'kept';"));
    assert_eq!(home.run(&["task", "add", "op", file.to_str().unwrap(), "--state=4KiB"]).code, Some(0));
    assert_eq!(home.run(&["task", "run", "op"]).code, Some(0));
    assert!(home.run(&["task", "state", "op"]).text().contains("OPERATORS-OWN"));
    let mut client = Client::new(&home, "author");
    let read = format!("{head}return (await state.get('token')) ?? 'nothing';");
    let saved = client.done("update_task", json!({ "name": "op", "code": read }));
    if approve(&home, saved["approval"]["id"].as_str().unwrap()).is_some() {
        assert_eq!(client.done("execute_task", json!({ "name": "op" }))["result"], "nothing");
    }
}

#[test]
fn a_credential_that_went_and_came_back_is_another_one() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    let mut client = Client::new(&home, "author");
    client.done("add_credential", json!({ "name": "X", "hosts": ["evil.example"] }));
    let saved = client.done("schedule_task", json!({ "name": "t", "code": "return 1;", "schedule": hourly(), "credentials": ["X"] }));
    let id = saved["approval"]["id"].as_str().unwrap();
    let shown = home.run(&["approval", "show", id]).text();
    assert!(shown.contains("X may be sent to evil.example, and has no value yet"), "{shown}");
    assert!(shown.contains("it runs ") && shown.contains("every hour"), "{shown}");
    assert!(home.feed(&["credential", "set", "X"], "0123456789").stderr.contains("evil.example"));
    for come_back in [false, true] {
        if come_back {
            assert_eq!(home.feed(&["credential", "add", "X", "--host=b.example"], "9876543210").code, Some(0));
        } else {
            assert_eq!(home.run(&["credential", "rm", "X"]).code, Some(0));
        }
        let Some(screen) = approve(&home, id) else { return };
        assert!(screen.contains("gone, or has other bytes"), "{screen}");
    }
    assert_eq!(home.read(&["credential", "show", "X", "--json"])["used_by"], json!([]));
}

#[test]
fn a_screen_shows_what_is_asked_for_last_whatever_stands_in_the_reason() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    client.done("schedule_task", json!({ "name": "t", "code": "return 1;", "schedule": hourly() }));
    let reason = format!("needed{}{}asks for    nothing at all", "\n".repeat(60), " ".repeat(68));
    let wish = json!({ "task": "t", "grants": { "env": ["HOME"] }, "reason": reason });
    let id = client.done("request_grant", wish)["approval"]["id"].as_str().unwrap().to_owned();
    let shown = home.run(&["approval", "show", &id]).text();
    let lines: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(lines.len() < 12, "{shown}");
    let asks = lines.iter().rposition(|line| line.starts_with("asks for")).unwrap();
    assert!(lines[asks].contains("HOME") && asks + 1 >= lines.len().saturating_sub(1), "{shown}");
    let many: Vec<String> = (0..17).map(|n| format!("VARIABLE_{n}")).collect();
    assert_eq!(client.refused("request_grant", json!({ "task": "t", "grants": { "env": many }, "reason": "x" })), "validation_error");
}

#[test]
fn what_waits_goes_on_by_a_yes_alone_and_what_is_off_stays_off() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    let mut client = Client::new(&home, "author");
    for name in ["X", "Y"] {
        client.done("add_credential", json!({ "name": name, "hosts": ["a.example"] }));
    }
    let code = "// /// wardroom\n// net = [\"https://a.example\"]\n// credentials = [\"X\", \"Y\"]\n// ///\nreturn 1;";
    let wait = |name: &str| json!({ "name": name, "code": code, "schedule": hourly() });
    let paused = |client: &mut Client, name: &str| client.done("get_task", json!({ "name": name }))["task"]["paused"].clone();

    // A change while it waits asks for all of it again, not for what is new alone.
    client.done("schedule_task", wait("all"));
    let again = client.done("update_task", json!({ "name": "all", "credentials": ["X@a.example"] }));
    assert!(again["approval"]["asks"].as_array().unwrap().len() >= 3, "{again}");

    // Refused, it waits for nothing any more.
    let saved = client.done("schedule_task", wait("no"));
    assert_eq!(home.run(&["approval", "reject", saved["approval"]["id"].as_str().unwrap()]).code, Some(0));
    assert_eq!(client.done("get_task", json!({ "name": "no" }))["waits_for_approval"], Value::Null);
    client.done("toggle_task", json!({ "name": "no", "enabled": true }));

    // Nothing is asked for any more: it goes on.
    client.done("schedule_task", wait("less"));
    client.done("update_task", json!({ "name": "less", "code": "return 2;" }));
    assert_eq!(paused(&mut client, "less"), Value::Null);

    // Off is off, also for a yes that comes later; and on waits.
    let saved = client.done("schedule_task", wait("off"));
    client.done("toggle_task", json!({ "name": "off", "enabled": false }));
    assert_eq!(client.refused("toggle_task", json!({ "name": "off", "enabled": true })), "waits_for_approval");
    if approve(&home, saved["approval"]["id"].as_str().unwrap()).is_some() {
        assert_eq!(paused(&mut client, "off"), "switched off by an assistant");
    }

    // What cannot be asked for is not saved.
    let surplus = json!({ "name": "surplus", "template_id": "log-message", "params": { "message": "x" }, "schedule": hourly(), "credentials": ["X"] });
    assert_eq!(client.refused("schedule_task", surplus), "invalid_program");
    assert_eq!(client.refused("get_task", json!({ "name": "surplus" })), "task_not_found");
}

#[test]
fn refusals_are_what_the_schemas_say_and_are_written_down() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    let mut client = Client::new(&home, "author");
    let listed = client.request("tools/list", json!({}))["result"]["tools"].clone();
    for tool in listed.as_array().unwrap() {
        let (name, schema) = (tool["name"].as_str().unwrap(), jsonschema::validator_for(&tool["outputSchema"]).unwrap());
        for arguments in
            [json!({ "nonsense": true }), json!({ "name": "nothing", "id": "ffff" }), json!({ "name": "nothing" }), json!({ "id": "ffff" })]
        {
            let structured = client.call(name, arguments.clone())["structuredContent"].clone();
            assert!(schema.is_valid(&structured), "{name} {arguments}: {structured}");
        }
    }
    let value = json!({ "name": "X", "value": "sk-live-0123456789" });
    assert_eq!(client.refused("add_credential", value), "secret_refused");
    let mut client = Client::new(&home, "operate");
    let code = json!({ "name": "x", "code": "return 1;", "schedule": hourly() });
    assert_eq!(client.refused("schedule_task", code), "not_allowed");
    let log = home.read(&["audit", "list", "--json", "--event=tool-refused"]);
    let subjects: Vec<&str> = log["events"].as_array().unwrap().iter().map(|row| row["subject"].as_str().unwrap()).collect();
    assert!(subjects.contains(&"code") && subjects.contains(&"add_credential:value"), "{subjects:?}");
}

#[test]
fn an_assistant_fills_neither_the_list_of_tasks_nor_that_of_credentials() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    std::fs::write(home.path().join("config.toml"), "[mcp]\nmax_tasks = 2\nmax_credentials = 1\n").unwrap();
    let mut client = Client::new(&home, "author");
    let task = |name: &str| json!({ "name": name, "code": "return 1;", "schedule": hourly() });
    client.done("schedule_task", task("a"));
    client.done("schedule_task", task("b"));
    assert_eq!(client.refused("schedule_task", task("c")), "too_many");
    // What is there can be changed, and room can be made.
    client.done("update_task", json!({ "name": "a", "description": "changed" }));
    client.done("delete_task", json!({ "name": "a" }));
    client.done("schedule_task", task("c"));
    client.done("add_credential", json!({ "name": "A" }));
    assert_eq!(client.refused("add_credential", json!({ "name": "B" })), "too_many");
    // A person is held up by neither.
    let file = home.file("d.js", "return 1;");
    assert_eq!(home.run(&["task", "add", "d", file.to_str().unwrap()]).code, Some(0));
    assert_eq!(home.feed(&["credential", "add", "B", "--host=b.example"], "0123456789").code, Some(0));
}
