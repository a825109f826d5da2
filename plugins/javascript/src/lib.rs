//! The JavaScript interpreter that Wardroom runs script tasks in.
//!
//! This file owns the export and the order of a run: compile, evaluate, call,
//! wait, answer. `script` knows the two forms that a script may have,
//! `event_loop` what is waited for, `failure` how a thrown value is told to the
//! engine, `prelude` (with `prelude/*.js`) what scripts find as globals; the
//! other files are the native halves of those globals. Nothing here checks
//! permissions: whatever a script may do, the engine decides behind the imports.

mod bindings;
mod call;
mod credential;
mod event_loop;
mod failure;
mod fetch;
mod files;
mod frames;
mod prelude;
mod script;
mod sqlite;
mod system;
mod text;
mod url;

use std::mem;

use bindings::exports::wardroom::interpreter::script::{Guest, ScriptError};
use event_loop::Ending;
use failure::failed;
use frames::Source;
use prelude::Prelude;
use rquickjs::{Context, Ctx, Result, Runtime, Value};
use script::Form;

struct Interpreter;

impl Guest for Interpreter {
    fn run(name: String, source: String, params: String, credentials: String) -> std::result::Result<String, ScriptError> {
        event_loop::reset();
        let source = Source::new(name, source);
        let (runtime, context) = start(&source).map_err(|error| failed(error.to_string()))?;
        let result = context.with(|ctx| run(&ctx, &source, params, credentials));
        // The engine throws the whole instance away after a run, so taking the
        // heap apart object by object would be time spent for nothing.
        mem::forget(context);
        mem::forget(runtime);
        result
    }
}

/// How much of the stack in linear memory scripts may use before QuickJS throws
/// a RangeError. Frames on the engine's own stack, which no guest can measure,
/// grow along with it; the figure leaves that one room within its 2 MiB.
const MAX_STACK_BYTES: usize = 500 * 1024;

fn start(source: &Source) -> Result<(Runtime, Context)> {
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(MAX_STACK_BYTES);
    prelude::set_loader(&runtime, source.name());
    event_loop::watch_rejections(&runtime);
    let context = Context::full(&runtime)?;
    Ok((runtime, context))
}

fn run(ctx: &Ctx<'_>, source: &Source, params: String, credentials: String) -> std::result::Result<String, ScriptError> {
    let setup = Prelude::install(ctx).and_then(|prelude| {
        let params = ctx.json_parse(params)?;
        let credentials = prelude.credentials(ctx.json_parse(credentials)?)?;
        Ok((prelude, params, credentials))
    });
    let (prelude, params, credentials) = setup.map_err(|error| failed(error.to_string()))?;
    let result = evaluate(ctx, &prelude, source, params, credentials);
    event_loop::report_unhandled(ctx, &prelude);
    result.map_err(|ending| failure::describe(ctx, &prelude, source, ending))
}

/// Runs the script in whichever form it has and gives its result as JSON.
fn evaluate<'js>(
    ctx: &Ctx<'js>,
    prelude: &Prelude<'js>,
    source: &Source,
    params: Value<'js>,
    credentials: Value<'js>,
) -> std::result::Result<String, Ending<'js>> {
    let thrown = |error| Ending::thrown(ctx, error);
    let globals = ctx.globals();
    globals.set("params", params.clone()).map_err(thrown)?;
    globals.set("credentials", credentials.clone()).map_err(thrown)?;

    let promise = match script::compile(ctx, source)? {
        Form::Module(module) => {
            event_loop::drive(ctx, &module.evaluation)?;
            let main = module.default_export().map_err(thrown)?;
            // Called from here and not in the prelude, whose frames would show in stack traces.
            let value = match main.as_function() {
                Some(function) => function.call((params,)).map_err(thrown)?,
                None => main,
            };
            prelude.settle(value).map_err(thrown)?
        }
        Form::Body(body) => body.call((params, credentials)).map_err(thrown)?,
    };
    let value = event_loop::drive(ctx, &promise)?;
    let json = ctx.json_stringify(value).map_err(thrown)?;
    match json {
        Some(json) => text::to_rust(json.as_value()).map_err(thrown),
        None => Ok(String::from("null")),
    }
}
