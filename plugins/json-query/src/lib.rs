//! Asks questions of JSON in jq's language.
//!
//! Owns the bounds (how deep, how many, how long) and what is JSON and what not;
//! the language is jaq's. Never reads or writes anything but its arguments.

#[allow(missing_docs, clippy::missing_safety_doc, clippy::too_many_arguments, reason = "generated from wit/json-query.wit")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "json-query" });
    use super::JsonQuery;
    export!(JsonQuery);
}
mod filter;
mod json;

use bindings::{Answer, Guest, Variable};
use jaq_json::Val;

/// Values that come back unless somebody says otherwise.
const USUAL_VALUES: u32 = 1_000;
/// Values that ever come back.
const MAX_VALUES: u32 = 10_000;
/// Bytes of all values that come back.
const MAX_OUTPUT: usize = 4 << 20;

/// The function of `wit/json-query.wit`.
struct JsonQuery;

impl Guest for JsonQuery {
    fn query(
        filter: String,
        input: String,
        variables: Option<Vec<Variable>>,
        slurp: Option<bool>,
        null_input: Option<bool>,
        raw: Option<bool>,
        limit: Option<u32>,
    ) -> Result<Answer, String> {
        let limit = limit.unwrap_or(USUAL_VALUES);
        if limit == 0 || limit > MAX_VALUES {
            return Err(format!("`limit` is {limit}: expected 1 to {MAX_VALUES}"));
        }
        let variables = variables.unwrap_or_default();
        let inputs = match (null_input.unwrap_or(false), slurp.unwrap_or(false)) {
            (true, _) => vec![Val::Null],
            (false, true) => vec![json::read(&input)?.into_iter().collect()],
            (false, false) => json::read(&input)?,
        };
        let names: Vec<String> = variables.iter().map(|variable| format!("${}", variable.name)).collect();
        let values = variables.iter().map(value).collect::<Result<Vec<Val>, String>>()?;
        let mut answer = Collected { raw: raw.unwrap_or(false), limit, ..Collected::default() };
        filter::run(&filter, &names, values, inputs, |value| answer.take(value))?;
        Ok(Answer { values: answer.values, truncated: answer.truncated })
    }
}

fn value(variable: &Variable) -> Result<Val, String> {
    let name = &variable.name;
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
    if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(format!("`{name}` is no name of a variable: expected a letter or `_`, then letters, digits and `_`"));
    }
    match json::read(&variable.value) {
        Ok(mut read) if read.len() == 1 => read.pop().ok_or_else(String::new),
        Ok(read) => Err(format!("the variable `{name}` has {} values: expected one", read.len())),
        Err(why) => Err(format!("the variable `{name}`: {why}")),
    }
}

/// What came out so far.
#[derive(Default)]
struct Collected {
    values: Vec<String>,
    bytes: usize,
    raw: bool,
    limit: u32,
    truncated: bool,
}

impl Collected {
    /// Takes a value; false: no more is wanted.
    fn take(&mut self, value: &Val) -> Result<bool, String> {
        if self.values.len() >= usize::try_from(self.limit).unwrap_or(usize::MAX) {
            self.truncated = true;
            return Ok(false);
        }
        let text = match value {
            Val::TStr(text) if self.raw => String::from_utf8_lossy(text).into_owned(),
            other => json::write(other, MAX_OUTPUT - self.bytes)?,
        };
        self.bytes += text.len();
        if self.bytes > MAX_OUTPUT {
            return Err(json::too_long());
        }
        self.values.push(text);
        Ok(true)
    }
}
