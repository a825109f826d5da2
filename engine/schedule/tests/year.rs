//! A year of a thousand tasks under one clock that is suspended, set forward and
//! back, and whose process dies: every slot of the year is accounted for, once.
//!
//! What is due is known from elsewhere: from the independent reckoner in Python
//! for cron, by plain addition for intervals. `WARDROOM_SEED` repeats a run.

#![cfg(test)]

mod support;

use std::time::Duration;

use support::{Dice, Question, ZONES, ask};
use wardroom_core::clock::Timestamp;
use wardroom_schedule::agenda::Agenda;
use wardroom_schedule::calendar::Schedule;
use wardroom_schedule::due::{Due, MAX_CATCH_UP, MISSED_WINDOW, MissedRun, Slot, TOLERANCE, after_step, due};
use wardroom_schedule::rules::MissedRule;
use wardroom_schedule::zone::Zone;

const TASKS: usize = 1000;
/// 2025-01-01T00:00:00Z and a year later, in milliseconds.
const START: i64 = 1_735_689_600_000;
const END: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const RULES: [MissedRule; 3] = [MissedRule::Skip, MissedRule::Latest, MissedRule::All];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Fired,
    Missed,
}

/// A task, what it ought to do, and what became of it: the last as the
/// database would have it, one row for each slot.
struct Task {
    schedule: Schedule,
    rule: MissedRule,
    cursor: Timestamp,
    /// All slots of the year, in milliseconds.
    expected: Vec<i64>,
    states: Vec<State>,
    /// The furthest that the cursor has ever been: nothing later was accounted
    /// for before.
    furthest: Timestamp,
}

/// What happened over the year.
#[derive(Debug, Default)]
struct Tally {
    on_time: u64,
    late: u64,
    missed: u64,
    /// Slots that came due again after the clock went back far, and whose row
    /// was there.
    refused: u64,
    wakes: u64,
    capped: u64,
}

impl Task {
    fn new(schedule: Schedule, rule: MissedRule, expected: Vec<i64>) -> Self {
        let states = vec![State::Open; expected.len()];
        Self { schedule, rule, cursor: at(START), expected, states, furthest: at(START) }
    }

    fn index(&self, slot: Timestamp) -> usize {
        let found = self.expected.binary_search(&slot.ms());
        found.unwrap_or_else(|_| panic!("{slot} of {:?} was never due", self.schedule))
    }

    fn claim(&mut self, index: usize, state: State, tally: &mut Tally) -> bool {
        if self.states[index] != State::Open {
            let slot = at(self.expected[index]);
            assert!(slot <= self.furthest, "{slot} of {:?} came twice", self.schedule);
            tally.refused += 1;
            return false;
        }
        self.states[index] = state;
        true
    }

    fn fire(&mut self, slot: Slot, now: Timestamp, tally: &mut Tally) {
        let late_ms = now.ms() - slot.at.ms();
        assert!(late_ms >= 0 && late_ms <= ms(MISSED_WINDOW), "{slot:?} at {now}");
        assert!(slot.late || late_ms <= ms(TOLERANCE), "{slot:?} at {now}");
        assert!(!slot.late || self.rule != MissedRule::Skip, "{slot:?} at {now}");
        if self.claim(self.index(slot.at), State::Fired, tally) {
            *(if slot.late { &mut tally.late } else { &mut tally.on_time }) += 1;
        }
    }

    fn miss(&mut self, run: MissedRun, tally: &mut Tally) {
        let (first, last) = (self.index(run.first), self.index(run.last));
        assert_eq!(run.count, (last - first + 1) as u64, "{run:?} of {:?}", self.schedule);
        for index in first..=last {
            tally.missed += u64::from(self.claim(index, State::Missed, tally));
        }
    }

    /// Looks at the task once, and says when to look again.
    fn look(&mut self, now: Timestamp, tally: &mut Tally) -> Option<Timestamp> {
        let Due { fire, missed, cursor } = due(&self.schedule, self.rule, self.cursor, now);
        assert!(fire.len() <= if self.rule == MissedRule::All { MAX_CATCH_UP } else { 1 });
        tally.capped += u64::from(fire.len() == MAX_CATCH_UP);
        for slot in fire {
            self.fire(slot, now, tally);
        }
        for run in missed {
            self.miss(run, tally);
        }
        self.cursor = cursor;
        self.furthest = self.furthest.max(cursor);
        self.schedule.next_after(self.cursor)
    }
}

fn crons(dice: &mut Dice) -> Option<Vec<Task>> {
    let questions: Vec<Question> = (0..TASKS * 6 / 10)
        .map(|index| Question { cron: dice.expression(24), zone: ZONES[index % ZONES.len()], from: START / 1000, until: END / 1000 })
        .collect();
    let tasks = questions.iter().zip(ask(&questions)?).enumerate().map(|(index, (asked, slots))| {
        let schedule = Schedule::cron(&asked.cron, asked.zone.parse().unwrap()).unwrap();
        Task::new(schedule, RULES[index / ZONES.len() % 3], slots.into_iter().map(|slot| slot * 1000).collect())
    });
    Some(tasks.collect())
}

fn interval(dice: &mut Dice, rule: MissedRule) -> Task {
    let period = match dice.below(20) {
        0 => 5 * MINUTE + dice.below(HOUR),
        1..8 => 30 * MINUTE + dice.below(6 * HOUR),
        _ => HOUR + dice.below(20 * DAY),
    };
    let anchor = START - DAY + dice.below(30 * DAY);
    let mut expected = Vec::new();
    let mut slot = anchor + period;
    while slot <= END {
        if slot > START {
            expected.push(slot);
        }
        slot += period;
    }
    let schedule = Schedule::every(Duration::from_millis(period.unsigned_abs()), at(anchor), dice.pick(&ZONES).parse().unwrap()).unwrap();
    Task::new(schedule, rule, expected)
}

fn once(dice: &mut Dice, rule: MissedRule) -> Task {
    let slot = at(START + 1 + dice.below(END - START));
    let schedule = Schedule::at(&slot.to_string(), Zone::utc(), at(START)).unwrap();
    Task::new(schedule, rule, vec![slot.ms()])
}

/// Sleeps until the next task or the next event, as a daemon does.
struct Daemon {
    now: Timestamp,
    agenda: Agenda<usize>,
    tasks: Vec<Task>,
    tally: Tally,
}

impl Daemon {
    fn new(tasks: Vec<Task>) -> Self {
        let mut daemon = Self { now: at(START), agenda: Agenda::new(), tasks, tally: Tally::default() };
        daemon.start();
        daemon
    }

    /// After a start, and after the clock was set: from the stored cursors.
    fn start(&mut self) {
        self.agenda = Agenda::new();
        for (key, task) in self.tasks.iter_mut().enumerate() {
            task.cursor = after_step(task.cursor, self.now);
            self.agenda.set(key, task.schedule.next_after(task.cursor));
        }
    }

    fn run_until(&mut self, event: Timestamp) {
        while let Some(next) = self.agenda.next().filter(|next| *next <= event) {
            self.now = self.now.max(next);
            self.wake();
        }
        self.now = self.now.max(event);
    }

    fn wake(&mut self) {
        self.tally.wakes += 1;
        let exact = self.agenda.next() == Some(self.now);
        for key in self.agenda.due(self.now) {
            let task = &mut self.tasks[key];
            let before = self.tally.on_time + self.tally.refused;
            let next = task.look(self.now, &mut self.tally);
            assert!(!exact || self.tally.on_time + self.tally.refused > before, "{:?} slept through {}", task.schedule, self.now);
            assert!(next.is_none_or(|next| next > self.now));
            self.agenda.set(key, next);
        }
    }

    /// Time passes, or the clock is set; never beyond the year, which would
    /// have slots of the next one.
    fn shift(&mut self, by: i64) {
        self.now = at((self.now.ms() + by).clamp(START, END));
    }

    fn event(&mut self, dice: &mut Dice) {
        let longest = *dice.pick(&[10 * MINUTE, 5 * HOUR, 2 * DAY, 10 * DAY]);
        let asleep = MINUTE + dice.below(longest);
        match dice.below(7) {
            // Suspended: the process is there afterwards, its agenda too.
            0 | 1 => self.shift(asleep),
            // Dead for a while.
            2 => {
                self.shift(asleep);
                self.start();
            }
            3 => self.start(),
            // The clock is set: a little, or far; forward or back.
            4 => {
                self.shift(dice.below(2 * HOUR) - HOUR);
                self.start();
            }
            5 => {
                self.shift(HOUR + dice.below(3 * DAY));
                self.start();
            }
            _ => {
                self.shift(-HOUR - dice.below(2 * DAY));
                self.start();
            }
        }
    }
}

#[test]
fn every_slot_of_a_year_is_accounted_for_once() {
    let mut dice = Dice::new();
    let Some(mut tasks) = crons(&mut dice) else { return };
    for index in tasks.len()..TASKS {
        let rule = RULES[index % 3];
        tasks.push(if dice.below(8) < 5 { interval(&mut dice, rule) } else { once(&mut dice, rule) });
    }
    let mut daemon = Daemon::new(tasks);
    let mut events = 0;
    while daemon.now < at(END) {
        let next = at((daemon.now.ms() + HOUR + dice.below(3 * DAY)).min(END));
        daemon.run_until(next);
        if daemon.now < at(END) {
            daemon.event(&mut dice);
            events += 1;
        }
    }
    // The last of a suspension that lasted to the end.
    daemon.start();
    daemon.run_until(at(END));
    let mut slots = 0;
    for task in &daemon.tasks {
        let open = task.states.iter().position(|state| *state == State::Open);
        assert_eq!(open.map(|index| at(task.expected[index]).to_string()), None, "{:?} {:?}", task.schedule, task.rule);
        slots += task.states.len() as u64;
    }
    let tally = &daemon.tally;
    println!("{slots} slots, {events} events: {tally:?}");
    assert_eq!(tally.on_time + tally.late + tally.missed, slots);
    // Everything that this is about did happen.
    assert!(tally.on_time > slots / 3 && tally.late > 1000 && tally.missed > 1000 && tally.refused > 1000 && tally.capped > 0, "{tally:?}");
}
