//! What executions logged, line by line and in order.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::log::LogLine;

use crate::column::{count, integer, parsed, plain, time};
use crate::executions::{Place, place};
use crate::writer::Answer;
use crate::{Database, DbError};

/// A line of an execution's log, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineRecord {
    /// Its place, counted from 0 without gaps.
    pub seq: u64,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

impl Database {
    /// Adds lines to the log of a running execution.
    ///
    /// The answer is [`DbError::UnknownExecution`] where there is none, or
    /// [`DbError::IllegalMove`] where it runs no more.
    pub fn append_lines(&self, id: ExecutionId, attempt: u32, lines: Vec<LogLine>) -> Answer<()> {
        self.write(move |connection| match place(connection, id, attempt)? {
            Place { serial, status: Status::Running } => append(connection, serial, &lines),
            Place { status, .. } => Err(DbError::IllegalMove { id, attempt, from: status, to: Status::Running }),
        })
    }

    /// At most `limit` lines of an execution from a place on; none where there
    /// is no such execution.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn lines(&self, id: ExecutionId, attempt: u32, from: u64, limit: u64) -> Result<Vec<LineRecord>, DbError> {
        const LINES: &str = "
            SELECT seq, at_ms, level, text
            FROM log_lines
            WHERE execution = (SELECT serial FROM executions WHERE id = ?1 AND attempt = ?2) AND seq >= ?3
            ORDER BY seq
            LIMIT ?4";
        self.read_executions(|connection| {
            let mut statement = connection.prepare_cached(LINES)?;
            let params = params![id.to_string(), attempt, integer(from), integer(limit)];
            statement.query_and_then(params, line)?.collect()
        })
    }
}

/// Adds lines after those that are there.
pub(crate) fn append(connection: &Connection, execution: i64, lines: &[LogLine]) -> Result<(), DbError> {
    const LAST: &str = "
        SELECT seq FROM log_lines WHERE execution = ? ORDER BY seq DESC LIMIT 1";
    const INSERT: &str = "
        INSERT INTO log_lines (execution, seq, at_ms, level, text)
        VALUES (?, ?, ?, ?, ?)";
    if lines.is_empty() {
        return Ok(());
    }
    let last: Option<i64> = connection.prepare_cached(LAST)?.query_row([execution], |row| row.get(0)).optional()?;
    let mut insert = connection.prepare_cached(INSERT)?;
    for (seq, line) in (last.map_or(0, |last| last.saturating_add(1))..).zip(lines) {
        insert.execute(params![execution, seq, line.at.ms(), line.level.name(), line.text])?;
    }
    Ok(())
}

fn line(row: &Row<'_>) -> Result<LineRecord, DbError> {
    let line = LogLine { at: time(row, "at_ms")?, level: parsed(row, "level")?, text: plain(row, "text")? };
    Ok(LineRecord { seq: count(row, "seq")?, line })
}

#[cfg(test)]
mod tests {
    use wardroom_core::log::Level;

    use super::*;
    use crate::testing::{Home, ending, line, start, succeeded};

    #[tokio::test]
    async fn lines_are_numbered_through_all_batches() {
        let home = Home::new();
        let database = home.open();
        let row = start("s");
        database.start(&row).await.unwrap();
        database.append_lines(row.id, 1, vec![line("a"), line("b")]).await.unwrap();
        database.append_lines(row.id, 1, Vec::new()).await.unwrap();
        database.append_lines(row.id, 1, vec![line("c")]).await.unwrap();
        database.finish(row.id, 1, ending(&succeeded())).await.unwrap();
        let texts = |from, limit| -> Vec<(u64, String)> {
            let lines = database.lines(row.id, 1, from, limit).unwrap();
            lines.into_iter().map(|record| (record.seq, record.line.text)).collect()
        };
        let all = [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned()), (3, "done".to_owned())];
        assert_eq!(texts(0, u64::MAX), all);
        assert_eq!(texts(1, 2), all[1..3]);
        assert_eq!(texts(u64::MAX, 5), []);
        assert_eq!(database.lines(row.id, 2, 0, 5).unwrap(), []);
    }

    #[tokio::test]
    async fn only_a_running_execution_logs() {
        let home = Home::new();
        let database = home.open();
        let row = start("s");
        let unknown = database.append_lines(row.id, 1, vec![line("a")]).await;
        assert!(matches!(unknown, Err(DbError::UnknownExecution { .. })));
        database.record(&row, ending(&succeeded())).await.unwrap();
        let late = database.append_lines(row.id, 1, vec![line("a")]).await;
        assert!(matches!(late, Err(DbError::IllegalMove { from: Status::Success, .. })));
    }

    #[tokio::test]
    async fn every_level_is_read_back_and_text_stays_as_it_is() {
        let home = Home::new();
        let database = home.open();
        let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error];
        let lines: Vec<_> = levels.map(|level| LogLine { level, ..line("\u{1b}[2J \0 'é") }).into();
        let row = start("s");
        database.start(&row).await.unwrap();
        database.append_lines(row.id, 1, lines.clone()).await.unwrap();
        let kept = database.lines(row.id, 1, 0, 9).unwrap();
        assert_eq!(kept.into_iter().map(|record| record.line).collect::<Vec<_>>(), lines);
    }
}
