//! `wardroom expose` and `unexpose`: a task or a plugin's functions as tools.

use std::process::ExitCode;

use wardroom_core::capability::Scope;
use wardroom_core::plugin::tool_name as function_tool;

use super::ask;
use super::error::{CommandError, show_hint};
use super::grants::GrantFlags;
use super::run::for_shell;
use super::show::{self, BOLD};
use super::task::{here, moved};
use crate::mcp::tool_name;
use crate::plugin::Exposed;
use crate::wardroom::Wardroom;

/// What else exposing means.
const WHO_CALLS: &str = "Assistants call it, and so may any script that they try, with what it was granted.";

#[derive(Debug, clap::Args)]
pub(super) struct ExposeArguments {
    /// A task, or a plugin's `NAME.FUNCTION`; `NAME` means all its functions
    name: String,
    #[command(flatten)]
    grants: GrantFlags,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct UnexposeArguments {
    /// A task, or a plugin's `NAME.FUNCTION`; `NAME` means all its functions
    name: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What a name means.
enum Meant {
    Task,
    Plugin,
}

fn meant(wardroom: &Wardroom, name: &str) -> Result<Meant, CommandError> {
    if name.contains('.') {
        return Ok(Meant::Plugin);
    }
    let (is_task, is_plugin) = (wardroom.task(name).is_ok(), wardroom.plugin(name).is_ok());
    match (is_task, is_plugin) {
        (true, true) => Err(CommandError::usage(format!("`{name}` is a task and a plugin")).hint(format!(
            "Name the plugin's functions, `{name}.FUNCTION`, or give the task another name: `wardroom task edit {name} --rename NAME`."
        ))),
        (false, true) => Ok(Meant::Plugin),
        // What is neither is told of as a task.
        (_, false) => Ok(Meant::Task),
    }
}

impl ExposeArguments {
    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        match meant(wardroom, &self.name)? {
            Meant::Task => self.task(wardroom).await?,
            Meant::Plugin => self.plugin(wardroom).await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn task(&self, wardroom: &Wardroom) -> Result<(), CommandError> {
        if !self.grants.texts()?.is_empty() {
            return Err(CommandError::usage(format!("the tool of the task `{}` has what the task is granted", self.name))
                .hint(format!("Grant it to the task: `wardroom task edit {} --allow-…`.", self.name)));
        }
        let what = match wardroom.expose(&self.name, true).await? {
            true => format!("exposed as the tool {}", tool_name(&self.name)),
            false => "exposed already".to_owned(),
        };
        show::warning(&self.name, wardroom.task_warning(&wardroom.task(&self.name)?)?.as_deref());
        moved(&self.name, self.json, &what)?;
        if !self.json {
            show_hint(WHO_CALLS);
        }
        Ok(())
    }

    async fn plugin(&self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let base = here()?;
        let scopes = wardroom.scopes(&base, &self.grants.texts()?)?;
        let mut exposed = wardroom.expose_functions(&self.name, &base, &scopes).await?;
        if !exposed.missing.is_empty() && !self.json && ask::possible() {
            let answer = ask::ask(&self.name, &exposed.missing)?;
            let granted: Vec<Scope> = answer.once.into_iter().chain(answer.always).collect();
            if !granted.is_empty() {
                exposed = wardroom.expose_functions(&self.name, &base, &granted).await?;
            }
        }
        self.show(&exposed)
    }

    fn show(&self, exposed: &Exposed) -> Result<(), CommandError> {
        let name = exposed.plugin.name();
        let tools: Vec<String> = exposed.functions.iter().map(|function| function_tool(name, function)).collect();
        let missing: Vec<String> = exposed.missing.iter().map(Scope::flag).collect();
        show::warning(name.as_str(), exposed.warning.as_deref());
        if self.json {
            return show::json(&serde_json::json!({ "plugin": name, "functions": exposed.functions, "tools": tools, "missing": missing }));
        }
        for (function, tool) in exposed.functions.iter().zip(&tools) {
            show::print(&format!("{BOLD}{}{BOLD:#}: exposed as the tool {tool}\n", name.subject(function)))?;
        }
        if missing.is_empty() {
            show_hint(WHO_CALLS);
        } else {
            let flags: Vec<String> = missing.iter().filter_map(|flag| for_shell(flag)).collect();
            show_hint(&format!("It asks for more: `wardroom expose {} {}` grants it.", self.name, flags.join(" ")));
        }
        Ok(())
    }
}

pub(super) async fn unexpose(wardroom: &Wardroom, of: &UnexposeArguments) -> Result<ExitCode, CommandError> {
    let what = match meant(wardroom, &of.name)? {
        Meant::Task if wardroom.expose(&of.name, false).await? => "exposed no more".to_owned(),
        Meant::Plugin => match wardroom.unexpose_functions(&of.name).await? {
            functions if functions.is_empty() => "not exposed".to_owned(),
            _ => "exposed no more; what its tools were granted is gone".to_owned(),
        },
        Meant::Task => "not exposed".to_owned(),
    };
    if of.json {
        show::json(&serde_json::json!({ "name": of.name, "done": what }))?;
    } else {
        show::print(&format!("{}: {what}\n", of.name))?;
    }
    Ok(ExitCode::SUCCESS)
}
