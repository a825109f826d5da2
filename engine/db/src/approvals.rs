//! Approvals: what somebody who may not grant asked for, and what a person said
//! to it.
//!
//! An approval is decided once: the first decision moves it out of `waiting`, in
//! the same transaction as what it gives.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;
use wardroom_core::task::TaskId;

use crate::column::{integer, optional_time, parsed, plain, time, word};
use crate::grants::insert_grants;
use crate::tasks::{resume_if_paused_for, touch};
use crate::writer::{Answer, Effect};
use crate::{AuditEvent, Database, DbError, NewGrant};

/// Approvals that may wait at once: what asks for more has to wait itself.
pub const MAX_WAITING_APPROVALS: u64 = 100;

/// One approval (UUIDv7, RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(Uuid);

impl ApprovalId {
    /// A fresh one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ApprovalId {
    type Err = NoApprovalId;

    fn from_str(text: &str) -> Result<Self, NoApprovalId> {
        text.parse().map(Self).map_err(|_| NoApprovalId)
    }
}

/// A text that is no approval's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no approval's id: expected a UUID")]
pub struct NoApprovalId;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalStatus {
    /// Nobody has decided.
    Waiting,
    /// A person said yes.
    Approved,
    /// A person said no.
    Rejected,
}

impl ApprovalStatus {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// A stored approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRecord {
    /// Which.
    pub id: ApprovalId,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Nobody can decide it from then on.
    pub expires_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// What it is about: a task's subject, or a credential's name.
    pub subject: String,
    /// The client's session that asked.
    pub session: Option<String>,
    /// Why, in the words of whoever asked.
    pub reason: String,
    /// What it would give, as JSON.
    pub asked: String,
}

/// An approval to be asked for.
#[derive(Debug, Clone)]
pub struct NewApproval {
    /// Which.
    pub id: ApprovalId,
    /// When.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// What it is about.
    pub subject: String,
    /// The client's session that asks.
    pub session: Option<String>,
    /// Why.
    pub reason: String,
    /// What it would give, as JSON.
    pub asked: String,
}

/// How asking ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Asking {
    /// It waits now.
    Waits(ApprovalId),
    /// The very same waits already.
    WaitsAlready(ApprovalId),
    /// Too many wait.
    Full,
}

impl Effect for Asking {
    fn is_change(&self) -> bool {
        matches!(self, Self::Waits(_))
    }
}

/// What a yes gives.
#[derive(Debug, Clone)]
pub enum Gift {
    /// Grants for a task, as long as it has these bytes; and it goes on, where it
    /// is paused for this reason.
    Grants {
        /// The task.
        task: TaskId,
        /// As it was read: what changed since is not what it is given to.
        revision: u64,
        /// Its bytes when it was asked for.
        digest: Digest,
        /// What it is granted.
        grants: Vec<NewGrant>,
        /// Why it would be paused.
        paused_for: String,
    },
    /// Nothing here: the caller does the rest.
    Nothing,
}

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It is done.
    Done,
    /// It was decided before, or never asked for.
    NotWaiting,
    /// Its time is over.
    Expired,
    /// What it is about is gone, or has other bytes by now.
    Stale,
}

impl Effect for Decision {
    fn is_change(&self) -> bool {
        *self == Self::Done
    }
}

impl Database {
    /// Asks a person for something; the very same that waits already is not
    /// asked for twice. The events are recorded with it.
    pub fn ask_approval(&self, new: NewApproval, events: Vec<AuditEvent>) -> Answer<Asking> {
        const SAME: &str = "
            SELECT id FROM approvals
            WHERE status = 'waiting' AND subject = ? AND asked = ? AND expires_ms > ?";
        const WAITING: &str = "
            SELECT COUNT(*) FROM approvals WHERE status = 'waiting' AND expires_ms > ?";
        const ASK: &str = "
            INSERT INTO approvals (id, created_ms, expires_ms, subject, session, reason, asked)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        self.write_audited(events, move |connection| {
            let now = new.created_at.ms();
            let mut same = connection.prepare_cached(SAME)?;
            let same = same.query_and_then(params![new.subject, new.asked, now], |row| parsed(row, "id"))?.next();
            if let Some(same) = same.transpose()? {
                return Ok(Asking::WaitsAlready(same));
            }
            let waiting: i64 = connection.prepare_cached(WAITING)?.query_row([now], |row| row.get(0))?;
            if waiting >= integer(MAX_WAITING_APPROVALS) {
                return Ok(Asking::Full);
            }
            let NewApproval { id, expires_at, subject, session, reason, asked, .. } = &new;
            connection.prepare_cached(ASK)?.execute(params![id.to_string(), now, expires_at.ms(), subject, session, reason, asked])?;
            Ok(Asking::Waits(*id))
        })
    }

    /// All approvals, newest first, at most so many.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn approvals(&self, status: Option<ApprovalStatus>, limit: u64) -> Result<Vec<ApprovalRecord>, DbError> {
        const APPROVALS: &str = "
            SELECT * FROM approvals WHERE ?1 IS NULL OR status = ?1
            ORDER BY created_ms DESC, id DESC LIMIT ?2";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(APPROVALS)?;
            statement.query_and_then(params![status.map(ApprovalStatus::name), integer(limit)], approval)?.collect()
        })
    }

    /// The approvals whose ids begin like this, at most two.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn approvals_by_prefix(&self, prefix: &str) -> Result<Vec<ApprovalRecord>, DbError> {
        const BY_PREFIX: &str = "
            SELECT * FROM approvals WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2";
        self.read(|connection| connection.prepare_cached(BY_PREFIX)?.query_and_then([prefix], approval)?.collect())
    }

    /// A person says yes: what it gives is given in the same transaction, with
    /// the events.
    pub fn approve(&self, id: ApprovalId, gift: Gift, now: Timestamp, events: Vec<AuditEvent>) -> Answer<Decision> {
        self.write_audited(events, move |connection| {
            let decision = decidable(connection, id, now)?;
            if decision != Decision::Done {
                return Ok(decision);
            }
            if let Gift::Grants { task, revision, digest, grants, paused_for } = &gift {
                if !touch(connection, *task, *revision, *digest, now)? {
                    return Ok(Decision::Stale);
                }
                insert_grants(connection, &task.subject(), *digest, grants, now)?;
                resume_if_paused_for(connection, *task, paused_for, now)?;
            }
            decide(connection, id, ApprovalStatus::Approved, now)?;
            Ok(Decision::Done)
        })
    }

    /// A person says no.
    pub fn reject(&self, id: ApprovalId, now: Timestamp, events: Vec<AuditEvent>) -> Answer<Decision> {
        self.write_audited(events, move |connection| {
            let decision = decidable(connection, id, now)?;
            // No is no, also late.
            if matches!(decision, Decision::Done | Decision::Expired) {
                decide(connection, id, ApprovalStatus::Rejected, now)?;
                return Ok(Decision::Done);
            }
            Ok(decision)
        })
    }
}

fn decidable(connection: &Connection, id: ApprovalId, now: Timestamp) -> Result<Decision, DbError> {
    const WAITING: &str = "
        SELECT * FROM approvals WHERE id = ? AND status = 'waiting'";
    let mut statement = connection.prepare_cached(WAITING)?;
    let found = statement.query_and_then([id.to_string()], approval)?.next().transpose()?;
    Ok(match found {
        None => Decision::NotWaiting,
        // A clock that was set back makes nothing young again.
        Some(found) if now >= found.expires_at || now < found.created_at => Decision::Expired,
        Some(_) => Decision::Done,
    })
}

fn decide(connection: &Connection, id: ApprovalId, status: ApprovalStatus, now: Timestamp) -> Result<(), DbError> {
    const DECIDE: &str = "
        UPDATE approvals SET status = ?, decided_ms = ? WHERE id = ? AND status = 'waiting'";
    connection.prepare_cached(DECIDE)?.execute(params![status.name(), now.ms(), id.to_string()])?;
    Ok(())
}

fn approval(row: &Row<'_>) -> Result<ApprovalRecord, DbError> {
    Ok(ApprovalRecord {
        id: parsed(row, "id")?,
        status: word(row, "status")?,
        created_at: time(row, "created_ms")?,
        expires_at: time(row, "expires_ms")?,
        decided_at: optional_time(row, "decided_ms")?,
        subject: plain(row, "subject")?,
        session: plain(row, "session")?,
        reason: plain(row, "reason")?,
        asked: plain(row, "asked")?,
    })
}

#[cfg(test)]
mod tests {
    use wardroom_core::capability::Capability;

    use super::*;
    use crate::testing::Home;
    use crate::{TaskChange, TaskTerms};

    const BYTES: Digest = Digest::from_bytes([1; 32]);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn new(asked: &str) -> NewApproval {
        NewApproval {
            id: ApprovalId::fresh(),
            created_at: at(10),
            expires_at: at(100),
            subject: "task:x".to_owned(),
            session: Some("s".to_owned()),
            reason: "because".to_owned(),
            asked: asked.to_owned(),
        }
    }

    async fn asked(database: &Database) -> ApprovalId {
        match database.ask_approval(new(&ApprovalId::fresh().to_string()), Vec::new()).await.unwrap() {
            Asking::Waits(id) => id,
            other => panic!("{other:?}"),
        }
    }

    async fn task(database: &Database) -> TaskId {
        let id = TaskId::fresh();
        let terms = TaskTerms {
            paused_for: None,
            forgets_state: false,
            name: "t".parse().unwrap(),
            digest: BYTES,
            definition: "{}".to_owned(),
            schedule: None,
            links: Vec::new(),
            grants: Vec::new(),
        };
        assert_eq!(database.add_task(id, terms, at(1), Vec::new()).await.unwrap(), TaskChange::Done);
        id
    }

    fn gift(database: &Database, task: TaskId, digest: Digest) -> Gift {
        let revision = database.task_by_id(task).unwrap().map_or(1, |task| task.revision);
        let grants = vec![NewGrant { capability: Capability::Net, scope: "https://a".to_owned(), callee: None }];
        Gift::Grants { task, revision, digest, grants, paused_for: "waits".to_owned() }
    }

    #[tokio::test]
    async fn it_is_decided_once() {
        let home = Home::new();
        let database = home.open();
        let (yes, no) = (asked(&database).await, asked(&database).await);
        assert_eq!(database.approve(yes, Gift::Nothing, at(20), Vec::new()).await.unwrap(), Decision::Done);
        assert_eq!(database.reject(no, at(20), Vec::new()).await.unwrap(), Decision::Done);
        for id in [yes, no, ApprovalId::fresh()] {
            assert_eq!(database.approve(id, Gift::Nothing, at(30), Vec::new()).await.unwrap(), Decision::NotWaiting);
            assert_eq!(database.reject(id, at(30), Vec::new()).await.unwrap(), Decision::NotWaiting);
        }
        let standing: Vec<_> = database.approvals(None, 10).unwrap().iter().map(|one| (one.id, one.status, one.decided_at)).collect();
        assert!(standing.contains(&(yes, ApprovalStatus::Approved, Some(at(20)))));
        assert!(standing.contains(&(no, ApprovalStatus::Rejected, Some(at(20)))));
    }

    #[tokio::test]
    async fn its_time_ends_and_a_clock_set_back_brings_none() {
        let home = Home::new();
        let database = home.open();
        let id = asked(&database).await;
        for late in [100, 101, 9] {
            assert_eq!(database.approve(id, Gift::Nothing, at(late), Vec::new()).await.unwrap(), Decision::Expired);
        }
        assert_eq!(database.approve(id, Gift::Nothing, at(99), Vec::new()).await.unwrap(), Decision::Done);
    }

    #[tokio::test]
    async fn it_gives_to_the_bytes_that_it_was_asked_for_and_lets_the_task_go_on() {
        let home = Home::new();
        let database = home.open();
        let task = task(&database).await;
        assert_eq!(database.pause_task(task, "waits".to_owned(), at(5), Vec::new()).await.unwrap(), TaskChange::Done);
        let id = asked(&database).await;
        let others = gift(&database, task, Digest::from_bytes([2; 32]));
        assert_eq!(database.approve(id, others, at(20), Vec::new()).await.unwrap(), Decision::Stale);
        assert_eq!(database.approve(id, gift(&database, TaskId::fresh(), BYTES), at(20), Vec::new()).await.unwrap(), Decision::Stale);
        assert_eq!(database.grants(&task.subject(), None).unwrap(), []);
        assert!(database.task_by_id(task).unwrap().unwrap().paused_at.is_some());
        // Read before something changed, it is old.
        let old = gift(&database, task, BYTES);
        assert_eq!(database.change_pause(task, "waits".to_owned(), "waits".to_owned()).await.unwrap(), TaskChange::Done);
        assert_eq!(database.approve(id, old, at(20), Vec::new()).await.unwrap(), Decision::Stale);
        assert_eq!(database.approve(id, gift(&database, task, BYTES), at(20), Vec::new()).await.unwrap(), Decision::Done);
        let granted = database.grants(&task.subject(), Some(BYTES)).unwrap();
        assert_eq!(granted.iter().map(|grant| grant.scope.as_str()).collect::<Vec<_>>(), ["https://a"]);
        assert!(database.task_by_id(task).unwrap().unwrap().paused_at.is_none());
        // Paused for something else, it stays so.
        assert_eq!(database.pause_task(task, "by hand".to_owned(), at(25), Vec::new()).await.unwrap(), TaskChange::Done);
        let id = asked(&database).await;
        assert_eq!(database.approve(id, gift(&database, task, BYTES), at(30), Vec::new()).await.unwrap(), Decision::Done);
        assert!(database.task_by_id(task).unwrap().unwrap().paused_at.is_some());
    }

    #[tokio::test]
    async fn the_same_is_asked_once_and_all_together_are_bounded() {
        let home = Home::new();
        let database = home.open();
        let Asking::Waits(first) = database.ask_approval(new("same"), Vec::new()).await.unwrap() else { panic!() };
        assert_eq!(database.ask_approval(new("same"), Vec::new()).await.unwrap(), Asking::WaitsAlready(first));
        for _ in 1..MAX_WAITING_APPROVALS {
            asked(&database).await;
        }
        assert_eq!(database.ask_approval(new("one more"), Vec::new()).await.unwrap(), Asking::Full);
        assert_eq!(database.reject(first, at(20), Vec::new()).await.unwrap(), Decision::Done);
        assert!(matches!(database.ask_approval(new("one more"), Vec::new()).await.unwrap(), Asking::Waits(_)));
        assert_eq!(database.approvals_by_prefix(&first.to_string()).unwrap().len(), 1);
        assert_eq!(database.approvals_by_prefix("").unwrap().len(), 2);
        assert_eq!(database.approvals_by_prefix("%").unwrap().len(), 0);
    }
}
