//! A new file in a granted folder, there when it is whole and not before.
//!
//! Everything hangs on the folder's open handle: no name is resolved from the
//! root again, no link is followed at any component, nothing that is there is
//! ever replaced.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use wardroom_core::sqlite::CopyTarget;
use wardroom_core::witness::BoxFuture;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FreshError {
    /// The path goes up, or names a folder.
    #[error("`{0}` is no path of a new file: expected names with `/` between, without `..`")]
    Path(String),
    /// Something has the name already.
    #[error("`{0}` is there already, and is never replaced")]
    Exists(String),
    /// The system says no; a link on the way, for one.
    #[error("`{path}` cannot be made: {source}")]
    Io {
        /// What was to be made.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A file in the making, under a name that nobody asked for. Without
/// [`finish`](Self::finish) it goes when it is dropped.
pub(crate) struct Fresh {
    shown: String,
    folder: OwnedFd,
    name: OsString,
    draft: Option<OsString>,
    file: tokio::fs::File,
}

impl Fresh {
    /// Begins a file at a path below an open folder; `shown` is the path in the
    /// guest's words. Blocks, as files do.
    pub(crate) fn begin(folder: &File, path: &Path, shown: &str) -> Result<Self, FreshError> {
        let names = names(path).ok_or_else(|| FreshError::Path(shown.to_owned()))?;
        let failed = |error: Errno| FreshError::Io { path: shown.to_owned(), source: error.into() };
        let Some((name, way)) = names.split_last() else { return Err(FreshError::Path(shown.to_owned())) };
        let mut folder = folder.as_fd().try_clone_to_owned().map_err(|source| FreshError::Io { path: shown.to_owned(), source })?;
        for step in way {
            folder = openat(&folder, *step, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        }
        // Said before the work: a copy may take minutes.
        if rustix::fs::statat(&folder, *name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(FreshError::Exists(shown.to_owned()));
        }
        let draft = draft_name().map_err(|source| FreshError::Io { path: shown.to_owned(), source })?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // For the owner alone: a copy is no more open than what was copied.
        let file = openat(&folder, &draft, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        Ok(Self {
            shown: shown.to_owned(),
            folder,
            name: (*name).to_owned(),
            draft: Some(draft),
            file: tokio::fs::File::from_std(file.into()),
        })
    }

    /// Gives it its name, once its bytes are on the disk.
    pub(crate) async fn finish(mut self) -> Result<(), FreshError> {
        let failed = |source| FreshError::Io { path: self.shown.clone(), source };
        self.file.flush().await.map_err(failed)?;
        self.file.sync_all().await.map_err(failed)?;
        let named = tokio::task::spawn_blocking(move || self.name());
        named.await.map_err(|error| FreshError::Io { path: String::new(), source: std::io::Error::other(error) })?
    }

    fn name(&mut self) -> Result<(), FreshError> {
        let Some(draft) = self.draft.clone() else { return Ok(()) };
        let placed = match renameat_with(&self.folder, &draft, &self.folder, &self.name, RenameFlags::NOREPLACE) {
            // Not every file system can; each of them has one of these ways.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => linkat(&self.folder, &draft, &self.folder, &self.name, AtFlags::empty())
                .and_then(|()| {
                    self.draft = None;
                    unlinkat(&self.folder, &draft, AtFlags::empty())
                }),
            placed => placed,
        };
        match placed {
            Ok(()) => self.draft = None,
            Err(Errno::EXIST) => return Err(FreshError::Exists(self.shown.clone())),
            Err(error) => return Err(FreshError::Io { path: self.shown.clone(), source: error.into() }),
        }
        // The name, too; where a folder cannot be synced, the file stays as safe
        // as any other.
        rustix::fs::fsync(&self.folder).ok();
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            // Nothing can be done where this fails; the name says what it is.
            unlinkat(&self.folder, draft, AtFlags::empty()).ok();
        }
    }
}

impl CopyTarget for Fresh {
    fn put(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let written = self.file.write_all(&bytes).await;
            written.map_err(|source| FreshError::Io { path: self.shown.clone(), source }.to_string())
        })
    }
}

/// The names of a path that only goes down.
fn names(path: &Path) -> Option<Vec<&OsStr>> {
    path.components().map(|part| if let Component::Normal(name) = part { Some(name) } else { None }).collect()
}

fn draft_name() -> std::io::Result<OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    Ok(format!(".wardroom-copy-{:016x}", u64::from_le_bytes(random)).into())
}
