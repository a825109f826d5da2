//! `wardroom run hello.js` against `node hello.js`: whole processes, compiled
//! code cached.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Effort;
use crate::Failed;
use crate::measure::{Samples, interleaved, time};
use crate::process::{Measured, measured, wardroom};
use crate::report::Row;

const BUDGET: f64 = 0.5;
/// MiB.
const MEMORY_BUDGET: f64 = 60.0;
const HELLO: &str = "console.log(\"hello\");\n";

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("hello.js");
    std::fs::write(&script, HELLO)?;
    let (home, script, binary) = (folder.path().join("home"), script.display().to_string(), wardroom()?);
    let rounds = effort.rounds(5, 41);
    let mut peaks = Vec::new();
    let mut ours = || {
        let Measured { wall, peak, .. } = measured(&binary, &["run", &script], &home)?;
        peaks.push(peak as f64 / f64::from(1 << 20));
        Ok(wall.as_secs_f64())
    };
    let node = Path::new("node");
    let mut rows = Vec::new();
    if there(node) {
        let pair = interleaved(rounds, &mut ours, || Ok(measured(node, &[&script], folder.path())?.wall.as_secs_f64()))?;
        rows.push(Row::ratio("hello", "the whole process", &pair, "node", Some(BUDGET)));
    } else {
        // The first run compiles.
        ours()?;
        let alone = Samples::new((0..rounds).map(|_| ours()).collect::<Result<_, _>>()?);
        rows.push(Row::note("hello", "the whole process", format!("{}; skipped: needs node", time(alone.median()))));
    }
    // What compiled is no run with compiled code cached.
    let peaks = Samples::new(peaks.split_off(1));
    let most = format!("at most {:.1} MiB", peaks.quantile(1.0));
    rows.push(Row::figure("hello", "peak of resident memory", most, &peaks, ("MiB", Some(MEMORY_BUDGET))));
    Ok(rows)
}

fn there(program: &Path) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
