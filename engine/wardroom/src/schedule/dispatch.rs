//! From the queue onto the one execution path: which of those that wait may
//! start, and starting them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use wardroom_core::blame::Blame;
use wardroom_core::capability::Grants;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::failure::{Failure, FailureKind};
use wardroom_core::id::ExecutionId;
use wardroom_core::task::{Occasion, TaskId, TaskName};
use wardroom_db::{DbError, QueuedRecord};
use wardroom_schedule::rate::{MAX_RATE_PERIOD, RateLimit};
use wardroom_schedule::rules::OverlapRule;

use super::serve::{News, Told};
use super::timer::earlier;
use crate::execution::{ExecuteError, Unwatched, caught};
use crate::task::TaskError;
use crate::task::definition::{Run, Task};
use crate::wardroom::Wardroom;

/// Waiting executions that are looked at in one go.
const WINDOW: u64 = 4096;

/// What waits, as far as it was read, and what runs.
pub(super) struct Queue {
    waiting: VecDeque<QueuedRecord>,
    runs: JoinSet<Ended>,
    running: HashMap<(ExecutionId, u32), TaskId>,
    /// When the next that waits may start, where time is what it waits for.
    next: Option<Timestamp>,
    /// More waits than was read.
    is_partial: bool,
    /// When this scheduler began, and what it started since where a rate counts
    /// it: rows are written a moment later.
    began: Timestamp,
    starts: Vec<(TaskId, Timestamp)>,
}

/// A run of this scheduler that ended.
pub(super) struct Ended {
    key: (ExecutionId, u32),
    name: TaskName,
}

/// What keeps an execution waiting.
enum Standing {
    /// Nothing.
    Ready(Box<Task>),
    /// Time.
    Until(Timestamp),
    /// Another run of its task.
    Busy,
    /// It will never run: why.
    Never(String),
}

impl Queue {
    pub(super) fn new(began: Timestamp) -> Self {
        Self {
            began,
            starts: Vec::new(),
            waiting: VecDeque::new(),
            runs: JoinSet::new(),
            running: HashMap::new(),
            next: None,
            is_partial: false,
        }
    }

    /// When the next that waits may start.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }

    pub(super) fn running(&self) -> usize {
        self.runs.len()
    }

    /// Reads what waits.
    pub(super) fn reload(&mut self, wardroom: &Wardroom) -> Result<(), TaskError> {
        let running = &self.running;
        let waiting = wardroom.db.queued(WINDOW)?;
        self.is_partial = waiting.len() as u64 == WINDOW;
        self.waiting = waiting.into_iter().filter(|queued| !running.contains_key(&(queued.id, queued.attempt))).collect();
        Ok(())
    }

    /// What was queued just now waits last, as it would if it were read.
    pub(super) fn add(&mut self, queued: Vec<QueuedRecord>) {
        self.waiting.extend(queued);
        self.waiting.make_contiguous().sort_by_key(QueuedRecord::place);
    }

    /// Starts whatever may start.
    pub(super) async fn dispatch(&mut self, wardroom: &Arc<Wardroom>, told: &Arc<dyn Told>) -> Result<(), TaskError> {
        let now = wardroom.clock.now();
        if self.is_partial && self.waiting.is_empty() {
            self.reload(wardroom)?;
        }
        self.next = None;
        let mut kept = VecDeque::new();
        while let Some(queued) = self.waiting.pop_front() {
            let full = self.runs.len() >= wardroom.config.schedule.concurrency();
            if full {
                kept.push_back(queued);
                break;
            }
            if !queued.is_ready(now) {
                self.next = earlier(self.next, queued.not_before);
                kept.push_back(queued);
                continue;
            }
            match self.standing(wardroom, &queued, now)? {
                Standing::Ready(task) => self.start(wardroom, queued, *task, told),
                Standing::Until(at) => {
                    self.next = earlier(self.next, Some(at));
                    kept.push_back(queued);
                }
                Standing::Busy => kept.push_back(queued),
                Standing::Never(reason) => skip(wardroom, &queued, reason).await?,
            }
        }
        kept.append(&mut self.waiting);
        self.waiting = kept;
        Ok(())
    }

    fn standing(&self, wardroom: &Wardroom, queued: &QueuedRecord, now: Timestamp) -> Result<Standing, TaskError> {
        let Some(record) = wardroom.db.task_by_id(queued.task)? else { return Ok(Standing::Never("removed".to_owned())) };
        let task = match Task::read_to_run(record) {
            Ok(task) => task,
            // One task that cannot be read stops no other.
            Err(error) => return Ok(Standing::Never(error.to_string())),
        };
        // A slot that was due before the pause is not; it was accounted for.
        if task.record.paused_at.is_some() {
            return Ok(Standing::Never("paused".to_owned()));
        }
        if task.definition.overlap != OverlapRule::Allow {
            let own = self.running.values().any(|id| *id == queued.task);
            // Also in another process, by hand.
            let runs = |(_, _, status): &(ExecutionId, u32, Status)| *status == Status::Running;
            if own || wardroom.db.unfinished(queued.task)?.iter().any(runs) {
                return Ok(Standing::Busy);
            }
        }
        let limits = [(Some(queued.task), task.definition.rate), (None, wardroom.config.schedule.rate)];
        for (of, rate) in limits {
            let at = rate.map_or(Ok(now), |rate| self.earliest(wardroom, of, rate, now))?;
            if at > now {
                return Ok(Standing::Until(at));
            }
        }
        Ok(Standing::Ready(Box::new(task)))
    }

    /// When a rate lets the next one start: what earlier schedulers started is in
    /// the database, what this one did is known here.
    fn earliest(&self, wardroom: &Wardroom, of: Option<TaskId>, rate: RateLimit, now: Timestamp) -> Result<Timestamp, TaskError> {
        let period = i64::try_from(rate.period().as_millis()).unwrap_or(i64::MAX);
        let after = Timestamp::from_ms(now.ms().saturating_sub(period));
        let mut starts = wardroom.db.starts(of, after)?;
        starts.retain(|at| *at < self.began);
        let own = self.starts.iter().filter(|(task, at)| *at > after && of.is_none_or(|of| of == *task));
        starts.extend(own.map(|(_, at)| *at));
        Ok(rate.earliest(&starts, now))
    }

    /// Notes a start, and forgets those that no rate counts any more.
    fn note_start(&mut self, wardroom: &Wardroom, task: &Task) {
        if task.definition.rate.is_none() && wardroom.config.schedule.rate.is_none() {
            return;
        }
        let now = wardroom.clock.now();
        let oldest = now.ms() - i64::try_from(MAX_RATE_PERIOD.as_millis()).unwrap_or(i64::MAX);
        self.starts.retain(|(_, at)| at.ms() > oldest);
        self.starts.push((task.id(), now));
    }

    fn start(&mut self, wardroom: &Arc<Wardroom>, queued: QueuedRecord, task: Task, told: &Arc<dyn Told>) {
        let key = (queued.id, queued.attempt);
        let name = task.name().clone();
        told.news(&News::Started { task: &name, id: queued.id, attempt: queued.attempt, scheduled_for: queued.scheduled_for });
        self.note_start(wardroom, &task);
        self.running.insert(key, task.id());
        let wardroom = wardroom.clone();
        self.runs.spawn(async move {
            // A bug of ours in one run holds up no other.
            drop(caught(run(&wardroom, &queued, &task)).await);
            Ended { key, name: task.name().clone() }
        });
    }

    /// Waits for a run to end; never, where none runs.
    pub(super) async fn ended(&mut self) -> Option<Ended> {
        match self.runs.join_next().await {
            Some(ended) => ended.ok(),
            None => std::future::pending().await,
        }
    }

    /// Forgets a run that ended, and tells how.
    pub(super) fn forget(&mut self, wardroom: &Wardroom, ended: &Ended, told: &dyn Told) -> Result<(), TaskError> {
        self.running.remove(&ended.key);
        let (id, attempt) = ended.key;
        if let Some(record) = wardroom.db.execution(id, Some(attempt))? {
            let message = record.failure.map(|failure| failure.message);
            told.news(&News::Ended { task: &ended.name, id, status: record.summary.status, took: record.summary.duration_ms, message });
        }
        Ok(())
    }

    /// Ends what still runs, with its futures.
    pub(super) async fn abandon(&mut self) {
        self.runs.shutdown().await;
    }
}

async fn skip(wardroom: &Wardroom, queued: &QueuedRecord, reason: String) -> Result<(), TaskError> {
    match wardroom.db.skip_queued(queued.id, queued.attempt, reason, wardroom.clock.now()).await {
        Ok(()) | Err(DbError::IllegalMove { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One execution whose turn came, from the queue to its end. Resolved and
/// authorized now: what was revoked while it waited is revoked.
async fn run(wardroom: &Arc<Wardroom>, queued: &QueuedRecord, task: &Task) {
    if let Err(failure) = caught(attempt(wardroom, queued, task)).await.flatten() {
        // Its record says why; where not even that can be written, it waits on
        // and the next scheduler tries it.
        let holder = wardroom.own_session().map_or("", |session| session.holder());
        let failed = wardroom.db.fail_queued(queued.id, queued.attempt, holder, &failure, wardroom.clock.now()).await;
        if failed.is_ok() {
            drop(wardroom.follow(queued.id, queued.attempt).await);
        }
    }
}

async fn attempt(wardroom: &Arc<Wardroom>, queued: &QueuedRecord, task: &Task) -> Result<(), Failure> {
    let request = task.request(Run {
        id: queued.id,
        attempt: queued.attempt,
        trigger: queued.trigger,
        occasion: Occasion { scheduled_for: queued.scheduled_for, origin: queued.origin, is_queued: true, ..Occasion::default() },
        params: Map::new(),
        text_params: Vec::new(),
        offered: offered(wardroom, queued),
    });
    let resolved = wardroom.resolve(request).await.map_err(|error| unstartable(error.blame(), &error))?;
    let plan = wardroom.authorize(resolved, Grants::default(), operator_env).map_err(|error| unstartable(error.blame(), &error))?;
    match wardroom.execute(plan, Arc::new(Unwatched), Box::pin(std::future::pending())).await {
        Ok(_) => Ok(()),
        // It ended, and was taken out of the queue meanwhile, or the database
        // does not answer.
        Err(ExecuteError::Record(error)) => match wardroom.db.execution(queued.id, Some(queued.attempt)) {
            Ok(Some(record)) if record.summary.status == Status::Queued => Err(unstartable(Blame::Host, &error)),
            _ => Ok(()),
        },
        Err(error) => Err(unstartable(error.blame(), &error)),
    }
}

/// What a program may want to know of the execution that led to its own.
fn offered(wardroom: &Wardroom, queued: &QueuedRecord) -> Map<String, Value> {
    let origin = queued.origin.and_then(|origin| wardroom.db.execution(origin, None).ok().flatten());
    let previous = origin.map(|record| {
        let result = record.output.map(|output| match output {
            wardroom_core::failure::Output::Json(value) => value,
            wardroom_core::failure::Output::Text(text) => Value::from(text),
            other => json!(other),
        });
        json!({
            "task": record.summary.task,
            "id": record.summary.id,
            "status": record.summary.status,
            "result": result,
            "error": record.failure.map(|failure| failure.message),
        })
    });
    previous.map(|previous| Map::from_iter([("previous".to_owned(), previous)])).unwrap_or_default()
}

/// The variables of this process that a program may be granted: our own are no
/// program's, one holds the vault's passphrase.
pub(crate) fn operator_env(name: &str) -> Option<String> {
    if name.starts_with("WARDROOM_") { None } else { std::env::var(name).ok() }
}

/// What could not be started: whose fault, and why.
fn unstartable(blame: Blame, error: &dyn std::error::Error) -> Failure {
    let kind = match blame {
        Blame::Operator => FailureKind::Invalid,
        Blame::Guest => FailureKind::Program,
        Blame::Host => FailureKind::Host,
    };
    Failure::new(kind, error.to_string())
}
