//! The native halves of console, crypto, process.env, state and progress.

use rquickjs::{Ctx, Object, Result, TypedArray, convert::List, prelude::Func};
use wasip2::{clocks::monotonic_clock, random::random::get_random_bytes};

use crate::bindings::wardroom::automation::log::{self, Level};
use crate::bindings::wardroom::automation::state;
use crate::text::Text;

pub(crate) fn install<'js>(ctx: &Ctx<'js>, host: &Object<'js>) -> Result<()> {
    host.set("log", Func::from(emit))?;
    host.set("progress", Func::from(progress))?;
    host.set("now", Func::from(now))?;
    host.set("random", Func::from(random))?;
    host.set("environment", Func::from(environment))?;
    let state = Object::new(ctx.clone())?;
    state.set("get", Func::from(state_get))?;
    state.set("set", Func::from(state_set))?;
    state.set("delete", Func::from(state_delete))?;
    state.set("keys", Func::from(state_keys))?;
    host.set("state", state)
}

fn emit(level: Text, message: Text) {
    let level = match level.0.as_str() {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    log::emit(level, &message.0);
}

/// Numbers come as whole ones from 0; a cast saturates what is too large.
fn progress(done: f64, total: Option<f64>, message: Text) {
    log::progress(done as u64, total.map(|total| total as u64), &message.0);
}

/// Milliseconds on the monotonic clock.
fn now() -> f64 {
    monotonic_clock::now() as f64 / 1e6
}

fn random(ctx: Ctx<'_>, length: u32) -> Result<TypedArray<'_, u8>> {
    TypedArray::new(ctx, get_random_bytes(u64::from(length)))
}

fn environment(ctx: Ctx<'_>) -> Result<Object<'_>> {
    let environment = Object::new(ctx)?;
    for (name, value) in std::env::vars_os() {
        environment.set(name.to_string_lossy().as_ref(), value.to_string_lossy().as_ref())?;
    }
    Ok(environment)
}

/// `[error, value]` for the prelude, the error itself being `[kind, message]`.
type Answer<T> = List<(Option<List<(&'static str, String)>>, Option<T>)>;

fn answer<T>(result: std::result::Result<T, state::Error>) -> Answer<T> {
    List(match result {
        Ok(value) => (None, Some(value)),
        Err(state::Error::Denied(message)) => (Some(List(("denied", message))), None),
        Err(state::Error::Quota(message)) => (Some(List(("quota", message))), None),
        Err(state::Error::InvalidKey(message)) => (Some(List(("key", message))), None),
    })
}

fn state_get(key: Text) -> Answer<Option<String>> {
    answer(state::get(&key.0))
}

fn state_set(key: Text, value: Text) -> Answer<()> {
    answer(state::set(&key.0, &value.0))
}

fn state_delete(key: Text) -> Answer<()> {
    answer(state::delete(&key.0))
}

fn state_keys() -> Answer<Vec<String>> {
    answer(state::keys())
}
