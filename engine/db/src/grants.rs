//! Grants: what the operator allowed for good, to one subject and one digest.
//!
//! Scopes are kept as the text after `=` of their flag; what they mean is for
//! [`capability`](wardroom_core::capability) to say.

use rusqlite::{Connection, Row, params};
use serde::Serialize;
use wardroom_core::capability::Capability;
use wardroom_core::clock::Timestamp;
use wardroom_core::id::Digest;

use crate::column::{parsed, plain, time, word};
use crate::writer::Answer;
use crate::{Database, DbError};

/// A grant to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// The kind of capability.
    pub capability: Capability,
    /// The text after `=` of its flag.
    pub scope: String,
    /// Of a call: on whom the grants of what is called hang.
    pub callee: Option<String>,
}

/// A stored grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantRecord {
    /// On whom it hangs.
    pub subject: String,
    /// The only bytes it holds for.
    pub digest: Digest,
    /// The kind of capability.
    pub capability: Capability,
    /// The text after `=` of its flag.
    pub scope: String,
    /// Of a call: on whom the grants of what was meant hang.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callee: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
}

impl Database {
    /// The grants of a subject, for one digest or for any, oldest first.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn grants(&self, subject: &str, digest: Option<Digest>) -> Result<Vec<GrantRecord>, DbError> {
        const GRANTS: &str = "
            SELECT * FROM grants
            WHERE subject = ?1 AND (?2 IS NULL OR digest = ?2)
            ORDER BY created_ms, digest, capability, scope";
        self.remembered(&self.known.grants, (subject.to_owned(), digest), || {
            self.read(|connection| {
                let mut statement = connection.prepare_cached(GRANTS)?;
                statement.query_and_then(params![subject, digest.map(|digest| digest.to_string())], grant)?.collect()
            })
        })
    }

    /// All grants to call: on whom each hangs, and on whom those of what it calls.
    ///
    /// # Errors
    ///
    /// As [`grants`](Self::grants).
    pub fn call_grants(&self) -> Result<Vec<(String, String)>, DbError> {
        const CALLS: &str = "
            SELECT subject, callee FROM grants
            WHERE capability = 'call' AND callee IS NOT NULL";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(CALLS)?;
            statement.query_and_then([], |row| Ok((plain(row, "subject")?, plain(row, "callee")?)))?.collect()
        })
    }

    /// Stores grants, all or none, and answers how many are new.
    pub fn add_grants(&self, subject: &str, digest: Digest, grants: Vec<NewGrant>, now: Timestamp) -> Answer<usize> {
        let subject = subject.to_owned();
        self.write(move |connection| insert_grants(connection, &subject, digest, &grants, now))
    }

    /// Removes the grants of a subject, for one digest or for any, and answers
    /// how many those were.
    pub fn remove_grants(&self, subject: &str, digest: Option<Digest>) -> Answer<usize> {
        const REMOVE: &str = "
            DELETE FROM grants
            WHERE subject = ?1 AND (?2 IS NULL OR digest = ?2)";
        let (subject, digest) = (subject.to_owned(), digest.map(|digest| digest.to_string()));
        self.write(move |connection| Ok(connection.prepare_cached(REMOVE)?.execute(params![subject, digest])?))
    }
}

pub(crate) fn insert_grants(
    connection: &Connection,
    subject: &str,
    digest: Digest,
    grants: &[NewGrant],
    now: Timestamp,
) -> Result<usize, DbError> {
    const ADD: &str = "
        INSERT INTO grants (subject, digest, capability, scope, callee, created_ms)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET callee = excluded.callee, created_ms = excluded.created_ms
        WHERE callee IS NOT excluded.callee";
    let (mut statement, digest) = (connection.prepare_cached(ADD)?, digest.to_string());
    let mut add =
        |grant: &NewGrant| statement.execute(params![subject, digest, grant.capability.name(), grant.scope, grant.callee, now.ms()]);
    let added: Result<usize, rusqlite::Error> = grants.iter().map(&mut add).sum();
    Ok(added?)
}

fn grant(row: &Row<'_>) -> Result<GrantRecord, DbError> {
    Ok(GrantRecord {
        subject: plain(row, "subject")?,
        digest: parsed(row, "digest")?,
        capability: word(row, "capability")?,
        scope: plain(row, "scope")?,
        callee: plain(row, "callee")?,
        created_at: time(row, "created_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Home;

    const NOW: Timestamp = Timestamp::from_ms(1);

    fn new(capability: Capability, scope: &str) -> NewGrant {
        NewGrant { capability, scope: scope.to_owned(), callee: None }
    }

    #[tokio::test]
    async fn grants_belong_to_one_subject_and_one_digest() {
        let home = Home::new();
        let database = home.open();
        let (old, young) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let both = vec![new(Capability::Net, "https://a"), new(Capability::Read, "/r")];
        assert_eq!(database.add_grants("s", old, both.clone(), NOW).await.unwrap(), 2);
        assert_eq!(database.add_grants("s", old, both, Timestamp::from_ms(2)).await.unwrap(), 0);
        assert_eq!(database.add_grants("s", young, vec![new(Capability::Env, "HOME")], NOW).await.unwrap(), 1);

        let kinds = |subject, digest| -> Vec<Capability> {
            database.grants(subject, digest).unwrap().into_iter().map(|grant| grant.capability).collect()
        };
        assert_eq!(kinds("s", Some(old)), [Capability::Net, Capability::Read]);
        assert_eq!(kinds("s", Some(young)), [Capability::Env]);
        assert_eq!(kinds("s", None).len(), 3);
        assert_eq!(kinds("t", Some(old)), []);
        assert!(database.grants("s", None).unwrap().iter().all(|grant| grant.created_at == NOW));

        assert_eq!(database.remove_grants("s", Some(young)).await.unwrap(), 1);
        assert_eq!(database.remove_grants("s", None).await.unwrap(), 2);
        assert_eq!(kinds("s", None), []);
    }

    #[tokio::test]
    async fn a_grant_to_call_says_which_one_of_that_name_and_the_newest_holds() {
        let home = Home::new();
        let database = home.open();
        let digest = Digest::from_bytes([1; 32]);
        let call = |callee: &str| vec![NewGrant { callee: Some(callee.to_owned()), ..new(Capability::Call, "nightly") }];
        for (callee, count) in [("task:1", 1), ("task:1", 0), ("task:2", 1)] {
            assert_eq!(database.add_grants("s", digest, call(callee), NOW).await.unwrap(), count, "{callee}");
            let found = database.grants("s", Some(digest)).unwrap();
            assert_eq!(found.iter().map(|grant| grant.callee.as_deref()).collect::<Vec<_>>(), [Some(callee)]);
        }
    }

    #[tokio::test]
    async fn every_capability_is_read_back_by_its_name() {
        let home = Home::new();
        let database = home.open();
        let all = [
            Capability::Net,
            Capability::Read,
            Capability::Write,
            Capability::Sqlite,
            Capability::Env,
            Capability::State,
            Capability::Credentials,
            Capability::Call,
        ];
        for capability in all {
            let subject = capability.name();
            database.add_grants(subject, Digest::from_bytes([0; 32]), vec![new(capability, "x")], NOW).await.unwrap();
            assert_eq!(database.grants(subject, None).unwrap()[0].capability, capability);
        }
    }
}
