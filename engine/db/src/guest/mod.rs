//! Databases that programs were granted: worked on in a process of their own.
//!
//! ```text
//!  host ── GuestDatabases ── one frame a call ──▶ child (this same binary)
//!                         ◀── answer ──           open, guard, do, close
//! ```
//!
//! SQL is a program, and a database file may be a stranger's. So neither meets
//! this process: the child has limits on itself and an empty environment, and
//! is killed when a call is dropped, be it in a statement that never ends, in a
//! sort of gigabytes, or asleep before a lock. Its locks are its own, too: POSIX
//! drops those of a whole process as soon as it closes any descriptor of the
//! file (<https://www.sqlite.org/howtocorrupt.html>, 2.2), which a program with
//! a granted folder could have the engine do.
//!
//! Owns what SQL may do (`guard`), how a call is done (`work`), how a live
//! database is copied (`copy`) and the talk with the child (`frame`, `process`).
//! Whether a database was granted is the host's to check, before.

mod copy;
mod frame;
mod guard;
mod process;
mod work;

use std::path::PathBuf;

use tokio::sync::Mutex;
use wardroom_core::capability::sqlite::SqliteScope;
use wardroom_core::limit::{MAX_SQLITE_STATEMENTS, SizeText};
use wardroom_core::sqlite::{Changes, CopyTarget, Databases, Rows, SqlError, Statement};
use wardroom_core::witness::{BoxFuture, HostFault};

use frame::{Answer, Request};
use process::Process;

pub use process::{CHILD_ARGUMENT, child};

/// The databases of one run.
#[derive(Debug)]
pub struct GuestDatabases {
    binary: PathBuf,
    scratch: PathBuf,
    /// Started by the first call. Taken out while a call goes on, so that a
    /// call which is dropped takes its process with it.
    process: Mutex<Option<Process>>,
}

impl GuestDatabases {
    /// `binary` is called with [`CHILD_ARGUMENT`]; `scratch` is a folder of our
    /// own, 0700, for copies in the making. Nothing is started yet.
    #[must_use]
    pub fn new(binary: PathBuf, scratch: PathBuf) -> Self {
        Self { binary, scratch, process: Mutex::new(None) }
    }

    /// One call, from the request to its last answer; `piece` is given what
    /// comes before that.
    async fn ask(&self, request: Request, target: Option<&mut dyn CopyTarget>) -> Result<Answer, SqlError> {
        let mut idle = self.process.lock().await;
        let mut process = match idle.take() {
            Some(process) => process,
            None => Process::start(&self.binary)?,
        };
        process.send(&request).await?;
        let answer = process.answer(target).await?;
        *idle = Some(process);
        match answer {
            Answer::Failed(error) => Err(error),
            answer => Ok(answer),
        }
    }
}

fn nonsense<T>() -> Result<T, SqlError> {
    Err(SqlError::Host(HostFault("the process that works on databases answered nonsense".to_owned())))
}

impl Databases for GuestDatabases {
    fn query<'a>(&'a self, database: &'a SqliteScope, statement: Statement) -> BoxFuture<'a, Result<Rows, SqlError>> {
        let request = Request::Query { file: database.absolute().to_owned(), undo: database.write(), statement };
        Box::pin(async {
            match self.ask(request, None).await? {
                Answer::Rows(rows) => Ok(rows),
                _ => nonsense(),
            }
        })
    }

    fn execute<'a>(&'a self, database: &'a SqliteScope, statements: Vec<Statement>) -> BoxFuture<'a, Result<Vec<Changes>, SqlError>> {
        let request = Request::Execute { file: database.absolute().to_owned(), statements };
        Box::pin(async {
            if !database.write() {
                return Err(SqlError::ReadOnly(work::GRANTED_FOR_READING.to_owned()));
            }
            match self.ask(request, None).await? {
                Answer::Changed(changes) => Ok(changes),
                _ => nonsense(),
            }
        })
    }

    fn copy<'a>(&'a self, database: &'a SqliteScope, target: &'a mut dyn CopyTarget) -> BoxFuture<'a, Result<u64, SqlError>> {
        let request = Request::Copy { file: database.absolute().to_owned(), undo: database.write(), scratch: self.scratch.clone() };
        Box::pin(async {
            match self.ask(request, Some(target)).await? {
                Answer::Copied(bytes) => Ok(bytes),
                _ => nonsense(),
            }
        })
    }
}

/// More statements than one transaction may have.
fn too_many(statements: usize) -> SqlError {
    SqlError::TooLarge(format!("{statements} statements are more than the {MAX_SQLITE_STATEMENTS} of one transaction"))
}

/// More bytes than there may be of something.
fn too_large(what: &str, most: usize) -> SqlError {
    SqlError::TooLarge(format!("{what} has more than {}", SizeText(most as u64)))
}
