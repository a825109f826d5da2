//! The seal of a plugin's row: a keyed hash over all that it says, so that a
//! hand in the database is seen before anything of it runs or is shown.
//!
//! The key lies in the data folder beside the database (`plugins.key`, 0600):
//! this stops a writer who cannot read it, and no more than that.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use wardroom_db::{PluginDetails, PluginRecord};

/// The key's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key of the installed plugins, `{}`, cannot be used: {source}", path.display())]
pub struct SealError {
    path: std::path::PathBuf,
    source: std::io::Error,
}

/// What rows are sealed with.
pub(super) struct SealKey([u8; 32]);

impl SealKey {
    /// The key as it is there.
    pub(super) fn read(path: &Path) -> Result<Self, SealError> {
        read(path).map(Self).map_err(|source| SealError { path: path.to_owned(), source })
    }

    /// The key; where there is none yet, a fresh one.
    pub(super) fn read_or_make(path: &Path) -> Result<Self, SealError> {
        let made = || match read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path).and_then(|()| read(path)),
            found => found,
        };
        made().map(Self).map_err(|source| SealError { path: path.to_owned(), source })
    }

    /// The seal of a row. Each part comes with its length, so that no two rows
    /// are one text.
    pub(super) fn over(&self, record: &PluginRecord, details: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        let (size, at) = (record.size.to_string(), record.installed_at.ms().to_string());
        let format = format!("{:?}", record.format);
        let parts = [record.name.as_str(), &record.digest.to_string(), &format, &size, &at, &record.summary, details];
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The row is as it was sealed.
    pub(super) fn holds(&self, record: &PluginRecord, details: &str) -> bool {
        let Ok(found) = blake3::Hash::from_hex(&record.seal) else { return false };
        // `blake3::Hash` compares in constant time.
        blake3::Hash::from_hex(self.over(record, details)).is_ok_and(|expected| expected == found)
    }
}

/// The hash of what lists do not read; it stands in the summary.
pub(super) fn details_hash(details: &PluginDetails) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(details.functions.len() as u64).to_le_bytes()).update(details.functions.as_bytes());
    hasher.update(&[u8::from(details.wit.is_some())]).update(details.wit.as_deref().unwrap_or_default().as_bytes());
    hasher.finalize().to_hex().to_string()
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
    use wardroom_core::clock::Timestamp;
    use wardroom_core::id::Digest;
    use wardroom_core::program::Format;

    use super::*;

    #[test]
    fn any_change_of_a_row_breaks_its_seal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.key");
        assert!(SealKey::read(&path).is_err());
        let key = SealKey::read_or_make(&path).unwrap();
        let record = PluginRecord {
            name: "a".parse().unwrap(),
            digest: Digest::from_bytes([1; 32]),
            format: Format::Component,
            size: 7,
            installed_at: Timestamp::from_ms(1),
            summary: "s".to_owned(),
            seal: String::new(),
        };
        let sealed = PluginRecord { seal: key.over(&record, "d"), ..record };
        assert!(key.holds(&sealed, "d") && SealKey::read_or_make(&path).unwrap().holds(&sealed, "d"));
        for altered in [
            PluginRecord { name: "b".parse().unwrap(), ..sealed.clone() },
            PluginRecord { digest: Digest::from_bytes([2; 32]), ..sealed.clone() },
            PluginRecord { format: Format::Module, ..sealed.clone() },
            PluginRecord { size: 8, ..sealed.clone() },
            PluginRecord { installed_at: Timestamp::from_ms(2), ..sealed.clone() },
            PluginRecord { summary: "sd".to_owned(), ..sealed.clone() },
            PluginRecord { seal: "0".repeat(64), ..sealed.clone() },
            PluginRecord { seal: "x".to_owned(), ..sealed.clone() },
        ] {
            assert!(!key.holds(&altered, "d"), "{altered:?}");
        }
        assert!(!key.holds(&sealed, "e"));
        let details = |functions: &str, wit: Option<&str>| {
            details_hash(&PluginDetails { functions: functions.to_owned(), wit: wit.map(str::to_owned) })
        };
        assert_ne!(details("a", Some("b")), details("ab", Some("")));
        assert_ne!(details("a", Some("")), details("a", None));
        std::fs::write(&path, b"short").unwrap();
        assert!(SealKey::read_or_make(&path).is_err(), "a damaged key is not replaced: what it sealed would be lost unseen");
    }
}
