//! Grants hang on the task and its bytes.

use serde_json::json;

use super::TICK;
use crate::support::home::Home;

/// Reads a file of the folder that its param names.
const READER: &str = r#"// /// wardroom
// name = "reader"
// read = ["{params.directory}"]
// [params.directory]
// type = "string"
// required = true
// ///
const names = await fs.readdir(params.directory);
return names.sort();
"#;

fn folder(home: &Home, name: &str) -> String {
    home.file(&format!("{name}/{name}.txt"), "x");
    home.work().join(name).display().to_string()
}

#[test]
fn a_grant_belongs_to_one_task_and_one_set_of_bytes() {
    let home = Home::new();
    let a = folder(&home, "a");
    let (param, grant) = (format!("directory={a}"), format!("--allow-read={a}"));
    home.add("one", READER, &["--param", &param, &grant]);
    let run = home.task_json(&["run", "one"]);
    assert_eq!(run["output"]["json"], json!(["a.txt"]));

    // Another task of the same program starts with none.
    let second = home.add("two", READER, &["--param", &param]);
    assert!(second.stderr.contains("task edit two --allow-read="), "{second}");
    assert_ne!(home.try_task(&["run", "two"]).code, Some(0));

    // The file that it was read from does not matter any more.
    home.file("one.js", "return 'another program';");
    assert_eq!(home.task_json(&["run", "one"])["output"]["json"], json!(["a.txt"]));

    // The operator's own upgrade keeps what is still asked for.
    home.file("one.js", format!("{READER}// better"));
    let upgraded = home.task_json(&["upgrade", "one"]);
    assert_eq!(upgraded["missing"], json!([]));
    assert_eq!(home.task_json(&["run", "one"])["output"]["json"], json!(["a.txt"]));

    // A removed task's successor inherits nothing.
    home.task(&["rm", "one"]);
    home.add("one", READER, &["--param", &param]);
    assert_ne!(home.try_task(&["run", "one"]).code, Some(0));
}

#[test]
fn an_upgrade_that_asks_for_more_says_what_and_gets_none_of_it() {
    let home = Home::new();
    let a = folder(&home, "a");
    home.add("one", READER, &["--param", &format!("directory={a}"), &format!("--allow-read={a}")]);
    home.file("one.js", READER.replace("// read", "// net = [\"https://example.org\"]\n// read"));
    let upgraded = home.task_json(&["upgrade", "one"]);
    assert_eq!(upgraded["missing"], json!(["--allow-net=https://example.org"]), "{upgraded}");
    assert_eq!(upgraded["new_requests"], upgraded["missing"]);
}

#[test]
fn another_param_is_another_request() {
    let home = Home::new();
    let (a, b) = (folder(&home, "a"), folder(&home, "b"));
    home.add("one", READER, &["--param", &format!("directory={a}"), &format!("--allow-read={a}")]);
    assert_ne!(home.try_task(&["run", "one", "--param", &format!("directory={b}")]).code, Some(0));
    // The grant lies outside of what it asks for now.
    let edited = home.try_task(&["edit", "one", "--param", &format!("directory={b}")]);
    assert_eq!(edited.code, Some(2), "{edited}");
    home.task(&["edit", "one", "--param", &format!("directory={b}"), "--revoke", &a, &format!("--allow-read={b}")]);
    assert_eq!(home.task_json(&["run", "one"])["output"]["json"], json!(["b.txt"]));
}

#[test]
fn an_imported_task_brings_its_program_and_none_of_its_grants() {
    let (home, other) = (Home::new(), Home::new());
    let a = folder(&home, "a");
    home.add(
        "one",
        READER,
        &["--param", &format!("directory={a}"), &format!("--allow-read={a}"), "--cron=0 9 * * 1-5", "--zone=Europe/Berlin"],
    );
    let out = home.work().join("out");
    home.task(&["export", "--output", out.to_str().unwrap()]);
    let again = home.try_task(&["export", "--output", out.to_str().unwrap()]);
    assert_eq!(again.code, Some(1), "what is there stays: {again}");
    let file = out.join("one.toml");
    let imported = other.task(&["import", file.to_str().unwrap()]);
    assert!(imported.stderr.contains("task edit one --allow-read="), "{imported}");
    assert_ne!(other.try_task(&["run", "one"]).code, Some(0));
    other.task(&["edit", "one", &format!("--allow-read={a}")]);
    assert_eq!(other.task_json(&["run", "one"])["output"]["json"], json!(["a.txt"]));
    let (mut here, mut there) = (home.task_json(&["show", "one"]), other.task_json(&["show", "one"]));
    for field in ["id", "program", "created_at", "updated_at", "last", "grants"] {
        here.as_object_mut().unwrap().remove(field);
        there.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(here, there);
}

#[test]
fn what_is_revoked_while_it_waits_is_revoked() {
    let home = Home::new();
    let a = folder(&home, "a");
    home.add("first", TICK, &[]);
    home.add("one", READER, &["--param", &format!("directory={a}"), &format!("--allow-read={a}"), "--after=first"]);
    home.task(&["run", "first"]);
    home.task(&["edit", "one", "--revoke", &a]);
    home.serve_once();
    let row = home.runs("one").remove(0);
    assert_eq!(row["status"], "failed", "{row}");
}

#[test]
fn a_grant_does_not_move_to_what_a_link_leads_to_since() {
    let home = Home::new();
    let (a, secret) = (folder(&home, "a"), folder(&home, "secret"));
    home.add("one", READER, &["--param", &format!("directory={a}"), &format!("--allow-read={a}")]);
    std::fs::remove_dir_all(&a).unwrap();
    std::os::unix::fs::symlink(&secret, &a).unwrap();
    for change in [["edit", "one", "--title=harmless"].as_slice(), ["upgrade", "one"].as_slice()] {
        let refused = home.try_task(change);
        assert_eq!(refused.code, Some(1), "{change:?}: {refused}");
        assert!(refused.stderr.contains("something else is in its place") && refused.stderr.contains("--revoke="), "{refused}");
    }
    let checked = home.try_task(&["check", "one"]);
    assert!(checked.code == Some(1) && checked.text().contains("something else is in its place"), "{checked}");
    let stored = home.task_json(&["show", "one"])["grants"]["read"].clone();
    assert_eq!(stored, json!([a]));
    assert_ne!(home.try_task(&["run", "one"]).code, Some(0));
}

#[test]
fn an_imported_task_ties_itself_to_nobody() {
    let (home, other) = (Home::new(), Home::new());
    home.add("first", TICK, &[]);
    home.add("one", TICK, &["--after=first"]);
    let out = home.work().join("out");
    home.task(&["export", "one", "--output", out.to_str().unwrap()]);
    other.add("first", TICK, &[]);
    let imported = other.task(&["import", out.join("one.toml").to_str().unwrap()]);
    assert!(imported.stderr.contains("--after=first"), "{imported}");
    assert!(other.task_json(&["show", "one"])["after"].is_null());
}

#[test]
fn a_credential_that_does_not_exist_is_not_waited_for() {
    let home = Home::new();
    let refused = home.try_task(&["add", "one", home.file("one.js", TICK).to_str().unwrap(), "--credential=LATER"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("credential add LATER"), "{refused}");
}

#[test]
fn a_credential_names_the_tasks_that_hold_it() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault=file"]).code, Some(0));
    let added = home.feed(&["credential", "add", "API_TOKEN", "--host=example.org"], "a value of some length\n");
    assert_eq!(added.code, Some(0), "{added}");
    home.add("one", TICK, &["--credential=API_TOKEN"]);
    let refused = home.run(&["credential", "rm", "API_TOKEN"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("assigned to task one"), "{refused}");
}
