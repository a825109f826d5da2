//! The one connection of a process that writes, its thread, and how commits are
//! grouped.
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
//! A short write that is alone needs no thread: whoever calls it commits it
//! ([`Desk::at_once`]), which saves waking two threads for microseconds of work.
//! Whatever stands in the way, or goes wrong, is left to the thread: it alone
//! waits for other processes and copies the log into the database.
//!
//! A run that is over and from which nothing follows is not even that: it waits in
//! the [`journal`](crate::journal), durably, and the thread files many of them in one
//! transaction.
//!
//! A group in which a write adds to the audit log holds the log's lock around
//! its transaction, and its commit is synced ([`audit`](crate::audit) says why).
//! Groups without one pay nothing for it.

use std::future::Future;
use std::iter;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::DbError;
use crate::audit::Ledger;
use crate::entry::Entry;
use crate::file::{BUSY_TIMEOUT, DatabaseFile, Synced};
use crate::journal::{Appended, FILE_AFTER, Journal, Others};

/// Writes in one transaction at most: bounds how long the first of them waits,
/// and how long other processes find the database locked.
const MAX_GROUP: usize = 256;
/// How long a reader waits for its turn to have the journal filed.
const READERS_PATIENCE: Duration = Duration::from_millis(500);
/// How long whoever files the journal waits for another process's write.
const FILING_PATIENCE: Duration = Duration::from_millis(500);
/// How often a reader looks whether it is its turn.
const LOOK: Duration = Duration::from_micros(200);
/// How long until a journal is filed again that could not be.
const FILE_AGAIN: Duration = Duration::from_secs(1);
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

/// The writing connection, which the thread and short writes share.
#[derive(Debug)]
pub(crate) struct Desk {
    file: DatabaseFile,
    journal: Journal,
    /// Opened by the thread. Held while something is committed; never across an
    /// await.
    connection: Mutex<Option<Connection>>,
    /// Writes that are in the queue, or being committed by the thread.
    waiting: AtomicUsize,
    /// Several writes came together last: one commit for them costs less than
    /// one for each.
    grouped: AtomicBool,
    /// Told of every commit.
    stirred: Arc<AtomicBool>,
    /// The write-ahead log is long enough to be copied into the database.
    long_log: Arc<AtomicBool>,
}

impl Desk {
    /// Does a write on the calling thread, where nothing has to be waited for;
    /// `None`: it is for the queue. What was queued before is committed before.
    pub(crate) fn at_once<T>(&self, write: impl Fn(&Connection) -> Result<T, DbError>) -> Option<T> {
        let in_the_way = self.file.syncs() || self.grouped.load(Ordering::Relaxed) || self.long_log.load(Ordering::Relaxed);
        if in_the_way || self.waiting.load(Ordering::Acquire) > 0 || !self.journal.is_empty() {
            return None;
        }
        let connection = self.connection.try_lock().ok()?;
        let connection = connection.as_ref().filter(|connection| connection.is_autocommit())?;
        let _patience = Patience::of(connection, Duration::ZERO)?;
        run(connection, "BEGIN IMMEDIATE").ok()?;
        let written = write(connection).and_then(|value| run(connection, "COMMIT").map(|()| value));
        if !connection.is_autocommit() {
            run(connection, "ROLLBACK").ok();
        }
        self.stirred.store(true, Ordering::Release);
        written.ok()
    }

    /// Keeps an execution that is over until it is filed; not where a commit is
    /// to survive the death of the machine.
    pub(crate) fn append(&self, over: &Entry) -> Appended {
        if self.file.syncs() { Appended::Not } else { self.journal.append(over) }
    }

    /// Files what waits in the journal, before anything else is written.
    fn file_journal(&self, connection: &Connection) -> Result<(), DbError> {
        if self.journal.is_empty() {
            return Ok(());
        }
        self.journal.file(connection)?;
        self.shorten_log(connection);
        Ok(())
    }

    /// The same, by itself; answers whether it is done. It can wait for its turn, and
    /// holds up nobody while another process writes.
    fn file_alone(&self) -> bool {
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.journal.is_empty() {
            return true;
        }
        let Ok(connection) = self.open(&mut kept) else { return false };
        let _patience = Patience::of(connection, FILING_PATIENCE);
        self.file_journal(connection).is_ok()
    }

    /// The same, for one who wants to read, and what lies in other processes' files.
    /// Without this process's own, what it answered would seem not to be; without
    /// theirs, one reads what there is.
    pub(crate) fn file_to_read(&self, others: Option<Others>) -> Result<(), DbError> {
        if self.journal.is_empty() && others.is_none() {
            return Ok(());
        }
        let until = Instant::now() + READERS_PATIENCE;
        let mut kept = loop {
            match self.connection.try_lock() {
                Ok(kept) => break kept,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                // Somebody commits, or waits until another process did.
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) if self.journal.is_empty() => return Ok(()),
                Err(TryLockError::WouldBlock) => return Err(DbError::JournalBusy),
            }
        };
        let connection = match self.open(&mut kept) {
            Err(_) if self.journal.is_empty() => return Ok(()),
            connection => connection?,
        };
        let _patience = Patience::of(connection, FILING_PATIENCE);
        self.file_journal(connection)?;
        if let Some(others) = others {
            others.file(connection);
        }
        Ok(())
    }

    /// This process's own files.
    pub(crate) fn journal_names(&self) -> Vec<PathBuf> {
        self.journal.names()
    }

    /// The connection, opened where there is none.
    fn open<'a>(&self, connection: &'a mut Option<Connection>) -> Result<&'a Connection, DbError> {
        // Somebody left it within a transaction: their bug ends with theirs.
        if connection.as_ref().is_some_and(|connection| !connection.is_autocommit()) {
            connection.take();
        }
        match connection {
            Some(connection) => Ok(connection),
            None => Ok(connection.insert(self.file.writer(self.long_log.clone())?)),
        }
    }

    /// Copies the log into the database, where it is long.
    fn shorten_log(&self, connection: &Connection) {
        if self.long_log.swap(false, Ordering::Relaxed) {
            self.file.copy_log(connection);
        }
    }
}

/// While it lives, the connection waits no longer than this for other processes.
struct Patience<'a>(&'a Connection);

impl<'a> Patience<'a> {
    fn of(connection: &'a Connection, patience: Duration) -> Option<Self> {
        connection.busy_timeout(patience).ok().map(|()| Self(connection))
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        // It only stores a number.
        self.0.busy_timeout(BUSY_TIMEOUT).ok();
    }
}

/// The thread, and the queue into it. Dropping it waits until the queue is
/// empty and everything committed.
#[derive(Debug)]
pub(crate) struct Writer {
    desk: Arc<Desk>,
    /// `None` only while it is dropped: closing the queue ends the thread.
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(file: DatabaseFile, stirred: Arc<AtomicBool>) -> Result<Self, DbError> {
        let (queue, work) = mpsc::channel();
        let (connection, waiting, grouped, long_log) = Default::default();
        let journal = Journal::beside(file.path());
        let desk = Arc::new(Desk { file, journal, connection, waiting, grouped, stirred, long_log });
        let thread = thread::Builder::new().name("db-writer".to_owned());
        let own = desk.clone();
        let thread = thread.spawn(move || serve(&own, &work));
        let thread = thread.map_err(|error| DbError::WriterStart(Arc::new(error)))?;
        Ok(Self { desk, queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) const fn desk(&self) -> &Arc<Desk> {
        &self.desk
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
            self.desk.waiting.fetch_add(1, Ordering::AcqRel);
            queue.send(Job::Write(work)).ok();
        }
        Answer(answer)
    }

    /// Has the journal filed, when some more has come.
    pub(crate) fn file_later(&self) {
        if let Some(queue) = &self.queue {
            queue.send(Job::File).ok();
        }
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

/// What the thread is to do.
enum Job {
    Write(Box<dyn Work>),
    /// File the journal, a moment from now.
    File,
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
fn serve(desk: &Desk, queue: &Receiver<Job>) {
    let mut audited = false;
    // When the journal is to be filed, where something waits in it.
    let mut due: Option<Instant> = None;
    loop {
        let first = match due {
            None => queue.recv().map_err(RecvTimeoutError::from),
            Some(due) => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        let mut group = Vec::new();
        match first {
            Ok(first) => {
                for job in iter::once(first).chain(queue.try_iter().take(MAX_GROUP - 1)) {
                    match job {
                        Job::Write(work) => group.push(work),
                        Job::File => due = due.or_else(|| Some(Instant::now() + FILE_AFTER)),
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if !group.is_empty() {
            audited |= group.iter().any(|work| work.is_audited());
            // What was recorded before is in the database before.
            if commit_group(desk, group) {
                due = None;
            }
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            // Where it fails it is tried again.
            due = (!desk.file_alone()).then(|| Instant::now() + FILE_AGAIN);
        }
    }
    // What cannot be filed now is found in its file.
    desk.file_alone();
    let left = desk.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(connection) = left {
        let file = &desk.file;
        // A value that was replaced or removed lies in the log and in the pages it
        // freed until the log is copied and cut: then it is gone.
        if audited {
            file.cut_log(&connection);
        }
        file.leave(connection, MAX_LEFT_LOG);
    }
}

/// Commits the journal and then a group; answers whether the journal was filed.
fn commit_group(desk: &Desk, mut group: Vec<Box<dyn Work>>) -> bool {
    let mut kept = desk.connection.lock().unwrap_or_else(PoisonError::into_inner);
    let count = group.len();
    let mut is_filed = false;
    match desk.open(&mut kept) {
        Ok(connection) => {
            {
                let _patience = Patience::of(connection, FILING_PATIENCE);
                is_filed = desk.file_journal(connection).is_ok();
            }
            commit(&desk.file, connection, &mut group);
            desk.stirred.store(true, Ordering::Release);
            group.into_iter().for_each(Work::answer);
            desk.shorten_log(connection);
        }
        Err(error) => group.into_iter().for_each(|mut work| {
            work.fail(error.clone());
            work.answer();
        }),
    }
    desk.grouped.store(count > 1, Ordering::Relaxed);
    desk.waiting.fetch_sub(count, Ordering::AcqRel);
    is_filed
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
        let writer = Writer::start(file.clone(), Arc::default()).unwrap();
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

    /// A writer that has written once, and has nothing to do.
    async fn idle() -> (Writer, DatabaseFile, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let file = DatabaseFile::locate(home.path(), DbConfig::default()).unwrap();
        let writer = Writer::start(file.clone(), Arc::default()).unwrap();
        writer.write(put("first", 1)).await.unwrap();
        while writer.desk.waiting.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        (writer, file, home)
    }

    #[tokio::test]
    async fn a_short_write_that_is_alone_is_committed_by_its_caller() {
        let (writer, file, _home) = idle().await;
        assert_eq!(writer.desk.at_once(put("a", 1)), Some(()));
        assert_eq!(keys(&file), ["a", "first"]);
        // What fails leaves nothing, and is for the thread to say.
        assert_eq!(writer.desk.at_once(put("a", 1)), None);
        assert!(matches!(writer.write(put("a", 1)).await, Err(DbError::Sqlite(_))));
        let half = |connection: &Connection| put("half", 1)(connection).and_then(|()| put("a", 1)(connection));
        assert_eq!(writer.desk.at_once(half), None);
        assert_eq!(keys(&file), ["a", "first"]);
    }

    #[tokio::test]
    async fn a_short_write_waits_for_nobody_and_overtakes_nobody() {
        let (writer, file, _home) = idle().await;
        let other = file.writer(Arc::default()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(writer.desk.at_once(put("a", 1)), None, "another process writes");
        let queued = writer.write(put("b", 1));
        assert_eq!(writer.desk.at_once(put("a", 1)), None, "one was queued before it");
        other.execute_batch("COMMIT").unwrap();
        queued.await.unwrap();
        assert_eq!(keys(&file), ["b", "first"]);
        let synced = DatabaseFile::locate(_home.path(), DbConfig { durability: crate::Durability::Machine }).unwrap();
        let writer = Writer::start(synced, Arc::default()).unwrap();
        writer.write(put("c", 1)).await.unwrap();
        while writer.desk.waiting.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        assert_eq!(writer.desk.at_once(put("d", 1)), None, "its commit would wait for the disk");
    }

    #[tokio::test]
    async fn a_panic_within_a_short_write_costs_nothing_but_that_write() {
        let (writer, file, _home) = idle().await;
        let desk = writer.desk.clone();
        let panicked = std::thread::spawn(move || {
            desk.at_once(|connection| -> Result<(), DbError> {
                put("half", 1)(connection)?;
                panic!("a bug");
            })
        });
        assert!(panicked.join().is_err());
        assert_eq!(writer.desk.at_once(put("a", 1)), None);
        writer.write(put("b", 1)).await.unwrap();
        assert_eq!(keys(&file), ["b", "first"]);
    }

    #[tokio::test]
    async fn a_log_that_became_long_is_copied_whoever_made_it_so() {
        let (writer, _, home) = idle().await;
        let size = || std::fs::metadata(home.path().join("wardroom.db")).unwrap().len();
        let before = size();
        // Twenty mebibytes: more than the log's length that is copied.
        for key in ["a", "b", "c", "d", "e"] {
            if writer.desk.at_once(put(key, 4 << 20)).is_none() {
                writer.write(put(key, 4 << 20)).await.unwrap();
            }
        }
        writer.write(put("last", 1)).await.unwrap();
        drop(writer.write(put("after", 1)).await);
        assert!(size() >= before + (16 << 20), "{before} and then {}", size());
    }

    #[tokio::test]
    async fn a_database_that_went_away_fails_writes_and_serves_again_when_it_is_back() {
        let home = tempfile::tempdir().unwrap();
        let file = DatabaseFile::locate(home.path(), DbConfig::default()).unwrap();
        let (here, away) = (home.path().join("wardroom.db"), home.path().join("away"));
        let writer = Writer::start(file, Arc::default()).unwrap();
        std::fs::rename(&here, &away).unwrap();
        assert!(matches!(writer.write(put("a", 1)).await, Err(DbError::Inaccessible(_))));
        std::fs::rename(&away, &here).unwrap();
        assert!(writer.write(put("a", 1)).await.is_ok());
    }
}
