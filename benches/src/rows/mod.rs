//! The rows, one file each: what is measured, against what, within which
//! budget. The budgets are the promises of the design, not wishes.

mod deadline;
mod first;
mod hello;
mod inspect;
pub(crate) mod mcp;
mod noop;
mod parallel;
mod recorded;
mod redact;
mod scheduler;

use tokio::runtime::{Builder, Runtime};

use crate::Failed;
use crate::report::Row;

/// How many rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough to see that everything runs.
    Quick,
    /// Enough for a figure.
    Full,
}

impl Effort {
    pub(crate) fn rounds(self, quick: usize, full: usize) -> usize {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// One bench.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) measure: fn(Effort) -> Result<Vec<Row>, Failed>,
}

/// In the order in which they are run.
pub(crate) const ALL: &[Bench] = &[
    Bench { name: "noop", about: "a warm execution that does nothing, without a record, against bare wasmtime", measure: noop::measure },
    Bench {
        name: "recorded",
        about: "the same with its durable record, 64 in flight, against bare wasmtime and bare SQLite",
        measure: recorded::measure,
    },
    Bench { name: "hello", about: "`wardroom run hello.js` against `node hello.js`, whole processes", measure: hello::measure },
    Bench { name: "parallel", about: "8 executions of one busy program at once against one at a time", measure: parallel::measure },
    Bench { name: "deadline", about: "how soon a spinning or blocked guest is gone at a 100 ms deadline", measure: deadline::measure },
    Bench {
        name: "redact",
        about: "the redactor on text with nothing to remove, against a plain multi-pattern scan",
        measure: redact::measure,
    },
    Bench {
        name: "scheduler",
        about: "a daemon with many tasks: what a fire costs, how late it is, and idling",
        measure: scheduler::measure,
    },
    Bench {
        name: "mcp",
        about: "a typed call over MCP with its record, against a bare tool of the same library; the first list; memory",
        measure: mcp::measure,
    },
    Bench { name: "inspect", about: "`wardroom plugin inspect` of 100 plugins, whole processes", measure: inspect::measure },
    Bench { name: "first", about: "the first script ever run in a fresh home", measure: first::measure },
];

/// One thread, as for measuring one run after the other.
fn single() -> Result<Runtime, Failed> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// As the command line's own: one thread for each core, and a ceiling over those
/// that guests' file work may block.
fn serving() -> Result<Runtime, Failed> {
    Ok(Builder::new_multi_thread().enable_all().max_blocking_threads(64).build()?)
}

/// Fails where a run did not end well: a bench of failures is none.
fn well(outcome: &wardroom_core::failure::Outcome) -> Result<(), Failed> {
    match &outcome.ending {
        Ok(_) => Ok(()),
        Err(failure) => Err(format!("a run failed: {failure}").into()),
    }
}
