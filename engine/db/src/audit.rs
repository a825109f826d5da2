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
    /// An assistant, over a session that the operator let it have.
    Assistant,
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
            Self::Assistant => "assistant",
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{Home, ending, event, start, succeeded};
    use crate::{KeyStanding, NewVault, Sealed, VaultCreation};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    /// A begun log, with its root.
    fn begun(home: &Home) -> (Database, AuditRoot) {
        let database = home.open();
        let root = database.begin_audit().unwrap().unwrap();
        (database, root)
    }

    async fn append(database: &Database, subjects: &[&str]) {
        database.append_audit(subjects.iter().map(|subject| event(subject)).collect()).await.unwrap();
    }

    async fn keep_root(database: &Database, root: &AuditRoot) {
        let sealed = Sealed::new(root.expose_bytes().to_vec());
        let vault = NewVault { record: "v1".to_owned(), audit_root: Some(sealed), created_at: at(0) };
        assert_eq!(database.create_vault(vault, Vec::new()).await.unwrap(), VaultCreation::Created);
    }

    fn seqs(database: &Database, filter: &AuditFilter) -> Vec<u64> {
        database.audit(filter).unwrap().iter().map(|row| row.seq).collect()
    }

    async fn fault(database: &Database) -> AuditKeyFault {
        match database.append_audit(vec![event("late")]).await {
            Err(DbError::AuditKey { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_first_key_is_handed_out_until_it_is_sealed_or_used() {
        let home = Home::new();
        let database = home.open();
        assert!(matches!(database.append_audit(vec![event("a")]).await, Err(DbError::AuditNotBegun)));
        let first = database.begin_audit().unwrap().unwrap();
        let again = home.open().begin_audit().unwrap().unwrap();
        assert_eq!(first.expose_bytes(), again.expose_bytes());
        keep_root(&database, &first).await;
        assert!(database.begin_audit().unwrap().is_none());
        // Sealed and never used, the key's loss is a loss all the same.
        fs::remove_file(home.0.path().join("audit.key")).unwrap();
        assert!(matches!(database.begin_audit(), Err(DbError::AuditKey { fault: AuditKeyFault::Missing, .. })));
        assert_eq!(fault(&database).await, AuditKeyFault::Missing);
        let home = Home::new();
        let (database, root) = begun(&home);
        append(&database, &["a"]).await;
        assert!(database.begin_audit().unwrap().is_none());
        assert_eq!(database.audit_head().unwrap().unwrap().chain, root.chain());
    }

    #[tokio::test]
    async fn rows_are_read_back_filtered_newest_first() {
        let home = Home::new();
        let (database, root) = begun(&home);
        let plain = AuditEvent { session: None, execution: None, attempt: None, detail: Map::new(), actor: Actor::Operator, ..event("B") };
        let other = AuditEvent { event: "credential-added", at: at(3_000), actor: Actor::Engine, ..plain.clone() };
        let used = event("A");
        database.append_audit(vec![used.clone(), plain.clone()]).await.unwrap();
        database.append_audit(vec![other]).await.unwrap();
        database.append_audit(Vec::new()).await.unwrap();
        let rows = database.audit(&AuditFilter::default()).unwrap();
        let first = rows.last().unwrap();
        assert_eq!((first.seq, first.at, first.event.as_str(), first.subject.as_str()), (1, at(1_000), "credential-used", "A"));
        assert_eq!((first.actor, &first.session, first.execution, first.attempt), (Actor::Guest, &used.session, used.execution, Some(1)));
        assert_eq!((&first.detail, first.chain), (&used.detail, root.chain()));
        assert_eq!(rows.iter().map(|row| row.actor).collect::<Vec<_>>(), [Actor::Engine, Actor::Operator, Actor::Guest]);
        let head = database.audit_head().unwrap().unwrap();
        assert_eq!((head.count, head.hash), (3, rows[0].hash));
        let all = AuditFilter::default();
        let text = |text: &str| Some(text.to_owned());
        let cases: [(AuditFilter, &[u64]); 10] = [
            (all.clone(), &[3, 2, 1]),
            (AuditFilter { limit: 2, ..all.clone() }, &[3, 2]),
            (AuditFilter { limit: 2, before: Some(2), ..all.clone() }, &[1]),
            (AuditFilter { before: Some(u64::MAX), ..all.clone() }, &[3, 2, 1]),
            (AuditFilter { subject: text("B"), ..all.clone() }, &[3, 2]),
            (AuditFilter { event: text("credential-used"), ..all.clone() }, &[2, 1]),
            (AuditFilter { event: text("credential-used"), subject: text("B"), ..all.clone() }, &[2]),
            (AuditFilter { execution: used.execution, ..all.clone() }, &[1]),
            (AuditFilter { since: Some(at(1_001)), ..all.clone() }, &[3]),
            (AuditFilter { until: Some(at(3_000)), ..all }, &[2, 1]),
        ];
        for (filter, expected) in cases {
            assert_eq!(seqs(&database, &filter), expected, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn no_answer_is_longer_than_its_bound_and_each_is_served_by_an_index() {
        let home = Home::new();
        let (database, _) = begun(&home);
        database.append_audit(std::iter::repeat_n(event("a"), 1_100).collect()).await.unwrap();
        let all = AuditFilter { limit: u64::MAX, ..AuditFilter::default() };
        assert_eq!(seqs(&database, &all).len(), 1_000);
        let filters = [
            AuditFilter { subject: Some("a".to_owned()), before: Some(9), ..all.clone() },
            AuditFilter { event: Some("e".to_owned()), ..all.clone() },
            AuditFilter { execution: Some(ExecutionId::fresh()), before: Some(9), ..all.clone() },
            AuditFilter { before: Some(9), ..all },
        ];
        for filter in filters {
            let query = Query::of(&filter);
            let plan = database.read(|connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql()))?;
                statement.query_and_then(&*query.params(), |row| plain::<String>(row, "detail"))?.collect::<Result<Vec<_>, _>>()
            });
            let plan = plan.unwrap();
            assert!(plan.len() == 1 && plan[0].starts_with("SEARCH"), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_event_is_refused_before_it_is_queued() {
        let home = Home::new();
        let (database, _) = begun(&home);
        let good = event("a");
        let wrong = [
            AuditEvent { event: "", ..good.clone() },
            AuditEvent { event: "Used", ..good.clone() },
            AuditEvent { event: "credential used", ..good.clone() },
            AuditEvent { event: "1", ..good.clone() },
            AuditEvent { event: CHAIN_RESTARTED, ..good.clone() },
            AuditEvent { subject: "x".repeat(MAX_SUBJECT + 1), ..good.clone() },
            AuditEvent { session: Some("x".repeat(MAX_SUBJECT + 1)), ..good.clone() },
            AuditEvent { attempt: Some(0), ..good.clone() },
            AuditEvent { execution: None, ..good.clone() },
            AuditEvent { detail: Map::from_iter([("k".to_owned(), json!("x".repeat(MAX_DETAIL)))]), ..good.clone() },
        ];
        for event in wrong {
            let refused = database.append_audit(vec![good.clone(), event]).await;
            assert!(matches!(refused, Err(DbError::AuditEvent { .. })), "{refused:?}");
        }
        assert_eq!(database.audit_head().unwrap(), None);
    }

    #[tokio::test]
    async fn our_own_statements_cannot_change_remove_or_skip_rows() {
        let home = Home::new();
        let (database, _) = begun(&home);
        append(&database, &["a", "b"]).await;
        let copy = "INSERT INTO audit SELECT 9, chain, at_ms, event, subject, actor, session, execution, attempt, detail, hash, mac FROM audit WHERE seq = 1";
        for sql in
            ["UPDATE audit SET subject = 'x'", "DELETE FROM audit", copy, &copy.replace("INSERT", "INSERT OR REPLACE").replace("9,", "2,")]
        {
            let sql = sql.to_owned();
            let refused = database.write(move |connection| Ok(connection.execute(&sql, [])?)).await;
            assert!(matches!(refused, Err(DbError::Sqlite(_))), "{refused:?}");
        }
        assert!(database.verify_audit(&[]).unwrap().is_intact());
    }

    #[tokio::test]
    async fn a_past_key_is_nowhere_in_the_folder() {
        let home = Home::new();
        let (database, root) = begun(&home);
        let mut past = vec![root.key()];
        for _ in 0..3 {
            append(&database, &["a", "b"]).await;
            past.extend([past.last().unwrap().evolve(), past.last().unwrap().evolve().evolve()]);
        }
        let current = past.pop().unwrap();
        drop(database);
        let files = fs::read_dir(home.0.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        // One character a byte, so that it can be searched as text.
        let latin = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let all = latin(&files.flatten().collect::<Vec<u8>>());
        let holds = |key: &ChainKey| all.contains(key.expose_hex().as_str());
        assert!(holds(&current) && !past.iter().any(holds));
        let raw = |key: &ChainKey| latin(&AuditRoot::of(root.chain(), key).expose_bytes()[16..]);
        assert!(!past.iter().any(|key| all.contains(&raw(key))));
    }

    #[tokio::test]
    async fn a_key_that_a_crash_left_behind_catches_up() {
        let home = Home::new();
        let (database, root) = begun(&home);
        append(&database, &["a"]).await;
        let old = home.audit_key();
        append(&database, &["b", "c"]).await;
        let current = home.audit_key();
        home.put_audit_key(&old);
        let report = database.verify_audit(&[]).unwrap();
        // The key in the file proves the rows that came after it.
        assert!(report.is_intact() && report.key == KeyStanding::Behind { rows: 2 } && report.proven == 2, "{report:?}");
        append(&database, &["d"]).await;
        let report = database.verify_audit(&[root]).unwrap();
        assert!(report.is_intact() && report.key == KeyStanding::Current && report.proven == 4, "{report:?}");
        assert!(home.audit_key() != current && home.audit_key() != old);
    }

    #[tokio::test]
    async fn a_key_that_does_not_fit_the_rows_stops_the_log_and_nothing_else() {
        let home = Home::new();
        let (database, _) = begun(&home);
        append(&database, &["a"]).await;
        let (key, path) = (home.audit_key(), home.0.path().join("audit.key"));
        let (other, _) = (Home::new(), ());
        let (foreign, _) = begun(&other);
        append(&foreign, &["a"]).await;
        home.put_audit_key(&other.audit_key());
        assert_eq!(fault(&database).await, AuditKeyFault::OtherChain);
        home.put_audit_key(&key.replace(" 2 ", " 5 "));
        assert_eq!(fault(&database).await, AuditKeyFault::Ahead { next: 5, last: 1 });
        home.put_audit_key(&key.replace(" 2 ", " 1 "));
        assert_eq!(fault(&database).await, AuditKeyFault::Forged { seq: 1 });
        home.put_audit_key("nonsense");
        assert_eq!(fault(&database).await, AuditKeyFault::Damaged);
        fs::remove_file(&path).unwrap();
        assert_eq!(fault(&database).await, AuditKeyFault::Missing);
        database.record(&start("s"), ending(&succeeded())).await.unwrap();
        assert_eq!(database.audit_head().unwrap().unwrap().count, 1);
    }

    #[tokio::test]
    async fn a_row_added_without_the_key_is_found_by_the_next_write() {
        let home = Home::new();
        let (database, _) = begun(&home);
        append(&database, &["a", "b"]).await;
        home.tamper("INSERT INTO audit SELECT 3, chain, at_ms, event, 'c', actor, session, execution, attempt, detail, hash, mac FROM audit WHERE seq = 2");
        assert_eq!(fault(&database).await, AuditKeyFault::Forged { seq: 3 });
    }

    #[tokio::test]
    async fn a_new_chain_goes_on_where_the_old_one_cannot_and_says_so() {
        let home = Home::new();
        let (database, old) = begun(&home);
        keep_root(&database, &old).await;
        append(&database, &["a", "b"]).await;
        fs::remove_file(home.0.path().join("audit.key")).unwrap();
        let root = AuditRoot::fresh().unwrap();
        let again = || AuditRoot::from_bytes(root.expose_bytes()).unwrap();
        let restart = |vault: &str| AuditRestart {
            at: at(5),
            session: None,
            root: again(),
            sealed_root: Some(Sealing { sealed: Sealed::new(vec![7; 9]), vault: vault.to_owned() }),
        };
        assert_eq!(database.restart_audit(restart("v0")).await.unwrap(), Restarted::Changed);
        assert_eq!(fault(&database).await, AuditKeyFault::Missing);
        assert_eq!(database.restart_audit(restart("v1")).await.unwrap(), Restarted::Restarted);
        append(&database, &["c"]).await;
        assert_eq!(database.vault_record().unwrap().unwrap().audit_root, Some(Sealed::new(vec![7; 9])));
        let row = database.audit(&AuditFilter { event: Some(CHAIN_RESTARTED.to_owned()), ..AuditFilter::default() }).unwrap().remove(0);
        assert_eq!((row.seq, row.subject, row.actor), (3, root.chain().to_string(), Actor::Operator));
        assert_eq!(row.detail["past_key"], json!("is missing"));
        let report = database.verify_audit(&[old, again()]).unwrap();
        assert!(report.is_intact() && report.proven == 4 && report.chains.len() == 2, "{report:?}");
        assert_eq!((report.chains[0].last, report.chains[1].first, report.chains[1].chain), (2, 3, root.chain()));
        let partly = database.verify_audit(&[again()]).unwrap();
        assert_eq!((partly.is_intact(), partly.proven, partly.chains[0].proven), (true, 2, 0));
    }

    #[tokio::test]
    async fn a_restart_that_a_crash_cut_off_is_caught_up_or_asked_again() {
        let home = Home::new();
        let (database, _) = begun(&home);
        append(&database, &["a"]).await;
        let root = AuditRoot::fresh().unwrap();
        let again = || AuditRoot::from_bytes(root.expose_bytes()).unwrap();
        let cut = KeyFile::beside(&home.0.path().join("wardroom.db"));
        let lock = cut.lock().unwrap();
        lock.stage(&KeptKey { chain: root.chain(), next: 2, key: root.key() }).unwrap();
        lock.place().unwrap();
        drop(lock);
        let placed = home.audit_key();
        assert_eq!(fault(&database).await, AuditKeyFault::OtherChain);
        let restart = AuditRestart { at: at(5), session: None, root: again(), sealed_root: None };
        assert_eq!(database.restart_audit(restart).await.unwrap(), Restarted::Restarted);
        // Committed, and the key not yet replaced.
        home.put_audit_key(&placed);
        append(&database, &["b"]).await;
        assert!(database.verify_audit(&[again()]).unwrap().is_intact());
    }

    /// Fails only at the commit: a line of an execution that there is not.
    fn fails_at_commit(connection: &Connection) -> Result<(), DbError> {
        connection.execute_batch("PRAGMA defer_foreign_keys = ON; INSERT INTO log_lines VALUES (999, 0, 0, 'info', '')")?;
        Ok(())
    }

    #[tokio::test]
    async fn a_commit_that_fails_takes_no_key() {
        let home = Home::new();
        let (database, root) = begun(&home);
        append(&database, &["a"]).await;
        let before = home.audit_key();
        let failed = database.write_audited(vec![event("b")], fails_at_commit).await;
        assert!(matches!(failed, Err(DbError::Sqlite(_))), "{failed:?}");
        assert_eq!(home.audit_key(), before);
        append(&database, &["c"]).await;
        let report = database.verify_audit(&[root]).unwrap();
        assert!(report.is_intact() && report.rows == 2 && report.proven == 2, "{report:?}");
    }

    #[tokio::test]
    async fn what_a_group_rolls_back_takes_neither_number_nor_key() {
        let home = Home::new();
        let (database, root) = begun(&home);
        // Holds the writer until all are queued, so that they are one group.
        let (held, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let wait = std::sync::Mutex::new(wait);
        drop(database.write(move |_| {
            begun.send(()).ok();
            wait.lock().unwrap().recv().ok();
            Ok(())
        }));
        has_begun.recv().unwrap();
        let first = database.append_audit(vec![event("a"), event("b")]);
        let undone = database.write_with_ledger(|connection, ledger| {
            ledger.append(connection, &[EncodedEvent::encode(event("undone"))?])?;
            Err::<(), _>(DbError::Random)
        });
        let second = database.append_audit(vec![event("c")]);
        let spoils = database
            .write_audited(vec![event("spoils")], |connection| if rows(connection)? == 3 { fails_at_commit(connection) } else { Ok(()) });
        let late = database.append_audit(vec![event("d")]);
        drop(held);
        first.await.unwrap();
        second.await.unwrap();
        late.await.unwrap();
        assert!(matches!(undone.await, Err(DbError::Random)) && matches!(spoils.await, Err(DbError::Sqlite(_))));
        let subjects: Vec<_> = database.audit(&AuditFilter::default()).unwrap().into_iter().map(|row| row.subject).collect();
        assert_eq!(subjects, ["d", "c", "b", "a"]);
        let report = database.verify_audit(&[root]).unwrap();
        assert!(report.is_intact() && report.proven == 4, "{report:?}");
    }

    fn rows(connection: &Connection) -> Result<u64, DbError> {
        Ok(last_row(connection)?.map_or(0, |last| last.seq))
    }

    fn synchronous(connection: &Connection) -> Result<i64, DbError> {
        Ok(connection.pragma_query_value(None, "synchronous", |row| row.get(0))?)
    }

    #[tokio::test]
    async fn only_audited_writes_are_synced_and_take_the_lock() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(database.write(synchronous).await.unwrap(), 1);
        assert!(!home.0.path().join("audit.key.lock").exists());
        database.begin_audit().unwrap();
        assert_eq!(database.write_with_ledger(|connection, _| synchronous(connection)).await.unwrap(), 2);
        let lock = home.open().file.audit_key().lock().unwrap();
        assert_eq!(database.write(synchronous).await.unwrap(), 1);
        let waiting = database.append_audit(vec![event("a")]);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(database.audit_head().unwrap(), None);
        drop(lock);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_key_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = Home::new();
        let (database, _) = begun(&home);
        fs::set_permissions(home.0.path().join("audit.key"), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(fault(&database).await, AuditKeyFault::Permissions { mode: 0o640 });
    }
}
