//! Executions: one row per attempt, and the one place that moves its status.
//!
//! Rows come into being queued (by `insert_queued`), running
//! ([`Database::start`]) or whole ([`Database::record`]), and leave a status only
//! through `BEGIN`, `BEGIN_BARE`, `EMPTY_QUEUE`, `MOVE` and `INTERRUPT`, which all
//! ask `status` what may follow what.

use std::borrow::Cow;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, ffi, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wardroom_core::blame::Blame;
use wardroom_core::capability::{Access, Refusal};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::failure::{Failure, FailureKind, Outcome, Output, Usage};
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::limit::Limits;
use wardroom_core::log::LogLine;
use wardroom_core::task::{Caller, TaskId};

use crate::column::{
    Json, Text, count, from_json, integer, json, optional_count, optional_json, optional_parsed, optional_time, optional_word, parsed,
    plain, time, word,
};
use crate::entry::Entry;
use crate::journal::Appended;
use crate::packed::{packed, unpacked};
use crate::status::before;
use crate::writer::Answer;
use crate::{Database, DbError, log_lines, queue, state};

/// What is known of an execution when it starts.
#[derive(Debug, Clone)]
pub struct StartRow<'a> {
    /// The execution.
    pub id: ExecutionId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// The task it is a run of; runs without one share one retention.
    pub task: Option<&'a str>,
    /// On whom its grants hang: for the command line, the program's real path
    /// and function.
    pub subject: &'a str,
    /// The program as it was named.
    pub program: &'a str,
    /// The program's bytes.
    pub digest: Digest,
    /// The process that runs it, by the name under which it shows that it lives.
    pub holder: &'a str,
    /// The client's session that asked, where there is one.
    pub session: Option<&'a str>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it started.
    pub started_at: Timestamp,
    /// The slot of its schedule, where it has one.
    pub scheduled_for: Option<Timestamp>,
    /// The execution that led to this one, where one did.
    pub origin: Option<ExecutionId>,
    /// Who called it, where somebody did.
    pub caller: Option<Caller>,
    /// It waits as a row already, which starts now.
    pub is_queued: bool,
    /// Its params, redacted.
    pub params: &'a Map<String, Value>,
    /// What it holds.
    pub access: &'a Access,
    /// Its ceilings.
    pub limits: &'a Limits,
}

/// What is known of an execution when it ends, redacted.
#[derive(Debug, Clone)]
pub struct Ending<'a> {
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended. Its changes of the state are kept if it succeeded.
    pub outcome: &'a Outcome,
    /// How many secrets were replaced in what is recorded.
    pub redactions: u64,
    /// The lines that were not appended before.
    pub lines: Vec<LogLine>,
}

/// An execution in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionSummary {
    /// The execution.
    pub id: ExecutionId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// Where it stands.
    pub status: Status,
    /// Why it was skipped, where it was.
    pub reason: Option<String>,
    /// What asked for it.
    pub trigger: Trigger,
    /// The task it is a run of.
    pub task: Option<String>,
    /// The slot of its schedule; of several that were skipped, the first.
    pub scheduled_for: Option<Timestamp>,
    /// The last of several slots that were skipped together.
    pub slot_last: Option<Timestamp>,
    /// How many slots were skipped together.
    pub slot_count: Option<u64>,
    /// On whom its grants hang.
    pub subject: String,
    /// The program as it was named.
    pub program: String,
    /// The program's bytes.
    pub digest: Digest,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended, or was found to have.
    pub finished_at: Option<Timestamp>,
    /// Milliseconds from its start to its end; none for an interrupted one, of
    /// which nobody knows.
    pub duration_ms: Option<u64>,
    /// What kind of failure it ended with.
    pub failure_kind: Option<FailureKind>,
    /// Who has to act on that failure.
    pub blame: Option<Blame>,
    /// How many secrets were replaced in what is recorded.
    pub redactions: u64,
}

/// All that is kept of an execution but its log lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionRecord {
    /// What lists show.
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    /// The execution that led to this one.
    pub origin: Option<ExecutionId>,
    /// The execution that called this one.
    pub parent: Option<ExecutionId>,
    /// The one that nobody called, with which the calls began.
    pub root: Option<ExecutionId>,
    /// Where it waits: it is not started earlier than this.
    pub not_before: Option<Timestamp>,
    /// The process that ran it.
    pub holder: Option<String>,
    /// The client's session that asked.
    pub session: Option<String>,
    /// Its params.
    pub params: Map<String, Value>,
    /// What it held: an [`Access`] as it was then written.
    pub access: Value,
    /// Its ceilings: [`Limits`] as they were then written.
    pub limits: Value,
    /// Its result, or what it had put out before it failed.
    pub output: Option<Output>,
    /// Why it ended without a result.
    pub failure: Option<Failure>,
    /// What it cost and touched.
    #[serde(flatten)]
    pub usage: Usage,
    /// What it called, oldest first, for whoever asks for that too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ExecutionSummary>,
}

/// What is left to do of an execution that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequel {
    /// Nothing: nothing follows from it, and that is recorded.
    None,
    /// What follows from it is to be queued: [`Database::follow`].
    Due,
}

/// What the beginning of an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No execution.
    None,
    /// One, whatever its attempts.
    One(ExecutionId),
    /// So many; counting stops at 1,000.
    Many(u64),
}

impl Database {
    /// Records that an execution started.
    ///
    /// The answer is [`DbError::DuplicateExecution`] where the attempt is
    /// recorded already; for one that waits in the queue,
    /// [`DbError::UnknownExecution`] or [`DbError::IllegalMove`] where it does
    /// not any more.
    pub fn start(&self, start: &StartRow<'_>) -> Answer<()> {
        match Started::of(start).and_then(|started| packed(&started)) {
            Ok(row) => self.write_short(move |connection| {
                let started: Started<'_> = unpacked(&row)?;
                match started.is_queued {
                    true => begin(connection, &started).map(drop),
                    false => insert(connection, &started, &Standing::RUNNING).map(drop),
                }
            }),
            Err(error) => Answer::known(Err(error)),
        }
    }

    /// Records how a running execution ended: its row, the rest of its lines
    /// and, if it succeeded, its changes of the state, all or nothing. Answers
    /// whether anything follows from it.
    ///
    /// The answer is [`DbError::UnknownExecution`] where it never started, or
    /// [`DbError::IllegalMove`] where it ended already.
    pub fn finish(&self, id: ExecutionId, attempt: u32, ending: Ending<'_>) -> Answer<Sequel> {
        match Ended::of(&ending).and_then(|ended| packed(&ended)) {
            Ok(ending) => self.write_short(move |connection| {
                let ended: Ended<'_> = unpacked(&ending)?;
                let row = change_status(connection, id, attempt, &ended.standing)?;
                ended.keep(connection, row.serial, &row.subject)
            }),
            Err(error) => Answer::known(Err(error)),
        }
    }

    /// Records an execution that is over already, as one transaction: what
    /// [`start`](Self::start) and [`finish`](Self::finish) do together.
    ///
    /// Where nothing follows from it, it may be kept in the journal for a moment,
    /// which is as durable; it is among the rows whenever executions are asked for.
    ///
    /// The answer is [`DbError::DuplicateExecution`] where the attempt is
    /// recorded already; of two in the journal the first is kept, and that is not
    /// answered.
    pub fn record(&self, start: &StartRow<'_>, ending: Ending<'_>) -> Answer<Sequel> {
        let entry = Over::of(start, &ending).and_then(|over| Ok((over.may_wait(), Entry::of(&over)?)));
        match entry {
            Ok((true, entry)) if self.append(&entry) != Appended::Not => Answer::known(Ok(Sequel::None)),
            Ok((_, entry)) => self.write_short(move |connection| entry.over()?.insert(connection)),
            Err(error) => Answer::known(Err(error)),
        }
    }

    /// Marks what a dead process left running as interrupted, and answers which
    /// attempts those were. That it is dead is the caller's to know.
    pub fn interrupt(&self, holder: &str, now: Timestamp) -> Answer<Vec<(ExecutionId, u32)>> {
        let holder = holder.to_owned();
        self.write(move |connection| {
            let [from, or_from] = sources(Status::Interrupted);
            let mut statement = connection.prepare_cached(INTERRUPT)?;
            let params = params![Status::Interrupted.name(), now.ms(), from, or_from, holder];
            let rows = statement.query_and_then(params, |row| Ok((parsed(row, "id")?, plain(row, "attempt")?)))?;
            rows.collect()
        })
    }

    /// The processes that have, or had, executions running.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn running_holders(&self) -> Result<Vec<String>, DbError> {
        const HOLDERS: &str = "
            SELECT DISTINCT holder
            FROM executions INDEXED BY executions_by_status
            WHERE status = 'running'
            ORDER BY holder";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(HOLDERS)?;
            statement.query_and_then([], |row| plain(row, "holder"))?.collect()
        })
    }

    /// One attempt of an execution; without a number, the last one.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn execution(&self, id: ExecutionId, attempt: Option<u32>) -> Result<Option<ExecutionRecord>, DbError> {
        self.read_executions(|connection| {
            let mut statement = connection.prepare_cached(RECORD)?;
            statement.query_and_then(params![id.to_string(), attempt], record)?.next().transpose()
        })
    }

    /// What the beginning of an id stands for, in either case of letters.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn find_by_prefix(&self, prefix: &str) -> Result<Found, DbError> {
        // `g` follows every hexadecimal digit and the hyphen.
        const FIND: &str = "
            SELECT MIN(id) AS id, COUNT(*) AS found
            FROM (SELECT DISTINCT id FROM executions WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 1000)";
        if !prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Ok(Found::None);
        }
        self.read_executions(|connection| {
            let mut statement = connection.prepare_cached(FIND)?;
            let mut rows = statement.query([prefix.to_ascii_lowercase()])?;
            let row = rows.next()?.ok_or(DbError::Damaged { column: "id" })?;
            match count(row, "found")? {
                0 => Ok(Found::None),
                1 => parsed(row, "id").map(Found::One),
                many => Ok(Found::Many(many)),
            }
        })
    }
}

/// Where an attempt's row is and where it stands.
pub(crate) struct Place {
    pub(crate) serial: i64,
    pub(crate) status: Status,
}

/// Finds an attempt.
pub(crate) fn place(connection: &Connection, id: ExecutionId, attempt: u32) -> Result<Place, DbError> {
    const PLACE: &str = "
        SELECT serial, status FROM executions WHERE id = ? AND attempt = ?";
    let mut statement = connection.prepare_cached(PLACE)?;
    let mut rows = statement.query(params![id.to_string(), attempt])?;
    let row = rows.next()?.ok_or(DbError::UnknownExecution { id, attempt })?;
    Ok(Place { serial: plain(row, "serial")?, status: parsed(row, "status")? })
}

const RECORD: &str = "
    SELECT * FROM executions
    WHERE id = ?1 AND attempt = COALESCE(?2, (SELECT MAX(attempt) FROM executions WHERE id = ?1))";

const INSERT: &str = "
    INSERT INTO executions (
        id, attempt, trigger, task, subject, program, digest, holder, session,
        created_ms, started_ms, scheduled_for_ms, origin, parent, root, followed, params, access, limits,
        status, reason, finished_ms, failure_kind, blame, failure, result_kind, result,
        cpu_us, fuel, peak_memory, hosts, refusals, log_truncated, output_truncated, redactions)
    VALUES (
        ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?, ?, ?, ?, ?, ?)";

/// Starts what waited in the queue, with what was resolved and authorized when
/// its turn came.
const BEGIN: &str = "
    UPDATE executions
    SET status = ?1, holder = ?2, started_ms = ?3, program = ?4, digest = ?5, params = ?6, access = ?7, limits = ?8
    WHERE id = ?9 AND attempt = ?10 AND status IN (?11, ?12)";

/// The same for what turns out not to be startable: it held nothing.
const BEGIN_BARE: &str = "
    UPDATE executions
    SET status = ?1, holder = ?2, started_ms = ?3
    WHERE id = ?4 AND attempt = ?5 AND status IN (?6, ?7)";

/// Takes all that waits of a subject out of the queue.
const EMPTY_QUEUE: &str = "
    UPDATE executions INDEXED BY executions_queued
    SET status = ?1, reason = ?2, finished_ms = ?3, followed = 1
    WHERE status = 'queued' AND status IN (?4, ?5) AND subject = ?6";

/// Moves one attempt, if it stands where the new status may be reached from.
const MOVE: &str = "
    UPDATE executions
    SET status = ?, reason = ?, finished_ms = ?, failure_kind = ?, blame = ?, failure = ?,
        result_kind = ?, result = ?, cpu_us = ?, fuel = ?, peak_memory = ?, hosts = ?, refusals = ?,
        log_truncated = ?, output_truncated = ?, redactions = ?
    WHERE id = ? AND attempt = ? AND status IN (?, ?)
    RETURNING serial, subject";

/// Moves all that one process left.
const INTERRUPT: &str = "
    UPDATE executions
    SET status = ?1, finished_ms = ?2
    WHERE status IN (?3, ?4) AND holder = ?5
    RETURNING id, attempt";

/// A row that was moved.
pub(crate) struct Moved {
    pub(crate) serial: i64,
    pub(crate) subject: String,
}

pub(crate) fn change_status(connection: &Connection, id: ExecutionId, attempt: u32, standing: &Standing<'_>) -> Result<Moved, DbError> {
    let id_text = id.to_string();
    let [from, or_from] = sources(standing.status);
    let status: [&dyn ToSql; 1] = [&standing.status.name()];
    let key: [&dyn ToSql; 4] = [&id_text, &attempt, &from, &or_from];
    let params = params_from_iter(status.into_iter().chain(standing.columns()).chain(key));
    let mut statement = connection.prepare_cached(MOVE)?;
    let moved = statement.query_row(params, |row| Ok(Moved { serial: row.get(0)?, subject: row.get(1)? })).optional()?;
    match moved {
        Some(moved) => Ok(moved),
        None => Err(not_from_here(connection, id, attempt, standing.status)),
    }
}

/// Why an attempt was not moved.
fn not_from_here(connection: &Connection, id: ExecutionId, attempt: u32, to: Status) -> DbError {
    match place(connection, id, attempt) {
        Ok(place) => DbError::IllegalMove { id, attempt, from: place.status, to },
        Err(error) => error,
    }
}

/// The two places of `status IN (?, ?)`; an empty one is NULL, which equals
/// nothing.
fn sources(to: Status) -> [Option<&'static str>; 2] {
    let mut from = before(to).iter().map(|status| status.name());
    [from.next(), from.next()]
}

fn begin(connection: &Connection, started: &Started<'_>) -> Result<(), DbError> {
    let [from, or_from] = sources(Status::Running);
    let begun = connection.prepare_cached(BEGIN)?.execute(params![
        Status::Running.name(),
        started.holder,
        started.started_ms,
        started.program,
        started.digest,
        started.params,
        started.access,
        started.limits,
        started.id,
        started.attempt,
        from,
        or_from,
    ])?;
    match begun {
        0 => Err(not_from_here(connection, started.id.0, started.attempt, Status::Running)),
        _ => Ok(()),
    }
}

pub(crate) fn begin_bare(connection: &Connection, id: ExecutionId, attempt: u32, holder: &str, now: Timestamp) -> Result<(), DbError> {
    let [from, or_from] = sources(Status::Running);
    let params = params![Status::Running.name(), holder, now.ms(), id.to_string(), attempt, from, or_from];
    match connection.prepare_cached(BEGIN_BARE)?.execute(params)? {
        0 => Err(not_from_here(connection, id, attempt, Status::Running)),
        _ => Ok(()),
    }
}

pub(crate) fn empty_queue(connection: &Connection, subject: &str, reason: &str, now: Timestamp) -> Result<(), DbError> {
    let [from, or_from] = sources(Status::Skipped);
    let params = params![Status::Skipped.name(), reason, now.ms(), from, or_from, subject];
    connection.prepare_cached(EMPTY_QUEUE)?.execute(params)?;
    Ok(())
}

fn insert(connection: &Connection, started: &Started<'_>, standing: &Standing<'_>) -> Result<i64, DbError> {
    let status: [&dyn ToSql; 1] = [&standing.status.name()];
    let params = params_from_iter(started.columns().into_iter().chain(status).chain(standing.columns()));
    match connection.prepare_cached(INSERT)?.insert(params) {
        Ok(serial) => Ok(serial),
        // The row holds no other unique key.
        Err(error) if is_unique_violation(&error) => Err(DbError::DuplicateExecution { id: started.id.0, attempt: started.attempt }),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| matches!(error.extended_code, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY))
}

/// A start row as its columns, made on the caller's thread: the writer's time
/// is everybody's.
#[derive(Debug, Serialize, Deserialize)]
struct Started<'a> {
    id: Text<ExecutionId>,
    attempt: u32,
    trigger: &'a str,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    subject: &'a str,
    program: &'a str,
    digest: Text<Digest>,
    holder: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    created_ms: i64,
    started_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_for_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Text<ExecutionId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Text<ExecutionId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Text<ExecutionId>>,
    is_queued: bool,
    /// Of a task's run, what follows is to be looked at.
    followed: bool,
    #[serde(borrow)]
    params: Cow<'a, str>,
    #[serde(borrow)]
    access: Cow<'a, str>,
    limits: Json<Limits>,
}

impl<'a> Started<'a> {
    fn of(start: &StartRow<'a>) -> Result<Self, DbError> {
        Ok(Self {
            id: Text(start.id),
            attempt: start.attempt,
            trigger: start.trigger.name(),
            task: start.task,
            subject: start.subject,
            program: start.program,
            digest: Text(start.digest),
            holder: start.holder,
            session: start.session,
            created_ms: start.created_at.ms(),
            started_ms: start.started_at.ms(),
            scheduled_for_ms: start.scheduled_for.map(Timestamp::ms),
            origin: start.origin.map(Text),
            parent: start.caller.map(|caller| Text(caller.parent)),
            root: start.caller.map(|caller| Text(caller.root)),
            is_queued: start.is_queued,
            followed: start.task.is_none(),
            params: json("params", start.params)?.into(),
            access: json("access", start.access)?.into(),
            limits: Json(start.limits.clone()),
        })
    }

    /// In the order of [`INSERT`].
    fn columns(&self) -> [&dyn ToSql; 19] {
        [
            &self.id,
            &self.attempt,
            &self.trigger,
            &self.task,
            &self.subject,
            &self.program,
            &self.digest,
            &self.holder,
            &self.session,
            &self.created_ms,
            &self.started_ms,
            &self.scheduled_for_ms,
            &self.origin,
            &self.parent,
            &self.root,
            &self.followed,
            &self.params,
            &self.access,
            &self.limits,
        ]
    }
}

/// The columns that a move sets, beside the status itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Standing<'a> {
    status: Status,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blame: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Kept<'a>>,
    cpu_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<i64>,
    peak_memory: i64,
    #[serde(borrow)]
    hosts: Cow<'a, str>,
    #[serde(borrow)]
    refusals: Cow<'a, str>,
    log_truncated: bool,
    output_truncated: bool,
    redactions: i64,
}

/// A list without anything in it, as JSON.
const EMPTY: &str = "[]";

fn list<T: Serialize>(column: &'static str, values: &[T]) -> Result<Cow<'static, str>, DbError> {
    Ok(if values.is_empty() { EMPTY.into() } else { json(column, &values)?.into() })
}

impl<'a> Standing<'a> {
    const RUNNING: Self = Self {
        status: Status::Running,
        reason: None,
        finished_ms: None,
        failure_kind: None,
        blame: None,
        failure: None,
        result_kind: None,
        result: None,
        cpu_us: 0,
        fuel: None,
        peak_memory: 0,
        hosts: Cow::Borrowed(EMPTY),
        refusals: Cow::Borrowed(EMPTY),
        log_truncated: false,
        output_truncated: false,
        redactions: 0,
    };

    /// Of one that leaves the queue without having run.
    pub(crate) fn never_ran(status: Status, reason: Option<&'a str>, now: Timestamp) -> Self {
        Self { status, reason, finished_ms: Some(now.ms()), ..Self::RUNNING }
    }

    /// Of one that failed before it could do anything.
    pub(crate) fn never_began(failure: &Failure, now: Timestamp) -> Result<Self, DbError> {
        Ok(Self {
            status: failure.status(),
            finished_ms: Some(now.ms()),
            failure_kind: Some(failure.kind.name()),
            blame: Some(failure.blame().name()),
            failure: Some(json("failure", failure)?),
            ..Self::RUNNING
        })
    }

    fn of(ending: &Ending<'a>) -> Result<Self, DbError> {
        let (outcome, usage) = (ending.outcome, &ending.outcome.usage);
        let failure = outcome.ending.as_ref().err();
        let output = outcome.ending.as_ref().ok().or(outcome.partial_output.as_ref());
        let (result_kind, result) = output.map(stored).transpose()?.unzip();
        Ok(Self {
            status: outcome.status(),
            reason: None,
            finished_ms: Some(ending.finished_at.ms()),
            failure_kind: failure.map(|failure| failure.kind.name()),
            blame: failure.map(|failure| failure.blame().name()),
            failure: failure.map(|failure| json("failure", failure)).transpose()?,
            result_kind,
            result,
            cpu_us: integer(usage.cpu_us),
            fuel: usage.fuel.map(integer),
            peak_memory: integer(usage.peak_memory),
            hosts: list("hosts", &usage.hosts)?,
            refusals: list("refusals", &usage.refusals)?,
            log_truncated: usage.log_truncated,
            output_truncated: usage.output_truncated,
            redactions: integer(ending.redactions),
        })
    }

    /// In the order of [`INSERT`] and [`MOVE`], after the status.
    fn columns(&self) -> [&dyn ToSql; 15] {
        [
            &self.reason,
            &self.finished_ms,
            &self.failure_kind,
            &self.blame,
            &self.failure,
            &self.result_kind,
            &self.result,
            &self.cpu_us,
            &self.fuel,
            &self.peak_memory,
            &self.hosts,
            &self.refusals,
            &self.log_truncated,
            &self.output_truncated,
            &self.redactions,
        ]
    }
}

/// An execution that is over before anything of it was written.
///
/// It stands in files that a later version may find: a field that is renamed needs
/// its old name as an alias, a new one a default. What is not there is left out:
/// whoever waits for a short run waits for its line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Over<'a> {
    #[serde(borrow)]
    started: Started<'a>,
    ended: Ended<'a>,
}

impl<'a> Over<'a> {
    pub(crate) fn of(start: &StartRow<'a>, ending: &'a Ending<'_>) -> Result<Self, DbError> {
        Ok(Self { started: Started::of(start)?, ended: Ended::of(ending)? })
    }

    /// Whether it can be written some time later: nothing follows from it, and
    /// whoever asks for what it left asks for executions.
    pub(crate) fn may_wait(&self) -> bool {
        let Started { is_queued, followed, attempt, subject, .. } = self.started;
        followed && !is_queued && attempt == 1 && TaskId::of_subject(subject).is_none() && self.ended.state_changes.is_empty()
    }

    pub(crate) fn insert(&self, connection: &Connection) -> Result<Sequel, DbError> {
        let Self { started, ended } = self;
        if started.is_queued {
            begin(connection, started)?;
            return self.finish(connection);
        }
        let serial = insert(connection, started, &ended.standing)?;
        ended.keep(connection, serial, started.subject)
    }

    /// The end alone, of one whose start row is there after all.
    pub(crate) fn finish(&self, connection: &Connection) -> Result<Sequel, DbError> {
        let Self { started, ended } = self;
        let row = change_status(connection, started.id.0, started.attempt, &ended.standing)?;
        ended.keep(connection, row.serial, &row.subject)
    }
}

/// An ending as its columns and the rows that go with it.
#[derive(Debug, Serialize, Deserialize)]
struct Ended<'a> {
    #[serde(borrow)]
    standing: Standing<'a>,
    lines: Cow<'a, [LogLine]>,
    state_changes: Cow<'a, [(String, Option<String>)]>,
}

impl<'a> Ended<'a> {
    fn of(ending: &'a Ending<'_>) -> Result<Self, DbError> {
        let standing = Standing::of(ending)?;
        let state_changes = match standing.status {
            Status::Success => ending.outcome.state_changes.as_slice(),
            // What a run that failed wanted to keep is not kept.
            _ => &[],
        };
        Ok(Self { standing, lines: Cow::Borrowed(&ending.lines), state_changes: Cow::Borrowed(state_changes) })
    }

    fn keep(&self, connection: &Connection, serial: i64, subject: &str) -> Result<Sequel, DbError> {
        log_lines::append(connection, serial, &self.lines)?;
        if !self.state_changes.is_empty() && !is_of_removed_task(connection, subject)? {
            state::apply(connection, subject, &self.state_changes)?;
        }
        let Some(task) = TaskId::of_subject(subject) else { return Ok(Sequel::None) };
        match self.standing.status == Status::Success && queue::ends_here(connection, serial, task)? {
            true => Ok(Sequel::None),
            false => Ok(Sequel::Due),
        }
    }
}

/// Its state went with it, and nobody would remove what came later.
fn is_of_removed_task(connection: &Connection, subject: &str) -> Result<bool, DbError> {
    const TASK: &str = "
        SELECT 1 FROM tasks WHERE id = ?";
    match TaskId::of_subject(subject) {
        Some(task) => Ok(!connection.prepare_cached(TASK)?.exists([task.to_string()])?),
        None => Ok(false),
    }
}

/// An output as the columns `result_kind` and `result`.
fn stored(output: &Output) -> Result<(&'static str, Kept<'_>), DbError> {
    Ok(match output {
        Output::Json(value) => ("json", Kept::Text(json("result", value)?.into())),
        Output::Text(text) => ("text", Kept::Text(text.into())),
        Output::Bytes(bytes) => ("bytes", Kept::Bytes(bytes.into())),
    })
}

/// An output as the column `result` has it.
#[derive(Debug, Serialize, Deserialize)]
enum Kept<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Bytes(#[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>),
}

impl ToSql for Kept<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

fn output(row: &Row<'_>) -> Result<Option<Output>, DbError> {
    let kind: Option<String> = plain(row, "result_kind")?;
    Ok(match kind.as_deref() {
        None => None,
        Some("json") => Some(Output::Json(from_json(row, "result")?)),
        Some("text") => Some(Output::Text(plain(row, "result")?)),
        Some("bytes") => Some(Output::Bytes(plain(row, "result")?)),
        Some(_) => return Err(DbError::Damaged { column: "result_kind" }),
    })
}

/// The columns of an [`ExecutionSummary`].
pub(crate) const SUMMARY: &str = "
    id, attempt, status, reason, trigger, task, subject, program, digest,
    created_ms, started_ms, finished_ms, scheduled_for_ms, slot_last_ms, slot_count, duration_ms, failure_kind, blame, redactions";

/// Reads a row that has at least the columns of [`SUMMARY`].
pub(crate) fn summary(row: &Row<'_>) -> Result<ExecutionSummary, DbError> {
    Ok(ExecutionSummary {
        id: parsed(row, "id")?,
        attempt: plain(row, "attempt")?,
        status: parsed(row, "status")?,
        reason: plain(row, "reason")?,
        trigger: word(row, "trigger")?,
        task: plain(row, "task")?,
        scheduled_for: optional_time(row, "scheduled_for_ms")?,
        slot_last: optional_time(row, "slot_last_ms")?,
        slot_count: optional_count(row, "slot_count")?,
        subject: plain(row, "subject")?,
        program: plain(row, "program")?,
        digest: parsed(row, "digest")?,
        created_at: time(row, "created_ms")?,
        started_at: optional_time(row, "started_ms")?,
        finished_at: optional_time(row, "finished_ms")?,
        duration_ms: optional_count(row, "duration_ms")?,
        failure_kind: optional_word(row, "failure_kind")?,
        blame: optional_word(row, "blame")?,
        redactions: count(row, "redactions")?,
    })
}

fn record(row: &Row<'_>) -> Result<ExecutionRecord, DbError> {
    let usage = Usage {
        cpu_us: count(row, "cpu_us")?,
        fuel: optional_count(row, "fuel")?,
        peak_memory: count(row, "peak_memory")?,
        hosts: from_json(row, "hosts")?,
        refusals: from_json::<Vec<Refusal>>(row, "refusals")?,
        log_truncated: plain(row, "log_truncated")?,
        output_truncated: plain(row, "output_truncated")?,
    };
    Ok(ExecutionRecord {
        summary: summary(row)?,
        origin: optional_parsed(row, "origin")?,
        parent: optional_parsed(row, "parent")?,
        root: optional_parsed(row, "root")?,
        not_before: optional_time(row, "not_before_ms")?,
        holder: plain(row, "holder")?,
        session: plain(row, "session")?,
        params: from_json(row, "params")?,
        access: from_json(row, "access")?,
        limits: from_json(row, "limits")?,
        output: output(row)?,
        failure: optional_json(row, "failure")?,
        usage,
        children: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;
    use serde_json::json;
    use wardroom_core::capability::Capability;

    use super::*;
    use crate::Filter;
    use crate::testing::{Home, ending, failed, line, plan, start, succeeded};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[tokio::test]
    async fn statements_are_parsed_once_whatever_values_are_bound() {
        let home = Home::new();
        let database = home.open();
        for subject in ["/a", "/b", "/c"] {
            let row = start(subject);
            database.start(&row).await.unwrap();
            database.finish(row.id, 1, ending(&succeeded())).await.unwrap();
            database.execution(row.id, None).unwrap().unwrap();
        }
        let parsed_again = |connection: &Connection, sql| -> Result<i32, DbError> {
            Ok(connection.prepare_cached(sql)?.get_status(StatementStatus::RePrepare))
        };
        assert_eq!(database.read(|connection| parsed_again(connection, RECORD)).unwrap(), 0);
        for sql in [INSERT, MOVE] {
            assert_eq!(database.write(move |connection| parsed_again(connection, sql)).await.unwrap(), 0, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_record_says_everything_and_is_the_same_in_one_step_or_two() {
        let home = Home::new();
        let database = home.open();
        let refusal =
            Refusal { capability: Capability::Read, wanted: "/etc".to_owned(), reason: "no grant covers it".to_owned(), scope: None };
        let mut outcome = succeeded();
        outcome.usage.refusals = vec![refusal];
        outcome.usage.fuel = Some(u64::MAX);
        let (whole, mut two) = (start("s"), start("s"));
        two.session = Some("client");
        two.scheduled_for = Some(at(900));
        database.record(&whole, ending(&outcome)).await.unwrap();
        database.start(&two).await.unwrap();
        database.finish(two.id, 1, ending(&outcome)).await.unwrap();

        let mut first = database.execution(whole.id, None).unwrap().unwrap();
        let second = database.execution(two.id, Some(1)).unwrap().unwrap();
        assert_eq!((first.summary.status, first.summary.duration_ms), (Status::Success, Some(250)));
        assert_eq!((&first.params, &first.output), (whole.params, &outcome.ending.clone().ok()));
        assert_eq!((first.limits.clone(), first.summary.redactions), (json!(whole.limits), 2));
        // A meter beyond what SQLite counts stays at the maximum.
        outcome.usage.fuel = Some(u64::MAX / 2);
        assert_eq!((&first.usage, &first.failure), (&outcome.usage, &None));
        (first.summary.id, first.session, first.summary.scheduled_for) = (two.id, Some("client".to_owned()), Some(at(900)));
        assert_eq!(first, second);
        assert_eq!(database.lines(whole.id, 1, 0, 9).unwrap(), database.lines(two.id, 1, 0, 9).unwrap());
    }

    #[tokio::test]
    async fn every_kind_of_ending_is_read_back() {
        let home = Home::new();
        let database = home.open();
        let mut failure = Failure::new(FailureKind::Exit, "exit code 3");
        failure.exit_code = Some(3);
        for ending_kind in [
            Ok(Output::Json(json!(null))),
            Ok(Output::Json(json!({ "deep": [1.5, "é", {}] }))),
            Ok(Output::Text("no json\0".to_owned())),
            Ok(Output::Bytes(vec![0, 0xff])),
            Err(failure),
            Err(Failure::new(FailureKind::Deadline, "d")),
            Err(Failure::new(FailureKind::Cancelled, "c")),
            Err(Failure::new(FailureKind::NeedsApproval, "a")),
            Err(Failure::new(FailureKind::Host, "h")),
        ] {
            let partial = Some(Output::Text("partial".to_owned()));
            let partial_output = if ending_kind.is_err() { partial } else { None };
            let outcome = Outcome { ending: ending_kind, partial_output, ..succeeded() };
            let row = start("s");
            database.record(&row, ending(&outcome)).await.unwrap();
            let kept = database.execution(row.id, None).unwrap().unwrap();
            assert_eq!(kept.summary.status, outcome.status());
            assert_eq!(kept.failure.as_ref(), outcome.ending.as_ref().err());
            assert_eq!(kept.output, outcome.ending.as_ref().ok().cloned().or(outcome.partial_output));
            assert_eq!(kept.summary.failure_kind, kept.failure.as_ref().map(|failure| failure.kind));
            assert_eq!(kept.summary.blame, kept.failure.as_ref().map(Failure::blame));
        }
    }

    #[tokio::test]
    async fn a_record_is_snake_case_json_with_times_as_text() {
        let home = Home::new();
        let database = home.open();
        let row = start("/s");
        database.record(&row, ending(&failed())).await.unwrap();
        let record = serde_json::to_value(database.execution(row.id, None).unwrap()).unwrap();
        assert_eq!(record["id"], json!(row.id));
        assert_eq!(record["status"], "failed");
        assert_eq!(record["trigger"], "cli");
        assert_eq!(record["created_at"], "1970-01-01T00:00:01.000Z");
        assert_eq!((&record["duration_ms"], &record["cpu_us"]), (&json!(250), &json!(12)));
        assert_eq!((&record["failure"]["kind"], &record["blame"]), (&json!("trap"), &json!("guest")));
        let all_snake_case = |key: &String| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(record.as_object().unwrap().keys().all(all_snake_case));
    }

    #[tokio::test]
    async fn an_attempt_is_recorded_once_and_the_last_one_is_shown() {
        let home = Home::new();
        let database = home.open();
        let mut row = start("s");
        database.record(&row, ending(&failed())).await.unwrap();
        assert!(matches!(database.start(&row).await, Err(DbError::DuplicateExecution { attempt: 1, .. })));
        // It waits in the journal, and stays out.
        database.record(&row, ending(&succeeded())).await.unwrap();
        assert_eq!(database.execution(row.id, None).unwrap().unwrap().summary.status, Status::Failed);
        let mut outcome = succeeded();
        outcome.state_changes = vec![("k".to_owned(), Some("v".to_owned()))];
        let again = database.record(&row, ending(&outcome)).await;
        assert!(matches!(again, Err(DbError::DuplicateExecution { attempt: 1, .. })));
        row.attempt = 2;
        database.start(&row).await.unwrap();
        let attempt = |number| database.execution(row.id, number).unwrap().map(|record| record.summary.attempt);
        assert_eq!((attempt(None), attempt(Some(1)), attempt(Some(3))), (Some(2), Some(1), None));
        assert_eq!(database.execution(ExecutionId::fresh(), None).unwrap(), None);
    }

    #[tokio::test]
    async fn a_finish_that_fails_leaves_nothing_of_it() {
        let home = Home::new();
        let database = home.open();
        let row = start("s");
        let unknown = database.finish(row.id, 1, ending(&succeeded())).await;
        assert!(matches!(unknown, Err(DbError::UnknownExecution { attempt: 1, .. })));
        database.start(&row).await.unwrap();
        database.finish(row.id, 1, ending(&failed())).await.unwrap();
        let mut outcome = succeeded();
        outcome.state_changes = vec![("k".to_owned(), Some("v".to_owned()))];
        let again = database.finish(row.id, 1, ending(&outcome)).await;
        let expected = (Status::Failed, Status::Success);
        assert!(matches!(again, Err(DbError::IllegalMove { from, to, .. }) if (from, to) == expected));
        assert_eq!((database.state("s").unwrap().len(), database.lines(row.id, 1, 0, 9).unwrap().len()), (0, 1));
    }

    /// Puts a row anywhere, past the one place that moves it.
    async fn place_at(database: &Database, status: Status) -> ExecutionId {
        const FORCE: &str = "
            UPDATE executions
            SET status = ?1, reason = 'r',
                finished_ms = iif(?1 IN ('queued', 'running'), NULL, 5),
                failure = iif(?1 IN ('failed', 'timeout'), '{}', NULL),
                failure_kind = iif(?1 IN ('failed', 'timeout'), 'failed', NULL),
                blame = iif(?1 IN ('failed', 'timeout'), 'guest', NULL)
            WHERE id = ?2";
        let row = start("s");
        database.start(&row).await.unwrap();
        let force = move |connection: &Connection| Ok(connection.execute(FORCE, (status.name(), row.id.to_string()))?);
        assert_eq!(database.write(force).await.unwrap(), 1);
        row.id
    }

    #[tokio::test]
    async fn a_status_moves_as_it_is_drawn_and_in_no_other_way() {
        use Status::{AwaitingApproval, Cancelled, Failed, Interrupted, Queued, Running, Skipped, Success, Timeout};
        let drawn = [
            (Queued, Running),
            (Queued, Skipped),
            (Queued, Cancelled),
            (Running, Success),
            (Running, Failed),
            (Running, Timeout),
            (Running, Cancelled),
            (Running, AwaitingApproval),
            (Running, Interrupted),
        ];
        let home = Home::new();
        let database = home.open();
        for (from, to) in Status::ALL.into_iter().flat_map(|from| Status::ALL.map(|to| (from, to))) {
            let id = place_at(&database, from).await;
            let failure = matches!(to, Failed | Timeout);
            let standing = move || Standing {
                status: to,
                reason: Some("r"),
                finished_ms: (!matches!(to, Queued | Running)).then_some(9),
                failure: failure.then(|| "{}".to_owned()),
                failure_kind: failure.then_some("failed"),
                blame: failure.then_some("guest"),
                ..Standing::RUNNING
            };
            let moved = database.write(move |connection| change_status(connection, id, 1, &standing()).map(drop)).await;
            let stands = database.write(move |connection| Ok(place(connection, id, 1)?.status)).await.unwrap();
            if drawn.contains(&(from, to)) {
                moved.unwrap();
                assert_eq!(stands, to);
            } else {
                let refused = matches!(moved, Err(DbError::IllegalMove { from: f, to: t, .. }) if (f, t) == (from, to));
                assert!(refused, "{from} to {to}");
                assert_eq!(stands, from);
            }
        }
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_interrupted_and_nothing_else() {
        let home = Home::new();
        let database = home.open();
        let (left, mut lives, ended) = (start("s"), start("s"), start("s"));
        lives.holder = "other";
        database.start(&left).await.unwrap();
        database.start(&lives).await.unwrap();
        database.append_lines(left.id, 1, vec![line("a")]).await.unwrap();
        database.record(&ended, ending(&failed())).await.unwrap();
        assert_eq!(database.running_holders().unwrap(), ["me", "other"]);
        assert_eq!(database.interrupt("me", at(9_000)).await.unwrap(), [(left.id, 1)]);
        assert_eq!(database.interrupt("me", at(9_000)).await.unwrap(), []);
        assert_eq!(database.running_holders().unwrap(), ["other"]);
        let record = database.execution(left.id, None).unwrap().unwrap();
        assert_eq!((record.summary.status, record.summary.duration_ms), (Status::Interrupted, None));
        assert_eq!(record.summary.finished_at, Some(at(9_000)));
        let late = database.finish(left.id, 1, ending(&succeeded())).await;
        assert!(matches!(late, Err(DbError::IllegalMove { from: Status::Interrupted, .. })));
    }

    #[tokio::test]
    async fn the_beginning_of_an_id_finds_it_if_it_is_the_only_one() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(database.find_by_prefix("").unwrap(), Found::None);
        let mut rows = [start("s"), start("s")];
        rows[0].id = "01890000-0000-7000-8000-000000000000".parse().unwrap();
        rows[1].id = "0189ffff-0000-7000-8000-00000000abcd".parse().unwrap();
        for row in &mut rows {
            database.start(row).await.unwrap();
            row.attempt = 2;
            database.start(row).await.unwrap();
        }
        for (prefix, expected) in [
            ("", Found::Many(2)),
            ("0189", Found::Many(2)),
            ("01890", Found::One(rows[0].id)),
            ("0189FFFF-0", Found::One(rows[1].id)),
            ("0189ffff-0000-7000-8000-00000000abcd", Found::One(rows[1].id)),
            ("0189ffff-0000-7000-8000-00000000abcd0", Found::None),
            ("018a", Found::None),
            ("0189%", Found::None),
            ("' OR", Found::None),
        ] {
            assert_eq!(database.find_by_prefix(prefix).unwrap(), expected, "{prefix}");
        }
    }

    #[tokio::test]
    async fn a_value_that_nobody_writes_is_named_and_does_not_panic() {
        let home = Home::new();
        let database = home.open();
        let row = start("s");
        database.start(&row).await.unwrap();
        for (column, wrong) in [("trigger", "'x'"), ("digest", "printf('%071d', 0)"), ("params", "'{'"), ("hosts", "'7'")] {
            let sql = format!("UPDATE executions SET {column} = {wrong}");
            database.write(move |connection| Ok(connection.execute(&sql, [])?)).await.unwrap();
            let read = database.execution(row.id, None);
            assert!(matches!(read, Err(DbError::Damaged { column: named }) if named == column), "{column}");
            database.write(|connection| Ok(connection.execute("DELETE FROM executions", [])?)).await.unwrap();
            database.start(&row).await.unwrap();
        }
    }

    #[tokio::test]
    async fn sql_refuses_what_no_status_allows() {
        let home = Home::new();
        let database = home.open();
        database.start(&start("s")).await.unwrap();
        for wrong in [
            "status = 'paused'",
            "holder = NULL",
            "started_ms = NULL",
            "finished_ms = 1",
            "status = 'success'",
            "status = 'failed', finished_ms = 1",
            "status = 'skipped', finished_ms = 1",
            "failure = '{}'",
            "result_kind = 'json'",
            "result_kind = 'bytes', result = 'text'",
            "blame = 'nobody'",
            "fuel = -1",
            "attempt = 0",
        ] {
            let sql = format!("UPDATE executions SET {wrong}");
            let refused = database.write(move |connection| Ok(connection.execute(&sql, [])?)).await;
            assert!(matches!(refused, Err(DbError::Sqlite(_))), "{wrong}");
        }
        assert_eq!(database.list(&Filter::default()).unwrap()[0].status, Status::Running);
    }

    #[test]
    fn rows_are_moved_without_a_walk_through_the_table() {
        let home = Home::new();
        let database = home.open();
        for (sql, index) in [
            (BEGIN, "sqlite_autoindex_executions_1 (id=? AND attempt=?)"),
            (BEGIN_BARE, "sqlite_autoindex_executions_1 (id=? AND attempt=?)"),
            (MOVE, "sqlite_autoindex_executions_1 (id=? AND attempt=?)"),
            (INTERRUPT, "executions_by_status (status=?)"),
        ] {
            assert_eq!(plan(&database, sql), [format!("SEARCH executions USING INDEX {index}")], "{sql}");
        }
        assert_eq!(plan(&database, EMPTY_QUEUE), ["SCAN executions USING INDEX executions_queued"]);
    }
}
