//! The database: what happened, what was granted, what was left for next time.
//!
//! Owns `wardroom.db`, its schema and every statement sent to it; the only crate
//! that names rusqlite. It must never judge what a grant means, run anything, or
//! ask for the time; of credentials it sees sealed values alone. One file per
//! table: [`executions`], [`log_lines`], [`grants`], [`state`], [`tasks`],
//! [`plugins`], [`trust`], [`slots`], [`credentials`], [`vault`], [`audit`]; `queue` is what waits among
//! the executions, `file` opens, `writer` commits, `journal` holds what can be committed later,
//! `entry` is how, `packed` how any row gets to be written, `memo` what every run asks for.
//! Programs' own databases are another matter, and another process: [`guest`].
//!
//! Writes are queued when they are called and answered when they are durable
//! ([`Answer`]). Reads block the calling thread, for microseconds where an index
//! serves them; only a search in log text walks through everything.

#![forbid(unsafe_code)]

use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use wardroom_core::id::Digest;

mod approvals;
pub mod audit;
mod audit_chain;
mod audit_key;
mod audit_verify;
mod column;
pub mod credentials;
mod entry;
mod error;
pub mod executions;
mod file;
pub mod grants;
pub mod guest;
mod journal;
pub mod listing;
pub mod log_lines;
mod memo;
mod migration;
#[cfg(test)]
mod million;
mod packed;
pub mod plugins;
#[cfg(test)]
mod processes;
pub mod queue;
mod retention;
pub mod slots;
pub mod state;
pub mod stats;
mod status;
pub mod tasks;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod vault;
mod writer;

pub use approvals::{ApprovalId, ApprovalRecord, ApprovalStatus, Asking, Decision, Gift, MAX_WAITING_APPROVALS, NewApproval, NoApprovalId};
pub use audit::{Actor, AuditEvent, AuditFilter, AuditHead, AuditRecord, AuditRestart, Restarted};
pub use audit_chain::{AuditRoot, ChainId, NoChainId};
pub use audit_key::AuditKeyFault;
pub use audit_verify::{AuditReport, ChainReport, Finding, KeyStanding, RowFault};
pub use credentials::{Change, CredentialId, CredentialRecord, CredentialTerms, NewCredential, NoNote, Note, Removal, Renaming};
pub use error::{DbError, SqliteError};
pub use executions::{Ending, ExecutionRecord, ExecutionSummary, Found, Sequel, StartRow};
pub use file::{DbConfig, Durability};
pub use grants::{GrantRecord, NewGrant};
pub use listing::Filter;
pub use log_lines::LineRecord;
pub use plugins::{ExposedFunction, Keeping, PluginChange, PluginDetails, PluginRecord, Standing};
pub use queue::{Followed, Following, NewQueued, QueuedRecord, Tally, Unfollowed};
pub use retention::Retention;
pub use slots::{Accounted, Accounting, SkippedRun, SlotRecord, WhenBusy};
pub use stats::TaskStats;
pub use tasks::{Link, LinkKind, ScheduledRecord, SpanRecord, TaskChange, TaskRecord, TaskTerms};
pub use trust::{ReadableTrust, RevokedRecord, SignerRecord, TrustChange, TrustHead, TrustRecord};
pub use vault::{NewVault, Resealed, Sealed, Sealing, VaultChange, VaultCreation, VaultRecord, VaultSwap};
pub use writer::Answer;

use audit::{EncodedEvent, Ledger};
use entry::Entry;
use file::DatabaseFile;
use journal::{Appended, Others};
use memo::{Memo, Watch};
use writer::{Desk, Effect, Writer};

/// Connections for reading that are kept; what is open beyond that is closed
/// again after its use.
const KEPT_READERS: usize = 4;

/// An open database.
///
/// Dropping it waits until every queued write is committed.
#[derive(Debug)]
pub struct Database {
    file: DatabaseFile,
    /// Idle ones. A reader is taken out while it is used, so the lock is never
    /// held during a query.
    readers: Mutex<Vec<Connection>>,
    /// Started by the first write: a command that only reads never has one. The
    /// lock is held to put a write into the queue, no longer.
    writer: Mutex<Option<Writer>>,
    watch: Watch,
    known: Known,
}

/// What every run asks for.
#[derive(Debug, Default)]
struct Known {
    exposed: Memo<String, Arc<[(String, String)]>>,
    grants: Memo<(String, Option<Digest>), Vec<GrantRecord>>,
    trust_head: Memo<(), Option<TrustHead>>,
}

impl Database {
    /// Opens `wardroom.db` in an existing folder, making or updating it where
    /// needed. The folder's own permissions are the caller's to check.
    ///
    /// # Errors
    ///
    /// [`DbError::File`], [`DbError::NotAFile`] and [`DbError::Permissions`]
    /// about the file; [`DbError::Newer`], [`DbError::Foreign`],
    /// [`DbError::NotADatabase`] and [`DbError::Corrupt`] about what is in it;
    /// [`DbError::Busy`], [`DbError::Full`] and [`DbError::Disk`] where it must
    /// be made or updated and cannot.
    pub fn open(home: &Path, config: DbConfig) -> Result<Self, DbError> {
        let file = DatabaseFile::locate(home, config)?;
        let reader = file.reader()?;
        if !file.is_current(&reader)? {
            migration::migrate(&file.writer(Arc::default())?, migration::MIGRATIONS)?;
        }
        Ok(Self { file, readers: Mutex::new(vec![reader]), writer: Mutex::new(None), watch: Watch::default(), known: Known::default() })
    }

    /// Where executions lie that were recorded and that the database refused, if there
    /// are any: as lines of JSON, which nobody reads again.
    #[must_use]
    pub fn refused_executions(&self) -> Option<PathBuf> {
        journal::refused(self.file.path())
    }

    /// Reads from one consistent snapshot.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        self.read_once(|connection| {
            writer::run(connection, "BEGIN")?;
            // Where this fails, the snapshot goes with its connection.
            let answer = read(connection)?;
            writer::run(connection, "COMMIT")?;
            Ok(answer)
        })
    }

    /// Reads by one statement, which is a snapshot of its own: two statements less,
    /// for what is asked at the start of every run.
    fn read_once<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.file.reader(), Ok)?;
        let answer = read(&connection)?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        Ok(answer)
    }

    /// Reads what every run asks for, or remembers it while nothing has changed.
    fn remembered<K: Hash + Eq, V: Clone>(
        &self,
        memo: &Memo<K, V>,
        key: K,
        read: impl FnOnce() -> Result<V, DbError>,
    ) -> Result<V, DbError> {
        let version = self.watch.version(&self.file)?;
        if let Some(known) = memo.get(version, &key) {
            return Ok(known);
        }
        let answer = read()?;
        memo.put(version, key, answer.clone());
        Ok(answer)
    }

    /// Reads executions, of which some may still have to be filed: those of this
    /// process, and those that a dead one left.
    fn read_executions<T>(&self, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let own = self.desk().map(|desk| desk.journal_names()).unwrap_or_default();
        let others = Others::look(self.file.path(), &own);
        if others.is_some() {
            // Without a thread one reads what there is.
            drop(self.start_writer());
        }
        if let Some(desk) = self.desk() {
            desk.file_to_read(others)?;
        }
        self.read(read)
    }

    /// Keeps an execution that is over in the journal, where there is a writer to
    /// file it. Whoever writes once in a life writes it at once.
    fn append(&self, over: &Entry) -> Appended {
        let Some(desk) = self.desk() else { return Appended::Not };
        let appended = desk.append(over);
        if matches!(appended, Appended::First) {
            self.writer.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Writer::file_later);
        }
        appended
    }

    fn desk(&self) -> Option<Arc<Desk>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|writer| writer.desk().clone())
    }

    /// Queues a write for the next group.
    fn write<T, F>(&self, write: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        self.with_writer(|writer| writer.write(write))
    }

    /// Does a short write now, where it is alone; else queues it.
    fn write_short<T, F>(&self, write: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        match self.desk().and_then(|desk| desk.at_once(&write)) {
            Some(value) => Answer::known(Ok(value)),
            None => self.write(write),
        }
    }

    /// Queues a write whose events are recorded with it, where it changes
    /// anything. Without events it is a write like any other.
    fn write_audited<T, F>(&self, events: Vec<AuditEvent>, write: F) -> Answer<T>
    where
        T: Effect + Send + 'static,
        F: Fn(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        let events: Vec<EncodedEvent> = match events.into_iter().map(EncodedEvent::encode).collect() {
            Ok(events) => events,
            Err(error) => return Answer::known(Err(error)),
        };
        if events.is_empty() {
            return self.write(write);
        }
        self.write_with_ledger(move |connection, ledger| {
            let effect = write(connection)?;
            if effect.is_change() {
                ledger.append(connection, &events)?;
            }
            Ok(effect)
        })
    }

    /// Queues a write that adds to the audit log by itself.
    fn write_with_ledger<T, F>(&self, write: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Connection, &mut Ledger) -> Result<T, DbError> + Send + 'static,
    {
        self.with_writer(|writer| writer.write_audited(write))
    }

    fn with_writer<T>(&self, write: impl FnOnce(&Writer) -> Answer<T>) -> Answer<T> {
        match self.start_writer() {
            Ok(writer) => writer.as_ref().map_or_else(|| Answer::known(Err(DbError::WriterGone)), write),
            Err(error) => Answer::known(Err(error)),
        }
    }

    /// The writer, where there was none before too.
    fn start_writer(&self) -> Result<MutexGuard<'_, Option<Writer>>, DbError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            *writer = Some(Writer::start(self.file.clone(), self.watch.stirred.clone())?);
        }
        Ok(writer)
    }
}
