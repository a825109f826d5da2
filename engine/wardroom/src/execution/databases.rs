//! Databases of programs: which files may be granted, and who works on them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wardroom_core::capability::sqlite::{SqliteScope, SqliteScopeError, SqliteText};
use wardroom_db::guest::GuestDatabases;

use super::resolve::is_of_the_kernel;
use crate::home::Home;
use crate::wardroom::Wardroom;

/// A database that cannot be granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseUseError {
    /// It is not there, or not to be looked at.
    #[error("the database `{text}` cannot be found: {source}")]
    Io {
        /// As it was written.
        text: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a folder, or something else.
    #[error("`{0}` is no regular file: a database is granted as the file that it is")]
    NotAFile(String),
    /// Whoever writes there writes the grants.
    #[error("the database `{text}` belongs to Wardroom's own data folder `{}`, which no program may reach", home.display())]
    OwnData {
        /// As it was written.
        text: String,
        /// The data folder.
        home: PathBuf,
    },
    /// A door into the kernel.
    #[error("the file `{0}` is the kernel's own, which no program may reach")]
    Kernel(String),
    /// It is no path.
    #[error(transparent)]
    Scope(#[from] SqliteScopeError),
}

impl Home {
    /// A file as a scope: looked at, and where it really is. It is never opened
    /// here: closing it again would drop the locks that this process holds on
    /// it (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
    ///
    /// # Errors
    ///
    /// [`DatabaseUseError`] where it cannot be granted.
    pub fn database_scope(&self, base: &Path, text: &str, write: bool) -> Result<SqliteScope, DatabaseUseError> {
        if text.is_empty() || text.contains('\0') {
            return Err(SqliteScopeError::NoPath(text.to_owned()).into());
        }
        let failed = |source| DatabaseUseError::Io { text: text.to_owned(), source };
        let absolute = fs::canonicalize(base.join(text)).map_err(failed)?;
        if !fs::metadata(&absolute).map_err(failed)?.is_file() {
            return Err(DatabaseUseError::NotAFile(text.to_owned()));
        }
        if self.overlaps(&absolute).map_err(failed)? || self.has_under_another_name(&absolute).map_err(failed)? {
            return Err(DatabaseUseError::OwnData { text: text.to_owned(), home: self.path().to_owned() });
        }
        if is_of_the_kernel(&absolute).map_err(failed)? {
            return Err(DatabaseUseError::Kernel(text.to_owned()));
        }
        Ok(SqliteScope::new(text, &absolute, write)?)
    }

    /// A hard link to a file of ours is that file.
    fn has_under_another_name(&self, file: &Path) -> std::io::Result<bool> {
        let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let file = identity(fs::metadata(file)?);
        let own = fs::read_dir(self.path())?.filter_map(Result::ok).filter_map(|entry| entry.metadata().ok());
        Ok(own.map(identity).any(|own| own == file))
    }

    /// A stored grant's database, if it is still the file at that place.
    pub(super) fn stored_database(&self, stored: &str) -> Option<SqliteScope> {
        let Ok(SqliteText { file, write }) = stored.parse::<SqliteText>();
        let found = self.database_scope(Path::new("/"), &file, write).ok()?;
        (found.absolute() == Path::new(&file)).then_some(found)
    }
}

impl Wardroom {
    /// Who works on a run's databases.
    pub(super) fn databases(&self) -> GuestDatabases {
        GuestDatabases::new(self.preparer.clone(), self.home.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(&temp.path().join("home")).unwrap();
        fs::write(home.path().join("wardroom.db"), "").unwrap();
        fs::write(temp.path().join("a.db"), "").unwrap();
        (temp, home)
    }

    #[test]
    fn a_file_is_granted_by_its_real_place() {
        let (temp, home) = home();
        std::os::unix::fs::symlink("a.db", temp.path().join("link.db")).unwrap();
        let place = temp.path().canonicalize().unwrap().join("a.db");
        for text in ["a.db", "./a.db", "link.db", "home/../a.db"] {
            let scope = home.database_scope(temp.path(), text, true).unwrap();
            assert_eq!((scope.absolute(), scope.write()), (place.as_path(), true), "{text}");
        }
    }

    #[test]
    fn a_file_of_ours_is_never_granted_under_any_name() {
        let (temp, home) = home();
        let own = home.path().join("wardroom.db");
        std::os::unix::fs::symlink(&own, temp.path().join("link.db")).unwrap();
        fs::hard_link(&own, temp.path().join("hard.db")).unwrap();
        fs::write(home.run().join("x.lock"), "").unwrap();
        for text in ["home/wardroom.db", "link.db", "hard.db", "home/run/x.lock"] {
            let refused = home.database_scope(temp.path(), text, false);
            assert!(matches!(refused, Err(DatabaseUseError::OwnData { .. })), "{text}: {refused:?}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_no_database() {
        let (temp, home) = home();
        assert!(matches!(home.database_scope(temp.path(), ".", false), Err(DatabaseUseError::NotAFile(_))));
        assert!(matches!(home.database_scope(temp.path(), "/dev/null", false), Err(DatabaseUseError::NotAFile(_))));
        assert!(matches!(home.database_scope(temp.path(), "none.db", false), Err(DatabaseUseError::Io { .. })));
        assert!(matches!(home.database_scope(temp.path(), "", false), Err(DatabaseUseError::Scope(_))));
        #[cfg(target_os = "linux")]
        assert!(matches!(home.database_scope(temp.path(), "/proc/self/status", false), Err(DatabaseUseError::Kernel(_))));
    }

    #[test]
    fn a_stored_grant_holds_while_its_place_is_the_same() {
        let (temp, home) = home();
        let place = temp.path().canonicalize().unwrap().join("a.db");
        let stored = home.database_scope(temp.path(), "a.db", true).unwrap().stored_text();
        assert_eq!(home.stored_database(&stored).map(|scope| scope.stored_text()), Some(stored.clone()));
        fs::rename(&place, temp.path().join("b.db")).unwrap();
        std::os::unix::fs::symlink("b.db", &place).unwrap();
        assert_eq!(home.stored_database(&stored), None);
    }
}
