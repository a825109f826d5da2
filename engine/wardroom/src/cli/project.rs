//! `wardroom plugin new | build | test | dev`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use wardroom_core::blame::Blame;
use wardroom_core::program::Shape;
use wardroom_core::text::{for_terminal, for_terminal_line};

use super::error::{CommandError, exit_code, show_error};
use super::run::stop_signal;
use super::show::{self, BOLD, DIM, ERROR, GOOD, QUOTE, WARN};
use crate::project::build::{Built, build};
use crate::project::cases::{self, Case, Ran};
use crate::project::diff::{Line, changes};
use crate::project::language::Language;
use crate::project::watch::Changes;
use crate::project::{Project, ProjectError, new};
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Subcommand)]
pub(super) enum ProjectCommand {
    /// Make a project for a plugin, in a folder of its name
    New {
        /// The plugin's name; its folder must not exist
        name: String,
        /// What it is written in
        #[arg(long, value_name = "LANGUAGE", value_parser = ["rust", "js", "ts", "python", "c", "go"])]
        lang: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a project with its language's own compiler, which runs outside the sandbox
    Build {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a built project's cases with the grants of its `project.toml`
    Test {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Only the case of this name
        #[arg(long, value_name = "NAME")]
        case: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build and run a project's cases after every change, and show what came out differently
    Dev {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Only the case of this name
        #[arg(long, value_name = "NAME")]
        case: Option<String>,
    },
}

impl ProjectCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::New { json, .. } | Self::Build { json, .. } | Self::Test { json, .. } => *json,
            Self::Dev { .. } => false,
        }
    }

    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        match self {
            Self::New { name, lang, json } => make(&name, &lang, json),
            Self::Build { dir, json } => {
                let built = build(wardroom, &Project::read(&dir)?).await?;
                if json {
                    show::json(&built)?
                } else {
                    show_built(&built)?
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Test { dir, case, json } => test(wardroom, &dir, case.as_deref(), json).await,
            Self::Dev { dir, case } => dev(wardroom, &dir, case.as_deref()).await,
        }
    }
}

fn make(name: &str, lang: &str, json: bool) -> Result<ExitCode, CommandError> {
    let language = Language::named(lang).ok_or_else(|| CommandError::usage(format!("there is no template for `{lang}`")))?;
    let base = std::env::current_dir().map_err(|error| CommandError::operator(format!("the current folder cannot be read: {error}")))?;
    let folder = new::make(&base, name, language)?;
    if json {
        show::json(&serde_json::json!({"name": name, "language": language, "folder": folder}))?;
    } else {
        show::line(&format!("{GOOD}made{GOOD:#} `{name}`, a plugin in {lang}; its README.md says what it needs. Then:"));
        show::print(&format!("cd {name}\nwardroom plugin build\nwardroom plugin test\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show_built(built: &Built) -> Result<(), CommandError> {
    let inspected = &built.inspected;
    let shape = match inspected.inspection.shape {
        Shape::Task => "a task",
        Shape::Command => "a command",
        Shape::Functions => "typed functions",
        Shape::Script => "a script",
    };
    let functions: Vec<&str> = inspected.inspection.functions.iter().map(|function| function.name.as_str()).collect();
    let lines = |list: Vec<String>| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
    show::pairs([
        ("plugin", built.file.clone()),
        ("size", format!("{} bytes", inspected.size)),
        ("digest", inspected.digest.to_string()),
        ("shape", shape.to_owned()),
        ("functions", lines(functions.into_iter().map(str::to_owned).collect())),
        ("asks for", lines(built.asks_for.clone())),
    ])?;
    for surplus in &built.imported_not_requested {
        let imports = surplus.imports.join(", ");
        show::line(&format!(
            "{WARN}note{WARN:#}: it imports {}, and its manifest asks for no `{}`: using it will be refused",
            for_terminal_line(&imports),
            surplus.capability.name()
        ));
    }
    for capability in &built.requested_not_imported {
        show::line(&format!("{WARN}note{WARN:#}: its manifest asks for `{0}`, and nothing that it imports uses `{0}`", capability.name()));
    }
    Ok(())
}

async fn test(wardroom: &Arc<Wardroom>, dir: &Path, only: Option<&str>, json: bool) -> Result<ExitCode, CommandError> {
    let project = Project::read(dir)?;
    if !project.plugin().is_file() {
        return Err(CommandError::operator(format!("`{}` is not built", project.name))
            .hint(format!("Build it first: `wardroom plugin build {}`.", dir.display())));
    }
    let mut ran = Vec::new();
    for case in project.cases(only)? {
        ran.push(run_case(wardroom, &project, &case).await?);
    }
    let failed = ran.iter().filter(|ran| !ran.passed).count();
    if json {
        show::json(&serde_json::json!({"plugin": project.name, "failed": failed, "cases": ran}))?;
    } else {
        show_ran(&ran)?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit_code(Blame::Guest)) })
}

async fn run_case(wardroom: &Arc<Wardroom>, project: &Project, case: &Case) -> Result<Ran, ProjectError> {
    cases::run(wardroom, project, case, Box::pin(stop_signal())).await
}

fn show_ran(ran: &[Ran]) -> Result<(), CommandError> {
    let row = |ran: &Ran| {
        let verdict = if ran.passed { "passed" } else { "failed" };
        vec![ran.case.clone(), verdict.to_owned(), format!("{} µs", ran.cpu_us)]
    };
    show::table(&["case", "verdict", "processor"], ran.iter().map(row))?;
    for ran in ran.iter().filter(|ran| !ran.passed) {
        show::line(&format!("\n{ERROR}failed{ERROR:#}: {BOLD}{}{BOLD:#}", for_terminal_line(&ran.case)));
        show_changes(&pretty(&ran.expected), &pretty(&ran.found));
        ran.log.iter().for_each(|line| show::line(&format!("{QUOTE}{DIM}{}{DIM:#}", for_terminal_line(line))));
        for flag in &ran.refused {
            show::line(&format!("{QUOTE}refused: {}", for_terminal_line(flag)));
        }
    }
    Ok(())
}

fn pretty(value: &Value) -> String {
    for_terminal(&format!("{value:#}"))
}

/// `-` went or was expected, `+` came or was found.
fn show_changes(old: &str, new: &str) {
    for line in changes(old, new) {
        show::line(&match line {
            Line::Same(text) => format!("  {DIM}  {text}{DIM:#}"),
            Line::Old(text) => format!("  {ERROR}- {text}{ERROR:#}"),
            Line::New(text) => format!("  {GOOD}+ {text}{GOOD:#}"),
        });
    }
}

/// What the cases gave last time, by name.
type Known = BTreeMap<String, String>;

async fn dev(wardroom: &Arc<Wardroom>, dir: &Path, only: Option<&str>) -> Result<ExitCode, CommandError> {
    // One that does not hold at the moment is waited for; what is none is not.
    if let Err(error @ ProjectError::None(_)) = Project::read(dir) {
        return Err(error.into());
    }
    let mut known = Known::new();
    let mut stop = Box::pin(stop_signal());
    loop {
        // Watched before it is read: what changes meanwhile is seen afterwards.
        let mut changed = Changes::of(dir)?;
        let again = async {
            if let Err(error) = once(wardroom, dir, only, &mut known).await {
                // The next change is another attempt: the exit code is for nobody.
                let _code = show_error(&error, false);
            }
            show::line(&format!("{DIM}waiting for changes; Ctrl-C ends{DIM:#}"));
            changed.next().await;
        };
        tokio::select! {
            () = again => {}
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        }
    }
}

async fn once(wardroom: &Arc<Wardroom>, dir: &Path, only: Option<&str>, known: &mut Known) -> Result<(), CommandError> {
    let project = Project::read(dir)?;
    let built = build(wardroom, &project).await?;
    show::line(&format!("{GOOD}built{GOOD:#} {} ({} bytes)", project.name, built.inspected.size));
    for case in project.cases(only)? {
        let ran = run_case(wardroom, &project, &case).await?;
        let (style, verdict) = if ran.passed { (GOOD, "passed") } else { (ERROR, "failed") };
        show::line(&format!("{style}{verdict}{style:#} {}", for_terminal_line(&ran.case)));
        let found = pretty(&ran.found);
        match known.insert(ran.case.clone(), found.clone()) {
            Some(before) => show_changes(&before, &found),
            None if !ran.passed => show_changes(&pretty(&ran.expected), &found),
            None => {}
        }
    }
    Ok(())
}
