//! `wardroom credential`.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use wardroom_core::capability::credentials::BoundHost;
use wardroom_core::credential::{CredentialKind, CredentialName};
use wardroom_db::Note;

use super::error::{CommandError, show_hint};
use super::secret::{self, value_in_arguments};
use super::show::{self, GOOD, WARN};
use crate::credential::{Addition, CredentialView, Terms, Warning};
use crate::wardroom::Wardroom;

/// A name; what looks like a value is refused, and not repeated by us. (clap
/// would: it is parsed by hand.)
type Name = String;

/// A value in the wrong place, taken so that it is refused: clap would repeat
/// it, or advise `--no-value` instead.
#[derive(clap::Args)]
pub(super) struct Misplaced {
    #[arg(hide = true)]
    words: Vec<String>,
    #[arg(long = "value", hide = true, num_args = 0..=1, default_missing_value = "")]
    option: Option<String>,
}

impl std::fmt::Debug for Misplaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Misplaced")
    }
}

impl Misplaced {
    /// The name, where no value stands behind it.
    fn after(&self, text: &str) -> Result<CredentialName, CommandError> {
        let name = name(text)?;
        if self.words.is_empty() && self.option.is_none() { Ok(name) } else { Err(value_in_arguments()) }
    }
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum CredentialCommand {
    /// Store a credential; its value comes from a hidden prompt or standard input
    Add {
        /// Its name, such as GITHUB_TOKEN
        name: Name,
        /// What it is
        #[arg(long, default_value = "api_key", value_parser = PossibleValuesParser::new(CredentialKind::ALL.map(CredentialKind::name)))]
        kind: String,
        /// A host that it is for: HOST[:PORT], over TLS or on this machine; may be repeated
        #[arg(long = "host", value_name = "HOST[:PORT]")]
        hosts: Vec<BoundHost>,
        /// A note about it
        #[arg(long, value_name = "TEXT")]
        note: Option<Note>,
        /// Store no value yet; `wardroom credential set` gives it one
        #[arg(long)]
        no_value: bool,
        #[command(flatten)]
        misplaced: Misplaced,
    },
    /// List credentials, without their values
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one credential, without its value
    Show {
        /// Its name
        name: Name,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a credential its value; or, with flags, change what it is for
    Set {
        /// Its name
        name: Name,
        /// What it is from now on
        #[arg(long, value_parser = PossibleValuesParser::new(CredentialKind::ALL.map(CredentialKind::name)))]
        kind: Option<String>,
        /// A host that it is for from now on; may be repeated
        #[arg(long = "host", value_name = "HOST[:PORT]", conflicts_with = "no_host")]
        hosts: Vec<BoundHost>,
        /// It is for no host from now on
        #[arg(long)]
        no_host: bool,
        /// A note about it; an empty one takes it away
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        misplaced: Misplaced,
    },
    /// Replace the value of a credential that has one
    Rotate {
        /// Its name
        name: Name,
        #[command(flatten)]
        misplaced: Misplaced,
    },
    /// Take its value away, and keep the rest
    Clear {
        /// Its name
        name: Name,
    },
    /// Give a credential another name; whoever may use it follows
    Rename {
        /// Its name
        name: Name,
        /// Its new name
        new_name: Name,
    },
    /// Remove a credential
    Rm {
        /// Its name
        name: Name,
        /// Also where programs may use it: they lose it
        #[arg(long)]
        force: bool,
    },
}

fn name(text: &str) -> Result<CredentialName, CommandError> {
    // `NAME=VALUE`, as variables are set.
    if text.contains('=') {
        return Err(value_in_arguments());
    }
    text.parse().map_err(|error: wardroom_core::credential::CredentialNameError| CommandError::usage(error.to_string()))
}

fn kind(text: &str) -> Result<CredentialKind, CommandError> {
    text.parse().map_err(|error: wardroom_core::credential::UnknownKind| CommandError::usage(error.to_string()))
}

impl CredentialCommand {
    pub(super) const fn wants_json(&self) -> bool {
        matches!(self, Self::List { json: true } | Self::Show { json: true, .. })
    }

    pub(super) async fn execute(self, wardroom: &Wardroom) -> Result<ExitCode, CommandError> {
        match self {
            Self::Add { name: text, kind: word, hosts, note, no_value, misplaced } => {
                let (name, kind) = (misplaced.after(&text)?, kind(&word)?);
                // What would be refused anyway is refused before anybody types.
                wardroom.can_add(&name)?;
                let value = if no_value { None } else { Some(secret::value(name.as_str())?) };
                let warnings = wardroom.add_credential(Addition { name: name.clone(), kind, hosts, note, value }).await?;
                done(&format!("{name} is stored."), &name, &warnings)
            }
            Self::List { json } => list(&wardroom.credentials()?, json),
            Self::Show { name: text, json } => show_one(&wardroom.credential(&name(&text)?)?, json),
            Self::Set { name: text, kind: word, hosts, no_host, note, misplaced } => {
                let name = misplaced.after(&text)?;
                let note = match note.as_deref() {
                    None => None,
                    Some("") => Some(None),
                    Some(text) => Some(Some(text.parse::<Note>().map_err(|error| CommandError::usage(error.to_string()))?)),
                };
                let hosts = (no_host || !hosts.is_empty()).then_some(hosts);
                let terms = Terms { kind: word.as_deref().map(kind).transpose()?, hosts, note };
                set(wardroom, &name, &terms).await
            }
            Self::Rotate { name: text, misplaced } => {
                let name = misplaced.after(&text)?;
                if !wardroom.credential(&name)?.has_value {
                    return Err(crate::credential::CredentialUseError::NoValue(name).into());
                }
                let warnings = wardroom.set_credential_value(&name, &secret::value(name.as_str())?).await?;
                done(&format!("{name} has a new value."), &name, &warnings)
            }
            Self::Clear { name: text } => {
                let name = name(&text)?;
                wardroom.clear_credential(&name).await?;
                done(&format!("{name} has no value any more."), &name, &[])
            }
            Self::Rename { name: text, new_name } => {
                let (name, new) = (name(&text)?, self::name(&new_name)?);
                wardroom.rename_credential(&name, &new).await?;
                done(&format!("{name} is now {new}."), &new, &[])
            }
            Self::Rm { name: text, force } => {
                let name = name(&text)?;
                wardroom.remove_credential(&name, force).await?;
                done(&format!("{name} is gone."), &name, &[])
            }
        }
    }
}

async fn set(wardroom: &Wardroom, name: &CredentialName, terms: &Terms) -> Result<ExitCode, CommandError> {
    let Terms { kind: None, hosts: None, note: None } = terms else {
        wardroom.change_credential(name, terms).await?;
        return done(&format!("{name} is changed."), name, &[]);
    };
    // Before it is typed: an assistant may have named the hosts.
    show::line(&format!("{name} may be sent to: {}", hosts(&wardroom.credential(name)?)));
    let warnings = wardroom.set_credential_value(name, &secret::value(name.as_str())?).await?;
    done(&format!("{name} has its value."), name, &warnings)
}

fn done(text: &str, name: &CredentialName, warnings: &[Warning]) -> Result<ExitCode, CommandError> {
    show::print(&format!("{GOOD}{text}{GOOD:#}\n"))?;
    for warning in warnings {
        show::line(&format!("{WARN}warning{WARN:#}: {warning}"));
        if *warning == Warning::NoHost {
            show_hint(&format!("`wardroom credential set {name} --host=HOST` names one."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn hosts(view: &CredentialView) -> String {
    let hosts: Vec<String> = view.record.hosts.iter().map(ToString::to_string).collect();
    if hosts.is_empty() { "nowhere".to_owned() } else { hosts.join(", ") }
}

fn list(views: &[CredentialView], json: bool) -> Result<ExitCode, CommandError> {
    if json {
        show::json(&serde_json::json!({ "credentials": views }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if views.is_empty() {
        show::line("No credentials yet.");
        show_hint("`wardroom credential add NAME --host=HOST` stores one.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = views.iter().map(|view| {
        let value = if view.has_value { "yes" } else { "no" };
        let used = view.record.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        vec![
            view.record.name.to_string(),
            view.record.kind.to_string(),
            hosts(view),
            value.to_owned(),
            used,
            view.used_by.len().to_string(),
        ]
    });
    show::table(&["name", "kind", "for", "value", "last used", "users"], rows)?;
    Ok(ExitCode::SUCCESS)
}

fn show_one(view: &CredentialView, json: bool) -> Result<ExitCode, CommandError> {
    if json {
        show::json(view)?;
        return Ok(ExitCode::SUCCESS);
    }
    let record = &view.record;
    let time = |at: Option<wardroom_core::clock::Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let users = if view.used_by.is_empty() { "nobody".to_owned() } else { view.used_by.join("\n") };
    show::pairs([
        ("name", record.name.to_string()),
        ("kind", record.kind.to_string()),
        ("for", hosts(view)),
        ("value", if view.has_value { format!("since {}", time(record.value_at)) } else { "none yet".to_owned() }),
        ("note", record.note.as_ref().map_or_else(String::new, |note| note.as_str().to_owned())),
        ("stored", record.created_at.to_string()),
        ("changed", record.updated_at.to_string()),
        ("last used", time(record.last_used_at)),
        ("used by", users),
    ])?;
    Ok(ExitCode::SUCCESS)
}
