//! The benches: what Wardroom costs, beside what it stands on, in one run.
//!
//! ```text
//!  cargo run --release --locked -p wardroom-benches [-- [NAME…] [--quick] [--json]]
//! ```
//!
//! Every figure is a median over rounds; where two things are compared, each
//! round measures both, in changing order, and the ratio is taken within the
//! round: a busy machine slows both. Nothing here asserts a time.
//!
//! Start reading at [`rows`]; `bare` has the yardsticks, `subject` what is
//! measured.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are printed")]

mod bare;
mod measure;
mod process;
mod report;
mod rows;
mod subject;

use std::process::ExitCode;

use crate::report::Row;
use crate::rows::{Bench, Effort};

/// Whatever keeps a bench from being done; nothing to tell apart.
type Failed = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: wardroom-benches [NAME…] [--quick] [--json]";

struct Arguments {
    names: Vec<String>,
    quick: bool,
    json: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((process::HELPER, command)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return process::helper(command);
    }
    let first = arguments.first().map(String::as_str);
    if let Some(which @ (rows::mcp::BARE | rows::mcp::BARE_WITH_ROWS | rows::mcp::BARE_WITH_LINE)) = first {
        return rows::mcp::bare(which);
    }
    let Some(arguments) = parse(arguments) else {
        eprintln!("{USAGE}\n\nNAME is one of:");
        rows::ALL.iter().for_each(|bench| eprintln!("  {:<10} {}", bench.name, bench.about));
        return ExitCode::from(2);
    };
    let effort = if arguments.quick { Effort::Quick } else { Effort::Full };
    let chosen = rows::ALL.iter().filter(|bench| arguments.names.is_empty() || arguments.names.iter().any(|name| name == bench.name));
    let mut done = Vec::new();
    let mut complete = true;
    for bench in chosen {
        eprintln!("{} …", bench.name);
        let (rows, whole) = rows_of(bench, effort);
        complete &= whole;
        done.extend(rows);
    }
    if arguments.json {
        println!("{}", report::json(&done, effort));
    } else {
        print!("{}", report::table(&done, effort));
    }
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A bench that fails is a row that says so; the others go on.
fn rows_of(bench: &Bench, effort: Effort) -> (Vec<Row>, bool) {
    match (bench.measure)(effort) {
        Ok(rows) => (rows, true),
        Err(error) => (vec![Row::note(bench.name, bench.about, format!("failed: {error}"))], false),
    }
}

fn parse(arguments: Vec<String>) -> Option<Arguments> {
    let mut parsed = Arguments { names: Vec::new(), quick: false, json: false };
    for argument in arguments {
        match argument.as_str() {
            "--quick" => parsed.quick = true,
            "--json" => parsed.json = true,
            name if rows::ALL.iter().any(|bench| bench.name == name) => parsed.names.push(argument),
            _ => return None,
        }
    }
    Some(parsed)
}
