//! What becomes of the slots that have come due since somebody last looked.
//!
//! A machine sleeps, a process dies, a clock is set: every slot since the last
//! look is accounted for exactly once, as one that fires or as one that was
//! missed. Never remembers anything: the caller keeps the cursor.

use std::time::Duration;

use wardroom_core::clock::Timestamp;

use crate::calendar::Schedule;
use crate::rules::MissedRule;

/// How late a slot may be and still count as on time.
pub const TOLERANCE: Duration = Duration::from_secs(60);
/// How old a slot may be and still be caught up. What was due before a week's
/// holiday is no longer news.
pub const MISSED_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// How many slots are caught up at most, at one time and for one task: a machine
/// that wakes must not bring down what it calls.
pub const MAX_CATCH_UP: usize = 100;
/// How far a clock may be set back and still be waited for.
pub const MAX_WAIT_FOR_CLOCK: Duration = Duration::from_secs(3600);

/// What has come due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What runs now, oldest first.
    pub fire: Vec<Slot>,
    /// What does not run any more, oldest first.
    pub missed: Vec<MissedRun>,
    /// Up to and with which instant slots are accounted for; to be stored.
    pub cursor: Timestamp,
}

/// An instant at which a task is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// When it was due.
    pub at: Timestamp,
    /// It was missed and is caught up.
    pub late: bool,
}

/// Missed slots with none between them that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedRun {
    /// The oldest.
    pub first: Timestamp,
    /// The newest.
    pub last: Timestamp,
    /// How many, both included.
    pub count: u64,
}

/// Accounts for all slots later than `cursor`, up to and with `now`.
///
/// The newest of them fires under every rule where it is at most [`TOLERANCE`]
/// late. The others were missed, and the rule decides: `skip` leaves them,
/// `latest` lets the newest of all fire, `all` the newest [`MAX_CATCH_UP`],
/// where they lie within [`MISSED_WINDOW`] before `now`.
///
/// Where the clock went back and `now` lies before `cursor`, nothing is due and
/// the cursor stays: what fired does not fire again. [`after_step`] is for
/// clocks that went back far.
#[must_use]
pub fn due(schedule: &Schedule, rule: MissedRule, cursor: Timestamp, now: Timestamp) -> Due {
    if now <= cursor {
        return Due { fire: Vec::new(), missed: Vec::new(), cursor };
    }
    let oldest = earlier(now, MISSED_WINDOW);
    let is_on_time = |slot: Timestamp| slot >= earlier(now, TOLERANCE);
    let (most, oldest) = match rule {
        MissedRule::Skip => (1, earlier(now, TOLERANCE)),
        MissedRule::Latest => (1, oldest),
        MissedRule::All => (MAX_CATCH_UP, oldest),
    };
    // Strictly later than the millisecond before it.
    let bound = cursor.max(earlier(oldest, Duration::from_millis(1)));
    let mut fire: Vec<Slot> = newest_first(schedule, bound, now).take(most).map(|at| Slot { at, late: true }).collect();
    if let Some(newest) = fire.first_mut() {
        newest.late = !is_on_time(newest.at);
    }
    fire.reverse();
    let missed_until = fire.first().map_or(now, |slot| earlier(slot.at, Duration::from_millis(1)));
    let missed = missed_run(schedule, cursor, missed_until).into_iter().collect();
    Due { fire, missed, cursor: now }
}

/// Where the cursor goes when the clock was set back.
///
/// A clock that went back by up to [`MAX_WAIT_FOR_CLOCK`] is waited for: nothing
/// fires until it has caught up. One that went back further was wrong before
/// (a dead battery said 2040), and waiting would mean silence for years; so the
/// cursor moves to `now`, and slots that it had passed come due again. None of
/// them runs twice, because a run is claimed by a unique row of its task and its
/// slot.
#[must_use]
pub fn after_step(cursor: Timestamp, now: Timestamp) -> Timestamp {
    if earlier(cursor, MAX_WAIT_FOR_CLOCK) > now { now } else { cursor }
}

fn newest_first(schedule: &Schedule, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
    let newest = move |until: Timestamp| schedule.last_until(after, until);
    std::iter::successors(newest(until), move |slot| newest(earlier(*slot, Duration::from_millis(1))))
}

fn missed_run(schedule: &Schedule, after: Timestamp, until: Timestamp) -> Option<MissedRun> {
    let first = schedule.next_after(after).filter(|first| *first <= until)?;
    let last = schedule.last_until(after, until)?;
    Some(MissedRun { first, last, count: schedule.count(after, until) })
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_ms(at.ms().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
