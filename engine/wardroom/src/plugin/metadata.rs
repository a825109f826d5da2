//! What is found out about a plugin when it is installed, and kept: its summary
//! and its functions with their schemas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wardroom_core::limit::{MAX_PLUGIN_FUNCTIONS, MAX_PLUGIN_METADATA};
use wardroom_core::manifest::Manifest;
use wardroom_core::plugin::{PluginName, PluginSource, tool_name};
use wardroom_core::program::{Program, Shape};
use wardroom_core::signature::SignerKey;
use wardroom_core::text::truncated;
use wardroom_db::PluginDetails;
use wardroom_host::{FunctionView, Inspection};

use super::offer::Accepted;
use super::seal::details_hash;
use super::words::{self, RequestView};
use super::{PluginError, TASK_FUNCTION};
use crate::wardroom::Wardroom;

/// Bytes of what is said of a plugin or of one function.
const MAX_ABOUT: usize = 4 << 10;
/// Arguments of a command that a tool takes, and bytes of each.
const MAX_ARGUMENTS: usize = 256;
const MAX_ARGUMENT: usize = 64 << 10;

/// Which door of the program a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The task interface: params by name.
    Task,
    /// An exported function: its params are its type's.
    Function,
    /// A command: `args` and `stdin`.
    Command,
    /// The script itself: params by name.
    Script,
}

/// One function of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginFunction {
    /// `run`, `function` or `interface.function`.
    pub name: String,
    /// Which door it is.
    pub door: Door,
    /// What its author says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// JSON Schema of its params.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// JSON Schema of its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it cannot be called, where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
}

/// What lists show of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Where its bytes came from; none: it was installed before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PluginSource>,
    /// Who signed its bytes; their signature held when they were installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerKey>,
    /// Its version, as its manifest says.
    pub version: Option<String>,
    /// What it does, as its manifest says.
    pub description: Option<String>,
    /// Its licence, as its manifest says.
    pub licence: Option<String>,
    /// Its shape.
    pub shape: Shape,
    /// It has a manifest: without one it asks for exactly what is granted.
    pub is_declared: bool,
    /// What it asks for.
    pub requests: Vec<RequestView>,
    /// Its functions' names.
    pub functions: Vec<String>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// Where its manifest and its imports say different things, and functions
    /// that cannot be called.
    pub notes: Vec<String>,
    /// The hash of functions and WIT.
    pub(super) details: String,
}

/// A program that was looked at.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) summary: Summary,
    pub(super) details: PluginDetails,
}

impl Wardroom {
    /// Looks at what is to be a plugin of this name, and where it comes from.
    pub(super) async fn examine(&self, name: &PluginName, offer: &Accepted) -> Result<Examined, PluginError> {
        let (summary, details) = self.describe_plugin(name, offer.program()).await?;
        let summary = Summary { source: Some(offer.source.clone()), signer: offer.signer, ..summary };
        let bytes = details.functions.len() + details.wit.as_ref().map_or(0, String::len);
        if bytes + serde_json::to_string(&summary).map_or(usize::MAX, |text| text.len()) > MAX_PLUGIN_METADATA {
            return Err(PluginError::TooMuch);
        }
        Ok(Examined { summary, details })
    }

    /// Looks at a program as a plugin of this name. It is prepared in a child
    /// process where that has not been done.
    pub(super) async fn describe_plugin(&self, name: &PluginName, program: &Program) -> Result<(Summary, PluginDetails), PluginError> {
        let inspection = self.host()?.inspect(program).await.map_err(crate::execution::resolve::ResolveError::from)?;
        let manifest = self.manifest(program).await?;
        let described = self.host()?.described(program).await.map_err(crate::execution::resolve::ResolveError::from)?;
        let functions = functions(&inspection, manifest.as_ref());
        check(name, &functions)?;
        check_params(&inspection, manifest.as_ref())?;
        let details = PluginDetails {
            functions: serde_json::to_string(&functions).map_err(|_| PluginError::TooMuch)?,
            wit: described.and_then(|described| described.wit.clone()),
        };
        let summary = summary(&inspection, manifest.as_ref(), &functions, details_hash(&details));
        Ok((summary, details))
    }
}

fn functions(inspection: &Inspection, manifest: Option<&Manifest>) -> Vec<PluginFunction> {
    let about = manifest.and_then(|manifest| manifest.description.as_deref()).map(|text| truncated(text, MAX_ABOUT).to_owned());
    let whole = |door, params| PluginFunction {
        name: TASK_FUNCTION.to_owned(),
        door,
        about: about.clone(),
        params: Some(params),
        result: Some(json!({})),
        unsupported: None,
    };
    let declared = || manifest.map_or_else(|| json!({ "type": "object" }), |manifest| manifest.params.schema());
    let first = match inspection.shape {
        Shape::Task => Some(whole(Door::Task, declared())),
        Shape::Script => Some(whole(Door::Script, declared())),
        Shape::Command => Some(whole(Door::Command, command_params())),
        Shape::Functions => None,
    };
    let own = inspection.functions.iter().filter(|view| !is_of_the_build(view));
    first.into_iter().chain(own.map(typed)).collect()
}

/// What componentize-qjs and componentize-py called while they built the component,
/// and left among its exports: nobody's to call again.
fn is_of_the_build(view: &FunctionView) -> bool {
    const LEFT: [(&str, &[&str]); 2] =
        [("init", &["shim", "script", "entry_path", "disable_gc"]), ("exports.init", &["app_name", "symbols", "stub_wasi"])];
    let properties = view.params.as_ref().and_then(|params| params.get("properties")?.as_object());
    let takes = |names: &[&str]| properties.is_some_and(|own| own.len() == names.len() && names.iter().all(|name| own.contains_key(*name)));
    LEFT.iter().any(|(name, params)| view.name == *name && takes(params))
}

fn typed(view: &FunctionView) -> PluginFunction {
    PluginFunction {
        name: view.name.clone(),
        door: Door::Function,
        about: view.docs.as_deref().map(|text| truncated(text, MAX_ABOUT).to_owned()),
        params: view.params.clone(),
        result: view.result.clone(),
        unsupported: view.unsupported.clone(),
    }
}

fn command_params() -> Value {
    json!({
        "type": "object",
        "properties": {
            "args": {
                "type": "array", "items": { "type": "string", "maxLength": MAX_ARGUMENT }, "maxItems": MAX_ARGUMENTS,
                "description": "The command's own arguments", "default": [],
            },
            "stdin": { "type": "string", "description": "What it reads from standard input", "default": "" },
        },
        "additionalProperties": false,
    })
}

/// There is something to call, not too much of it, and no two by one name.
fn check(name: &PluginName, functions: &[PluginFunction]) -> Result<(), PluginError> {
    if functions.is_empty() {
        return Err(PluginError::Nothing);
    }
    if functions.len() > MAX_PLUGIN_FUNCTIONS {
        return Err(PluginError::Functions(functions.len()));
    }
    let mut tools: BTreeMap<String, &str> = BTreeMap::new();
    for function in functions {
        if let Some(other) = tools.insert(tool_name(name, &function.name), &function.name) {
            return Err(PluginError::Collision { one: other.to_owned(), other: function.name.clone() });
        }
    }
    Ok(())
}

/// Params that nothing takes would be a promise that nothing keeps.
fn check_params(inspection: &Inspection, manifest: Option<&Manifest>) -> Result<(), PluginError> {
    let takes = matches!(inspection.shape, Shape::Task | Shape::Script);
    let declares = manifest.is_some_and(|manifest| !manifest.params.0.is_empty());
    if declares && !takes { Err(PluginError::IdleParams) } else { Ok(()) }
}

fn summary(inspection: &Inspection, manifest: Option<&Manifest>, functions: &[PluginFunction], details: String) -> Summary {
    let text = |text: Option<&String>| text.map(|text| truncated(text, MAX_ABOUT).to_owned());
    let mut notes = Vec::new();
    if let Some(manifest) = manifest.filter(|_| inspection.shape != Shape::Script) {
        notes = words::differences(manifest, &inspection.imports);
    }
    let uncallable = functions.iter().filter_map(|function| {
        let why = function.unsupported.as_ref()?;
        Some(format!("its function `{}` cannot be called: {why}", function.name))
    });
    notes.extend(uncallable);
    Summary {
        source: None,
        signer: None,
        version: text(manifest.and_then(|manifest| manifest.version.as_ref())),
        description: text(manifest.and_then(|manifest| manifest.description.as_ref())),
        licence: text(manifest.and_then(|manifest| manifest.licence.as_ref())),
        shape: inspection.shape,
        is_declared: manifest.is_some(),
        requests: manifest.map(words::requests).unwrap_or_default(),
        functions: functions.iter().map(|function| function.name.clone()).collect(),
        imports: inspection.imports.clone(),
        notes,
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> PluginFunction {
        PluginFunction { name: name.to_owned(), door: Door::Function, about: None, params: None, result: None, unsupported: None }
    }

    #[test]
    fn only_a_builders_own_function_is_left_out() {
        let view = |name: &str, params: &[&str]| {
            let properties: serde_json::Map<String, Value> = params.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
            FunctionView {
                name: name.to_owned(),
                docs: None,
                params: Some(json!({ "type": "object", "properties": properties })),
                result: None,
                unsupported: None,
            }
        };
        assert!(is_of_the_build(&view("init", &["shim", "script", "entry_path", "disable_gc"])));
        assert!(is_of_the_build(&view("exports.init", &["app_name", "symbols", "stub_wasi"])));
        for own in [view("init", &[]), view("init", &["shim"]), view("start", &["app_name", "symbols", "stub_wasi"])] {
            assert!(!is_of_the_build(&own), "{}", own.name);
        }
    }

    #[test]
    fn no_two_functions_have_one_name() {
        let name = "p".parse().unwrap();
        let of = |names: &[&str]| check(&name, &names.iter().map(|name| function(name)).collect::<Vec<_>>());
        assert!(of(&["a", "b", "x.a", "y.a"]).is_ok());
        assert!(matches!(of(&["x.a", "x.a"]), Err(PluginError::Collision { .. })), "of two interfaces with one last name");
        assert!(matches!(of(&["run", "run"]), Err(PluginError::Collision { .. })), "the task, and a function called so");
        assert!(matches!(of(&[]), Err(PluginError::Nothing)));
        let many: Vec<String> = (0..=MAX_PLUGIN_FUNCTIONS).map(|n| format!("f{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(of(&many), Err(PluginError::Functions(_))));
        assert!(of(&many[1..]).is_ok());
    }
}
