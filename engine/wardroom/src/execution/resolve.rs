//! Steps 1 and 2: from what somebody typed to a plan.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::Digest as _;
use wardroom_core::blame::Blame;
use wardroom_core::capability::files::{FolderError, FolderScope};
use wardroom_core::capability::{Capability, Grants, Requests, Scope, Surplus};
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Trigger;
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::limit::{LimitError, Limits, MAX_PARAMS_BYTES, MAX_PROGRAM_BYTES, NamedLimits, TOOL_DEADLINE};
use wardroom_core::manifest::{Manifest, ManifestError, RequestError};
use wardroom_core::param::{ParamError, ParamSpecs};
use wardroom_core::plan::{Input, Plan, Resolved};
use wardroom_core::plugin::PluginName;
use wardroom_core::program::{Entry, Format, FormatError, Program, ProgramName};
use wardroom_core::task::{Occasion, TaskId};
use wardroom_db::{AuditEvent, DbError, GrantRecord};
use wardroom_host::HostError;

use super::databases::DatabaseUseError;
use super::grants::stored;
use crate::audit::{self, event};
use crate::execution::store::{StoreError, StoredProgram};
use crate::home::Home;
use crate::template;
use crate::trust::{Admitted, Provenance, TrustError};
use crate::wardroom::{OpenError, Wardroom};

/// On whom the grants of a script that an assistant tries would hang. Nobody can
/// grant it any: it is no path and no task.
pub const TRIED: &str = "mcp:run_script";

/// Where a program comes from, and so on whom its grants hang.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file; grants hang on its real path and function.
    File(ProgramName),
    /// A file that is to become a task's program.
    FileOfTask(ProgramName, TaskId),
    /// The bytes that a task pins.
    Task(StoredProgram, TaskId),
    /// A function of a plugin, at the command line, and its subject.
    Installed(StoredProgram, String),
    /// The same as the tool that it was exposed as.
    Tool(StoredProgram, String),
    /// Bytes that somebody gave, and the subject that they are for.
    Given(Arc<Program>, String),
}

impl Source {
    pub(crate) fn function(&self) -> Option<&str> {
        match self {
            Self::File(name) | Self::FileOfTask(name, _) => name.function.as_deref(),
            Self::Task(stored, _) | Self::Installed(stored, _) | Self::Tool(stored, _) => stored.function.as_deref(),
            Self::Given(..) => None,
        }
    }

    /// Where the plugin came from that the bytes are of.
    pub(crate) fn provenance(&self) -> Option<Provenance> {
        match self {
            Self::Task(stored, _) | Self::Installed(stored, _) | Self::Tool(stored, _) => stored.provenance(),
            Self::File(_) | Self::FileOfTask(..) | Self::Given(..) => None,
        }
    }

    /// The plugin that the bytes are of.
    pub(crate) const fn plugin(&self) -> Option<&PluginName> {
        match self {
            Self::Task(stored, _) | Self::Installed(stored, _) | Self::Tool(stored, _) => stored.plugin.as_ref(),
            Self::File(_) | Self::FileOfTask(..) | Self::Given(..) => None,
        }
    }
}

/// What somebody wants run, in their own words.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The program.
    pub source: Source,
    /// Which execution this is to be.
    pub id: ExecutionId,
    /// Which attempt of it, counted from 1.
    pub attempt: u32,
    /// What relative folders are relative to.
    pub base: PathBuf,
    /// What asks for it.
    pub trigger: Trigger,
    /// Why, beside that.
    pub occasion: Occasion,
    /// Params as JSON; typed functions take their arguments by name.
    pub params: Map<String, Value>,
    /// Params that a program gets if it declares them and nobody gave others.
    pub offered: Map<String, Value>,
    /// Params as text, read by the types that the program declares.
    pub text_params: Vec<(String, String)>,
    /// A command's own arguments.
    pub args: Vec<String>,
    /// A command's standard input.
    pub stdin: Vec<u8>,
    /// Limits that were named.
    pub limits: NamedLimits,
    /// Bytes of result that are kept, where more than usual.
    pub output_bytes: Option<u64>,
}

/// What was wanted does not become a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The program's file cannot be read.
    #[error("the program `{}` cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a folder, a device, a pipe.
    #[error("the program `{}` is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// It is no program.
    #[error("`{}` is no program: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: FormatError,
    },
    /// The sandbox refuses it.
    #[error(transparent)]
    Program(#[from] HostError),
    /// The bytes that a task pins.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its bytes are revoked, or not signed as they have to be.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Its header does not hold.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A param does not fit.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// The params as JSON text are too long.
    #[error("the params have {0} bytes of JSON: expected at most {MAX_PARAMS_BYTES}")]
    ParamsTooLong(usize),
    /// A command takes no params.
    #[error("the program is a command and takes no params, but arguments after `--`")]
    ParamsForCommand,
    /// A request does not become a scope.
    #[error(transparent)]
    Request(#[from] RequestError<PlaceUseError>),
    /// A folder cannot be granted.
    #[error(transparent)]
    Folder(#[from] FolderUseError),
    /// A database cannot be granted.
    #[error(transparent)]
    Database(#[from] DatabaseUseError),
    /// A limit is out of its range.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A grant that nothing asks for.
    #[error(transparent)]
    Surplus(#[from] Surplus),
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stored grants cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl ResolveError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Program(error) => error.blame(),
            Self::Format { .. } | Self::Manifest(_) => Blame::Guest,
            Self::Open(error) => error.blame(),
            Self::Db(error) => error.blame(),
            Self::Store(error) => error.blame(),
            Self::Trust(error) => error.blame(),
            _ => Blame::Operator,
        }
    }
}

/// What a header asks for cannot be granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceUseError {
    /// A folder.
    #[error(transparent)]
    Folder(#[from] FolderUseError),
    /// A database.
    #[error(transparent)]
    Database(#[from] DatabaseUseError),
}

/// A folder that cannot be granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderUseError {
    /// It is not there, or not to be read.
    #[error("the folder `{text}` cannot be opened: {source}")]
    Io {
        /// As it was written.
        text: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a file, or something else.
    #[error("`{0}` is no folder: folders are granted, not single files")]
    NotAFolder(String),
    /// A program in it would hold the keys of the house.
    #[error("the folder `{text}` holds or lies in Wardroom's own data folder `{}`, which no program may reach", home.display())]
    OwnData {
        /// As it was written.
        text: String,
        /// The data folder.
        home: PathBuf,
    },
    /// Its files are doors into the kernel and into processes, ours among them.
    #[error("the folder `{0}` is the kernel's own, which no program may reach")]
    Kernel(String),
    /// It is no path.
    #[error(transparent)]
    Scope(#[from] FolderError),
}

/// procfs or sysfs, by the magic numbers of statfs(2).
#[cfg(target_os = "linux")]
pub(super) fn is_of_the_kernel(folder: &Path) -> std::io::Result<bool> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    const SYSFS_MAGIC: i64 = 0x6265_6572;
    let kind = rustix::fs::statfs(folder)?.f_type;
    Ok([PROC_SUPER_MAGIC, SYSFS_MAGIC].contains(&kind))
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "one signature for all systems")]
pub(super) fn is_of_the_kernel(_folder: &Path) -> std::io::Result<bool> {
    Ok(false)
}

impl Home {
    /// A folder as a scope: opened once to see that it can be, and where it
    /// really is.
    ///
    /// # Errors
    ///
    /// [`FolderUseError`] where it cannot be granted.
    pub fn folder_scope(&self, base: &Path, text: &str) -> Result<FolderScope, FolderUseError> {
        if text.is_empty() || text.contains('\0') {
            return Err(FolderError::NoPath(text.to_owned()).into());
        }
        let failed = |source| FolderUseError::Io { text: text.to_owned(), source };
        let absolute = std::fs::canonicalize(base.join(text)).map_err(failed)?;
        if !std::fs::metadata(&absolute).map_err(failed)?.is_dir() {
            return Err(FolderUseError::NotAFolder(text.to_owned()));
        }
        drop(std::fs::read_dir(&absolute).map_err(failed)?);
        if self.overlaps(&absolute).map_err(failed)? {
            return Err(FolderUseError::OwnData { text: text.to_owned(), home: self.path().to_owned() });
        }
        if is_of_the_kernel(&absolute).map_err(failed)? {
            return Err(FolderUseError::Kernel(text.to_owned()));
        }
        Ok(FolderScope::new(text, &absolute)?)
    }
}

impl Wardroom {
    /// What a program says of itself: a script in its header, anything else in
    /// the manifest that it carries.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Manifest`] where that does not hold, and
    /// [`ResolveError::Program`] where it is no program at all.
    pub async fn manifest(&self, program: &Program) -> Result<Option<Manifest>, ResolveError> {
        if program.format.is_script() {
            return Ok(header(program)?);
        }
        let described = self.host()?.described(program).await?;
        Ok(described.and_then(|described| described.manifest.as_deref().map(Manifest::of_plugin)).transpose()?)
    }

    /// Step 1: the program by its digest, params checked and completed, limits.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] where it cannot be run as asked.
    pub async fn resolve(&self, request: RunRequest) -> Result<Resolved, ResolveError> {
        let (admitted, subject) = self.program(&request.source)?;
        let program = admitted.into_program();
        let manifest = self.manifest(&program).await?;
        let base = self.config.limits()?;
        let limits = limits(&request, manifest.as_ref(), &base)?;
        let host = self.host()?;
        let function = request.source.function();
        let entry = host.entry(&program, function, &request.args, limits.fuel.is_some()).await?;
        let texts = match &entry {
            Entry::Function(name) if !request.text_params.is_empty() => host.text_params(&program, name, limits.fuel.is_some()).await?,
            _ => Vec::new(),
        };
        let params = params(&request, manifest.as_ref(), &entry, &texts)?;
        let requests = match &manifest {
            Some(manifest) => {
                let asked = manifest.requests(
                    &params,
                    |text| Ok::<_, PlaceUseError>(self.home.folder_scope(&request.base, text)?),
                    |text, write| Ok(self.home.database_scope(&request.base, text, write)?),
                )?;
                Requests::Declared(asked.into_iter().map(|scope| self.meant(scope)).collect())
            }
            None => Requests::Undeclared,
        };
        Ok(Resolved {
            id: request.id,
            attempt: request.attempt,
            trigger: request.trigger,
            occasion: request.occasion,
            subject,
            program: Arc::new(program),
            entry,
            input: Input { params, stdin: request.stdin, ..Input::default() },
            limits,
            requests,
        })
    }

    /// The bytes, through the one gate to a run.
    fn program(&self, source: &Source) -> Result<(Admitted, String), ResolveError> {
        let (program, subject) = match source {
            Source::File(name) => {
                let (program, path) = read_program(name)?;
                let subject = subject(&path, name.function.as_deref());
                (program, subject)
            }
            Source::FileOfTask(name, task) => (read_program(name)?.0, task.subject()),
            Source::Task(stored, task) => (self.program_of(stored)?, task.subject()),
            Source::Installed(stored, subject) | Source::Tool(stored, subject) => (self.program_of(stored)?, subject.clone()),
            Source::Given(program, subject) => ((**program).clone(), subject.clone()),
        };
        Ok((self.admit(program, source.provenance())?, subject))
    }

    /// Step 2: with what was granted for this run, and what is stored for its
    /// subject and these very bytes. `env` looks up what the operator's
    /// variables hold.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Surplus`], or [`ResolveError::Db`].
    pub fn authorize(
        &self,
        mut resolved: Resolved,
        mut grants: Grants,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Plan, ResolveError> {
        for stored in self.db.grants(&resolved.subject, Some(resolved.program.digest))? {
            let scope = self.stored_scope(&stored);
            // A stored grant that no longer means anything (a folder that is
            // gone) grants nothing; one that is not asked for any more does
            // not either.
            grants.0.extend(scope.filter(|scope| asked(&resolved.requests, scope)));
        }
        let names = grants.0.iter().filter_map(|scope| match scope {
            Scope::Env(name) => Some(name.as_str()),
            _ => None,
        });
        resolved.input.env = names.filter_map(|name| Some((name.to_owned(), env(name)?))).collect();
        Ok(resolved.authorize(&grants)?)
    }

    /// Stores grants for a subject and these bytes: "always".
    ///
    /// # Errors
    ///
    /// [`DbError`] where they cannot be stored.
    pub async fn remember(&self, resolved: &Resolved, scopes: &[Scope]) -> Result<(), DbError> {
        let now = self.clock.now();
        // A grant would wait for whatever is stored under that name later.
        let mut known = Vec::new();
        for scope in scopes {
            let missing = match scope {
                Scope::Credential(credential) => self.db.credential(&credential.name)?.is_none(),
                Scope::Call(callee) => callee.subject().is_none(),
                _ => false,
            };
            known.extend((!missing).then(|| scope.clone()));
        }
        let scopes = &known;
        let assigned: Vec<_> = scopes.iter().filter_map(|scope| assignment(resolved, scope, now)).collect();
        // Written down first: an assignment that nobody recorded is worse than
        // one that was recorded and then not made.
        if !assigned.is_empty() {
            self.mirrored.appended();
            self.db.append_audit(assigned).await?;
        }
        self.db.add_grants(&resolved.subject, resolved.program.digest, stored(scopes), now).await.map(drop)
    }

    /// What is asked for by a name, with what has the name now.
    fn meant(&self, scope: Scope) -> Scope {
        match scope {
            Scope::Call(named) => Scope::Call(self.call_scope(named.name().as_str()).unwrap_or(named)),
            other => other,
        }
    }

    /// A stored grant as a scope, where it still means what it meant.
    pub(crate) fn stored_scope(&self, stored: &GrantRecord) -> Option<Scope> {
        // Granted was a place, not a name: what a link leads to since then was
        // never shown to anybody.
        let folder = || {
            let found = self.home.folder_scope(Path::new("/"), &stored.scope).ok()?;
            (found.absolute() == Path::new(&stored.scope)).then_some(found)
        };
        match stored.capability {
            Capability::Net => stored.scope.parse().ok().map(Scope::Net),
            Capability::Read => folder().map(Scope::Read),
            Capability::Write => folder().map(Scope::Write),
            Capability::Sqlite => self.home.stored_database(&stored.scope).map(Scope::Sqlite),
            Capability::Env => stored.scope.parse().ok().map(Scope::Env),
            Capability::State => stored.scope.parse::<wardroom_core::limit::SizeText>().ok().map(|size| Scope::State(size.0)),
            Capability::Credentials => stored.scope.parse().ok().map(Scope::Credential),
            // What took over the name was never shown to anybody either.
            Capability::Call => {
                let found = self.call_scope(&stored.scope).ok()?;
                (found.subject() == stored.callee.as_deref()).then_some(Scope::Call(found))
            }
            _ => None,
        }
    }
}

/// The event of a credential that is handed to a program for good.
fn assignment(resolved: &Resolved, scope: &Scope, now: Timestamp) -> Option<AuditEvent> {
    let Scope::Credential(credential) = scope else { return None };
    let detail =
        serde_json::json!({ "to": resolved.subject, "digest": resolved.program.digest.to_string(), "scope": credential.to_string() });
    Some(audit::by_asker(now, event::CREDENTIAL_ASSIGNED, credential.name.as_str(), detail))
}

/// A relative name would mean another folder elsewhere.
pub(crate) fn stored_text(scope: &Scope) -> String {
    match scope {
        Scope::Read(folder) | Scope::Write(folder) => folder.absolute().display().to_string(),
        Scope::Sqlite(database) => database.stored_text(),
        other => other.text(),
    }
}

/// A grant of this would not be for nothing.
pub(crate) fn asked(requests: &Requests, scope: &Scope) -> bool {
    match requests {
        Requests::Undeclared => true,
        Requests::Declared(requests) => requests.iter().any(|request| Scope::effective(scope, request).is_some()),
    }
}

/// Read once: what is hashed is what runs.
pub(crate) fn read_program(name: &ProgramName) -> Result<(Program, PathBuf), ResolveError> {
    if let Some(template) = template::of_path(&name.path) {
        return Ok((template.program(), name.path.clone()));
    }
    let failed = |source| ResolveError::Read { path: name.path.clone(), source };
    // Looked at first: opening a FIFO would wait for a writer.
    let meta = std::fs::metadata(&name.path).map_err(failed)?;
    if !meta.is_file() {
        return Err(ResolveError::NotAFile(name.path.clone()));
    }
    let mut bytes = Vec::new();
    let file = File::open(&name.path).map_err(failed)?;
    file.take(MAX_PROGRAM_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_PROGRAM_BYTES {
        return Err(HostError::TooLarge { size: meta.len(), max: MAX_PROGRAM_BYTES }.into());
    }
    let program = program_of(&name.path, bytes)?;
    let path = std::fs::canonicalize(&name.path).map_err(failed)?;
    Ok((program, path))
}

/// Bytes that are all there, under the name that they have.
pub(crate) fn program_of(path: &Path, bytes: Vec<u8>) -> Result<Program, ResolveError> {
    let format = Format::of(path, &bytes).map_err(|source| ResolveError::Format { path: path.to_owned(), source })?;
    let digest = Digest::from_bytes(sha2::Sha256::digest(&bytes).into());
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Program { name, digest, format, bytes: bytes.into() })
}

/// On whom a command line's grants hang.
fn subject(path: &Path, function: Option<&str>) -> String {
    match function {
        Some(function) => format!("{}#{function}", path.display()),
        None => path.display().to_string(),
    }
}

/// The header of a script. What is no text has none; the sandbox says what is
/// wrong with it.
pub(crate) fn header(program: &Program) -> Result<Option<Manifest>, ManifestError> {
    Manifest::of_script(std::str::from_utf8(&program.bytes).unwrap_or(""))
}

/// What the program says of itself lowers; what the operator says holds.
fn limits(request: &RunRequest, manifest: Option<&Manifest>, base: &Limits) -> Result<Limits, LimitError> {
    let mut base = base.clone();
    if matches!(request.source, Source::Tool(..)) {
        base.deadline = base.deadline.min(TOOL_DEADLINE);
    }
    let own = manifest.map_or_else(|| base.clone(), |manifest| manifest.limits.lowering(&base));
    let mut limits = request.limits.over(&own)?;
    limits.output_bytes = request.output_bytes.unwrap_or(limits.output_bytes);
    Ok(limits)
}

/// `texts`: the names of those that are text by a function's own type.
fn params(request: &RunRequest, manifest: Option<&Manifest>, entry: &Entry, texts: &[String]) -> Result<Map<String, Value>, ResolveError> {
    let undeclared = ParamSpecs::default();
    let specs = manifest.map_or(&undeclared, |manifest| &manifest.params);
    let mut given = request.params.clone();
    for (name, text) in &request.text_params {
        let value = if texts.contains(name) { Value::from(text.as_str()) } else { specs.value_of(name, text)? };
        given.insert(name.clone(), value);
    }
    for (name, value) in &request.offered {
        if specs.0.contains_key(name) && !given.contains_key(name) {
            given.insert(name.clone(), value.clone());
        }
    }
    if matches!(entry, Entry::Command { .. }) && !given.is_empty() {
        return Err(ResolveError::ParamsForCommand);
    }
    let given = Value::Object(given);
    let bytes = given.to_string().len();
    if bytes as u64 > MAX_PARAMS_BYTES {
        return Err(ResolveError::ParamsTooLong(bytes));
    }
    match (manifest, given) {
        // A function's params are those of its type, and a command has none.
        (Some(manifest), given) if matches!(entry, Entry::Task | Entry::Script) => Ok(manifest.params.complete(&given)?),
        (_, Value::Object(given)) => Ok(given),
        (_, _) => Ok(Map::new()),
    }
}
