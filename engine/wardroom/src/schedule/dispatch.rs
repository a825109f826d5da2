//! From the queue onto the one execution path: which of those that wait may
//! start, and starting them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use wardroom_core::blame::Blame;
use wardroom_core::capability::Grants;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::failure::{Failure, FailureKind, Outcome};
use wardroom_core::id::ExecutionId;
use wardroom_core::task::{Occasion, TaskId, TaskName};
use wardroom_db::{DbError, QueuedRecord};
use wardroom_schedule::rate::{MAX_RATE_PERIOD, RateLimit};
use wardroom_schedule::rules::OverlapRule;

use super::serve::{News, Told};
use super::timer::earlier;
use crate::execution::changed::Changed;
use crate::execution::{ExecuteError, Unwatched, caught};
use crate::task::TaskError;
use crate::task::definition::{Run, Task};
use crate::wardroom::Wardroom;

/// Waiting executions that are looked at in one go.
const WINDOW: u64 = 4096;

/// An attempt of an execution.
type Key = (ExecutionId, u32);

/// What waits, as far as it was read, and what runs.
pub(super) struct Queue {
    waiting: VecDeque<QueuedRecord>,
    /// How many of those are read: [`WINDOW`].
    window: u64,
    runs: JoinSet<Ended>,
    running: HashMap<Key, TaskId>,
    /// When the next that waits may start, where time is what it waits for.
    next: Option<Timestamp>,
    /// More waits than was read.
    is_partial: bool,
    /// Something began or ended since it was read: of what was not read, another
    /// one may start.
    is_stale: bool,
    sooner: Sooner,
    /// When this scheduler began, and what it started since where a rate counts
    /// it: rows are written a moment later.
    began: Timestamp,
    starts: Vec<(TaskId, Timestamp)>,
}

/// A run of this scheduler that ended.
pub(super) struct Ended {
    key: Key,
    name: TaskName,
    /// None: its record says how.
    end: Option<End>,
}

/// How a run ended.
struct End {
    status: Status,
    took: u64,
    message: Option<String>,
}

/// Waits that end sooner than was written: none is longer than it was to be when
/// it was queued, wherever the clock was set to since.
#[derive(Default)]
struct Sooner(HashMap<Key, Timestamp>);

impl Sooner {
    /// When a waiting execution may start, where it may not yet.
    fn holds(&mut self, queued: &QueuedRecord, now: Timestamp) -> Option<Timestamp> {
        let written = queued.not_before?;
        let key = (queued.id, queued.attempt);
        let at = self.0.get(&key).copied().unwrap_or(written);
        let delay = i64::try_from(queued.delay().as_millis()).unwrap_or(i64::MAX);
        let at_most = Timestamp::from_ms(now.ms().saturating_add(delay));
        if at > at_most {
            self.0.insert(key, at_most);
        }
        Some(at.min(at_most)).filter(|at| *at > now)
    }
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
            window: WINDOW,
            runs: JoinSet::new(),
            running: HashMap::new(),
            next: None,
            is_partial: false,
            is_stale: false,
            sooner: Sooner::default(),
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
        let waiting = wardroom.db.queued(self.window)?;
        (self.is_partial, self.is_stale) = (waiting.len() as u64 == self.window, false);
        self.waiting = waiting.into_iter().filter(|queued| !running.contains_key(&(queued.id, queued.attempt))).collect();
        if !self.is_partial {
            let waits = |key: &Key| self.waiting.iter().any(|queued| (queued.id, queued.attempt) == *key);
            self.sooner.0.retain(|key, _| waits(key));
        }
        Ok(())
    }

    /// What was queued just now waits last, as it would if it were read.
    pub(super) fn add(&mut self, queued: Vec<QueuedRecord>) {
        self.waiting.extend(queued);
        self.waiting.make_contiguous().sort_by_key(QueuedRecord::place);
    }

    /// Starts whatever may start.
    pub(super) async fn dispatch(&mut self, wardroom: &Arc<Wardroom>, told: &Arc<dyn Told>) -> Result<(), TaskError> {
        while self.start_what_was_read(wardroom, told).await? && self.is_partial && self.is_stale {
            self.reload(wardroom)?;
        }
        Ok(())
    }

    /// Answers whether more could run than that.
    async fn start_what_was_read(&mut self, wardroom: &Arc<Wardroom>, told: &Arc<dyn Told>) -> Result<bool, TaskError> {
        let now = wardroom.clock.now();
        self.next = None;
        let (mut kept, mut has_room) = (VecDeque::new(), true);
        while let Some(queued) = self.waiting.pop_front() {
            let full = self.runs.len() >= wardroom.config.schedule.concurrency();
            if full {
                has_room = false;
                kept.push_back(queued);
                break;
            }
            if let Some(at) = self.sooner.holds(&queued, now) {
                self.next = earlier(self.next, Some(at));
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
                Standing::Never(reason) => {
                    skip(wardroom, &queued, reason).await?;
                    self.is_stale = true;
                }
            }
        }
        kept.append(&mut self.waiting);
        self.waiting = kept;
        Ok(has_room)
    }

    fn standing(&self, wardroom: &Wardroom, queued: &QueuedRecord, now: Timestamp) -> Result<Standing, TaskError> {
        let Some((record, runs)) = wardroom.db.turn_of(queued.task)? else { return Ok(Standing::Never("removed".to_owned())) };
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
            if own || runs {
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
        self.is_stale = true;
        let wardroom = wardroom.clone();
        self.runs.spawn(async move {
            // A bug of ours in one run holds up no other.
            let end = caught(run(&wardroom, &queued, &task)).await.ok().flatten();
            if end.is_none() {
                wardroom.unfollowed.store(true, Ordering::Relaxed);
            }
            Ended { key, name: task.name().clone(), end }
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
    pub(super) fn forget(&mut self, wardroom: &Wardroom, ended: Ended, told: &dyn Told) -> Result<(), TaskError> {
        let Ended { key, name, end } = ended;
        self.running.remove(&key);
        self.is_stale = true;
        let (id, attempt) = key;
        let (status, took, message) = match end {
            Some(end) => (end.status, Some(end.took), end.message),
            None => match wardroom.db.execution(id, Some(attempt))? {
                Some(record) => (record.summary.status, record.summary.duration_ms, record.failure.map(|failure| failure.message)),
                None => return Ok(()),
            },
        };
        told.news(&News::Ended { task: &name, id, status, took, message });
        Ok(())
    }

    /// Ends what still runs, with its futures.
    pub(super) async fn abandon(&mut self) {
        self.runs.shutdown().await;
    }
}

async fn skip(wardroom: &Wardroom, queued: &QueuedRecord, reason: String) -> Result<(), TaskError> {
    match wardroom.db.skip_queued(queued.id, queued.attempt, reason, wardroom.clock.now()).await {
        Ok(()) | Err(DbError::IllegalMove { .. }) => {
            wardroom.tell_changed(&[Changed::Execution(queued.id)]).await;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// One execution whose turn came, from the queue to its end. Resolved and
/// authorized now: what was revoked while it waited is revoked. Answers how it
/// ended, where that is recorded and followed.
async fn run(wardroom: &Arc<Wardroom>, queued: &QueuedRecord, task: &Task) -> Option<End> {
    let began = wardroom.clock.now();
    let failure = match caught(attempt(wardroom, queued, task)).await.flatten() {
        Ok(outcome) => {
            let outcome = outcome?;
            let message = outcome.ending.as_ref().err().map(|failure| failure.message.clone());
            return Some(End { status: outcome.status(), took: wardroom.clock.now().ms_since(began), message });
        }
        Err(failure) => failure,
    };
    // Its record says why; where not even that can be written, it waits on
    // and the next scheduler tries it.
    let holder = wardroom.own_session().map_or("", |session| session.holder());
    wardroom.db.fail_queued(queued.id, queued.attempt, holder, &failure, wardroom.clock.now()).await.ok()?;
    let followed = wardroom.follow(queued.id, queued.attempt).await;
    wardroom.tell_changed(&[Changed::Execution(queued.id), Changed::Task(task.name().clone())]).await;
    followed.ok()?;
    Some(End { status: failure.status(), took: 0, message: Some(failure.message) })
}

/// How it ended; none where its record says so.
async fn attempt(wardroom: &Arc<Wardroom>, queued: &QueuedRecord, task: &Task) -> Result<Option<Outcome>, Failure> {
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
        Ok(outcome) => Ok(Some(outcome)),
        // It ended, and was taken out of the queue meanwhile, or the database
        // does not answer.
        Err(ExecuteError::Record(error)) => match wardroom.db.execution(queued.id, Some(queued.attempt)) {
            Ok(Some(record)) if record.summary.status == Status::Queued => Err(unstartable(Blame::Host, &error)),
            _ => Ok(None),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use wardroom_core::execution::Trigger;
    use wardroom_core::id::Digest;
    use wardroom_core::program::Format;
    use wardroom_db::{NewQueued, TaskChange, TaskTerms, WhenBusy};

    use super::*;
    use crate::task::definition::MAX_WAITING;

    /// The names of those that were started.
    #[derive(Default)]
    struct Starts(Mutex<Vec<String>>);

    impl Told for Starts {
        fn news(&self, news: &News<'_>) {
            if let News::Started { task, .. } = news {
                self.0.lock().unwrap().push(task.to_string());
            }
        }
    }

    fn empty() -> (tempfile::TempDir, Arc<Wardroom>, Queue) {
        let folder = tempfile::tempdir().unwrap();
        let wardroom = Wardroom::open(&folder.path().join("home"), "/nowhere".into(), Arc::new(wardroom_host::Silent)).unwrap();
        (folder, Arc::new(wardroom), Queue::new(Timestamp::from_ms(0)))
    }

    async fn add(wardroom: &Wardroom, name: &str) -> TaskId {
        let digest = Digest::from_bytes([7; 32]);
        let definition = json!({
            "title": null, "description": null, "tags": [], "args": [], "origin": "/p.js", "base": "/", "params": {},
            "program": { "name": "p.js", "function": null, "digest": digest, "format": Format::JavaScript },
            "limits": {}, "when": { "cron": null, "every": null, "at": null }, "zone": "UTC", "on_files": [],
            "missed": null, "overlap": "queue", "rate": null, "retry": "off", "pause_after": 5, "keep": "all",
        });
        let (links, grants) = (Vec::new(), Vec::new());
        let terms = TaskTerms {
            name: name.parse().unwrap(),
            digest,
            definition: definition.to_string(),
            schedule: None,
            links,
            grants,
            paused_for: None,
            forgets_state: false,
        };
        let id = TaskId::fresh();
        assert_eq!(wardroom.db.add_task(id, terms, wardroom.clock.now(), Vec::new()).await.unwrap(), TaskChange::Done);
        id
    }

    fn enqueue(wardroom: &Wardroom, task: TaskId, created_ms: i64) -> wardroom_db::Answer<bool> {
        let row = NewQueued {
            id: ExecutionId::fresh(),
            attempt: 1,
            trigger: Trigger::Schedule,
            task,
            name: "t".parse().unwrap(),
            program: "p.js".to_owned(),
            digest: Digest::from_bytes([7; 32]),
            created_at: Timestamp::from_ms(created_ms),
            scheduled_for: None,
            not_before: None,
            origin: None,
            session: None,
        };
        wardroom.db.enqueue_unless_busy(row, WhenBusy::Queue(MAX_WAITING))
    }

    #[tokio::test]
    async fn tasks_that_run_and_wait_in_numbers_keep_no_other_from_starting() {
        let (_folder, wardroom, mut queue) = empty();
        let mut waiting = Vec::new();
        for number in 0..=WINDOW / MAX_WAITING {
            let task = add(&wardroom, &format!("busy-{number}")).await;
            queue.running.insert((ExecutionId::fresh(), 1), task);
            waiting.extend((0..MAX_WAITING).map(|_| enqueue(&wardroom, task, 1_000)));
        }
        let other = add(&wardroom, "other").await;
        waiting.push(enqueue(&wardroom, other, 2_000));
        for answer in waiting {
            assert!(answer.await.unwrap());
        }
        let starts = Arc::new(Starts::default());
        let told: Arc<dyn Told> = starts.clone();
        queue.reload(&wardroom).unwrap();
        queue.dispatch(&wardroom, &told).await.unwrap();
        assert_eq!(*starts.0.lock().unwrap(), ["other"]);
    }

    #[tokio::test]
    async fn what_was_not_read_is_read_when_what_was_leaves_a_place_free() {
        let (_folder, wardroom, mut queue) = empty();
        queue.window = 3;
        let idle = add(&wardroom, "idle").await;
        for task in [idle, add(&wardroom, "busy-1").await, add(&wardroom, "busy-2").await] {
            if task != idle {
                queue.running.insert((ExecutionId::fresh(), 1), task);
            }
            assert!(enqueue(&wardroom, task, 1_000).await.unwrap() && enqueue(&wardroom, task, 2_000).await.unwrap());
        }
        let starts = Arc::new(Starts::default());
        let told: Arc<dyn Told> = starts.clone();
        queue.reload(&wardroom).unwrap();
        for count in 1..=2 {
            queue.dispatch(&wardroom, &told).await.unwrap();
            assert_eq!(*starts.0.lock().unwrap(), vec!["idle"; count]);
            let ended = queue.ended().await.unwrap();
            queue.forget(&wardroom, ended, &*told).unwrap();
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_a_retry_wait_no_longer_than_it_was_to() {
        let at = Timestamp::from_ms;
        let retry = QueuedRecord {
            id: ExecutionId::fresh(),
            attempt: 2,
            trigger: Trigger::Schedule,
            task: TaskId::fresh(),
            created_at: at(1_000_000),
            scheduled_for: None,
            not_before: Some(at(1_010_000)),
            origin: None,
        };
        let mut sooner = Sooner::default();
        let mut holds = |ms| sooner.holds(&retry, at(ms)).map(Timestamp::ms);
        assert_eq!([1_000_000, 1_009_999, 1_010_000].map(&mut holds), [Some(1_010_000), Some(1_010_000), None]);
        // A little, soon after it was queued.
        assert_eq!(holds(999_800), Some(1_009_800));
        // A day, and then again.
        assert_eq!([500_000, 505_000, 300_000, 309_999].map(&mut holds), [Some(510_000), Some(510_000), Some(310_000), Some(310_000)]);
        assert_eq!(holds(310_000), None);
        let now = QueuedRecord { not_before: None, ..retry };
        assert_eq!(sooner.holds(&now, at(0)), None);
    }
}
