//! Changes of a project's sources, as the system tells them; nothing is scanned.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{BUILD, ProjectError};

/// How long nothing has to change: editors write in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// What compilers and package managers write.
const MADE: [&str; 8] = [BUILD, "target", "node_modules", ".venv", "venv", ".git", "__pycache__", "vendor"];

/// A project's folder, watched.
pub struct Changes {
    told: UnboundedReceiver<()>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches a project's folder, from now on.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Watch`].
    pub fn of(folder: &Path) -> Result<Self, ProjectError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ProjectError::Watch { path, source }
        };
        let (tell, told) = unbounded_channel();
        let folder = std::fs::canonicalize(folder).map_err(ProjectError::io(folder, "read"))?;
        let root = folder.clone();
        let hear = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_of_sources(&event, &root)) {
                // Whoever listened is gone: so is this, in a moment.
                tell.send(()).ok();
            }
        };
        let mut watcher = notify::recommended_watcher(hear).map_err(failed(&folder))?;
        // Folder by folder: what a package manager keeps is thousands of them.
        watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(failed(&folder))?;
        for path in source_folders(&folder)? {
            watcher.watch(&path, RecursiveMode::Recursive).map_err(failed(&path))?;
        }
        Ok(Self { told, _watcher: watcher })
    }

    /// Waits until something has changed and nothing changes any more.
    pub async fn next(&mut self) {
        if self.told.recv().await.is_none() {
            return std::future::pending().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.told.recv()).await {}
    }
}

fn is_of_sources(event: &notify::Event, folder: &Path) -> bool {
    let made = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).iter().any(is_made);
    !matches!(event.kind, EventKind::Access(_)) && !event.paths.iter().all(made)
}

fn is_made(name: &OsStr) -> bool {
    MADE.iter().any(|made| name == *made) || name == "Cargo.lock"
}

fn source_folders(folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let entries = std::fs::read_dir(folder).map_err(ProjectError::io(folder, "read"))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(ProjectError::io(folder, "read"))?;
        if entry.path().is_dir() && !is_made(&entry.file_name()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
