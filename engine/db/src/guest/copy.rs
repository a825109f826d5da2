//! A copy of a live database: whole, and as it was at one moment.
//!
//! ```text
//!  source, one read transaction ── pages ──▶ scratch file without a name ── pieces ──▶ pipe
//! ```
//!
//! The transaction is held while pages are copied, so that what others commit
//! meanwhile neither mixes in nor begins the copy anew: behind a writer that
//! never rests, it would never end. With a write-ahead log nobody notices; with
//! a rollback journal, writers wait for it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::process::getppid;
use wardroom_core::sqlite::SqlError;
use wardroom_core::witness::HostFault;

use super::frame::PIECE;
use super::work::{Open, explain};

/// Pages copied between two looks at whether anybody still waits.
const PAGES: i32 = 1024;

/// Copies, and hands the copy's bytes out piece by piece.
pub(super) fn copy(
    file: &Path,
    undo: bool,
    scratch: &Path,
    mut piece: impl FnMut(Vec<u8>) -> std::io::Result<()>,
) -> Result<u64, SqlError> {
    let source = Open::reading(file, undo)?;
    // A transaction begins with the first look at a table.
    source.explained(|connection| Ok(connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?))?;
    let mut copy = pages(&source.connection, scratch)?;
    // Nobody needs to wait while the bytes travel.
    drop(source);
    let mut bytes = 0;
    copy.seek(SeekFrom::Start(0)).map_err(|error| unwritable(&error))?;
    loop {
        let mut next = Vec::new();
        let read = copy.by_ref().take(PIECE as u64).read_to_end(&mut next).map_err(|error| unwritable(&error))?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes += read as u64;
        piece(next).map_err(|error| unwritable(&error))?;
    }
}

/// The copy, in a file that has no name any more: whatever happens, it is gone
/// with its last descriptor.
fn pages(source: &Connection, scratch: &Path) -> Result<File, SqlError> {
    let (path, file) = reserve(scratch).map_err(|error| unwritable(&error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(&path, flags);
    std::fs::remove_file(&path).map_err(|error| unwritable(&error))?;
    let target = opened.and_then(|target| {
        // There is nothing to go back to, and nothing that has to survive.
        target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY")?;
        Ok(target)
    });
    let mut target = target.map_err(|error| explain(error, None))?;
    let backup = Backup::new(source, &mut target).map_err(|error| explain(error, None))?;
    let parent = getppid();
    loop {
        match backup.step(PAGES).map_err(|error| explain(error, None))? {
            StepResult::Done => break,
            StepResult::More if getppid() == parent => {}
            // The lock is held already; whoever waited for the copy is gone.
            _ => return Err(SqlError::Busy("the copy was interrupted".to_owned())),
        }
    }
    drop(backup);
    target.close().map_err(|(_, error)| explain(error, None))?;
    Ok(file)
}

/// A new file for its owner alone.
fn reserve(scratch: &Path) -> std::io::Result<(PathBuf, File)> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let path = scratch.join(format!("copy-{:016x}", u64::from_le_bytes(random)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

fn unwritable(error: &std::io::Error) -> SqlError {
    SqlError::Host(HostFault(format!("the copy cannot be kept while it is made: {error}")))
}
