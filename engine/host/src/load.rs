//! Loading: from a program's bytes to something that can be instantiated, by
//! way of memory, the cache on disk, or a preparing child.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use wardroom_core::id::Digest;
use wardroom_core::limit::{MAX_PROGRAM_BYTES, MAX_SCRIPT_BYTES};
use wardroom_core::program::{Format, Program};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

use crate::cache::{Cache, Slot};
use crate::describe::Described;
use crate::engine::{EngineKind, Engines, Sandbox};
use crate::error::HostError;
use crate::inspect::Doors;
use crate::prepare::{self, Job, Prepared, Preparer};
use crate::run::RunState;

/// Programs kept loaded in one process.
const LOADED_PROGRAMS: usize = 64;
/// Counts the forms that descriptions had, so that an old one counts as none.
const DESCRIPTION: u32 = 2;
/// The name under which the interpreter's preparation is told.
const INTERPRETER_NAME: &str = "the script interpreter";
/// The bundled interpreter: ours, built from `plugins/javascript`.
const INTERPRETER: &[u8] = include_bytes!("../../../plugins/javascript/javascript.wasm");

/// A program that can be instantiated.
pub(crate) struct Loaded {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) doors: Doors,
    pub(crate) pre: InstancePre<RunState>,
}

/// Told when something is prepared for the first time, and when that is done.
pub trait Notice: Send + Sync {
    /// Preparing starts; it takes from 0.1 to 60 seconds.
    fn preparing(&self, what: &str);
    /// Preparing ended, well or not.
    fn prepared(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Notice for Silent {
    fn preparing(&self, _what: &str) {}
    fn prepared(&self) {}
}

/// Everything loaded in this process.
pub(crate) struct Loader {
    pub(crate) engines: Engines,
    cache: Cache,
    preparer: Preparer,
    notice: Arc<dyn Notice>,
    /// Least recently used first.
    loaded: Mutex<VecDeque<(Key, Arc<Loaded>)>>,
    /// The same of descriptions.
    described: Mutex<VecDeque<(Digest, Arc<Described>)>>,
    /// One heavy preparation at a time; whoever comes second finds it done.
    preparing: tokio::sync::Mutex<()>,
}

type Key = (Digest, EngineKind);

impl Loader {
    pub(crate) fn new(cache: Cache, preparer: Preparer, notice: Arc<dyn Notice>) -> Self {
        Self {
            engines: Engines::default(),
            cache,
            preparer,
            notice,
            loaded: Mutex::default(),
            described: Mutex::default(),
            preparing: tokio::sync::Mutex::default(),
        }
    }

    /// A component or core module, ready to be instantiated.
    pub(crate) async fn component(&self, program: &Program, kind: EngineKind) -> Result<Arc<Loaded>, HostError> {
        check_size(program)?;
        let job = Job::of(program.format, kind).ok_or_else(|| HostError::Host("a script is no component".to_owned()))?;
        let source = Source::Foreign { job, program };
        self.load((program.digest, kind), &source).await
    }

    /// What a component or core module says of itself; it is prepared where that
    /// has not been done.
    pub(crate) async fn described(&self, program: &Program) -> Result<Arc<Described>, HostError> {
        if let Some(found) = self.known_description(&program.digest) {
            return Ok(found);
        }
        check_size(program)?;
        let job = Job::of(program.format, EngineKind::Epoch).ok_or_else(|| HostError::Host("a script is no component".to_owned()))?;
        let sandbox = self.engines.sandbox(EngineKind::Epoch)?;
        let source = Source::Foreign { job, program };
        // Code that is there was described when it was made, by another build.
        drop(self.prepare(&sandbox, &slot(&program.digest, &sandbox), &source, Want::Description).await?);
        self.known_description(&program.digest).ok_or_else(|| HostError::Host("the program's description is not kept".to_owned()))
    }

    /// The same, where it is kept; nothing is prepared for it.
    pub(crate) fn known_description(&self, digest: &Digest) -> Option<Arc<Described>> {
        if let Some(found) = remembered(&self.described, digest) {
            return Some(found);
        }
        let described: Described = serde_json::from_slice(&self.cache.load(&description_slot(digest))?).ok()?;
        let described = Arc::new(described);
        remember(&self.described, *digest, described.clone());
        Some(described)
    }

    /// The bundled interpreter.
    pub(crate) async fn interpreter(&self, kind: EngineKind) -> Result<Arc<Loaded>, HostError> {
        let digest = interpreter_digest();
        self.load((digest, kind), &Source::Interpreter { kind }).await
    }

    /// A script's JavaScript: its text, or what is left of its TypeScript.
    pub(crate) async fn script(&self, program: &Program) -> Result<Arc<str>, HostError> {
        check_size(program)?;
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Arc::from(text)),
            Err(error) => Err(HostError::Script { message: format!("the script is no UTF-8: {error}"), position: None }),
        };
        if program.format == Format::JavaScript {
            return text(&program.bytes);
        }
        let slot = Slot::new(&program.digest, concat!("stripped-", env!("CARGO_PKG_VERSION"), ".js"));
        if let Some(stripped) = self.cache.load(&slot) {
            return text(&stripped);
        }
        let stripped = self.preparer.prepare(Job::TypeScript, &program.bytes).await?;
        self.cache.store(&slot, &stripped)?;
        text(&stripped)
    }

    async fn load(&self, key: Key, source: &Source<'_>) -> Result<Arc<Loaded>, HostError> {
        if let Some(loaded) = remembered(&self.loaded, &key) {
            return Ok(loaded);
        }
        let sandbox = self.engines.sandbox(key.1)?;
        let slot = slot(&key.0, &sandbox);
        let component = match self.cached(&sandbox, &slot) {
            Some(component) => component,
            None => self.prepare(&sandbox, &slot, source, Want::Code).await?,
        };
        crate::inspect::check_imports(&component, &sandbox.engine)?;
        let pre =
            sandbox.linker.instantiate_pre(&component).map_err(|error| HostError::Invalid(format!("it cannot be linked: {error:#}")))?;
        let doors = Doors::of(&component, &sandbox.engine);
        let loaded = Arc::new(Loaded { sandbox, doors, pre });
        remember(&self.loaded, key, loaded.clone());
        Ok(loaded)
    }

    async fn prepare(&self, sandbox: &Sandbox, slot: &Slot, source: &Source<'_>, want: Want) -> Result<Component, HostError> {
        let _one_at_a_time = self.preparing.lock().await;
        if let (Some(component), Want::Code) = (self.cached(sandbox, slot), want) {
            return Ok(component);
        }
        self.notice.preparing(source.name());
        let compiled = match source {
            Source::Foreign { job, program } => self.preparer.prepare(*job, &program.bytes).await,
            Source::Interpreter { kind } => compile_own(*kind).await,
        };
        self.notice.prepared();
        let answer = compiled?;
        let (description, compiled) = match source {
            Source::Foreign { .. } => {
                let prepared = Prepared::read(&answer)?;
                (Some(prepared.description), prepared.compiled)
            }
            Source::Interpreter { .. } => (None, answer.as_slice()),
        };
        // Before it is stored: what the sandbox cannot hold is of no use.
        let component = deserialize(&sandbox.engine, compiled).map_err(|error| source.unfit(&error))?;
        // The description first: where there is code, there is one.
        if let Some(description) = description {
            self.cache.store(&description_slot(&source.digest()), description)?;
        }
        self.cache.store(slot, compiled)?;
        Ok(component)
    }

    /// What does not verify, or was made by another build, is built anew.
    fn cached(&self, sandbox: &Sandbox, slot: &Slot) -> Option<Component> {
        deserialize(&sandbox.engine, &self.cache.load(slot)?).ok()
    }
}

fn slot(digest: &Digest, sandbox: &Sandbox) -> Slot {
    Slot::new(digest, &format!("{}-{:016x}.cwasm", sandbox.kind.name(), sandbox.compatibility()))
}

fn description_slot(digest: &Digest) -> Slot {
    Slot::new(digest, &format!("described-{}-{DESCRIPTION}.json", env!("CARGO_PKG_VERSION")))
}

/// What a preparation is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Code,
    Description,
}

type Kept<K, T> = Mutex<VecDeque<(K, Arc<T>)>>;

fn remembered<K: PartialEq + Copy, T>(kept: &Kept<K, T>, key: &K) -> Option<Arc<T>> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let index = kept.iter().rposition(|(known, _)| known == key)?;
    if index + 1 == kept.len() {
        return kept.back().map(|(_, found)| found.clone());
    }
    let entry = kept.remove(index)?;
    let found = entry.1.clone();
    kept.push_back(entry);
    Some(found)
}

fn remember<K, T>(kept: &Kept<K, T>, key: K, value: Arc<T>) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == LOADED_PROGRAMS {
        kept.pop_front();
    }
    kept.push_back((key, value));
}

/// Where compiled code comes from when the cache has none.
enum Source<'a> {
    /// Hostile bytes: in a child.
    Foreign { job: Job, program: &'a Program },
    /// Our own bytes: here.
    Interpreter { kind: EngineKind },
}

impl Source<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Foreign { program, .. } => &program.name,
            Self::Interpreter { .. } => INTERPRETER_NAME,
        }
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Foreign { program, .. } => program.digest,
            Self::Interpreter { .. } => interpreter_digest(),
        }
    }

    /// Fresh code that the engine does not take: more memories, tables or
    /// instances than a run may have.
    fn unfit(&self, error: &wasmtime::Error) -> HostError {
        match self {
            Self::Foreign { .. } => HostError::TooMuch(error.root_cause().to_string()),
            Self::Interpreter { .. } => HostError::Host(format!("the interpreter's code does not fit the engine: {error:#}")),
        }
    }
}

async fn compile_own(kind: EngineKind) -> Result<Vec<u8>, HostError> {
    let compiling = tokio::task::spawn_blocking(move || prepare::compile(kind, INTERPRETER));
    compiling.await.map_err(|error| HostError::Host(format!("the interpreter cannot be compiled: {error}")))?
}

/// The digest of the bundled interpreter, as executions record it.
#[must_use]
pub fn interpreter_digest() -> Digest {
    use sha2::Digest as _;
    static DIGEST: std::sync::OnceLock<Digest> = std::sync::OnceLock::new();
    *DIGEST.get_or_init(|| Digest::from_bytes(sha2::Sha256::digest(INTERPRETER).into()))
}

fn check_size(program: &Program) -> Result<(), HostError> {
    let size = program.bytes.len() as u64;
    let max = if program.format.is_script() { MAX_SCRIPT_BYTES } else { MAX_PROGRAM_BYTES };
    if size > max { Err(HostError::TooLarge { size, max }) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "the one place where verified compiled code is mapped")]
pub(crate) fn deserialize(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from `precompile_component` of this same build,
    // in a child whose standard output only we hold or in this process, and
    // where they lay on disk in between, `Cache::load` has authenticated these
    // very bytes in memory. wasmtime itself refuses other builds' code.
    unsafe { Component::deserialize(engine, compiled) }
}
