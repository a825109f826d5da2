//! Functions as tools: which are exposed, what each is granted, and a call of
//! one as a request to run it.
//!
//! A tool's grants hang on it alone (`tool:NAME.FUNCTION`): neither the command
//! line nor another function shares them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use wardroom_core::capability::{Capability, Requests, Scope, Surplus};
use wardroom_core::execution::Trigger;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::NamedLimits;
use wardroom_core::manifest::Manifest;
use wardroom_core::plugin::{PluginName, parts, tool_name};
use wardroom_core::program::ProgramName;
use wardroom_core::task::Occasion;
use wardroom_db::{GrantRecord, PluginChange};

use super::program::named;
use super::{Door, Plugin, PluginError, PluginFunction};
use crate::audit::{self, event};
use crate::execution::changed::Changed;
use crate::execution::grants::stored;
use crate::execution::resolve::{PlaceUseError, ResolveError, RunRequest, Source};
use crate::wardroom::Wardroom;

/// Tools that are kept ready to be called.
const MAX_KNOWN: usize = 256;

/// A function that assistants are shown, and scripts may be allowed to call.
#[derive(Debug, Clone)]
pub struct ExposedTool {
    /// Whose.
    pub plugin: Plugin,
    /// Which.
    pub function: PluginFunction,
}

impl ExposedTool {
    /// `NAME.FUNCTION`.
    #[must_use]
    pub fn dotted(&self) -> String {
        self.plugin.name().subject(&self.function.name)
    }

    /// Its name as a tool's.
    #[must_use]
    pub fn tool_name(&self) -> String {
        tool_name(self.plugin.name(), &self.function.name)
    }

    /// A call of it, as a request to run it: its params are those of its door.
    /// Whether they fit its schema is for the caller to have checked; what does
    /// not fit is refused when it is resolved or run.
    #[must_use]
    pub fn request(&self, params: Map<String, Value>, base: PathBuf, trigger: Trigger, occasion: Occasion) -> RunRequest {
        let (params, args, stdin) = match self.function.door {
            Door::Command => command_input(&params),
            Door::Task | Door::Function | Door::Script => (params, Vec::new(), Vec::new()),
        };
        RunRequest {
            source: Source::Tool(self.plugin.stored(&self.function), self.plugin.name().tool_subject(&self.function.name)),
            id: ExecutionId::fresh(),
            attempt: 1,
            base,
            trigger,
            occasion,
            params,
            offered: Map::new(),
            text_params: Vec::new(),
            args,
            stdin,
            limits: NamedLimits::default(),
            output_bytes: None,
        }
    }
}

/// A command's arguments and standard input, from params; what else there is stays among the
/// params, where it is refused.
pub(super) fn command_input(params: &Map<String, Value>) -> (Map<String, Value>, Vec<String>, Vec<u8>) {
    let mut rest = params.clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let args = rest.get("args").and_then(Value::as_array).map(|args| args.iter().map(text).collect::<Option<Vec<String>>>());
    let args = match args {
        Some(Some(args)) => {
            rest.remove("args");
            args
        }
        _ => Vec::new(),
    };
    let stdin = rest.get("stdin").and_then(text);
    if stdin.is_some() {
        rest.remove("stdin");
    }
    (rest, args, stdin.unwrap_or_default().into_bytes())
}

/// Tools that were called lately, as they were found to be sealed.
///
/// A seal is of all that a row says, so whoever knows the seal that a plugin of
/// this name has in the database now knows the row. The name is asked for too: a
/// hand in the database may give one row another's seal. Whether a function is exposed is asked each time.
#[derive(Default)]
pub(crate) struct KnownTools(Mutex<HashMap<String, Arc<ExposedTool>>>);

impl KnownTools {
    /// The tool of this name, where it is one of those functions of the plugin that
    /// are exposed, under the seal that the plugin has.
    fn get(&self, name: &str, plugin: &PluginName, exposed: &[(String, String)]) -> Option<Arc<ExposedTool>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(name)?;
        let is_it = |(function, seal): &(String, String)| found.function.name == *function && found.plugin.record.seal == *seal;
        (found.plugin.name() == plugin && exposed.iter().any(is_it)).then(|| found.clone())
    }

    fn put(&self, tool: &Arc<ExposedTool>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MAX_KNOWN {
            known.clear();
        }
        known.insert(tool.tool_name(), tool.clone());
    }
}

/// Functions that were exposed, and what they still lack.
#[derive(Debug)]
pub struct Exposed {
    /// Whose.
    pub plugin: Plugin,
    /// Which.
    pub functions: Vec<String>,
    /// What the plugin asks for and its tools were not granted.
    pub missing: Vec<Scope>,
    /// What the operator should know of its signature.
    pub warning: Option<String>,
}

impl Wardroom {
    /// All tools that are exposed of plugins, in order of their names. Nothing
    /// is compiled; a plugin whose row is altered has none.
    ///
    /// # Errors
    ///
    /// [`PluginError::Db`], or [`PluginError::Seal`].
    pub fn exposed_tools(&self) -> Result<Vec<ExposedTool>, PluginError> {
        let exposed = self.db.exposed_functions()?;
        let mut tools = Vec::new();
        for one in exposed.chunk_by(|a, b| a.plugin == b.plugin) {
            let Some(first) = one.first() else { continue };
            let found = match self.plugin_of(&first.plugin) {
                Ok(Some(plugin)) => plugin,
                Ok(None) | Err(PluginError::Altered(_)) => continue,
                Err(error) => return Err(error),
            };
            let Ok((functions, _)) = self.plugin_functions(&found) else { continue };
            let is_exposed =
                |function: &PluginFunction| function.unsupported.is_none() && one.iter().any(|one| one.function == function.name);
            tools.extend(functions.into_iter().filter(is_exposed).map(|function| ExposedTool { plugin: found.clone(), function }));
        }
        tools.sort_by_cached_key(ExposedTool::tool_name);
        Ok(tools)
    }

    /// The exposed tool of this name, `NAME.FUNCTION`.
    ///
    /// # Errors
    ///
    /// [`PluginError::NotExposed`], or what finding the plugin says.
    pub fn exposed_tool(&self, dotted: &str) -> Result<Arc<ExposedTool>, PluginError> {
        let not_exposed = || PluginError::NotExposed(dotted.to_owned());
        let Some((name, Some(function))) = parts(dotted) else { return Err(not_exposed()) };
        let exposed = self.db.exposed_of(&name)?;
        let of_it = exposed.iter().find(|(exposed, _)| exposed == function).ok_or_else(not_exposed)?;
        match self.known_tools.get(&tool_name(&name, function), &name, std::slice::from_ref(of_it)) {
            Some(tool) => Ok(tool),
            None => self.tool_of(&name, function),
        }
    }

    /// A function that is exposed, and not yet known.
    fn tool_of(&self, name: &PluginName, function: &str) -> Result<Arc<ExposedTool>, PluginError> {
        let plugin = self.plugin(name.as_str())?;
        let (functions, _) = self.plugin_functions(&plugin)?;
        let function = named(name, functions, function)?;
        let tool = Arc::new(ExposedTool { plugin, function });
        self.known_tools.put(&tool);
        Ok(tool)
    }

    /// The exposed tool that assistants know by this name, where there is one.
    ///
    /// # Errors
    ///
    /// What finding its plugin says.
    pub fn exposed_by_tool_name(&self, name: &str) -> Result<Option<Arc<ExposedTool>>, PluginError> {
        let Some((plugin, _)) = name.split_once("__") else { return Ok(None) };
        let Ok(plugin) = plugin.parse::<PluginName>() else { return Ok(None) };
        let exposed = self.db.exposed_of(&plugin)?;
        if let Some(tool) = self.known_tools.get(name, &plugin, &exposed) {
            return Ok(Some(tool));
        }
        let found = exposed.iter().find(|(function, _)| tool_name(&plugin, function) == name);
        found.map(|(function, _)| self.tool_of(&plugin, function)).transpose()
    }

    /// What a tool is granted, for the bytes that it has.
    ///
    /// # Errors
    ///
    /// [`PluginError::Db`].
    pub fn tool_grants(&self, tool: &ExposedTool) -> Result<Vec<GrantRecord>, PluginError> {
        let subject = tool.plugin.name().tool_subject(&tool.function.name);
        Ok(self.db.grants(&subject, Some(tool.plugin.digest()))?)
    }

    pub(super) fn exposed_of(&self, name: &PluginName) -> Result<Vec<String>, PluginError> {
        Ok(self.db.exposed_of(name)?.iter().map(|(function, _)| function.clone()).collect())
    }

    /// Exposes a function of a plugin, or all that can be called, with what their
    /// tools are granted from now on beside what they were.
    ///
    /// # Errors
    ///
    /// [`PluginError::Trust`] where its bytes are not run at all,
    /// [`PluginError::Surplus`] for a grant that the plugin does not ask for,
    /// [`PluginError::NoCredential`], and what finding the plugin says.
    pub async fn expose_functions(&self, name: &str, base: &Path, scopes: &[Scope]) -> Result<Exposed, PluginError> {
        let (plugin, functions) = self.functions_named(name)?;
        let program = functions.first().ok_or(PluginError::Nothing)?;
        let program = self.components().load(&plugin.stored(program))?;
        // A tool that no call gets through to is none.
        let admitted = self.admit(program, Some(plugin.provenance()))?;
        let program = admitted.program();
        let warning = self.run_warning(program, Some(plugin.provenance()))?;
        let manifest = self.manifest(program).await?;
        let requests = self.standing_requests(manifest.as_ref(), base)?;
        check_asked(manifest.as_ref(), &requests, scopes)?;
        for scope in scopes {
            if let Scope::Credential(credential) = scope
                && self.db.credential(&credential.name)?.is_none()
            {
                // A grant would wait for whatever is stored under that name later.
                return Err(PluginError::NoCredential(credential.name.clone()));
            }
        }
        let (now, names) = (self.clock.now(), functions.iter().map(|function| function.name.clone()).collect::<Vec<_>>());
        let grants: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        let detail = json!({ "digest": plugin.digest().to_string(), "functions": names, "grants": grants });
        let events = self.audited(|| audit::by_asker(now, event::PLUGIN_EXPOSED, plugin.name().as_str(), detail))?;
        let exposures = names.iter().map(|name| (name.clone(), stored(scopes))).collect();
        match self.db.expose_functions(plugin.name(), plugin.digest(), exposures, now, events).await? {
            PluginChange::Done => {}
            _ => return Err(PluginError::Changed(plugin.name().clone())),
        }
        self.tell_changed(&[Changed::Tools]).await;
        let missing = self.lacking(&plugin, &names, &requests)?;
        Ok(Exposed { plugin, functions: names, missing, warning })
    }

    /// Exposes them no more, and takes from their tools what they were granted.
    /// Answers their names; none: they were not exposed.
    ///
    /// # Errors
    ///
    /// What finding the plugin says.
    pub async fn unexpose_functions(&self, name: &str) -> Result<Vec<String>, PluginError> {
        let (plugin, functions) = self.functions_named(name)?;
        let names: Vec<String> = functions.into_iter().map(|function| function.name).collect();
        let detail = json!({ "functions": names });
        let events = self.audited(|| audit::by_asker(self.clock.now(), event::PLUGIN_UNEXPOSED, plugin.name().as_str(), detail))?;
        let changed = self.db.unexpose_functions(plugin.name(), names.clone(), events).await?;
        if changed != PluginChange::Done {
            return Ok(Vec::new());
        }
        self.tell_changed(&[Changed::Tools]).await;
        Ok(names)
    }

    /// One function, or all of a plugin that can be called.
    fn functions_named(&self, name: &str) -> Result<(Plugin, Vec<PluginFunction>), PluginError> {
        let program = ProgramName { path: name.into(), function: None };
        if name.contains('.') {
            let installed = self.installed(&program)?.ok_or_else(|| self.unknown_plugin(name.split('.').next().unwrap_or(name)))?;
            return Ok((installed.plugin, vec![installed.function]));
        }
        let plugin = self.plugin(name)?;
        let (functions, _) = self.plugin_functions(&plugin)?;
        let callable = functions.into_iter().filter(|function| function.unsupported.is_none()).collect();
        Ok((plugin, callable))
    }

    /// What a plugin asks for whatever it is called with; without a manifest
    /// that is nothing to be asked for.
    fn standing_requests(&self, manifest: Option<&Manifest>, base: &Path) -> Result<Requests, PluginError> {
        let Some(manifest) = manifest else { return Ok(Requests::Undeclared) };
        let requests = manifest.requests(
            &Map::new(),
            |text| Ok::<_, PlaceUseError>(self.home.folder_scope(base, text)?),
            |text, write| Ok(self.home.database_scope(base, text, write)?),
        );
        Ok(Requests::Declared(requests.map_err(ResolveError::from)?))
    }

    /// What one of these tools still lacks.
    fn lacking(&self, plugin: &Plugin, functions: &[String], requests: &Requests) -> Result<Vec<Scope>, PluginError> {
        let Requests::Declared(requests) = requests else { return Ok(Vec::new()) };
        let mut missing: Vec<Scope> = Vec::new();
        for function in functions {
            let subject = plugin.name().tool_subject(function);
            let granted = self.db.grants(&subject, Some(plugin.digest()))?;
            let granted: Vec<Scope> = granted.iter().filter_map(|grant| self.stored_scope(grant)).collect();
            for request in requests {
                if !granted.iter().any(|grant| grant.covers(request)) && !missing.contains(request) {
                    missing.push(request.clone());
                }
            }
        }
        Ok(missing)
    }
}

/// A grant outside of what is asked for would do nothing. What a param will name
/// is not known yet, and so any place of that kind may be granted for it.
fn check_asked(manifest: Option<&Manifest>, requests: &Requests, scopes: &[Scope]) -> Result<(), PluginError> {
    let Requests::Declared(requests) = requests else { return Ok(()) };
    let by_param = |capability: Capability| manifest.is_some_and(|manifest| !manifest.params_for(capability).is_empty());
    let asked = |scope: &&Scope| by_param(scope.capability()) || requests.iter().any(|request| Scope::effective(scope, request).is_some());
    let surplus: Vec<Scope> = scopes.iter().filter(|scope| !asked(scope)).cloned().collect();
    if surplus.is_empty() { Ok(()) } else { Err(Surplus(surplus).into()) }
}

#[cfg(test)]
mod tests {
    use wardroom_core::clock::Timestamp;
    use wardroom_core::id::Digest;
    use wardroom_core::program::Format;
    use wardroom_db::PluginRecord;

    use super::*;

    #[test]
    fn a_tool_is_known_by_its_own_name_and_no_row_with_its_seal_stands_for_it() {
        let record = PluginRecord {
            name: "one".parse().unwrap(),
            digest: Digest::from_bytes([1; 32]),
            format: Format::Component,
            size: 1,
            installed_at: Timestamp::from_ms(1),
            summary: String::new(),
            seal: "s".to_owned(),
        };
        let summary = json!({
            "shape": "functions", "is_declared": false, "requests": [], "functions": ["f"], "imports": [], "notes": [], "details": "",
        });
        let function = json!({ "name": "f", "door": "function" });
        let plugin = Plugin { record, summary: serde_json::from_value(summary).unwrap() };
        let known = KnownTools::default();
        known.put(&Arc::new(ExposedTool { plugin, function: serde_json::from_value(function).unwrap() }));
        let has = |name: &str, plugin: &str, function: &str, seal: &str| {
            known.get(name, &plugin.parse().unwrap(), &[("e".to_owned(), "s".to_owned()), (function.to_owned(), seal.to_owned())]).is_some()
        };
        assert!(has("one__f", "one", "f", "s"));
        assert!(!has("one__g", "one", "f", "s") && !has("one__f", "two", "f", "s"));
        assert!(!has("one__f", "one", "g", "s") && !has("one__f", "one", "f", "t"));
    }
}
