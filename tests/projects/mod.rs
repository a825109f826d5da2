//! Projects of plugin developers: made, built by their languages' own compilers,
//! run and tested; and what others' toolchains make, run as it is.
//!
//! The compilers are installed by `tests/toolchains/install`; without them the
//! tests say so.

mod declared;
mod dev;
mod first_party;
mod languages;
mod others;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::guests;
use crate::support::home::{Ended, Home, Running};
use crate::support::parts::needs;

/// The longest that a compiler is waited for: the first one builds its libraries.
const COMPILERS: Duration = Duration::from_secs(600);

/// Where `tests/toolchains/install` puts them.
fn toolchains() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the tmp folder lies in the target folder").join("toolchains")
}

/// Whether a tool of them is there.
fn has(tool: &str) -> bool {
    let present = tools().iter().any(|folder| folder.join(tool).is_file());
    needs(tool, present, "tests/toolchains/install")
}

fn tools() -> [PathBuf; 2] {
    [toolchains().join("node_modules/.bin"), toolchains().join("venv/bin")]
}

/// What compilers need to be found, and to keep what they made the last time: the
/// tests' homes are empty.
fn with_tools(command: &mut Command) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(tools().into_iter().chain(std::env::split_paths(&path))).unwrap();
    let kept = |name: &str| toolchains().join(name);
    let home = std::env::home_dir().expect("cargo has a home");
    let own = |name: &str, folder: &str| std::env::var_os(name).map_or_else(|| home.join(folder), PathBuf::from);
    command
        .env("PATH", path)
        .env("CARGO_HOME", own("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", own("RUSTUP_HOME", ".rustup"))
        .env("CARGO_TARGET_DIR", guests::built())
        .env("ZIG_GLOBAL_CACHE_DIR", kept("zig-cache"))
        .env("GOCACHE", kept("go-cache"))
        .env("GOPATH", kept("go-path"))
        // What is here and nothing else: no other toolchain, no modules.
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off");
}

/// `wardroom plugin …`, with the compilers within reach.
fn plugin(home: &Home, args: &[&str]) -> Ended {
    start(home, args).wait_within(COMPILERS)
}

fn start(home: &Home, args: &[&str]) -> Running {
    let all: Vec<&str> = std::iter::once("plugin").chain(args.iter().copied()).collect();
    let mut command = home.command(&all);
    with_tools(&mut command);
    Running::start(&mut command, b"")
}

/// A project that was made; its folder is `made`.
fn made(home: &Home, language: &str) -> PathBuf {
    let ended = plugin(home, &["new", "made", "--lang", language]);
    assert_eq!(ended.code, Some(0), "{ended}");
    home.work().join("made")
}

/// Replaces text of a project's file, which has to be there.
fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no `{from}`", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}
