//! How things look: styles, tables that fit, values.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, ContentArrangement, Table};
use serde::Serialize;
use wardroom_core::execution::Status;
use wardroom_core::failure::Output;
use wardroom_core::text::{for_terminal, for_terminal_line};

use super::error::CommandError;

pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const HINT: Style = AnsiColor::Cyan.on_default();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();

/// Columns of a table where nobody says how wide it may be.
const UNKNOWN_WIDTH: u16 = 100;

/// JSON for other programs, one object, pretty.
pub(super) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CommandError::host(format!("the answer cannot be written as JSON: {error}")))?;
    print(&format!("{text}\n"))
}

/// Text that is ours; a reader that went away (`| head`) is no error.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    write(text.as_bytes())
}

fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::host(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A result: text as it is, JSON indented. On a terminal, what a guest wrote is
/// made harmless; into a pipe or file it goes unchanged.
pub(super) fn output(output: &Output) -> Result<(), CommandError> {
    let bytes = output_bytes(output);
    if !std::io::stdout().is_terminal() {
        return raw(&bytes);
    }
    print(&for_terminal(&String::from_utf8_lossy(&bytes)))
}

/// As `output` writes it: a line break ends what is no command's own output.
pub(super) fn output_bytes(output: &Output) -> Vec<u8> {
    match output {
        Output::Json(serde_json::Value::String(text)) => format!("{text}\n").into_bytes(),
        Output::Json(value) => format!("{value:#}\n").into_bytes(),
        Output::Text(text) => text.clone().into_bytes(),
        Output::Bytes(bytes) => bytes.clone(),
    }
}

fn raw(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::host(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A table without lines that fits the terminal.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), CommandError> {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(UNKNOWN_WIDTH);
    }
    if !header.is_empty() {
        table.set_header(header.iter().map(|title| Cell::new(title.to_uppercase())));
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| for_terminal_line(cell)));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    print(&format!("{}\n", lines.join("\n")))
}

/// Name and value pairs, a line each, values wrapped under themselves.
pub(super) fn pairs(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Result<(), CommandError> {
    for (name, value) in pairs {
        let mut lines = value.lines();
        let first = for_terminal(lines.next().unwrap_or(""));
        let mut text = format!("{BOLD}{name:<11}{BOLD:#} {first}\n");
        for line in lines {
            text.push_str(&format!("{:<11} {}\n", "", for_terminal(line)));
        }
        print(&text)?;
    }
    Ok(())
}

pub(super) const fn status_style(status: Status) -> Style {
    match status {
        Status::Success => GOOD,
        Status::Failed | Status::Timeout | Status::Interrupted => ERROR,
        Status::Queued | Status::Running | Status::AwaitingApproval | Status::Cancelled | Status::Skipped => WARN,
    }
}

/// `12 ms`, `3.4 s`, `5 min`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}
