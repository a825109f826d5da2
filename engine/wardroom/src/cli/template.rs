//! `wardroom template`.

use std::process::ExitCode;

use serde_json::Value;

use super::error::CommandError;
use super::show::{self, BOLD};
use crate::template::{CATEGORIES, TEMPLATES, TemplateView, named};

#[derive(Debug, clap::Subcommand)]
pub(super) enum TemplateCommand {
    /// List programs that tasks can be made of by their names
    List {
        /// Only those of this category
        #[arg(long, value_parser = CATEGORIES)]
        category: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a template does, takes and asks for
    Show {
        /// The template
        name: String,
        /// Print its text instead
        #[arg(long, conflicts_with = "json")]
        source: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl TemplateCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } => *json,
        }
    }

    pub(super) fn execute(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::List { category, json } => list(category.as_deref(), json)?,
            Self::Show { name, source: true, .. } => show::print(named(&name)?.source)?,
            Self::Show { name, json, .. } => show_one(&named(&name)?.view(), json)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(category: Option<&str>, json: bool) -> Result<(), CommandError> {
    let wanted = TEMPLATES.iter().filter(|template| category.is_none_or(|category| category == template.category));
    let views: Vec<TemplateView> = wanted.map(crate::template::Template::view).collect();
    if json {
        return show::json(&serde_json::json!({"templates": views}));
    }
    let row = |view: TemplateView| vec![view.name.to_owned(), view.category.to_owned(), view.description];
    show::table(&["template", "category", "what it does"], views.into_iter().map(row))
}

fn show_one(view: &TemplateView, json: bool) -> Result<(), CommandError> {
    if json {
        return show::json(view);
    }
    show::print(&format!("{BOLD}{}{BOLD:#}: {}\n", view.name, view.description))?;
    let declared = view.params.get("properties").and_then(Value::as_object);
    let required = view.params.get("required").and_then(Value::as_array);
    let params = declared.into_iter().flatten().map(|(name, schema)| {
        let mark = if required.is_some_and(|names| names.iter().any(|required| required == name)) { " (required)" } else { "" };
        let default = schema.get("default").map(|value| format!(" (default {value})")).unwrap_or_default();
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        format!("{name}{mark}{default}: {about}")
    });
    let params: Vec<String> = params.collect();
    let pairs = [
        Some(("params", params.join("\n"))).filter(|_| !params.is_empty()),
        Some(("asks for", if view.requests.is_empty() { "nothing".to_owned() } else { view.requests.join("\n") })),
        view.suggested_cron.map(|cron| ("mostly runs", format!("--cron='{cron}'"))),
        Some(("digest", view.digest.to_string())),
    ];
    show::pairs(pairs.into_iter().flatten())
}
