//! The two wasmtime engines and the tick that ends what spins.
//!
//! Epochs in the ordinary engine, fuel in the second one: running both meters
//! in one engine costs two to three times what either costs. Both engines and
//! the compiling child share [`base_config`], so that code compiled in the
//! child fits here.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wardroom_core::call::MAX_CALL_DEPTH;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::HostError;
use crate::run::RunState;

/// How often a spinning guest is interrupted so that others get their turn and
/// its deadline is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// Ticks without a run after which the thread sleeps.
const LINGER: u32 = 20;
/// Fuel after which a guest yields: a few milliseconds of plain instructions.
pub(crate) const FUEL_SLICE: u64 = 5_000_000;
/// Runs at once in one process; each needs a slot of the pool.
pub const MAX_PARALLEL_RUNS: u32 = 64;
/// Called executions at once in one process, of those that are equally deep. One
/// that has its place waits only for deeper ones, and the deepest for none; whoever
/// lends calls lets none of them wait for another's turn. So however many wait for
/// what they called, something goes on.
pub(crate) const MAX_PARALLEL_CALLED: u32 = 16;
/// Instances at once.
const PLACES: u32 = MAX_PARALLEL_RUNS + MAX_CALL_DEPTH * MAX_PARALLEL_CALLED;
/// Memories and tables of one component. Real components have one or two; a
/// component of a hundred memories would empty the pool for everybody.
const MEMORIES_PER_COMPONENT: u32 = 8;
const TABLES_PER_COMPONENT: u32 = 16;
const CORE_INSTANCES_PER_COMPONENT: u32 = 40;
/// Elements of one table: an interpreter's function table has some 10,000.
const TABLE_ELEMENTS: usize = 100_000;
/// Bytes of bookkeeping for one instance, for interpreters.
const INSTANCE_BYTES: usize = 10 << 20;
/// Bytes of a slot kept mapped after a run, so that the next one does not
/// fault its pages in again.
const MEMORY_KEPT: usize = 2 << 20;
const TABLES_KEPT: usize = 512 << 10;
/// What a short run uses of its stack, and what each run pays to clear. One that goes
/// deeper takes fresh pages.
const STACK_KEPT: usize = 4 << 10;

/// Bytes of stack for a guest's own frames, and for host calls above them.
const WASM_STACK: usize = 2 << 20;
const HOST_STACK: usize = 1 << 20;

/// Which meter ends a run that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// A tick and the deadline: the ordinary case.
    Epoch,
    /// A fuel budget, and the deadline.
    Fuel,
}

impl EngineKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Fuel => "fuel",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Epoch, Self::Fuel].into_iter().find(|kind| kind.name() == name)
    }
}

/// What decides over compiled code, without how instances are allocated.
pub(crate) fn base_config(kind: EngineKind) -> Config {
    let mut config = Config::new();
    // Guests of WASI 0.3 want an engine of their own; without its machinery a
    // run costs about a third less.
    config.concurrency_support(false);
    match kind {
        EngineKind::Epoch => config.epoch_interruption(true),
        EngineKind::Fuel => config.consume_fuel(true),
    };
    // Deep recursion is usual in scripts; QuickJS's own check ends them before
    // this does. The fiber's stack has room for host calls above it.
    config.max_wasm_stack(WASM_STACK).async_stack_size(WASM_STACK + HOST_STACK);
    // What one run left on its stack must not be there for the next.
    config.async_stack_zeroing(true);
    config
}

/// The same, with instances out of a pool.
pub(crate) fn pooled_config(kind: EngineKind) -> Config {
    let mut config = base_config(kind);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

/// An engine with everything linked.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<RunState>,
    pub(crate) kind: EngineKind,
    /// Instances come from a pool.
    pub(crate) pooled: bool,
    ticker: Ticker,
}

impl Sandbox {
    fn new(kind: EngineKind) -> Result<Self, HostError> {
        // A machine with less address space (a container's limit) cannot
        // reserve the pool; instances on demand are slower and otherwise equal.
        let pooled = Engine::new(&pooled_config(kind)).ok();
        let (engine, pooled) = match pooled {
            Some(engine) => (engine, true),
            None => (Engine::new(&base_config(kind)).map_err(|error| HostError::engine(&error))?, false),
        };
        let linker = crate::imports::linker(&engine).map_err(|error| HostError::engine(&error))?;
        let ticker = Ticker::start(engine.weak());
        Ok(Self { engine, linker, kind, pooled, ticker })
    }

    /// Whatever compiled code must agree on, as a number.
    pub(crate) fn compatibility(&self) -> u64 {
        compatibility(&self.engine)
    }

    /// Keeps the tick going while it lives.
    pub(crate) fn ticking(&self) -> Ticking<'_> {
        self.ticker.hold()
    }
}

pub(crate) fn compatibility(engine: &Engine) -> u64 {
    // `DefaultHasher::new` has fixed keys: equal in every process of a build.
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(PLACES)
        .total_stacks(PLACES)
        .total_core_instances(PLACES * CORE_INSTANCES_PER_COMPONENT)
        .total_memories(PLACES * MEMORIES_PER_COMPONENT)
        .total_tables(PLACES * TABLES_PER_COMPONENT)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .table_elements(TABLE_ELEMENTS)
        // Above what the ledger allows, so that the ledger is what refuses.
        .max_memory_size(4 << 30)
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLES_KEPT)
        .async_stack_keep_resident(STACK_KEPT)
        // Where the kernel can tell which pages were written, only those are
        // cleared after a run.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Both engines, each made when first needed.
#[derive(Default)]
pub(crate) struct Engines {
    epoch: OnceLock<Arc<Sandbox>>,
    fuel: OnceLock<Arc<Sandbox>>,
}

impl Engines {
    pub(crate) fn sandbox(&self, kind: EngineKind) -> Result<Arc<Sandbox>, HostError> {
        let cell = match kind {
            EngineKind::Epoch => &self.epoch,
            EngineKind::Fuel => &self.fuel,
        };
        if let Some(sandbox) = cell.get() {
            return Ok(sandbox.clone());
        }
        let made = Arc::new(Sandbox::new(kind)?);
        Ok(cell.get_or_init(|| made).clone())
    }
}

/// The thread that advances the epoch. It sleeps while nothing runs, so that an
/// idle process wakes up for nothing, but not between short runs that follow each
/// other: waking it would cost more than they do. It ends with its engine.
struct Ticker {
    running: Arc<AtomicUsize>,
    thread: Option<std::thread::Thread>,
}

impl Ticker {
    fn start(engine: EngineWeak) -> Self {
        let running = Arc::new(AtomicUsize::new(0));
        let seen = running.clone();
        let spawned = std::thread::Builder::new().name("wardroom-tick".to_owned()).spawn(move || {
            let mut idle = 0;
            loop {
                idle = if seen.load(Ordering::Acquire) == 0 { idle + 1 } else { 0 };
                if idle > LINGER {
                    std::thread::park();
                    idle = 0;
                } else {
                    std::thread::sleep(TICK);
                }
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        });
        // Without a thread no epoch ends: `hold` says so by a missing handle,
        // and the run is refused.
        Self { running, thread: spawned.ok().map(|handle| handle.thread().clone()) }
    }

    fn hold(&self) -> Ticking<'_> {
        if self.running.fetch_add(1, Ordering::AcqRel) == 0
            && let Some(thread) = &self.thread
        {
            thread.unpark();
        }
        Ticking(self)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// While one lives, the epoch advances.
pub(crate) struct Ticking<'a>(&'a Ticker);

impl Ticking<'_> {
    /// The tick really runs.
    pub(crate) fn works(&self) -> bool {
        self.0.thread.is_some()
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
