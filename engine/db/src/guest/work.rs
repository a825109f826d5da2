//! A call, in the child: the file is opened, guarded, worked on and closed
//! again before the answer. What is answered is done, and nobody waits for a
//! lock while a program thinks.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig as Setting;
use rusqlite::ffi::ErrorCode;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, OpenFlags, Row, Statement as Prepared, params_from_iter};
use rustix::process::getppid;
use wardroom_core::limit::{
    MAX_SQLITE_ANSWER, MAX_SQLITE_ROWS, MAX_SQLITE_STATEMENT, MAX_SQLITE_STATEMENTS, MAX_SQLITE_VALUE, SQLITE_BUSY_WAIT, SizeText,
};
use wardroom_core::sqlite::{Changes, Rows, SqlError, SqlValue, Statement};

use super::guard::{Guard, Refused, Use};
use super::process::out_of_memory;
use super::{too_large, too_many};

/// Steps of SQLite's machine after which it is looked whether anybody still
/// waits for the answer: a few milliseconds.
const STEPS: i32 = 100_000;
/// Bytes that a value costs beside its own, so that a million NULLs are not free.
const VALUE_OVERHEAD: usize = 16;
/// What is said of a write grant that is not there.
pub(super) const GRANTED_FOR_READING: &str = "the database was granted for reading only";

/// Reads. `undo`: the file may be written, where that is what it takes.
pub(super) fn query(file: &Path, undo: bool, statement: &Statement) -> Result<Rows, SqlError> {
    let mut open = Open::reading(file, undo)?;
    open.guard()?;
    open.explained(|connection| read(connection, statement))
}

/// Changes, all or nothing.
pub(super) fn execute(file: &Path, statements: &[Statement]) -> Result<Vec<Changes>, SqlError> {
    if statements.len() > MAX_SQLITE_STATEMENTS {
        return Err(too_many(statements.len()));
    }
    let mut open = Open::new(file, Use::Writing)?;
    // The lock first: a transaction that began to read cannot wait for it.
    open.explained(|connection| Ok(connection.execute_batch("BEGIN IMMEDIATE")?))?;
    open.guard()?;
    let changes = open.explained(|connection| statements.iter().map(|statement| change(connection, statement)).collect())?;
    // What fails before this is undone as the connection closes.
    open.unguard()?;
    open.explained(|connection| Ok(connection.execute_batch("COMMIT")?))?;
    open.connection.close().map_err(|(_, error)| explain(error, None))?;
    Ok(changes)
}

/// What went wrong, before it has its words.
pub(super) enum Fault {
    Sqlite(Error),
    Limit(SqlError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

/// An open database.
pub(super) struct Open {
    pub(super) connection: Connection,
    guard: Guard,
    purpose: Use,
}

impl Open {
    pub(super) fn new(file: &Path, purpose: Use) -> Result<Self, SqlError> {
        check_place(file)?;
        if purpose == Use::Writing {
            check_journal(file)?;
        }
        let connection = connect(file, purpose).map_err(|error| explain(error, None))?;
        Ok(Self { connection, guard: Guard::default(), purpose })
    }

    /// For reading. What somebody who died left half done has to be undone
    /// first, by a connection that may write; a write of ours, killed at its
    /// run's deadline, is among that.
    pub(super) fn reading(file: &Path, undo: bool) -> Result<Self, SqlError> {
        let open = Self::new(file, Use::Reading)?;
        if undo && open.connection.execute_batch("SELECT 1 FROM sqlite_schema LIMIT 1").is_err_and(|error| is_unfinished(&error)) {
            let writing = Self::new(file, Use::Writing)?;
            writing.explained(|connection| Ok(connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?))?;
            writing.connection.close().map_err(|(_, error)| explain(error, None))?;
        }
        Ok(open)
    }

    /// From here on only what is on the list.
    fn guard(&mut self) -> Result<(), SqlError> {
        let (guard, purpose) = (self.guard.clone(), self.purpose);
        let judge = move |context: rusqlite::hooks::AuthContext<'_>| guard.judge(purpose, &context);
        self.connection.authorizer(Some(judge)).map_err(|error| explain(error, None))
    }

    /// For the end of a transaction, which is ours.
    fn unguard(&mut self) -> Result<(), SqlError> {
        type Nobody = fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization;
        self.connection.authorizer(None::<Nobody>).map_err(|error| explain(error, None))
    }

    pub(super) fn explained<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, SqlError> {
        work(&self.connection).map_err(|fault| match fault {
            Fault::Sqlite(error) => explain(error, self.guard.refused()),
            Fault::Limit(error) => error,
        })
    }
}

/// Looked at, never opened: SQLite alone opens a database. A FIFO in its place
/// would hold whoever opens it.
fn check_place(file: &Path) -> Result<(), SqlError> {
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(SqlError::Gone("there is something else in the place of the database".to_owned())),
        Err(error) => Err(SqlError::Gone(format!("the database cannot be found: {}", error.kind()))),
    }
}

/// A journal that was left behind may name another file that belongs to the same
/// transaction, and whoever rolls it back deletes that file. An application
/// that died in a transaction over several databases leaves one; so would a
/// program that was granted the folder, with any name that it likes.
fn check_journal(file: &Path) -> Result<(), SqlError> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let mut name = file.as_os_str().to_owned();
    name.push("-journal");
    // Journals have no locks, so that this one may be opened.
    let Ok(mut journal) = fs::File::open(PathBuf::from(name)) else { return Ok(()) };
    let mut end = [0; 8];
    let names_another = journal.seek(SeekFrom::End(-8)).is_ok() && journal.read_exact(&mut end).is_ok() && end == MAGIC;
    if names_another {
        return Err(SqlError::Gone(
            "the database was left within a transaction over several files, which only its own program can end".to_owned(),
        ));
    }
    Ok(())
}

fn connect(file: &Path, purpose: Use) -> Result<Connection, Error> {
    let mode = match purpose {
        Use::Reading => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Use::Writing => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let mut connection = Connection::open_with_flags(file, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW)?;
    connection.busy_handler(Some(wait))?;
    connection.set_db_config(Setting::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(Setting::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(Setting::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false)?;
    connection.set_db_config(Setting::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, int(MAX_SQLITE_VALUE))?;
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, int(MAX_SQLITE_STATEMENT))?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    // A child whose parent was killed belongs to another one now.
    let parent = getppid();
    connection.progress_handler(STEPS, Some(move || getppid() != parent))?;
    // Nothing is spilled into folders that are nobody's: memory has a limit. A
    // file that is cut while it is mapped would kill whoever reads it.
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON")?;
    Ok(connection)
}

/// Between two looks at a lock. SQLite's own waits grow to a tenth of a second,
/// in which a busy writer lets go of its lock again and again, unseen.
const LOOK: Duration = Duration::from_millis(2);

/// Waits for a lock, `before` times already; no more after [`SQLITE_BUSY_WAIT`].
fn wait(before: i32) -> bool {
    let waited = LOOK * u32::try_from(before).unwrap_or(u32::MAX);
    std::thread::sleep(LOOK);
    waited < SQLITE_BUSY_WAIT
}

fn int(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

fn read(connection: &Connection, statement: &Statement) -> Result<Rows, Fault> {
    let mut prepared = connection.prepare(&statement.sql)?;
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let width = columns.len();
    let mut found = Rows { columns, rows: Vec::new(), truncated: false };
    let mut left = MAX_SQLITE_ANSWER;
    let mut rows = start(&mut prepared, statement)?;
    while let Some(row) = rows.next()? {
        let cost = cost(row, width)?;
        if cost > MAX_SQLITE_ANSWER {
            return Err(Fault::Limit(too_large("one row", MAX_SQLITE_ANSWER)));
        }
        if found.rows.len() >= MAX_SQLITE_ROWS || cost > left {
            found.truncated = true;
            break;
        }
        left -= cost;
        found.rows.push((0..width).map(|column| row.get_ref(column).map(value)).collect::<Result<_, _>>()?);
    }
    Ok(found)
}

fn change(connection: &Connection, statement: &Statement) -> Result<Changes, Fault> {
    let before = connection.total_changes();
    let mut prepared = connection.prepare(&statement.sql)?;
    let mut rows = start(&mut prepared, statement)?;
    while rows.next()?.is_some() {}
    // What `changes` says is of the last statement that changed something.
    let rows = if connection.total_changes() == before { 0 } else { connection.changes() };
    Ok(Changes { rows, last_insert_id: connection.last_insert_rowid() })
}

fn start<'a>(prepared: &'a mut Prepared<'_>, statement: &Statement) -> Result<rusqlite::Rows<'a>, Error> {
    prepared.query(params_from_iter(statement.params.iter().map(bound)))
}

fn bound(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => Value::Integer(*number),
        SqlValue::Real(number) => Value::Real(*number),
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Blob(bytes) => Value::Blob(bytes.clone()),
    }
}

fn cost(row: &Row<'_>, width: usize) -> Result<usize, Error> {
    let mut cost = 0;
    for column in 0..width {
        cost += VALUE_OVERHEAD
            + match row.get_ref(column)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                _ => 0,
            };
    }
    Ok(cost)
}

fn value(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        ValueRef::Text(bytes) => {
            std::str::from_utf8(bytes).map_or_else(|_| SqlValue::Blob(bytes.to_vec()), |text| SqlValue::Text(text.to_owned()))
        }
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    }
}

/// In words, and whose it is to act.
pub(super) fn explain(error: Error, refused: Option<Refused>) -> SqlError {
    match refused {
        Some(Refused::Change) => return SqlError::ReadOnly("a query only reads: what changes the database is for `execute`".to_owned()),
        Some(Refused::Never(what)) => return SqlError::Sql(format!("a program may not {what}")),
        None => {}
    }
    let said = match &error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            SqlError::Busy("somebody else keeps the database locked".to_owned())
        }
        // Undoing what another program left half done is a write of its own.
        Some(ErrorCode::ReadOnly) if is_unfinished(&error) => {
            SqlError::Gone("the database was left in the middle of a write: its own program has to open it first".to_owned())
        }
        Some(ErrorCode::ReadOnly) => SqlError::ReadOnly("the file of the database cannot be written".to_owned()),
        Some(ErrorCode::TooBig) => SqlError::TooLarge(format!(
            "a value or statement is too large: at most {} and {}",
            SizeText(MAX_SQLITE_VALUE as u64),
            SizeText(MAX_SQLITE_STATEMENT as u64)
        )),
        Some(ErrorCode::OutOfMemory) => out_of_memory(),
        Some(ErrorCode::DiskFull) => SqlError::TooLarge("no space is left for the database".to_owned()),
        Some(
            ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure,
        ) => SqlError::Gone(format!("the database cannot be used: {said}")),
        _ => SqlError::Sql(said),
    }
}

fn is_unfinished(error: &Error) -> bool {
    use rusqlite::ffi::{SQLITE_READONLY_CANTINIT, SQLITE_READONLY_CANTLOCK, SQLITE_READONLY_RECOVERY, SQLITE_READONLY_ROLLBACK};
    let left = [SQLITE_READONLY_CANTINIT, SQLITE_READONLY_CANTLOCK, SQLITE_READONLY_RECOVERY, SQLITE_READONLY_ROLLBACK];
    matches!(error, Error::SqliteFailure(code, _) if left.contains(&code.extended_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().canonicalize().unwrap().join("a.db");
        fs::write(&file, "").unwrap();
        execute(&file, &[statement("CREATE TABLE t (x)"), statement("INSERT INTO t VALUES (1), (2)")]).unwrap();
        (folder, file)
    }

    fn statement(sql: &str) -> Statement {
        Statement { sql: sql.to_owned(), params: Vec::new() }
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_by_the_guard() {
        let (folder, file) = database();
        let made = folder.path().join("made.db");
        for (sql, why) in [
            (format!("ATTACH '{}' AS m", made.display()), "a program may not reach another database file"),
            ("SELECT load_extension('x')".to_owned(), "a program may not call load_extension()"),
            ("PRAGMA writable_schema = 1".to_owned(), "a program may not use PRAGMA writable_schema"),
            ("SELECT * FROM pragma_database_list".to_owned(), "a program may not use PRAGMA database_list"),
            ("SAVEPOINT s".to_owned(), "a program may not begin or end a transaction: each call is one"),
            ("CREATE VIRTUAL TABLE v USING fts5(x)".to_owned(), "a program may not make or drop a virtual table"),
        ] {
            let error = execute(&file, &[statement(&sql)]).unwrap_err();
            assert!(matches!(&error, SqlError::Sql(said) if said == why), "{sql}: {error:?}");
            // For a query, some of them are a change before they are anything else.
            let error = query(&file, true, &statement(&sql)).unwrap_err();
            assert!(matches!(&error, SqlError::Sql(said) if said == why) || matches!(error, SqlError::ReadOnly(_)), "{sql}: {error:?}");
        }
        assert!(!made.exists());
    }

    #[test]
    fn without_the_guard_the_connection_still_attaches_nothing() {
        let (folder, file) = database();
        let open = Open::new(&file, Use::Writing).unwrap();
        let made = folder.path().join("made.db");
        for sql in [
            format!("ATTACH '{}' AS m", made.display()),
            format!("VACUUM INTO '{}'", made.display()),
            "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = ''".to_owned(),
        ] {
            assert!(open.connection.execute_batch(&sql).is_err(), "{sql}");
        }
        assert!(!made.exists());
    }

    #[test]
    fn what_tells_about_a_database_is_allowed() {
        let (_folder, file) = database();
        for sql in [
            "PRAGMA table_info(t)",
            "PRAGMA integrity_check",
            "SELECT name FROM pragma_table_list",
            "PRAGMA user_version",
            "EXPLAIN SELECT 1",
        ] {
            assert!(!query(&file, false, &statement(sql)).unwrap().rows.is_empty(), "{sql}");
        }
        execute(&file, &[statement("PRAGMA user_version = 7")]).unwrap();
        assert_eq!(query(&file, false, &statement("PRAGMA user_version")).unwrap().rows, [[SqlValue::Integer(7)]]);
    }

    #[test]
    fn a_statement_takes_as_many_values_as_it_has_places_for() {
        let (_folder, file) = database();
        let of = |params: Vec<SqlValue>| query(&file, false, &Statement { sql: "SELECT ?, ?".to_owned(), params });
        assert!(matches!(of(vec![SqlValue::Null]), Err(SqlError::Sql(_))) && matches!(of(vec![SqlValue::Null; 3]), Err(SqlError::Sql(_))));
        assert_eq!(of(vec![SqlValue::Integer(1), SqlValue::Text("a".to_owned())]).unwrap().rows.len(), 1);
    }

    #[test]
    fn an_answer_is_cut_between_rows_and_a_row_never() {
        let (_folder, file) = database();
        let many = query(&file, false, &statement("SELECT hex(zeroblob(500000)) FROM t, t AS u, t AS v")).unwrap();
        assert_eq!((many.rows.len(), many.truncated), (4, true));
        let one = query(&file, false, &statement("SELECT zeroblob(5000000)")).unwrap_err();
        assert!(matches!(one, SqlError::TooLarge(_)), "{one:?}");
    }

    #[test]
    fn a_copy_is_the_database_and_leaves_nothing_in_its_scratch_folder() {
        let (folder, file) = database();
        let scratch = folder.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        let mut bytes = Vec::new();
        let mut keep = |piece: Vec<u8>| {
            assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
            bytes.extend(piece);
            Ok(())
        };
        let length = crate::guest::copy::copy(&file, false, &scratch, &mut keep).unwrap();
        assert_eq!(length, bytes.len() as u64);
        let copy = folder.path().canonicalize().unwrap().join("copy.db");
        fs::write(&copy, bytes).unwrap();
        assert_eq!(query(&copy, false, &statement("SELECT x FROM t")).unwrap().rows.len(), 2);
    }
}
