//! The assistant's door: a warm typed call over standard input and output, with
//! its durable record, against a tool of the same library that does nothing and
//! records nothing; the first list of a fresh process; memory after many calls.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ErrorData, ServiceExt as _};
use serde_json::{Value, json};
use wardroom::Wardroom;
use wardroom_host::Silent;

use super::{Effort, serving};
use crate::bare::{BareRows, BareWasmtime, Door};
use crate::measure::{Samples, interleaved, time};
use crate::process::wardroom;
use crate::report::Row;
use crate::{Failed, subject};

/// Of the median of a call, by the bare tool's.
const CALL_BUDGET: f64 = 1.7;
/// Milliseconds from starting a process to having read its list.
const LIST_BUDGET: f64 = 50.0;
/// MiB resident after all the calls.
const MEMORY_BUDGET: f64 = 60.0;
/// The hidden argument that makes this program the bare server.
pub(crate) const BARE: &str = "__bare-mcp";
/// The same, which does before each answer what a recorded call cannot do without:
/// the same component on bare wasmtime, and two rows of bare SQLite.
pub(crate) const BARE_WITH_ROWS: &str = "__bare-mcp-with-rows";
/// The same with one line at the end of a file instead of the rows.
pub(crate) const BARE_WITH_LINE: &str = "__bare-mcp-with-line";
/// Bytes of that line: of a short execution's entry in our journal.
const LINE: [u8; 611] = [b'x'; 611];
/// The tool that is called.
const TOOL: &str = "plugin-0__nothing";
/// Tools of the list, each of a plugin of its own.
const LISTED: usize = 100;
/// Calls at once, where there are several.
const IN_FLIGHT: usize = 8;
/// Calls until a server is warm.
const WARM: usize = 200;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let folder = tempfile::tempdir()?;
    expose(folder.path(), LISTED)?;
    let mut rows = calls(folder.path(), effort)?;
    rows.push(list(folder.path(), effort)?);
    rows.push(memory(folder.path(), effort.rounds(2000, 100_000))?);
    Ok(rows)
}

/// One call after the other, and several at once.
fn calls(folder: &Path, effort: Effort) -> Result<Vec<Row>, Failed> {
    let ours = || Client::of_wardroom(folder);
    let (rounds, count) = (effort.rounds(3, 21), effort.rounds(200, 1000));
    let mut rows = Vec::new();
    for at_once in [1, IN_FLIGHT] {
        let (mut slow, mut bare_slow) = (Vec::new(), Vec::new());
        let pair = interleaved(
            rounds,
            || median(fresh(ours, TOOL, count, at_once)?, &mut slow),
            || median(fresh(|| Client::of_bare(BARE), "noop", count, at_once)?, &mut bare_slow),
        )?;
        let what = if at_once == 1 { "a typed call, one after the other".to_owned() } else { format!("a typed call, {at_once} in flight") };
        let (slow, bare_slow) = (Samples::new(slow).median(), Samples::new(bare_slow).median());
        let yardstick = format!("bare (p99 {} : {})", time(slow), time(bare_slow));
        rows.push(Row::ratio("mcp", format!("{what}, p50"), &pair, &yardstick, Some(CALL_BUDGET)));
        // What the work costs, whoever does it: no budget, but most of the distance.
        for (record, bare) in [("two bare rows", BARE_WITH_ROWS), ("one bare line", BARE_WITH_LINE)] {
            let beside = interleaved(
                rounds,
                || Ok(Samples::new(fresh(ours, TOOL, count, at_once)?).median()),
                || Ok(Samples::new(fresh(|| Client::of_bare(bare), "noop", count, at_once)?).median()),
            )?;
            let what = format!("{what}, beside a bare tool with bare wasmtime and {record}");
            rows.push(Row::ratio("mcp", what, &beside, "bare with both", None));
        }
    }
    Ok(rows)
}

/// Calls of a server that is started for them, after some that are not counted. Each
/// round has its own: where the kernel puts a process makes a call half as long again,
/// and it leaves it there.
fn fresh(start: impl Fn() -> Result<Client, Failed>, tool: &str, count: usize, at_once: usize) -> Result<Vec<f64>, Failed> {
    let mut client = start()?;
    drop(client.calls(tool, WARM, at_once)?);
    client.calls(tool, count, at_once)
}

/// The median of a round; its 99th percentile is kept beside it.
fn median(seconds: Vec<f64>, slow: &mut Vec<f64>) -> Result<f64, Failed> {
    let seconds = Samples::new(seconds);
    slow.push(seconds.quantile(0.99));
    Ok(seconds.median())
}

/// From starting a process to its list of tools.
fn list(folder: &Path, effort: Effort) -> Result<Row, Failed> {
    let mut times = Vec::new();
    for _ in 0..effort.rounds(3, 21) {
        let begin = Instant::now();
        let mut client = Client::of_wardroom(folder)?;
        let listed = client.request("tools/list", json!({}))?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        let tools = listed.get("tools").and_then(Value::as_array).map_or(0, Vec::len);
        if tools < LISTED {
            return Err(format!("{tools} tools were listed of {LISTED}").into());
        }
    }
    let times = Samples::new(times);
    let words = format!("median {:.1} ms, at most {:.1} ms", times.median(), times.quantile(1.0));
    Ok(Row::figure("mcp", format!("the first list of a fresh process, {LISTED} typed tools"), words, &times, ("ms", Some(LIST_BUDGET))))
}

/// What a server holds after many calls.
fn memory(folder: &Path, count: usize) -> Result<Row, Failed> {
    let mut client = Client::of_wardroom(folder)?;
    drop(client.calls(TOOL, count / 5, IN_FLIGHT)?);
    let early = client.resident()?;
    drop(client.calls(TOOL, count - count / 5, IN_FLIGHT)?);
    let late = client.resident()?;
    let words = format!("{early:.1} MiB after a fifth, {late:.1} MiB after all");
    Ok(Row::figure("mcp", format!("resident memory after {count} calls"), words, &Samples::new(vec![late]), ("MiB", Some(MEMORY_BUDGET))))
}

/// Installs and exposes so many plugins of a component that does nothing.
fn expose(folder: &Path, plugins: usize) -> Result<(), Failed> {
    let program = folder.join("nothing.wasm");
    std::fs::write(&program, wat::parse_str(subject::NOTHING)?)?;
    let wardroom = Wardroom::open(&folder.join("home"), wardroom()?, Arc::new(Silent))?;
    serving()?.block_on(async {
        for number in 0..plugins {
            let name = format!("plugin-{number}");
            wardroom.install_plugin(wardroom.offer_of_file(&program)?, Some(&name)).await?;
            wardroom.expose_functions(&name, folder, &[]).await?;
        }
        Ok::<(), Failed>(())
    })
}

/// A server and the one who speaks to it, line by line.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: u64,
    line: String,
}

impl Client {
    fn of_wardroom(folder: &Path) -> Result<Self, Failed> {
        let mut command = Command::new(wardroom()?);
        command.arg("mcp").env("WARDROOM_HOME", folder.join("home"));
        Self::start(command)
    }

    fn of_bare(which: &str) -> Result<Self, Failed> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(which);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, Failed> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let input = child.stdin.take();
        let mut client = Self { child, input, output, next: 0, line: String::new() };
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "0" } });
        client.request("initialize", hello)?;
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(client)
    }

    fn send(&mut self, message: &Value) -> Result<(), Failed> {
        let mut text = message.to_string();
        text.push('\n');
        self.input.as_mut().ok_or("no standard input")?.write_all(text.as_bytes())?;
        Ok(())
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<u64, Failed> {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        Ok(id)
    }

    /// The next answer; what is no answer is passed over.
    fn answer(&mut self) -> Result<(u64, Value), Failed> {
        loop {
            self.line.clear();
            if self.output.read_line(&mut self.line)? == 0 {
                return Err("the server ended".into());
            }
            let mut message: Value = serde_json::from_str(&self.line)?;
            let Some(id) = message.get("id").and_then(Value::as_u64) else { continue };
            let failed = message.pointer("/result/isError").and_then(Value::as_bool).unwrap_or(false);
            let result = message.get_mut("result").map(Value::take).filter(|_| !failed);
            return Ok((id, result.ok_or_else(|| format!("the server answered an error: {}", self.line))?));
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Result<Value, Failed> {
        let id = self.ask(method, params)?;
        loop {
            let (answered, result) = self.answer()?;
            if answered == id {
                return Ok(result);
            }
        }
    }

    /// Seconds from asking to having read the answer, for each of so many calls.
    fn calls(&mut self, tool: &str, count: usize, at_once: usize) -> Result<Vec<f64>, Failed> {
        let (mut asked, mut waiting, mut seconds) = (0, HashMap::new(), Vec::with_capacity(count));
        while seconds.len() < count {
            while asked < count && waiting.len() < at_once {
                let begin = Instant::now();
                waiting.insert(self.ask("tools/call", json!({ "name": tool, "arguments": {} }))?, begin);
                asked += 1;
            }
            let (id, _) = self.answer()?;
            seconds.extend(waiting.remove(&id).map(|begin| begin.elapsed().as_secs_f64()));
        }
        Ok(seconds)
    }

    fn resident(&self) -> Result<f64, Failed> {
        crate::process::resident(self.child.id())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM).ok();
        drop(self.child.wait());
    }
}

/// A tool that does nothing and answers what ours answers at least; it may do bare
/// work.
struct Bare {
    work: Option<Work>,
}

struct Work {
    wasmtime: BareWasmtime,
    record: Record,
}

enum Record {
    Rows(Box<Mutex<BareRows>>),
    /// Of a file that is gone with the process.
    Line(File),
}

impl Work {
    fn new(record: Record) -> Result<Self, Failed> {
        let wasmtime = BareWasmtime::new(&wat::parse_str(subject::NOTHING)?, Door::Nothing)?;
        Ok(Self { wasmtime, record })
    }

    async fn once(&self) -> Result<(), String> {
        self.wasmtime.run().await.map_err(|error| error.to_string())?;
        match &self.record {
            Record::Rows(rows) => rows.lock().map_err(|error| error.to_string())?.write(1).map_err(|error| error.to_string()),
            Record::Line(file) => (&*file).write_all(&LINE).map_err(|error| error.to_string()),
        }
    }
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![Tool::new("noop", "Does nothing", Arc::new(serde_json::Map::new()))]))
    }

    async fn call_tool(&self, _: CallToolRequestParams, _: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        if let Some(work) = &self.work {
            work.once().await.map_err(|error| ErrorData::internal_error(error, None))?;
        }
        Ok(CallToolResult::structured(json!({ "result": null })).into())
    }
}

/// The bare server's whole life, with as many threads as ours.
pub(crate) fn bare(which: &str) -> ExitCode {
    let Ok(runtime) = serving() else { return ExitCode::FAILURE };
    let served = runtime.block_on(async {
        let work = match which {
            BARE_WITH_ROWS => Some(Work::new(Record::Rows(Box::new(Mutex::new(BareRows::new()?))))?),
            BARE_WITH_LINE => Some(Work::new(Record::Line(tempfile::tempfile()?))?),
            _ => None,
        };
        let running = Bare { work }.serve(stdio_pipes()).await?;
        running.waiting().await?;
        Ok::<(), Failed>(())
    });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
