//! Lists of executions: newest first, filtered, a window at a time.
//!
//! Every way to list names its index. SQLite keeps no statistics here, and a
//! planner that guesses may walk a million rows.

use std::collections::BinaryHeap;

use rusqlite::{Connection, Rows, Statement, ToSql};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;

use crate::column::{integer, plain};
use crate::executions::{ExecutionSummary, SUMMARY, summary};
use crate::{Database, DbError};

/// Which executions to list; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Standing there.
    pub status: Option<Status>,
    /// Of exactly this task, by its name; it counts before the subject.
    pub task: Option<String>,
    /// Asked for in exactly this client's session; it counts before the subject.
    pub session: Option<String>,
    /// Of exactly this subject.
    pub subject: Option<String>,
    /// Of programs whose shown name contains this, letter by letter.
    pub program: Option<String>,
    /// Called by exactly this execution; it counts before all others.
    pub parent: Option<ExecutionId>,
    /// Asked for then or later.
    pub since: Option<Timestamp>,
    /// Asked for before then.
    pub until: Option<Timestamp>,
    /// With this in a line of their log. No index serves this one.
    pub text: Option<String>,
    /// At most so many.
    pub limit: u64,
    /// After leaving out so many of the newest.
    pub offset: u64,
}

impl Default for Filter {
    /// The newest 50.
    fn default() -> Self {
        Self {
            status: None,
            task: None,
            session: None,
            subject: None,
            program: None,
            parent: None,
            since: None,
            until: None,
            text: None,
            limit: 50,
            offset: 0,
        }
    }
}

impl Database {
    /// The executions that pass a filter, newest first.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn list(&self, filter: &Filter) -> Result<Vec<ExecutionSummary>, DbError> {
        if let Some(parent) = filter.parent {
            return self.read_executions(|connection| Lane::of_parent(filter, parent).list(connection));
        }
        self.read_executions(|connection| match (&filter.task, &filter.session, &filter.subject, &filter.program) {
            (Some(task), _, _, _) => Lane::of_task(filter, task).list(connection),
            (None, Some(session), _, _) => Lane::of_session(filter, session).list(connection),
            (None, None, None, Some(part)) => list_programs(connection, filter, &programs(connection, part)?),
            (None, None, Some(subject), _) => Lane::of_subject(filter, subject).list(connection),
            (None, None, None, None) => Lane::of_all(filter).list(connection),
        })
    }
}

/// When a session began, in milliseconds, by the UUIDv7 at the end of its name.
fn began(session: &str) -> Option<i64> {
    let id = uuid::Uuid::try_parse(session.strip_prefix("mcp-")?).ok()?;
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds.checked_mul(1000)? + u64::from(nanos / 1_000_000)).ok()
}

/// The distinct programs with this in their names, by jumping through the index
/// from one to the next (<https://www.sqlite.org/optoverview.html>, skip-scan).
fn programs(connection: &Connection, part: &str) -> Result<Vec<String>, DbError> {
    const PROGRAMS: &str = "
        WITH RECURSIVE names (name) AS (
            SELECT MIN(program) FROM executions
            UNION ALL
            SELECT (SELECT MIN(program) FROM executions WHERE program > name) FROM names WHERE name IS NOT NULL)
        SELECT name FROM names WHERE instr(name, ?) > 0";
    let mut statement = connection.prepare_cached(PROGRAMS)?;
    statement.query_and_then([part], |row| plain(row, "name"))?.collect()
}

/// One program is one range of its index. Several are walked together, newest
/// first, no further than to the window's end.
fn list_programs(connection: &Connection, filter: &Filter, programs: &[String]) -> Result<Vec<ExecutionSummary>, DbError> {
    if let [program] = programs {
        return Lane::of_program(filter, program).list(connection);
    }
    let reach = Filter { limit: filter.offset.saturating_add(filter.limit), offset: 0, ..filter.clone() };
    let lanes: Vec<Lane<'_>> = programs.iter().map(|program| Lane::of_program(&reach, program)).collect();
    // Not among the cached statements: one that is walked cannot be shared.
    let prepare = |lane: &Lane<'_>| connection.prepare(&lane.sql("created_ms, serial"));
    let mut statements = lanes.iter().map(prepare).collect::<Result<Vec<Statement<'_>>, rusqlite::Error>>()?;
    let begin = |(statement, lane): (_, &Lane<'_>)| Statement::query(statement, &*lane.params());
    let mut walks = statements.iter_mut().zip(&lanes).map(begin).collect::<Result<Vec<Rows<'_>>, rusqlite::Error>>()?;
    let mut heads = BinaryHeap::new();
    for (lane, walk) in walks.iter_mut().enumerate() {
        heads.extend(place(walk, lane)?);
    }
    let (mut passed, mut serials) = (0, Vec::new());
    while passed < reach.limit
        && let Some((_, serial, lane)) = heads.pop()
    {
        passed += 1;
        if passed > filter.offset {
            serials.push(serial);
        }
        if let Some(walk) = walks.get_mut(lane) {
            heads.extend(place(walk, lane)?);
        }
    }
    let by_serial = format!("SELECT {SUMMARY} FROM executions WHERE serial = ?");
    let mut statement = connection.prepare_cached(&by_serial)?;
    serials.into_iter().map(|serial| statement.query_row([serial], |row| Ok(summary(row)))?).collect()
}

/// When and where the next of a lane is, without a look into the table.
fn place(walk: &mut Rows<'_>, lane: usize) -> Result<Option<(i64, i64, usize)>, DbError> {
    let row = walk.next()?;
    row.map(|row| Ok((plain(row, "created_ms")?, plain(row, "serial")?, lane))).transpose()
}

/// One range of one index, already in order.
struct Lane<'a> {
    index: &'static str,
    conditions: Vec<&'static str>,
    values: Vec<Box<dyn ToSql + 'a>>,
    limit: i64,
    offset: i64,
}

impl<'a> Lane<'a> {
    fn of_task(filter: &'a Filter, task: &'a str) -> Self {
        let mut lane = Self::over("executions_by_task", filter);
        lane.only("task = ?", task);
        if let Some(session) = &filter.session {
            lane.only("session = ?", session);
        }
        lane.also_subject_and_program(filter);
        lane
    }

    /// No index serves sessions: each would cost every execution a page. A
    /// session's name tells when it began, and nothing of it is older.
    fn of_session(filter: &'a Filter, session: &'a str) -> Self {
        let mut lane = Self::of_all(filter);
        if let Some(since) = began(session) {
            lane.only("created_ms >= ?", since);
        }
        lane.only("session = ?", session);
        lane.also_subject_and_program(filter);
        lane
    }

    fn of_parent(filter: &'a Filter, parent: ExecutionId) -> Self {
        let mut lane = Self::over("executions_by_parent", filter);
        lane.only("parent = ?", parent.to_string());
        if let Some(task) = &filter.task {
            lane.only("task = ?", task);
        }
        if let Some(session) = &filter.session {
            lane.only("session = ?", session);
        }
        lane.also_subject_and_program(filter);
        lane
    }

    fn of_subject(filter: &'a Filter, subject: &'a str) -> Self {
        let mut lane = Self::over("executions_by_subject", filter);
        lane.only("subject = ?", subject);
        if let Some(part) = &filter.program {
            lane.only("instr(program, ?) > 0", part);
        }
        lane
    }

    /// What is looked at row by row, within one task, session or caller.
    fn also_subject_and_program(&mut self, filter: &'a Filter) {
        if let Some(subject) = &filter.subject {
            self.only("subject = ?", subject);
        }
        if let Some(part) = &filter.program {
            self.only("instr(program, ?) > 0", part);
        }
    }

    fn of_program(filter: &'a Filter, program: &'a str) -> Self {
        let mut lane = Self::over("executions_by_program", filter);
        lane.only("program = ?", program);
        lane
    }

    fn of_all(filter: &'a Filter) -> Self {
        let by_status = filter.status.is_some();
        Self::over(if by_status { "executions_by_status" } else { "executions_by_time" }, filter)
    }

    fn over(index: &'static str, filter: &'a Filter) -> Self {
        let (limit, offset) = (integer(filter.limit), integer(filter.offset));
        let mut lane = Self { index, conditions: Vec::new(), values: Vec::new(), limit, offset };
        if let Some(status) = filter.status {
            lane.only("status = ?", status.name());
        }
        if let Some(since) = filter.since {
            lane.only("created_ms >= ?", since.ms());
        }
        if let Some(until) = filter.until {
            lane.only("created_ms < ?", until.ms());
        }
        if let Some(text) = &filter.text {
            lane.only("EXISTS (SELECT 1 FROM log_lines WHERE execution = serial AND instr(text, ?) > 0)", text);
        }
        lane
    }

    fn only(&mut self, condition: &'static str, value: impl ToSql + 'a) {
        self.conditions.push(condition);
        self.values.push(Box::new(value));
    }

    fn sql(&self, columns: &str) -> String {
        let (index, conditions) = (self.index, self.conditions.join(" AND "));
        let condition = if conditions.is_empty() { "TRUE" } else { &conditions };
        format!(
            "SELECT {columns}
             FROM executions INDEXED BY {index}
             WHERE {condition}
             ORDER BY created_ms DESC, serial DESC
             LIMIT ? OFFSET ?"
        )
    }

    fn params(&self) -> Vec<&dyn ToSql> {
        let values = self.values.iter().map(|value| &**value as &dyn ToSql);
        values.chain([&self.limit as &dyn ToSql, &self.offset]).collect()
    }

    fn list(&self, connection: &Connection) -> Result<Vec<ExecutionSummary>, DbError> {
        let mut statement = connection.prepare_cached(&self.sql(SUMMARY))?;
        statement.query_and_then(&*self.params(), summary)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use wardroom_core::failure::Outcome;

    use super::*;
    use crate::testing::{Home, ending, failed, line, start, succeeded};

    /// Six executions, asked for at 0 to 5 ms; even ones succeed.
    async fn six(database: &Database) {
        for (at, (subject, program)) in [
            ("/a/report.js", "report.js"),
            ("/a/mail.wasm", "mail.wasm#send"),
            ("/b/report.js", "b/report.js"),
            ("/a/report.js", "report.js"),
            ("/c/clean.js", "clean.js"),
            ("/a/report.js", "./report.js"),
        ]
        .into_iter()
        .enumerate()
        {
            let at = i64::try_from(at).unwrap();
            let mut row = start(subject);
            row.program = program;
            row.session = (at > 3).then_some("mcp-1");
            row.created_at = Timestamp::from_ms(at);
            let outcome: Outcome = if at % 2 == 0 { succeeded() } else { failed() };
            let mut end = ending(&outcome);
            end.lines.push(line(&format!("number {at}%")));
            database.record(&row, end).await.unwrap();
        }
    }

    fn times(database: &Database, filter: &Filter) -> Vec<i64> {
        database.list(filter).unwrap().iter().map(|row| row.created_at.ms()).collect()
    }

    #[tokio::test]
    async fn lists_are_newest_first_and_filtered_and_windowed() {
        let home = Home::new();
        let database = home.open();
        six(&database).await;
        let all = Filter::default();
        let text = |text: &str| Some(text.to_owned());
        let ms = |ms| Some(Timestamp::from_ms(ms));
        let report = Filter { program: text("report"), ..all.clone() };
        let cases: Vec<(Filter, &[i64])> = vec![
            (all.clone(), &[5, 4, 3, 2, 1, 0]),
            (Filter { limit: 2, offset: 1, ..all.clone() }, &[4, 3]),
            (Filter { limit: 0, ..all.clone() }, &[]),
            (Filter { limit: u64::MAX, offset: 5, ..all.clone() }, &[0]),
            (Filter { status: Some(Status::Failed), ..all.clone() }, &[5, 3, 1]),
            (Filter { status: Some(Status::Running), ..all.clone() }, &[]),
            (Filter { subject: text("/a/report.js"), ..all.clone() }, &[5, 3, 0]),
            (Filter { subject: text("/a"), ..all.clone() }, &[]),
            (Filter { subject: text("/a/report.js"), program: text("./"), ..all.clone() }, &[5]),
            (Filter { session: text("mcp-1"), ..all.clone() }, &[5, 4]),
            (Filter { session: text("mcp-1"), status: Some(Status::Failed), ..all.clone() }, &[5]),
            (Filter { session: text("mcp-1"), program: text("clean"), ..all.clone() }, &[4]),
            (Filter { session: text("mcp"), ..all.clone() }, &[]),
            (Filter { program: text("clean"), ..all.clone() }, &[4]),
            (Filter { program: text("no such"), ..all.clone() }, &[]),
            (report.clone(), &[5, 3, 2, 0]),
            (Filter { limit: 2, offset: 1, ..report.clone() }, &[3, 2]),
            (Filter { limit: u64::MAX, offset: u64::MAX, ..report.clone() }, &[]),
            (Filter { status: Some(Status::Failed), ..report.clone() }, &[5, 3]),
            (Filter { since: ms(1), until: ms(5), ..report }, &[3, 2]),
            (Filter { since: ms(2), until: ms(4), ..all.clone() }, &[3, 2]),
            (Filter { since: ms(2), status: Some(Status::Success), ..all.clone() }, &[4, 2]),
            (Filter { text: text("number 3%"), ..all.clone() }, &[3]),
            (Filter { text: text("%"), limit: 1, ..all.clone() }, &[5]),
            (Filter { text: text("' OR 1"), ..all }, &[]),
        ];
        for (filter, expected) in cases {
            assert_eq!(times(&database, &filter), expected, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn executions_of_one_millisecond_keep_the_order_of_their_recording() {
        let home = Home::new();
        let database = home.open();
        let rows = [start("a"), start("b"), start("a"), start("b")];
        for row in &rows {
            database.start(row).await.unwrap();
        }
        let newest_first: Vec<_> = rows.iter().rev().map(|row| row.id).collect();
        let ids = |filter: &Filter| database.list(filter).unwrap().iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(&Filter::default()), newest_first);
        assert_eq!(ids(&Filter { status: Some(Status::Running), ..Filter::default() }), newest_first);
        assert_eq!(ids(&Filter { program: Some(String::new()), ..Filter::default() }), newest_first);
        let of_a = Filter { subject: Some("a".to_owned()), ..Filter::default() };
        assert_eq!(ids(&of_a), [newest_first[1], newest_first[3]]);
    }

    /// What SQLite would do, as the lines of `EXPLAIN QUERY PLAN`.
    fn plan(connection: &Connection, lane: &Lane<'_>, columns: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", lane.sql(columns))).unwrap();
        let details = statement.query_map(&*lane.params(), |row| row.get("detail")).unwrap();
        details.map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn every_way_to_list_is_one_range_of_an_index_without_sorting() {
        let home = Home::new();
        let database = home.open();
        let status = [None, Some(Status::Failed)];
        let time = [None, Some(Timestamp::from_ms(1))];
        let filters = status
            .into_iter()
            .flat_map(|status| time.into_iter().map(move |at| Filter { status, since: at, until: at, ..Filter::default() }));
        for filter in filters {
            let lanes =
                [Lane::of_all(&filter), Lane::of_subject(&filter, "s"), Lane::of_program(&filter, "p"), Lane::of_task(&filter, "t")];
            for (place, lane) in lanes.iter().enumerate() {
                let plan = database.read(|connection| Ok(plan(connection, lane, SUMMARY))).unwrap();
                let [only] = plan.as_slice() else { panic!("{filter:?}: {plan:?}") };
                assert!(only.contains(&format!("USING INDEX {}", lane.index)), "{filter:?}: {only}");
                let whole = place == 0 && filter.status.is_none() && filter.since.is_none();
                assert_eq!(only.starts_with("SCAN"), whole, "{filter:?}: {only}");
            }
            let lane = Lane::of_program(&filter, "p");
            let plan = database.read(|connection| Ok(plan(connection, &lane, "created_ms, serial"))).unwrap();
            assert!(plan[0].contains("USING COVERING INDEX executions_by_program"), "{plan:?}");
        }
    }

    #[test]
    fn a_sessions_name_tells_when_it_began() {
        let at = uuid::Timestamp::from_unix(uuid::NoContext, 1_700_000_000, 123_000_000);
        let id = uuid::Uuid::new_v7(at);
        assert_eq!(began(&format!("mcp-{id}")), Some(1_700_000_000_123));
        for other in ["", "mcp-", "mcp-1", "cli", &format!("mcp-{}", uuid::Uuid::nil())] {
            assert_eq!(began(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn programs_are_found_by_jumping_through_the_index() {
        let home = Home::new();
        let database = home.open();
        six(&database).await;
        let found = database.read_executions(|connection| programs(connection, "report")).unwrap();
        assert_eq!(found, ["./report.js", "b/report.js", "report.js"]);
        assert_eq!(database.read(|connection| programs(connection, "\0")).unwrap(), Vec::<String>::new());
    }
}
