//! Showing errors at the command line; what they say is worded in
//! [`crate::error`].

use std::ffi::OsString;
use std::process::ExitCode;

use wardroom_core::text::for_terminal_line;

use super::show::{self, DIM, ERROR, HINT, quoted_lines};
pub(super) use crate::error::{CommandError, exit_code};

/// Says it on standard error, and as JSON on standard output to whoever asked
/// for JSON.
pub(super) fn show_error(error: &CommandError, json: bool) -> ExitCode {
    if json {
        show_json(error);
    }
    show::line(&format!("{ERROR}error{ERROR:#}: {}", quoted_lines(&error.message)));
    error.hints.iter().for_each(|hint| show_hint(hint));
    ExitCode::from(error.code)
}

fn show_json(error: &CommandError) {
    let error = serde_json::json!({"error": {"message": error.message, "hints": error.hints, "exit_code": error.code}});
    // Nobody reads: the exit code still says it.
    drop(show::json(&error));
}

/// The same of words that are no command, in the parser's own words; or the help
/// that was asked for.
pub(super) fn exit_unparsed(error: &clap::Error, all: &clap::Command) -> ! {
    if error.use_stderr() && wants_json(all) {
        let text = error.render().to_string();
        let mut parts = text.trim_start_matches("error: ").split("\n\n").map(str::trim).filter(|part| !part.is_empty());
        let message = CommandError::usage(parts.next().unwrap_or_default());
        show_json(&parts.fold(message, CommandError::hint));
    }
    error.exit()
}

/// Whether they say so, to a command that can. One that cannot has something else to
/// say on standard output: a server its protocol.
fn wants_json(all: &clap::Command) -> bool {
    let words: Vec<OsString> = std::env::args_os().take_while(|word| word != "--").collect();
    let meant = words.iter().fold(all, |command, word| command.find_subcommand(word).unwrap_or(command));
    words.iter().any(|word| word == "--json") && speaks_json(meant)
}

fn speaks_json(command: &clap::Command) -> bool {
    command.get_arguments().any(|argument| argument.get_long() == Some("json")) || command.get_subcommands().any(speaks_json)
}

pub(super) fn show_hint(hint: &str) {
    show::line(&format!("{HINT}hint{HINT:#}: {DIM}{}{DIM:#}", for_terminal_line(hint)));
}
