//! Who may use a credential: for one run by a flag, for good by an answer.

use super::commands::says;
use super::{VALUE, Vaulted, assert_clean, ok};
use crate::support::home::Ended;
use crate::support::terminal::{GRANT, on_a_terminal};

/// Asks for one credential, and carries it to its server.
fn asking(vaulted: &Vaulted, credential: &str) -> String {
    let base = vaulted.base();
    let name = credential.split([':', '@']).next().unwrap();
    format!(
        "// /// wardroom\n// net = [\"{base}\"]\n// credentials = [\"{credential}\"]\n// ///\n\
         return (await fetch('{base}/x', {{ headers: {{ Authorization: `Bearer ${{credentials.placeholder('{name}')}}` }} }})).status;\n"
    )
}

fn run(vaulted: &Vaulted) -> Ended {
    vaulted.home.run(&["run", "asks.js", &vaulted.allow()])
}

/// A vault with a script that was answered "always" once.
fn granted() -> Option<Vaulted> {
    let vaulted = Vaulted::new();
    vaulted.home.file("asks.js", asking(&vaulted, "API_TOKEN"));
    let seen = on_a_terminal(&vaulted.home, &format!("run asks.js {}", vaulted.allow()), GRANT, Some("a\n"))?;
    assert!(seen.contains("the credential API_TOKEN toward its own hosts") && seen.contains("200"), "{seen}");
    assert_clean("the terminal", seen.as_bytes(), VALUE);
    Some(vaulted)
}

#[test]
fn always_makes_the_script_a_user() {
    let Some(vaulted) = granted() else { return };
    ok(&run(&vaulted));
    assert_eq!(vaulted.server.requests().len(), 2);
    let view = vaulted.home.read(&["credential", "show", "API_TOKEN", "--json"]);
    let users = view["used_by"].as_array().unwrap();
    assert!(users.len() == 1 && users[0].as_str().unwrap().contains("asks.js"), "{view}");
    assert!(view["last_used_at"].is_string(), "{view}");
    let audit = vaulted.home.read(&["audit", "list", "--event=credential-assigned", "--json"]);
    assert_eq!(audit["events"][0]["subject"], "API_TOKEN", "{audit}");
}

#[test]
fn always_is_for_the_bytes_that_were_asked_for() {
    let Some(vaulted) = granted() else { return };
    vaulted.home.file("asks.js", asking(&vaulted, "API_TOKEN") + "// changed\n");
    let ended = run(&vaulted);
    says(&ended, 1, &["API_TOKEN", "--credential=API_TOKEN"]);
    assert_eq!(vaulted.server.requests().len(), 1);
}

#[test]
fn a_credential_in_use_is_removed_by_force_alone() {
    let Some(vaulted) = granted() else { return };
    says(&vaulted.home.run(&["credential", "rm", "API_TOKEN"]), 1, &["asks.js", "`wardroom credential rm API_TOKEN --force`"]);
    ok(&run(&vaulted));
    ok(&vaulted.home.run(&["credential", "rm", "API_TOKEN", "--force"]));
    // Whoever takes the name later takes no grants with it.
    vaulted.add("API_TOKEN", "another value", &[]);
    says(&run(&vaulted), 1, &["--credential=API_TOKEN"]);
    assert_eq!(vaulted.server.requests().len(), 2);
}

/// A header names what it asks for: under another name it is not asked for, and
/// what was granted waits for a script that does.
#[test]
fn a_grant_follows_another_name_and_holds_for_who_asks_by_it() {
    let Some(vaulted) = granted() else { return };
    ok(&vaulted.home.run(&["credential", "rename", "API_TOKEN", "NEW_TOKEN"]));
    let view = vaulted.home.read(&["credential", "show", "NEW_TOKEN", "--json"]);
    assert_eq!(view["used_by"].as_array().map(Vec::len), Some(1), "{view}");
    says(&vaulted.home.run(&["credential", "rm", "NEW_TOKEN"]), 1, &["asks.js"]);
    says(&run(&vaulted), 1, &["API_TOKEN"]);
    assert_eq!(vaulted.server.requests().len(), 1);
    ok(&vaulted.home.run(&["credential", "rename", "NEW_TOKEN", "API_TOKEN"]));
    ok(&run(&vaulted));
    assert_eq!(vaulted.server.requests().len(), 2);
}

#[test]
fn whoever_says_no_or_nothing_grants_nothing() {
    let vaulted = Vaulted::new();
    vaulted.home.file("asks.js", asking(&vaulted, "API_TOKEN"));
    for answer in ["n\n", "\n"] {
        let Some(seen) = on_a_terminal(&vaulted.home, &format!("run asks.js {}", vaulted.allow()), GRANT, Some(answer)) else { return };
        assert!(seen.contains("denied"), "{seen}");
    }
    says(&run(&vaulted), 1, &["--credential=API_TOKEN"]);
    assert!(vaulted.server.requests().is_empty());
}

#[test]
fn what_cannot_be_lent_does_not_begin_to_run() {
    let vaulted = Vaulted::new();
    ok(&vaulted.home.run(&["credential", "add", "EMPTY", "--no-value"]));
    vaulted.home.file("plain.js", "return 1");
    let run = |scope: &str| vaulted.home.run(&["run", "plain.js", &format!("--credential={scope}")]);
    says(&run("API_TOKN"), 1, &["no credential `API_TOKN`", "did you mean `API_TOKEN`?", "`wardroom credential list`"]);
    says(&run("EMPTY"), 1, &["`EMPTY` has no value yet", "`wardroom credential set EMPTY`"]);
    assert!(vaulted.home.executions().is_empty());
    ok(&run("API_TOKEN"));
    assert_eq!(vaulted.home.executions().len(), 1);
}

#[test]
fn a_scope_that_is_none_is_a_usage_error() {
    let vaulted = Vaulted::new();
    vaulted.home.file("plain.js", "return 1");
    for (scope, words) in [
        ("API_TOKEN:qurey", "`qurey` is no use of a credential"),
        ("API_TOKEN:", "is no use of a credential"),
        ("API_TOKEN@", "is no host"),
        ("API_TOKEN@h.example:0", "is no port"),
        ("API_TOKEN,OTHER", "one credential a flag"),
        ("api_token", "names no credential"),
        ("", "names no credential"),
    ] {
        says(&vaulted.home.run(&["run", "plain.js", &format!("--credential={scope}")]), 2, &[words]);
    }
    says(&vaulted.home.run(&["run", "plain.js", "--credential", "API_TOKEN"]), 2, &["--credential"]);
    assert!(vaulted.home.executions().is_empty());
}

#[test]
fn more_than_the_header_asks_for_is_a_usage_error_that_names_the_line() {
    let vaulted = Vaulted::new();
    vaulted.add("OTHER_TOKEN", "another value", &[]);
    vaulted.home.file("asks.js", asking(&vaulted, "API_TOKEN"));
    let run = |scope: &str| vaulted.home.run(&["run", "asks.js", &vaulted.allow(), &format!("--credential={scope}")]);
    says(&run("OTHER_TOKEN"), 2, &["`credentials = [\"OTHER_TOKEN\"]`", "header"]);
    says(&run("API_TOKEN:reveal"), 2, &["`credentials = [\"API_TOKEN:reveal\"]`"]);
    assert!(vaulted.home.executions().is_empty());
    ok(&run("API_TOKEN"));
}

#[test]
fn what_a_run_may_do_is_shown_before_and_after_and_reading_the_value_loudest() {
    let vaulted = Vaulted::new();
    vaulted.home.file("plain.js", "return 1");
    let scope = format!("--credential=API_TOKEN@{}:query:sign:reveal", vaulted.host());
    let dry = vaulted.home.run(&["run", "plain.js", &scope, "--dry-run"]);
    ok(&dry);
    let words = format!("the credential API_TOKEN toward {}, also in queries, to sign, TO READ ITS VALUE", vaulted.host());
    assert!(dry.text().contains(&words), "{dry}");
    assert!(vaulted.home.executions().is_empty());
    let record = vaulted.home.record(&["plain.js", &scope]);
    record.succeeded();
    let shown = vaulted.home.run(&["exec", "show", record.id()]);
    assert!(shown.text().contains("API_TOKEN") && shown.text().contains("TO READ ITS VALUE"), "{shown}");
    let plain = vaulted.home.run(&["run", "plain.js", "--credential=API_TOKEN", "--dry-run"]);
    assert!(plain.text().contains("the credential API_TOKEN toward its own hosts") && !plain.text().contains("VALUE"), "{plain}");
}

#[test]
fn a_run_that_holds_nothing_leaves_the_vault_shut() {
    let vaulted = Vaulted::new();
    std::fs::remove_file(vaulted.home.path().join("vault.key")).unwrap();
    vaulted.home.file("plain.js", "return typeof credentials.API_TOKEN");
    assert_eq!(vaulted.home.record(&["plain.js"]).succeeded().result(), "undefined");
    ok(&vaulted.home.run(&["run", "plain.js", "--credential=API_TOKEN", "--dry-run"]));
    ok(&vaulted.home.run(&["credential", "list"]));
    let ended = vaulted.carry(&[], "API_TOKEN");
    says(&ended, 1, &["the vault's master key", "Put the key file back"]);
    assert_eq!(vaulted.home.executions().len(), 1);
    assert!(vaulted.server.requests().is_empty());
}

#[test]
fn a_value_in_a_header_is_refused_and_not_repeated() {
    let vaulted = Vaulted::new();
    let value = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    vaulted.home.file("asks.js", format!("// /// wardroom\n// credentials = [\"{value}\"]\n// ///\nreturn 1\n"));
    for args in [["run", "asks.js"].as_slice(), &["run", "--json", "asks.js"], &["run", "--dry-run", "asks.js"], &["inspect", "asks.js"]] {
        let ended = vaulted.home.run(args);
        assert_ne!(ended.code, Some(0), "{ended}");
        assert!(ended.stderr.contains("looks like a credential's value"), "{ended}");
        assert_clean("an answer", ended.to_string().as_bytes(), value);
    }
    super::assert_clean_folder(&vaulted.home.path(), value);
}
