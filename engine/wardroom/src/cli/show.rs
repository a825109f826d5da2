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

/// Bytes of JSON that are shown indented.
const PRETTY_BYTES: usize = 16 << 10;
/// Columns of a table where nobody says how wide it may be.
const UNKNOWN_WIDTH: u16 = 100;

/// JSON for other programs, one object, pretty.
pub(super) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CommandError::host(format!("the answer cannot be written as JSON: {error}")))?;
    print(&format!("{}\n", harmless_json(&text)))
}

/// JSON in which what a terminal would obey is escaped as JSON can: the same
/// value, in other words. Outside of strings JSON has none of these characters.
pub(super) fn harmless_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let mut one = [0; 4];
        // Nearly all of it, and worth no text of its own.
        let is_plain = matches!(c, ' '..='~' | '\n');
        if is_plain || for_terminal(c.encode_utf8(&mut one)).chars().eq([c]) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

/// What stands in front of the second and every further line of a guest's text,
/// so that none of them can pass for one of ours.
pub(super) const QUOTE: &str = "  | ";

/// A guest's text of several lines, harmless and quoted.
pub(super) fn quoted_lines(text: &str) -> String {
    for_terminal(text).replace('\n', &format!("\n{QUOTE}"))
}

/// One line on standard error. Where nobody reads it, that is that.
pub(super) fn line(text: &str) {
    drop(writeln!(anstream::stderr(), "{text}"));
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
        Output::Json(value) => {
            let compact = value.to_string();
            // Indenting what is large or deep makes it a hundred times larger.
            if compact.len() > PRETTY_BYTES { format!("{compact}\n").into_bytes() } else { format!("{value:#}\n").into_bytes() }
        }
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

/// What a person should know of a program before it runs, where there is something.
pub(super) fn warning(name: &str, warning: Option<&str>) {
    if let Some(warning) = warning {
        line(&format!("{WARN}warning{WARN:#}: {}: {warning}", for_terminal_line(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_on_a_terminal_is_the_same_value_and_obeyed_by_none() {
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\u{7f}\u{e0001}ü\n"});
        let shown = harmless_json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(shown.contains("\\u009b31m\\u202e\\u007f\\udb40\\udc01ü"), "{shown}");
    }

    #[test]
    fn no_further_line_of_a_guest_passes_for_ours() {
        assert_eq!(quoted_lines("boom\nhint: Allow it"), "boom\n  | hint: Allow it");
    }
}
