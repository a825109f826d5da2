//! The audit log: who did what with which credential or setting, for ever.
//!
//! Owns the table `audit` and the moment at which each row's key comes and goes;
//! what a row's hash and code are is for `audit_chain` to say, what a whole log
//! proves for `audit_verify`. A detail never holds a value.
//!
//! ```text
//!  lock audit.key.lock ─▶ BEGIN ─▶ read key i, catch up ─▶ rows i … n, key evolving
//!      ─▶ stage key n+1 ─▶ COMMIT (FULL) ─▶ key n+1 in place of key i ─▶ unlock
//! ```
//!
//! The order is what makes a loss visible and a crash harmless. The key is
//! replaced only after the commit, and the commit is synced to the disk: so the
//! key in place is never for a later row than the next one, unless rows were
//! removed. A crash between the two leaves a key that is behind; the next write
//! checks with it the rows that came after, and evolves it to where they end.
//! Replacing it first would make every crash look like a removal. It is staged
//! before the commit, under another name, so that a full disk fails the write
//! and not what comes after it.
//!
//! The lock is taken before the database's own and outlasts the commit: of two
//! processes, neither puts a past key back over the other's.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wardroom_core::clock::Timestamp;
use wardroom_core::id::{Digest, ExecutionId};

use crate::audit_chain::{AuditRoot, ChainId, ChainKey, Fields, Hash, NO_HASH};
use crate::audit_key::{AuditKeyFault, KeptKey, KeyFile, KeyLock};
use crate::column::{count, from_json, integer, json as encoded, optional_count, parsed, plain, time, word};
use crate::vault::{self, Sealing};
use crate::writer::Answer;
use crate::{Database, DbError};

/// Characters of an event's word at most.
pub const MAX_EVENT: usize = 64;
/// Bytes of a subject, and of a session's name, at most.
pub const MAX_SUBJECT: usize = 1024;
/// Bytes of a detail's JSON at most: rows are kept for ever.
pub const MAX_DETAIL: usize = 16 << 10;
/// Rows of one answer at most.
pub const MAX_AUDIT_ROWS: u64 = 1000;
/// The event of a chain's first row where another chain went before.
pub const CHAIN_RESTARTED: &str = "chain-restarted";

/// Rows that a key may be behind. A crash leaves one group of writes.
pub(crate) const MAX_BEHIND: u64 = 1 << 20;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The person at the keyboard.
    Operator,
    /// A program in its sandbox.
    Guest,
    /// The engine by itself.
    Engine,
}

impl Actor {
    /// The word in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Guest => "guest",
            Self::Engine => "engine",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// What happened: a word of lower-case letters, digits, `-`, `.` and `_`, of
    /// at most [`MAX_EVENT`] bytes.
    pub event: &'static str,
    /// What it is about, such as a credential's name; at most [`MAX_SUBJECT`]
    /// bytes.
    pub subject: String,
    /// Who.
    pub actor: Actor,
    /// The client's session, where there is one; at most [`MAX_SUBJECT`] bytes.
    pub session: Option<String>,
    /// The execution, where there is one.
    pub execution: Option<ExecutionId>,
    /// Which attempt of it.
    pub attempt: Option<u32>,
    /// The rest, at most [`MAX_DETAIL`] bytes as JSON. Never a value.
    pub detail: Map<String, Value>,
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditRecord {
    /// Its place, counted from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// What it is about.
    pub subject: String,
    /// Who.
    pub actor: Actor,
    /// The client's session.
    pub session: Option<String>,
    /// The execution.
    pub execution: Option<ExecutionId>,
    /// Which attempt of it.
    pub attempt: Option<u64>,
    /// The rest.
    pub detail: Map<String, Value>,
    /// The chain it belongs to.
    pub chain: ChainId,
    /// Its hash, which the next row is chained to.
    pub hash: Digest,
}

/// Which rows to list; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFilter {
    /// Recorded then or later.
    pub since: Option<Timestamp>,
    /// Recorded before then.
    pub until: Option<Timestamp>,
    /// Of exactly this event.
    pub event: Option<String>,
    /// About exactly this.
    pub subject: Option<String>,
    /// Of this execution, whatever its attempts.
    pub execution: Option<ExecutionId>,
    /// Before this place.
    pub before: Option<u64>,
    /// At most so many, and never more than [`MAX_AUDIT_ROWS`].
    pub limit: u64,
}

impl Default for AuditFilter {
    /// The newest 50.
    fn default() -> Self {
        Self { since: None, until: None, event: None, subject: None, execution: None, before: None, limit: 50 }
    }
}

/// Where the log ends. Written down elsewhere, it shows later that nothing
/// before it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AuditHead {
    /// The chain of the last row.
    pub chain: ChainId,
    /// How many rows.
    pub count: u64,
    /// The hash of the last one.
    pub hash: Digest,
}

/// How a new chain is to begin where the old one cannot go on.
pub struct AuditRestart {
    /// When.
    pub at: Timestamp,
    /// The client's session.
    pub session: Option<String>,
    /// The new chain's, [`fresh`](AuditRoot::fresh).
    pub root: AuditRoot,
    /// What the vault is to keep from now on: the new root, sealed, with the
    /// roots of earlier chains. `None` where there is no vault.
    pub sealed_root: Option<Sealing>,
}

/// How beginning a new chain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Restarted {
    /// It began, with a row that says so.
    Restarted,
    /// Not: the vault is not the one that the root was sealed under.
    Changed,
}

impl Database {
    /// Makes the first key of the audit log and hands it out to be sealed.
    ///
    /// `None` where the log has rows, or the key is sealed already. Asked again
    /// before the first row, it hands out the same key, so that a crash before
    /// it is sealed loses nothing. Blocks for some syncs, the first time.
    ///
    /// # Errors
    ///
    /// [`DbError::AuditKey`] where a log was begun and its key is missing or
    /// unfit; [`DbError::AuditKeyFile`], [`DbError::AuditKeyBusy`] and
    /// [`DbError::Random`] where it cannot be made; those of reading.
    pub fn begin_audit(&self) -> Result<Option<AuditRoot>, DbError> {
        let lock = self.file.audit_key().lock()?;
        let (last, is_sealed) = self.read(|connection| Ok((last_row(connection)?, vault::has_audit_root(connection)?)))?;
        if last.is_some() {
            return Ok(None);
        }
        match lock.file.read()? {
            Some(kept) => {
                agree(&kept, None).map_err(|fault| lock.file.fault(fault))?;
                Ok((!is_sealed).then(|| AuditRoot::of(kept.chain, &kept.key)))
            }
            None if is_sealed => Err(lock.file.fault(AuditKeyFault::Missing)),
            None => {
                let root = AuditRoot::fresh()?;
                lock.stage(&KeptKey { chain: root.chain(), next: 1, key: root.key() })?;
                lock.place()?;
                Ok(Some(root))
            }
        }
    }

    /// Records events, all or none, and survives the death of the machine once
    /// it has answered.
    ///
    /// The answer is [`DbError::AuditNotBegun`] before
    /// [`begin_audit`](Self::begin_audit), [`DbError::AuditKey`] where the key
    /// does not fit the rows, or [`DbError::AuditEvent`] where an event is no
    /// event.
    pub fn append_audit(&self, events: Vec<AuditEvent>) -> Answer<()> {
        self.write_audited(events, |_| Ok(()))
    }

    /// Begins a new chain where the old one cannot go on, with a row that says
    /// so for ever and what was wrong with the key.
    ///
    /// The key is replaced at once, not after the commit: where that fails, the
    /// old chain cannot go on either, and this has to be asked again.
    pub fn restart_audit(&self, restart: AuditRestart) -> Answer<Restarted> {
        self.write_with_ledger(move |connection, ledger| {
            if !vault::put_audit_root(connection, restart.sealed_root.as_ref(), restart.at)? {
                return Ok(Restarted::Changed);
            }
            ledger.restart(connection, &restart)?;
            Ok(Restarted::Restarted)
        })
    }

    /// The rows that pass a filter, newest first.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, DbError> {
        let query = Query::of(filter);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&query.sql())?;
            statement.query_and_then(&*query.params(), record)?.collect()
        })
    }

    /// Where the log ends; `None` without any row.
    ///
    /// # Errors
    ///
    /// As [`audit`](Self::audit).
    pub fn audit_head(&self) -> Result<Option<AuditHead>, DbError> {
        let last = self.read(last_row)?;
        Ok(last.map(|last| AuditHead { chain: last.chain, count: last.seq, hash: Digest::from_bytes(last.hash) }))
    }
}

/// Conditions, and the one index that serves them newest first.
struct Query<'a> {
    index: &'static str,
    conditions: Vec<&'static str>,
    values: Vec<Box<dyn ToSql + 'a>>,
}

impl<'a> Query<'a> {
    fn of(filter: &'a AuditFilter) -> Self {
        let index = match filter {
            AuditFilter { execution: Some(_), .. } => "INDEXED BY audit_by_execution",
            AuditFilter { subject: Some(_), .. } => "INDEXED BY audit_by_subject",
            AuditFilter { event: Some(_), .. } => "INDEXED BY audit_by_event",
            _ => "NOT INDEXED",
        };
        let mut query = Self { index, conditions: Vec::new(), values: Vec::new() };
        query.only("execution = ?", filter.execution.map(|id| id.to_string()));
        query.only("subject = ?", filter.subject.as_ref());
        query.only("event = ?", filter.event.as_ref());
        query.only("at_ms >= ?", filter.since.map(Timestamp::ms));
        query.only("at_ms < ?", filter.until.map(Timestamp::ms));
        query.only("seq < ?", filter.before.map(integer));
        query.values.push(Box::new(integer(filter.limit.min(MAX_AUDIT_ROWS))));
        query
    }

    fn only(&mut self, condition: &'static str, value: Option<impl ToSql + 'a>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Box::new(value));
        }
    }

    fn sql(&self) -> String {
        let (index, conditions) = (self.index, self.conditions.join(" AND "));
        let condition = if conditions.is_empty() { "TRUE" } else { &conditions };
        format!(
            "SELECT *
             FROM audit {index}
             WHERE {condition}
             ORDER BY seq DESC
             LIMIT ?"
        )
    }

    fn params(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|value| &**value as &dyn ToSql).collect()
    }
}

/// An event as its columns, made on the caller's thread.
#[derive(Debug)]
pub(crate) struct EncodedEvent {
    at_ms: i64,
    event: &'static str,
    subject: String,
    actor: &'static str,
    session: Option<String>,
    execution: Option<String>,
    attempt: Option<u32>,
    detail: String,
}

impl EncodedEvent {
    /// Refuses what is no event: a bug of ours, except that what a guest wrote
    /// must be cut to size before it gets here.
    pub(crate) fn encode(event: AuditEvent) -> Result<Self, DbError> {
        if event.event == CHAIN_RESTARTED {
            return Err(DbError::AuditEvent { reason: "its word is the log's own" });
        }
        Self::encode_any(event)
    }

    fn encode_any(event: AuditEvent) -> Result<Self, DbError> {
        let detail = encoded("detail", &event.detail)?;
        let is_long = |text: &String| text.len() > MAX_SUBJECT;
        let reason = if !is_event_word(event.event) {
            Some("its word is none: expected lower-case letters, digits, `-`, `.` and `_`")
        } else if is_long(&event.subject) || event.session.as_ref().is_some_and(is_long) {
            Some("its subject or session is too long")
        } else if detail.len() > MAX_DETAIL {
            Some("its detail is too long")
        } else if event.attempt == Some(0) || (event.attempt.is_some() && event.execution.is_none()) {
            Some("its attempt is of no execution")
        } else {
            None
        };
        match reason {
            Some(reason) => Err(DbError::AuditEvent { reason }),
            None => Ok(Self {
                at_ms: event.at.ms(),
                event: event.event,
                subject: event.subject,
                actor: event.actor.name(),
                session: event.session,
                execution: event.execution.map(|id| id.to_string()),
                attempt: event.attempt,
                detail,
            }),
        }
    }

    fn fields(&self, chain: ChainId, seq: u64) -> Fields<'_> {
        Fields {
            chain,
            seq,
            at_ms: self.at_ms,
            event: self.event,
            subject: &self.subject,
            actor: self.actor,
            session: self.session.as_deref(),
            execution: self.execution.as_deref(),
            attempt: self.attempt.map(u64::from),
            detail: &self.detail,
        }
    }
}

fn is_event_word(word: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.len() <= MAX_EVENT && word.bytes().all(known)
}

/// The audit log inside one transaction, the key's lock held around it.
///
/// Its place is worked out from the rows and the key when it is first needed,
/// and again after a write was rolled back: what that one had appended took
/// neither a number nor a key.
pub(crate) struct Ledger {
    /// Why it cannot be written is for those to hear who write to it.
    lock: Result<KeyLock, DbError>,
    head: Option<Head>,
    appended: bool,
}

/// Where the next row goes.
struct Head {
    hash: Hash,
    kept: KeptKey,
}

impl Ledger {
    pub(crate) fn lock(file: &KeyFile) -> Self {
        Self { lock: file.lock(), head: None, appended: false }
    }

    /// Adds rows.
    pub(crate) fn append(&mut self, connection: &Connection, events: &[EncodedEvent]) -> Result<(), DbError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut head = self.head(connection)?;
        for event in events {
            head = insert(connection, head, event)?;
        }
        self.head = Some(head);
        self.appended = true;
        Ok(())
    }

    /// What was appended last is rolled back.
    pub(crate) fn forget(&mut self) {
        self.head = None;
    }

    /// Writes the evolved key down, before the commit.
    pub(crate) fn stage(&mut self, connection: &Connection) -> Result<(), DbError> {
        if self.appended {
            let head = self.head(connection)?;
            self.held()?.stage(&head.kept)?;
        }
        Ok(())
    }

    /// Puts the evolved key in place, after the commit. Where that fails, what
    /// is committed stays so, and the next write catches up.
    pub(crate) fn place(self) {
        if let (true, Ok(lock)) = (self.appended, self.lock) {
            lock.place().ok();
        }
    }

    fn restart(&mut self, connection: &Connection, restart: &AuditRestart) -> Result<(), DbError> {
        let last = last_row(connection)?;
        let lock = self.held()?;
        let event = EncodedEvent::encode_any(AuditEvent {
            at: restart.at,
            event: CHAIN_RESTARTED,
            subject: restart.root.chain().to_string(),
            actor: Actor::Operator,
            session: restart.session.clone(),
            execution: None,
            attempt: None,
            detail: past_key(lock, last.as_ref())?,
        })?;
        let next = last.as_ref().map_or(1, |last| last.seq.saturating_add(1));
        let kept = || KeptKey { chain: restart.root.chain(), next, key: restart.root.key() };
        // Before the commit, for once: its row is found with it after a crash.
        lock.stage(&kept())?;
        lock.place()?;
        let hash = last.map_or(NO_HASH, |last| last.hash);
        self.head = Some(insert(connection, Head { hash, kept: kept() }, &event)?);
        self.appended = true;
        Ok(())
    }

    fn held(&self) -> Result<&KeyLock, DbError> {
        self.lock.as_ref().map_err(Clone::clone)
    }

    fn head(&mut self, connection: &Connection) -> Result<Head, DbError> {
        match self.head.take() {
            Some(head) => Ok(head),
            None => find_head(connection, self.held()?),
        }
    }
}

/// What was wrong with the key that a restart replaces.
fn past_key(lock: &KeyLock, last: Option<&LastRow>) -> Result<Map<String, Value>, DbError> {
    let standing = match lock.file.read() {
        Ok(None) => Err(AuditKeyFault::Missing),
        Ok(Some(kept)) => agree(&kept, last).map(drop),
        Err(DbError::AuditKey { fault, .. }) => Err(fault),
        Err(error) => return Err(error),
    };
    let reason = standing.err().map_or(Value::Null, |fault| json!(fault.to_string()));
    Ok(Map::from_iter([("past_key".to_owned(), reason)]))
}

/// The next place, the key evolved to it.
fn find_head(connection: &Connection, lock: &KeyLock) -> Result<Head, DbError> {
    let last = last_row(connection)?;
    let Some(kept) = lock.file.read()? else {
        let was_begun = last.is_some() || vault::has_audit_root(connection)?;
        return Err(if was_begun { lock.file.fault(AuditKeyFault::Missing) } else { DbError::AuditNotBegun });
    };
    let behind = agree(&kept, last.as_ref()).map_err(|fault| lock.file.fault(fault))?;
    let kept = if behind == 0 { kept } else { catch_up(connection, kept, lock)? };
    Ok(Head { hash: last.map_or(NO_HASH, |last| last.hash), kept })
}

/// How many rows a key is behind.
pub(crate) fn agree(kept: &KeptKey, last: Option<&LastRow>) -> Result<u64, AuditKeyFault> {
    let (next, seq) = (kept.next, last.map_or(0, |last| last.seq));
    let behind = match seq.saturating_add(1).checked_sub(next) {
        None => return Err(AuditKeyFault::Ahead { next, last: seq }),
        Some(behind) if behind > MAX_BEHIND => return Err(AuditKeyFault::FarBehind { next, last: seq }),
        Some(behind) => behind,
    };
    match last {
        Some(last) if last.chain != kept.chain => Err(AuditKeyFault::OtherChain),
        _ => Ok(behind),
    }
}

/// Evolves a key over rows that were committed without its being replaced: after
/// a crash they are ours, and it proves them.
fn catch_up(connection: &Connection, kept: KeptKey, lock: &KeyLock) -> Result<KeptKey, DbError> {
    const LATER: &str = "
        SELECT seq, chain, hash, mac FROM audit WHERE seq >= ? ORDER BY seq";
    let KeptKey { chain, mut next, mut key } = kept;
    let mut statement = connection.prepare_cached(LATER)?;
    let mut rows = statement.query([integer(next)])?;
    while let Some(row) = rows.next()? {
        let (hash, code): (Hash, [u8; 32]) = (plain(row, "hash")?, plain(row, "mac")?);
        let is_ours = count(row, "seq")? == next && self::chain(row)? == chain && key.proves(&hash, &code);
        if !is_ours {
            return Err(lock.file.fault(AuditKeyFault::Forged { seq: next }));
        }
        key = key.evolve();
        next = next.saturating_add(1);
    }
    Ok(KeptKey { chain, next, key })
}

fn insert(connection: &Connection, head: Head, event: &EncodedEvent) -> Result<Head, DbError> {
    const INSERT: &str = "
        INSERT INTO audit (
            seq, chain, at_ms, event, subject, actor, session, execution, attempt, detail, hash, mac)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let KeptKey { chain, next, key } = head.kept;
    let hash = event.fields(chain, next).hash(&head.hash);
    connection.prepare_cached(INSERT)?.execute(params![
        integer(next),
        chain.bytes(),
        event.at_ms,
        event.event,
        event.subject,
        event.actor,
        event.session,
        event.execution,
        event.attempt,
        event.detail,
        hash,
        key.code(&hash)
    ])?;
    Ok(Head { hash, kept: KeptKey { chain, next: next.saturating_add(1), key: ChainKey::evolve(&key) } })
}

/// What the next row follows.
pub(crate) struct LastRow {
    pub(crate) seq: u64,
    pub(crate) chain: ChainId,
    pub(crate) hash: Hash,
}

pub(crate) fn last_row(connection: &Connection) -> Result<Option<LastRow>, DbError> {
    const LAST: &str = "
        SELECT seq, chain, hash FROM audit ORDER BY seq DESC LIMIT 1";
    let read = |row: &Row<'_>| Ok(LastRow { seq: count(row, "seq")?, chain: chain(row)?, hash: plain(row, "hash")? });
    connection.prepare_cached(LAST)?.query_row([], |row| Ok(read(row))).optional()?.transpose()
}

pub(crate) fn chain(row: &Row<'_>) -> Result<ChainId, DbError> {
    plain(row, "chain").map(ChainId::from_bytes)
}

fn record(row: &Row<'_>) -> Result<AuditRecord, DbError> {
    let execution: Option<String> = plain(row, "execution")?;
    Ok(AuditRecord {
        seq: count(row, "seq")?,
        at: time(row, "at_ms")?,
        event: plain(row, "event")?,
        subject: plain(row, "subject")?,
        actor: word(row, "actor")?,
        session: plain(row, "session")?,
        execution: execution.map(|_| parsed(row, "execution")).transpose()?,
        attempt: optional_count(row, "attempt")?,
        detail: from_json(row, "detail")?,
        chain: chain(row)?,
        hash: plain(row, "hash").map(Digest::from_bytes)?,
    })
}
