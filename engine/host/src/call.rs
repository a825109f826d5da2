//! The call into a guest, one arm for each of a program's doors.

use serde_json::{Map, Value};
use wardroom_core::failure::{Failure, FailureKind, Output, Position};
use wardroom_core::limit::DEFAULT_OUTPUT_BYTES;
use wardroom_core::plan::Resolved;
use wardroom_core::program::Entry;
use wasmtime::Store;
use wasmtime::component::Val;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::Command;

use crate::capture::Capture;
use crate::error::HostError;
use crate::imports::automation::TaskProgram;
use crate::imports::automation::wardroom::automation::types::Failure as GuestFailure;
use crate::imports::interpreter::Interpreter;
use crate::imports::interpreter::exports::wardroom::interpreter::script::ScriptError;
use crate::load::Loaded;
use crate::run::RunState;
use crate::value;

type Called = Result<Output, wasmtime::Error>;

/// A guest's own ending, on its way through wasmtime's errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Ended(pub(crate) Failure);

fn ended(failure: Failure) -> wasmtime::Error {
    wasmtime::Error::new(Ended(failure))
}

pub(crate) async fn call(
    store: &mut Store<RunState>,
    loaded: &Loaded,
    plan: &Resolved,
    script: Option<&str>,
    stdout: Option<&Capture>,
) -> Called {
    match &plan.entry {
        Entry::Task => task(store, loaded, plan).await,
        Entry::Function(name) => function(store, loaded, plan, name).await,
        Entry::Command { .. } => command(store, loaded, stdout).await,
        Entry::Script => self::script(store, loaded, plan, script.unwrap_or("")).await,
    }
}

async fn task(store: &mut Store<RunState>, loaded: &Loaded, plan: &Resolved) -> Called {
    let params = Value::Object(plan.input.params.clone()).to_string();
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    let program = TaskProgram::new(&mut *store, &instance)?;
    match program.wardroom_automation_task().call_run(&mut *store, &params).await? {
        Ok(result) => json(&result),
        Err(failure) => Err(ended(guest_failure(failure))),
    }
}

async fn script(store: &mut Store<RunState>, loaded: &Loaded, plan: &Resolved, source: &str) -> Called {
    let params = Value::Object(plan.input.params.clone()).to_string();
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    let interpreter = Interpreter::new(&mut *store, &instance)?;
    let script = interpreter.wardroom_interpreter_script();
    let assigned = store.data().notes.credentials().assigned();
    let placeholders: Map<String, Value> =
        assigned.into_iter().map(|credential| (credential.name.to_string(), Value::String(credential.placeholder))).collect();
    let placeholders = Value::Object(placeholders).to_string();
    match script.call_run(&mut *store, &plan.program.name, source, &params, &placeholders).await? {
        Ok(result) => json(&result),
        Err(error) => Err(ended(script_failure(error))),
    }
}

async fn command(store: &mut Store<RunState>, loaded: &Loaded, stdout: Option<&Capture>) -> Called {
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    let command = Command::new(&mut *store, &instance)?;
    let code = match command.wasi_cli_run().call_run(&mut *store).await {
        Ok(Ok(())) => 0,
        Ok(Err(())) => 1,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => *code,
            None => return Err(error),
        },
    };
    if code == 0 {
        let bytes = stdout.map(Capture::finish).unwrap_or_default().0;
        return Ok(parse_output(bytes));
    }
    let exit_code = u8::try_from(code).unwrap_or(1);
    let failure = Failure::new(FailureKind::Exit, format!("the program ended with exit code {code}"));
    Err(ended(Failure { exit_code: Some(exit_code), ..failure }))
}

async fn function(store: &mut Store<RunState>, loaded: &Loaded, plan: &Resolved, name: &str) -> Called {
    let refused = |error: HostError| ended(error.into_failure());
    let invalid = |error: value::ValueError| ended(Failure::new(FailureKind::Invalid, error.to_string()));
    let export = loaded.doors.function(name).map_err(refused)?;
    value::supported(&export.ty).map_err(|why| refused(HostError::Unsupported { function: name.to_owned(), reason: why.to_string() }))?;
    let arguments = value::arguments(&Value::Object(plan.input.params.clone()), &export.ty).map_err(invalid)?;
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    let missing = || refused(HostError::NoFunction { wanted: name.to_owned(), near: None });
    let function = export.index.and_then(|index| instance.get_func(&mut *store, index)).ok_or_else(missing)?;
    let mut results = vec![Val::Bool(false); export.ty.results().len()];
    function.call_async(&mut *store, &arguments, &mut results).await?;
    let cap = usize::try_from(plan.limits.output_bytes).unwrap_or(usize::MAX);
    match value::outcome(&results, &export.ty, cap) {
        Ok(value::Outcome::Success(result)) => Ok(Output::Json(result)),
        Ok(value::Outcome::Failure(error)) => {
            let message = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            Err(ended(Failure::new(FailureKind::Failed, message)))
        }
        Err(error) => Err(ended(Failure::new(FailureKind::Limit, error.to_string()))),
    }
}

/// A guest's result text; what is no JSON is the guest's fault.
fn json(text: &str) -> Called {
    serde_json::from_str(text)
        .map(Output::Json)
        .map_err(|error| ended(Failure::new(FailureKind::Failed, format!("the program's result is no JSON: {error}"))))
}

/// A command's standard output: JSON, text, or bytes.
///
/// A command's output is its own, byte for byte. So it is JSON only where the
/// value says it all: one line, written as we write it, with its line break.
/// Indented, with repeated keys or numbers of more digits than a double has, it
/// stays the text that it was; so does a string, which is shown without quotes.
pub(crate) fn parse_output(bytes: Vec<u8>) -> Output {
    match String::from_utf8(bytes) {
        Ok(text) => exact_json(&text).map_or(Output::Text(text), Output::Json),
        Err(error) => Output::Bytes(error.into_bytes()),
    }
}

fn exact_json(text: &str) -> Option<Value> {
    // A parsed value takes up to thirty times its text.
    if text.len() as u64 > DEFAULT_OUTPUT_BYTES {
        return None;
    }
    let line = text.strip_suffix('\n')?;
    let value: Value = serde_json::from_str(line).ok()?;
    let again = serde_json::to_string(&value).ok()?;
    (!value.is_string() && again == line).then_some(value)
}

fn guest_failure(failure: GuestFailure) -> Failure {
    let (kind, message, after) = match failure {
        GuestFailure::Invalid(text) => (FailureKind::Invalid, text, None),
        GuestFailure::Denied(text) => (FailureKind::Denied, text, None),
        GuestFailure::Unavailable(text) => (FailureKind::Unavailable, text, None),
        GuestFailure::Failed(text) => (FailureKind::Failed, text, None),
        GuestFailure::Permanent(text) => (FailureKind::Permanent, text, None),
        GuestFailure::RetryAfter(retry) => (FailureKind::RetryAfter, retry.reason, Some(retry.after_ms)),
        GuestFailure::NeedsApproval(text) => (FailureKind::NeedsApproval, text, None),
    };
    Failure { retry_after_ms: after, ..Failure::new(kind, message) }
}

fn script_failure(error: ScriptError) -> Failure {
    let position = error.position.map(|at| Position { line: at.line, column: at.column });
    let stack = (!error.stack.is_empty()).then_some(error.stack);
    Failure { stack, position, ..guest_failure(error.failure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_output_is_json_where_nothing_of_it_is_lost() {
        for exact in ["{}\n", "null\n", "[1,2.5,\"a\"]\n", "{\"b\":1,\"a\":{\"c\":[]}}\n", "18446744073709551615\n"] {
            let output = parse_output(exact.as_bytes().to_vec());
            let Output::Json(value) = &output else { panic!("{exact}: {output:?}") };
            assert_eq!(format!("{value}\n"), exact);
        }
        for text in [
            "",
            "hello\n",
            "\"hello\"\n",
            "{}",
            " {}\n",
            "{}\r\n",
            "{}\n\n",
            "{\"a\": 1}\n",
            "{\n  \"a\": 1\n}\n",
            "{\"a\":1,\"a\":2}\n",
            "123456789012345678901234567890\n",
            "1.0000000000000000001\n",
            "1e2\n",
            "\"\\u0041\"\n",
            "[\"\\/\"]\n",
        ] {
            assert_eq!(parse_output(text.as_bytes().to_vec()), Output::Text(text.to_owned()), "{text}");
        }
        assert_eq!(parse_output(vec![0xff]), Output::Bytes(vec![0xff]));
        let long = format!("[{}0]\n", "0,".repeat(usize::try_from(DEFAULT_OUTPUT_BYTES).unwrap()));
        assert!(matches!(parse_output(long.into_bytes()), Output::Text(_)));
    }
}
