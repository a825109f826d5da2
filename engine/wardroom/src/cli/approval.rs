//! `wardroom approval`.

use std::process::ExitCode;

use wardroom_core::text::{for_terminal_line, truncated};

use super::ask;
use super::error::CommandError;
use super::show::{self, BOLD, WARN};
use crate::approval::ApprovalView;
use crate::wardroom::Wardroom;

/// Bytes of a reason that are shown.
const MAX_SHOWN_REASON: usize = 200;

#[derive(Debug, clap::Subcommand)]
pub(super) enum ApprovalCommand {
    /// List what waits for your yes or no
    List {
        /// Also what was decided, and what expired
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show exactly what one would give
    Show {
        /// The approval, or the beginning of its id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say yes: in a terminal, by typing a code
    Approve {
        /// The approval, or the beginning of its id
        id: String,
    },
    /// Say no
    Reject {
        /// The approval, or the beginning of its id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl ApprovalCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Show { json, .. } | Self::Reject { json, .. } => *json,
            Self::Approve { .. } => false,
        }
    }

    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        match self {
            Self::List { all, json } => list(&wardroom.approvals(!all)?, json)?,
            Self::Show { id, json: true } => show::json(&wardroom.approval(&id)?)?,
            Self::Show { id, json: false } => show_one(&wardroom.approval(&id)?)?,
            Self::Approve { id } => return approve(wardroom, &id).await,
            Self::Reject { id, json } => {
                let view = wardroom.approval(&id)?;
                wardroom.reject(view.id).await?;
                if json {
                    show::json(&wardroom.approval(&id)?)?;
                } else {
                    show::print(&format!("rejected: {}\n", for_terminal_line(&view.about)))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(views: &[ApprovalView], json: bool) -> Result<(), CommandError> {
    if json {
        return show::json(&serde_json::json!({ "approvals": views }));
    }
    if views.is_empty() {
        return show::print("nothing waits for you\n");
    }
    let row = |view: &ApprovalView| {
        vec![view.id.to_string(), view.status.to_owned(), view.about.clone(), view.asks.join("\n"), one_line(&view.reason)]
    };
    show::table(&["approval", "status", "about", "asks for", "why"], views.iter().map(row))
}

/// What was written by somebody else first and in one line, what would be given
/// last, above the question: nothing pushes it off the screen.
fn show_one(view: &ApprovalView) -> Result<(), CommandError> {
    show::print(&format!("{BOLD}{}{BOLD:#}: {}\n", for_terminal_line(&view.about), view.status))?;
    let words: Vec<String> = if view.scopes.is_empty() { view.asks.clone() } else { view.scopes.iter().map(ask::words).collect() };
    let pairs = [
        Some(("why", one_line(&view.reason))),
        Some(("approval", view.id.to_string())),
        view.session.clone().map(|session| ("asked by", format!("an assistant, session {session}"))),
        Some(("asked at", view.created_at.to_string())),
        Some(("expires", view.expires_at.to_string())),
        view.decided_at.map(|at| ("decided", at.to_string())),
        view.digest.map(|digest| ("program", digest.to_string())),
        view.program.as_ref().map(|path| ("text at", path.display().to_string())),
        (!view.beside.is_empty()).then(|| ("know that", listed(&view.beside))),
        Some(("asks for", listed(&words))),
    ];
    show::pairs(pairs.into_iter().flatten())
}

/// One line each, whatever stands in them.
fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| for_terminal_line(line)).collect::<Vec<_>>().join("\n")
}

/// Words of whoever asked: no line breaks, no runs of blanks, no end of them.
fn one_line(reason: &str) -> String {
    let words = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = truncated(&words, MAX_SHOWN_REASON);
    let more = if cut.len() < words.len() { " …" } else { "" };
    format!("\"{}{more}\"", for_terminal_line(cut))
}

async fn approve(wardroom: &Wardroom, id: &str) -> Result<ExitCode, CommandError> {
    let view = wardroom.approval(id)?;
    ask::person("an approval is given by a person", &format!("wardroom approval approve {}", view.id))?;
    show_one(&view)?;
    wardroom.check_approval(view.id)?;
    if !ask::by_code("allow this")? {
        show::line(&format!("{WARN}not approved{WARN:#}: that was another code; nothing was changed"));
        return Ok(ExitCode::FAILURE);
    }
    wardroom.approve(view.id).await?;
    show::print(&format!("approved: {}\n", for_terminal_line(&view.about)))?;
    Ok(ExitCode::SUCCESS)
}
