//! How deep, how long, and how often at once.

use serde_json::{Value, json};

use super::CAUGHT;
use crate::support::home::Home;

#[test]
fn a_chain_of_calls_is_so_long_and_no_longer() {
    let home = Home::new();
    home.add("t9", "return 'the end';", &[]);
    for number in (0..9).rev() {
        let script = format!(
            "try {{ return [{number}, await tools.task.t{}()].flat(); }} catch (error) {{ return [{number}, error.kind]; }}",
            number + 1
        );
        home.add(&format!("t{number}"), &script, &[&format!("--allow-call=t{}", number + 1)]);
    }
    // The first is called by nobody; the eighth after it calls nobody any more.
    let ran = home.task(&["run", "t0", "--json"]).json();
    assert_eq!(ran["output"]["json"], json!([0, 1, 2, 3, 4, 5, 6, 7, 8, "tooMany"]));
    let ran = home.task(&["run", "t1", "--json"]).json();
    assert_eq!(ran["output"]["json"], json!([1, 2, 3, 4, 5, 6, 7, 8, "the end"]));
    // Each knows its caller, and all know the first.
    let (mut at, mut depth) = (home.runs("t9")[0].clone(), 0);
    loop {
        let shown = home.shown(&at["id"]);
        let Some(parent) = shown["parent"].as_str() else { break };
        assert_eq!(shown["root"], ran["id"], "{shown}");
        at = json!({ "id": parent });
        depth += 1;
    }
    assert_eq!((depth, &at["id"]), (8, &ran["id"]));
}

#[test]
fn a_callee_that_runs_already_waits_or_is_refused_as_its_rule_of_overlap_has_it() {
    let home = Home::new();
    let slow = "await new Promise((done) => setTimeout(done, 100)); return params.n;";
    for rule in ["skip", "queue", "cancel-previous", "allow"] {
        let flags: &[&str] = if rule == "cancel-previous" { &["--every=1h", "--overlap=cancel-previous"] } else { &["--overlap", rule] };
        home.add(&format!("by-{rule}"), slow, flags);
    }
    let script = format!("{CAUGHT}return Promise.all([1, 2].map((n) => caught(() => tools.task[params.of]({{ n }}))));");
    let results = |of: &str| {
        let input = json!({ "of": of }).to_string();
        let flag = format!("--allow-call={of}");
        home.script("caller.js", &script, &["--input", &input, &flag]).succeeded().result().clone()
    };
    assert_eq!(results("by-allow"), json!([1, 2]));
    assert_eq!(results("by-queue"), json!([1, 2]));
    assert_eq!(results("by-skip"), json!([1, 2]));
    let results = results("by-cancel-previous");
    let (ran, refused): (Vec<&Value>, Vec<&Value>) = results.as_array().unwrap().iter().partition(|result| result.is_number());
    let [refused] = refused.as_slice() else { panic!("{results}") };
    assert_eq!((ran.len(), &refused[0], &refused[1]), (1, &json!("BusyError"), &json!("busy")), "{results}");
    assert!(refused[2].as_str().unwrap().contains("`wardroom task edit by-cancel-previous --overlap=allow`"), "{results}");
    // Neither of two that wait for their turn began before the other ended.
    let mut times: Vec<(String, String)> =
        home.runs("by-queue").iter().map(|row| (text(row, "started_at"), text(row, "finished_at"))).collect();
    times.sort_unstable();
    assert!(times.len() == 2 && times[0].1 <= times[1].0, "{times:?}");
}

/// Those that wait for a turn hold no place that others need for theirs.
#[test]
fn many_that_call_one_task_do_not_wait_for_each_other_for_ever() {
    let home = Home::new();
    home.add("one", "return 'one';", &["--overlap=queue"]);
    let fan = format!("{CAUGHT}await new Promise((done) => setTimeout(done, 100)); return caught(() => tools.task.one());");
    home.add("fan", &fan, &["--overlap=allow", "--allow-call=one"]);
    let script = "const fans = Array.from({ length: 16 }, () => tools.task.fan());
        await new Promise((done) => setTimeout(done, 50));
        return Promise.all([...fans, tools.task.one()]);";
    let ran = home.script("caller.js", script, &["--allow-call=fan", "--allow-call=one", "--timeout=60s"]);
    let results = ran.succeeded().result().as_array().unwrap().clone();
    assert_eq!((results.len(), &results[16]), (17, &json!("one")), "{results:?}");
    let answered = |result: &&Value| **result == "one" || result[0] == "BusyError";
    assert_eq!(results.iter().filter(answered).count(), 17, "{results:?}");
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_else(|| panic!("{row}")).to_owned()
}

#[test]
fn a_callee_has_no_more_time_than_its_caller_has_left() {
    let home = Home::new();
    home.add("slow", "await new Promise((done) => setTimeout(done, 60000));", &["--overlap=allow"]);
    home.add("short", "await new Promise((done) => setTimeout(done, 60000));", &["--timeout=200ms"]);
    // Its own is the smaller one: the caller is told, and goes on.
    let script = format!("{CAUGHT}return caught(() => tools.task.short());");
    let caller = home.script("goes-on.js", &script, &["--allow-call=short", "--timeout=60s"]);
    assert_eq!(caller.succeeded().result()[1], "deadline");
    assert_eq!(home.runs("short")[0]["status"], "timeout");
    // The caller's is: both end, and no callee goes on.
    let caller = home.script("ends.js", "return tools.task.slow();", &["--allow-call=slow", "--timeout=1s"]);
    assert_eq!(caller.ending(), ("timeout", "deadline", "guest", Some(3)));
    let child = home.shown(&home.runs("slow")[0]["id"]);
    assert!(["cancelled", "timeout"].contains(&child["status"].as_str().unwrap()), "{child}");
    let limit = child["limits"]["deadline_ms"].as_u64().unwrap();
    assert!(limit <= 1000, "{child}");
}
