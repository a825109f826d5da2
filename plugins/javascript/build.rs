//! Compiles the prelude to QuickJS bytecode, so that no run has to parse it:
//! that would take longer than everything else a small script does.
//!
//! Bytecode of one QuickJS version is the same on every machine; the version
//! that writes it here is the one that reads it in the component, for both come
//! from the same locked crate.

use std::error::Error;
use std::ffi::CString;
use std::path::Path;
use std::{env, fs, slice};

use rquickjs::{Context, Ctx, Runtime, qjs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=prelude");
    let out = env::var("OUT_DIR")?;
    let context = Context::full(&Runtime::new()?)?;
    let mut sources: Vec<_> = fs::read_dir("prelude")?.collect::<Result<_, _>>()?;
    sources.sort_by_key(|source| source.file_name());
    for source in sources {
        let path = source.path();
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a file without a name")?;
        let bytecode = context.with(|ctx| compile(&ctx, name, fs::read_to_string(&path)?))?;
        fs::write(Path::new(&out).join(name).with_extension("bytecode"), bytecode)?;
    }
    Ok(())
}

/// One prelude file, without its source text but with its lines: the name's
/// prefix is how stack traces tell the prelude's frames from the script's.
fn compile(ctx: &Ctx<'_>, name: &str, source: String) -> Result<Vec<u8>, Box<dyn Error>> {
    let length = source.len();
    let source = CString::new(source)?;
    let file = CString::new(format!("wardroom:{name}"))?;
    let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_STRICT | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: both texts are terminated and outlive the call.
    let function = unsafe { qjs::JS_Eval(raw, source.as_ptr(), length as _, file.as_ptr(), flags as i32) };
    // SAFETY: reading a value's tag needs nothing more than the value.
    if unsafe { qjs::JS_IsException(function) } {
        return Err(format!("prelude/{name}.js: {:?}", ctx.catch()).into());
    }
    let mut size = 0;
    let flags = qjs::JS_WRITE_OBJ_BYTECODE | qjs::JS_WRITE_OBJ_STRIP_SOURCE;
    // SAFETY: the function was compiled just above, in this context.
    let bytes = unsafe { qjs::JS_WriteObject(raw, &mut size, function, flags as i32) };
    if bytes.is_null() {
        return Err(format!("prelude/{name}.js: no bytecode").into());
    }
    // SAFETY: QuickJS allocated that many bytes there. They and the function are
    // left to the end of this process.
    Ok(unsafe { slice::from_raw_parts(bytes, size as usize) }.to_vec())
}
