//! The data folder: where it is, that it is nobody else's, and what lies in it.
//!
//! ```text
//!  wardroom.db   executions, grants, state
//!  journal/      executions that are about to be among them
//!  config.toml   operator settings
//!  components/   the bytes of programs that tasks and plugins pin
//!  plugins.key   what the rows of plugins are sealed with
//!  trust.key     what the lists of trusted keys and revoked bytes are sealed with
//!  cache/        compiled code, rebuildable
//!  run/          a lock and a socket for each running process
//! ```

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wardroom_core::blame::Blame;

/// Permission bits that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// A data folder that has been looked at.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// It cannot be made or read.
    #[error("the data folder `{}` cannot be used: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than its owner can get in.
    #[error("the data folder `{}` is open to others (mode {mode:03o}): expected mode 700", path.display())]
    Loose {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("the data folder `{}` belongs to another user", .0.display())]
    Foreign(PathBuf),
    /// It is no folder.
    #[error("the data folder `{}` is no folder", .0.display())]
    NotAFolder(PathBuf),
}

impl HomeError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

impl Home {
    /// Opens a data folder, making it (0700) where it is missing.
    ///
    /// # Errors
    ///
    /// [`HomeError`] where it cannot be made, or lies open to others.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let failed = |source| HomeError::Io { path: path.to_owned(), source };
        match fs::metadata(path) {
            Ok(meta) => check(path, &meta)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        let home = Self(fs::canonicalize(path).map_err(failed)?);
        for folder in [home.cache(), home.run()] {
            let failed = |source| HomeError::Io { path: folder.clone(), source };
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
            // A link would lead to a folder that may be granted to a program.
            if !fs::symlink_metadata(&folder).map_err(failed)?.is_dir() {
                return Err(HomeError::NotAFolder(folder));
            }
        }
        Ok(home)
    }

    /// A folder is this one, lies in it, or holds it — by what the folders are
    /// (device and inode), so that no bind mount makes another of them.
    ///
    /// # Errors
    ///
    /// What the system says of a folder that cannot be looked at.
    pub fn overlaps(&self, folder: &Path) -> std::io::Result<bool> {
        let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        let own = [self.0.clone(), self.cache(), self.run()].iter().map(|path| identity(path)).collect::<Result<Vec<_>, _>>()?;
        let above = self.0.ancestors().map(identity).collect::<Result<Vec<_>, _>>()?;
        let holds = above.contains(&identity(folder)?);
        let lies_in = folder.ancestors().any(|ancestor| identity(ancestor).is_ok_and(|found| own.contains(&found)));
        Ok(holds || lies_in)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Compiled code.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// The key that the rows of plugins are sealed with.
    #[must_use]
    pub fn plugins_key(&self) -> PathBuf {
        self.0.join("plugins.key")
    }

    /// The key that the lists of trusted keys and revoked bytes are sealed with.
    #[must_use]
    pub fn trust_key(&self) -> PathBuf {
        self.0.join("trust.key")
    }

    /// The bytes of programs that tasks and plugins pin.
    #[must_use]
    pub fn components(&self) -> PathBuf {
        self.0.join("components")
    }

    /// Locks and sockets of running processes.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The operator's settings.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }
}

fn check(path: &Path, meta: &fs::Metadata) -> Result<(), HomeError> {
    if !meta.is_dir() {
        return Err(HomeError::NotAFolder(path.to_owned()));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(HomeError::Foreign(path.to_owned()));
    }
    let mode = meta.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(HomeError::Loose { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_folder_is_made_for_its_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let home = Home::open(&path).unwrap();
        assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(home.cache()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_in_place_of_a_folder_of_ours_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("home");
        drop(Home::open(&path).unwrap());
        fs::remove_dir(path.join("cache")).unwrap();
        std::os::unix::fs::symlink(temp.path(), path.join("cache")).unwrap();
        assert!(matches!(Home::open(&path), Err(HomeError::NotAFolder(_))));
    }

    #[test]
    fn what_holds_the_data_folder_or_lies_in_it_overlaps() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(&temp.path().join("a/home")).unwrap();
        let beside = temp.path().join("a/beside");
        fs::create_dir(&beside).unwrap();
        for own in [home.path().to_owned(), home.cache(), temp.path().to_owned(), temp.path().join("a")] {
            assert!(home.overlaps(&own).unwrap(), "{}", own.display());
        }
        assert!(!home.overlaps(&beside).unwrap());
    }

    #[test]
    fn a_folder_that_others_can_enter_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Home::open(temp.path()), Err(HomeError::Loose { mode: 0o750, .. })));
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Home::open(&file), Err(HomeError::NotAFolder(_))));
    }
}
