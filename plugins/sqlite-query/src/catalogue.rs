//! What a database says of itself: its tables, and what each is like.

use crate::bindings::wardroom::automation::sqlite;
use crate::bindings::{Column, Description, Error, Index, Reference, Rows, Table, Value};

pub(crate) fn tables(database: &str) -> Result<Vec<Table>, Error> {
    let sql = "SELECT name, type = 'view' FROM sqlite_schema \
        WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    read(database, sql, &[], |row| Table { name: row.text(0), view: row.number(1) != 0 })
}

pub(crate) fn describe(database: &str, table: &str) -> Result<Description, Error> {
    let name = [Value::Text(table.to_owned())];
    let made = "SELECT coalesce(sql, '') FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
    let Some(sql) = read(database, made, &name, |row| row.text(0))?.pop() else {
        return Err(Error::Sql(format!("there is no table or view `{table}`")));
    };
    let columns = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
    let columns = read(database, columns, &name, |row| Column {
        name: row.text(0),
        declared: row.text(1),
        not_null: row.number(2) != 0,
        default_value: row.optional(3),
        primary_key: u32::try_from(row.number(4)).unwrap_or_default(),
    })?;
    let references = "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq";
    let references = read(database, references, &name, |row| Reference { from: row.text(0), table: row.text(1), to: row.optional(2) })?;
    Ok(Description { sql, columns, indexes: indexes(database, &name)?, references })
}

fn indexes(database: &str, table: &[Value]) -> Result<Vec<Index>, Error> {
    let sql =
        "SELECT l.name, l.\"unique\", i.name FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i ORDER BY l.name, i.seqno";
    let mut indexes: Vec<Index> = Vec::new();
    for (name, unique, column) in read(database, sql, table, |row| (row.text(0), row.number(1) != 0, row.optional(2)))? {
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => indexes.push(Index { name, unique, columns: vec![column] }),
        }
    }
    Ok(indexes)
}

fn read<T>(database: &str, sql: &str, params: &[Value], of: impl Fn(&Row<'_>) -> T) -> Result<Vec<T>, Error> {
    let Rows { rows, truncated, .. } = sqlite::query(database, sql, params)?;
    if truncated {
        return Err(Error::TooLarge("the database has more of them than one answer holds".to_owned()));
    }
    Ok(rows.iter().map(|row| of(&Row(row))).collect())
}

/// A row whose columns are known; what SQLite would not put there reads as nothing.
struct Row<'a>(&'a [Value]);

impl Row<'_> {
    fn optional(&self, column: usize) -> Option<String> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn text(&self, column: usize) -> String {
        self.optional(column).unwrap_or_default()
    }

    fn number(&self, column: usize) -> i64 {
        match self.0.get(column) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }
}
