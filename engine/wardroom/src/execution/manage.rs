//! Executions seen from outside: lists, records, logs, cancelling — also those
//! that run in another process.

use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use wardroom_core::blame::Blame;
use wardroom_core::call::MAX_CALLS;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_core::log::LogLine;
use wardroom_db::{DbError, ExecutionRecord, ExecutionSummary, Filter, Found};

use super::changed::Changed;
use super::session::Peer;
use crate::wardroom::Wardroom;

/// Lines read from the database at once.
const PAGE: u64 = 1000;
/// How often old executions are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a process looks whether it is time to; it is asked after every run.
const LOOK_TIDY_EVERY: Duration = Duration::from_secs(60);

/// Something about an execution that cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// There is none of that id.
    #[error("there is no execution `{0}`")]
    Unknown(String),
    /// Several begin like this.
    #[error("`{prefix}` is the beginning of {count} executions' ids: expected more of it")]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// How many.
        count: u64,
    },
    /// It has ended already.
    #[error("the execution `{id}` has ended already: it is {status}")]
    Ended {
        /// Which.
        id: ExecutionId,
        /// How.
        status: Status,
    },
    /// Its process does not answer.
    #[error("the process that runs `{id}` does not answer: {source}")]
    Peer {
        /// Which.
        id: ExecutionId,
        /// What the system said.
        source: std::io::Error,
    },
    /// What ran then is not what would run now.
    #[error("the program of `{id}` has other bytes by now")]
    OtherBytes {
        /// Which.
        id: ExecutionId,
        /// How to run the program as it is now.
        program: String,
        /// The task, where it was a run of one.
        task: Option<String>,
    },
    /// Its params are not in its record.
    #[error("the params of `{id}` were not kept, as its task wants it")]
    NotKept {
        /// Which.
        id: ExecutionId,
    },
    /// An assistant tried it, and its text was not kept.
    #[error("`{id}` was a script that an assistant tried: its text was not kept")]
    Tried {
        /// Which.
        id: ExecutionId,
    },
    /// A command's arguments are not in its record.
    #[error("the arguments of the command `{id}` were not recorded")]
    Arguments {
        /// Which.
        id: ExecutionId,
        /// Its program.
        program: String,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl ManageError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Db(error) => error.blame(),
            Self::Peer { .. } => Blame::Host,
            _ => Blame::Operator,
        }
    }
}

impl Wardroom {
    /// Marks as interrupted what dead processes left running, and answers how
    /// many executions those were.
    ///
    /// # Errors
    ///
    /// [`DbError`] where that cannot be read or written.
    pub async fn reap(&self) -> Result<usize, DbError> {
        let mut reaped = 0;
        for holder in self.db.running_holders()? {
            let peer = Peer { home: &self.home, holder: &holder };
            if !peer.lives() {
                reaped += self.db.interrupt(&holder, self.clock.now()).await?.len();
                peer.clear();
            }
        }
        Ok(reaped)
    }

    /// Once a day: forgets what is older or more than the settings keep, and
    /// clears what dead processes left in `run/`.
    ///
    /// # Errors
    ///
    /// [`DbError`] where that cannot be written.
    pub async fn tidy_daily(&self) -> Result<(), DbError> {
        let now = Instant::now();
        {
            let mut looked = self.looked_tidy.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| now.duration_since(at) < LOOK_TIDY_EVERY) {
                return Ok(());
            }
            *looked = Some(now);
        }
        let marker = self.home.run().join("tidied");
        let age = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?.elapsed().ok();
        if age(&marker).is_some_and(|age| age < TIDY_EVERY) {
            return Ok(());
        }
        // First, so that of several processes one does the work; one that
        // fails at it is followed by the next day's.
        drop(std::fs::write(&marker, ""));
        self.db.prune(self.clock.now(), self.config.retention()).await?;
        // What cannot be told apart today is swept tomorrow.
        drop(self.sweep_components());
        for lock in std::fs::read_dir(self.home.run()).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let Some(holder) = lock.file_name().and_then(|name| name.to_str()?.strip_suffix(".lock")) else { continue };
            let peer = Peer { home: &self.home, holder };
            // A young one may be about to be locked.
            if !peer.lives() && age(&lock).is_some_and(|age| age > TIDY_EVERY) {
                peer.clear();
            }
        }
        Ok(())
    }

    /// Executions that pass a filter, newest first.
    ///
    /// # Errors
    ///
    /// [`ManageError::Db`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<ExecutionSummary>, ManageError> {
        self.reap().await?;
        Ok(self.db.list(filter)?)
    }

    /// One execution, by its id or a beginning of it that no other has.
    ///
    /// # Errors
    ///
    /// [`ManageError::Unknown`], [`ManageError::Ambiguous`], or
    /// [`ManageError::Db`].
    pub async fn show(&self, id: &str) -> Result<ExecutionRecord, ManageError> {
        self.reap().await?;
        let unknown = || ManageError::Unknown(id.to_owned());
        let found = match self.db.find_by_prefix(id)? {
            Found::One(found) => found,
            Found::None => return Err(unknown()),
            Found::Many(count) => return Err(ManageError::Ambiguous { prefix: id.to_owned(), count }),
        };
        let mut record = self.db.execution(found, None)?.ok_or_else(unknown)?;
        record.children = self.children(found)?;
        Ok(record)
    }

    /// What an execution called, oldest first.
    ///
    /// # Errors
    ///
    /// Those of reading the database.
    pub fn children(&self, parent: ExecutionId) -> Result<Vec<ExecutionSummary>, DbError> {
        let mut children = self.db.list(&Filter { parent: Some(parent), limit: u64::from(MAX_CALLS), ..Filter::default() })?;
        children.reverse();
        Ok(children)
    }

    /// The log of an execution, line by line; with `follow`, until it ends.
    /// Answers its status then.
    ///
    /// # Errors
    ///
    /// As [`show`](Self::show), or [`ManageError::Peer`].
    pub async fn logs(&self, id: &str, follow: bool, mut show: impl FnMut(&LogLine)) -> Result<Status, ManageError> {
        let record = self.show(id).await?;
        let running = record.summary.status == Status::Running;
        if follow
            && running
            && let Some(status) = self.follow_lines(&record, &mut show).await?
        {
            return Ok(status);
        }
        let (id, attempt) = (record.summary.id, record.summary.attempt);
        let mut next = 0;
        loop {
            let lines = self.db.lines(id, attempt, next, PAGE)?;
            lines.iter().for_each(|record| show(&record.line));
            match lines.last() {
                Some(last) => next = last.seq + 1,
                None => return Ok(self.show(&id.to_string()).await?.summary.status),
            }
        }
    }

    /// From the process that runs it: all lines, then new ones. `None`: it
    /// ended in between, and everything is in the database.
    async fn follow_lines(&self, record: &ExecutionRecord, show: &mut impl FnMut(&LogLine)) -> Result<Option<Status>, ManageError> {
        let Some(holder) = &record.holder else { return Ok(None) };
        let id = record.summary.id;
        let peer = Peer { home: &self.home, holder };
        let mut shown = 0;
        let followed = peer.follow(id, 0, |line| {
            shown += 1;
            show(line);
        });
        match followed.await {
            Ok(Some(status)) => Ok(Some(status)),
            // Killed while it was followed: what it had said was shown.
            Ok(None) | Err(_) if shown > 0 => Ok(Some(self.show(&id.to_string()).await?.summary.status)),
            Ok(None) => Ok(None),
            Err(_) if !peer.lives() => Ok(None),
            Err(source) => Err(ManageError::Peer { id, source }),
        }
    }

    /// Cancels an execution that waits, or runs in whichever process.
    ///
    /// # Errors
    ///
    /// As [`show`](Self::show), [`ManageError::Ended`], or
    /// [`ManageError::Peer`].
    pub async fn cancel(&self, id: &str) -> Result<ExecutionId, ManageError> {
        let record = self.show(id).await?;
        let (id, status) = (record.summary.id, record.summary.status);
        if status == Status::Queued {
            match self.db.cancel_queued(id, record.summary.attempt, self.clock.now()).await {
                Ok(()) => {
                    self.tell_changed(&[Changed::Execution(id)]).await;
                    return Ok(id);
                }
                // Its turn came while we asked.
                Err(DbError::IllegalMove { .. }) => return Box::pin(self.cancel(&id.to_string())).await,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(holder) = record.holder.filter(|_| status == Status::Running) else {
            return Err(ManageError::Ended { id, status });
        };
        let peer = Peer { home: &self.home, holder: &holder };
        match peer.cancel(id).await {
            Ok(true) => Ok(id),
            // It ended while we asked.
            Ok(false) => {
                let status = self.show(&id.to_string()).await?.summary.status;
                Err(ManageError::Ended { id, status })
            }
            Err(source) => Err(ManageError::Peer { id, source }),
        }
    }
}
