//! Requests, grants, and what remains of both: a run's access.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Capability;
use super::call::CallScope;
use super::credentials::CredentialScope;
use super::env::EnvName;
use super::files::{FolderAccess, FolderScope};
use super::net::{NetAccess, NetScope};
use super::sqlite::SqliteScope;
use crate::limit::SizeText;

/// One thing that a program may ask for and an operator may grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Requests to these addresses.
    Net(NetScope),
    /// Reading this folder.
    Read(FolderScope),
    /// Reading and writing this folder.
    Write(FolderScope),
    /// This SQLite database.
    Sqlite(SqliteScope),
    /// This environment variable.
    Env(EnvName),
    /// So many bytes of state.
    State(u64),
    /// This credential.
    Credential(CredentialScope),
    /// Starting this one.
    Call(CallScope),
}

impl Scope {
    /// The kind of capability.
    #[must_use]
    pub const fn capability(&self) -> Capability {
        match self {
            Self::Net(_) => Capability::Net,
            Self::Read(_) => Capability::Read,
            Self::Write(_) => Capability::Write,
            Self::Sqlite(_) => Capability::Sqlite,
            Self::Env(_) => Capability::Env,
            Self::State(_) => Capability::State,
            Self::Credential(_) => Capability::Credentials,
            Self::Call(_) => Capability::Call,
        }
    }

    /// Whatever the other allows, this one allows too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Net(a), Self::Net(b)) => a.covers(b),
            // Writing a folder includes reading it.
            (Self::Read(a) | Self::Write(a), Self::Read(b)) | (Self::Write(a), Self::Write(b)) => a.covers(b),
            (Self::Sqlite(a), Self::Sqlite(b)) => a.covers(b),
            (Self::Env(a), Self::Env(b)) => a == b,
            (Self::State(a), Self::State(b)) => a >= b,
            (Self::Credential(a), Self::Credential(b)) => a.covers(b),
            (Self::Call(a), Self::Call(b)) => a.covers(b),
            _ => false,
        }
    }

    /// What both allow, where that can be said as one scope; of equals the
    /// request, so that a guest knows a folder by the name it asked for.
    #[must_use]
    pub fn effective(grant: &Self, request: &Self) -> Option<Self> {
        match (grant, request) {
            (Self::Net(grant), Self::Net(request)) => return grant.effective(request).map(Self::Net),
            (Self::Sqlite(grant), Self::Sqlite(request)) => return SqliteScope::effective(grant, request).map(Self::Sqlite),
            (Self::Call(grant), Self::Call(request)) => return CallScope::effective(grant, request).map(Self::Call),
            (Self::Credential(grant), Self::Credential(request)) => {
                return CredentialScope::effective(grant, request).map(Self::Credential);
            }
            _ => {}
        }
        if grant.covers(request) {
            Some(request.clone())
        } else if request.covers(grant) {
            Some(grant.clone())
        } else {
            None
        }
    }

    /// The text after `=` of the flag.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Net(scope) => scope.to_string(),
            Self::Read(folder) | Self::Write(folder) => folder.to_string(),
            Self::Sqlite(database) => database.to_string(),
            Self::Env(name) => name.to_string(),
            Self::State(bytes) => SizeText(*bytes).to_string(),
            Self::Credential(scope) => scope.to_string(),
            Self::Call(scope) => scope.to_string(),
        }
    }

    /// The flag of `wardroom run` that grants it.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("{}={}", self.capability().flag(), self.text())
    }

    /// The line of a header or manifest that requests it.
    #[must_use]
    pub fn manifest_line(&self) -> String {
        match self {
            Self::State(_) => format!("state = {:?}", self.text()),
            _ => format!("{} = [{:?}]", self.capability().name(), self.text()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.capability().name(), self.text())
    }
}

/// What a program asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requests {
    /// It has a header or manifest, and these stand there.
    Declared(Vec<Scope>),
    /// It has none, and so asks for exactly what the operator names.
    Undeclared,
}

/// What the operator allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(pub Vec<Scope>);

/// Requests that no grant covers whole.
pub type Missing = Vec<Scope>;

/// Grants that no request asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the program does not ask for {}", .0.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", "))]
pub struct Surplus(pub Vec<Scope>);

/// What a run holds: the intersection of requests and grants, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Access {
    /// Scopes of the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<NetScope>,
    /// Folders, each once, with what may be done there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderAccess>,
    /// SQLite databases, each once, with what may be done there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sqlite: Vec<SqliteScope>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvName>,
    /// Bytes of state; none: no state at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<u64>,
    /// Credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialScope>,
    /// What it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub call: Vec<CallScope>,
}

impl Access {
    /// Requests ∩ grants, with the requests that stay wholly or partly without
    /// a grant.
    ///
    /// # Errors
    ///
    /// [`Surplus`]: a grant outside of the declared requests would do nothing,
    /// and saying nothing would let the operator believe that it does.
    pub fn intersect(requests: &Requests, grants: &Grants) -> Result<(Self, Missing), Surplus> {
        let mut access = Self::default();
        let Requests::Declared(requests) = requests else {
            grants.0.iter().for_each(|scope| access.add(scope));
            return Ok((access, Vec::new()));
        };
        let unasked = |grant: &&Scope| requests.iter().all(|request| Scope::effective(grant, request).is_none());
        let surplus: Vec<Scope> = grants.0.iter().filter(unasked).cloned().collect();
        if !surplus.is_empty() {
            return Err(Surplus(surplus));
        }
        for request in requests {
            grants.0.iter().filter_map(|grant| Scope::effective(grant, request)).for_each(|scope| access.add(&scope));
        }
        let uncovered = |request: &&Scope| !grants.0.iter().any(|grant| grant.covers(request));
        Ok((access, requests.iter().filter(uncovered).cloned().collect()))
    }

    /// The network part, ready to check requests against.
    #[must_use]
    pub fn network(&self) -> NetAccess {
        NetAccess::new(self.net.clone())
    }

    /// Every scope in it.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        let net = self.net.iter().cloned().map(Scope::Net);
        let folders = self
            .folders
            .iter()
            .map(|entry| if entry.write { Scope::Write(entry.folder.clone()) } else { Scope::Read(entry.folder.clone()) });
        let env = self.env.iter().cloned().map(Scope::Env);
        let credentials = self.credentials.iter().cloned().map(Scope::Credential);
        let sqlite = self.sqlite.iter().cloned().map(Scope::Sqlite);
        let call = self.call.iter().cloned().map(Scope::Call);
        net.chain(folders).chain(sqlite).chain(env).chain(self.state.map(Scope::State)).chain(credentials).chain(call).collect()
    }

    fn add(&mut self, scope: &Scope) {
        match scope {
            Scope::Net(scope) if !self.net.contains(scope) => self.net.push(scope.clone()),
            Scope::Read(folder) => self.add_folder(folder, false),
            Scope::Write(folder) => self.add_folder(folder, true),
            Scope::Sqlite(database) => self.add_database(database),
            Scope::Env(name) if !self.env.contains(name) => self.env.push(name.clone()),
            Scope::State(bytes) => self.state = Some(self.state.unwrap_or(0).max(*bytes)),
            Scope::Credential(scope) if !self.credentials.contains(scope) => self.credentials.push(scope.clone()),
            Scope::Call(scope) if !self.call.contains(scope) => self.call.push(scope.clone()),
            Scope::Net(_) | Scope::Env(_) | Scope::Credential(_) | Scope::Call(_) => {}
        }
    }

    /// One entry a name: writing wins over reading.
    fn add_database(&mut self, database: &SqliteScope) {
        self.sqlite.retain(|held| !(held.text() == database.text() && database.covers(held)));
        if !self.sqlite.iter().any(|held| held.text() == database.text() && held.covers(database)) {
            self.sqlite.push(database.clone());
        }
    }

    /// One entry a name: writing wins over reading.
    fn add_folder(&mut self, folder: &FolderScope, write: bool) {
        match self.folders.iter_mut().find(|entry| entry.folder == *folder) {
            Some(entry) => entry.write |= write,
            None => self.folders.push(FolderAccess { folder: folder.clone(), write }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(absolute: &str) -> Scope {
        Scope::Read(FolderScope::new(absolute, Path::new(absolute)).unwrap())
    }

    fn write(absolute: &str) -> Scope {
        Scope::Write(FolderScope::new(absolute, Path::new(absolute)).unwrap())
    }

    fn env(name: &str) -> Scope {
        Scope::Env(name.parse().unwrap())
    }

    #[test]
    fn a_run_holds_the_narrower_of_request_and_grant() {
        let requests = Requests::Declared(vec![read("/a/b"), write("/w"), env("HOME"), Scope::State(4096)]);
        let grants = Grants(vec![read("/a"), write("/w/inner"), Scope::State(1024)]);
        let (access, missing) = Access::intersect(&requests, &grants).unwrap();
        assert_eq!(access.scopes(), vec![read("/a/b"), write("/w/inner"), Scope::State(1024)]);
        assert_eq!(missing, vec![write("/w"), env("HOME"), Scope::State(4096)]);
    }

    #[test]
    fn a_folder_granted_for_writing_may_be_read_and_no_more_than_that_if_only_that_is_asked() {
        let (access, missing) = Access::intersect(&Requests::Declared(vec![read("/a")]), &Grants(vec![write("/a")])).unwrap();
        assert_eq!((access.scopes(), missing), (vec![read("/a")], Vec::new()));
        let (access, missing) = Access::intersect(&Requests::Declared(vec![write("/a")]), &Grants(vec![read("/a")])).unwrap();
        assert_eq!((access.scopes(), missing), (vec![read("/a")], vec![write("/a")]));
    }

    #[test]
    fn a_database_is_held_once_a_name_with_the_greater_right() {
        let sqlite = |text: &str, write| Scope::Sqlite(SqliteScope::new(text, Path::new("/d/a.db"), write).unwrap());
        let (read, write) = (sqlite("a.db", false), sqlite("a.db", true));
        for grants in [[read.clone(), write.clone()], [write.clone(), read.clone()]] {
            let (access, _) = Access::intersect(&Requests::Undeclared, &Grants(grants.to_vec())).unwrap();
            assert_eq!(access.scopes(), vec![write.clone()]);
        }
        let (access, missing) =
            Access::intersect(&Requests::Declared(vec![write.clone()]), &Grants(vec![sqlite("/d/a.db", false)])).unwrap();
        assert_eq!((access.scopes(), missing), (vec![read], vec![write.clone()]));
        assert_eq!((write.flag(), write.manifest_line()), ("--allow-sqlite=a.db:write".to_owned(), "sqlite = [\"a.db:write\"]".to_owned()));
    }

    #[test]
    fn addresses_meet_where_both_allow_them() {
        let net = |text: &str| Scope::Net(text.parse().unwrap());
        let held = |grant: &str, request: &str| {
            let access = Access::intersect(&Requests::Declared(vec![net(request)]), &Grants(vec![net(grant)]));
            access.map(|(access, _)| access.scopes().iter().map(Scope::text).collect::<Vec<_>>())
        };
        assert_eq!(held("https://nas.lan=192.168.1.5", "https://nas.lan"), Ok(vec!["https://nas.lan=192.168.1.5".to_owned()]));
        assert_eq!(held("https://h.example,GET", "https://h.example/a"), Ok(vec!["https://h.example/a,GET".to_owned()]));
        assert!(held("https://h.example", "https://other.example").is_err());
    }

    #[test]
    fn nothing_granted_is_nothing_held() {
        let requests = Requests::Declared(vec![read("/"), env("HOME")]);
        let (access, missing) = Access::intersect(&requests, &Grants::default()).unwrap();
        assert_eq!((access, missing.len()), (Access::default(), 2));
        let (access, _) = Access::intersect(&Requests::Undeclared, &Grants::default()).unwrap();
        assert_eq!(access, Access::default());
    }

    #[test]
    fn a_program_without_a_header_asks_for_what_is_named() {
        let (access, missing) = Access::intersect(&Requests::Undeclared, &Grants(vec![read("/a"), write("/a")])).unwrap();
        assert_eq!((access.scopes(), missing), (vec![write("/a")], Vec::new()));
    }

    #[test]
    fn a_grant_that_nothing_asks_for_is_an_error() {
        let requests = Requests::Declared(vec![read("/a")]);
        let surplus = Access::intersect(&requests, &Grants(vec![read("/a"), env("HOME"), read("/b")])).unwrap_err();
        assert_eq!(surplus, Surplus(vec![env("HOME"), read("/b")]));
        assert_eq!(surplus.0.last().map(Scope::manifest_line), Some("read = [\"/b\"]".to_owned()));
    }
}
