//! Projects: a developer's folder that becomes a plugin. Made, built, tested,
//! watched.
//!
//! ```text
//!  new    template ─▶ folder                                     new.rs, language.rs
//!  build  own compiler ─▶ component + manifest + comments        build.rs
//!  test   cases/*.json ─▶ resolve, authorize, run like any run   cases.rs
//!  dev    watch ─▶ build ─▶ test ─▶ what changed                 watch.rs, diff.rs
//! ```
//!
//! Building calls the developer's own compiler on the developer's own code: that
//! runs as the developer, outside the sandbox. What is built never does.

pub mod build;
pub mod cases;
pub mod diff;
pub mod language;
pub mod new;
pub mod watch;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wardroom_core::blame::Blame;
use wardroom_core::manifest::{Manifest, ManifestError};
use wardroom_db::DbError;
use wardroom_host::HostError;

use crate::execution::ExecuteError;
use crate::execution::grants::{GrantError, GrantTexts};
use crate::execution::resolve::ResolveError;
use crate::wardroom::OpenError;
use language::Language;

/// How a project is built and tested; no part of the plugin.
pub const SETTINGS: &str = "project.toml";
/// What becomes the plugin's manifest.
pub const MANIFEST: &str = "wardroom.toml";
/// Bytes of either that are read.
const MAX_FILE: u64 = 64 << 10;

/// A developer's folder.
#[derive(Debug)]
pub struct Project {
    /// Where it is.
    pub folder: PathBuf,
    /// How it is built and tested.
    pub settings: Settings,
    /// The manifest as it stands in its file.
    pub manifest_text: String,
    /// The same, read.
    pub manifest: Manifest,
    /// The plugin's name.
    pub name: String,
}

/// `project.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whose compiler builds it.
    pub language: Language,
    /// The folder of its WIT; none: it has none, like a plain command.
    #[serde(default)]
    pub wit: Option<String>,
    /// The world in it, where it has several.
    #[serde(default)]
    pub world: Option<String>,
    /// Interpreted languages: give the interpreter WASI (clocks, randomness, files,
    /// network), of which what was not granted is refused. Without it, none of that
    /// is there at all, and the component is smaller.
    #[serde(default)]
    pub wasi: bool,
    /// What its cases are run with, and nothing more.
    #[serde(default)]
    pub grants: GrantTexts,
}

/// A project that cannot be made, built or tested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// Not the form of a name.
    #[error("`{0}` names no plugin: expected a lower-case letter, then up to 47 lower-case letters, digits and `-`")]
    Name(String),
    /// There is something already.
    #[error("`{}` is there already, and nothing of it is overwritten", .0.display())]
    Exists(PathBuf),
    /// A file or folder.
    #[error("`{}` cannot be {verb}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// No project.
    #[error("`{}` is no project: it has no `{SETTINGS}`", .0.display())]
    None(PathBuf),
    /// Too long.
    #[error("`{}` has more than {MAX_FILE} bytes", .0.display())]
    TooLong(PathBuf),
    /// The settings.
    #[error("`{}` does not hold: line {line}: {message}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What TOML's reader says.
        message: String,
    },
    /// The manifest.
    #[error("`{MANIFEST}` does not hold: {0}")]
    Manifest(#[from] ManifestError),
    /// The manifest names nothing.
    #[error("`{MANIFEST}` has no `name`")]
    Unnamed,
    /// Params in two places.
    #[error("the params are declared twice: in the source and in `{MANIFEST}`")]
    TwiceDeclared,
    /// A compiler that is not there.
    #[error("{tool} is not installed")]
    Missing {
        /// Which.
        tool: &'static str,
        /// How it is got.
        install: String,
    },
    /// It could not be started.
    #[error("`{command}` cannot be run: {source}")]
    Start {
        /// What.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended badly.
    #[error("`{command}` ended with {status}")]
    Compiler {
        /// What was called.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// It ended well, and left nothing.
    #[error("`{command}` made no `.wasm` file")]
    NoOutput {
        /// What was called.
        command: String,
    },
    /// What it made is no plugin.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A case that does not hold.
    #[error("the case `{}` does not hold: {message}", path.display())]
    Case {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Nothing to run.
    #[error("there are no cases in `{}`", .0.display())]
    NoCases(PathBuf),
    /// No case of that name.
    #[error("there is no case `{0}`")]
    UnknownCase(String),
    /// A grant of the settings.
    #[error("a grant in `{SETTINGS}` does not hold: {0}")]
    Grant(#[from] GrantError),
    /// It does not become a plan.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It does not run, or cannot be recorded.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Changes are not told.
    #[error("`{}` cannot be watched: {source}", path.display())]
    Watch {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: notify::Error,
    },
}

impl ProjectError {
    /// Who has to act: whoever writes the plugin, for all that is in its folder.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Name(_) | Self::Exists(_) | Self::None(_) | Self::Io { .. } | Self::Missing { .. } | Self::UnknownCase(_) => {
                Blame::Operator
            }
            Self::Start { .. } | Self::Watch { .. } => Blame::Operator,
            Self::Host(error) => error.blame(),
            Self::Resolve(error) => error.blame(),
            Self::Execute(error) => error.blame(),
            Self::Open(error) => error.blame(),
            Self::Db(error) => error.blame(),
            _ => Blame::Guest,
        }
    }

    fn io(path: &Path, verb: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, verb, source }
    }
}

impl Project {
    /// Reads a project's settings and manifest.
    ///
    /// # Errors
    ///
    /// [`ProjectError`] with the line that does not hold.
    pub fn read(folder: &Path) -> Result<Self, ProjectError> {
        let path = folder.join(SETTINGS);
        if !path.is_file() {
            return Err(ProjectError::None(folder.to_owned()));
        }
        let settings = settings(&path)?;
        let manifest_text = text(&folder.join(MANIFEST))?;
        let manifest = Manifest::parse(&manifest_text, 1)?;
        let name = manifest.name.clone().ok_or(ProjectError::Unnamed)?;
        new::check_name(&name)?;
        let folder = std::fs::canonicalize(folder).map_err(ProjectError::io(folder, "read"))?;
        Ok(Self { folder, settings, manifest_text, manifest, name })
    }

    /// Where the plugin is put.
    #[must_use]
    pub fn plugin(&self) -> PathBuf {
        self.folder.join(BUILD).join(format!("{}.wasm", self.name))
    }
}

/// The folder of what is built.
pub(crate) const BUILD: &str = "build";

fn settings(path: &Path) -> Result<Settings, ProjectError> {
    let text = text(path)?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = 1 + before.matches('\n').count();
        ProjectError::Settings { path: path.to_owned(), line, message: error.message().replace('\n', ", ") }
    })
}

/// A file of text, of bounded length.
fn text(path: &Path) -> Result<String, ProjectError> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(ProjectError::io(path, "read"))?;
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(ProjectError::io(path, "read"))?;
    if read as u64 > MAX_FILE { Err(ProjectError::TooLong(path.to_owned())) } else { Ok(text) }
}
