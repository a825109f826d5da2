//! A real keychain for the binary: gnome-keyring on a session bus of its own,
//! without a screen.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::home::chmod;
use super::parts::needs;

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

/// Whether a keychain can be had on this machine.
pub(crate) fn is_here() -> bool {
    let here =
        |program: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file());
    let present = ["gnome-keyring-daemon", "dbus-daemon", "dbus-send"].into_iter().all(here);
    needs("gnome-keyring and dbus", present, "apt-get install gnome-keyring dbus")
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone in the worst case.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A session bus, and a keychain on it that comes and goes.
pub(crate) struct Session {
    folder: tempfile::TempDir,
    keyring: Option<Running>,
    _bus: Running,
}

impl Session {
    /// Without a keychain yet.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("keyring-").tempdir().unwrap();
        for name in ["home", "data", "run"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            chmod(&folder.path().join(name), 0o700);
        }
        let (config, socket) = (folder.path().join("bus.conf"), folder.path().join("run/bus"));
        std::fs::write(&config, BUS.replace("SOCKET", socket.to_str().unwrap())).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile"]).arg(format!("--config-file={}", config.display()));
        let bus = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_until("the bus", || socket.exists());
        Self { folder, keyring: None, _bus: bus }
    }

    /// With a keychain that is unlocked.
    pub(crate) fn new() -> Self {
        let mut session = Self::bare();
        session.start(true);
        session
    }

    /// Where the bus's socket lies, as `bus`.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.runtime().join("bus").display())
    }

    fn program(&self, program: &str) -> Command {
        let below = |name: &str| -> PathBuf { Path::join(self.folder.path(), name) };
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", below("home")).env("XDG_DATA_HOME", below("data"));
        command.env("XDG_RUNTIME_DIR", self.runtime()).env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command
    }

    /// Starts the keychain: unlocked, or as it is before anybody logged in.
    pub(crate) fn start(&mut self, unlocked: bool) {
        let mut command = self.program("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).args(unlocked.then_some("--unlock"));
        let stdin = if unlocked { Stdio::piped() } else { Stdio::null() };
        let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(PASSWORD).unwrap();
        }
        self.keyring = Some(Running(child));
        wait_until("the keychain", || self.has_owner());
    }

    /// Ends the keychain, and waits until the bus knows.
    pub(crate) fn stop(&mut self) {
        drop(self.keyring.take());
        wait_until("the keychain's end", || !self.has_owner());
    }

    /// What the keychain has on disk, sealed.
    pub(crate) fn stored(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.folder.path().join("data/keyrings")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read(file.path()).ok()).collect()
    }

    fn has_owner(&self) -> bool {
        let mut command = self.program("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
        command.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
        command.output().is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("boolean true"))
    }
}

pub(crate) fn wait_until(what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !there() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
