//! Answers that every run asks for, kept while nobody changes the database.
//!
//! SQLite tells a connection whether others committed anything since it asked last
//! (`PRAGMA data_version`, <https://www.sqlite.org/pragma.html#pragma_data_version>),
//! which costs a tenth of asking again. What this process commits counts at once;
//! what another does, after [`FRESH`] at most, as if it had been that much later.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::DbError;
use crate::file::DatabaseFile;

/// For how long nobody is asked again: one run asks three times.
const FRESH: Duration = Duration::from_micros(100);
/// Answers of one kind that are kept.
const MAX_ANSWERS: usize = 256;

/// Looks whether the database changed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Mutex<Option<Seen>>,
    /// This process committed something.
    pub(crate) stirred: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Seen {
    /// For nothing else: versions of two connections say nothing of each other.
    connection: Connection,
    version: Version,
    at: Instant,
}

/// Another one after every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(i64);

impl Watch {
    /// What the database is at.
    pub(crate) fn version(&self, file: &DatabaseFile) -> Result<Version, DbError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stirred = self.stirred.swap(false, Ordering::AcqRel);
        let now = Instant::now();
        if let Some(seen) = seen.as_ref().filter(|seen| !stirred && now.duration_since(seen.at) < FRESH) {
            return Ok(seen.version);
        }
        let connection = match seen.take() {
            Some(seen) => seen.connection,
            None => file.reader()?,
        };
        let version = Version(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?);
        *seen = Some(Seen { connection, version, at: now });
        Ok(version)
    }
}

/// Answers of one kind, of one version.
#[derive(Debug)]
pub(crate) struct Memo<K, V>(Mutex<Option<(Version, HashMap<K, V>)>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    pub(crate) fn get(&self, version: Version, key: &K) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(known, _)| *known == version).and_then(|(_, answers)| answers.get(key).cloned())
    }

    /// Keeps what was read after the version was.
    pub(crate) fn put(&self, version: Version, key: K, value: V) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_mut().filter(|(known, answers)| *known == version && answers.len() < MAX_ANSWERS) {
            Some((_, answers)) => drop(answers.insert(key, value)),
            None => *known = Some((version, HashMap::from([(key, value)]))),
        }
    }
}
