//! The guests of `tests/guests`, and the first-party plugins, built from source on
//! first use.
//!
//! Each of them has a target directory of its own inside this workspace's, and
//! a lock file, so that test processes that start together build once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::parts::needs;

/// A command of `tests/guests/commands`.
pub(crate) fn command(name: &str) -> PathBuf {
    guest("wasm32-wasip2", name)
}

/// The component of typed functions.
pub(crate) fn typed() -> PathBuf {
    guest("wasm32-wasip2", "typed")
}

/// The component that exports the task interface.
pub(crate) fn task() -> PathBuf {
    guest("wasm32-wasip2", "task")
}

/// The task whose params its types declare.
pub(crate) fn declared() -> PathBuf {
    guest("wasm32-wasip2", "declared")
}

/// The task that uses credentials as the SDK has them.
pub(crate) fn credentials() -> PathBuf {
    guest("wasm32-wasip2", "credentials")
}

/// The core module for WASI preview 1.
pub(crate) fn preview1() -> PathBuf {
    guest("wasm32-wasip1", "preview1")
}

/// A first-party plugin in Rust, of `plugins/NAME`.
pub(crate) fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| build("plugins", |folder| cargo("plugins", folder, "wasm32-wasip2", &["--workspace"])));
    let path = folder.join("wasm32-wasip2/release").join(format!("{}.wasm", name.replace('-', "_")));
    assert!(path.is_file(), "there is no plugin {name}");
    path
}

/// A first-party plugin in another language, built by its own script; none where
/// what that needs is not there.
pub(crate) fn scripted_plugin(name: &str) -> Option<PathBuf> {
    let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|ended| ended.status.success());
    if !needs("node, npm and python3", ["node", "npm", "python3"].into_iter().all(there), "apt-get install nodejs npm python3-venv") {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(name).join("build");
    let folder = build(&format!("plugins-{name}"), |folder| {
        let built = Command::new(script).arg(folder).env("CARGO_TARGET_DIR", target()).output().unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "the plugin {name} does not build:\n{said}");
    });
    Some(folder.join(format!("{name}.wasm")))
}

/// Where everything lies that outlives a test and can be made again.
pub(crate) fn built() -> PathBuf {
    target().join("guests")
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the tmp folder lies in the target folder")
}

fn guest(target: &str, name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        build("guests", |folder| {
            cargo("tests/guests", folder, "wasm32-wasip2", &["--workspace", "--exclude", "preview1"]);
            cargo("tests/guests", folder, "wasm32-wasip1", &["--package", "preview1"]);
        })
    });
    let path = folder.join(target).join("release").join(format!("{name}.wasm"));
    assert!(path.is_file(), "there is no guest {name} for {target}");
    path
}

/// Builds in a folder of that name, one process at a time.
fn build(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = target().join(name);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("building.lock")).unwrap();
    lock.lock().unwrap();
    make(&folder);
    folder
}

fn cargo(workspace: &str, folder: &Path, target: &str, which: &[&str]) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(workspace).join("Cargo.toml");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(folder)
        .args(["--target", target])
        .args(which)
        // What is meant for this machine's own code.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    let hint = if said.contains("can't find crate for `core`") || said.contains("can't find crate for `std`") {
        format!("the Rust target is missing, run: rustup target add {target}\n")
    } else {
        String::new()
    };
    assert!(built.status.success(), "{hint}{workspace} for {target} does not build:\n{said}");
}
