//! Folders: what a run may read or write, as preopened directories.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One folder and everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FolderScope {
    text: String,
    absolute: PathBuf,
}

/// A text that names no folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// An empty text or a NUL byte.
    #[error("`{0}` is no folder: expected a path")]
    NoPath(String),
    /// The caller's own path was relative; a bug above.
    #[error("`{}` is not absolute", .0.display())]
    Relative(PathBuf),
    /// A record could not name it.
    #[error("`{}` has a name that is no UTF-8: expected a path that can be written down", .0.display())]
    NoText(PathBuf),
}

impl FolderScope {
    /// A folder under the name that a guest will see, and where it really is.
    ///
    /// `absolute` must already be canonical (no link, no `..`): the caller has
    /// looked; this crate opens nothing.
    ///
    /// # Errors
    ///
    /// [`FolderError`] for a text that is no path, or a path that is not
    /// absolute or no UTF-8.
    pub fn new(text: &str, absolute: &Path) -> Result<Self, FolderError> {
        if text.is_empty() || text.contains('\0') {
            return Err(FolderError::NoPath(text.to_owned()));
        }
        if !is_canonical(absolute) {
            return Err(FolderError::Relative(absolute.to_owned()));
        }
        if absolute.to_str().is_none() {
            return Err(FolderError::NoText(absolute.to_owned()));
        }
        Ok(Self { text: tidy(text), absolute: absolute.to_owned() })
    }

    /// The name as it was written, without `./` in front or `/` behind: what
    /// a guest sees, so that no more of the disk's layout shows than was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it really is.
    #[must_use]
    pub fn absolute(&self) -> &Path {
        &self.absolute
    }

    /// The other folder is this one or lies below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.absolute.starts_with(&self.absolute)
    }
}

/// It starts at the root and never goes up.
pub(super) fn is_canonical(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| matches!(part, Component::ParentDir))
}

/// `./a//b/` and `a/b` are one name.
pub(super) fn tidy(text: &str) -> String {
    let tidy: PathBuf = Path::new(text).components().filter(|part| !matches!(part, Component::CurDir)).collect();
    match tidy.to_str() {
        None | Some("") => ".".to_owned(),
        Some(tidy) => tidy.to_owned(),
    }
}

impl fmt::Display for FolderScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A folder as a run holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderAccess {
    /// The folder.
    #[serde(flatten)]
    pub folder: FolderScope,
    /// Its files may be written, made, renamed and removed, not only read.
    pub write: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(text: &str, absolute: &str) -> FolderScope {
        FolderScope::new(text, Path::new(absolute)).unwrap()
    }

    #[test]
    fn a_folder_covers_what_lies_below_it_by_whole_names() {
        let data = folder("data", "/home/a/data");
        assert!(data.covers(&data) && data.covers(&folder("x", "/home/a/data/x")));
        for outside in ["/home/a", "/home/a/data2", "/home/a/dat", "/"] {
            assert!(!data.covers(&folder("x", outside)), "{outside}");
        }
    }

    #[test]
    fn a_guest_sees_the_name_that_was_typed_and_no_more() {
        for (typed, seen) in [("./a//b/", "a/b"), (".", "."), ("./", "."), ("/x/", "/x"), ("../up", "../up")] {
            assert_eq!(folder(typed, "/somewhere").text(), seen);
        }
    }

    #[test]
    fn a_folder_is_a_path_and_lies_at_a_canonical_place() {
        assert!(matches!(FolderScope::new("", Path::new("/a")), Err(FolderError::NoPath(_))));
        assert!(matches!(FolderScope::new("a\0", Path::new("/a")), Err(FolderError::NoPath(_))));
        for wrong in ["a", "/a/../b"] {
            assert!(matches!(FolderScope::new("a", Path::new(wrong)), Err(FolderError::Relative(_))));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_no_record_could_name_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a/\xff"));
        assert_eq!(FolderScope::new("a", path), Err(FolderError::NoText(path.to_owned())));
    }
}
