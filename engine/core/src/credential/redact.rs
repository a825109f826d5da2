//! Removing values from what leaves a run: the traits, and JSON.

use std::borrow::Cow;

use serde_json::Value;

/// Removes the values that a run knows of, in every form it looks for.
pub trait Redact: Send + Sync {
    /// Nothing is known, so nothing is ever removed: callers may pass by.
    fn is_idle(&self) -> bool;

    /// Of a whole text.
    fn text<'a>(&self, text: &'a str) -> Cow<'a, str>;

    /// Of whole bytes.
    fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]>;

    /// Of bytes that come in pieces.
    fn stream(&self) -> Box<dyn RedactStream>;

    /// How many values were removed so far, from anything.
    fn count(&self) -> u64;
}

/// A stream on its way through the redactor. What might be the beginning of a
/// value is held back until it is known not to be.
pub trait RedactStream: Send + Sync {
    /// Takes a piece and adds to `out` what can no longer be part of a value.
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>);

    /// The end: adds what was held back.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// What is written where something cannot be kept at all.
pub const REMOVED: &str = "[redacted]";

/// Removes values from a JSON value: from its texts, its keys and its numbers,
/// and where one shows only in the whole, the whole.
#[must_use]
pub fn redact_json(redact: &dyn Redact, value: Value) -> Value {
    if redact.is_idle() {
        return value;
    }
    let value = parts(redact, value);
    let text = value.to_string();
    match redact.text(&text) {
        Cow::Borrowed(_) => value,
        Cow::Owned(_) => Value::String(REMOVED.to_owned()),
    }
}

fn parts(redact: &dyn Redact, value: Value) -> Value {
    let text = |text: String| match redact.text(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(without) => Some(without),
    };
    match value {
        Value::String(own) => Value::String(text(own.clone()).unwrap_or(own)),
        Value::Number(number) => text(number.to_string()).map_or(Value::Number(number), Value::String),
        Value::Array(items) => items.into_iter().map(|item| parts(redact, item)).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (text(key.clone()).unwrap_or(key), parts(redact, value))).collect()
        }
        Value::Null | Value::Bool(_) => value,
    }
}
