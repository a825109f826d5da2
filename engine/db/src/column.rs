//! Values between Rust and SQLite, for every table alike.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::types::{FromSql, ToSqlOutput};
use rusqlite::{Row, ToSql};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wardroom_core::clock::Timestamp;

use crate::DbError;

/// A count as SQLite keeps it. Beyond `i64` it stays at the maximum: a meter
/// that ran over is no reason to lose the record.
pub(crate) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A value as its own text, which is made where the column is written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> ToSql for Text<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

/// A value as JSON, which is made where the column is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(text.into())
    }
}

/// A value as JSON text.
pub(crate) fn json(column: &'static str, value: &impl Serialize) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|source| DbError::Encode { column, source: Arc::new(source) })
}

/// A column that any of our writes filled, so that a misfit is damage.
pub(crate) fn plain<T: FromSql>(row: &Row<'_>, column: &'static str) -> Result<T, DbError> {
    row.get(column).map_err(|_| DbError::Damaged { column })
}

/// A count that is never negative.
pub(crate) fn count(row: &Row<'_>, column: &'static str) -> Result<u64, DbError> {
    optional_count(row, column)?.ok_or(DbError::Damaged { column })
}

/// A count that is never negative, where there is one.
pub(crate) fn optional_count(row: &Row<'_>, column: &'static str) -> Result<Option<u64>, DbError> {
    let value: Option<i64> = plain(row, column)?;
    value.map(|value| u64::try_from(value).map_err(|_| DbError::Damaged { column })).transpose()
}

/// A point in time.
pub(crate) fn time(row: &Row<'_>, column: &'static str) -> Result<Timestamp, DbError> {
    plain(row, column).map(Timestamp::from_ms)
}

/// A point in time, where there is one.
pub(crate) fn optional_time(row: &Row<'_>, column: &'static str) -> Result<Option<Timestamp>, DbError> {
    Ok(plain::<Option<i64>>(row, column)?.map(Timestamp::from_ms))
}

/// A text that is read back by its own type.
pub(crate) fn parsed<T: FromStr>(row: &Row<'_>, column: &'static str) -> Result<T, DbError> {
    plain::<String>(row, column)?.parse().map_err(|_| DbError::Damaged { column })
}

/// A text that is read back by its own type, where there is one.
pub(crate) fn optional_parsed<T: FromStr>(row: &Row<'_>, column: &'static str) -> Result<Option<T>, DbError> {
    let text: Option<String> = plain(row, column)?;
    text.map(|text| text.parse().map_err(|_| DbError::Damaged { column })).transpose()
}

/// A JSON text.
pub(crate) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<T, DbError> {
    serde_json::from_str(&plain::<String>(row, column)?).map_err(|_| DbError::Damaged { column })
}

/// A JSON text, where there is one.
pub(crate) fn optional_json<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<Option<T>, DbError> {
    let text: Option<String> = plain(row, column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| DbError::Damaged { column })).transpose()
}

/// One word of an enum, written as its serde name.
pub(crate) fn word<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<T, DbError> {
    optional_word(row, column)?.ok_or(DbError::Damaged { column })
}

/// One word of an enum, where there is one.
pub(crate) fn optional_word<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<Option<T>, DbError> {
    let text: Option<String> = plain(row, column)?;
    let word = text.map(|text| serde_json::from_value(serde_json::Value::String(text)));
    word.transpose().map_err(|_| DbError::Damaged { column })
}
