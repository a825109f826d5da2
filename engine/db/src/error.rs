//! What can go wrong with the database, and who has to act.
//!
//! Owns the one translation of SQLite's result codes; above this crate nobody
//! knows them.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use wardroom_core::blame::Blame;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;

use crate::audit_key::AuditKeyFault;

/// Why the database did not do what it was asked.
///
/// Cloneable, because one failed commit answers every write of its group.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The operating system refused the file or its folder.
    #[error("the database `{path}` cannot be reached")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The file's name leads elsewhere, or to something that is no file.
    #[error("the database `{path}` is not a regular file: expected one, not a link, a folder or a device")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may read or change the file.
    #[error("the database `{path}` is open to others (mode {mode:03o}): expected mode 600")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A newer Wardroom wrote it.
    #[error("the database has schema version {found}: this program knows versions up to {known}")]
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// An SQLite database of some other program.
    #[error("the database `{path}` belongs to another program")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is no SQLite database.
    #[error("the file is no SQLite database")]
    NotADatabase(#[source] SqliteError),
    /// SQLite found the file damaged.
    #[error("the database file is damaged")]
    Corrupt(#[source] SqliteError),
    /// A row holds something that nobody writes.
    #[error("the database holds an unreadable value in column `{column}`")]
    Damaged {
        /// The column.
        column: &'static str,
    },
    /// A row that has a name holds something that nobody writes.
    #[error("the database holds an unreadable value in column `{column}` of row `{row}` of `{table}`")]
    DamagedRow {
        /// The table.
        table: &'static str,
        /// The row's own key.
        row: String,
        /// The column.
        column: &'static str,
    },
    /// No space is left.
    #[error("no space is left for the database")]
    Full(#[source] SqliteError),
    /// Reading from or writing to the disk failed.
    #[error("reading or writing the database file failed")]
    Disk(#[source] SqliteError),
    /// Another process kept the database locked for longer than we wait.
    #[error("another process keeps the database locked")]
    Busy(#[source] SqliteError),
    /// The file cannot be opened or changed.
    #[error("the database file cannot be opened or changed")]
    Inaccessible(#[source] SqliteError),
    /// SQLite refused a statement: a bug of ours.
    #[error("the database refused a statement")]
    Sqlite(#[source] SqliteError),
    /// A value has no JSON: a bug of ours.
    #[error("a value of column `{column}` cannot be written as JSON")]
    Encode {
        /// The column.
        column: &'static str,
        /// What the encoder said.
        source: Arc<serde_json::Error>,
    },
    /// A row cannot be packed, or what was packed is none: a bug of ours.
    #[error("a row cannot be handed to the database's writer: {0}")]
    Packed(String),
    /// Executions of this process wait to be written, and what writes is held up.
    #[error("the last executions are not in the database yet: another write takes long")]
    JournalBusy,
    /// The thread that writes could not be started.
    #[error("the database's writer cannot be started")]
    WriterStart(#[source] Arc<io::Error>),
    /// The thread that writes ended before it answered.
    #[error("the database's writer ended")]
    WriterGone,
    /// Nothing can be recorded before the audit log has its first key.
    #[error("the audit log was not begun")]
    AuditNotBegun,
    /// The key that the next row needs does not fit the rows, so that none can
    /// be added.
    #[error("the audit log's key `{path}` {fault}")]
    AuditKey {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        fault: AuditKeyFault,
    },
    /// The operating system refused the key's file.
    #[error("the audit log's key `{path}` cannot be read or replaced")]
    AuditKeyFile {
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Another process kept the key locked for longer than we wait.
    #[error("another process keeps the audit log's key `{path}` locked")]
    AuditKeyBusy {
        /// The key's file.
        path: PathBuf,
    },
    /// An event is none: a bug of ours.
    #[error("an audit event cannot be recorded: {reason}")]
    AuditEvent {
        /// Why not.
        reason: &'static str,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// There is no such attempt.
    #[error("there is no attempt {attempt} of execution {id}")]
    UnknownExecution {
        /// The execution.
        id: ExecutionId,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// There is such an attempt already.
    #[error("attempt {attempt} of execution {id} is recorded already")]
    DuplicateExecution {
        /// The execution.
        id: ExecutionId,
        /// The attempt, counted from 1.
        attempt: u32,
    },
    /// An execution does not become that from where it stands.
    #[error("attempt {attempt} of execution {id} is {from} and cannot become {to}")]
    IllegalMove {
        /// The execution.
        id: ExecutionId,
        /// The attempt, counted from 1.
        attempt: u32,
        /// Where it stands.
        from: Status,
        /// Where it was to go.
        to: Status,
    },
}

impl DbError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::File { .. }
            | Self::NotAFile { .. }
            | Self::Permissions { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::AuditNotBegun
            | Self::AuditKey { .. }
            | Self::AuditKeyFile { .. }
            | Self::UnknownExecution { .. } => Blame::Operator,
            _ => Blame::Host,
        }
    }

    /// The database does not take this value, now or later.
    pub(crate) fn is_refusal(&self) -> bool {
        let refusals = [ErrorCode::ConstraintViolation, ErrorCode::TypeMismatch, ErrorCode::TooBig];
        matches!(self, Self::Sqlite(SqliteError(error)) if error.sqlite_error_code().is_some_and(|code| refusals.contains(&code)))
    }

    pub(crate) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source: Arc::new(source) }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let error = SqliteError(Arc::new(error));
        match code {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase(error),
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt(error),
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::Inaccessible(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// What SQLite itself said, for the log.
#[derive(Debug, Clone)]
pub struct SqliteError(Arc<rusqlite::Error>);

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SqliteError {}
