//! Calls: tasks that start other tasks, by name, with what those were granted.

mod bounds;
mod ends;
mod permits;
mod rights;

use serde_json::{Value, json};

use crate::support::guests;
use crate::support::home::{Home, Record};

/// Writes its mark into a folder and waits for another's: two of these end only if
/// they run side by side.
const MEETS: &str = "\
// /// wardroom
// write = [\"{params.dir}\"]
// [params.dir]
// type = \"string\"
// [params.own]
// type = \"string\"
// [params.other]
// type = \"string\"
// ///
await fs.writeFile(`${params.dir}/${params.own}`, '');
console.log('printed by ' + params.own);
for (;;) {
  try { await fs.access(`${params.dir}/${params.other}`); return params.own; } catch { await new Promise((done) => setTimeout(done, 10)); }
}";

impl Home {
    /// `wardroom run --json` of a script that is written for it.
    fn script(&self, name: &str, script: &str, flags: &[&str]) -> Record {
        let file = self.file(name, script);
        let all: Vec<&str> = [file.to_str().unwrap()].iter().chain(flags).copied().collect();
        self.record(&all)
    }

    fn shown(&self, id: &Value) -> Value {
        self.read(&["exec", "show", id.as_str().unwrap(), "--json"])
    }
}

/// What a script answers of calls that are refused.
const CAUGHT: &str =
    "const caught = async (call) => { try { return await call(); } catch (error) { return [error.name, error.kind, error.message]; } };\n";

#[test]
fn callees_run_side_by_side_and_each_has_a_record_of_its_own() {
    let home = Home::new();
    let dir = home.work().join("meet");
    std::fs::create_dir(&dir).unwrap();
    let place = format!("dir={}", dir.display());
    let grant = format!("--allow-write={}", dir.display());
    for (own, other) in [("one", "two"), ("two", "one")] {
        let (own_param, other_param) = (format!("own={own}"), format!("other={other}"));
        home.add(own, MEETS, &["--param", &place, "--param", &own_param, "--param", &other_param, &grant]);
    }
    let script = "console.log(Object.keys(tools.task).join(), 'one' in tools.task, 'three' in tools.task);\n\
                  return Promise.all([tools.task.one(), tools.task.two({})]);";
    let caller = home.script("caller.js", script, &["--allow-call=one", "--allow-call=two", "--timeout=60s"]);
    assert_eq!(*caller.succeeded().result(), json!(["one", "two"]));
    let log = home.run(&["exec", "logs", caller.id()]).text();
    assert!(log.contains("one,two true false") && !log.contains("printed by"), "{log}");

    let shown = home.shown(&caller.json["id"]);
    let children = shown["children"].as_array().unwrap();
    assert_eq!(children.len(), 2, "{shown}");
    let listed = home.read(&["exec", "list", "--json", "--parent", caller.id()]);
    assert_eq!(listed["executions"].as_array().unwrap().len(), 2, "{listed}");
    for child in children {
        let child = home.shown(&child["id"]);
        assert_eq!((&child["parent"], &child["root"]), (&caller.json["id"], &caller.json["id"]), "{child}");
        assert_eq!((&child["trigger"], &child["status"]), (&json!("call"), &json!("success")), "{child}");
        assert!(child["access"]["folders"].is_array() && child["access"]["call"].is_null(), "its own rights: {child}");
        let log = home.run(&["exec", "logs", child["id"].as_str().unwrap()]).text();
        assert!(log.contains(&format!("printed by {}", child["task"].as_str().unwrap())), "{log}");
    }
    let person = home.run(&["exec", "show", caller.id()]).text();
    assert!(person.contains("called") && person.contains(" one success"), "{person}");
    let person = home.run(&["exec", "show", children[0]["id"].as_str().unwrap()]).text();
    assert!(person.contains("called by") && person.contains(caller.id()), "{person}");
}

#[test]
fn a_component_calls_as_a_script_does() {
    let home = Home::new();
    home.add("add-two", "return (params.n ?? 0) + 2;", &["--overlap=allow"]);
    home.add("bad", "throw Failure.unavailable('not there');", &[]);
    let calls = json!({ "calls": [
        ["add-two", { "n": 1 }], ["add-two", {}], ["bad", {}], ["other", {}], ["add-two", [1]], ["add-two", null],
    ] });
    let guest = guests::task();
    let caller = home.record(&[guest.to_str().unwrap(), "--input", &calls.to_string(), "--allow-call=add-two", "--allow-call=bad"]);
    let called = &caller.succeeded().result()["called"];
    assert_eq!(called["list"], json!(["add-two", "bad"]));
    let ends = called["ends"].as_array().unwrap();
    assert_eq!(ends[..3], [json!(3), json!(2), json!({ "failed": "FailureKind::Unavailable", "why": "not there" })]);
    assert_eq!((&ends[3]["error"], &ends[4]["error"], &ends[5]["error"]), (&json!("not-granted"), &json!("params"), &json!("params")));
    // And is called: what a command prints is a text, or JSON.
    home.task(&["add", "shape", guest.to_str().unwrap(), "--param", "a=1"]);
    let result = home.script("c.js", "return (await tools.task.shape({ b: 2 })).params;", &["--allow-call=shape"]);
    assert_eq!(*result.succeeded().result(), json!({ "a": 1, "b": 2 }));
}

#[test]
fn more_calls_than_may_be_open_at_once_wait_in_the_script() {
    let home = Home::new();
    home.add("twice", "return params.n * 2;", &["--overlap=allow"]);
    let script = "return Promise.all(Array.from({ length: 40 }, (_, n) => tools.task.twice({ n })));";
    let caller = home.script("many.js", script, &["--allow-call=twice"]);
    let expected: Vec<u32> = (0..40).map(|n| n * 2).collect();
    assert_eq!(*caller.succeeded().result(), json!(expected));
    // What a guest opens itself is bounded: sixteen, and then it is told.
    let calls: Vec<Value> = (0..20).map(|n| json!(["twice", { "n": n }])).collect();
    let guest = guests::task();
    let caller = home.record(&[guest.to_str().unwrap(), "--input", &json!({ "calls": calls }).to_string(), "--allow-call=twice"]);
    let ends = caller.succeeded().result()["called"]["ends"].as_array().unwrap().clone();
    let refused = ends.iter().filter(|end| end["error"] == "too-many").count();
    assert_eq!((refused, ends[15].clone()), (4, json!(30)), "{ends:?}");
}

#[test]
fn the_contract_names_the_bounds_of_calls() {
    let wit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/automation.wit")).unwrap();
    let (depth, calls) = (wardroom_core::call::MAX_CALL_DEPTH, wardroom_core::call::MAX_CALLS);
    assert!(wit.contains(&format!("most {depth} executions call each other")));
    assert!(wit.contains("most 1,000 calls") && calls == 1000);
    assert!(wit.contains(&format!("or {} calls are open", wardroom_core::call::MAX_OPEN_CALLS)));
}

/// Two names that look alike in camel case are two names.
#[test]
fn each_task_is_called_by_its_very_name_and_by_no_other() {
    let home = Home::new();
    let names = ["a-1", "a1", "b--c", "b-c", "d-", "e-f"];
    let mut flags = Vec::new();
    for name in names {
        home.add(name, &format!("return '{name}';"), &["--overlap=allow"]);
        flags.push(format!("--allow-call={name}"));
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let script = "const all = {}; for (const name of params.names) all[name] = await tools.task[name]();
        return { all, short: await tools.task.eF(), keys: Object.keys(tools.task) };";
    let input = json!({ "names": names }).to_string();
    let ran = home.script("caller.js", script, &[&["--input", &input][..], &flags].concat());
    let result = ran.succeeded().result();
    for name in names {
        assert_eq!(result["all"][name], name, "{result}");
    }
    assert_eq!(result["short"], "e-f", "{result}");
    assert_eq!(result["keys"], json!(["a-1", "a1", "b--c", "b-c", "d-", "eF"]), "{result}");
}
