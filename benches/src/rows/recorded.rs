//! Executions with their durable record, many in flight, all cores busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;
use wardroom::Wardroom;
use wardroom::execution::Unwatched;
use wardroom_core::plan::Plan;
use wardroom_db::Filter;

use super::{Effort, serving, well};
use crate::Failed;
use crate::bare::{BareRows, BareWasmtime, Door};
use crate::measure::{Samples, each, interleaved, time};
use crate::report::Row;
use crate::subject::{Subject, wardroom};

const BUDGET: f64 = 2.0;
const IN_FLIGHT: usize = 64;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let runtime = serving()?;
    let (wardroom, _folder) = wardroom()?;
    let wardroom = Arc::new(wardroom);
    let subject = Subject::task()?;
    let bare = Arc::new(BareWasmtime::new(subject.bytes(), Door::Task)?);
    let mut rows = BareRows::new()?;
    let count = effort.rounds(640, 4096);
    let (mut sandboxes, mut records) = (Vec::new(), Vec::new());
    let ours = || {
        let plans = (0..count).map(|_| subject.plan()).collect::<Result<Vec<_>, _>>()?;
        through_wardroom(&runtime, &wardroom, plans)
    };
    let yardstick = || {
        let sandbox = through_wasmtime(&runtime, &bare, count)?;
        let begin = Instant::now();
        rows.write(count as u64)?;
        let record = each(begin.elapsed(), count);
        sandboxes.push(sandbox);
        records.push(record);
        Ok(sandbox + record)
    };
    let pair = interleaved(effort.rounds(5, 21), ours, yardstick)?;
    let (sandbox, record) = (Samples::new(sandboxes).median(), Samples::new(records).median());
    let parts = format!("bare ({} + {})", time(sandbox), time(record));
    // The writer's thread ends with the last of it, inside the runtime.
    let _entered = runtime.enter();
    drop(wardroom);
    Ok(vec![Row::ratio("recorded", "a task in Rust, 64 in flight", &pair, &parts, Some(BUDGET))])
}

/// Seconds for each execution.
fn through_wardroom(runtime: &Runtime, wardroom: &Arc<Wardroom>, plans: Vec<Plan>) -> Result<f64, Failed> {
    let count = plans.len();
    let waiting = Arc::new(std::sync::Mutex::new(plans));
    let begin = Instant::now();
    runtime.block_on(in_flight(|| {
        let (wardroom, waiting) = (wardroom.clone(), waiting.clone());
        async move {
            loop {
                let Some(plan) = waiting.lock().map_err(|_| "another run panicked")?.pop() else { return Ok(()) };
                well(&wardroom.execute(plan, Arc::new(Unwatched), Box::pin(std::future::pending())).await?)?;
            }
        }
    }))?;
    // With all of them among the rows: what still waits in the journal is filed.
    let rows = wardroom.database().list(&Filter { limit: 1, ..Filter::default() })?;
    if rows.is_empty() {
        return Err("nothing was recorded".into());
    }
    Ok(each(begin.elapsed(), count))
}

fn through_wasmtime(runtime: &Runtime, bare: &Arc<BareWasmtime>, count: usize) -> Result<f64, Failed> {
    let started = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    runtime.block_on(in_flight(|| {
        let (bare, started) = (bare.clone(), started.clone());
        async move {
            while started.fetch_add(1, Ordering::Relaxed) < count {
                bare.run().await?;
            }
            Ok(())
        }
    }))?;
    Ok(each(begin.elapsed(), count))
}

/// So many of the same at once, to the end of all.
async fn in_flight<F>(make: impl Fn() -> F) -> Result<(), Failed>
where
    F: Future<Output = Result<(), Failed>> + Send + 'static,
{
    let lanes: Vec<_> = (0..IN_FLIGHT).map(|_| tokio::spawn(make())).collect();
    for lane in lanes {
        lane.await??;
    }
    Ok(())
}
