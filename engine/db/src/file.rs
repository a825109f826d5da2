//! The database's file: found, checked, made, connected to.
//!
//! Owns every setting of a connection. It must never open an existing database
//! file by other means than SQLite: POSIX drops all of a process's locks on a
//! file when any descriptor of it is closed
//! (<https://www.sqlite.org/howtocorrupt.html>, 2.2).

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig as Setting;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};

use crate::DbError;
use crate::audit_key::KeyFile;
use crate::migration::{MIGRATIONS, migrate, version};

/// The file's name in the home folder.
const FILE_NAME: &str = "wardroom.db";
/// Pages of write-ahead log after which it is copied into the database, with two
/// syncs: 16 MiB. Executions one after the other write the same pages again and
/// again, so a long log has hardly more to copy than a short one.
const CHECKPOINT_PAGES: i32 = 4096;
/// Says in the file's header whose it is (`PRAGMA application_id`).
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"wrdm");
/// How long to wait for another process's write. Groups are short; whoever
/// needs longer than this is stuck.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// More than the distinct statements of this crate, so that each is parsed once
/// per connection.
const CACHED_STATEMENTS: usize = 128;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of the process (`synchronous = NORMAL`).
    #[default]
    Process,
    /// The death of the machine too (`synchronous = FULL`): a sync per group.
    Machine,
}

/// How a database is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DbConfig {
    /// What an acknowledged write survives.
    pub durability: Durability,
}

/// A database file that was checked.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    config: DbConfig,
}

impl DatabaseFile {
    /// Finds the file in its folder, or makes it.
    pub(crate) fn locate(home: &Path, config: DbConfig) -> Result<Self, DbError> {
        // SQLite's own refusal of links covers the whole path, and a home may
        // well lie behind one; what must not be a link is the file itself.
        let home = home.canonicalize().map_err(|source| DbError::file(home, source))?;
        let file = Self { path: home.join(FILE_NAME), config };
        if !file.is_present_and_private()? {
            file.create(&home)?;
        }
        Ok(file)
    }

    /// A connection for reading, with the schema's version.
    pub(crate) fn reader(&self) -> Result<Connection, DbError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// A connection for writing. It says so where its log has become long.
    pub(crate) fn writer(&self, long_log: Arc<AtomicBool>) -> Result<Connection, DbError> {
        let mut connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.set_db_config(Setting::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        // Savepoints of large writes would else spill into the system's folder
        // for temporary files, outside of our own.
        connection.execute_batch(match self.config.durability {
            Durability::Process => "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA synchronous = NORMAL",
            Durability::Machine => "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL",
        })?;
        // In place of SQLite's own, which would copy within whichever commit it is.
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            if pages >= CHECKPOINT_PAGES {
                long_log.store(true, Ordering::Relaxed);
            }
            Ok(())
        }))?;
        Ok(connection)
    }

    /// The audit log's key, in the same folder.
    pub(crate) fn audit_key(&self) -> KeyFile {
        KeyFile::beside(&self.path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the database is ours and up to date.
    pub(crate) fn is_current(&self, connection: &Connection) -> Result<bool, DbError> {
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if application != APPLICATION_ID {
            return Err(DbError::Foreign { path: self.path.clone() });
        }
        let (found, known) = (version(connection)?, u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX));
        if found > known { Err(DbError::Newer { found, known }) } else { Ok(found == known) }
    }

    /// A commit waits for the disk.
    pub(crate) fn syncs(&self) -> bool {
        self.config.durability == Durability::Machine
    }

    /// Copies the write-ahead log into the database, as far as nobody reads it.
    pub(crate) fn copy_log(&self, connection: &Connection) {
        // Busy or not, what is committed is safe; the next commit asks again.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).ok();
    }

    /// Copies the write-ahead log into the database and cuts it, as far as no
    /// other process reads it: freed pages are overwritten (`secure_delete`).
    pub(crate) fn cut_log(&self, connection: &Connection) {
        // Busy or not, what is committed is safe; the next process tries again.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok();
    }

    /// Closes the writing connection. Copying the write-ahead log into the
    /// database costs two syncs, so a short one is left for a later process.
    pub(crate) fn leave(&self, connection: Connection, short: u64) {
        let log = fs::metadata(self.path.with_extension("db-wal"));
        if log.is_ok_and(|log| log.len() <= short) {
            connection.set_db_config(Setting::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok();
        }
        // What is committed is safe in either file, so nothing is lost here.
        drop(connection);
    }

    fn connect(&self, mode: OpenFlags) -> Result<Connection, DbError> {
        connect(&self.path, mode)
    }

    fn is_present_and_private(&self) -> Result<bool, DbError> {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(DbError::file(&self.path, error)),
        };
        if !metadata.is_file() {
            return Err(DbError::NotAFile { path: self.path.clone() });
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(DbError::Permissions { path: self.path.clone(), mode });
        }
        Ok(true)
    }

    /// Makes the database under another name and links it into place, whole: no
    /// process ever sees half of one, and of two that race, one wins. Switching
    /// to WAL in place would fail for the other without waiting, because SQLite
    /// does not call the busy handler there.
    fn create(&self, home: &Path) -> Result<(), DbError> {
        let draft = Draft::reserve(&self.path)?;
        let connection = connect(&draft.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        migrate(&connection, MIGRATIONS)?;
        connection.close().map_err(|(_, error)| error)?;
        match fs::hard_link(&draft.0, &self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(DbError::file(&self.path, error)),
            _ => {}
        }
        let synced = fs::File::open(home).and_then(|folder| folder.sync_all());
        synced.map_err(|source| DbError::file(home, source))
    }
}

/// While it lives, a connection's commits survive the death of the machine,
/// whatever the configuration.
pub(crate) struct Synced<'a>(Option<&'a Connection>);

impl<'a> Synced<'a> {
    /// Outside of a transaction: SQLite refuses the change within one.
    pub(crate) fn begin(file: &DatabaseFile, connection: &'a Connection) -> Result<Self, DbError> {
        if file.config.durability == Durability::Machine {
            return Ok(Self(None));
        }
        // Not among the cached statements: this one works while it is parsed.
        connection.execute_batch("PRAGMA synchronous = FULL")?;
        Ok(Self(Some(connection)))
    }
}

impl Drop for Synced<'_> {
    fn drop(&mut self) {
        // Where this fails, commits stay slow and safe.
        self.0.map(|connection| connection.execute_batch("PRAGMA synchronous = NORMAL").ok());
    }
}

/// A database in the making; its name goes when it is dropped.
struct Draft(PathBuf);

impl Draft {
    fn reserve(path: &Path) -> Result<Self, DbError> {
        let mut number = 0_u64;
        loop {
            let draft = path.with_extension(format!("db.new-{}-{number}", std::process::id()));
            // 0600 from its first moment: SQLite would create it 0644, and gives
            // the files beside it (WAL, shared memory) the mode of the database.
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft) {
                Ok(_) => return Ok(Self(draft)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(DbError::file(draft, error)),
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing can be done where this fails, and nothing depends on it.
        fs::remove_file(&self.0).ok();
    }
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, DbError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(Setting::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(Setting::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Without it, a plan that might use an index `WHERE …` depends on the values
    // that are bound, and every statement on `executions` is parsed again for
    // each of them. None of ours wants that: those indexes are asked for by name.
    connection.set_db_config(Setting::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::Barrier;
    use std::thread;

    use wardroom_core::blame::Blame;

    use super::*;
    use crate::Database;
    use crate::testing::{Home, ending, start, succeeded};

    fn open(home: &Home) -> Result<Database, DbError> {
        Database::open(home.0.path(), DbConfig::default())
    }

    fn path(home: &Home) -> PathBuf {
        home.0.path().join(FILE_NAME)
    }

    /// Somebody else's hand in the database.
    fn tamper(home: &Home, sql: &str) {
        Connection::open(path(home)).unwrap().execute_batch(sql).unwrap();
    }

    #[tokio::test]
    async fn a_new_database_is_private_and_in_wal() {
        let home = Home::new();
        let database = open(&home).unwrap();
        database.record(&start("s"), ending(&succeeded())).await.unwrap();
        let mut files: Vec<_> = fs::read_dir(home.0.path()).unwrap().map(Result::unwrap).collect();
        files.sort_by_key(fs::DirEntry::file_name);
        let names: Vec<_> = files.iter().map(fs::DirEntry::file_name).collect();
        assert_eq!(names, ["wardroom.db", "wardroom.db-shm", "wardroom.db-wal"]);
        for file in files {
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{file:?}");
        }
        let mode = |connection: &Connection| Ok(connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?);
        assert_eq!(database.read(mode).unwrap(), "wal");
    }

    #[tokio::test]
    async fn the_writers_connection_is_set_as_promised() {
        for (durability, synchronous) in [(Durability::Process, 1), (Durability::Machine, 2)] {
            let home = Home::new();
            let database = Database::open(home.0.path(), DbConfig { durability }).unwrap();
            let settings = database.write(|connection| {
                ["synchronous", "secure_delete", "foreign_keys", "trusted_schema", "temp_store"]
                    .into_iter()
                    .map(|name| Ok(connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?))
                    .collect::<Result<Vec<_>, DbError>>()
            });
            assert_eq!(settings.await.unwrap(), [synchronous, 1, 1, 0, 2]);
        }
    }

    #[tokio::test]
    async fn reading_needs_no_writer_and_cannot_write() {
        let home = Home::new();
        drop(open(&home).unwrap());
        let database = open(&home).unwrap();
        assert_eq!(database.list(&crate::Filter::default()).unwrap(), []);
        assert!(database.writer.lock().unwrap().is_none());
        let wrote = database.read(|connection| Ok(connection.execute("DELETE FROM executions", [])?));
        assert!(matches!(wrote, Err(DbError::Inaccessible(_))));
    }

    #[test]
    fn of_many_that_make_it_at_once_one_wins_and_all_have_it() {
        let home = Home::new();
        let ready = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    ready.wait();
                    open(&home).unwrap();
                });
            }
        });
        let drafts = fs::read_dir(home.0.path()).unwrap().map(Result::unwrap);
        let drafts: Vec<_> = drafts.filter(|file| file.file_name().to_string_lossy().contains(".new-")).collect();
        assert!(drafts.is_empty(), "{drafts:?}");
    }

    /// A database as an earlier version left it, after these statements.
    fn leave_old(home: &Home, version: usize, sql: &str) {
        fs::write(path(home), "").unwrap();
        fs::set_permissions(path(home), PermissionsExt::from_mode(0o600)).unwrap();
        let old = connect(&path(home), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        old.pragma_update(None, "journal_mode", "WAL").unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        migrate(&old, &MIGRATIONS[..version]).unwrap();
        old.execute_batch(sql).unwrap();
    }

    #[tokio::test]
    async fn an_older_database_is_brought_up_to_date() {
        for version in 1..MIGRATIONS.len() {
            let home = Home::new();
            leave_old(&home, version, "");
            let database = open(&home).unwrap();
            database.record(&start("s"), ending(&succeeded())).await.unwrap();
            assert_eq!(database.list(&crate::Filter::default()).unwrap().len(), 1);
            assert_eq!((database.state("s").unwrap(), database.grants("s", None).unwrap()), (Vec::new(), Vec::new()));
            assert_eq!((database.credentials().unwrap(), database.vault_record().unwrap()), (Vec::new(), None));
            assert_eq!(database.audit_head().unwrap(), None);
        }
    }

    #[tokio::test]
    async fn what_was_recorded_before_there_were_tasks_stays_and_nothing_follows_from_it() {
        const ROWS: &str = "
            INSERT INTO executions (id, attempt, status, created_ms, started_ms, finished_ms, trigger, subject, program, digest,
                                    holder, limits, access, params, result_kind, result)
            VALUES ('01890000-0000-7000-8000-000000000001', 1, 'success', 1, 2, 5, 'cli', '/a.js', 'a.js',
                    'sha256:' || printf('%064d', 7), 'me', '{}', '{}', '{}', 'text', 'done'),
                   ('01890000-0000-7000-8000-000000000002', 1, 'running', 2, 2, NULL, 'cli', '/a.js', 'a.js',
                    'sha256:' || printf('%064d', 7), 'dead', '{}', '{}', '{}', NULL, NULL);
            INSERT INTO log_lines VALUES (1, 0, 3, 'info', 'a line');
            INSERT INTO grants VALUES ('/a.js', 'sha256:' || printf('%064d', 7), 'read', '/r', 1);
            INSERT INTO state VALUES ('/a.js', 'k', 'v')";
        let home = Home::new();
        leave_old(&home, 5, ROWS);
        let database = open(&home).unwrap();
        let rows = database.list(&crate::Filter::default()).unwrap();
        assert_eq!(rows.iter().map(|row| row.created_at.ms()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((rows[1].duration_ms, rows[1].slot_count, rows[1].slot_last, rows[1].task.clone()), (Some(3), None, None, None));
        let whole = database.execution(rows[1].id, None).unwrap().unwrap();
        assert_eq!(whole.output, Some(wardroom_core::failure::Output::Text("done".to_owned())));
        assert_eq!((whole.origin, whole.not_before), (None, None));
        assert_eq!(database.lines(rows[1].id, 1, 0, 9).unwrap().len(), 1);
        assert_eq!((database.grants("/a.js", None).unwrap().len(), database.state("/a.js").unwrap().len()), (1, 1));
        // What is found dead of that time had no task.
        database.interrupt("dead", crate::testing::at(9)).await.unwrap();
        assert_eq!((database.unfollowed().unwrap(), database.queued(9).unwrap()), (Vec::new(), Vec::new()));
        assert_eq!((database.tasks().unwrap(), database.links().unwrap()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_is_not_ours_or_beyond_us_is_refused() {
        let known_here = u32::try_from(MIGRATIONS.len()).unwrap();
        let newer = format!("PRAGMA user_version = {}", known_here + 1);
        for (sql, expected) in [
            (newer.as_str(), "newer"),
            ("PRAGMA application_id = 1", "foreign"),
            ("PRAGMA application_id = 0; PRAGMA user_version = 0", "foreign"),
        ] {
            let home = Home::new();
            drop(open(&home).unwrap());
            tamper(&home, sql);
            let error = open(&home).unwrap_err();
            let found = match error {
                DbError::Newer { found, known } if (found, known) == (known_here + 1, known_here) => "newer",
                DbError::Foreign { .. } => "foreign",
                _ => "else",
            };
            assert_eq!((found, error.blame()), (expected, Blame::Operator), "{error}");
        }
    }

    #[test]
    fn other_bytes_are_no_database_and_torn_ones_are_damaged() {
        let home = Home::new();
        fs::write(path(&home), "not a database, ".repeat(100)).unwrap();
        fs::set_permissions(path(&home), PermissionsExt::from_mode(0o600)).unwrap();
        let error = open(&home).unwrap_err();
        assert!(matches!(error, DbError::NotADatabase(_)), "{error:?}");
        assert_eq!(error.blame(), Blame::Host);

        let home = Home::new();
        drop(open(&home).unwrap());
        let mut bytes = fs::read(path(&home)).unwrap();
        bytes[4096..].fill(0xff);
        fs::write(path(&home), bytes).unwrap();
        let error = open(&home).unwrap().list(&crate::Filter::default()).unwrap_err();
        assert!(matches!(error, DbError::Corrupt(_)), "{error:?}");
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused_with_its_mode() {
        for wrong in [0o640, 0o604, 0o602, 0o660, 0o666] {
            let home = Home::new();
            drop(open(&home).unwrap());
            fs::set_permissions(path(&home), PermissionsExt::from_mode(wrong)).unwrap();
            assert!(matches!(open(&home), Err(DbError::Permissions { mode, .. }) if mode == wrong));
        }
    }

    #[test]
    fn a_link_or_a_folder_in_its_place_is_refused_and_not_followed() {
        let (home, elsewhere) = (Home::new(), Home::new());
        drop(open(&elsewhere).unwrap());
        symlink(path(&elsewhere), path(&home)).unwrap();
        assert!(matches!(open(&home), Err(DbError::NotAFile { .. })));
        let dangling = Home::new();
        symlink(dangling.0.path().join("nothing"), path(&dangling)).unwrap();
        assert!(matches!(open(&dangling), Err(DbError::NotAFile { .. })));
        let folder = Home::new();
        fs::create_dir(path(&folder)).unwrap();
        assert!(matches!(open(&folder), Err(DbError::NotAFile { .. })));
    }

    #[test]
    fn a_home_behind_a_link_is_fine_and_a_missing_one_is_not() {
        let home = Home::new();
        let (real, link) = (home.0.path().join("real"), home.0.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert!(Database::open(&link, DbConfig::default()).is_ok());
        let missing = Database::open(&home.0.path().join("missing"), DbConfig::default());
        assert!(matches!(missing, Err(DbError::File { .. })));
    }

    #[tokio::test]
    async fn a_short_log_is_left_for_later_and_a_long_one_is_not() {
        let home = Home::new();
        let log = path(&home).with_extension("db-wal");
        let database = open(&home).unwrap();
        database.record(&start("s"), ending(&succeeded())).await.unwrap();
        drop(database);
        assert!(log.exists());
        let database = open(&home).unwrap();
        assert_eq!(database.list(&crate::Filter::default()).unwrap().len(), 1);
        let outcome = succeeded();
        let mut long = ending(&outcome);
        long.lines = vec![crate::testing::line(&"x".repeat(1_000_000))];
        database.record(&start("s"), long).await.unwrap();
        drop(database);
        assert!(!log.exists());
        assert_eq!(open(&home).unwrap().list(&crate::Filter::default()).unwrap().len(), 2);
    }
}
