//! One warm execution that does nothing, in process, without its record.

use std::sync::Arc;
use std::time::Instant;

use super::{Effort, single, well};
use crate::Failed;
use crate::bare::{BareWasmtime, Door};
use crate::measure::{each, interleaved};
use crate::report::Row;
use crate::subject::{NOTHING, Sandbox, Subject};

const BUDGET: f64 = 1.5;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let task = against_bare(effort, &Subject::task()?, Door::Task, "a task in Rust", Some(BUDGET))?;
    // Next to nothing to instantiate, so that this shows what is ours.
    let function = against_bare(effort, &Subject::function(NOTHING, "nothing")?, Door::Nothing, "a function of a few bytes", None)?;
    Ok(vec![task, function])
}

fn against_bare(effort: Effort, subject: &Subject, door: Door, what: &str, budget: Option<f64>) -> Result<Row, Failed> {
    let (runtime, sandbox) = (single()?, Sandbox::new()?);
    let bare = BareWasmtime::new(subject.bytes(), door)?;
    let plan = Arc::new(subject.plan()?);
    let count = effort.rounds(200, 2000);
    let ours = || {
        let begin = Instant::now();
        runtime.block_on(async {
            for _ in 0..count {
                well(&sandbox.run(plan.clone()).await)?;
            }
            Ok::<_, Failed>(each(begin.elapsed(), count))
        })
    };
    let yardstick = || {
        let begin = Instant::now();
        runtime.block_on(async {
            for _ in 0..count {
                bare.run().await?;
            }
            Ok::<_, Failed>(each(begin.elapsed(), count))
        })
    };
    let pair = interleaved(effort.rounds(5, 31), ours, yardstick)?;
    Ok(Row::ratio("noop", what, &pair, "bare", budget))
}
