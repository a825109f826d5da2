//! What a review found in the sandbox, one test each: none of it comes back.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;
use wardroom_core::capability::Capability;
use wardroom_core::clock::SystemClock;
use wardroom_core::failure::{FailureKind, Output};
use wardroom_core::limit::{MAX_HANDLES, MAX_REFUSAL_TEXT};
use wardroom_host::wire::{Wire, WireConfig};
use wardroom_host::{Host, HostConfig, Silent};

use crate::support::home::BINARY;
use crate::support::library::{Finished, Job};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one").unwrap();
    folder
}

// ── What the host keeps for a guest ─────────────────────────────────────────

#[test]
fn what_a_handle_makes_the_host_keep_is_bounded() {
    let finished = Job::command("hoard").finish();
    let kept = finished.json();
    let of = |what: &str| kept[what].as_u64().unwrap();
    assert_eq!((of("method"), of("authority"), of("path"), of("body")), (64, 512, 16 << 10, 8 << 10), "{kept}");
    assert!((8..=64).contains(&of("scheme")), "{kept}");
    const { assert!(MAX_HANDLES <= 1000) };
}

#[test]
fn the_headers_of_one_request_are_bounded() {
    let finished = Job::command("hoard").args(&["headers"]).finish();
    assert_eq!(finished.failure(), (FailureKind::Limit, "the headers of one request take more than 16KiB"));
    assert!(finished.partial().ends_with("\n15\n"), "{}", finished.partial());
}

#[test]
fn a_files_stream_takes_no_more_at_once_than_it_says() {
    let folder = folder();
    let finished = Job::command("overwrite").folder("/data", folder.path(), true).finish();
    assert_eq!(finished.failure().0, FailureKind::Trap, "{:?}", finished.outcome.ending);
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"");
}

#[test]
fn listings_of_folders_are_counted() {
    let folder = folder();
    let finished = Job::command("listings").folder("/data", folder.path(), false).finish();
    assert_eq!(finished.json(), &json!([32, true]));
}

#[test]
fn a_refusal_keeps_little_of_a_long_path() {
    let finished = Job::command("long_path").finish();
    let refusals = &finished.outcome.usage.refusals;
    assert_eq!(refusals.len(), 3, "each of its own");
    for refusal in refusals {
        assert_eq!((refusal.capability, refusal.wanted.len(), &refusal.scope), (Capability::Read, MAX_REFUSAL_TEXT, &None));
    }
}

#[test]
fn no_socket_is_ever_made() {
    let finished = Job::command("socket_flood").finish();
    assert_eq!(finished.json(), &json!({ "tcp": 0, "udp": 0 }));
    let refusals = &finished.outcome.usage.refusals;
    let wanted: Vec<_> = refusals.iter().map(|refusal| (refusal.capability, refusal.wanted.as_str(), refusal.flag())).collect();
    assert_eq!(wanted, [(Capability::Net, "a TCP socket", None), (Capability::Net, "a UDP socket", None)]);
}

// ── What a guest says ───────────────────────────────────────────────────────

#[test]
fn the_last_line_is_kept_without_its_line_break() {
    let finished = Job::command("last_words").args(&["fatal: the reason"]).finish();
    assert_eq!((finished.failure().0, finished.lines()), (FailureKind::Exit, vec!["fatal: the reason"]));
    let finished = Job::command("say").args(&["out", "one", "two"]).finish();
    assert_eq!(finished.lines(), ["one", "two"]);
}

#[test]
fn a_commands_output_is_kept_byte_for_byte() {
    for text in ["\"hello\"\n", "{\"a\": 1}\n", "{\"a\":1}", "{\"a\":1,\"a\":2}\n", "123456789012345678901234567890\n"] {
        let finished = Job::command("say").args(&[text]).finish();
        assert!(matches!(&finished.outcome.ending, Ok(Output::Text(kept)) if kept == text), "{text}: {:?}", finished.outcome.ending);
    }
    assert_eq!(Job::command("say").args(&["{\"b\":1,\"a\":2}\n"]).finish().json().to_string(), "{\"b\":1,\"a\":2}");
}

// ── Limits ──────────────────────────────────────────────────────────────────

/// A program of these declarations that does this.
fn does(declared: &str, body: &str) -> Finished {
    let text = format!(
        r#"(component
            (core module $m {declared} (func (export "run") {body}))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    Job::text(&text).finish()
}

/// A program that grows its memory of one page, at most so many, by so many,
/// and then does this.
fn grows(most: u32, by: &[u32], then: &str) -> Finished {
    let grown: String = by.iter().map(|pages| format!("(drop (memory.grow (i32.const {pages})))")).collect();
    does(&format!("(memory 1 {most})"), &format!("{grown} {then}"))
}

const ABORT: &str = "unreachable";
const DIVIDE: &str = "(drop (i32.div_u (i32.const 1) (i32.const 0)))";

#[test]
fn a_trap_is_the_memory_limits_only_where_memory_was_missing() {
    let kind = |finished: Finished| finished.failure().0;
    assert_eq!(kind(grows(65536, &[2000], ABORT)), FailureKind::Limit);
    assert_eq!(kind(grows(65536, &[2000], DIVIDE)), FailureKind::Trap, "its own bug");
    assert_eq!(kind(grows(65536, &[2000, 1], ABORT)), FailureKind::Trap, "it went on with less");
    assert_eq!(kind(grows(2, &[100], ABORT)), FailureKind::Trap, "its own maximum");
}

#[test]
fn growth_beyond_a_programs_own_maximum_costs_it_nothing() {
    let finished = grows(2, &[900; 50], "");
    let peak = finished.outcome.usage.peak_memory;
    assert!(finished.outcome.ending.is_ok() && peak < 1 << 20, "{peak}");
}

/// wasmtime tells of a table that grows beyond all numbers as of one that could
/// not be made: nothing was taken for it, and nothing is given back.
#[test]
fn no_memory_is_had_for_free_by_growth_that_cannot_be() {
    let round = "(drop (memory.grow (i32.const 100))) (drop (table.grow $t (ref.null func) (i64.const -1)))";
    let declared = "(table $t i64 1 funcref) (memory 1)";
    let finished = does(declared, &format!("{} {ABORT}", round.repeat(30)));
    assert_eq!(finished.failure().0, FailureKind::Limit);
    let peak = finished.outcome.usage.peak_memory;
    assert!((60 << 20..=64 << 20).contains(&peak), "{peak}");
}

#[test]
fn what_is_compiled_first_is_no_time_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let host: &'static Host = Box::leak(Box::new(
        Host::new(HostConfig {
            cache: folder.path().join("cache"),
            preparer: PathBuf::from(BINARY),
            wire: Arc::new(Wire::new(WireConfig::default()).unwrap()),
            clock: Arc::new(SystemClock),
            notice: Arc::new(Silent),
        })
        .unwrap(),
    ));
    let finished = Job::script("return 7").on(host).deadline_ms(300).finish();
    assert_eq!(finished.json(), &json!(7));
}

// ── Files ───────────────────────────────────────────────────────────────────

#[test]
fn links_are_neither_made_nor_moved() {
    let folder = folder();
    symlink("..", folder.path().join("link")).unwrap();
    let finished = Job::command("links").folder("/data", folder.path(), true).finish();
    let expected = json!({ "hard": false, "symbolic": false, "moved": false, "moved with a slash": false, "a file": true });
    assert_eq!(finished.json(), &expected);
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["b.txt", "link"]);
    let refusals = &finished.outcome.usage.refusals;
    assert!(refusals.len() == 4 && refusals.iter().all(|refusal| refusal.reason.starts_with("links are never")), "{refusals:?}");
}

#[test]
fn a_files_time_is_not_changed_before_the_start_row() {
    let folder = folder();
    let modified = || fs::metadata(folder.path().join("a.txt")).unwrap().modified().unwrap();
    let before = modified();
    let failed = Job::command("backdate").folder("/data", folder.path(), true).without_start_row().finish();
    assert_eq!((failed.failure().0, modified()), (FailureKind::Host, before));
    let done = Job::command("backdate").folder("/data", folder.path(), true).finish();
    assert!(done.seen.effects >= 1);
    assert_eq!(modified(), SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1));
}
