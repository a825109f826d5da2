//! The bytes that tasks and plugins pin: `components/`, one file a digest, looked
//! at whenever they are read.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use wardroom_core::blame::Blame;
use wardroom_core::id::Digest;
use wardroom_core::plugin::{PluginName, SourceKind};
use wardroom_core::program::{Format, Program, ProgramName};

use super::resolve::{ResolveError, read_program};
use crate::trust::Provenance;
use crate::wardroom::Wardroom;

/// How old bytes are that may be swept: a day.
const SWEEP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Stored bytes, and which of their doors is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredProgram {
    /// As it is shown.
    pub name: String,
    /// The exported function, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The bytes.
    pub digest: Digest,
    /// What they are.
    pub format: Format,
    /// The plugin that they were of, where they were installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// Where that plugin came from; none: a file, as all did before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceKind>,
    /// The digest of the manifest that a registry keeps them under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
}

impl StoredProgram {
    /// Where these bytes came from, where they are of a plugin.
    pub(crate) fn provenance(&self) -> Option<Provenance> {
        self.plugin.as_ref().map(|_| Provenance { kind: self.source.unwrap_or(SourceKind::File), manifest: self.manifest })
    }
}

/// Bytes that are not there, or are others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// They are gone.
    #[error("the stored program `{name}` ({digest}) is gone from the data folder")]
    Missing {
        /// As it is shown.
        name: String,
        /// Which bytes.
        digest: Digest,
    },
    /// They are others.
    #[error("the stored program `{name}` was changed in the data folder: its bytes are no longer {digest}")]
    Altered {
        /// As it is shown.
        name: String,
        /// Which bytes they should be.
        digest: Digest,
    },
    /// The folder does not let them be read or written.
    #[error("the stored program at `{}` cannot be used: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Io { .. } => Blame::Host,
            Self::Missing { .. } | Self::Altered { .. } => Blame::Operator,
        }
    }
}

/// The folder of stored bytes.
pub(crate) struct Components(PathBuf);

/// Bytes together that are kept in memory once they were looked at.
const MAX_KEPT: usize = 16 * 1024 * 1024;
/// Programs that are kept so; they are looked through one by one.
const MAX_KEPT_PROGRAMS: usize = 64;

/// Programs whose bytes were looked at in this process, the one used last at
/// the end: what lies in memory nobody changes, so it is not read again.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<Program>>);

impl Kept {
    fn get(&self, stored: &StoredProgram) -> Option<Program> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(|program| program.digest == stored.digest && program.format == stored.format)?;
        let program = kept.remove(at);
        kept.push(program.clone());
        Some(Program { name: stored.name.clone(), ..program })
    }

    fn put(&self, program: &Program) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(program.clone());
        let bytes = |kept: &[Program]| kept.iter().map(|program| program.bytes.len()).sum::<usize>();
        while kept.len() > MAX_KEPT_PROGRAMS || bytes(&kept) > MAX_KEPT {
            kept.remove(0);
        }
    }
}

impl Wardroom {
    /// The bytes that a run is to have: looked at when they were read, once in
    /// this process while there is room.
    pub(crate) fn program_of(&self, stored: &StoredProgram) -> Result<Program, StoreError> {
        if let Some(program) = self.kept.get(stored) {
            return Ok(program);
        }
        let program = self.components().load(stored)?;
        self.kept.put(&program);
        Ok(program)
    }

    pub(crate) fn components(&self) -> Components {
        Components(self.home.components())
    }
}

impl Components {
    /// Where such bytes lie; the ending says what they are, as it does for a
    /// program anywhere else.
    pub(crate) fn path(&self, digest: Digest, format: Format) -> PathBuf {
        self.0.join(format!("{}.{}", digest.hex(), ending(format)))
    }

    /// Stores a program's bytes, whole or not at all.
    pub(crate) fn put(&self, program: &Program) -> Result<(), StoreError> {
        let path = self.path(program.digest, program.format);
        let known = StoredProgram {
            name: program.name.clone(),
            function: None,
            digest: program.digest,
            format: program.format,
            plugin: None,
            source: None,
            manifest: None,
        };
        if self.load(&known).is_ok() {
            // As if it were new: no sweep takes it before the row is there that
            // pins it.
            let touched = std::fs::File::open(&path).and_then(|file| file.set_modified(std::time::SystemTime::now()));
            return touched.map_err(|source| StoreError::Io { path, source });
        }
        self.write(&path, &program.bytes).map_err(|source| StoreError::Io { path, source })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let random = HEXLOWER.encode(&random);
        let fresh = path.with_extension(format!("{random}.new"));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&fresh, path));
        if written.is_err() {
            drop(std::fs::remove_file(&fresh));
        }
        written?;
        // The name is on the disk before any row that needs it.
        std::fs::File::open(&self.0)?.sync_all()
    }

    /// The stored bytes, if they still are those.
    pub(crate) fn load(&self, stored: &StoredProgram) -> Result<Program, StoreError> {
        let path = self.path(stored.digest, stored.format);
        let (name, digest) = (stored.name.clone(), stored.digest);
        match read_program(&ProgramName { path: path.clone(), function: None }) {
            Ok((program, _)) if program.digest == digest => Ok(Program { name, ..program }),
            Ok(_) => Err(StoreError::Altered { name, digest }),
            Err(ResolveError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::Missing { name, digest })
            }
            Err(ResolveError::Read { source, .. }) => Err(StoreError::Io { path, source }),
            // Too large, no file, no program: not what was stored.
            Err(_) => Err(StoreError::Altered { name, digest }),
        }
    }

    /// Removes stored bytes that nothing pins: files that are not among these.
    /// Young ones stay, because their task may be about to be saved.
    pub(crate) fn sweep(&self, pinned: &[PathBuf]) {
        let age = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?.elapsed().ok();
        for path in std::fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if !pinned.contains(&path) && age(&path).is_some_and(|age| age > SWEEP_AFTER) {
                drop(std::fs::remove_file(path));
            }
        }
    }
}

/// How a file of such bytes is called at its end.
pub(crate) const fn ending(format: Format) -> &'static str {
    match format {
        Format::Component | Format::Module => "wasm",
        Format::JavaScript => "js",
        Format::TypeScript => "ts",
    }
}
