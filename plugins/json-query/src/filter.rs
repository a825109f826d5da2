//! A filter: read, compiled, run on its inputs one after another.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, Error as LoadError, File, Loader, span};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::Val;

type Data = JustLut<Val>;

/// Bytes of a filter.
const MAX_FILTER: usize = 64 << 10;

/// Runs a filter on each input; `take` says when no more is wanted.
pub(crate) fn run(
    code: &str,
    names: &[String],
    values: Vec<Val>,
    inputs: Vec<Val>,
    mut take: impl FnMut(&Val) -> Result<bool, String>,
) -> Result<(), String> {
    let filter = compile(code, names)?;
    for input in inputs {
        let ctx = Ctx::<Data>::new(&filter.lut, Vars::new(values.clone()));
        for output in filter.id.run((ctx, input)) {
            let value = match output {
                Ok(value) => value,
                Err(exception) => return stopped(exception),
            };
            if !take(&value)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// `halt` ends a filter as if nothing more came; anything else is an error.
fn stopped(exception: jaq_core::Exn<'_, Val>) -> Result<(), String> {
    let exception = match exception.get_halt() {
        Ok(0) => return Ok(()),
        Ok(code) => return Err(format!("the filter halted with {code}")),
        Err(exception) => exception,
    };
    match exception.get_err() {
        Ok(error) => Err(format!("the filter failed: {error}")),
        Err(_) => Err("the filter left a label that is not there".to_owned()),
    }
}

fn compile(code: &str, names: &[String]) -> Result<Filter<Data>, String> {
    if code.len() > MAX_FILTER {
        return Err(format!("the filter has {} bytes: expected at most {MAX_FILTER}", code.len()));
    }
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let loaded = Loader::new(definitions).load(&arena, File { code, path: () });
    let modules = loaded.map_err(|errors| {
        let first = errors.into_iter().next().map(|(file, error)| unreadable(file.code, &error));
        first.unwrap_or_else(|| "the filter cannot be read".to_owned())
    })?;
    let compiler = Compiler::default().with_funs(functions).with_global_vars(names.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let mut errors = errors.into_iter().flat_map(|(file, errors)| errors.into_iter().map(move |error| (file.code, error)));
        errors.next().map_or_else(
            || "the filter does not hold".to_owned(),
            |(code, (name, undefined))| format!("the filter has an unknown {} `{name}` at {}", undefined.as_str(), place(code, name)),
        )
    })
}

fn unreadable(code: &str, error: &LoadError<&str>) -> String {
    match error {
        LoadError::Io(errors) => {
            let path = errors.first().map_or("", |(path, _)| path);
            format!("the filter wants the module `{path}`: there are none here")
        }
        LoadError::Lex(errors) => errors.first().map_or_else(String::new, |(expected, found)| {
            format!("the filter cannot be read at {}: expected {}", place(code, found), expected.as_str())
        }),
        LoadError::Parse(errors) => errors.first().map_or_else(String::new, |(expected, found)| {
            format!("the filter cannot be read at {}: expected {}", place(code, found), expected.as_str())
        }),
    }
}

/// Where in the filter a part of it stands.
fn place(code: &str, part: &str) -> String {
    let start = span(code, part.trim_start()).start.min(code.len());
    let before = code.get(..start).unwrap_or(code);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    if start == code.len() { "its end".to_owned() } else { format!("{line}:{column}") }
}
