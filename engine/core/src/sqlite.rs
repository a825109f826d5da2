//! Databases as a run works on them: the words of a call, and the trait through
//! which the host is lent somebody who does the work.
//!
//! The host knows which databases were granted; what SQL means is known to
//! whoever implements [`Databases`], and enforced there.

use crate::capability::sqlite::SqliteScope;
use crate::witness::{BoxFuture, HostFault};

/// One value, of one of SQLite's five types.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// `NULL`.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text. What is no UTF-8 in the database is a blob here.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// One statement, and the values of its `?`, by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Exactly one statement of SQL.
    pub sql: String,
    /// As many as it has places for.
    pub params: Vec<SqlValue>,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Names, in the order of the values.
    pub columns: Vec<String>,
    /// A value for each column.
    pub rows: Vec<Vec<SqlValue>>,
    /// There was more than is answered at once.
    pub truncated: bool,
}

/// What a statement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Rows inserted, updated or deleted.
    pub rows: u64,
    /// The last row id that an insert gave on this connection, else 0.
    pub last_insert_id: i64,
}

/// A call that did nothing: a statement that fails takes its transaction with
/// it. Texts are one lower-case clause each.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// It would have changed something, where only reading is allowed.
    #[error("{0}")]
    ReadOnly(String),
    /// Somebody else kept the database locked.
    #[error("{0}")]
    Busy(String),
    /// SQLite does not accept it, a constraint of the database speaks against
    /// it, or a program may not do that to a database.
    #[error("{0}")]
    Sql(String),
    /// It needs more than one call may have.
    #[error("{0}")]
    TooLarge(String),
    /// There is no database any more that could be opened.
    #[error("{0}")]
    Gone(String),
    /// Where a copy was to go did not take it.
    #[error("{0}")]
    Target(String),
    /// Ours.
    #[error(transparent)]
    Host(HostFault),
}

/// Where the bytes of a copy go.
pub trait CopyTarget: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// One clause that says why it does not.
    fn put(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), String>>;
}

/// Works on databases, for one run. That a database was granted, and for what,
/// is checked before.
///
/// A call that is dropped is over: no statement goes on, and no lock stays.
pub trait Databases: Send + Sync {
    /// Reads. Never changes the database, whatever was granted.
    ///
    /// # Errors
    ///
    /// [`SqlError`].
    fn query<'a>(&'a self, database: &'a SqliteScope, statement: Statement) -> BoxFuture<'a, Result<Rows, SqlError>>;

    /// Changes, all in one transaction or none.
    ///
    /// # Errors
    ///
    /// [`SqlError`].
    fn execute<'a>(&'a self, database: &'a SqliteScope, statements: Vec<Statement>) -> BoxFuture<'a, Result<Vec<Changes>, SqlError>>;

    /// Copies the whole database as it is at one moment, also while others
    /// write to it, and answers how many bytes the copy has.
    ///
    /// # Errors
    ///
    /// [`SqlError`].
    fn copy<'a>(&'a self, database: &'a SqliteScope, target: &'a mut dyn CopyTarget) -> BoxFuture<'a, Result<u64, SqlError>>;
}

/// Nobody: for whoever grants no database.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDatabases;

impl NoDatabases {
    fn answer<T>() -> Result<T, SqlError> {
        Err(SqlError::Host(HostFault("nobody was lent to work on databases".to_owned())))
    }
}

impl Databases for NoDatabases {
    fn query<'a>(&'a self, _: &'a SqliteScope, _: Statement) -> BoxFuture<'a, Result<Rows, SqlError>> {
        Box::pin(std::future::ready(Self::answer()))
    }

    fn execute<'a>(&'a self, _: &'a SqliteScope, _: Vec<Statement>) -> BoxFuture<'a, Result<Vec<Changes>, SqlError>> {
        Box::pin(std::future::ready(Self::answer()))
    }

    fn copy<'a>(&'a self, _: &'a SqliteScope, _: &'a mut dyn CopyTarget) -> BoxFuture<'a, Result<u64, SqlError>> {
        Box::pin(std::future::ready(Self::answer()))
    }
}
