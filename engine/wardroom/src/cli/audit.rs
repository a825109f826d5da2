//! `wardroom audit`.

use std::process::ExitCode;

use wardroom_core::clock::Timestamp;
use wardroom_core::id::ExecutionId;
use wardroom_db::{AuditFilter, AuditRecord, AuditReport, KeyStanding, RowFault};

use super::error::{CommandError, show_hint};
use super::show::{self, ERROR, GOOD, WARN};
use crate::audit::{MAX_AUDIT_ROWS, Mirror, Verified};
use crate::wardroom::Wardroom;

/// Findings that are shown; JSON has the first thousand.
const SHOWN_FINDINGS: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub(super) enum AuditCommand {
    /// List what was done with credentials and the vault, newest first
    List(ListArguments),
    /// Check that nothing in the log was changed or removed, and say what that proves
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin a new chain where the log's key is lost or damaged; the break stays visible
    Restart,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only this event, such as credential-used
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Only about this, such as a credential's name
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only of this execution
    #[arg(long, value_name = "ID")]
    execution: Option<ExecutionId>,
    /// Only from then on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only before then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only before this place in the log
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MAX_AUDIT_ROWS))]
    limit: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl AuditCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::List(list) => list.json,
            Self::Verify { json } => *json,
            Self::Restart => false,
        }
    }

    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        match self {
            Self::List(list) => list.execute(wardroom),
            Self::Verify { json } => verify(&wardroom.verify_audit().await?, json),
            Self::Restart => {
                wardroom.restart_audit().await?;
                show::print(&format!("{GOOD}A new chain begins.{GOOD:#} `wardroom audit verify` shows the break for ever.\n"))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl ListArguments {
    fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        let Self { event, subject, execution, since, until, before, limit, json } = self;
        let rows = wardroom.audit(&AuditFilter { since, until, event, subject, execution, before, limit })?;
        if json {
            let next = (rows.len() as u64 == limit).then(|| rows.last().map(|row| row.seq)).flatten();
            show::json(&serde_json::json!({ "events": rows, "before": next }))?;
            return Ok(ExitCode::SUCCESS);
        }
        if rows.is_empty() {
            show::line("No events.");
            return Ok(ExitCode::SUCCESS);
        }
        show::table(&["seq", "at", "event", "about", "by", "detail"], rows.iter().map(row))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(row: &AuditRecord) -> Vec<String> {
    let detail: Vec<String> =
        row.detail.iter().filter(|(key, _)| *key != "id").map(|(key, value)| format!("{key}: {}", words(value))).collect();
    let by = row.execution.map_or_else(|| row.actor.to_string(), |id| format!("{} {}", row.actor, id.to_string().get(..18).unwrap_or("")));
    vec![row.seq.to_string(), row.at.to_string(), row.event.clone(), row.subject.clone(), by, detail.join("; ")]
}

fn words(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn verify(verified: &Verified, json: bool) -> Result<ExitCode, CommandError> {
    let code = if verified.is_intact() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    if json {
        show::json(verified)?;
        return Ok(code);
    }
    let AuditReport { rows, proven, .. } = verified.report;
    if verified.is_intact() {
        show::print(&format!("{GOOD}Nothing speaks against the log{GOOD:#}: {rows} rows, each chained to the one before.\n"))?;
    } else {
        show::print(&format!("{ERROR}The log was changed{ERROR:#}, or its key was.\n"))?;
    }
    show_findings(&verified.report)?;
    for doubt in &verified.doubts {
        show::print(&format!("{ERROR}{doubt}{ERROR:#}\n"))?;
    }
    show::print(&format!("Proven by the key of its time: {proven} of {rows} rows.\n"))?;
    if let Some(why) = &verified.unproven_because {
        show::line(&format!(
            "{WARN}not proven{WARN:#}: whether somebody computed the whole log anew, because the vault does not open: {why}"
        ));
    }
    show::print(&format!("{}\n", key_words(&verified.report.key)))?;
    show::print(&format!("{}\n", mirror_words(&verified.mirror)))?;
    show_hint("What this cannot show is in SECURITY.md, under the audit log.");
    Ok(code)
}

fn show_findings(report: &AuditReport) -> Result<(), CommandError> {
    for finding in report.findings.iter().take(SHOWN_FINDINGS) {
        let what = match finding.fault {
            RowFault::Unreadable => "holds something that nobody writes".to_owned(),
            RowFault::Missing { rows } => format!("is missing, {rows} rows together"),
            RowFault::Hash => "was changed, or is not in its place".to_owned(),
            RowFault::Code => "was not written when its key existed".to_owned(),
            RowFault::Chain => "begins another chain unsaid".to_owned(),
            _ => "is not as it was written".to_owned(),
        };
        show::print(&format!("{ERROR}row {}{ERROR:#} {what}\n", finding.seq))?;
    }
    if report.found > SHOWN_FINDINGS as u64 {
        show::print(&format!("… {} findings in all\n", report.found))?;
    }
    for chain in &report.lost {
        show::print(&format!("{ERROR}chain {chain}{ERROR:#} is gone, with all of its rows\n"))?;
    }
    for chain in report.chains.iter().skip(1) {
        show::print(&format!("{WARN}row {}{WARN:#} begins a new chain: the one before could not go on\n", chain.first))?;
    }
    Ok(())
}

fn key_words(key: &KeyStanding) -> String {
    match key {
        KeyStanding::NotBegun => "No log was begun yet.".to_owned(),
        KeyStanding::Current => "The key file is the next row's: nothing was cut off the end.".to_owned(),
        KeyStanding::Behind { rows } => format!("The key file is {rows} rows behind, as a crash leaves it: the next event catches up."),
        KeyStanding::Unfit(fault) => {
            format!("{ERROR}The key file does not fit{ERROR:#}: {fault}. `wardroom audit restart` begins a new chain.")
        }
    }
}

fn mirror_words(mirror: &Mirror) -> String {
    match mirror {
        Mirror::None => {
            "No keychain holds the vault's key, so none remembers the log's end: a whole data folder put back from earlier does not show."
                .to_owned()
        }
        Mirror::Empty => "The keychain remembers nothing of this log yet.".to_owned(),
        Mirror::Agrees { count } => format!("The keychain remembers row {count}, and it is there."),
        Mirror::Contradicts { count } => {
            format!(
                "{ERROR}The keychain remembers another row {count}{ERROR:#}: the log was put back or replaced. `wardroom audit restart` goes on from here, with a new chain."
            )
        }
        Mirror::Unknown { why } => {
            format!("{WARN}The keychain does not answer{WARN:#} ({why}): whether the log was put back is not known.")
        }
    }
}
