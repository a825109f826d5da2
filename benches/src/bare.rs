//! The yardsticks: wasmtime and SQLite as anybody would use them who wants
//! speed and nothing else.

use rusqlite::{Connection, params};
use wasmtime::component::{Component, Func, InstancePre, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::Failed;

/// One engine, set as ours is, and one component on it, linked before.
pub(crate) struct BareWasmtime {
    engine: Engine,
    pre: InstancePre<BareState>,
    door: Door,
}

struct BareState {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for BareState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// What is called.
#[derive(Clone, Copy)]
pub(crate) enum Door {
    /// The exported function `nothing`.
    Nothing,
    /// `run` of the task interface, with params.
    Task,
}

const TASK: &str = "wardroom:automation/task@0.1.0";

impl BareWasmtime {
    pub(crate) fn new(component: &[u8], door: Door) -> Result<Self, Failed> {
        let engine = Engine::new(&wardroom_host::bench::config())?;
        let component = Component::new(&engine, component)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self { engine, pre, door })
    }

    /// Store, instance, call, drop.
    pub(crate) async fn run(&self) -> Result<(), Failed> {
        let state = BareState { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await?;
        match self.door {
            Door::Nothing => {
                let function = instance.get_typed_func::<(), ()>(&mut store, "nothing")?;
                function.call_async(&mut store, ()).await?;
            }
            Door::Task => {
                let interface = instance.get_export_index(&mut store, None, TASK);
                let run = instance.get_export_index(&mut store, interface.as_ref(), "run").ok_or("the guest is no task")?;
                let run: Func = instance.get_func(&mut store, run).ok_or("the guest is no task")?;
                let mut result = [Val::Bool(false)];
                run.call_async(&mut store, &[Val::String("{}".to_owned())], &mut result).await?;
            }
        }
        Ok(())
    }
}

/// A table with what an execution's record holds, its key and no other index.
pub(crate) struct BareRows {
    connection: Connection,
    written: u64,
    _folder: tempfile::TempDir,
}

/// Executions in one transaction.
const GROUP: u64 = 64;

impl BareRows {
    pub(crate) fn new() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let connection = Connection::open(folder.path().join("bare.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
            PRAGMA synchronous = NORMAL;
            CREATE TABLE executions (
                serial INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
                created_ms INTEGER NOT NULL, finished_ms INTEGER, subject TEXT NOT NULL, digest TEXT NOT NULL,
                holder TEXT, limits TEXT NOT NULL, access TEXT NOT NULL, params TEXT NOT NULL, result TEXT) STRICT",
        )?;
        Ok(Self { connection, written: 0, _folder: folder })
    }

    /// A start row and a finish row for so many executions, in groups.
    pub(crate) fn write(&mut self, executions: u64) -> Result<(), Failed> {
        const LIMITS: &str = r#"{"deadline_ms":300000,"memory":67108864,"fuel":null,"log_bytes":1048576,"output_bytes":1048576,"http_requests":1000,"http_body":67108864}"#;
        const ACCESS: &str = r#"{"net":[],"folders":[],"env":[],"state":null}"#;
        let end = self.written + executions;
        while self.written < end {
            let group = self.connection.transaction()?;
            for number in self.written..end.min(self.written + GROUP) {
                let id = format!("01890000-0000-7000-8000-{number:012x}");
                let digest = format!("sha256:{number:064x}");
                let mut start = group.prepare_cached(
                    "INSERT INTO executions (id, status, created_ms, subject, digest, holder, limits, access, params)
                    VALUES (?, 'running', ?, 'noop.wasm', ?, '4711-0123456789ab', ?, ?, '{}')",
                )?;
                start.execute(params![id, 1_800_000_000_000_i64, digest, LIMITS, ACCESS])?;
                let mut finish =
                    group.prepare_cached("UPDATE executions SET status = 'success', finished_ms = ?, result = 'true' WHERE id = ?")?;
                finish.execute(params![1_800_000_000_001_i64, id])?;
            }
            group.commit()?;
            self.written = end.min(self.written + GROUP);
        }
        Ok(())
    }
}
