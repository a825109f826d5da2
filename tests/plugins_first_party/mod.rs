//! The first-party plugins, each as its user has it: through the binary, against
//! real servers, databases and archives, and without its grants.

mod archive;
mod archive_hostile;
mod calendar;
mod feed;
mod http_request;
mod json_query;
mod sqlite_query;
mod table;
mod text;

use std::path::Path;

use serde_json::Value;

use crate::support::guests;
use crate::support::home::{Home, Record};

/// A function of a plugin.
struct Function<'a> {
    home: &'a Home,
    program: String,
}

impl<'a> Function<'a> {
    fn of(home: &'a Home, plugin: &str, function: &str) -> Self {
        Self::at(home, &guests::plugin(plugin), function)
    }

    fn at(home: &'a Home, plugin: &Path, function: &str) -> Self {
        Self { home, program: format!("{}#{function}", plugin.display()) }
    }

    /// Calls it, with what the flags allow.
    fn call(&self, params: &Value, flags: &[&str]) -> Record {
        let params = params.to_string();
        self.home.record(&[&[self.program.as_str(), "--input", &params], flags].concat())
    }

    /// Calls it without any grant; its result.
    #[track_caller]
    fn gives(&self, params: &Value) -> Value {
        self.call(params, &[]).succeeded().result().clone()
    }

    /// Calls it without any grant; why it failed.
    #[track_caller]
    fn fails(&self, params: &Value) -> String {
        failure(&self.call(params, &[])).to_string().trim_matches('"').to_owned()
    }
}

/// The error that a function gave: its variant as JSON, or its words.
#[track_caller]
fn failure(record: &Record) -> Value {
    assert_eq!(record.ending(), ("failed", "failed", "guest", Some(3)), "{}", record.ended);
    serde_json::from_str(record.message()).unwrap_or_else(|_| Value::from(record.message()))
}

/// What a program of this machine prints.
#[track_caller]
fn printed(command: &mut std::process::Command) -> String {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}
