//! The key that the next row of the audit log is written with: a file beside the
//! database.
//!
//! Owns `audit.key` (`wardroom-audit-1 CHAIN SEQ KEY`, hexadecimal but for the
//! number, mode 0600) and the lock on `audit.key.lock`. When it is read, staged
//! and put in place is for [`audit`](crate::audit) to say.
//!
//! Replacing the file takes the past key's name away, not its bytes off a disk:
//! a file system that keeps old blocks, or a drive that does, may still hold
//! them for whoever reads the raw device.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::DbError;
use crate::audit_chain::{ChainId, ChainKey};

const FORMAT: &str = "wardroom-audit-1";
/// More than the longest text: format, 32 digits, 20, 64, spaces and a newline.
const MAX_BYTES: usize = 160;
/// How long to wait for another process's audited write, as for the database.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries. The system's own waiting has no end: a stopped process
/// would hold up every other one.
const LOCK_RETRY: Duration = Duration::from_millis(1);

/// What is wrong with the audit log's key, seen from the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditKeyFault {
    /// There are rows, or a sealed first key, but no file.
    #[error("is missing")]
    Missing,
    /// Its text is none of ours.
    #[error("is unreadable: expected `{FORMAT}`, a chain, a number and a key")]
    Damaged,
    /// It is a link, a folder or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// Others than the owner may read or change it.
    #[error("is open to others (mode {mode:03o}): expected mode 600")]
    Permissions {
        /// Its permission bits.
        mode: u32,
    },
    /// It is the key of a later row than the next one: rows were removed, or an
    /// older database was put back.
    #[error("is for row {next}, but the last row is {last}: rows are missing from the end of the audit log")]
    Ahead {
        /// The row it is for.
        next: u64,
        /// The last row there is; 0 without any.
        last: u64,
    },
    /// It is further behind than any crash leaves it.
    #[error("is for row {next}, but the last row is {last}: an older key was put back, or rows were added without one")]
    FarBehind {
        /// The row it is for.
        next: u64,
        /// The last row there is.
        last: u64,
    },
    /// It belongs to another chain than the last row.
    #[error("belongs to another chain than the last row of the audit log")]
    OtherChain,
    /// A row that it is for, or that came after, was not written with it.
    #[error("is not the one that row {seq} of the audit log was written with")]
    Forged {
        /// The row.
        seq: u64,
    },
}

/// What the file says.
pub(crate) struct KeptKey {
    pub(crate) chain: ChainId,
    /// The row that the key is for.
    pub(crate) next: u64,
    pub(crate) key: ChainKey,
}

impl KeptKey {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let format = words.next()?;
        let chain = words.next()?.parse().ok()?;
        let number = words.next()?;
        let next: u64 = number.parse().ok()?;
        let key = ChainKey::from_hex(words.next()?)?;
        let one_text = format == FORMAT && words.next().is_none() && next.to_string() == number;
        (one_text && next >= 1).then_some(Self { chain, next, key })
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES));
        let (chain, next) = (self.chain.to_string(), self.next.to_string());
        for part in [FORMAT, " ", &chain, " ", &next, " ", &self.key.expose_hex(), "\n"] {
            text.push_str(part);
        }
        text
    }
}

/// Where the key is kept.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// In the folder of the database.
    pub(crate) fn beside(database: &Path) -> Self {
        Self { path: database.with_file_name("audit.key") }
    }

    /// Waits until no other process, nor another writer of this one, is between
    /// reading the key and replacing it. Always taken before the database's own
    /// lock, so that no two wait for each other.
    pub(crate) fn lock(&self) -> Result<KeyLock, DbError> {
        let path = self.path.with_extension("key.lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = opened.map_err(|error| self.failed(error))?;
        self.wait(&lock, File::try_lock)?;
        Ok(KeyLock { file: self.clone(), _lock: lock })
    }

    /// As [`lock`](Self::lock), beside others that only look; `None` where
    /// nobody ever wrote.
    pub(crate) fn lock_shared(&self) -> Result<Option<KeyLock>, DbError> {
        let lock = match File::open(self.path.with_extension("key.lock")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| self.failed(error))?,
        };
        self.wait(&lock, File::try_lock_shared)?;
        Ok(Some(KeyLock { file: self.clone(), _lock: lock }))
    }

    /// What is kept; `None` where there is no file.
    pub(crate) fn read(&self) -> Result<Option<KeptKey>, DbError> {
        if !self.is_present_and_private()? {
            return Ok(None);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        let file = File::open(&self.path).map_err(|error| self.failed(error))?;
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut bytes).map_err(|error| self.failed(error))?;
        let kept = std::str::from_utf8(&bytes).ok().and_then(KeptKey::parse);
        kept.map(Some).ok_or_else(|| self.fault(AuditKeyFault::Damaged))
    }

    pub(crate) fn fault(&self, fault: AuditKeyFault) -> DbError {
        DbError::AuditKey { path: self.path.clone(), fault }
    }

    fn is_present_and_private(&self) -> Result<bool, DbError> {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed(error)),
        };
        if !metadata.is_file() {
            return Err(self.fault(AuditKeyFault::NotAFile));
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(self.fault(AuditKeyFault::Permissions { mode }));
        }
        Ok(true)
    }

    fn wait(&self, lock: &File, try_lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<(), DbError> {
        let patience = Instant::now();
        loop {
            match try_lock(lock) {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
                Err(TryLockError::WouldBlock) if patience.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_RETRY),
                Err(TryLockError::WouldBlock) => return Err(DbError::AuditKeyBusy { path: self.path.clone() }),
            }
        }
    }

    fn failed(&self, source: io::Error) -> DbError {
        DbError::AuditKeyFile { path: self.path.clone(), source: Arc::new(source) }
    }
}

/// Holding it, nobody else reads or replaces the key.
pub(crate) struct KeyLock {
    pub(crate) file: KeyFile,
    _lock: File,
}

impl KeyLock {
    /// Writes the next key down, durably but under another name: whatever may
    /// fail for want of space does so before the commit.
    ///
    /// What a crash leaves of it is the successor of the key in place, and makes
    /// way for the next one.
    pub(crate) fn stage(&self, kept: &KeptKey) -> Result<(), DbError> {
        let staged = self.staged();
        let cleared = fs::remove_file(&staged).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) });
        let written = cleared.and_then(|()| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
            file.write_all(kept.text().as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| self.file.failed(error))
    }

    /// Puts the staged key in the place of the past one.
    pub(crate) fn place(&self) -> Result<(), DbError> {
        let folder = self.file.path.parent().unwrap_or(Path::new("."));
        let placed = fs::rename(self.staged(), &self.file.path).and_then(|()| File::open(folder)?.sync_all());
        placed.map_err(|error| self.file.failed(error))
    }

    fn staged(&self) -> PathBuf {
        self.file.path.with_extension("key.new")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::audit_chain::AuditRoot;
    use crate::testing::Home;

    fn kept(next: u64) -> KeptKey {
        let root = AuditRoot::fresh().unwrap();
        KeptKey { chain: root.chain(), next, key: root.key() }
    }

    fn fault(file: &KeyFile) -> AuditKeyFault {
        match file.read() {
            Err(DbError::AuditKey { fault, .. }) => fault,
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("no fault"),
        }
    }

    #[test]
    fn a_key_is_kept_private_and_read_back() {
        let home = Home::new();
        let file = KeyFile::beside(&home.0.path().join("wardroom.db"));
        assert!(file.read().unwrap().is_none() && file.lock_shared().unwrap().is_none());
        let lock = file.lock().unwrap();
        for next in [1, u64::MAX] {
            let kept = kept(next);
            lock.stage(&kept).unwrap();
            // Once more, as after a crash.
            lock.stage(&kept).unwrap();
            lock.place().unwrap();
            let again = file.read().unwrap().unwrap();
            assert!(again.chain == kept.chain && again.next == next && again.key.is(&kept.key));
        }
        for name in ["audit.key", "audit.key.lock"] {
            assert_eq!(fs::metadata(home.0.path().join(name)).unwrap().mode() & 0o777, 0o600);
        }
        assert!(!home.0.path().join("audit.key.new").exists());
    }

    #[test]
    fn any_other_text_is_damage() {
        let home = Home::new();
        let file = KeyFile::beside(&home.0.path().join("wardroom.db"));
        let good = kept(7).text();
        assert!(KeptKey::parse(&good).is_some());
        let wrong = [
            String::new(),
            good.trim_end().to_owned(),
            good.replace(" 7 ", " 07 "),
            good.replace(" 7 ", " +7 "),
            good.replace(" 7 ", " 0 "),
            good.replace(" 7 ", " 18446744073709551616 "),
            good.replace("audit-1", "audit-2"),
            good.replace('\n', " x\n"),
            good.to_uppercase(),
            format!("{}\n", *good),
            "x".repeat(1 << 20),
        ];
        for text in wrong {
            fs::write(&file.path, &text).unwrap();
            fs::set_permissions(&file.path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(fault(&file), AuditKeyFault::Damaged, "{text:?}");
        }
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_elsewhere_is_refused() {
        let home = Home::new();
        let file = KeyFile::beside(&home.0.path().join("wardroom.db"));
        fs::write(&file.path, kept(1).text().as_bytes()).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(fault(&file), AuditKeyFault::Permissions { mode });
        }
        let elsewhere = home.0.path().join("elsewhere");
        fs::rename(&file.path, &elsewhere).unwrap();
        symlink(&elsewhere, &file.path).unwrap();
        assert_eq!(fault(&file), AuditKeyFault::NotAFile);
    }

    #[test]
    fn lookers_share_and_a_writer_is_alone() {
        let home = Home::new();
        let file = KeyFile::beside(&home.0.path().join("wardroom.db"));
        let writer = file.lock().unwrap();
        let other = File::open(home.0.path().join("audit.key.lock")).unwrap();
        assert!(matches!(other.try_lock_shared(), Err(TryLockError::WouldBlock)));
        drop(writer);
        let lookers = (file.lock_shared().unwrap(), file.lock_shared().unwrap());
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(lookers);
        other.try_lock().unwrap();
    }
}
