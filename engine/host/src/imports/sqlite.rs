//! `wardroom:automation/sqlite`: which databases a run has, and what for. The
//! work is done by whoever was lent for it
//! ([`Databases`](wardroom_core::sqlite::Databases)); here are the grants, and
//! the place of a copy.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wardroom_core::capability::sqlite::SqliteScope;
use wardroom_core::capability::{Capability, Refusal};
use wardroom_core::sqlite::{Changes, Rows, SqlError, SqlValue, Statement};
use wardroom_core::witness::Witness;

use super::automation::wardroom::automation::sqlite as wit;
use super::files::parent_of;
use super::fresh::{Fresh, FreshError};
use crate::run::RunState;

type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

/// A program that can put files beside a database can put a forged journal
/// there, which SQLite would obey, and cut files that SQLite reads.
const WRITABLE_FOLDER: &str = "it lies in a folder that the program may write, where its journal could be forged";

impl RunState {
    fn refuse(&self, capability: Capability, wanted: &str, reason: &str, scope: Option<String>) -> wit::Error {
        let refusal = Refusal { capability, wanted: wanted.to_owned(), reason: reason.to_owned(), scope };
        self.notes.refused(&refusal);
        wit::Error::NotGranted(refusal.to_string())
    }

    /// The database of this name, where it was granted.
    fn database(&self, name: &str) -> Result<SqliteScope, wit::Error> {
        let called = self.access.sqlite.iter().filter(|database| database.is_called(name));
        let Some(database) = called.max_by_key(|database| database.write()) else {
            return Err(self.refuse(Capability::Sqlite, name, "no grant covers it", Some(name.to_owned())));
        };
        let folders = self.access.folders.iter().filter(|entry| entry.write);
        if folders.into_iter().any(|entry| database.absolute().starts_with(entry.folder.absolute())) {
            return Err(self.refuse(Capability::Sqlite, name, WRITABLE_FOLDER, None));
        }
        Ok(database.clone())
    }

    /// The same, where it may be written.
    fn writable_database(&self, name: &str) -> Result<SqliteScope, wit::Error> {
        let database = self.database(name)?;
        if database.write() {
            return Ok(database);
        }
        let reason = "the database was granted for reading only";
        match self.refuse(Capability::Sqlite, name, reason, Some(format!("{}:write", database.text()))) {
            wit::Error::NotGranted(said) => Err(wit::Error::ReadOnly(said)),
            other => Err(other),
        }
    }

    /// Where the guest wants its copy: an open folder, and the path from there.
    fn place(&self, target: &str) -> Result<(Arc<File>, PathBuf), wit::Error> {
        let Some((entry, folder, path)) = self.folders.holding(Path::new(target)) else {
            let reason = "it lies outside of the granted folders";
            return Err(self.refuse(Capability::Write, target, reason, Some(parent_of(target))));
        };
        if !entry.write {
            let reason = "the folder was granted for reading only";
            return Err(self.refuse(Capability::Write, target, reason, Some(entry.folder.text().to_owned())));
        }
        Ok((Arc::clone(folder), path))
    }
}

/// The guest's answer; what of ours failed ends the run.
fn answer<T, U>(result: Result<T, SqlError>, words: impl FnOnce(T) -> U) -> Answer<U> {
    Ok(match result {
        Ok(value) => Ok(words(value)),
        Err(SqlError::ReadOnly(why)) => Err(wit::Error::ReadOnly(why)),
        Err(SqlError::Busy(why)) => Err(wit::Error::Busy(why)),
        Err(SqlError::Sql(why)) => Err(wit::Error::Sql(why)),
        Err(SqlError::TooLarge(why)) => Err(wit::Error::TooLarge(why)),
        Err(SqlError::Gone(why)) => Err(wit::Error::Gone(why)),
        Err(SqlError::Target(why)) => Err(wit::Error::Target(why)),
        Err(SqlError::Host(fault)) => return Err(wasmtime::Error::new(fault)),
        Err(other) => Err(wit::Error::Sql(other.to_string())),
    })
}

impl wit::Host for RunState {
    async fn query(&mut self, name: String, sql: String, params: Vec<wit::Value>) -> Answer<wit::Rows> {
        let database = match self.database(&name) {
            Ok(database) => database,
            Err(refused) => return Ok(Err(refused)),
        };
        let statement = Statement { sql, params: params.into_iter().map(Into::into).collect() };
        answer(self.databases.query(&database, statement).await, Into::into)
    }

    async fn execute(&mut self, name: String, statements: Vec<wit::Statement>) -> Answer<Vec<wit::Changes>> {
        let database = match self.writable_database(&name) {
            Ok(database) => database,
            Err(refused) => return Ok(Err(refused)),
        };
        self.notes.effect().await.map_err(wasmtime::Error::new)?;
        let statements = statements.into_iter().map(Into::into).collect();
        answer(self.databases.execute(&database, statements).await, |changes| changes.into_iter().map(Into::into).collect())
    }

    async fn snapshot(&mut self, name: String, target: String) -> Answer<u64> {
        let database = match self.database(&name) {
            Ok(database) => database,
            Err(refused) => return Ok(Err(refused)),
        };
        let (folder, path) = match self.place(&target) {
            Ok(place) => place,
            Err(refused) => return Ok(Err(refused)),
        };
        self.notes.effect().await.map_err(wasmtime::Error::new)?;
        let begun = tokio::task::spawn_blocking(move || Fresh::begin(&folder, &path, &target)).await?;
        let mut copy = match begun {
            Ok(copy) => copy,
            Err(error) => return Ok(Err(error.into())),
        };
        let copied = match answer(self.databases.copy(&database, &mut copy).await, |bytes| bytes)? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        Ok(copy.finish().await.map(|()| copied).map_err(wit::Error::from))
    }
}

impl From<FreshError> for wit::Error {
    fn from(error: FreshError) -> Self {
        let said = error.to_string();
        match error {
            FreshError::Exists(_) => Self::Exists(said),
            FreshError::Path(_) | FreshError::Io { .. } => Self::Target(said),
        }
    }
}

impl From<wit::Value> for SqlValue {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Null => Self::Null,
            wit::Value::Integer(number) => Self::Integer(number),
            wit::Value::Real(number) => Self::Real(number),
            wit::Value::Text(text) => Self::Text(text),
            wit::Value::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl From<SqlValue> for wit::Value {
    fn from(value: SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Integer(number) => Self::Integer(number),
            SqlValue::Real(number) => Self::Real(number),
            SqlValue::Text(text) => Self::Text(text),
            SqlValue::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

impl From<wit::Statement> for Statement {
    fn from(statement: wit::Statement) -> Self {
        Self { sql: statement.sql, params: statement.params.into_iter().map(Into::into).collect() }
    }
}

impl From<Rows> for wit::Rows {
    fn from(found: Rows) -> Self {
        let rows = found.rows.into_iter().map(|row| row.into_iter().map(Into::into).collect());
        Self { columns: found.columns, rows: rows.collect(), truncated: found.truncated }
    }
}

impl From<Changes> for wit::Changes {
    fn from(changes: Changes) -> Self {
        Self { rows: changes.rows, last_insert_id: changes.last_insert_id }
    }
}
