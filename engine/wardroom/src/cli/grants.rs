//! The flags that grant: the same for a run, for a task and for its upgrade.

use std::path::Path;

use wardroom_core::capability::call::CalleeName;
use wardroom_core::capability::credentials::CredentialScope;
use wardroom_core::capability::env::EnvName;
use wardroom_core::capability::net::NetScope;
use wardroom_core::capability::sqlite::SqliteText;
use wardroom_core::limit::SizeText;

use super::error::CommandError;
use super::secret::value_in_arguments;
use crate::execution::grants::GrantTexts;

/// What is granted with flags.
#[derive(Debug, Default, clap::Args)]
pub(super) struct GrantFlags {
    /// Allow requests: `[https://]HOST[:PORT][/PATH][,METHOD…][=ADDRESS]`; may be repeated
    #[arg(long, value_name = "SCOPE", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    allow_net: Vec<NetScope>,
    /// Allow reading a folder and everything below it; may be repeated
    #[arg(long, value_name = "DIR", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    allow_read: Vec<String>,
    /// Allow reading and writing a folder and everything below it; may be repeated
    #[arg(long, value_name = "DIR", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    allow_write: Vec<String>,
    /// Allow reading a SQLite database, or with `:write` changing it too; may be repeated
    #[arg(long, value_name = "FILE[:write]", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    allow_sqlite: Vec<SqliteText>,
    /// Allow one environment variable; may be repeated
    #[arg(long, value_name = "NAME", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    allow_env: Vec<EnvName>,
    /// Allow so much state to be kept from one run to the next
    #[arg(long, value_name = "SIZE", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    state: Option<SizeText>,
    /// Assign a credential: `NAME[@HOST[:PORT]][:query][:path][:body][:sign][:reveal]`; may be repeated
    #[arg(long = "credential", value_name = "SCOPE", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    credentials: Vec<String>,
    /// Allow starting another task, or a tool (`plugin.function`), with what that one was granted; may be repeated
    #[arg(long, value_name = "TASK_OR_TOOL", require_equals = true, help_heading = "Grants (nothing is allowed by default)")]
    allow_call: Vec<CalleeName>,
}

impl GrantFlags {
    /// As they were typed: a program knows a folder by that name.
    pub(super) fn texts(&self) -> Result<GrantTexts, CommandError> {
        self.credentials.iter().try_for_each(|text| check_credential(text))?;
        Ok(GrantTexts {
            net: self.allow_net.iter().map(ToString::to_string).collect(),
            read: self.allow_read.clone(),
            write: self.allow_write.clone(),
            sqlite: self.allow_sqlite.iter().map(ToString::to_string).collect(),
            env: self.allow_env.iter().map(ToString::to_string).collect(),
            state: self.state,
            credentials: self.credentials.clone(),
            call: self.allow_call.iter().map(ToString::to_string).collect(),
        })
    }

    /// With places as they are meant here: a task may be changed from anywhere.
    pub(super) fn absolute(&self, base: &Path) -> Result<GrantTexts, CommandError> {
        let mut texts = self.texts()?;
        for text in texts.read.iter_mut().chain(&mut texts.write) {
            *text = absolute(base, text);
        }
        let database = |SqliteText { file, write }: &SqliteText| SqliteText { file: absolute(base, file), write: *write }.to_string();
        texts.sqlite = self.allow_sqlite.iter().map(database).collect();
        Ok(texts)
    }
}

/// A folder or file as it is meant here.
pub(super) fn absolute(base: &Path, text: &str) -> String {
    let joined = base.join(text);
    std::fs::canonicalize(&joined).unwrap_or(joined).display().to_string()
}

/// Parsed here: clap repeats what it refuses, and that may be a value.
fn check_credential(text: &str) -> Result<(), CommandError> {
    credential(text).map(drop)
}

/// As [`check_credential`], and what it says.
pub(super) fn credential(text: &str) -> Result<CredentialScope, CommandError> {
    if text.contains('=') {
        return Err(value_in_arguments());
    }
    text.parse::<CredentialScope>().map_err(|error| CommandError::usage(format!("--credential: {error}")))
}
