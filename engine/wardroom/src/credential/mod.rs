//! Credentials: what a person stores, names and hands to programs.
//!
//! Values go in here and never come out: no function of this module answers one.
//! What a run may do with them is in `lent.rs`.

mod lent;
mod value;
mod words;

use serde::Serialize;
use serde_json::json;
use wardroom_core::blame::Blame;
use wardroom_core::capability::credentials::BoundHost;
use wardroom_core::credential::{CredentialKind, CredentialName};
use wardroom_core::text::nearest;
use wardroom_db::{Change, CredentialId, CredentialRecord, CredentialTerms, DbError, NewCredential, Note, Removal, Renaming, Sealing};
use wardroom_vault::{Identity, Secret, VaultError};

use crate::audit::{self, event};
use crate::vault::{TRIES, VaultUseError, kept, parsed};
use crate::wardroom::Wardroom;

pub(crate) use words::credential_words;

pub use value::{ValueError, Warning};

/// Why a credential was not stored, changed or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialUseError {
    /// There is none of this name.
    #[error("there is no credential `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// The name asked for.
        name: CredentialName,
        /// One that is nearly so.
        near: Option<String>,
    },
    /// There is one of this name.
    #[error("there is a credential `{0}` already")]
    Exists(CredentialName),
    /// It is stored without a value.
    #[error("the credential `{0}` has no value yet")]
    NoValue(CredentialName),
    /// Somebody still has it.
    #[error("the credential `{name}` is assigned to {}", users.join(", "))]
    InUse {
        /// Which.
        name: CredentialName,
        /// To whom.
        users: Vec<String>,
    },
    /// Another process was faster, again and again.
    #[error("the credential `{0}` is being changed by another process")]
    Changed(CredentialName),
    /// Another kind needs another value.
    #[error("the value of `{0}` does not fit the kind {1}")]
    Kind(CredentialName, CredentialKind),
    /// The system's random numbers, or two assignments of one name.
    #[error("the run's credentials cannot be prepared: {0}")]
    Prepare(String),
    /// The value cannot be one.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultUseError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl CredentialUseError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Vault(error) => error.blame(),
            Self::Db(error) => error.blame(),
            Self::Prepare(_) => Blame::Host,
            _ => Blame::Operator,
        }
    }
}

/// A credential to be stored.
pub struct Addition {
    /// Its name.
    pub name: CredentialName,
    /// What it is.
    pub kind: CredentialKind,
    /// Where its value may go.
    pub hosts: Vec<BoundHost>,
    /// A note about it.
    pub note: Option<Note>,
    /// Its value, where there is one already.
    pub value: Option<Secret>,
}

/// What is to be different about a credential; what is `None` stays.
#[derive(Debug, Default)]
pub struct Terms {
    /// What it is.
    pub kind: Option<CredentialKind>,
    /// Where its value may go.
    pub hosts: Option<Vec<BoundHost>>,
    /// A note about it; an empty one is taken away.
    pub note: Option<Option<Note>>,
}

/// A credential as anybody may see it.
#[derive(Debug, Clone, Serialize)]
pub struct CredentialView {
    /// All but the value.
    #[serde(flatten)]
    pub record: CredentialRecord,
    /// Whether there is a value.
    pub has_value: bool,
    /// Who may use it.
    pub used_by: Vec<String>,
}

impl Wardroom {
    /// Subjects as people call them: a task by its name.
    fn people_words(&self, subjects: Vec<String>) -> Result<Vec<String>, DbError> {
        subjects.iter().map(|subject| self.subject_words(subject)).collect()
    }

    /// All credentials, in order of names. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Db`].
    pub fn credentials(&self) -> Result<Vec<CredentialView>, CredentialUseError> {
        self.db.credentials()?.into_iter().map(|record| self.view(record)).collect()
    }

    /// One credential. Opens nothing.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Unknown`], [`CredentialUseError::Db`].
    pub fn credential(&self, name: &CredentialName) -> Result<CredentialView, CredentialUseError> {
        self.view(self.known(name)?)
    }

    fn view(&self, record: CredentialRecord) -> Result<CredentialView, CredentialUseError> {
        let used_by = self.people_words(self.db.credential_users(&record.name)?)?;
        Ok(CredentialView { has_value: record.sealed.is_some(), record, used_by })
    }

    fn known(&self, name: &CredentialName) -> Result<CredentialRecord, CredentialUseError> {
        if let Some(record) = self.db.credential(name)? {
            return Ok(record);
        }
        let all = self.db.credentials()?;
        let near = nearest(name.as_str(), all.iter().map(|record| record.name.as_str())).map(str::to_owned);
        Err(CredentialUseError::Unknown { name: name.clone(), near })
    }

    /// Whether a credential of this name could be stored now.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Exists`], [`VaultUseError::None`].
    pub fn can_add(&self, name: &CredentialName) -> Result<(), CredentialUseError> {
        self.vault_status()?.ok_or(VaultUseError::None)?;
        if self.db.credential(name)?.is_some() { Err(CredentialUseError::Exists(name.clone())) } else { Ok(()) }
    }

    /// Stores a credential, and answers what is odd about it.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Exists`], [`CredentialUseError::Value`], or the
    /// vault's.
    pub async fn add_credential(&self, addition: Addition) -> Result<Vec<Warning>, CredentialUseError> {
        self.mirrored.appended();
        let Addition { name, kind, mut hosts, note, value } = addition;
        if self.db.credential(&name)?.is_some() {
            return Err(CredentialUseError::Exists(name));
        }
        let mut warnings = value.as_ref().map(|value| value::check(kind, value)).transpose()?.unwrap_or_default();
        if let (CredentialKind::Url, Some(value), true) = (kind, &value, hosts.is_empty()) {
            hosts.extend(value::own_host(value));
        }
        if hosts.is_empty() {
            warnings.push(Warning::NoHost);
        }
        let id = CredentialId::fresh();
        for _ in 0..TRIES {
            let sealing = match &value {
                Some(value) => Some(self.seal(&id, &name, kind, value).await?),
                // No value yet, but a vault that will take one.
                None => self.vault_status()?.map(|_| None).ok_or(VaultUseError::None)?,
            };
            let now = self.clock.now();
            let detail = json!({ "id": id.to_string(), "kind": kind.name(), "hosts": texts(&hosts), "has_value": value.is_some() });
            let new =
                NewCredential { id, name: name.clone(), kind, hosts: hosts.clone(), note: note.clone(), value: sealing, created_at: now };
            let event = audit::by_asker(now, event::CREDENTIAL_ADDED, name.as_str(), detail);
            match self.db.add_credential(new, vec![event]).await? {
                Change::Done => return Ok(warnings),
                Change::NameTaken => return Err(CredentialUseError::Exists(name)),
                Change::Missing | Change::Changed => {}
            }
        }
        Err(CredentialUseError::Changed(name))
    }

    /// Gives a credential its value, or another one.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Unknown`], [`CredentialUseError::Value`], or the
    /// vault's.
    pub async fn set_credential_value(&self, name: &CredentialName, value: &Secret) -> Result<Vec<Warning>, CredentialUseError> {
        for _ in 0..TRIES {
            let record = self.known(name)?;
            let mut warnings = value::check(record.kind, value)?;
            if record.hosts.is_empty() {
                warnings.push(Warning::NoHost);
            }
            let sealing = self.seal(&record.id, name, record.kind, value).await?;
            let now = self.clock.now();
            let detail = json!({ "id": record.id.to_string(), "replaced": record.sealed.is_some() });
            let event = audit::by_asker(now, event::CREDENTIAL_VALUE_SET, name.as_str(), detail);
            if self.db.set_sealed(&record, sealing, now, vec![event]).await? == Change::Done {
                return Ok(warnings);
            }
        }
        Err(CredentialUseError::Changed(name.clone()))
    }

    /// Changes what a credential is for.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Unknown`]; [`CredentialUseError::Kind`] where the
    /// value would be none of that kind.
    pub async fn change_credential(&self, name: &CredentialName, terms: &Terms) -> Result<(), CredentialUseError> {
        self.mirrored.appended();
        for _ in 0..TRIES {
            let record = self.known(name)?;
            let kind = terms.kind.unwrap_or(record.kind);
            let resealed = if kind == record.kind { None } else { self.reseal(&record, name, kind).await? };
            let hosts = terms.hosts.clone().unwrap_or_else(|| record.hosts.clone());
            let note = terms.note.clone().unwrap_or_else(|| record.note.clone());
            let now = self.clock.now();
            let detail =
                json!({ "id": record.id.to_string(), "kind": kind.name(), "hosts": texts(&hosts), "hosts_before": texts(&record.hosts) });
            let event = audit::by_asker(now, event::CREDENTIAL_CHANGED, name.as_str(), detail);
            let terms = CredentialTerms { kind, hosts, note, resealed };
            if self.db.change_credential(&record, terms, now, vec![event]).await? == Change::Done {
                return Ok(());
            }
        }
        Err(CredentialUseError::Changed(name.clone()))
    }

    /// Takes a credential's value away.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Unknown`], [`CredentialUseError::NoValue`].
    pub async fn clear_credential(&self, name: &CredentialName) -> Result<(), CredentialUseError> {
        self.mirrored.appended();
        for _ in 0..TRIES {
            let record = self.known(name)?;
            if record.sealed.is_none() {
                return Err(CredentialUseError::NoValue(name.clone()));
            }
            let now = self.clock.now();
            let event = audit::by_asker(now, event::CREDENTIAL_CLEARED, name.as_str(), json!({ "id": record.id.to_string() }));
            if self.db.clear_credential(&record, now, vec![event]).await? == Change::Done {
                return Ok(());
            }
        }
        Err(CredentialUseError::Changed(name.clone()))
    }

    /// Gives a credential another name; whoever may use it follows.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::Unknown`], [`CredentialUseError::Exists`], or the
    /// vault's: the name is bound into the sealed value.
    pub async fn rename_credential(&self, name: &CredentialName, new: &CredentialName) -> Result<(), CredentialUseError> {
        self.mirrored.appended();
        for _ in 0..TRIES {
            let record = self.known(name)?;
            let resealed = self.reseal(&record, new, record.kind).await?;
            let at = self.clock.now();
            let detail = json!({ "id": record.id.to_string(), "renamed_from": name.as_str() });
            let event = audit::by_asker(at, event::CREDENTIAL_RENAMED, new.as_str(), detail);
            let renaming = Renaming { name: new.clone(), resealed, at };
            match self.db.rename_credential(&record, renaming, vec![event]).await? {
                Change::Done => return Ok(()),
                Change::NameTaken => return Err(CredentialUseError::Exists(new.clone())),
                Change::Missing | Change::Changed => {}
            }
        }
        Err(CredentialUseError::Changed(name.clone()))
    }

    /// Removes a credential that nobody may use; by force, whoever may.
    ///
    /// # Errors
    ///
    /// [`CredentialUseError::InUse`] with its users.
    pub async fn remove_credential(&self, name: &CredentialName, force: bool) -> Result<(), CredentialUseError> {
        self.mirrored.appended();
        for _ in 0..TRIES {
            let record = self.known(name)?;
            let users = self.db.credential_users(name)?;
            let detail = json!({ "id": record.id.to_string(), "taken_from": users });
            let event = audit::by_asker(self.clock.now(), event::CREDENTIAL_REMOVED, name.as_str(), detail);
            match self.db.remove_credential(&record, force, vec![event]).await? {
                Removal::Removed { .. } => return Ok(()),
                Removal::InUse(users) => return Err(CredentialUseError::InUse { name: name.clone(), users: self.people_words(users)? }),
                Removal::Missing | Removal::Changed => {}
            }
        }
        Err(CredentialUseError::Changed(name.clone()))
    }

    async fn seal(&self, id: &CredentialId, name: &CredentialName, kind: CredentialKind, value: &Secret) -> Result<Sealing, VaultUseError> {
        let (vault, open) = self.open_vault().await?;
        let sealed = open.seal(&Identity { id: &id.to_string(), name, kind }, value)?;
        Ok(Sealing { sealed: kept(sealed), vault })
    }

    /// The value as it is to lie there under another name or kind, where there
    /// is one.
    async fn reseal(
        &self,
        record: &CredentialRecord,
        name: &CredentialName,
        kind: CredentialKind,
    ) -> Result<Option<Sealing>, CredentialUseError> {
        if record.sealed.is_none() {
            return Ok(None);
        }
        let (_, value) = self.open_value(record.clone()).await?;
        value::check(kind, &value).map_err(|_| CredentialUseError::Kind(name.clone(), kind))?;
        Ok(Some(self.seal(&record.id, name, kind, &value).await?))
    }

    /// The value, and the row that it is of: not the one given, where another
    /// process sealed it anew since that was read.
    async fn open_value(&self, mut record: CredentialRecord) -> Result<(CredentialRecord, Secret), CredentialUseError> {
        let mut left = TRIES;
        loop {
            let sealed = record.sealed.as_ref().ok_or_else(|| CredentialUseError::NoValue(record.name.clone()))?;
            let (_, open) = self.open_vault().await?;
            let sealed = parsed(record.name.as_str(), sealed)?;
            let identity = Identity { id: &record.id.to_string(), name: &record.name, kind: record.kind };
            left -= 1;
            match open.open(&identity, &sealed) {
                Ok(value) => return Ok((record, value)),
                Err(VaultError::KeyVersion { .. }) if left > 0 => record = self.known(&record.name)?,
                Err(error) => return Err(VaultUseError::from(error).into()),
            }
        }
    }
}

fn texts(hosts: &[BoundHost]) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use wardroom_host::Silent;
    use wardroom_vault::Source;

    use super::*;

    /// As two processes on one folder.
    #[tokio::test]
    async fn a_value_that_was_sealed_anew_since_its_row_was_read_opens() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let open = || Wardroom::open(&home, PathBuf::from("wardroom"), Arc::new(Silent)).unwrap();
        let (one, other) = (open(), open());
        one.init_vault(Source::KeyFile { path: folder.path().join("vault.key") }).await.unwrap();
        let name: CredentialName = "API_TOKEN".parse().unwrap();
        let value = Some(Secret::new(b"0123456789".to_vec()));
        let addition = Addition { name: name.clone(), kind: CredentialKind::ApiKey, hosts: Vec::new(), note: None, value };
        one.add_credential(addition).await.unwrap();
        let read = one.known(&name).unwrap();
        for _ in 0..2 {
            other.rotate_vault(None).await.unwrap();
            let (row, value) = one.open_value(read.clone()).await.unwrap();
            assert_eq!(value.expose_bytes(), b"0123456789");
            assert_ne!(row.sealed, read.sealed);
        }
        assert_eq!(one.verify_audit().await.unwrap().unproven_because, None);
    }

    /// As two processes on one folder.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_rotation_that_was_done_says_so_whatever_values_others_give_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let open = || Arc::new(Wardroom::open(&home, PathBuf::from("wardroom"), Arc::new(Silent)).unwrap());
        let (one, other) = (open(), open());
        one.init_vault(Source::KeyFile { path: folder.path().join("vault.key") }).await.unwrap();
        let name: CredentialName = "API_TOKEN".parse().unwrap();
        let value = |turn: usize| Secret::new(format!("0123456789-{turn}").into_bytes());
        let (kind, first) = (CredentialKind::ApiKey, Some(value(0)));
        one.add_credential(Addition { name: name.clone(), kind, hosts: Vec::new(), note: None, value: first }).await.unwrap();
        let giving = tokio::spawn({
            let (name, ended) = (name.clone(), one.clone());
            async move {
                let mut turn = 0;
                while ended.vault_status().unwrap().unwrap().key_version < 9 {
                    turn += 1;
                    other.set_credential_value(&name, &value(turn)).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                turn
            }
        });
        for version in 2..=9 {
            assert_eq!(one.rotate_vault(None).await.unwrap().key_version, version);
        }
        let turn = giving.await.unwrap();
        let (_, kept) = one.open_value(one.known(&name).unwrap()).await.unwrap();
        assert_eq!(kept.expose_bytes(), value(turn).expose_bytes());
    }
}
