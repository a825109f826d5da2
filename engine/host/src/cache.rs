//! The cache of prepared programs on disk: compiled code and stripped scripts,
//! rebuildable, authenticated.
//!
//! A file that somebody planted must not become native code. Each entry is
//!
//! ```text
//!  0   32  BLAKE3 in keyed mode over: name, a zero byte, payload
//!  32      the payload
//! ```
//!
//! It is read once, authenticated in memory, and those same bytes are used.
//! The key lies beside the entries (`key`, 0600): this stops a writer who
//! cannot read it, and no more than that.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use wardroom_core::id::Digest;

use crate::error::HostError;

const MAC_BYTES: usize = 32;

/// What an entry is: which program, prepared in which way.
pub(crate) struct Slot {
    name: String,
}

impl Slot {
    /// `way` must hold whatever the payload depends on beside the program.
    pub(crate) fn new(digest: &Digest, way: &str) -> Self {
        Self { name: format!("{}.{way}", digest.hex()) }
    }
}

/// The folder of prepared programs.
pub(crate) struct Cache {
    folder: PathBuf,
    key: OnceLock<[u8; 32]>,
}

impl Cache {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), key: OnceLock::new() }
    }

    /// The payload of an entry that is there and verifies; whatever else is
    /// there counts as nothing, and is built anew.
    pub(crate) fn load(&self, slot: &Slot) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.folder.join(&slot.name)).ok()?;
        let (found, payload) = bytes.split_first_chunk::<MAC_BYTES>()?;
        // `blake3::Hash` compares in constant time.
        let expected = self.mac(slot, payload).ok()?;
        if expected != blake3::Hash::from_bytes(*found) {
            return None;
        }
        bytes.drain(..MAC_BYTES);
        Some(bytes)
    }

    /// Stores an entry: whole or not at all.
    pub(crate) fn store(&self, slot: &Slot, payload: &[u8]) -> Result<(), HostError> {
        let failed = |error: &std::io::Error| HostError::io("the cache of compiled programs cannot be written", error);
        let mac = self.mac(slot, payload)?;
        let target = self.folder.join(&slot.name);
        let staged = self.folder.join(format!("{}.{}.part", slot.name, std::process::id()));
        let write = || {
            let mut file = private(&staged)?;
            file.write_all(mac.as_bytes())?;
            file.write_all(payload)?;
            fs::rename(&staged, &target)
        };
        write().map_err(|error| {
            // The part may never have come into being.
            drop(fs::remove_file(&staged));
            failed(&error)
        })
    }

    fn mac(&self, slot: &Slot, payload: &[u8]) -> Result<blake3::Hash, HostError> {
        let mut hasher = blake3::Hasher::new_keyed(self.key()?);
        hasher.update(slot.name.as_bytes()).update(&[0]).update(payload);
        Ok(hasher.finalize())
    }

    fn key(&self) -> Result<&[u8; 32], HostError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = self.read_or_make_key().map_err(|error| HostError::io("the key of the cache cannot be read", &error))?;
        Ok(self.key.get_or_init(|| key))
    }

    fn read_or_make_key(&self) -> std::io::Result<[u8; 32]> {
        let path = self.folder.join("key");
        if let Some(key) = read_key(&path)? {
            return Ok(key);
        }
        fs::create_dir_all(&self.folder)?;
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(std::io::Error::other)?;
        let staged = self.folder.join(format!("key.{}.part", std::process::id()));
        private(&staged)?.write_all(&fresh)?;
        // Of two processes that get here at once, the first one's key stays. A
        // damaged key (not 32 bytes) makes way: what it signed is rebuilt.
        match fs::hard_link(&staged, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && read_key(&path)?.is_none() => fs::rename(&staged, &path)?,
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::remove_file(&staged)?,
        }
        read_key(&path)?.ok_or_else(|| std::io::Error::other("the key has no 32 bytes"))
    }
}

fn read_key(path: &Path) -> std::io::Result<Option<[u8; 32]>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(64).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok())
}

fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: u8) -> Slot {
        Slot::new(&Digest::from_bytes([n; 32]), "epoch-1")
    }

    #[test]
    fn an_entry_comes_back_as_it_was_stored() {
        let folder = tempfile::tempdir().unwrap();
        Cache::new(folder.path()).store(&slot(1), b"code").unwrap();
        let again = Cache::new(folder.path());
        assert_eq!(again.load(&slot(1)).as_deref(), Some(&b"code"[..]));
        assert_eq!(again.load(&slot(2)), None);
    }

    #[test]
    fn a_planted_changed_moved_or_cut_entry_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        cache.store(&slot(1), b"code").unwrap();
        let path = folder.path().join(&slot(1).name);
        let good = fs::read(&path).unwrap();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(cache.load(&slot(1)), None, "byte {index}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(cache.load(&slot(1)), None);
        fs::write(&path, b"").unwrap();
        assert_eq!(cache.load(&slot(1)), None);
        fs::write(folder.path().join(&slot(2).name), &good).unwrap();
        assert_eq!(cache.load(&slot(2)), None, "another program's entry");
        fs::write(&path, &good).unwrap();
        assert!(cache.load(&slot(1)).is_some());
    }

    #[test]
    fn a_damaged_key_is_replaced_and_what_it_signed_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        Cache::new(folder.path()).store(&slot(1), b"code").unwrap();
        fs::write(folder.path().join("key"), b"short").unwrap();
        let cache = Cache::new(folder.path());
        assert_eq!(cache.load(&slot(1)), None);
        cache.store(&slot(1), b"code").unwrap();
        assert!(Cache::new(folder.path()).load(&slot(1)).is_some());
    }
}
