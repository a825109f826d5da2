//! Credentials, from outside: stored by the command line, used by real programs
//! against real servers, looked for in everything that is left behind.

mod audits;
mod commands;
mod exfiltration;
mod findings;
mod grants;
mod kept;
mod keychain;
mod leaks;
mod rotation;
mod signatures;
mod vaults;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::home::{Ended, Home, Running};
use crate::support::mirror::{hex, percent};
use crate::support::server::Server;

/// A value with everything that encodings change and a header still carries.
pub(crate) const VALUE: &str = "tok~9f/+Kq\"<&>%\\x41 zW7-Lm3";

/// A home with a vault, and a server that its credentials are for.
pub(crate) struct Vaulted {
    pub(crate) home: Home,
    pub(crate) server: Server,
}

impl Vaulted {
    /// `API_TOKEN`, for a server that speaks TLS.
    pub(crate) fn new() -> Self {
        let vaulted = Self::empty();
        vaulted.add("API_TOKEN", VALUE, &[]);
        vaulted
    }

    /// A vault with nothing in it.
    pub(crate) fn empty() -> Self {
        let vaulted = Self::unmade();
        ok(&vaulted.home.run(&["init", "--vault=file"]));
        vaulted
    }

    /// No vault yet, and a server that is trusted.
    pub(crate) fn unmade() -> Self {
        let (home, server) = (Home::new(), Server::start_tls());
        let pem = home.file("server.pem", server.pem());
        let config = format!("[network]\nextra_roots = [{:?}]\n", pem.display().to_string());
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        Self { home, server }
    }

    /// Stores one for the server.
    pub(crate) fn add(&self, name: &str, value: &str, more: &[&str]) {
        let host = format!("--host={}", self.host());
        let mut args = vec!["credential", "add", name, &host];
        args.extend(more);
        ok(&self.home.feed(&args, value));
    }

    /// `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.server.address().port())
    }

    /// `https://localhost:PORT`.
    pub(crate) fn base(&self) -> String {
        self.server.base()
    }

    pub(crate) fn allow(&self) -> String {
        format!("--allow-net={}", self.base())
    }

    /// Runs a script with the credential and the server, and answers its record.
    pub(crate) fn script(&self, source: &str, scope: &str, more: &[&str]) -> (Value, Ended) {
        self.home.file("script.js", source.replace("BASE", &self.base()));
        let (allow, credential) = (self.allow(), format!("--credential={scope}"));
        let mut args = vec!["run", "--json", "script.js", &allow, &credential];
        args.extend(more);
        let ended = self.home.run(&args);
        (ended.json(), ended)
    }

    /// The value as the server sees it when a script carries it there.
    #[track_caller]
    pub(crate) fn bearer(&self, name: &str) -> String {
        self.bearer_with(&[], name)
    }

    /// The same, with more in the environment.
    #[track_caller]
    pub(crate) fn bearer_with(&self, env: &[(&str, &str)], name: &str) -> String {
        ok(&self.carry(env, name));
        let requests = self.server.requests();
        let field = &requests.last().expect("a request arrived").headers["authorization"];
        field.strip_prefix("Bearer ").unwrap().to_owned()
    }

    /// Runs a script that carries a credential to the server.
    pub(crate) fn carry(&self, env: &[(&str, &str)], name: &str) -> Ended {
        let source =
            "return (await fetch('BASE/x', { headers: { Authorization: `Bearer ${credentials.placeholder(\"NAME\")}` } })).status;";
        self.home.file("carry.js", source.replace("BASE", &self.base()).replace("NAME", name));
        with_env(&self.home, env, &["run", "--json", "carry.js", &self.allow(), &format!("--credential={name}")], "")
    }
}

/// Runs the binary with more in its environment.
pub(crate) fn with_env(home: &Home, env: &[(&str, &str)], args: &[&str], stdin: impl AsRef<[u8]>) -> Ended {
    Running::start(home.command(args).envs(env.iter().copied()), stdin.as_ref()).wait()
}

#[track_caller]
pub(crate) fn ok(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// Every form in which a value must be nowhere.
pub(crate) fn forms(value: &str) -> Vec<(String, String)> {
    let mut forms: Vec<(String, String)> = vec![
        ("raw".into(), value.into()),
        ("percent".into(), percent(value)),
        ("hex".into(), hex(value, false)),
        ("HEX".into(), hex(value, true)),
        ("reversed".into(), value.chars().rev().collect()),
        ("json".into(), serde_json::to_string(value).unwrap().trim_matches('"').to_owned()),
    ];
    for offset in 0..3 {
        // What depends on the bytes before and behind is cut off.
        let padded = format!("{}{value}", "\0".repeat(offset));
        let whole = padded.len() * 8 / 6 / 4 * 4;
        for (name, text) in [("base64", STANDARD_NO_PAD.encode(&padded)), ("base64url", URL_SAFE_NO_PAD.encode(&padded))] {
            let from = (offset * 8).div_ceil(6);
            forms.push((format!("{name} at {offset}"), text[from..whole.max(from)].to_owned()));
        }
    }
    forms
}

/// Fails where any form of the value stands in these bytes.
#[track_caller]
pub(crate) fn assert_clean(place: &str, bytes: &[u8], value: &str) {
    for (form, text) in forms(value) {
        let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
        if let Some(at) = found {
            let near = String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + text.len() + 20).min(bytes.len())]).into_owned();
            panic!("{place} holds the value ({form}): …{near}…");
        }
    }
}

/// Fails where the value stands in any file of a folder.
#[track_caller]
pub(crate) fn assert_clean_folder(folder: &Path, value: &str) {
    let mut files = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && !entry.path().starts_with(folder.join("cache")) {
                files += 1;
                assert_clean(&entry.path().display().to_string(), &std::fs::read(entry.path()).unwrap(), value);
            }
        }
    }
    assert!(files > 0, "nothing was looked at in {}", folder.display());
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for (form, text) in forms(VALUE) {
        let found = std::panic::catch_unwind(|| assert_clean("here", format!("a{text}b").as_bytes(), VALUE));
        assert!(found.is_err(), "{form}");
    }
    let packed = base64::engine::general_purpose::STANDARD.encode(format!("ab{VALUE}yz"));
    assert!(std::panic::catch_unwind(|| assert_clean("here", packed.as_bytes(), VALUE)).is_err());
}
