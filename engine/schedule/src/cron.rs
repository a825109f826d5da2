//! Cron expressions: from text to what they match.
//!
//! Owns the grammar that is taken, and the words in which anything else is
//! refused. `croner` reads what passed and judges the days; it is asked once,
//! for every shape that a month can have, and not kept.

use std::fmt;
use std::sync::Arc;

use croner::Weekday;
use croner::parser::CronParser;
use wardroom_core::text::{nearest, truncated};

use crate::calendar::ScheduleError;
use crate::civil::Pattern;

/// Bytes of a cron expression. Every value of every field, listed one by one,
/// needs fewer.
pub const MAX_CRON_BYTES: usize = 1024;

/// The longest part that an error repeats, in bytes.
const MAX_SHOWN: usize = 40;

/// A cron expression that was understood, and fires on some day.
///
/// Five fields (minute, hour, day of month, month, day of week) or six, with the
/// second first. A field is a list of `*`, values, ranges `a-b` and steps `*/n`
/// or `a-b/n`. Months and days of the week may be named by their first three
/// letters; Sunday is 0 or 7. Where neither day field is exactly `*` (or `?`),
/// a day matches when either of them does, as in Vixie cron. Days take `L` (the
/// last), `15W` (the working day nearest), `5L` (the last Friday) and `5#2` (the
/// second Friday) as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// Shared, because schedules are copied and this is most of one.
    pattern: Arc<Pattern>,
}

impl Cron {
    /// # Errors
    ///
    /// As [`Schedule::cron`](crate::calendar::Schedule::cron).
    pub(crate) fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.len() > MAX_CRON_BYTES {
            return Err(ScheduleError::TooLong { bytes: text.len() });
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields = if text.starts_with('@') { nickname(&text)? } else { &text };
        check(fields)?;
        let pattern = Arc::new(pattern(&read(fields)?, fields)?);
        if pattern.ever_matches() { Ok(Self { text, pattern }) } else { Err(ScheduleError::Never { text }) }
    }

    /// The expression as it was written, with single spaces.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The second, minute or hour has a `*`, so that it follows the wall clock
    /// through its changes instead of firing at fixed times of the day.
    #[must_use]
    pub fn is_repeating(&self) -> bool {
        self.pattern.repeating
    }

    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// What `croner` made of it.
    pub(crate) fn read(&self) -> Option<croner::Cron> {
        read(self.fields()).ok()
    }

    /// The expression with a nickname spelled out.
    pub(crate) fn fields(&self) -> &str {
        nickname(&self.text).unwrap_or(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn read(fields: &str) -> Result<croner::Cron, ScheduleError> {
    CronParser::new().parse(fields).map_err(|error| ScheduleError::Cron { text: fields.to_owned(), why: error.to_string() })
}

/// The short names of `crontab(5)`; `@reboot` is no time.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

fn nickname(text: &str) -> Result<&'static str, ScheduleError> {
    let lower = text.to_ascii_lowercase();
    match NICKNAMES.iter().find(|(name, _)| *name == lower) {
        Some((_, fields)) => Ok(fields),
        None => {
            let near = nearest(truncated(&lower, MAX_SHOWN), NICKNAMES.iter().map(|(name, _)| *name)).map(str::to_owned);
            Err(ScheduleError::Nickname { text: truncated(text, MAX_SHOWN).to_owned(), near })
        }
    }
}

/// A field of the expression, and its values.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// The name of `low`, and so on.
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, names: &[] },
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: DAY_OF_MONTH, low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: &MONTHS },
    Field { name: DAY_OF_WEEK, low: 0, high: 7, names: &DAYS },
];
const DAY_OF_MONTH: &str = "day of month";
const DAY_OF_WEEK: &str = "day of week";

/// Refuses what `croner` would read as something else (`JAN` as a minute, an
/// `L` that it drops, `*/90`), and what it would refuse without saying where.
fn check(fields: &str) -> Result<(), ScheduleError> {
    let given: Vec<&str> = fields.split(' ').filter(|field| !field.is_empty()).collect();
    let skipped = match given.len() {
        5 => 1,
        6 => 0,
        found => return Err(ScheduleError::FieldCount { found }),
    };
    FIELDS.iter().skip(skipped).zip(given).try_for_each(|(field, text)| text.split(',').try_for_each(|part| field.check(part)))
}

impl Field {
    fn check(&self, part: &str) -> Result<(), ScheduleError> {
        if part == "*" || self.is_special(part) {
            return Ok(());
        }
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        match range.split_once('-') {
            Some((from, to)) => self.check_range(part, from, to)?,
            None if range == "*" => {}
            None => {
                let value = self.value(part, range)?;
                if let Some(step) = step {
                    return Err(self.error(part, format!("a range before the step, like {value}-{}/{step}", self.high)));
                }
            }
        }
        step.map_or(Ok(()), |step| self.check_step(part, step))
    }

    fn check_range(&self, part: &str, from: &str, to: &str) -> Result<(), ScheduleError> {
        let first = self.value(part, from)?;
        // `croner` takes the Sunday that ends a range for 7.
        let last = if self.name == DAY_OF_WEEK && to.eq_ignore_ascii_case("sun") { 7 } else { self.value(part, to)? };
        if first > last {
            let expected = format!("a range that goes up; one over the end is a list, like {from}-{},{}-{to}", self.high, self.low);
            return Err(self.error(part, expected));
        }
        Ok(())
    }

    fn check_step(&self, part: &str, step: &str) -> Result<(), ScheduleError> {
        let most = self.high - self.low;
        match number(step) {
            Some(step) if (1..=most).contains(&step) => Ok(()),
            _ => Err(self.error(part, format!("a step of 1 to {most}; what lasts longer than the field is an interval"))),
        }
    }

    fn value(&self, part: &str, text: &str) -> Result<u32, ScheduleError> {
        let named = || {
            let lower = text.to_ascii_lowercase();
            let index = self.names.iter().position(|name| *name == lower)?;
            Some(self.low + u32::try_from(index).ok()?)
        };
        number(text).filter(|value| (self.low..=self.high).contains(value)).or_else(named).ok_or_else(|| {
            let shown = truncated(text, MAX_SHOWN).to_ascii_lowercase();
            let near =
                nearest(&shown, self.names.iter().copied()).or_else(|| self.names.iter().copied().find(|name| shown.starts_with(name)));
            self.error(part, format!("{}{}", self.range(), near.map_or_else(String::new, |near| format!(" (is `{near}` meant?)"))))
        })
    }

    /// `?`, and what only days have. Everything else that `croner` would take
    /// (`L` as a weekday, `+`) means different things in different crons.
    fn is_special(&self, part: &str) -> bool {
        let upper = part.to_ascii_uppercase();
        let valued = |text: &str| self.value(part, text).is_ok();
        match self.name {
            DAY_OF_MONTH => matches!(upper.as_str(), "?" | "L" | "LW") || upper.strip_suffix('W').is_some_and(valued),
            DAY_OF_WEEK => {
                let nth = upper.split_once('#').is_some_and(|(day, nth)| valued(day) && matches!(nth, "1" | "2" | "3" | "4" | "5"));
                upper == "?" || nth || upper.strip_suffix('L').is_some_and(valued)
            }
            _ => false,
        }
    }

    /// `0 to 7 or sun to sat`.
    fn range(&self) -> String {
        let named = |names: &[&str]| Some(format!(" or {} to {}", names.first()?, names.last()?));
        format!("{} to {}{}", self.low, self.high, named(self.names).unwrap_or_default())
    }

    fn error(&self, part: &str, expected: String) -> ScheduleError {
        ScheduleError::Field { field: self.name, part: truncated(part, MAX_SHOWN).to_owned(), expected }
    }
}

/// Digits alone: no sign, and no more than fit.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn pattern(cron: &croner::Cron, fields: &str) -> Result<Pattern, ScheduleError> {
    let read = &cron.pattern;
    let set = |values: Vec<u16>| values.into_iter().filter(|value| *value < 64).fold(0_u64, |set, value| set | 1 << value);
    let time_fields = fields.split(' ').count().saturating_sub(3);
    Ok(Pattern {
        seconds: set(read.seconds.values()),
        minutes: set(read.minutes.values()),
        hours: set(read.hours.values()),
        months: set(read.months.values()),
        days: days(cron).map_err(|error| ScheduleError::Cron { text: fields.to_owned(), why: error.to_string() })?,
        // As Vixie cron's `MIN_STAR` and `HR_STAR`, with the second beside them.
        repeating: fields.split(' ').take(time_fields).any(|field| field.contains('*')),
    })
}

/// The matching days of all 28 shapes of a month.
fn days(cron: &croner::Cron) -> Result<[[u64; 7]; 4], croner::errors::CronError> {
    // A month of each length; the weekday is an argument of its own.
    const LENGTHS: [(i32, u32, u32); 4] = [(2023, 2, 28), (2024, 2, 29), (2023, 4, 30), (2023, 1, 31)];
    let mut sets = [[0; 7]; 4];
    for ((year, month, length), shapes) in LENGTHS.into_iter().zip(&mut sets) {
        for (first_weekday, days) in (0..7).zip(shapes) {
            for day in 1..=length {
                let weekday = Weekday::from_days_from_sunday(first_weekday + day - 1);
                *days |= u64::from(cron.pattern.day_match(year, month, day, weekday)?) << day;
            }
        }
    }
    Ok(sets)
}
