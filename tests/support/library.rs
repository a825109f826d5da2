//! The engine as a library: plans run straight on one host that all tests share.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use wardroom_core::call::NoCalls;
use wardroom_core::capability::files::FolderScope;
use wardroom_core::capability::sqlite::SqliteScope;
use wardroom_core::capability::{Grants, Refusal, Requests, Scope};
use wardroom_core::clock::SystemClock;
use wardroom_core::execution::Trigger;
use wardroom_core::failure::{FailureKind, Outcome, Output};
use wardroom_core::id::{Digest, ExecutionId};
use wardroom_core::limit::Limits;
use wardroom_core::log::{Level, LogLine, Progress};
use wardroom_core::plan::{Input, Lent, Resolved, Runner};
use wardroom_core::program::{Entry, Format, Program};
use wardroom_core::witness::{BoxFuture, HostFault, StateSource, Witness};
use wardroom_db::guest::GuestDatabases;
use wardroom_host::wire::{Wire, WireConfig};
use wardroom_host::{Host, HostConfig, HostError, Silent};

use super::credentials::{Stored, lend};
use super::{PATIENCE, guests, home};

/// One runtime for all, as in a process that serves.
pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// The one host; its cache is the one that all homes are given.
pub(crate) fn host() -> &'static Host {
    static HOST: LazyLock<Host> = LazyLock::new(|| {
        Host::new(HostConfig {
            cache: cache_folder(),
            preparer: PathBuf::from(home::BINARY),
            wire: Arc::new(Wire::new(WireConfig::default()).unwrap()),
            clock: Arc::new(SystemClock),
            notice: Arc::new(Silent),
        })
        .unwrap()
    });
    &HOST
}

fn cache_folder() -> PathBuf {
    let folder = guests::built().join("cache");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    folder
}

/// Compiled code that tests hand on to each other, with its key and the
/// interpreter in it.
pub(crate) fn shared_cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let finished = RUNTIME.block_on(Job::script("return 1").run());
        assert_eq!(finished.json(), &Value::from(1));
        cache_folder()
    })
}

/// Remembers everything.
#[derive(Default)]
pub(crate) struct Watcher {
    seen: Mutex<Seen>,
    /// The start row cannot be written.
    broken: bool,
}

#[derive(Default, Clone)]
pub(crate) struct Seen {
    pub(crate) lines: Vec<(Level, String)>,
    pub(crate) progress: Vec<(u64, Option<u64>, String)>,
    pub(crate) effects: usize,
}

impl Witness for Watcher {
    fn line(&self, line: &LogLine) {
        self.seen.lock().unwrap().lines.push((line.level, line.text.clone()));
    }

    fn progress(&self, progress: &Progress) {
        self.seen.lock().unwrap().progress.push((progress.done, progress.total, progress.message.clone()));
    }

    fn refused(&self, _: &Refusal) {}

    fn contacted(&self, _: &str) {}

    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
        self.seen.lock().unwrap().effects += 1;
        let answer = if self.broken { Err(HostFault("no space is left".to_owned())) } else { Ok(()) };
        Box::pin(std::future::ready(answer))
    }
}

struct Left(Vec<(String, String)>);

impl StateSource for Left {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, HostFault>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// Bytes as a program.
pub(crate) fn program(name: &str, bytes: &[u8]) -> Program {
    let digest = Digest::from_bytes(Sha256::digest(bytes).into());
    let format = Format::of(Path::new(name), bytes).unwrap();
    Program { name: name.to_owned(), digest, format, bytes: Arc::from(bytes) }
}

/// One run in the making.
pub(crate) struct Job {
    host: Option<&'static Host>,
    program: Program,
    function: Option<String>,
    args: Vec<String>,
    input: Input,
    grants: Vec<Scope>,
    pub(crate) limits: Limits,
    state: Vec<(String, String)>,
    credentials: Vec<Stored>,
    broken: bool,
    cancelled: Option<BoxFuture<'static, ()>>,
}

impl Job {
    pub(crate) fn of(program: Program) -> Self {
        Self {
            host: None,
            program,
            function: None,
            args: Vec::new(),
            input: Input::default(),
            grants: Vec::new(),
            limits: Limits::default(),
            state: Vec::new(),
            credentials: Vec::new(),
            broken: false,
            cancelled: None,
        }
    }

    pub(crate) fn file(path: &Path) -> Self {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Self::of(program(&name, &fs::read(path).unwrap()))
    }

    pub(crate) fn command(name: &str) -> Self {
        Self::file(&guests::command(name))
    }

    pub(crate) fn script(source: &str) -> Self {
        Self::of(program("script.js", source.as_bytes()))
    }

    /// WebAssembly text.
    pub(crate) fn text(text: &str) -> Self {
        Self::of(program("text.wasm", &wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))))
    }

    /// On another host than the one that all share.
    pub(crate) fn on(mut self, host: &'static Host) -> Self {
        self.host = Some(host);
        self
    }

    pub(crate) fn function(mut self, name: &str) -> Self {
        self.function = Some(name.to_owned());
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    pub(crate) fn params(mut self, params: Value) -> Self {
        self.input.params = serde_json::from_value::<Map<String, Value>>(params).unwrap();
        self
    }

    pub(crate) fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.input.stdin = text.as_ref().to_vec();
        self
    }

    /// What the operator's own environment holds.
    pub(crate) fn environment(mut self, names: &[(&str, &str)]) -> Self {
        self.input.env = names.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
        self
    }

    pub(crate) fn net(mut self, scope: &str) -> Self {
        self.grants.push(Scope::Net(scope.parse().unwrap_or_else(|error| panic!("{scope}: {error}"))));
        self
    }

    pub(crate) fn folder(mut self, name: &str, folder: &Path, write: bool) -> Self {
        let scope = FolderScope::new(name, &folder.canonicalize().unwrap()).unwrap();
        self.grants.push(if write { Scope::Write(scope) } else { Scope::Read(scope) });
        self
    }

    pub(crate) fn sqlite(mut self, name: &str, file: &Path, write: bool) -> Self {
        self.grants.push(Scope::Sqlite(SqliteScope::new(name, &file.canonicalize().unwrap(), write).unwrap()));
        self
    }

    pub(crate) fn env(mut self, name: &str) -> Self {
        self.grants.push(Scope::Env(name.parse().unwrap()));
        self
    }

    pub(crate) fn state(mut self, bytes: u64, left: &[(&str, &str)]) -> Self {
        self.grants.push(Scope::State(bytes));
        self.state = left.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self
    }

    /// Assigned to this run.
    pub(crate) fn credential(mut self, stored: Stored) -> Self {
        self.grants.push(stored.grant());
        self.credentials.push(stored);
        self
    }

    pub(crate) fn deadline_ms(mut self, ms: u64) -> Self {
        self.limits.deadline = std::time::Duration::from_millis(ms);
        self
    }

    pub(crate) fn memory(mut self, bytes: u64) -> Self {
        self.limits.memory = bytes;
        self
    }

    pub(crate) fn fuel(mut self, fuel: u64) -> Self {
        self.limits.fuel = Some(fuel);
        self
    }

    /// The start row of this run cannot be written.
    pub(crate) fn without_start_row(mut self) -> Self {
        self.broken = true;
        self
    }

    pub(crate) fn cancelled_by(mut self, cancelled: BoxFuture<'static, ()>) -> Self {
        self.cancelled = Some(cancelled);
        self
    }

    /// Runs it to its end, and fails where it has none.
    pub(crate) async fn run(self) -> Finished {
        match self.try_run().await {
            Ok(finished) => finished,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`run`](Self::run), for programs that do not get as far as running.
    pub(crate) async fn try_run(self) -> Result<Finished, HostError> {
        let host = self.host.unwrap_or_else(|| host());
        let entry = host.entry(&self.program, self.function.as_deref(), &self.args, self.limits.fuel.is_some()).await?;
        let watcher = Arc::new(Watcher { broken: self.broken, ..Watcher::default() });
        let lent = Lent {
            witness: watcher.clone(),
            state: Arc::new(Left(self.state)),
            credentials: lend(self.credentials),
            calls: Arc::new(NoCalls),
            depth: 0,
            databases: Arc::new(GuestDatabases::new(PathBuf::from(home::BINARY), cache_folder())),
            cancelled: self.cancelled.unwrap_or_else(|| Box::pin(std::future::pending())),
        };
        let resolved = Resolved {
            id: ExecutionId::fresh(),
            attempt: 1,
            trigger: Trigger::Cli,
            occasion: wardroom_core::task::Occasion::default(),
            subject: self.program.name.clone(),
            program: Arc::new(self.program),
            entry: entry.clone(),
            input: self.input,
            limits: self.limits,
            requests: Requests::Undeclared,
        };
        let plan = Arc::new(resolved.authorize(&Grants(self.grants)).unwrap());
        let outcome = tokio::time::timeout(PATIENCE, host.run(plan, lent)).await.expect("every run ends");
        let seen = watcher.seen.lock().unwrap().clone();
        Ok(Finished { outcome, seen, entry })
    }

    /// Runs it from a test that is no async function.
    pub(crate) fn finish(self) -> Finished {
        RUNTIME.block_on(self.run())
    }
}

/// How a run ended, and what it had said.
#[derive(Clone)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) seen: Seen,
    pub(crate) entry: Entry,
}

impl Finished {
    #[track_caller]
    pub(crate) fn json(&self) -> &Value {
        match &self.outcome.ending {
            Ok(Output::Json(value)) => value,
            other => panic!("no JSON result: {other:?}; {:?}; {:?}", self.outcome.usage, self.seen.lines),
        }
    }

    #[track_caller]
    pub(crate) fn failure(&self) -> (FailureKind, &str) {
        match &self.outcome.ending {
            Err(failure) => (failure.kind, failure.message.as_str()),
            Ok(output) => panic!("it ended well: {output:?}"),
        }
    }

    /// Text that was put out before a failure.
    pub(crate) fn partial(&self) -> &str {
        match &self.outcome.partial_output {
            Some(Output::Text(text)) => text,
            _ => "",
        }
    }

    /// Log lines of one level, or all.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.seen.lines.iter().map(|(_, text)| text.as_str()).collect()
    }
}
