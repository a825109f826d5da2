//! The record of an execution: one row, however it ends; and what can be done
//! with it from another process.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::guests;
use crate::support::home::{BINARY, Home, Running, chmod};
use crate::support::parts::needs;
use crate::support::server::Server;

/// The one execution there is.
#[track_caller]
fn only(home: &Home) -> Value {
    let rows = home.executions();
    assert_eq!(rows.len(), 1, "one row: {rows:?}");
    rows[0].clone()
}

fn word<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or("")
}

#[test]
fn each_way_to_end_leaves_one_row() {
    let task = guests::task().to_str().unwrap().to_owned();
    let exit = guests::command("exit_code").to_str().unwrap().to_owned();
    let busy = guests::command("busy_loop").to_str().unwrap().to_owned();
    let table: [(&[&str], &str, &str, &str); 8] = [
        (&[&task], "success", "", ""),
        (&[&task, "--param", "end=failed"], "failed", "failed", "guest"),
        (&[&task, "--param", "end=invalid"], "failed", "invalid", "operator"),
        (&[&task, "--param", "end=panic"], "failed", "trap", "guest"),
        (&[&task, "--param", "end=needs_approval"], "awaiting-approval", "needs_approval", "operator"),
        (&[&exit, "--", "1"], "failed", "exit", "guest"),
        (&[&busy, "--timeout=800ms"], "timeout", "deadline", "guest"),
        (&[&busy, "--fuel=1000000"], "failed", "limit", "guest"),
    ];
    for (args, status, kind, blame) in table {
        let home = Home::new();
        let record = home.record(args);
        let row = only(&home);
        assert_eq!((word(&row, "status"), word(&row, "failure_kind"), word(&row, "blame")), (status, kind, blame), "{args:?}");
        assert_eq!((word(&row, "id"), &row["attempt"]), (record.id(), &json!(1)));
        assert!(row["started_at"].is_string() && row["finished_at"].is_string() && row["duration_ms"].is_u64(), "{row}");
    }
}

#[test]
fn a_run_that_leaves_a_request_behind_is_recorded_however_they_race() {
    let (home, server) = (Home::new(), Server::start());
    let script = home.file("leaves.js", "fetch(params.url).catch(() => {}); return 'left'");
    let (url, net) = (format!("url={}", server.base()), format!("--allow-net={}", server.base()));
    for _ in 0..40 {
        let record = home.record(&[script.to_str().unwrap(), "--param", &url, &net]);
        assert_eq!(record.succeeded().result(), "left");
    }
    let rows = home.executions();
    assert_eq!(rows.iter().filter(|row| word(row, "status") == "success").count(), 40, "{rows:?}");
}

#[test]
fn a_record_holds_what_was_run_with_which_access_and_what_it_used() {
    let server = Server::start();
    let home = Home::new();
    let script = home.file("s.js", "await fetch(params.url); await fs.writeFile('out/x', 'y'); console.log('said'); return { done: true }");
    fs::create_dir(home.work().join("out")).unwrap();
    let url = server.base();
    let net = format!("--allow-net={url}");
    let record = home.record(&[script.to_str().unwrap(), &net, "--allow-write=out", "--param", &format!("url={url}")]);
    record.succeeded();
    let shown = home.read(&["exec", "show", record.id(), "--json"]);
    assert_eq!(shown, record.json);
    assert_eq!(
        (&shown["trigger"], &shown["output"]["json"], &shown["params"]["url"]),
        (&json!("cli"), &json!({ "done": true }), &json!(url))
    );
    assert_eq!(shown["hosts"], json!([server.address().to_string()]));
    assert_eq!((&shown["access"]["folders"][0]["text"], &shown["access"]["folders"][0]["write"]), (&json!("out"), &json!(true)));
    assert!(shown["cpu_us"].as_u64().unwrap() > 0 && shown["peak_memory"].as_u64().unwrap() > 0, "{shown}");
    assert!(word(&shown, "digest").starts_with("sha256:"));
    let prefix = record.id().get(..24).unwrap();
    assert_eq!(home.read(&["exec", "show", prefix, "--json"])["id"], record.id());
}

#[test]
fn lists_are_newest_first_and_can_be_narrowed() {
    let home = Home::new();
    let good = home.file("good.js", "console.log('needle'); return 1");
    let bad = home.file("bad.js", "throw new Error('x')");
    let ids: Vec<String> = [&good, &bad, &good].iter().map(|path| home.record(&[path.to_str().unwrap()]).id().to_owned()).collect();
    let listed = |args: &[&str]| -> Vec<String> {
        let all: Vec<&str> = ["exec", "list", "--json"].into_iter().chain(args.iter().copied()).collect();
        home.read(&all)["executions"].as_array().unwrap().iter().map(|row| word(row, "id").to_owned()).collect()
    };
    let newest: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(listed(&[]), newest);
    assert_eq!(listed(&["--status", "failed"]), [ids[1].clone()]);
    assert_eq!(listed(&["--program", "good"]), [ids[2].clone(), ids[0].clone()]);
    assert_eq!(listed(&["--text", "needle"]).len(), 2);
    assert_eq!(listed(&["--limit", "1", "--offset", "1"]), [ids[1].clone()]);
    assert!(listed(&["--status", "timeout"]).is_empty());
}

#[test]
fn log_lines_keep_their_order_level_and_time() {
    let home = Home::new();
    let script =
        home.file("s.js", "for (let i = 0; i < 500; i++) (i % 2 ? console.warn : console.info)(`line ${i}`); console.error('end\\nof it')");
    let record = home.record(&[script.to_str().unwrap()]);
    record.succeeded();
    let ended = home.run(&["exec", "logs", record.id(), "--json"]);
    let lines: Vec<Value> = ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 501);
    for (index, line) in lines.iter().take(500).enumerate() {
        let level = if index % 2 == 1 { "warn" } else { "info" };
        assert_eq!((word(line, "text"), word(line, "level")), (format!("line {index}").as_str(), level));
    }
    assert_eq!((word(&lines[500], "text"), word(&lines[500], "level")), ("end\nof it", "error"));
    let mut times: Vec<&str> = lines.iter().map(|line| word(line, "at")).collect();
    let in_order = times.clone();
    times.sort_unstable();
    assert_eq!(times, in_order);
}

#[test]
fn a_killed_process_leaves_an_interrupted_row_with_its_lines() {
    let home = Home::new();
    let guest = guests::command("write_and_sleep");
    fs::create_dir(home.work().join("out")).unwrap();
    let running = home.start(&["run", "--allow-write=out", guest.to_str().unwrap(), "--", "out/x"]);
    running.until_stderr("written");
    // The file is there, and so its row must be: the start comes first.
    let row = only(&home);
    assert_eq!((word(&row, "status"), &row["finished_at"]), ("running", &Value::Null));
    running.signal(Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.signal, Some(9), "{ended}");
    let row = only(&home);
    assert_eq!(word(&row, "status"), "interrupted");
    assert_eq!(row["duration_ms"], Value::Null, "nobody knows when it died");
    assert_eq!(word(&only(&home), "status"), "interrupted", "and it stays so");
}

#[test]
fn an_effect_is_recorded_even_if_the_process_dies_right_after_it() {
    let server = Server::start();
    let home = Home::new();
    let guest = guests::command("fetch");
    let net = format!("--allow-net={}", server.base());
    let running = home.start(&["run", &net, guest.to_str().unwrap(), "--", &format!("{}/never", server.base())]);
    let start = std::time::Instant::now();
    while server.requests().is_empty() {
        assert!(start.elapsed() < crate::support::PATIENCE, "the request arrives");
        std::thread::yield_now();
    }
    running.signal(Signal::KILL);
    running.wait();
    assert_eq!(word(&only(&home), "status"), "interrupted");
}

#[test]
fn ctrl_c_cancels_with_exit_code_130() {
    for (name, said) in [("sleep_forever", "sleeping"), ("busy_loop", "spinning")] {
        let home = Home::new();
        let guest = guests::command(name);
        let running = home.start(&["run", guest.to_str().unwrap()]);
        running.until_stderr(said);
        running.signal(Signal::INT);
        let ended = running.wait();
        assert_eq!((ended.code, ended.text().as_str()), (Some(130), "kept\n"), "{ended}");
        let row = only(&home);
        assert_eq!((word(&row, "status"), word(&row, "failure_kind")), ("cancelled", "cancelled"));
    }
}

#[test]
fn another_process_cancels() {
    let home = Home::new();
    let guest = guests::command("sleep_forever");
    let running = home.start(&["run", guest.to_str().unwrap()]);
    running.until_stderr("sleeping");
    let id = until_running(&home);
    let cancelled = home.run(&["exec", "cancel", &id, "--json"]);
    assert_eq!(cancelled.code, Some(0), "{cancelled}");
    assert_eq!(running.wait().code, Some(130));
    assert_eq!(word(&only(&home), "status"), "cancelled");
    let again = home.run(&["exec", "cancel", &id]);
    assert_eq!(again.code, Some(1), "{again}");
    assert!(again.stderr.contains("has ended already"), "{again}");
}

/// The id of what is running; its row comes into being within moments.
fn until_running(home: &Home) -> String {
    let start = std::time::Instant::now();
    loop {
        if let [row] = home.executions().as_slice()
            && word(row, "status") == "running"
        {
            return word(row, "id").to_owned();
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "a row of what runs");
    }
}

#[test]
fn another_process_follows_the_log_to_its_end() {
    let home = Home::new();
    let guest = guests::command("wait_for_file");
    fs::create_dir(home.work().join("signs")).unwrap();
    let running = home.start(&["run", "--allow-read=signs", guest.to_str().unwrap(), "--", "signs/stop"]);
    running.until_stderr("line 3");
    let id = until_running(&home);
    let follower = home.start(&["exec", "logs", "--follow", "--json", &id]);
    follower.until_stdout("line 0");
    follower.until_stdout("line 10");
    home.file("signs/stop", "");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    let followed = follower.wait();
    assert_eq!(followed.code, Some(0), "{followed}");
    let texts = |ended: &str| -> Vec<String> {
        ended.lines().map(|line| word(&serde_json::from_str::<Value>(line).unwrap(), "text").to_owned()).collect()
    };
    let seen = texts(&followed.text());
    assert!(seen.last().is_some_and(|line| line.starts_with("done after")), "{seen:?}");
    assert_eq!(seen, texts(&home.run(&["exec", "logs", "--json", &id]).text()), "what was followed is what was kept");
    let late = home.run(&["exec", "logs", "--follow", "--json", &id]);
    assert_eq!(texts(&late.text()), seen, "following what has ended shows it all");
}

#[test]
fn an_unknown_or_ambiguous_id_is_an_error_with_the_way_on() {
    let home = Home::new();
    let script = home.file("s.js", "return 1");
    home.record(&[script.to_str().unwrap()]).succeeded();
    home.record(&[script.to_str().unwrap()]).succeeded();
    for (id, says) in [("ffffffff", "there is no execution"), ("0", "the beginning of 2 executions' ids")] {
        for verb in ["show", "logs", "cancel"] {
            let ended = home.run(&["exec", verb, id]);
            assert_eq!(ended.code, Some(1), "{ended}");
            assert!(ended.stderr.contains(says) && ended.stderr.contains("`wardroom exec list`"), "{ended}");
        }
    }
}

#[test]
fn runs_at_once_in_one_home_each_have_their_row() {
    let home = Home::new();
    let script = home.file("s.js", "return params.n");
    let running: Vec<Running> = (0..8).map(|n| home.start(&["run", script.to_str().unwrap(), "--param", &format!("n={n}")])).collect();
    for (n, process) in running.into_iter().enumerate() {
        let ended = process.wait();
        assert_eq!(ended.code, Some(0), "{ended}");
        assert!(ended.text().contains(&n.to_string()));
    }
    assert_eq!(home.executions().iter().filter(|row| word(row, "status") == "success").count(), 8);
}

/// Runs of every length around the moment at which a start row is written.
#[test]
fn a_run_that_ends_while_its_start_row_is_written_has_one_row() {
    let home = Home::new();
    let script = home.file("s.js", "await new Promise((done) => setTimeout(done, params.ms)); return 1");
    let mut count = 0;
    for ms in 40..60 {
        for _ in 0..2 {
            home.record(&[script.to_str().unwrap(), "--input", &json!({ "ms": ms }).to_string()]).succeeded();
            count += 1;
        }
    }
    assert_eq!(home.executions().len(), count);
}

// ── A home that cannot be used ──────────────────────────────────────────────

/// Any verb says why, with the exit code, and does nothing.
#[track_caller]
fn refused(home: &Home, code: i32, says: &str) {
    let script = home.file("refused.js", "return 1");
    for args in [vec!["run", script.to_str().unwrap()], vec!["exec", "list"]] {
        let ended = home.run(&args);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended}");
        assert!(ended.stderr.contains(says), "{args:?}: {ended}");
        assert!(ended.stdout.is_empty(), "{args:?}: {ended}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    let script = home.file("s.js", "return 1");
    home.record(&[script.to_str().unwrap()]).succeeded();
    // The schema's version (`user_version`), 4 bytes at offset 60 of the header
    // (SQLite file format 1.3).
    let database = home.path().join("wardroom.db");
    // What the log beside it holds goes where the header is read from.
    for name in ["wardroom.db-wal", "wardroom.db-shm"] {
        drop(fs::remove_file(home.path().join(name)));
    }
    let mut bytes = fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&database, &bytes).unwrap();
    refused(&home, 1, "schema version 99");
    assert_eq!(fs::read(&database).unwrap()[60..64], 99_u32.to_be_bytes());
}

#[test]
fn a_home_that_others_may_enter_is_refused() {
    let home = Home::new();
    for mode in [0o755, 0o770, 0o701] {
        chmod(&home.path(), mode);
        refused(&home, 1, &format!("mode {mode:03o}"));
    }
    chmod(&home.path(), 0o700);
}

#[test]
fn a_database_that_others_may_read_is_refused() {
    let home = Home::new();
    home.executions();
    chmod(&home.path().join("wardroom.db"), 0o644);
    refused(&home, 1, "mode 644");
}

#[test]
fn damaged_bytes_in_place_of_the_database_are_refused() {
    let home = Home::new();
    fs::write(home.path().join("wardroom.db"), "not a database, ".repeat(500)).unwrap();
    chmod(&home.path().join("wardroom.db"), 0o600);
    refused(&home, 70, "no SQLite database");
}

#[test]
fn a_config_with_an_unknown_key_is_refused_with_its_line() {
    let home = Home::new();
    fs::write(home.path().join("config.toml"), "[limits]\nmemmory = \"1MiB\"\n").unwrap();
    refused(&home, 1, "line 2");
}

#[test]
fn limits_of_the_config_hold_for_runs_that_name_none() {
    let home = Home::new();
    fs::write(home.path().join("config.toml"), "[limits]\ntimeout = \"400ms\"\nmemory = \"32MiB\"\n").unwrap();
    let guest = guests::command("busy_loop");
    let record = home.record(&[guest.to_str().unwrap()]);
    assert_eq!(record.ending(), ("timeout", "deadline", "guest", Some(3)));
    assert_eq!((&record.json["limits"]["deadline_ms"], &record.json["limits"]["memory"]), (&json!(400), &json!(32 << 20)));
}

#[test]
fn an_unreadable_home_is_refused() {
    // The superuser may read anything, unless that right is taken away.
    let root = rustix::process::geteuid().is_root();
    let present = !root || Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    if !needs("the command `setpriv`", present, "Debian package util-linux") {
        return;
    }
    let home = Home::new();
    for closed in [home.path().join("run"), home.path()] {
        home.executions();
        chmod(&closed, 0o000);
        let mut command = if root { Command::new("setpriv") } else { Command::new("env") };
        home.prepare(&mut command);
        if root {
            command.arg("--bounding-set=-dac_override,-dac_read_search");
        }
        let script = home.file("s.js", "return 1");
        let ended = Running::start(command.arg(BINARY).arg("run").arg(script), b"").wait();
        chmod(&closed, 0o700);
        assert!(matches!(ended.code, Some(1 | 70)), "{}: {ended}", closed.display());
        assert!(ended.stderr.starts_with("error: ") && ended.stdout.is_empty(), "{}: {ended}", closed.display());
    }
}

#[test]
fn a_home_that_is_a_file_is_refused() {
    let home = Home::new();
    let file = home.file("file", "");
    let ended = home.run(&["--home", file.to_str().unwrap(), "exec", "list"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("is no folder"), "{ended}");
}

/// Runs in a process that may write files of so many blocks of 512 bytes.
fn with_file_limit(home: &Home, blocks: u32, args: &[&str]) -> crate::support::home::Ended {
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    // Without the signal, a write beyond the limit fails as on a full disk.
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    command.args(["-c", &line, "sh", BINARY]).args(args);
    Running::start(&mut command, b"").wait()
}

#[test]
fn what_cannot_be_recorded_ends_with_the_machine_to_blame() {
    let home = Home::new();
    let script = home.file("s.js", "console.log('x'.repeat(900_000)); return 'y'.repeat(900_000)");
    // The interpreter is compiled, the database is there: only the record grows.
    home.record(&[home.file("first.js", "return 1").to_str().unwrap()]).succeeded();
    let ended = with_file_limit(&home, 512, &["run", "--json", script.to_str().unwrap()]);
    assert_eq!(ended.code, Some(70), "{ended}");
    assert!(ended.stderr.contains("be recorded"), "{ended}");
    // With room again, everything works, and nothing is left running.
    home.record(&[home.file("last.js", "return 1").to_str().unwrap()]).succeeded();
    assert!(home.executions().iter().all(|row| word(row, "status") != "running"));
}

#[test]
fn a_program_with_an_effect_does_not_get_to_it_on_a_full_disk() {
    let server = Server::start();
    let home = Home::new();
    home.record(&[home.file("first.js", "return 1").to_str().unwrap()]).succeeded();
    let net = format!("--allow-net={}", server.base());
    let script = home.file("s.js", "return (await fetch(params.url)).status");
    let params = json!({ "url": server.base() }).to_string();
    let ended = with_file_limit(&home, 0, &["run", &net, script.to_str().unwrap(), "--input", &params]);
    assert_eq!(ended.code, Some(70), "{ended}");
    assert!(server.requests().is_empty(), "no request without its start row");
}

/// A witness of the host's own that has a bug.
struct Buggy;

impl wardroom::execution::Live for Buggy {
    fn line(&self, _: &wardroom_core::log::LogLine) {
        panic!("a bug of the test's");
    }

    fn progress(&self, _: &wardroom_core::log::Progress) {}

    fn refused(&self, _: &wardroom_core::capability::Refusal) {}
}

#[test]
fn a_bug_of_ours_in_a_run_ends_its_record_and_blames_the_host() {
    let home = Home::new();
    let script = home.file("says.js", "console.log('hello'); await new Promise(done => setTimeout(done, 60000));");
    let wardroom = wardroom::Wardroom::open(&home.path(), BINARY.into(), std::sync::Arc::new(wardroom_host::Silent)).unwrap();
    let wardroom = std::sync::Arc::new(wardroom);
    let request = wardroom::execution::resolve::RunRequest {
        source: wardroom::execution::resolve::Source::File(wardroom_core::program::ProgramName { path: script, function: None }),
        id: wardroom_core::id::ExecutionId::fresh(),
        attempt: 1,
        base: home.work(),
        trigger: wardroom_core::execution::Trigger::Cli,
        occasion: wardroom_core::task::Occasion::default(),
        params: serde_json::Map::new(),
        offered: serde_json::Map::new(),
        text_params: Vec::new(),
        args: Vec::new(),
        stdin: Vec::new(),
        limits: wardroom_core::limit::NamedLimits::default(),
        output_bytes: None,
    };
    let ended = crate::support::library::RUNTIME.block_on(async {
        let plan = wardroom.resolve(request).await.unwrap();
        let plan = wardroom.authorize(plan, wardroom_core::capability::Grants::default(), |_| None).unwrap();
        let run = wardroom.execute(plan, std::sync::Arc::new(Buggy), Box::pin(std::future::pending()));
        tokio::time::timeout(crate::support::PATIENCE, run).await.expect("it ends")
    });
    let failure = ended.unwrap().ending.unwrap_err();
    assert_eq!(failure.kind, wardroom_core::failure::FailureKind::Host, "{failure:?}");
    let row = only(&home);
    assert_eq!((word(&row, "status"), word(&row, "failure_kind"), word(&row, "blame")), ("failed", "host", "host"), "{row}");
    assert!(!row.to_string().contains("a bug of the test's"), "what a panic says may hold anything: {row}");
}
