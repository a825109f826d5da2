//! Missed slots, overlap, rates and limits of how many.

use std::time::Duration;

use serde_json::json;

use super::daemon::account;
use super::{TICK, words};
use crate::support::home::Home;

fn seconds(count: u64) {
    std::thread::sleep(Duration::from_secs(count));
}

#[test]
fn slots_nobody_was_there_for_are_one_missed_row_and_the_newest_runs() {
    let home = Home::new();
    home.add("tick", TICK, &["--every=1s"]);
    seconds(5);
    home.serve_once();
    let rows = home.runs("tick");
    let missed: Vec<_> = rows.iter().filter(|row| row["reason"] == "missed").collect();
    assert_eq!(missed.len(), 1, "{rows:?}");
    assert!(missed[0]["slot_count"].as_u64().unwrap() >= 3, "{rows:?}");
    assert_eq!(words(&rows, "status").iter().filter(|status| *status == "success").count(), 1, "{rows:?}");
    let stats = home.read(&["stats", "tick", "--json"]);
    assert_eq!(stats["tasks"][0]["missed"], missed[0]["slot_count"]);
}

#[test]
fn all_missed_slots_run_where_the_rule_says_so() {
    let home = Home::new();
    home.add("tick", TICK, &["--every=1s", "--missed=all", "--overlap=queue"]);
    seconds(4);
    home.serve_once();
    let rows = home.runs("tick");
    assert!(rows.len() >= 4 && rows.iter().all(|row| row["status"] == "success"), "{rows:?}");
}

#[test]
fn a_slot_that_comes_while_its_task_runs_is_skipped_with_the_reason() {
    let home = Home::new();
    home.add("slow", "await new Promise(done => setTimeout(done, 3500)); return 1;", &["--every=1s"]);
    let daemon = home.serve();
    daemon.until_stderr("skipped");
    home.until_ended("slow", 2);
    let rows = home.runs("slow");
    let skipped: Vec<_> = rows.iter().filter(|row| row["reason"] == "overlap").collect();
    assert!(!skipped.is_empty(), "{rows:?}");
    assert!(rows.iter().filter(|row| row["status"] == "running").count() <= 1, "{rows:?}");
}

#[test]
fn cancel_previous_leaves_the_newest() {
    let home = Home::new();
    home.add("slow", "await new Promise(done => setTimeout(done, 60000));", &["--every=1s", "--overlap=cancel-previous"]);
    let daemon = home.serve();
    let rows = home.until_ended("slow", 2);
    assert!(rows.iter().filter(|row| row["finished_at"].is_string()).all(|row| row["status"] == "cancelled"), "{rows:?}");
    assert!(rows.iter().filter(|row| row["status"] == "running").count() <= 1, "{rows:?}");
    drop(daemon);
}

#[test]
fn a_rate_limit_limits() {
    let home = Home::new();
    home.add("tick", TICK, &["--every=1s", "--missed=all", "--overlap=queue", "--rate=2/1h"]);
    seconds(5);
    home.serve_once();
    let rows = home.runs("tick");
    assert_eq!(rows.iter().filter(|row| row["status"] == "success").count(), 2, "{rows:?}");
    assert!(rows.iter().filter(|row| row["status"] == "queued").count() >= 2, "what may not start waits: {rows:?}");
}

#[test]
fn no_more_run_at_once_than_the_settings_allow() {
    let home = Home::new();
    std::fs::write(home.path().join("config.toml"), "[schedule]\nconcurrency = 2\n").unwrap();
    for name in ["a", "b", "c", "d"] {
        home.add(name, "await new Promise(done => setTimeout(done, 700)); return 1;", &["--every=1s"]);
    }
    let daemon = home.serve();
    home.until_ended("d", 1);
    let all = home.executions();
    let spans: Vec<(i64, i64)> = all
        .iter()
        .filter(|row| row["finished_at"].is_string() && row["started_at"].is_string())
        .map(|row| (ms(&row["started_at"]), ms(&row["finished_at"])))
        .collect();
    let at_once = |at: i64| spans.iter().filter(|(from, to)| *from <= at && at < *to).count();
    let most = spans.iter().map(|(from, _)| at_once(*from)).max().unwrap();
    assert_eq!(most, 2, "{spans:?}");
    drop(daemon);
}

fn ms(time: &serde_json::Value) -> i64 {
    time.as_str().unwrap().parse::<wardroom_core::clock::Timestamp>().unwrap().ms()
}

#[test]
fn a_paused_task_has_no_slots_and_resuming_catches_nothing_up() {
    let home = Home::new();
    home.add("tick", TICK, &["--every=1s", "--missed=all", "--overlap=queue"]);
    home.task(&["pause", "tick", "--reason=holidays"]);
    seconds(3);
    home.serve_once();
    // A slot that came before the pause was queued, and skipped when its turn came.
    assert!(home.runs("tick").iter().all(|row| row["status"] == "skipped"), "{:?}", home.runs("tick"));
    let due = || account(&home, "tick")["due"].as_u64().unwrap();
    let before = due();
    home.task(&["resume", "tick"]);
    home.serve_once();
    assert!(due() <= before + 2, "what was due while it was paused is not caught up");
}

#[test]
fn slots_that_nobody_was_there_for_are_told_of_when_the_task_is_paused_or_changed() {
    let home = Home::new();
    home.add("tick", TICK, &["--every=1s"]);
    seconds(3);
    home.task(&["edit", "tick", "--every=2s"]);
    seconds(5);
    home.task(&["pause", "tick"]);
    let account = account(&home, "tick");
    assert!(account["due"].as_u64().unwrap() >= 4, "{account}");
}

#[test]
fn a_manual_run_leaves_the_next_slot_alone() {
    let home = Home::new();
    home.add("tick", TICK, &["--every=1h"]);
    let next = home.task_json(&["show", "tick"])["next"][0]["at"].clone();
    home.task(&["run", "tick"]);
    assert_eq!(home.task_json(&["show", "tick"])["next"][0]["at"], next);
    assert_eq!(words(&home.runs("tick"), "trigger"), ["cli"]);
}

#[test]
fn a_moment_far_ahead_does_not_come_at_once() {
    let home = Home::new();
    let ahead = wardroom_core::clock::Timestamp::from_ms(now_ms() + 25 * 86_400_000).to_string();
    home.add("once", TICK, &["--at", &ahead]);
    home.serve_once();
    assert!(home.runs("once").is_empty());
    let soon = wardroom_core::clock::Timestamp::from_ms(now_ms() + 1500).to_string();
    home.add("soon", TICK, &["--at", &soon]);
    let daemon = home.serve();
    home.until_ended("soon", 1);
    drop(daemon);
    assert_eq!(home.task_json(&["show", "soon"])["next"], json!([]));
}

fn now_ms() -> i64 {
    use wardroom_core::clock::Clock;
    wardroom_core::clock::SystemClock.now().ms()
}

#[test]
fn state_is_kept_only_of_runs_that_succeed_and_can_be_looked_at_and_cleared() {
    let home = Home::new();
    let script =
        "const n = Number(await state.get('n') ?? 0) + 1; state.set('n', n); if (n === 2 && params.fail) throw new Error('no'); return n;";
    home.add("count", script, &["--state=1KiB", "--param", "fail=false"]);
    home.task(&["run", "count"]);
    assert_eq!(home.task_json(&["state", "count"])["state"], json!({"n": "1"}));
    assert_ne!(home.try_task(&["run", "count", "--param", "fail=true"]).code, Some(0));
    assert_eq!(home.task_json(&["state", "count"])["state"], json!({"n": "1"}));
    home.task(&["run", "count"]);
    assert_eq!(home.task_json(&["state", "count"])["state"], json!({"n": "2"}));
    home.task(&["state", "count", "--clear"]);
    assert_eq!(home.task_json(&["state", "count"])["state"], json!({}));
}

#[test]
fn what_is_kept_of_executions_is_the_tasks_to_say() {
    let home = Home::new();
    let script = "console.log('a line'); return { secret: params.p };";
    for (keep, result, lines) in [("all", true, true), ("result", true, false), ("none", false, false)] {
        home.add(keep, script, &["--keep", keep, "--param", "p=7"]);
        home.task(&["run", keep]);
        let row = home.runs(keep).remove(0);
        let id = row["id"].as_str().unwrap();
        let record = home.read(&["exec", "show", id, "--json"]);
        assert_eq!(record["status"], "success");
        assert_eq!(record["output"]["json"] == json!({"secret": 7}), result, "{keep}: {record}");
        assert_eq!(record["params"] == json!({"p": 7}), result, "{keep}: {record}");
        assert_eq!(home.run(&["exec", "logs", id]).text().contains("a line"), lines, "{keep}");
    }
}

#[test]
fn the_rate_of_all_tasks_together_holds_for_those_that_are_due_at_once() {
    let home = Home::new();
    std::fs::write(home.path().join("config.toml"), "[schedule]\nrate = \"1/1h\"\n").unwrap();
    for name in ["a", "b", "c", "d"] {
        home.add(name, TICK, &["--every=1s"]);
    }
    seconds(2);
    home.serve_once();
    let succeeded = home.executions().iter().filter(|row| row["status"] == "success").count();
    assert_eq!(succeeded, 1);
    // Another daemon knows what the first one started.
    seconds(1);
    home.serve_once();
    assert_eq!(home.executions().iter().filter(|row| row["status"] == "success").count(), 1);
}

#[test]
fn a_run_by_hand_that_is_killed_does_not_stop_its_task() {
    let home = Home::new();
    home.add("slow", "if (params.long) await new Promise(done => setTimeout(done, 60000)); return 1;", &["--every=1s"]);
    let by_hand = home.start(&["task", "run", "slow", "--param=long=true"]);
    while home.runs("slow").iter().all(|row| row["status"] != "running") {
        std::thread::sleep(Duration::from_millis(20));
    }
    let daemon = home.serve();
    daemon.until_stderr("skipped");
    by_hand.signal(rustix::process::Signal::KILL);
    daemon.until_stderr("slow: success");
    drop((by_hand, daemon));
}

#[test]
fn a_task_after_a_busier_one_obeys_its_own_rule() {
    let home = Home::new();
    home.add("src", TICK, &["--every=1s"]);
    home.add("slow", "await new Promise(done => setTimeout(done, 60000));", &["--after=src"]);
    let daemon = home.serve();
    home.until_ended("src", 4);
    let rows = home.runs("slow");
    assert!(rows.iter().filter(|row| row["status"] == "running" || row["status"] == "queued").count() <= 1, "{rows:?}");
    assert!(rows.iter().any(|row| row["reason"] == "overlap"), "{rows:?}");
    drop(daemon);
}

#[test]
fn a_moment_that_comes_while_it_is_saved_runs() {
    let home = Home::new();
    for round in 0..5 {
        let soon = wardroom_core::clock::Timestamp::from_ms(now_ms() + 60 + 20 * round).to_string();
        let file = home.file("soon.js", TICK);
        let name = format!("soon-{round}");
        if home.try_task(&["add", &name, file.to_str().unwrap(), "--at", &soon]).code == Some(0) {
            seconds(1);
            home.serve_once();
            assert_eq!(words(&home.runs(&name), "status"), ["success"], "{soon}");
        }
    }
}

#[test]
fn once_does_what_follows_too() {
    let home = Home::new();
    home.add("first", TICK, &["--every=1s"]);
    home.add("second", TICK, &["--after=first"]);
    home.add("third", TICK, &["--after=second"]);
    seconds(1);
    home.serve_once();
    assert!(home.runs("third").iter().any(|row| row["status"] == "success"), "{:?}", home.executions());
}
