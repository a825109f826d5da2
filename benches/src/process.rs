//! Whole processes: how long they take, and their peak of resident memory.
//!
//! The kernel counts a process's peak from before its `exec`, when it still was
//! its parent: so a small helper (this program again) starts what is measured,
//! and this process, which may have grown, does not.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

use crate::Failed;

/// The hidden argument that makes this program the helper.
pub(crate) const HELPER: &str = "__measure";

/// One process, from before it was started to after it was gone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    /// Bytes resident at most.
    pub(crate) peak: u64,
    success: bool,
}

/// Runs a command in a folder and measures it.
pub(crate) fn measured(program: &Path, args: &[&str], home: &Path) -> Result<Measured, Failed> {
    let own = std::env::current_exe()?;
    let output = Command::new(own).arg(HELPER).arg(program).args(args).env("WARDROOM_HOME", home).stderr(Stdio::inherit()).output()?;
    let measured: Measured = serde_json::from_slice(&output.stdout)?;
    if measured.success { Ok(measured) } else { Err(format!("`{} {}` failed", program.display(), args.join(" ")).into()) }
}

/// The helper's whole life.
pub(crate) fn helper(command: &[String]) -> ExitCode {
    let Some((program, args)) = command.split_first() else { return ExitCode::from(2) };
    let begin = Instant::now();
    let waited = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .and_then(|child| child.wait4());
    let wall = begin.elapsed();
    let Ok(used) = waited else { return ExitCode::FAILURE };
    let measured = Measured { wall, peak: used.rusage.maxrss, success: used.status.success() };
    println!("{}", serde_json::json!(measured));
    ExitCode::SUCCESS
}

/// MiB that a process has resident.
pub(crate) fn resident(id: u32) -> Result<f64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no resident memory")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no resident memory")?.parse()?;
    Ok(kib / 1024.0)
}

/// The binary under test: it lies beside this one.
pub(crate) fn wardroom() -> Result<PathBuf, Failed> {
    let path = std::env::current_exe()?.with_file_name("wardroom");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no `{}`: build it first with `cargo build --release --locked -p wardroom`", path.display()).into())
    }
}
