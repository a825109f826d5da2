//! Programs that mean harm: each is ended at its limit, blamed right, with what
//! it had put out kept, while a well-behaved one beside it is not disturbed.
//!
//! No test measures time; each says that something ends at all, and how.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use wardroom_core::clock::SystemClock;
use wardroom_core::execution::Status;
use wardroom_core::failure::{FailureKind, Output};
use wardroom_core::limit::MAX_HANDLES;
use wardroom_host::wire::{Wire, WireConfig};
use wardroom_host::{Host, HostConfig, HostError, Silent};

use crate::support::guests;
use crate::support::home::{BINARY, Home, Running};
use crate::support::library::{Finished, Job, RUNTIME, program};
use crate::support::parts::needs;
use crate::support::server::Server;

const MIB: u64 = 1 << 20;
/// More than any loop here needs to be seen looping.
const SHORT_MS: u64 = 800;
const MUCH_FUEL: u64 = 200_000_000;

/// Runs it to its end, with well-behaved runs beside it all the while.
fn beside(hostile: Job) -> Finished {
    RUNTIME.block_on(async {
        let hostile = tokio::spawn(hostile.run());
        loop {
            let calm = Job::script("return [1, 2, 3].map((n) => n * params.by)").params(json!({ "by": 2 })).run().await;
            assert_eq!(calm.json(), &json!([2, 4, 6]));
            let calm = Job::command("say").args(&["undisturbed"]).run().await;
            assert!(matches!(&calm.outcome.ending, Ok(Output::Text(text)) if text == "undisturbed"), "{:?}", calm.outcome);
            if hostile.is_finished() {
                return hostile.await.unwrap();
            }
        }
    })
}

/// It ended as said, and what it had put out before was kept.
#[track_caller]
fn ended(finished: &Finished, kind: FailureKind, status: Status, kept: &str) {
    assert_eq!((finished.failure().0, finished.outcome.status()), (kind, status), "{:?}", finished.outcome.ending);
    assert_eq!(kind.blame(), wardroom_core::blame::Blame::Guest);
    assert_eq!(finished.partial(), kept);
}

// ── Time ────────────────────────────────────────────────────────────────────

#[test]
fn a_busy_loop_ends_at_its_deadline() {
    let finished = beside(Job::command("busy_loop").deadline_ms(SHORT_MS));
    ended(&finished, FailureKind::Deadline, Status::Timeout, "kept\n");
    assert_eq!(finished.lines(), ["spinning"]);
    assert!(finished.outcome.usage.cpu_us > 0);
}

#[test]
fn a_busy_loop_ends_when_its_fuel_is_used_up() {
    let finished = beside(Job::command("busy_loop").fuel(MUCH_FUEL));
    ended(&finished, FailureKind::Limit, Status::Failed, "kept\n");
    assert_eq!(finished.outcome.usage.fuel, Some(MUCH_FUEL));
}

#[test]
fn a_busy_loop_with_fuel_left_ends_at_its_deadline() {
    let finished = beside(Job::command("busy_loop").fuel(u64::MAX / 2).deadline_ms(SHORT_MS));
    ended(&finished, FailureKind::Deadline, Status::Timeout, "kept\n");
}

#[test]
fn a_script_and_a_typed_function_that_spin_end_at_their_deadline() {
    let finished = beside(Job::script("for (;;);").deadline_ms(SHORT_MS));
    ended(&finished, FailureKind::Deadline, Status::Timeout, "");
    let finished = beside(Job::script("await new Promise((r) => setTimeout(r, 1)); for (;;) await null;").deadline_ms(SHORT_MS));
    ended(&finished, FailureKind::Deadline, Status::Timeout, "");
    let finished = beside(Job::file(&guests::typed()).function("spin").deadline_ms(SHORT_MS));
    ended(&finished, FailureKind::Deadline, Status::Timeout, "");
    let finished = beside(Job::script("/(a*)*b/.test('a'.repeat(60))").deadline_ms(SHORT_MS));
    assert!(matches!(finished.failure().0, FailureKind::Deadline | FailureKind::Failed), "{:?}", finished.failure());
}

#[test]
fn a_sleep_in_the_host_ends_at_its_deadline() {
    for job in [Job::command("sleep_forever"), Job::command("sleep_forever").fuel(MUCH_FUEL)] {
        let finished = beside(job.deadline_ms(SHORT_MS));
        ended(&finished, FailureKind::Deadline, Status::Timeout, "kept\n");
        assert_eq!(finished.lines(), ["sleeping"]);
    }
}

#[test]
fn a_read_from_a_server_that_never_answers_ends_at_its_deadline() {
    let server = Server::start();
    for path in ["never", "half"] {
        let url = format!("{}/{path}", server.base());
        let finished = beside(Job::command("fetch").args(&[&url]).net(&server.base()).deadline_ms(SHORT_MS));
        ended(&finished, FailureKind::Deadline, Status::Timeout, "");
        assert_eq!(finished.lines(), ["asking"]);
        let script = Job::script("return await (await fetch(params.url)).text()").params(json!({ "url": url }));
        ended(&beside(script.net(&server.base()).deadline_ms(SHORT_MS)), FailureKind::Deadline, Status::Timeout, "");
    }
    assert!(!server.requests().is_empty());
}

#[test]
fn a_cancelled_loop_ends() {
    for name in ["busy_loop", "sleep_forever"] {
        let soon = Box::pin(async { tokio::time::sleep(std::time::Duration::from_millis(100)).await });
        let finished = beside(Job::command(name).cancelled_by(soon));
        assert_eq!((finished.failure().0, finished.outcome.status()), (FailureKind::Cancelled, Status::Cancelled));
        assert_eq!(finished.partial(), "kept\n");
    }
}

#[test]
fn a_start_function_that_loops_ends_at_its_deadline() {
    let text = r#"(component
        (core module $m (func $spin (loop (br 0))) (start $spin) (func (export "run")))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    ended(&beside(Job::text(text).deadline_ms(SHORT_MS)), FailureKind::Deadline, Status::Timeout, "");
    ended(&beside(Job::text(text).fuel(MUCH_FUEL)), FailureKind::Limit, Status::Failed, "");
}

// ── Files that block ────────────────────────────────────────────────────────

#[test]
fn opening_a_fifo_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let operations = json!([["read", "/data/fifo"], ["write", "/data/fifo", "x"], ["append", "/data/fifo", "x"]]);
    let finished = beside(Job::command("files").stdin(operations.to_string()).folder("/data", folder.path(), true));
    assert!(finished.json().as_array().unwrap().iter().all(|answer| answer.get("error").is_some()), "{}", finished.json());
}

#[test]
fn a_fifo_swapped_in_while_a_file_is_opened_ends_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    fs::write(name("file"), "plain").unwrap();
    mknodat(CWD, name("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::hard_link(name("file"), name("x")).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (ended_flag, path) = (over.clone(), folder.path().to_owned());
    let swapper = std::thread::spawn(move || {
        while !ended_flag.load(Ordering::Relaxed) {
            for kind in ["fifo", "file"] {
                // Replaced whole, so that something is there at any time.
                fs::hard_link(path.join(kind), path.join("next")).unwrap();
                fs::rename(path.join("next"), path.join("x")).unwrap();
                // Where both names are one file already, the first one stays.
                drop(fs::remove_file(path.join("next")));
            }
        }
    });
    let job = Job::command("open_loop").args(&["/data/x"]).folder("/data", folder.path(), false);
    let finished = beside(job.deadline_ms(SHORT_MS));
    over.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    ended(&finished, FailureKind::Deadline, Status::Timeout, "kept\n");
}

// ── Memory ──────────────────────────────────────────────────────────────────

#[test]
fn memory_growth_ends_at_the_memory_limit() {
    for job in [Job::command("memory_growth"), Job::command("memory_growth").fuel(100 * MUCH_FUEL)] {
        let finished = beside(job.memory(16 * MIB));
        ended(&finished, FailureKind::Limit, Status::Failed, "kept\n");
        assert_eq!(finished.failure().1, "the memory limit of 16MiB was reached");
        let peak = finished.outcome.usage.peak_memory;
        assert!((8 * MIB..=16 * MIB).contains(&peak), "{peak}");
    }
}

#[test]
fn many_memories_share_one_limit() {
    let memories = "(memory 1) ".repeat(8);
    let grow = (0..8).fold(String::new(), |mut text, index| {
        write!(text, "(if (i32.eq (memory.grow {index} (i32.const 4)) (i32.const -1)) (then unreachable))").unwrap();
        text
    });
    let text = format!(
        r#"(component
            (core module $m {memories} (func (export "run") (loop $again {grow} (br $again))))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    let finished = beside(Job::text(&text).memory(16 * MIB));
    ended(&finished, FailureKind::Limit, Status::Failed, "");
    let peak = finished.outcome.usage.peak_memory;
    assert!((15 * MIB..=16 * MIB).contains(&peak), "{peak}");
}

#[test]
fn a_table_counts_as_memory() {
    let text = r#"(component
        (core module $m (table 1 funcref)
            (func (export "run")
                (loop $again
                    (if (i32.eq (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)) (then unreachable))
                    (br $again))))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let finished = beside(Job::text(text).memory(MIB / 4));
    ended(&finished, FailureKind::Limit, Status::Failed, "");
    assert!(finished.outcome.usage.peak_memory <= MIB / 4);
}

#[test]
fn what_needs_more_than_the_sandbox_has_is_not_started() {
    let component = |module: &str| {
        format!(
            r#"(component
                (core module $m {module} (func (export "run")))
                (core instance $i (instantiate $m))
                (func (export "run") (canon lift (core func $i "run"))))"#
        )
    };
    for module in
        ["(memory 1)".repeat(50), "(table 1 funcref)".repeat(50), "(memory 2000)".to_owned(), "(table 1000000 funcref)".to_owned()]
    {
        let finished = RUNTIME.block_on(Job::text(&component(&module)).try_run());
        match finished {
            Ok(finished) => {
                assert!(matches!(finished.failure().0, FailureKind::Limit | FailureKind::Program), "{module:.40}: {:?}", finished.failure())
            }
            Err(error) => assert!(matches!(error, HostError::TooMuch(_)), "{module:.40}: {error:?}"),
        }
    }
}

#[test]
fn deep_recursion_is_a_trap_of_the_program() {
    for job in [Job::command("deep_recursion"), Job::command("deep_recursion").fuel(MUCH_FUEL)] {
        let finished = beside(job);
        ended(&finished, FailureKind::Trap, Status::Failed, "kept\n");
        assert_eq!(finished.failure().1, "the program's call stack is exhausted");
    }
}

#[test]
fn endless_recursion_is_the_scripts_own_error() {
    let caught = Job::script("const f = () => f() + 1; try { f() } catch (error) { return error.name }").finish();
    assert_eq!(caught.json(), &json!("RangeError"));
    let finished = beside(Job::script("const f = () => f() + 1; return f()"));
    assert_eq!(finished.failure().0, FailureKind::Failed);
    assert!(finished.failure().1.starts_with("RangeError"), "{:?}", finished.failure());
}

// ── Floods ──────────────────────────────────────────────────────────────────

#[test]
fn a_huge_log_is_cut_once_with_one_marker() {
    let finished = beside(Job::command("huge_log").args(&["4"]));
    assert!(matches!(&finished.outcome.ending, Ok(Output::Text(text)) if text == "kept\n"), "{:?}", finished.outcome.ending);
    assert!(finished.outcome.usage.log_truncated);
    let lines = finished.lines();
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    assert!((900_000..=(1 << 20) + 200).contains(&bytes), "{bytes}");
    let marker = "the log is full: what follows was dropped";
    assert_eq!(lines.iter().filter(|line| **line == marker).count(), 1);
    assert_eq!(lines.last(), Some(&marker));
}

#[test]
fn a_huge_output_of_a_command_is_cut() {
    let finished = beside(Job::command("huge_output").args(&["4"]));
    assert!(finished.outcome.usage.output_truncated);
    let Ok(Output::Text(text)) = &finished.outcome.ending else { panic!("text, found {:?}", finished.outcome.ending) };
    assert_eq!(text.len(), 1 << 20);
}

#[test]
fn a_huge_result_is_refused_and_not_cut() {
    let source = Job::script("return 'x'.repeat(2 << 20)");
    let function = Job::file(&guests::typed()).function("repeat-text").params(json!({ "text": "0123456789abcdef", "times": 1 << 17 }));
    for job in [source, function] {
        ended(&beside(job), FailureKind::Limit, Status::Failed, "");
    }
}

#[test]
fn a_flood_of_handles_ends_at_its_limit() {
    let finished = beside(Job::command("handle_flood"));
    ended(&finished, FailureKind::Limit, Status::Failed, "kept\n");
    assert_eq!(finished.failure().1, format!("more than {MAX_HANDLES} handles were open at once"));
}

#[test]
fn a_flood_of_host_calls_ends_like_any_loop() {
    let finished = beside(Job::command("host_call_flood").deadline_ms(SHORT_MS));
    ended(&finished, FailureKind::Deadline, Status::Timeout, "kept\n");
    let finished = beside(Job::command("host_call_flood").fuel(MUCH_FUEL / 10));
    ended(&finished, FailureKind::Limit, Status::Failed, "kept\n");
}

#[test]
fn four_gigabytes_of_random_bytes_are_not_made() {
    let finished = beside(Job::command("random_flood"));
    assert!(matches!(finished.failure().0, FailureKind::Limit | FailureKind::Trap), "{:?}", finished.failure());
    assert_eq!(finished.partial(), "kept\n");
}

/// A component that hands `log.emit` a text of so many bytes.
fn claiming(bytes: u32) -> String {
    format!(
        r#"(component
            (import "wardroom:automation/log@0.1.0" (instance $log
                (type $level (enum "debug" "info" "warn" "error"))
                (export "level" (type $exported (eq $level)))
                (export "emit" (func (param "level" $exported) (param "message" string)))))
            (core module $memory (memory (export "memory") 320))
            (core instance $memory (instantiate $memory))
            (core func $emit (canon lower (func $log "emit") (memory (core memory $memory "memory"))))
            (core module $m
                (import "log" "emit" (func $emit (param i32 i32 i32)))
                (func (export "run") (call $emit (i32.const 1) (i32.const 0) (i32.const {bytes}))))
            (core instance $i (instantiate $m (with "log" (instance (export "emit" (func $emit))))))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

#[test]
fn a_text_of_more_than_a_call_may_hand_over_ends_at_its_limit() {
    let fits = Job::text(&claiming(4 << 20)).finish();
    assert_eq!(fits.json(), &Value::Null);
    let finished = beside(Job::text(&claiming(16 << 20)));
    ended(&finished, FailureKind::Limit, Status::Failed, "");
    assert_eq!(finished.failure().1, "one call handed the host more than 8MiB");
    let beyond = beside(Job::text(&claiming(i32::MAX as u32)));
    assert!(matches!(beyond.failure().0, FailureKind::Limit | FailureKind::Trap), "{:?}", beyond.failure());
}

#[test]
fn a_panic_is_a_trap_with_its_words_in_the_log() {
    let finished = beside(Job::command("panics"));
    ended(&finished, FailureKind::Trap, Status::Failed, "kept\n");
    assert!(finished.lines().iter().any(|line| line.contains("this is the end")), "{:?}", finished.lines());
}

// ── Bytes that are no program ───────────────────────────────────────────────

#[test]
fn an_unknown_import_is_refused_by_its_name() {
    let importing = |name: &str| format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#);
    for (name, near) in [
        ("wasi:nn/graph@0.2.0", None),
        ("wasi:cli/environment@0.3.0", Some("`wasi:cli` is served in version 0.2")),
        ("wardroom:automation/log@0.2.0", Some("`wardroom:automation/log` is served in version 0.1.0")),
        ("evil:host/shell@1.0.0", None),
    ] {
        match RUNTIME.block_on(Job::text(&importing(name)).try_run()) {
            Err(HostError::UnknownImport { name: found, hint }) => assert_eq!((found.as_str(), hint.as_deref()), (name, near)),
            other => panic!("{name}: {:?}", other.map(|finished| finished.outcome)),
        }
    }
}

#[test]
fn a_task_of_another_version_is_not_run_as_this_one() {
    let text = r#"(component
        (core module $m (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "run") (param i32 i32) (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (param "params" string) (result string)
            (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
        (instance $task (export "run" (func $run)))
        (export "wardroom:automation/task@0.9.0" (instance $task)))"#;
    let blame = match RUNTIME.block_on(Job::text(text).try_run()) {
        Ok(finished) => finished.failure().0.blame(),
        Err(error) => error.blame(),
    };
    assert_eq!(blame, wardroom_core::blame::Blame::Guest);
}

/// A host whose cache nobody shares: what is compiled for it is thrown away.
fn private_host(folder: &tempfile::TempDir) -> Host {
    Host::new(HostConfig {
        cache: folder.path().join("cache"),
        preparer: PathBuf::from(BINARY),
        wire: Arc::new(Wire::new(WireConfig::default()).unwrap()),
        clock: Arc::new(SystemClock),
        notice: Arc::new(Silent),
    })
    .unwrap()
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// `WARDROOM_SEED` repeats a run.
fn seed() -> u64 {
    let seed = std::env::var("WARDROOM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
    println!("WARDROOM_SEED={seed}");
    seed
}

/// Cut and mutated copies: of each program so many of either.
fn damaged(bytes: &[u8], count: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut copies = Vec::new();
    for _ in 0..count {
        copies.push(bytes[..dice.below(bytes.len())].to_vec());
        let mut mutated = bytes.to_vec();
        for _ in 0..=dice.below(4) {
            let at = dice.below(mutated.len());
            mutated[at] ^= 1 << dice.below(8);
        }
        copies.push(mutated);
    }
    copies
}

#[test]
fn damaged_programs_are_refused_or_run_and_never_the_hosts_fault() {
    let folder = tempfile::tempdir().unwrap();
    let host: &'static Host = Box::leak(Box::new(private_host(&folder)));
    let mut dice = Dice(seed());
    let small = wat::parse_str(claiming(10)).unwrap();
    let mut copies = damaged(&small, 60, &mut dice);
    copies.extend(damaged(&fs::read(guests::typed()).unwrap(), 6, &mut dice));
    copies.extend(damaged(&fs::read(guests::preview1()).unwrap(), 6, &mut dice));
    let (mut refused, mut ran) = (0, 0);
    for bytes in copies {
        if wardroom_core::program::Format::of("damaged.wasm".as_ref(), &bytes).is_err() {
            refused += 1;
            continue;
        }
        let job = Job::of(program("damaged.wasm", &bytes)).on(host).deadline_ms(SHORT_MS).memory(32 * MIB);
        match RUNTIME.block_on(job.try_run()) {
            Ok(finished) => {
                let kind = finished.outcome.ending.as_ref().err().map(|failure| failure.kind);
                assert_ne!(kind, Some(FailureKind::Host), "{:?}", finished.outcome.ending);
                ran += 1;
            }
            Err(error) => {
                assert!(!matches!(error, HostError::Host(_)), "{error}");
                refused += 1;
            }
        }
    }
    println!("{refused} damaged programs were refused, {ran} were run");
    assert!(refused >= 60, "{refused}");
}

/// A core module of one function whose loops change a great many locals: the
/// compiler's own work grows with the product of both.
fn compile_bomb(locals: u32, loops: u32, steps: u32) -> Vec<u8> {
    fn number(mut value: u32, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        out.push(value.to_le_bytes()[0]);
    }
    fn sized(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        number(u32::try_from(bytes.len()).unwrap(), &mut out);
        out.extend_from_slice(bytes);
        out
    }
    let mut code = vec![1];
    number(locals, &mut code);
    code.push(0x7f);
    for turn in 0..loops {
        code.extend([0x03, 0x40]); // loop
        for step in 0..steps {
            let local = (turn * steps + step) % locals;
            // local.get, local.get, i32.add, local.set
            code.push(0x20);
            number(local, &mut code);
            code.push(0x20);
            number((local * 7 + 1) % locals, &mut code);
            code.extend([0x6a, 0x21]);
            number((local * 13 + 3) % locals, &mut code);
        }
        code.push(0x20);
        number(turn % locals, &mut code);
        code.extend([0x0d, 0x00]); // br_if 0
    }
    code.extend(std::iter::repeat_n(0x0b, usize::try_from(loops).unwrap() + 1));
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, bytes: &[u8]| {
        module.push(id);
        module.extend(sized(bytes));
    };
    section(1, &[1, 0x60, 0, 0]);
    section(3, &[1, 0]);
    section(5, &[1, 0, 1]);
    section(7, &[&[2, 6][..], b"_start", &[0, 0, 6], b"memory", &[2, 0]].concat());
    section(10, &[&[1][..], &sized(&code)].concat());
    module
}

/// Runs the bomb where a process has at most so many seconds of processor time.
fn run_bomb(home: &Home, seconds: &str) -> Value {
    let bomb = home.file("bomb.wasm", compile_bomb(20_000, 900, 30));
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    command.args(["-c", &format!("ulimit -t {seconds}; exec \"$@\""), "sh", BINARY, "run", "--json"]).arg(bomb);
    let running = Running::start(&mut command, b"");
    let ended = running.wait();
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains("compiling the program took more than"), "{ended}");
    let calm = home.file("calm.js", "return 1");
    home.record(&[calm.to_str().unwrap()]).succeeded();
    json!(ended.text())
}

#[test]
fn a_compile_bomb_ends_with_its_child_process() {
    run_bomb(&Home::new(), "3");
}

#[test]
#[ignore = "takes a minute of processor time"]
fn a_compile_bomb_ends_at_its_own_limit() {
    run_bomb(&Home::new(), "unlimited");
}

// ── The operator's terminal ─────────────────────────────────────────────────

/// Control characters beside the line break, and what turns text around.
fn forges(text: &str) -> Option<char> {
    text.chars().find(|c| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
        (c.is_control() && *c != '\n') || turns
    })
}

#[test]
fn a_forged_prompt_reaches_the_operator_as_plain_text() {
    let home = Home::new();
    let guest = guests::command("forge_prompt");
    let ended = home.run(&["run", guest.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(forges(&ended.stderr), None, "{:?}", ended.stderr);
    assert!(ended.stderr.contains("Allow everything? [y/N] y"), "the words stay, harmless: {:?}", ended.stderr);
    let id = home.executions()[0]["id"].as_str().unwrap().to_owned();
    for args in [vec!["exec", "logs", &id], vec!["exec", "show", &id], vec!["exec", "list"]] {
        let shown = home.run(&args);
        assert_eq!(shown.code, Some(0), "{shown}");
        // What a command put out is the last part, and is its own.
        let listed = shown.text();
        let ours = listed.split("\n\n").next().unwrap_or("").trim_end_matches('\n');
        assert_eq!(forges(ours), None, "{args:?}: {ours:?}");
    }
}

#[test]
fn a_forged_prompt_on_a_terminal_is_plain_text_too() {
    let present = Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success());
    if !needs("the command `script`", present, "Debian package bsdutils") {
        return;
    }
    let home = Home::new();
    let guest = guests::command("forge_prompt");
    // Compiled now, so that no progress of ours is shown below.
    assert_eq!(home.run(&["run", guest.to_str().unwrap()]).code, Some(0));
    let mut command = Command::new("script");
    home.prepare(&mut command);
    let line = format!("{BINARY} --color=never run {}", guest.display());
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "dumb");
    let ended = Running::start(&mut command, b"").wait();
    assert_eq!(ended.code, Some(0), "{ended}");
    // A terminal itself ends lines with a carriage return.
    let seen = ended.text().replace("\r\n", "\n");
    assert_eq!(forges(&seen), None, "{seen:?}");
    assert!(seen.contains("Allow everything? [y/N] y"), "{seen:?}");
}

#[test]
fn a_forged_failure_is_plain_text_too() {
    let home = Home::new();
    let script = home.file("s.js", "throw new Error('x\\u001b[2J\\rerror: none\\u202e')");
    let ended = home.run(&["run", script.to_str().unwrap()]);
    assert_eq!(ended.code, Some(3), "{ended}");
    assert_eq!(forges(&ended.stderr), None, "{:?}", ended.stderr);
}

// ── Through the command line ────────────────────────────────────────────────

#[test]
fn every_hostile_guest_has_its_exit_code_and_its_row() {
    // Status, kind of failure, blame and exit code.
    type Ending = (&'static str, &'static str, &'static str, Option<i32>);
    let home = Home::new();
    let file = |name: &str| guests::command(name).to_str().unwrap().to_owned();
    let quick = "--timeout=800ms";
    let table: [(&str, &[&str], Ending); 10] = [
        ("busy_loop", &[quick], ("timeout", "deadline", "guest", Some(3))),
        ("busy_loop", &["--fuel=50000000"], ("failed", "limit", "guest", Some(3))),
        ("sleep_forever", &[quick], ("timeout", "deadline", "guest", Some(3))),
        ("memory_growth", &["--memory=16MiB"], ("failed", "limit", "guest", Some(3))),
        ("deep_recursion", &[], ("failed", "trap", "guest", Some(3))),
        ("handle_flood", &[], ("failed", "limit", "guest", Some(3))),
        ("host_call_flood", &[quick], ("timeout", "deadline", "guest", Some(3))),
        ("panics", &[], ("failed", "trap", "guest", Some(3))),
        ("huge_log", &[], ("success", "", "", Some(0))),
        ("huge_output", &[], ("success", "", "", Some(0))),
    ];
    for (name, flags, expected) in table {
        let path = file(name);
        let args: Vec<&str> = flags.iter().copied().chain([path.as_str()]).collect();
        let record = home.record(&args);
        assert_eq!(record.ending(), expected, "{name}: {}", record.ended.stderr);
        if !name.starts_with("huge") {
            assert_eq!(record.text(), "kept\n", "{name}");
        }
        assert_eq!(home.read(&["exec", "show", record.id(), "--json"])["status"], expected.0, "{name}");
    }
    assert_eq!(home.executions().len(), table.len());
}

#[test]
fn a_well_behaved_run_in_another_process_is_not_disturbed() {
    let home = Home::new();
    let (busy, calm) = (guests::command("busy_loop"), guests::command("say"));
    let hostile = home.start(&["run", "--json", "--timeout=3s", busy.to_str().unwrap()]);
    hostile.until_stderr("spinning");
    for _ in 0..3 {
        let record = home.record(&[calm.to_str().unwrap(), "--", "calm"]);
        assert_eq!(record.succeeded().text(), "calm");
    }
    let ended = hostile.wait();
    assert_eq!((ended.code, ended.json()["status"].as_str()), (Some(3), Some("timeout")), "{ended}");
}
