//! `wardroom vault`.

use std::process::ExitCode;

use super::error::CommandError;
use super::init::source;
use super::show::{self, GOOD};
use crate::vault::{VaultStatus, VaultUseError};
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Subcommand)]
pub(super) enum VaultCommand {
    /// Show where its key is kept, and which
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give it another key, in the same place; all values are sealed anew
    RotateMasterKey {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give it another key, in another place
    ChangeSource {
        /// `keychain`, `passphrase`, or `file[=PATH]`
        source: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl VaultCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Status { json } | Self::RotateMasterKey { json } | Self::ChangeSource { json, .. } => *json,
        }
    }

    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        let json = self.wants_json();
        let (status, done) = match self {
            Self::Status { .. } => (wardroom.vault_status()?.ok_or(VaultUseError::None)?, None),
            Self::RotateMasterKey { .. } => (wardroom.rotate_vault(None).await?, Some("The vault has a new key.")),
            Self::ChangeSource { source: text, .. } => {
                let to = source(&text, wardroom)?;
                (wardroom.rotate_vault(Some(to)).await?, Some("The vault has a new key, in a new place."))
            }
        };
        if json {
            show::json(&status)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(done) = done {
            show::print(&format!("{GOOD}{done}{GOOD:#}\n"))?;
        }
        show_status(&status)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show_status(status: &VaultStatus) -> Result<(), CommandError> {
    let unfinished = if status.unfinished { "yes: it is brought to an end with the next use" } else { "no" };
    show::pairs([
        ("key kept in", status.place.clone()),
        ("key", format!("{} (version {})", status.key_id, status.key_version)),
        ("since", status.created_at.to_string()),
        ("derivation", format!("PBKDF2-HMAC-SHA256, {} rounds", status.iterations)),
        ("values", status.values.to_string()),
        ("unfinished", unfinished.to_owned()),
    ])
}
