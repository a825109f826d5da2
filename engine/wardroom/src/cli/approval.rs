//! `wardroom approval`.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use wardroom_core::text::for_terminal_line;

use super::ask;
use super::error::CommandError;
use super::show::{self, BOLD, DIM, WARN};
use crate::approval::ApprovalView;
use crate::wardroom::Wardroom;

/// What codes are made of: no two look alike.
const LETTERS: &[u8; 16] = b"bcdfghjkmnpqrtwx";

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
        vec![view.id.to_string(), view.status.to_owned(), view.about.clone(), view.asks.join("\n"), view.reason.clone()]
    };
    show::table(&["approval", "status", "about", "asks for", "why"], views.iter().map(row))
}

fn show_one(view: &ApprovalView) -> Result<(), CommandError> {
    show::print(&format!("{BOLD}{}{BOLD:#}: {}\n", for_terminal_line(&view.about), view.status))?;
    let words: Vec<String> = if view.scopes.is_empty() { view.asks.clone() } else { view.scopes.iter().map(ask::words).collect() };
    let pairs = [
        Some(("approval", view.id.to_string())),
        view.digest.map(|digest| ("program", digest.to_string())),
        Some(("asks for", words.join("\n"))),
        (view.asks != words).then(|| ("as flags", view.asks.join("\n"))),
        Some(("why", view.reason.clone())),
        view.session.clone().map(|session| ("asked by", format!("an assistant, session {session}"))),
        Some(("asked at", view.created_at.to_string())),
        Some(("expires", view.expires_at.to_string())),
        view.decided_at.map(|at| ("decided", at.to_string())),
    ];
    show::pairs(pairs.into_iter().flatten())
}

async fn approve(wardroom: &Wardroom, id: &str) -> Result<ExitCode, CommandError> {
    let view = wardroom.approval(id)?;
    if !ask::possible() {
        return Err(CommandError::operator("an approval is given by a person, in a terminal")
            .hint(format!("Run `wardroom approval approve {}` in a terminal, and type the code that it shows.", view.id)));
    }
    show_one(&view)?;
    let code = code()?;
    let typed = read_code(&code)?;
    if typed.trim() != code {
        show::line(&format!("{WARN}not approved{WARN:#}: that was another code; nothing was changed"));
        return Ok(ExitCode::FAILURE);
    }
    wardroom.approve(view.id).await?;
    show::print(&format!("approved: {}\n", for_terminal_line(&view.about)))?;
    Ok(ExitCode::SUCCESS)
}

/// Four letters that nobody could have typed ahead.
fn code() -> Result<String, CommandError> {
    let mut random = [0_u8; 4];
    getrandom::fill(&mut random).map_err(|error| CommandError::host(format!("the system gives no random numbers: {error}")))?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 16)).copied().map_or('b', char::from);
    Ok(random.iter().map(letter).collect())
}

fn read_code(code: &str) -> Result<String, CommandError> {
    let failed = |error: std::io::Error| CommandError::host(format!("the terminal cannot be read: {error}"));
    // An answer counts only if it was typed after the question.
    rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush).map_err(|error| failed(error.into()))?;
    let mut stderr = anstream::stderr().lock();
    write!(stderr, "Type {BOLD}{code}{BOLD:#} to allow this, {DIM}anything else to leave it:{DIM:#} ")
        .and_then(|()| stderr.flush())
        .map_err(failed)?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).map_err(failed)?;
    Ok(typed)
}
