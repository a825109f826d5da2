//! A project's cases: what a function is called with, and what is to come of it.
//! They take the one path that every run takes, with the grants of the project's
//! settings and no other.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use wardroom_core::capability::{Grants, Refusal};
use wardroom_core::execution::Trigger;
use wardroom_core::failure::{Failure, FailureKind, Output};
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::NamedLimits;
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::program::ProgramName;
use wardroom_core::task::Occasion;
use wardroom_core::witness::BoxFuture;

use super::{Project, ProjectError, text};
use crate::execution::Live;
use crate::execution::resolve::{RunRequest, Source};
use crate::wardroom::Wardroom;

/// The folder of cases.
const CASES: &str = "cases";

/// One case, named like its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its file's name without the ending.
    #[serde(skip)]
    pub name: String,
    /// Which function; none: a task, or a command.
    #[serde(default)]
    pub function: Option<String>,
    /// Its params by name.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// A command's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// A command's standard input.
    #[serde(default)]
    pub stdin: String,
    /// The result that is expected.
    #[serde(default, deserialize_with = "given")]
    pub result: Option<Value>,
    /// The failure that is expected.
    #[serde(default)]
    pub failure: Option<ExpectedFailure>,
}

/// `null` is a result, too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How a case is to fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFailure {
    /// What kind of end.
    pub kind: FailureKind,
    /// Its whole text; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a case went.
#[derive(Debug, Clone, Serialize)]
pub struct Ran {
    /// The case.
    pub case: String,
    /// What came of it is what was expected.
    pub passed: bool,
    /// The result or failure that was expected, as JSON.
    pub expected: Value,
    /// What it was.
    pub found: Value,
    /// Its log, a line each.
    pub log: Vec<String>,
    /// What was refused, as flags that would allow it.
    pub refused: Vec<String>,
    /// Microseconds of processor time.
    pub cpu_us: u64,
}

impl Project {
    /// All its cases, in order of names; `only` one, where it is named.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Case`] with what does not hold, [`ProjectError::NoCases`].
    pub fn cases(&self, only: Option<&str>) -> Result<Vec<Case>, ProjectError> {
        let folder = self.folder.join(CASES);
        let entries = std::fs::read_dir(&folder).map_err(|_| ProjectError::NoCases(folder.clone()))?;
        let mut cases = Vec::new();
        for entry in entries {
            let path = entry.map_err(ProjectError::io(&folder, "read"))?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                cases.push(case(&path)?);
            }
        }
        cases.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(only) = only {
            cases.retain(|case| case.name == only);
            return if cases.is_empty() { Err(ProjectError::UnknownCase(only.to_owned())) } else { Ok(cases) };
        }
        if cases.is_empty() { Err(ProjectError::NoCases(folder)) } else { Ok(cases) }
    }
}

fn case(path: &Path) -> Result<Case, ProjectError> {
    let wrong = |message: String| ProjectError::Case { path: path.to_owned(), message };
    let mut case: Case = serde_json::from_str(&text(path)?).map_err(|error| wrong(error.to_string()))?;
    if case.result.is_some() == case.failure.is_some() {
        return Err(wrong("expected either `result` or `failure`".to_owned()));
    }
    case.name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok(case)
}

/// Runs a case of a plugin that is built.
///
/// # Errors
///
/// [`ProjectError`] where it does not become a run; how the run ends is in the
/// answer.
pub async fn run(wardroom: &Arc<Wardroom>, project: &Project, case: &Case, cancelled: BoxFuture<'static, ()>) -> Result<Ran, ProjectError> {
    let id = ExecutionId::fresh();
    let mut resolved = wardroom
        .resolve(RunRequest {
            source: Source::File(ProgramName { path: project.plugin(), function: case.function.clone() }),
            id,
            attempt: 1,
            base: project.folder.clone(),
            trigger: Trigger::Cli,
            occasion: Occasion::default(),
            params: case.params.clone(),
            offered: Map::new(),
            text_params: Vec::new(),
            args: case.args.clone(),
            stdin: Vec::new(),
            limits: NamedLimits::default(),
            output_bytes: None,
        })
        .await?;
    resolved.input.stdin = case.stdin.clone().into_bytes();
    // A subject of its own: nothing is granted to it elsewhere, and no state of an
    // earlier run is found.
    resolved.subject = format!("case:{id}");
    let grants = Grants(wardroom.scopes(&project.folder, &project.settings.grants)?);
    let plan = wardroom.authorize(resolved, grants, crate::schedule::operator_env)?;
    let heard = Arc::new(Heard::default());
    let subject = plan.resolved().subject.clone();
    let outcome = wardroom.execute(plan, heard.clone(), cancelled).await?;
    wardroom.db.clear_state(&subject, None).await?;
    let expected = expected(case);
    let (found, passed) = match &outcome.ending {
        Ok(output) => {
            let found = serde_json::json!({"result": output_value(output)});
            let passed = found == expected;
            (found, passed)
        }
        Err(failure) => (failed(failure), case.failure.as_ref().is_some_and(|expected| expected.is(failure))),
    };
    Ok(Ran {
        case: case.name.clone(),
        passed,
        expected,
        found,
        log: heard.taken(&heard.log),
        refused: heard.taken(&heard.refused),
        cpu_us: outcome.usage.cpu_us,
    })
}

fn expected(case: &Case) -> Value {
    match (&case.result, &case.failure) {
        (Some(result), _) => serde_json::json!({"result": result}),
        (None, failure) => serde_json::json!({"failure": failure}),
    }
}

fn failed(failure: &Failure) -> Value {
    serde_json::json!({"failure": ExpectedFailure { kind: failure.kind, message: Some(failure.message.clone()) }})
}

impl ExpectedFailure {
    fn is(&self, failure: &Failure) -> bool {
        self.kind == failure.kind && self.message.as_ref().is_none_or(|message| *message == failure.message)
    }
}

fn output_value(output: &Output) -> Value {
    match output {
        Output::Json(value) => value.clone(),
        Output::Text(text) => Value::from(text.as_str()),
        Output::Bytes(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// What a run said while it ran.
#[derive(Default)]
struct Heard {
    log: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
}

impl Heard {
    fn taken(&self, lines: &Mutex<Vec<String>>) -> Vec<String> {
        std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Live for Heard {
    fn line(&self, line: &LogLine) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} {}", line.level.name(), line.text));
    }

    fn progress(&self, _: &Progress) {}

    fn refused(&self, refusal: &Refusal) {
        let scope = refusal.scope.as_ref().map_or_else(String::new, |scope| format!("={scope}"));
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{}{scope}", refusal.capability.flag()));
    }
}
