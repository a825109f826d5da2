//! Tasks: looking at them, saving, changing and removing them.
//!
//! A task that asks for what nobody granted is saved and waits: what it asks for
//! becomes one approval, and the yes to it lets the task go on.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Digest as _;
use wardroom_core::capability::Scope;
use wardroom_core::capability::credentials::CredentialScope;
use wardroom_core::id::Digest;
use wardroom_core::limit::DurationText;
use wardroom_core::manifest::Manifest;
use wardroom_core::program::{Format, Program, ProgramName};
use wardroom_db::{ApprovalId, Filter};

use super::super::answer::{Answer, Refused, fitting};
use super::super::function::check_params;
use super::super::schema;
use super::super::tool::{ADDS, Call, Done, LOOKS, REPLACES, SETS, Tool};
use super::super::{Profile, Server};
use super::executions::summary;
use crate::approval::{ApprovalError, paused_for, waited_for};
use crate::execution::resolve::{ResolveError, stored_text};
use crate::task::definition::Task;
use crate::task::draft::TaskDraft;
use crate::task::view::TaskView;
use crate::task::{Bytes, Saved, Saving, TaskError};
use crate::template;

/// Bytes of a script's text.
pub(super) const MAX_CODE: usize = 256 << 10;
/// Bytes of one task as JSON.
const MAX_VIEW: usize = 16_000;
/// Why a task is paused while what it asks for is being asked.
const BEING_ASKED: &str = "saved by an assistant; what it asks for was not asked yet";
/// Why a task is paused that an assistant switched off.
const SWITCHED_OFF: &str = "switched off by an assistant";

pub(in super::super) const TOOLS: &[Tool] = &[
    Tool {
        name: "list_tasks",
        title: "List tasks",
        about: "Lists saved tasks with their schedules, next runs and last status.",
        least: Profile::Read,
        hints: LOOKS,
        input: || {
            let properties = json!({
                "enabled": { "type": "boolean", "description": "Only tasks that run by themselves (true), or only paused ones (false)" },
                "has_errors": { "type": "boolean", "description": "Only tasks whose last runs failed (true), or only the others (false)" },
                "template_id": schema::bounded_text("Only tasks made of this template", 64),
                "offset": schema::whole("How many to leave out: `next_offset` of the answer before", 0, 1_000_000, 0),
            });
            schema::object(properties, &[])
        },
        output: || {
            schema::answer(
                json!({ "tasks": { "type": "array", "items": { "type": "object" } }, "next_offset": { "type": ["integer", "null"] } }),
            )
        },
        call: list_tasks,
    },
    Tool {
        name: "get_task",
        title: "Get a task",
        about: "Shows one task: its program, params, schedule, grants, what it lacks, whether it waits for an approval, and its last runs.",
        least: Profile::Read,
        hints: LOOKS,
        input: || {
            let properties = json!({
                "name": schema::task_name("The task"),
                "recent_executions": schema::whole("How many of its last executions to show", 0, 50, 5),
            });
            schema::object(properties, &["name"])
        },
        output: || {
            schema::answer(json!({
                "task": { "type": "object" },
                "missing": { "type": "array", "items": { "type": "string" } },
                "waits_for_approval": { "type": ["string", "null"] },
                "executions": { "type": "array", "items": { "type": "object" } },
            }))
        },
        call: get_task,
    },
    Tool {
        name: "check_task",
        title: "Check a task",
        about: "Says what a run of a task would be, without running it: program verified, params, grants against requests, credentials, \
                and the next times at which it is due.",
        least: Profile::Read,
        hints: LOOKS,
        input: || schema::object(json!({ "name": schema::task_name("The task") }), &["name"]),
        output: || schema::answer(json!({ "check": { "type": "object" } })),
        call: check_task,
    },
    Tool {
        name: "schedule_task",
        title: "Schedule a task",
        about: "Saves a new task: of a template (`template_id`), of an installed plugin's function (`plugin`), each with its `params`, or \
                of JavaScript in `code` (profile author). It starts with no rights. What the program asks for becomes an approval, and the task waits until a person gives it.",
        least: Profile::Operate,
        hints: ADDS,
        input: || {
            let properties = json!({
                "name": schema::task_name("A name for it: a lower-case letter, then lower-case letters, digits and `-`"),
                "template_id": schema::bounded_text("The template to make it of; see list_templates", 64),
                "plugin": schema::bounded_text("The installed plugin's function to make it of instead, `NAME.FUNCTION`; see list_plugins and get_plugin", 128),
                "code": schema::bounded_text("The program's text instead, with `params` and `credentials.NAME`; it may begin with a `/// wardroom` header that declares params and requests", MAX_CODE),
                "language": { "enum": ["javascript", "typescript"], "default": "javascript", "description": "What `code` is written in" },
                "description": schema::bounded_text("What it is for", 1024),
                "params": schema::params(),
                "schedule": schema::schedule(),
                "timezone": schema::bounded_text("The schedule's zone, such as Europe/Berlin; else this machine's", 64),
                "credentials": schema::list_of_texts("Credentials that it should use, by name, optionally `NAME@HOST`; each is part of the approval"),
                "enabled": schema::flag("false saves it paused", true),
            });
            schema::object(properties, &["name", "schedule"])
        },
        output: saved_schema,
        call: schedule_task,
    },
    Tool {
        name: "update_task",
        title: "Change a task",
        about: "Changes what is given of a task, and leaves the rest. New code, or params that lead to another place, keep no grant: what is \
                asked for newly becomes an approval, and the task waits.",
        least: Profile::Operate,
        hints: REPLACES,
        input: || {
            let properties = json!({
                "name": schema::task_name("The task"),
                "new_name": schema::task_name("Another name for it"),
                "code": schema::bounded_text("Another text of its program (profile author)", MAX_CODE),
                "language": { "enum": ["javascript", "typescript"], "default": "javascript", "description": "What `code` is written in" },
                "description": schema::bounded_text("What it is for", 1024),
                "params": schema::params(),
                "schedule": schema::schedule(),
                "timezone": schema::bounded_text("The schedule's zone, such as Europe/Berlin", 64),
                "credentials": schema::list_of_texts("Credentials that it should use beside those that it has; each is part of an approval"),
                "enabled": { "type": "boolean", "description": "Whether it runs by itself" },
            });
            schema::object(properties, &["name"])
        },
        output: saved_schema,
        call: update_task,
    },
    Tool {
        name: "toggle_task",
        title: "Switch a task on or off",
        about: "Lets a task run by itself, or pauses it. A task that waits for an approval is switched on by the approval alone.",
        least: Profile::Operate,
        hints: SETS,
        input: || {
            let properties = json!({
                "name": schema::task_name("The task"),
                "enabled": { "type": "boolean", "description": "true: it runs by itself; false: it is paused" },
            });
            schema::object(properties, &["name", "enabled"])
        },
        output: || {
            schema::answer(json!({ "name": { "type": "string" }, "enabled": { "type": "boolean" }, "changed": { "type": "boolean" } }))
        },
        call: toggle_task,
    },
    Tool {
        name: "delete_task",
        title: "Delete a task",
        about: "Removes a task with its grants and its state; the records of its executions stay. One that runs, or that other tasks need, stays.",
        least: Profile::Operate,
        hints: REPLACES,
        input: || schema::object(json!({ "name": schema::task_name("The task") }), &["name"]),
        output: || schema::answer(json!({ "name": { "type": "string" } })),
        call: delete_task,
    },
];

fn saved_schema() -> Value {
    schema::answer(json!({
        "task": { "type": "object" },
        "approval": { "type": ["object", "null"], "properties": {
            "id": { "type": "string" }, "asks": { "type": "array", "items": { "type": "string" } }, "command": { "type": "string" },
        }},
        "warnings": { "type": "array", "items": { "type": "string" } },
    }))
}

#[derive(Deserialize)]
struct Wanted {
    enabled: Option<bool>,
    has_errors: Option<bool>,
    template_id: Option<String>,
    #[serde(default)]
    offset: usize,
}

fn list_tasks(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let Wanted { enabled, has_errors, template_id, offset } = call.read()?;
        let wardroom = &call.server.wardroom;
        let passes = |task: &Task| {
            enabled.is_none_or(|enabled| enabled == task.record.paused_at.is_none())
                && has_errors.is_none_or(|errors| errors == (task.record.failures > 0))
                && template_id.as_ref().is_none_or(|id| task.definition.origin.as_os_str() == id.as_str())
        };
        let tasks: Vec<Task> = wardroom.tasks()?.into_iter().filter(passes).collect();
        let mut views = Vec::new();
        for task in tasks.iter().skip(offset) {
            views.push(TaskView::of(wardroom, task)?);
        }
        let (page, more) = fitting(views.iter().map(bounded));
        let next = more.then_some(offset + page.len());
        let lines: Vec<String> = views.iter().take(page.len()).map(line).collect();
        let text = if lines.is_empty() { "no tasks".to_owned() } else { lines.join("\n") };
        Ok(Answer::new(json!({ "tasks": page, "next_offset": next }), text))
    })
}

/// A task as JSON, without params that would fill an answer by themselves.
fn bounded(view: &TaskView) -> Value {
    let mut value = json!(view);
    if value.to_string().len() > MAX_VIEW
        && let Some(params) = value.get_mut("params")
    {
        *params = json!(format!("(longer than {MAX_VIEW} bytes)"));
    }
    value
}

fn line(view: &TaskView) -> String {
    let when = view.schedule.as_deref().unwrap_or("by hand or after others");
    let next = view.next.first().map_or_else(String::new, |next| format!(", next {}", next.at));
    let last = view.last.as_ref().map_or_else(String::new, |last| format!(", last {}", last.status));
    let paused = view.paused.as_ref().map_or_else(String::new, |reason| format!(", paused: {reason}"));
    format!("{}: {when}{next}{last}{paused}", view.name)
}

#[derive(Deserialize)]
struct OneTask {
    name: String,
    #[serde(default = "five")]
    recent_executions: u64,
}

const fn five() -> u64 {
    5
}

fn get_task(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let OneTask { name, recent_executions } = call.read()?;
        let wardroom = &call.server.wardroom;
        let task = wardroom.task(&name)?;
        let view = TaskView::of(wardroom, &task)?;
        // What cannot be resolved lacks what nobody can tell; check_task says why.
        let missing = wardroom.plan_of(&task).await.map(|plan| plan.missing().iter().map(Scope::flag).collect::<Vec<_>>());
        let missing = missing.unwrap_or_default();
        let executions = match recent_executions {
            0 => Vec::new(),
            limit => wardroom.list(&Filter { task: Some(name), limit, ..Filter::default() }).await?,
        };
        let waits = if task.record.paused_at.is_some() { wardroom.waits_for(&task)? } else { None };
        let waits = waits.map(|id| id.to_string());
        let mut text = line(&view);
        if !missing.is_empty() {
            text = format!("{text}\nlacks: {}", missing.join(" "));
        }
        for one in &executions {
            text = format!("{text}\n{}", super::executions::line(one));
        }
        let executions: Vec<Value> = executions.iter().map(summary).collect();
        Ok(Answer::new(json!({ "task": bounded(&view), "missing": missing, "waits_for_approval": waits, "executions": executions }), text))
    })
}

fn check_task(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let OneTask { name, .. } = call.read()?;
        let checked = call.server.wardroom.check_task(&name).await?;
        let mut text =
            format!("{name}: {}", if checked.is_good { "would run as it is meant to" } else { "would not run as it is meant to" });
        for finding in &checked.findings {
            text = format!("{text}\n{} {}: {}", if finding.is_good { "ok" } else { "NO" }, finding.what, finding.found);
            if let Some(hint) = &finding.hint {
                text = format!("{text} ({hint})");
            }
        }
        Ok(Answer::new(json!({ "check": checked }), text))
    })
}

/// When a task is to be due.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Schedule {
    Cron { expression: String },
    Interval { minutes: u64 },
    Once { datetime: String },
}

impl Schedule {
    fn set(self, draft: &mut TaskDraft) {
        (draft.cron, draft.every, draft.at) = (None, None, None);
        match self {
            Self::Cron { expression } => draft.cron = Some(expression),
            Self::Interval { minutes } => draft.every = Some(DurationText(Duration::from_secs(minutes.saturating_mul(60)))),
            Self::Once { datetime } => draft.at = Some(datetime),
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    #[default]
    Javascript,
    Typescript,
}

/// A script that an assistant wrote.
pub(super) fn script(code: &str, language: Language, name: &str) -> Program {
    let (format, ending) = match language {
        Language::Javascript => (Format::JavaScript, "js"),
        Language::Typescript => (Format::TypeScript, "ts"),
    };
    let digest = Digest::from_bytes(sha2::Sha256::digest(code.as_bytes()).into());
    Program { name: format!("{name}.{ending}"), digest, format, bytes: code.as_bytes().into() }
}

#[derive(Deserialize)]
struct New {
    name: String,
    template_id: Option<String>,
    plugin: Option<String>,
    code: Option<String>,
    #[serde(default)]
    language: Language,
    description: Option<String>,
    #[serde(default)]
    params: Map<String, Value>,
    schedule: Schedule,
    timezone: Option<String>,
    #[serde(default)]
    credentials: Vec<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

const fn yes() -> bool {
    true
}

/// What a script's header asks for. One that does not hold is told of when the
/// task is saved.
fn of_script(source: &str) -> Vec<CredentialScope> {
    Manifest::of_script(source).ok().flatten().map(|manifest| manifest.credentials).unwrap_or_default()
}

fn schedule_task(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let new: New = call.read()?;
        let server = call.server;
        let most = server.wardroom.config().mcp.max_tasks();
        if server.wardroom.database().task_count()? >= most {
            return Err(Refused::full("tasks", most, "max_tasks"));
        }
        let mut draft = TaskDraft {
            name: new.name.clone(),
            description: new.description,
            params: new.params,
            zone: new.timezone,
            ..TaskDraft::default()
        };
        new.schedule.set(&mut draft);
        let (bytes, asked) = match (&new.template_id, &new.plugin, &new.code) {
            (Some(id), None, None) => {
                let template = template::named(id)?;
                draft.program = template.name.to_owned();
                (Bytes::Read, of_script(template.source))
            }
            (None, Some(name), None) => (Bytes::Installed, server.of_plugin(name, &mut draft).await?),
            (None, None, Some(code)) => {
                server.author_only("code").await?;
                (Bytes::Given(Arc::new(script(code, new.language, &new.name))), of_script(code))
            }
            _ => return Err(Refused::arguments("expected one of `template_id`, `plugin` and `code`")),
        };
        let credentials = server.credentials_of(&asked, &new.credentials)?;
        let base = server.options.base.clone();
        let mut saving = Saving { draft, seen: None, base: &base, text_params: Vec::new(), bytes, paused_for: None };
        let lacks = server.wardroom.would_lack(&saving, &credentials).await?;
        let wanted: Vec<Scope> = lacks.into_iter().chain(credentials).collect();
        if !wanted.is_empty() {
            saving.paused_for = Some(BEING_ASKED.to_owned());
        } else if !new.enabled {
            saving.paused_for = Some(SWITCHED_OFF.to_owned());
        }
        let saved = server.wardroom.save_task(saving).await?;
        server.saved(saved, wanted, Some(new.enabled), "saved").await
    })
}

#[derive(Deserialize)]
struct Change {
    name: String,
    new_name: Option<String>,
    code: Option<String>,
    #[serde(default)]
    language: Language,
    description: Option<String>,
    params: Option<Map<String, Value>>,
    schedule: Option<Schedule>,
    timezone: Option<String>,
    #[serde(default)]
    credentials: Vec<String>,
    enabled: Option<bool>,
}

fn update_task(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let change: Change = call.read()?;
        let server = call.server;
        let task = server.wardroom.task(&change.name)?;
        let mut draft = server.wardroom.draft_of(&task)?;
        // What it lacked before is known to whoever granted the rest; unless it waits for that, and is to wait for
        // all of it from now on.
        let lacked = match server.wardroom.waits_for(&task)? {
            Some(_) => Vec::new(),
            None => server.wardroom.plan_of(&task).await.map(|plan| plan.missing().clone()).unwrap_or_default(),
        };
        if let Some(name) = &change.new_name {
            draft.name.clone_from(name);
        }
        draft.description = change.description.or(draft.description);
        draft.params = change.params.unwrap_or(draft.params);
        draft.zone = change.timezone.or(draft.zone);
        if let Some(schedule) = change.schedule {
            schedule.set(&mut draft);
        }
        let mut bytes = Bytes::Pinned;
        let mut asked = Vec::new();
        if let Some(code) = change.code {
            server.author_only("code").await?;
            let program = script(&code, change.language, &draft.name);
            if program.digest != task.record.digest {
                // Other bytes by an assistant keep nothing.
                draft.grants = crate::execution::grants::GrantTexts::default();
                bytes = Bytes::Given(Arc::new(program));
            } else if program.format != task.definition.program.format {
                return Err(Refused::arguments(
                    "the same text in another language is another program, which nobody looked at: change the text as well",
                ));
            }
            asked = of_script(&code);
        }
        let credentials = server.credentials_of(&asked, &change.credentials)?;
        let base = task.definition.base.clone();
        let same_bytes = matches!(bytes, Bytes::Pinned);
        let mut saving = Saving { draft, seen: Some(&task), base: &base, text_params: Vec::new(), bytes, paused_for: None };
        let lacks = server.would_lack_without_surplus(&mut saving, &credentials).await?;
        let is_new = |scope: &Scope| !same_bytes || !lacked.iter().any(|old| old.covers(scope));
        let wanted: Vec<Scope> = lacks.into_iter().filter(is_new).chain(credentials).collect();
        if !wanted.is_empty() {
            saving.paused_for = Some(BEING_ASKED.to_owned());
        }
        let saved = server.wardroom.save_task(saving).await?;
        server.saved(saved, wanted, change.enabled, "changed").await
    })
}

impl Server {
    /// Writing programs is for authors.
    async fn author_only(&self, argument: &str) -> Result<(), Refused> {
        if self.options.profile >= Profile::Author {
            return Ok(());
        }
        self.note_refused(argument).await;
        let message =
            format!("the profile `{}` does not have `{argument}`: tasks are made of templates and plugins", self.options.profile.name());
        let hint = Some("The operator chooses the profile: `wardroom mcp --profile author`.".to_owned());
        Err(Refused { code: "not_allowed", message, hint })
    }

    /// What a changed task would lack. A grant for a place that the program does
    /// not ask for any more is taken away: it would be one for another day.
    async fn would_lack_without_surplus(&self, saving: &mut Saving<'_>, more: &[Scope]) -> Result<Vec<Scope>, Refused> {
        match self.wardroom.would_lack(saving, &[]).await {
            Err(TaskError::Resolve(ResolveError::Surplus(surplus))) => {
                let texts: Vec<String> = surplus.0.iter().map(stored_text).collect();
                saving.draft.grants = std::mem::take(&mut saving.draft.grants).without(&texts);
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        Ok(self.wardroom.would_lack(saving, more).await?)
    }

    /// Has a draft be of an installed plugin's function, and answers which
    /// credentials that asks for.
    async fn of_plugin(&self, name: &str, draft: &mut TaskDraft) -> Result<Vec<CredentialScope>, Refused> {
        let wardroom = &self.wardroom;
        let program = ProgramName { path: name.into(), function: None };
        let installed = wardroom.installed(&program)?.ok_or_else(|| wardroom.unknown_plugin(name))?;
        check_params(&installed, &draft.params)?;
        let input = installed.input(&draft.params);
        (draft.params, draft.args) =
            input.ok_or_else(|| Refused::arguments("a task's program has no standard input: leave `stdin` out"))?;
        draft.program = installed.dotted();
        let manifest = wardroom.manifest(&wardroom.program_of(&installed.stored()).map_err(ResolveError::from)?).await?;
        Ok(manifest.map(|manifest| manifest.credentials).unwrap_or_default())
    }

    /// The credentials that were named, as scopes. All that the program asks for
    /// have to exist too, or the approval would be of something unknown.
    fn credentials_of(&self, asked: &[CredentialScope], named: &[String]) -> Result<Vec<Scope>, Refused> {
        let scopes: Vec<CredentialScope> = named
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(|error: wardroom_core::capability::credentials::CredentialScopeError| Refused::arguments(error.to_string()))?;
        for scope in scopes.iter().chain(asked) {
            if self.wardroom.database().credential(&scope.name)?.is_none() {
                return Err(TaskError::NoCredential(scope.name.clone()).into());
            }
        }
        Ok(scopes.into_iter().map(Scope::Credential).collect())
    }

    /// Asks for what a saved task lacks, and lets it wait for that; or switches
    /// it on or off. Where anything is wanted, it is paused since it was saved.
    async fn saved(&self, saved: Saved, wanted: Vec<Scope>, enabled: Option<bool>, what: &str) -> Result<Answer, Refused> {
        let wardroom = &self.wardroom;
        let name = saved.task.name().to_string();
        let reason = format!("the task {name} was {what} and asks for it");
        let asked = match wanted.is_empty() {
            true => None,
            false => self.ask(&saved.task, &wanted, &reason).await.map_err(|refused| Refused {
                message: format!("the task `{name}` is {what} and paused, because {}", refused.message),
                ..refused
            })?,
        };
        self.settle(&saved.task, asked, enabled, saved.missing.is_empty()).await?;
        let task = wardroom.task(&name)?;
        let view = TaskView::of(wardroom, &task)?;
        let mut text = format!("{what}: {}", line(&view));
        let approval = asked.map(|id| wardroom.approval(&id.to_string())).transpose()?.map(|approval| {
            let command = format!("wardroom approval approve {}", approval.id);
            text = format!("{text}\nIt asks for: {}\nA person approves it in a terminal: `{command}`", approval.asks.join(" "));
            json!({ "id": approval.id, "asks": approval.asks, "command": command })
        });
        Ok(Answer::new(json!({ "task": bounded(&view), "approval": approval, "warnings": saved.warnings }), text).asking(asked))
    }

    /// Why it is paused from now on, or that it goes on. A pause that a person
    /// made stays.
    async fn settle(&self, task: &Task, asked: Option<ApprovalId>, enabled: Option<bool>, lacks_nothing: bool) -> Result<(), Refused> {
        let (wardroom, name) = (&self.wardroom, task.name().as_str());
        let reason = task.record.pause_reason.clone();
        let before = waited_for(task);
        let switched_on = enabled == Some(true) && reason.as_deref() == Some(SWITCHED_OFF);
        let is_ours = before.is_some() || switched_on || reason.as_deref() == Some(BEING_ASKED);
        if let (Some(old), Some(new)) = (before, asked)
            && old != new
        {
            // Withdrawn: what it was asked for is not what the task is now.
            drop(wardroom.reject(old).await);
        }
        let off = SWITCHED_OFF.to_owned();
        match (asked, enabled, reason) {
            (_, Some(false), Some(reason)) if is_ours => drop(wardroom.database().change_pause(task.id(), reason, off).await?),
            (_, Some(false), _) => drop(wardroom.pause(name, SWITCHED_OFF).await?),
            (Some(id), _, Some(reason)) if is_ours => drop(wardroom.database().change_pause(task.id(), reason, paused_for(id)).await?),
            (Some(_), _, _) => {}
            // What it waited for was refused, has expired, or is needed no more.
            (None, _, Some(_)) if is_ours => {
                if wardroom.waits_for(task)?.is_none() || lacks_nothing && before.is_none() {
                    wardroom.resume(name).await?;
                }
            }
            (None, Some(true), Some(_)) => drop(wardroom.resume(name).await?),
            (None, _, _) => {}
        }
        Ok(())
    }

    async fn ask(&self, task: &Task, wanted: &[Scope], reason: &str) -> Result<Option<ApprovalId>, Refused> {
        match self.wardroom.ask_scopes(task, wanted, reason).await {
            Ok(id) => Ok(Some(id)),
            Err(ApprovalError::Nothing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Deserialize)]
struct Toggle {
    name: String,
    enabled: bool,
}

fn toggle_task(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let Toggle { name, enabled } = call.read()?;
        let wardroom = &call.server.wardroom;
        let task = wardroom.task(&name)?;
        let waits = if task.record.paused_at.is_some() { wardroom.waits_for(&task)? } else { None };
        if let Some(id) = waits.filter(|_| enabled) {
            call.server.note_refused("toggle_task:waits").await;
            let message = format!("the task `{name}` waits for approval {id}");
            let hint = Some(format!("A person approves it in a terminal: `wardroom approval approve {id}`."));
            return Err(Refused { code: "waits_for_approval", message, hint });
        }
        let changed = match (enabled, waited_for(&task), task.record.pause_reason.clone()) {
            (true, _, _) => wardroom.resume(&name).await?,
            // Off is off: the approval does not switch it on any more.
            (false, Some(_), Some(reason)) => {
                let off = SWITCHED_OFF.to_owned();
                wardroom.database().change_pause(task.id(), reason, off).await? == wardroom_db::TaskChange::Done
            }
            (false, _, _) => wardroom.pause(&name, SWITCHED_OFF).await?,
        };
        let text = format!("{name} is {}", if enabled { "on" } else { "off" });
        Ok(Answer::new(json!({ "name": name, "enabled": enabled, "changed": changed }), text))
    })
}

fn delete_task(call: Call<'_>) -> Done<'_> {
    Box::pin(async move {
        let OneTask { name, .. } = call.read()?;
        call.server.wardroom.remove_task(&name, false).await?;
        let text = format!("{name} is removed; the records of its executions stay");
        Ok(Answer::new(json!({ "name": name }), text))
    })
}
