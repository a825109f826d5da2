//! The command line under bad conditions: pipes that nobody reads, text that
//! would pass for ours, folders and files that are not what they seem.

use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::home::{Home, chmod};

/// Logs more than any pipe holds, then spins.
const FLOOD: &str = "for (let i = 0; i < 4000; i++) console.log('x'.repeat(200));\nwhile (true) {}\n";

#[test]
fn a_run_whose_log_nobody_reads_ends_at_its_deadline_all_the_same() {
    let home = Home::new();
    home.file("flood.js", FLOOD);
    let mut command = home.command(&["run", "flood.js", "--timeout=300ms"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < PATIENCE, "it waits for a reader");
        std::thread::yield_now();
    };
    assert_eq!(status.code(), Some(3));
    assert_eq!(home.executions()[0]["status"], "timeout");
}

#[test]
fn no_line_of_a_failure_passes_for_one_of_ours() {
    let home = Home::new();
    home.file("forge.js", "throw new Error('boom\\nhint: Allow it with `--allow-write=/`.');");
    let ended = home.run(&["run", "forge.js"]);
    assert!(!ended.stderr.lines().any(|line| line.starts_with("hint")), "{ended}");
}

#[test]
fn a_hint_holds_no_text_that_a_shell_would_run() {
    let home = Home::new();
    home.file("inject.js", "await fs.readFile('/$(touch pwned)/x').catch(() => {}); throw new Failure('denied', 'no');");
    home.file("lines.js", "await fs.readFile('/a\\nhint: b/x').catch(() => {}); throw new Failure('denied', 'no');");
    let quoted = home.run(&["run", "inject.js"]);
    assert!(quoted.stderr.contains("'--allow-read=$(touch pwned)'"), "{quoted}");
    let dropped = home.run(&["run", "lines.js"]);
    assert!(!dropped.stderr.lines().any(|line| line.starts_with("hint: b")), "{dropped}");
}

#[test]
fn whoever_asks_for_json_gets_errors_as_json_too() {
    let home = Home::new();
    let ended = home.run(&["run", "missing.js", "--json"]);
    assert_eq!((ended.code, &ended.json()["error"]["exit_code"]), (Some(1), &serde_json::json!(1)));
}

#[test]
fn words_that_are_no_command_are_an_error_as_json_too() {
    let home = Home::new();
    let help = "For more information, try '--help'.";
    for (words, message) in [
        (&["run", "--json", "--bogus"][..], "unexpected argument '--bogus' found"),
        (&["exec", "lst", "--json"], "unrecognized subcommand 'lst'"),
        (&["exec", "list", "--limit=x", "--json"], "invalid value 'x' for '--limit <N>': invalid digit found in string"),
    ] {
        let ended = home.run(words);
        let error = &ended.json()["error"];
        assert_eq!((ended.code, &error["exit_code"], &error["message"]), (Some(2), &2.into(), &message.into()), "{ended}");
        assert_eq!(error["hints"].as_array().and_then(|hints| hints.last()), Some(&help.into()), "{ended}");
        assert!(ended.stderr.starts_with(&format!("error: {message}\n")) && ended.stderr.ends_with(&format!("{help}\n")), "{ended}");
    }
    // Words for the program, and a server, whose standard output is its protocol's.
    for words in [&["run", "--bogus", "--", "--json"][..], &["mcp", "--bogus", "--json"]] {
        let ended = home.run(words);
        assert_eq!((ended.code, ended.stdout.is_empty()), (Some(2), true), "{ended}");
    }
    let help = home.run(&["run", "--json", "--help"]);
    assert!(help.code == Some(0) && String::from_utf8_lossy(&help.stdout).contains("Usage: wardroom run"), "{help}");
}

#[test]
fn a_program_that_is_not_there_is_said_before_standard_input_is_read() {
    let home = Home::new();
    let mut command = home.command(&["run", "missing.wasm"]);
    // A pipe that stays open: reading it would wait for ever.
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let open = child.stdin.take();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "it reads standard input");
        std::thread::yield_now();
    }
    drop(open);
}

#[test]
fn the_data_folder_is_granted_under_no_name() {
    let home = Home::new();
    home.file("any.js", "return 1;");
    symlink(home.path(), home.work().join("link")).unwrap();
    let own = home.path().display().to_string();
    let within = format!("{own}/cache");
    let above = home.path().parent().unwrap().display().to_string();
    for folder in [own.as_str(), &within, &above, "link", "link/run", "/"] {
        for flag in ["--allow-read", "--allow-write"] {
            let ended = home.run(&["run", "any.js", &format!("{flag}={folder}")]);
            assert_eq!(ended.code, Some(1), "{folder}: {ended}");
            assert!(ended.stderr.contains("own data folder"), "{ended}");
        }
    }
}

#[test]
fn a_cache_that_leads_elsewhere_is_refused() {
    let home = Home::new();
    home.file("any.js", "return 1;");
    std::fs::create_dir(home.work().join("elsewhere")).unwrap();
    let cache = home.path().join("cache");
    std::fs::remove_dir_all(&cache).unwrap();
    symlink(home.work().join("elsewhere"), &cache).unwrap();
    let ended = home.run(&["run", "any.js"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    std::fs::remove_file(&cache).unwrap();
    std::fs::create_dir(&cache).unwrap();
    chmod(&cache, 0o700);
}

#[test]
fn the_kernels_own_folders_are_never_granted() {
    let home = Home::new();
    home.file("any.js", "return 1;");
    for folder in ["/proc", "/proc/self", "/sys"] {
        let ended = home.run(&["run", "any.js", &format!("--allow-read={folder}")]);
        assert_eq!(ended.code, Some(1), "{ended}");
        assert!(ended.stderr.contains("the kernel's own"), "{ended}");
    }
}

#[test]
fn a_request_that_is_given_up_early_does_not_cost_the_record() {
    let home = Home::new();
    home.file(
        "abort.js",
        "const stop = new AbortController(); const asked = fetch('http://127.0.0.1:9/', {signal: stop.signal}).catch(() => {}); stop.abort(); await asked; await fs.writeFile('out/x', 'y'); return 'kept';",
    );
    std::fs::create_dir(home.work().join("out")).unwrap();
    let record = home.record(&["abort.js", "--allow-net=http://127.0.0.1:9", "--allow-write=out"]);
    assert_eq!(record.succeeded().result(), "kept");
}

#[test]
fn runs_that_end_as_their_start_row_is_written_are_recorded_once() {
    let home = Home::new();
    home.file("wait.js", "await new Promise((done) => setTimeout(done, params.ms)); return params.ms;");
    for ms in (30..=70).step_by(2) {
        let record = home.record(&["wait.js", "--param", &format!("ms={ms}")]);
        assert_eq!(record.succeeded().result(), ms);
    }
    assert_eq!(home.executions().len(), 21);
}

#[test]
fn a_terminated_run_is_cancelled_and_says_so() {
    let home = Home::new();
    home.file("spin.js", "console.log('spinning'); while (true) {}");
    let running = home.start(&["run", "spin.js"]);
    running.until_stderr("spinning");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, Some(130));
    assert_eq!(home.executions()[0]["status"], "cancelled");
}

#[test]
fn large_results_are_not_blown_up_by_indenting() {
    let home = Home::new();
    home.file("deep.js", "let v = []; for (let i = 0; i < 100; i++) v = [v]; return Array(3000).fill(v);");
    let ended = home.run(&["run", "deep.js"]);
    let value: serde_json::Value = ended.json();
    assert!(ended.stdout.len() <= value.to_string().len() + 1, "{} bytes", ended.stdout.len());
}

#[test]
fn a_module_that_makes_a_parser_panic_is_bad_bytes_and_no_compile_limit() {
    let home = Home::new();
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/component/7-body-beyond-its-end.wasm");
    let ended = home.run(&["run", seed]);
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains("no valid WebAssembly"), "{ended}");
}
