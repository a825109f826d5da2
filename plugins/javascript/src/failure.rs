//! How a run that ended without a result is told to the engine: which of the
//! contract's failures, in which words, and where in the script.

use rquickjs::Ctx;

use crate::bindings::exports::wardroom::interpreter::script::ScriptError;
use crate::bindings::wardroom::automation::types::{Failure, RetryAfter};
use crate::event_loop::Ending;
use crate::frames::{self, Source};
use crate::prelude::{Prelude, Thrown};

/// A failure that has no place in the script.
pub(crate) fn failed(message: String) -> ScriptError {
    ScriptError { failure: Failure::Failed(message), stack: String::new(), position: None }
}

pub(crate) fn describe<'js>(ctx: &Ctx<'js>, prelude: &Prelude<'js>, source: &Source, ending: Ending<'js>) -> ScriptError {
    let (value, is_syntax) = match ending {
        Ending::Stuck => {
            return failed(String::from("the script waits for a promise that nothing will settle"));
        }
        Ending::Syntax(value) => (value, true),
        Ending::Thrown(value) => (value, false),
    };
    let Ok(thrown) = prelude.describe(value) else {
        // Describing runs code of the value's own, which may fail once more.
        let _second = ctx.catch();
        return failed(String::from("the script threw a value that cannot be shown"));
    };
    let (stack, position) = frames::own_frames(&thrown.stack, source);
    ScriptError { failure: typed(thrown), stack: if is_syntax { String::new() } else { stack }, position }
}

fn typed(thrown: Thrown) -> Failure {
    let text = thrown.text;
    match thrown.kind.as_str() {
        "invalid" => Failure::Invalid(text),
        "denied" => Failure::Denied(text),
        "unavailable" => Failure::Unavailable(text),
        "permanent" => Failure::Permanent(text),
        "retryAfter" => Failure::RetryAfter(RetryAfter { after_ms: thrown.after_ms, reason: text }),
        "needsApproval" => Failure::NeedsApproval(text),
        _ => Failure::Failed(text),
    }
}
