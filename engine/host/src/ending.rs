//! From whatever ended a guest to one clause with a blame.

use wardroom_core::credential::Redact;
use wardroom_core::credential::redact::redact_json;
use wardroom_core::failure::{Failure, FailureKind, Output};
use wardroom_core::limit::{HOSTCALL_BYTES, Limits, MAX_HANDLES, SizeText};
use wardroom_core::text::truncated;
use wardroom_core::witness::HostFault;
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi_http::FieldMapError;

use crate::call::Ended;
use crate::imports::requests::FIELDS_BYTES;

/// Bytes kept of a guest's own failure text, and of its stack.
const MESSAGE_BYTES: usize = 16 << 10;

/// What is known of the run beside the error.
pub(crate) struct Facts<'a> {
    pub(crate) memory_refused: bool,
    pub(crate) limits: &'a Limits,
    pub(crate) script: bool,
    pub(crate) redact: &'a dyn Redact,
}

/// Whose fault it was, and in which words.
pub(crate) fn explain(error: &wasmtime::Error, facts: &Facts<'_>) -> Failure {
    if let Some(Ended(failure)) = error.downcast_ref::<Ended>() {
        return cut(out_of_memory(failure.clone(), facts), facts.redact);
    }
    if let Some(fault) = error.downcast_ref::<HostFault>() {
        return Failure::new(FailureKind::Host, fault.to_string());
    }
    let failure = limit(error, facts).unwrap_or_else(|| trap(error, facts));
    cut(Failure { stack: stack(error, facts), ..failure }, facts.redact)
}

/// A script that ran out of memory throws, as any script can throw those words;
/// it was the limit only if the ledger refused something.
fn out_of_memory(failure: Failure, facts: &Facts<'_>) -> Failure {
    if !(facts.script && facts.memory_refused && failure.message.ends_with("out of memory")) {
        return failure;
    }
    let message = format!("the memory limit of {} was reached ({})", SizeText(facts.limits.memory), failure.message);
    Failure { kind: FailureKind::Limit, message, ..failure }
}

/// A ceiling that was hit.
fn limit(error: &wasmtime::Error, facts: &Facts<'_>) -> Option<Failure> {
    let failure = |message: String| Some(Failure::new(FailureKind::Limit, message));
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return failure(format!("the fuel budget of {} was used up", facts.limits.fuel.unwrap_or(0)));
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return failure(format!("more than {MAX_HANDLES} handles were open at once"));
    }
    if matches!(error.downcast_ref(), Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields)) {
        return failure(format!("the headers of one request take more than {}", SizeText(FIELDS_BYTES as u64)));
    }
    let text = format!("{error:#}");
    if text.contains("hostcall") || text.contains("fuel allocated for host") {
        return failure(format!("one call handed the host more than {}", SizeText(HOSTCALL_BYTES)));
    }
    if facts.memory_refused && is_for_want_of_memory(trap, &text) {
        return failure(format!("the memory limit of {} was reached", SizeText(facts.limits.memory)));
    }
    if text.contains("pooling allocator") || text.contains("exceeds the limit") || text.contains("maximum concurrent") {
        return failure(format!("the program needs more than the sandbox has: {}", root(error)));
    }
    None
}

/// How programs end that were refused memory: they abort, use the refusal's -1
/// as an address, or do not start. A division by zero is their own affair.
fn is_for_want_of_memory(trap: Option<&Trap>, text: &str) -> bool {
    match trap {
        Some(trap) => matches!(trap, Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds | Trap::AllocationTooLarge),
        None => text.contains("exceeds memory limits") || text.contains("exceeds table limits"),
    }
}

fn trap(error: &wasmtime::Error, facts: &Facts<'_>) -> Failure {
    match error.downcast_ref::<Trap>() {
        // QuickJS has no stack check of its own in WebAssembly.
        Some(Trap::StackOverflow) if facts.script => Failure::new(FailureKind::Failed, "RangeError: Maximum call stack size exceeded"),
        Some(Trap::StackOverflow) => Failure::new(FailureKind::Trap, "the program's call stack is exhausted"),
        Some(Trap::UnreachableCodeReached) => Failure::new(FailureKind::Trap, "the program gave up (a panic or an abort)"),
        Some(trap) => Failure::new(FailureKind::Trap, format!("the program trapped: {trap}")),
        None => Failure::new(FailureKind::Trap, format!("the program cannot go on: {}", root(error))),
    }
}

fn root(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}

/// The guest's frames; those of the interpreter say nothing to its user.
fn stack(error: &wasmtime::Error, facts: &Facts<'_>) -> Option<String> {
    if facts.script {
        return None;
    }
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    let names = trace.frames().iter().map(|frame| frame.func_name().unwrap_or("?").to_owned());
    let text = names.collect::<Vec<_>>().join("\n");
    (!text.is_empty()).then_some(text)
}

/// Without values, and then as long as is kept.
fn cut(mut failure: Failure, redact: &dyn Redact) -> Failure {
    failure.message = short(&failure.message, redact);
    failure.stack = failure.stack.map(|stack| short(&stack, redact));
    failure
}

fn short(text: &str, redact: &dyn Redact) -> String {
    truncated(&redact.text(text), MESSAGE_BYTES).to_owned()
}

/// A result without values. What a command wrote was looked through when it was
/// written, and is again as the JSON that it may be.
pub(crate) fn without_values(output: Output, redact: &dyn Redact) -> Output {
    match output {
        Output::Json(value) => Output::Json(redact_json(redact, value)),
        output => output,
    }
}

/// State without values. A run reads back what it wrote; what outlives it is
/// clean.
pub(crate) fn clean_changes(changes: &[(String, Option<String>)], redact: &dyn Redact) -> Vec<(String, Option<String>)> {
    let clean = |text: &str| redact.text(text).into_owned();
    changes.iter().map(|(key, value)| (clean(key), value.as_deref().map(clean))).collect()
}

/// A result within its cap. JSON cannot be cut and stay JSON, so a result that
/// is too large is a failure that names the way out.
pub(crate) fn cap(output: Output, max: u64) -> Result<Output, Failure> {
    let Output::Json(value) = &output else { return Ok(output) };
    let bytes = json_bytes(value);
    if bytes <= max {
        return Ok(output);
    }
    Err(Failure::new(FailureKind::Limit, format!("the result has {bytes} bytes, more than the {} that are kept", SizeText(max))))
}

fn json_bytes(value: &serde_json::Value) -> u64 {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use wardroom_core::credential::NoCredentials;

    use super::*;

    #[test]
    fn refused_memory_explains_an_abort_and_no_bug() {
        let limits = Limits::default();
        let facts = Facts { memory_refused: true, limits: &limits, script: false, redact: &NoCredentials };
        let kind = |error: wasmtime::Error| explain(&error, &facts).kind;
        for trap in [Trap::UnreachableCodeReached, Trap::MemoryOutOfBounds] {
            assert_eq!(kind(trap.into()), FailureKind::Limit, "{trap}");
        }
        for trap in [Trap::IntegerDivisionByZero, Trap::StackOverflow, Trap::IndirectCallToNull] {
            assert_eq!(kind(trap.into()), FailureKind::Trap, "{trap}");
        }
        assert_eq!(kind(wasmtime::Error::msg("memory minimum size of 9 pages exceeds memory limits")), FailureKind::Limit);
        assert_eq!(kind(wasmtime::Error::msg("max blocking attempts exceeded")), FailureKind::Trap);
    }

    #[test]
    fn a_result_is_kept_up_to_its_cap() {
        let json = |n: usize| Output::Json(serde_json::Value::from("x".repeat(n)));
        assert!(cap(json(8), 10).is_ok());
        assert_eq!(cap(json(9), 10).map_err(|failure| failure.kind), Err(FailureKind::Limit));
        assert!(cap(Output::Text("x".repeat(99)), 10).is_ok(), "text was cut while it was written");
    }
}
