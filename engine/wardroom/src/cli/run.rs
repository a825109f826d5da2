//! `wardroom run`.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use wardroom_core::capability::{Access, Capability, Grants, Refusal, Requests, Scope};
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::failure::{Failure, FailureKind, Outcome, Output};
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::limit::{DurationText, Limits, MAX_OUTPUT_BYTES, MAX_PARAMS_BYTES, MAX_STDIN_BYTES, NamedLimits, SizeText};
use wardroom_core::manifest::Manifest;
use wardroom_core::plan::{Plan, Resolved};
use wardroom_core::program::{Entry, ProgramName};
use wardroom_core::task::Occasion;
use wardroom_core::text::{for_terminal, for_terminal_line};
use wardroom_db::ExecutionRecord;

use super::ask;
use super::error::{CommandError, exit_code, show_hint};
use super::grants::GrantFlags;
use super::live::Terminal;
use super::show::{self, BOLD, DIM, ERROR, QUOTE};
use crate::execution::resolve::RunRequest;
use crate::execution::{ExecuteError, Live};
use crate::wardroom::Wardroom;

/// Exit code of a run that was cancelled (128 + SIGINT).
pub(super) const CANCELLED: u8 = 130;

#[derive(Debug, Default, clap::Args)]
pub(super) struct RunArguments {
    /// A file (`.js`, `.ts`, `.wasm`), optionally with `#function`, or an installed `NAME[.FUNCTION]`
    program: String,
    /// Params (or a function's arguments) as one JSON object; `@FILE` reads a file, `-` standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// One param; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    grants: GrantFlags,
    /// End the run after this time (default 5m, at most 30m)
    #[arg(long, value_name = "DURATION", help_heading = "Limits")]
    timeout: Option<DurationText>,
    /// Bytes of all memories and tables together (default 64MiB, at most 4GiB)
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    memory: Option<SizeText>,
    /// End the run after so many units of work, about one per instruction
    #[arg(long, value_name = "UNITS", help_heading = "Limits")]
    fuel: Option<u64>,
    /// Write the result to a file, of up to 1GiB, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show what would run, with what access, and stop there
    #[arg(long)]
    dry_run: bool,
    /// Never ask for missing grants
    #[arg(long)]
    no_prompt: bool,
    /// Print the execution's whole record as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Arguments for a command, after `--`
    #[arg(last = true)]
    args: Vec<String>,
}

pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

impl RunArguments {
    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        let base =
            std::env::current_dir().map_err(|error| CommandError::operator(format!("the current folder cannot be read: {error}")))?;
        self.output.as_deref().map(check_output).transpose()?;
        let grants = Grants(wardroom.scopes(&base, &self.grants.texts()?)?);
        let request = self.request(wardroom, base)?;
        let provenance = request.source.provenance();
        let mut resolved = wardroom.resolve(request).await?;
        show::warning(&resolved.program.name, wardroom.run_warning(&resolved.program, provenance)?.as_deref());
        if matches!(resolved.entry, Entry::Command { .. }) && !self.dry_run {
            resolved.input.stdin = read_stdin()?;
        }
        let plan = self.plan(wardroom, resolved, grants).await?;
        if self.dry_run {
            return self.show_plan(&plan);
        }
        self.run(wardroom, plan).await
    }

    /// For a program that is stored: only how its end is shown.
    pub(super) fn of_stored(program: String, json: bool) -> Self {
        Self { program, json, ..Self::default() }
    }

    fn request(&self, wardroom: &Wardroom, base: PathBuf) -> Result<RunRequest, CommandError> {
        let program = ProgramName::parse(&self.program).map_err(|error| CommandError::usage(error.to_string()))?;
        Ok(RunRequest {
            source: wardroom.program_source(&base, program)?,
            id: ExecutionId::fresh(),
            attempt: 1,
            base,
            trigger: Trigger::Cli,
            occasion: Occasion::default(),
            params: self.input.as_deref().map(params).transpose()?.unwrap_or_default(),
            offered: Map::new(),
            text_params: self.params.clone(),
            args: self.args.clone(),
            stdin: Vec::new(),
            limits: NamedLimits { timeout: self.timeout, memory: self.memory, fuel: self.fuel },
            output_bytes: self.output.as_ref().map(|_| MAX_OUTPUT_BYTES),
        })
    }

    /// Step 2, with a person asked where one is there.
    async fn plan(&self, wardroom: &Wardroom, resolved: Resolved, mut grants: Grants) -> Result<Plan, CommandError> {
        let env = crate::schedule::operator_env;
        let plan = wardroom.authorize(resolved.clone(), grants.clone(), env)?;
        if plan.missing().is_empty() || self.json || self.no_prompt || self.dry_run || !ask::possible() {
            return Ok(plan);
        }
        let answer = ask::ask(&resolved.program.name, plan.missing())?;
        if !answer.always.is_empty() {
            wardroom.remember(&resolved, &answer.always).await?;
        }
        grants.0.extend(answer.once);
        Ok(wardroom.authorize(resolved, grants, env)?)
    }

    /// Runs a plan and shows what comes of it.
    pub(super) async fn run(&self, wardroom: &Arc<Wardroom>, plan: Plan) -> Result<ExitCode, CommandError> {
        let terminal = Arc::new(Terminal::default());
        let id = plan.resolved().id;
        let command = matches!(plan.resolved().entry, Entry::Command { .. });
        let advice = Advice::on(wardroom, &plan).await;
        let ended = wardroom.execute(plan, terminal.clone() as Arc<dyn Live>, Box::pin(stop_signal())).await;
        // From here on, what blocks is ours (a pipe that nobody reads).
        drop(tokio::spawn(end_on_signal()));
        let heard = terminal.finish();
        let (outcome, unrecorded) = match ended {
            Ok(outcome) => (outcome, None),
            // The result is shown all the same: nothing is lost.
            Err(ExecuteError::Record(error)) => ((*error.outcome).clone(), Some(ExecuteError::Record(error))),
            Err(error) => return Err(error.into()),
        };
        let record = match &unrecorded {
            None if self.json => Some(wardroom.show(&id.to_string()).await?),
            _ => None,
        };
        let outcome = if command { as_written(outcome) } else { outcome };
        self.show_result(id, &outcome, record.as_ref())?;
        if let Some(error) = unrecorded {
            return Err(error.into());
        }
        match &outcome.ending {
            Ok(_) => {
                // It went on without; whoever ran it may want otherwise.
                if heard {
                    advice.give(&outcome.usage.refusals);
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => {
                if heard {
                    self.show_failure(id, failure, &outcome, &advice);
                }
                Ok(failure_code(failure))
            }
        }
    }

    /// The result, wherever it goes.
    fn show_result(&self, id: ExecutionId, outcome: &Outcome, record: Option<&ExecutionRecord>) -> Result<(), CommandError> {
        let shown = outcome.ending.as_ref().ok().or(outcome.partial_output.as_ref());
        if let (Some(output), Some(path)) = (shown, &self.output) {
            write_file(path, &show::output_bytes(output))?;
        }
        match (self.json, record, shown) {
            (true, Some(record), _) => show::json(record)?,
            // What no row holds is shown all the same: nothing is lost.
            (true, None, _) => {
                show::json(&Unrecorded { id, status: outcome.status(), output: shown, failure: outcome.ending.as_ref().err() })?
            }
            (false, _, Some(output)) if self.output.is_none() => show::output(output)?,
            _ => {}
        }
        if outcome.usage.output_truncated {
            show_hint("The output was cut: `--output=FILE` keeps up to 1GiB of it.");
        }
        Ok(())
    }

    /// What happened, where, and how to go on.
    fn show_failure(&self, id: ExecutionId, failure: &Failure, outcome: &Outcome, advice: &Advice) {
        // A command that ended by itself has said what it had to say.
        if failure.kind != FailureKind::Exit {
            show::line(&format!("{ERROR}{}{ERROR:#}: {}", failure.status(), show::quoted_lines(&failure.message)));
        }
        if let Some(excerpt) = self.excerpt(failure) {
            show::line(&excerpt);
        }
        if let Some(stack) = &failure.stack {
            show::line(&format!("{QUOTE}{DIM}{}{DIM:#}", show::quoted_lines(stack)));
        }
        advice.give(&outcome.usage.refusals);
        match failure.kind {
            FailureKind::Deadline => show_hint("`--timeout=DURATION` gives it longer, up to 30m."),
            FailureKind::Limit if failure.message.contains("memory") => show_hint("`--memory=SIZE` gives it more, up to 4GiB."),
            FailureKind::Host => {
                show_hint(&format!("`wardroom exec show {id}` has the whole record; `wardroom doctor` checks the machine."));
            }
            _ => {}
        }
    }

    /// The script's own line, with a mark under the place.
    fn excerpt(&self, failure: &Failure) -> Option<String> {
        let at = failure.position?;
        let path = ProgramName::parse(&self.program).ok()?.path;
        let source = std::fs::read_to_string(&path).ok()?;
        let line = source.lines().nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
        let before: String =
            line.chars().take(usize::try_from(at.column).ok()?.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Some(format!(
            "{DIM}{}:{}:{}{DIM:#}\n{QUOTE}{}\n{QUOTE}{before}{ERROR}^{ERROR:#}",
            for_terminal_line(&path.display().to_string()),
            at.line,
            at.column,
            for_terminal(line)
        ))
    }

    fn show_plan(&self, plan: &Plan) -> Result<ExitCode, CommandError> {
        let view = PlanView::of(plan);
        if self.json {
            show::json(&view)?;
            return Ok(ExitCode::SUCCESS);
        }
        let resolved = plan.resolved();
        let granted: Vec<String> = plan.access().scopes().iter().map(ask::words).collect();
        let missing: Vec<String> =
            plan.missing().iter().map(|scope| format!("{}  (allow with {})", ask::words(scope), scope.flag())).collect();
        let none = |list: Vec<String>| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
        let limits = &resolved.limits;
        show::pairs([
            ("program", format!("{} ({})", resolved.program.name, resolved.program.digest)),
            ("entry", entry_words(&resolved.entry)),
            ("params", Value::Object(resolved.input.params.clone()).to_string()),
            ("granted", none(granted)),
            ("missing", none(missing)),
            ("limits", limit_words(limits)),
        ])?;
        show::line(&format!("{BOLD}Nothing was run.{BOLD:#}"));
        Ok(ExitCode::SUCCESS)
    }
}

fn entry_words(entry: &Entry) -> String {
    match entry {
        Entry::Task => "its task".to_owned(),
        Entry::Script => "the script".to_owned(),
        Entry::Function(name) => format!("the function {name}"),
        Entry::Command { args } => format!("the command, with {} arguments", args.len()),
    }
}

fn limit_words(limits: &Limits) -> String {
    let fuel = limits.fuel.map_or_else(String::new, |fuel| format!(", {fuel} units of fuel"));
    format!(
        "{} of time, {} of memory{fuel}, {} of result, {} of log, {} requests",
        DurationText(limits.deadline),
        SizeText(limits.memory),
        SizeText(limits.output_bytes),
        SizeText(limits.log_bytes),
        limits.http_requests
    )
}

/// A plan as JSON: shown, never read back.
#[derive(Serialize)]
struct PlanView<'a> {
    program: &'a str,
    digest: Digest,
    subject: &'a str,
    entry: &'a Entry,
    params: &'a Map<String, Value>,
    access: &'a Access,
    missing: Vec<String>,
    limits: &'a Limits,
}

impl<'a> PlanView<'a> {
    fn of(plan: &'a Plan) -> Self {
        let resolved = plan.resolved();
        Self {
            program: &resolved.program.name,
            digest: resolved.program.digest,
            subject: &resolved.subject,
            entry: &resolved.entry,
            params: &resolved.input.params,
            access: plan.access(),
            missing: plan.missing().iter().map(Scope::flag).collect(),
            limits: &resolved.limits,
        }
    }
}

/// What is known of an execution that could not be recorded.
#[derive(Serialize)]
struct Unrecorded<'a> {
    id: ExecutionId,
    status: Status,
    output: Option<&'a Output>,
    failure: Option<&'a Failure>,
}

/// What to say about what was refused.
struct Advice {
    /// The program has a header.
    declared: bool,
    /// What that header asks for and was not granted.
    missing: Vec<Scope>,
    manifest: Option<Manifest>,
}

impl Advice {
    async fn on(wardroom: &Wardroom, plan: &Plan) -> Self {
        let resolved = plan.resolved();
        // It was read once, or there would be no plan.
        let manifest = wardroom.manifest(&resolved.program).await.unwrap_or_default();
        Self { declared: resolved.requests != Requests::Undeclared, missing: plan.missing().clone(), manifest }
    }

    /// The exact flags that would allow what was refused, each once.
    fn give(&self, refusals: &[Refusal]) {
        let mut given: Vec<String> = Vec::new();
        for refusal in refusals {
            let Some(text) = self.of(refusal) else { continue };
            if !given.contains(&text) {
                show_hint(&text);
                given.push(text);
            }
        }
    }

    fn of(&self, refusal: &Refusal) -> Option<String> {
        let scope = refusal.scope.as_ref()?;
        let asked = self.missing.iter().filter(|scope| scope.capability() == refusal.capability);
        let asked: Vec<String> = asked.map(|scope| for_shell(&scope.flag())).collect::<Option<_>>()?;
        if !asked.is_empty() {
            return Some(format!("Allow what the program asks for with `{}`.", asked.join(" ")));
        }
        let scope = existing(refusal.capability, scope);
        let flag = for_shell(&format!("{}={scope}", refusal.capability.flag()))?;
        // What it asks for is what a param names: no other header would help.
        if let [name, ..] = self.manifest.as_ref().map(|manifest| manifest.params_for(refusal.capability)).unwrap_or_default().as_slice() {
            let param = for_shell(&format!("{name}={}", place(refusal.capability, &scope)))?;
            return Some(format!("The program reaches what its param `{name}` names: `--param {param} {flag}` allows it."));
        }
        let header = if self.declared { "; the program's header has to ask for it too" } else { "" };
        Some(format!("Allow it with `{flag}`{header}."))
    }
}

/// A word that a shell reads as just that: what a guest named may hold anything,
/// and a hint is there to be pasted. Nothing where it cannot be shown as it is.
pub(super) fn for_shell(word: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@*+%".contains(c);
    if word.chars().all(plain) {
        return Some(word.to_owned());
    }
    let showable = for_terminal_line(word) == word && !word.contains('`');
    showable.then(|| format!("'{}'", word.replace('\'', "'\\''")))
}

/// A scope without what a param has no words for: methods, an address, a right.
fn place(capability: Capability, scope: &str) -> &str {
    match capability {
        Capability::Net => scope.split([',', '=']).next().unwrap_or(scope),
        Capability::Sqlite => scope.strip_suffix(":write").unwrap_or(scope),
        _ => scope,
    }
}

/// The fence stands at the root, so an absolute path comes without its first
/// slash; what is there tells which was meant.
fn existing(capability: Capability, scope: &str) -> String {
    let files = matches!(capability, Capability::Read | Capability::Write);
    let absolute = format!("/{scope}");
    if files && !Path::new(scope).exists() && Path::new(&absolute).exists() { absolute } else { scope.to_owned() }
}

/// A command's own bytes, as it wrote them: the sandbox takes its output for
/// JSON only where this gives them back.
fn as_written(mut outcome: Outcome) -> Outcome {
    if let Ok(Output::Json(value)) = &outcome.ending {
        outcome.ending = Ok(Output::Text(format!("{value}\n")));
    }
    outcome
}

/// The exit code of a run that failed.
fn failure_code(failure: &Failure) -> ExitCode {
    ExitCode::from(match failure.kind {
        FailureKind::Exit => failure.exit_code.unwrap_or(1),
        FailureKind::Cancelled => CANCELLED,
        _ => exit_code(failure.blame()),
    })
}

/// The operator's signal to stop; a second one ends the process at once.
pub(super) async fn stop_signal() {
    signal().await;
    drop(tokio::spawn(end_on_signal()));
}

/// From the first signal on that is listened to, nothing else ends the process.
pub(super) async fn end_on_signal() {
    signal().await;
    std::process::exit(i32::from(CANCELLED));
}

/// SIGINT or SIGTERM.
async fn signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        signal = tokio::signal::ctrl_c() => if signal.is_err() { std::future::pending::<()>().await },
        () = terminate => {}
    }
}

pub(super) fn params(input: &str) -> Result<Map<String, Value>, CommandError> {
    let text = match input.strip_prefix('@') {
        Some(path) => read_limited(path, std::fs::File::open(path))?,
        None if input == "-" => read_limited("standard input", Ok(std::io::stdin().lock()))?,
        None => input.to_owned(),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(CommandError::usage("the input should be a JSON object of params or arguments by name")),
        Err(error) => Err(CommandError::usage(format!("the input is no JSON: {error}"))),
    }
}

fn read_limited(name: &str, source: std::io::Result<impl Read>) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = source.and_then(|source| source.take(MAX_PARAMS_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_PARAMS_BYTES => {
            Err(CommandError::operator(format!("{name} has more than {}", SizeText(MAX_PARAMS_BYTES))))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(CommandError::operator(format!("{name} cannot be read: {error}"))),
    }
}

/// A command's standard input, whole; nothing from a terminal, which would wait
/// for a person who does not know that.
fn read_stdin() -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    if std::io::stdin().is_terminal() {
        return Ok(bytes);
    }
    match std::io::stdin().lock().take(MAX_STDIN_BYTES + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > MAX_STDIN_BYTES => {
            Err(CommandError::operator(format!("standard input has more than {}", SizeText(MAX_STDIN_BYTES))))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(CommandError::operator(format!("standard input cannot be read: {error}"))),
    }
}

/// Said before the run rather than after it.
fn check_output(path: &Path) -> Result<(), CommandError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wrong = if path.is_dir() {
        "it is a folder"
    } else if !folder.is_dir() {
        "its folder does not exist"
    } else {
        return Ok(());
    };
    Err(CommandError::operator(format!("`{}` cannot be written: {wrong}", path.display())))
}

/// Into a regular file whole or not at all, with the mode it had; what is no
/// regular file (a device, a pipe) is written through.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| CommandError::operator(format!("`{}` cannot be written: {error}", path.display()));
    // Links are followed: what they name is what is written.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = std::fs::metadata(&target).ok();
    if there.as_ref().is_some_and(|meta| !meta.is_file()) {
        let written = std::fs::OpenOptions::new().write(true).open(&target).and_then(|mut file| file.write_all(bytes));
        return written.map_err(failed);
    }
    let mut staged = target.as_os_str().to_owned();
    staged.push(format!(".{}.part", std::process::id()));
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&staged)?;
        if let Some(meta) = &there {
            file.set_permissions(meta.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&staged, &target)
    };
    write().map_err(|error| {
        // The part may never have come into being.
        drop(std::fs::remove_file(&staged));
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_one_word_for_a_shell_or_none() {
        assert_eq!(for_shell("--allow-read=./a-b_c"), Some("--allow-read=./a-b_c".to_owned()));
        assert_eq!(for_shell("--allow-read=$(touch x)"), Some("'--allow-read=$(touch x)'".to_owned()));
        assert_eq!(for_shell("a'b"), Some("'a'\\''b'".to_owned()));
        for hidden in ["a\nhint: b", "a`b", "a\u{1b}[2J", "a\u{202e}b"] {
            assert_eq!(for_shell(hidden), None);
        }
    }

    #[test]
    fn an_output_file_keeps_its_mode_its_links_and_its_kind() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, b"new").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        write_file(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        assert!(check_output(&folder.path().join("none/x")).is_err() && check_output(folder.path()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
