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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::zone::Zone;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 86_400_000;
    const RULES: [MissedRule; 3] = [MissedRule::Skip, MissedRule::Latest, MissedRule::All];

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn every(period_ms: i64) -> Schedule {
        Schedule::every(Duration::from_millis(period_ms.unsigned_abs()), at(0), Zone::utc()).unwrap()
    }

    fn fired(due: &Due) -> Vec<(i64, bool)> {
        due.fire.iter().map(|slot| (slot.at.ms(), slot.late)).collect()
    }

    fn missed(due: &Due) -> Vec<(i64, i64, u64)> {
        due.missed.iter().map(|run| (run.first.ms(), run.last.ms(), run.count)).collect()
    }

    #[test]
    fn a_slot_on_time_fires_under_every_rule() {
        for rule in RULES {
            for late in [0, 1, MINUTE] {
                let due = due(&every(DAY), rule, at(5), at(DAY + late));
                assert_eq!((fired(&due), missed(&due), due.cursor), (vec![(DAY, false)], vec![], at(DAY + late)), "{rule}");
            }
            let nothing = due(&every(DAY), rule, at(DAY), at(2 * DAY - 1));
            assert_eq!((fired(&nothing), missed(&nothing), nothing.cursor), (vec![], vec![], at(2 * DAY - 1)));
        }
    }

    #[test]
    fn the_rule_decides_what_becomes_of_missed_slots() {
        // Slots of days 1, 2 and 3; it is an hour after the third.
        let now = at(3 * DAY + 60 * MINUTE);
        let look = |rule| due(&every(DAY), rule, at(0), now);
        let skip = look(MissedRule::Skip);
        assert_eq!((fired(&skip), missed(&skip)), (vec![], vec![(DAY, 3 * DAY, 3)]));
        let latest = look(MissedRule::Latest);
        assert_eq!((fired(&latest), missed(&latest)), (vec![(3 * DAY, true)], vec![(DAY, 2 * DAY, 2)]));
        let all = look(MissedRule::All);
        assert_eq!((fired(&all), missed(&all)), (vec![(DAY, true), (2 * DAY, true), (3 * DAY, true)], vec![]));
    }

    #[test]
    fn only_the_newest_slot_is_on_time() {
        // A slot each second, and five seconds since the last look.
        let look = |rule| due(&every(1000), rule, at(10_000), at(15_000));
        let skip = look(MissedRule::Skip);
        assert_eq!((fired(&skip), missed(&skip)), (vec![(15_000, false)], vec![(11_000, 14_000, 4)]));
        let all = look(MissedRule::All);
        assert_eq!(fired(&all), [(11_000, true), (12_000, true), (13_000, true), (14_000, true), (15_000, false)]);
    }

    #[test]
    fn what_is_older_than_a_week_is_not_caught_up() {
        for (age, late) in [(7 * DAY, true), (7 * DAY + 1, false)] {
            let now = at(20 * DAY + age);
            let schedule: Schedule = serde_json::from_str(&format!(r#"{{"at_ms": {}, "zone": "UTC"}}"#, 20 * DAY)).unwrap();
            for rule in [MissedRule::Latest, MissedRule::All] {
                let due = due(&schedule, rule, at(0), now);
                assert_eq!((due.fire.len(), due.missed.len()), (usize::from(late), usize::from(!late)), "{rule} {age}");
            }
        }
        let all = due(&every(DAY), MissedRule::All, at(0), at(30 * DAY));
        assert_eq!((all.fire.len(), missed(&all)), (8, vec![(DAY, 22 * DAY, 22)]));
    }

    #[test]
    fn so_many_are_caught_up_and_no_more() {
        let all = due(&every(MINUTE), MissedRule::All, at(0), at(DAY));
        assert_eq!((all.fire.len(), missed(&all)), (MAX_CATCH_UP, vec![(MINUTE, 1340 * MINUTE, 1340)]));
        assert_eq!(all.fire.last().map(|slot| (slot.at, slot.late)), Some((at(DAY), false)));
    }

    #[test]
    fn a_clock_that_went_back_fires_nothing_twice() {
        for rule in RULES {
            let again = due(&every(MINUTE), rule, at(10 * MINUTE), at(8 * MINUTE));
            assert_eq!((again.fire.len(), again.missed.len(), again.cursor), (0, 0, at(10 * MINUTE)));
        }
    }

    #[test]
    fn a_clock_that_went_back_far_is_not_waited_for() {
        let hour = 60 * MINUTE;
        for (cursor, now, moved) in [(0, DAY, 0), (DAY, DAY, DAY), (DAY, DAY - hour, DAY), (DAY, DAY - hour - 1, DAY - hour - 1)] {
            assert_eq!(after_step(at(cursor), at(now)), at(moved), "{cursor} {now}");
        }
        assert_eq!(after_step(at(i64::MIN), at(i64::MAX)), at(i64::MIN));
        assert_eq!(after_step(at(i64::MAX), at(i64::MIN)), at(i64::MIN));
    }

    proptest! {
        /// Looked at whenever, under any rule, clock set back a little or not:
        /// the slots of the whole time are those that fired and those that were
        /// missed, each once.
        #[test]
        fn every_slot_is_accounted_for_once(
            period in prop_oneof![1000_i64..5000, MINUTE..90 * MINUTE, DAY / 2..3 * DAY],
            rule in 0..RULES.len(), steps in prop::collection::vec((0_u8..8, 0_i64..100), 1..25),
        ) {
            let (schedule, rule) = (every(period), RULES[rule]);
            let start = at(1_000_000);
            let (mut cursor, mut now, mut seen) = (start, start, Vec::new());
            for (kind, length) in steps {
                now = at(now.ms() + match kind {
                    0 => -length * MINUTE / 4,
                    1 => length * DAY / 8,
                    2 | 3 => length * MINUTE,
                    _ => length * 100,
                });
                let due = due(&schedule, rule, cursor, now);
                for run in &due.missed {
                    let run_slots: Vec<Timestamp> = schedule.slots(at(run.first.ms() - 1), run.last).collect();
                    prop_assert_eq!(run_slots.len() as u64, run.count);
                    prop_assert_eq!((run_slots.first(), run_slots.last()), (Some(&run.first), Some(&run.last)));
                    seen.extend(run_slots);
                }
                for slot in &due.fire {
                    prop_assert!(slot.at <= now && now.ms_since(slot.at) <= 7 * 86_400_000);
                    prop_assert!(!slot.late || rule != MissedRule::Skip);
                    seen.push(slot.at);
                }
                prop_assert!(due.cursor >= cursor);
                cursor = due.cursor;
            }
            prop_assert_eq!(seen, schedule.slots(start, cursor).collect::<Vec<_>>());
        }
    }
}
