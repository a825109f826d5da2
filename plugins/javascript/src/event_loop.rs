//! What a run waits for: promise jobs, timers, HTTP exchanges, calls.
//!
//! Everything outside is waited for with one `wasi:io/poll` call, so that any
//! number of timers, exchanges and calls pass their time together:
//!
//! ```text
//! drive:  run all promise jobs ─▶ promise settled? ── yes ─▶ done
//!              ▲                        │ no
//!              └── handle one event ◀── poll ── nothing to wait for ─▶ stuck
//! ```
//!
//! State lives in a thread-local, because QuickJS calls back into it; no borrow
//! of it is ever held while JavaScript runs.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use rquickjs::{
    CaughtError, Ctx, Error, Exception, Function, Object, Persistent, Promise, Result, Runtime, Value, prelude::Func, promise::PromiseState,
};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{self, Pollable};

use crate::bindings::wardroom::automation::log::{self, Level};
use crate::call::{self, Call};
use crate::fetch::{self, Exchange};
use crate::prelude::Prelude;

/// How a run ends without a result.
pub(crate) enum Ending<'js> {
    /// Nobody caught this value.
    Thrown(Value<'js>),
    /// The text is no script.
    Syntax(Value<'js>),
    /// It waits, but for nothing that will ever happen.
    Stuck,
}

impl<'js> Ending<'js> {
    /// The exception behind an error of the binding.
    pub(crate) fn thrown(ctx: &Ctx<'js>, error: Error) -> Self {
        Self::Thrown(match CaughtError::from_error(ctx, error) {
            CaughtError::Exception(exception) => exception.into_value(),
            CaughtError::Value(value) => value,
            CaughtError::Error(error) => Exception::from_message(ctx.clone(), &error.to_string())
                .map_or_else(|_| Value::new_undefined(ctx.clone()), Exception::into_value),
        })
    }
}

type SavedFunction = Persistent<Function<'static>>;
type SavedValue = Persistent<Value<'static>>;

#[derive(Default)]
pub(crate) struct Waiting {
    /// By id; ids rise, so timers due at the same moment fire in order of creation.
    timers: BTreeMap<u32, Timer>,
    pub(crate) exchanges: BTreeMap<u32, Exchange>,
    pub(crate) calls: BTreeMap<u32, Call>,
    ready: VecDeque<Event>,
    last_id: u32,
    /// Thrown where nobody could catch it: in a timer or a microtask.
    aborted: Option<SavedValue>,
    /// Rejected promises that nobody has looked at yet, with their reasons.
    rejections: Vec<(SavedValue, SavedValue)>,
}

struct Timer {
    callback: SavedFunction,
    /// On the monotonic clock, in nanoseconds.
    due: u64,
    period: Option<u64>,
}

#[derive(Clone, Copy)]
pub(crate) enum Event {
    Timer(u32),
    Exchange(u32),
    Call(u32),
}

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
}

impl Waiting {
    pub(crate) fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    pub(crate) fn announce(&mut self, event: Event) {
        self.ready.push_back(event);
    }

    fn earliest_timer(&self) -> Option<u64> {
        self.timers.values().map(|timer| timer.due).min()
    }

    /// Waits until something is ready; false where there is nothing to wait for.
    fn poll(&mut self) -> bool {
        let mut events = Vec::new();
        let mut pollables: Vec<Pollable> = Vec::new();
        for (id, exchange) in &self.exchanges {
            for pollable in exchange.pollables() {
                events.push(Event::Exchange(*id));
                pollables.push(pollable);
            }
        }
        for (id, call) in &self.calls {
            events.push(Event::Call(*id));
            pollables.push(call.pollable());
        }
        if let Some(due) = self.earliest_timer() {
            pollables.push(monotonic_clock::subscribe_instant(due));
        }
        if pollables.is_empty() {
            return false;
        }
        let ready = poll::poll(&pollables.iter().collect::<Vec<_>>());
        let ready = ready.into_iter().filter_map(|at| events.get(usize::try_from(at).ok()?));
        self.ready.extend(ready);
        self.announce_due_timers(monotonic_clock::now());
        true
    }

    fn announce_due_timers(&mut self, now: u64) {
        let due = self.timers.iter().filter(|(_, timer)| timer.due <= now);
        let mut due: Vec<(u64, u32)> = due.map(|(id, timer)| (timer.due, *id)).collect();
        due.sort_unstable();
        self.ready.extend(due.into_iter().map(|(_, id)| Event::Timer(id)));
    }

    /// The callback of a timer, which is gone afterwards or set to its next turn.
    fn fire(&mut self, id: u32) -> Option<SavedFunction> {
        let timer = self.timers.get_mut(&id)?;
        let Some(period) = timer.period else {
            return self.timers.remove(&id).map(|timer| timer.callback);
        };
        timer.due = monotonic_clock::now().saturating_add(period);
        Some(timer.callback.clone())
    }
}

/// Changes what is waited for. Never calls into JavaScript from inside.
pub(crate) fn with<T>(change: impl FnOnce(&mut Waiting) -> T) -> T {
    WAITING.with_borrow_mut(change)
}

/// Forgets whatever an earlier run in this instance left.
pub(crate) fn reset() {
    let _left = WAITING.take();
}

/// Runs everything that is due until the promise is settled.
pub(crate) fn drive<'js>(ctx: &Ctx<'js>, promise: &Promise<'js>) -> std::result::Result<Value<'js>, Ending<'js>> {
    loop {
        while ctx.execute_pending_job() {}
        if let Some(thrown) = with(|waiting| waiting.aborted.take()) {
            return Err(restored(ctx, thrown));
        }
        if promise.state() != PromiseState::Pending {
            see_to(ctx, promise.as_value());
            let settled = promise.result::<Value<'js>>().unwrap_or(Err(Error::Unknown));
            return settled.map_err(|error| Ending::thrown(ctx, error));
        }
        if !turn(ctx).map_err(|error| Ending::thrown(ctx, error))? {
            return Err(Ending::Stuck);
        }
    }
}

fn restored<'js>(ctx: &Ctx<'js>, thrown: SavedValue) -> Ending<'js> {
    match thrown.restore(ctx) {
        Ok(value) => Ending::Thrown(value),
        Err(error) => Ending::thrown(ctx, error),
    }
}

/// Handles one event, waiting for it where need be; false where none can come.
fn turn(ctx: &Ctx<'_>) -> Result<bool> {
    let Some(event) = with(|waiting| waiting.ready.pop_front()) else {
        return Ok(with(Waiting::poll));
    };
    match event {
        Event::Timer(id) => {
            if let Some(callback) = with(|waiting| waiting.fire(id)) {
                callback.restore(ctx)?.call::<_, ()>(())?;
            }
        }
        Event::Exchange(id) => fetch::advance(ctx, id)?,
        Event::Call(id) => call::advance(ctx, id)?,
    }
    Ok(true)
}

pub(crate) fn install(host: &Object<'_>) -> Result<()> {
    host.set("addTimer", Func::from(add_timer))?;
    host.set("removeTimer", Func::from(remove_timer))?;
    host.set("abort", Func::from(abort))
}

fn add_timer<'js>(ctx: Ctx<'js>, callback: Function<'js>, ms: f64, repeats: bool) -> u32 {
    // A float cast saturates, and the sum below as well: too far away is never.
    let period = (ms * 1e6) as u64;
    let timer = Timer {
        callback: Persistent::save(&ctx, callback),
        due: monotonic_clock::now().saturating_add(period),
        period: repeats.then_some(period),
    };
    with(|waiting| {
        let id = waiting.next_id();
        waiting.timers.insert(id, timer);
        id
    })
}

fn remove_timer(id: f64) {
    // Anything that is no id of a timer removes none.
    let removed = with(|waiting| waiting.timers.remove(&(id as u32)));
    drop(removed);
}

fn abort<'js>(ctx: Ctx<'js>, thrown: Value<'js>) {
    let thrown = Persistent::save(&ctx, thrown);
    with(|waiting| waiting.aborted.get_or_insert(thrown).clone());
}

/// Remembers which rejected promises nobody looks at.
pub(crate) fn watch_rejections(runtime: &Runtime) {
    runtime.set_host_promise_rejection_tracker(Some(Box::new(|ctx, promise, reason, handled| {
        if handled {
            see_to(&ctx, &promise);
        } else {
            let entry = (Persistent::save(&ctx, promise), Persistent::save(&ctx, reason));
            with(|waiting| waiting.rejections.push(entry));
        }
    })));
}

/// Somebody takes care of this promise's rejection after all.
fn see_to<'js>(ctx: &Ctx<'js>, promise: &Value<'js>) {
    let known = with(|waiting| std::mem::take(&mut waiting.rejections));
    let is_other = |(other, _): &(SavedValue, SavedValue)| other.clone().restore(ctx).map_or(true, |other| other != *promise);
    let mut left: Vec<_> = known.into_iter().filter(is_other).collect();
    with(|waiting| waiting.rejections.append(&mut left));
}

/// Logs the rejections that nobody has handled by the end of the run.
pub(crate) fn report_unhandled<'js>(ctx: &Ctx<'js>, prelude: &Prelude<'js>) {
    for (_, reason) in with(|waiting| std::mem::take(&mut waiting.rejections)) {
        let text = reason.restore(ctx).and_then(|reason| prelude.text_of(reason));
        let text = text.unwrap_or_else(|_| String::from("a value that cannot be shown"));
        log::emit(Level::Warn, &format!("a promise was rejected and nobody handled it: {text}"));
    }
}
