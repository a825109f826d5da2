//! Step 3: one execution, in a fresh store and a fresh instance.
//!
//! ```text
//!  permit ─▶ load ─▶ store + instance ─▶ call ──▶ ending
//!             │           │   under one deadline and one cancellation;
//!             │           │   either drops the store, and with it the guest
//!             └── only cancelled: what is compiled first is no time of a run's
//! ```

use std::cell::Cell;
use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wardroom_core::call::{Calls, MAX_CALL_DEPTH};
use wardroom_core::capability::Access;
use wardroom_core::capability::credentials::CredentialUse;
use wardroom_core::clock::Clock;
use wardroom_core::failure::{Failure, FailureKind, Outcome, Output, Usage};
use wardroom_core::id::Digest;
use wardroom_core::limit::{DurationText, HOSTCALL_BYTES, MAX_HANDLES, MAX_RANDOM_BYTES};
use wardroom_core::log::Level;
use wardroom_core::plan::{Lent, Plan, Runner};
use wardroom_core::program::{Entry, Format, Program, Shape};
use wardroom_core::sqlite::Databases;
use wardroom_core::witness::{BoxFuture, StateSource};
use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::cache::Cache;
use crate::call;
use crate::capture::Capture;
use crate::describe::Described;
use crate::ending;
use crate::engine::{EngineKind, FUEL_SLICE, MAX_PARALLEL_CALLED, MAX_PARALLEL_RUNS};
use crate::error::HostError;
use crate::imports::call::Calling;
use crate::imports::files::{Folders, GuardedView};
use crate::imports::http::{GateRun, HttpGate};
use crate::imports::state::StateView;
use crate::inspect::{Doors, Inspection};
use crate::ledger::Ledger;
use crate::load::{Loaded, Loader, Notice};
use crate::notes::Notes;
use crate::prepare::Preparer;
use crate::wire::{HttpLimits, Wire};

/// What a host is made of.
pub struct HostConfig {
    /// The folder of compiled code, 0700; made where missing.
    pub cache: PathBuf,
    /// The binary to call as preparing child.
    pub preparer: PathBuf,
    /// The only way to the network.
    pub wire: Arc<Wire>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Told when something is compiled.
    pub notice: Arc<dyn Notice>,
}

/// The sandbox: loads programs and runs plans.
pub struct Host {
    loader: Loader,
    wire: Arc<Wire>,
    clock: Arc<dyn Clock>,
    permits: Permits,
    /// An empty folder, see [`Folders`].
    fence: PathBuf,
}

/// What a guest's calls work on.
pub(crate) struct RunState {
    pub(crate) notes: Arc<Notes>,
    pub(crate) state: Option<StateView>,
    ledger: Ledger,
    table: ResourceTable,
    /// Of a guest that imports nothing of it there is none; it would be made of
    /// nothing.
    wasi: Option<WasiCtx>,
    pub(crate) folders: Folders,
    pub(crate) access: Access,
    pub(crate) databases: Arc<dyn Databases>,
    pub(crate) calling: Calling,
    http: WasiHttpCtx,
    gate: HttpGate,
}

impl RunState {
    pub(crate) fn files(&mut self) -> GuardedView<'_> {
        let ctx = self.wasi.get_or_insert_with(nothing_of_wasi).filesystem();
        GuardedView { ctx, table: &mut self.table, folders: &self.folders, notes: &self.notes }
    }
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_with(nothing_of_wasi), table: &mut self.table }
    }
}

impl WasiHttpView for RunState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.gate }
    }
}

fn nothing_of_wasi() -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    crate::imports::refuse_sockets(&mut wasi);
    wasi.build()
}

impl Host {
    /// A host; makes its cache folder, compiles nothing.
    ///
    /// # Errors
    ///
    /// [`HostError::Host`] where the folder cannot be made.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let fence = config.cache.join("fence");
        std::fs::create_dir_all(&fence).map_err(|error| HostError::io("the cache folder cannot be made", &error))?;
        let loader = Loader::new(Cache::new(&config.cache), Preparer { binary: config.preparer }, config.notice);
        Ok(Self { loader, wire: config.wire, clock: config.clock, permits: Permits::new(), fence })
    }

    /// The way to the network.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// What a program is: its shape, functions and imports. Compiles it where
    /// that has not been done.
    ///
    /// # Errors
    ///
    /// [`HostError`] where it is no program that this host runs.
    pub async fn inspect(&self, program: &Program) -> Result<Inspection, HostError> {
        if program.format.is_script() {
            self.loader.script(program).await?;
            return Ok(Inspection { shape: Shape::Script, functions: Vec::new(), imports: Vec::new() });
        }
        // To be sure that it can be loaded, not only described.
        drop(self.loader.component(program, EngineKind::Epoch).await?);
        Ok(self.loader.described(program).await?.inspection.clone())
    }

    /// What a component or module says of itself. Prepares it where that has not
    /// been done; a script has its header instead, and nothing here.
    ///
    /// # Errors
    ///
    /// [`HostError`] where it is no program that this host runs.
    pub async fn described(&self, program: &Program) -> Result<Option<Arc<Described>>, HostError> {
        if program.format.is_script() { Ok(None) } else { self.loader.described(program).await.map(Some) }
    }

    /// The same, where it is kept from an earlier time; nothing is prepared.
    #[must_use]
    pub fn known_description(&self, digest: &Digest) -> Option<Arc<Described>> {
        self.loader.known_description(digest)
    }

    /// Which door of a program is meant by a function's name or its absence.
    /// `fuel` tells for which engine the program is about to be run.
    ///
    /// # Errors
    ///
    /// [`HostError`] where there is no such door, or no such program.
    pub async fn entry(&self, program: &Program, function: Option<&str>, args: &[String], fuel: bool) -> Result<Entry, HostError> {
        if program.format.is_script() {
            return match (function, args) {
                (None, []) => {
                    // Its first compilation belongs here, before a run begins.
                    self.loader.interpreter(engine_kind(fuel)).await?;
                    Ok(Entry::Script)
                }
                (Some(_), _) => Err(HostError::NoEntry("a script has no functions to name: it is run as a whole".to_owned())),
                (None, _) => Err(HostError::NoEntry("a script takes params, no arguments: use `--param NAME=VALUE`".to_owned())),
            };
        }
        let loaded = self.loader.component(program, engine_kind(fuel)).await?;
        loaded.doors.entry(function, args)
    }

    /// The params of a function that are text, so that what was typed for them
    /// is not read as JSON.
    ///
    /// # Errors
    ///
    /// [`HostError`] where there is no such function.
    pub async fn text_params(&self, program: &Program, function: &str, fuel: bool) -> Result<Vec<String>, HostError> {
        let loaded = self.loader.component(program, engine_kind(fuel)).await?;
        loaded.doors.text_params(function)
    }

    /// Whether instances come from a pool, rather than being made on demand
    /// for want of address space.
    ///
    /// # Errors
    ///
    /// [`HostError::Host`] where there is no sandbox at all.
    pub fn allocation(&self) -> Result<bool, HostError> {
        Ok(self.loader.engines.sandbox(EngineKind::Epoch)?.pooled)
    }

    async fn run_plan(&self, plan: &Plan, lent: Lent) -> Outcome {
        let limits = &plan.resolved().limits;
        let notes = Arc::new(Notes::new(lent.witness, lent.credentials, self.clock.clone(), limits.log_bytes));
        let mut run = Run {
            host: self,
            plan,
            notes,
            stdout: None,
            lines: Vec::new(),
            usage: Usage::default(),
            changes: Vec::new(),
            databases: lent.databases,
            calls: lent.calls,
        };
        let deadline = limits.deadline;
        let mut cancelled = lent.cancelled;
        let loaded = tokio::select! {
            biased;
            () = &mut cancelled => Err(was_cancelled()),
            loaded = run.load() => loaded.map_err(HostError::into_failure),
        };
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(failure) => return run.outcome(Err(failure)),
        };
        let mut clock = Stopwatch::default();
        let end = Instant::now() + deadline;
        let ending = {
            let running = Stopwatched { run: pin!(run.execute(&loaded, lent.state, end)), clock: &mut clock, end };
            tokio::select! {
                biased;
                () = cancelled => Err(was_cancelled()),
                ended = tokio::time::timeout(deadline, running) => {
                    ended.ok().flatten().unwrap_or_else(|| Err(Failure::new(
                        FailureKind::Deadline,
                        format!("`{}` ran longer than its {} deadline", plan.resolved().program.name, DurationText(deadline)),
                    )))
                }
            }
        };
        run.usage.cpu_us = clock.micros();
        run.outcome(ending)
    }
}

impl Runner for Host {
    fn run(&self, plan: Arc<Plan>, lent: Lent) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            // Queued runs wait here, without a deadline: it is theirs to use
            // once they run.
            let mut lent = lent;
            let permit = tokio::select! {
                permit = self.permits.of(lent.depth).acquire() => permit,
                // One that was called ends with its caller, wherever it waits.
                () = &mut lent.cancelled, if lent.depth > 0 => return failed(was_cancelled()),
            };
            let Ok(_permit) = permit else { return broken("the host is shutting down") };
            self.run_plan(&plan, lent).await
        })
    }
}

/// Who may run at once. Whoever was called takes no permit of those that were not:
/// its first caller has one, and waits for it.
struct Permits {
    own: Semaphore,
    /// By depth, from 1 on.
    called: Vec<Semaphore>,
}

impl Permits {
    fn new() -> Self {
        let called = (0..MAX_CALL_DEPTH).map(|_| Semaphore::new(MAX_PARALLEL_CALLED as usize)).collect();
        Self { own: Semaphore::new(MAX_PARALLEL_RUNS as usize), called }
    }

    fn of(&self, depth: u32) -> &Semaphore {
        let deeper = usize::try_from(depth).ok().and_then(|depth| depth.checked_sub(1));
        deeper.and_then(|index| self.called.get(index)).unwrap_or(&self.own)
    }
}

fn was_cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "the execution was cancelled")
}

fn broken(why: &str) -> Outcome {
    failed(Failure::new(FailureKind::Host, why))
}

fn failed(failure: Failure) -> Outcome {
    Outcome { ending: Err(failure), partial_output: None, usage: Usage::default(), state_changes: Vec::new(), redactions: 0 }
}

pub(crate) const fn engine_kind(fuel: bool) -> EngineKind {
    if fuel { EngineKind::Fuel } else { EngineKind::Epoch }
}

/// What a plan's program became: code, and where that is the interpreter, the
/// script that it is given.
struct LoadedProgram {
    loaded: Arc<Loaded>,
    script: Option<Arc<str>>,
}

/// One run, from its plan to its outcome.
struct Run<'a> {
    host: &'a Host,
    plan: &'a Plan,
    notes: Arc<Notes>,
    /// What a command writes to its standard output; outlives the store, so
    /// that the output of a run that ends badly is kept.
    stdout: Option<Capture>,
    /// What becomes log lines; outlives the store, because a last line without
    /// a line break is said when the run is over.
    lines: Vec<Capture>,
    usage: Usage,
    changes: Vec<(String, Option<String>)>,
    databases: Arc<dyn Databases>,
    calls: Arc<dyn Calls>,
}

impl Run<'_> {
    async fn execute(&mut self, program: &LoadedProgram, source: Arc<dyn StateSource>, end: Instant) -> Result<Output, Failure> {
        let LoadedProgram { loaded, script } = program;
        let state = self.load_state(source).await?;
        let ticking = loaded.sandbox.ticking();
        if !ticking.works() {
            return Err(Failure::new(FailureKind::Host, "no thread could be started that ends a spinning program"));
        }
        let mut store = self.store(loaded, state, end)?;
        let ended = call::call(&mut store, loaded, self.plan.resolved(), script.as_deref(), self.stdout.as_ref()).await;
        self.settle_store(store, ended)
    }

    async fn load(&self) -> Result<LoadedProgram, HostError> {
        let plan = self.plan.resolved();
        let (loader, kind) = (&self.host.loader, engine_kind(plan.limits.fuel.is_some()));
        match plan.program.format {
            Format::JavaScript | Format::TypeScript => {
                let script = Some(loader.script(&plan.program).await?);
                Ok(LoadedProgram { loaded: loader.interpreter(kind).await?, script })
            }
            Format::Component | Format::Module => Ok(LoadedProgram { loaded: loader.component(&plan.program, kind).await?, script: None }),
        }
    }

    async fn load_state(&self, source: Arc<dyn StateSource>) -> Result<Option<StateView>, Failure> {
        let Some(quota) = self.plan.access().state else { return Ok(None) };
        match source.load().await {
            Ok(entries) => Ok(Some(StateView::new(quota, entries))),
            Err(fault) => Err(Failure::new(FailureKind::Host, format!("the state cannot be read: {fault}"))),
        }
    }

    fn store(&mut self, loaded: &Loaded, state: Option<StateView>, end: Instant) -> Result<Store<RunState>, Failure> {
        let limits = &self.plan.resolved().limits;
        let (wasi, folders) = self.wasi(&loaded.doors)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let http_limits =
            HttpLimits { max_requests: limits.http_requests, max_request_body: limits.http_body, max_response_body: limits.http_body };
        let access = Arc::new(self.plan.access().network());
        let run = GateRun { witness: self.notes.clone(), credentials: self.notes.credentials().clone() };
        let gate = HttpGate::new(self.host.wire.clone(), access, run, http_limits);
        let run = RunState {
            notes: self.notes.clone(),
            state,
            ledger: Ledger::new(limits.memory),
            table,
            wasi,
            folders,
            access: self.plan.access().clone(),
            databases: self.databases.clone(),
            calling: Calling::new(self.calls.clone(), end),
            http: crate::imports::requests::context(),
            gate,
        };
        let mut store = Store::new(&loaded.sandbox.engine, run);
        store.limiter(|run| &mut run.ledger);
        store.set_hostcall_fuel(usize::try_from(HOSTCALL_BYTES).unwrap_or(usize::MAX));
        let metered = match (loaded.sandbox.kind, limits.fuel) {
            (EngineKind::Epoch, _) => {
                store.set_epoch_deadline(1);
                store.epoch_deadline_async_yield_and_update(1);
                Ok(())
            }
            (EngineKind::Fuel, fuel) => store.set_fuel(fuel.unwrap_or(0)).and_then(|()| store.fuel_async_yield_interval(Some(FUEL_SLICE))),
        };
        metered.map_err(|error| Failure::new(FailureKind::Host, format!("{error:#}")))?;
        Ok(store)
    }

    /// Only what was granted: no variable, argument or stream of our own.
    fn wasi(&mut self, doors: &Doors) -> Result<(Option<WasiCtx>, Folders), Failure> {
        let (resolved, granted) = (self.plan.resolved(), &self.plan.access().folders);
        if !doors.sees_wasi && granted.is_empty() && matches!(resolved.entry, Entry::Function(_)) {
            return Ok((None, Folders::default()));
        }
        let mut wasi = WasiCtxBuilder::new();
        wasi.max_random_size(MAX_RANDOM_BYTES);
        // A program that reads its key from the environment finds the
        // placeholder there, whatever else goes by that name.
        let assigned = self.notes.credentials().assigned();
        for credential in &assigned {
            wasi.env(credential.name.as_str(), &credential.placeholder);
        }
        let taken = |name: &str| assigned.iter().any(|credential| credential.name.as_str() == name);
        for name in self.plan.access().env.iter().filter(|name| !taken(name.as_str())) {
            if let Some(value) = resolved.input.env.get(name.as_str()) {
                wasi.env(name.as_str(), value);
            }
        }
        let stderr = self.said_as(Level::Warn);
        wasi.stderr(stderr);
        if let Entry::Command { args } = &resolved.entry {
            wasi.arg(&resolved.program.name).args(args);
            wasi.stdin(MemoryInputPipe::new(resolved.input.stdin.clone()));
            let stdout = Capture::keeping(resolved.limits.output_bytes, self.notes.redactor());
            self.stdout = Some(stdout.clone());
            wasi.stdout(stdout);
        } else {
            wasi.stdout(self.said_as(Level::Info));
        }
        crate::imports::refuse_sockets(&mut wasi);
        if granted.is_empty() && !doors.sees_folders {
            return Ok((Some(wasi.build()), Folders::default()));
        }
        Folders::open(wasi, granted, &self.host.fence)
            .map(|(wasi, folders)| (Some(wasi), folders))
            .map_err(|(name, error)| Failure::new(FailureKind::Denied, format!("the folder `{name}` cannot be opened: {error}")))
    }

    fn said_as(&mut self, level: Level) -> Capture {
        let capture = Capture::lines(self.notes.clone(), level);
        self.lines.push(capture.clone());
        capture
    }

    /// What is left in a store whose guest ended by itself.
    fn settle_store(&mut self, store: Store<RunState>, ended: Result<Output, wasmtime::Error>) -> Result<Output, Failure> {
        let limits = &self.plan.resolved().limits;
        let fuel_left = store.get_fuel().ok();
        self.usage.fuel = limits.fuel.map(|budget| budget.saturating_sub(fuel_left.unwrap_or(0)));
        let run = store.into_data();
        self.usage.peak_memory = run.ledger.peak();
        let changes = run.state.map(StateView::into_changes).unwrap_or_default();
        let ended = ended.and_then(|output| self.keep_state(changes).map(|()| output));
        let script = self.plan.resolved().entry == Entry::Script;
        ended.map_err(|error| {
            ending::explain(&error, &ending::Facts { memory_refused: run.ledger.refused(), limits, script, redact: self.notes.redactor() })
        })
    }

    /// State without values. A program that was never shown one must not learn
    /// from its next run which of its guesses was removed: it keeps nothing.
    fn keep_state(&mut self, changes: Vec<(String, Option<String>)>) -> Result<(), wasmtime::Error> {
        let clean = ending::clean_changes(&changes, self.notes.redactor());
        let shown = self.plan.access().credentials.iter().any(|scope| scope.uses.contains(&CredentialUse::Reveal));
        let quota = usize::try_from(self.plan.access().state.unwrap_or(0)).unwrap_or(usize::MAX);
        let size: usize = clean.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, String::len)).sum();
        if clean != changes && (!shown || size > quota) {
            let message = "the state would hold the value of a credential, and was not kept";
            return Err(wasmtime::Error::new(call::Ended(Failure::new(FailureKind::Denied, message))));
        }
        self.changes = clean;
        Ok(())
    }

    fn outcome(mut self, ending: Result<Output, Failure>) -> Outcome {
        for lines in &self.lines {
            lines.finish();
        }
        let (stdout, cut) = self.stdout.as_ref().map(Capture::finish).unwrap_or_default();
        let summary = self.notes.summary();
        self.usage.output_truncated |= cut;
        self.usage.log_truncated = summary.log_truncated;
        self.usage.hosts = summary.hosts;
        self.usage.refusals = summary.refusals;
        let redact = self.notes.redactor();
        let ending = match summary.fault {
            Some(fault) => Err(Failure::new(FailureKind::Host, fault.to_string())),
            None => ending,
        };
        let (ending, partial_output) = match ending {
            Ok(output) => match ending::cap(ending::without_values(output, redact), self.plan.resolved().limits.output_bytes) {
                Ok(output) => (Ok(output), None),
                Err(failure) => (Err(failure), None),
            },
            Err(failure) => (Err(failure), (!stdout.is_empty()).then(|| ending::without_values(call::parse_output(stdout), redact))),
        };
        Outcome { ending, partial_output, usage: self.usage, state_changes: self.changes, redactions: redact.count() }
    }
}

/// A turn that lasts no longer is taken for processor time as a whole: asking the
/// kernel for that of a thread, twice, costs as much as such a run.
const SHORT_TURN: Duration = Duration::from_millis(1);

/// Processor time of a run's turns.
#[derive(Default)]
struct Stopwatch {
    used: Duration,
}

/// The beginning of a turn.
struct Turn {
    begun: Instant,
    asked: Duration,
}

thread_local! {
    /// This thread's processor time, as of the last turn here that lasted.
    static ASKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

impl Turn {
    fn begin() -> Self {
        Self { begun: Instant::now(), asked: ASKED.get() }
    }
}

impl Stopwatch {
    /// Of a turn that lasted, what the thread used since it was last asked, which is
    /// more than this turn did where shorter ones came between, and no more than the
    /// turn took: others may have had the processor meanwhile.
    fn end(&mut self, turn: &Turn, now: Instant) {
        let took = now.duration_since(turn.begun);
        self.used += if took < SHORT_TURN {
            took
        } else {
            let used = thread_time();
            ASKED.set(used);
            took.min(used.saturating_sub(turn.asked))
        };
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.used.as_micros()).unwrap_or(u64::MAX)
    }
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

struct Stopwatched<'a, F> {
    run: Pin<&'a mut F>,
    clock: &'a mut Stopwatch,
    /// The deadline. A timer fires only when some thread of the runtime gets to
    /// look at it, which takes a while where all of them have spinning guests
    /// to turn to; a guest that yields at its deadline ends there and then.
    end: Instant,
}

impl<F: Future> Future for Stopwatched<'_, F> {
    /// `None`: it is past its deadline.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let turn = Turn::begin();
        let polled = self.run.as_mut().poll(context);
        let now = Instant::now();
        self.clock.end(&turn, now);
        match polled {
            Poll::Pending if now >= self.end => Poll::Ready(None),
            polled => polled.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses so much processor time, however long it takes.
    fn spin(time: Duration) {
        let begin = thread_time();
        while thread_time() - begin < time {}
    }

    fn used(turn: &Turn) -> Duration {
        let mut clock = Stopwatch::default();
        clock.end(turn, Instant::now());
        clock.used
    }

    #[test]
    fn a_turn_that_waits_uses_no_processor_and_one_that_spins_does() {
        // What came before is no turn's.
        spin(SHORT_TURN * 20);
        ASKED.set(thread_time());
        let waits = Turn::begin();
        std::thread::sleep(SHORT_TURN * 20);
        let waited = used(&waits);
        assert!(waited < SHORT_TURN * 10, "{waited:?}");
        // A turn within a turn is of both.
        let (before, outer) = (ASKED.get(), Turn::begin());
        spin(SHORT_TURN * 20);
        let inner = Turn::begin();
        spin(SHORT_TURN * 20);
        let (inner, outer) = (used(&inner), used(&outer));
        assert!(inner >= SHORT_TURN * 20 && outer >= SHORT_TURN * 40 && outer <= thread_time() - before, "{inner:?} in {outer:?}");
    }

    #[test]
    fn a_turn_uses_no_more_than_it_takes() {
        let mut clock = Stopwatch::default();
        let begun = Instant::now();
        let turn = Turn { begun, asked: Duration::ZERO };
        clock.end(&turn, begun + Duration::from_micros(7));
        assert_eq!(clock.micros(), 7);
        // However much its thread used since somebody asked.
        spin(SHORT_TURN * 2);
        clock.end(&turn, begun + SHORT_TURN);
        assert_eq!(clock.used, Duration::from_micros(7) + SHORT_TURN);
    }
}
