//! What is measured: the sandbox with plans straight on it, and whole
//! Wardrooms in homes of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wardroom::Wardroom;
use wardroom_core::call::NoCalls;
use wardroom_core::capability::{Grants, Refusal, Requests, Scope};
use wardroom_core::clock::SystemClock;
use wardroom_core::credential::NoCredentials;
use wardroom_core::execution::Trigger;
use wardroom_core::failure::Outcome;
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::limit::Limits;
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::plan::{Input, Lent, Plan, Resolved, Runner as _};
use wardroom_core::program::{Entry, Format, Program};
use wardroom_core::sqlite::NoDatabases;
use wardroom_core::witness::{BoxFuture, HostFault, StateSource, Witness};
use wardroom_host::wire::{Wire, WireConfig};
use wardroom_host::{Host, HostConfig, Silent};

use crate::{Failed, process};

/// A component of one function that does nothing, in a few bytes.
pub(crate) const NOTHING: &str = r#"
    (component
        (core module $m (func (export "nothing")))
        (core instance $i (instantiate $m))
        (func (export "nothing") (canon lift (core func $i "nothing"))))"#;

/// A component that multiplies and adds for so many steps, or for ever.
pub(crate) const WORK: &str = r#"
    (component
        (core module $m
            (func (export "work") (param i32) (result i32) (local $x i32)
                (loop $again
                    (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_if $again (local.get 0)))
                (local.get $x))
            (func (export "spin") (loop $again (br $again))))
        (core instance $i (instantiate $m))
        (func (export "work") (param "steps" u32) (result u32) (canon lift (core func $i "work")))
        (func (export "spin") (canon lift (core func $i "spin"))))"#;

/// A sandbox with a cache of its own, and nobody watching.
pub(crate) struct Sandbox {
    host: Host,
    _cache: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Result<Self, Failed> {
        let cache = tempfile::tempdir()?;
        let host = Host::new(HostConfig {
            cache: cache.path().to_owned(),
            preparer: process::wardroom()?,
            wire: Arc::new(Wire::new(WireConfig::default())?),
            clock: Arc::new(SystemClock),
            notice: Arc::new(Silent),
        })?;
        Ok(Self { host, _cache: cache })
    }

    /// One run, without a record.
    pub(crate) async fn run(&self, plan: Arc<Plan>) -> Outcome {
        let lent = Lent {
            witness: Arc::new(Nobody),
            state: Arc::new(Nobody),
            credentials: Arc::new(NoCredentials),
            databases: Arc::new(NoDatabases),
            calls: Arc::new(NoCalls),
            depth: 0,
            cancelled: Box::pin(std::future::pending()),
        };
        self.host.run(plan, lent).await
    }
}

/// Watches nothing, remembers nothing.
struct Nobody;

impl Witness for Nobody {
    fn line(&self, _: &LogLine) {}
    fn progress(&self, _: &Progress) {}
    fn refused(&self, _: &Refusal) {}
    fn contacted(&self, _: &str) {}
    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl StateSource for Nobody {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, HostFault>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// A data folder, and the process's Wardroom on it.
pub(crate) fn wardroom() -> Result<(Wardroom, tempfile::TempDir), Failed> {
    let folder = tempfile::tempdir()?;
    let wardroom = Wardroom::open(&folder.path().join("home"), process::wardroom()?, Arc::new(Silent))?;
    Ok((wardroom, folder))
}

/// What is to be run.
#[derive(Clone)]
pub(crate) struct Subject {
    program: Arc<Program>,
    entry: Entry,
    input: Input,
    limits: Limits,
    grants: Vec<Scope>,
}

impl Subject {
    fn new(name: &str, bytes: &[u8], entry: Entry) -> Result<Self, Failed> {
        let digest = Digest::from_bytes(Sha256::digest(bytes).into());
        let format = Format::of(Path::new(name), bytes)?;
        let program = Program { name: name.to_owned(), digest, format, bytes: Arc::from(bytes) };
        Ok(Self { program: Arc::new(program), entry, input: Input::default(), limits: Limits::default(), grants: Vec::new() })
    }

    /// A typed function of a component in text form.
    pub(crate) fn function(text: &str, name: &str) -> Result<Self, Failed> {
        Self::new("bench.wasm", &wat::parse_str(text)?, Entry::Function(name.to_owned()))
    }

    /// The task that does nothing.
    pub(crate) fn task() -> Result<Self, Failed> {
        Self::new("noop.wasm", &std::fs::read(guest()?)?, Entry::Task)
    }

    pub(crate) fn script(source: &str) -> Result<Self, Failed> {
        Self::new("bench.js", source.as_bytes(), Entry::Script)
    }

    pub(crate) fn param(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.input.params.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// On the engine that counts fuel, with more of it than can be used up.
    pub(crate) fn counted(mut self) -> Self {
        self.limits.fuel = Some(u64::MAX / 2);
        self
    }

    pub(crate) fn grant(mut self, scope: Scope) -> Self {
        self.grants.push(scope);
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.program.bytes
    }

    /// A plan of its own.
    pub(crate) fn plan(&self) -> Result<Plan, Failed> {
        let resolved = Resolved {
            id: ExecutionId::fresh(),
            attempt: 1,
            trigger: Trigger::Cli,
            occasion: wardroom_core::task::Occasion::default(),
            subject: self.program.name.clone(),
            program: self.program.clone(),
            entry: self.entry.clone(),
            input: self.input.clone(),
            limits: self.limits.clone(),
            requests: Requests::Undeclared,
        };
        Ok(resolved.authorize(&Grants(self.grants.clone()))?)
    }
}

/// `benches/guest`, built once.
fn guest() -> Result<PathBuf, Failed> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/Cargo.toml");
    let binary = std::env::current_exe()?;
    let target = binary.ancestors().nth(2).ok_or("this program lies in no target folder")?.join("bench-guest");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--quiet", "--target", "wasm32-wasip2", "--manifest-path"])
        .arg(source)
        .arg("--target-dir")
        .arg(&target)
        .status()?;
    if !built.success() {
        return Err("the guest does not build; it needs `rustup target add wasm32-wasip2`".into());
    }
    Ok(target.join("wasm32-wasip2/release/noop.wasm"))
}
