//! Schedules in words, for people.
//!
//! The everyday ones are said here; what is left, `croner` describes.

use std::time::Duration;

use wardroom_core::limit::DurationText;

use crate::calendar::{Calendar, Schedule};
use crate::cron::Cron;

/// So many times of a day are listed; more are described.
const MAX_LISTED: usize = 4;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(crate) fn of(schedule: &Schedule) -> String {
    let zone = schedule.zone();
    match schedule.calendar() {
        Calendar::Cron(cron) => format!("{} ({zone})", of_cron(cron)),
        Calendar::Every(every) => format!("every {}", period(every.period())),
        Calendar::Once(at) => {
            let local = zone.local(*at);
            // Without the offset, and without seconds where there are none.
            let time = local.get(..19).unwrap_or(&local);
            format!("once at {} ({zone})", time.strip_suffix(":00").unwrap_or(time))
        }
    }
}

/// `minute`, `15 minutes`, `36 hours`.
fn period(period: Duration) -> String {
    const UNITS: [(&str, &str); 4] = [("d", "day"), ("h", "hour"), ("m", "minute"), ("s", "second")];
    let text = DurationText(period).to_string();
    let spelled = UNITS.iter().find_map(|(short, word)| {
        // `500ms` ends in the letter of another unit.
        let number = text.strip_suffix(short)?.parse::<u64>().ok()?;
        Some(if number == 1 { (*word).to_owned() } else { format!("{number} {word}s") })
    });
    spelled.unwrap_or(text)
}

fn of_cron(cron: &Cron) -> String {
    let Some(read) = cron.read() else { return cron.text().to_owned() };
    match (days(&read), times(&read)) {
        (Some(Days::All), Some(Times::At(times))) => format!("every day at {times}"),
        (Some(Days::All), Some(Times::Every(times))) => format!("every {times}"),
        (Some(Days::Every(days)), Some(Times::At(times))) => format!("every {days} at {times}"),
        (Some(Days::Every(days)), Some(Times::Every(times))) => format!("every {times}, every {days}"),
        (Some(Days::On(days)), Some(Times::At(times))) => format!("on {days} at {times}"),
        (Some(Days::On(days)), Some(Times::Every(times))) => format!("every {times} on {days}"),
        _ => {
            let text = read.describe();
            let mut chars = text.trim_end_matches('.').chars();
            chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
        }
    }
}

enum Times {
    /// `09:00 and 17:00`.
    At(String),
    /// `15 minutes`, `hour`.
    Every(String),
}

fn times(read: &croner::Cron) -> Option<Times> {
    let (seconds, minutes, hours) = (read.pattern.seconds.values(), read.pattern.minutes.values(), read.pattern.hours.values());
    let full = |values: &[u16], count: usize| values.len() == count;
    let (all_minutes, all_hours) = (full(&minutes, 60), full(&hours, 24));
    let every = |values: &[u16], count: u16, word: &str| Some(Times::Every(counted(even_step(values, count)?, word)));
    match (seconds.as_slice(), minutes.as_slice(), hours.as_slice()) {
        (_, _, _) if all_minutes && all_hours && seconds != [0] => every(&seconds, 60, "second"),
        ([0], _, _) if all_hours && minutes != [0] => every(&minutes, 60, "minute").or_else(|| hourly_at(&minutes)),
        ([0], [0], _) if hours.len() > MAX_LISTED || all_hours => every(&hours, 24, "hour"),
        ([0], minutes, hours) if minutes.len() * hours.len() <= MAX_LISTED => {
            let clock = |hour: &u16| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")).collect::<Vec<_>>();
            let listed: Vec<String> = hours.iter().flat_map(clock).collect();
            Some(Times::At(list(&listed)))
        }
        ([second], [minute], [hour]) => Some(Times::At(format!("{hour:02}:{minute:02}:{second:02}"))),
        _ => None,
    }
}

/// `hour at minute 15`.
fn hourly_at(minutes: &[u16]) -> Option<Times> {
    match minutes {
        [minute] => Some(Times::Every(format!("hour at minute {minute}"))),
        _ => None,
    }
}

/// The step of 0, n, 2n… where it divides the whole, so that it is even over
/// the end as well.
fn even_step(values: &[u16], count: u16) -> Option<u16> {
    let step = count.checked_div(u16::try_from(values.len()).ok()?)?;
    let even = step * u16::try_from(values.len()).ok()? == count;
    let steps = (0..count).step_by(usize::from(step.max(1)));
    (even && values.len() > 1 && steps.eq(values.iter().copied())).then_some(step)
}

fn counted(step: u16, word: &str) -> String {
    if step == 1 { word.to_owned() } else { format!("{step} {word}s") }
}

enum Days {
    All,
    /// `weekday`, `Monday and Friday`.
    Every(String),
    /// `day 1 of every month`.
    On(String),
}

fn days(read: &croner::Cron) -> Option<Days> {
    let pattern = &read.pattern;
    if pattern.months.values().len() < 12 || pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers() {
        return None;
    }
    match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
        (true, true) => Some(Days::All),
        (true, false) => match pattern.days_of_week.values().as_slice() {
            [1, 2, 3, 4, 5] => Some(Days::Every("weekday".to_owned())),
            days if days.len() == 7 => Some(Days::All),
            days => {
                let names: Vec<&str> = days.iter().filter_map(|day| WEEKDAYS.get(usize::from(*day)).copied()).collect();
                Some(Days::Every(list(&names)))
            }
        },
        (false, true) => match pattern.days.values().as_slice() {
            [day] => Some(Days::On(format!("day {day} of every month"))),
            _ => None,
        },
        (false, false) => None,
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
