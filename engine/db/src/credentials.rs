//! Credentials: what each is, where its value may go, and the value sealed.
//!
//! Every change says what the caller had read ([`CredentialRecord`]) and happens
//! only where that still holds: name and kind are bound into the sealed value,
//! and one sealed under the old key must never land after a rotation. The
//! answer [`Change::Changed`] means: read again, seal again.
//!
//! Grants name credentials in their scopes, so renaming and removing a
//! credential reaches into [`grants`](crate::grants) too.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wardroom_core::capability::Capability;
use wardroom_core::capability::credentials::{BoundHost, CredentialScope};
use wardroom_core::clock::Timestamp;
use wardroom_core::credential::{CredentialKind, CredentialName};

use crate::audit::AuditEvent;
use crate::column::{from_json, json, optional_time, parsed, plain, time};
use crate::executions::is_unique_violation;
use crate::vault::{self, Sealed, Sealing};
use crate::writer::{Answer, Effect};
use crate::{Database, DbError};

/// Bytes of a note at most.
pub const MAX_NOTE: usize = 1024;

/// One credential, whatever its name (UUIDv7, RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(Uuid);

impl CredentialId {
    /// A fresh one.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CredentialId {
    type Err = NoCredentialId;

    fn from_str(text: &str) -> Result<Self, NoCredentialId> {
        text.parse().map(Self).map_err(|_| NoCredentialId)
    }
}

/// A text that is no credential's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no credential id: expected a UUID")]
pub struct NoCredentialId;

/// What the operator wrote down about a credential: 1 to [`MAX_NOTE`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Note(String);

impl Note {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = NoNote;

    fn from_str(text: &str) -> Result<Self, NoNote> {
        if (1..=MAX_NOTE).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(NoNote(text.len())) }
    }
}

/// A text that is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the note has {0} bytes: expected 1 to {MAX_NOTE}")]
pub struct NoNote(pub usize);

/// A credential, its value only sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialRecord {
    /// Which, for good.
    pub id: CredentialId,
    /// Its name.
    pub name: CredentialName,
    /// What it is.
    pub kind: CredentialKind,
    /// Where its value may go; nowhere without any.
    pub hosts: Vec<BoundHost>,
    /// What the operator wrote down about it.
    pub note: Option<Note>,
    /// Its value; `None` where it has none yet. Never shown.
    #[serde(skip)]
    pub sealed: Option<Sealed>,
    /// Since when it has this value.
    pub value_at: Option<Timestamp>,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// When the operator changed anything of it.
    pub updated_at: Timestamp,
    /// When a run last used it.
    pub last_used_at: Option<Timestamp>,
}

/// A credential to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Which: its value is sealed for this id.
    pub id: CredentialId,
    /// Its name.
    pub name: CredentialName,
    /// What it is.
    pub kind: CredentialKind,
    /// Where its value may go.
    pub hosts: Vec<BoundHost>,
    /// What the operator wrote down about it.
    pub note: Option<Note>,
    /// Its value, where there is one already.
    pub value: Option<Sealing>,
    /// When it is added.
    pub created_at: Timestamp,
}

/// What a credential is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialTerms {
    /// What it is.
    pub kind: CredentialKind,
    /// Where its value may go.
    pub hosts: Vec<BoundHost>,
    /// What the operator wrote down about it.
    pub note: Option<Note>,
    /// Its value, sealed for the new kind: wherever the kind changes and there
    /// is a value, and nowhere else.
    pub resealed: Option<Sealing>,
}

/// How a change of a credential ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// It is done.
    Done,
    /// There is no such credential any more.
    Missing,
    /// Another one has that name.
    NameTaken,
    /// The credential, or the vault, is not as it was read.
    Changed,
}

/// How removing a credential ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    /// It is gone, and with it so many grants.
    Removed {
        /// How many.
        grants: usize,
    },
    /// It stays, because it is granted to these subjects.
    InUse(Vec<String>),
    /// There is no such credential any more.
    Missing,
    /// It has another name by now.
    Changed,
}

impl Effect for Change {
    fn is_change(&self) -> bool {
        *self == Self::Done
    }
}

impl Effect for Removal {
    fn is_change(&self) -> bool {
        matches!(self, Self::Removed { .. })
    }
}

/// How much of what was read must still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// The name: it is this one that is meant.
    Name,
    /// Whatever the sealed value is bound to, and the value.
    Everything,
}

impl Database {
    /// All credentials, in order of their names.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::DamagedRow`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn credentials(&self) -> Result<Vec<CredentialRecord>, DbError> {
        const CREDENTIALS: &str = "
            SELECT * FROM credentials ORDER BY name";
        self.read(|connection| connection.prepare_cached(CREDENTIALS)?.query_and_then([], record)?.collect())
    }

    /// The credential of this name.
    ///
    /// # Errors
    ///
    /// As [`credentials`](Self::credentials).
    pub fn credential(&self, name: &CredentialName) -> Result<Option<CredentialRecord>, DbError> {
        const CREDENTIAL: &str = "
            SELECT * FROM credentials WHERE name = ?";
        self.read(|connection| connection.prepare_cached(CREDENTIAL)?.query_and_then([name.as_str()], record)?.next().transpose())
    }

    /// The subjects that hold a grant of this credential, in byte order.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn credential_users(&self, name: &CredentialName) -> Result<Vec<String>, DbError> {
        self.read(|connection| Ok(users(granted(connection, name)?)))
    }

    /// Adds a credential. The events are recorded with it.
    ///
    /// The answer is [`Change::NameTaken`] where there is one of this name, or
    /// [`Change::Changed`] where the vault is not the one that its value was
    /// sealed under.
    pub fn add_credential(&self, new: NewCredential, events: Vec<AuditEvent>) -> Answer<Change> {
        match json("hosts", &new.hosts) {
            Ok(hosts) => self.write_audited(events, move |connection| insert(connection, &new, &hosts)),
            Err(error) => Answer::known(Err(error)),
        }
    }

    /// Gives a credential its value, or another one. The events are recorded
    /// with it.
    pub fn set_sealed(&self, seen: &CredentialRecord, value: Sealing, now: Timestamp, events: Vec<AuditEvent>) -> Answer<Change> {
        const SET: &str = "
            UPDATE credentials SET sealed = ?, value_at_ms = ?2, updated_ms = ?2 WHERE id = ?";
        let seen = seen.clone();
        self.write_audited(events, move |connection| match standing(connection, &seen, Holds::Everything)? {
            Change::Done if vault::is_current(connection, &value.vault)? => {
                connection.prepare_cached(SET)?.execute(params![value.sealed.bytes(), now.ms(), seen.id.to_string()])?;
                Ok(Change::Done)
            }
            Change::Done => Ok(Change::Changed),
            refused => Ok(refused),
        })
    }

    /// Takes a credential's value away. The events are recorded with it.
    pub fn clear_credential(&self, seen: &CredentialRecord, now: Timestamp, events: Vec<AuditEvent>) -> Answer<Change> {
        const CLEAR: &str = "
            UPDATE credentials SET sealed = NULL, value_at_ms = NULL, updated_ms = ? WHERE id = ?";
        let seen = seen.clone();
        self.write_audited(events, move |connection| match standing(connection, &seen, Holds::Name)? {
            Change::Done => {
                connection.prepare_cached(CLEAR)?.execute(params![now.ms(), seen.id.to_string()])?;
                Ok(Change::Done)
            }
            refused => Ok(refused),
        })
    }

    /// Changes what a credential is, where it may go and what is noted. The
    /// events are recorded with it.
    pub fn change_credential(
        &self,
        seen: &CredentialRecord,
        terms: CredentialTerms,
        now: Timestamp,
        events: Vec<AuditEvent>,
    ) -> Answer<Change> {
        const TERMS: &str = "
            UPDATE credentials SET kind = ?, hosts = ?, note = ?, updated_ms = ? WHERE id = ?";
        let (seen, hosts) = match json("hosts", &terms.hosts) {
            Ok(hosts) => (seen.clone(), hosts),
            Err(error) => return Answer::known(Err(error)),
        };
        self.write_audited(events, move |connection| {
            let is_rebound = terms.kind != seen.kind;
            match rebind(connection, &seen, is_rebound, terms.resealed.as_ref())? {
                Change::Done => {
                    let note = terms.note.as_ref().map(Note::as_str);
                    connection.prepare_cached(TERMS)?.execute(params![terms.kind.name(), hosts, note, now.ms(), seen.id.to_string()])?;
                    Ok(Change::Done)
                }
                refused => Ok(refused),
            }
        })
    }

    /// Gives a credential another name, in stored grants too. Where it has a
    /// value, that has to be sealed for the new name. The events are recorded
    /// with it.
    pub fn rename_credential(&self, seen: &CredentialRecord, renaming: Renaming, events: Vec<AuditEvent>) -> Answer<Change> {
        let seen = seen.clone();
        self.write_audited(events, move |connection| rename(connection, &seen, &renaming))
    }

    /// Removes a credential that nobody holds a grant of; by force, with those
    /// grants. The events are recorded with it.
    pub fn remove_credential(&self, seen: &CredentialRecord, force: bool, events: Vec<AuditEvent>) -> Answer<Removal> {
        const REMOVE: &str = "
            DELETE FROM credentials WHERE id = ?";
        let seen = seen.clone();
        self.write_audited(events, move |connection| {
            match standing(connection, &seen, Holds::Name)? {
                Change::Done => {}
                Change::Missing => return Ok(Removal::Missing),
                Change::Changed | Change::NameTaken => return Ok(Removal::Changed),
            }
            let grants = granted(connection, &seen.name)?;
            if !force && !grants.is_empty() {
                return Ok(Removal::InUse(users(grants)));
            }
            revoke(connection, &grants)?;
            connection.prepare_cached(REMOVE)?.execute([seen.id.to_string()])?;
            Ok(Removal::Removed { grants: grants.len() })
        })
    }

    /// Notes that a run used these credentials. The events are recorded with it.
    pub fn touch_credentials(&self, names: Vec<CredentialName>, now: Timestamp, events: Vec<AuditEvent>) -> Answer<()> {
        // Runs end in any order; the last use stays the last.
        const TOUCH: &str = "
            UPDATE credentials SET last_used_ms = ?1 WHERE name = ?2 AND COALESCE(last_used_ms, ?1) <= ?1";
        self.write_audited(events, move |connection| {
            let mut statement = connection.prepare_cached(TOUCH)?;
            names.iter().try_for_each(|name| statement.execute(params![now.ms(), name.as_str()]).map(drop))?;
            Ok(())
        })
    }
}

/// A new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// The name from now on.
    pub name: CredentialName,
    /// The value, sealed for it: wherever there is a value, and nowhere else.
    pub resealed: Option<Sealing>,
    /// When.
    pub at: Timestamp,
}

fn insert(connection: &Connection, new: &NewCredential, hosts: &str) -> Result<Change, DbError> {
    const INSERT: &str = "
        INSERT INTO credentials (id, name, kind, created_ms, updated_ms, value_at_ms, hosts, note, sealed)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8)";
    if let Some(value) = &new.value
        && !vault::is_current(connection, &value.vault)?
    {
        return Ok(Change::Changed);
    }
    let value_at = new.value.as_ref().map(|_| new.created_at.ms());
    let sealed = new.value.as_ref().map(|value| value.sealed.bytes());
    let note = new.note.as_ref().map(Note::as_str);
    let inserted = connection.prepare_cached(INSERT)?.execute(params![
        new.id.to_string(),
        new.name.as_str(),
        new.kind.name(),
        new.created_at.ms(),
        value_at,
        hosts,
        note,
        sealed
    ]);
    match inserted {
        Ok(_) => Ok(Change::Done),
        // The other unique key is a fresh id.
        Err(error) if is_unique_violation(&error) => Ok(Change::NameTaken),
        Err(error) => Err(error.into()),
    }
}

/// Whether a credential still is as it was read: [`Change::Done`] where it is.
fn standing(connection: &Connection, seen: &CredentialRecord, holds: Holds) -> Result<Change, DbError> {
    const STANDING: &str = "
        SELECT name, kind, sealed FROM credentials WHERE id = ?";
    let mut statement = connection.prepare_cached(STANDING)?;
    let mut rows = statement.query([seen.id.to_string()])?;
    let Some(row) = rows.next()? else { return Ok(Change::Missing) };
    let is_named = plain::<String>(row, "name")? == seen.name.as_str();
    let sealed: Option<Vec<u8>> = plain(row, "sealed")?;
    let is_same = plain::<String>(row, "kind")? == seen.kind.name() && sealed.as_deref() == seen.sealed.as_ref().map(Sealed::bytes);
    let is_standing = is_named && (is_same || holds == Holds::Name);
    Ok(if is_standing { Change::Done } else { Change::Changed })
}

/// Puts the value in that is sealed for another name or kind. It has to be there
/// exactly where the binding changes and there is a value.
fn rebind(connection: &Connection, seen: &CredentialRecord, is_rebound: bool, resealed: Option<&Sealing>) -> Result<Change, DbError> {
    const REBIND: &str = "
        UPDATE credentials SET sealed = ? WHERE id = ?";
    let standing = standing(connection, seen, Holds::Everything)?;
    if standing != Change::Done || resealed.is_some() != (is_rebound && seen.sealed.is_some()) {
        return Ok(if standing == Change::Done { Change::Changed } else { standing });
    }
    let Some(resealed) = resealed else { return Ok(Change::Done) };
    if !vault::is_current(connection, &resealed.vault)? {
        return Ok(Change::Changed);
    }
    connection.prepare_cached(REBIND)?.execute(params![resealed.sealed.bytes(), seen.id.to_string()])?;
    Ok(Change::Done)
}

fn rename(connection: &Connection, seen: &CredentialRecord, renaming: &Renaming) -> Result<Change, DbError> {
    const TAKEN: &str = "
        SELECT EXISTS (SELECT 1 FROM credentials WHERE name = ? AND id <> ?)";
    const RENAME: &str = "
        UPDATE credentials SET name = ?, updated_ms = ? WHERE id = ?";
    let (name, id) = (renaming.name.as_str(), seen.id.to_string());
    // Asked first, so that nothing is written where it is.
    if connection.prepare_cached(TAKEN)?.query_row(params![name, id], |row| row.get(0))? {
        return Ok(Change::NameTaken);
    }
    match rebind(connection, seen, renaming.name != seen.name, renaming.resealed.as_ref())? {
        Change::Done => {}
        refused => return Ok(refused),
    }
    connection.prepare_cached(RENAME)?.execute(params![name, renaming.at.ms(), id])?;
    rename_in_grants(connection, &granted(connection, &seen.name)?, name)?;
    Ok(Change::Done)
}

/// The key of a grant of a credential, and the text after the name.
struct Granted {
    subject: String,
    digest: String,
    scope: String,
    terms: String,
}

/// All grants of a credential. What reads as no scope grants nothing, and is
/// left as it is.
fn granted(connection: &Connection, name: &CredentialName) -> Result<Vec<Granted>, DbError> {
    const GRANTED: &str = "
        SELECT subject, digest, scope FROM grants WHERE capability = ? ORDER BY subject, digest, scope";
    let mut statement = connection.prepare_cached(GRANTED)?;
    let mut rows = statement.query([Capability::Credentials.name()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let scope: String = plain(row, "scope")?;
        let is_of_it = scope.parse::<CredentialScope>().is_ok_and(|scope| scope.name == *name);
        if let (true, Some(terms)) = (is_of_it, scope.strip_prefix(name.as_str())) {
            let terms = terms.to_owned();
            found.push(Granted { subject: plain(row, "subject")?, digest: plain(row, "digest")?, scope, terms });
        }
    }
    Ok(found)
}

fn users(grants: Vec<Granted>) -> Vec<String> {
    let mut subjects: Vec<String> = grants.into_iter().map(|grant| grant.subject).collect();
    subjects.dedup();
    subjects
}

fn rename_in_grants(connection: &Connection, grants: &[Granted], name: &str) -> Result<(), DbError> {
    // Where the same was granted for the new name already, one of the two goes.
    const RENAME: &str = "
        UPDATE OR REPLACE grants SET scope = ?
        WHERE subject = ? AND digest = ? AND capability = ? AND scope = ?";
    let mut statement = connection.prepare_cached(RENAME)?;
    for Granted { subject, digest, scope, terms } in grants {
        statement.execute(params![format!("{name}{terms}"), subject, digest, Capability::Credentials.name(), scope])?;
    }
    Ok(())
}

fn revoke(connection: &Connection, grants: &[Granted]) -> Result<(), DbError> {
    const REVOKE: &str = "
        DELETE FROM grants WHERE subject = ? AND digest = ? AND capability = ? AND scope = ?";
    let mut statement = connection.prepare_cached(REVOKE)?;
    for Granted { subject, digest, scope, .. } in grants {
        statement.execute(params![subject, digest, Capability::Credentials.name(), scope])?;
    }
    Ok(())
}

/// Reads a row; one that is damaged says which it is.
fn record(row: &Row<'_>) -> Result<CredentialRecord, DbError> {
    columns(row).map_err(|error| match error {
        DbError::Damaged { column } => {
            let id = plain::<String>(row, "id").unwrap_or_default();
            DbError::DamagedRow { table: "credentials", row: id, column }
        }
        error => error,
    })
}

fn columns(row: &Row<'_>) -> Result<CredentialRecord, DbError> {
    let (note, sealed): (Option<String>, Option<Vec<u8>>) = (plain(row, "note")?, plain(row, "sealed")?);
    Ok(CredentialRecord {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        kind: parsed(row, "kind")?,
        hosts: from_json(row, "hosts")?,
        note: note.map(|_| parsed(row, "note")).transpose()?,
        sealed: sealed.map(Sealed::new),
        value_at: optional_time(row, "value_at_ms")?,
        created_at: time(row, "created_ms")?,
        updated_at: time(row, "updated_ms")?,
        last_used_at: optional_time(row, "last_used_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wardroom_core::id::Digest;

    use super::*;
    use crate::testing::{Home, event};
    use crate::{NewGrant, NewVault, VaultCreation};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn name(text: &str) -> CredentialName {
        text.parse().unwrap()
    }

    fn value(byte: u8) -> Sealing {
        Sealing { sealed: Sealed::new(vec![byte; 40]), vault: "v1".to_owned() }
    }

    fn stale(byte: u8) -> Sealing {
        Sealing { vault: "v0".to_owned(), ..value(byte) }
    }

    fn new(name: &str, value: Option<Sealing>) -> NewCredential {
        NewCredential {
            id: CredentialId::fresh(),
            name: self::name(name),
            kind: CredentialKind::ApiKey,
            hosts: vec!["h.example".parse().unwrap(), "*.i.example:8443".parse().unwrap()],
            note: "for the report".parse().ok(),
            value,
            created_at: at(1),
        }
    }

    /// A vault, a begun audit log and one credential with a value.
    async fn one(home: &Home) -> (Database, CredentialRecord) {
        let database = home.open();
        database.begin_audit().unwrap();
        let vault = NewVault { record: "v1".to_owned(), audit_root: None, created_at: at(0) };
        assert_eq!(database.create_vault(vault, Vec::new()).await.unwrap(), VaultCreation::Created);
        assert_eq!(database.add_credential(new("A_KEY", Some(value(1))), Vec::new()).await.unwrap(), Change::Done);
        let seen = read(&database, "A_KEY");
        (database, seen)
    }

    fn read(database: &Database, name: &str) -> CredentialRecord {
        database.credential(&self::name(name)).unwrap().unwrap()
    }

    fn events(database: &Database) -> u64 {
        database.audit_head().unwrap().map_or(0, |head| head.count)
    }

    #[tokio::test]
    async fn a_credential_is_read_back_and_its_value_never_written_out() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        for kind in CredentialKind::ALL {
            let new = NewCredential { kind, hosts: Vec::new(), note: None, ..new(&format!("B_{}", kind.name().to_uppercase()), None) };
            assert_eq!(database.add_credential(new.clone(), Vec::new()).await.unwrap(), Change::Done);
            let kept = read(&database, new.name.as_str());
            assert_eq!((kept.id, kept.kind, kept.hosts, kept.note), (new.id, kind, Vec::new(), None));
            assert_eq!((kept.sealed, kept.value_at, kept.last_used_at), (None, None, None));
        }
        let names: Vec<_> = database.credentials().unwrap().into_iter().map(|record| record.name).collect();
        assert!(names.is_sorted() && names.len() == 7);
        assert_eq!(database.credential(&name("C")).unwrap(), None);
        let shown = json!({
            "id": seen.id,
            "name": "A_KEY",
            "kind": "api_key",
            "hosts": ["h.example", "*.i.example:8443"],
            "note": "for the report",
            "value_at": at(1),
            "created_at": at(1),
            "updated_at": at(1),
            "last_used_at": null,
        });
        assert_eq!(serde_json::to_value(&seen).unwrap(), shown);
        assert!(format!("{seen:?}").contains("Sealed(40 bytes)"));
        assert_eq!(seen.id.to_string().parse(), Ok(seen.id));
    }

    #[tokio::test]
    async fn of_two_with_one_name_the_first_stays_and_nothing_is_recorded() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        let again = database.add_credential(new("A_KEY", None), vec![event("A_KEY")]).await.unwrap();
        assert_eq!((again, events(&database)), (Change::NameTaken, 0));
        assert_eq!(read(&database, "A_KEY"), seen);
        assert_eq!(database.add_credential(new("B_KEY", None), vec![event("B_KEY")]).await.unwrap(), Change::Done);
        let renaming = Renaming { name: name("B_KEY"), resealed: Some(value(2)), at: at(2) };
        assert_eq!(database.rename_credential(&seen, renaming, vec![event("A_KEY")]).await.unwrap(), Change::NameTaken);
        assert_eq!((read(&database, "A_KEY"), events(&database)), (seen, 1));
    }

    #[tokio::test]
    async fn a_value_sealed_under_another_vault_is_never_written() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        let recorded = || vec![event("A_KEY")];
        let added = database.add_credential(new("B_KEY", Some(stale(2))), recorded()).await.unwrap();
        let set = database.set_sealed(&seen, stale(2), at(2), recorded()).await.unwrap();
        let renaming = Renaming { name: name("C_KEY"), resealed: Some(stale(2)), at: at(2) };
        let renamed = database.rename_credential(&seen, renaming, recorded()).await.unwrap();
        let terms = CredentialTerms { kind: CredentialKind::Secret, hosts: Vec::new(), note: None, resealed: Some(stale(2)) };
        let changed = database.change_credential(&seen, terms, at(2), recorded()).await.unwrap();
        assert_eq!([added, set, renamed, changed], [Change::Changed; 4]);
        assert_eq!((database.credentials().unwrap(), events(&database)), (vec![seen], 0));
    }

    #[tokio::test]
    async fn what_was_sealed_and_replaced_lies_in_no_file_any_more() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        let long = |byte: u8| Sealing { sealed: Sealed::new(vec![byte; 3000]), vault: "v1".to_owned() };
        let first = database.set_sealed(&seen, long(0xA7), at(2), vec![event("A_KEY")]).await.unwrap();
        let second = database.set_sealed(&read(&database, "A_KEY"), long(0xB9), at(3), vec![event("A_KEY")]).await.unwrap();
        assert_eq!((first, second), (Change::Done, Change::Done));
        drop(database);
        let holds = |byte: u8| {
            let files = std::fs::read_dir(home.0.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
            files.filter(|bytes| bytes.windows(200).any(|window| window.iter().all(|found| *found == byte))).count()
        };
        assert_eq!((holds(0xA7), holds(0xB9)), (0, 1));
    }

    #[tokio::test]
    async fn a_value_is_set_over_the_one_that_was_read_and_cleared() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        assert_eq!(database.set_sealed(&seen, value(2), at(2), vec![event("A_KEY")]).await.unwrap(), Change::Done);
        let second = read(&database, "A_KEY");
        assert_eq!((second.sealed.clone(), second.value_at, second.updated_at), (Some(value(2).sealed), Some(at(2)), at(2)));
        assert_eq!(database.set_sealed(&seen, value(3), at(3), Vec::new()).await.unwrap(), Change::Changed);
        // Clearing is meant for whatever value there is.
        assert_eq!(database.clear_credential(&seen, at(4), vec![event("A_KEY")]).await.unwrap(), Change::Done);
        let cleared = read(&database, "A_KEY");
        assert_eq!((cleared.sealed.clone(), cleared.value_at, cleared.updated_at), (None, None, at(4)));
        assert_eq!(database.set_sealed(&cleared, value(5), at(5), Vec::new()).await.unwrap(), Change::Done);
        assert_eq!(events(&database), 2);
    }

    #[tokio::test]
    async fn the_kind_changes_only_with_the_value_that_is_bound_to_it() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        let terms = |kind, resealed| CredentialTerms { kind, hosts: vec!["j.example".parse().unwrap()], note: None, resealed };
        let change =
            async |seen: &CredentialRecord, terms| database.change_credential(seen, terms, at(2), vec![event("A_KEY")]).await.unwrap();
        assert_eq!(change(&seen, terms(CredentialKind::Secret, None)).await, Change::Changed);
        assert_eq!(change(&seen, terms(CredentialKind::ApiKey, Some(value(2)))).await, Change::Changed);
        assert_eq!((read(&database, "A_KEY"), events(&database)), (seen.clone(), 0));
        assert_eq!(change(&seen, terms(CredentialKind::ApiKey, None)).await, Change::Done);
        let seen = read(&database, "A_KEY");
        assert_eq!((seen.hosts[0].to_string(), &seen.note, seen.value_at), ("j.example".to_owned(), &None, Some(at(1))));
        assert_eq!(change(&seen, terms(CredentialKind::Secret, Some(value(2)))).await, Change::Done);
        let changed = read(&database, "A_KEY");
        assert_eq!((changed.kind, changed.sealed, changed.value_at), (CredentialKind::Secret, Some(value(2).sealed), Some(at(1))));
        assert_eq!(change(&seen, terms(CredentialKind::Url, Some(value(3)))).await, Change::Changed);
        assert_eq!(events(&database), 2);
    }

    async fn grant(database: &Database, subject: &str, scopes: &[&str]) {
        let new = |scope: &&str| NewGrant { capability: Capability::Credentials, scope: (*scope).to_owned(), callee: None };
        let mut grants: Vec<_> = scopes.iter().map(new).collect();
        grants.push(NewGrant { capability: Capability::Env, scope: "A_KEY".to_owned(), callee: None });
        database.add_grants(subject, Digest::from_bytes([1; 32]), grants, at(1)).await.unwrap();
    }

    fn granted_to(database: &Database, subject: &str) -> Vec<(Capability, String)> {
        let mut grants: Vec<_> = database.grants(subject, None).unwrap().into_iter().map(|grant| (grant.capability, grant.scope)).collect();
        grants.sort_by(|a, b| (a.0.name(), &a.1).cmp(&(b.0.name(), &b.1)));
        grants
    }

    fn scopes(database: &Database, subject: &str) -> Vec<String> {
        let kinds = granted_to(database, subject).into_iter();
        kinds.filter(|(kind, _)| *kind == Capability::Credentials).map(|(_, scope)| scope).collect()
    }

    #[tokio::test]
    async fn a_new_name_stands_in_every_grant_of_the_old_one_and_in_no_other() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        grant(&database, "s", &["A_KEY", "A_KEY@h.example:8443:query", "A_KEY_2:sign", "B:reveal", "B"]).await;
        grant(&database, "t", &["A_KEY:reveal"]).await;
        grant(&database, "u", &["A_KEY_2", "A_KEY,B", "A_KEY@", "C:nonsense"]).await;
        assert_eq!(database.credential_users(&name("A_KEY")).unwrap(), ["s", "t"]);
        let renaming = |resealed| Renaming { name: name("B"), resealed, at: at(2) };
        assert_eq!(database.rename_credential(&seen, renaming(None), Vec::new()).await.unwrap(), Change::Changed);
        assert_eq!(database.rename_credential(&seen, renaming(Some(value(2))), vec![event("A_KEY")]).await.unwrap(), Change::Done);
        assert_eq!(scopes(&database, "s"), ["A_KEY_2:sign", "B", "B:reveal", "B@h.example:8443:query"]);
        assert_eq!(scopes(&database, "t"), ["B:reveal"]);
        assert_eq!(scopes(&database, "u"), ["A_KEY,B", "A_KEY@", "A_KEY_2", "C:nonsense"]);
        assert!(granted_to(&database, "t").contains(&(Capability::Env, "A_KEY".to_owned())));
        let renamed = read(&database, "B");
        assert_eq!(
            (renamed.id, renamed.sealed, renamed.value_at, renamed.updated_at),
            (seen.id, Some(value(2).sealed), Some(at(1)), at(2))
        );
        assert_eq!((database.credential(&seen.name).unwrap(), events(&database)), (None, 1));
        let late = database.remove_credential(&seen, true, Vec::new()).await.unwrap();
        assert_eq!(late, Removal::Changed);
    }

    #[tokio::test]
    async fn what_is_granted_is_removed_only_by_force_and_with_its_grants() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        grant(&database, "t", &["A_KEY:reveal", "A_KEY"]).await;
        grant(&database, "s", &["A_KEY", "B"]).await;
        let removed = database.remove_credential(&seen, false, vec![event("A_KEY")]).await.unwrap();
        assert_eq!((removed, events(&database)), (Removal::InUse(vec!["s".to_owned(), "t".to_owned()]), 0));
        let removed = database.remove_credential(&seen, true, vec![event("A_KEY")]).await.unwrap();
        assert_eq!((removed, events(&database)), (Removal::Removed { grants: 3 }, 1));
        assert_eq!((scopes(&database, "s"), scopes(&database, "t")), (vec!["B".to_owned()], Vec::new()));
        let gone = [
            database.set_sealed(&seen, value(2), at(2), vec![event("A_KEY")]).await.unwrap(),
            database.clear_credential(&seen, at(2), vec![event("A_KEY")]).await.unwrap(),
        ];
        assert_eq!(gone, [Change::Missing; 2]);
        assert_eq!(database.remove_credential(&seen, true, vec![event("A_KEY")]).await.unwrap(), Removal::Missing);
        assert_eq!(events(&database), 1);
    }

    #[tokio::test]
    async fn the_last_use_is_the_last_in_time_not_in_order() {
        let home = Home::new();
        let (database, seen) = one(&home).await;
        for (ms, expected) in [(7, 7), (5, 7), (9, 9)] {
            database.touch_credentials(vec![name("A_KEY"), name("NONE")], at(ms), Vec::new()).await.unwrap();
            assert_eq!(read(&database, "A_KEY").last_used_at, Some(at(expected)));
        }
        assert_eq!(read(&database, "A_KEY").updated_at, seen.updated_at);
    }

    #[tokio::test]
    async fn a_damaged_row_says_which_it_is_and_opens_nothing() {
        let damage = [("hosts", "'[\"https://h.example\"]'"), ("hosts", "'h.example'"), ("hosts", "'[\"*\"]'"), ("name", "'lower'")];
        for (column, sql) in damage {
            let home = Home::new();
            let (database, seen) = one(&home).await;
            home.tamper(&format!("UPDATE credentials SET {column} = {sql}"));
            let error = database.credentials().unwrap_err();
            let is_named = matches!(&error, DbError::DamagedRow { table: "credentials", row, column: found } if *row == seen.id.to_string() && *found == column);
            assert!(is_named, "{error:?}");
        }
    }

    #[test]
    fn a_note_has_its_bounds() {
        assert_eq!("".parse::<Note>(), Err(NoNote(0)));
        assert_eq!("é".repeat(512).parse::<Note>().unwrap().as_str().len(), MAX_NOTE);
        assert_eq!("x".repeat(1025).parse::<Note>(), Err(NoNote(1025)));
    }
}
