//! SQLite databases: one file each, to be read, or read and written. The host
//! works on it; the program never holds the file.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::files::{is_canonical, tidy};

/// The word behind a file that may be written too.
const WRITE: &str = ":write";

/// One database file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SqliteScope {
    text: String,
    absolute: PathBuf,
    write: bool,
}

/// A text that names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteScopeError {
    /// An empty text or a NUL byte.
    #[error("`{0}` is no file: expected the path of a database")]
    NoPath(String),
    /// What a param or a flag says would be taken for more than it is.
    #[error("`{0}` ends in the word `:write`, and could not be told from a right: rename the file")]
    Ambiguous(String),
    /// The caller's own path was not canonical; a bug above.
    #[error("`{}` is not absolute", .0.display())]
    Relative(PathBuf),
    /// A record could not name it.
    #[error("`{}` has a name that is no UTF-8: expected a path that can be written down", .0.display())]
    NoText(PathBuf),
}

impl SqliteScope {
    /// A database under the name by which a guest will know it, and where it
    /// really is.
    ///
    /// `absolute` must already be canonical (no link, no `..`): the caller has
    /// looked; this crate opens nothing.
    ///
    /// # Errors
    ///
    /// [`SqliteScopeError`] for a text that is no path, or a path that no
    /// record could name.
    pub fn new(text: &str, absolute: &Path, write: bool) -> Result<Self, SqliteScopeError> {
        if text.is_empty() || text.contains('\0') {
            return Err(SqliteScopeError::NoPath(text.to_owned()));
        }
        if !is_canonical(absolute) {
            return Err(SqliteScopeError::Relative(absolute.to_owned()));
        }
        let Some(written) = absolute.to_str() else { return Err(SqliteScopeError::NoText(absolute.to_owned())) };
        let text = tidy(text);
        if text.ends_with(WRITE) || written.ends_with(WRITE) {
            return Err(SqliteScopeError::Ambiguous(text));
        }
        Ok(Self { text, absolute: absolute.to_owned(), write })
    }

    /// The path as it was written, without `./` in front.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the file really is.
    #[must_use]
    pub fn absolute(&self) -> &Path {
        &self.absolute
    }

    /// It may be written, not only read and copied.
    #[must_use]
    pub const fn write(&self) -> bool {
        self.write
    }

    /// The scope as it is stored: a relative name would mean another file
    /// elsewhere.
    #[must_use]
    pub fn stored_text(&self) -> String {
        format!("{}{}", self.absolute.display(), self.word())
    }

    /// A guest calls the database by this name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        tidy(name) == self.text || Path::new(name) == self.absolute
    }

    /// It is the same file, with at least the same right.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.absolute == other.absolute && self.write >= other.write
    }

    /// What both allow, under the name that the request has.
    #[must_use]
    pub fn effective(grant: &Self, request: &Self) -> Option<Self> {
        (grant.absolute == request.absolute).then(|| Self { write: grant.write && request.write, ..request.clone() })
    }

    const fn word(&self) -> &'static str {
        if self.write { WRITE } else { "" }
    }
}

impl fmt::Display for SqliteScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, self.word())
    }
}

/// `FILE[:write]` as it was written, before anybody looked where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteText {
    /// The path.
    pub file: String,
    /// The word `:write` stood behind it.
    pub write: bool,
}

impl fmt::Display for SqliteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.file, if self.write { WRITE } else { "" })
    }
}

impl FromStr for SqliteText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let file = text.strip_suffix(WRITE);
        Ok(Self { file: file.unwrap_or(text).to_owned(), write: file.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str, absolute: &str, write: bool) -> SqliteScope {
        SqliteScope::new(text, Path::new(absolute), write).unwrap()
    }

    #[test]
    fn writing_covers_reading_of_the_same_file_and_of_no_other() {
        let (read, write) = (scope("a.db", "/d/a.db", false), scope("./a.db", "/d/a.db", true));
        assert!(write.covers(&read) && write.covers(&write) && read.covers(&read) && !read.covers(&write));
        for other in ["/d/b.db", "/d", "/d/a.db/x", "/a.db"] {
            assert!(!write.covers(&scope("a.db", other, false)), "{other}");
        }
    }

    #[test]
    fn what_both_allow_goes_by_the_name_that_was_asked_for() {
        let grant = scope("/d/a.db", "/d/a.db", true);
        let request = scope("data/../a.db", "/d/a.db", false);
        assert_eq!(SqliteScope::effective(&grant, &request), Some(request.clone()));
        let (read, write) = (scope("x", "/d/a.db", false), scope("y", "/d/a.db", true));
        assert_eq!(SqliteScope::effective(&read, &write), Some(scope("y", "/d/a.db", false)));
        assert_eq!(SqliteScope::effective(&grant, &scope("a.db", "/e/a.db", false)), None);
    }

    #[test]
    fn a_right_is_said_by_its_word_alone() {
        let read = |text: &str| text.parse::<SqliteText>().unwrap();
        assert_eq!(read("a.db"), SqliteText { file: "a.db".to_owned(), write: false });
        assert_eq!(read("/x:y/a.db:write"), SqliteText { file: "/x:y/a.db".to_owned(), write: true });
        // A file of that name would be a way for a param to ask for more.
        let named = SqliteScope::new("a:write", Path::new("/d/a:write"), false);
        assert!(matches!(named, Err(SqliteScopeError::Ambiguous(_))));
        assert!(matches!(SqliteScope::new("link", Path::new("/d/a:write"), false), Err(SqliteScopeError::Ambiguous(_))));
    }

    #[test]
    fn a_database_is_called_by_what_was_typed_or_by_where_it_is() {
        let scope = scope("./data//a.db", "/home/u/data/a.db", true);
        assert_eq!((scope.to_string(), scope.stored_text()), ("data/a.db:write".to_owned(), "/home/u/data/a.db:write".to_owned()));
        for name in ["data/a.db", "./data/a.db", "/home/u/data/a.db"] {
            assert!(scope.is_called(name), "{name}");
        }
        for name in ["a.db", "", "data/a.db:write", "/home/u/data/../data/a.db", "data/../data/a.db", "/data/a.db", "data/a.db\0"] {
            assert!(!scope.is_called(name), "{name}");
        }
    }

    #[test]
    fn a_database_is_a_path_at_a_canonical_place() {
        assert!(matches!(SqliteScope::new("", Path::new("/a"), false), Err(SqliteScopeError::NoPath(_))));
        assert!(matches!(SqliteScope::new("a\0", Path::new("/a"), false), Err(SqliteScopeError::NoPath(_))));
        for wrong in ["a", "/a/../b"] {
            assert!(matches!(SqliteScope::new("a", Path::new(wrong), false), Err(SqliteScopeError::Relative(_))));
        }
    }
}
