//! Seals: a keyed hash over what rows say, so that a hand in the database is seen
//! before anything of it runs or is shown.
//!
//! A key lies in the data folder beside the database (0600): this stops a writer
//! who cannot read it, and no more than that.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A key's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key that rows are sealed with, `{}`, cannot be used: {source}", path.display())]
pub struct SealError {
    path: PathBuf,
    source: std::io::Error,
}

impl SealError {
    pub(crate) fn is_missing(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }

    /// There is something, and it is no key.
    fn is_damaged(&self) -> bool {
        matches!(self.source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::IsADirectory)
    }
}

/// What rows are sealed with.
pub(crate) struct SealKey([u8; 32]);

impl SealKey {
    /// The key as it is there.
    pub(crate) fn read(path: &Path) -> Result<Self, SealError> {
        read(path).map(Self).map_err(|source| SealError { path: path.to_owned(), source })
    }

    /// The key; where there is none yet, a fresh one.
    pub(crate) fn read_or_make(path: &Path) -> Result<Self, SealError> {
        let made = || match read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path).and_then(|()| read(path)),
            found => found,
        };
        made().map(Self).map_err(|source| SealError { path: path.to_owned(), source })
    }

    /// Takes what stands in a key's place and is none out of the way, under a name that
    /// says since when, for whoever wants to know what became of it. Answers the name,
    /// where there was such a thing. What it sealed is lost.
    pub(crate) fn set_damaged_aside(path: &Path, now_ms: i64) -> Result<Option<PathBuf>, SealError> {
        match Self::read(path) {
            Err(error) if error.is_damaged() => {
                let mut aside = path.as_os_str().to_owned();
                aside.push(format!(".damaged-{now_ms}"));
                let aside = PathBuf::from(aside);
                std::fs::rename(path, &aside).map_err(|source| SealError { path: path.to_owned(), source })?;
                Ok(Some(aside))
            }
            _ => Ok(None),
        }
    }

    /// The seal of texts. Each comes with its length, so that no two rows are one
    /// text.
    pub(crate) fn over<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Two seals are one. In constant time, as `blake3::Hash` compares.
pub(crate) fn is_same(found: &str, expected: &str) -> bool {
    let (Ok(found), Ok(expected)) = (blake3::Hash::from_hex(found), blake3::Hash::from_hex(expected)) else { return false };
    found == expected
}

fn read(path: &Path) -> std::io::Result<[u8; 32]> {
    let bytes = std::fs::read(path)?;
    bytes.try_into().map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it has no 32 bytes"))
}

/// Of two processes that get here at once, the first one's key stays.
fn make(path: &Path) -> std::io::Result<()> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(std::io::Error::other)?;
    let staged = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
    file.write_all(&fresh)?;
    file.sync_all()?;
    let linked = match std::fs::hard_link(&staged, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    std::fs::remove_file(&staged)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_damaged_one_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.key");
        assert!(SealKey::read(&path).is_err_and(|error| error.is_missing()));
        let key = SealKey::read_or_make(&path).unwrap();
        let seal = key.over(["a", "bc"]);
        assert!(is_same(&seal, &SealKey::read_or_make(&path).unwrap().over(["a", "bc"])));
        for other in [key.over(["ab", "c"]), key.over(["a", "bc", ""]), "0".repeat(64), "x".to_owned(), String::new()] {
            assert!(!is_same(&seal, &other), "{other}");
        }
        std::fs::write(&path, b"short").unwrap();
        assert!(SealKey::read_or_make(&path).is_err_and(|error| !error.is_missing()), "what it sealed would be lost unseen");
        let aside = SealKey::set_damaged_aside(&path, 7).unwrap().unwrap();
        assert!(aside.ends_with("plugins.key.damaged-7") && std::fs::read(&aside).unwrap() == b"short");
        SealKey::read_or_make(&path).unwrap();
        assert_eq!(SealKey::set_damaged_aside(&path, 8).unwrap(), None, "a key that is one stays where it is");
    }
}
