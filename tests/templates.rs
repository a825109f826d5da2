//! The scripts that ship, through the command line, on real servers and files:
//! each works with exactly what its header asks for, and with nothing less.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use wardroom_core::manifest::Manifest;

use crate::credentials::{VALUE, Vaulted, assert_clean, assert_clean_folder, ok};
use crate::support::home::{Home, Record, chmod};
use crate::support::server::{Request, Server};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/scripts");
/// The path of a webhook: what no answer, record or log may hold.
const SECRET: &str = "/services/T0AAA/B0BBB/zq7Kx2mWv9Lr4Tn8";

/// The files of all scripts, in order of names.
pub(crate) fn scripts() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn script(name: &str) -> String {
    format!("{FOLDER}/{name}.js")
}

/// `--param k=v` for each, then the grants.
fn arguments(name: &str, params: &[&str], grants: &[&str]) -> Vec<String> {
    let params = params.iter().flat_map(|param| ["--param", param]);
    let all = ["--no-prompt"].into_iter().chain(params).chain(grants.iter().copied());
    std::iter::once(script(name)).chain(all.map(str::to_owned)).collect()
}

fn run(home: &Home, name: &str, params: &[&str], grants: &[&str]) -> Record {
    home.record(&arguments(name, params, grants))
}

/// It was refused without what it needs, and the flag that gives it is named.
#[track_caller]
fn assert_denied(record: &Record, flag: &str) {
    assert_eq!(record.ending(), ("failed", "denied", "operator", Some(1)), "{}", record.json);
    let hint = record.ended.stderr.lines().find(|line| line.starts_with("hint:")).unwrap_or_default();
    assert!(hint.contains(&format!("`{flag}`")), "the hint names `{flag}`: {}", record.ended);
}

/// It failed by itself, in words that hold all of these.
#[track_caller]
fn assert_failed(record: &Record, kind: &str, words: &[&str]) {
    assert_eq!((record.word("status"), record.word("failure_kind")), ("failed", kind), "{}", record.json);
    for word in words {
        assert!(record.message().contains(word), "`{word}` is not said: {}", record.message());
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// A vault with a webhook of this name on the server.
fn hooked(name: &str) -> Vaulted {
    let vaulted = Vaulted::empty();
    ok(&vaulted.home.feed(&["credential", "add", name, "--kind=url"], format!("{}{SECRET}", vaulted.base())));
    vaulted
}

/// Runs a webhook's script with what its header asks for, and checks that the
/// address is in nothing that is left behind.
#[track_caller]
fn hook(vaulted: &Vaulted, name: &str, credential: &str, params: &[&str]) -> Record {
    let origin = format!("origin={}", vaulted.base());
    let params: Vec<&str> = params.iter().copied().chain([origin.as_str()]).collect();
    let record = run(&vaulted.home, name, &params, &[&vaulted.allow(), &format!("--credential={credential}")]);
    assert_clean("standard output", &record.ended.stdout, SECRET);
    assert_clean("standard error", record.ended.stderr.as_bytes(), SECRET);
    assert_clean_folder(&vaulted.home.path(), SECRET);
    record
}

/// The webhooks: script, credential, and a param that it cannot go without.
const HOOKS: [(&str, &str, &str); 3] = [
    ("webhook-trigger", "WEBHOOK_URL", "payload={}"),
    ("slack-notification", "SLACK_WEBHOOK_URL", "message=hi"),
    ("discord-notification", "DISCORD_WEBHOOK_URL", "content=hi"),
];

#[test]
fn every_script_says_who_it_is_and_asks_for_nothing_without_bounds() {
    let home = Home::new();
    let all = scripts();
    assert!(all.len() >= 9, "{all:?}");
    for path in all {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let source = std::fs::read_to_string(&path).unwrap();
        let manifest = Manifest::of_script(&source).unwrap().unwrap_or_else(|| panic!("{stem} has no header"));
        assert_eq!(manifest.name.as_deref(), Some(stem));
        assert!(manifest.description.is_some_and(|text| !text.is_empty()), "{stem} has no description");
        for (name, spec) in &manifest.params.0 {
            assert!(spec.description.as_ref().is_some_and(|text| !text.is_empty()), "{stem}: `{name}` has no description");
        }
        let shown = home.read(&["inspect", path.to_str().unwrap(), "--json"]);
        let requests: Vec<&str> = shown["requests"].as_array().unwrap().iter().map(|request| request.as_str().unwrap()).collect();
        assert!(requests.iter().all(|request| !request.contains('*')), "{stem}: {requests:?}");
        for request in requests {
            let place = request.split_once(' ').unwrap().1;
            let bounded = place.starts_with("{params.") || request.starts_with("credentials ") || request.starts_with("state ");
            assert!(bounded, "{stem} takes `{request}` from no param");
            assert!(!place.ends_with(":reveal"), "{stem} reads a value: {request}");
        }
        assert_eq!(shown["params"]["properties"].as_object().unwrap().len(), manifest.params.0.len(), "{stem}");
    }
}

#[test]
fn params_that_do_not_fit_are_refused_before_anything_runs() {
    let home = Home::new();
    let table: &[(&str, &[&str], &[&str])] = &[
        ("http-health-check", &[], &["`url` is required"]),
        ("http-health-check", &["url=https://a.example", "expectedStatus=ok"], &["`expectedStatus` should be a whole number", "\"ok\""]),
        ("http-health-check", &["url=https://a.example", "expected=200"], &["no param `expected`"]),
        ("http-health-check", &["url=https://name:pw@a.example"], &["`url`", "a user name"]),
        ("http-health-check", &["url=https://*.example"], &["`url`", "without `*`"]),
        ("http-health-check", &["url=file:///etc/passwd"], &["`url`", "no scheme"]),
        ("webhook-trigger", &[], &["`origin` is required"]),
        ("webhook-trigger", &["origin=https://a.example", "method=GET"], &["`method` should be one of POST, PUT"]),
        ("webhook-trigger", &["origin=https://a.example", "payload={"], &["`payload` should be JSON"]),
        ("slack-notification", &[], &["`message` is required"]),
        ("slack-notification", &["message=hi", "chanel=x"], &["no param `chanel` (is `channel` meant?)"]),
        ("discord-notification", &[], &["`content` is required"]),
        ("discord-notification", &["content=hi", "origin=https://discord.com,POST"], &["`origin`", "cannot be filled in"]),
        ("json-api-request", &[], &["`url` is required"]),
        ("json-api-request", &["url=https://a.example", "method=TRACE"], &["`method` should be one of"]),
        ("json-api-request", &["url=https://name:pw@a.example"], &["`url`", "a user name"]),
        ("log-message", &[], &["`message` is required"]),
        ("log-message", &["message=hi", "level=loud"], &["`level` should be one of debug, info, warn, error", "\"loud\""]),
        ("github-pr-creation", &["owner=o", "repo=r", "title=t"], &["`head` is required"]),
        ("github-pr-creation", &["owner=o", "repo=r", "title=t", "head=h", "api=ssh://git.example"], &["`api`", "no scheme"]),
        ("file-watcher", &[], &["`directory` is required"]),
        ("file-watcher", &["directory=.", "sinceMinutes=1.5"], &["`sinceMinutes` should be a whole number", "1.5"]),
        ("file-watcher", &["directory=.", "recursive=yes"], &["`recursive` should be true or false"]),
        ("dependency-report", &["folder=."], &["no param `folder`"]),
    ];
    for (name, params, words) in table {
        let mut args = vec!["run".to_owned()];
        args.extend(arguments(name, params, &[]));
        let ended = home.run(&args);
        assert_eq!(ended.code, Some(1), "{name} {params:?}: {ended}");
        for word in *words {
            assert!(ended.stderr.contains(word), "{name} {params:?}: `{word}` is not said: {ended}");
        }
        assert!(!ended.to_string().contains("pw@"), "{ended}");
    }
    assert!(home.executions().is_empty());
}

#[test]
fn http_health_check_tells_a_healthy_server_from_a_sick_one() {
    let (home, server) = (Home::new(), Server::start());
    let grant = format!("--allow-net={}", server.base());
    let check = |path: &str, more: &[&str]| {
        let url = format!("url={}{path}", server.base());
        let params: Vec<&str> = more.iter().copied().chain([url.as_str()]).collect();
        run(&home, "http-health-check", &params, &[&grant])
    };
    let healthy = check("/status/200?deep=yes", &[]);
    let result = healthy.succeeded().result();
    assert_eq!((&result["healthy"], &result["status"]), (&json!(true), &json!(200)));
    assert!(result["took_ms"].is_u64(), "{result}");
    assert_eq!(server.requests()[0].query, "deep=yes");
    assert_eq!(check("/status/204", &["expectedStatus=204"]).succeeded().result()["status"], 204);
    assert_eq!(check("/redirect/302", &["expectedStatus=302"]).succeeded().result()["status"], 302);
    let sick = check("/status/500", &[]);
    assert_failed(&sick, "failed", &["answered 500, expected 200"]);
    assert_eq!(sick.ending(), ("failed", "failed", "guest", Some(3)));
    assert_failed(&check("/never", &["timeout=200"]), "unavailable", &["did not answer", "nothing came within 200 ms"]);
    assert_failed(&check("/status/200", &["timeout=0"]), "invalid", &["`timeout` should be at least 1 millisecond, found 0"]);
}

#[test]
fn http_health_check_says_that_nobody_listens() {
    let home = Home::new();
    let closed = Server::start().base();
    let record = run(&home, "http-health-check", &[&format!("url={closed}")], &[&format!("--allow-net={closed}")]);
    assert_failed(&record, "unavailable", &[&closed, "did not answer", "refused"]);
}

#[test]
fn http_health_check_denied() {
    let (home, server) = (Home::new(), Server::start());
    let record = run(&home, "http-health-check", &[&format!("url={}/status/200", server.base())], &[]);
    assert_denied(&record, &format!("--allow-net={}/status/200", server.base()));
    assert!(server.requests().is_empty());
}

#[test]
fn webhook_trigger_delivers_its_payload_to_the_secret_address() {
    let vaulted = hooked("WEBHOOK_URL");
    let sent = hook(&vaulted, "webhook-trigger", "WEBHOOK_URL", &[r#"payload={"deep":[1,"ü"],"at":null}"#, "method=PUT"]);
    let result = sent.succeeded().result();
    assert_eq!((&result["delivered"], &result["status"]), (&json!(true), &json!(200)));
    hook(&vaulted, "webhook-trigger", "WEBHOOK_URL", &[]).succeeded();
    let requests = vaulted.server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("PUT", SECRET));
    assert_eq!(requests[0].headers["content-type"], "application/json");
    assert_eq!(body(&requests[0]), json!({"deep": [1, "ü"], "at": null}));
    assert_eq!((requests[1].method.as_str(), body(&requests[1])), ("POST", json!({})));
}

#[test]
fn webhook_trigger_denied() {
    let vaulted = hooked("WEBHOOK_URL");
    let (origin, allow) = (format!("origin={}", vaulted.base()), vaulted.allow());
    assert_denied(&run(&vaulted.home, "webhook-trigger", &[&origin], &[&allow]), "--credential=WEBHOOK_URL");
    assert_denied(&run(&vaulted.home, "webhook-trigger", &[&origin], &["--credential=WEBHOOK_URL"]), &allow);
    assert!(vaulted.server.requests().is_empty());
    assert_clean_folder(&vaulted.home.path(), SECRET);
}

#[test]
fn slack_notification_says_its_message_as_text() {
    let vaulted = hooked("SLACK_WEBHOOK_URL");
    let message = "message=*done* <!channel> a & b <https://evil.example|bank> \"é\"";
    let sent = hook(&vaulted, "slack-notification", "SLACK_WEBHOOK_URL", &[message, "channel=#ops", "username=ward"]);
    assert_eq!(sent.succeeded().result(), &json!({"delivered": true, "characters": 55}));
    hook(&vaulted, "slack-notification", "SLACK_WEBHOOK_URL", &["message=hi"]).succeeded();
    let requests = vaulted.server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", SECRET));
    let text = "*done* &lt;!channel&gt; a &amp; b &lt;https://evil.example|bank&gt; \"é\"";
    assert_eq!(body(&requests[0]), json!({"text": text, "channel": "#ops", "username": "ward"}));
    assert_eq!(body(&requests[1]), json!({"text": "hi"}));
    let empty = hook(&vaulted, "slack-notification", "SLACK_WEBHOOK_URL", &["message= "]);
    assert_failed(&empty, "invalid", &["`message` should say something"]);
    assert_eq!(vaulted.server.requests().len(), 2);
}

#[test]
fn slack_notification_denied() {
    let vaulted = hooked("SLACK_WEBHOOK_URL");
    let (origin, allow) = (format!("origin={}", vaulted.base()), vaulted.allow());
    let params = ["message=hi", origin.as_str()];
    assert_denied(&run(&vaulted.home, "slack-notification", &params, &[&allow]), "--credential=SLACK_WEBHOOK_URL");
    assert_denied(&run(&vaulted.home, "slack-notification", &params, &["--credential=SLACK_WEBHOOK_URL"]), &allow);
    assert!(vaulted.server.requests().is_empty());
}

#[test]
fn discord_notification_says_its_content_and_calls_nobody() {
    let vaulted = hooked("DISCORD_WEBHOOK_URL");
    vaulted.server.answers(204, &[], "");
    let sent = hook(&vaulted, "discord-notification", "DISCORD_WEBHOOK_URL", &["content=@everyone hi", "username=ward"]);
    assert_eq!(sent.succeeded().result(), &json!({"delivered": true, "characters": 12}));
    let requests = vaulted.server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", SECRET));
    assert_eq!(body(&requests[0]), json!({"content": "@everyone hi", "username": "ward", "allowed_mentions": {"parse": []}}));
}

#[test]
fn discord_notification_takes_as_many_characters_as_discord_does() {
    let vaulted = hooked("DISCORD_WEBHOOK_URL");
    let say = |text: &str| hook(&vaulted, "discord-notification", "DISCORD_WEBHOOK_URL", &[&format!("content={text}")]);
    say(&"🦀".repeat(2000)).succeeded();
    assert_failed(&say(&"x".repeat(2001)), "invalid", &["`content` should have 1 to 2000 characters", "found 2001"]);
    assert_failed(&say(""), "invalid", &["found 0"]);
    assert_eq!(vaulted.server.requests().len(), 1);
}

#[test]
fn discord_notification_denied() {
    let vaulted = hooked("DISCORD_WEBHOOK_URL");
    let (origin, allow) = (format!("origin={}", vaulted.base()), vaulted.allow());
    let params = ["content=hi", origin.as_str()];
    assert_denied(&run(&vaulted.home, "discord-notification", &params, &[&allow]), "--credential=DISCORD_WEBHOOK_URL");
    assert_denied(&run(&vaulted.home, "discord-notification", &params, &["--credential=DISCORD_WEBHOOK_URL"]), &allow);
    assert!(vaulted.server.requests().is_empty());
}

/// By default Slack's and Discord's scripts ask for their own origins.
#[test]
fn a_webhook_without_an_origin_asks_for_its_service_alone() {
    let home = Home::new();
    for (name, param, flag) in [
        ("slack-notification", "message=hi", "--allow-net=https://hooks.slack.com"),
        ("discord-notification", "content=hi", "--allow-net=https://discord.com"),
    ] {
        let dry = home.read(&["run", &script(name), "--param", param, "--dry-run", "--json"]);
        assert!(dry.to_string().contains(flag), "{dry}");
    }
}

#[test]
fn a_webhook_that_refuses_or_echoes_fails_the_run_and_betrays_nothing() {
    for (name, credential, param) in HOOKS {
        let vaulted = hooked(credential);
        for (status, header, said, kind) in [
            (404, ("x-any", "1"), "no_service", "permanent"),
            (500, ("x-any", "1"), "broken", "unavailable"),
            (429, ("retry-after", "2"), "slow down", "retry_after"),
            (429, ("retry-after", "soon"), "slow down", "unavailable"),
            (302, ("location", "https://elsewhere.example/"), "", "permanent"),
        ] {
            vaulted.server.answers(status, &[header], said);
            let record = hook(&vaulted, name, credential, &[param]);
            assert_failed(&record, kind, &[&format!("answered {status}"), said]);
        }
        vaulted.server.answers(400, &[], &format!("cannot POST {SECRET} at {}{SECRET}", vaulted.base()));
        assert_failed(&hook(&vaulted, name, credential, &[param]), "permanent", &["answered 400: cannot POST"]);
    }
}

#[test]
fn a_webhook_does_not_take_a_credential_of_another_kind() {
    for (name, credential, param) in HOOKS {
        let vaulted = Vaulted::empty();
        vaulted.add(credential, VALUE, &[]);
        let record = hook(&vaulted, name, credential, &[param]);
        assert_failed(&record, "invalid", &[credential, "kind url, found api_key", "--kind=url"]);
        assert!(vaulted.server.requests().is_empty());
    }
}

/// What the origin names and where the secret leads are two things; both have
/// to be allowed.
#[test]
fn a_webhook_goes_nowhere_but_to_its_origin() {
    for (name, credential, param) in HOOKS {
        let vaulted = hooked(credential);
        let other = Server::start();
        let (origin, allow) = (format!("origin={}", other.base()), format!("--allow-net={}", other.base()));
        let record = run(&vaulted.home, name, &[param, &origin], &[&allow, &format!("--credential={credential}")]);
        let allowed = format!("--param origin={} --allow-net={},POST", vaulted.base(), vaulted.base());
        assert_denied(&record, &allowed);
        assert!(other.requests().is_empty() && vaulted.server.requests().is_empty());
        assert_clean("the record", record.json.to_string().as_bytes(), SECRET);
        assert_clean("standard error", record.ended.stderr.as_bytes(), SECRET);
    }
}

#[test]
fn json_api_request_asks_with_the_token_and_reads_the_answer() {
    let vaulted = Vaulted::new();
    let url = format!("url={}/v1/things?page=2", vaulted.base());
    let grants = [format!("--allow-net={}/v1/things", vaulted.base()), "--credential=API_TOKEN".to_owned()];
    let ask = |params: &[&str]| {
        let params: Vec<&str> = params.iter().copied().chain([url.as_str()]).collect();
        run(&vaulted.home, "json-api-request", &params, &[&grants[0], &grants[1]])
    };
    let read = ask(&[]);
    let result = read.succeeded().result();
    assert_eq!((&result["status"], &result["content_type"]), (&json!(200), &json!("application/json")));
    assert_eq!((&result["body"]["method"], &result["body"]["query"]), (&json!("GET"), &json!("page=2")));
    assert_clean("the record", read.json.to_string().as_bytes(), VALUE);
    ask(&["method=PATCH", r#"body={"name":"ü"}"#, r#"headers={"X-Version":"2","content-type":"application/merge-patch+json"}"#])
        .succeeded();
    let requests = vaulted.server.requests();
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {VALUE}"));
    assert!(requests[0].body.is_empty() && !requests[0].headers.contains_key("content-type"));
    assert_eq!((requests[1].method.as_str(), body(&requests[1])), ("PATCH", json!({"name": "ü"})));
    assert_eq!((&*requests[1].headers["x-version"], &*requests[1].headers["content-type"]), ("2", "application/merge-patch+json"));
    assert_clean_folder(&vaulted.home.path(), VALUE);
}

#[test]
fn json_api_request_goes_without_a_token_where_none_is_assigned() {
    let (home, server) = (Home::new(), Server::start());
    let url = format!("{}/v1", server.base());
    let record = run(&home, "json-api-request", &[&format!("url={url}")], &[&format!("--allow-net={url}")]);
    record.succeeded();
    assert!(!server.requests()[0].headers.contains_key("authorization"));
    assert!(!record.ended.stderr.contains("hint:"), "{}", record.ended);
}

#[test]
fn json_api_request_reads_what_is_no_json_as_text() {
    let (home, server) = (Home::new(), Server::start());
    let ask = || run(&home, "json-api-request", &[&format!("url={}", server.base())], &[&format!("--allow-net={}", server.base())]);
    server.answers(200, &[("content-type", "text/plain")], "<p>");
    assert_eq!(ask().succeeded().result(), &json!({"status": 200, "content_type": "text/plain", "body": "<p>"}));
    server.answers(204, &[], "");
    assert_eq!(ask().succeeded().result(), &json!({"status": 204, "content_type": null, "body": null}));
}

#[test]
fn json_api_request_says_what_is_wrong() {
    let (home, server) = (Home::new(), Server::start());
    let base = server.base();
    let ask = |params: &[&str]| {
        let url = format!("url={base}/v1?key=in-the-query");
        let params: Vec<&str> = params.iter().copied().chain([url.as_str()]).collect();
        run(&home, "json-api-request", &params, &[&format!("--allow-net={base}/v1")])
    };
    assert_failed(&ask(&["body={}"]), "invalid", &["a GET request has no body"]);
    for headers in ["headers=[]", "headers=null", "headers={\"a\":1}", "headers=\"a: b\""] {
        assert_failed(&ask(&[headers]), "invalid", &["`headers` should be an object of texts"]);
    }
    assert!(server.requests().is_empty());
    for (status, headers, said, kind, words) in [
        (422, ("x-any", "1"), "{\"why\":\"no name\"}", "permanent", "answered 422: {\"why\":\"no name\"}"),
        (503, ("x-any", "1"), "", "unavailable", "answered 503: without a word"),
        (429, ("retry-after", "7"), "later", "retry_after", "answered 429: later"),
        (301, ("location", "/v2"), "", "permanent", "it stands at /v2 now, give that as `url`"),
    ] {
        server.answers(status, &[headers], said);
        let record = ask(&[]);
        assert_failed(&record, kind, &["GET ", "/v1", words]);
        assert!(!record.message().contains("in-the-query"), "{}", record.message());
    }
}

#[test]
fn json_api_request_denied() {
    let vaulted = Vaulted::new();
    let url = format!("url={}/v1", vaulted.base());
    let record = run(&vaulted.home, "json-api-request", &[&url], &["--credential=API_TOKEN"]);
    assert_denied(&record, &format!("--allow-net={}/v1", vaulted.base()));
    assert!(vaulted.server.requests().is_empty());
}

/// The token is for its own hosts, whatever `url` says.
#[test]
fn json_api_request_takes_the_token_nowhere_else() {
    let vaulted = Vaulted::new();
    let other = Server::start();
    let (url, allow) = (format!("url={}/v1", other.base()), format!("--allow-net={}", other.base()));
    let record = run(&vaulted.home, "json-api-request", &[&url], &[&allow, "--credential=API_TOKEN"]);
    assert_eq!((record.word("status"), record.word("failure_kind")), ("failed", "denied"), "{}", record.json);
    assert!(other.requests().is_empty());
}

#[test]
fn log_message_writes_one_line_at_its_level() {
    let home = Home::new();
    for level in ["debug", "info", "warn", "error"] {
        let record = run(&home, "log-message", &["message=all is well", &format!("level={level}")], &[]);
        assert_eq!(record.succeeded().result(), &json!({"level": level, "message": "all is well"}));
        let logged = home.read(&["exec", "logs", record.id(), "--json"]).to_string();
        assert!(logged.contains(&format!("\"level\":\"{level}\"")) && logged.contains("all is well"), "{logged}");
    }
    assert_eq!(run(&home, "log-message", &["message=%s 1"], &[]).succeeded().result(), &json!({"level": "info", "message": "%s 1"}));
}

#[test]
fn log_message_denied() {
    let home = Home::new();
    let mut args = vec!["run".to_owned()];
    args.extend(arguments("log-message", &["message=hi"], &["--allow-net=https://a.example"]));
    let ended = home.run(&args);
    assert_eq!(ended.code, Some(2), "it asks for nothing, and gets nothing: {ended}");
    assert!(ended.stderr.contains("does not ask for"), "{ended}");
}

/// A vault with a token, and a server that takes GitHub's place.
fn github() -> Vaulted {
    let vaulted = Vaulted::empty();
    vaulted.add("GITHUB_TOKEN", VALUE, &[]);
    vaulted
}

fn pull(vaulted: &Vaulted, params: &[&str], grants: &[&str]) -> Record {
    let given = |name: &str| params.iter().any(|param| param.starts_with(&format!("{name}=")));
    let api = format!("api={}/api/v3/", vaulted.base());
    let usual = ["owner=octo-org", "repo=hello.world", "title=Fix it", "head=octo:fix", &api];
    let usual = usual.into_iter().filter(|param| !given(param.split('=').next().unwrap()));
    let all: Vec<&str> = usual.chain(params.iter().copied()).collect();
    run(&vaulted.home, "github-pr-creation", &all, grants)
}

fn granted(vaulted: &Vaulted, params: &[&str]) -> Record {
    pull(vaulted, params, &[&format!("--allow-net={}/api/v3/", vaulted.base()), "--credential=GITHUB_TOKEN"])
}

#[test]
fn github_pr_creation_opens_a_pull_request() {
    let vaulted = github();
    let answer = json!({"number": 7, "html_url": "https://git.example/octo-org/hello.world/pull/7", "state": "open", "body": null});
    vaulted.server.answers(201, &[], &answer.to_string());
    let opened = granted(&vaulted, &["body=Because."]);
    let expected = json!({
        "number": 7, "url": "https://git.example/octo-org/hello.world/pull/7", "state": "open", "head": "octo:fix", "base": "main",
    });
    assert_eq!(opened.succeeded().result(), &expected);
    granted(&vaulted, &["base=release/1"]).succeeded();
    let requests = vaulted.server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/api/v3/repos/octo-org/hello.world/pulls"));
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {VALUE}"));
    assert_eq!(requests[0].headers["accept"], "application/vnd.github+json");
    assert_eq!(body(&requests[0]), json!({"title": "Fix it", "head": "octo:fix", "base": "main", "body": "Because."}));
    assert_eq!(body(&requests[1]), json!({"title": "Fix it", "head": "octo:fix", "base": "release/1", "body": ""}));
    assert_clean("the record", opened.json.to_string().as_bytes(), VALUE);
    assert_clean_folder(&vaulted.home.path(), VALUE);
}

#[test]
fn github_pr_creation_says_what_github_said_and_what_to_do() {
    let vaulted = github();
    let limited: &[(&str, &str)] = &[("retry-after", "60")];
    for (status, headers, answer, kind, words) in [
        (
            401,
            &[][..],
            r#"{"message":"Bad credentials"}"#,
            "permanent",
            &["Bad credentials", "`wardroom credential rotate GITHUB_TOKEN`"][..],
        ),
        (
            403,
            &[],
            r#"{"message":"Resource not accessible by personal access token"}"#,
            "permanent",
            &["not accessible", "write access to pull requests of octo-org/hello.world"],
        ),
        (403, limited, r#"{"message":"You have exceeded a secondary rate limit"}"#, "retry_after", &["secondary rate limit"]),
        (404, &[], r#"{"message":"Not Found"}"#, "permanent", &["Not Found", "no octo-org/hello.world, or the token may not see it"]),
        (
            422,
            &[],
            r#"{"message":"Validation Failed","errors":[{"message":"A pull request already exists for octo:fix."},{"field":"base","code":"invalid"},null]}"#,
            "permanent",
            &["Validation Failed; A pull request already exists for octo:fix.; base is invalid", "`head` and `base`"],
        ),
        (422, &[], r#"{"message":"Validation Failed","errors":"odd"}"#, "permanent", &["Validation Failed"]),
        (500, &[], "<html>", "unavailable", &["GitHub answered 500: nothing more"]),
        (301, &[("location", "/elsewhere")], "[]", "permanent", &["GitHub answered 301"]),
    ] {
        vaulted.server.answers(status, headers, answer);
        let record = granted(&vaulted, &[]);
        assert_failed(&record, kind, &[&format!("GitHub answered {status}")]);
        assert_failed(&record, kind, words);
    }
}

#[test]
fn github_pr_creation_denied() {
    let vaulted = github();
    let allow = format!("--allow-net={}/api/v3/", vaulted.base());
    assert_denied(&pull(&vaulted, &[], &[&allow]), "--credential=GITHUB_TOKEN");
    assert_denied(&pull(&vaulted, &[], &["--credential=GITHUB_TOKEN"]), &allow);
    let dry = vaulted.home.run(&[
        "run",
        &script("github-pr-creation"),
        "--param=owner=o",
        "--param=repo=r",
        "--param=title=t",
        "--param=head=h",
        "--dry-run",
    ]);
    assert!(dry.text().contains("https://api.github.com"), "{dry}");
    assert!(vaulted.server.requests().is_empty());
}

#[test]
fn github_pr_creation_stays_in_its_place_whatever_it_is_called_with() {
    let vaulted = github();
    for (param, word) in [
        ("owner=../../user", "owner"),
        ("owner=..", "owner"),
        ("owner=a/b", "owner"),
        ("owner=%2e%2e", "owner"),
        ("owner=", "owner"),
        ("owner=a?b", "owner"),
        ("repo=..", "repo"),
        ("repo=.", "repo"),
        ("repo=../../../gists", "repo"),
        ("repo=r/pulls/1/merge?", "repo"),
        ("repo=r#", "repo"),
        ("repo=r\nx", "repo"),
        ("repo=r\\x", "repo"),
    ] {
        assert_failed(&granted(&vaulted, &[param]), "invalid", &[&format!("`{word}` should be a name")]);
    }
    let query = format!("api={}/api/v3/?x=", vaulted.base());
    assert_failed(&granted(&vaulted, &[&query]), "invalid", &["`api` should be an address without a query"]);
    // The token is for its own hosts, whatever `api` says.
    let other = Server::start();
    let allow = format!("--allow-net={}", other.base());
    let lured = pull(&vaulted, &[&format!("api={}", other.base())], &[&allow, "--credential=GITHUB_TOKEN"]);
    assert_eq!((lured.word("status"), lured.word("failure_kind")), ("failed", "denied"), "{}", lured.json);
    assert!(other.requests().is_empty() && vaulted.server.requests().is_empty());
}

/// A file of this age.
fn aged(home: &Home, name: &str, minutes: u64) {
    let path = home.file(name, name);
    let then = SystemTime::now() - Duration::from_secs(minutes * 60);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

/// A folder with files of several ages, and what must not be followed.
fn watched() -> Home {
    let home = Home::new();
    for (name, minutes) in [("in/new.csv", 1), ("in/newer.txt", 0), ("in/old.csv", 90), ("in/below/deep.csv", 5), ("outside.csv", 0)] {
        aged(&home, name, minutes);
    }
    for (target, link) in [("../outside.csv", "in/file.csv"), ("..", "in/up"), (".", "in/loop")] {
        std::os::unix::fs::symlink(target, home.work().join(link)).unwrap();
    }
    home
}

fn watch(home: &Home, params: &[&str]) -> Record {
    let given = params.iter().any(|param| param.starts_with("directory="));
    let usual = if given { None } else { Some("directory=in") };
    let all: Vec<&str> = usual.into_iter().chain(params.iter().copied()).collect();
    run(home, "file-watcher", &all, &["--allow-read=in"])
}

/// The paths that were found, newest first.
fn found(record: &Record) -> Vec<&str> {
    let result = record.succeeded().result();
    let files = result["files"].as_array().unwrap();
    assert_eq!(result["changed"], files.len());
    files.iter().map(|file| file["path"].as_str().unwrap()).collect()
}

#[test]
fn file_watcher_lists_what_changed_lately_newest_first() {
    let home = watched();
    let usual = watch(&home, &[]);
    assert_eq!(found(&usual), ["newer.txt", "new.csv"]);
    let result = usual.result();
    assert_eq!((&result["checked"], &result["files"][1]["size"]), (&json!(3), &json!(10)));
    assert!(result["files"][0]["modified"].as_str().unwrap() > result["since"].as_str().unwrap(), "{result}");
    assert_eq!(found(&watch(&home, &["sinceMinutes=120"])), ["newer.txt", "new.csv", "old.csv"]);
    let all = watch(&home, &["sinceMinutes=9007199254740991"]);
    assert_eq!((found(&all).len(), &all.result()["since"]), (3, &json!("1970-01-01T00:00:00.000Z")));
    assert_eq!(found(&watch(&home, &["recursive=true"])), ["newer.txt", "new.csv", "below/deep.csv"]);
    assert_eq!(found(&watch(&home, &["recursive=true", "directory=in/"])), ["newer.txt", "new.csv", "below/deep.csv"]);
    let empty = run(&home, "file-watcher", &["directory=in", "sinceMinutes=0"], &["--allow-read=in"]);
    assert_failed(&empty, "invalid", &["`sinceMinutes` should be at least 1, found 0"]);
}

#[test]
fn file_watcher_takes_a_pattern_for_names_alone() {
    let home = watched();
    for (pattern, names) in [
        ("*.csv", &["new.csv"][..]),
        ("new*", &["newer.txt", "new.csv"]),
        ("new?csv", &["new.csv"]),
        ("n*w*t*t", &["newer.txt"]),
        ("**", &["newer.txt", "new.csv"]),
        ("*e*e*r*", &["newer.txt"]),
        ("new.csv*", &["new.csv"]),
        ("new", &[]),
        ("NEW.CSV", &[]),
        ("[a-z]*", &[]),
        (".*", &[]),
        ("..", &[]),
    ] {
        assert_eq!(found(&watch(&home, &[&format!("pattern={pattern}")])), names, "{pattern}");
    }
    for pattern in ["../*", "/etc/*", "below/*", ""] {
        assert_failed(&watch(&home, &[&format!("pattern={pattern}")]), "invalid", &["`pattern` should fit names of files"]);
    }
}

/// To root, no folder is closed.
#[test]
fn file_watcher_leaves_out_what_is_closed_to_it_and_says_so() {
    let home = watched();
    let closed = home.work().join("in/below");
    chmod(&closed, 0o000);
    let is_closed = std::fs::read_dir(&closed).is_err();
    let record = watch(&home, &["recursive=true"]);
    chmod(&closed, 0o755);
    assert_eq!(found(&record).contains(&"below/deep.csv"), !is_closed);
    assert_eq!(record.ended.stderr.contains("left out: EACCES"), is_closed, "{}", record.ended);
}

/// A pattern that keeps a backtracking matcher busy for ever.
#[test]
fn file_watcher_is_not_held_up_by_a_pattern() {
    let home = Home::new();
    home.file(&format!("in/{}", "a".repeat(250)), "");
    let pattern = format!("pattern={}b", "*a".repeat(100));
    let record = run(&home, "file-watcher", &["directory=in", &pattern], &["--allow-read=in", "--timeout=20s"]);
    assert!(found(&record).is_empty());
}

#[test]
fn file_watcher_counts_more_than_it_lists() {
    let home = Home::new();
    for index in 0..1005 {
        home.file(&format!("in/{index}"), "");
    }
    let record = watch(&home, &[]);
    let result = record.succeeded().result();
    assert_eq!((&result["checked"], &result["changed"], result["files"].as_array().unwrap().len()), (&json!(1005), &json!(1005), 1000));
}

#[test]
fn file_watcher_denied() {
    let home = watched();
    assert_denied(&run(&home, "file-watcher", &["directory=in"], &[]), "--allow-read=in");
    // A grant of another folder is none for this one.
    home.file("other/x", "");
    let mut args = vec!["run".to_owned()];
    args.extend(arguments("file-watcher", &["directory=in"], &["--allow-read=other"]));
    let ended = home.run(&args);
    assert_eq!(ended.code, Some(2), "{ended}");
}

#[test]
fn file_watcher_says_that_there_is_no_such_folder() {
    let home = Home::new();
    let mut args = vec!["run".to_owned()];
    args.extend(arguments("file-watcher", &["directory=nowhere"], &["--allow-read=nowhere"]));
    let ended = home.run(&args);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("`nowhere`") && ended.stderr.contains("No such file"), "{ended}");
}

#[test]
fn a_template_is_run_and_saved_by_its_name_and_a_file_by_its_path() {
    let home = Home::new();
    let record = home.record(&["log-message", "--param", "message=hello"]);
    assert_eq!(record.word("status"), "success", "{}", record.json);
    let listed = home.read(&["template", "list", "--json"]);
    let names: Vec<&str> = listed["templates"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), scripts().len());
    for name in names {
        let shown = home.read(&["template", "show", name, "--json"]);
        assert_eq!(home.read(&["inspect", name, "--json"])["digest"], shown["digest"], "{name}");
        assert!(home.run(&["template", "show", name]).text().contains("asks for"), "{name}");
    }
    ok(&home.run(&["task", "add", "greet", "log-message", "--param", "message=hello"]));
    let task = home.read(&["task", "show", "greet", "--json"]);
    assert_eq!(task["program"], "log-message");
    ok(&home.run(&["task", "run", "greet"]));
    ok(&home.run(&["task", "edit", "greet", "--param", "level=warn"]));
    assert!(home.run(&["task", "upgrade", "greet"]).text().contains("the same bytes"));
    // A path is a path, also where a template is called so.
    assert_eq!(home.run(&["run", "./log-message"]).code, Some(1));
    home.file("log-message.js", "return 'mine';");
    assert_eq!(home.record(&["./log-message.js"]).json["output"]["json"], "mine");
    let wrong = home.run(&["template", "show", "log-mesage"]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("did you mean `log-message`"), "{wrong}");
}
