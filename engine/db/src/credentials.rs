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
