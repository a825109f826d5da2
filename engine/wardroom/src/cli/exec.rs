//! `wardroom exec`.

use std::process::ExitCode;
use std::sync::Arc;

use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::limit::SizeText;
use wardroom_db::{ExecutionRecord, ExecutionSummary, Filter};

use super::error::CommandError;
use super::live::log_line;
use super::run::RunArguments;
use super::show::{self, DIM, status_style};
use crate::wardroom::Wardroom;

/// Characters of an id in tables: its time to the millisecond, and 12 bits.
const SHORT_ID: usize = 18;
/// Executions that one list may have.
const MAX_LIST: u64 = 500;

#[derive(Debug, clap::Subcommand)]
pub(super) enum ExecCommand {
    /// List executions, newest first
    List(ListArguments),
    /// Show one execution's whole record
    Show {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an execution's log
    Logs {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// Go on until it ends
        #[arg(short, long)]
        follow: bool,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Run something again: the same program with the same params, or with others
    Rerun {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// One param in place of the same one; may be repeated
        #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::run::name_and_value)]
        params: Vec<(String, String)>,
        /// Print the execution's whole record as JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel an execution that waits, or runs in whichever process
    Cancel {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those of this status
    #[arg(long)]
    status: Option<Status>,
    /// Only those of this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only those that an assistant asked for in this session (`exec show` has it)
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// Only those of programs with this in their name
    #[arg(long, value_name = "TEXT")]
    program: Option<String>,
    /// Only those that this execution called: its id, or a beginning of it that no other has
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Only those with this in a line of their log
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only those asked for then or later (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only those asked for before then (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MAX_LIST))]
    limit: u64,
    /// After leaving out so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let at: Result<jiff::Timestamp, _> = text.parse();
    at.map(|at| Timestamp::from_ms(at.as_millisecond())).map_err(|_| "expected a time like 2026-01-31T12:00:00Z".to_owned())
}

impl ExecCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::List(list) => list.json,
            Self::Rerun { json, .. } | Self::Show { json, .. } | Self::Logs { json, .. } | Self::Cancel { json, .. } => *json,
        }
    }

    pub(super) async fn execute(self, wardroom: &Arc<Wardroom>) -> Result<ExitCode, CommandError> {
        match self {
            Self::List(list) => list.execute(wardroom).await?,
            Self::Show { id, json } => {
                let record = wardroom.show(&id).await?;
                if json { show::json(&record)? } else { show_record(&record)? }
            }
            Self::Rerun { id, params, json } => {
                let (plan, program) = wardroom.again(&id, params, crate::schedule::operator_env).await?;
                return RunArguments::of_stored(program, json).run(wardroom, plan).await;
            }
            Self::Logs { id, follow, json } => logs(wardroom, &id, follow, json).await?,
            Self::Cancel { id, json } => {
                let id = wardroom.cancel(&id).await?;
                if json {
                    show::json(&serde_json::json!({"id": id, "cancelling": true}))?
                } else {
                    show::print(&format!("cancelling {id}\n"))?
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ListArguments {
    async fn execute(self, wardroom: &Wardroom) -> Result<(), CommandError> {
        let parent = match &self.parent {
            Some(id) => Some(wardroom.show(id).await?.summary.id),
            None => None,
        };
        let filter = Filter {
            status: self.status,
            task: self.task,
            session: self.session,
            subject: None,
            program: self.program,
            parent,
            since: self.since,
            until: self.until,
            text: self.text,
            limit: self.limit,
            offset: self.offset,
        };
        let found = wardroom.list(&filter).await?;
        if self.json {
            return show::json(&serde_json::json!({"executions": found}));
        }
        if found.is_empty() {
            // A name that nothing has is a slip of the hand.
            filter.task.as_deref().map(|task| wardroom.task(task)).transpose()?;
            return show::print("no executions\n");
        }
        show::table(&["id", "status", "what", "started", "took", "why"], found.iter().map(row))
    }
}

/// As much of an id as tells it from others in a table.
pub(super) fn short(id: ExecutionId) -> String {
    let id = id.to_string();
    id.get(..SHORT_ID).unwrap_or(&id).to_owned()
}

fn row(summary: &ExecutionSummary) -> Vec<String> {
    vec![
        short(summary.id),
        summary.status.to_string(),
        summary.task.clone().unwrap_or_else(|| summary.program.clone()),
        summary.started_at.or(summary.scheduled_for).map_or_else(String::new, |at| at.to_string()),
        summary.duration_ms.map_or_else(String::new, show::duration),
        why(summary),
    ]
}

fn why(summary: &ExecutionSummary) -> String {
    let why = summary.reason.clone().or_else(|| summary.failure_kind.map(|kind| kind.name().to_owned())).unwrap_or_default();
    match summary.slot_count {
        Some(count) if count > 1 => format!("{why} ({count} slots)"),
        _ if summary.attempt > 1 => format!("{why} (attempt {})", summary.attempt).trim_start().to_owned(),
        _ => why,
    }
}

async fn logs(wardroom: &Wardroom, id: &str, follow: bool, json: bool) -> Result<(), CommandError> {
    let mut written = Ok(());
    let show_line = |line: &wardroom_core::log::LogLine| {
        if written.is_ok() {
            let text = if json {
                show::harmless_json(&serde_json::to_string(line).unwrap_or_default())
            } else {
                format!("{DIM}{}{DIM:#} {}", line.at, log_line(line))
            };
            written = show::print(&format!("{text}\n"));
        }
    };
    wardroom.logs(id, follow, show_line).await?;
    written
}

/// The credentials among what a run held, in a person's words.
fn credentials(access: &serde_json::Value) -> Vec<String> {
    let scopes = access.get("credentials").and_then(serde_json::Value::as_array).into_iter().flatten();
    scopes.filter_map(|scope| scope.as_str()?.parse().ok()).map(|scope| crate::credential::credential_words(&scope)).collect()
}

/// What an execution called: which, what, and how it stands.
fn child(child: &ExecutionSummary) -> String {
    let what = child.task.as_deref().unwrap_or(&child.program);
    format!("{} {what} {}", child.id, child.status)
}

fn show_record(record: &ExecutionRecord) -> Result<(), CommandError> {
    let summary = &record.summary;
    let style = status_style(summary.status);
    show::print(&format!("{style}{}{style:#} {}\n", summary.status, summary.id))?;
    let usage = &record.usage;
    let mut pairs = vec![
        ("program", format!("{} ({})", summary.program, summary.digest)),
        match &summary.task {
            Some(task) => ("task", task.clone()),
            None => ("subject", summary.subject.clone()),
        },
        ("attempt", format!("{} (asked for by {})", summary.attempt, summary.trigger.name())),
        ("started", summary.started_at.map_or_else(String::new, |at| at.to_string())),
        ("took", summary.duration_ms.map_or_else(|| "unknown".to_owned(), show::duration)),
        ("params", serde_json::Value::Object(record.params.clone()).to_string()),
        ("access", record.access.to_string()),
        ("used", format!("{} µs of processor, {} of memory", usage.cpu_us, SizeText(usage.peak_memory))),
    ];
    let credentials = credentials(&record.access);
    let credentials = (!credentials.is_empty()).then(|| ("credentials", credentials.join("\n")));
    let slot = summary.scheduled_for.map(|at| match (summary.slot_count, summary.slot_last) {
        (Some(count), Some(last)) if count > 1 => ("slots", format!("{count}, from {at} to {last}")),
        _ => ("slot", at.to_string()),
    });
    let reason = summary.reason.clone().map(|reason| ("reason", reason));
    let origin = record.origin.map(|origin| ("follows", origin.to_string()));
    let caller = record.parent.map(|parent| ("called by", parent.to_string()));
    let children = (!record.children.is_empty()).then(|| ("called", record.children.iter().map(child).collect::<Vec<_>>().join("\n")));
    let session = record.session.clone().map(|session| ("session", session));
    let fuel = usage.fuel.map(|fuel| ("fuel", fuel.to_string()));
    let hosts = (!usage.hosts.is_empty()).then(|| ("hosts", usage.hosts.join("\n")));
    let refused: Vec<String> = usage.refusals.iter().map(ToString::to_string).collect();
    let refused = (!refused.is_empty()).then(|| ("refused", refused.join("\n")));
    let failure = record
        .failure
        .as_ref()
        .map(|failure| ("failure", format!("{} ({}, to act: {})", failure.message, failure.kind.name(), failure.blame().name())));
    let stack = record.failure.as_ref().and_then(|failure| failure.stack.clone()).map(|stack| ("stack", stack));
    let cut = match (usage.log_truncated, usage.output_truncated) {
        (false, false) => None,
        (log, output) => {
            Some(("cut", [log.then_some("log"), output.then_some("output")].into_iter().flatten().collect::<Vec<_>>().join(", ")))
        }
    };
    pairs.extend(
        [slot, reason, origin, caller, session, credentials, fuel, hosts, refused, failure, stack, cut, children].into_iter().flatten(),
    );
    show::pairs(pairs)?;
    match &record.output {
        Some(output) => {
            show::print("\n")?;
            show::output(output)
        }
        None => Ok(()),
    }
}
