//! The guests of `tests/guests`, built from source on first use.
//!
//! They have a target directory of their own inside this workspace's, and a lock
//! file, so that test processes that start together build once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// Where everything lies that outlives a test and can be made again.
pub(crate) fn built() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the tmp folder lies in the target folder");
    target.join("guests")
}

fn guest(target: &str, name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(build);
    let path = folder.join(target).join("release").join(format!("{name}.wasm"));
    assert!(path.is_file(), "there is no guest {name} for {target}");
    path
}

fn build() -> PathBuf {
    let folder = built();
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("building.lock")).unwrap();
    lock.lock().unwrap();
    cargo(&folder, "wasm32-wasip2", &["--workspace", "--exclude", "preview1"]);
    cargo(&folder, "wasm32-wasip1", &["--package", "preview1"]);
    folder
}

fn cargo(folder: &Path, target: &str, which: &[&str]) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/Cargo.toml");
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
    assert!(built.status.success(), "{hint}the guests for {target} do not build:\n{said}");
}
