//! Saving: what does not hold is refused before anything is stored, and what was
//! stored is looked at again when it runs.

use serde_json::json;

use super::TICK;
use crate::support::home::{Home, Running};

const TYPED: &str = r#"// /// wardroom
// name = "typed"
// [params.count]
// type = "integer"
// default = 3
// [params.word]
// type = "string"
// required = true
// ///
return params.word.repeat(params.count);
"#;

#[test]
fn bad_input_is_refused_with_what_was_expected_and_nothing_is_stored() {
    let home = Home::new();
    let tick = home.file("tick.js", TICK).display().to_string();
    let typed = home.file("typed.js", TYPED).display().to_string();
    home.task(&["add", "taken", &tick]);
    let table: [(&[&str], &str); 18] = [
        (&["add", "Bad Name", &tick], "names no task"),
        (&["add", "task", &tick], "reserved"),
        (&["add", "taken", &tick], "already"),
        (&["add", "x", "/nowhere/x.js"], "cannot be read"),
        (&["add", "x", &tick, "--cron=0 0 30 2 *"], "never fires"),
        (&["add", "x", &tick, "--cron=61 * * * *"], "61"),
        (&["add", "x", &tick, "--at=2031-02-30 09:00"], "2031-02-30"),
        (&["add", "x", &tick, "--at=2001-01-01 09:00"], "has passed"),
        (&["add", "x", &tick, "--at=2031-03-30 02:30", "--zone=Europe/Berlin"], "2031-03-30"),
        (&["add", "x", &tick, "--every=10ms"], "10ms"),
        (&["add", "x", &tick, "--every=1h", "--zone=Europe/Berln"], "Europe/Berlin"),
        (&["add", "x", &tick, "--every=1h", "--cron=* * * * *"], "several schedules"),
        (&["add", "x", &tick, "--every=1h", "--missed=all", "--overlap=skip"], "contradicts"),
        (&["add", "x", &tick, "--after=nobody"], "no task `nobody`"),
        (&["add", "x", &typed], "`word` is required"),
        (&["add", "x", &typed, "--param=word=a", "--param=count=many"], "`count` should be"),
        (&["add", "x", &typed, "--param=wrod=a"], "`word`"),
        (&["add", "x", &tick, "--timeout=2h"], "out of range"),
    ];
    for (args, expected) in table {
        let refused = home.try_task(args);
        assert!(refused.code == Some(1) || refused.code == Some(2), "{args:?}: {refused}");
        assert!(refused.stderr.contains(expected), "{args:?} should say `{expected}`: {refused}");
    }
    assert_eq!(home.task_json(&["list"])["tasks"].as_array().unwrap().len(), 1);
}

#[test]
fn params_are_checked_when_saved_and_completed_when_run() {
    let home = Home::new();
    home.add("typed", TYPED, &["--param=word=ab"]);
    assert_eq!(home.task_json(&["show", "typed"])["params"], json!({"word": "ab"}));
    assert_eq!(home.task_json(&["run", "typed"])["output"]["json"], "ababab");
    assert_eq!(home.task_json(&["run", "typed", "--param=count=1"])["output"]["json"], "ab");
    let wrong = home.try_task(&["run", "typed", "--param=count=x"]);
    assert_eq!(wrong.code, Some(1), "{wrong}");
}

#[test]
fn check_says_what_would_happen_and_what_is_missing() {
    let home = Home::new();
    home.add("daily", TICK, &["--cron=30 9 * * 1-5", "--zone=Europe/Berlin"]);
    let checked = home.try_task(&["check", "daily", "--json"]).json();
    assert_eq!(checked["next"].as_array().unwrap().len(), 5);
    assert!(checked["next"][0]["local"].as_str().unwrap().contains("09:30:00"), "{checked}");
    assert!(checked["schedule"].as_str().unwrap().contains("09:30"), "{checked}");
    let scheduler = |checked: &serde_json::Value| {
        checked["findings"].as_array().unwrap().iter().find(|finding| finding["what"] == "scheduler").unwrap()["is_good"].clone()
    };
    assert_eq!(scheduler(&checked), json!(false));
    let daemon = home.serve();
    let checked = home.try_task(&["check", "daily", "--json"]);
    assert_eq!((checked.code, scheduler(&checked.json())), (Some(0), json!(true)), "{checked}");
    drop(daemon);
}

#[test]
fn a_task_keeps_the_zone_it_was_saved_in_and_check_tells_where_the_machines_is_another() {
    let home = Home::new();
    let file = home.file("daily.js", TICK);
    let in_zone = |zone: &str, args: &[&str]| {
        let ended = Running::start(home.command(args).env("TZ", zone), b"").wait();
        assert_eq!(ended.code.filter(|code| *code <= 1), ended.code, "{ended}");
        ended
    };
    let daemon = home.serve();
    in_zone("Asia/Tokyo", &["task", "add", "daily", file.to_str().unwrap(), "--cron=30 9 * * *"]);
    let check = |zone| in_zone(zone, &["task", "check", "daily", "--json"]).json();
    let of_zone =
        |checked: &serde_json::Value| checked["findings"].as_array().unwrap().iter().find(|found| found["what"] == "zone").cloned();
    let (same, other) = (check("Asia/Tokyo"), check("America/New_York"));
    assert_eq!((of_zone(&same), &same["next"], &other["is_good"]), (None, &other["next"], &json!(true)), "{same}\n{other}");
    assert!(other["next"][0]["local"].as_str().unwrap().contains("09:30:00 +09:00"), "{other}");
    let found = of_zone(&other).unwrap();
    assert!(["Asia/Tokyo", "America/New_York"].iter().all(|zone| found["found"].as_str().unwrap().contains(zone)), "{found}");
    assert!(found["hint"].as_str().unwrap().contains("--zone=America/New_York"), "{found}");
    let shown = |zone| in_zone(zone, &["task", "show", "daily"]).text();
    assert!(shown("America/New_York").contains("by the clock of Asia/Tokyo") && !shown("Asia/Tokyo").contains("by the clock of"));
    drop(daemon);
}

#[test]
fn bytes_that_vanish_or_change_are_found_by_check_and_by_the_run() {
    let home = Home::new();
    home.add("one", TICK, &["--every=1s"]);
    let components = home.path().join("components");
    let stored = std::fs::read_dir(&components).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&stored, "return 'planted';").unwrap();
    let refused = home.try_task(&["run", "one"]);
    assert!(refused.stderr.contains("was changed in the data folder") && refused.stderr.contains("task upgrade"), "{refused}");
    std::fs::remove_file(&stored).unwrap();
    let checked = home.try_task(&["check", "one"]);
    assert_eq!(checked.code, Some(1));
    assert!(checked.text().contains("is gone"), "{checked}");
    // By itself it fails, is recorded, and is the operator's to mend.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.serve_once();
    let row = home.runs("one").remove(0);
    assert_eq!((row["status"].clone(), row["blame"].clone()), (json!("failed"), json!("operator")), "{row}");
    home.task(&["upgrade", "one"]);
    home.task(&["run", "one"]);
}

#[test]
fn an_editor_changes_a_task_and_what_does_not_hold_is_refused() {
    let home = Home::new();
    home.add("one", TICK, &["--every=1h"]);
    let edit = |script: &str| {
        let editor = home.file("editor.sh", format!("#!/bin/sh\n{script}\n"));
        crate::support::home::chmod(&editor, 0o755);
        let mut command = home.command(&["task", "edit", "one"]);
        command.env("EDITOR", &editor);
        crate::support::home::Running::start(&mut command, b"").wait()
    };
    let same = edit("true");
    assert!(same.code == Some(0) && same.text().contains("nothing was changed"), "{same}");
    let changed = edit("sed -i 's/every = \"1h\"/every = \"2h\"/' \"$1\"");
    assert_eq!(changed.code, Some(0), "{changed}");
    assert_eq!(home.task_json(&["show", "one"])["every"], "2h");
    let refused = edit("sed -i 's/every = \"2h\"/evry = \"2h\"/' \"$1\"");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("line 3") && refused.stderr.contains("What you wrote is in"), "{refused}");
    assert_eq!(home.task_json(&["show", "one"])["every"], "2h");
    let failed = edit("exit 3");
    assert_eq!(failed.code, Some(1), "{failed}");
    let without = home.try_task(&["edit", "one"]);
    assert!(without.stderr.contains("EDITOR"), "{without}");
}

#[test]
fn flags_take_away_what_flags_gave() {
    let home = Home::new();
    let inbox = home.work().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    for name in ["first", "tell"] {
        home.add(name, TICK, &[]);
    }
    let (read, watch) = (format!("--allow-read={}", inbox.display()), format!("--on-files={}", inbox.display()));
    home.add(
        "second",
        TICK,
        &["--tag=a", "--tag=b", "--after=first", "--on-failure=tell", "--on-recovery=tell", &read, &watch, "--title=Second"],
    );
    let fields = ["tags", "after", "on_files", "on_failure", "on_recovery"];
    let set = || -> Vec<&str> {
        let task = home.task_json(&["show", "second"]);
        assert_eq!((&task["title"], &task["grants"]["read"][0]), (&json!("Second"), &json!(inbox)), "the rest stays");
        fields.into_iter().filter(|field| !task[field].is_null()).collect()
    };
    assert_eq!(set(), fields);
    for (n, field) in fields.into_iter().enumerate() {
        home.task(&["edit", "second", &format!("--no-{}", field.replace('_', "-"))]);
        assert_eq!(set(), fields[n + 1..]);
    }
    let both = home.try_task(&["edit", "second", "--no-after", "--after=first"]);
    assert!(both.code == Some(2) && both.stderr.contains("cannot be used with"), "{both}");
}

#[test]
fn a_renamed_task_keeps_its_history_grants_and_state() {
    let home = Home::new();
    home.add("old", "await state.set('k', 'v'); return 1;", &["--state=1KiB"]);
    home.task(&["run", "old"]);
    home.task(&["edit", "old", "--rename=new"]);
    assert_eq!(home.runs("new").len(), 1);
    assert_eq!(home.task_json(&["state", "new"])["state"], json!({"k": "\"v\""}));
    home.task(&["run", "new"]);
    assert_eq!(home.try_task(&["show", "old"]).code, Some(1));
}

#[test]
fn an_execution_runs_again_with_the_same_params_or_others() {
    let home = Home::new();
    home.add("typed", TYPED, &["--param=word=ab"]);
    let first = home.task_json(&["run", "typed", "--param=count=2"]);
    let id = first["id"].as_str().unwrap();
    let again = home.read(&["exec", "rerun", id, "--json"]);
    assert_eq!((again["output"]["json"].clone(), again["origin"].clone()), (json!("abab"), json!(id)));
    let other = home.read(&["exec", "rerun", id, "--param=word=c", "--json"]);
    assert_eq!(other["output"]["json"], "cc");

    let script = home.file("plain.js", "return params.n");
    let plain = home.record(&[script.to_str().unwrap(), "--param=n=5"]);
    assert_eq!(home.read(&["exec", "rerun", plain.id(), "--json"])["output"]["json"], 5);
    home.file("plain.js", "return 'another'");
    let refused = home.run(&["exec", "rerun", plain.id()]);
    assert!(refused.code == Some(1) && refused.stderr.contains("other bytes"), "{refused}");
}

#[test]
fn a_task_that_others_need_or_that_runs_is_removed_by_force_only() {
    let home = Home::new();
    home.add("a", TICK, &[]);
    home.add("b", TICK, &["--after=a"]);
    let refused = home.try_task(&["rm", "a"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("needed by b"), "{refused}");
    home.task(&["run", "a"]);
    home.task(&["rm", "a", "--force"]);
    home.task(&["rm", "b"]);
    let rows = home.runs("b");
    assert_eq!((rows[0]["status"].clone(), rows[0]["reason"].clone()), (json!("skipped"), json!("removed")));
    assert_eq!(home.runs("a").len(), 1, "executions stay");
}
