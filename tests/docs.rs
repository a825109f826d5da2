//! The README's figures are the code's.

use wardroom_core::capability::credentials::CredentialUse;
use wardroom_core::credential::{CredentialKind, MAX_CREDENTIAL_USES, MAX_FILLED_BODY_BYTES, MAX_VALUE_BYTES};
use wardroom_core::limit::{
    DEFAULT_DEADLINE, DEFAULT_HTTP_BODY, DEFAULT_HTTP_REQUESTS, DEFAULT_LOG_BYTES, DEFAULT_MEMORY, DEFAULT_OUTPUT_BYTES, DurationText,
    HOSTCALL_BYTES, Limits, MAX_COMPILE_CPU_SECONDS, MAX_DEADLINE, MAX_HANDLES, MAX_MEMORY, MAX_OUTPUT_BYTES, MAX_PROGRAM_BYTES,
    MAX_SQLITE_ANSWER, MAX_SQLITE_MEMORY, MAX_SQLITE_ROWS, MAX_SQLITE_VALUE, MAX_STATE_BYTES, SQLITE_BUSY_WAIT, SizeText,
};

fn rows() -> String {
    let size = |bytes| SizeText(bytes).to_string();
    let rows = [
        ("time", DurationText(DEFAULT_DEADLINE).to_string(), DurationText(MAX_DEADLINE).to_string(), "`--timeout`"),
        ("memory, all memories and tables together", size(DEFAULT_MEMORY), size(MAX_MEMORY), "`--memory`"),
        ("fuel, about one unit an instruction", "not counted".to_owned(), String::new(), "`--fuel`"),
        ("log", size(DEFAULT_LOG_BYTES), String::new(), ""),
        ("result", size(DEFAULT_OUTPUT_BYTES), size(MAX_OUTPUT_BYTES), "`--output`"),
        ("HTTP requests", DEFAULT_HTTP_REQUESTS.to_string(), String::new(), ""),
        ("one HTTP body", size(DEFAULT_HTTP_BODY), String::new(), ""),
        ("open handles", MAX_HANDLES.to_string(), String::new(), ""),
        ("memory claimed by one host call", size(HOSTCALL_BYTES), String::new(), ""),
        ("state", "none".to_owned(), size(MAX_STATE_BYTES), "`--state`"),
        ("rows of one query", MAX_SQLITE_ROWS.to_string(), String::new(), ""),
        ("all rows of one query", size(MAX_SQLITE_ANSWER as u64), String::new(), ""),
        ("one value in SQL", size(MAX_SQLITE_VALUE as u64), String::new(), ""),
        ("memory of the process that works on databases", size(MAX_SQLITE_MEMORY), String::new(), ""),
        ("wait for a locked database", DurationText(SQLITE_BUSY_WAIT).to_string(), String::new(), ""),
        ("program file", size(MAX_PROGRAM_BYTES), String::new(), ""),
        ("value of a credential", size(MAX_VALUE_BYTES as u64), String::new(), ""),
        ("body that a credential is filled in", size(MAX_FILLED_BODY_BYTES as u64), String::new(), ""),
        ("uses of credentials", MAX_CREDENTIAL_USES.to_string(), String::new(), ""),
        ("compiling, processor time", format!("{MAX_COMPILE_CPU_SECONDS} s"), String::new(), ""),
    ];
    let table: String = rows.iter().map(|(name, default, most, flag)| format!("| {name} | {default} | {most} | {flag} |\n")).collect();
    // Markdown writes an empty cell as one blank.
    table.replace("|  |", "| |").replace("|  |", "| |")
}

#[test]
fn the_readme_names_every_limit_as_the_code_has_it() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let begin = "|---|---|---|---|\n";
    let table = readme.split("tests/docs.rs -->").nth(1).and_then(|rest| rest.split("<!-- limits: end").next()).unwrap();
    let found = table.split(begin).nth(1).unwrap();
    assert_eq!(found, rows(), "the README's table of limits should read as on the right");
}

#[test]
fn a_run_that_names_no_limit_has_the_documented_ones() {
    let limits = Limits::default();
    assert_eq!((limits.deadline, limits.memory, limits.fuel), (DEFAULT_DEADLINE, DEFAULT_MEMORY, None));
    assert_eq!((limits.log_bytes, limits.output_bytes), (DEFAULT_LOG_BYTES, DEFAULT_OUTPUT_BYTES));
    assert_eq!((limits.http_requests, limits.http_body), (DEFAULT_HTTP_REQUESTS, DEFAULT_HTTP_BODY));
}

/// The words in the first column of the README's table with this head.
fn first_column(head: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let rows = readme.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_readme_names_every_use_and_every_kind_of_a_credential() {
    assert_eq!(first_column("| Use | What it allows |"), CredentialUse::ALL.map(CredentialUse::name));
    assert_eq!(first_column("| Kind | For |"), CredentialKind::ALL.map(CredentialKind::name));
}
