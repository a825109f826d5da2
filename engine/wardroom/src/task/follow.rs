//! Step 5: what follows from an execution's end — a retry, other tasks, a task's
//! count of failures.
//!
//! The process in which a task's execution ended does this at once; what a death
//! in between leaves undone, the scheduler finds and does. The database sees to
//! it that it is done once.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wardroom_core::blame::Blame;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::failure::FailureKind;
use wardroom_core::id::ExecutionId;
use wardroom_core::plan::Resolved;
use wardroom_core::task::{TaskId, TaskName};
use wardroom_db::{DbError, ExecutionRecord, Followed, Following, LinkKind, NewQueued, Sequel, Tally, TaskRecord, WhenBusy};

use super::TaskError;
use super::definition::Task;
use crate::audit::{self, event};
use crate::execution::changed::Changed;
use crate::wardroom::Wardroom;

/// Executions that may lead to each other. Loops are refused when tasks are
/// saved; two that are saved at the same moment are caught by this.
const MAX_CHAIN: usize = 64;
/// Tasks that failed for good and were not told of yet: whoever tells takes them
/// after each end.
const MAX_GIVEN_UP: usize = 1024;

/// A task that failed, and will not be tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GaveUp {
    pub(crate) task: TaskName,
    pub(crate) attempts: u32,
    pub(crate) message: String,
    /// Why it was paused, where this paused it.
    pub(crate) paused: Option<String>,
}

/// What a scheduler of this process has still to tell of; nothing, where there is
/// none.
#[derive(Debug, Default)]
pub(crate) struct GivenUp(Mutex<Option<Vec<GaveUp>>>);

impl GivenUp {
    pub(crate) fn begin(&self) {
        self.list().get_or_insert_default();
    }

    pub(crate) fn take(&self) -> Vec<GaveUp> {
        self.list().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note(&self, gave_up: GaveUp) {
        if let Some(list) = self.list().as_mut().filter(|list| list.len() < MAX_GIVEN_UP) {
            list.push(gave_up);
        }
    }

    fn list(&self) -> MutexGuard<'_, Option<Vec<GaveUp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an end means for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It works.
    Success,
    /// It failed; another attempt may help, not earlier than after so long.
    Retry(Duration),
    /// It failed, and would again.
    Failure,
    /// Neither: somebody cancelled it, or it waits for a person.
    Nothing,
}

/// Ends of dead processes' executions that are told in one message; it is small.
const MOST_TOLD: usize = 40;

fn verdict(record: &ExecutionRecord) -> Verdict {
    let failure = record.failure.as_ref();
    match record.summary.status {
        Status::Success => Verdict::Success,
        Status::Interrupted => Verdict::Retry(Duration::ZERO),
        Status::Failed | Status::Timeout => match failure.map(|failure| (failure.kind, failure.blame())) {
            Some((FailureKind::Permanent | FailureKind::Program, _) | (_, Blame::Operator)) => Verdict::Failure,
            Some(_) => Verdict::Retry(Duration::from_millis(failure.and_then(|failure| failure.retry_after_ms).unwrap_or(0))),
            None => Verdict::Failure,
        },
        Status::Cancelled | Status::Skipped | Status::AwaitingApproval | Status::Queued | Status::Running => Verdict::Nothing,
    }
}

impl Wardroom {
    /// Does what follows from an execution that ended in this process. What is
    /// left undone here, the scheduler does: this one, or the next.
    pub(crate) async fn follow_end(&self, ended: &Resolved, sequel: Sequel) {
        match sequel {
            Sequel::Due => {
                // Few get here, and each execution would be as large.
                if Box::pin(self.follow(ended.id, ended.attempt)).await.is_err() {
                    self.unfollowed.store(true, Ordering::Relaxed);
                }
            }
            // What waits may wait for the end of this one.
            Sequel::None if matches!(ended.trigger, Trigger::Cli | Trigger::Call) && ended.occasion.task.is_some() => {
                self.wake_scheduler().await
            }
            Sequel::None => {}
        }
    }

    /// Does what follows from an ended execution of a task, and wakes the
    /// scheduler if something is to run.
    ///
    /// # Errors
    ///
    /// [`TaskError::Db`], or [`TaskError::Damaged`].
    pub async fn follow(&self, id: ExecutionId, attempt: u32) -> Result<Followed, TaskError> {
        let Some(record) = self.db.execution(id, Some(attempt))? else { return Ok(Followed::default()) };
        let Some(task) = TaskId::of_subject(&record.summary.subject) else { return Ok(Followed::default()) };
        let now = self.clock.now();
        let following = match self.db.task_by_id(task)?.map(Task::read_to_run).transpose()? {
            Some(task) => {
                let following = self.following(&task, &record, now)?;
                // It will pause the task.
                if matches!(following.tally, Tally::Failure { pause_after: Some(most) } if task.record.failures + 1 >= most) {
                    self.account_before_change(&task).await?;
                    self.wake_scheduler().await;
                }
                following
            }
            None => nothing(&record, task, now),
        };
        let (is_failure, reason) = (matches!(following.tally, Tally::Failure { .. }), following.pause.0.clone());
        let followed = self.db.follow(following).await?;
        if is_failure && !followed.is_old {
            self.give_up(&record, followed.is_paused.then_some(reason));
        }
        // Something waits for its turn, or for the end of this one.
        if followed.queued > 0 || matches!(record.summary.trigger, Trigger::Cli | Trigger::Call) {
            self.wake_scheduler().await;
        }
        Ok(followed)
    }

    fn give_up(&self, record: &ExecutionRecord, paused: Option<String>) {
        let task = record.summary.task.as_deref().and_then(|task| task.parse().ok());
        let message = record.failure.as_ref().map(|failure| failure.message.clone());
        if let Some(task) = task {
            let message = message.unwrap_or_else(|| record.summary.status.to_string());
            self.given_up.note(GaveUp { task, attempts: record.summary.attempt, message, paused });
        }
    }

    /// Follows whatever ended and was not followed; answers how much that was.
    ///
    /// # Errors
    ///
    /// As [`follow`](Self::follow).
    pub async fn follow_all(&self) -> Result<usize, TaskError> {
        let left = self.db.unfollowed()?;
        for ended in &left {
            match self.follow(ended.id, ended.attempt).await {
                // What cannot be read keeps nothing else from it.
                Ok(_) | Err(TaskError::Damaged { .. } | TaskError::Db(DbError::Damaged { .. } | DbError::DamagedRow { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        if !left.is_empty() {
            let changed: Vec<_> = left.iter().take(MOST_TOLD).map(|ended| Changed::Execution(ended.id)).collect();
            self.tell_changed(&changed).await;
        }
        Ok(left.len())
    }

    fn following(&self, task: &Task, record: &ExecutionRecord, now: Timestamp) -> Result<Following, TaskError> {
        let mut following = nothing(record, task.id(), now);
        // Whoever runs a task by hand sees how it ends, and tries again by hand.
        // So does whoever calls it.
        let by_hand = matches!(record.summary.trigger, Trigger::Cli | Trigger::Call);
        match verdict(record) {
            Verdict::Nothing => {}
            Verdict::Success => {
                following.tally = if by_hand { Tally::Nothing } else { Tally::Success };
                following.followers = self.followers(record, task.id(), LinkKind::After, now)?;
                following.on_recovery = self.followers(record, task.id(), LinkKind::OnRecovery, now)?;
            }
            Verdict::Retry(_) | Verdict::Failure if by_hand => {}
            Verdict::Retry(at_least) => match task.retry_delay(record.summary.attempt, random()) {
                Some(delay) => following.queue = vec![retry(task, record, now, delay.max(at_least))],
                None => self.failed(&mut following, task, record, now)?,
            },
            Verdict::Failure => self.failed(&mut following, task, record, now)?,
        }
        Ok(following)
    }

    fn failed(&self, following: &mut Following, task: &Task, record: &ExecutionRecord, now: Timestamp) -> Result<(), TaskError> {
        following.tally = Tally::Failure { pause_after: task.pause_after() };
        following.followers = self.followers(record, task.id(), LinkKind::OnFailure, now)?;
        let reason = format!("{} failures in a row", task.definition.pause_after);
        let detail = serde_json::json!({ "reason": reason });
        let events = self.audited(|| audit::by_engine(now, event::TASK_PAUSED, task.name().as_str(), detail))?;
        following.pause = (reason, events);
        Ok(())
    }

    fn followers(
        &self,
        record: &ExecutionRecord,
        source: TaskId,
        kind: LinkKind,
        now: Timestamp,
    ) -> Result<Vec<(NewQueued, WhenBusy)>, TaskError> {
        let mut queue = Vec::new();
        for (found, task) in self.db.followers(source)? {
            if found == kind && !self.is_in_chain(record, task.id)? {
                let row = following_run(&task, record, kind, now);
                queue.push((row, Task::read_to_run(task)?.when_busy()));
            }
        }
        Ok(queue)
    }

    /// The task is among those that led to this execution.
    fn is_in_chain(&self, record: &ExecutionRecord, task: TaskId) -> Result<bool, TaskError> {
        let (subject, mut at) = (task.subject(), Some(record.clone()));
        for _ in 0..MAX_CHAIN {
            let Some(record) = at else { return Ok(false) };
            if record.summary.subject == subject {
                return Ok(true);
            }
            // A call leads to what follows it as well.
            at = match record.origin.or(record.parent) {
                Some(led) => self.db.execution(led, None)?,
                None => None,
            };
        }
        Ok(true)
    }
}

/// Nothing but that it was followed.
fn nothing(record: &ExecutionRecord, task: TaskId, at: Timestamp) -> Following {
    Following {
        id: record.summary.id,
        attempt: record.summary.attempt,
        task,
        tally: Tally::Nothing,
        queue: Vec::new(),
        followers: Vec::new(),
        on_recovery: Vec::new(),
        pause: (String::new(), Vec::new()),
        at,
    }
}

fn retry(task: &Task, record: &ExecutionRecord, now: Timestamp, delay: Duration) -> NewQueued {
    let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    NewQueued {
        id: record.summary.id,
        attempt: record.summary.attempt.saturating_add(1),
        trigger: record.summary.trigger,
        task: task.id(),
        name: task.name().clone(),
        program: task.definition.program.name.clone(),
        digest: task.record.digest,
        created_at: now,
        scheduled_for: record.summary.scheduled_for,
        not_before: Some(Timestamp::from_ms(now.ms().saturating_add(delay))),
        origin: record.origin,
        session: None,
    }
}

fn following_run(task: &TaskRecord, record: &ExecutionRecord, kind: LinkKind, now: Timestamp) -> NewQueued {
    let trigger = match kind {
        LinkKind::After => Trigger::After,
        LinkKind::OnFailure => Trigger::OnFailure,
        LinkKind::OnRecovery => Trigger::OnRecovery,
    };
    // Its program is named when its turn comes.
    NewQueued {
        id: ExecutionId::fresh(),
        attempt: 1,
        trigger,
        task: task.id,
        name: task.name.clone(),
        program: task.name.to_string(),
        digest: task.digest,
        created_at: now,
        scheduled_for: None,
        not_before: None,
        origin: Some(record.summary.id),
        session: None,
    }
}

/// For the jitter of retries; without chance they come together.
fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes))
}
