//! From due slots to the queue: which fire, which were missed, what becomes of
//! those that come while an earlier execution goes on.

use std::collections::HashMap;

use wardroom_core::clock::Timestamp;
use wardroom_core::execution::{Status, Trigger};
use wardroom_core::id::ExecutionId;
use wardroom_core::task::TaskId;
use wardroom_db::{Accounted, Accounting, Answer, DbError, QueuedRecord, SkippedRun};
use wardroom_schedule::agenda::Agenda;
use wardroom_schedule::calendar::Schedule;
use wardroom_schedule::due::{Due, after_step, due};
use wardroom_schedule::rules::{MissedRule, OverlapRule};

use super::serve::{News, Told};
use crate::task::TaskError;
use crate::task::definition::Task;
use crate::wardroom::Wardroom;

/// Tasks whose slots are accounted for in one go: as many writes as the database
/// commits together.
const BATCH: usize = 256;

/// A task's schedule, as it was read.
struct Known {
    revision: u64,
    schedule: Schedule,
    cursor: Timestamp,
    /// The rule for missed slots where the task names none.
    missed: MissedRule,
}

/// All tasks that have a schedule, and which is due next.
#[derive(Default)]
pub(super) struct Calendars {
    agenda: Agenda<TaskId>,
    known: HashMap<TaskId, Known>,
}

/// A task's slots, on their way into the database.
struct Fired {
    task: Task,
    due: Due,
    slots: Vec<(Timestamp, ExecutionId)>,
    answer: Answer<Accounted>,
}

impl Calendars {
    /// When the next slot comes.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    /// Reads which tasks there are and when they are due. What did not change
    /// stays as it is.
    pub(super) fn reload(&mut self, wardroom: &Wardroom) -> Result<(), TaskError> {
        let now = wardroom.clock.now();
        let scheduled = wardroom.db.scheduled()?;
        let ids: std::collections::HashSet<TaskId> = scheduled.iter().map(|record| record.id).collect();
        let gone: Vec<TaskId> = self.known.keys().filter(|id| !ids.contains(id)).copied().collect();
        for id in gone {
            self.known.remove(&id);
            self.agenda.remove(&id);
        }
        for record in scheduled {
            if self.known.get(&record.id).is_some_and(|known| known.revision == record.revision) {
                continue;
            }
            // One that cannot be read is shown as damaged by `task list`; the
            // others go on.
            let Ok(schedule) = serde_json::from_str::<Schedule>(&record.schedule) else { continue };
            let cursor = after_step(record.cursor, now);
            self.agenda.set(record.id, schedule.next_after(cursor));
            let missed = MissedRule::default_for(&schedule, now);
            self.known.insert(record.id, Known { revision: record.revision, schedule, cursor, missed });
        }
        Ok(())
    }

    /// After the clock was set: slots are looked for from where it is now.
    pub(super) fn clock_set(&mut self, now: Timestamp) {
        for (id, known) in &mut self.known {
            known.cursor = after_step(known.cursor, now);
            self.agenda.set(*id, known.schedule.next_after(known.cursor));
        }
    }

    /// Accounts for every slot up to now; answers what was queued.
    pub(super) async fn fire(&mut self, wardroom: &Wardroom, told: &dyn Told) -> Result<Vec<QueuedRecord>, TaskError> {
        let now = wardroom.clock.now();
        let (mut queued, mut stale) = (Vec::new(), false);
        let due = self.agenda.due(now);
        for batch in due.chunks(BATCH) {
            let mut fired = Vec::with_capacity(batch.len());
            for id in batch {
                match self.begin(wardroom, *id, now) {
                    Ok(one) => fired.extend(one),
                    // One task that cannot be read stops no other.
                    Err(error @ (TaskError::Damaged { .. } | TaskError::Db(DbError::Damaged { .. } | DbError::DamagedRow { .. }))) => {
                        self.known.remove(id);
                        told.news(&News::Trouble { message: error.to_string() });
                    }
                    Err(error) => return Err(error),
                }
            }
            for one in fired {
                let (task, slots) = (one.task.id(), one.slots.clone());
                let accounted = self.end(wardroom, one, told).await?;
                let claimed = slots.into_iter().filter(|(_, id)| accounted.queued.contains(id));
                queued.extend(claimed.map(|(at, id)| waiting(task, at, id, now)));
                stale |= accounted.is_stale;
            }
        }
        if stale {
            self.reload(wardroom)?;
        }
        Ok(queued)
    }

    fn begin(&mut self, wardroom: &Wardroom, id: TaskId, now: Timestamp) -> Result<Option<Fired>, TaskError> {
        let Some(known) = self.known.get(&id) else { return Ok(None) };
        let Some(task) = wardroom.db.task_by_id(id)?.map(Task::read_to_run).transpose()? else { return Ok(None) };
        let due = due(&known.schedule, task.definition.missed.unwrap_or(known.missed), known.cursor, now);
        let accounting = accounting(&task, known.revision, &due, now);
        let slots = accounting.fire.clone();
        let answer = wardroom.db.account(accounting);
        Ok(Some(Fired { task, due, slots, answer }))
    }

    async fn end(&mut self, wardroom: &Wardroom, fired: Fired, told: &dyn Told) -> Result<Accounted, TaskError> {
        let Fired { task, due, answer, .. } = fired;
        let accounted = answer.await?;
        if accounted.is_stale {
            // Changed since: the next reload reads what it is now.
            self.known.remove(&task.id());
            return Ok(accounted);
        }
        if let Some(known) = self.known.get_mut(&task.id()) {
            known.cursor = due.cursor;
            self.agenda.set(task.id(), known.schedule.next_after(due.cursor));
        }
        for run in &due.missed {
            told.news(&News::Missed { task: task.name(), first: run.first, count: run.count });
        }
        if accounted.skipped > 0 {
            told.news(&News::Skipped { task: task.name(), count: accounted.skipped });
            // What it waits for may be a run whose process died.
            if wardroom.reap().await? > 0 {
                wardroom.follow_all().await?;
            }
        }
        if task.definition.overlap == OverlapRule::CancelPrevious && !accounted.queued.is_empty() {
            cancel_previous(wardroom, task.id(), &accounted.queued).await?;
        }
        Ok(accounted)
    }
}

/// What is to become of a task's slots.
fn accounting(task: &Task, revision: u64, due: &Due, now: Timestamp) -> Accounting {
    Accounting {
        task: task.id(),
        revision,
        name: task.name().clone(),
        program: task.definition.program.name.clone(),
        digest: task.record.digest,
        fire: due.fire.iter().map(|slot| (slot.at, ExecutionId::fresh())).collect(),
        missed: due.missed.iter().map(|run| SkippedRun { first: run.first, last: run.last, count: run.count }).collect(),
        when_busy: task.when_busy(),
        cursor: due.cursor,
        now,
    }
}

impl Wardroom {
    /// Accounts for a task's slots up to now, before its schedule ends: none of
    /// them would be due any more, and none would be told of.
    ///
    /// # Errors
    ///
    /// [`TaskError::Db`].
    pub(crate) async fn account_before_change(&self, task: &Task) -> Result<(), TaskError> {
        let task = Task::read(task.record.clone())?;
        let (Some(schedule), Some(cursor), None) = (&task.schedule, task.record.cursor, task.record.paused_at) else { return Ok(()) };
        let now = self.clock.now();
        let due = due(schedule, task.missed(now), after_step(cursor, now), now);
        // One that changed meanwhile was accounted for by whoever changed it.
        self.db.account(accounting(&task, task.record.revision, &due, now)).await?;
        Ok(())
    }
}

/// A slot that was queued just now, as it will be read when its turn comes.
const fn waiting(task: TaskId, at: Timestamp, id: ExecutionId, now: Timestamp) -> QueuedRecord {
    QueuedRecord {
        id,
        attempt: 1,
        trigger: Trigger::Schedule,
        task,
        created_at: now,
        scheduled_for: Some(at),
        not_before: None,
        origin: None,
    }
}

fn by_hand(wardroom: &Wardroom, id: ExecutionId) -> Result<bool, TaskError> {
    Ok(wardroom.db.execution(id, None)?.is_some_and(|record| record.summary.trigger == Trigger::Cli))
}

/// Ends whatever of a task waits or runs, but the newest that was queued now.
async fn cancel_previous(wardroom: &Wardroom, task: TaskId, queued: &[ExecutionId]) -> Result<(), TaskError> {
    for (id, attempt, status) in wardroom.db.unfinished(task)? {
        if queued.last() == Some(&id) {
            continue;
        }
        match status {
            // Whoever runs it by hand waits for it.
            Status::Running if by_hand(wardroom, id)? => {}
            Status::Running => drop(wardroom.cancel(&id.to_string()).await),
            _ => match wardroom.db.cancel_queued(id, attempt, wardroom.clock.now()).await {
                // It began meanwhile: the next one finds it running.
                Ok(()) | Err(DbError::IllegalMove { .. }) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(())
}
