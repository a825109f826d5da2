//! Preparing hostile bytes: adapting core modules, compiling components and
//! reading what they say of themselves, stripping types off TypeScript — in a child process with limits, because
//! neither compilers nor parsers are built against hostile input.
//!
//! The child is this same program called with [`CHILD_ARGUMENT`]; it reads the
//! job from its standard input and writes the answer to its standard output.
//!
//! ```text
//!  parent ── spawn ──▶ child: set limits on itself
//!         ── bytes ──▶        work
//!         ◀─ 0 payload ─      or  1 HostError as JSON
//! ```

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use swc_common::SourceMap;
use swc_common::errors::{HANDLER, Handler};
use swc_common::sync::Lrc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wardroom_core::limit::{MAX_COMPILE_CPU_SECONDS, MAX_COMPILE_MEMORY};
use wardroom_core::program::Format;
use wasmtime::Engine;

use crate::describe;
use crate::engine::{self, EngineKind};
use crate::error::HostError;

/// The hidden argument that makes the binary a preparing child.
pub const CHILD_ARGUMENT: &str = "__prepare";
/// Wall-clock time of one job: the processor time that it may take, doubled
/// for a busy machine.
const WALL_TIME: Duration = Duration::from_secs(2 * MAX_COMPILE_CPU_SECONDS);
/// Bytes of a child's answer: compiled code is up to six times its source.
const MAX_ANSWER: u64 = 512 << 20;

/// What is to be done with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Compile a component for an engine.
    Component(EngineKind),
    /// Make a component of a core module, then compile it.
    Module(EngineKind),
    /// Strip the types.
    TypeScript,
}

impl Job {
    pub(crate) const fn of(format: Format, kind: EngineKind) -> Option<Self> {
        match format {
            Format::Component => Some(Self::Component(kind)),
            Format::Module => Some(Self::Module(kind)),
            Format::TypeScript => Some(Self::TypeScript),
            Format::JavaScript => None,
        }
    }

    fn argument(self) -> String {
        match self {
            Self::Component(kind) => format!("component-{}", kind.name()),
            Self::Module(kind) => format!("module-{}", kind.name()),
            Self::TypeScript => "typescript".to_owned(),
        }
    }

    fn parse(argument: &str) -> Option<Self> {
        match argument.split_once('-') {
            None if argument == "typescript" => Some(Self::TypeScript),
            Some(("component", kind)) => EngineKind::parse(kind).map(Self::Component),
            Some(("module", kind)) => EngineKind::parse(kind).map(Self::Module),
            _ => None,
        }
    }

    /// The work itself; in the child only. A component's answer is a
    /// [`Prepared`].
    pub(crate) fn work(self, bytes: &[u8]) -> Result<Vec<u8>, HostError> {
        match self {
            Self::Component(kind) => prepare(kind, bytes, bytes),
            Self::Module(kind) => prepare(kind, bytes, &componentize(bytes)?),
            Self::TypeScript => strip_types(bytes),
        }
    }
}

/// Prepares in a child process.
pub(crate) struct Preparer {
    /// The binary to call; `CHILD_ARGUMENT` and the job follow.
    pub(crate) binary: PathBuf,
}

impl Preparer {
    pub(crate) async fn prepare(&self, job: Job, bytes: &[u8]) -> Result<Vec<u8>, HostError> {
        let limit = |what: &str| HostError::CompileLimit(what.to_owned());
        let work = self.in_child(job, bytes);
        let Ok(answer) = tokio::time::timeout(WALL_TIME, work).await else {
            return Err(limit(&format!("{} s", WALL_TIME.as_secs())));
        };
        let (answer, status) = answer?;
        match (status.code(), answer.split_first()) {
            (Some(0), Some((0, payload))) => Ok(payload.to_vec()),
            (Some(0), Some((1, error))) => {
                Err(serde_json::from_slice(error).unwrap_or_else(|_| HostError::Host("the preparing process answered nonsense".to_owned())))
            }
            // Killed by its limits: by SIGXCPU or SIGKILL for time, by an
            // abort where memory ran out.
            _ => Err(limit(&format!("{MAX_COMPILE_CPU_SECONDS} s of processor time or {} MiB of memory", MAX_COMPILE_MEMORY >> 20))),
        }
    }

    async fn in_child(&self, job: Job, bytes: &[u8]) -> Result<(Vec<u8>, std::process::ExitStatus), HostError> {
        let failed = |error: std::io::Error| HostError::io("the preparing process cannot be run", &error);
        let mut child = tokio::process::Command::new(&self.binary)
            .args([CHILD_ARGUMENT, &job.argument()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(HostError::Host("the preparing process has no pipes".to_owned()));
        };
        let feed = async {
            // A child that died early closes the pipe; its status says more.
            let fed = stdin.write_all(bytes).await;
            drop(stdin);
            fed.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
        };
        let mut answer = Vec::new();
        let mut stdout = stdout.take(MAX_ANSWER);
        let read = stdout.read_to_end(&mut answer);
        let (fed, read) = tokio::join!(feed, read);
        fed.and(read).map_err(failed)?;
        Ok((answer, child.wait().await.map_err(failed)?))
    }
}

/// The child's whole life. `main` calls it before anything else when the
/// first argument is [`CHILD_ARGUMENT`]; the answer is the exit code.
#[must_use]
pub fn child(job: Option<&str>) -> u8 {
    let Some(job) = job.and_then(Job::parse) else { return 2 };
    if limit_self().is_err() {
        return 3;
    }
    let mut bytes = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut bytes).is_err() {
        return 4;
    }
    // Parsers that panic on hostile bytes are why this is a child; its standard
    // error goes nowhere, and the answer is as for any other bad bytes.
    let worked = std::panic::catch_unwind(|| job.work(&bytes))
        .unwrap_or_else(|_| Err(HostError::Invalid("it makes the compiler give up".to_owned())));
    let answer = match worked {
        Ok(payload) => [&[0], payload.as_slice()].concat(),
        Err(error) => [&[1], serde_json::to_vec(&error).unwrap_or_default().as_slice()].concat(),
    };
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(&answer).and_then(|()| stdout.flush()).is_err() { 5 } else { 0 }
}

/// Limits that hold from here on, for every thread of the child.
fn limit_self() -> rustix::io::Result<()> {
    let set = |resource: Resource, value: u64| {
        // Never above what we were given ourselves.
        let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
    };
    set(Resource::Cpu, MAX_COMPILE_CPU_SECONDS)?;
    // Ignored by macOS, where the processor time is what remains.
    set(Resource::As, MAX_COMPILE_MEMORY)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Core, 0)
}

/// A component's answer, taken apart.
///
/// ```text
///  0  4  bytes of the description, little-endian
///  4     the description as JSON
///        the compiled code
/// ```
pub(crate) struct Prepared<'a> {
    /// A [`Described`](crate::describe::Described) as JSON.
    pub(crate) description: &'a [u8],
    pub(crate) compiled: &'a [u8],
}

impl<'a> Prepared<'a> {
    pub(crate) fn read(answer: &'a [u8]) -> Result<Self, HostError> {
        let nonsense = || HostError::Host("the preparing process answered nonsense".to_owned());
        let (length, rest) = answer.split_first_chunk::<4>().ok_or_else(nonsense)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| nonsense())?;
        let (description, compiled) = rest.split_at_checked(length).ok_or_else(nonsense)?;
        Ok(Self { description, compiled })
    }
}

fn prepare(kind: EngineKind, original: &[u8], component: &[u8]) -> Result<Vec<u8>, HostError> {
    let engine = compiler(kind)?;
    let compiled = precompile(&engine, component)?;
    let described = describe::describe(&engine, original, component, &compiled)?;
    let description = serde_json::to_vec(&described).map_err(|error| HostError::Host(error.to_string()))?;
    let length = u32::try_from(description.len()).map_err(|_| HostError::TooMuch("its description has no end".to_owned()))?;
    Ok([&length.to_le_bytes(), description.as_slice(), compiled.as_slice()].concat())
}

/// Compiles what is our own.
pub(crate) fn compile(kind: EngineKind, bytes: &[u8]) -> Result<Vec<u8>, HostError> {
    precompile(&compiler(kind)?, bytes)
}

fn compiler(kind: EngineKind) -> Result<Engine, HostError> {
    let mut config = engine::base_config(kind);
    // RLIMIT_CPU counts all threads; one is the most that helps here.
    config.parallel_compilation(true);
    Engine::new(&config).map_err(|error| HostError::engine(&error))
}

fn precompile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, HostError> {
    engine.precompile_component(bytes).map_err(|error| HostError::Invalid(format!("{error:#}")))
}

/// A component of a core module built for WASI preview 1, or of one that
/// carries its component type in a custom section.
pub(crate) fn componentize(module: &[u8]) -> Result<Vec<u8>, HostError> {
    use wasi_preview1_component_adapter_provider as adapter;
    // A command exports `_start`; everything else is a reactor.
    let bytes = if exports_start(module)? {
        adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, bytes))
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| HostError::Invalid(format!("it cannot be made a component: {error:#}")))
}

fn exports_start(module: &[u8]) -> Result<bool, HostError> {
    let invalid = |error: wasmparser::BinaryReaderError| HostError::Invalid(error.to_string());
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ExportSection(exports) = payload.map_err(invalid)? {
            for export in exports {
                if export.map_err(invalid)?.name == "_start" {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Blanks the types out, so that every line and column stays where it was: of
/// the text as a module, else (a top-level `return`) as a function's body.
fn strip_types(source: &[u8]) -> Result<Vec<u8>, HostError> {
    const BEFORE: &str = "async () => {\n";
    const AFTER: &str = "\n}";
    let not_text = |error| HostError::Script { message: format!("the script is no UTF-8: {error}"), position: None };
    let source = std::str::from_utf8(source).map_err(not_text)?;
    let as_module = strip_module(source.to_owned());
    if as_module.is_ok() {
        return as_module.map(String::into_bytes);
    }
    match strip_module(format!("{BEFORE}{source}{AFTER}")) {
        // Stripping changes no length, so the frame comes off as it went on.
        Ok(text) => text.strip_prefix(BEFORE).and_then(|text| text.strip_suffix(AFTER)).map_or(as_module, |body| Ok(body.to_owned())),
        Err(as_body) if as_module.as_ref().is_err_and(is_about_return) => Err(one_line_up(as_body)),
        Err(_) => as_module,
    }
    .map(String::into_bytes)
}

/// The text is a function's body; what else is wrong, only its reading as one
/// tells.
fn is_about_return(error: &HostError) -> bool {
    matches!(error, HostError::Script { message, .. } if message.contains("Return statement is not allowed"))
}

/// A place in the framed text, as one in the text itself.
fn one_line_up(error: HostError) -> HostError {
    match error {
        HostError::Script { message, position } => {
            HostError::Script { message, position: position.map(|(line, column)| (line.saturating_sub(1).max(1), column)) }
        }
        other => other,
    }
}

fn strip_module(source: String) -> Result<String, HostError> {
    let map = Lrc::new(SourceMap::default());
    let told = Told::default();
    let handler = Handler::with_emitter(true, false, Box::new(TellTale { told: told.clone(), map: map.clone() }));
    let options = swc_ts_fast_strip::Options {
        module: Some(true),
        mode: swc_ts_fast_strip::Mode::StripOnly,
        ..swc_ts_fast_strip::Options::default()
    };
    let stripped = HANDLER.set(&handler, || swc_ts_fast_strip::operate(&map, &handler, source, options));
    stripped
        .map(|output| output.code)
        .map_err(|error| told.first().unwrap_or_else(|| HostError::Script { message: error.to_string(), position: None }))
}

/// What the parser complains of, first complaint first.
#[derive(Default, Clone)]
struct Told(std::sync::Arc<std::sync::Mutex<Vec<HostError>>>);

struct TellTale {
    told: Told,
    map: Lrc<SourceMap>,
}

impl Told {
    fn first(&self) -> Option<HostError> {
        self.0.lock().ok()?.first().cloned()
    }
}

impl swc_common::errors::Emitter for TellTale {
    fn emit(&mut self, diagnostic: &mut swc_common::errors::DiagnosticBuilder<'_>) {
        let position = diagnostic.span.primary_span().map(|span| {
            let place = self.map.lookup_char_pos(span.lo);
            let line = u32::try_from(place.line).unwrap_or(u32::MAX);
            (line, u32::try_from(place.col.0).unwrap_or(u32::MAX).saturating_add(1))
        });
        let error = HostError::Script { message: format!("SyntaxError: {}", diagnostic.message()), position };
        if let Ok(mut told) = self.told.0.lock() {
            told.push(error);
        }
    }
}
