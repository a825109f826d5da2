//! What the tests of this crate build executions from.

use std::sync::LazyLock;

use rusqlite::Connection;
use serde_json::{Map, json};
use tempfile::TempDir;
use wardroom_core::capability::Access;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Trigger;
use wardroom_core::failure::{Failure, FailureKind, Outcome, Output, Usage};
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::limit::Limits;
use wardroom_core::log::{Level, LogLine};
use wardroom_core::task::TaskId;

use crate::{Actor, AuditEvent, Database, DbConfig, DbError, Ending, NewQueued, StartRow, TaskChange, TaskRecord, TaskTerms};

static ACCESS: LazyLock<Access> = LazyLock::new(Access::default);
static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);
static PARAMS: LazyLock<Map<String, serde_json::Value>> = LazyLock::new(|| Map::from_iter([("city".to_owned(), json!("Århus"))]));

/// A home folder that goes with the test.
pub(crate) struct Home(pub(crate) TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn open(&self) -> Database {
        Database::open(self.0.path(), DbConfig::default()).unwrap()
    }

    /// Somebody else's hand in the database.
    pub(crate) fn tamper(&self, sql: &str) {
        Connection::open(self.0.path().join("wardroom.db")).unwrap().execute_batch(sql).unwrap();
    }

    pub(crate) fn audit_key(&self) -> String {
        std::fs::read_to_string(self.0.path().join("audit.key")).unwrap()
    }

    /// An older key, or another one, put back.
    pub(crate) fn put_audit_key(&self, text: &str) {
        std::fs::write(self.0.path().join("audit.key"), text).unwrap();
    }
}

pub(crate) const fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// What SQLite would do, as the lines of `EXPLAIN QUERY PLAN`.
pub(crate) fn plan(database: &Database, sql: &str) -> Vec<String> {
    let plan = database.read(|connection| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        // What the values are does not matter to a plan.
        let mut rows = statement.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next()? {
            plan.push(row.get("detail")?);
        }
        Ok(plan)
    });
    plan.unwrap()
}

/// One number that a query answers.
pub(crate) fn number(database: &Database, sql: &str) -> i64 {
    database.read(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?)).unwrap()
}

/// A statement past all rules of this crate.
pub(crate) async fn force(database: &Database, sql: &str) -> Result<usize, DbError> {
    let sql = sql.to_owned();
    database.write(move |connection| Ok(connection.execute(&sql, [])?)).await
}

/// A task that is due every hour and is granted nothing.
pub(crate) fn terms(name: &str) -> TaskTerms {
    TaskTerms {
        paused_for: None,
        forgets_state: false,
        name: name.parse().unwrap(),
        digest: Digest::from_bytes([7; 32]),
        definition: "{}".to_owned(),
        schedule: Some("hourly".to_owned()),
        links: Vec::new(),
        grants: Vec::new(),
    }
}

/// Saved at 1,000 ms.
pub(crate) async fn add(database: &Database, terms: TaskTerms) -> TaskRecord {
    let (id, name) = (TaskId::fresh(), terms.name.clone());
    assert_eq!(database.add_task(id, terms, at(1_000), Vec::new()).await.unwrap(), TaskChange::Done);
    database.task(&name).unwrap().unwrap()
}

/// As it is now.
pub(crate) fn again(database: &Database, task: &TaskRecord) -> TaskRecord {
    database.task_by_id(task.id).unwrap().unwrap()
}

/// A run of a task that is to wait for its turn.
pub(crate) fn waiting(task: &TaskRecord, created_ms: i64) -> NewQueued {
    NewQueued {
        id: ExecutionId::fresh(),
        attempt: 1,
        trigger: Trigger::Schedule,
        task: task.id,
        name: task.name.clone(),
        program: "p.js".to_owned(),
        digest: task.digest,
        created_at: at(created_ms),
        scheduled_for: None,
        not_before: None,
        origin: None,
        session: None,
    }
}

/// The start of what waits.
pub(crate) fn turn<'a>(row: &'a NewQueued, subject: &'a str) -> StartRow<'a> {
    StartRow {
        id: row.id,
        attempt: row.attempt,
        task: Some(row.name.as_str()),
        is_queued: true,
        created_at: row.created_at,
        ..start(subject)
    }
}

/// Started at 1,000 ms by the process `me`.
pub(crate) fn start(subject: &str) -> StartRow<'_> {
    StartRow {
        id: ExecutionId::fresh(),
        attempt: 1,
        trigger: Trigger::Cli,
        task: None,
        subject,
        program: subject,
        digest: Digest::from_bytes([7; 32]),
        holder: "me",
        session: None,
        created_at: Timestamp::from_ms(1_000),
        started_at: Timestamp::from_ms(1_000),
        scheduled_for: None,
        origin: None,
        caller: None,
        is_queued: false,
        params: &PARAMS,
        access: &ACCESS,
        limits: &LIMITS,
    }
}

/// Ended at 1,250 ms with one line.
pub(crate) fn ending(outcome: &Outcome) -> Ending<'_> {
    Ending { finished_at: Timestamp::from_ms(1_250), outcome, redactions: 2, lines: vec![line("done")] }
}

pub(crate) fn succeeded() -> Outcome {
    Outcome {
        ending: Ok(Output::Json(json!({ "n": 1 }))),
        partial_output: None,
        usage: Usage { cpu_us: 12, hosts: vec!["example.org:443".to_owned()], ..Usage::default() },
        state_changes: Vec::new(),
        redactions: 0,
    }
}

pub(crate) fn failed() -> Outcome {
    Outcome { ending: Err(Failure::new(FailureKind::Trap, "unreachable")), ..succeeded() }
}

pub(crate) fn line(text: &str) -> LogLine {
    LogLine { at: Timestamp::from_ms(1_100), level: Level::Info, text: text.to_owned() }
}

pub(crate) fn event(subject: &str) -> AuditEvent {
    AuditEvent {
        at: Timestamp::from_ms(1_000),
        event: "credential-used",
        subject: subject.to_owned(),
        actor: Actor::Guest,
        session: Some("client".to_owned()),
        execution: Some(ExecutionId::fresh()),
        attempt: Some(1),
        detail: Map::from_iter([("host".to_owned(), json!("h.example"))]),
    }
}
