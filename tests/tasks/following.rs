//! What follows from an end: retries, other tasks, counts of failures.

use serde_json::json;

use super::words;
use crate::support::home::Home;

#[test]
fn a_task_after_another_gets_its_result_and_only_after_success() {
    let home = Home::new();
    home.add("first", "if (params.fail) throw new Error('no'); return { n: 41 };", &[]);
    let second =
        "// /// wardroom\n// name = \"second\"\n// [params.previous]\n// type = \"json\"\n// ///\nreturn params.previous.result.n + 1;";
    home.add("second", second, &["--after=first"]);
    assert_eq!(home.task(&["run", "first"]).code, Some(0));
    assert_eq!(words(&home.runs("second"), "status"), ["queued"]);
    home.serve_once();
    let rows = home.runs("second");
    assert_eq!((words(&rows, "status"), words(&rows, "trigger")), (vec!["success".to_owned()], vec!["after".to_owned()]));
    let record = home.read(&["exec", "show", rows[0]["id"].as_str().unwrap(), "--json"]);
    assert_eq!(record["output"]["json"], json!(42));
    assert_eq!(record["origin"], home.runs("first")[0]["id"]);
    assert_eq!(home.try_task(&["run", "first", "--param", "fail=true"]).code, Some(3));
    home.serve_once();
    assert_eq!(home.runs("second").len(), 1, "a failure is not followed by it");
}

#[test]
fn failures_are_counted_once_tried_again_and_pause_the_task_in_the_end() {
    let home = Home::new();
    home.add("tell", "return 'told';", &[]);
    home.add("bad", "throw new Error('again');", &["--every=1s", "--retry=1 base 1s jitter 0", "--pause-after=2", "--on-failure=tell"]);
    let daemon = home.serve();
    let start = std::time::Instant::now();
    let paused = loop {
        let task = home.task_json(&["show", "bad"]);
        if task["paused"].is_string() {
            break task;
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "{task}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!((paused["failures"].clone(), paused["paused"].clone()), (json!(2), json!("2 failures in a row")));
    home.until_ended("tell", 2);
    let rows = home.runs("bad");
    // The slot that came while the last retry waited may have begun as well.
    let ended: Vec<_> = rows.iter().filter(|row| row["status"] == "failed" && row["attempt"] == 2).collect();
    assert_eq!(ended.len(), 2, "two executions of two attempts each: {rows:?}");
    assert!(rows.iter().all(|row| row["attempt"].as_u64().unwrap() <= 2), "{rows:?}");
    assert_eq!(home.runs("tell").len(), 2, "a retry that follows is no failure yet");
    drop(daemon);
    home.task(&["resume", "bad"]);
    assert_eq!(home.task_json(&["show", "bad"])["failures"], json!(0));
}

#[test]
fn a_recovery_is_told_once() {
    let home = Home::new();
    home.add("tell", "return params;", &[]);
    home.add("flaky", "const n = Number(await state.get('n') ?? 0); throw new Error('x');", &["--on-recovery=tell", "--every=1s"]);
    home.serve_once();
    let script = home.file("flaky.js", "return 'well';");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.serve_once();
    assert!(home.task_json(&["show", "flaky"])["failures"].as_u64().unwrap() >= 1);
    home.task(&["upgrade", "flaky", script.to_str().unwrap()]);
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(1100));
        home.serve_once();
    }
    assert_eq!(words(&home.runs("tell"), "trigger"), ["on-recovery"]);
    assert_eq!(home.task_json(&["show", "flaky"])["failures"], json!(0));
}

#[test]
fn the_first_success_after_an_automatic_pause_is_a_recovery() {
    let home = Home::new();
    home.add("tell", "return 1;", &[]);
    home.add("flaky", "throw new Error('x');", &["--on-recovery=tell", "--every=1s", "--pause-after=1"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.serve_once();
    assert_eq!(home.task_json(&["show", "flaky"])["paused"], json!("1 failures in a row"));
    let script = home.file("flaky.js", "return 'well';");
    home.task(&["upgrade", "flaky", script.to_str().unwrap()]);
    home.task(&["resume", "flaky"]);
    assert_eq!(home.task_json(&["show", "flaky"])["failures"], json!(0));
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(1100));
        home.serve_once();
    }
    assert_eq!(words(&home.runs("tell"), "trigger"), ["on-recovery"]);
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    let home = Home::new();
    let guest = crate::support::guests::task();
    let args = ["add", "typed", guest.to_str().unwrap(), "--param", "end=permanent", "--every=1s", "--retry=3 base 1s jitter 0"];
    home.task(&args);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.serve_once();
    let rows = home.runs("typed");
    assert_eq!(rows.iter().filter(|row| row["status"] == "queued").count(), 0, "{rows:?}");
    assert!(!rows.is_empty() && rows.iter().all(|row| row["attempt"] == 1), "{rows:?}");
}

#[test]
fn tasks_that_would_run_each_other_for_ever_are_refused_when_saved() {
    let home = Home::new();
    home.add("a", "return 1;", &[]);
    home.add("b", "return 1;", &["--after=a"]);
    home.add("c", "return 1;", &["--after=b"]);
    let refused = home.try_task(&["edit", "a", "--on-failure=c"]);
    assert_eq!(refused.code, Some(0), "c does not lead back to a by itself: {refused}");
    for flags in [["edit", "a", "--after=c"], ["edit", "c", "--on-recovery=a"], ["edit", "a", "--after=a"]] {
        let refused = home.try_task(&flags);
        assert_eq!(refused.code, Some(1), "{flags:?}: {refused}");
        assert!(refused.stderr.contains("for ever"), "{refused}");
    }
}

#[test]
fn a_changed_file_in_a_granted_folder_runs_the_task_once_for_a_burst() {
    let home = Home::new();
    let inbox = home.work().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let (read, watch) = (format!("--allow-read={}", inbox.display()), format!("--on-files={}", inbox.display()));
    let refused = home.try_task(&["add", "nosy", home.file("n.js", "return 1;").to_str().unwrap(), &watch]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--allow-read="), "{refused}");
    let writes = home.try_task(&["add", "eager", home.file("n.js", "return 1;").to_str().unwrap(), &watch, &read.replace("read", "write")]);
    assert!(writes.code == Some(1) && writes.stderr.contains("run itself"), "{writes}");
    home.add("sort", "return 'sorted';", &[&read, &watch]);
    // Whatever else wakes the daemon, no change is lost.
    for busy in ["a", "b", "c"] {
        home.add(busy, "return 1;", &["--every=1s"]);
    }
    let daemon = home.serve();
    for n in 0..20 {
        std::fs::write(inbox.join(format!("{n}.txt")), "x").unwrap();
    }
    home.until_ended("sort", 1);
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(words(&home.runs("sort"), "trigger"), ["files"]);
    std::fs::write(inbox.join("later.txt"), "x").unwrap();
    home.until_ended("sort", 2);
    drop(daemon);
}

#[test]
fn a_watched_folder_that_is_made_again_runs_the_task_again() {
    let home = Home::new();
    let inbox = home.work().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    home.add("sort", "return 'sorted';", &[&format!("--allow-read={}", inbox.display()), &format!("--on-files={}", inbox.display())]);
    let daemon = home.serve();
    std::fs::remove_dir(&inbox).unwrap();
    home.until_ended("sort", 1);
    std::fs::create_dir(&inbox).unwrap();
    home.until_ended("sort", 2);
    std::thread::sleep(std::time::Duration::from_millis(600));
    let before = home.runs("sort").len();
    std::fs::write(inbox.join("new.txt"), "x").unwrap();
    home.until_ended("sort", before + 1);
    drop(daemon);
}
