//! Expressions by the hundred, over a whole year in many zones, against an
//! independent reckoner in Python (`oracle.py`), slot by slot.
//!
//! `WARDROOM_SEED` repeats a run.

#![cfg(test)]

mod support;

use support::{Dice, Question, ZONES, ask};
use wardroom_core::clock::Timestamp;
use wardroom_schedule::calendar::Schedule;

/// How many expressions are compared.
const EXPRESSIONS: usize = 700;
/// Slots of a day up to which the whole year is compared; denser ones are
/// compared around every change of their zone's clock.
const WHOLE_YEAR: u64 = 24;
const MOST: u64 = 2000;
/// 2025-01-01T00:00:00Z, and a year later. It is over, so that its rules are
/// settled.
const YEAR: (i64, i64) = (1_735_689_600, 1_767_225_600);
const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_ms(second * 1000)
}

/// The changes of a zone's clock in the year.
fn changes(zone: &str) -> Vec<i64> {
    let rules = jiff::tz::TimeZone::get(zone).unwrap();
    let from = jiff::Timestamp::from_second(YEAR.0).unwrap();
    rules.following(from).map(|change| change.timestamp().as_second()).take_while(|change| *change < YEAR.1).collect()
}

fn questions(dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    for index in 0..EXPRESSIONS {
        let zone = ZONES[index % ZONES.len()];
        if dice.below(5) > 0 {
            let cron = dice.expression(WHOLE_YEAR);
            questions.push(Question { cron, zone, from: YEAR.0, until: YEAR.1 });
            continue;
        }
        let cron = dice.expression(MOST);
        let any = YEAR.0 + dice.below(350) * DAY;
        questions.extend(changes(zone).into_iter().chain([any]).map(|change| {
            let from = change - 3 * DAY + dice.below(DAY);
            Question { cron: cron.clone(), zone, from, until: from + 6 * DAY }
        }));
    }
    questions
}

#[track_caller]
fn compare(questions: &[Question]) {
    let Some(answers) = ask(questions) else { return };
    let mut slots = 0;
    for (asked, expected) in questions.iter().zip(answers) {
        let what = format!("{} in {} from {} to {}", asked.cron, asked.zone, at(asked.from), at(asked.until));
        let schedule = Schedule::cron(&asked.cron, asked.zone.parse().unwrap()).unwrap();
        let found: Vec<i64> = schedule.slots(at(asked.from), at(asked.until)).map(|slot| slot.ms() / 1000).collect();
        if found != expected {
            let lost: Vec<String> =
                expected.iter().filter(|slot| !found.contains(slot)).take(5).map(|slot| at(*slot).to_string()).collect();
            let invented: Vec<String> =
                found.iter().filter(|slot| !expected.contains(slot)).take(5).map(|slot| at(*slot).to_string()).collect();
            panic!("{what}: lost {lost:?}, invented {invented:?}");
        }
        assert_eq!(schedule.count(at(asked.from), at(asked.until)), expected.len() as u64, "{what}");
        let last = schedule.last_until(at(asked.from), at(asked.until)).map(|slot| slot.ms() / 1000);
        assert_eq!(last, expected.last().copied(), "{what}");
        slots += expected.len();
    }
    println!("{} ranges, {slots} slots alike", questions.len());
}

#[test]
fn a_year_of_many_expressions_is_what_the_reckoner_says() {
    let questions = questions(&mut Dice::new());
    assert!(questions.len() >= 500);
    compare(&questions);
}

/// Changes that are no daylight saving, or unlike any other.
#[test]
fn curious_changes_are_what_the_reckoner_says() {
    let mut questions = Vec::new();
    for (zone, day) in [
        // Half an hour back (2015-08-14), and forth (2018-05-04).
        ("Asia/Pyongyang", "2015-08-14T15:00:00Z"),
        ("Asia/Pyongyang", "2018-05-04T15:00:00Z"),
        ("America/Caracas", "2016-05-01T07:00:00Z"),
        ("Europe/Moscow", "2014-10-25T22:00:00Z"),
        ("Europe/Istanbul", "2015-11-08T01:00:00Z"),
        ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
        // By two hours.
        ("Antarctica/Troll", "2025-03-30T01:00:00Z"),
        ("Antarctica/Troll", "2025-10-26T01:00:00Z"),
        // A whole day is left out.
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ] {
        let change = day.parse::<Timestamp>().unwrap().ms() / 1000;
        for cron in [
            "30 2 * * *",
            "0 9 * * *",
            "15 0,23 * * *",
            "*/10 * * * *",
            "*/10 * * * * *",
            "0 0 * * *",
            "45 1-3 * * *",
            "5 */2 * * *",
            "30 0-23 31 12 fri",
        ] {
            questions.push(Question { cron: cron.to_owned(), zone, from: change - 2 * DAY, until: change + 2 * DAY });
        }
    }
    compare(&questions);
}
