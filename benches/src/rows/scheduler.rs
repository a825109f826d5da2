//! `wardroom serve` with many tasks: what a fire costs, how late it is, and what
//! doing nothing costs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use wardroom::Wardroom;
use wardroom::task::draft::TaskDraft;
use wardroom::task::{Bytes, Saving};
use wardroom_host::Silent;

use super::{Effort, serving};
use crate::measure::Samples;
use crate::process::wardroom;
use crate::report::Row;
use crate::{Failed, subject};

/// Milliseconds of processor for one fire: account, run, record, follow.
const FIRE_BUDGET: f64 = 1.0;
/// Milliseconds from slot to start, for 99 of 100.
const LATENESS_BUDGET: f64 = 50.0;
/// MiB resident while nothing is to do.
const MEMORY_BUDGET: f64 = 40.0;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let tasks = effort.rounds(1000, 10_000);
    let seconds = effort.rounds(6, 30);
    let mut rows = idle(tasks, seconds)?;
    rows.extend(busy(tasks, seconds)?);
    Ok(rows)
}

/// All tasks are due next year.
fn idle(tasks: usize, seconds: usize) -> Result<Vec<Row>, Failed> {
    let folder = tempfile::tempdir()?;
    save(folder.path(), tasks, |draft, _| draft.cron = Some("0 0 1 1 *".to_owned()))?;
    let serving = Serving::start(folder.path())?;
    // Threads that start settle first.
    std::thread::sleep(Duration::from_secs(2));
    let before = serving.switches()?;
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let wakes = serving.switches()?.saturating_sub(before) as f64;
    let resident = serving.resident()?;
    let waking = Row::figure(
        "scheduler",
        format!("wake-ups of an idle daemon with {tasks} tasks in {seconds} s"),
        format!("{wakes} voluntary switches of its threads"),
        &Samples::new(vec![wakes]),
        ("", Some(0.0)),
    );
    let memory = Row::figure(
        "scheduler",
        "memory of an idle daemon",
        format!("{resident:.1} MiB resident"),
        &Samples::new(vec![resident]),
        ("MiB", Some(MEMORY_BUDGET)),
    );
    Ok(vec![waking, memory])
}

/// Tasks are due all the time, some every second.
fn busy(tasks: usize, seconds: usize) -> Result<Vec<Row>, Failed> {
    let folder = tempfile::tempdir()?;
    // Ten fires of each in an hour, spread over all its seconds.
    let when = |draft: &mut TaskDraft, number: usize| draft.cron = Some(format!("{} {}-59/6 * * * *", number % 60, number / 60 % 6));
    save(folder.path(), tasks, when)?;
    let serving = Serving::start(folder.path())?;
    // The first runs load the program.
    std::thread::sleep(Duration::from_secs(3));
    let (cpu, since) = (serving.cpu_ms()?, now());
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let (cpu, until) = (serving.cpu_ms()? - cpu, now());
    drop(serving);
    let late = lateness(folder.path(), since, until)?;
    if late.is_empty() {
        return Ok(vec![Row::note("scheduler", "fires", "none came within the time")]);
    }
    let (count, each) = (late.len(), cpu / late.len() as f64);
    let late = Samples::new(late);
    let fire = Row::figure(
        "scheduler",
        format!("processor time for one fire, {tasks} tasks scheduled"),
        format!("{cpu:.0} ms for {count} fires"),
        &Samples::new(vec![each]),
        ("ms", Some(FIRE_BUDGET)),
    );
    let p99 = Samples::new(vec![late.quantile(0.99)]);
    let lateness = Row::figure(
        "scheduler",
        "from slot to start, 99 of 100",
        format!("median {:.0} ms, at most {:.0} ms, {count} fires", late.median(), late.quantile(1.0)),
        &p99,
        ("ms", Some(LATENESS_BUDGET)),
    );
    Ok(vec![fire, lateness])
}

fn now() -> i64 {
    use wardroom_core::clock::Clock as _;
    wardroom_core::clock::SystemClock.now().ms()
}

/// Saves so many tasks of a component that does nothing.
fn save(folder: &Path, tasks: usize, when: impl Fn(&mut TaskDraft, usize)) -> Result<(), Failed> {
    let program = folder.join("nothing.wasm");
    std::fs::write(&program, wat::parse_str(subject::NOTHING)?)?;
    let wardroom = Wardroom::open(&folder.join("home"), wardroom()?, Arc::new(Silent))?;
    let runtime = serving()?;
    runtime.block_on(async {
        for number in 0..tasks {
            let mut draft =
                TaskDraft { name: format!("task-{number}"), program: format!("{}#nothing", program.display()), ..TaskDraft::default() };
            draft.zone = Some("UTC".to_owned());
            when(&mut draft, number);
            let saving = Saving { draft, seen: None, base: folder, text_params: Vec::new(), bytes: Bytes::Read, paused_for: None };
            wardroom.save_task(saving).await?;
        }
        Ok::<(), Failed>(())
    })
}

/// Milliseconds from slot to start of what was due in a time.
fn lateness(folder: &Path, since: i64, until: i64) -> Result<Vec<f64>, Failed> {
    let database = rusqlite::Connection::open(folder.join("home/wardroom.db"))?;
    let mut statement = database.prepare(
        "SELECT started_ms - scheduled_for_ms FROM executions
         WHERE scheduled_for_ms BETWEEN ? AND ? AND started_ms IS NOT NULL",
    )?;
    let late = statement.query_map([since, until], |row| row.get::<_, i64>(0))?;
    late.map(|late| Ok(late? as f64)).collect()
}

/// A daemon, told to stop and waited for in the end.
struct Serving(Child);

impl Serving {
    fn start(folder: &Path) -> Result<Self, Failed> {
        let mut child = Command::new(wardroom()?)
            .args(["serve", "--json"])
            .env("WARDROOM_HOME", folder.join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let serving = Self(child);
        let mut lines = BufReader::new(stderr).lines();
        for line in lines.by_ref() {
            if line?.contains("\"serving\"") {
                // Read on, so that it never waits for us.
                drop(std::thread::spawn(move || lines.for_each(drop)));
                return Ok(serving);
            }
        }
        Err("the daemon ended before it served".into())
    }

    fn proc(&self, name: &str) -> Result<String, Failed> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{name}", self.0.id()))?)
    }

    /// Milliseconds of processor, of threads that ended as well.
    fn cpu_ms(&self) -> Result<f64, Failed> {
        let stat = self.proc("stat")?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        // proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms.
        let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).ok_or("no processor time");
        Ok((ticks(11)? + ticks(12)?) * 10.0)
    }

    fn resident(&self) -> Result<f64, Failed> {
        crate::process::resident(self.0.id())
    }

    fn switches(&self) -> Result<u64, Failed> {
        let mut sum = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let status = std::fs::read_to_string(thread?.path().join("status"))?;
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap_or_default();
            sum += line.split_whitespace().nth(1).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM).ok();
        drop(self.0.wait());
    }
}
