//! Grants as texts: what a person writes after a flag or in a task's file, and
//! the scopes that they mean.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wardroom_core::capability::credentials::{CredentialScope, CredentialScopeError};
use wardroom_core::capability::env::EnvNameError;
use wardroom_core::capability::net::ScopeError;
use wardroom_core::capability::sqlite::SqliteText;
use wardroom_core::capability::{Capability, Scope};
use wardroom_core::limit::{LimitError, MAX_STATE_BYTES, SizeText};
use wardroom_db::{GrantRecord, NewGrant};

use super::child::CalleeError;
use super::databases::DatabaseUseError;
use super::resolve::{FolderUseError, stored_text};
use crate::wardroom::Wardroom;

/// Grants, a text each, as after `=` of their flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrantTexts {
    /// `--allow-net`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<String>,
    /// `--allow-read`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// `--allow-write`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// `--allow-sqlite`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sqlite: Vec<String>,
    /// `--allow-env`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `--state`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<SizeText>,
    /// `--credential`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// `--allow-call`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub call: Vec<String>,
}

/// A text that grants nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// No address.
    #[error(transparent)]
    Net(#[from] ScopeError),
    /// No folder that can be granted.
    #[error(transparent)]
    Folder(#[from] FolderUseError),
    /// No database that can be granted.
    #[error(transparent)]
    Database(#[from] DatabaseUseError),
    /// No variable.
    #[error(transparent)]
    Env(#[from] EnvNameError),
    /// No credential.
    #[error(transparent)]
    Credential(#[from] CredentialScopeError),
    /// More state than anybody may grant.
    #[error("a state of {0} is out of range: expected at most {max}", max = SizeText(MAX_STATE_BYTES))]
    State(SizeText),
    /// No size.
    #[error(transparent)]
    Size(#[from] LimitError),
    /// Nothing that can be called.
    #[error(transparent)]
    Callee(#[from] CalleeError),
}

impl GrantTexts {
    /// Nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of the others are among these.
    #[must_use]
    pub fn holds(&self, others: &Self) -> bool {
        let all = |own: &[String], other: &[String]| other.iter().all(|text| own.contains(text));
        all(&self.net, &others.net)
            && all(&self.read, &others.read)
            && all(&self.write, &others.write)
            && all(&self.sqlite, &others.sqlite)
            && all(&self.env, &others.env)
            && all(&self.credentials, &others.credentials)
            && all(&self.call, &others.call)
            && others.state.is_none_or(|size| self.state == Some(size))
    }

    /// The texts of what is granted now.
    #[must_use]
    pub fn of(grants: &[GrantRecord]) -> Self {
        let mut texts = Self::default();
        for grant in grants {
            texts.push(grant.capability, grant.scope.clone());
        }
        texts
    }

    /// The texts of scopes, folders by their real place.
    #[must_use]
    pub fn from_scopes(scopes: &[Scope]) -> Self {
        let mut texts = Self::default();
        for scope in scopes {
            texts.push(scope.capability(), stored_text(scope));
        }
        texts
    }

    /// These, but none of those texts.
    #[must_use]
    pub fn without(mut self, revoked: &[String]) -> Self {
        for list in [&mut self.net, &mut self.read, &mut self.write, &mut self.sqlite, &mut self.env, &mut self.credentials, &mut self.call]
        {
            list.retain(|text| !revoked.contains(text));
        }
        self.state = self.state.filter(|size| !revoked.contains(&size.to_string()));
        self
    }

    fn push(&mut self, capability: Capability, text: String) {
        match capability {
            Capability::Net => self.net.push(text),
            Capability::Read => self.read.push(text),
            Capability::Write => self.write.push(text),
            Capability::Sqlite => self.sqlite.push(text),
            Capability::Env => self.env.push(text),
            Capability::State => self.state = text.parse().ok(),
            Capability::Credentials => self.credentials.push(text),
            Capability::Call => self.call.push(text),
            _ => {}
        }
    }

    /// These, and others beside them. Of two credentials of one name the other
    /// holds, and so does the other state.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        let name = |text: &String| text.split(['@', ':']).next().unwrap_or_default().to_owned();
        self.credentials.retain(|own| other.credentials.iter().all(|text| name(text) != name(own)));
        for (own, more) in [
            (&mut self.net, other.net),
            (&mut self.read, other.read),
            (&mut self.write, other.write),
            (&mut self.sqlite, other.sqlite),
            (&mut self.env, other.env),
            (&mut self.credentials, other.credentials),
            (&mut self.call, other.call),
        ] {
            for text in more {
                if !own.contains(&text) {
                    own.push(text);
                }
            }
        }
        self.state = other.state.or(self.state);
        self
    }
}

impl Wardroom {
    /// What grants mean; relative folders are relative to `base`.
    ///
    /// # Errors
    ///
    /// [`GrantError`] names the text and what was expected.
    pub fn scopes(&self, base: &Path, texts: &GrantTexts) -> Result<Vec<Scope>, GrantError> {
        let mut scopes = Vec::new();
        for text in &texts.net {
            scopes.push(Scope::Net(text.parse()?));
        }
        for text in &texts.read {
            scopes.push(Scope::Read(self.home.folder_scope(base, text)?));
        }
        for text in &texts.write {
            scopes.push(Scope::Write(self.home.folder_scope(base, text)?));
        }
        for text in &texts.sqlite {
            // No text is unreadable as one.
            let Ok(SqliteText { file, write }) = text.parse();
            scopes.push(Scope::Sqlite(self.home.database_scope(base, &file, write)?));
        }
        for text in &texts.env {
            scopes.push(Scope::Env(text.parse()?));
        }
        if let Some(size) = texts.state {
            if size.0 > MAX_STATE_BYTES {
                return Err(GrantError::State(size));
            }
            scopes.push(Scope::State(size.0));
        }
        for text in &texts.credentials {
            scopes.push(Scope::Credential(text.parse::<CredentialScope>()?));
        }
        for text in &texts.call {
            scopes.push(Scope::Call(self.call_scope(text)?));
        }
        Ok(scopes)
    }
}

/// Scopes as they are stored.
pub(crate) fn stored(scopes: &[Scope]) -> Vec<NewGrant> {
    let callee = |scope: &Scope| match scope {
        Scope::Call(scope) => scope.subject().map(str::to_owned),
        _ => None,
    };
    scopes.iter().map(|scope| NewGrant { capability: scope.capability(), scope: stored_text(scope), callee: callee(scope) }).collect()
}
