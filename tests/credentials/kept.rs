//! Data folders that an earlier version wrote (`tests/fixtures/make` did), kept
//! for ever: whatever they hold still opens. Should a test of this file fail,
//! people's vaults no longer open.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::ok;
use crate::support::home::{Ended, Home, Running, chmod};
use crate::support::parts::needs;
use crate::support::server::Server;

const PASSPHRASE: &str = "correct horse battery staple";
/// Name, kind and value of each, as they were given.
const STORED: [(&str, &str, &str); 7] = [
    ("CALENDAR", "oauth_token", "ya29.fixture-oauth"),
    ("DATABASE", "form", r#"{"host":"db.example","password":"p\u00e4ss \"quoted\""}"#),
    ("DEPLOY_ENV", "env_var", "fixture environment"),
    ("DEPLOY_KEY", "secret", "-----BEGIN FIXTURE-----\nline one äöü €\n\tline two\n-----END FIXTURE-----\n"),
    ("GITHUB_TOKEN", "api_key", "ghp_fixtureFIXTURE0123456789"),
    ("RENAMED", "api_key", "the second value"),
    ("WEBHOOK", "url", "https://hooks.example/services/T000/B000/fixture?x=1"),
];
/// What was done, in its order.
const EVENTS: [&str; 12] = [
    "vault-created",
    "credential-added",
    "credential-added",
    "credential-added",
    "credential-added",
    "credential-added",
    "credential-added",
    "credential-added",
    "vault-rotated",
    "credential-added",
    "credential-renamed",
    "credential-value-set",
];

/// A copy of a fixture as a data folder.
struct Kept {
    home: Home,
}

impl Kept {
    fn new(fixture: &str) -> Self {
        let home = Home::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(fixture);
        for entry in fs::read_dir(from).unwrap().flatten() {
            // The key is where commands are run: the fixture says how that is.
            let folder = if entry.file_name() == "vault.key" { home.work() } else { home.path() };
            let path = folder.join(entry.file_name());
            fs::write(&path, fs::read(entry.path()).unwrap()).unwrap();
            chmod(&path, 0o600);
        }
        assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
        Self { home }
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = self.home.command(args);
        command.env("WARDROOM_PASSPHRASE", PASSPHRASE);
        Running::start(&mut command, b"").wait()
    }

    #[track_caller]
    fn read(&self, args: &[&str]) -> Value {
        let ended = self.run(args);
        ok(&ended);
        ended.json()
    }

    /// A program that is shown every value finds each to be what was stored.
    #[track_caller]
    fn every_value_is_what_it_was(&self) {
        let table: Vec<Value> = STORED.iter().map(|(name, _, value)| json!([name, value])).collect();
        let script = "
            const wrong = STORED.filter(([name, value]) => credentials.reveal(name) !== value).map(([name]) => name);
            return [STORED.length, ...wrong];";
        self.home.file("values.js", script.replace("STORED", &json!(table).to_string()));
        let scopes = STORED.map(|(name, ..)| format!("--credential={name}:reveal"));
        let mut args = vec!["run", "--json", "values.js"];
        args.extend(scopes.iter().map(String::as_str));
        let record = self.read(&args);
        assert_eq!(record["output"]["json"], json!([STORED.len()]), "{record}");
    }

    /// One is given a host of today, and fills a request to it.
    #[track_caller]
    fn a_request_carries_one(&self) {
        let server = Server::start();
        let host = server.address().to_string();
        ok(&self.run(&["credential", "set", "GITHUB_TOKEN", &format!("--host={host}")]));
        let script = "return (await fetch('BASE/x', { headers: { Authorization: `Bearer ${credentials.GITHUB_TOKEN}` } })).status;";
        self.home.file("send.js", script.replace("BASE", &server.base()));
        let record = self.read(&["run", "--json", "send.js", &format!("--allow-net={}", server.base()), "--credential=GITHUB_TOKEN"]);
        assert_eq!(record["output"]["json"], 200, "{record}");
        assert_eq!(server.requests()[0].headers["authorization"], "Bearer ghp_fixtureFIXTURE0123456789");
    }

    /// All rows chained, and proven by the keys of their time; how many.
    #[track_caller]
    fn proven_rows(&self) -> u64 {
        let verified = self.read(&["audit", "verify", "--json"]);
        assert_eq!(verified["rows"], verified["proven"], "{verified}");
        assert_eq!(verified["findings"], json!([]), "{verified}");
        verified["rows"].as_u64().unwrap()
    }

    fn opens(&self, source: &str) {
        assert_eq!(self.proven_rows(), EVENTS.len() as u64);
        let log = self.read(&["audit", "list", "--json"]);
        let events: Vec<&str> = log["events"].as_array().unwrap().iter().rev().filter_map(|event| event["event"].as_str()).collect();
        assert_eq!(events, EVENTS);
        let status = self.read(&["vault", "status", "--json"]);
        assert_eq!((&status["source"], &status["key_version"], &status["values"]), (&json!(source), &json!(2), &json!(7)), "{status}");
        self.lists_what_was_stored();
        self.every_value_is_what_it_was();
        self.a_request_carries_one();
        // And it goes on from here: a new key, new rows.
        ok(&self.run(&["vault", "rotate-master-key"]));
        self.every_value_is_what_it_was();
        assert!(self.proven_rows() > EVENTS.len() as u64);
    }

    fn lists_what_was_stored(&self) {
        let listed = self.read(&["credential", "list", "--json"]);
        let credentials = listed["credentials"].as_array().unwrap();
        let valued: Vec<(&str, &str)> = credentials
            .iter()
            .filter(|credential| credential["has_value"] == true)
            .map(|credential| (credential["name"].as_str().unwrap(), credential["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(valued, STORED.map(|(name, kind, _)| (name, kind)));
        let of = |name: &str| credentials.iter().find(|credential| credential["name"] == name).unwrap();
        assert_eq!(of("LATER")["note"], "its value comes later");
        assert_eq!(of("GITHUB_TOKEN")["note"], "of the fixture");
        assert_eq!(of("CALENDAR")["hosts"], json!(["www.googleapis.com", "localhost:8443"]));
        assert_eq!(of("WEBHOOK")["hosts"], json!(["hooks.example"]));
    }
}

#[test]
fn a_vault_of_format_1_with_a_key_file_opens_for_ever() {
    let proc = Path::new("/proc/self/cwd").exists();
    if needs("/proc", proc, "the fixture's key file is found through it; on Linux it is mounted") {
        Kept::new("vault-1").opens("key_file");
    }
}

#[test]
fn a_vault_of_format_1_with_a_passphrase_opens_for_ever() {
    let kept = Kept::new("vault-1-passphrase");
    let wrong = kept.home.command(&["credential", "rename", "RENAMED", "OTHER"]).env("WARDROOM_PASSPHRASE", "another").output().unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{}", String::from_utf8_lossy(&wrong.stderr));
    kept.opens("passphrase");
}
