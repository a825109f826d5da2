//! A guest that spins or is blocked in the host, at a deadline of 100 ms: when
//! it is gone, from the call on.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wardroom_core::capability::Scope;
use wardroom_core::capability::files::FolderScope;
use wardroom_core::failure::{FailureKind, Outcome};

use super::{Effort, serving, well};
use crate::Failed;
use crate::measure::Samples;
use crate::report::Row;
use crate::subject::{Sandbox, Subject, WORK};

const DEADLINE: Duration = Duration::from_millis(100);
/// Milliseconds, of which 99 in 100 stay below.
const BUDGET: f64 = 120.0;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let (runtime, sandbox) = (serving()?, Arc::new(Sandbox::new()?));
    runtime.block_on(load(&sandbox))?;
    let silent = Silent::start()?;
    let swapped = Swapped::start()?;
    let cases = [
        ("spinning", Subject::function(WORK, "spin")?),
        ("a spinning script", Subject::script("for (;;) {}")?),
        ("asleep", Subject::script("await new Promise((done) => setTimeout(done, 1e9));")?),
        ("waiting for a silent server", Subject::script(&format!("await fetch({:?});", silent.url()))?.grant(silent.scope()?)),
        ("opening a file that becomes a pipe", Subject::script(SWAPPED)?.grant(swapped.scope()?)),
    ];
    let mut rows = Vec::new();
    for (what, subject) in cases {
        for (meter, subject) in [("epochs", subject.clone()), ("fuel", subject.counted())] {
            let subject = subject.deadline(DEADLINE);
            let ends = runtime.block_on(ends(&sandbox, &subject, 1, effort.rounds(10, 200)))?;
            rows.push(row(format!("{what}, {meter}"), &ends, Some(BUDGET)));
        }
    }
    // More than there are cores: no promise, but worth knowing.
    let spinning = Subject::function(WORK, "spin")?.deadline(DEADLINE);
    let ends = runtime.block_on(ends(&sandbox, &spinning, 8, effort.rounds(3, 30)))?;
    // A pipe that was opened after all blocks its thread for ever, without us.
    runtime.shutdown_background();
    rows.push(row("8 spinning at once, epochs".to_owned(), &ends, None));
    Ok(rows)
}

fn row(what: String, ends: &Samples, budget: Option<f64>) -> Row {
    let measured = format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", ends.median(), ends.quantile(0.99), ends.quantile(1.0));
    Row { value: Some(ends.quantile(0.99)), ..Row::figure("deadline", what, measured, ends, ("ms", budget)) }
}

/// Loads what is run below on both engines, which no deadline of 100 ms leaves
/// the time for.
async fn load(sandbox: &Sandbox) -> Result<(), Failed> {
    for subject in [Subject::function(WORK, "work")?.param("steps", 1), Subject::script("return 1;")?] {
        well(&sandbox.run(Arc::new(subject.plan()?)).await)?;
        well(&sandbox.run(Arc::new(subject.counted().plan()?)).await)?;
    }
    Ok(())
}

/// Milliseconds from each call to its end, `at_once` at a time.
async fn ends(sandbox: &Arc<Sandbox>, subject: &Subject, at_once: usize, rounds: usize) -> Result<Samples, Failed> {
    let mut ends = Vec::new();
    let plan = Arc::new(subject.plan()?);
    for _ in 0..rounds {
        let run = || {
            let (sandbox, plan) = (sandbox.clone(), plan.clone());
            tokio::spawn(async move {
                let begin = Instant::now();
                let outcome = sandbox.run(plan).await;
                (outcome, begin.elapsed())
            })
        };
        for running in (0..at_once).map(|_| run()).collect::<Vec<_>>() {
            let (outcome, elapsed) = running.await?;
            ended_at_deadline(&outcome)?;
            ends.push(elapsed.as_secs_f64() * 1e3);
        }
    }
    Ok(Samples::new(ends))
}

fn ended_at_deadline(outcome: &Outcome) -> Result<(), Failed> {
    match &outcome.ending {
        Err(failure) if failure.kind == FailureKind::Deadline => Ok(()),
        other => Err(format!("a run did not end at its deadline: {other:?}").into()),
    }
}

/// Takes connections and says nothing.
struct Silent(TcpListener);

impl Silent {
    /// Nobody accepts: the kernel finishes connections up to the backlog by
    /// itself, and a thread takes them off it.
    fn start() -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let taking = listener.try_clone()?;
        std::thread::spawn(move || {
            let mut held = std::collections::VecDeque::new();
            for connection in taking.incoming() {
                held.push_back(connection);
                if held.len() > 64 {
                    held.pop_front();
                }
            }
        });
        Ok(Self(listener))
    }

    fn url(&self) -> String {
        self.0.local_addr().map_or_else(|_| String::new(), |address| format!("http://{address}/"))
    }

    fn scope(&self) -> Result<Scope, Failed> {
        Ok(Scope::Net(self.url().parse()?))
    }
}

/// Opens the file again and again, whatever comes of it.
const SWAPPED: &str = r#"
for (;;) {
  try { await fs.readFile("swapped/file"); } catch {}
}"#;

/// A folder with a name that is now a file, now a pipe without a writer, on
/// which opening would wait for ever.
struct Swapped {
    folder: tempfile::TempDir,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapped {
    fn start() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let over = Arc::new(AtomicBool::new(false));
        let (path, done) = (folder.path().to_owned(), over.clone());
        swap(&path)?;
        let thread = std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) && swap(&path).is_ok() {
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Ok(Self { folder, over, thread: Some(thread) })
    }

    fn scope(&self) -> Result<Scope, Failed> {
        Ok(Scope::Read(FolderScope::new("swapped", &self.folder.path().canonicalize()?)?))
    }
}

fn swap(folder: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let (staged, file): (PathBuf, PathBuf) = (folder.join("staged"), folder.join("file"));
    std::fs::write(&staged, "text")?;
    std::fs::rename(&staged, &file)?;
    mknodat(CWD, &staged, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    std::fs::rename(&staged, &file)
}

impl Drop for Swapped {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked swaps no more either.
            drop(thread.join());
        }
    }
}
