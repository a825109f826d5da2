//! Every shape of program runs, and says what is wrong with its input by name.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wardroom_core::capability::credentials::CredentialScope;
use wardroom_core::credential::CredentialKind;
use wardroom_core::failure::{Failure, FailureKind, Outcome, Output, Position};
use wardroom_core::log::Level;
use wardroom_core::program::Entry;

use crate::support::credentials::Stored;
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::{Finished, Job, RUNTIME, program};
use crate::support::server::Server;

// ── Task components ─────────────────────────────────────────────────────────

#[test]
fn a_task_gets_params_and_gives_a_result_lines_and_progress() {
    let finished = Job::file(&guests::task()).params(json!({ "a": [1, null, "x"] })).finish();
    assert_eq!(finished.entry, Entry::Task);
    assert_eq!(finished.json(), &json!({ "params": { "a": [1, null, "x"] }, "state": {} }));
    let lines: Vec<(Level, &str)> = finished.seen.lines.iter().map(|(level, text)| (*level, text.as_str())).collect();
    let expected = [
        (Level::Debug, "a debug line"),
        (Level::Info, "an info line\nof two lines"),
        (Level::Warn, "a warning"),
        (Level::Error, "an error line"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(finished.seen.progress, [(1, Some(2), "half way".to_owned()), (2, Some(2), "done".to_owned())]);
}

#[test]
fn each_failure_of_a_task_keeps_its_kind_and_its_words() {
    for (end, kind) in [
        ("invalid", FailureKind::Invalid),
        ("denied", FailureKind::Denied),
        ("unavailable", FailureKind::Unavailable),
        ("failed", FailureKind::Failed),
        ("permanent", FailureKind::Permanent),
        ("retry_after", FailureKind::RetryAfter),
        ("needs_approval", FailureKind::NeedsApproval),
    ] {
        let finished = Job::file(&guests::task()).params(json!({ "end": end })).finish();
        assert_eq!(finished.failure(), (kind, format!("ended as {end}").as_str()));
        let after = finished.outcome.ending.as_ref().unwrap_err().retry_after_ms;
        assert_eq!(after, (end == "retry_after").then_some(90_000));
    }
}

#[test]
fn a_task_that_panics_or_answers_no_json_is_to_blame() {
    let finished = Job::file(&guests::task()).params(json!({ "end": "panic" })).finish();
    assert_eq!(finished.failure().0, FailureKind::Trap);
    assert!(finished.lines().iter().any(|line| line.contains("ended as panic")), "{:?}", finished.lines());
    let finished = Job::file(&guests::task()).params(json!({ "end": "no_json" })).finish();
    assert_eq!(finished.failure().0, FailureKind::Failed);
    assert!(finished.failure().1.starts_with("the program's result is no JSON"), "{:?}", finished.failure());
}

#[test]
fn the_command_line_gives_a_failed_task_the_exit_code_of_its_blame() {
    let home = Home::new();
    let guest = guests::task();
    for (end, status, blame, code) in [
        ("invalid", "failed", "operator", 1),
        ("denied", "failed", "operator", 1),
        ("unavailable", "failed", "guest", 3),
        ("failed", "failed", "guest", 3),
        ("permanent", "failed", "guest", 3),
        ("retry_after", "failed", "guest", 3),
        ("needs_approval", "awaiting-approval", "operator", 1),
    ] {
        let record = home.record(&[guest.to_str().unwrap(), "--param", &format!("end={end}")]);
        assert_eq!(record.ending(), (status, end, blame, Some(code)), "{}", record.ended);
        assert_eq!(record.message(), format!("ended as {end}"));
    }
}

// ── Typed functions ─────────────────────────────────────────────────────────

fn call(function: &str, params: Value) -> Finished {
    Job::file(&guests::typed()).function(function).params(params).finish()
}

#[test]
fn typed_functions_take_and_give_json() {
    for (function, params, result) in [
        ("add", json!({ "a": 1, "b": 2 }), json!(3)),
        ("add", json!({ "a": "18446744073709551614", "b": 1 }), json!("18446744073709551615")),
        ("greet-all", json!({ "names": ["Ada", "Bo"] }), json!(["Hello, Ada!", "Hello, Bo!"])),
        ("greet-all", json!({ "names": ["Ada"], "greeting": "Ahoy" }), json!(["Ahoy, Ada!"])),
        ("nothing", json!({}), json!(null)),
        ("shapes.area", json!({ "shape": "dot" }), json!(0.0)),
        ("shapes.area", json!({ "shape": { "polygon": [{ "x": 0, "y": 0 }, { "x": 4, "y": 0 }, { "x": 0, "y": 2 }] } }), json!(4.0)),
        ("test:typed/shapes@1.0.0.area", json!({ "shape": "dot" }), json!(0.0)),
    ] {
        assert_eq!(call(function, params).json(), &result, "{function}");
    }
    let drawing = json!({
        "title": null,
        "shapes": ["dot", { "circle": 1.5 }, { "polygon": [{ "x": -1, "y": 2 }] }],
        "colour": "dark_green",
        "marks": ["bold", "under_line"],
    });
    assert_eq!(call("shapes.mirror", json!({ "drawing": drawing })).json(), &drawing);
}

#[test]
fn an_error_result_is_a_failure_with_its_words() {
    assert_eq!(call("fail", json!({ "why": "because" })).failure(), (FailureKind::Failed, "because"));
    assert_eq!(call("refuse", json!({})).failure().0, FailureKind::Failed);
    let finished = call("shapes.area", json!({ "shape": { "polygon": [] } }));
    assert_eq!(finished.failure(), (FailureKind::Failed, "0 points enclose nothing"));
}

#[test]
fn wrong_arguments_are_named_with_their_place_and_the_expected_type() {
    for (function, params, place, expected) in [
        ("add", json!({ "a": 1, "b": -2 }), "b", "u64"),
        ("add", json!({ "a": 1, "b": "x" }), "b", "u64"),
        ("add", json!({ "a": 1 }), "b", "u64"),
        ("greet-all", json!({ "names": ["Ada", 7] }), "names[1]", "string"),
        ("shapes.area", json!({ "shape": "oval" }), "shape", "dot"),
        ("shapes.area", json!({ "shape": { "polygon": [{ "x": 1.5, "y": 0 }] } }), "shape.polygon[0].x", "s32"),
    ] {
        let finished = call(function, params.clone());
        let (kind, message) = finished.failure();
        assert_eq!((kind, kind.blame()), (FailureKind::Invalid, wardroom_core::blame::Blame::Operator), "{function} {params}");
        assert!(message.contains(place) && message.contains(expected), "{function} {params}: {message}");
    }
}

#[test]
fn a_function_with_a_resource_is_listed_as_unsupported_and_the_rest_works() {
    let home = Home::new();
    let guest = guests::typed();
    let inspected = home.read(&["inspect", guest.to_str().unwrap(), "--json"]);
    let text = inspected.to_string();
    assert!(text.contains("unsupported") && text.contains("counters.count"), "{text}");
    let error = RUNTIME.block_on(Job::file(&guest).function("counters.count").params(json!({ "counter": 1 })).try_run());
    match error {
        Ok(finished) => assert_eq!(finished.failure().0, FailureKind::Program),
        Err(error) => assert_eq!(error.blame(), wardroom_core::blame::Blame::Guest),
    }
}

#[test]
fn an_unknown_or_missing_function_is_answered_with_names() {
    let home = Home::new();
    let path = guests::typed().to_str().unwrap().to_owned();
    let ended = home.run(&["run", &format!("{path}#ad")]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("`add`"), "{ended}");
    let ended = home.run(&["run", &path]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("shapes.area"), "{ended}");
    let record = home.record(&[&format!("{path}#add"), "--input", r#"{"a": 40, "b": 2}"#]);
    assert_eq!(record.succeeded().result(), &json!(42));
}

// ── Commands and modules ────────────────────────────────────────────────────

#[test]
fn a_command_has_its_arguments_its_stdin_and_its_stdout() {
    let finished = Job::command("echo").args(&["a b", "--flag", ""]).stdin("piped\n").finish();
    assert_eq!(finished.json(), &json!({ "args": ["a b", "--flag", ""], "stdin": "piped\n" }));
    let home = Home::new();
    let guest = guests::command("echo");
    let ended = home.feed(&["run", guest.to_str().unwrap(), "--", "-x", "y"], "in");
    assert_eq!((ended.code, ended.json()), (Some(0), json!({ "args": ["-x", "y"], "stdin": "in" })), "{ended}");
}

#[test]
fn a_command_passes_its_exit_code_and_its_bytes_through() {
    let home = Home::new();
    let guest = guests::command("exit_code");
    let ended = home.run(&["run", guest.to_str().unwrap(), "--", "1"]);
    assert_eq!((ended.code, ended.text().as_str()), (Some(1), "kept\n"), "{ended}");
    let ended = home.run(&["run", guest.to_str().unwrap(), "--", "0"]);
    assert_eq!((ended.code, ended.text().as_str()), (Some(0), "kept\n"), "{ended}");
    let record = home.record(&[guest.to_str().unwrap(), "--", "1"]);
    assert_eq!(record.ending(), ("failed", "exit", "guest", Some(1)));
    assert_eq!((record.text(), &record.json["failure"]["exit_code"]), ("kept\n", &json!(1)));
}

#[test]
fn a_core_module_for_preview_1_runs_as_a_command() {
    let bytes = fs::read(guests::preview1()).unwrap();
    assert_eq!(bytes[..8], *b"\0asm\x01\0\0\0", "a core module, no component");
    let finished = Job::file(&guests::preview1()).args(&["x"]).stdin("in").finish();
    assert_eq!(finished.json(), &json!({ "args": ["x"], "stdin": "in", "read": true }));
    let ended = Home::new().feed(&["run", guests::preview1().to_str().unwrap(), "--", "7"], "");
    // WASI 0.2 tells a command's success from its failure, and no codes apart.
    assert_eq!((ended.code, &ended.json()["args"]), (Some(1), &json!(["7"])), "{ended}");
}

#[test]
fn what_is_no_program_is_refused_in_words() {
    let home = Home::new();
    for (name, bytes, code) in [
        ("empty.wasm", &b""[..], 3),
        ("text.wasm", b"hello", 3),
        ("odd.wasm", b"\0asm\x09\0\0\0", 3),
        ("cut.wasm", b"\0asm\x0d\0\x01\0\x01", 3),
        ("unknown.py", b"print()", 1),
    ] {
        let path = home.file(name, bytes);
        let ended = home.run(&["run", path.to_str().unwrap()]);
        assert!(matches!(ended.code, Some(1 | 3)), "{name} (about {code}): {ended}");
        assert!(ended.stderr.starts_with("error: ") || ended.stderr.starts_with("failed: "), "{name}: {ended}");
        assert!(ended.stdout.is_empty());
    }
    let ended = home.run(&["run", "not-there.js"]);
    assert_eq!(ended.code, Some(1), "{ended}");
}

#[test]
fn each_shape_is_inspected() {
    let home = Home::new();
    let script = home.file("s.js", "// /// wardroom\n// description = \"adds\"\n// [params.n]\n// type = \"integer\"\n// ///\nreturn 1");
    for (path, shape) in [
        (guests::task(), "task"),
        (guests::typed(), "functions"),
        (guests::command("echo"), "command"),
        (guests::preview1(), "command"),
        (script, "script"),
    ] {
        let inspected = home.read(&["inspect", path.to_str().unwrap(), "--json"]);
        assert_eq!(inspected["shape"], shape, "{inspected}");
    }
    let named = home.file("n.js", "// /// wardroom\n// name = \"adder\"\n// description = \"adds\\u001b[31m\"\n// ///\nreturn 1");
    let inspected = home.read(&["inspect", named.to_str().unwrap(), "--json"]);
    assert_eq!((&inspected["title"], &inspected["name"]), (&json!("adder"), &json!("n.js")), "{inspected}");
    let shown = home.run(&["inspect", named.to_str().unwrap()]).text();
    assert!(shown.contains("title       adder\nabout       adds\\u{1b}[31m\n"), "{shown}");
    assert!(home.executions().is_empty(), "looking is no execution");
}

#[test]
fn the_doctor_and_the_completions_answer() {
    let home = Home::new();
    let doctor = home.run(&["doctor", "--json"]);
    assert_eq!(doctor.code, Some(0), "{doctor}");
    assert!(doctor.json().is_object());
    assert!(!doctor.text().contains("in no list"), "{doctor}");
    // What waited to be filed and is no entry any more.
    let journal = home.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    std::fs::write(journal.join("1-1.a"), b"\xffno entry").unwrap();
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == Some(0) && doctor.text().contains("journal/refused"), "{doctor}");
    let refused = std::fs::read_to_string(journal.join("refused")).unwrap();
    assert_eq!(refused, "{\"unreadable\":\"ff6e6f20656e747279\"}\n");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = home.run(&["completions", shell]);
        assert_eq!(ended.code, Some(0), "{ended}");
        assert!(ended.text().contains("wardroom") && ended.text().contains("allow-net"), "{shell}");
    }
}

// ── Scripts ─────────────────────────────────────────────────────────────────

/// `// name: value` of a case, where it has one.
fn note<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("// {name}");
    source.lines().find_map(|line| {
        let at = line.find(&start)?;
        let rest = &line[at + start.len()..];
        // `expect` is not `expect-failure`.
        rest.is_empty().then_some("").or_else(|| rest.strip_prefix(':').map(str::trim))
    })
}

fn kind(word: &str) -> FailureKind {
    serde_json::from_value(json!(word.replace('-', "_"))).unwrap()
}

/// What the cases know by these names.
fn case_credential(scope: &str) -> Stored {
    let scope: CredentialScope = scope.parse().unwrap();
    let (kind, value) = match scope.name.as_str() {
        "HOOK" => (CredentialKind::Url, "https://hooks.example/services/T0/B0/secret"),
        "SIGNING_KEY" => (CredentialKind::Secret, "a signing key of the tests, long enough for every hash: 64 bytes"),
        _ => (CredentialKind::ApiKey, "a token of the tests"),
    };
    let own = ["hooks.example".to_owned()];
    let hosts = scope.host.as_ref().map(ToString::to_string).into_iter().chain(own).collect();
    Stored { kind, scope, hosts, value: value.to_owned() }
}

/// What a case says that it needs, and nothing else.
fn case_job(name: &str, source: &str, server: &Server, folder: &Path) -> Job {
    let mut job = Job::of(program(name, source.as_bytes()));
    if note(source, "needs-params").is_some() {
        let base = server.base();
        let localhost = base.replace("127.0.0.1", "localhost");
        job = job.params(json!({ "base": base })).net(&base).net(&localhost);
    }
    if name == "fetch-unavailable.js" {
        job = job.net("http://127.0.0.1:9");
    }
    if let Some(granted) = note(source, "needs-dir") {
        job = job.folder(granted, folder, true);
    }
    if let Some(granted) = note(source, "needs-read-only-dir") {
        fs::write(folder.join("hello.txt"), "hello").unwrap();
        job = job.folder(granted, folder, false);
    }
    if source.contains("state.") && note(source, "needs-state-denied").is_none() {
        job = job.state(1 << 16, &[]);
    }
    for scope in note(source, "needs-credentials").unwrap_or("").split_whitespace() {
        job = job.credential(case_credential(scope));
    }
    if let Some(bytes) = note(source, "needs-memory-limit") {
        job = job.memory(bytes.parse().unwrap());
    }
    job
}

/// What is wrong with a case's ending, if anything.
fn complaint(source: &str, outcome: &Outcome) -> Option<String> {
    let (wanted, failure) = (note(source, "expect"), note(source, "expect-failure"));
    match (&outcome.ending, wanted, failure) {
        (Ok(Output::Json(found)), Some(wanted), None) => {
            let wanted: Value = serde_json::from_str(wanted).unwrap();
            (*found != wanted).then(|| format!("expected {wanted}\n       found {found}"))
        }
        (Err(found), None, Some(wanted)) => failure_complaint(source, found, wanted),
        (ending, ..) => Some(format!("ended as {ending:?}")),
    }
}

fn failure_complaint(source: &str, found: &Failure, wanted: &str) -> Option<String> {
    let (wanted_kind, mut message) = wanted.split_once(' ').unwrap_or((wanted, ""));
    let retry: Option<Value> = (wanted_kind == "retry-after").then(|| serde_json::from_str(message).unwrap());
    if let Some(retry) = &retry {
        message = retry["reason"].as_str().unwrap();
    }
    let position = note(source, "expect-position").map(|text| {
        let (line, column) = text.split_once(':').unwrap();
        Position { line: line.parse().unwrap(), column: column.parse().unwrap() }
    });
    let after = retry.as_ref().map(|retry| retry["after-ms"].as_u64().unwrap());
    let placed = position.is_none() || position == found.position;
    let same = found.kind == kind(wanted_kind) && found.message == message && found.retry_after_ms == after && placed;
    (!same).then(|| format!("expected {wanted} at {position:?}\n       found {found:?}"))
}

#[test]
fn every_case_of_the_interpreter_ends_as_its_first_lines_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/javascript/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort_unstable();
    let server = Server::start();
    let mut complaints = Vec::new();
    for path in &cases {
        let source = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let run = || {
            let granted = tempfile::tempdir().unwrap();
            let finished = case_job(name, &source, &server, granted.path()).finish();
            complaint(&source, &finished.outcome)
        };
        // A case about time has more than one chance on a busy machine.
        let about_time = ["performance.now", "setTimeout", "AbortSignal.timeout"].iter().any(|word| source.contains(word));
        let chances = if about_time { 5 } else { 1 };
        let mut complaint = run();
        for _ in 1..chances {
            complaint = complaint.and_then(|_| run());
        }
        if let Some(complaint) = complaint {
            complaints.push(format!("{name}: {complaint}"));
        }
    }
    println!("{} cases of the interpreter were run", cases.len());
    assert!(cases.len() >= 60, "{}", cases.len());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_script_returns_from_its_top_level_or_exports_a_default() {
    for (source, result) in [
        ("return params.n + 1", json!(42)),
        ("export default (params) => params.n + 1", json!(42)),
        ("export default async function (params) { return params.n + 1 }", json!(42)),
        ("const n = await Promise.resolve(params.n); return { n }", json!({ "n": 41 })),
        ("", json!(null)),
        ("return undefined", json!(null)),
    ] {
        assert_eq!(Job::script(source).params(json!({ "n": 41 })).finish().json(), &result, "{source}");
    }
}

#[test]
fn typescript_loses_its_types_and_keeps_its_positions() {
    let run = |source: &str| Job::of(program("script.ts", source.as_bytes())).params(json!({ "n": 41 })).finish();
    let body = "interface In { n: number }\nconst given = params as In;\nreturn (given.n satisfies number) + 1;";
    assert_eq!(run(body).json(), &json!(42));
    let module = "type In = { n: number };\nexport default <T extends In>(given: T): number => given.n + 1;";
    assert_eq!(run(module).json(), &json!(42));
    let typed = "type A = {\n  a: string;\n};\nconst f = (x: number): never => { throw new RangeError('no'); };\nreturn f(1 as number);";
    let plain = "         \n            \n  \nconst f = (x        )        => { throw new RangeError('no'); };\nreturn f(1          );";
    let ends = [run(typed), Job::script(plain).finish()].map(|finished| finished.outcome.ending.unwrap_err());
    assert_eq!((ends[0].kind, ends[0].message.as_str()), (FailureKind::Failed, "RangeError: no"));
    assert_eq!(ends[0].position.map(|at| at.line), Some(4));
    assert_eq!(ends[0].position, ends[1].position);
}

#[test]
fn typescript_that_does_not_parse_says_where() {
    for source in ["const a: = 1;\nreturn a;", "enum E { A }\nreturn E.A;"] {
        let job = Job::of(program("script.ts", source.as_bytes()));
        let failure = match RUNTIME.block_on(job.try_run()) {
            Ok(finished) => finished.outcome.ending.unwrap_err(),
            Err(error) => error.into_failure(),
        };
        assert_eq!(failure.position.map(|at| at.line), Some(1), "{failure:?}");
        assert_eq!(failure.blame(), wardroom_core::blame::Blame::Guest);
    }
}

#[test]
fn a_header_declares_params_with_types_and_defaults() {
    let home = Home::new();
    let header = "// /// wardroom\n// [params.name]\n// type = \"string\"\n// required = true\n// [params.times]\n// type = \"integer\"\n// default = 2\n// ///\n";
    let script = home.file("s.js", format!("{header}return params.name.repeat(params.times)"));
    let path = script.to_str().unwrap();
    assert_eq!(home.record(&[path, "--param", "name=ab"]).succeeded().result(), "abab");
    assert_eq!(home.record(&[path, "--param", "name=ab", "--param", "times=3"]).succeeded().result(), "ababab");
    assert_eq!(home.record(&[path, "--input", r#"{"name": "x", "times": 1}"#]).succeeded().result(), "x");
    for args in [
        vec![],
        vec!["--param", "name=a", "--param", "tims=1"],
        vec!["--param", "name=a", "--param", "times=many"],
        vec!["--input", r#"{"name": 7}"#],
    ] {
        let all: Vec<&str> = ["run", path].into_iter().chain(args.clone()).collect();
        let ended = home.run(&all);
        assert_eq!(ended.code, Some(1), "{args:?}: {ended}");
        assert!(ended.stderr.starts_with("error: "), "{ended}");
    }
    assert_eq!(home.executions().len(), 3, "what does not fit is no execution");
}

#[test]
fn a_request_takes_its_place_from_a_param() {
    let home = Home::new();
    home.file("data/a.txt", "one");
    let header = "// /// wardroom\n// read = [\"{params.dir}\"]\n// [params.dir]\n// type = \"string\"\n// required = true\n// ///\n";
    let script = home.file("s.js", format!("{header}return await fs.readFile(`${{params.dir}}/a.txt`, 'utf8')"));
    let path = script.to_str().unwrap();
    assert_eq!(home.record(&[path, "--param", "dir=data", "--allow-read=data"]).succeeded().result(), "one");
    let refused = home.record(&[path, "--param", "dir=data"]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    assert!(refused.ended.stderr.contains("`--allow-read=data`"), "{}", refused.ended);
}

#[test]
fn input_comes_from_a_file_or_from_standard_input() {
    let home = Home::new();
    let script = home.file("s.js", "return params");
    home.file("in.json", r#"{"from": "file"}"#);
    let path = script.to_str().unwrap();
    assert_eq!(home.record(&[path, "--input", "@in.json"]).succeeded().result(), &json!({ "from": "file" }));
    assert_eq!(home.feed_record(&[path, "--input", "-"], r#"{"from": "stdin"}"#).succeeded().result(), &json!({ "from": "stdin" }));
    for input in ["[1]", "{", "@none.json"] {
        let ended = home.run(&["run", path, "--input", input]);
        assert!(matches!(ended.code, Some(1 | 2)), "{input}: {ended}");
    }
}

#[test]
fn a_dry_run_shows_what_would_run_and_runs_nothing() {
    let home = Home::new();
    let script = home.file("s.js", "// /// wardroom\n// read = [\".\"]\n// env = [\"HOME\"]\n// ///\nreturn 1");
    let shown = home.run(&["run", script.to_str().unwrap(), "--allow-read=.", "--dry-run", "--json"]);
    assert_eq!(shown.code, Some(0), "{shown}");
    let plan = shown.json();
    assert_eq!((&plan["entry"], &plan["missing"]), (&json!("script"), &json!(["--allow-env=HOME"])), "{plan}");
    assert_eq!(plan["access"]["folders"][0]["text"], ".");
    assert!(home.executions().is_empty());
}

#[test]
fn a_result_goes_to_a_file_of_any_size_that_was_named() {
    let home = Home::new();
    let script = home.file("s.js", "return 'x'.repeat(3 << 20)");
    let cut = home.record(&[script.to_str().unwrap()]);
    assert_eq!(cut.ending(), ("failed", "limit", "guest", Some(3)));
    let ended = home.run(&["run", script.to_str().unwrap(), "--output", "out.txt"]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.is_empty());
    assert!(fs::metadata(home.work().join("out.txt")).unwrap().len() >= 3 << 20);
}
