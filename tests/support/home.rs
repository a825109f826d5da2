//! A home folder of a test's own, and the binary run in it under a time limit.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::PATIENCE;
use super::library::shared_cache;

/// How often another process is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_wardroom");

/// A folder with an empty home, whose cache knows what earlier tests compiled,
/// and a folder to work in.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("wardroom-").tempdir().unwrap();
        let home = Self { folder };
        fs::DirBuilder::new().mode(0o700).create(home.path()).unwrap();
        fs::DirBuilder::new().mode(0o700).create(home.cache()).unwrap();
        fs::create_dir(home.work()).unwrap();
        share(shared_cache(), &home.cache());
        home
    }

    /// The home itself.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn cache(&self) -> PathBuf {
        self.path().join("cache")
    }

    /// Where commands are run.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes a file below the work folder; answers its path.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary, with nothing of this process's environment but PATH.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(BINARY);
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// The same for a program that starts the binary in its turn.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("WARDROOM_HOME", self.path())
            // No session bus is there: the keychain and the desktop of whoever
            // runs the tests are none of theirs.
            .env("XDG_RUNTIME_DIR", self.folder.path().join("no-session"))
            .current_dir(self.work());
    }

    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Running {
        Running::start(&mut self.command(args), b"")
    }

    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Ended {
        self.start(args).wait()
    }

    /// Runs with text on standard input.
    pub(crate) fn feed<S: AsRef<std::ffi::OsStr>>(&self, args: &[S], stdin: impl AsRef<[u8]>) -> Ended {
        Running::start(&mut self.command(args), stdin.as_ref()).wait()
    }

    /// `wardroom run --json …`, and the record that it prints.
    pub(crate) fn record<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Record {
        self.feed_record(args, b"")
    }

    /// The same, with text on standard input.
    pub(crate) fn feed_record<S: AsRef<std::ffi::OsStr>>(&self, args: &[S], stdin: impl AsRef<[u8]>) -> Record {
        let mut all: Vec<&std::ffi::OsStr> = vec!["run".as_ref(), "--json".as_ref()];
        all.extend(args.iter().map(AsRef::as_ref));
        let ended = self.feed(&all, stdin);
        Record { json: ended.json(), ended }
    }

    /// What a read verb prints with `--json`.
    pub(crate) fn read<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Value {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{ended}");
        ended.json()
    }

    /// All executions, newest first.
    pub(crate) fn executions(&self) -> Vec<Value> {
        let listed = self.read(&["exec", "list", "--json"]);
        let rows = listed.get("executions").unwrap_or(&listed);
        rows.as_array().unwrap_or_else(|| panic!("a list of executions, found {listed}")).clone()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let same = |folder: &Path| fs::read(folder.join("key")).ok();
        // A test may have closed the folder, or given it another key.
        if same(&self.cache()).is_some_and(|key| Some(key) == same(shared_cache())) {
            share(&self.cache(), shared_cache());
        }
    }
}

/// Gives one cache what another one has. Entries are replaced whole and never
/// changed in place, so that a link will do.
fn share(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        let whole = entry.file_type().is_ok_and(|kind| kind.is_file()) && !entry.file_name().to_string_lossy().ends_with(".part");
        if whole && !target.exists() && fs::hard_link(entry.path(), &target).is_err() {
            // Another file system, or a test that came first.
            drop(fs::copy(entry.path(), &target));
        }
    }
}

/// A mode bits' change that says where it failed.
pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[derive(Default)]
struct Heard {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

impl Heard {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

/// A process under test; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Arc<Heard>,
    stderr: Arc<Heard>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command, stdin: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let (stdout, stderr) = (Arc::<Heard>::default(), Arc::<Heard>::default());
        let stdin = stdin.to_vec();
        let readers = vec![
            listen(child.stdout.take().unwrap(), stdout.clone()),
            listen(child.stderr.take().unwrap(), stderr.clone()),
            // A process that does not want it closes the pipe.
            std::thread::spawn(move || drop(input.write_all(&stdin))),
        ];
        Self { child, stdout, stderr, readers }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until standard error holds the text.
    pub(crate) fn until_stderr(&self, text: &str) -> String {
        self.until(&self.stderr, text)
    }

    /// Waits until standard output holds the text.
    pub(crate) fn until_stdout(&self, text: &str) {
        drop(self.until(&self.stdout, text));
    }

    fn until(&self, stream: &Heard, text: &str) -> String {
        let holds = |bytes: &mut Vec<u8>| !String::from_utf8_lossy(bytes).contains(text);
        let (bytes, waited) = stream.more.wait_timeout_while(stream.bytes.lock().unwrap(), PATIENCE, holds).unwrap();
        let seen = String::from_utf8_lossy(&bytes).into_owned();
        drop(bytes);
        assert!(!waited.timed_out(), "waited in vain for `{text}`, saw:\n{seen}\n{}", self.stderr.text());
        seen
    }

    /// Waits for the end; what does not end is killed, and fails.
    pub(crate) fn wait(self) -> Ended {
        self.wait_within(PATIENCE)
    }

    /// The same, with a patience of its own.
    pub(crate) fn wait_within(mut self, patience: Duration) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let patient = start.elapsed() < patience;
            assert!(patient, "the process did not end, and had said:\n{}{}", self.stdout.text(), self.stderr.text());
            std::thread::sleep(GLANCE);
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let stdout = std::mem::take(&mut *self.stdout.bytes.lock().unwrap());
        Ended { code: status.code(), signal: status.signal(), stdout, stderr: self.stderr.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone in the ordinary case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn listen(mut stream: impl Read + Send + 'static, heard: Arc<Heard>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut piece = vec![0; 64 << 10];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            heard.bytes.lock().unwrap().extend_from_slice(&piece[..read]);
            heard.more.notify_all();
        }
    })
}

/// How a process ended, and what it had said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as the one JSON value that it must be.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("standard output is no JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}, signal {:?}\n── stdout\n{}\n── stderr\n{}", self.code, self.signal, self.text(), self.stderr)
    }
}

/// The record of an execution, as `run --json` prints it.
pub(crate) struct Record {
    pub(crate) json: Value,
    pub(crate) ended: Ended,
}

impl Record {
    /// The text in a field, or nothing.
    pub(crate) fn word(&self, field: &str) -> &str {
        self.json.get(field).and_then(Value::as_str).unwrap_or("")
    }

    pub(crate) fn id(&self) -> &str {
        self.word("id")
    }

    /// Status, kind of failure, blame and exit code: the whole ending.
    pub(crate) fn ending(&self) -> (&str, &str, &str, Option<i32>) {
        (self.word("status"), self.word("failure_kind"), self.word("blame"), self.ended.code)
    }

    /// The result, where it is JSON.
    pub(crate) fn result(&self) -> &Value {
        self.json.pointer("/output/json").unwrap_or_else(|| panic!("no JSON result: {}", self.json))
    }

    /// What was put out, where it is text.
    pub(crate) fn text(&self) -> &str {
        self.json.pointer("/output/text").and_then(Value::as_str).unwrap_or_else(|| panic!("no text was put out: {}", self.json))
    }

    pub(crate) fn message(&self) -> &str {
        self.json.pointer("/failure/message").and_then(Value::as_str).unwrap_or("")
    }

    /// It ended well.
    #[track_caller]
    pub(crate) fn succeeded(&self) -> &Self {
        assert_eq!(self.ending(), ("success", "", "", Some(0)), "{}\n{}", self.json, self.ended.stderr);
        self
    }
}
