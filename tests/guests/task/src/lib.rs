//! A task of the contract: logs, progress, state, and each way to end, chosen by
//! the params.
//!
//! `{"end": "invalid"}` ends with that failure; `{"set": {…}}`, `{"get": […]}`
//! and `{"delete": […]}` use the state, in this order; `{"query": [DATABASE, SQL]}`
//! reads a database; the result names everything.

wit_bindgen::generate!({ path: "../../../wit", world: "task-program", generate_all });

use exports::wardroom::automation::task::{Failure, Guest};
use serde_json::{Map, Value, json};
use wardroom::automation::types::RetryAfter;
use wardroom::automation::{call, log, sqlite, state};

struct Task;

impl Guest for Task {
    fn run(params: String) -> Result<String, Failure> {
        log::emit(log::Level::Debug, "a debug line");
        log::emit(log::Level::Info, "an info line\nof two lines");
        log::emit(log::Level::Warn, "a warning");
        log::emit(log::Level::Error, "an error line");
        log::progress(1, Some(2), "half way");
        let params: Map<String, Value> = serde_json::from_str(&params).map_err(|error| Failure::Invalid(error.to_string()))?;
        let mut answer = keep(&params);
        if let Some([database, sql]) = params.get("query").and_then(Value::as_array).map(Vec::as_slice) {
            answer["found"] = found(sqlite::query(text(database), text(sql), &[]));
        }
        if let Some(calls) = params.get("calls").and_then(Value::as_array) {
            answer["called"] = called(calls);
        }
        log::progress(2, Some(2), "done");
        match params.get("end").and_then(Value::as_str) {
            None => Ok(answer.to_string()),
            Some(kind) => end(kind),
        }
    }
}

/// What each use of the state answered.
fn keep(params: &Map<String, Value>) -> Value {
    let mut answers = Map::new();
    for (key, value) in params.get("set").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        answers.insert(format!("set {key}"), said(state::set(key, &text).map(|()| Value::Null)));
    }
    let names = |word: &str| params.get(word).and_then(Value::as_array).cloned().unwrap_or_default();
    for key in names("delete").iter().filter_map(Value::as_str) {
        answers.insert(format!("delete {key}"), said(state::delete(key).map(|()| Value::Null)));
    }
    for key in names("get").iter().filter_map(Value::as_str) {
        answers.insert(format!("get {key}"), said(state::get(key).map(Value::from)));
    }
    if params.contains_key("keys") {
        answers.insert("keys".to_owned(), said(state::keys().map(Value::from)));
    }
    json!({ "params": params, "state": answers })
}

/// What calls that are `[name, params]` came to, all of them begun before any is
/// waited for.
fn called(calls: &[Value]) -> Value {
    let names: Vec<String> = call::list().into_iter().map(|callee| callee.name).collect();
    let begun: Vec<_> = calls.iter().map(|one| call::start(text(&one[0]), &one[1].to_string())).collect();
    let ends = begun.into_iter().map(|begun| match begun {
        Err(error) => refused(&error),
        Ok(running) => {
            running.subscribe().block();
            let end = running.finish();
            assert!(running.finish().is_none(), "it is told once");
            match end {
                Some(Ok(result)) => serde_json::from_str(&result).unwrap(),
                Some(Err(error)) => refused(&error),
                None => json!("not ended"),
            }
        }
    });
    json!({ "list": names, "ends": ends.collect::<Vec<_>>() })
}

fn refused(error: &call::Error) -> Value {
    let (kind, why) = match error {
        call::Error::NotGranted(why) => ("not-granted", why),
        call::Error::Params(why) => ("params", why),
        call::Error::Loop(why) => ("loop", why),
        call::Error::TooMany(why) => ("too-many", why),
        call::Error::Busy(why) => ("busy", why),
        call::Error::Failed(failed) => return json!({ "failed": format!("{:?}", failed.kind), "why": failed.message }),
    };
    json!({ "error": kind, "why": why })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn found(rows: Result<sqlite::Rows, sqlite::Error>) -> Value {
    match rows {
        Ok(rows) => json!({ "columns": rows.columns, "rows": format!("{:?}", rows.rows), "truncated": rows.truncated }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn said(answer: Result<Value, state::Error>) -> Value {
    match answer {
        Ok(value) => value,
        Err(state::Error::Denied(_)) => json!({ "error": "denied" }),
        Err(state::Error::Quota(_)) => json!({ "error": "quota" }),
        Err(state::Error::InvalidKey(_)) => json!({ "error": "invalid-key" }),
    }
}

fn end(kind: &str) -> Result<String, Failure> {
    let why = format!("ended as {kind}");
    match kind {
        "invalid" => Err(Failure::Invalid(why)),
        "denied" => Err(Failure::Denied(why)),
        "unavailable" => Err(Failure::Unavailable(why)),
        "failed" => Err(Failure::Failed(why)),
        "permanent" => Err(Failure::Permanent(why)),
        "retry_after" => Err(Failure::RetryAfter(RetryAfter { after_ms: 90_000, reason: why })),
        "needs_approval" => Err(Failure::NeedsApproval(why)),
        "no_json" => Ok("this is no JSON".to_owned()),
        "panic" => panic!("{why}"),
        _ => Err(Failure::Invalid(format!("no such end: {kind}"))),
    }
}

export!(Task);
