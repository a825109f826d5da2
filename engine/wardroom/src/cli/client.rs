//! `wardroom mcp --install-config`: an entry in the file of a client's settings,
//! whole or not at all, with a copy of what was there.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::error::{CommandError, show_hint};
use super::run::write_file;
use super::show::{self, GOOD};
use crate::mcp::client::Client;
use crate::mcp::settings::{SettingsError, with_server};

/// Bytes of settings that are read: more is none.
const MAX_SETTINGS: u64 = 16 << 20;

/// One installation.
pub(super) struct Installing {
    pub(super) client: Client,
    /// What the settings would be with this server alone.
    pub(super) config: Value,
    /// Another file than the client's own.
    pub(super) file: Option<PathBuf>,
    /// Whether another server of that name is replaced.
    pub(super) force: bool,
}

impl Installing {
    pub(super) fn install(self) -> Result<ExitCode, CommandError> {
        let path = match &self.file {
            Some(file) => file.clone(),
            None => own_file(self.client)?,
        };
        let shown = path.display().to_string();
        let before = read(&path)?;
        let after = match with_server(before.as_ref().map_or("", |(text, _)| text), &self.config, self.force) {
            Ok(after) => after,
            Err(error) => return Err(self.refused(&shown, &error)?),
        };
        let Some(after) = after else {
            show::print(&format!("{GOOD}{shown} has it already.{GOOD:#}\n"))?;
            return Ok(ExitCode::SUCCESS);
        };
        let copy = match &before {
            Some((text, mode)) => Some(keep(&path, text, *mode)?),
            None => None,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(&path, "written", &error))?;
        }
        write_file(&path, after.as_bytes())?;
        show::print(&format!("{GOOD}{shown} has it now.{GOOD:#}\n"))?;
        if let Some(copy) = copy {
            show::line(&format!("What was there is in {}.", copy.display()));
        }
        show_hint("The client reads it when it starts.");
        Ok(ExitCode::SUCCESS)
    }

    /// What a person puts in by hand goes to standard output.
    fn refused(&self, shown: &str, error: &SettingsError) -> Result<CommandError, CommandError> {
        let refused = CommandError::operator(format!("`{shown}` is left as it is: {error}"));
        if matches!(error, SettingsError::Other(_)) {
            return Ok(refused.hint("Look at it; add `--force` to replace it."));
        }
        show::json(&self.config)?;
        Ok(refused.hint("Put what is printed above into it yourself."))
    }
}

fn failed(path: &Path, what: &str, error: &io::Error) -> CommandError {
    CommandError::operator(format!("`{}` cannot be {what}: {error}", path.display()))
}

/// Where the client keeps its user's settings.
fn own_file(client: Client) -> Result<PathBuf, CommandError> {
    let home = std::env::home_dir().filter(|home| home.is_absolute()).ok_or_else(|| {
        CommandError::operator("there is no home folder in which settings would be").hint("Name the file: add `--config-file=FILE`.")
    })?;
    let applications = if cfg!(target_os = "macos") {
        home.join("Library/Application Support")
    } else {
        let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        named.unwrap_or_else(|| home.join(".config"))
    };
    Ok(client.file(&home, &applications))
}

/// The settings' text, and the file's mode; none where there is no file.
fn read(path: &Path) -> Result<Option<(String, u32)>, CommandError> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        // A link that leads nowhere is there, and is no file.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => return Err(failed(path, "read", &error)),
    };
    let refused = |why: &str| Err(CommandError::operator(format!("`{}` is left as it is: {why}", path.display())));
    if !meta.is_file() {
        return refused("it is no file");
    }
    let file = std::fs::File::open(path).map_err(|error| failed(path, "read", &error))?;
    let mut bytes = Vec::new();
    file.take(MAX_SETTINGS + 1).read_to_end(&mut bytes).map_err(|error| failed(path, "read", &error))?;
    if bytes.len() as u64 > MAX_SETTINGS {
        return refused("it has more than 16 MiB");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some((text, meta.permissions().mode() & 0o777))),
        Err(_) => refused("it is no text"),
    }
}

/// A copy beside it, for whoever wants it back; for the same eyes.
fn keep(path: &Path, text: &str, mode: u32) -> Result<PathBuf, CommandError> {
    for number in 1..1000 {
        let mut copy = path.as_os_str().to_owned();
        copy.push(format!(".before-wardroom-{number}"));
        let copy = PathBuf::from(copy);
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&copy) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&copy, "written", &error))?;
                return Ok(copy);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&copy, "written", &error)),
        }
    }
    Err(CommandError::operator(format!("there are a thousand copies of `{}` already", path.display()))
        .hint("Remove those that you do not need."))
}
