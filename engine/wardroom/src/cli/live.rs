//! What a person sees while something runs: log lines, progress, refusals, and
//! what is being compiled — on standard error, so that the result stays alone
//! on standard output.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use wardroom_core::capability::Refusal;
use wardroom_core::log::{Level, LogLine, Progress};
use wardroom_core::text::{for_terminal, for_terminal_line, truncated};
use wardroom_host::Notice;

use super::show::{DIM, ERROR, WARN};
use crate::execution::Live;

/// Bytes of a progress line: it must not wrap.
const PROGRESS_BYTES: usize = 60;

/// Standard error, with one line at its end that is drawn over again.
#[derive(Default)]
pub(super) struct Terminal {
    drawn: Mutex<Drawn>,
}

#[derive(Default)]
struct Drawn {
    /// A line stands there without a line break.
    pending: bool,
    since: Option<Instant>,
}

impl Terminal {
    fn with(&self, write: impl FnOnce(&mut dyn Write, &mut Drawn) -> std::io::Result<()>) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stderr = anstream::stderr().lock();
        // Nobody reads: nothing to do about it.
        drop(write(&mut stderr, &mut drawn));
    }

    /// A whole line, above whatever is being drawn over.
    fn line(&self, text: &str) {
        self.with(|stderr, drawn| {
            wipe(stderr, drawn)?;
            writeln!(stderr, "{text}")
        });
    }

    fn draw(&self, text: &str) {
        if std::io::stderr().is_terminal() {
            self.with(|stderr, drawn| {
                wipe(stderr, drawn)?;
                drawn.pending = true;
                write!(stderr, "{DIM}{text}{DIM:#}")?;
                stderr.flush()
            });
        }
    }

    /// Removes what is being drawn over.
    pub(super) fn finish(&self) {
        self.with(|stderr, drawn| wipe(stderr, drawn));
    }
}

fn wipe(stderr: &mut dyn Write, drawn: &mut Drawn) -> std::io::Result<()> {
    if std::mem::take(&mut drawn.pending) {
        write!(stderr, "\r\u{1b}[K")?;
    }
    Ok(())
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
        Self::line(self, &log_line(line));
    }

    fn progress(&self, progress: &Progress) {
        let of = progress.total.map_or_else(String::new, |total| format!("/{total}"));
        let message = for_terminal_line(&progress.message);
        self.draw(&format!("[{}{of}] {}", progress.done, truncated(&message, PROGRESS_BYTES)));
    }

    fn refused(&self, refusal: &Refusal) {
        Self::line(self, &format!("{WARN}denied{WARN:#} {}", for_terminal_line(&refusal.to_string())));
    }
}

impl Notice for Terminal {
    fn preparing(&self, what: &str) {
        self.draw(&format!("compiling {} (only once)…", for_terminal_line(what)));
        self.with(|_, drawn| {
            drawn.since = Some(Instant::now());
            Ok(())
        });
    }

    fn prepared(&self) {
        self.with(|stderr, drawn| {
            wipe(stderr, drawn)?;
            match drawn.since.take().map(|since| since.elapsed()) {
                Some(took) if std::io::stderr().is_terminal() => writeln!(stderr, "{DIM}compiled in {:.1} s{DIM:#}", took.as_secs_f64()),
                _ => Ok(()),
            }
        });
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
