//! Schedules in words, for people.
//!
//! Says neither more nor less than the schedule does: what is not even over the
//! end of the hour (`*/7`, `0-30/5`) is listed and not called "every 7 minutes",
//! as `croner`'s own description has it.

use std::time::Duration;

use wardroom_core::limit::DurationText;

use crate::calendar::{Calendar, Schedule};
use crate::cron::Cron;

/// So many times of a day are listed; of more, the hours are.
const MAX_LISTED: usize = 4;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

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

/// `minute`, `90 minutes`, `36 hours`.
fn period(period: Duration) -> String {
    const UNITS: [(&str, &str); 4] = [("d", "day"), ("h", "hour"), ("m", "minute"), ("s", "second")];
    let text = DurationText(period).to_string();
    let spelled = UNITS.iter().find_map(|(short, word)| {
        // `500ms` ends in the letter of another unit, and then is no number.
        let number = text.strip_suffix(short)?.parse::<u16>().ok()?;
        Some(counted(number, word))
    });
    spelled.unwrap_or(text)
}

fn of_cron(cron: &Cron) -> String {
    let Some(read) = cron.read() else { return cron.text().to_owned() };
    let fields = cron.fields();
    let (times, days, months) = (Times::of(&read), Days::of(&read, fields), months(&read));
    match (times, days) {
        (Times::At(times), Days::All) if months.is_empty() => format!("every day at {times}"),
        (Times::At(times), Days::All) => format!("every day{months} at {times}"),
        (Times::At(times), Days::Every(days)) => format!("every {days}{months} at {times}"),
        (Times::At(times), Days::On(days)) => format!("on {days}{} at {times}", or_every_month(&months)),
        (Times::Every(times), Days::All) => format!("{times}{months}"),
        (Times::Every(times), Days::Every(days)) => format!("{times}, every {days}{months}"),
        (Times::Every(times), Days::On(days)) => format!("{times}, on {days}{}", or_every_month(&months)),
    }
}

fn or_every_month(months: &str) -> &str {
    if months.is_empty() { " of every month" } else { months }
}

enum Times {
    /// `09:00 and 17:00`.
    At(String),
    /// `every 15 minutes`, `at minute 0 of hours 9-17`.
    Every(String),
}

impl Times {
    fn of(read: &croner::Cron) -> Self {
        let (seconds, minutes, hours) = (read.pattern.seconds.values(), read.pattern.minutes.values(), read.pattern.hours.values());
        let few = minutes.len() * hours.len() <= MAX_LISTED;
        match (seconds.as_slice(), minutes.as_slice(), hours.as_slice()) {
            ([0], minutes, hours) if few => {
                let clock = |hour: &u16| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")).collect::<Vec<_>>();
                Self::At(list(&hours.iter().flat_map(clock).collect::<Vec<_>>()))
            }
            ([second], [minute], [hour]) => Self::At(format!("{hour:02}:{minute:02}:{second:02}")),
            ([0], [0], hours) if let Some(step) = even_step(hours, 24) => Self::Every(format!("every {}", counted(step, "hour"))),
            ([0], [minute], hours) if hours.len() == 24 => Self::Every(format!("every hour at minute {minute}")),
            (seconds, minutes, hours) => Self::Every(parts(seconds, minutes, hours)),
        }
    }
}

/// `every 10 seconds of minute 5 of hours 9-17`, without what goes by itself.
fn parts(seconds: &[u16], minutes: &[u16], hours: &[u16]) -> String {
    let each = |values: &[u16], word: &str| match even_step(values, 60) {
        Some(step) => format!("every {}", counted(step, word)),
        None => format!("at {}", numbered(word, values)),
    };
    let of = |values: &[u16], whole: u16, word: &str| match even_step(values, whole) {
        Some(1) => String::new(),
        Some(step) => format!(" of every {}", ordinal(step, word)),
        None => format!(" of {}", numbered(word, values)),
    };
    let of_hours = || of(hours, 24, "hour");
    match seconds {
        // A list of minutes needs to be told whose.
        [0] if even_step(minutes, 60).is_none() && hours.len() == 24 => format!("{} of every hour", each(minutes, "minute")),
        [0] => format!("{}{}", each(minutes, "minute"), of_hours()),
        _ if even_step(seconds, 60).is_none() && minutes.len() == 60 => {
            format!("{} of every minute{}", each(seconds, "second"), of_hours())
        }
        _ => format!("{}{}{}", each(seconds, "second"), of(minutes, 60, "minute"), of_hours()),
    }
}

/// `second hour from 0 on`: which ones is not plain without the beginning.
fn ordinal(step: u16, word: &str) -> String {
    let nth = ORDINALS.get(usize::from(step) - 1).map_or_else(|| format!("{step}th"), |word| (*word).to_owned());
    format!("{nth} {word} from 0 on")
}

/// `minute 5`, `hours 9-17 and 20`.
fn numbered(word: &str, values: &[u16]) -> String {
    format!("{word}{} {}", if values.len() == 1 { "" } else { "s" }, list(&ranges(values)))
}

/// Three or more in a row as a range.
fn ranges(values: &[u16]) -> Vec<String> {
    let mut found: Vec<(u16, u16)> = Vec::new();
    for value in values {
        match found.last_mut() {
            Some((_, last)) if *last + 1 == *value => *last = *value,
            _ => found.push((*value, *value)),
        }
    }
    let said = |(first, last): (u16, u16)| match last - first {
        0 => vec![first.to_string()],
        1 => vec![first.to_string(), last.to_string()],
        _ => vec![format!("{first}-{last}")],
    };
    found.into_iter().flat_map(said).collect()
}

/// The step of 0, n, 2n… where it divides the whole, so that it is even over
/// the end as well.
fn even_step(values: &[u16], whole: u16) -> Option<u16> {
    let count = u16::try_from(values.len()).ok()?;
    let step = whole.checked_div(count)?;
    let steps = (0..whole).step_by(usize::from(step.max(1)));
    (step * count == whole && count > 1 && steps.eq(values.iter().copied())).then_some(step)
}

/// `minute`, `15 minutes`.
fn counted(number: u16, word: &str) -> String {
    if number == 1 { word.to_owned() } else { format!("{number} {word}s") }
}

enum Days {
    All,
    /// `weekday`, `Monday and Friday`.
    Every(String),
    /// `day 1`, `the last Friday`, `day 13 or any Friday`.
    On(String),
}

impl Days {
    fn of(read: &croner::Cron, fields: &str) -> Self {
        let parts = |from_end: usize| fields.rsplit(' ').nth(from_end).unwrap_or("*").to_ascii_uppercase();
        let (month_days, week_days) = (parts(2), parts(0));
        match (read.pattern.is_dom_wildcard(), read.pattern.is_dow_wildcard()) {
            (true, true) => Self::All,
            (false, true) => Self::On(list(&days_of_month(read, &month_days))),
            (true, false) => match read.pattern.days_of_week.values().as_slice() {
                days if days.len() == 7 => Self::All,
                [1, 2, 3, 4, 5] if special_weekdays(&week_days).is_empty() => Self::Every("weekday".to_owned()),
                days => match special_weekdays(&week_days).as_slice() {
                    [] => Self::Every(list(&named(&WEEKDAYS, days, 0))),
                    special => Self::On(list(&[special, &any(days)].concat())),
                },
            },
            (false, false) => {
                let week = [special_weekdays(&week_days), any(&read.pattern.days_of_week.values())].concat();
                Self::On(format!("{} or {}", list(&days_of_month(read, &month_days)), list(&week)))
            }
        }
    }
}

/// `any Friday`.
fn any(days: &[u16]) -> Vec<String> {
    named(&WEEKDAYS, days, 0).iter().map(|name| format!("any {name}")).collect()
}

/// `day 1`, `days 1-7`, `the last day`, `the weekday nearest day 15`.
fn days_of_month(read: &croner::Cron, field: &str) -> Vec<String> {
    let plain = read.pattern.days.values();
    let mut said = if plain.is_empty() { Vec::new() } else { vec![numbered("day", &plain)] };
    said.extend(field.split(',').filter_map(|part| match part {
        "L" => Some("the last day".to_owned()),
        "LW" => Some("the last weekday".to_owned()),
        part => Some(format!("the weekday nearest day {}", part.strip_suffix('W')?)),
    }));
    said
}

/// `the last Friday`, `the second Friday`.
fn special_weekdays(field: &str) -> Vec<String> {
    let name = |day: &str| {
        let by_name = || WEEKDAYS.iter().find(|name| name.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(day)));
        day.parse::<usize>().ok().and_then(|day| WEEKDAYS.get(day % 7)).or_else(by_name).copied().unwrap_or("day")
    };
    let nth = |nth: &str| nth.parse::<usize>().ok().and_then(|nth| ORDINALS.get(nth.checked_sub(1)?)).copied().unwrap_or("last");
    let said = |part: &str| match part.split_once('#') {
        Some((day, number)) => Some(format!("the {} {}", nth(number), name(day))),
        None => Some(format!("the last {}", name(part.strip_suffix('L')?))),
    };
    field.split(',').filter_map(said).collect()
}

/// ` in January and July`; nothing for all of them.
fn months(read: &croner::Cron) -> String {
    let months = read.pattern.months.values();
    if months.len() == 12 { String::new() } else { format!(" in {}", list(&named(&MONTHS, &months, 1))) }
}

fn named(names: &[&str], values: &[u16], first: u16) -> Vec<String> {
    values.iter().filter_map(|value| names.get(usize::from(value - first)).map(|name| (*name).to_owned())).collect()
}

/// `a`, `a and b`, `a, b and c`.
fn list(items: &[String]) -> String {
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
