//! `wardroom plugin key`, `sign`, `trust`, `untrust`, `trusted`, `revoke`,
//! `unrevoke` and `reseal`.
//!
//! What lets more be run (trusting a key, taking a revocation back, sealing lists
//! anew) is done by a person, in a terminal, by a code that the terminal shows.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use wardroom_core::id::Digest;
use wardroom_core::signature::SignerKey;
use wardroom_core::text::for_terminal_line;
use wardroom_vault::SigningKey;

use super::ask;
use super::error::{CommandError, show_hint};
use super::show::{self, BOLD, ERROR, WARN};
use crate::trust::sign_file;
use crate::wardroom::Wardroom;

#[derive(Debug, clap::Subcommand)]
pub(super) enum TrustCommand {
    /// Make a key to sign plugins with, or show its public half
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sign a file, so that whoever trusts your key knows that it is yours
    Sign {
        /// A file (`.js`, `.ts`, `.wasm`)
        file: PathBuf,
        /// Your key's file
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        /// A new file to write it to (default: in the file's place)
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Put your signature in the place of one that it carries
        #[arg(long)]
        replace: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Trust a key from now on: in a terminal, by typing a code
    Trust {
        /// The public key, `ed25519:…`
        key: SignerKey,
        /// Whose it is, as you will read it
        #[arg(long, value_name = "WHO")]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Trust a key no more
    Untrust {
        /// The public key, or the name that you gave it
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the keys that you trust, and the bytes that are revoked
    Trusted {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Never run these bytes again, whatever they are a program of
    Revoke {
        /// The digest, `sha256:…`
        digest: Digest,
        /// Why, as you will read it
        #[arg(long)]
        reason: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let revoked bytes be run again: in a terminal, by typing a code
    Unrevoke {
        /// The digest, `sha256:…`
        digest: Digest,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// After somebody else changed both lists: trust nobody, keep what is revoked, by typing a code
    Reseal {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key, in a file that only you can read; nothing is written over
    New {
        /// The file
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the public half of a key, which others trust
    Show {
        /// The file
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl TrustCommand {
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Key(KeyCommand::New { json, .. } | KeyCommand::Show { json, .. })
            | Self::Sign { json, .. }
            | Self::Trust { json, .. }
            | Self::Untrust { json, .. }
            | Self::Trusted { json }
            | Self::Revoke { json, .. }
            | Self::Unrevoke { json, .. }
            | Self::Reseal { json } => *json,
        }
    }

    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        match self {
            Self::Key(key) => key.execute()?,
            Self::Sign { file, key, output, replace, json } => {
                let signed = sign_file(&file, &key, output.as_deref(), replace)?;
                if json {
                    show::json(&signed)?;
                } else {
                    show::print(&format!("signed {} ({})\n", for_terminal_line(&signed.file.display().to_string()), signed.digest))?;
                    show::pairs([("by", signed.signer.to_string())])?;
                }
            }
            Self::Trust { key, name, json } => return trust(wardroom, key, &name, json).await,
            Self::Untrust { key, json } => {
                let signer = wardroom.untrust_signer(&key).await?;
                done(json, json!({ "signer": signer, "done": "untrusted" }), &format!("{signer}: trusted no more"))?;
            }
            Self::Trusted { json } => trusted(wardroom, json)?,
            Self::Revoke { digest, reason, json } => {
                wardroom.revoke_program(digest, reason.as_deref()).await?;
                let uses = wardroom.uses_of(digest)?;
                let words = match uses.words() {
                    Some(words) => format!("{digest}: revoked; no run of it begins any more: {words}"),
                    None => format!(
                        "{digest}: revoked; nothing that is installed or saved here has these bytes, and they are refused when they come"
                    ),
                };
                done(json, json!({ "digest": digest, "done": "revoked", "stops": uses }), &words)?;
            }
            Self::Unrevoke { digest, json } => return unrevoke(wardroom, digest, json).await,
            Self::Reseal { json } => return reseal(wardroom, json).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl KeyCommand {
    fn execute(self) -> Result<(), CommandError> {
        let (file, json, is_new) = match self {
            Self::New { file, json } => (file, json, true),
            Self::Show { file, json } => (file, json, false),
        };
        let key = if is_new { SigningKey::create(&file)? } else { SigningKey::read(&file)? };
        let (signer, shown) = (key.signer(), file.display().to_string());
        if json {
            return show::json(&json!({ "file": shown, "signer": signer }));
        }
        show::print(&format!("{signer}\n"))?;
        if is_new {
            show_hint(&format!("Keep {shown} to yourself and keep a copy: whoever has it signs as you. The line above is for everybody."));
            show_hint(&format!(
                "`wardroom plugin sign FILE --key={shown}` signs; others trust it with `wardroom plugin trust {signer} --name=WHO`."
            ));
        }
        Ok(())
    }
}

fn done(json: bool, value: serde_json::Value, words: &str) -> Result<(), CommandError> {
    if json { show::json(&value) } else { show::print(&format!("{words}\n")) }
}

async fn trust(wardroom: &Wardroom, signer: SignerKey, name: &str, json: bool) -> Result<ExitCode, CommandError> {
    wardroom.check_new_signer(signer, name)?;
    let shown = for_terminal_line(name);
    let again = format!("wardroom plugin trust {signer} --name=WHO");
    ask::person("a key is trusted by a person", &again)?;
    show::line(&format!("{BOLD}{signer}{BOLD:#}"));
    show::line(&format!(
        "From now on, plugins that this key signed count as signed by {BOLD}{shown}{BOLD:#}, and an upgrade from one of them to another keeps what it was granted."
    ));
    if !ask::by_code("trust it")? {
        return unchanged();
    }
    wardroom.trust_signer(signer, name).await?;
    done(json, json!({ "signer": signer, "name": name, "done": "trusted" }), &format!("{signer}: trusted as {shown}"))?;
    Ok(ExitCode::SUCCESS)
}

async fn unrevoke(wardroom: &Wardroom, digest: Digest, json: bool) -> Result<ExitCode, CommandError> {
    wardroom.check_is_revoked(digest)?;
    ask::person("a revocation is taken back by a person", &format!("wardroom plugin unrevoke {digest}"))?;
    show::line(&format!("{BOLD}{digest}{BOLD:#} would be run again wherever it is installed, saved or named."));
    if !ask::by_code("allow this")? {
        return unchanged();
    }
    wardroom.unrevoke_program(digest).await?;
    done(json, json!({ "digest": digest, "done": "unrevoked" }), &format!("{digest}: revoked no more"))?;
    Ok(ExitCode::SUCCESS)
}

async fn reseal(wardroom: &Wardroom, json: bool) -> Result<ExitCode, CommandError> {
    wardroom.check_altered()?;
    ask::person("lists that somebody else changed are sealed by a person", "wardroom plugin reseal")?;
    let view = wardroom.trust_view()?;
    if let Some(problem) = &view.problem {
        show::line(&format!("{ERROR}altered{ERROR:#}: {problem}"));
    }
    for lost in &view.unreadable {
        show::line(&format!("{WARN}lost{WARN:#}: a revocation that cannot be read: {}", show::quoted_lines(lost)));
    }
    for revoked in &view.revoked {
        show::line(&format!("stays revoked: {}", revoked.digest));
    }
    for signer in &view.trusted {
        show::line(&format!("trusted no more: {} ({})", signer.signer, for_terminal_line(&signer.name)));
    }
    show::line("What was revoked and stands here no more is run again, unless you revoke it again.");
    if !ask::by_code("seal both lists so")? {
        return unchanged();
    }
    for aside in wardroom.reseal_lists().await? {
        show::line(&format!("the damaged key lies at {} now", for_terminal_line(&aside.display().to_string())));
    }
    done(json, json!({ "done": "resealed" }), "sealed: nobody is trusted; what is revoked stays so")?;
    Ok(ExitCode::SUCCESS)
}

fn unchanged() -> Result<ExitCode, CommandError> {
    show::line(&format!("{WARN}not done{WARN:#}: that was another code; nothing was changed"));
    Ok(ExitCode::FAILURE)
}

fn trusted(wardroom: &Wardroom, json: bool) -> Result<(), CommandError> {
    let view = wardroom.trust_view()?;
    if json {
        return show::json(&view);
    }
    for lost in &view.unreadable {
        show::line(&format!("{WARN}unreadable{WARN:#}: a revocation of {}", show::quoted_lines(lost)));
    }
    if let Some(problem) = view.problem {
        let altered = CommandError::from(problem);
        show::line(&format!("{ERROR}altered{ERROR:#}: {}", altered.message));
        altered.hints.iter().for_each(|hint| show_hint(hint));
    }
    if view.trusted.is_empty() {
        show::print("nobody is trusted\n")?;
    } else {
        let row = |one: &crate::trust::TrustedView| vec![one.name.clone(), one.signer.to_string(), one.trusted_at.to_string()];
        show::table(&["trusted", "key", "since"], view.trusted.iter().map(row))?;
    }
    if view.revoked.is_empty() {
        return show::print("nothing is revoked\n");
    }
    let row = |one: &crate::trust::RevokedBytes| {
        vec![one.digest.to_string(), one.revoked.revoked_at.to_string(), one.revoked.reason.clone().unwrap_or_default()]
    };
    show::print("\n")?;
    show::table(&["revoked", "since", "why"], view.revoked.iter().map(row))
}
