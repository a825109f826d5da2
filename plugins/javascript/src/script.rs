//! The two forms of a script, and which of them a source has: a module with a
//! default export, or the body of an async function. Only compiling decides,
//! and linking; nothing of the script has run when the decision falls, so
//! nothing ever runs twice.

use std::ffi::CString;

use rquickjs::{Ctx, Exception, Function, Module, Promise, Result, Value, module::Evaluated, qjs};

use crate::event_loop::Ending;
use crate::frames::{self, Source};

/// The module that imports the script's default export. Linking fails, before
/// anything is evaluated, exactly where the script has none: that is how the
/// engine itself tells.
const ENTRY: &str = "wardroom:entry";
/// What [`ENTRY`] calls the script, whose own name may hold anything.
const SCRIPT: &str = "wardroom:script";
const ENTRY_SOURCE: &str = r#"export { default } from "wardroom:script";"#;

/// What is put before a script ends with two line breaks, so that its own first
/// line is line 1 and, not being the text's first, has its columns counted from
/// 1. (0 would be no answer: QuickJS takes it for "not given".)
const FIRST_LINE: i32 = -1;

pub(crate) enum Form<'js> {
    Module(MainModule<'js>),
    Body(Function<'js>),
}

/// A script whose evaluation as a module has begun.
pub(crate) struct MainModule<'js> {
    entry: Module<'js, Evaluated>,
    pub(crate) evaluation: Promise<'js>,
}

impl<'js> MainModule<'js> {
    pub(crate) fn default_export(&self) -> Result<Value<'js>> {
        self.entry.get("default")
    }
}

/// The name that an import resolves to, if it is the entry importing the script.
pub(crate) fn resolves_to_script(base: &str, name: &str) -> bool {
    base == ENTRY && name == SCRIPT
}

/// Compiles a script. A module is also evaluated, up to its first wait.
pub(crate) fn compile<'js>(ctx: &Ctx<'js>, source: &Source) -> std::result::Result<Form<'js>, Ending<'js>> {
    let module_error = match compile_module(ctx, source) {
        Ok(()) => match link_module(ctx)? {
            Some(module) => return Ok(Form::Module(module)),
            None => None,
        },
        Err(Ending::Thrown(error)) if frames::is_syntax_error(&error) => Some(error),
        Err(ending) => return Err(ending),
    };
    match compile_body(ctx, source) {
        Ok(body) => Ok(Form::Body(body)),
        Err(Ending::Thrown(error)) if frames::is_syntax_error(&error) => {
            Err(Ending::Syntax(better_error(ctx, source, module_error, error)))
        }
        Err(ending) => Err(ending),
    }
}

fn compile_module<'js>(ctx: &Ctx<'js>, source: &Source) -> std::result::Result<(), Ending<'js>> {
    let flags = qjs::JS_EVAL_TYPE_MODULE | qjs::JS_EVAL_FLAG_STRICT | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    let text = format!("\n\n{}", source.text());
    evaluate(ctx, source.name(), text, flags).map(drop).map_err(|error| Ending::thrown(ctx, error))
}

/// `None` where the compiled module has no default export.
fn link_module<'js>(ctx: &Ctx<'js>) -> std::result::Result<Option<MainModule<'js>>, Ending<'js>> {
    let entry = Module::declare(ctx.clone(), ENTRY, ENTRY_SOURCE).map_err(|error| Ending::thrown(ctx, error))?;
    match entry.eval() {
        Ok((entry, evaluation)) => Ok(Some(MainModule { entry, evaluation })),
        Err(error) => match Ending::thrown(ctx, error) {
            Ending::Thrown(error) if is_missing_default(&error) => Ok(None),
            Ending::Thrown(error) => Err(Ending::Syntax(error)),
            ending => Err(ending),
        },
    }
}

fn is_missing_default(error: &Value<'_>) -> bool {
    frames::is_syntax_error(error) && frames::message(error).starts_with("Could not find export 'default' in module '")
}

fn compile_body<'js>(ctx: &Ctx<'js>, source: &Source) -> std::result::Result<Function<'js>, Ending<'js>> {
    // The inner block lets a script declare names that the parameters have.
    let text = format!("(async function (params, credentials) {{{{\n\n{}\n}}}})", source.text());
    evaluate(ctx, source.name(), text, qjs::JS_EVAL_TYPE_GLOBAL).and_then(|value| value.get()).map_err(|error| Ending::thrown(ctx, error))
}

/// Of both attempts' errors the one that says more about what is wrong.
fn better_error<'js>(ctx: &Ctx<'js>, source: &Source, module_error: Option<Value<'js>>, body_error: Value<'js>) -> Value<'js> {
    let at_body = frames::syntax_position(&body_error, source);
    let Some(module_error) = module_error else {
        return default_missing(ctx, source, &body_error).unwrap_or(body_error);
    };
    let at_module = frames::syntax_position(&module_error, source);
    // A brace too many closes what the script was wrapped in, and the body's
    // error then lies after the script's end.
    let is_stray_brace = at_module.is_some_and(|at| source.has_at(at, '}'));
    if at_module >= at_body || is_stray_brace { module_error } else { body_error }
}

/// A module without a default export that cannot be a function body either, for
/// its imports or exports: then the default export is what it lacks.
fn default_missing<'js>(ctx: &Ctx<'js>, source: &Source, body_error: &Value<'js>) -> Option<Value<'js>> {
    let (line, _) = frames::syntax_position(body_error, source)?;
    let text = source.line(line)?.trim_start();
    if !text.starts_with("import") && !text.starts_with("export") {
        return None;
    }
    let message = "a script that imports or exports at its top level needs a default export \
                   (inside a function, `await import(...)` works without)";
    let _thrown = Exception::throw_syntax(ctx, message);
    let error = ctx.catch();
    let stack = body_error.as_object()?.get::<_, Value<'js>>("stack").ok()?;
    error.as_object()?.set("stack", stack).ok()?;
    Some(error)
}

/// Compiles, and with no flag against it runs, a text under the script's name.
fn evaluate<'js>(ctx: &Ctx<'js>, name: &str, text: String, flags: u32) -> Result<Value<'js>> {
    let name = CString::new(name)?;
    let length = text.len();
    // QuickJS reads one byte past the text; a NUL inside the text is its own affair.
    let mut text = text.into_bytes();
    text.push(0);
    let mut options = qjs::JSEvalOptions {
        version: qjs::JS_EVAL_OPTIONS_VERSION as i32,
        eval_flags: flags as i32,
        filename: name.as_ptr(),
        line_num: FIRST_LINE,
    };
    // SAFETY: the text is terminated, and text, name and options outlive the call.
    let value = unsafe { qjs::JS_Eval2(ctx.as_raw().as_ptr(), text.as_ptr().cast(), length as _, &mut options) };
    // SAFETY: the call gave this value away to us, exception or not.
    let value = unsafe { Value::from_raw(ctx.clone(), value) };
    if value.is_exception() { Err(rquickjs::Error::Exception) } else { Ok(value) }
}
