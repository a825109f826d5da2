//! `wardroom init`: where the vault's key is kept.

use std::process::ExitCode;

use wardroom_vault::Source;

use super::error::CommandError;
use super::show::{self, DIM, GOOD};
use super::{ask, secret};
use crate::vault::VaultStatus;
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Args)]
pub(super) struct InitArguments {
    /// Where the vault's key is kept: `keychain`, `passphrase`, or `file[=PATH]`; without it, the first of these that works here
    #[arg(long, value_name = "SOURCE")]
    vault: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl InitArguments {
    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        let (source, why) = match self.vault.as_deref() {
            Some(text) => (source(text, wardroom)?, "as asked"),
            None => choose(wardroom).await?,
        };
        let status = wardroom.init_vault(source).await?;
        if self.json {
            show::json(&status)?;
        } else {
            say(&status, why)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The best that works here: the keychain, a passphrase where one can be had,
/// else a file. It is recorded, and never changed unasked.
async fn choose(wardroom: &Wardroom) -> Result<(Source, &'static str), CommandError> {
    let keychain = Source::keychain();
    let probed = keychain.clone();
    let works = tokio::task::spawn_blocking(move || probed.probe().is_ok()).await.unwrap_or(false);
    if works {
        return Ok((keychain, "it works here, and opens when you log in"));
    }
    if secret::passphrase_is_given() {
        return Ok((Source::Passphrase, "no keychain answers here, and a passphrase is in the environment"));
    }
    if ask::possible() {
        return Ok((Source::Passphrase, "no keychain answers here"));
    }
    Ok((own_file(wardroom), "no keychain answers here, and nobody is here to type a passphrase"))
}

/// A place for a key, from its text in flags.
pub(super) fn source(text: &str, wardroom: &Wardroom) -> Result<Source, CommandError> {
    match text.split_once('=') {
        None if text == "keychain" => Ok(Source::keychain()),
        None if text == "passphrase" => Ok(Source::Passphrase),
        None if text == "file" => Ok(own_file(wardroom)),
        None if text == "memory" => Ok(Source::Memory),
        Some(("file", path)) if !path.is_empty() => {
            let path = std::path::absolute(path).map_err(|error| CommandError::usage(format!("`{path}` is no path: {error}")))?;
            Ok(Source::KeyFile { path })
        }
        _ => Err(CommandError::usage("no such place for a key: expected keychain, passphrase, file or file=PATH")),
    }
}

fn own_file(wardroom: &Wardroom) -> Source {
    Source::KeyFile { path: wardroom.home().path().join("vault.key") }
}

fn say(status: &VaultStatus, why: &str) -> Result<(), CommandError> {
    show::print(&format!("{GOOD}The vault is made.{GOOD:#} Its key is kept in {} {DIM}({why}){DIM:#}.\n", status.place))?;
    let advice = match status.source {
        "passphrase" => "Without the passphrase nothing in it can ever be opened. On a server: WARDROOM_PASSPHRASE_FILE.",
        "key_file" => "Whoever reads that file opens the vault: keep it out of backups of the data folder.",
        _ => "A backup of the data folder does not hold it.",
    };
    show::print(&format!("{DIM}{advice}\nNext: `wardroom credential add NAME --host=HOST`.{DIM:#}\n"))
}
