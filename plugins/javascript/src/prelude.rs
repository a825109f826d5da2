//! What scripts find as globals: the JavaScript half in `prelude/*.js`, the
//! object `host` with the native halves, and the modules that may be imported.

use rquickjs::{
    Ctx, Exception, FromJs, Function, Module, Object, Persistent, Promise, Result, Runtime, Value,
    loader::{ImportAttributes, Loader, Resolver},
    module::{Declarations, Declared, Exports, ModuleDef},
    prelude::Func,
    qjs,
};

use std::cell::RefCell;

use crate::text::Text;
use crate::{call, credential, event_loop, fetch, files, script, sqlite, system, text, url};

macro_rules! modules {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bytecode")))),*]
    };
}

/// Bytecode by `build.rs`, loaded one by one when a script first names what they
/// define: a script that only computes pays for none of them.
const MODULES: [(&str, &[u8]); 13] =
    modules!["abort", "clone", "console", "core", "credentials", "fetch", "files", "inspect", "sqlite", "system", "text", "tools", "url",];

thread_local! {
    /// The prelude's `use`, through which an import finds what the global `fs` is.
    static USE: RefCell<Option<Persistent<Function<'static>>>> = const { RefCell::new(None) };
}

/// The prelude's functions that the run itself calls.
pub(crate) struct Prelude<'js> {
    credentials: Function<'js>,
    describe: Function<'js>,
    settle: Function<'js>,
    text_of: Function<'js>,
}

/// A thrown value as the prelude describes it.
pub(crate) struct Thrown {
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) stack: String,
    pub(crate) after_ms: u64,
}

impl<'js> Prelude<'js> {
    pub(crate) fn install(ctx: &Ctx<'js>) -> Result<Self> {
        let host = host(ctx)?;
        let core: Object<'js> = load(ctx.clone(), Text(String::from("core")))?.call((host,))?;
        let load: Function<'js> = core.get("use")?;
        USE.set(Some(Persistent::save(ctx, load)));
        Ok(Self {
            credentials: core.get("credentials")?,
            describe: core.get("describe")?,
            settle: core.get("settle")?,
            text_of: core.get("textOf")?,
        })
    }

    /// What scripts know as `credentials`, of the object with what stands in for each.
    pub(crate) fn credentials(&self, assigned: Value<'js>) -> Result<Value<'js>> {
        self.credentials.call((assigned,))
    }

    /// A promise of the value, or of what the value itself promises.
    pub(crate) fn settle(&self, value: Value<'js>) -> Result<Promise<'js>> {
        self.settle.call((value,))
    }

    pub(crate) fn text_of(&self, thrown: Value<'js>) -> Result<String> {
        self.text_of.call((thrown,)).map(|Text(text)| text)
    }

    pub(crate) fn describe(&self, thrown: Value<'js>) -> Result<Thrown> {
        let parts: Object<'js> = self.describe.call((thrown,))?;
        let text = |index: u32| parts.get::<_, Text>(index).map(|Text(text)| text);
        Ok(Thrown {
            kind: text(0)?,
            text: text(1)?,
            stack: text(2)?,
            // A float too large for the type becomes its largest value: the engine caps it anyway.
            after_ms: parts.get::<_, f64>(3)? as u64,
        })
    }
}

fn host<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let host = Object::new(ctx.clone())?;
    host.set("load", Func::from(load))?;
    call::install(&host)?;
    credential::install(&host)?;
    event_loop::install(&host)?;
    fetch::install(&host)?;
    files::install(ctx, &host)?;
    sqlite::install(&host)?;
    system::install(ctx, &host)?;
    text::install(&host)?;
    url::install(&host)?;
    Ok(host)
}

fn load<'js>(ctx: Ctx<'js>, name: Text) -> Result<Function<'js>> {
    let Some((_, bytecode)) = MODULES.iter().find(|(known, _)| *known == name.0) else {
        return Err(Exception::throw_internal(&ctx, "no such part of the prelude"));
    };
    let raw = ctx.as_raw().as_ptr();
    let flags = qjs::JS_READ_OBJ_BYTECODE as i32;
    // SAFETY: build.rs wrote these bytes with this very version of QuickJS.
    let program = unsafe { qjs::JS_ReadObject(raw, bytecode.as_ptr(), bytecode.len() as _, flags) };
    // SAFETY: an exception passes through as such; else this is a program, given away to the call.
    let function = unsafe { Value::from_raw(ctx.clone(), qjs::JS_EvalFunction(raw, program)) };
    if function.is_exception() {
        return Err(rquickjs::Error::Exception);
    }
    Function::from_js(&ctx, function)
}

/// Lets scripts import files and nothing else.
pub(crate) fn set_loader(runtime: &Runtime, script: &str) {
    runtime.set_loader(Imports { script: script.to_owned() }, Imports { script: script.to_owned() });
}

struct Imports {
    script: String,
}

impl Resolver for Imports {
    fn resolve<'js>(&mut self, ctx: &Ctx<'js>, base: &str, name: &str, _: Option<ImportAttributes<'js>>) -> Result<String> {
        if script::resolves_to_script(base, name) {
            return Ok(self.script.clone());
        }
        match name {
            "node:fs/promises" | "fs/promises" => Ok(String::from("node:fs/promises")),
            _ => Err(Exception::throw_type(ctx, &format!("the script cannot import '{name}': only 'node:fs/promises' can be imported"))),
        }
    }
}

impl Loader for Imports {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Option<ImportAttributes<'js>>) -> Result<Module<'js, Declared>> {
        Module::declare_def::<Files, _>(ctx.clone(), name)
    }
}

/// `node:fs/promises`: the global `fs` as a module.
struct Files;

impl ModuleDef for Files {
    fn declare(exports: &Declarations<'_>) -> Result<()> {
        exports.declare("default")?;
        for name in files::NAMES {
            exports.declare(name)?;
        }
        Ok(())
    }

    fn evaluate<'js>(ctx: &Ctx<'js>, exports: &Exports<'js>) -> Result<()> {
        let load = USE.with_borrow(|load| load.clone());
        let load = load.ok_or(rquickjs::Error::Unknown)?.restore(ctx)?;
        let module: Object<'js> = load.call(("files",))?;
        let fs: Object<'js> = module.get("fs")?;
        for name in files::NAMES {
            exports.export(name, fs.get::<_, Value<'js>>(name)?)?;
        }
        exports.export("default", fs)?;
        Ok(())
    }
}
