//! `wardroom doctor`: everything that a person may want to verify.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use wardroom_core::execution::Status;
use wardroom_core::plugin::SourceKind;
use wardroom_db::Filter;

use super::error::CommandError;
use super::show::{self, ERROR, GOOD, WARN};
use crate::trust::TrustView;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Note,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    text: String,
}

fn finding(what: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
    Finding { what, verdict, text: text.into() }
}

impl DoctorArguments {
    pub(super) async fn execute(self, home: &Path) -> Result<ExitCode, CommandError> {
        let mut findings = vec![finding("version", Verdict::Good, env!("CARGO_PKG_VERSION"))];
        match super::open(home) {
            Ok(wardroom) => findings.extend(look_at(&wardroom).await?),
            Err(error) if self.json => return Err(error),
            Err(error) => {
                show_findings(&findings)?;
                return Err(error);
            }
        }
        if self.json {
            show::json(&serde_json::json!({"findings": findings}))?;
        } else {
            show_findings(&findings)?;
        }
        let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
        Ok(if bad { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

fn listeners_finding(home: &crate::home::Home) -> Finding {
    let listeners = crate::execution::session::listeners(home);
    if listeners.is_empty() {
        return finding("listeners", Verdict::Good, "none: nothing of this program listens on the network");
    }
    finding("listeners", Verdict::Good, format!("{}, for whoever has the token: `wardroom mcp --http`", listeners.join(", ")))
}

async fn look_at(wardroom: &crate::Wardroom) -> Result<Vec<Finding>, CommandError> {
    let home = wardroom.home();
    let mut findings = vec![
        finding("data folder", Verdict::Good, format!("{} (mode 700, yours)", home.path().display())),
        finding("database", Verdict::Good, "opens, and is of this version"),
    ];
    let config = home.config_file();
    findings.push(if config.exists() {
        finding("settings", Verdict::Good, format!("{} holds", config.display()))
    } else {
        finding("settings", Verdict::Good, "none: all defaults")
    });
    findings.push(vault_finding(wardroom));
    findings.extend(trust_findings(wardroom));
    findings.push(match wardroom.config().network.proxy.as_deref() {
        Some(proxy) => finding("network", Verdict::Note, format!("requests go through {proxy}")),
        None => finding("network", Verdict::Good, "requests go straight to the granted hosts"),
    });
    for root in &wardroom.config().network.extra_roots {
        findings.push(finding("network", Verdict::Note, format!("trusts the certificates of {} too", root.display())));
    }
    findings.push(listeners_finding(home));
    findings.push(match wardroom.host() {
        Ok(host) => match host.allocation() {
            Ok(true) => finding("sandbox", Verdict::Good, "instances come from a pool"),
            Ok(false) => {
                finding("sandbox", Verdict::Note, "too little address space for a pool: instances are made on demand, which is slower")
            }
            Err(error) => finding("sandbox", Verdict::Bad, error.to_string()),
        },
        Err(error) => finding("sandbox", Verdict::Bad, error.to_string()),
    });
    findings.push(match wardroom.scheduler() {
        Some(holder) => finding(
            "scheduler",
            Verdict::Good,
            format!("process {} runs tasks when they are due", holder.split('-').next().unwrap_or(&holder)),
        ),
        None if wardroom.database().scheduled()?.is_empty() => finding("scheduler", Verdict::Good, "none, and no task has a schedule"),
        None => finding("scheduler", Verdict::Note, "none, and tasks have schedules: `wardroom serve` runs them"),
    });
    let reaped = wardroom.reap().await?;
    if reaped > 0 {
        findings.push(finding("executions", Verdict::Note, format!("{reaped} were left running by a process that died: now interrupted")));
    }
    let running = wardroom.list(&Filter { status: Some(Status::Running), limit: 500, ..Filter::default() }).await?;
    findings.push(finding("executions", Verdict::Good, format!("{} running", running.len())));
    if let Some(refused) = wardroom.database().refused_executions() {
        let text = format!("some were recorded that the database does not take; they lie in {} and in no list", refused.display());
        findings.push(finding("executions", Verdict::Note, text));
    }
    Ok(findings)
}

/// Where the key is kept; opens nothing.
fn vault_finding(wardroom: &crate::Wardroom) -> Finding {
    match wardroom.vault_status() {
        Ok(None) => finding("vault", Verdict::Good, "none yet: `wardroom init` makes one"),
        Ok(Some(status)) if status.unfinished => {
            finding("vault", Verdict::Note, format!("key kept in {}; a rotation is unfinished, and ends with the next use", status.place))
        }
        Ok(Some(status)) => finding("vault", Verdict::Good, format!("key kept in {}; {} values", status.place, status.values)),
        Err(error) => finding("vault", Verdict::Bad, error.to_string()),
    }
}

/// Who is trusted, what is revoked, where that is asked for, and whether it is what
/// Wardroom left.
fn trust_findings(wardroom: &crate::Wardroom) -> Vec<Finding> {
    match wardroom.trust_view() {
        Ok(view) => vec![seal_finding(wardroom, &view), signatures_finding(wardroom, &view)],
        Err(error) => vec![finding("trust lists", Verdict::Bad, error.to_string())],
    }
}

/// The lists' seal, and what the audit log tells of them.
fn seal_finding(wardroom: &crate::Wardroom, view: &TrustView) -> Finding {
    if let Some(problem) = &view.problem {
        return finding("trust lists", Verdict::Bad, format!("{problem}: `wardroom plugin trusted`"));
    }
    match wardroom.database().audit_head() {
        Ok(Some(_)) => finding("trust lists", Verdict::Good, "as they were sealed, and the audit log tells of no later ones"),
        Ok(None) => finding("trust lists", Verdict::Good, "as they were sealed; without an audit log, older ones put back do not show"),
        Err(error) => finding("trust lists", Verdict::Bad, error.to_string()),
    }
}

fn signatures_finding(wardroom: &crate::Wardroom, view: &TrustView) -> Finding {
    let plugins = &wardroom.config().plugins;
    let rules = [SourceKind::File, SourceKind::Url, SourceKind::Oci].map(|kind| format!("{kind} {}", plugins.rule(kind).name()));
    let (keys, programs) = (view.trusted.len(), view.revoked.len());
    finding("signatures", Verdict::Good, format!("asked for: {}; keys trusted: {keys}; bytes revoked: {programs}", rules.join(", ")))
}

fn show_findings(findings: &[Finding]) -> Result<(), CommandError> {
    for finding in findings {
        let (style, mark) = match finding.verdict {
            Verdict::Good => (GOOD, "ok  "),
            Verdict::Note => (WARN, "note"),
            Verdict::Bad => (ERROR, "bad "),
        };
        show::print(&format!("{style}{mark}{style:#} {:<12} {}\n", finding.what, wardroom_core::text::for_terminal_line(&finding.text)))?;
    }
    Ok(())
}
