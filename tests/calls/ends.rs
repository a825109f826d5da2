//! How calls end: with their callers, by themselves, by somebody else's hand.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::CAUGHT;
use crate::support::PATIENCE;
use crate::support::home::Home;

const SLOW: &str = "console.log('begun'); await new Promise((done) => setTimeout(done, 60000));";

/// Waits until an execution of a task runs, and answers it.
fn until_running(home: &Home, task: &str) -> Value {
    let start = std::time::Instant::now();
    loop {
        if let Some(row) = home.runs(task).into_iter().find(|row| row["status"] == "running") {
            return row;
        }
        assert!(start.elapsed() < PATIENCE, "{task} does not run: {:?}", home.executions());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn statuses(home: &Home) -> Vec<String> {
    home.executions().iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cancelled_caller_takes_its_callees_with_it() {
    let home = Home::new();
    home.add("inner", SLOW, &[]);
    home.add("outer", "return tools.task.inner();", &["--allow-call=inner"]);
    let file = home.file("caller.js", "return tools.task.outer();");
    let caller = home.start(&["run", file.to_str().unwrap(), "--allow-call=outer"]);
    until_running(&home, "inner");
    caller.signal(Signal::INT);
    assert_eq!(caller.wait().code, Some(130));
    assert_eq!(statuses(&home), ["cancelled", "cancelled", "cancelled"]);
    // Newest first: what was called last is over, and recorded, first.
    let ends: Vec<String> = home.executions().iter().map(|row| row["finished_at"].as_str().unwrap().to_owned()).collect();
    assert!(ends.is_sorted(), "{ends:?}");
}

#[test]
fn a_killed_process_leaves_no_callee_running_and_none_is_tried_again() {
    let home = Home::new();
    home.add("inner", SLOW, &["--retry=3 base 1s jitter 0"]);
    let file = home.file("caller.js", "return tools.task.inner();");
    let caller = home.start(&["run", file.to_str().unwrap(), "--allow-call=inner"]);
    until_running(&home, "inner");
    caller.signal(Signal::KILL);
    assert_eq!(caller.wait().signal, Some(9));
    assert_eq!(statuses(&home), ["interrupted", "interrupted"]);
    home.serve_once();
    assert_eq!(statuses(&home), ["interrupted", "interrupted"], "whoever called it is gone");
}

#[test]
fn a_callee_that_is_cancelled_is_a_failure_that_its_caller_can_catch() {
    let home = Home::new();
    home.add("inner", SLOW, &[]);
    let file = home.file("caller.js", format!("{CAUGHT}return caught(() => tools.task.inner());"));
    let caller = home.start(&["run", file.to_str().unwrap(), "--allow-call=inner", "--json"]);
    let child = until_running(&home, "inner");
    assert_eq!(home.run(&["exec", "cancel", child["id"].as_str().unwrap()]).code, Some(0));
    let ended = caller.wait();
    let record = ended.json();
    assert_eq!((&record["status"], &record["output"]["json"][1]), (&json!("success"), &json!("cancelled")), "{ended}");
}

#[test]
fn a_call_that_nobody_waits_for_ends_with_its_caller() {
    let home = Home::new();
    home.add("inner", SLOW, &[]);
    let script =
        "const call = tools.task.inner();\ncall.catch(() => {});\nawait new Promise((done) => setTimeout(done, 300));\nreturn 'done';";
    assert_eq!(*home.script("caller.js", script, &["--allow-call=inner"]).succeeded().result(), json!("done"));
    let rows = home.runs("inner");
    assert!(rows.iter().all(|row| row["status"] == "cancelled"), "{rows:?}");
}

#[test]
fn a_failure_keeps_its_kind_and_is_its_callers_to_act_on() {
    let home = Home::new();
    home.add("fails", "throw new Failure(params.kind, 'the words', { afterMs: 5000 });", &[]);
    home.add("denied", "return fetch('https://a.example/');", &[]);
    let script = "const kinds = {};\n\
                  for (const kind of ['invalid', 'denied', 'unavailable', 'failed', 'permanent', 'retryAfter', 'needsApproval']) {\n\
                  try { await tools.task.fails({ kind }); } catch (error) { kinds[kind] = [error instanceof Error, error.name, error.kind, error.message, error.afterMs ?? 0, error.execution.length]; }\n\
                  }\nreturn kinds;";
    let kinds = home.script("kinds.js", script, &["--allow-call=fails"]);
    for (kind, found) in kinds.succeeded().result().as_object().unwrap() {
        let after = if kind == "retryAfter" { 5000 } else { 0 };
        assert_eq!(*found, json!([true, "CallError", kind, "the words", after, 36]), "{kind}");
    }
    let uncaught = home.script("uncaught.js", "return tools.task.denied();", &["--allow-call=denied"]);
    assert_eq!(uncaught.ending(), ("failed", "denied", "operator", Some(1)), "{}", uncaught.json);
    // Wrong params are the caller's own mistake, and no operator's.
    let wrong = "// /// wardroom\n// [params.n]\n// type = \"number\"\n// ///\nreturn params.n;";
    home.add("typed", wrong, &[]);
    let uncaught = home.script("uncaught.js", "return tools.task.typed({ n: 'x' });", &["--allow-call=typed"]);
    assert_eq!(uncaught.ending(), ("failed", "failed", "guest", Some(3)), "{}", uncaught.json);
}

#[test]
fn a_called_task_is_not_tried_again_and_leads_to_what_runs_after_it() {
    let home = Home::new();
    home.add("first", "if (params.fail) throw new Error('no'); return 1;", &["--retry=2 base 1s jitter 0"]);
    home.add("second", "return 2;", &["--after=first"]);
    let script = format!("{CAUGHT}return [await caught(() => tools.task.first({{ fail: true }})), await tools.task.first()];");
    home.script("caller.js", &script, &["--allow-call=first"]).succeeded();
    home.serve_once();
    let runs = home.runs("first");
    assert_eq!(runs.iter().filter(|row| row["attempt"] != 1).count(), 0, "whoever called it decides: {runs:?}");
    assert_eq!(home.runs("second").len(), 1, "after the success, as by hand");
    assert_eq!(home.task_json(&["show", "first"])["failures"], json!(0), "nor is it counted");
}
