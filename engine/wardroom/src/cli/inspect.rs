//! `wardroom inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use wardroom_core::program::{ProgramName, Shape};

use super::error::CommandError;
use super::show::{self, BOLD, DIM};
use crate::execution::resolve::Inspected;
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Args)]
pub(super) struct InspectArguments {
    /// A file (`.js`, `.ts`, `.wasm`)
    program: PathBuf,
    /// Print JSON, with the functions' JSON Schemas
    #[arg(long)]
    pub(super) json: bool,
}

impl InspectArguments {
    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        let name = ProgramName { path: self.program, function: None };
        let inspected = wardroom.inspect(&name).await?;
        if self.json {
            show::json(&inspected)?;
        } else {
            show_inspected(&inspected)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show_inspected(inspected: &Inspected) -> Result<(), CommandError> {
    let inspection = &inspected.inspection;
    let shape = match inspection.shape {
        Shape::Task => "a task: takes params, gives a result",
        Shape::Command => "a command: takes arguments after `--` and standard input",
        Shape::Functions => "typed functions: run one with `#function`",
        Shape::Script => "a script",
    };
    let list = |list: &[String]| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
    let requests = match &inspected.requests {
        Some(requests) => list(requests),
        None => "has no header: asks for exactly what the operator names".to_owned(),
    };
    let mut pairs = vec![("program", format!("{} ({} bytes, {})", inspected.name, inspected.size, inspected.digest))];
    pairs.extend(inspected.title.clone().map(|title| ("title", title)));
    pairs.extend(inspected.description.clone().map(|description| ("about", description)));
    pairs.extend([("shape", shape.to_owned()), ("asks for", requests)]);
    if inspection.shape != Shape::Script {
        pairs.push(("imports", list(&inspection.imports)));
    }
    if let Some(params) = &inspected.params {
        pairs.push(("params", params.to_string()));
    }
    show::pairs(pairs)?;
    for function in &inspection.functions {
        let text = match (&function.params, &function.result, &function.unsupported) {
            (Some(params), Some(result), None) => format!("{DIM}takes{DIM:#} {}\n    {DIM}gives{DIM:#} {}", brief(params), brief(result)),
            (_, _, why) => format!("cannot be called with JSON: {}", why.as_deref().unwrap_or("unknown types")),
        };
        show::print(&format!("\n{BOLD}{}{BOLD:#}\n    {text}\n", function.name))?;
    }
    Ok(())
}

/// A schema's properties rather than its keywords, where it has some.
fn brief(schema: &Value) -> String {
    match schema.get("properties") {
        Some(properties) => properties.to_string(),
        None => schema.to_string(),
    }
}
