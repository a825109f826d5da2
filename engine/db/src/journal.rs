//! Executions that are over, kept as lines of a file until they are filed in the
//! database, many in one transaction.
//!
//! ```text
//!  record ─▶ append: one write(2) to journal/PID-RANDOM.a ─▶ answered
//!                │
//!                ▼ FILE_AFTER later, or before executions are read
//!            one transaction for all lines ─▶ the file is emptied
//! ```
//!
//! A row of `executions` stands in half a dozen indexes, and a commit writes every
//! page that it touched, so that one row by itself costs more than a short run.
//! Many rows touch the same pages. A line survives what a commit survives that is
//! not synced: the death of the process, not that of the machine. So nothing is
//! kept here where the operator wants more ([`Durability`](crate::Durability)), and
//! nothing from which anything follows: a run of a task, or one that left state.
//!
//! There are two files, so that one takes lines while the other is filed. Their
//! process holds a lock on both (flock(2)) while it lives; what a dead one left is
//! filed by whoever reads executions next. Lines may be filed twice, and are kept
//! once: an attempt has one row.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::mem;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::DbError;
use crate::executions::Over;
use crate::writer::run;

/// How long a line waits to be filed with others.
pub(crate) const FILE_AFTER: Duration = Duration::from_millis(10);
/// Lines that wait at most; what comes then is written as anything else is.
const MAX_WAITING: usize = 1024;
/// Bytes of a line at most: a long record gains nothing by waiting for others.
const MAX_LINE: usize = 16 * 1024;
/// Tries to make a file that nobody takes for a dead process's.
const MAX_TRIES: usize = 16;
/// How long a reader waits for what living processes are about to file.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(1);
/// Where lines go that the database refuses, so that nothing is lost.
const REFUSED: &str = "refused";

/// The lines of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    /// Held while a line is written; never while the database is.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Made by the first line. The first of them takes lines, the other is filed.
    files: Option<[Lines; 2]>,
    /// What the first file holds.
    waiting: Vec<Over>,
    /// What the other holds, where filing it failed.
    unfiled: Vec<Over>,
    /// Some of it is being filed, and in neither of them.
    is_filing: bool,
}

/// A file of lines, locked.
#[derive(Debug)]
struct Lines {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Lines {
    fn make(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        for _ in 0..MAX_TRIES {
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
            file.lock()?;
            // Between the two, somebody may have found it empty, unlocked and so dead.
            if file.metadata()?.nlink() > 0 {
                return Ok(Self { file, path, bytes: 0 });
            }
        }
        Err(io::Error::other("others remove it each time"))
    }

    /// The whole line, or nothing of it.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write(line);
        if matches!(written, Ok(written) if written == line.len()) {
            self.bytes = self.bytes.saturating_add(line.len() as u64);
            return Ok(());
        }
        self.file.set_len(self.bytes)?;
        Err(written.err().unwrap_or_else(|| io::ErrorKind::StorageFull.into()))
    }

    fn empty(&mut self) {
        // Where this fails, its lines are filed once more some time, and kept once.
        if self.file.set_len(0).is_ok() {
            self.bytes = 0;
        }
    }
}

/// What became of a line.
pub(crate) enum Appended {
    /// It is the first that waits: somebody has to file it.
    First,
    /// It waits with others.
    Another,
    /// It is to be written as anything else is.
    Not(Over),
}

impl Journal {
    pub(crate) fn beside(database: &Path) -> Self {
        Self { folder: folder(database), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an execution that is over, durably.
    pub(crate) fn append(&self, over: Over) -> Appended {
        let Some(line) = line(&over).filter(|line| line.len() <= MAX_LINE) else { return Appended::Not(over) };
        let mut kept = self.kept();
        if kept.waiting.len() >= MAX_WAITING || !kept.unfiled.is_empty() {
            return Appended::Not(over);
        }
        if kept.files.is_none() {
            kept.files = make_files(&self.folder).ok();
        }
        let Some([taking, _]) = &mut kept.files else { return Appended::Not(over) };
        if taking.append(&line).is_err() {
            return Appended::Not(over);
        }
        kept.waiting.push(over);
        if kept.waiting.len() == 1 { Appended::First } else { Appended::Another }
    }

    /// Files all that waits. The caller holds the connection, and so nobody else
    /// files at the same time.
    pub(crate) fn file(&self, connection: &Connection) -> Result<(), DbError> {
        let unfiled = {
            let mut kept = self.kept();
            kept.is_filing = true;
            mem::take(&mut kept.unfiled)
        };
        let filed = self.file_both(connection, unfiled);
        self.kept().is_filing = false;
        filed
    }

    fn file_both(&self, connection: &Connection, unfiled: Vec<Over>) -> Result<(), DbError> {
        if !unfiled.is_empty() {
            self.file_those(connection, unfiled)?;
        }
        let fresh = {
            let mut kept = self.kept();
            if let Some([taking, other]) = &mut kept.files {
                mem::swap(taking, other);
            }
            mem::take(&mut kept.waiting)
        };
        if fresh.is_empty() { Ok(()) } else { self.file_those(connection, fresh) }
    }

    fn file_those(&self, connection: &Connection, lines: Vec<Over>) -> Result<(), DbError> {
        let filed = file_all(connection, &lines, &self.folder);
        let mut kept = self.kept();
        match &filed {
            Ok(()) => kept.files.iter_mut().for_each(|[_, other]| other.empty()),
            Err(_) => kept.unfiled = lines,
        }
        filed
    }

    /// Whether all of it is in the database.
    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.kept();
        kept.waiting.is_empty() && kept.unfiled.is_empty() && !kept.is_filing
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.is_empty() {
            // Without its lock it is a dead process's, and filed as such.
            return;
        }
        for Lines { path, .. } in self.kept().files.iter().flatten() {
            std::fs::remove_file(path).ok();
        }
    }
}

fn folder(database: &Path) -> PathBuf {
    database.with_file_name("journal")
}

fn line(over: &Over) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(over).ok()?;
    line.push(b'\n');
    Some(line)
}

fn make_files(folder: &Path) -> io::Result<[Lines; 2]> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A link would lead to where others may write.
    if !folder.symlink_metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let name = format!("{}-{:08x}", std::process::id(), getrandom::u32().map_err(io::Error::other)?);
    Ok([Lines::make(folder, &format!("{name}.a"))?, Lines::make(folder, &format!("{name}.b"))?])
}

/// In one transaction; where the database refuses one of them, each in its own,
/// and that one is set aside.
fn file_all(connection: &Connection, lines: &[Over], folder: &Path) -> Result<(), DbError> {
    match (transact(connection, lines), lines) {
        (Err(DbError::Sqlite(_)), [refused]) => set_aside(folder, refused),
        (Err(DbError::Sqlite(_)), lines) => lines.chunks(1).try_for_each(|one| file_all(connection, one, folder)),
        (filed, _) => filed,
    }
}

fn transact(connection: &Connection, lines: &[Over]) -> Result<(), DbError> {
    run(connection, "BEGIN IMMEDIATE")?;
    let filed = lines.iter().try_for_each(|over| match over.insert(connection) {
        // By whoever died before the file was emptied.
        Ok(_) | Err(DbError::DuplicateExecution { .. }) => Ok(()),
        Err(error) => Err(error),
    });
    filed.and_then(|()| run(connection, "COMMIT")).inspect_err(|_| {
        if !connection.is_autocommit() {
            run(connection, "ROLLBACK").ok();
        }
    })
}

fn set_aside(folder: &Path, refused: &Over) -> Result<(), DbError> {
    let path = folder.join(REFUSED);
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(NO_LINKS).open(&path);
    let written = open().and_then(|mut file| file.write_all(&line(refused).unwrap_or_default()));
    written.map_err(|error| DbError::file(&path, error))
}

/// `O_NOFOLLOW`.
const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// A file of a process that died.
struct Left {
    /// Locked: nobody else files it at the same time.
    file: File,
    path: PathBuf,
}

/// What processes left that died, ready to be filed.
pub(crate) struct LeftBehind {
    folder: PathBuf,
    files: Vec<Left>,
}

impl LeftBehind {
    /// Waits, briefly, for what living processes are about to file; `None` where
    /// nobody died with lines that were not filed.
    pub(crate) fn look(database: &Path) -> Option<Self> {
        let folder = folder(database);
        let mut files = Vec::new();
        let mut busy = Vec::new();
        for path in std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path()) {
            if path.file_name().is_none_or(|name| name == REFUSED) {
                continue;
            }
            let Ok(file) = OpenOptions::new().read(true).write(true).custom_flags(NO_LINKS).open(&path) else { continue };
            match file.try_lock() {
                Ok(()) => files.push(Left { file, path }),
                Err(TryLockError::WouldBlock) => busy.push(file),
                Err(TryLockError::Error(_)) => {}
            }
        }
        wait(busy);
        (!files.is_empty()).then_some(Self { folder, files })
    }

    /// Files all of it. What cannot be filed now stays for the next who looks.
    pub(crate) fn file(self, connection: &Connection) -> Result<(), DbError> {
        for Left { mut file, path } in self.files {
            let mut text = Vec::new();
            file.read_to_end(&mut text).map_err(|error| DbError::file(&path, error))?;
            // What is no line is the rest of one that was never answered.
            let lines: Vec<Over> = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
            if !lines.is_empty() {
                file_all(connection, &lines, &self.folder)?;
            }
            std::fs::remove_file(&path).ok();
        }
        Ok(())
    }
}

/// Until each of these files was seen empty: its lines of now are in the database.
/// Who is stopped, or has a full disk, is not waited for.
fn wait(mut busy: Vec<File>) {
    let until = Instant::now() + PATIENCE;
    loop {
        busy.retain(|file| file.metadata().is_ok_and(|meta| meta.len() > 0 && meta.nlink() > 0));
        if busy.is_empty() || Instant::now() >= until {
            return;
        }
        sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use wardroom_core::id::ExecutionId;

    use super::*;
    use crate::testing::{Home, add, ending, line as log_line, number, start, succeeded, terms};
    use crate::{Database, DbConfig, Durability, Ending, Filter, StartRow};

    /// Its second record is one that finds a writer.
    async fn warm(home: &Home) -> Database {
        let database = home.open();
        database.record(&start("s"), ending(&succeeded())).await.unwrap();
        database
    }

    async fn record(database: &Database) -> ExecutionId {
        let row = start("s");
        let outcome = succeeded();
        let end = Ending { lines: vec![log_line("a"), log_line("b")], ..ending(&outcome) };
        database.record(&row, end).await.unwrap();
        row.id
    }

    fn folder(home: &Home) -> PathBuf {
        home.0.path().join("journal")
    }

    fn files(home: &Home) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder(home)).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// All that waits, in whichever file.
    fn text(home: &Home) -> String {
        files(home).iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// How many rows there are, whatever waits.
    fn rows(database: &Database) -> i64 {
        number(database, "SELECT COUNT(*) FROM executions")
    }

    fn listed(database: &Database) -> Vec<ExecutionId> {
        let rows = database.list(&Filter { limit: u64::MAX, ..Filter::default() }).unwrap();
        rows.into_iter().map(|row| row.id).collect()
    }

    #[tokio::test]
    async fn what_is_over_waits_in_a_private_file_and_is_there_for_whoever_asks() {
        let home = Home::new();
        let database = warm(&home).await;
        let (one, two) = (record(&database).await, record(&database).await);
        let (waiting, filed) = (text(&home).lines().count(), usize::try_from(rows(&database)).unwrap());
        // The thread may have come before this.
        assert!(waiting + filed >= 3, "{waiting} {filed}");
        let modes = files(&home).iter().map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777).collect::<Vec<_>>();
        assert_eq!(modes, [0o600, 0o600]);
        assert_eq!(fs::metadata(folder(&home)).unwrap().permissions().mode() & 0o777, 0o700);
        let listed = listed(&database);
        assert!(listed.len() == 3 && listed.contains(&one) && listed.contains(&two));
        assert_eq!((text(&home), rows(&database)), (String::new(), 3));
        let texts: Vec<_> = database.lines(two, 1, 0, 9).unwrap().into_iter().map(|record| record.line.text).collect();
        assert_eq!(texts, ["a", "b"]);
        drop(database);
        assert_eq!(files(&home), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn what_waits_is_filed_by_itself() {
        let home = Home::new();
        let database = warm(&home).await;
        record(&database).await;
        let mut tries = 0;
        while rows(&database) < 2 && tries < 1000 {
            tries += 1;
            sleep(FILE_AFTER);
        }
        assert_eq!(rows(&database), 2);
    }

    #[tokio::test]
    async fn another_process_sees_what_is_about_to_be_filed() {
        let home = Home::new();
        let (one, other) = (warm(&home).await, home.open());
        for _ in 0..20 {
            let id = record(&one).await;
            assert!(listed(&other).contains(&id));
        }
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_filed_once_and_its_file_goes() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = record(&database).await;
        let left = serde_json::to_string(&over(&database, id)).unwrap();
        drop(database);
        fs::write(folder(&home).join("1-dead.a"), format!("{left}\n{left}\nno line\n{}", &left[..left.len() / 2])).unwrap();
        fs::write(folder(&home).join("1-dead.b"), "").unwrap();
        let before = home.open();
        assert_eq!(listed(&before).len(), 2);
        assert_eq!(files(&home), Vec::<PathBuf>::new());
        // Of a row that nobody has.
        let other = ExecutionId::fresh();
        fs::write(folder(&home).join("1-dead.a"), left.replace(&id.to_string(), &other.to_string()) + "\n").unwrap();
        assert!(listed(&before).contains(&other));
        assert_eq!(before.lines(other, 1, 0, 9).unwrap().len(), 2);
    }

    /// An execution as a line of the journal has it.
    fn over(database: &Database, id: ExecutionId) -> Over {
        let row = StartRow { id, ..start("s") };
        let outcome = succeeded();
        let end = Ending { lines: vec![log_line("a"), log_line("b")], ..ending(&outcome) };
        assert!(database.execution(id, None).unwrap().is_some());
        Over::encode(&row, end).unwrap()
    }

    #[tokio::test]
    async fn a_line_that_the_database_refuses_is_set_aside_and_holds_up_no_other() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = record(&database).await;
        let left = serde_json::to_string(&over(&database, id)).unwrap();
        let (good, bad) = (ExecutionId::fresh(), ExecutionId::fresh());
        let bad_line = left.replace(&id.to_string(), &bad.to_string()).replace("sha256:", "sha257-too-long:");
        let good_line = left.replace(&id.to_string(), &good.to_string());
        fs::write(folder(&home).join("1-dead.a"), format!("{bad_line}\n{good_line}\n")).unwrap();
        let listed = listed(&database);
        assert!(listed.contains(&good) && !listed.contains(&bad));
        let refused = fs::read_to_string(folder(&home).join(REFUSED)).unwrap();
        assert_eq!(refused, format!("{bad_line}\n"));
    }

    #[tokio::test]
    async fn what_is_written_later_comes_later() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = record(&database).await;
        database.start(&start("s")).await.unwrap();
        assert_eq!(rows(&database), 3, "{id}");
    }

    #[tokio::test]
    async fn what_something_follows_from_does_not_wait() {
        let home = Home::new();
        let database = warm(&home).await;
        let quick = succeeded();
        let mut keeps = succeeded();
        keeps.state_changes = vec![("k".to_owned(), Some("v".to_owned()))];
        let task = add(&database, terms("t")).await;
        let subject = task.id.subject();
        let rows_of = [
            (start("s"), ending(&keeps)),
            (StartRow { task: Some("t"), subject: &subject, ..start("s") }, ending(&quick)),
            (StartRow { attempt: 2, ..start("s") }, ending(&quick)),
            (start("s"), Ending { lines: vec![log_line(&"x".repeat(MAX_LINE))], ..ending(&quick) }),
        ];
        for (count, (row, end)) in (2..).zip(rows_of) {
            database.record(&row, end).await.unwrap();
            assert_eq!((rows(&database), text(&home)), (count, String::new()));
        }
    }

    #[tokio::test]
    async fn nothing_waits_where_a_commit_is_to_survive_the_machine() {
        let home = Home::new();
        let database = Database::open(home.0.path(), DbConfig { durability: Durability::Machine }).unwrap();
        for _ in 0..3 {
            record(&database).await;
        }
        assert_eq!(rows(&database), 3);
        assert!(!folder(&home).exists());
    }

    #[tokio::test]
    async fn where_there_can_be_no_journal_there_is_none() {
        let home = Home::new();
        let elsewhere = Home::new();
        std::os::unix::fs::symlink(elsewhere.0.path(), folder(&home)).unwrap();
        let database = warm(&home).await;
        record(&database).await;
        assert_eq!((rows(&database), fs::read_dir(elsewhere.0.path()).unwrap().count()), (2, 0));
    }
}
