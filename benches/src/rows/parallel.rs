//! Executions of one busy program, eight at once against one at a time; beside
//! it what the machine itself gains when all its cores are busy, which on a
//! shared one may be little.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use wardroom_core::plan::Plan;

use super::{Effort, serving, well};
use crate::Failed;
use crate::measure::{each, interleaved};
use crate::report::Row;
use crate::subject::{Sandbox, Subject, WORK};

const AT_ONCE: usize = 8;
/// Some milliseconds.
const STEPS: u32 = 5_000_000;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let (runtime, sandbox) = (serving()?, Arc::new(Sandbox::new()?));
    let plan = Arc::new(Subject::function(WORK, "work")?.param("steps", STEPS).plan()?);
    let batches = effort.rounds(2, 8);
    let one = || {
        let begin = Instant::now();
        for _ in 0..batches * AT_ONCE {
            together(&runtime, &sandbox, &plan, 1)?;
        }
        Ok(each(begin.elapsed(), batches * AT_ONCE))
    };
    let eight = || {
        let begin = Instant::now();
        for _ in 0..batches {
            together(&runtime, &sandbox, &plan, AT_ONCE)?;
        }
        Ok(each(begin.elapsed(), batches * AT_ONCE))
    };
    // What comes second is eight at once, so that the ratio is the gain.
    let pair = interleaved(effort.rounds(5, 15), one, eight)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = interleaved(effort.rounds(5, 15), || Ok(native(1)), || Ok(native(cores)))?;
    Ok(vec![
        Row::ratio("parallel", format!("gain of 8 at once on {cores} cores"), &pair, "each at once", None),
        Row::ratio("parallel", "gain of bare threads on them", &machine, "each at once", None),
    ])
}

/// Seconds for each of so many threads' same work.
fn native(threads: usize) -> f64 {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let stir = |x: u32, _| std::hint::black_box(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
                std::hint::black_box((0..STEPS * 4).fold(0, stir))
            });
        }
    });
    each(begin.elapsed(), threads)
}

fn together(runtime: &Runtime, sandbox: &Arc<Sandbox>, plan: &Arc<Plan>, count: usize) -> Result<(), Failed> {
    runtime.block_on(async {
        let run = || {
            let (sandbox, plan) = (sandbox.clone(), plan.clone());
            tokio::spawn(async move { sandbox.run(plan).await })
        };
        for running in (0..count).map(|_| run()).collect::<Vec<_>>() {
            well(&running.await?)?;
        }
        Ok(())
    })
}
