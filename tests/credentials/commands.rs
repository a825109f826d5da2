//! `wardroom init` and `wardroom credential`: what is stored of what a person
//! types, and what is never said.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Vaulted, assert_clean, assert_clean_folder, ok, with_env};
use crate::support::home::{Ended, Home};
use crate::support::terminal::on_a_terminal;

/// No bus is where this points.
const NO_KEYCHAIN: (&str, &str) = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
const PASSPHRASE: (&str, &str) = ("WARDROOM_PASSPHRASE", "correct horse battery");
/// A value to look for.
const CANARY: &str = "canary~7Gq2/Zx9+Lw4&Rt";

/// It ended with this code, and said this.
#[track_caller]
pub(super) fn says(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended}");
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not said: {ended}");
    }
}

fn vault_home() -> Home {
    let home = Home::new();
    ok(&home.run(&["init", "--vault=file"]));
    home
}

fn shown(home: &Home, name: &str) -> Value {
    home.read(&["credential", "show", name, "--json"])
}

fn count(home: &Home) -> usize {
    home.read(&["credential", "list", "--json"])["credentials"].as_array().unwrap().len()
}

#[test]
fn init_keeps_the_key_where_it_is_told_to() {
    for (source, name, place) in
        [("file", "key_file", "home/vault.key"), ("file=own.key", "key_file", "work/own.key"), ("passphrase", "passphrase", "passphrase")]
    {
        let home = Home::new();
        let ended = with_env(&home, &[PASSPHRASE], &["init", &format!("--vault={source}")], "");
        ok(&ended);
        assert!(ended.text().contains(place) && ended.text().contains("as asked"), "{ended}");
        let status = home.read(&["vault", "status", "--json"]);
        assert_eq!((status["source"].as_str(), status["key_version"].as_u64()), (Some(name), Some(1)), "{status}");
        assert!(status["place"].as_str().unwrap().contains(place), "{status}");
        let key = home.path().parent().unwrap().join(place);
        assert_eq!(key.is_file(), name == "key_file");
        if key.is_file() {
            assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_clean_folder(&home.path(), PASSPHRASE.1);
    }
}

#[test]
fn init_answers_json_to_whoever_asks_for_it() {
    let home = Home::new();
    let made = home.run(&["init", "--vault=file", "--json"]);
    ok(&made);
    assert_eq!(made.json(), home.read(&["vault", "status", "--json"]));
    let second = home.run(&["init", "--vault=file", "--json"]);
    assert_eq!(second.code, Some(1), "{second}");
    assert_eq!(second.json()["error"]["exit_code"], 1);
}

#[test]
fn a_vault_in_memory_is_refused_with_the_reason() {
    let home = Home::new();
    says(&home.run(&["init", "--vault=memory"]), 1, &["a vault in memory lives inside", "keychain, passphrase or file", "hint"]);
    says(&home.run(&["vault", "status"]), 1, &["no vault", "`wardroom init`"]);
    ok(&home.run(&["init", "--vault=file"]));
    says(&home.run(&["vault", "change-source", "memory"]), 1, &["a vault in memory lives inside"]);
    ok(&home.feed(&["credential", "add", "A_TOKEN", "--host=h.example"], CANARY));
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let home = vault_home();
    let key = std::fs::read(home.path().join("vault.key")).unwrap();
    let status = home.read(&["vault", "status", "--json"]);
    for source in ["--vault=file", "--vault=file=other.key", "--vault=passphrase"] {
        let ended = with_env(&home, &[PASSPHRASE], &["init", source], "");
        says(&ended, 1, &["has a vault already", "vault.key", "`wardroom vault change-source`"]);
    }
    says(&with_env(&home, &[NO_KEYCHAIN], &["init"], ""), 1, &["has a vault already"]);
    assert_eq!(std::fs::read(home.path().join("vault.key")).unwrap(), key);
    assert_eq!(home.read(&["vault", "status", "--json"]), status);
    assert!(!home.work().join("other.key").exists());
}

#[test]
fn without_a_keychain_init_takes_what_is_there_and_says_so() {
    let home = Home::new();
    let ended = with_env(&home, &[NO_KEYCHAIN], &["init"], "");
    ok(&ended);
    assert!(ended.text().contains("vault.key") && ended.text().contains("no keychain answers here"), "{ended}");
    assert!(ended.text().contains("keep it out of backups"), "{ended}");
    let home = Home::new();
    let ended = with_env(&home, &[NO_KEYCHAIN, PASSPHRASE], &["init"], "");
    ok(&ended);
    assert!(ended.text().contains("a passphrase is in the environment"), "{ended}");
    assert_eq!(home.read(&["vault", "status", "--json"])["source"], "passphrase");
}

#[test]
fn a_keychain_that_was_named_and_is_absent_leaves_no_vault_behind() {
    let home = Home::new();
    says(&with_env(&home, &[NO_KEYCHAIN], &["init", "--vault=keychain"], ""), 1, &["the keychain cannot be reached", "hint"]);
    says(&home.run(&["vault", "status"]), 1, &["no vault"]);
    assert!(!home.path().join("vault.key").exists());
}

#[test]
fn a_place_that_is_none_is_a_usage_error() {
    let home = Home::new();
    for place in ["cloud", "", "file=", "keychain=x", "FILE"] {
        says(&home.run(&["init", &format!("--vault={place}")]), 2, &["expected keychain, passphrase, file or file=PATH"]);
    }
    says(&home.run(&["init", "--vault=file=/nonexistent/folder/key"]), 1, &["/nonexistent/folder/key", "No such file"]);
    says(&home.run(&["vault", "status"]), 1, &["no vault"]);
}

#[test]
fn where_no_vault_is_the_command_that_makes_one_is_named() {
    let home = Home::new();
    for args in [
        ["credential", "add", "A_TOKEN", "--host=h.example"].as_slice(),
        &["credential", "add", "A_TOKEN", "--no-value"],
        &["vault", "status"],
        &["vault", "rotate-master-key"],
        &["vault", "change-source", "file"],
    ] {
        says(&home.feed(args, CANARY), 1, &["there is no vault", "`wardroom init`"]);
    }
    says(&home.run(&["credential", "list"]), 0, &["No credentials yet"]);
}

#[test]
fn a_value_is_fed_in_and_never_said() {
    let home = vault_home();
    let mut said = Vec::new();
    let mut run = |args: &[&str], stdin: &str| {
        let ended = home.feed(args, stdin);
        ok(&ended);
        said.push(ended);
    };
    run(&["credential", "add", "A_TOKEN", "--host=h.example", "--note=of the build"], CANARY);
    run(&["credential", "list"], "");
    run(&["credential", "list", "--json"], "");
    run(&["credential", "show", "A_TOKEN"], "");
    run(&["credential", "show", "A_TOKEN", "--json"], "");
    run(&["credential", "rotate", "A_TOKEN"], CANARY);
    run(&["credential", "set", "A_TOKEN"], CANARY);
    run(&["credential", "set", "A_TOKEN", "--kind=secret"], "");
    run(&["credential", "rename", "A_TOKEN", "B_TOKEN"], "");
    run(&["vault", "rotate-master-key"], "");
    run(&["doctor", "--json"], "");
    run(&["audit", "list"], "");
    run(&["audit", "list", "--json"], "");
    run(&["credential", "clear", "B_TOKEN"], "");
    run(&["credential", "rm", "B_TOKEN"], "");
    for ended in said {
        assert_clean("an answer", ended.to_string().as_bytes(), CANARY);
    }
    assert_clean_folder(&home.path(), CANARY);
}

#[test]
fn what_looks_like_a_value_is_refused_as_a_name_and_not_repeated() {
    let home = vault_home();
    ok(&home.feed(&["credential", "add", "A_TOKEN", "--host=h.example"], CANARY));
    for value in [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "sk-proj-abcdefghijklmnop",
        "AKIAIOSFODNN7EXAMPLE",
        "https://hooks.example/services/T0/B0/XXXXXXXX",
        "eyJhbGciOiJIUzI1NiJ9.e30.signature",
        "A1B2C3D4E5F6A7B8C9D0E1F2",
    ] {
        for args in [
            ["credential", "add", value].as_slice(),
            &["credential", "show", value],
            &["credential", "show", value, "--json"],
            &["credential", "set", value],
            &["credential", "rotate", value],
            &["credential", "clear", value],
            &["credential", "rename", value, "B_TOKEN"],
            &["credential", "rename", "A_TOKEN", value],
            &["credential", "rm", value],
        ] {
            let ended = home.feed(args, CANARY);
            says(&ended, 2, &["looks like a credential's value, not its name"]);
            assert_clean("an answer", ended.to_string().as_bytes(), value);
        }
        assert_clean_folder(&home.path(), value);
    }
    assert_eq!(count(&home), 1);
}

#[test]
fn a_value_that_is_typed_as_an_argument_is_refused_and_not_repeated() {
    let home = vault_home();
    ok(&home.feed(&["credential", "add", "A_TOKEN", "--host=h.example"], CANARY));
    home.file("plain.js", "return 1");
    for args in [
        ["credential", "add", "B_TOKEN", CANARY].as_slice(),
        &["credential", "add", "B_TOKEN", "--value", CANARY],
        &["credential", "add", "B_TOKEN", &format!("--value={CANARY}")],
        &["credential", "add", &format!("B_TOKEN={CANARY}")],
        &["credential", "set", "A_TOKEN", "--value", CANARY],
        &["credential", "set", "A_TOKEN", CANARY],
        &["credential", "rotate", "A_TOKEN", CANARY],
        &["run", "plain.js", &format!("--credential=A_TOKEN={CANARY}")],
        &["run", "plain.js", &format!("--credential={CANARY}")],
        &["run", "plain.js", "--credential=ghp_16C7e42F292c6912E7710c838347Ae178B4a"],
    ] {
        let ended = home.feed(args, "0123456789");
        assert_eq!(ended.code, Some(2), "{args:?}: {ended}");
        assert_clean("an answer", ended.to_string().as_bytes(), CANARY);
        assert!(!ended.to_string().contains("ghp_16C7e42F"), "{ended}");
    }
    assert_eq!(count(&home), 1);
}

#[test]
fn a_name_has_the_form_of_one() {
    let home = vault_home();
    for name in ["a_token", "1A", "A-B", "A B", "", "Ä", &"A".repeat(65)] {
        says(&home.feed(&["credential", "add", name], CANARY), 2, &["names no credential", "expected a capital letter"]);
    }
    ok(&home.feed(&["credential", "add", &"A".repeat(64), "--host=h.example"], CANARY));
    assert_eq!(count(&home), 1);
}

#[test]
fn a_value_fits_its_kind_or_is_not_stored() {
    const MAX: usize = 64 << 10;
    let (long, longer, longest) = ("x".repeat(MAX), "x".repeat(MAX + 1), "x".repeat(1 << 20));
    let (ended, windows) = (format!("{long}\n"), format!("{long}\r\n"));
    let cases: &[(&str, &[u8], Option<&str>)] = &[
        ("api_key", CANARY.as_bytes(), None),
        ("api_key", b"canary~7Gq2\n", None),
        ("api_key", b"canary~7Gq2\ncanary~9Xx1", Some("several lines")),
        ("api_key", b"canary~7Gq2\n\n", Some("several lines")),
        ("oauth_token", b"canary~7Gq2\rcanary~9Xx1", Some("several lines")),
        ("env_var", b"canary~7Gq2\ncanary~9Xx1", Some("several lines")),
        ("url", b"https://h.example/canary~7Gq2\n/canary~9Xx1", Some("several lines")),
        ("secret", b"-----BEGIN\ncanary~7Gq2\n-----END\n", None),
        ("form", b"{\"user\": \"u\",\n \"password\": \"canary~7Gq2\"}\n", None),
        ("form", b"{\"port\": 5432}", Some("no form")),
        ("form", b"canary~7Gq2", Some("no form")),
        ("url", b"https://h.example/canary~7Gq2", None),
        ("url", b"canary~7Gq2", Some("no address")),
        ("url", b"https://canary~7Gq2@h.example/", Some("no address")),
        ("api_key", b"canary~7Gq2\0canary", Some("NUL")),
        ("secret", b"canary~7Gq2\0canary", Some("NUL")),
        ("secret", b"canary~7Gq2\xff\xfe", Some("UTF-8")),
        ("api_key", b"", Some("empty")),
        ("api_key", b"\n", Some("empty")),
        ("secret", b"\r\n", Some("empty")),
        ("secret", long.as_bytes(), None),
        ("secret", ended.as_bytes(), None),
        ("secret", windows.as_bytes(), None),
        ("secret", longer.as_bytes(), Some("longer than 65536 bytes")),
        ("secret", longest.as_bytes(), Some("longer than 65536 bytes")),
    ];
    let home = vault_home();
    let mut stored = 0;
    for (index, (kind, value, wrong)) in cases.iter().enumerate() {
        let name = format!("CASE_{index}");
        let ended = home.feed(&["credential", "add", &name, &format!("--kind={kind}"), "--host=h.example"], value);
        match wrong {
            None => {
                ok(&ended);
                stored += 1;
                assert_eq!(shown(&home, &name)["has_value"], true);
            }
            Some(words) => says(&ended, 1, &[words]),
        }
        assert!(!ended.to_string().contains("canary~") && !ended.to_string().contains("xxxxxxxx"), "{ended}");
        assert_eq!(count(&home), stored, "{kind}: {ended}");
    }
}

#[test]
fn a_value_that_does_not_fit_leaves_the_old_one() {
    let vaulted = Vaulted::empty();
    vaulted.add("API_TOKEN", CANARY, &[]);
    for verb in ["set", "rotate"] {
        says(&vaulted.home.feed(&["credential", verb, "API_TOKEN"], "two\nlines"), 1, &["several lines"]);
        says(&vaulted.home.feed(&["credential", verb, "API_TOKEN"], ""), 1, &["empty"]);
    }
    assert_eq!(vaulted.bearer("API_TOKEN"), CANARY);
    says(&vaulted.home.run(&["credential", "set", "API_TOKEN", "--kind=url"]), 1, &["does not fit the kind url", "credential clear"]);
    assert_eq!(shown(&vaulted.home, "API_TOKEN")["kind"], "api_key");
    assert_eq!(vaulted.bearer("API_TOKEN"), CANARY);
}

#[test]
fn what_is_odd_about_a_value_is_said_and_stored() {
    let home = vault_home();
    let add = |name: &str, more: &[&str], value: &str| home.feed(&[&["credential", "add", name], more].concat(), value);
    says(&add("SHORT", &["--host=h.example"], "1234567"), 0, &["warning", "shorter than 8 bytes"]);
    says(&add("BLANK", &["--host=h.example"], " 0123456789"), 0, &["warning", "begins or ends with a blank"]);
    says(&add("NOWHERE", &[], CANARY), 0, &["warning", "for no host", "`wardroom credential set NOWHERE --host=HOST`"]);
    let plain = add("PLAIN", &["--host=h.example"], "12345678");
    says(&plain, 0, &[]);
    assert!(!plain.stderr.contains("warning"), "{plain}");
    assert_eq!(count(&home), 4);
}

#[test]
fn an_address_is_for_its_own_host_and_a_form_for_those_that_are_named() {
    let home = vault_home();
    ok(&home.feed(&["credential", "add", "HOOK", "--kind=url"], "https://hooks.example:8443/T0/canary"));
    assert_eq!(shown(&home, "HOOK")["hosts"], serde_json::json!(["hooks.example:8443"]));
    ok(&home.feed(
        &["credential", "add", "MAIL", "--kind=form", "--host=h.example", "--host=127.0.0.1:8080"],
        r#"{"user":"u","password":"p"}"#,
    ));
    assert_eq!(shown(&home, "MAIL")["hosts"], serde_json::json!(["h.example", "127.0.0.1:8080"]));
    for host in ["https://h.example", "h.example/path", "h.example:0", "", "*"] {
        says(&home.feed(&["credential", "add", "OTHER", &format!("--host={host}")], CANARY), 2, &["--host"]);
    }
    says(&home.feed(&["credential", "add", "OTHER", "--kind=password"], CANARY), 2, &["api_key", "oauth_token", "form"]);
    assert_eq!(count(&home), 2);
}

#[test]
fn a_name_is_given_once_and_what_is_unknown_is_near_to_something() {
    let home = vault_home();
    ok(&home.feed(&["credential", "add", "GITHUB_TOKEN", "--host=h.example"], CANARY));
    says(
        &home.feed(&["credential", "add", "GITHUB_TOKEN"], CANARY),
        1,
        &["there is a credential `GITHUB_TOKEN` already", "`wardroom credential set GITHUB_TOKEN`"],
    );
    for args in [
        ["credential", "show", "GITHUB_TOKN"].as_slice(),
        &["credential", "set", "GITHUB_TOKN"],
        &["credential", "rotate", "GITHUB_TOKN"],
        &["credential", "clear", "GITHUB_TOKN"],
        &["credential", "rename", "GITHUB_TOKN", "OTHER"],
        &["credential", "rm", "GITHUB_TOKN"],
        &["credential", "rm", "GITHUB_TOKN", "--force"],
    ] {
        says(&home.feed(args, CANARY), 1, &["no credential `GITHUB_TOKN`", "did you mean `GITHUB_TOKEN`?", "`wardroom credential list`"]);
    }
    let far = home.run(&["credential", "show", "WEATHER_KEY"]);
    says(&far, 1, &["no credential `WEATHER_KEY`"]);
    assert!(!far.stderr.contains("did you mean"), "{far}");
}

#[test]
fn a_credential_may_wait_for_its_value() {
    let vaulted = Vaulted::empty();
    ok(&vaulted.home.run(&["credential", "add", "API_TOKEN", "--no-value", &format!("--host={}", vaulted.host())]));
    assert_eq!(shown(&vaulted.home, "API_TOKEN")["has_value"], false);
    for verb in ["rotate", "clear"] {
        says(
            &vaulted.home.feed(&["credential", verb, "API_TOKEN"], CANARY),
            1,
            &["has no value yet", "`wardroom credential set API_TOKEN`"],
        );
    }
    ok(&vaulted.home.feed(&["credential", "set", "API_TOKEN"], CANARY));
    assert_eq!(vaulted.bearer("API_TOKEN"), CANARY);
    ok(&vaulted.home.feed(&["credential", "rotate", "API_TOKEN"], "the next value"));
    assert_eq!(vaulted.bearer("API_TOKEN"), "the next value");
    ok(&vaulted.home.run(&["credential", "clear", "API_TOKEN"]));
    assert_eq!(shown(&vaulted.home, "API_TOKEN")["has_value"], false);
    ok(&vaulted.home.feed(&["credential", "set", "API_TOKEN"], CANARY));
    assert_eq!(vaulted.bearer("API_TOKEN"), CANARY);
}

#[test]
fn what_a_credential_is_for_can_be_changed_and_its_value_stays() {
    let vaulted = Vaulted::empty();
    ok(&vaulted.home.feed(&["credential", "add", "API_TOKEN", "--host=other.example", "--note=of the build"], CANARY));
    let set = |more: &[&str]| vaulted.home.feed(&[&["credential", "set", "API_TOKEN"], more].concat(), "not read");
    ok(&set(&["--kind=secret"]));
    ok(&set(&["--host=h.example", &format!("--host={}", vaulted.host())]));
    let view = shown(&vaulted.home, "API_TOKEN");
    assert_eq!(view["hosts"], serde_json::json!(["h.example", vaulted.host()]));
    assert_eq!((view["kind"].as_str(), view["note"].as_str()), (Some("secret"), Some("of the build")));
    assert_eq!(vaulted.bearer("API_TOKEN"), CANARY);
    ok(&set(&["--note="]));
    assert_eq!(shown(&vaulted.home, "API_TOKEN")["note"], Value::Null);
    ok(&set(&["--no-host"]));
    assert_eq!(shown(&vaulted.home, "API_TOKEN")["hosts"], serde_json::json!([]));
    says(&set(&["--no-host", "--host=h.example"]), 2, &["cannot be used with"]);
}

#[test]
fn another_name_opens_the_same_value() {
    let vaulted = Vaulted::empty();
    vaulted.add("API_TOKEN", CANARY, &[]);
    vaulted.add("OTHER", "another value", &[]);
    let before = shown(&vaulted.home, "API_TOKEN");
    says(&vaulted.home.run(&["credential", "rename", "API_TOKEN", "OTHER"]), 1, &["there is a credential `OTHER` already"]);
    ok(&vaulted.home.run(&["credential", "rename", "API_TOKEN", "NEW_TOKEN"]));
    assert_eq!(shown(&vaulted.home, "NEW_TOKEN")["id"], before["id"]);
    assert_eq!(vaulted.bearer("NEW_TOKEN"), CANARY);
    assert_eq!(vaulted.bearer("OTHER"), "another value");
    says(&vaulted.home.run(&["credential", "show", "API_TOKEN"]), 1, &["no credential `API_TOKEN`"]);
}

#[test]
fn what_is_removed_is_gone_and_its_name_is_free() {
    let home = vault_home();
    ok(&home.feed(&["credential", "add", "A_TOKEN", "--host=h.example"], CANARY));
    ok(&home.run(&["credential", "rm", "A_TOKEN"]));
    says(&home.run(&["credential", "show", "A_TOKEN"]), 1, &["no credential"]);
    ok(&home.run(&["credential", "add", "A_TOKEN", "--no-value"]));
    assert_eq!(shown(&home, "A_TOKEN")["has_value"], false);
}

#[test]
fn a_value_that_is_typed_is_not_seen() {
    let vaulted = Vaulted::empty();
    let words = format!("credential add API_TOKEN --host={}", vaulted.host());
    for _ in 0..5 {
        let Some(seen) = on_a_terminal(&vaulted.home, &words, "(not shown): ", Some("typed~by~hand~42\n")) else { return };
        assert!(seen.contains("Value of API_TOKEN") && seen.contains("API_TOKEN is stored."), "{seen}");
        assert_eq!(vaulted.bearer("API_TOKEN"), "typed~by~hand~42");
        // No person answers before the question's last letter is dry; where this
        // did, the terminal showed it by itself.
        if !seen.contains("typed~by~hand") {
            return;
        }
        ok(&vaulted.home.run(&["credential", "rm", "API_TOKEN"]));
    }
    panic!("what is typed stands on the screen");
}

#[test]
fn a_passphrase_is_typed_twice_when_it_is_new() {
    let home = Home::new();
    let Some(seen) = on_a_terminal(&home, "init --vault=passphrase", ": ", Some("typed pass phrase\n")) else { return };
    assert!(seen.contains("New passphrase of the vault") && seen.contains("Once more") && seen.contains("The vault is made."), "{seen}");
    let env =
        |passphrase| with_env(&home, &[("WARDROOM_PASSPHRASE", passphrase)], &["credential", "add", "A_TOKEN", "--host=h.example"], CANARY);
    says(&env("another pass phrase"), 1, &["the passphrase does not open this vault"]);
    ok(&env("typed pass phrase"));
}
