//! The proof: every slot that was due, and what became of it.

use serde::Serialize;
use wardroom_core::clock::Timestamp;
use wardroom_core::execution::Status;
use wardroom_core::id::ExecutionId;
use wardroom_schedule::calendar::Schedule;

use crate::task::TaskError;
use crate::wardroom::Wardroom;

/// Slots that one account tells one by one.
pub const MAX_SLOTS: usize = 10_000;

/// What became of a slot, or of several that were skipped together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotEnd {
    /// The slot; the first of several.
    pub first: Timestamp,
    /// The last of several.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
    /// The execution that it became.
    pub execution: Option<ExecutionId>,
    /// Where that stands; none: its record was pruned.
    pub status: Option<Status>,
    /// Why it was skipped.
    pub reason: Option<String>,
}

/// All slots of a task in a time, against its schedules in that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The task.
    pub task: String,
    /// Slots after this.
    pub from: Timestamp,
    /// Up to and including this.
    pub until: Timestamp,
    /// How many were due, by the schedules that were in force.
    pub due: u64,
    /// How many became executions.
    pub ran: u64,
    /// How many were skipped or missed.
    pub skipped: u64,
    /// Slots that were due and are told of nowhere. There are none.
    pub unaccounted: Vec<Timestamp>,
    /// What became of each.
    pub slots: Vec<SlotEnd>,
}

impl Wardroom {
    /// Accounts for a task's slots: what was due by its schedules, and what
    /// became of it.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], [`TaskError::Damaged`], or [`TaskError::Db`].
    pub fn account_for(&self, name: &str, from: Timestamp, until: Timestamp) -> Result<Account, TaskError> {
        let task = self.task(name)?;
        // What the cursor has not reached is not due yet for anybody.
        let until = until.min(task.record.cursor.unwrap_or(until)).max(from);
        let ends = self.db.slots(task.id(), from, until)?;
        let mut due = Vec::new();
        for span in self.db.spans(task.id())? {
            let schedule: Schedule = serde_json::from_str(&span.schedule)
                .map_err(|error| TaskError::Damaged { name: task.name().clone(), message: error.to_string() })?;
            let (after, last) = (span.from.max(from), span.until.unwrap_or(until).min(until));
            due.extend(schedule.slots(after, last).take(MAX_SLOTS.saturating_sub(due.len())));
        }
        due.sort_unstable();
        due.dedup();
        let told = |at: &Timestamp| ends.iter().any(|end| end.first <= *at && *at <= end.last);
        let unaccounted = due.iter().filter(|at| !told(at)).copied().collect();
        let count = |claimed: bool| ends.iter().filter(|end| end.execution.is_some() == claimed).map(|end| end.count).sum();
        Ok(Account {
            task: name.to_owned(),
            from,
            until,
            due: due.len() as u64,
            ran: count(true),
            skipped: count(false),
            unaccounted,
            slots: ends
                .iter()
                .take(MAX_SLOTS)
                .map(|end| SlotEnd {
                    first: end.first,
                    last: end.last,
                    count: end.count,
                    execution: end.execution,
                    status: end.status,
                    reason: end.reason.clone(),
                })
                .collect(),
        })
    }
}
