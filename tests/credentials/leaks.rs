//! Nothing of a value is left behind, neither by a program that holds its
//! placeholder nor by one that was shown it.

use std::fs;

use super::{VALUE, Vaulted, assert_clean, assert_clean_folder, ok};
use crate::support::home::Ended;
use crate::support::mirror::{self, FORMS};

/// Says a credential in every way a script has.
const SAY: &str = r#"
const t = HOW;
const enc = new TextEncoder().encode(t);
const hex = [...enc].map((b) => b.toString(16).padStart(2, '0')).join('');
const answer = await fetch('BASE/echo', { headers: { Authorization: `Bearer ${credentials.API_TOKEN}` } });
const echoed = await answer.json();
console.log(t, btoa(t), btoa('x' + t), btoa('xy' + t));
console.warn(hex, hex.toUpperCase(), encodeURIComponent(t), JSON.stringify(t), JSON.stringify(JSON.stringify(t)));
console.error([...t].reverse().join(''));
console.log('a long line: ' + 'x'.repeat(20000) + t + 'y'.repeat(20000));
progress(1, 2, `at ${t}`);
await state.set('token', t);
await state.set(t, 'token');
"#;

fn say(how: &str, then: &str) -> String {
    format!("{}{then}", SAY.replace("HOW", how))
}

fn look(vaulted: &Vaulted, ended: &Ended) {
    assert_clean("standard output", &ended.stdout, VALUE);
    assert_clean("standard error", ended.stderr.as_bytes(), VALUE);
    assert_clean_folder(&vaulted.home.path(), VALUE);
}

#[test]
fn a_request_carries_the_value_and_nothing_else_does() {
    let vaulted = Vaulted::new();
    let source = say("credentials.API_TOKEN", "return { t, nested: [t, { [t]: btoa(t) }], status: answer.status };");
    let (record, ended) = vaulted.script(&source, "API_TOKEN", &["--state=64KiB"]);
    assert_eq!(record["status"], "success", "{record}\n{ended}");
    let requests = vaulted.server.requests();
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {VALUE}"));
    look(&vaulted, &ended);
    let audit = vaulted.home.read(&["audit", "list", "--json"]);
    let events: Vec<&str> = audit["events"].as_array().unwrap().iter().filter_map(|event| event["event"].as_str()).collect();
    assert!(events.contains(&"credential-used"), "{audit}");
    assert_clean("the audit log", audit.to_string().as_bytes(), VALUE);
}

#[test]
fn a_value_that_was_revealed_is_removed_from_everything_that_leaves() {
    let vaulted = Vaulted::new();
    let source = say("credentials.reveal('API_TOKEN')", "return { t, nested: [t, { [t]: btoa(t) }], echoed };");
    let (record, ended) = vaulted.script(&source, "API_TOKEN:reveal", &["--state=64KiB"]);
    assert_eq!(record["status"], "success", "{record}\n{ended}");
    assert!(record["redactions"].as_u64().unwrap() >= 15, "{record}");
    look(&vaulted, &ended);
    let shown = vaulted.home.run(&["exec", "show", record["id"].as_str().unwrap()]);
    assert!(shown.text().contains("API_TOKEN:reveal") || shown.text().contains("TO READ ITS VALUE"), "{shown}");
    let audit = vaulted.home.read(&["audit", "list", "--json"]);
    assert!(audit.to_string().contains("credential-revealed"), "{audit}");
}

#[test]
fn a_program_that_throws_the_value_throws_nothing() {
    let vaulted = Vaulted::new();
    for throw in [
        "throw new Error(t);",
        "throw new Failure('failed', t);",
        "throw { toString() { return t; } };",
        "const e = new Error('x'); e.name = t; throw e;",
        "function f() { throw new Error('in ' + btoa(t)); } f();",
        "throw new Error('x'.repeat(16370) + t);",
        "undefined[t]();",
    ] {
        let (record, ended) = vaulted.script(&say("credentials.reveal('API_TOKEN')", throw), "API_TOKEN:reveal", &["--state=64KiB"]);
        assert_eq!(record["status"], "failed", "{throw}: {record}");
        look(&vaulted, &ended);
    }
}

#[test]
fn a_command_finds_the_placeholder_in_its_environment() {
    let vaulted = Vaulted::new();
    let program = crate::support::guests::command("env");
    let ended = vaulted.home.run(&["run", &program.display().to_string(), "--credential=API_TOKEN"]);
    ok(&ended);
    assert!(ended.text().contains("\"API_TOKEN\":\"wardroom_"), "{ended}");
    look(&vaulted, &ended);
}

#[test]
fn the_value_is_in_no_processs_arguments_or_environment() {
    let vaulted = Vaulted::new();
    let source = "console.log('ready'); await fetch('BASE/delay/600', { headers: { Authorization: `Bearer ${credentials.API_TOKEN}` } });";
    vaulted.home.file("wait.js", source.replace("BASE", &vaulted.base()));
    let running = vaulted.home.start(&["run", "wait.js", &vaulted.allow(), "--credential=API_TOKEN"]);
    running.until_stderr("ready");
    let pid = running.pid().as_raw_nonzero();
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
        assert!(!bytes.is_empty());
        assert_clean(file, &bytes, VALUE);
    }
    ok(&running.wait());
    assert!(vaulted.server.requests()[0].headers["authorization"].contains(VALUE));
}

#[test]
fn no_server_hands_the_value_back_to_the_program() {
    let vaulted = Vaulted::new();
    let seen = "
        const forms = FORMS;
        const seen = {};
        for (const form of forms) {
            const headers = { Authorization: `Bearer ${credentials.API_TOKEN}` };
            try {
                const r = await fetch('BASE/mirror/' + form, { headers });
                const text = await r.text();
                // What the redactor sees of this is too small to know: a character a line.
                seen[form] = { text: [...text.slice(-400)].join('\\u0001'), headers: [...r.headers].map(([k, v]) => [...`${k}: ${v}`].join('\\u0001')) };
            } catch (e) {
                seen[form] = { error: String(e) };
            }
        }
        return seen;";
    let refused = ["zstd", "gzip-gzip", "not-gzip"];
    let forms: Vec<&str> = FORMS.iter().copied().chain(refused).collect();
    let (record, ended) = vaulted.script(&seen.replace("FORMS", &serde_json::json!(forms).to_string()), "API_TOKEN", &[]);
    assert_eq!(record["status"], "success", "{record}\n{ended}");
    assert_eq!(vaulted.server.requests().len(), forms.len());
    let result = &record["output"]["json"];
    for form in FORMS {
        let found = &result[form];
        assert!(found.get("error").is_none(), "{form}: {found}");
        let text = found.to_string().replace("\\u0001", "");
        assert_clean(form, text.as_bytes(), VALUE);
    }
    for form in refused {
        assert!(result[form].get("error").is_some(), "{form}: {}", result[form]);
        assert_clean(form, result[form].to_string().replace("\\u0001", "").as_bytes(), VALUE);
    }
    for request in vaulted.server.requests() {
        assert_eq!(request.headers["accept-encoding"], "identity");
        assert_eq!(mirror::token(&request), VALUE);
    }
}

#[test]
fn what_the_redactor_cannot_catch_is_what_the_documents_say() {
    let vaulted = Vaulted::new();
    let source = "return [...credentials.reveal('API_TOKEN')].join(' ');";
    let (record, _) = vaulted.script(source, "API_TOKEN:reveal", &[]);
    let spelled: String = VALUE.chars().map(|c| c.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(record["output"]["json"], spelled, "{record}");
    let security = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md")).unwrap();
    let words: Vec<&str> = security.split_whitespace().collect();
    assert!(words.join(" ").contains("one character at a time"));
}

#[test]
fn a_run_without_credentials_is_answered_as_ever() {
    let vaulted = Vaulted::new();
    vaulted.home.file("plain.js", format!("const r = await fetch('{}/mirror/gzip'); return [...r.headers.keys()];", vaulted.base()));
    let record = vaulted.home.record(&["plain.js", &vaulted.allow()]);
    record.succeeded();
    assert!(record.result().as_array().unwrap().iter().any(|name| name == "content-length"), "{}", record.json);
}
