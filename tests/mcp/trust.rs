//! Trust is the operator's: no tool leads to it, and what it takes away is gone for
//! a server that runs.

use std::fs;

use serde_json::{Value, json};

use super::Client;
use crate::support::database::{edit, is_here};
use crate::support::guests;
use crate::support::home::Home;

#[test]
fn no_tool_signs_trusts_or_revokes() {
    let home = Home::new();
    let mut client = Client::new(&home, "author");
    let listed = client.request("tools/list", json!({}));
    for tool in listed["result"]["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(!["sign", "trust", "revoke", "seal", "key"].iter().any(|word| name.contains(word)), "{name}");
    }
    // No door of the assistants' names what would do it, either.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mcp");
    let mut folders = vec![std::path::PathBuf::from(folder)];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap();
            for word in ["trust_signer", "untrust_signer", "revoke_program", "reseal_lists", "sign_file", "SigningKey"] {
                assert!(!text.contains(word), "{}: {word}", entry.path().display());
            }
            files += 1;
        }
    }
    assert!(files > 10, "{files}");
}

#[test]
fn what_another_process_revokes_or_trusts_no_more_is_gone_with_the_next_call() {
    let home = Home::new();
    let signer = home.signing_key("key");
    home.trust_signer(&signer, "Ada");
    home.require_signed("enforce");
    let digest = home.install(&home.signed(&guests::typed(), "key", "typed.wasm"), "typed")["digest"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["expose", "typed.add"]).code, Some(0));
    let mut client = Client::new(&home, "operate");
    let mut add = || client.call("typed__add", json!({ "a": 1, "b": 2 }));
    assert_eq!(add()["structuredContent"]["result"], 3);
    home.plugin(&["untrust", "Ada"]);
    let refused = add();
    assert!(refused["isError"] == json!(true) && refused.to_string().contains("not trusted"), "{refused}");
    home.trust_signer(&signer, "Ada");
    assert_eq!(add()["structuredContent"]["result"], 3);
    home.plugin(&["revoke", &digest]);
    let refused = add();
    assert!(refused["isError"] == json!(true) && refused.to_string().contains("were revoked"), "{refused}");
    let ran: Vec<Value> = home.executions();
    assert!(ran.len() == 2 && ran.iter().all(|execution| execution["status"] == "success"), "{ran:?}");
}

#[test]
fn an_older_state_of_the_lists_is_refused_by_who_saw_a_later_one() {
    if !is_here() {
        return;
    }
    let home = Home::new();
    let digest = home.install(&guests::typed(), "typed")["digest"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["expose", "typed.add"]).code, Some(0));
    home.plugin(&["revoke", &format!("sha256:{}", "1".repeat(64))]);
    let tables = "('revoked_programs', 'trust_head')";
    edit(&home.path(), &format!("for t in {tables}: db.execute(f'CREATE TABLE older_{{t}} AS SELECT * FROM {{t}}')"));
    home.plugin(&["revoke", &digest]);
    let mut client = Client::new(&home, "operate");
    let mut add = || client.call("typed__add", json!({ "a": 1, "b": 2 })).to_string();
    let refused = add();
    assert!(refused.contains("were revoked"), "{refused}");
    edit(
        &home.path(),
        &format!("for t in {tables}: db.execute(f'DELETE FROM {{t}}'); db.execute(f'INSERT INTO {{t}} SELECT * FROM older_{{t}}')"),
    );
    let refused = add();
    assert!(refused.contains("changed in the database by somebody else"), "{refused}");
    assert!(home.executions().is_empty());
}
