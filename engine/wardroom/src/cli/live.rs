//! What a person sees while something runs: log lines, progress, refusals, and
//! what is being compiled — on standard error, so that the result stays alone
//! on standard output.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use wardroom_core::capability::Refusal;
use wardroom_core::log::{Level, LogLine, Progress};
use wardroom_core::text::{for_terminal, for_terminal_line, truncated};
use wardroom_host::Notice;

use super::show::{DIM, ERROR, WARN};
use crate::execution::Live;

/// Bytes of a progress line: it must not wrap.
const PROGRESS_BYTES: usize = 60;
/// Lines on their way to standard error. Whoever does not read it (a full pipe,
/// Ctrl-S) must not hold up the run, its deadline or its record.
const QUEUE: usize = 4096;
/// How long the end waits for lines that make no way any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// Standard error, written by a thread of its own, with one line at its end
/// that is drawn over again.
#[derive(Default)]
pub(super) struct Terminal {
    queue: OnceLock<Option<SyncSender<Act>>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

enum Act {
    /// A whole line, above whatever is being drawn over.
    Line(String),
    /// A line to be drawn over by the next.
    Draw(String),
    /// What was drawn goes; then the sender is told.
    Wipe(SyncSender<()>),
}

impl Terminal {
    fn send(&self, act: Act) {
        let start = || {
            let (sender, receiver) = sync_channel(QUEUE);
            let counts = self.counts.clone();
            let writer = move || write_all(&receiver, &counts);
            let started = std::thread::Builder::new().name("wardroom-stderr".to_owned()).spawn(writer);
            started.is_ok().then_some(sender)
        };
        let sent = self.queue.get_or_init(start).as_ref().is_some_and(|queue| queue.try_send(act).is_ok());
        if !sent {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn line(&self, text: String) {
        self.send(Act::Line(text));
    }

    fn draw(&self, text: String) {
        if std::io::stderr().is_terminal() {
            self.send(Act::Draw(text));
        }
    }

    /// Waits until everything is written, as long as it makes any way, and
    /// removes what is being drawn over. `false`: nobody reads standard error.
    pub(super) fn finish(&self) -> bool {
        let Some(Some(queue)) = self.queue.get() else { return true };
        let (done, wiped) = sync_channel(1);
        let mut seen = self.counts.written.load(Ordering::Relaxed);
        let mut act = Some(Act::Wipe(done));
        loop {
            if let Some(wipe) = act.take()
                && let Err(std::sync::mpsc::TrySendError::Full(wipe)) = queue.try_send(wipe)
            {
                act = Some(wipe);
            }
            match wiped.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Timeout) => {
                    let written = self.counts.written.load(Ordering::Relaxed);
                    if written == seen {
                        return false;
                    }
                    seen = written;
                }
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let dropped = self.counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            super::show::line(&format!("{DIM}{dropped} lines were not shown: `wardroom exec logs` has them{DIM:#}"));
        }
        true
    }
}

fn write_all(acts: &Receiver<Act>, counts: &Counts) {
    let mut drawn = false;
    while let Ok(act) = acts.recv() {
        let mut stderr = anstream::stderr();
        let wipe = if std::mem::take(&mut drawn) { "\r\u{1b}[K" } else { "" };
        // Nobody reads: nothing to do about it.
        match act {
            Act::Line(text) => drop(writeln!(stderr, "{wipe}{text}")),
            Act::Draw(text) => {
                drawn = true;
                drop(write!(stderr, "{wipe}{DIM}{text}{DIM:#}").and_then(|()| stderr.flush()));
            }
            Act::Wipe(done) => {
                drop(write!(stderr, "{wipe}").and_then(|()| stderr.flush()));
                _ = done.try_send(());
            }
        }
        counts.written.fetch_add(1, Ordering::Relaxed);
    }
}

/// One log line as people see it: every line of it begins with its level, so
/// that no guest can imitate a prompt or an error of ours.
pub(super) fn log_line(line: &LogLine) -> String {
    let style = match line.level {
        Level::Error => ERROR,
        Level::Warn => WARN,
        Level::Debug | Level::Info => DIM,
    };
    let prefix = format!("{style}{:>5} |{style:#} ", line.level.name());
    let text = for_terminal(&line.text);
    text.split('\n').map(|part| format!("{prefix}{part}")).collect::<Vec<_>>().join("\n")
}

impl Live for Terminal {
    fn line(&self, line: &LogLine) {
        Self::line(self, log_line(line));
    }

    fn progress(&self, progress: &Progress) {
        let of = progress.total.map_or_else(String::new, |total| format!("/{total}"));
        let message = for_terminal_line(&progress.message);
        self.draw(format!("[{}{of}] {}", progress.done, truncated(&message, PROGRESS_BYTES)));
    }

    fn refused(&self, refusal: &Refusal) {
        Self::line(self, format!("{WARN}denied{WARN:#} {}", for_terminal_line(&refusal.to_string())));
    }
}

/// Says what is being compiled, and how long it took.
#[derive(Default)]
pub(super) struct Compiling {
    terminal: Terminal,
    since: std::sync::Mutex<Option<Instant>>,
}

impl Notice for Compiling {
    fn preparing(&self, what: &str) {
        self.terminal.draw(format!("compiling {} (only once)…", for_terminal_line(what)));
        *self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
    }

    fn prepared(&self) {
        let since = self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(since) = since.filter(|_| std::io::stderr().is_terminal()) {
            self.terminal.line(format!("{DIM}compiled in {:.1} s{DIM:#}", since.elapsed().as_secs_f64()));
        }
        // Whether anybody read it is for the run to find out.
        let _heard: bool = self.terminal.finish();
    }
}

/// Says how much of something has come.
pub(super) struct Fetching {
    terminal: Terminal,
    what: String,
    drawn: AtomicU64,
}

/// Bytes between two looks at how much there is.
const FETCHED_STEP: u64 = 256 << 10;

impl Fetching {
    pub(super) fn new(what: &str) -> Self {
        Self { terminal: Terminal::default(), what: for_terminal_line(truncated(what, PROGRESS_BYTES)), drawn: AtomicU64::new(0) }
    }

    /// So many bytes have come, of so many where that is known.
    pub(super) fn told(&self, done: u64, total: Option<u64>) {
        if done > 0 && done < self.drawn.load(Ordering::Relaxed) + FETCHED_STEP && Some(done) != total {
            return;
        }
        self.drawn.store(done, Ordering::Relaxed);
        let of = total.map_or_else(String::new, |total| format!(" of {} KiB", total.div_ceil(1024)));
        let unit = if total.is_some() { "" } else { " KiB" };
        self.terminal.draw(format!("fetching {}: {}{unit}{of}", self.what, done.div_ceil(1024)));
    }

    /// What was drawn goes.
    pub(super) fn finish(&self) {
        let _heard: bool = self.terminal.finish();
    }
}

#[cfg(test)]
mod tests {
    use wardroom_core::clock::Timestamp;

    use super::*;

    #[test]
    fn every_line_of_a_log_line_begins_with_its_level() {
        let line = LogLine { at: Timestamp::from_ms(0), level: Level::Info, text: "a\n\u{1b}[2Kerror: no\r".to_owned() };
        let shown = anstream::adapter::strip_str(&log_line(&line)).to_string();
        assert_eq!(shown, " info | a\n info | \\u{1b}[2Kerror: no\\u{d}");
    }
}
