//! Installing, listing, running by name, upgrading, going back, removing.

use std::fs;

use serde_json::json;

use super::{docs_section, with_section};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::terminal::on_a_terminal;

const KEEPS: &str = "// /// wardroom\n// name = 'keeper'\n// version = '1.2.3'\n// description = 'Keeps a number'\n// licence = 'MIT'\n\
    // state = '4KiB'\n// [reasons]\n// state = 'to remember the number'\n// [params.number]\n// type = 'integer'\n// required = true\n// ///\n\
    return params.number + 1;";

#[test]
fn a_program_of_every_format_is_installed_and_run_by_its_name() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(&guests::task(), "worker");
    home.install(&guests::command("echo"), "echoes");
    home.install(&guests::preview1(), "old");
    home.install(&home.file("js.js", "return 6 * 7;"), "js");
    home.install(&home.file("ts.ts", "const n: number = 43; return n;"), "ts");
    assert_eq!(home.installed(), ["echoes", "js", "old", "ts", "typed", "worker"]);
    for (program, args, expected) in [
        ("typed.add", &["--param", "a=1", "--param", "b=2"][..], json!(3)),
        ("typed.shapes.area", &["--input", r#"{"shape":"dot"}"#], json!(0.0)),
        ("js", &[], json!(42)),
        ("ts.run", &[], json!(43)),
    ] {
        let record = home.record(&[&[program], args].concat());
        assert_eq!(record.succeeded().result(), &expected, "{program}");
        assert_eq!(record.word("subject"), if program == "js" { "js.run" } else { program });
    }
    assert_eq!(home.record(&["worker", "--param", "x=1"]).succeeded().result()["params"]["x"], 1);
    let echoed = home.feed(&["run", "echoes", "--", "a", "b"], "in");
    assert_eq!(echoed.code, Some(0), "{echoed}");
    assert_eq!(home.run(&["run", "old"]).code, Some(0));
    let formats: Vec<String> =
        home.plugin_json(&["list"])["plugins"].as_array().unwrap().iter().map(|one| one["format"].to_string()).collect();
    assert_eq!(formats, ["\"component\"", "\"java_script\"", "\"module\"", "\"type_script\"", "\"component\"", "\"component\""]);
}

#[test]
fn what_a_plugin_says_of_itself_is_kept_and_shown() {
    let home = Home::new();
    let installed = home.plugin_json(&["install", home.file("any.js", KEEPS).to_str().unwrap()])["plugin"].clone();
    assert_eq!((&installed["name"], &installed["version"], &installed["licence"]), (&json!("keeper"), &json!("1.2.3"), &json!("MIT")));
    let asked = json!([{ "capability": "state", "scope": "4KiB", "words": "keeping 4KiB of state", "reason": "to remember the number" }]);
    assert_eq!(installed["requests"], asked);
    let shown = home.plugin_json(&["inspect", "keeper"]);
    assert_eq!(shown["functions"][0]["params"]["required"], json!(["number"]));
    assert_eq!(home.read(&["inspect", "keeper", "--json"]), shown, "one answer, wherever it is asked");
    let text = home.plugin(&["inspect", "keeper"]).text();
    assert!(text.contains("keeping 4KiB of state (it says: to remember the number)"), "{text}");
    assert_eq!(home.record(&["keeper", "--param", "number=4"]).succeeded().result(), &json!(5));
}

#[test]
fn where_a_plugin_came_from_is_kept_and_shown() {
    let home = Home::new();
    let file = fs::canonicalize(home.file("any.js", KEEPS)).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(home.install(&file, "one")["source"], path);
    assert_eq!(home.plugin_json(&["inspect", "one"])["source"], path);
    assert_eq!(home.plugin_json(&["list"])["plugins"][0]["source"], path);
    assert!(home.plugin(&["inspect", "one"]).text().contains(&format!("from        {path}")));
    let listed = home.plugin(&["list"]).text();
    assert!(listed.lines().any(|line| line.split_whitespace().take(3).eq(["one", "1.2.3", "file"])), "{listed}");
    let other = fs::canonicalize(home.file("other.js", "return 2;")).unwrap();
    home.plugin(&["upgrade", "one", other.to_str().unwrap()]);
    assert_eq!(home.plugin_json(&["inspect", "one"])["source"], other.to_str().unwrap());
    home.plugin(&["rollback", "one"]);
    assert_eq!(home.plugin_json(&["inspect", "one"])["source"], path, "those bytes came from there");
}

#[test]
fn a_component_carries_its_manifest_wherever_it_goes() {
    let home = Home::new();
    let manifest = "name = 'asker'\nversion = '2.0.0'\nnet = ['https://a.example/']\nstate = '4KiB'\n[limits]\ntimeout = '7s'\n[reasons]\nnet = 'to ask'\n[params.set]\ntype = 'json'";
    let file = home.with_manifest(&guests::task(), "asker.wasm", manifest);
    let file = file.to_str().unwrap();
    let inspected = home.read(&["inspect", file, "--json"]);
    assert_eq!((&inspected["title"], &inspected["reasons"]["net"]), (&json!("asker"), &json!("to ask")));
    assert_eq!(inspected["requests"], json!(["net https://a.example", "state 4KiB"]));
    let notes = inspected["notes"].to_string();
    assert!(notes.contains("asks for `net` and does not import"), "{notes}");
    // Its own limit lowers, and what it does not ask for is no flag of it.
    let plan = home.read(&["run", file, "--dry-run", "--json"]);
    assert_eq!(plan["limits"]["deadline_ms"], 7000, "{plan}");
    let surplus = home.run(&["run", file, "--allow-env=HOME"]);
    assert_eq!(surplus.code, Some(2), "{surplus}");
    assert!(surplus.stderr.contains("does not ask for `env HOME`"), "{surplus}");
    assert_eq!(home.run(&["task", "add", "t", file, "--allow-env=HOME"]).code, Some(2));
    assert_eq!(home.run(&["task", "add", "t", file, "--state=4KiB"]).code, Some(0));
    let kept = home.record(&[file, "--state=4KiB", "--input", r#"{"set":{"a":"1"}}"#]);
    assert_eq!(kept.succeeded().result()["state"]["set a"], json!(null), "{}", kept.json);
    let installed = home.plugin_json(&["install", file])["plugin"].clone();
    assert_eq!((&installed["name"], &installed["version"]), (&json!("asker"), &json!("2.0.0")));
}

#[test]
fn a_module_carries_a_manifest_too() {
    let home = Home::new();
    let file = home.with_manifest(&guests::preview1(), "m.wasm", "description = 'An old one'\nenv = ['HOME']");
    assert_eq!(home.install(&file, "old")["description"], "An old one");
}

#[test]
fn what_an_author_wrote_about_functions_is_shown_and_obeyed_by_no_terminal() {
    let home = Home::new();
    let file = home.file("typed.wasm", with_section(&fs::read(guests::typed()).unwrap(), "package-docs", &docs_section()));
    home.install(&file, "typed");
    let shown = home.plugin_json(&["inspect", "typed"]);
    let about = |name: &str| shown["functions"].as_array().unwrap().iter().find(|f| f["name"] == name).unwrap()["about"].clone();
    assert_eq!((about("shapes.area"), about("nothing")), (json!("The area of a shape."), json!(null)));
    let wit = shown["wit"].as_str().unwrap();
    assert!(wit.contains("/// The area of a shape.") && wit.contains("export add: func(a: u64, b: u64) -> u64;"), "{wit}");
    let text = home.plugin(&["inspect", "typed"]).text();
    assert!(text.contains("Adds two numbers.\\u{1b}[2J"), "{text}");
}

#[test]
fn all_plugins_are_inspected_at_once_as_each_by_itself() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(&home.file("any.js", KEEPS), "keeper");
    let all = home.plugin_json(&["inspect", "--all"]);
    let each = ["keeper", "typed"].map(|name| home.plugin_json(&["inspect", name]));
    assert_eq!((&all["plugins"], &all["altered"]), (&json!(each), &json!([])));
    let text = home.plugin(&["inspect", "--all"]).text();
    assert!(["keeper", "typed"].iter().all(|name| text.contains(&home.plugin(&["inspect", name]).text())), "{text}");
    assert_eq!(home.try_plugin(&["inspect", "--all", "typed"]).code, Some(2));
    assert_eq!(home.try_plugin(&["inspect"]).code, Some(2));
}

#[test]
fn listing_and_inspecting_compile_nothing() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    home.install(&guests::task(), "worker");
    let cache = home.path().join("cache");
    for entry in fs::read_dir(&cache).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_file()) {
        fs::remove_file(entry.path()).unwrap();
    }
    // Whoever prepared something would need to store it.
    fs::remove_dir_all(cache.join("fence")).unwrap();
    home.installed();
    home.plugin(&["inspect", "typed"]);
    home.plugin(&["inspect", "worker"]);
    home.plugin(&["inspect", "--all"]);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
}

#[test]
fn a_file_of_the_same_name_comes_first() {
    let home = Home::new();
    home.install(&home.file("installed.js", "return 'installed';"), "report");
    assert_eq!(home.record(&["report.run"]).succeeded().result(), "installed");
    home.file("report.run", "no program");
    let ended = home.run(&["run", "report.run"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    assert_eq!(home.record(&["report"]).succeeded().result(), "installed");
    // What is no plugin's is still a file that is not there.
    let missing = home.run(&["run", "nothing.run"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("cannot be read"), "{missing}");
}

#[test]
fn a_plugin_that_tasks_run_is_not_removed() {
    let home = Home::new();
    home.install(&guests::typed(), "typed");
    assert_eq!(home.run(&["task", "add", "sum", "typed.add", "--param", "a=1", "--param", "b=2"]).code, Some(0));
    let refused = home.try_plugin(&["remove", "typed"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("used by the tasks sum") && refused.stderr.contains("wardroom task rm"), "{refused}");
    assert_eq!(home.read(&["task", "run", "sum", "--json"])["output"]["json"], 3);
    // Whatever file has its name by now: the task is of the plugin.
    home.file("typed.add", "no program");
    assert_eq!(home.run(&["task", "edit", "sum", "--param", "b=5"]).code, Some(0));
    assert_eq!(home.run(&["task", "upgrade", "sum"]).code, Some(0));
    assert_eq!(home.read(&["task", "run", "sum", "--json"])["output"]["json"], 6);
    assert_eq!(home.run(&["task", "rm", "sum"]).code, Some(0));
    home.plugin(&["remove", "typed"]);
    assert!(home.installed().is_empty());
    assert_eq!(home.try_plugin(&["remove", "typed"]).code, Some(1));
}

#[test]
fn a_run_of_a_plugin_is_run_again_with_its_bytes_or_not_at_all() {
    let home = Home::new();
    home.install(&home.file("a.js", "return 1;"), "one");
    let id = home.record(&["one"]).id().to_owned();
    assert_eq!(home.read(&["exec", "rerun", &id, "--json"])["output"]["json"], 1);
    home.plugin(&["upgrade", "one", home.file("a.js", "return 2;").to_str().unwrap()]);
    let other = home.run(&["exec", "rerun", &id]);
    assert!(other.code == Some(1) && other.stderr.contains("wardroom run one.run"), "{other}");
}

#[test]
fn an_upgrade_shows_what_is_other_and_can_be_undone() {
    let home = Home::new();
    let first = "// /// wardroom\n// env = ['A']\n// [params.x]\n// type = 'string'\n// ///\nreturn 1;";
    let second = "// /// wardroom\n// env = ['B']\n// [params.x]\n// type = 'integer'\n// ///\nreturn 2;";
    home.install(&home.file("one.js", first), "p");
    let file = home.file("two.js", second);
    let upgraded = home.plugin_json(&["upgrade", "p", file.to_str().unwrap()]);
    let difference = &upgraded["difference"];
    assert_eq!((&difference["requested"][0]["scope"], &difference["dropped"][0]["scope"]), (&json!("B"), &json!("A")));
    assert_eq!((&difference["changed"], &upgraded["keeps_grants"]), (&json!(["run"]), &json!(false)));
    assert_eq!(home.record(&["p"]).succeeded().result(), 2);
    let same = home.try_plugin(&["upgrade", "p", file.to_str().unwrap()]);
    assert!(same.code == Some(1) && same.stderr.contains("these very bytes already"), "{same}");
    home.plugin(&["rollback", "p"]);
    assert_eq!(home.record(&["p"]).succeeded().result(), 1);
    home.plugin(&["rollback", "p"]);
    assert_eq!(home.record(&["p"]).succeeded().result(), 2, "a second time undoes the first");
    let component = guests::typed();
    let upgraded = home.plugin_json(&["upgrade", "p", component.to_str().unwrap()]);
    assert_eq!((&upgraded["difference"]["removed"], &upgraded["difference"]["is_undeclared_now"]), (&json!(["run"]), &json!(true)));
    assert_eq!(home.record(&["p.add", "--param", "a=1", "--param", "b=1"]).succeeded().result(), 2);
    home.install(&guests::task(), "fresh");
    let nothing = home.try_plugin(&["rollback", "fresh"]);
    assert!(nothing.code == Some(1) && nothing.stderr.contains("no earlier version"), "{nothing}");
}

const ASKS: &str = "// /// wardroom\n// env = ['HOME']\n// ///\n";

fn granted(home: &Home, program: &str) -> bool {
    let plan = home.read(&["run", program, "--dry-run", "--json"]);
    plan["missing"].as_array().unwrap().is_empty()
}

#[test]
fn grants_outlive_an_upgrade_only_from_a_terminal_and_without_more_requests() {
    let home = Home::new();
    home.install(&home.file("a.js", format!("{ASKS}return 1;")), "p");
    home.install(&home.file("a.js", format!("{ASKS}return 1;")), "q");
    if on_a_terminal(&home, "run p", "[N]o:", Some("always\n")).is_none() {
        return;
    }
    assert!(granted(&home, "p") && granted(&home, "p.run"), "one function, one subject");
    assert!(!granted(&home, "q"), "the same bytes under another name start with none");
    // Nobody at a terminal: asked again.
    home.plugin(&["upgrade", "p", home.file("b.js", format!("{ASKS}return 2;")).to_str().unwrap()]);
    assert!(!granted(&home, "p"));
    home.plugin(&["rollback", "p"]);
    assert!(granted(&home, "p"), "those bytes were granted it");
    home.file("c.js", format!("{ASKS}return 3;"));
    let screen = on_a_terminal(&home, "plugin upgrade p c.js", "[N]o:", None).unwrap();
    assert!(screen.contains("It keeps what it was granted."), "{screen}");
    assert!(granted(&home, "p"));
    home.file("d.js", "// /// wardroom\n// env = ['HOME', 'PATH']\n// ///\nreturn 4;");
    let screen = on_a_terminal(&home, "plugin upgrade p d.js", "[N]o:", None).unwrap();
    assert!(screen.contains("asks for more than before"), "{screen}");
    assert_eq!(home.read(&["run", "p", "--dry-run", "--json"])["missing"].as_array().unwrap().len(), 2);
    // What is removed leaves nothing to its namesake.
    home.plugin(&["remove", "q"]);
    home.plugin(&["remove", "p"]);
    home.install(&home.file("c.js", format!("{ASKS}return 3;")), "p");
    assert!(!granted(&home, "p"));
}
