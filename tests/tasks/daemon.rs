//! The daemon: every slot once, whoever dies.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{TICK, words};
use crate::support::home::Home;

/// What the slots' own account says, after looking that it is one.
#[track_caller]
pub(super) fn account(home: &Home, task: &str) -> Value {
    let account = home.task_json(&["slots", task, "--since=2000-01-01T00:00:00Z"]);
    assert_eq!(account["unaccounted"].as_array().unwrap().len(), 0, "{account}");
    assert_eq!(account["due"].as_u64().unwrap(), account["ran"].as_u64().unwrap() + account["skipped"].as_u64().unwrap(), "{account}");
    account
}

fn ms(time: &Value) -> i64 {
    let text = time.as_str().unwrap();
    text.parse::<wardroom_core::clock::Timestamp>().unwrap().ms()
}

/// The test that a person could follow: a task a second for twenty seconds, two
/// daemons, and both of them killed on the way.
#[test]
fn every_slot_is_accounted_for_once_while_daemons_are_killed_and_doubled() {
    let home = Home::new();
    home.add("tick", "await new Promise(done => setTimeout(done, 20)); return 1;", &["--every=1s", "--missed=all", "--overlap=queue"]);
    let first = home.serve();
    let second = home.start(&["serve"]);
    second.until_stderr("waiting");
    std::thread::sleep(Duration::from_secs(6));
    first.signal(Signal::KILL);
    // The one that waited takes over at once.
    second.until_stderr("serving");
    std::thread::sleep(Duration::from_secs(5));
    second.signal(Signal::KILL);
    // Nobody is there for a while.
    std::thread::sleep(Duration::from_secs(3));
    let (third, fourth) = (home.start(&["serve"]), home.start(&["serve"]));
    std::thread::sleep(Duration::from_secs(6));
    for daemon in [third, fourth] {
        daemon.signal(Signal::TERM);
        let ended = daemon.wait();
        assert_eq!(ended.code, Some(0), "{ended}");
    }

    let account = account(&home, "tick");
    let due = account["due"].as_u64().unwrap();
    assert!((18..=40).contains(&due), "a slot a second: {account}");
    let slots = account["slots"].as_array().unwrap();
    // One second apart from the first to the last, none twice.
    let mut expected = ms(&slots[0]["first"]);
    for slot in slots {
        assert_eq!(ms(&slot["first"]), expected, "{account}");
        expected = ms(&slot["last"]) + 1000;
    }
    let rows = home.runs("tick");
    assert!(rows.iter().all(|row| row["finished_at"].is_string()), "nothing is left running: {rows:?}");
    let mut claimed = words(&rows, "scheduled_for");
    claimed.retain(|slot| !slot.is_empty());
    let before = claimed.len();
    claimed.dedup();
    assert_eq!(claimed.len(), before, "no slot has two executions");
    let known = ["success", "interrupted", "skipped"];
    assert!(words(&rows, "status").iter().all(|status| known.contains(&status.as_str())), "{rows:?}");
    assert!(words(&rows, "status").iter().filter(|status| *status == "success").count() >= 14, "{rows:?}");
}

#[test]
fn a_killed_daemon_leaves_an_interrupted_run_that_is_tried_again_by_the_next() {
    let home = Home::new();
    home.add("slow", "await new Promise(done => setTimeout(done, 4000));", &["--every=1s", "--retry=1 base 1s jitter 0", "--overlap=skip"]);
    let daemon = home.serve();
    daemon.until_stderr("slow: started");
    // Until its row is there: a run without an effect is written after 50 ms.
    while home.runs("slow").iter().all(|row| row["status"] != "running") {
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.signal(Signal::KILL);
    drop(daemon);
    let next = home.serve();
    next.until_stderr("attempt 2");
    let rows = home.runs("slow");
    let first = rows.iter().find(|row| row["attempt"] == 1 && row["status"] == "interrupted").expect("the first attempt");
    assert!(rows.iter().any(|row| row["attempt"] == 2 && row["id"] == first["id"] && row["scheduled_for"] == first["scheduled_for"]));
    next.signal(Signal::KILL);
}

#[test]
fn a_task_added_while_the_daemon_sleeps_wakes_it() {
    let home = Home::new();
    let daemon = home.serve();
    home.add("late", TICK, &["--every=1s"]);
    let rows = home.until_ended("late", 2);
    assert!(words(&rows, "trigger").iter().all(|trigger| trigger == "schedule"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code, Some(0));
}

#[test]
fn told_to_stop_it_lets_running_work_finish_and_after_the_grace_interrupts_it() {
    let home = Home::new();
    home.add("short", "await new Promise(done => setTimeout(done, 1500)); return 'done';", &["--every=1s"]);
    let daemon = home.serve();
    daemon.until_stderr("short: started");
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(words(&home.runs("short"), "status").first().map(String::as_str), Some("success"), "{ended}");

    home.task(&["rm", "short"]);
    home.add("long", "await new Promise(done => setTimeout(done, 60000));", &["--every=1s"]);
    let daemon = home.start(&["serve", "--grace=200ms"]);
    daemon.until_stderr("long: started");
    std::thread::sleep(Duration::from_millis(300));
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(words(&home.runs("long"), "status").first().map(String::as_str), Some("interrupted"), "{ended}");
}

#[test]
fn an_idle_daemon_does_not_wake() {
    let home = Home::new();
    home.add("yearly", TICK, &["--cron=0 0 1 1 *"]);
    let daemon = home.serve();
    let switches = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid().as_raw_nonzero())).unwrap();
        let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = |status: String| -> u64 {
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap_or_default().to_owned();
            line.split_whitespace().nth(1).and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        tasks.flatten().map(status).map(count).sum::<u64>()
    };
    // Threads that start settle first.
    std::thread::sleep(Duration::from_secs(2));
    let before = switches();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(switches(), before, "somebody woke while nothing was to do");
    daemon.signal(Signal::TERM);
    daemon.wait();
}

#[test]
fn a_cancelled_execution_leaves_the_queue_or_ends() {
    let home = Home::new();
    home.add("slow", "await new Promise(done => setTimeout(done, 60000));", &["--every=1s", "--overlap=queue"]);
    let daemon = home.serve();
    daemon.until_stderr("slow: started");
    let queued = loop {
        let rows = home.runs("slow");
        if let (Some(queued), true) = (
            rows.iter().find(|row| row["status"] == "queued").map(|row| row["id"].as_str().unwrap().to_owned()),
            rows.iter().any(|row| row["status"] == "running"),
        ) {
            break queued;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(home.run(&["exec", "cancel", &queued]).code, Some(0));
    assert_eq!(home.read(&["exec", "show", &queued, "--json"])["status"], "cancelled");
    // Or the next one that waits would run.
    home.task(&["pause", "slow"]);
    let running = home.runs("slow").iter().find(|row| row["status"] == "running").unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["exec", "cancel", &running]).code, Some(0));
    home.until_ended("slow", 2);
    assert_eq!(home.read(&["exec", "show", &running, "--json"])["status"], "cancelled");
}

#[test]
fn a_database_that_somebody_keeps_locked_ends_neither_the_daemon_nor_what_runs() {
    if !crate::support::database::is_here() {
        return;
    }
    let home = Home::new();
    home.add("long", "await new Promise(done => setTimeout(done, 20000)); return 'whole';", &["--every=1h"]);
    home.add("tick", TICK, &["--every=1s"]);
    let soon = wardroom_core::clock::Timestamp::from_ms(now_ms() + 1500).to_string();
    home.task(&["edit", "long", "--at", &soon]);
    let daemon = home.serve();
    daemon.until_stderr("long: started");
    // Until its row is there: what cannot be recorded does not go on.
    std::thread::sleep(Duration::from_millis(800));
    crate::support::database::edit(&home.path(), "db.execute('BEGIN IMMEDIATE'); import time; time.sleep(9); db.execute('ROLLBACK')");
    daemon.until_stderr("long: success");
    let before = home.runs("tick").len();
    home.until_ended("tick", before + 1);
    drop(daemon);
}

fn now_ms() -> i64 {
    use wardroom_core::clock::Clock;
    wardroom_core::clock::SystemClock.now().ms()
}

#[test]
fn a_unit_is_printed_for_each_service_manager() {
    let home = Home::new();
    let unit = home.run(&["serve", "--print-unit"]).text();
    assert!(
        unit.contains("[Service]") && unit.contains(&format!("--home=\"{}\"", home.path().display())) || unit.contains("serve"),
        "{unit}"
    );
    assert!(home.run(&["serve", "--print-unit=launchd"]).text().contains("<plist"));
}
