//! Executions that are over, kept as lines of a file until they are filed in the
//! database, many in one transaction.
//!
//! ```text
//!  record ─▶ append: one pwrite(2) to journal/PID-RANDOM.a ─▶ answered
//!                │
//!                ▼ FILE_AFTER later, or before executions are read
//!            one transaction for all lines ─▶ the file is emptied: zeros, from its
//!                                             beginning on
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
//! process holds a lock on both (flock(2)) while it lives, and it alone empties them
//! then; whoever reads executions files what lies in any of them, and removes those
//! of the dead. Lines may be filed twice and are kept once: an attempt has one row.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::mem;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use crate::DbError;
use crate::executions::Over;
use crate::writer::run;

/// How long a line waits to be filed with others. With longer, each transaction has
/// more of them, and whoever runs beside it waits longer for the processor.
pub(crate) const FILE_AFTER: Duration = Duration::from_millis(3);
/// Lines that wait at most; what comes then is written as anything else is.
const MAX_WAITING: usize = 1024;
/// Bytes of a line at most: a long record gains nothing by waiting for others.
const MAX_LINE: usize = 16 * 1024;
/// Bytes of a file at most.
const MAX_FILE: u64 = (MAX_WAITING * MAX_LINE) as u64;
/// Tries to make a file that nobody looks at before it is locked.
const MAX_TRIES: usize = 16;
/// How the two files of a process end.
const ENDINGS: [&str; 2] = ["a", "b"];
/// Where lines go that cannot be filed, so that nothing is lost.
const REFUSED: &str = "refused";
/// Characters of a line's checksum, before its JSON.
const SUM: usize = 8;
/// Bytes of an emptied file that stay its own: taking fresh ones for each line costs
/// as much as writing it.
const ROOM: u64 = 256 * 1024;
/// What they hold then.
static NOTHING: [u8; 16 * 1024] = [0; 16 * 1024];

/// The lines of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    /// Held while a line is written; never while the database is.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: Files,
    /// What the first file holds.
    waiting: Vec<Over>,
    /// What the other holds, where filing it failed.
    unfiled: Vec<Over>,
    /// Some of it is being filed, and in neither of them.
    is_filing: bool,
    /// The last line, for its place.
    line: Vec<u8>,
}

#[derive(Debug, Default)]
enum Files {
    /// Nobody needed them yet.
    #[default]
    None,
    /// The first of them takes lines, the other is filed.
    Some([Lines; 2]),
    /// They could not be made, and are not tried for again.
    Never,
}

/// A file of lines, locked. After them it holds nothing but zeros.
#[derive(Debug)]
struct Lines {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// After them it does hold something, which could not be taken away.
    is_torn: bool,
}

impl Lines {
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

    /// The whole line, or nothing of it.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.is_torn = false;
        }
        let written = self.file.write_at(line, self.bytes);
        if matches!(written, Ok(written) if written == line.len()) {
            self.bytes = self.bytes.saturating_add(line.len() as u64);
            return Ok(());
        }
        self.is_torn = self.file.set_len(self.bytes).is_err();
        Err(written.err().unwrap_or_else(|| io::ErrorKind::StorageFull.into()))
    }

    /// Where it cannot be done, the lines may be filed once more, and are kept once.
    fn empty(&mut self) {
        let emptied = if self.bytes <= ROOM && !self.is_torn { self.blank() } else { self.file.set_len(0) };
        self.is_torn = emptied.or_else(|_| self.file.set_len(0)).is_err();
        self.bytes = 0;
    }

    /// From its beginning on: whoever finds it half done finds no line.
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

/// What became of a line.
pub(crate) enum Appended {
    /// It is the first that waits: somebody has to file it.
    First,
    /// It waits with others.
    Another,
    /// It is to be written as anything else is.
    Not(Box<Over>),
}

impl Journal {
    pub(crate) fn beside(database: &Path) -> Self {
        Self { folder: folder(database), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an execution that is over, durably.
    pub(crate) fn append(&self, over: Box<Over>) -> Appended {
        let mut kept = self.kept();
        if over.bytes() >= MAX_LINE || kept.waiting.len() >= MAX_WAITING || !kept.unfiled.is_empty() {
            return Appended::Not(over);
        }
        if matches!(kept.files, Files::None) {
            kept.files = make_files(&self.folder).map_or(Files::Never, Files::Some);
        }
        let Kept { files: Files::Some([taking, _]), line, .. } = &mut *kept else { return Appended::Not(over) };
        let is_line = write_line(line, &over).is_some() && line.len() <= MAX_LINE;
        if !is_line || taking.append(line).is_err() {
            return Appended::Not(over);
        }
        kept.waiting.push(*over);
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
            if let Files::Some([taking, other]) = &mut kept.files {
                mem::swap(taking, other);
            }
            mem::take(&mut kept.waiting)
        };
        if fresh.is_empty() { Ok(()) } else { self.file_those(connection, fresh) }
    }

    fn file_those(&self, connection: &Connection, mut lines: Vec<Over>) -> Result<(), DbError> {
        let filed = file_all(connection, &mut lines, &self.folder);
        let mut kept = self.kept();
        match (&filed, &mut kept.files) {
            (Ok(()), Files::Some([_, other])) => other.empty(),
            (Ok(()), Files::None | Files::Never) => {}
            (Err(_), _) => kept.unfiled = lines,
        }
        filed
    }

    /// Whether all of it is in the database.
    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.kept();
        kept.waiting.is_empty() && kept.unfiled.is_empty() && !kept.is_filing
    }

    /// Its files' own names.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        match &self.kept().files {
            Files::Some(files) => files.iter().map(|lines| lines.path.clone()).collect(),
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

/// Where lines lie that could not be filed, if there are any.
pub(crate) fn refused(database: &Path) -> Option<PathBuf> {
    Some(folder(database).join(REFUSED)).filter(|path| path.metadata().is_ok_and(|meta| meta.len() > 0))
}

/// `CHECKSUM JSON`, with a line break. The checksum tells a line from the rest of
/// one, and from one that was read while its file was emptied and filled again.
fn write_line(line: &mut Vec<u8>, over: &Over) -> Option<()> {
    line.clear();
    line.resize(SUM + 1, b' ');
    serde_json::to_writer(&mut *line, over).ok()?;
    let (sum, json) = line.split_first_chunk_mut()?;
    *sum = checksum(json.get(1..)?);
    line.push(b'\n');
    Some(())
}

/// CRC-32, as of gzip (RFC 1952, section 8), in hexadecimal.
fn checksum(json: &[u8]) -> [u8; SUM] {
    let mut sum = [0; SUM];
    HEXLOWER.encode_mut(&crc32fast::hash(json).to_be_bytes(), &mut sum);
    sum
}

fn parsed(line: &[u8]) -> Option<Over> {
    let (sum, json) = line.split_first_chunk()?;
    let json = json.strip_prefix(b" ")?;
    if checksum(json) == *sum { serde_json::from_slice(json).ok() } else { None }
}

/// The text of a file. What comes after a zero was filed, or was never a line's: no
/// line has one.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    BufReader::new(file).read_until(0, &mut text)?;
    Ok(text)
}

/// The whole lines of a file's text, each as it was read and as it was meant. What
/// comes after the last line break was never answered.
fn whole(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<Over>)> {
    let end = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = text.get(..end).unwrap_or_default().split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty()).map(|line| (line, parsed(line)))
}

fn make_files(folder: &Path) -> io::Result<[Lines; 2]> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A link would lead to where others may write.
    if !folder.symlink_metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let [one, other] = ENDINGS;
    let one = Lines::make(folder, one)?;
    let other = Lines::make(folder, other).inspect_err(|_| drop(std::fs::remove_file(&one.path)))?;
    Ok([one, other])
}

/// In one transaction; where the database refuses one of them, each in its own,
/// and that one is set aside. What is left in `lines` after an error is not filed.
fn file_all(connection: &Connection, lines: &mut Vec<Over>, folder: &Path) -> Result<(), DbError> {
    match transact(connection, lines) {
        Err(error) if error.is_refusal() => {}
        filed => return filed,
    }
    while let Some(over) = lines.last() {
        match transact(connection, std::slice::from_ref(over)) {
            Err(error) if error.is_refusal() => {
                let mut line = Vec::new();
                set_aside(folder, write_line(&mut line, over).map_or(&[], |()| &line))?;
            }
            filed => filed?,
        }
        lines.pop();
    }
    Ok(())
}

fn transact(connection: &Connection, lines: &[Over]) -> Result<(), DbError> {
    run(connection, "BEGIN IMMEDIATE")?;
    let filed = lines.iter().try_for_each(|over| match over.insert(connection) {
        Ok(_) => Ok(()),
        Err(DbError::DuplicateExecution { .. }) => match over.finish(connection) {
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

fn set_aside(folder: &Path, line: &[u8]) -> Result<(), DbError> {
    let path = folder.join(REFUSED);
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(NO_LINKS).open(&path);
    let written = open().and_then(|mut file| file.write_all(line));
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
    /// Of those that live: theirs to empty.
    lines: Vec<Over>,
    dead: Vec<Left>,
}

impl Others {
    /// `None` where there is nothing to file or to remove.
    pub(crate) fn look(database: &Path, own: &[PathBuf]) -> Option<Self> {
        let folder = folder(database);
        let (mut lines, mut dead) = (Vec::new(), Vec::new());
        for path in std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path()) {
            if own.contains(&path) || !is_of_lines(&path) {
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
            if let Ok(text) = read(&file) {
                lines.extend(whole(&text).filter_map(|(_, over)| over));
            }
        }
        (!lines.is_empty() || !dead.is_empty()).then_some(Self { folder, lines, dead })
    }

    /// Files all of it. What cannot be filed now stays for the next who looks.
    pub(crate) fn file(mut self, connection: &Connection) {
        if !self.lines.is_empty() {
            file_all(connection, &mut self.lines, &self.folder).ok();
        }
        for left in self.dead {
            left.file(connection, &self.folder).ok();
        }
    }
}

impl Left {
    fn file(self, connection: &Connection, folder: &Path) -> Result<(), DbError> {
        let failed = |error| DbError::file(&self.path, error);
        let text = read(&self.file).map_err(failed)?;
        let mut lines = Vec::new();
        for (line, over) in whole(&text) {
            match over {
                Some(over) => lines.push(over),
                None => set_aside(folder, &[line, b"\n"].concat())?,
            }
        }
        if !lines.is_empty() {
            file_all(connection, &mut lines, folder)?;
        }
        // First, because it may be that nothing can be removed.
        self.file.set_len(0).map_err(failed)?;
        std::fs::remove_file(&self.path).map_err(failed)
    }
}

/// A file of ours by its name and by what it is; nothing else is opened.
fn is_of_lines(path: &Path) -> bool {
    let is_named = path.extension().and_then(OsStr::to_str).is_some_and(|ending| ENDINGS.contains(&ending));
    is_named && path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.nlink() == 1 && meta.len() <= MAX_FILE)
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
        files(home).iter().map(|path| fs::read_to_string(path).unwrap().trim_end_matches('\0').to_owned()).collect()
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

    /// A line of the journal, of an execution of this id.
    fn line_of(id: ExecutionId) -> Vec<u8> {
        let row = StartRow { id, ..start("s") };
        let outcome = succeeded();
        let end = Ending { lines: vec![log_line("a"), log_line("b")], ..ending(&outcome) };
        let mut line = Vec::new();
        write_line(&mut line, &Over::encode(&row, end).unwrap()).unwrap();
        line
    }

    /// As a process would leave it that died.
    fn leave(home: &Home, name: &str, text: &[u8]) -> PathBuf {
        fs::create_dir_all(folder(home)).unwrap();
        let path = folder(home).join(name);
        fs::write(&path, text).unwrap();
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
        let (twice, torn) = (line_of(id), line_of(torn));
        leave(&home, "1-dead.a", &[&twice[..], &twice, &line_of(other), &torn[..torn.len() - 1]].concat());
        leave(&home, "1-dead.b", b"");
        let database = home.open();
        let listed = listed(&database);
        assert!(listed.len() == 3 && listed.contains(&other), "{listed:?}");
        assert_eq!(database.lines(other, 1, 0, 9).unwrap().len(), 2);
        assert_eq!((files(&home), database.refused_executions()), (Vec::new(), None));
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_filed_is_set_aside_and_holds_up_no_other() {
        let home = Home::new();
        let database = warm(&home).await;
        let [good, bad, glued, last] = fresh();
        let mut refused = serde_json::to_string(&parsed(line_of(bad).trim_ascii_end()).unwrap()).unwrap();
        refused = refused.replace(r#""cpu_us":12"#, r#""cpu_us":-12"#);
        let refused = [&checksum(refused.as_bytes())[..], b" ", refused.as_bytes(), b"\n"].concat();
        // The rest of a line, and one that was written right after it.
        let torn = [&line_of(glued)[..40], &line_of(glued)].concat();
        // As another version would write it.
        let foreign = line_of(glued).iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect::<Vec<_>>();
        leave(&home, "1-dead.a", &[&refused[..], &torn, &foreign, &line_of(good)].concat());
        leave(&home, "2-dead.b", &line_of(last));
        let listed = listed(&database);
        assert!(listed.contains(&good) && listed.contains(&last) && listed.len() == 3, "{listed:?}");
        let aside = fs::read(database.refused_executions().unwrap()).unwrap();
        assert_eq!(aside, [&torn[..], &foreign, &refused].concat());
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
        leave(&home, "1-dead.a", &line_of(row.id));
        let record = database.execution(row.id, None).unwrap().unwrap();
        assert_eq!(record.summary.status, wardroom_core::execution::Status::Success);
        assert_eq!(database.lines(row.id, 1, 0, 9).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn whoever_stands_still_is_read_all_the_same_and_keeps_its_file() {
        let home = Home::new();
        let database = warm(&home).await;
        let id = ExecutionId::fresh();
        let path = leave(&home, "1-still.a", &line_of(id));
        let living = File::open(&path).unwrap();
        living.lock().unwrap();
        assert!(listed(&database).contains(&id));
        assert_eq!(fs::read(&path).unwrap(), line_of(id));
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
        fs::write(&outside, line_of(ExecutionId::fresh())).unwrap();
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
            let make = || Ok::<_, io::Error>(make_files(&folder(&home))?.iter().all(|lines| lines.path.exists()));
            let lost = (0..2000).map(|_| make()).find(|is_there| !matches!(is_there, Ok(true)));
            // Before anything fails: the others would go on.
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(lost.is_none(), "{lost:?}");
        });
    }

    #[test]
    fn a_line_that_was_changed_in_any_byte_is_none() {
        let line = line_of(ExecutionId::fresh());
        let line = line.trim_ascii_end();
        assert!(parsed(line).is_some());
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 1;
            assert!(parsed(&changed).is_none() && parsed(&line[..at]).is_none() && parsed(&line[at + 1..]).is_none(), "{at}");
        }
    }

    /// From now on whatever changes its file fails, until it has this one again.
    fn read_only(lines: &mut Lines) -> File {
        mem::replace(&mut lines.file, File::open(&lines.path).unwrap())
    }

    #[test]
    fn after_a_part_of_a_line_that_stays_nothing_more_is_written() {
        let home = Home::new();
        let mut lines = Lines::make(home.0.path(), "a").unwrap();
        lines.append(b"one\n").unwrap();
        fs::write(&lines.path, "one\nlonger tha").unwrap();
        lines.is_torn = true;
        let writable = read_only(&mut lines);
        lines.append(b"two\n").unwrap_err();
        lines.append(b"two\n").unwrap_err();
        lines.file = writable;
        lines.append(b"3\n").unwrap();
        assert_eq!(fs::read(&lines.path).unwrap(), b"one\n3\n");
    }

    #[test]
    fn an_emptied_file_keeps_its_place_and_holds_nothing_but_zeros() {
        let home = Home::new();
        let mut lines = Lines::make(home.0.path(), "a").unwrap();
        let [first, second] = fresh().map(line_of);
        let found = |lines: &Lines| fs::read(&lines.path).unwrap();
        let text = |lines: &Lines| read(&File::open(&lines.path).unwrap()).unwrap();
        // More than is blanked at once.
        let many = NOTHING.len() / first.len() + 2;
        for _ in 0..many {
            lines.append(&first).unwrap();
        }
        assert_eq!(whole(&text(&lines)).count(), many);
        lines.empty();
        assert_eq!(found(&lines), vec![0; first.len() * many]);
        lines.append(&second).unwrap();
        assert_eq!(whole(&text(&lines)).map(|(line, over)| over.map(|_| line.len())).collect::<Vec<_>>(), [Some(second.len() - 1)]);
        assert!(found(&lines).starts_with(&second) && found(&lines).len() == first.len() * many);
        lines.append(&vec![b'x'; usize::try_from(ROOM).unwrap()]).unwrap();
        lines.empty();
        assert_eq!(found(&lines), b"", "a long one is cut");
        lines.append(&second).unwrap();
        assert_eq!(found(&lines), second);
        // One that can be neither blanked nor cut is cut before it takes a line.
        lines.append(&second).unwrap();
        let writable = read_only(&mut lines);
        lines.empty();
        lines.file = writable;
        assert_eq!(whole(&text(&lines)).count(), 2);
        lines.append(&first).unwrap();
        assert_eq!(found(&lines), first);
    }

    #[tokio::test]
    async fn of_a_file_that_was_being_emptied_when_its_process_died_nothing_is_filed_or_set_aside() {
        let home = Home::new();
        let text = fresh::<3>().map(line_of).concat();
        for (name, blanked) in [("1-dead.a", 1), ("2-dead.a", 1000)] {
            leave(&home, name, &[&vec![0; blanked][..], &text[blanked..]].concat());
        }
        leave(&home, "3-dead.a", &[&line_of(ExecutionId::fresh())[..], &[0; 5000]].concat());
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
