//! Plugins as programs: `NAME` and `NAME.FUNCTION`, at the command line and in
//! tasks. A file of that name comes first; `./NAME` always means the file.

use std::path::Path;

use serde_json::{Map, Value};
use wardroom_core::plugin::{PluginName, of_tool_subject, parts};
use wardroom_core::program::ProgramName;
use wardroom_core::text::nearest;

use super::tool::command_input;
use super::{Door, Plugin, PluginError, PluginFunction};
use crate::execution::resolve::Source;
use crate::execution::store::StoredProgram;
use crate::template;
use crate::wardroom::Wardroom;

/// A function of an installed plugin.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Whose.
    pub plugin: Plugin,
    /// Which.
    pub function: PluginFunction,
}

impl Installed {
    /// `NAME.FUNCTION`, which is also on whom its grants hang at the command
    /// line.
    #[must_use]
    pub fn dotted(&self) -> String {
        self.plugin.name().subject(&self.function.name)
    }

    /// Params by the schema that it publishes, as those of a run and a command's
    /// arguments; none where a run without somebody who waits cannot have them.
    #[must_use]
    pub fn input(&self, params: &Map<String, Value>) -> Option<(Map<String, Value>, Vec<String>)> {
        if self.function.door != Door::Command {
            return Some((params.clone(), Vec::new()));
        }
        let (params, args, stdin) = command_input(params);
        stdin.is_empty().then_some((params, args))
    }

    /// Its bytes, pinned.
    pub(crate) fn stored(&self) -> StoredProgram {
        self.plugin.stored(&self.function)
    }
}

impl Wardroom {
    /// Where the bytes of a PROGRAM come from, at the command line.
    ///
    /// # Errors
    ///
    /// [`PluginError`] where an installed plugin is meant that cannot be run so.
    pub fn program_source(&self, base: &Path, name: ProgramName) -> Result<Source, PluginError> {
        Ok(match self.installed_from(base, &name)? {
            Some(installed) => Source::Installed(installed.stored(), installed.dotted()),
            None => Source::File(name),
        })
    }

    /// A PROGRAM as it is meant from a folder: names stay names.
    ///
    /// # Errors
    ///
    /// [`PluginError`] where an installed plugin is meant that cannot be run so.
    pub fn located(&self, base: &Path, name: &ProgramName) -> Result<ProgramName, PluginError> {
        Ok(match self.installed_from(base, name)? {
            Some(installed) => ProgramName { path: installed.dotted().into(), function: None },
            None => ProgramName { path: template::located(base, &name.path), function: name.function.clone() },
        })
    }

    /// The source that an execution's subject names, where a plugin's function is
    /// meant: at the command line, or as a tool.
    pub(crate) fn source_of_subject(&self, subject: &str) -> Result<Option<Source>, PluginError> {
        let dotted = |text: &str| ProgramName { path: text.into(), function: None };
        if let Some(tool) = of_tool_subject(subject) {
            let installed = self.installed(&dotted(tool))?;
            return Ok(installed.map(|installed| Source::Tool(installed.stored(), subject.to_owned())));
        }
        let installed = if template::of_path(Path::new(subject)).is_some() { None } else { self.installed(&dotted(subject))? };
        Ok(installed.map(|installed| Source::Installed(installed.stored(), subject.to_owned())))
    }

    /// The installed function that a PROGRAM means, where neither a template nor
    /// a file has its name.
    pub(crate) fn installed_from(&self, base: &Path, name: &ProgramName) -> Result<Option<Installed>, PluginError> {
        if template::of_path(&name.path).is_some() || std::fs::symlink_metadata(base.join(&name.path)).is_ok() {
            return Ok(None);
        }
        self.installed(name)
    }

    /// The installed function that a PROGRAM means, where there is such a plugin.
    pub(crate) fn installed(&self, name: &ProgramName) -> Result<Option<Installed>, PluginError> {
        let Some((plugin, dotted)) = name.path.to_str().and_then(parts) else { return Ok(None) };
        let function = match (dotted, name.function.as_deref()) {
            (Some(_), Some(_)) => return Ok(None),
            (dotted, hashed) => dotted.or(hashed),
        };
        let Some(plugin) = self.plugin_of(&plugin)? else { return Ok(None) };
        let (functions, _) = self.plugin_functions(&plugin)?;
        let function = match function {
            Some(function) => named(plugin.name(), functions, function)?,
            None => only(plugin.name(), functions)?,
        };
        Ok(Some(Installed { plugin, function }))
    }
}

/// The function of this name.
pub(super) fn named(plugin: &PluginName, functions: Vec<PluginFunction>, wanted: &str) -> Result<PluginFunction, PluginError> {
    let names: Vec<String> = functions.iter().map(|function| function.name.clone()).collect();
    let found = functions.into_iter().find(|function| function.name == wanted);
    let found = found.ok_or_else(|| PluginError::NoFunction {
        name: plugin.clone(),
        function: wanted.to_owned(),
        near: nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned),
    })?;
    match &found.unsupported {
        None => Ok(found),
        Some(reason) => Err(PluginError::Uncallable { name: plugin.clone(), function: found.name.clone(), reason: reason.clone() }),
    }
}

/// The one that is meant where none was named: the task, command or script, or
/// the only function that can be called.
fn only(plugin: &PluginName, functions: Vec<PluginFunction>) -> Result<PluginFunction, PluginError> {
    let mut callable: Vec<PluginFunction> = functions.into_iter().filter(|function| function.unsupported.is_none()).collect();
    let dotted = callable.iter().map(|function| plugin.subject(&function.name)).collect();
    if let Some(index) = callable.iter().position(|function| function.door != Door::Function) {
        return Ok(callable.swap_remove(index));
    }
    match callable.pop() {
        Some(function) if callable.is_empty() => Ok(function),
        _ => Err(PluginError::Several { name: plugin.clone(), functions: dotted }),
    }
}
