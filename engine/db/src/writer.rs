//! The one thread of a process that writes, and how it groups commits.
//!
//! ```text
//!  write ─┐                       ┌─ savepoint: first  ─┐
//!  write ─┼─▶ queue ─▶ BEGIN IMMEDIATE ─ savepoint: …   ─┼─▶ COMMIT ─▶ every answer
//!  write ─┘                       └─ savepoint: last   ─┘
//! ```
//!
//! While one group is being committed the next one gathers, so that groups grow
//! with the load and a lone write never waits. Nobody is answered before the
//! commit.
//!
//! A group in which a write adds to the audit log holds the log's lock around
//! its transaction, and its commit is synced ([`audit`](crate::audit) says why).
//! Groups without one pay nothing for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::DbError;
use crate::audit::Ledger;
use crate::file::{DatabaseFile, Synced};

/// Writes in one transaction at most: bounds how long the first of them waits,
/// and how long other processes find the database locked.
const MAX_GROUP: usize = 256;
/// Bytes of write-ahead log that may stay behind at the end. Whoever opens the
/// database next reads them again; copying them into the database costs this
/// process two syncs, which one short run should not pay.
const MAX_LEFT_LOG: u64 = 512 * 1024;

/// The answer to a write, due once it is committed.
///
/// The write was queued when this was made, not when it is awaited, and happens
/// whether or not anybody waits.
#[derive(Debug)]
#[must_use = "a write that failed says so only here"]
pub struct Answer<T>(oneshot::Receiver<Result<T, DbError>>);

impl<T> Answer<T> {
    /// An answer that is known before anything was queued.
    pub(crate) fn known(result: Result<T, DbError>) -> Self {
        let (waiter, answer) = oneshot::channel();
        waiter.send(result).ok();
        Self(answer)
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, DbError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(DbError::WriterGone)))
    }
}

/// What a write did, so that its audit events are recorded only with a change.
pub(crate) trait Effect {
    /// Whether anything changed.
    fn is_change(&self) -> bool;
}

impl Effect for () {
    fn is_change(&self) -> bool {
        true
    }
}

/// The thread, and the queue into it. Dropping it waits until the queue is
/// empty and everything committed.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` only while it is dropped: closing the queue ends the thread.
    queue: Option<Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(file: DatabaseFile) -> Result<Self, DbError> {
        let (queue, work) = mpsc::channel();
        let thread = thread::Builder::new().name("db-writer".to_owned());
        let thread = thread.spawn(move || serve(&file, &work));
        let thread = thread.map_err(|error| DbError::WriterStart(Arc::new(error)))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a write. It may be tried more than once, each time from nothing.
    pub(crate) fn write<T, F>(&self, write: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        self.queue(false, move |connection, _| write(connection))
    }

    /// Queues a write that adds to the audit log. It may be tried more than
    /// once, each time from nothing.
    pub(crate) fn write_audited<T, F>(&self, write: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Connection, &mut Ledger) -> Result<T, DbError> + Send + 'static,
    {
        // Its group has a ledger, because it says that it is audited.
        self.queue(true, move |connection, ledger| write(connection, ledger.ok_or(DbError::WriterGone)?))
    }

    fn queue<T, F>(&self, is_audited: bool, write: F) -> Answer<T>
    where
        T: Send + 'static,
        F: Fn(&Connection, Option<&mut Ledger>) -> Result<T, DbError> + Send + 'static,
    {
        let (waiter, answer) = oneshot::channel();
        let work = Box::new(Pending { is_audited, write, result: Err(DbError::WriterGone), waiter });
        // A queue without a reader drops the work, and with it the waiter, which
        // the answer reports as `WriterGone`.
        if let Some(queue) = &self.queue {
            queue.send(work).ok();
        }
        Answer(answer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// A write in the queue, whatever its answer's type.
trait Work: Send {
    /// Whether it adds to the audit log.
    fn is_audited(&self) -> bool;
    /// Does it, inside a transaction that is not committed yet.
    fn attempt(&mut self, connection: &Connection, ledger: Option<&mut Ledger>) -> Result<(), DbError>;
    /// Something around it failed.
    fn fail(&mut self, error: DbError);
    /// Tells the waiter, after the commit.
    fn answer(self: Box<Self>);
}

struct Pending<T, F> {
    is_audited: bool,
    write: F,
    result: Result<T, DbError>,
    waiter: oneshot::Sender<Result<T, DbError>>,
}

impl<T, F> Work for Pending<T, F>
where
    T: Send,
    F: Fn(&Connection, Option<&mut Ledger>) -> Result<T, DbError> + Send,
{
    fn is_audited(&self) -> bool {
        self.is_audited
    }

    fn attempt(&mut self, connection: &Connection, ledger: Option<&mut Ledger>) -> Result<(), DbError> {
        self.result = (self.write)(connection, ledger);
        self.result.as_ref().map(drop).map_err(Clone::clone)
    }

    fn fail(&mut self, error: DbError) {
        self.result = Err(error);
    }

    fn answer(self: Box<Self>) {
        // Nobody may be waiting any more; the write happened all the same.
        self.waiter.send(self.result).ok();
    }
}

/// Lives until the queue is closed and empty. Where the database cannot be
/// opened, this group fails and the next one tries again.
fn serve(file: &DatabaseFile, queue: &Receiver<Box<dyn Work>>) {
    let mut connection = None;
    let mut audited = false;
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter().take(MAX_GROUP - 1));
        audited |= group.iter().any(|work| work.is_audited());
        match open(&mut connection, file) {
            Ok(connection) => commit(file, connection, &mut group),
            Err(error) => group.iter_mut().for_each(|work| work.fail(error.clone())),
        }
        group.into_iter().for_each(Work::answer);
    }
    if let Some(connection) = connection {
        // A value that was replaced or removed lies in the log and in the pages it
        // freed until the log is copied and cut: then it is gone.
        if audited {
            file.cut_log(&connection);
        }
        file.leave(connection, MAX_LEFT_LOG);
    }
}

fn open<'a>(connection: &'a mut Option<Connection>, file: &DatabaseFile) -> Result<&'a Connection, DbError> {
    match connection {
        Some(connection) => Ok(connection),
        None => Ok(connection.insert(file.writer()?)),
    }
}

/// How committing a group went wrong as a whole.
enum Setback {
    /// There was no transaction: another process holds the lock.
    NotBegun(DbError),
    /// The transaction is gone, with everything in it.
    Lost(DbError),
}

/// Commits a group; one that is lost as a whole is tried again write by write,
/// so that only those fail that must.
fn commit(file: &DatabaseFile, connection: &Connection, group: &mut [Box<dyn Work>]) {
    match (commit_together(file, connection, group), group) {
        (Ok(()), _) => {}
        (Err(Setback::Lost(error)), [only]) => only.fail(error),
        (Err(Setback::NotBegun(error)), group) => group.iter_mut().for_each(|work| work.fail(error.clone())),
        (Err(Setback::Lost(_)), group) => group.chunks_mut(1).for_each(|work| commit(file, connection, work)),
    }
}

fn commit_together(file: &DatabaseFile, connection: &Connection, group: &mut [Box<dyn Work>]) -> Result<(), Setback> {
    if group.iter().any(|work| work.is_audited()) {
        let mut ledger = Ledger::lock(&file.audit_key());
        let _synced = Synced::begin(file, connection).map_err(Setback::NotBegun)?;
        transact(connection, group, Some(&mut ledger))?;
        ledger.place();
        Ok(())
    } else {
        transact(connection, group, None)
    }
}

fn transact(connection: &Connection, group: &mut [Box<dyn Work>], mut ledger: Option<&mut Ledger>) -> Result<(), Setback> {
    run(connection, "BEGIN IMMEDIATE").map_err(Setback::NotBegun)?;
    let attempted = attempt_each(connection, group, ledger.as_deref_mut());
    let staged = attempted.and_then(|()| ledger.map_or(Ok(()), |ledger| ledger.stage(connection)));
    staged.and_then(|()| run(connection, "COMMIT")).map_err(|error| {
        // A failed COMMIT leaves the transaction open, a lost one is closed.
        if !connection.is_autocommit() {
            run(connection, "ROLLBACK").ok();
        }
        Setback::Lost(error)
    })
}

/// Fails only where the transaction itself is lost: on a full disk, or a failing
/// one, SQLite rolls back all of it (<https://www.sqlite.org/lang_transaction.html>).
fn attempt_each(connection: &Connection, group: &mut [Box<dyn Work>], mut ledger: Option<&mut Ledger>) -> Result<(), DbError> {
    for work in group {
        run(connection, "SAVEPOINT member")?;
        if let Err(error) = work.attempt(connection, ledger.as_deref_mut()) {
            if connection.is_autocommit() {
                return Err(error);
            }
            run(connection, "ROLLBACK TO member")?;
            // What it appended took neither a number nor a key.
            ledger.iter_mut().for_each(|ledger| ledger.forget());
        }
        run(connection, "RELEASE member")?;
    }
    Ok(())
}

/// A statement without values, parsed once per connection.
pub(crate) fn run(connection: &Connection, sql: &str) -> Result<(), DbError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::file::DbConfig;

    /// A writer that is held inside a first write until the barrier is met
    /// (again), so that everything queued meanwhile is one group.
    struct Held {
        writer: Writer,
        barrier: Arc<Barrier>,
        file: DatabaseFile,
        _home: tempfile::TempDir,
    }

    fn held() -> Held {
        let home = tempfile::tempdir().unwrap();
        let file = DatabaseFile::locate(home.path(), DbConfig::default()).unwrap();
        let writer = Writer::start(file.clone()).unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let met = Arc::clone(&barrier);
        drop(writer.write(move |_| {
            met.wait();
            met.wait();
            Ok(())
        }));
        // It is a group of its own, and has begun.
        barrier.wait();
        Held { writer, barrier, file, _home: home }
    }

    fn put(key: &'static str, bytes: usize) -> impl Fn(&Connection) -> Result<(), DbError> + Send {
        move |connection| {
            let sql = "INSERT INTO state (subject, key, value) VALUES ('s', ?, ?)";
            connection.prepare_cached(sql)?.execute((key, "x".repeat(bytes)))?;
            Ok(())
        }
    }

    fn keys(file: &DatabaseFile) -> Vec<String> {
        let connection = file.reader().unwrap();
        let mut statement = connection.prepare("SELECT key FROM state ORDER BY key").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn rows(connection: &Connection) -> Result<i64, DbError> {
        Ok(connection.query_row("SELECT COUNT(*) FROM state", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_failing_write_spoils_no_other_of_its_group() {
        let held = held();
        let good = held.writer.write(put("a", 1));
        let bad = held.writer.write(|connection: &Connection| {
            put("half", 1)(connection)?;
            put("a", 1)(connection)
        });
        let other = held.writer.write(put("b", 1));
        held.barrier.wait();
        assert!(good.await.is_ok());
        assert!(matches!(bad.await, Err(DbError::Sqlite(_))));
        assert!(other.await.is_ok());
        assert_eq!(keys(&held.file), ["a", "b"]);
    }

    #[tokio::test]
    async fn writes_of_one_group_see_each_other() {
        let held = held();
        let first = held.writer.write(put("a", 1));
        let seen = held.writer.write(rows);
        held.barrier.wait();
        assert!(first.await.is_ok());
        assert_eq!(seen.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_full_disk_fails_only_what_does_not_fit() {
        let held = held();
        let ceiling = held.writer.write(|connection: &Connection| {
            let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let most: u32 = connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 4), [], |row| row.get(0))?;
            Ok((pages, most))
        });
        let small = held.writer.write(put("small", 1));
        let large = held.writer.write(put("large", 1_000_000));
        let other = held.writer.write(put("other", 1));
        held.barrier.wait();
        let (pages, most) = ceiling.await.unwrap();
        assert_eq!(most, pages + 4);
        assert!(small.await.is_ok());
        assert!(matches!(large.await, Err(DbError::Full(_))));
        assert!(other.await.is_ok());
        assert_eq!(keys(&held.file), ["other", "small"]);
    }

    #[tokio::test]
    async fn writes_that_nobody_waits_for_are_committed_before_the_drop_returns() {
        let held = held();
        for key in ["a", "b", "c"] {
            drop(held.writer.write(put(key, 1)));
        }
        held.barrier.wait();
        drop(held.writer);
        assert_eq!(keys(&held.file), ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn a_database_that_went_away_fails_writes_and_serves_again_when_it_is_back() {
        let home = tempfile::tempdir().unwrap();
        let file = DatabaseFile::locate(home.path(), DbConfig::default()).unwrap();
        let (here, away) = (home.path().join("wardroom.db"), home.path().join("away"));
        let writer = Writer::start(file).unwrap();
        std::fs::rename(&here, &away).unwrap();
        assert!(matches!(writer.write(put("a", 1)).await, Err(DbError::Inaccessible(_))));
        std::fs::rename(&away, &here).unwrap();
        assert!(writer.write(put("a", 1)).await.is_ok());
    }
}
