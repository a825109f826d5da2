//! `wardroom audit`: what is listed, what another hand in the rows is found out
//! by, and how a log goes on without its key.

use serde_json::Value;

use super::commands::says;
use super::{Vaulted, assert_clean, ok};
use crate::support::database;
use crate::support::home::{Ended, Home};

const ALL: &str = "--limit=1000";

/// A log of some twenty rows: two credentials, used in three runs.
fn logged() -> Vaulted {
    let vaulted = Vaulted::empty();
    for name in ["ONE", "TWO"] {
        vaulted.add(name, "value-of-it~1a2b3c", &[]);
        ok(&vaulted.home.feed(&["credential", "rotate", name], "value-of-it~4d5e6f"));
    }
    for name in ["ONE", "TWO", "ONE"] {
        ok(&vaulted.carry(&[], name));
    }
    vaulted
}

fn list(home: &Home, more: &[&str]) -> Vec<Value> {
    let answer = home.read(&[&["audit", "list", "--json"], more].concat());
    answer["events"].as_array().unwrap().clone()
}

fn verify(home: &Home) -> (Ended, Value) {
    let (plain, json) = (home.run(&["audit", "verify"]), home.run(&["audit", "verify", "--json"]));
    assert_eq!(plain.code, json.code, "{plain}{json}");
    let report = json.json();
    (plain, report)
}

#[track_caller]
fn intact(home: &Home) -> Value {
    let (plain, report) = verify(home);
    ok(&plain);
    assert!(plain.text().contains("Nothing speaks against the log"), "{plain}");
    assert_eq!((report["found"].as_u64(), &report["rows"]), (Some(0), &report["proven"]), "{report}");
    report
}

#[test]
fn rows_are_listed_newest_first_and_filtered() {
    let vaulted = logged();
    let home = &vaulted.home;
    let all = list(home, &[ALL]);
    let seqs: Vec<u64> = all.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).rev().collect::<Vec<_>>());
    assert_eq!(all.last().unwrap()["event"], "vault-created");
    let same = |more: &[&str], keep: &dyn Fn(&Value) -> bool| {
        let expected: Vec<&Value> = all.iter().filter(|row| keep(row)).collect();
        assert!(!expected.is_empty());
        assert_eq!(list(home, &[&[ALL], more].concat()).iter().collect::<Vec<_>>(), expected, "{more:?}");
    };
    same(&["--event=credential-used"], &|row| row["event"] == "credential-used");
    same(&["--subject=TWO"], &|row| row["subject"] == "TWO");
    same(&["--subject=ONE", "--event=credential-value-set"], &|row| row["subject"] == "ONE" && row["event"] == "credential-value-set");
    let run = vaulted.home.executions()[0]["id"].as_str().unwrap().to_owned();
    same(&[&format!("--execution={run}")], &|row| row["execution"] == run.as_str());
    let at = all[all.len() / 2]["at"].as_str().unwrap().to_owned();
    same(&[&format!("--since={at}")], &|row| row["at"].as_str().unwrap() >= at.as_str());
    same(&[&format!("--until={at}")], &|row| row["at"].as_str().unwrap() < at.as_str());
    assert!(list(home, &["--event=nothing-like-it"]).is_empty());
    says(&home.run(&["audit", "list", "--subject=NOBODY"]), 0, &["No events."]);
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let vaulted = logged();
    let all = list(&vaulted.home, &[ALL]);
    let mut pages = Vec::new();
    let mut before: Option<u64> = None;
    loop {
        let from = before.map(|seq| format!("--before={seq}"));
        let args: Vec<&str> = ["audit", "list", "--json", "--limit=4"].into_iter().chain(from.as_deref()).collect();
        let page = vaulted.home.read(&args);
        pages.extend(page["events"].as_array().unwrap().clone());
        before = page["before"].as_u64();
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, all);
}

#[test]
fn what_no_list_can_be_is_a_usage_error() {
    let home = Home::new();
    for arg in ["--limit=0", "--limit=1001", "--since=yesterday", "--execution=1", "--before=x"] {
        says(&home.run(&["audit", "list", arg]), 2, &["error"]);
    }
    says(&home.run(&["audit", "list"]), 0, &["No events."]);
    let verified = home.run(&["audit", "verify"]);
    ok(&verified);
    assert!(verified.text().contains("No log was begun yet."), "{verified}");
}

#[test]
fn an_untouched_log_is_proven_row_by_row() {
    let vaulted = logged();
    let report = intact(&vaulted.home);
    assert_eq!(report["rows"].as_u64(), Some(list(&vaulted.home, &[ALL]).len() as u64));
    assert_eq!(report["mirror"]["mirror"], "none");
    ok(&vaulted.home.run(&["vault", "rotate-master-key"]));
    intact(&vaulted.home);
    let text = vaulted.home.run(&["audit", "list"]);
    assert_clean("the log", text.to_string().as_bytes(), "value-of-it~4d5e6f");
}

/// Statements that drop what stands in the way of a change, and make it.
fn tampered(change: &str) -> Option<(Vaulted, Ended, Value)> {
    if !database::is_here() {
        return None;
    }
    let vaulted = logged();
    let triggers = "for t in ['audit_is_never_changed', 'audit_is_never_deleted', 'audit_has_no_gaps']: db.execute('DROP TRIGGER ' + t)\n";
    database::edit(&vaulted.home.path(), &format!("{triggers}{change}"));
    let (plain, report) = verify(&vaulted.home);
    assert_eq!(plain.code, Some(1), "{change}: {plain}");
    assert!(plain.text().contains("The log was changed"), "{plain}");
    Some((vaulted, plain, report))
}

#[test]
fn rows_that_are_changed_are_named() {
    for change in [
        "subject = 'TWO'",
        "detail = '{}'",
        "at_ms = at_ms - 1",
        "event = 'credential-cleared'",
        "actor = 'engine'",
        "execution = NULL, attempt = NULL",
        "session = 'x'",
        "hash = zeroblob(32)",
        "mac = zeroblob(32)",
        "chain = zeroblob(16)",
    ] {
        // A row that a program made: it has an execution.
        let row = "SELECT seq FROM audit WHERE event = 'credential-used' AND subject = 'ONE' ORDER BY seq LIMIT 1";
        let statement = format!("seq = one(\"{row}\")\ndb.execute(\"UPDATE audit SET {change} WHERE seq = ?\", (seq,))");
        let Some((vaulted, plain, report)) = tampered(&statement) else { return };
        let seq = list(&vaulted.home, &[ALL, "--event=credential-used"]).last().map_or(Value::Null, |row| row["seq"].clone());
        let first = &report["findings"][0]["seq"];
        assert!(plain.text().contains(&format!("row {first} ")), "{change}: {plain}");
        // What was cleared by hand is no use any more and not listed as one.
        assert!(change.starts_with("event") || change.starts_with("subject") || *first == seq, "{change}: {report}");
    }
}

#[test]
fn rows_that_are_gone_are_named() {
    let Some((vaulted, plain, report)) = tampered("db.execute('DELETE FROM audit WHERE seq IN (4, 5)')") else { return };
    assert!(plain.text().contains("row 4 is missing, 2 rows together"), "{plain}");
    assert_eq!((&report["findings"][0]["seq"], &report["findings"][0]["fault"]), (&4.into(), &"missing".into()), "{report}");
    // Rows go on being written behind the hole.
    ok(&vaulted.carry(&[], "ONE"));
    assert_eq!(verify(&vaulted.home).1["findings"][0]["seq"], 4);
}

#[test]
fn rows_that_were_moved_up_to_close_a_hole_are_named() {
    let change = "db.execute('DELETE FROM audit WHERE seq = 4')\n\
        for seq in range(5, one('SELECT MAX(seq) FROM audit') + 1): db.execute('UPDATE audit SET seq = ? WHERE seq = ?', (seq - 1, seq))";
    let Some((_, plain, report)) = tampered(change) else { return };
    assert!(plain.text().contains("row 4 was changed, or is not in its place"), "{plain}");
    assert_eq!(report["key"]["standing"], "unfit", "{report}");
}

#[test]
fn an_end_that_was_cut_off_is_missed_and_nothing_is_written_behind_it() {
    let Some((vaulted, plain, report)) = tampered("db.execute('DELETE FROM audit WHERE seq > 5')") else { return };
    assert!(plain.text().contains("but the last row is 5") && plain.text().contains("wardroom audit restart"), "{plain}");
    assert_eq!(report["key"]["standing"], "unfit", "{report}");
    // What cannot be recorded is not done.
    let ended = vaulted.carry(&[], "ONE");
    assert_ne!(ended.code, Some(0), "{ended}");
    assert_eq!(vaulted.server.requests().len(), 3);
    ok(&vaulted.home.run(&["audit", "restart"]));
    ok(&vaulted.carry(&[], "ONE"));
    let (plain, _) = verify(&vaulted.home);
    assert!(plain.text().contains("begins a new chain"), "{plain}");
}

#[test]
fn an_emptied_log_is_missed() {
    let Some((_, plain, report)) = tampered("db.execute('DELETE FROM audit')") else { return };
    assert_eq!(report["rows"], 0, "{report}");
    assert!(plain.text().contains("is gone, with all of its rows") || report["key"]["standing"] == "unfit", "{plain}");
}

#[test]
fn without_its_key_the_log_stands_still_until_a_new_chain_begins() {
    let vaulted = logged();
    let home = &vaulted.home;
    let key = home.path().join("audit.key");
    std::fs::remove_file(&key).unwrap();
    let (plain, report) = verify(home);
    assert_eq!(plain.code, Some(1), "{plain}");
    assert_eq!((report["found"].as_u64(), &report["key"]["standing"]), (Some(0), &"unfit".into()), "{report}");
    assert!(plain.text().contains("is missing. `wardroom audit restart`"), "{plain}");
    let before = list(home, &[ALL]).len();
    let ended = vaulted.carry(&[], "ONE");
    assert_ne!(ended.code, Some(0), "{ended}");
    says(&home.feed(&["credential", "set", "ONE"], "0123456789"), 1, &["audit"]);
    assert_eq!((list(home, &[ALL]).len(), vaulted.server.requests().len()), (before, 3));
    assert!(!key.exists());

    ok(&home.run(&["audit", "restart"]));
    ok(&vaulted.carry(&[], "ONE"));
    let report = intact(home);
    let chains = report["chains"].as_array().unwrap();
    assert_eq!((chains.len(), chains[1]["first"].as_u64()), (2, Some(before as u64 + 1)), "{report}");
    assert!(verify(home).0.text().contains(&format!("row {} begins a new chain", before + 1)));
    assert_eq!(list(home, &[ALL])[0]["event"], "credential-used");
}

#[test]
fn a_log_whose_vault_does_not_open_is_checked_without_its_proof() {
    let vaulted = logged();
    std::fs::remove_file(vaulted.home.path().join("vault.key")).unwrap();
    let (plain, report) = verify(&vaulted.home);
    ok(&plain);
    assert!(plain.stderr.contains("not proven") && plain.stderr.contains("the vault's master key"), "{plain}");
    assert!(report["proven"].as_u64() < report["rows"].as_u64(), "{report}");
}
