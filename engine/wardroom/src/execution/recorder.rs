//! The recorder: one execution's way into the database, while it runs and when
//! it ends. Everything it is told it also shows live, and to whoever follows
//! from another process.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::FutureExt as _;
use futures::future::Shared;

use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use wardroom_core::capability::Refusal;
use wardroom_core::clock::{Clock, Timestamp};
use wardroom_core::execution::Status;
use wardroom_core::failure::{Outcome, Output};
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::plan::Plan;
use wardroom_core::task::{Keep, TaskName};
use wardroom_core::witness::{BoxFuture, HostFault, Witness};
use wardroom_db::{Database, Ending, Sequel, StartRow};

use super::{FLUSH_EVERY, Live, RecordError, START_ROW_AFTER};

/// One execution's record in the making.
pub(crate) struct Recorder {
    plan: Arc<Plan>,
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
    holder: String,
    created_at: Timestamp,
    live: Arc<dyn Live>,
    /// The params of an execution of which none are kept.
    nothing: Map<String, Value>,
    /// Set once the start row is in the database's queue, or the run is over
    /// without one; resolves when it is durable, or cannot be made so. One
    /// future for all who wait: whoever asked first may be gone (a dropped
    /// request), and the row is written once.
    started: OnceLock<Begun>,
    /// All lines so far. The run writes, the flush and followers read; never
    /// held across an await. The sandbox caps what comes here.
    log: Mutex<Log>,
    /// Wakes followers: how many lines there are, and the status at the end.
    news: watch::Sender<(usize, Option<Status>)>,
    stop: Notify,
}

/// What became of the start row.
enum Begun {
    /// It is on its way, or there.
    Row(Shared<BoxFuture<'static, Result<(), HostFault>>>),
    /// The run was over before: there is none.
    Over,
}

impl Begun {
    async fn row(&self) -> Result<(), HostFault> {
        match self {
            Self::Row(row) => row.clone().await,
            Self::Over => Err(HostFault("the execution has ended".to_owned())),
        }
    }
}

#[derive(Default)]
struct Log {
    lines: Vec<LogLine>,
    /// How many of them are in the database.
    stored: usize,
}

impl Recorder {
    pub(crate) fn new(plan: Arc<Plan>, db: Arc<Database>, clock: Arc<dyn Clock>, holder: String, live: Arc<dyn Live>) -> Self {
        let created_at = clock.now();
        Self {
            plan,
            db,
            clock,
            holder,
            created_at,
            live,
            nothing: Map::new(),
            started: OnceLock::new(),
            log: Mutex::default(),
            news: watch::Sender::new((0, None)),
            stop: Notify::new(),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_row(&self) -> StartRow<'_> {
        let resolved = self.plan.resolved();
        StartRow {
            id: resolved.id,
            attempt: resolved.attempt,
            trigger: resolved.trigger,
            task: resolved.occasion.task.as_ref().map(TaskName::as_str),
            subject: &resolved.subject,
            program: &resolved.program.name,
            digest: resolved.program.digest,
            holder: &self.holder,
            session: resolved.occasion.session.as_deref(),
            created_at: self.created_at,
            started_at: self.created_at,
            scheduled_for: resolved.occasion.scheduled_for,
            origin: resolved.occasion.origin,
            caller: resolved.occasion.caller,
            is_queued: resolved.occasion.is_queued,
            params: if resolved.occasion.keep == Keep::None { &self.nothing } else { &resolved.input.params },
            access: self.plan.access(),
            limits: &resolved.limits,
        }
    }

    /// Makes the start row durable, once. It is queued when this is called.
    fn start(&self) -> impl Future<Output = Result<(), HostFault>> + Send {
        let queue = || {
            let row = self.db.start(&self.start_row());
            let durable: BoxFuture<'static, _> = Box::pin(async move { row.await.map_err(|error| HostFault(error.to_string())) });
            Begun::Row(durable.shared())
        };
        self.started.get_or_init(queue).row()
    }

    /// Keeps a long run recorded: its start row, then its lines. Ends only
    /// where that cannot be done.
    pub(crate) async fn keep(&self) -> HostFault {
        tokio::time::sleep(START_ROW_AFTER).await;
        if let Err(fault) = self.start().await {
            return fault;
        }
        loop {
            tokio::time::sleep(FLUSH_EVERY).await;
            let fresh = self.take_unstored();
            if fresh.is_empty() {
                continue;
            }
            let resolved = self.plan.resolved();
            if let Err(error) = self.db.append_lines(resolved.id, resolved.attempt, fresh).await {
                return HostFault(error.to_string());
            }
        }
    }

    fn take_unstored(&self) -> Vec<LogLine> {
        let mut log = self.log();
        let fresh = match self.plan.resolved().occasion.keep {
            Keep::All => log.lines.get(log.stored..).unwrap_or_default().to_vec(),
            Keep::None | Keep::Result => Vec::new(),
        };
        log.stored = log.lines.len();
        fresh
    }

    /// Step 4: the finish row (or both rows at once, where nothing had to be
    /// durable before), lines and state, in one transaction.
    /// Answers what is left to do.
    pub(crate) async fn settle(&self, outcome: Outcome) -> Result<(Outcome, Sequel), RecordError> {
        let resolved = self.plan.resolved();
        // What is left of a request that nobody waits for may be about to start
        // it on another thread: whoever comes first decides, and what comes
        // after the end starts nothing.
        let started = match self.started.get_or_init(|| Begun::Over) {
            Begun::Row(row) => row.clone().await.is_ok(),
            Begun::Over => false,
        };
        let kept = kept(&outcome, resolved.occasion.keep);
        let written = if started {
            self.db.finish(resolved.id, resolved.attempt, self.ending(&kept)).await
        } else {
            // A start row that failed once may succeed now; else this says why.
            self.db.record(&self.start_row(), self.ending(&kept)).await
        };
        let status = outcome.status();
        self.news.send_modify(|(_, ended)| *ended = Some(status));
        match written {
            Ok(sequel) => Ok((outcome, sequel)),
            Err(source) => Err(RecordError { outcome: Box::new(outcome), source }),
        }
    }

    fn ending<'a>(&self, outcome: &'a Outcome) -> Ending<'a> {
        Ending { finished_at: self.clock.now(), outcome, redactions: outcome.redactions, lines: self.take_unstored() }
    }

    /// Asks the run to end.
    pub(crate) fn cancel(&self) {
        self.stop.notify_one();
    }

    pub(crate) async fn cancelled(&self) {
        self.stop.notified().await;
    }

    /// How many lines there are, and the status at the end, as they change.
    pub(crate) fn news(&self) -> watch::Receiver<(usize, Option<Status>)> {
        self.news.subscribe()
    }

    /// Lines from a place on, as they come, and the status when it ends.
    pub(crate) fn follow(self: Arc<Self>, from: usize) -> Follower {
        let news = self.news.subscribe();
        Follower { recorder: self, news, next: from }
    }
}

/// What is recorded of an outcome.
fn kept(outcome: &Outcome, keep: Keep) -> Cow<'_, Outcome> {
    if keep != Keep::None {
        return Cow::Borrowed(outcome);
    }
    let mut kept = outcome.clone();
    kept.partial_output = None;
    if let Ok(output) = &mut kept.ending {
        *output = Output::Json(Value::Null);
    }
    Cow::Owned(kept)
}

impl Witness for Recorder {
    fn line(&self, line: &LogLine) {
        let count = {
            let mut log = self.log();
            log.lines.push(line.clone());
            log.lines.len()
        };
        self.live.line(line);
        self.news.send_modify(|(lines, _)| *lines = count);
    }

    fn progress(&self, progress: &Progress) {
        self.live.progress(progress);
    }

    fn refused(&self, refusal: &Refusal) {
        self.live.refused(refusal);
    }

    // The hosts are in the outcome's usage; nobody watches them live.
    fn contacted(&self, _host: &str) {}

    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
        Box::pin(self.start())
    }
}

/// Follows one execution of this process.
pub(crate) struct Follower {
    recorder: Arc<Recorder>,
    news: watch::Receiver<(usize, Option<Status>)>,
    next: usize,
}

/// What a follower sees.
pub(crate) enum News {
    Lines(Vec<LogLine>),
    Ended(Status),
}

impl Follower {
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            let (lines, ended) = *self.news.borrow_and_update();
            if lines > self.next {
                let fresh = self.recorder.log().lines.get(self.next..lines).unwrap_or_default().to_vec();
                self.next = lines;
                return Some(News::Lines(fresh));
            }
            if let Some(status) = ended {
                return Some(News::Ended(status));
            }
            self.news.changed().await.ok()?;
        }
    }
}
