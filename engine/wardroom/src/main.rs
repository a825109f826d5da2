//! The binary: a child that prepares or that works on databases, or the command
//! line.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    if first.as_ref().is_some_and(|first| first == wardroom_db::guest::CHILD_ARGUMENT) {
        return wardroom_db::guest::child().into();
    }
    if first.is_some_and(|first| first == wardroom_host::CHILD_ARGUMENT) {
        let job = arguments.next();
        return wardroom_host::child(job.as_ref().and_then(|job| job.to_str())).into();
    }
    wardroom::cli::main()
}
