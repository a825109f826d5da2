//! Reads, changes and copies SQLite databases through the host's interface.
//!
//! Owns the questions about tables and nothing else: what is granted, what SQL may
//! do, and who waits for a lock are the host's to say.

mod catalogue;

#[allow(missing_docs, clippy::missing_safety_doc, clippy::too_many_arguments, reason = "generated from wit/sqlite-query.wit")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "wardroom:sqlite-query/sqlite-query",
        generate_all,
    });
    use super::SqliteQuery;
    export!(SqliteQuery);
}

use bindings::wardroom::automation::sqlite;
use bindings::{Changes, Description, Error, Guest, Rows, Statement, Table, Value};

/// The functions of `wit/sqlite-query.wit`.
struct SqliteQuery;

impl Guest for SqliteQuery {
    fn query(database: String, sql: String, params: Option<Vec<Value>>) -> Result<Rows, Error> {
        sqlite::query(&database, &sql, &params.unwrap_or_default())
    }

    fn execute(target: String, statements: Vec<Statement>) -> Result<Vec<Changes>, Error> {
        sqlite::execute(&target, &statements)
    }

    fn snapshot(database: String, folder: String, file: String) -> Result<u64, Error> {
        let plain = !file.is_empty() && file != "." && file != ".." && !file.contains(['/', '\\', '\0']);
        if !plain {
            return Err(Error::Target(format!("`{file}` is no file name: expected one without a folder")));
        }
        sqlite::snapshot(&database, &format!("{}/{file}", folder.trim_end_matches('/')))
    }

    fn tables(database: String) -> Result<Vec<Table>, Error> {
        catalogue::tables(&database)
    }

    fn describe(database: String, table: String) -> Result<Description, Error> {
        catalogue::describe(&database, &table)
    }
}
