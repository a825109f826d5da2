//! `wardroom inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use wardroom_core::plugin::PluginName;
use wardroom_core::program::{ProgramName, Shape};
use wardroom_core::text::for_terminal_line;
use wardroom_db::Standing;

use super::error::CommandError;
use super::show::{self, BOLD, DIM};
use crate::plugin::Inspected;
use crate::template;
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Args)]
pub(super) struct InspectArguments {
    /// A file (`.js`, `.ts`, `.wasm`), or an installed plugin's name
    #[arg(required_unless_present = "all")]
    program: Option<PathBuf>,
    /// Every installed plugin
    #[arg(long, conflicts_with = "program")]
    all: bool,
    /// Print JSON, with the functions' JSON Schemas
    #[arg(long)]
    pub(super) json: bool,
}

impl InspectArguments {
    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        let Some(program) = self.program else { return super::plugin::inspect_all(wardroom, self.json) };
        let is_file = std::fs::symlink_metadata(&program).is_ok() || template::of_path(&program).is_some();
        if let Some(name) = program.to_str().filter(|_| !is_file).and_then(|text| text.parse::<PluginName>().ok())
            && wardroom.database().plugin(&name, Standing::Current)?.is_some()
        {
            super::plugin::inspect(wardroom, &name, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let name = ProgramName { path: program, function: None };
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
    let shape = shape_words(inspection.shape);
    let list = |list: &[String]| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
    let requests = match &inspected.requests {
        Some(requests) => list(requests),
        None => "has no header: asks for exactly what the operator names".to_owned(),
    };
    let mut pairs = vec![("program", format!("{} ({} bytes, {})", inspected.name, inspected.size, inspected.digest))];
    pairs.push(("signature", inspected.signature.lines()));
    pairs.extend(inspected.title.clone().map(|title| ("title", title)));
    pairs.extend(inspected.version.clone().map(|version| ("version", version)));
    pairs.extend(inspected.description.clone().map(|description| ("about", description)));
    pairs.extend(inspected.licence.clone().map(|licence| ("licence", licence)));
    pairs.extend([("shape", shape.to_owned()), ("asks for", requests)]);
    if inspection.shape != Shape::Script {
        pairs.push(("imports", list(&inspection.imports)));
    }
    if !inspected.reasons.is_empty() {
        let reasons: Vec<String> = inspected.reasons.iter().map(|(key, reason)| format!("{}: {reason}", key.name())).collect();
        pairs.push(("because", list(&reasons)));
    }
    if !inspected.notes.is_empty() {
        pairs.push(("notes", list(&inspected.notes)));
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
        let docs = function.docs.as_deref().map(|docs| format!("\n    {}", show::quoted_lines(docs))).unwrap_or_default();
        show::print(&format!("\n{BOLD}{}{BOLD:#}{docs}\n    {text}\n", for_terminal_line(&function.name)))?;
    }
    Ok(())
}

pub(super) const fn shape_words(shape: Shape) -> &'static str {
    match shape {
        Shape::Task => "a task: takes params, gives a result",
        Shape::Command => "a command: takes arguments after `--` and standard input",
        Shape::Functions => "typed functions: run one with `#function`",
        Shape::Script => "a script",
    }
}

/// A schema's properties rather than its keywords, where it has some.
pub(super) fn brief(schema: &Value) -> String {
    match schema.get("properties") {
        Some(properties) => properties.to_string(),
        None => schema.to_string(),
    }
}
