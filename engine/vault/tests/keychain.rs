//! The keychain against a real one: gnome-keyring on a session bus of its own.
//!
//! Which keychain a process has is decided by its environment, so that every
//! case runs in a child: this test binary again, told by a variable what to do.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wardroom_core::clock::Timestamp;
use wardroom_core::credential::{CredentialKind, CredentialName};
use wardroom_vault::source::NoPassphrases;
use wardroom_vault::{Identity, KeychainError, KeychainNote, Sealed, SealedVault, Secret, Source, VaultError, VaultRecord};

const TASK: &str = "WARDROOM_TEST_KEYCHAIN_TASK";
const FOLDER: &str = "WARDROOM_TEST_KEYCHAIN_FOLDER";
/// Of the test's own keyring.
const PASSWORD: &[u8] = b"test";

/// A bus that starts nothing by itself: only what the test runs is there.
const BUS: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// As in the repository's other tests: without the part the test says so and
/// passes; with `WARDROOM_REQUIRE_PARTS=1` it fails.
fn keyring_is_here() -> bool {
    let here =
        |program: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file());
    let present = ["gnome-keyring-daemon", "dbus-daemon", "dbus-send"].into_iter().all(here);
    if !present {
        println!("skipped: needs gnome-keyring and dbus (apt-get install gnome-keyring dbus)");
        let required = std::env::var_os("WARDROOM_REQUIRE_PARTS").is_some_and(|value| value == "1");
        assert!(!required, "needs gnome-keyring and dbus, and WARDROOM_REQUIRE_PARTS=1 says that all parts are there");
    }
    present
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A home and a session bus of its own; the keyring comes and goes.
struct Session {
    folder: tempfile::TempDir,
    socket: PathBuf,
    _bus: Running,
}

impl Session {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("run/bus");
        Self::with_socket(folder, socket)
    }

    fn with_socket(folder: tempfile::TempDir, socket: PathBuf) -> Self {
        use std::os::unix::fs::PermissionsExt;
        for name in ["home", "data", "run"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let config = folder.path().join("bus.conf");
        std::fs::write(&config, BUS.replace("SOCKET", socket.to_str().unwrap())).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--nopidfile").arg(format!("--config-file={}", config.display()));
        let bus = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_until("the bus", || socket.exists());
        Self { folder, socket, _bus: bus }
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.folder.path().join("home")).env("XDG_DATA_HOME", self.folder.path().join("data"));
        command.env("XDG_RUNTIME_DIR", self.folder.path().join("run")).env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command
    }

    /// The keyring, opened with the password, or as it is after a start without.
    fn keyring(&self, unlocked: bool) -> Running {
        let mut command = self.program("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).args(unlocked.then_some("--unlock"));
        let stdin = if unlocked { Stdio::piped() } else { Stdio::null() };
        let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(PASSWORD).unwrap();
        }
        let keyring = Running(child);
        wait_until("the keyring", || self.has_owner());
        keyring
    }

    fn has_owner(&self) -> bool {
        let mut command = self.program("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
        command.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
        command.output().is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("boolean true"))
    }

    /// Ends the keyring and waits until the bus knows.
    fn end(&self, keyring: Running) {
        drop(keyring);
        wait_until("the keyring's end", || !self.has_owner());
    }

    fn ask(&self, task: &str) -> (String, Duration) {
        ask(task, self.folder.path(), &[("DBUS_SESSION_BUS_ADDRESS", &self.address())])
    }
}

fn wait_until(what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < end, "waited 20 s for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a task in a child with exactly this environment beside what MCP clients
/// start a server with. Its answer, and how long the task took.
fn ask(task: &str, folder: &Path, environment: &[(&str, &str)]) -> (String, Duration) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "in_a_child", "--ignored", "--nocapture"]).env_clear();
    for (name, value) in [("LOGNAME", "test"), ("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/sh"), ("TERM", "dumb"), ("USER", "test")] {
        command.env(name, value);
    }
    command.env("HOME", folder.join("home")).env(TASK, task).env(FOLDER, folder).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.split_once("answer ").map(|(_, answer)| answer));
    let (took, answer) = line.and_then(|line| line.split_once(' ')).unwrap_or_else(|| panic!("{task}: {said} {output:?}"));
    println!("{task}: {answer} after {took} ms");
    (answer.to_owned(), Duration::from_millis(took.parse().unwrap()))
}

#[test]
#[ignore = "the other tests of this file run it, each in a process with an environment of its own"]
fn in_a_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let start = Instant::now();
    let answer = match perform(&task, &folder) {
        Ok(answer) => answer,
        Err(VaultError::Keychain(KeychainError::Unavailable(_))) => "unavailable".to_owned(),
        Err(VaultError::Keychain(KeychainError::Locked)) => "locked".to_owned(),
        Err(VaultError::Keychain(KeychainError::TimedOut)) => "timed out".to_owned(),
        Err(VaultError::KeyMissing { .. }) => "missing".to_owned(),
        Err(other) => format!("{other:?}"),
    };
    println!("\nanswer {} {answer}", start.elapsed().as_millis());
}

fn perform(task: &str, folder: &Path) -> Result<String, VaultError> {
    let (record, value, source) = (folder.join("record"), folder.join("value"), Source::keychain());
    let name: CredentialName = "GITHUB_TOKEN".parse().unwrap();
    let identity = Identity { id: "id-1", name: &name, kind: CredentialKind::ApiKey };
    let read = || VaultRecord::parse(&std::fs::read_to_string(&record).unwrap()).unwrap();
    match task {
        "probe" => source.probe().map(|()| "works".to_owned()),
        "create" => {
            let (made, vault) = SealedVault::create(source, &NoPassphrases, Timestamp::from_ms(0))?;
            std::fs::write(&value, vault.seal(&identity, &Secret::new(b"the value".to_vec()))?.as_bytes()).unwrap();
            std::fs::write(&record, made.to_text()).unwrap();
            Ok("made".to_owned())
        }
        "open" => {
            let sealed = Sealed::parse(std::fs::read(&value).unwrap()).unwrap();
            let opened = SealedVault::new(read()).unlock(&NoPassphrases)?.open(&identity, &sealed)?;
            Ok(opened.expose_text().unwrap().to_owned())
        }
        "two" => {
            let create = || SealedVault::create(source.clone(), &NoPassphrases, Timestamp::from_ms(0)).map(|(record, _)| record);
            let (first, second) = (create()?, create()?);
            for record in [&first, &second] {
                drop(SealedVault::new(record.clone()).unlock(&NoPassphrases)?);
                wardroom_vault::vault::discard_unsaved(record)?;
            }
            Ok("both".to_owned())
        }
        "remove" => wardroom_vault::vault::discard_unsaved(&read()).map(|()| "removed".to_owned()),
        "note" => {
            let note = KeychainNote::new("wardroom", "0190b5a0")?;
            let before = note.get()?;
            note.set(&"h".repeat(2048))?;
            assert_eq!(note.set(&"h".repeat(2049)), Err(KeychainError::Note));
            assert_eq!(note.get()?.map(|note| note.len()), Some(2048));
            note.set("head 2")?;
            Ok(format!("{before:?} then {:?}", note.get()?))
        }
        other => panic!("no task {other}"),
    }
}

/// Far more than a keychain needs, far less than [`KeychainError::TimedOut`].
const AT_ONCE: Duration = Duration::from_millis(1500);

#[test]
fn a_key_outlives_the_keychain_s_own_restart() {
    if !keyring_is_here() {
        return;
    }
    let session = Session::new();
    let keyring = session.keyring(true);
    assert_eq!(session.ask("probe").0, "works");
    assert_eq!(session.ask("two").0, "both");
    assert_eq!(session.ask("create").0, "made");
    assert_eq!(session.ask("open").0, "the value");
    assert_eq!(session.ask("note").0, r#"None then Some("head 2")"#);
    session.end(keyring);
    let keyring = session.keyring(true);
    assert_eq!(session.ask("open").0, "the value");
    assert_eq!(session.ask("note").0, r#"Some("head 2") then Some("head 2")"#);
    assert_eq!(session.ask("remove").0, "removed");
    assert_eq!(session.ask("remove").0, "removed");
    assert_eq!(session.ask("open").0, "missing");
    session.end(keyring);
}

#[test]
fn a_locked_keychain_is_called_locked_at_once() {
    if !keyring_is_here() {
        return;
    }
    let session = Session::new();
    let keyring = session.keyring(true);
    assert_eq!(session.ask("create").0, "made");
    session.end(keyring);
    let _keyring = session.keyring(false);
    for task in ["probe", "open", "create", "remove"] {
        let (answer, took) = session.ask(task);
        assert!(answer == "locked" && took < AT_ONCE, "{task}: {answer} after {took:?}");
    }
}

#[test]
fn no_keychain_is_called_unavailable_at_once() {
    if !keyring_is_here() {
        return;
    }
    let nothing = tempfile::tempdir().unwrap();
    let bare = [("XDG_RUNTIME_DIR", nothing.path().to_str().unwrap())];
    let wrong = [("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")];
    let garbage = [("DBUS_SESSION_BUS_ADDRESS", "garbage")];
    for environment in [bare, wrong, garbage] {
        for task in ["probe", "create"] {
            let (answer, took) = ask(task, nothing.path(), &environment);
            assert!(answer == "unavailable" && took < AT_ONCE, "{task} {environment:?}: {answer} after {took:?}");
        }
    }
    // A bus is there, and no keychain on it.
    let session = Session::new();
    let (answer, took) = session.ask("probe");
    assert!(answer == "unavailable" && took < AT_ONCE, "{answer} after {took:?}");
}

#[test]
fn a_silent_keychain_is_waited_for_three_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    // Takes the connection, and never says a word.
    let _silent = UnixListener::bind(&socket).unwrap();
    let (answer, took) = ask("probe", folder.path(), &[("XDG_RUNTIME_DIR", folder.path().to_str().unwrap())]);
    assert_eq!(answer, "timed out");
    assert!((Duration::from_millis(2900)..Duration::from_secs(6)).contains(&took), "{took:?}");
}

#[test]
fn it_is_found_where_the_environment_names_no_bus() {
    if !keyring_is_here() {
        return;
    }
    let session = Session::new();
    let _keyring = session.keyring(true);
    let run = session.folder.path().join("run");
    assert_eq!(ask("probe", session.folder.path(), &[("XDG_RUNTIME_DIR", run.to_str().unwrap())]).0, "works");
}

/// MCP clients hand on no more than HOME, LOGNAME, PATH, SHELL, TERM and USER.
#[test]
fn it_is_found_from_the_environment_of_an_mcp_client() {
    if !keyring_is_here() {
        return;
    }
    let run = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    if run.join("bus").exists() {
        println!("not tried: {} is somebody's real session", run.display());
        return;
    }
    let made = !run.exists();
    if made && std::fs::create_dir_all(&run).is_err() {
        println!("not tried: {} is not there and cannot be made", run.display());
        return;
    }
    let (session, tidy) = (Session::with_socket(tempfile::tempdir().unwrap(), run.join("bus")), Tidy { run, made });
    let keyring = session.keyring(true);
    assert_eq!(ask("probe", session.folder.path(), &[]).0, "works");
    session.end(keyring);
    drop(session);
    drop(tidy);
}

/// Leaves /run/user as it was.
struct Tidy {
    run: PathBuf,
    made: bool,
}

impl Drop for Tidy {
    fn drop(&mut self) {
        std::fs::remove_file(self.run.join("bus")).ok();
        if self.made {
            std::fs::remove_dir(&self.run).ok();
        }
    }
}
