//! The vault's record, and the changes that touch every sealed value at once.
//!
//! The record is opaque here: what it says is the vault's. It serves as the
//! version of everything sealed: whoever writes a sealed value names the record
//! it was sealed under, and a rotation swaps the record and every sealed value
//! in one transaction.

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::{Connection, Row, params};
use wardroom_core::clock::Timestamp;

use crate::audit::AuditEvent;
use crate::column::{parsed, plain, time};
use crate::credentials::CredentialId;
use crate::executions::is_unique_violation;
use crate::writer::{Answer, Effect};
use crate::{Database, DbError};

/// Sealed bytes. What they are is nobody's to see, so they are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes over what was sealed; never empty.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be opened.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Something freshly sealed, and the record of the vault it was sealed under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// What was sealed.
    pub sealed: Sealed,
    /// The text of [`VaultRecord::record`] as it then was.
    pub vault: String,
}

/// Something sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// As it was read.
    pub old: Sealed,
    /// As it is to be.
    pub new: Sealed,
}

/// The vault's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRecord {
    /// The vault's own text.
    pub record: String,
    /// The first key of the audit log, sealed.
    pub audit_root: Option<Sealed>,
    /// Since when it stands like that.
    pub updated_at: Timestamp,
}

/// A vault to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVault {
    /// The vault's own text.
    pub record: String,
    /// The first key of the audit log, sealed.
    pub audit_root: Option<Sealed>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A rotation: everything sealed, sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSwap {
    /// The record that the old values were read under.
    pub expected: String,
    /// The record from now on.
    pub record: String,
    /// Every value there is.
    pub values: Vec<(CredentialId, Resealed)>,
    /// The first key of the audit log, where there is one.
    pub audit_root: Option<Resealed>,
    /// When.
    pub at: Timestamp,
}

/// How keeping a new vault ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum VaultCreation {
    /// It is kept.
    Created,
    /// There is one already, which stays.
    Exists,
}

/// How a rotation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum VaultChange {
    /// All is swapped.
    Swapped,
    /// Nothing is: the record or something sealed is not as it was read, or
    /// came or went meanwhile. Read everything again.
    Changed,
}

impl Effect for VaultCreation {
    fn is_change(&self) -> bool {
        *self == Self::Created
    }
}

impl Effect for VaultChange {
    fn is_change(&self) -> bool {
        *self == Self::Swapped
    }
}

impl Database {
    /// The vault, where there is one.
    ///
    /// # Errors
    ///
    /// Those of reading: [`DbError::Damaged`], [`DbError::Corrupt`],
    /// [`DbError::Disk`], [`DbError::Busy`].
    pub fn vault_record(&self) -> Result<Option<VaultRecord>, DbError> {
        self.read(stored)
    }

    /// Keeps a vault where there is none. The events are recorded with it.
    pub fn create_vault(&self, vault: NewVault, events: Vec<AuditEvent>) -> Answer<VaultCreation> {
        const CREATE: &str = "
            INSERT INTO vault (id, updated_ms, record, audit_root)
            VALUES (1, ?, ?, ?)";
        self.write_audited(events, move |connection| {
            let root = vault.audit_root.as_ref().map(Sealed::bytes);
            match connection.prepare_cached(CREATE)?.execute(params![vault.created_at.ms(), vault.record, root]) {
                Ok(_) => Ok(VaultCreation::Created),
                Err(error) if is_unique_violation(&error) => Ok(VaultCreation::Exists),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Swaps the vault's record and everything sealed, all or nothing, and only
    /// where all of it still is as it was read. The events are recorded with it.
    pub fn swap_vault(&self, swap: VaultSwap, events: Vec<AuditEvent>) -> Answer<VaultChange> {
        const SWAP: &str = "
            UPDATE vault SET updated_ms = ?, record = ?, audit_root = ? WHERE id = 1";
        self.write_audited(events, move |connection| {
            let is_as_read = stored(connection)?.is_some_and(|vault| {
                vault.record == swap.expected && vault.audit_root.as_ref() == swap.audit_root.as_ref().map(|root| &root.old)
            });
            if !is_as_read || !covers(connection, &swap.values)? {
                return Ok(VaultChange::Changed);
            }
            let root = swap.audit_root.as_ref().map(|root| root.new.bytes());
            connection.prepare_cached(SWAP)?.execute(params![swap.at.ms(), swap.record, root])?;
            reseal(connection, &swap.values)?;
            Ok(VaultChange::Swapped)
        })
    }

    /// Swaps the vault's record alone, where it still is as it was read: it says
    /// how far a rotation has come, and everything stays sealed as it was.
    pub fn swap_vault_record(&self, expected: String, record: String, now: Timestamp) -> Answer<VaultChange> {
        const SWAP: &str = "
            UPDATE vault SET updated_ms = ?, record = ? WHERE id = 1 AND record = ?";
        self.write(move |connection| {
            let changed = connection.prepare_cached(SWAP)?.execute(params![now.ms(), record, expected])?;
            Ok(if changed == 1 { VaultChange::Swapped } else { VaultChange::Changed })
        })
    }
}

/// Whether these are all values that there are, and all unchanged.
fn covers(connection: &Connection, values: &[(CredentialId, Resealed)]) -> Result<bool, DbError> {
    const SEALED: &str = "
        SELECT id, sealed FROM credentials WHERE sealed IS NOT NULL";
    let mut expected: BTreeMap<CredentialId, &Sealed> = values.iter().map(|(id, value)| (*id, &value.old)).collect();
    let is_each_once = expected.len() == values.len();
    let mut statement = connection.prepare_cached(SEALED)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if expected.remove(&parsed(row, "id")?).map(Sealed::bytes) != Some(&*plain::<Vec<u8>>(row, "sealed")?) {
            return Ok(false);
        }
    }
    Ok(is_each_once && expected.is_empty())
}

/// When a value was given, and when the credential was changed, stay as they
/// are: neither did.
fn reseal(connection: &Connection, values: &[(CredentialId, Resealed)]) -> Result<(), DbError> {
    const RESEAL: &str = "
        UPDATE credentials SET sealed = ? WHERE id = ?";
    let mut statement = connection.prepare_cached(RESEAL)?;
    for (id, value) in values {
        statement.execute(params![value.new.bytes(), id.to_string()])?;
    }
    Ok(())
}

/// Whether this is the record of the vault now.
pub(crate) fn is_current(connection: &Connection, record: &str) -> Result<bool, DbError> {
    Ok(stored(connection)?.is_some_and(|vault| vault.record == record))
}

/// Whether the first key of the audit log is kept.
pub(crate) fn has_audit_root(connection: &Connection) -> Result<bool, DbError> {
    Ok(stored(connection)?.is_some_and(|vault| vault.audit_root.is_some()))
}

/// Keeps the root of a new chain; `false` where it was sealed under another
/// record. Without one, what is kept stays.
pub(crate) fn put_audit_root(connection: &Connection, root: Option<&Sealing>, now: Timestamp) -> Result<bool, DbError> {
    const PUT: &str = "
        UPDATE vault SET audit_root = ?, updated_ms = ? WHERE id = 1 AND record = ?";
    let Some(root) = root else { return Ok(true) };
    let put = connection.prepare_cached(PUT)?.execute(params![root.sealed.bytes(), now.ms(), root.vault])?;
    Ok(put == 1)
}

fn stored(connection: &Connection) -> Result<Option<VaultRecord>, DbError> {
    const VAULT: &str = "
        SELECT * FROM vault";
    connection.prepare_cached(VAULT)?.query_and_then([], record)?.next().transpose()
}

fn record(row: &Row<'_>) -> Result<VaultRecord, DbError> {
    let root: Option<Vec<u8>> = plain(row, "audit_root")?;
    Ok(VaultRecord { record: plain(row, "record")?, audit_root: root.map(Sealed), updated_at: time(row, "updated_ms")? })
}

#[cfg(test)]
mod tests {
    use wardroom_core::credential::CredentialKind;

    use super::*;
    use crate::testing::{Home, event};
    use crate::{Change, NewCredential};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn sealed(byte: u8) -> Sealed {
        Sealed::new(vec![byte; 40])
    }

    fn resealed(old: u8, new: u8) -> Resealed {
        Resealed { old: sealed(old), new: sealed(new) }
    }

    fn vault(record: &str) -> NewVault {
        NewVault { record: record.to_owned(), audit_root: Some(sealed(100)), created_at: at(1) }
    }

    async fn add(database: &Database, name: &str, value: Option<u8>) -> CredentialId {
        let new = NewCredential {
            id: CredentialId::fresh(),
            name: name.parse().unwrap(),
            kind: CredentialKind::Secret,
            hosts: Vec::new(),
            note: None,
            value: value.map(|byte| Sealing { sealed: sealed(byte), vault: "v1".to_owned() }),
            created_at: at(1),
        };
        let id = new.id;
        assert_eq!(database.add_credential(new, Vec::new()).await.unwrap(), Change::Done);
        id
    }

    /// A vault with a sealed root, two values and a credential without one.
    async fn two_values(home: &Home) -> (Database, [CredentialId; 3]) {
        let database = home.open();
        database.begin_audit().unwrap();
        assert_eq!(database.create_vault(vault("v1"), vec![event("vault")]).await.unwrap(), VaultCreation::Created);
        let ids = [add(&database, "A", Some(1)).await, add(&database, "B", Some(2)).await, add(&database, "C", None).await];
        (database, ids)
    }

    fn swap(values: Vec<(CredentialId, Resealed)>) -> VaultSwap {
        VaultSwap { expected: "v1".to_owned(), record: "v2".to_owned(), values, audit_root: Some(resealed(100, 101)), at: at(2) }
    }

    fn values(database: &Database) -> Vec<Option<Sealed>> {
        database.credentials().unwrap().into_iter().map(|record| record.sealed).collect()
    }

    #[tokio::test]
    async fn there_is_one_vault_and_the_first_stays() {
        let home = Home::new();
        let database = home.open();
        assert_eq!(database.vault_record().unwrap(), None);
        database.begin_audit().unwrap();
        assert_eq!(database.create_vault(vault("v1"), vec![event("vault")]).await.unwrap(), VaultCreation::Created);
        assert_eq!(database.create_vault(vault("v2"), vec![event("vault")]).await.unwrap(), VaultCreation::Exists);
        let kept = VaultRecord { record: "v1".to_owned(), audit_root: Some(sealed(100)), updated_at: at(1) };
        assert_eq!(database.vault_record().unwrap(), Some(kept));
        assert_eq!(database.audit_head().unwrap().unwrap().count, 1);
        let second = database.write(|connection| Ok(connection.execute("INSERT INTO vault VALUES (2, 0, 'v', NULL)", [])?)).await;
        assert!(matches!(second, Err(DbError::Sqlite(_))));
    }

    #[tokio::test]
    async fn a_rotation_swaps_everything_sealed_at_once() {
        let home = Home::new();
        let (database, [a, b, _]) = two_values(&home).await;
        let seen = database.credential(&"A".parse().unwrap()).unwrap().unwrap();
        let done = database.swap_vault(swap(vec![(b, resealed(2, 12)), (a, resealed(1, 11))]), vec![event("vault")]).await.unwrap();
        assert_eq!(done, VaultChange::Swapped);
        assert_eq!(values(&database), [Some(sealed(11)), Some(sealed(12)), None]);
        let kept = VaultRecord { record: "v2".to_owned(), audit_root: Some(sealed(101)), updated_at: at(2) };
        assert_eq!(database.vault_record().unwrap(), Some(kept));
        assert_eq!(database.audit_head().unwrap().unwrap().count, 2);
        // Sealed before, written after: the old key's value stays out, even
        // where the row was read again.
        let again = database.credential(&"A".parse().unwrap()).unwrap().unwrap();
        for seen in [seen, again] {
            let late = Sealing { sealed: sealed(3), vault: "v1".to_owned() };
            assert_eq!(database.set_sealed(&seen, late, at(3), Vec::new()).await.unwrap(), Change::Changed);
        }
        assert_eq!(values(&database)[0], Some(sealed(11)));
    }

    #[tokio::test]
    async fn how_far_a_rotation_has_come_is_saved_whatever_values_came_meanwhile() {
        let home = Home::new();
        let (database, _) = two_values(&home).await;
        let saved = database.swap_vault_record("v1".to_owned(), "v2".to_owned(), at(2)).await.unwrap();
        assert_eq!(saved, VaultChange::Swapped);
        let kept = VaultRecord { record: "v2".to_owned(), audit_root: Some(sealed(100)), updated_at: at(2) };
        assert_eq!(database.vault_record().unwrap(), Some(kept));
        let late = database.swap_vault_record("v1".to_owned(), "v3".to_owned(), at(3)).await.unwrap();
        assert_eq!(late, VaultChange::Changed);
        assert_eq!(database.vault_record().unwrap().unwrap().record, "v2");
        assert_eq!(values(&database), [Some(sealed(1)), Some(sealed(2)), None]);
    }

    #[tokio::test]
    async fn a_rotation_that_misses_anything_changes_nothing() {
        let home = Home::new();
        let (database, [a, b, c]) = two_values(&home).await;
        let (for_a, for_b) = ((a, resealed(1, 11)), (b, resealed(2, 12)));
        let both = || vec![for_a.clone(), for_b.clone()];
        let with = |further| [both(), vec![further]].concat();
        let wrong = [
            swap(vec![for_a.clone()]),
            swap(vec![for_a.clone(), for_a.clone()]),
            swap(vec![for_a.clone(), (b, resealed(9, 12))]),
            swap(with((c, resealed(3, 13)))),
            swap(with((CredentialId::fresh(), resealed(3, 13)))),
            swap(with(for_b.clone())),
            VaultSwap { expected: "v0".to_owned(), ..swap(both()) },
            VaultSwap { audit_root: None, ..swap(both()) },
            VaultSwap { audit_root: Some(resealed(99, 101)), ..swap(both()) },
        ];
        for swap in wrong {
            assert_eq!(database.swap_vault(swap.clone(), vec![event("vault")]).await.unwrap(), VaultChange::Changed, "{swap:?}");
        }
        assert_eq!(values(&database), [Some(sealed(1)), Some(sealed(2)), None]);
        assert_eq!(database.vault_record().unwrap().unwrap().record, "v1");
        assert_eq!(database.audit_head().unwrap().unwrap().count, 1);
        assert_eq!(database.swap_vault(swap(both()), Vec::new()).await.unwrap(), VaultChange::Swapped);
    }
}
