//! `wardroom task`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Map, Value};
use wardroom_core::capability::Scope;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Trigger;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::{DurationText, SizeText};
use wardroom_core::program::ProgramName;
use wardroom_core::task::{Keep, Occasion};
use wardroom_schedule::rate::RateLimit;
use wardroom_schedule::retry::RetryRule;
use wardroom_schedule::rules::{MissedRule, OverlapRule};

use super::ask;
use super::error::{CommandError, show_hint};
use super::grants::{GrantFlags, absolute};
use super::run::{RunArguments, name_and_value, params};
use super::show::{self, BOLD, DIM, ERROR, GOOD, WARN};
use super::task_file;
use crate::execution::grants::GrantTexts;
use crate::task::check::Checked;
use crate::task::definition::{Run, Task};
use crate::task::draft::TaskDraft;
use crate::task::view::TaskView;
use crate::task::{Bytes, Saved, Saving};
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Subcommand)]
pub(super) enum TaskCommand {
    /// Save a program to be run later, and again
    Add(Box<AddArguments>),
    /// List tasks, with when they run next
    List {
        /// Only those with this tag
        #[arg(long)]
        tag: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one task
    Show(NameArguments),
    /// Change a task: with flags what they name, without any in an editor
    Edit(Box<EditArguments>),
    /// Say what would happen, without running anything
    Check(NameArguments),
    /// Run a task now, and wait for its end
    Run(TaskRunArguments),
    /// Keep a task from running by itself
    Pause {
        /// The task
        name: String,
        /// Why, for those who wonder
        #[arg(long, default_value = "by hand")]
        reason: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a paused task run by itself again, from now on
    Resume(NameArguments),
    /// Take the program's bytes as they are now
    Upgrade(Box<UpgradeArguments>),
    /// Remove a task with its grants and state; its executions stay
    Rm {
        /// The task
        name: String,
        /// Also if it runs, or if other tasks need it
        #[arg(long)]
        force: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write tasks as files, with their programs; never a credential's value
    Export(task_file::ExportArguments),
    /// Save a task from a file; what it asks for is granted by you, not by the file
    Import(task_file::ImportArguments),
    /// Show or clear what a task's executions keep for the next one
    State(StateArguments),
    /// Account for every slot that was due: ran, skipped, missed
    Slots(SlotsArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct NameArguments {
    /// The task
    pub(super) name: String,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What a task may be told with flags.
#[derive(Debug, Default, clap::Args)]
pub(super) struct TaskFlags {
    /// A title for people
    #[arg(long)]
    title: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A word to find it by; may be repeated
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// One param; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    /// Params as one JSON object; `@FILE` reads a file, `-` standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// Run it by a cron expression of 5 or 6 fields
    #[arg(long, value_name = "EXPRESSION", help_heading = "When")]
    cron: Option<String>,
    /// Run it in this period (1s to 366d)
    #[arg(long, value_name = "DURATION", help_heading = "When")]
    every: Option<DurationText>,
    /// Run it once: `2030-01-31 09:00`, or RFC 3339
    #[arg(long, value_name = "TIME", help_heading = "When")]
    at: Option<String>,
    /// Run it by hand and after others only
    #[arg(long, help_heading = "When", conflicts_with_all = ["cron", "every", "at"])]
    no_schedule: bool,
    /// The time zone of all that, like Europe/Berlin (default: this machine's, as it is now)
    #[arg(long, value_name = "ZONE", help_heading = "When")]
    zone: Option<String>,
    /// Run it when this task succeeded; may be repeated
    #[arg(long, value_name = "TASK", help_heading = "When")]
    after: Vec<String>,
    /// Run it when something in this granted folder changed; may be repeated
    #[arg(long, value_name = "DIR", help_heading = "When")]
    on_files: Vec<String>,
    /// Run this task when it failed
    #[arg(long, value_name = "TASK", help_heading = "When")]
    on_failure: Option<String>,
    /// Run this task when it succeeded after having failed
    #[arg(long, value_name = "TASK", help_heading = "When")]
    on_recovery: Option<String>,
    /// Slots that nobody was there for: skip, latest, all
    #[arg(long, value_name = "RULE", help_heading = "Rules")]
    missed: Option<MissedRule>,
    /// A slot while an earlier run goes on: skip (default), queue, cancel-previous, allow
    #[arg(long, value_name = "RULE", help_heading = "Rules")]
    overlap: Option<OverlapRule>,
    /// At most so many starts in such a time: `10/1h`
    #[arg(long, value_name = "RATE", help_heading = "Rules")]
    rate: Option<RateLimit>,
    /// Try failed runs again: `3 base 10s factor 2 cap 1h jitter 20`, or `off` (default)
    #[arg(long, value_name = "RULE", help_heading = "Rules")]
    retry: Option<RetryRule>,
    /// Pause it after so many failures in a row (default 5; 0: never)
    #[arg(long, value_name = "N", help_heading = "Rules")]
    pause_after: Option<u32>,
    /// What is kept of its executions: none, result, all (default)
    #[arg(long, value_name = "WHAT", help_heading = "Rules", value_parser = keep)]
    keep: Option<Keep>,
    /// End each run after this time (default 5m, at most 30m)
    #[arg(long, value_name = "DURATION", help_heading = "Limits")]
    timeout: Option<DurationText>,
    /// Bytes of all memories and tables together (default 64MiB, at most 4GiB)
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    memory: Option<SizeText>,
    /// End each run after so many units of work, about one per instruction
    #[arg(long, value_name = "UNITS", help_heading = "Limits")]
    fuel: Option<u64>,
    #[command(flatten)]
    grants: GrantFlags,
}

fn keep(text: &str) -> Result<Keep, String> {
    serde_json::from_value(Value::from(text)).map_err(|_| "expected none, result or all".to_owned())
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArguments {
    /// A name: a lower-case letter, then lower-case letters, digits and `-`
    name: String,
    /// A file (`.js`, `.ts`, `.wasm`), optionally with `#function`, an installed `NAME[.FUNCTION]`, or a template's name
    program: String,
    #[command(flatten)]
    flags: TaskFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Arguments for a command, after `--`
    #[arg(last = true)]
    args: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct EditArguments {
    /// The task
    name: String,
    /// Another name for it
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// Take away grants whose text is this; may be repeated
    #[arg(long, value_name = "SCOPE")]
    revoke: Vec<String>,
    #[command(flatten)]
    flags: TaskFlags,
    #[command(flatten)]
    cleared: ClearingFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is taken from a task with flags.
#[derive(Debug, Default, PartialEq, clap::Args)]
pub(super) struct ClearingFlags {
    /// Take all its tags away
    #[arg(long, conflicts_with = "tags")]
    no_tags: bool,
    /// Run it after no other task
    #[arg(long, help_heading = "When", conflicts_with = "after")]
    no_after: bool,
    /// Run it for no changed file
    #[arg(long, help_heading = "When", conflicts_with = "on_files")]
    no_on_files: bool,
    /// Run no task when it failed
    #[arg(long, help_heading = "When", conflicts_with = "on_failure")]
    no_on_failure: bool,
    /// Run no task when it succeeded after having failed
    #[arg(long, help_heading = "When", conflicts_with = "on_recovery")]
    no_on_recovery: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct UpgradeArguments {
    /// The task
    name: String,
    /// Another place to read the program from
    program: Option<String>,
    /// One param; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    /// Params in place of all that the task has, as one JSON object; `@FILE` reads a file, `-` standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    #[command(flatten)]
    grants: GrantFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct TaskRunArguments {
    /// The task
    name: String,
    /// One param in place of the task's own; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    /// Print the execution's whole record as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct StateArguments {
    /// The task
    name: String,
    /// Forget one key, or with no key everything
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    clear: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct SlotsArguments {
    /// The task
    name: String,
    /// Slots after this (default: a day ago)
    #[arg(long, value_name = "TIME", value_parser = super::exec::time)]
    since: Option<Timestamp>,
    /// Slots up to this (default: now)
    #[arg(long, value_name = "TIME", value_parser = super::exec::time)]
    until: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl TaskCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Add(add) => add.json,
            Self::Edit(edit) => edit.json,
            Self::Upgrade(upgrade) => upgrade.json,
            Self::Run(run) => run.json,
            Self::Export(export) => export.json,
            Self::Import(import) => import.json,
            Self::State(state) => state.json,
            Self::Slots(slots) => slots.json,
            Self::Show(of) | Self::Check(of) | Self::Resume(of) => of.json,
            Self::List { json, .. } | Self::Pause { json, .. } | Self::Rm { json, .. } => *json,
        }
    }

    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        match self {
            Self::Add(add) => add.execute(wardroom).await?,
            Self::List { tag, json } => list(wardroom, tag.as_deref(), json)?,
            Self::Show(of) => show_task(wardroom, &of).await?,
            Self::Edit(edit) => edit.execute(wardroom).await?,
            Self::Check(of) => return check(wardroom, &of).await,
            Self::Run(run) => return run.execute(wardroom).await,
            Self::Pause { name, reason, json } => {
                let changed = wardroom.pause(&name, &reason).await?;
                moved(&name, json, if changed { "paused" } else { "paused already" })?;
            }
            Self::Resume(of) => {
                let changed = wardroom.resume(&of.name).await?;
                moved(&of.name, of.json, if changed { "resumed" } else { "not paused" })?;
            }
            Self::Upgrade(upgrade) => upgrade.execute(wardroom).await?,
            Self::Rm { name, force, json } => {
                wardroom.remove_task(&name, force).await?;
                moved(&name, json, "removed")?;
            }
            Self::Export(export) => export.execute(wardroom)?,
            Self::Import(import) => import.execute(wardroom).await?,
            Self::State(state) => state.execute(wardroom).await?,
            Self::Slots(slots) => slots.execute(wardroom)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn moved(name: &str, json: bool, what: &str) -> Result<(), CommandError> {
    if json { show::json(&serde_json::json!({"task": name, "done": what})) } else { show::print(&format!("{name}: {what}\n")) }
}

/// Where relative paths begin.
pub(super) fn here() -> Result<PathBuf, CommandError> {
    std::env::current_dir().map_err(|error| CommandError::operator(format!("the current folder cannot be read: {error}")))
}

impl TaskFlags {
    /// Nothing was said.
    fn is_empty(&self) -> bool {
        let mut draft = TaskDraft::default();
        let nothing_read = self.params.is_empty() && self.input.is_none() && !self.no_schedule;
        nothing_read && self.apply(Path::new("/"), &mut draft).is_ok() && draft == TaskDraft::default()
    }

    /// What was said holds; the rest of the draft stays.
    fn apply(&self, base: &Path, draft: &mut TaskDraft) -> Result<(), CommandError> {
        if let Some(input) = &self.input {
            draft.params = params(input)?;
        }
        if self.cron.is_some() || self.every.is_some() || self.at.is_some() || self.no_schedule {
            (draft.cron, draft.every, draft.at) = (self.cron.clone(), self.every, self.at.clone());
        }
        or_keep(&mut draft.title, &self.title);
        or_keep(&mut draft.description, &self.description);
        or_keep(&mut draft.zone, &self.zone);
        or_keep(&mut draft.on_failure, &self.on_failure);
        or_keep(&mut draft.on_recovery, &self.on_recovery);
        or_keep(&mut draft.missed, &self.missed);
        or_keep(&mut draft.overlap, &self.overlap);
        or_keep(&mut draft.rate, &self.rate);
        or_keep(&mut draft.retry, &self.retry);
        or_keep(&mut draft.pause_after, &self.pause_after);
        or_keep(&mut draft.keep, &self.keep);
        or_keep(&mut draft.limits.timeout, &self.timeout);
        or_keep(&mut draft.limits.memory, &self.memory);
        or_keep(&mut draft.limits.fuel, &self.fuel);
        if !self.tags.is_empty() {
            draft.tags.clone_from(&self.tags);
        }
        if !self.after.is_empty() {
            draft.after.clone_from(&self.after);
        }
        if !self.on_files.is_empty() {
            draft.on_files = self.on_files.iter().map(|text| absolute(base, text)).collect();
        }
        draft.grants = std::mem::take(&mut draft.grants).with(self.grants.absolute(base)?);
        Ok(())
    }
}

impl ClearingFlags {
    fn apply(&self, draft: &mut TaskDraft) {
        for (cleared, list) in [(self.no_tags, &mut draft.tags), (self.no_after, &mut draft.after), (self.no_on_files, &mut draft.on_files)]
        {
            list.retain(|_| !cleared);
        }
        for (cleared, task) in [(self.no_on_failure, &mut draft.on_failure), (self.no_on_recovery, &mut draft.on_recovery)] {
            task.take_if(|_| cleared);
        }
    }
}

fn or_keep<T: Clone>(kept: &mut Option<T>, said: &Option<T>) {
    if said.is_some() {
        kept.clone_from(said);
    }
}

impl AddArguments {
    async fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let base = here()?;
        let mut draft = TaskDraft { name: self.name, program: self.program, args: self.args, ..TaskDraft::default() };
        self.flags.apply(&base, &mut draft)?;
        let saving = Saving {
            draft: draft.clone(),
            seen: None,
            base: &base,
            text_params: self.flags.params.clone(),
            bytes: Bytes::Read,
            paused_for: None,
        };
        let saved = wardroom.save_task(saving).await?;
        let saved = grant_on_terminal(wardroom, saved, self.json).await?;
        saved_words(wardroom, &saved, "saved", self.json)
    }
}

/// On a terminal, asks for what the task asks for and was not granted.
pub(super) async fn grant_on_terminal(wardroom: &Wardroom, saved: Saved, json: bool) -> Result<Saved, CommandError> {
    if saved.missing.is_empty() || json || !ask::possible() {
        return Ok(saved);
    }
    let answer = ask::ask(saved.task.name().as_str(), &saved.missing)?;
    let granted: Vec<Scope> = answer.once.into_iter().chain(answer.always).collect();
    if granted.is_empty() {
        return Ok(saved);
    }
    let mut draft = wardroom.draft_of(&saved.task)?;
    draft.grants = draft.grants.with(GrantTexts::from_scopes(&granted));
    let base = saved.task.definition.base.clone();
    let saving = Saving { draft, seen: Some(&saved.task), base: &base, text_params: Vec::new(), bytes: Bytes::Pinned, paused_for: None };
    Ok(wardroom.save_task(saving).await?)
}

/// What was saved, what it still lacks, and when it runs next.
pub(super) fn saved_words(wardroom: &Wardroom, saved: &Saved, what: &str, json: bool) -> Result<(), CommandError> {
    let view = TaskView::of(wardroom, &saved.task)?;
    if json {
        let missing: Vec<String> = saved.missing.iter().map(Scope::flag).collect();
        let new: Vec<String> = saved.new_requests.iter().map(Scope::flag).collect();
        return show::json(&serde_json::json!({"task": view, "missing": missing, "new_requests": new, "warnings": saved.warnings}));
    }
    show::print(&format!("{what} {BOLD}{}{BOLD:#}{}\n", view.name, next_words(&saved.task, &view)))?;
    for scope in &saved.new_requests {
        show::line(&format!("{WARN}new{WARN:#}: its program asks for {}", ask::words(scope)));
    }
    for warning in &saved.warnings {
        show::line(&format!("{WARN}warning{WARN:#}: {}", show::quoted_lines(warning)));
    }
    if !saved.missing.is_empty() {
        let flags: Vec<String> = saved.missing.iter().filter_map(|scope| super::run::for_shell(&scope.flag())).collect();
        show_hint(&format!("Grant it with `wardroom task edit {} {}`.", view.name, flags.join(" ")));
    }
    if view.schedule.is_some() && !wardroom.scheduler_lives() {
        show_hint("Nobody serves this data folder yet: `wardroom serve` runs tasks when they are due.");
    }
    Ok(())
}

fn next_words(task: &Task, view: &TaskView) -> String {
    match (&view.schedule, view.next.first()) {
        (Some(words), Some(next)) => format!(": {words}, next {} ({})", next.local, task.definition.zone),
        (Some(words), None) => format!(": {words}"),
        (None, _) => String::new(),
    }
}

impl EditArguments {
    async fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let task = wardroom.task(&self.name)?;
        let mut draft = wardroom.draft_of(&task)?;
        let silent = self.flags.is_empty() && self.cleared == ClearingFlags::default() && self.rename.is_none() && self.revoke.is_empty();
        let saved = if silent {
            match task_file::edit(wardroom, &task, &draft).await? {
                Some(saved) => saved,
                None => return show::print(&format!("{}: nothing was changed\n", self.name)),
            }
        } else {
            self.flags.apply(&here()?, &mut draft)?;
            self.cleared.apply(&mut draft);
            if let Some(name) = self.rename {
                draft.name = name;
            }
            draft.grants = draft.grants.without(&self.revoke);
            let base = task.definition.base.clone();
            let text_params = self.flags.params.clone();
            wardroom
                .save_task(Saving { draft, seen: Some(&task), base: &base, text_params, bytes: Bytes::Pinned, paused_for: None })
                .await?
        };
        saved_words(wardroom, &saved, "changed", self.json)
    }
}

impl UpgradeArguments {
    async fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let task = wardroom.task(&self.name)?;
        let (mut draft, here) = (wardroom.draft_of(&task)?, here()?);
        if let Some(program) = self.program {
            let program = ProgramName::parse(&program).map_err(|error| CommandError::usage(error.to_string()))?;
            draft.program = wardroom.located(&here, &program)?.to_string();
        }
        draft.grants = draft.grants.with(self.grants.absolute(&here)?);
        if let Some(input) = &self.input {
            draft.params = params(input)?;
        }
        let base = task.definition.base.clone();
        let saved = wardroom
            .save_task(Saving { draft, seen: Some(&task), base: &base, text_params: self.params, bytes: Bytes::Read, paused_for: None })
            .await?;
        let is_new = saved.task.record.digest != task.record.digest;
        if is_new && !self.json {
            // Whoever upgrades at the terminal decides that the new bytes keep it.
            for grant in wardroom.database().grants(&saved.task.id().subject(), Some(saved.task.record.digest))? {
                show::line(&format!("{WARN}keeps{WARN:#}: {} {}", grant.capability.name(), show::quoted_lines(&grant.scope)));
            }
        }
        let saved = grant_on_terminal(wardroom, saved, self.json).await?;
        saved_words(wardroom, &saved, if is_new { "upgraded" } else { "the same bytes:" }, self.json)
    }
}

impl TaskRunArguments {
    async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        let task = wardroom.task(&self.name)?;
        let run = Run {
            id: ExecutionId::fresh(),
            attempt: 1,
            trigger: Trigger::Cli,
            occasion: Occasion::default(),
            params: Map::new(),
            text_params: self.params,
            offered: Map::new(),
        };
        let resolved = wardroom.resolve(task.request(run)).await?;
        show::warning(&self.name, wardroom.task_warning(&task)?.as_deref());
        let plan = wardroom.authorize(resolved, wardroom_core::capability::Grants::default(), crate::schedule::operator_env)?;
        let program = task.definition.origin.display().to_string();
        RunArguments::of_stored(program, self.json).run(wardroom, plan).await
    }
}

impl StateArguments {
    async fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        if let Some(key) = &self.clear {
            let cleared = wardroom.clear_task_state(&self.name, Some(key.as_str()).filter(|key| !key.is_empty())).await?;
            return if self.json {
                show::json(&serde_json::json!({"task": self.name, "cleared": cleared}))
            } else {
                show::print(&format!("{}: {cleared} keys forgotten\n", self.name))
            };
        }
        let state = wardroom.task_state(&self.name)?;
        if self.json {
            let state: Map<String, Value> = state.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
            return show::json(&serde_json::json!({"task": self.name, "state": state}));
        }
        if state.is_empty() {
            return show::print("no state\n");
        }
        show::table(&["key", "value"], state.into_iter().map(|(key, value)| vec![key, value]))
    }
}

impl SlotsArguments {
    fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let now = wardroom.now();
        let (from, until) = (self.since.unwrap_or(Timestamp::from_ms(now.ms() - 86_400_000)), self.until.unwrap_or(now));
        let account = wardroom.account_for(&self.name, from, until)?;
        if self.json {
            return show::json(&account);
        }
        let rows = account.slots.iter().map(|end| {
            let slots = if end.count == 1 { end.first.to_string() } else { format!("{} … {} ({})", end.first, end.last, end.count) };
            let became = end.status.map_or_else(|| "ran (record pruned)".to_owned(), |status| status.to_string());
            vec![slots, became, end.reason.clone().unwrap_or_default(), end.execution.map(super::exec::short).unwrap_or_default()]
        });
        if !account.slots.is_empty() {
            show::table(&["slot", "became", "why", "execution"], rows)?;
        }
        let style = if account.unaccounted.is_empty() { GOOD } else { ERROR };
        show::print(&format!(
            "{} due: {} ran, {} skipped or missed, {style}{} unaccounted for{style:#}\n",
            account.due,
            account.ran,
            account.skipped,
            account.unaccounted.len()
        ))
    }
}

fn list(wardroom: &Wardroom, tag: Option<&str>, json: bool) -> Result<(), CommandError> {
    let tasks = wardroom.tasks()?.into_iter().filter(|task| tag.is_none_or(|tag| task.definition.tags.iter().any(|own| own == tag)));
    let views: Vec<(Task, TaskView)> =
        tasks.map(|task| TaskView::of(wardroom, &task).map(|view| (task, view))).collect::<Result<_, _>>()?;
    if json {
        return show::json(&serde_json::json!({"tasks": views.iter().map(|(_, view)| view).collect::<Vec<_>>()}));
    }
    for damaged in wardroom.damaged_tasks()? {
        show::line(&format!("{ERROR}damaged{ERROR:#}: {}", show::quoted_lines(&damaged.to_string())));
    }
    if views.is_empty() {
        show::print("no tasks\n")?;
        show_hint("`wardroom task add NAME PROGRAM --every=1h` saves one.");
        return Ok(());
    }
    show::table(&["task", "program", "schedule", "next", "last", "state"], views.iter().map(|(task, view)| row(task, view)))
}

fn row(task: &Task, view: &TaskView) -> Vec<String> {
    let state = match (&view.paused, view.failures) {
        (Some(_), _) => "paused".to_owned(),
        (None, 0) => "ok".to_owned(),
        (None, 1) => "1 failure".to_owned(),
        (None, failures) => format!("{failures} failures"),
    };
    vec![
        view.name.clone(),
        task.definition.program.name.clone(),
        view.schedule.clone().unwrap_or_default(),
        view.next.first().map_or_else(String::new, |next| next.local.clone()),
        view.last.as_ref().map_or_else(String::new, |last| last.status.to_string()),
        state,
    ]
}

async fn show_task(wardroom: &Wardroom, of: &NameArguments) -> Result<(), CommandError> {
    let task = wardroom.task(&of.name)?;
    let view = TaskView::of(wardroom, &task)?;
    if of.json {
        return show::json(&view);
    }
    let head = view.paused.as_ref().map_or_else(String::new, |reason| format!(" {WARN}paused{WARN:#}: {}", show::quoted_lines(reason)));
    show::print(&format!("{BOLD}{}{BOLD:#}{head}\n", view.name))?;
    let draft = wardroom.draft_of(&task)?;
    let plan = wardroom.plan_of(&task).await;
    let none = |list: Vec<String>| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
    let (granted, missing) = match &plan {
        Ok(plan) => (
            none(plan.access().scopes().iter().map(ask::words).collect()),
            plan.missing().iter().map(|scope| format!("{}  (allow with {})", ask::words(scope), scope.flag())).collect(),
        ),
        Err(error) => (format!("unknown: {error}"), Vec::new()),
    };
    let next = view.next.iter().map(|next| format!("{}  ({})", next.local, next.at));
    let definition = &task.definition;
    let optional = |name, text: Option<String>| text.map(|text| (name, text));
    let pairs = [
        optional("title", definition.title.clone()),
        optional("about", definition.description.clone()),
        Some(("program", format!("{} ({})", definition.program.name, task.record.digest))),
        Some(("read from", definition.origin.display().to_string())),
        optional("when", view.schedule.clone()),
        optional("zone", task.zone_apart()),
        optional("next", (!view.next.is_empty()).then(|| next.collect::<Vec<_>>().join("\n"))),
        optional("after", (!draft.after.is_empty()).then(|| draft.after.join(", "))),
        optional("on files", (!draft.on_files.is_empty()).then(|| draft.on_files.join("\n"))),
        optional("on failure", draft.on_failure.clone()),
        optional("recovery", draft.on_recovery.clone()),
        Some(("rules", rules(&task, wardroom.now()))),
        Some(("params", Value::Object(definition.params.clone()).to_string())),
        Some(("granted", granted)),
        optional("missing", (!missing.is_empty()).then(|| missing.join("\n"))),
        Some(("failures", format!("{} in a row", view.failures))),
        optional("last", view.last.as_ref().map(|last| format!("{} at {} ({})", last.status, last.created_at, last.id))),
    ];
    show::pairs(pairs.into_iter().flatten())
}

fn rules(task: &Task, now: Timestamp) -> String {
    let definition = &task.definition;
    let rate = definition.rate.map_or_else(String::new, |rate| format!(", at most {rate}"));
    format!("missed {}, overlap {}, retry {}{rate}", task.missed(now), definition.overlap, definition.retry)
}

async fn check(wardroom: &Wardroom, of: &NameArguments) -> Result<ExitCode, CommandError> {
    let checked: Checked = wardroom.check_task(&of.name).await?;
    let code = if checked.is_good { ExitCode::SUCCESS } else { ExitCode::from(1) };
    if of.json {
        show::json(&checked)?;
        return Ok(code);
    }
    for finding in &checked.findings {
        let (style, mark) = match (finding.is_good, &finding.hint) {
            (true, None) => (GOOD, "ok "),
            // As somebody may want it, or not.
            (true, Some(_)) => (WARN, "!  "),
            (false, _) => (ERROR, "no "),
        };
        show::print(&format!("{style}{mark}{style:#} {:<11} {}\n", finding.what, show::quoted_lines(&finding.found)))?;
        if let Some(hint) = &finding.hint {
            show_hint(hint);
        }
    }
    if let Some(words) = &checked.schedule {
        show::print(&format!("\n{BOLD}{words}{BOLD:#}\n"))?;
    }
    for next in &checked.next {
        show::print(&format!("  {}  {DIM}{}{DIM:#}\n", next.local, next.at))?;
    }
    Ok(code)
}
