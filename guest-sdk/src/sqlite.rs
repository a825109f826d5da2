//! SQLite databases: read, changed and copied by the host, which knows how to
//! live with whoever else has them open.
//!
//! Needs the grant `sqlite`, for each file (`--allow-sqlite=app.db`, to change it
//! `--allow-sqlite=app.db:write`). A database is called by the path under which
//! it was granted, or by its absolute path.
//!
//! ```no_run
//! # use wardroom_guest::{Failure, sqlite};
//! # use wardroom_guest::sqlite::{Statement, Value};
//! # fn run() -> Result<(), Failure> {
//! let open = sqlite::query("app.db", "SELECT id, title FROM jobs WHERE done = ?", &[Value::Integer(0)])?;
//! for row in &open.rows {
//!     println!("{row:?}");
//! }
//! let done = Statement { sql: "UPDATE jobs SET done = 1".to_owned(), params: vec![] };
//! sqlite::execute("app.db", &[done])?;
//! sqlite::snapshot("app.db", "backups/app.db")?;
//! # Ok(())
//! # }
//! ```

use std::fmt;

use crate::Failure;
use crate::bindings::wardroom::automation::sqlite as wire;

pub use crate::bindings::wardroom::automation::sqlite::{Changes, Rows, Statement, Value};

/// Why a call did nothing. Becomes a [`Failure`] with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The database, or the folder of a snapshot, was not granted.
    NotGranted(String),
    /// The call would write where only reading was granted, or can only read.
    ReadOnly(String),
    /// Somebody else kept the database locked.
    Busy(String),
    /// SQLite does not accept it, a constraint speaks against it, or no program
    /// may do that.
    Sql(String),
    /// It needs more than a call may have.
    TooLarge(String),
    /// There is no database any more that could be opened.
    Gone(String),
    /// There is something in a snapshot's place; it is never replaced.
    Exists(String),
    /// A snapshot cannot be put where it was to go.
    Target(String),
}

/// Reads, as the database is at one moment. Never changes it. `params` are the
/// values of the statement's `?`, by position. What is found is cut at 10,000
/// rows and 4 MiB, and [`Rows::truncated`] says so.
///
/// # Errors
///
/// [`Error::NotGranted`], [`Error::ReadOnly`] where the statement would change
/// something, [`Error::Busy`], [`Error::Sql`], [`Error::TooLarge`],
/// [`Error::Gone`].
pub fn query(database: &str, sql: &str, params: &[Value]) -> Result<Rows, Error> {
    Ok(wire::query(database, sql, params)?)
}

/// Changes: all statements in one transaction, or none.
///
/// # Errors
///
/// [`Error::NotGranted`], [`Error::ReadOnly`] without `:write`,
/// [`Error::Busy`], [`Error::Sql`], [`Error::TooLarge`], [`Error::Gone`].
pub fn execute(database: &str, statements: &[Statement]) -> Result<Vec<Changes>, Error> {
    Ok(wire::execute(database, statements)?)
}

/// Copies the whole database as it is at one moment, also while others write to
/// it, into a new file below a folder that was granted for writing; answers how
/// many bytes it has.
///
/// # Errors
///
/// [`Error::NotGranted`] for the database or the folder, [`Error::Busy`],
/// [`Error::Gone`], [`Error::Exists`], [`Error::Target`].
pub fn snapshot(database: &str, target: &str) -> Result<u64, Error> {
    Ok(wire::snapshot(database, target)?)
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        match error {
            wire::Error::NotGranted(why) => Self::NotGranted(why),
            wire::Error::ReadOnly(why) => Self::ReadOnly(why),
            wire::Error::Busy(why) => Self::Busy(why),
            wire::Error::Sql(why) => Self::Sql(why),
            wire::Error::TooLarge(why) => Self::TooLarge(why),
            wire::Error::Gone(why) => Self::Gone(why),
            wire::Error::Exists(why) => Self::Exists(why),
            wire::Error::Target(why) => Self::Target(why),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotGranted(why)
        | Self::ReadOnly(why)
        | Self::Busy(why)
        | Self::Sql(why)
        | Self::TooLarge(why)
        | Self::Gone(why)
        | Self::Exists(why)
        | Self::Target(why)) = self;
        f.write_str(why)
    }
}

// No `std::error::Error`, as in `state`: a denial is none of the program's failures.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotGranted(why) | Error::ReadOnly(why) => Self::Denied(why),
            Error::Busy(why) => Self::Unavailable(why),
            Error::TooLarge(why) => Self::Permanent(why),
            Error::Sql(why) | Error::Gone(why) | Error::Exists(why) | Error::Target(why) => Self::Failed(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_has_to_grant_ends_the_run_as_a_denial() {
        let of = |error: wire::Error| Failure::from(Error::from(error));
        let why = || "why".to_owned();
        assert_eq!(of(wire::Error::NotGranted(why())), Failure::denied("why"));
        assert_eq!(of(wire::Error::ReadOnly(why())), Failure::denied("why"));
        assert_eq!(of(wire::Error::Busy(why())), Failure::unavailable("why"));
        assert_eq!(of(wire::Error::TooLarge(why())), Failure::permanent("why"));
    }
}
