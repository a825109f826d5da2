//! Exposed functions called by name, from a script: the same tool that assistants
//! have, with its own grants.

use serde_json::json;

use crate::support::guests;
use crate::support::home::Home;

#[test]
fn a_script_calls_a_function_that_was_exposed_and_no_other() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    let script = home.file("caller.js", "return tools.typed.add({ a: 20, b: 22 });");
    let script = script.to_str().unwrap();
    let unknown = home.run(&["run", script, "--allow-call=typed.add"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("nothing to call"), "{unknown}");
    assert_eq!(home.run(&["expose", "typed.add"]).code, Some(0));
    let denied = home.record(&[script]);
    assert_eq!(denied.ending().0, "failed", "exposed is not granted: {}", denied.json);
    assert_eq!(home.record(&[script, "--allow-call=typed.add"]).succeeded().result(), &json!(42));
    let called: Vec<_> = home.executions().into_iter().filter(|execution| execution["subject"] == "tool:typed.add").collect();
    assert_eq!((called.len(), &called[0]["status"]), (1, &json!("success")));
    assert_eq!(home.run(&["unexpose", "typed.add"]).code, Some(0));
    let gone = home.run(&["run", script, "--allow-call=typed.add"]);
    assert_eq!(gone.code, Some(1), "{gone}");
}
