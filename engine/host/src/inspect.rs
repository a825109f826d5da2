//! What a component is, told by its own type: shape, functions, imports.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wardroom_core::program::{Entry, Shape};
use wardroom_core::text::nearest;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::error::HostError;
use crate::value;

/// Interfaces that this host serves, with the versions of them: `0.2` means
/// any 0.2.x up to wasmtime's own.
const SERVED: &[(&str, &str)] = &[
    ("wardroom:automation/call", "0.1.0"),
    ("wardroom:automation/credential", "0.1.0"),
    ("wardroom:automation/log", "0.1.0"),
    ("wardroom:automation/sqlite", "0.1.0"),
    ("wardroom:automation/state", "0.1.0"),
    ("wardroom:automation/types", "0.1.0"),
    ("wasi:cli/", "0.2"),
    ("wasi:clocks/", "0.2"),
    ("wasi:filesystem/", "0.2"),
    ("wasi:http/", "0.2"),
    ("wasi:io/", "0.2"),
    ("wasi:random/", "0.2"),
    ("wasi:sockets/", "0.2"),
];

const TASK: &str = "wardroom:automation/task@";
const COMMAND: &str = "wasi:cli/run@";
/// Through these alone a guest sees folders.
const FOLDERS: &str = "wasi:filesystem/";
/// How the names of all interfaces of WASI begin.
const WASI: &str = "wasi:";
/// Interfaces that have a door of their own, and no place among functions.
const DOORS: [&str; 3] = [TASK, COMMAND, "wasi:http/incoming-handler@"];

/// What a program turned out to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inspection {
    /// Its shape.
    pub shape: Shape,
    /// Its exported functions, in the order of the component.
    pub functions: Vec<FunctionView>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
}

/// One exported function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FunctionView {
    /// `function`, or `interface.function`.
    pub name: String,
    /// What its author says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// JSON Schema of the arguments, where it can be called with JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// JSON Schema of the result, where it can be called with JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
}

/// An exported function and where it is.
pub(crate) struct Export {
    /// The interface's whole name, where it lies in one.
    pub(crate) interface: Option<String>,
    /// Its own name.
    pub(crate) function: String,
    pub(crate) ty: ComponentFunc,
    /// Where an instance has it.
    pub(crate) index: Option<ComponentExportIndex>,
}

impl Export {
    /// `function`, or `interface.function` with the interface's own last name.
    fn name(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{}.{}", short(interface), self.function),
            None => self.function.clone(),
        }
    }

    fn answers_to(&self, wanted: &str) -> bool {
        let full = self.interface.as_ref().is_some_and(|interface| wanted == format!("{interface}.{}", self.function));
        full || wanted == self.name()
    }
}

/// `demo:math/ops@1.0.0` → `ops`.
pub(crate) fn short(interface: &str) -> &str {
    let unversioned = interface.split_once('@').map_or(interface, |(name, _)| name);
    unversioned.rsplit_once('/').map_or(unversioned, |(_, name)| name)
}

/// `docs` looks up what the author says of a function, by the interface that it
/// lies in and its name.
pub(crate) fn inspect(component: &Component, engine: &Engine, docs: &dyn Fn(Option<&str>, &str) -> Option<String>) -> Inspection {
    let Doors { shape, exports, .. } = Doors::of(component, engine);
    let with_docs = |export: &Export| FunctionView { docs: docs(export.interface.as_deref(), &export.function), ..view(export) };
    Inspection {
        shape,
        functions: exports.iter().map(with_docs).collect(),
        imports: component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

fn view(export: &Export) -> FunctionView {
    let schemas = value::params_schema(&export.ty).and_then(|params| Ok((params, value::result_schema(&export.ty)?)));
    match schemas {
        Ok((params, result)) => {
            FunctionView { name: export.name(), docs: None, params: Some(params), result: Some(result), unsupported: None }
        }
        Err(why) => FunctionView { name: export.name(), docs: None, params: None, result: None, unsupported: Some(why.to_string()) },
    }
}

/// How a component is called, found out once for all its runs.
pub(crate) struct Doors {
    shape: Shape,
    /// All functions that are no door of their own.
    exports: Vec<Export>,
    /// Whether it could see a folder at all.
    pub(crate) sees_folders: bool,
    /// Whether it imports anything of WASI.
    pub(crate) sees_wasi: bool,
}

impl Doors {
    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        let imports = |of: &str| component.component_type().imports(engine).any(|(name, _)| name.starts_with(of));
        let (sees_folders, sees_wasi) = (imports(FOLDERS), imports(WASI));
        Self { shape: shape(component, engine), exports: exports(component, engine), sees_folders, sees_wasi }
    }

    /// The function that a name means.
    pub(crate) fn function(&self, wanted: &str) -> Result<&Export, HostError> {
        self.exports.iter().find(|export| export.answers_to(wanted)).ok_or_else(|| {
            let names: Vec<String> = self.exports.iter().map(Export::name).collect();
            let near = nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned);
            HostError::NoFunction { wanted: wanted.to_owned(), near }
        })
    }

    /// Those of a function's params whose every value is a JSON string.
    pub(crate) fn text_params(&self, wanted: &str) -> Result<Vec<String>, HostError> {
        let schema = value::params_schema(&self.function(wanted)?.ty).unwrap_or_default();
        let is_text = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "string") || schema.get("enum").is_some();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        Ok(properties.filter(|(_, schema)| is_text(schema)).map(|(name, _)| name.clone()).collect())
    }

    /// The door that is meant where none was named.
    pub(crate) fn entry(&self, wanted: Option<&str>, args: &[String]) -> Result<Entry, HostError> {
        let no_args = |entry: Entry| match args {
            [] => Ok(entry),
            _ => Err(HostError::NoEntry("only a command takes arguments after `--`: this program takes params".to_owned())),
        };
        if let Some(wanted) = wanted {
            self.function(wanted)?;
            return no_args(Entry::Function(wanted.to_owned()));
        }
        match (self.shape, self.exports.as_slice()) {
            (Shape::Task, _) => no_args(Entry::Task),
            (Shape::Command, _) => Ok(Entry::Command { args: args.to_vec() }),
            (Shape::Functions | Shape::Script, []) => Err(HostError::NoEntry("the program exports nothing that can be run".to_owned())),
            (Shape::Functions | Shape::Script, [only]) => no_args(Entry::Function(only.name())),
            (Shape::Functions | Shape::Script, many) => {
                let names = many.iter().map(Export::name).collect::<Vec<_>>().join(", ");
                Err(HostError::NoEntry(format!("the program has several functions: name one of {names} after a `#`")))
            }
        }
    }
}

fn shape(component: &Component, engine: &Engine) -> Shape {
    let exports = |prefix: &str| component.component_type().exports(engine).any(|(name, _)| name.starts_with(prefix));
    if exports(TASK) {
        Shape::Task
    } else if exports(COMMAND) {
        Shape::Command
    } else {
        Shape::Functions
    }
}

fn exports(component: &Component, engine: &Engine) -> Vec<Export> {
    let mut found = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(ty) => {
                let index = component.get_export_index(None, name);
                found.push(Export { interface: None, function: name.to_owned(), ty, index });
            }
            ComponentItem::ComponentInstance(instance) if !DOORS.iter().any(|door| name.starts_with(door)) => {
                let interface = component.get_export_index(None, name);
                for (function, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(ty) = item.ty {
                        let index = interface.and_then(|interface| component.get_export_index(Some(&interface), function));
                        found.push(Export { interface: Some(name.to_owned()), function: function.to_owned(), ty, index });
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Every import is one that this host serves, else the first that is not, by
/// name.
pub(crate) fn check_imports(component: &Component, engine: &Engine) -> Result<(), HostError> {
    for (name, item) in component.component_type().imports(engine) {
        // Bare types carry no behaviour.
        let needs_serving = !matches!(item.ty, ComponentItem::Type(_));
        if needs_serving && !is_served(name) {
            return Err(HostError::UnknownImport { name: name.to_owned(), hint: served_hint(name) });
        }
    }
    Ok(())
}

fn is_served(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    SERVED.iter().any(|(served, wanted)| {
        let same = if served.ends_with('/') { name.starts_with(served) } else { name == *served };
        same && version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn served_hint(import: &str) -> Option<String> {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    let package = name.split_once('/').map_or(name, |(package, _)| package);
    let same = SERVED.iter().find(|(served, _)| *served == name);
    let sibling = || SERVED.iter().find(|(served, _)| served.split_once('/').is_some_and(|(known, _)| known == package));
    let (served, version) = same.or_else(sibling)?;
    Some(format!("`{}` is served in version {version}", served.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_served_by_name_and_version() {
        for served in ["wasi:cli/environment@0.2.6", "wasi:http/types@0.2.0", "wardroom:automation/log@0.1.0"] {
            assert!(is_served(served), "{served}");
        }
        for foreign in ["wasi:cli/environment@0.3.0", "wasi:nn/graph@0.2.0", "wardroom:automation/log@0.10.0", "env", "wasi:cli@0.2.6"] {
            assert!(!is_served(foreign), "{foreign}");
        }
        assert_eq!(served_hint("wasi:cli/run@0.3.0").as_deref(), Some("`wasi:cli` is served in version 0.2"));
        assert_eq!(short("demo:math/ops@1.0.0"), "ops");
    }
}
