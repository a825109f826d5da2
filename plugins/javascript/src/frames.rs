//! Positions in the script: the lines and columns of syntax errors and stack
//! frames as the script's author counts them, and a stack without the frames
//! that are not the script's.

use rquickjs::Value;

use crate::bindings::exports::wardroom::interpreter::script::Position;
use crate::text;

/// Line and column, both from 1.
pub(crate) type At = (u32, u32);

/// A script's text under the name that stack traces call it.
pub(crate) struct Source {
    name: String,
    text: String,
}

impl Source {
    pub(crate) fn new(name: String, mut text: String) -> Self {
        // A NUL would end the name early wherever QuickJS hands it on.
        let name = name.replace('\0', "");
        // As a comment of the same length a hashbang is legal in both forms.
        if text.starts_with("#!") {
            text.replace_range(..2, "//");
        }
        Self { name, text }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A line, counted from 1.
    pub(crate) fn line(&self, number: u32) -> Option<&str> {
        self.text.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    pub(crate) fn has_at(&self, (line, column): At, letter: char) -> bool {
        let before = usize::try_from(column).unwrap_or_default().saturating_sub(1);
        let unit = self.line(line).unwrap_or_default().encode_utf16().nth(before);
        unit.and_then(|unit| char::from_u32(u32::from(unit))) == Some(letter)
    }

    /// QuickJS counts columns in UTF-8 bytes, editors in UTF-16 units; and what
    /// is missing at a script's end it reports after it.
    fn corrected(&self, (line, column): At) -> At {
        let last = u32::try_from(self.text.lines().count()).unwrap_or(u32::MAX).max(1);
        if line > last {
            let end = self.line(last).unwrap_or_default();
            return (last, utf16_length(end.as_bytes()) + 1);
        }
        let text = self.line(line).unwrap_or_default().as_bytes();
        let bytes = usize::try_from(column).unwrap_or(1).saturating_sub(1).min(text.len());
        (line.max(1), utf16_length(text.get(..bytes).unwrap_or(text)) + 1)
    }

    /// Splits a frame at the position inside this script that it ends with.
    fn frame<'a>(&self, frame: &'a str) -> Option<(&'a str, At, &'a str)> {
        let (inside, close) = match frame.strip_suffix(')') {
            Some(inside) => (inside, ")"),
            None => (frame, ""),
        };
        let (rest, column) = inside.rsplit_once(':')?;
        let (before, line) = rest.rsplit_once(':')?;
        let named = before.strip_suffix(self.name.as_str())?;
        if !named.ends_with(['(', ' ']) {
            return None;
        }
        Some((before, (line.parse().ok()?, column.parse().ok()?), close))
    }
}

fn utf16_length(bytes: &[u8]) -> u32 {
    let units = String::from_utf8_lossy(bytes).encode_utf16().count();
    u32::try_from(units).unwrap_or(u32::MAX - 1)
}

/// The frames of a stack that lie in the script, and the first one's position.
pub(crate) fn own_frames(stack: &str, source: &Source) -> (String, Option<Position>) {
    let mut first = None;
    let mut frames = Vec::new();
    for frame in stack.lines() {
        let Some((before, at, close)) = source.frame(frame) else { continue };
        let (line, column) = source.corrected(at);
        first.get_or_insert(Position { line, column });
        frames.push(format!("{before}:{line}:{column}{close}"));
    }
    (frames.join("\n"), first)
}

/// Where a syntax error was found, if it says so.
pub(crate) fn syntax_position(error: &Value<'_>, source: &Source) -> Option<At> {
    let stack = property(error, "stack")?;
    let (_, position) = own_frames(&stack, source);
    position.map(|position| (position.line, position.column))
}

pub(crate) fn is_syntax_error(error: &Value<'_>) -> bool {
    error.is_error() && property(error, "name").as_deref() == Some("SyntaxError")
}

pub(crate) fn message(error: &Value<'_>) -> String {
    property(error, "message").unwrap_or_default()
}

fn property(error: &Value<'_>, name: &str) -> Option<String> {
    let value: Value<'_> = error.as_object()?.get(name).ok()?;
    text::to_rust(&value).ok()
}
