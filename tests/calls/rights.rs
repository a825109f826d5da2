//! Who holds what: a callee its own rights, a caller the right to call.

use serde_json::{Value, json};

use super::CAUGHT;
use crate::support::home::Home;

#[test]
fn a_call_without_its_grant_is_refused_recorded_and_names_the_command() {
    let home = Home::new();
    home.add("shut", "return 'reached';", &[]);
    let script = format!("{CAUGHT}return [Object.keys(tools), await caught(() => tools.task.shut({{}}))];");
    let caller = home.script("caller.js", &script, &[]);
    let refused = "call `shut` refused: no grant covers it";
    assert_eq!(*caller.succeeded().result(), json!([[], ["NotGrantedError", "denied", refused]]));
    assert_eq!(caller.json["refusals"][0]["capability"], "call", "{}", caller.json);
    assert!(home.runs("shut").is_empty(), "it was not started");
    let told = home.run(&["run", "caller.js"]);
    assert!(told.stderr.contains("Allow it with `--allow-call=shut`."), "{told}");
    // Uncaught it is the operator's to act.
    let uncaught = home.script("uncaught.js", "return tools.task.shut();", &[]);
    assert_eq!(uncaught.ending(), ("failed", "denied", "operator", Some(1)));
    assert_eq!(uncaught.json["failure"]["position"]["line"], 1, "{}", uncaught.json);
    // Only what there is can be granted, by a name and not by a pattern.
    for (flag, code) in [("--allow-call=none", Some(1)), ("--allow-call=*", Some(2)), ("--allow-call={params.x}", Some(2))] {
        assert_eq!(home.run(&["run", "caller.js", flag]).code, code, "{flag}");
    }
    // A header that does not ask for it may not be granted it.
    let header = "// /// wardroom\n// name = \"x\"\n// ///\nreturn tools.task.shut();";
    assert_eq!(home.script("header.js", header, &["--allow-call=shut"]).ended.code, Some(2));
    let header = "// /// wardroom\n// call = [\"shut\", \"gone\"]\n// ///\nreturn tools.task.shut();";
    assert_eq!(*home.script("asks.js", header, &["--allow-call=shut"]).succeeded().result(), json!("reached"));
    let plan = home.read(&["run", "asks.js", "--allow-call=shut", "--dry-run", "--json"]);
    assert_eq!((&plan["access"]["call"][0]["name"], &plan["missing"]), (&json!("shut"), &json!(["--allow-call=gone"])), "{plan}");
    let plan = home.run(&["run", "asks.js", "--dry-run"]).text();
    assert!(plan.contains("starting shut, with what that one was granted  (allow with --allow-call=shut)"), "{plan}");
}

#[test]
fn a_callee_has_its_own_rights_and_none_of_its_callers() {
    let home = Home::new();
    for (folder, text) in [("callers", "the caller's"), ("callees", "the callee's")] {
        home.file(&format!("{folder}/file.txt"), text);
    }
    let look = "const look = async (name) => { try { return await fs.readFile(`${params.work}/${name}/file.txt`, 'utf8'); } \
                catch (error) { return error.code; } };\n\
                const all = { callers: await look('callers'), callees: await look('callees'), env: { ...process.env }, tools: Object.keys(tools) };\n";
    let work = format!("work={}", home.work().display());
    let callee = format!("{look}return all;");
    home.add("callee", &callee, &["--param", &work, &format!("--allow-read={}/callees", home.work().display())]);
    let script = format!("{look}return [all, await tools.task.callee()];");
    let own = format!("--allow-read={}/callers", home.work().display());
    let caller = home.script("caller.js", &script, &["--param", &work, &own, "--allow-env=HOME", "--allow-call=callee"]);
    let [own, theirs] = caller.succeeded().result().as_array().unwrap().as_slice() else { panic!("{}", caller.json) };
    assert_eq!((&own["callers"], &own["callees"], &own["tools"]), (&json!("the caller's"), &json!("EACCES"), &json!(["task"])));
    assert!(own["env"]["HOME"].is_string(), "{own}");
    assert_eq!((&theirs["callers"], &theirs["callees"], &theirs["tools"]), (&json!("EACCES"), &json!("the callee's"), &json!([])));
    assert_eq!(theirs["env"], json!({}), "{theirs}");
}

#[test]
fn params_fill_no_place_that_the_callee_was_not_granted() {
    let home = Home::new();
    for folder in ["granted", "other"] {
        home.file(&format!("{folder}/file.txt"), folder);
    }
    let callee = "// /// wardroom\n// read = [\"{params.dir}\"]\n// [params.dir]\n// type = \"string\"\n// ///\n\
                  return fs.readFile(`${params.dir}/file.txt`, 'utf8');";
    let place = |name: &str| home.work().join(name).display().to_string();
    let dir = format!("dir={}", place("granted"));
    home.add("reader", callee, &["--param", &dir, &format!("--allow-read={}", place("granted"))]);
    let script = format!(
        "{CAUGHT}const results = [];\nfor (const dir of params.dirs) results.push(await caught(() => tools.task.reader({{ dir }})));\nreturn results;"
    );
    let dirs = json!({ "dirs": [place("granted"), place("other"), place("none"), "/etc", home.path().display().to_string()] });
    let caller = home.script("caller.js", &script, &["--input", &dirs.to_string(), "--allow-call=reader"]);
    let found = caller.succeeded().result().as_array().unwrap().clone();
    assert_eq!(found[0], json!("granted"));
    for refused in &found[1..] {
        assert_eq!((&refused[0], &refused[1]), (&json!("CallError"), &json!("denied")), "{found:?}");
    }
    // What is not there and what may not be granted are told in the same words.
    assert_eq!(found[2], found[4]);
}

#[test]
fn a_grant_to_call_is_for_one_task_and_not_for_whatever_takes_its_name() {
    let home = Home::new();
    home.add("callee", "return 'old';", &[]);
    let script = format!("{CAUGHT}return caught(() => tools.task.callee());");
    home.add("caller", &script, &["--allow-call=callee"]);
    let result = || home.task(&["run", "caller", "--json"]).json()["output"]["json"].clone();
    assert_eq!(result(), json!("old"));
    home.task(&["rm", "callee"]);
    assert_eq!(result()[0], "NotGrantedError");
    home.add("callee", "return 'new';", &[]);
    assert_eq!(result()[0], "NotGrantedError", "a namesake is another task");
    let checked = home.try_task(&["check", "caller"]);
    assert!(checked.to_string().contains("--revoke='callee'"), "{checked}");
    // By hand, and knowingly, it is given anew.
    home.task(&["edit", "caller", "--revoke=callee"]);
    home.task(&["edit", "caller", "--allow-call=callee"]);
    assert_eq!(result(), json!("new"));
    // Other bytes of the callee are the same task, with what those were granted.
    let other = home.file("callee.js", "return 'newer';");
    home.task(&["upgrade", "callee", other.to_str().unwrap()]);
    assert_eq!(result(), json!("newer"));
    // A task's file carries the grant as a text, which grants nothing elsewhere.
    home.task(&["export", "caller", "--output=exported"]);
    let file = std::fs::read_to_string(home.work().join("exported/caller.toml")).unwrap();
    assert!(file.contains("call = [\"callee\"]"), "{file}");
}

#[test]
fn tasks_that_would_call_each_other_for_ever_are_refused_when_they_are_saved() {
    let home = Home::new();
    home.add("one", "return 1;", &[]);
    home.add("two", "return tools.task.one();", &["--allow-call=one"]);
    home.add("three", "return 3;", &["--after=two"]);
    for (flag, path) in [("--allow-call=one", "one ▶ one"), ("--allow-call=two", "one ▶ two ▶ one")] {
        let refused = home.try_task(&["edit", "one", flag]);
        assert!(refused.code == Some(1) && refused.stderr.contains(path), "{flag}: {refused}");
    }
    // What runs after a callee and what a callee calls are one chain.
    let refused = home.try_task(&["edit", "one", "--after=three"]);
    assert_eq!(refused.code, Some(0), "one runs after three, and calls nobody: {refused}");
    let refused = home.try_task(&["edit", "three", "--allow-call=one"]);
    assert_eq!(refused.code, Some(0), "{refused}");
    let refused = home.try_task(&["edit", "one", "--allow-call=two"]);
    assert!(refused.code == Some(1) && refused.stderr.contains('▶'), "{refused}");
}

/// The value of a credential, which nobody is to find anywhere.
const CANARY: &str = "canary-7f3a9c51d2";

#[test]
fn what_a_callee_knows_is_in_no_answer_and_in_no_record_of_its_callers() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    assert_eq!(home.feed(&["credential", "add", "API_TOKEN", "--host=a.example"], CANARY).code, Some(0));
    let callee = "console.log(credentials.reveal('API_TOKEN'));\n\
                  if (params.fail) throw new Error('it is ' + credentials.reveal('API_TOKEN'));\n\
                  return { value: credentials.reveal('API_TOKEN'), placeholder: credentials.API_TOKEN };";
    home.add("knows", callee, &["--credential=API_TOKEN:reveal"]);
    let script = format!(
        "{CAUGHT}return [credentials.API_TOKEN ?? null, await tools.task.knows(), await caught(() => tools.task.knows({{ fail: true }}))];"
    );
    let caller = home.script("caller.js", &script, &["--allow-call=knows"]);
    let found = caller.succeeded().result();
    assert_eq!((&found[0], &found[2][1]), (&Value::Null, &json!("failed")), "{found}");
    assert!(found[2][2].as_str().unwrap().contains("it is"), "{found}");
    // A caller that was shown one hands it to nobody: its params are what leaves it.
    home.add("takes", "return params;", &[]);
    let tells = "return tools.task.takes({ told: credentials.reveal('API_TOKEN'), held: credentials.API_TOKEN });";
    let told = home.script("tells.js", tells, &["--allow-call=takes", "--credential=API_TOKEN:reveal"]);
    assert_ne!(told.succeeded().result()["told"], json!(CANARY));
    for record in home.executions() {
        let id = record["id"].as_str().unwrap();
        let all = format!("{}{}", home.shown(&record["id"]), home.run(&["exec", "logs", id]).text());
        assert!(!all.contains(CANARY), "{all}");
    }
    let all = format!("{}{}", caller.json, told.json);
    assert!(!all.contains(CANARY), "{all}");
}
