//! Whose signatures of plugins are trusted, and which bytes are revoked.
//!
//! Both lists are changed as a whole and sealed as a whole: whoever changes them
//! names the head that was seen, so that of two at once one is told. What the seal
//! is, and whether it holds, is for the use cases; here it is a text.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;
use wardroom_core::signature::SignerKey;

use crate::column::{count, integer, parsed, plain, time};
use crate::writer::{Answer, Effect};
use crate::{AuditEvent, Database, DbError};

/// A signer whom the operator trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerRecord {
    /// The public key.
    pub signer: SignerKey,
    /// Whose the operator says it is; no two have one name.
    pub name: String,
    /// Since when.
    pub trusted_at: Timestamp,
}

/// Bytes that are never run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedRecord {
    /// Which.
    pub digest: Digest,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Since when.
    pub revoked_at: Timestamp,
}

/// What tells one state of both lists from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustHead {
    /// How many changes there were; from 1 on.
    pub version: u64,
    /// The keyed hash over both lists and the version.
    pub seal: String,
}

/// Both lists, in order of keys and digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustRecord {
    /// None: nobody ever changed them.
    pub head: Option<TrustHead>,
    /// Who is trusted.
    pub signers: Vec<SignerRecord>,
    /// What is revoked.
    pub revoked: Vec<RevokedRecord>,
}

/// What of both lists can be read at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadableTrust {
    /// The head, where it can be, and every row that can be.
    pub lists: TrustRecord,
    /// What stands for a digest in the revocations that name none: whatever they
    /// revoked is not known any more.
    pub lost: Vec<String>,
}

/// How a change of the lists ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TrustChange {
    /// It is done.
    Done,
    /// The lists are not as they were read.
    Changed,
}

impl Effect for TrustChange {
    fn is_change(&self) -> bool {
        *self == Self::Done
    }
}

impl Database {
    /// The head of both lists: enough to see whether anything changed.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn trust_head(&self) -> Result<Option<TrustHead>, DbError> {
        self.remembered(&self.known.trust_head, (), || self.read_once(head))
    }

    /// Both lists with their head, of one moment.
    ///
    /// # Errors
    ///
    /// As [`trust_head`](Self::trust_head).
    pub fn trust(&self) -> Result<TrustRecord, DbError> {
        self.read(|connection| {
            Ok(TrustRecord {
                head: head(connection)?,
                signers: connection.prepare_cached(SIGNERS)?.query_and_then([], signer)?.collect::<Result<_, DbError>>()?,
                revoked: connection.prepare_cached(REVOKED)?.query_and_then([], revoked)?.collect::<Result<_, DbError>>()?,
            })
        })
    }

    /// What of both lists can be read at all, after somebody else wrote into them. A
    /// revocation counts as long as its digest can be.
    ///
    /// # Errors
    ///
    /// As [`trust_head`](Self::trust_head), but not [`DbError::Damaged`].
    pub fn readable_trust(&self) -> Result<ReadableTrust, DbError> {
        self.read(|connection| {
            let mut found = ReadableTrust::default();
            found.lists.head = readable(head(connection))?.flatten();
            found.lists.signers = all_readable(connection.prepare_cached(SIGNERS)?.query_and_then([], signer)?)?;
            let mut statement = connection.prepare_cached(REVOKED)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                match readable(parsed(row, "digest"))? {
                    Some(digest) => found.lists.revoked.push(RevokedRecord {
                        digest,
                        reason: readable(plain(row, "reason"))?.flatten(),
                        revoked_at: readable(time(row, "revoked_ms"))?.unwrap_or(Timestamp::from_ms(0)),
                    }),
                    None => found.lost.push(match row.get_ref("digest")? {
                        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                        other => other.data_type().to_string(),
                    }),
                }
            }
            Ok(found)
        })
    }

    /// Puts these lists in the place of whatever is there. The events are recorded
    /// with it.
    pub fn replace_trust(&self, next: TrustRecord, events: Vec<AuditEvent>) -> Answer<TrustChange> {
        self.write_audited(events, move |connection| {
            put(connection, &next)?;
            Ok(TrustChange::Done)
        })
    }

    /// Puts these lists in the place of those that were read with the head `seen`.
    /// The events are recorded with it.
    pub fn change_trust(&self, seen: Option<TrustHead>, next: TrustRecord, events: Vec<AuditEvent>) -> Answer<TrustChange> {
        self.write_audited(events, move |connection| {
            if head(connection)? != seen {
                return Ok(TrustChange::Changed);
            }
            put(connection, &next)?;
            Ok(TrustChange::Done)
        })
    }
}

const SIGNERS: &str = "
    SELECT signer, name, trusted_ms FROM trusted_signers ORDER BY signer";
const REVOKED: &str = "
    SELECT digest, reason, revoked_ms FROM revoked_programs ORDER BY digest";

fn put(connection: &Connection, next: &TrustRecord) -> Result<(), DbError> {
    const HEAD: &str = "
        INSERT INTO trust_head (only, version, seal) VALUES (1, ?, ?)";
    const SIGNER: &str = "
        INSERT INTO trusted_signers (signer, name, trusted_ms) VALUES (?, ?, ?)";
    const REVOKED: &str = "
        INSERT INTO revoked_programs (digest, reason, revoked_ms) VALUES (?, ?, ?)";
    for table in ["DELETE FROM trust_head", "DELETE FROM trusted_signers", "DELETE FROM revoked_programs"] {
        connection.prepare_cached(table)?.execute([])?;
    }
    for SignerRecord { signer, name, trusted_at } in &next.signers {
        connection.prepare_cached(SIGNER)?.execute(params![signer.to_string(), name, trusted_at.ms()])?;
    }
    for RevokedRecord { digest, reason, revoked_at } in &next.revoked {
        connection.prepare_cached(REVOKED)?.execute(params![digest.to_string(), reason, revoked_at.ms()])?;
    }
    if let Some(TrustHead { version, seal }) = &next.head {
        connection.prepare_cached(HEAD)?.execute(params![integer(*version), seal])?;
    }
    Ok(())
}

/// Nothing, where what stands there is none of ours.
fn readable<T>(row: Result<T, DbError>) -> Result<Option<T>, DbError> {
    match row {
        Err(DbError::Damaged { .. }) => Ok(None),
        row => row.map(Some),
    }
}

fn all_readable<T>(rows: impl Iterator<Item = Result<T, DbError>>) -> Result<Vec<T>, DbError> {
    rows.filter_map(|row| readable(row).transpose()).collect()
}

fn head(connection: &Connection) -> Result<Option<TrustHead>, DbError> {
    const HEAD: &str = "
        SELECT version, seal FROM trust_head";
    let read = |row: &Row<'_>| Ok(TrustHead { version: count(row, "version")?, seal: plain(row, "seal")? });
    connection.prepare_cached(HEAD)?.query_and_then([], read)?.next().transpose()
}

fn signer(row: &Row<'_>) -> Result<SignerRecord, DbError> {
    Ok(SignerRecord { signer: parsed(row, "signer")?, name: plain(row, "name")?, trusted_at: time(row, "trusted_ms")? })
}

fn revoked(row: &Row<'_>) -> Result<RevokedRecord, DbError> {
    Ok(RevokedRecord { digest: parsed(row, "digest")?, reason: plain(row, "reason")?, revoked_at: time(row, "revoked_ms")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Home, at};

    fn lists(version: u64) -> TrustRecord {
        let signer =
            |n: u8| SignerRecord { signer: SignerKey::from_bytes([n; 32]), name: format!("who {n}"), trusted_at: at(i64::from(n)) };
        TrustRecord {
            head: Some(TrustHead { version, seal: format!("{version:064}") }),
            signers: vec![signer(1), signer(2)],
            revoked: vec![RevokedRecord { digest: Digest::from_bytes([3; 32]), reason: Some("why".to_owned()), revoked_at: at(3) }],
        }
    }

    #[tokio::test]
    async fn both_lists_are_read_as_they_were_written() {
        let home = Home::new();
        let database = home.open();
        assert_eq!((database.trust().unwrap(), database.trust_head().unwrap()), (TrustRecord::default(), None));
        assert_eq!(database.change_trust(None, lists(1), Vec::new()).await.unwrap(), TrustChange::Done);
        assert_eq!((database.trust().unwrap(), database.trust_head().unwrap()), (lists(1), lists(1).head));
        let less = TrustRecord { signers: Vec::new(), ..lists(2) };
        assert_eq!(database.change_trust(lists(1).head, less.clone(), Vec::new()).await.unwrap(), TrustChange::Done);
        assert_eq!(database.trust().unwrap(), less);
    }

    #[tokio::test]
    async fn of_two_changes_at_once_one_is_told() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(database.change_trust(None, lists(1), Vec::new()).await.unwrap(), TrustChange::Done);
        for seen in [None, Some(TrustHead { version: 1, seal: "f".repeat(64) }), lists(2).head] {
            assert_eq!(database.change_trust(seen, lists(2), Vec::new()).await.unwrap(), TrustChange::Changed);
        }
        assert_eq!(database.trust().unwrap(), lists(1));
    }

    #[tokio::test]
    async fn lists_that_cannot_be_read_are_replaced_by_what_can() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(database.change_trust(None, lists(1), Vec::new()).await.unwrap(), TrustChange::Done);
        home.tamper(
            "PRAGMA ignore_check_constraints = ON; UPDATE trust_head SET version = -1;
             UPDATE trusted_signers SET signer = 'x' WHERE name = 'who 1'; UPDATE revoked_programs SET digest = 'y';
             INSERT INTO revoked_programs VALUES ('sha256:' || hex(zeroblob(32)), CAST(x'ff' AS TEXT), 9)",
        );
        assert!(matches!(database.trust(), Err(DbError::Damaged { .. })));
        let left = database.readable_trust().unwrap();
        let kept = RevokedRecord { digest: Digest::from_bytes([0; 32]), reason: None, revoked_at: at(9) };
        assert_eq!((left.lists.head, left.lists.signers.as_slice()), (None, &lists(1).signers[1..]));
        assert_eq!((left.lists.revoked, left.lost), (vec![kept], vec!["y".to_owned()]), "a reason says nothing of what is revoked");
        assert_eq!(database.replace_trust(lists(2), Vec::new()).await.unwrap(), TrustChange::Done);
        assert_eq!(database.trust().unwrap(), lists(2));
    }

    #[tokio::test]
    async fn two_signers_have_two_names() {
        let home = Home::new();
        let database = home.open();
        let mut twice = lists(1);
        twice.signers[1].name = twice.signers[0].name.clone();
        assert!(database.change_trust(None, twice, Vec::new()).await.is_err());
        assert_eq!(database.trust().unwrap(), TrustRecord::default());
    }
}
