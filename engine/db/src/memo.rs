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

/// For how long nobody is asked again. A run asks three times; another process that
/// changed something needs longer than this to end and to let anybody know.
const FRESH: Duration = Duration::from_millis(1);
/// Answers of one kind that are kept.
const MAX_ANSWERS: usize = 256;

/// Looks whether the database changed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    eye: Mutex<Eye>,
    /// This process committed something.
    pub(crate) stirred: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Eye {
    seen: Option<Seen>,
    /// Connections that were opened. What versions of two of them say of each other is
    /// nothing.
    opened: u64,
}

#[derive(Debug)]
struct Seen {
    /// For nothing else.
    connection: Connection,
    version: Version,
    at: Instant,
}

/// Another one after every change: of which connection, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64, i64);

impl Watch {
    /// What the database is at.
    pub(crate) fn version(&self, file: &DatabaseFile) -> Result<Version, DbError> {
        let mut eye = self.eye.lock().unwrap_or_else(PoisonError::into_inner);
        let stirred = self.stirred.swap(false, Ordering::AcqRel);
        let now = Instant::now();
        if let Some(seen) = eye.seen.as_ref().filter(|seen| !stirred && now.duration_since(seen.at) < FRESH) {
            return Ok(seen.version);
        }
        // Gone with whatever goes wrong from here on, and so never believed again.
        let connection = match eye.seen.take() {
            Some(seen) => seen.connection,
            None => {
                eye.opened += 1;
                file.reader()?
            }
        };
        let version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let version = Version(eye.opened, version);
        eye.seen = Some(Seen { connection, version, at: now });
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

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use wardroom_core::id::Digest;

    use crate::testing::{Home, at};
    use crate::{Database, NewGrant};

    use super::*;

    const BYTES: Digest = Digest::from_bytes([7; 32]);

    fn grant() -> Vec<NewGrant> {
        vec![NewGrant { capability: wardroom_core::capability::Capability::Env, scope: "A".to_owned(), callee: None }]
    }

    fn granted(database: &Database) -> usize {
        database.grants("s", Some(BYTES)).unwrap().len()
    }

    #[tokio::test]
    async fn what_this_process_commits_counts_at_once() {
        let home = Home::new();
        let database = home.open();
        for _ in 0..50 {
            assert_eq!(granted(&database), 0);
            database.add_grants("s", BYTES, grant(), at(1)).await.unwrap();
            assert_eq!((granted(&database), granted(&database)), (1, 1));
            database.remove_grants("s", None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_another_process_commits_counts_a_moment_later() {
        let home = Home::new();
        let (one, other) = (home.open(), home.open());
        for _ in 0..20 {
            assert_eq!(granted(&one), 0);
            other.add_grants("s", BYTES, grant(), at(1)).await.unwrap();
            sleep(FRESH);
            assert_eq!(granted(&one), 1);
            other.remove_grants("s", None).await.unwrap();
            sleep(FRESH);
        }
        // By no door of ours.
        assert_eq!(granted(&one), 0);
        home.tamper("INSERT INTO grants (subject, digest, capability, scope, created_ms) VALUES ('s', 'sha256:' || printf('%064d', 7), 'env', 'B', 1)");
        sleep(FRESH);
        assert_eq!(one.grants("s", None).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn versions_of_two_connections_are_never_alike() {
        let home = Home::new();
        let (database, other) = (home.open(), home.open());
        assert_eq!(granted(&database), 0);
        let before = database.watch.version(&database.file).unwrap();
        // As after a look that failed.
        database.watch.eye.lock().unwrap().seen.take();
        other.add_grants("s", BYTES, grant(), at(1)).await.unwrap();
        assert_ne!(database.watch.version(&database.file).unwrap(), before);
        assert_eq!(granted(&database), 1);
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_once_while_nothing_changes() {
        let home = Home::new();
        let database = home.open();
        let memo = Memo::default();
        let mut asked = 0;
        let mut ask = |key: u16| {
            database
                .remembered(&memo, key, || {
                    asked += 1;
                    Ok(key)
                })
                .unwrap()
        };
        assert_eq!([ask(1), ask(1), ask(2), ask(1)], [1, 1, 2, 1]);
        assert_eq!(asked, 2);
        database.add_grants("s", BYTES, grant(), at(1)).await.unwrap();
        database.remembered(&memo, 1, || Ok(9)).map(|answer| assert_eq!(answer, 9)).unwrap();
        for key in 2..600 {
            assert_eq!(database.remembered(&memo, key, || Ok(key)).unwrap(), key);
        }
        assert!(memo.0.lock().unwrap().as_ref().unwrap().1.len() <= MAX_ANSWERS);
    }
}
