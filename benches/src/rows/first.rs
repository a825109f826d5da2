//! The first script ever: a fresh home, nothing compiled.

use super::Effort;
use crate::Failed;
use crate::measure::Samples;
use crate::process::{measured, wardroom};
use crate::report::Row;

/// Seconds.
const BUDGET: f64 = 3.0;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let (folder, binary) = (tempfile::tempdir()?, wardroom()?);
    let script = folder.path().join("hello.js");
    std::fs::write(&script, "return \"hello\";\n")?;
    let script = script.display().to_string();
    let first = |round: usize| {
        let home = folder.path().join(format!("home-{round}"));
        Ok::<_, Failed>(measured(&binary, &["run", &script], &home)?.wall.as_secs_f64())
    };
    let times = Samples::new((0..effort.rounds(1, 7)).map(first).collect::<Result<_, _>>()?);
    let most = format!("at most {:.2} s", times.quantile(1.0));
    Ok(vec![Row::figure("first", "a script in a fresh home", most, &times, ("s", Some(BUDGET)))])
}
