//! The native half of `tools`: calls on their way, and what they came to. Which
//! there are, and what may be called, the engine decides.

use rquickjs::{Ctx, Function, Object, Persistent, Result, convert::List, prelude::Func};
use wasip2::io::poll::Pollable;

use crate::bindings::wardroom::automation::call::{self, Error, FailureKind, Running};
use crate::event_loop;
use crate::text::Text;

/// A call on its way, and who waits for it.
pub(crate) struct Call {
    running: Running,
    done: Persistent<Function<'static>>,
}

impl Call {
    pub(crate) fn pollable(&self) -> Pollable {
        self.running.subscribe()
    }
}

/// One function that makes the others: a script that calls nobody pays for no more.
pub(crate) fn install(host: &Object<'_>) -> Result<()> {
    host.set("call", Func::from(natives))
}

fn natives(ctx: Ctx<'_>) -> Result<Object<'_>> {
    let natives = Object::new(ctx)?;
    natives.set("list", Func::from(list))?;
    natives.set("start", Func::from(start))?;
    Ok(natives)
}

fn list() -> Vec<String> {
    call::list().into_iter().map(|callee| callee.name).collect()
}

/// `[kind, message, afterMs, execution]` for the prelude.
type Refused = List<(&'static str, String, Option<f64>, Option<String>)>;

/// Starts a call. Nothing, or why it does not start; `done` is then not called.
fn start<'js>(ctx: Ctx<'js>, name: Text, params: Text, done: Function<'js>) -> Option<Refused> {
    match call::start(&name.0, &params.0) {
        Ok(running) => {
            let done = Persistent::save(&ctx, done);
            event_loop::with(|waiting| {
                let id = waiting.next_id();
                waiting.calls.insert(id, Call { running, done });
            });
            None
        }
        Err(error) => Some(refused(error)),
    }
}

fn refused(error: Error) -> Refused {
    let (kind, message) = match error {
        Error::NotGranted(message) => ("notGranted", message),
        Error::Params(message) => ("params", message),
        Error::Loop(message) => ("loop", message),
        Error::TooMany(message) => ("tooMany", message),
        Error::Busy(message) => ("busy", message),
        Error::Failed(failed) => {
            let after_ms = failed.after_ms.map(|ms| ms as f64);
            return List((word(failed.kind), failed.message, after_ms, failed.execution));
        }
    };
    List((kind, message, None, None))
}

const fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Invalid => "invalid",
        FailureKind::Denied => "denied",
        FailureKind::Unavailable => "unavailable",
        FailureKind::Failed => "failed",
        FailureKind::Permanent => "permanent",
        FailureKind::RetryAfter => "retryAfter",
        FailureKind::NeedsApproval => "needsApproval",
        FailureKind::Exit => "exit",
        FailureKind::Trap => "trap",
        FailureKind::Limit => "limit",
        FailureKind::Deadline => "deadline",
        FailureKind::Cancelled => "cancelled",
        FailureKind::Program => "program",
        FailureKind::Host => "host",
    }
}

/// Tells whoever waits how a call ended, if it has: `done(refused, result)`.
pub(crate) fn advance(ctx: &Ctx<'_>, id: u32) -> Result<()> {
    let finished = event_loop::with(|waiting| {
        let end = waiting.calls.get(&id)?.running.finish()?;
        Some((waiting.calls.remove(&id)?.done, end))
    });
    let Some((done, end)) = finished else { return Ok(()) };
    let done = done.restore(ctx)?;
    match end {
        Ok(result) => done.call::<_, ()>((None::<Refused>, result)),
        Err(error) => done.call::<_, ()>((Some(refused(error)), None::<String>)),
    }
}
