//! Executions that are over, kept as entries of a file until they are filed in the
//! database, many in one transaction.
//!
//! ```text
//!  record ─▶ append: one pwrite(2) to journal/PID-RANDOM.a ─▶ answered
//!                │
//!                ▼ FILE_AFTER later, or before executions are read
//!            one transaction for all entries ─▶ the file is emptied: zeros, from its
//!                                               beginning on
//! ```
//!
//! A row of `executions` stands in half a dozen indexes, and a commit writes every
//! page that it touched, so that one row by itself costs more than a short run.
//! Many rows touch the same pages. An entry survives what a commit survives that is
//! not synced: the death of the process, not that of the machine. So nothing is
//! kept here where the operator wants more ([`Durability`](crate::Durability)), and
//! nothing from which anything follows: a run of a task, or one that left state.
//!
//! There are two files, so that one takes entries while the other is filed. Their
//! process holds a lock on both (flock(2)) while it lives, and it alone empties them
//! then; whoever reads executions files what lies in any of them, and removes those
//! of the dead. Entries may be filed twice and are kept once: an attempt has one row.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::mem;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;

use crate::DbError;
use crate::entry::{Entry, found, read};
use crate::executions::Over;
use crate::writer::run;

/// How long an entry waits to be filed with others. With longer, each transaction has
/// more of them, and whoever runs beside it waits longer for the processor.
pub(crate) const FILE_AFTER: Duration = Duration::from_millis(3);
/// Bytes of a file at most; what comes then is written as anything else is.
const MAX_FILE: u64 = 1024 * 1024;
/// Tries to make a file that nobody looks at before it is locked.
const MAX_TRIES: usize = 16;
/// How the two files of a process end.
const ENDINGS: [&str; 2] = ["a", "b"];
/// Where entries go that cannot be filed, so that nothing is lost: as lines of JSON.
const REFUSED: &str = "refused";
/// Bytes of an emptied file that stay its own: taking fresh ones for each entry costs
/// as much as writing it.
const ROOM: u64 = 256 * 1024;
/// Bytes of memory that are kept for the next entries.
const KEPT: usize = 256 * 1024;
/// What an emptied file holds.
static NOTHING: [u8; 16 * 1024] = [0; 16 * 1024];

/// The entries of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    /// Held while an entry is written; never while the database is.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: Files,
    /// What the first file holds.
    waiting: Vec<u8>,
    /// What the other holds, where filing it failed.
    unfiled: Vec<u8>,
    /// Some of it is being filed, and in neither of them.
    is_filing: bool,
    /// Its place is for what waits next.
    spare: Vec<u8>,
}

#[derive(Debug, Default)]
enum Files {
    /// Nobody needed them yet.
    #[default]
    None,
    /// The first of them takes entries, the other is filed.
    Some([Entries; 2]),
    /// They could not be made, and are not tried for again.
    Never,
}

/// A file of entries, locked. After them it holds nothing but zeros.
#[derive(Debug)]
struct Entries {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// After them it does hold something, which could not be taken away.
    is_torn: bool,
}

impl Entries {
    /// Under a name of its own, which nobody had before: whoever found a file under
    /// it, unlocked and empty, may still remove that.
    fn make(folder: &Path, ending: &str) -> io::Result<Self> {
        for _ in 0..MAX_TRIES {
            let name = format!("{}-{:016x}.{ending}", std::process::id(), getrandom::u64().map_err(io::Error::other)?);
            let path = folder.join(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            match file.try_lock() {
                Ok(()) if file.metadata()?.nlink() > 0 => return Ok(Self { file, path, bytes: 0, is_torn: false }),
                // Whoever looks at it just now removes it.
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                // There are no locks here, and so no journal.
                Err(TryLockError::Error(error)) => {
                    std::fs::remove_file(&path).ok();
                    return Err(error);
                }
            }
        }
        Err(io::Error::other("others remove it each time"))
    }

    /// The whole entry, or nothing of it.
    fn append(&mut self, entry: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.is_torn = false;
        }
        let written = self.file.write_at(entry, self.bytes);
        if matches!(written, Ok(written) if written == entry.len()) {
            self.bytes = self.bytes.saturating_add(entry.len() as u64);
            return Ok(());
        }
        self.is_torn = self.file.set_len(self.bytes).is_err();
        Err(written.err().unwrap_or_else(|| io::ErrorKind::StorageFull.into()))
    }

    /// Where it cannot be done, the entries may be filed once more, and are kept once.
    fn empty(&mut self) {
        let emptied = if self.bytes <= ROOM && !self.is_torn { self.blank() } else { self.file.set_len(0) };
        self.is_torn = emptied.or_else(|_| self.file.set_len(0)).is_err();
        self.bytes = 0;
    }

    /// From its beginning on: whoever finds it half done finds no entry.
    fn blank(&self) -> io::Result<()> {
        let mut done = 0;
        while done < self.bytes {
            let left = usize::try_from(self.bytes.saturating_sub(done)).unwrap_or(usize::MAX);
            let nothing = NOTHING.get(..left).unwrap_or(&NOTHING);
            self.file.write_all_at(nothing, done)?;
            done = done.saturating_add(nothing.len() as u64);
        }
        Ok(())
    }
}

/// What became of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It is the first that waits: somebody has to file it.
    First,
    /// It waits with others.
    Another,
    /// It is to be written as anything else is.
    Not,
}

impl Journal {
    pub(crate) fn beside(database: &Path) -> Self {
        Self { folder: folder(database), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an execution that is over, durably.
    pub(crate) fn append(&self, entry: &Entry) -> Appended {
        let Some(entry) = entry.bytes() else { return Appended::Not };
        let mut kept = self.kept();
        if !kept.unfiled.is_empty() {
            return Appended::Not;
        }
        if matches!(kept.files, Files::None) {
            kept.files = make_files(&self.folder).map_or(Files::Never, Files::Some);
        }
        let Kept { files: Files::Some([taking, _]), waiting, .. } = &mut *kept else { return Appended::Not };
        if taking.bytes.saturating_add(entry.len() as u64) > MAX_FILE || taking.append(entry).is_err() {
            return Appended::Not;
        }
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(entry);
        if is_first { Appended::First } else { Appended::Another }
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

    fn file_both(&self, connection: &Connection, unfiled: Vec<u8>) -> Result<(), DbError> {
        if !unfiled.is_empty() {
            self.file_those(connection, unfiled)?;
        }
        let fresh = {
            let mut kept = self.kept();
            let kept = &mut *kept;
            if let Files::Some([taking, other]) = &mut kept.files {
                mem::swap(taking, other);
            }
            mem::replace(&mut kept.waiting, mem::take(&mut kept.spare))
        };
        if fresh.is_empty() { Ok(()) } else { self.file_those(connection, fresh) }
    }

    /// Where some of it cannot be filed now, all of it is tried again: what was filed
    /// is kept once.
    fn file_those(&self, connection: &Connection, mut bytes: Vec<u8>) -> Result<(), DbError> {
        let filed = file_all(connection, &bytes).and_then(|aside| set_aside(&self.folder, &aside));
        let mut kept = self.kept();
        if filed.is_err() {
            kept.unfiled = bytes;
            return filed;
        }
        if let Files::Some([_, other]) = &mut kept.files {
            other.empty();
        }
        bytes.clear();
        bytes.shrink_to(KEPT);
        kept.spare = bytes;
        Ok(())
    }

    /// Whether all of it is in the database.
    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.kept();
        kept.waiting.is_empty() && kept.unfiled.is_empty() && !kept.is_filing
    }

    /// Its files' own names.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        match &self.kept().files {
            Files::Some(files) => files.iter().map(|entries| entries.path.clone()).collect(),
            Files::None | Files::Never => Vec::new(),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.is_empty() {
            // Without its lock it is a dead process's, and filed as such.
            return;
        }
        for path in self.names() {
            std::fs::remove_file(path).ok();
        }
    }
}

fn folder(database: &Path) -> PathBuf {
    database.with_file_name("journal")
}

/// Where executions lie that could not be filed, if there are any.
pub(crate) fn refused(database: &Path) -> Option<PathBuf> {
    Some(folder(database).join(REFUSED)).filter(|path| path.metadata().is_ok_and(|meta| meta.len() > 0))
}

fn make_files(folder: &Path) -> io::Result<[Entries; 2]> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A link would lead to where others may write.
    if !folder.symlink_metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let [one, other] = ENDINGS;
    let one = Entries::make(folder, one)?;
    let other = Entries::make(folder, other).inspect_err(|_| drop(std::fs::remove_file(&one.path)))?;
    Ok([one, other])
}

/// Files the entries among these bytes in one transaction; where the database refuses
/// one of them, each in its own. Answers what is to be set aside then, as lines.
fn file_all(connection: &Connection, bytes: &[u8]) -> Result<Vec<u8>, DbError> {
    let (mut aside, mut unreadable) = (Vec::new(), Vec::new());
    let readable = found(bytes).filter_map(|found| found.map_err(|bytes| unreadable.push(bytes)).ok());
    match transact(connection, readable) {
        Err(error) if error.is_refusal() => {}
        filed => {
            filed?;
            unreadable.iter().try_for_each(|bytes| add_line(&mut aside, bytes))?;
            return Ok(aside);
        }
    }
    for found in found(bytes) {
        match found.map(|over| (transact(connection, [&over]), over)) {
            Ok((Err(error), over)) if error.is_refusal() => add_line(&mut aside, &over)?,
            Ok((filed, _)) => filed?,
            Err(unreadable) => add_line(&mut aside, &unreadable)?,
        }
    }
    Ok(aside)
}

fn transact<'a>(connection: &Connection, all: impl IntoIterator<Item = impl Borrow<Over<'a>>>) -> Result<(), DbError> {
    run(connection, "BEGIN IMMEDIATE")?;
    let filed = all.into_iter().try_for_each(|over| match over.borrow().insert(connection) {
        Ok(_) => Ok(()),
        Err(DbError::DuplicateExecution { .. }) => match over.borrow().finish(connection) {
            // By another reader, or by whoever died before the file was emptied.
            Ok(_) | Err(DbError::IllegalMove { .. }) => Ok(()),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    });
    filed.and_then(|()| run(connection, "COMMIT")).inspect_err(|_| {
        if !connection.is_autocommit() {
            run(connection, "ROLLBACK").ok();
        }
    })
}

fn add_line(lines: &mut Vec<u8>, what: &impl Serialize) -> Result<(), DbError> {
    serde_json::to_writer(&mut *lines, what).map_err(|error| DbError::Packed(error.to_string()))?;
    lines.push(b'\n');
    Ok(())
}

/// At the end: what could be filed is, and is not set aside once more with the next.
fn set_aside(folder: &Path, lines: &[u8]) -> Result<(), DbError> {
    if lines.is_empty() {
        return Ok(());
    }
    let path = folder.join(REFUSED);
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(NO_LINKS).open(&path);
    let written = open().and_then(|mut file| file.write_all(lines));
    written.map_err(|error| DbError::file(&path, error))
}

/// `O_NOFOLLOW`.
const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// A file of a process that died, locked: nobody else files it at the same time.
struct Left {
    file: File,
    path: PathBuf,
}

/// What lies in other processes' files.
pub(crate) struct Others {
    folder: PathBuf,
    /// What those hold that live: theirs to empty.
    living: Vec<Vec<u8>>,
    dead: Vec<Left>,
}

impl Others {
    /// `None` where there is nothing to file or to remove.
    pub(crate) fn look(database: &Path, own: &[PathBuf]) -> Option<Self> {
        let folder = folder(database);
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        for path in std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path()) {
            if own.contains(&path) || !is_of_entries(&path) {
                continue;
            }
            let Ok(file) = OpenOptions::new().read(true).write(true).custom_flags(NO_LINKS).open(&path) else { continue };
            if file.try_lock().is_ok() {
                // Its name is its own, and not given again: what was removed is no matter.
                if file.metadata().is_ok_and(|meta| meta.nlink() > 0) {
                    dead.push(Left { file, path });
                }
                continue;
            }
            // Its process may empty it meanwhile: then all of it is in the database.
            living.extend(read(&file).ok().filter(|bytes| !bytes.is_empty()));
        }
        (!living.is_empty() || !dead.is_empty()).then_some(Self { folder, living, dead })
    }

    /// Files all of it. What cannot be filed now stays for the next who looks.
    pub(crate) fn file(self, connection: &Connection) {
        for bytes in &self.living {
            // What is no entry is being written, or taken away; what is refused is set
            // aside by whoever wrote it.
            file_all(connection, bytes).ok();
        }
        for left in self.dead {
            left.file(connection, &self.folder).ok();
        }
    }
}

impl Left {
    fn file(self, connection: &Connection, folder: &Path) -> Result<(), DbError> {
        let failed = |error| DbError::file(&self.path, error);
        let bytes = read(&self.file).map_err(failed)?;
        let aside = file_all(connection, &bytes)?;
        set_aside(folder, &aside)?;
        // First, because it may be that nothing can be removed.
        self.file.set_len(0).map_err(failed)?;
        std::fs::remove_file(&self.path).map_err(failed)
    }
}

/// A file of ours by its name and by what it is; nothing else is opened.
fn is_of_entries(path: &Path) -> bool {
    let is_named = path.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending));
    is_named && path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.nlink() == 1 && meta.len() <= MAX_FILE)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use wardroom_core::id::ExecutionId;

    use super::*;
    use crate::entry::MAX_ENTRY;
    use crate::entry::tests::{count, entry_around, entry_of, replaced, row_of};
    use crate::testing::{Home, add, ending, line as log_line, number, start, succeeded, terms};
    use crate::{Database, DbConfig, Durability, Ending, ExecutionRecord, ExecutionSummary, Filter, StartRow};

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

    /// How many wait, in whichever file.
    fn waiting(home: &Home) -> usize {
        files(home).iter().map(|path| count(&read(&File::open(path).unwrap()).unwrap())).sum()
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
        let (still, filed) = (waiting(&home), usize::try_from(rows(&database)).unwrap());
        // The thread may have come before this.
        assert!(still + filed >= 3, "{still} {filed}");
        let modes = files(&home).iter().map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777).collect::<Vec<_>>();
        assert_eq!(modes, [0o600, 0o600]);
        assert_eq!(fs::metadata(folder(&home)).unwrap().permissions().mode() & 0o777, 0o700);
        let listed = listed(&database);
        assert!(listed.len() == 3 && listed.contains(&one) && listed.contains(&two));
        assert_eq!((waiting(&home), rows(&database)), (0, 3));
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
            std::thread::sleep(FILE_AFTER);
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

    /// As a process would leave it that died.
    fn leave(home: &Home, name: &str, bytes: &[u8]) -> PathBuf {
        fs::create_dir_all(folder(home)).unwrap();
        let path = folder(home).join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn fresh<const N: usize>() -> [ExecutionId; N] {
        std::array::from_fn(|_| ExecutionId::fresh())
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_filed_once_and_its_file_goes() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = record(&database).await;
        drop(database);
        let [other, torn] = fresh();
        let (twice, torn) = (entry_of(id), entry_of(torn));
        leave(&home, "1-dead.a", &[&twice[..], &twice, &entry_of(other), &torn[..torn.len() - 1]].concat());
        leave(&home, "1-dead.b", b"");
        let database = home.open();
        let listed = listed(&database);
        assert!(listed.len() == 3 && listed.contains(&other), "{listed:?}");
        assert_eq!(database.lines(other, 1, 0, 9).unwrap().len(), 2);
        let (kept, filed) = (database.execution(id, None).unwrap().unwrap(), database.execution(other, None).unwrap().unwrap());
        let of_its_own = |record: ExecutionRecord| ExecutionRecord { summary: ExecutionSummary { id, ..record.summary }, ..record };
        assert_eq!(of_its_own(filed), of_its_own(kept), "what was read from a file is all that was written");
        assert_eq!((files(&home), database.refused_executions()), (Vec::new(), None));
    }

    /// As the database refuses it.
    fn refused_entry(id: ExecutionId) -> Vec<u8> {
        entry_around(&replaced(row_of(&entry_of(id)), b"\xa6cpu_us\x0c", b"\xa6cpu_us\xf4"))
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_filed_is_set_aside_and_holds_up_no_other() {
        let home = Home::new();
        let database = warm(&home).await;
        let [good, bad, spoiled, glued, last] = fresh();
        let refused = refused_entry(bad);
        // As another version would write it, and with other bytes than it was written with.
        let foreign = entry_around(&replaced(row_of(&entry_of(spoiled)), b"\xa6cpu_us", b"\xa6gpu_us"));
        let spoiled = replaced(&entry_of(spoiled), b"\xa6cpu_us", b"\xa6gpu_us");
        // The rest of an entry, and one that was written right after it.
        let torn = entry_of(ExecutionId::fresh())[..40].to_vec();
        leave(&home, "1-dead.a", &[&spoiled[..], &refused, &foreign, &entry_of(good), &torn, &entry_of(glued), &[0; 500]].concat());
        leave(&home, "2-dead.b", &entry_of(last));
        let listed = listed(&database);
        assert!([good, glued, last].iter().all(|id| listed.contains(id)) && listed.len() == 4, "{listed:?}");
        let aside = fs::read_to_string(database.refused_executions().unwrap()).unwrap();
        let aside: Vec<serde_json::Value> = aside.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (refused, unreadable): (Vec<_>, Vec<_>) = aside.iter().partition(|line| line["unreadable"].is_null());
        assert_eq!(refused.iter().map(|line| &line["started"]["id"]).collect::<Vec<_>>(), [&bad.to_string()]);
        assert_eq!(refused[0]["ended"]["standing"]["cpu_us"], -12);
        let bytes = |line: &serde_json::Value| data_encoding::HEXLOWER.decode(line["unreadable"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(unreadable.into_iter().map(bytes).collect::<Vec<_>>(), [spoiled, foreign, torn]);
    }

    #[tokio::test]
    async fn what_is_set_aside_is_set_aside_once_and_by_whoever_empties_its_file() {
        let home = Home::new();
        let database = warm(&home).await;
        let aside = |database: &Database| database.refused_executions().map_or(0, |path| fs::read_to_string(path).unwrap().lines().count());
        let good = ExecutionId::fresh();
        let path = leave(&home, "1-still.a", &[refused_entry(ExecutionId::fresh()), entry_of(good)].concat());
        let living = File::open(&path).unwrap();
        living.lock().unwrap();
        for _ in 0..3 {
            assert!(listed(&database).contains(&good));
            assert_eq!(aside(&database), 0, "its process does that");
        }
        drop(living);
        for _ in 0..3 {
            assert!(listed(&database).contains(&good));
            assert_eq!(aside(&database), 1);
        }
        // With one that cannot be filed for now.
        leave(&home, "2-dead.a", &[refused_entry(ExecutionId::fresh()), entry_of(ExecutionId::fresh())].concat());
        home.tamper("ALTER TABLE executions RENAME COLUMN fuel TO petrol");
        for _ in 0..3 {
            assert_eq!((listed(&database).len(), aside(&database)), (2, 1));
        }
        home.tamper("ALTER TABLE executions RENAME COLUMN petrol TO fuel");
        assert_eq!((listed(&database).len(), aside(&database)), (3, 2));
    }

    #[tokio::test]
    async fn a_time_of_a_broken_clock_is_kept_as_any_other() {
        let home = Home::new();
        let database = warm(&home).await;
        for ms in [i64::MIN, -377_705_023_201_001, 253_402_207_200_999, i64::MAX] {
            let row = start("s");
            let outcome = succeeded();
            let line = wardroom_core::log::LogLine { at: wardroom_core::clock::Timestamp::from_ms(ms), ..log_line("a") };
            database.record(&row, Ending { lines: vec![line.clone()], ..ending(&outcome) }).await.unwrap();
            let lines: Vec<_> = database.lines(row.id, 1, 0, 9).unwrap().into_iter().map(|record| record.line).collect();
            assert_eq!(lines, [line]);
        }
    }

    #[tokio::test]
    async fn what_the_database_cannot_take_now_waits_and_is_not_set_aside() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = record(&database).await;
        home.tamper("ALTER TABLE executions RENAME COLUMN fuel TO petrol");
        assert!(matches!(database.list(&Filter::default()), Err(crate::DbError::Sqlite(_))));
        home.tamper("ALTER TABLE executions RENAME COLUMN petrol TO fuel");
        assert!(listed(&database).contains(&id));
        assert_eq!(database.refused_executions(), None);
    }

    #[tokio::test]
    async fn an_end_is_filed_to_a_start_row_that_is_there_after_all() {
        let home = Home::new();
        let database = warm(&home).await;
        let row = start("s");
        database.start(&row).await.unwrap();
        leave(&home, "1-dead.a", &entry_of(row.id));
        let record = database.execution(row.id, None).unwrap().unwrap();
        assert_eq!(record.summary.status, wardroom_core::execution::Status::Success);
        assert_eq!(database.lines(row.id, 1, 0, 9).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn whoever_stands_still_is_read_all_the_same_and_keeps_its_file() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = ExecutionId::fresh();
        let path = leave(&home, "1-still.a", &entry_of(id));
        let living = File::open(&path).unwrap();
        living.lock().unwrap();
        assert!(listed(&database).contains(&id));
        assert_eq!(fs::read(&path).unwrap(), entry_of(id));
        // It files them itself some time, or dies.
        drop(living);
        assert_eq!(listed(&database).len(), 2);
        assert!(!path.exists());
    }

    #[test]
    fn what_lies_there_and_is_none_of_ours_is_not_opened() {
        let home = Home::new();
        leave(&home, "notes.txt", b"mine");
        leave(&home, "refused~", b"mine");
        let outside = home.0.path().join("outside");
        fs::write(&outside, entry_of(ExecutionId::fresh())).unwrap();
        fs::hard_link(&outside, folder(&home).join("1-link.a")).unwrap();
        std::os::unix::fs::symlink(&outside, folder(&home).join("1-link.b")).unwrap();
        fs::create_dir(folder(&home).join("1-folder.a")).unwrap();
        let fifo = std::ffi::CString::new(folder(&home).join("1-fifo.a").to_str().unwrap()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, fifo.as_c_str(), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
            .unwrap();
        let huge = File::create(folder(&home).join("1-huge.a")).unwrap();
        huge.set_len(MAX_FILE + 1).unwrap();
        let before = files(&home);
        let database = home.open();
        assert_eq!(listed(&database), []);
        assert_eq!((files(&home), before.len()), (before, 7));
    }

    /// Whoever looks removes what it finds unlocked and empty, which a file is for
    /// a moment when it is made.
    #[test]
    fn nobody_removes_the_file_of_a_living_process() {
        let home = Home::new();
        let database = home.0.path().join("wardroom.db");
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let connection = Connection::open_in_memory().unwrap();
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        if let Some(others) = Others::look(&database, &[]) {
                            others.file(&connection);
                        }
                    }
                });
            }
            let make = || Ok::<_, io::Error>(make_files(&folder(&home))?.iter().all(|entries| entries.path.exists()));
            let lost = (0..2000).map(|_| make()).find(|is_there| !matches!(is_there, Ok(true)));
            // Before anything fails: the others would go on.
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(lost.is_none(), "{lost:?}");
        });
    }

    /// From now on whatever changes its file fails, until it has this one again.
    fn read_only(entries: &mut Entries) -> File {
        mem::replace(&mut entries.file, File::open(&entries.path).unwrap())
    }

    #[test]
    fn after_a_part_of_an_entry_that_stays_nothing_more_is_written() {
        let home = Home::new();
        let mut entries = Entries::make(home.0.path(), "a").unwrap();
        entries.append(b"one\n").unwrap();
        fs::write(&entries.path, "one\nlonger tha").unwrap();
        entries.is_torn = true;
        let writable = read_only(&mut entries);
        entries.append(b"two\n").unwrap_err();
        entries.append(b"two\n").unwrap_err();
        entries.file = writable;
        entries.append(b"3\n").unwrap();
        assert_eq!(fs::read(&entries.path).unwrap(), b"one\n3\n");
    }

    #[test]
    fn an_emptied_file_keeps_its_place_and_holds_nothing_but_zeros() {
        let home = Home::new();
        let mut entries = Entries::make(home.0.path(), "a").unwrap();
        let [first, second] = fresh().map(entry_of);
        let all = |entries: &Entries| fs::read(&entries.path).unwrap();
        let kept = |entries: &Entries| read(&File::open(&entries.path).unwrap()).unwrap();
        // More than is blanked at once.
        let many = NOTHING.len() / first.len() + 2;
        for _ in 0..many {
            entries.append(&first).unwrap();
        }
        assert_eq!(count(&kept(&entries)), many);
        entries.empty();
        assert_eq!(all(&entries), vec![0; first.len() * many]);
        entries.append(&second).unwrap();
        assert_eq!(kept(&entries), second);
        assert!(all(&entries).starts_with(&second) && all(&entries).len() == first.len() * many);
        entries.append(&vec![b'x'; usize::try_from(ROOM).unwrap()]).unwrap();
        entries.empty();
        assert_eq!(all(&entries), b"", "a long one is cut");
        entries.append(&second).unwrap();
        assert_eq!(all(&entries), second);
        // One that can be neither blanked nor cut is cut before it takes an entry.
        entries.append(&second).unwrap();
        let writable = read_only(&mut entries);
        entries.empty();
        entries.file = writable;
        assert_eq!(count(&kept(&entries)), 2);
        entries.append(&first).unwrap();
        assert_eq!(all(&entries), first);
    }

    #[tokio::test]
    async fn of_a_file_that_was_being_emptied_when_its_process_died_nothing_is_filed_or_set_aside() {
        let home = Home::new();
        let bytes = fresh::<3>().map(entry_of).concat();
        for (name, blanked) in [("1-dead.a", 4), ("2-dead.a", 1000)] {
            leave(&home, name, &[&vec![0; blanked][..], &bytes[blanked..]].concat());
        }
        leave(&home, "3-dead.a", &[&entry_of(ExecutionId::fresh())[..], &[0; 5000]].concat());
        let database = home.open();
        assert_eq!(listed(&database).len(), 1, "the one that was not being emptied");
        assert_eq!((files(&home), database.refused_executions()), (Vec::new(), None));
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
            (start("s"), Ending { lines: vec![log_line(&"x".repeat(MAX_ENTRY))], ..ending(&quick) }),
        ];
        for (count, (row, end)) in (2..).zip(rows_of) {
            database.record(&row, end).await.unwrap();
            assert_eq!((rows(&database), waiting(&home)), (count, 0));
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
