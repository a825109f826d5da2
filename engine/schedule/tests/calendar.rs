//! Schedules against clocks that are changed, against enumeration, and against
//! mistakes that other schedulers made.

#![cfg(test)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use wardroom_core::clock::Timestamp;
use wardroom_schedule::calendar::{Schedule, ScheduleError};
use wardroom_schedule::zone::Zone;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn cron(text: &str, name: &str) -> Schedule {
    Schedule::cron(text, zone(name)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The slots of so many hours from an RFC 3339 instant on, in UTC, to the
/// minute.
fn utc_slots(schedule: &Schedule, from: &str, hours: i64) -> Vec<String> {
    let from = at(from);
    let until = Timestamp::from_ms(from.ms() + hours * 3_600_000);
    schedule.slots(from, until).map(|slot| slot.to_string()[5..16].to_owned()).collect()
}

/// Name, expression, where to begin (UTC), for how many hours, the slots in UTC.
type Change<'a> = (&'a str, &'a str, &'a str, i64, &'a [&'a str]);

#[track_caller]
fn expect(changes: &[Change<'_>]) {
    for (zone, text, from, hours, slots) in changes {
        assert_eq!(utc_slots(&cron(text, zone), from, *hours), *slots, "{text} in {zone} from {from}");
    }
}

#[test]
fn a_fixed_time_that_the_clock_skips_fires_once_at_the_end_of_the_gap() {
    expect(&[
        // 02:00 → 03:00 at 01:00Z.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T00:00:00Z", 72, &["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
        ("Europe/Berlin", "0 2 * * *", "2026-03-29T00:00:00Z", 23, &["03-29T01:00"]),
        ("Europe/Berlin", "0 3 * * *", "2026-03-29T00:00:00Z", 24, &["03-29T01:00"]),
        ("Europe/Berlin", "15,30,45 2 * * *", "2026-03-29T00:00:00Z", 24, &["03-29T01:00"]),
        ("Europe/Berlin", "30 2,14 * * *", "2026-03-29T00:00:00Z", 24, &["03-29T01:00", "03-29T12:30"]),
        ("Europe/Berlin", "0 0-23 * * *", "2026-03-28T23:30:00Z", 4, &["03-29T00:00", "03-29T01:00", "03-29T02:00", "03-29T03:00"]),
        ("America/New_York", "30 2 * * *", "2026-03-08T00:00:00Z", 24, &["03-08T07:00"]),
        ("America/St_Johns", "30 2 * * *", "2026-03-08T00:00:00Z", 24, &["03-08T05:30"]),
        ("Australia/Adelaide", "30 2 * * *", "2026-10-03T12:00:00Z", 24, &["10-03T16:30"]),
        // By half an hour: 02:00 → 02:30.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00Z", 24, &["10-03T15:30"]),
        ("Australia/Lord_Howe", "30 2 * * *", "2026-10-03T12:00:00Z", 24, &["10-03T15:30"]),
        // 02:45 → 03:45.
        ("Pacific/Chatham", "0 3 * * *", "2026-09-26T12:00:00Z", 24, &["09-26T14:00"]),
        // Midnight itself is skipped.
        ("America/Santiago", "0 0 * * *", "2026-09-05T12:00:00Z", 24, &["09-06T04:00"]),
        ("America/Santiago", "@daily", "2026-09-05T12:00:00Z", 48, &["09-06T04:00", "09-07T03:00"]),
        ("Africa/Cairo", "30 0 * * *", "2026-04-23T12:00:00Z", 24, &["04-23T22:00"]),
        // The day after is meant by its own name, although its midnight is gone.
        ("Africa/Cairo", "0 0 * * fri", "2026-04-23T12:00:00Z", 24, &["04-23T22:00"]),
        // Samoa left out the whole of 30 December 2011.
        ("Pacific/Apia", "0 9 * * *", "2011-12-29T00:00:00Z", 72, &["12-29T19:00", "12-30T10:00", "12-30T19:00", "12-31T19:00"]),
    ]);
}

#[test]
fn a_fixed_time_that_the_clock_shows_twice_fires_once_the_first_time() {
    expect(&[
        // 03:00 → 02:00 at 01:00Z.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T00:00:00Z", 72, &["10-24T00:30", "10-25T00:30", "10-26T01:30"]),
        ("Europe/Berlin", "30 2,14 * * *", "2026-10-25T00:00:00Z", 24, &["10-25T00:30", "10-25T13:30"]),
        // Looked at from within the second hour.
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T01:10:00Z", 24, &[]),
        ("Europe/Berlin", "0 3 * * *", "2026-10-25T00:00:00Z", 24, &["10-25T02:00"]),
        ("America/New_York", "30 1 * * *", "2026-11-01T00:00:00Z", 24, &["11-01T05:30"]),
        ("America/St_Johns", "30 1 * * *", "2026-11-01T00:00:00Z", 24, &["11-01T04:00"]),
        ("Australia/Adelaide", "30 2 * * *", "2026-04-04T12:00:00Z", 24, &["04-04T16:00"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00Z", 24, &["04-04T14:45"]),
        ("Pacific/Chatham", "0 3 * * *", "2026-04-04T12:00:00Z", 24, &["04-04T13:15"]),
        // 24:00 → 23:00 of the same day.
        ("America/Santiago", "30 23 * * *", "2026-04-04T12:00:00Z", 24, &["04-05T02:30"]),
        ("America/Santiago", "0 0 * * *", "2026-04-04T12:00:00Z", 24, &["04-05T04:00"]),
        ("Africa/Cairo", "30 23 * * *", "2026-10-29T12:00:00Z", 24, &["10-29T20:30"]),
    ]);
}

#[test]
fn a_repeating_schedule_keeps_its_cadence_through_a_change() {
    expect(&[
        ("Europe/Berlin", "*/30 * * * *", "2026-03-29T00:15:00Z", 1, &["03-29T00:30", "03-29T01:00"]),
        ("Europe/Berlin", "*/30 * * * *", "2026-10-25T00:15:00Z", 2, &["10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"]),
        // The hour is skipped, and twice there.
        ("Europe/Berlin", "*/20 2 * * *", "2026-03-29T00:00:00Z", 23, &[]),
        ("Europe/Berlin", "*/30 2 * * *", "2026-10-24T22:00:00Z", 23, &["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30"]),
        ("Europe/Berlin", "0 */2 * * *", "2026-10-24T21:00:00Z", 6, &["10-24T22:00", "10-25T00:00", "10-25T01:00", "10-25T03:00"]),
        ("Australia/Lord_Howe", "0 * * * *", "2026-04-04T13:30:00Z", 3, &["04-04T14:00", "04-04T15:30", "04-04T16:30"]),
        ("Australia/Lord_Howe", "*/15 * * * *", "2026-10-03T15:10:00Z", 1, &["10-03T15:15", "10-03T15:30", "10-03T15:45", "10-03T16:00"]),
    ]);
    // 02:00 is skipped by half an hour: the next full hour is 03:00, at 16:00Z.
    expect(&[("Australia/Lord_Howe", "0 * * * *", "2026-10-03T14:00:00Z", 2, &["10-03T14:30", "10-03T16:00"])]);
}

#[test]
fn zones_off_the_full_hour_are_read_on_their_own_clock() {
    expect(&[
        ("Asia/Kolkata", "0 9 * * *", "2026-01-01T00:00:00Z", 24, &["01-01T03:30"]),
        ("Asia/Kathmandu", "0 9 * * *", "2026-01-01T00:00:00Z", 24, &["01-01T03:15"]),
        ("Asia/Kathmandu", "0 * * * *", "2026-01-01T00:00:00Z", 1, &["01-01T00:15"]),
        ("America/St_Johns", "0 9 * * *", "2026-01-01T00:00:00Z", 24, &["01-01T12:30"]),
        ("Pacific/Chatham", "0 9 * * *", "2026-01-01T00:00:00Z", 24, &["01-01T19:15"]),
    ]);
}

#[test]
fn a_day_matches_by_day_of_month_or_day_of_week() {
    // AND for OR would find Friday the 13th alone.
    let slots = utc_slots(&cron("0 0 13 * fri", "UTC"), "2026-02-01T00:00:00Z", 27 * 24);
    assert_eq!(slots, ["02-06T00:00", "02-13T00:00", "02-20T00:00", "02-27T00:00"]);
    let slots = utc_slots(&cron("0 0 13 * fri", "UTC"), "2026-04-01T00:00:00Z", 16 * 24);
    assert_eq!(slots, ["04-03T00:00", "04-10T00:00", "04-13T00:00", "04-17T00:00"]);
    // One `*` leaves it to the other field.
    assert_eq!(utc_slots(&cron("0 0 13 * *", "UTC"), "2026-04-01T00:00:00Z", 29 * 24), ["04-13T00:00"]);
    assert_eq!(utc_slots(&cron("0 0 ? * fri", "UTC"), "2026-04-01T00:00:00Z", 9 * 24), ["04-03T00:00", "04-10T00:00"]);
}

#[test]
fn a_step_of_a_range_is_kept() {
    let slots = utc_slots(&cron("10-20/2 0 * * *", "UTC"), "2026-04-01T00:00:00Z", 1);
    assert_eq!(slots, ["04-01T00:10", "04-01T00:12", "04-01T00:14", "04-01T00:16", "04-01T00:18", "04-01T00:20"]);
}

#[test]
fn sunday_is_0_and_7_and_days_and_months_have_names() {
    let sundays = ["04-05T00:00", "04-12T00:00"];
    for text in ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "0 0 * apr SUN", "0 0 * 4 7", "@weekly"] {
        assert_eq!(utc_slots(&cron(text, "UTC"), "2026-04-01T00:00:00Z", 12 * 24), sundays, "{text}");
    }
    let weekend = ["04-03T00:00", "04-04T00:00", "04-05T00:00"];
    for text in ["0 0 * * 5-7", "0 0 * * fri-sun", "0 0 * jan-dec 0,5,6", "0 0 * * Fri,sat,7"] {
        assert_eq!(utc_slots(&cron(text, "UTC"), "2026-04-01T00:00:00Z", 6 * 24), weekend, "{text}");
    }
}

/// 25 days are more milliseconds than 31 bits hold.
#[test]
fn a_task_due_once_in_25_days_is_due_then_and_not_now() {
    let now = at("2026-04-01T00:00:00Z");
    let schedule = Schedule::at("2026-04-26T00:00:00Z", Zone::utc(), now).unwrap();
    let due = at("2026-04-26T00:00:00Z");
    assert_eq!(schedule.next_after(now), Some(due));
    assert_eq!(schedule.count(now, Timestamp::from_ms(due.ms() - 1)), 0);
    assert_eq!((schedule.count(now, due), schedule.next_after(due)), (1, None));
}

/// As texts, "999" is later than "1000".
#[test]
fn instants_are_numbers_whatever_their_digits() {
    let schedule = Schedule::every(Duration::from_secs(1), Timestamp::from_ms(-1), Zone::utc()).unwrap();
    let slots: Vec<i64> = schedule.slots(Timestamp::from_ms(998), Timestamp::from_ms(10_000)).map(Timestamp::ms).collect();
    assert_eq!(slots, [999, 1999, 2999, 3999, 4999, 5999, 6999, 7999, 8999, 9999]);
    let schedule = cron("* * * * * *", "UTC");
    let slots: Vec<i64> = schedule.slots(Timestamp::from_ms(8_999), Timestamp::from_ms(11_000)).map(Timestamp::ms).collect();
    assert_eq!(slots, [9_000, 10_000, 11_000]);
}

#[test]
fn a_slot_is_strictly_later_to_the_millisecond() {
    let schedule = cron("0 9 * * *", "UTC");
    let slot = at("2026-04-01T09:00:00Z");
    let shifted = |ms: i64| Timestamp::from_ms(slot.ms() + ms);
    assert_eq!(schedule.next_after(shifted(-1)), Some(slot));
    assert_eq!(schedule.next_after(slot), Some(at("2026-04-02T09:00:00Z")));
    assert_eq!(schedule.next_after(shifted(1)), Some(at("2026-04-02T09:00:00Z")));
    assert_eq!((schedule.count(shifted(-1), slot), schedule.count(slot, shifted(1))), (1, 0));
    assert_eq!((schedule.last_until(shifted(-1), shifted(-1)), schedule.last_until(shifted(-1), slot)), (None, Some(slot)));
}

#[test]
fn days_beyond_the_plain_ones_are_found() {
    let year = ("2026-01-01T12:00:00Z", 150 * 24);
    for (text, slots) in [
        ("0 0 L * *", &["01-31", "02-28", "03-31", "04-30", "05-31"][..]),
        ("0 0 LW * *", &["01-30", "02-27", "03-31", "04-30", "05-29"]),
        // A Saturday in August only; the 15th of February and March is a Sunday.
        ("0 0 15W * *", &["01-15", "02-16", "03-16", "04-15", "05-15"]),
        ("0 0 * * 5L", &["01-30", "02-27", "03-27", "04-24", "05-29"]),
        ("0 0 * * fri#2", &["01-09", "02-13", "03-13", "04-10", "05-08"]),
        ("0 0 31 * *", &["01-31", "03-31", "05-31"]),
    ] {
        let found = utc_slots(&cron(text, "UTC"), year.0, year.1);
        assert_eq!(found.iter().map(|slot| &slot[..5]).collect::<Vec<_>>(), slots, "{text}");
    }
    let leap = cron("0 0 29 2 *", "UTC");
    assert_eq!(leap.next_after(at("2026-01-01T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
    assert_eq!(leap.next_after(at("2096-03-01T00:00:00Z")), Some(at("2104-02-29T00:00:00Z")));
}

#[test]
fn time_has_ends_and_nothing_breaks_there() {
    let (first, last) = (Timestamp::from_ms(i64::MIN), Timestamp::from_ms(i64::MAX));
    for text in ["* * * * * *", "0 0 29 2 *", "30 2 * * *"] {
        for name in ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Niue"] {
            let schedule = cron(text, name);
            assert_eq!((schedule.next_after(last), schedule.last_until(first, first)), (None, None));
            let (oldest, newest) = (schedule.next_after(first).unwrap(), schedule.last_until(first, last).unwrap());
            assert!(oldest.to_string().starts_with("000") && newest.to_string().starts_with("999"), "{oldest} {newest}");
            assert_eq!((schedule.next_after(newest), schedule.last_until(first, oldest)), (None, Some(oldest)));
        }
    }
    let every = Schedule::every(Duration::from_secs(1), first, Zone::utc()).unwrap();
    assert_eq!(every.count(first, last), u64::MAX / 1000);
    assert_eq!(every.next_after(last), None);
    assert_eq!(every.last_until(first, Timestamp::from_ms(0)), Some(Timestamp::from_ms(i64::MIN % 1000)));
}

#[test]
fn an_interval_is_even_and_begins_one_period_after_its_anchor() {
    let anchor = at("2026-03-28T12:00:00Z");
    let schedule = Schedule::every(Duration::from_secs(12 * 3600), anchor, zone("Europe/Berlin")).unwrap();
    let from = Timestamp::from_ms(anchor.ms() - 86_400_000_000);
    let found: Vec<String> = schedule.slots(from, at("2026-03-30T00:00:00Z")).map(|slot| slot.to_string()).collect();
    assert_eq!(found, ["2026-03-29T00:00:00.000Z", "2026-03-29T12:00:00.000Z", "2026-03-30T00:00:00.000Z"]);
    assert_eq!((schedule.next_after(anchor), schedule.count(from, anchor)), (Some(at("2026-03-29T00:00:00Z")), 0));
    for (period, fits) in [(999, false), (1000, true), (1500, true), (366 * 86_400_000, true), (366 * 86_400_000 + 1, false)] {
        let found = Schedule::every(Duration::from_millis(period), anchor, Zone::utc());
        assert_eq!(found.is_ok(), fits, "{period}");
    }
    assert!(matches!(Schedule::every(Duration::from_nanos(1_500_000_001), anchor, Zone::utc()), Err(ScheduleError::Period(_))));
    assert!(matches!(Schedule::every(Duration::MAX, anchor, Zone::utc()), Err(ScheduleError::Period(_))));
}

#[test]
fn a_time_once_is_an_instant_or_a_time_of_the_zone() {
    let now = at("2026-01-01T00:00:00Z");
    for (text, name, instant) in [
        ("2026-12-01T09:00:00Z", "Europe/Berlin", "2026-12-01T09:00:00Z"),
        ("2026-12-01t09:00:00.250z", "Europe/Berlin", "2026-12-01T09:00:00.250Z"),
        ("2026-12-01T09:00:00-05:30", "Europe/Berlin", "2026-12-01T14:30:00Z"),
        ("2026-12-01 09:00", "Europe/Berlin", "2026-12-01T08:00:00Z"),
        (" 2026-12-01T09:00:30 ", "Asia/Kathmandu", "2026-12-01T03:15:30Z"),
        // Shown twice: the first.
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00Z"),
        ("2028-02-29 12:00", "UTC", "2028-02-29T12:00:00Z"),
    ] {
        let schedule = Schedule::at(text, zone(name), now).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(schedule.next_after(now), Some(at(instant)), "{text}");
    }
}

#[test]
fn a_time_that_never_comes_is_refused() {
    let (now, berlin) = (at("2026-01-01T00:00:00Z"), zone("Europe/Berlin"));
    let refused = |text: &str| Schedule::at(text, berlin.clone(), now).unwrap_err();
    for text in
        ["2026-02-30 09:00", "2026-13-01 09:00", "2026-02-29T09:00:00Z", "2026-12-01 24:00", "2026-12-01 09:60", "2026-12-31 23:59:60"]
    {
        assert!(matches!(refused(text), ScheduleError::NoSuchTime(_)), "{text}: {}", refused(text));
    }
    for text in [
        "",
        "tomorrow",
        "2026-12-01",
        "09:00",
        "2026-W10-1 09:00",
        "2026-12-01 9:00",
        "2026-12-01T09:00[Europe/Rome]",
        "2026-12-01T09:00:00+1",
    ] {
        assert!(matches!(refused(text), ScheduleError::At(_)), "{text}: {}", refused(text));
    }
    for text in ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01 00:30"] {
        assert!(matches!(refused(text), ScheduleError::Past { .. }), "{text}");
    }
    assert_eq!(
        refused("2026-03-29 02:30").to_string(),
        "there is no `2026-03-29 02:30` in Europe/Berlin: its clock skips from 2026-03-29 02:00 to 2026-03-29 03:00 there, \
         so expected a time outside of these"
    );
    assert!(matches!(refused("2026-03-29 02:00"), ScheduleError::Skipped { .. }));
    assert!(matches!(refused("2026-03-29 02:59:59"), ScheduleError::Skipped { .. }));
    assert!(Schedule::at("2026-03-29 03:00", berlin.clone(), now).is_ok());
}

#[test]
fn expressions_that_do_not_hold_are_refused_by_field_and_range() {
    let refused = |text: &str| Schedule::cron(text, Zone::utc()).unwrap_err();
    for (text, field, expected) in [
        ("60 * * * *", "minute", "0 to 59"),
        ("* 24 * * *", "hour", "0 to 23"),
        ("* * 0 * *", "day of month", "1 to 31"),
        ("* * 32 * *", "day of month", "1 to 31"),
        ("* * * 13 *", "month", "1 to 12 or jan to dec"),
        ("* * * jam *", "month", "1 to 12 or jan to dec (is `jan` meant?)"),
        ("* * * * monday", "day of week", "0 to 7 or sun to sat (is `mon` meant?)"),
        ("* * * * 8", "day of week", "0 to 7 or sun to sat"),
        ("60 * * * * *", "second", "0 to 59"),
        ("jan * * * *", "minute", "0 to 59"),
        ("1,,2 * * * *", "minute", "0 to 59"),
        ("-1 * * * *", "minute", "0 to 59"),
        ("+1 * * * *", "minute", "0 to 59"),
        ("99999999999 * * * *", "minute", "0 to 59"),
        ("5/10 * * * *", "minute", "a range before the step, like 5-59/10"),
        ("*/90 * * * *", "minute", "a step of 1 to 59; what lasts longer than the field is an interval"),
        ("*/0 * * * *", "minute", "a step of 1 to 59; what lasts longer than the field is an interval"),
        ("* 22-2 * * *", "hour", "a range that goes up; one over the end is a list, like 22-23,0-2"),
        ("* * * * fri-mon", "day of week", "a range that goes up; one over the end is a list, like fri-7,0-mon"),
        ("* * * * L", "day of week", "0 to 7 or sun to sat"),
        ("L * * * *", "minute", "0 to 59"),
        ("* * * * 5#6", "day of week", "0 to 7 or sun to sat"),
        ("* * 32W * *", "day of month", "1 to 31"),
        ("? * * * *", "minute", "0 to 59"),
        ("* * * * +5", "day of week", "0 to 7 or sun to sat"),
    ] {
        match refused(text) {
            ScheduleError::Field { field: found, expected: words, .. } => assert_eq!((found, words.as_str()), (field, expected), "{text}"),
            other => panic!("{text}: {other}"),
        }
    }
    for (text, fields) in [("", 0), ("* * * *", 4), ("0 0 * * * * 2030", 7), ("0 9 1, 2 * *", 6)] {
        let error = refused(text);
        assert!(matches!(error, ScheduleError::FieldCount { found } if found == fields) || fields == 6, "{text}: {error}");
    }
    for text in ["0 0 30 2 *", "0 0 30,31 feb *", "0 0 31 2,4,6,9,11 *", "0 0 31W 2 *"] {
        assert!(matches!(refused(text), ScheduleError::Never { .. }), "{text}: {}", refused(text));
    }
    assert!(matches!(refused("@hourli"), ScheduleError::Nickname { near: Some(near), .. } if near == "@hourly"));
    assert!(matches!(refused("@reboot"), ScheduleError::Nickname { .. }));
    assert!(matches!(refused(&"0,".repeat(600)), ScheduleError::TooLong { bytes: 1200 }));
    assert_eq!(refused("61 * * * *").to_string(), "`61` does not fit the minute of the cron expression: expected 0 to 59");
}

#[test]
fn schedules_are_stored_as_json() {
    let anchor = Timestamp::from_ms(1_700_000_000_000);
    let berlin = zone("Europe/Berlin");
    for (schedule, json) in [
        (cron("0  9 * * 1-5", "Europe/Berlin"), r#"{"cron":"0 9 * * 1-5","zone":"Europe/Berlin"}"#),
        (cron("@daily", "UTC"), r#"{"cron":"@daily","zone":"UTC"}"#),
        (
            Schedule::every(Duration::from_secs(60), anchor, Zone::utc()).unwrap(),
            r#"{"every_ms":60000,"anchor_ms":1700000000000,"zone":"UTC"}"#,
        ),
        (Schedule::at("2026-12-01 09:00", berlin, anchor).unwrap(), r#"{"at_ms":1796112000000,"zone":"Europe/Berlin"}"#),
    ] {
        assert_eq!(serde_json::to_string(&schedule).unwrap(), json);
        assert_eq!(serde_json::from_str::<Schedule>(json).unwrap(), schedule);
    }
    for json in [
        r#"{"zone":"UTC"}"#,
        r#"{"cron":"0 9 * * *"}"#,
        r#"{"cron":"0 9 * * *","at_ms":5,"zone":"UTC"}"#,
        r#"{"every_ms":60000,"zone":"UTC"}"#,
        r#"{"every_ms":1,"anchor_ms":0,"zone":"UTC"}"#,
        r#"{"cron":"0 0 30 2 *","zone":"UTC"}"#,
        r#"{"cron":"0 9 * * *","zone":"UTC","until":5}"#,
        r#"{"at_ms":5,"zone":"system"}"#,
    ] {
        assert!(serde_json::from_str::<Schedule>(json).is_err(), "{json}");
    }
}

#[test]
fn schedules_are_said_in_words() {
    for (text, words) in [
        ("0 9 * * 1-5", "every weekday at 09:00 (UTC)"),
        ("0 9 * * mon,fri", "every Monday and Friday at 09:00 (UTC)"),
        ("30 2 * * *", "every day at 02:30 (UTC)"),
        ("0 9,17 * * *", "every day at 09:00 and 17:00 (UTC)"),
        ("*/15 * * * *", "every 15 minutes (UTC)"),
        ("* * * * *", "every minute (UTC)"),
        ("*/10 * * * * *", "every 10 seconds (UTC)"),
        ("@hourly", "every hour (UTC)"),
        ("15 * * * *", "every hour at minute 15 (UTC)"),
        ("0 */2 * * *", "every 2 hours (UTC)"),
        ("*/5 * * * 1-5", "every 5 minutes, every weekday (UTC)"),
        ("0 3 1 * *", "on day 1 of every month at 03:00 (UTC)"),
        ("15 30 4 * * *", "every day at 04:30:15 (UTC)"),
        ("0 9-17 * * 1-5", "at minute 0 of hours 9-17, every weekday (UTC)"),
        ("*/5 9-17 * * *", "every 5 minutes of hours 9-17 (UTC)"),
        ("*/5 */2 * * *", "every 5 minutes of every second hour from 0 on (UTC)"),
        // Not every 7 minutes, and not every 5.
        ("*/20,50 * * * *", "at minutes 0, 20, 40 and 50 of every hour (UTC)"),
        ("*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour (UTC)"),
        ("0-20/5 * * * *", "at minutes 0, 5, 10, 15 and 20 of every hour (UTC)"),
        ("5,6 * * * * *", "at seconds 5 and 6 of every minute (UTC)"),
        ("*/30 5 9 * * *", "every 30 seconds of minute 5 of hour 9 (UTC)"),
        ("0 9 L * *", "on the last day of every month at 09:00 (UTC)"),
        ("0 9 1,15W,LW * *", "on day 1, the weekday nearest day 15 and the last weekday of every month at 09:00 (UTC)"),
        ("0 9 * * 5L", "on the last Friday of every month at 09:00 (UTC)"),
        ("0 9 * * Mon#1,3#2", "on the first Monday and the second Wednesday of every month at 09:00 (UTC)"),
        ("0 0 13 * fri", "on day 13 or any Friday of every month at 00:00 (UTC)"),
        ("0 9 1 1,7 *", "on day 1 in January and July at 09:00 (UTC)"),
        ("0 9 * dec sun", "every Sunday in December at 09:00 (UTC)"),
        ("* * * dec *", "every minute in December (UTC)"),
        ("0 9 * dec *", "every day in December at 09:00 (UTC)"),
    ] {
        assert_eq!(cron(text, "UTC").words(), words, "{text}");
    }
    let (now, berlin) = (at("2026-01-01T00:00:00Z"), zone("Europe/Berlin"));
    let every = |period: u64| Schedule::every(Duration::from_millis(period), now, berlin.clone()).unwrap().words();
    assert_eq!(
        [every(60_000), every(5_400_000), every(86_400_000), every(1500)],
        ["every minute", "every 90 minutes", "every day", "every 1500ms"]
    );
    assert_eq!(Schedule::at("2026-12-01 09:00", berlin.clone(), now).unwrap().words(), "once at 2026-12-01 09:00 (Europe/Berlin)");
    assert_eq!(Schedule::at("2026-12-01 09:00:30", berlin, now).unwrap().words(), "once at 2026-12-01 09:00:30 (Europe/Berlin)");
}

#[test]
fn the_typical_period_is_the_shortest_of_the_next_few() {
    let now = at("2026-01-01T00:00:00Z");
    let seconds = |schedule: &Schedule| schedule.typical_period(now).map(|period| period.as_secs());
    for (text, period) in [("0 9 * * *", 86_400), ("*/5 * * * *", 300), ("0 9,10 * * *", 3600), ("0 0 1 1 *", 365 * 86_400)] {
        assert_eq!(seconds(&cron(text, "UTC")), Some(period), "{text}");
    }
    assert_eq!(seconds(&Schedule::every(Duration::from_secs(7), now, Zone::utc()).unwrap()), Some(7));
    assert_eq!(seconds(&Schedule::at("2026-12-01 09:00", Zone::utc(), now).unwrap()), None);
}

#[test]
fn ten_years_of_seconds_are_counted_at_once() {
    let schedule = cron("* * * * * *", "Europe/Berlin");
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
    let started = Instant::now();
    let count = schedule.count(from, until);
    let last = schedule.last_until(from, until);
    let took = started.elapsed();
    assert_eq!((count, last), (3652 * 86_400, Some(until)));
    assert!(took < Duration::from_millis(100), "{took:?}");
}

const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "America/Santiago",
    "Africa/Cairo",
    "Africa/Casablanca",
];

/// One field: its text, and whether a value matches.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: Vec<i64>,
}

fn every(low: i64, high: i64) -> impl Strategy<Value = Field> {
    Just(Field { text: "*".to_owned(), values: (low..=high).collect() })
}

fn listed(low: i64, high: i64) -> impl Strategy<Value = Field> {
    prop::collection::vec(low..=high, 1..4).prop_map(|values| {
        let text = values.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        Field { text, values }
    })
}

fn field(low: i64, high: i64) -> impl Strategy<Value = Field> {
    let stepped = (low..=high, low..=high, 1..=(high - low)).prop_map(|(a, b, step)| {
        let (from, to) = (a.min(b), a.max(b));
        let values = (from..=to).filter(|value| (value - from) % step == 0).collect();
        Field { text: format!("{from}-{to}/{step}"), values }
    });
    prop_oneof![every(low, high), listed(low, high), stepped]
}

/// Minute, hour, day of month, month, day of week.
type Fields = (Field, Field, Field, Field, Field);

/// Often in the small hours of every day, which is when clocks are changed.
fn fields() -> impl Strategy<Value = Fields> {
    let hour = prop_oneof![field(0, 23), listed(0, 3)];
    let month_day = prop_oneof![every(1, 31), field(1, 31)];
    let month = prop_oneof![every(1, 12), field(1, 12)];
    let week_day = prop_oneof![every(0, 7), field(0, 7)];
    (field(0, 59), hour, month_day, month, week_day)
}

fn text_of(fields: &Fields) -> String {
    [&fields.0, &fields.1, &fields.2, &fields.3, &fields.4].map(|field| field.text.as_str()).join(" ")
}

/// A time of the wall clock matches: read off the fields, one by one.
fn matches(fields: &Fields, time: jiff::civil::DateTime) -> bool {
    let has = |field: &Field, value: i8| field.values.contains(&i64::from(value));
    let weekday = time.weekday().to_sunday_zero_offset();
    let (month_day, week_day) = (has(&fields.2, time.day()), has(&fields.4, weekday) || (weekday == 0 && has(&fields.4, 7)));
    let day = match (fields.2.text == "*", fields.4.text == "*") {
        (false, false) => month_day || week_day,
        _ => month_day && week_day,
    };
    day && has(&fields.0, time.minute()) && has(&fields.1, time.hour()) && has(&fields.3, time.month())
}

/// All slots of a range, found by looking at every minute of it, and at every
/// minute that a clock skipped.
fn brute_force(fields: &Fields, name: &str, from: i64, until: i64) -> Vec<i64> {
    let zone = jiff::tz::TimeZone::get(name).unwrap();
    let wall = |second: i64| zone.to_datetime(jiff::Timestamp::from_second(second).unwrap());
    let repeating = fields.0.text.contains('*') || fields.1.text.contains('*');
    let minute = jiff::SignedDuration::from_mins(1);
    let mut slots = Vec::new();
    // A day ahead, so that what a clock shows again is known as such.
    let mut second = (from - 86_400).div_euclid(60) * 60;
    // The furthest that the clock has shown.
    let mut newest = wall(second);
    while second < until {
        second += 60;
        let time = wall(second);
        let again = time <= newest;
        let mut due = matches(fields, time) && (repeating || !again);
        let mut skipped = newest + minute;
        while skipped < time && !repeating {
            due |= matches(fields, skipped);
            skipped += minute;
        }
        if due && second > from && second <= until {
            slots.push(second * 1000);
        }
        newest = newest.max(time);
    }
    slots
}

/// Seconds of 2025 and 2026, half of them near a change of the zone's clock.
fn moment(name: &str, even: i64, near: i64) -> i64 {
    let start = at("2025-01-01T00:00:00Z").ms() / 1000;
    let zone = jiff::tz::TimeZone::get(name).unwrap();
    let changes: Vec<i64> =
        zone.following(jiff::Timestamp::from_second(start).unwrap()).take(4).map(|change| change.timestamp().as_second()).collect();
    match usize::try_from(near % 8).ok().and_then(|index| changes.get(index)) {
        Some(change) => change + even % 200_000 - 100_000,
        None => start + even,
    }
}

proptest! {
    // A failing case is printed, not kept in a file beside this one.
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cron_agrees_with_a_look_at_every_minute(
        fields in fields(), zone_index in 0..ZONES.len(), even in 0_i64..60_000_000, near in 0_i64..8, days in 1_i64..6,
    ) {
        let name = ZONES[zone_index];
        let from = moment(name, even, near);
        let until = from + days * 86_400;
        match Schedule::cron(&text_of(&fields), zone(name)) {
            Ok(schedule) => {
                let (after, until_ms) = (Timestamp::from_ms(from * 1000), Timestamp::from_ms(until * 1000));
                let found: Vec<i64> = schedule.slots(after, until_ms).map(Timestamp::ms).collect();
                prop_assert_eq!(found, brute_force(&fields, name, from, until), "{} in {}", text_of(&fields), name);
            }
            Err(error) => prop_assert!(matches!(error, ScheduleError::Never { .. }), "{}: {}", text_of(&fields), error),
        }
    }

    #[test]
    fn count_and_last_agree_with_enumeration(
        fields in fields(), zone_index in 0..ZONES.len(), even in 0_i64..60_000_000, near in 0_i64..8,
        length_ms in 0_i64..20_000_000_000, offset_ms in 0_i64..2000,
    ) {
        let Ok(schedule) = Schedule::cron(&text_of(&fields), zone(ZONES[zone_index])) else { return Ok(()) };
        let after = Timestamp::from_ms(moment(ZONES[zone_index], even, near) * 1000 + offset_ms);
        let until = Timestamp::from_ms(after.ms() + length_ms);
        let slots: Vec<Timestamp> = schedule.slots(after, until).collect();
        prop_assert!(slots.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(slots.iter().all(|slot| *slot > after && *slot <= until));
        prop_assert_eq!(schedule.count(after, until), slots.len() as u64);
        prop_assert_eq!(schedule.last_until(after, until), slots.last().copied());
        // Backwards, one by one.
        let mut bound = until;
        for expected in slots.iter().rev().take(200) {
            let found = schedule.last_until(after, bound);
            prop_assert_eq!(found, Some(*expected));
            bound = Timestamp::from_ms(expected.ms() - 1);
        }
        // And cut anywhere, the parts make the whole.
        let middle = Timestamp::from_ms(after.ms() + length_ms / 3);
        prop_assert_eq!(schedule.count(after, middle) + schedule.count(middle, until), slots.len() as u64);
    }

    #[test]
    fn intervals_agree_with_repeated_addition(
        period_ms in 1000_i64..100_000, anchor in -1_000_000_i64..1_000_000, after in -1_000_000_i64..1_000_000, length in -10_000_i64..1_000_000,
    ) {
        let schedule = Schedule::every(Duration::from_millis(period_ms.unsigned_abs()), Timestamp::from_ms(anchor), Zone::utc()).unwrap();
        let (from, until) = (Timestamp::from_ms(after), Timestamp::from_ms(after + length));
        let mut expected = Vec::new();
        let mut slot = anchor + period_ms;
        while slot <= after + length {
            if slot > after {
                expected.push(Timestamp::from_ms(slot));
            }
            slot += period_ms;
        }
        prop_assert_eq!(schedule.slots(from, until).collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(schedule.count(from, until), expected.len() as u64);
        prop_assert_eq!(schedule.last_until(from, until), expected.last().copied());
    }

    #[test]
    fn no_text_breaks_the_parsers(text in "\\PC{0,60}", cronish in "[0-9*/,#LW? a-z-]{0,40}", timeish in "[0-9TZ:+. -]{0,30}") {
        let now = Timestamp::from_ms(0);
        for text in [&text, &cronish, &timeish] {
            if let Ok(schedule) = Schedule::cron(text, Zone::utc()) {
                prop_assert!(schedule.next_after(now).is_some(), "{}", text);
                prop_assert!(!schedule.words().is_empty());
            }
            drop(Schedule::at(text, Zone::utc(), now));
            drop(text.parse::<Zone>());
        }
    }
}
