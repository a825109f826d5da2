//! JSON text and jaq's values. Jaq knows more than JSON does (bytes, keys that are
//! no strings, NaN): none of that gets in, and none of it gets out unnoticed.

use std::fmt::Write as _;

use jaq_core::ValT as _;
use jaq_json::{Num, Val};
use serde_json::Value;

use crate::MAX_OUTPUT;

/// How deep values that come out may be nested: the writer calls itself.
const MAX_DEPTH: usize = 500;

/// The values of a JSON text, one after another. Read by serde_json, which is
/// strict and refuses what is nested deeper than 128.
pub(crate) fn read(text: &str) -> Result<Vec<Val>, String> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.map(|value| converted(value.map_err(|error| format!("the input is no JSON: {error}"))?)).collect()
}

fn converted(value: Value) -> Result<Val, String> {
    Ok(match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(value),
        // As it was written: jaq keeps every digit.
        Value::Number(number) => Val::from_num(number.as_str()).map_err(|error| format!("`{number}` is no number: {error}"))?,
        Value::String(text) => Val::from(text),
        Value::Array(values) => values.into_iter().map(converted).collect::<Result<_, _>>()?,
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| Ok((Val::from(key), converted(value)?)));
            Val::obj(entries.collect::<Result<_, String>>()?)
        }
    })
}

/// A value as JSON text of at most `room` bytes.
pub(crate) fn write(value: &Val, room: usize) -> Result<String, String> {
    let mut text = Text { text: String::new(), room };
    text.value(value, 0)?;
    Ok(text.text)
}

pub(crate) fn too_long() -> String {
    format!("the values have more than {MAX_OUTPUT} bytes")
}

struct Text {
    text: String,
    room: usize,
}

impl Text {
    fn push(&mut self, text: &str) -> Result<(), String> {
        if self.text.len() + text.len() > self.room {
            return Err(too_long());
        }
        self.text.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Val, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("a value is nested deeper than {MAX_DEPTH}"));
        }
        match value {
            Val::Null => self.push("null"),
            Val::Bool(true) => self.push("true"),
            Val::Bool(false) => self.push("false"),
            Val::Num(number) => self.number(number),
            Val::TStr(text) => self.string(&String::from_utf8_lossy(text)),
            Val::BStr(_) => Err("a value is bytes, which JSON does not have: `tostring` makes text of them".to_owned()),
            Val::Arr(values) => {
                self.push("[")?;
                for (index, value) in values.iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" })?;
                    self.value(value, depth + 1)?;
                }
                self.push("]")
            }
            Val::Obj(entries) => {
                self.push("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let Val::TStr(key) = key else { return Err("an object's key is no string: JSON has no others".to_owned()) };
                    self.push(if index > 0 { "," } else { "" })?;
                    self.string(&String::from_utf8_lossy(key))?;
                    self.push(":")?;
                    self.value(value, depth + 1)?;
                }
                self.push("}")
            }
        }
    }

    /// As jq does: what is no number is `null`, and what is infinite is the
    /// largest number there is.
    fn number(&mut self, number: &Num) -> Result<(), String> {
        match number {
            Num::Float(float) if float.is_nan() => self.push("null"),
            Num::Float(float) if float.is_infinite() => {
                self.push(if *float > 0.0 { "1.7976931348623157e+308" } else { "-1.7976931348623157e+308" })
            }
            other => self.push(&other.to_string()),
        }
    }

    fn string(&mut self, text: &str) -> Result<(), String> {
        let mut quoted = String::with_capacity(text.len() + 2);
        quoted.push('"');
        for letter in text.chars() {
            match letter {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                control if u32::from(control) < 0x20 || control == '\u{7f}' => {
                    let _written = write!(quoted, "\\u{:04x}", u32::from(control));
                }
                other => quoted.push(other),
            }
        }
        quoted.push('"');
        self.push(&quoted)
    }
}
