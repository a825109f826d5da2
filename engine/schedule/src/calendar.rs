//! Schedules: at which instants a task is due.
//!
//! Owns the three calendars (cron, interval, once), their texts and their JSON.
//! A slot follows from the schedule alone, never from when a run ended. Never
//! decides what becomes of a slot: that is `due`.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use serde::{Deserialize, Serialize};
use wardroom_core::clock::Timestamp;
use wardroom_core::limit::DurationText;
use wardroom_core::text::truncated;

use crate::cron::{Cron, MAX_CRON_BYTES};
use crate::zone::Zone;
use crate::{span, words};

/// The shortest period of an interval. What is due more often is a service, not
/// a task.
pub const MIN_PERIOD: Duration = Duration::from_secs(1);
/// The longest period of an interval: a leap year.
pub const MAX_PERIOD: Duration = Duration::from_secs(366 * 86_400);

/// How many slots ahead [`Schedule::typical_period`] looks.
const TYPICAL_SLOTS: usize = 10;
/// The longest text that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// When a task is due, apart from the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Calendar {
    /// At the times of a wall clock that an expression matches.
    Cron(Cron),
    /// Evenly, whatever the wall clock does.
    Every(Every),
    /// At one instant.
    Once(Timestamp),
}

/// An even interval: slots at `anchor + k × period`, k = 1, 2, 3…
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    period_ms: i64,
    anchor: Timestamp,
}

impl Every {
    fn new(period: Duration, anchor: Timestamp) -> Result<Self, ScheduleError> {
        let whole = period.subsec_nanos().is_multiple_of(1_000_000);
        match i64::try_from(period.as_millis()) {
            Ok(period_ms) if whole && (MIN_PERIOD..=MAX_PERIOD).contains(&period) => Ok(Self { period_ms, anchor }),
            _ => Err(ScheduleError::Period(DurationText(period))),
        }
    }

    /// From one slot to the next, in whole milliseconds.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms.unsigned_abs())
    }

    /// From where slots are counted; no slot itself.
    #[must_use]
    pub fn anchor(&self) -> Timestamp {
        self.anchor
    }

    /// How many slots there are up to and with an instant.
    fn until(&self, at: Timestamp) -> i128 {
        (i128::from(at.ms()) - i128::from(self.anchor.ms())).div_euclid(i128::from(self.period_ms)).max(0)
    }

    /// The slot of a number, 1 the first; none beyond the end of time.
    fn slot(&self, number: i128) -> Option<Timestamp> {
        let ms = i128::from(self.anchor.ms()) + number * i128::from(self.period_ms);
        (number > 0).then(|| i64::try_from(ms).ok().map(Timestamp::from_ms))?
    }
}

/// A calendar in a time zone.
///
/// Stored as one of `{"cron": "0 9 * * 1-5", "zone": "Europe/Berlin"}`,
/// `{"every_ms": 60000, "anchor_ms": 1700000000000, "zone": "UTC"}` and
/// `{"at_ms": 1700000000000, "zone": "UTC"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Schedule {
    calendar: Calendar,
    zone: Zone,
}

impl Schedule {
    /// By a cron expression; [`Cron`] says what may stand in one.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::FieldCount`], [`ScheduleError::Field`],
    /// [`ScheduleError::Nickname`], [`ScheduleError::TooLong`],
    /// [`ScheduleError::Cron`], and [`ScheduleError::Never`] for an expression
    /// without a day, such as 30 February.
    pub fn cron(text: &str, zone: Zone) -> Result<Self, ScheduleError> {
        Ok(Self { calendar: Calendar::Cron(Cron::parse(text)?), zone })
    }

    /// Every `period` after `anchor`, in real time: no clock change and no run
    /// moves it. The zone is for showing it only.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Period`] outside [`MIN_PERIOD`] to [`MAX_PERIOD`], and
    /// where it is no whole number of milliseconds.
    pub fn every(period: Duration, anchor: Timestamp, zone: Zone) -> Result<Self, ScheduleError> {
        Ok(Self { calendar: Calendar::Every(Every::new(period, anchor)?), zone })
    }

    /// Once, at an RFC 3339 instant (`2026-12-01T09:00:00Z`) or at a time of the
    /// zone's wall clock (`2026-12-01 09:00`, with `T` and seconds if wanted). A
    /// time that this clock shows twice means the first.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::At`] for another text, [`ScheduleError::NoSuchTime`] for
    /// an impossible date or time, [`ScheduleError::Skipped`] for one that the
    /// clock skips, and [`ScheduleError::Past`] for one that is not after `now`.
    pub fn at(text: &str, zone: Zone, now: Timestamp) -> Result<Self, ScheduleError> {
        let at = instant(text.trim(), &zone)?;
        if at <= now {
            return Err(ScheduleError::Past { at: zone.local(at), now: zone.local(now) });
        }
        Ok(Self { calendar: Calendar::Once(at), zone })
    }

    /// Its calendar.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The zone whose wall clock it is read on.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The first slot strictly later than an instant; none where there is none
    /// before the year 9999 ends.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.calendar {
            Calendar::Cron(cron) => span::first(cron.pattern(), self.zone.rules(), seconds(after, i64::MAX).0, i64::MAX).map(at_second),
            Calendar::Every(every) => every.slot(every.until(after) + 1),
            Calendar::Once(at) => Some(*at).filter(|at| *at > after),
        }
    }

    /// The slots later than `after`, up to and with `until`, in order.
    pub fn slots(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let next = move |after: Timestamp| self.next_after(after).filter(|slot| *slot <= until);
        std::iter::successors(next(after), move |slot| next(*slot))
    }

    /// How many slots [`Schedule::slots`] has for the same range, without
    /// walking over them.
    #[must_use]
    pub fn count(&self, after: Timestamp, until: Timestamp) -> u64 {
        match &self.calendar {
            Calendar::Cron(cron) => {
                let (from, until) = seconds(after, until.ms());
                span::count(cron.pattern(), self.zone.rules(), from, until)
            }
            Calendar::Every(every) => u64::try_from(every.until(until) - every.until(after)).unwrap_or(0),
            Calendar::Once(at) => u64::from(*at > after && *at <= until),
        }
    }

    /// The newest slot of the same range, without walking over the others.
    #[must_use]
    pub fn last_until(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let newest = match &self.calendar {
            Calendar::Cron(cron) => {
                let (from, until) = seconds(after, until.ms());
                span::last(cron.pattern(), self.zone.rules(), from, until).map(at_second)
            }
            Calendar::Every(every) => every.slot(every.until(until)),
            Calendar::Once(at) => Some(*at).filter(|at| *at <= until),
        };
        newest.filter(|slot| *slot > after)
    }

    /// The shortest of the gaps between the next few slots; none for a schedule
    /// with fewer than two of them left.
    #[must_use]
    pub fn typical_period(&self, from: Timestamp) -> Option<Duration> {
        if let Calendar::Every(every) = &self.calendar {
            return Some(every.period());
        }
        let next: Vec<Timestamp> = self.slots(from, Timestamp::from_ms(i64::MAX)).take(TYPICAL_SLOTS).collect();
        next.iter().zip(next.iter().skip(1)).map(|(slot, later)| Duration::from_millis(later.ms_since(*slot))).min()
    }

    /// For people: `every weekday at 09:00 (Europe/Berlin)`.
    #[must_use]
    pub fn words(&self) -> String {
        words::of(self)
    }
}

/// The whole seconds later than `after`, up to and with `until_ms`, as
/// `from..until`.
fn seconds(after: Timestamp, until_ms: i64) -> (i64, i64) {
    (after.ms().div_euclid(1000) + 1, until_ms.div_euclid(1000) + 1)
}

fn at_second(second: i64) -> Timestamp {
    Timestamp::from_ms(second.saturating_mul(1000))
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Not five or six fields.
    #[error(
        "the cron expression has {found} fields: expected 5 (minute, hour, day of month, month, day of week), \
         or 6 with the second first"
    )]
    FieldCount {
        /// How many.
        found: usize,
    },
    /// A part of a field that does not belong there.
    #[error("`{part}` does not fit the {field} of the cron expression: expected {expected}")]
    Field {
        /// Which field: `minute`, `day of week`.
        field: &'static str,
        /// The part of its list.
        part: String,
        /// What may stand there.
        expected: String,
    },
    /// An `@name` that is no schedule.
    #[error(
        "there is no schedule `{text}`: expected @hourly, @daily, @weekly, @monthly or @yearly{}",
        near.as_ref().map_or_else(String::new, |near| format!(" (is `{near}` meant?)"))
    )]
    Nickname {
        /// The name given.
        text: String,
        /// A known name that is near.
        near: Option<String>,
    },
    /// Longer than any expression needs to be.
    #[error("the cron expression has {bytes} bytes: expected at most {MAX_CRON_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// An expression that the parser refused.
    #[error("the cron expression `{text}` is not understood: {why}")]
    Cron {
        /// The expression.
        text: String,
        /// The parser's words.
        why: String,
    },
    /// An expression that no day matches.
    #[error("the cron expression `{text}` never fires: expected a day that one of its months has")]
    Never {
        /// The expression.
        text: String,
    },
    /// A period out of its range.
    #[error("a period of {0} is out of range: expected whole milliseconds from {min} to {max}", min = DurationText(MIN_PERIOD), max = DurationText(MAX_PERIOD))]
    Period(DurationText),
    /// A text that is no point in time.
    #[error("`{0}` is no time: expected 2026-12-01T09:00:00Z, or 2026-12-01 09:00 on the clock of the task's zone")]
    At(String),
    /// A date or a time that does not exist on any calendar.
    #[error("there is no `{0}`: expected a date that the calendar has, and a time from 00:00:00 to 23:59:59")]
    NoSuchTime(String),
    /// A time that the clock of the zone skips.
    #[error("there is no `{text}` in {zone}: its clock skips from {from} to {to} there, so expected a time outside of these")]
    Skipped {
        /// The time given.
        text: String,
        /// The zone.
        zone: String,
        /// The first time of day that is skipped.
        from: String,
        /// The first that is there again.
        to: String,
    },
    /// A time that has passed.
    #[error("{at} has passed: expected a time after {now}")]
    Past {
        /// The time given, on the zone's clock.
        at: String,
        /// The time now, on the same clock.
        now: String,
    },
    /// JSON that is no one of the three.
    #[error("expected one of `cron`, `every_ms` with `anchor_ms`, and `at_ms`, beside a `zone`")]
    Stored,
}

fn instant(text: &str, zone: &Zone) -> Result<Timestamp, ScheduleError> {
    let shown = || truncated(text, MAX_SHOWN).to_owned();
    let no_such = || ScheduleError::NoSuchTime(shown());
    match shape(text).ok_or_else(|| ScheduleError::At(shown()))? {
        Shape::Instant => text.parse().map_err(|_| no_such()),
        Shape::Local => local(text, text.parse().map_err(|_| no_such())?, zone),
    }
}

/// What a text of a time is written as.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Instant,
    Local,
}

/// Neither week dates nor bare dates nor annotations, all of which `jiff` reads.
fn shape(text: &str) -> Option<Shape> {
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    let time = digits.strip_prefix("0000-00-00").and_then(|rest| rest.strip_prefix(['T', ' ']))?.strip_prefix("00:00")?;
    let time = time.strip_prefix(":00").unwrap_or(time);
    let time = time.strip_prefix('.').map_or(time, |fraction| fraction.trim_start_matches('0'));
    match time {
        "" if !text.contains('.') => Some(Shape::Local),
        "Z" | "+00:00" | "-00:00" => Some(Shape::Instant),
        _ => None,
    }
}

fn local(text: &str, time: DateTime, zone: &Zone) -> Result<Timestamp, ScheduleError> {
    // A civil date-time reads a leap second as the one before it; ours has none.
    if text.get(17..) == Some("60") {
        return Err(ScheduleError::NoSuchTime(text.to_owned()));
    }
    let found = zone.rules().to_ambiguous_timestamp(time);
    if let AmbiguousOffset::Gap { before, after } = found.offset() {
        return Err(skipped(text, time, zone, (before, after)));
    }
    let at = found.earlier().map_err(|_| ScheduleError::NoSuchTime(text.to_owned()))?;
    Ok(Timestamp::from_ms(at.as_millisecond()))
}

fn skipped(text: &str, time: DateTime, zone: &Zone, (before, after): (jiff::tz::Offset, jiff::tz::Offset)) -> ScheduleError {
    // Read with the offset before the gap, the time lies after the change.
    let change =
        before.to_timestamp(time).ok().and_then(|beyond| zone.rules().preceding(beyond + jiff::SignedDuration::from_nanos(1)).next());
    let clock = |offset: jiff::tz::Offset| match &change {
        Some(change) => offset.to_datetime(change.timestamp()).strftime("%Y-%m-%d %H:%M").to_string(),
        None => "an unknown time".to_owned(),
    };
    ScheduleError::Skipped { text: text.to_owned(), zone: zone.to_string(), from: clock(before), to: clock(after) }
}

/// How a schedule stands in the database.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ms: Option<i64>,
    zone: Zone,
}

impl TryFrom<Stored> for Schedule {
    type Error = ScheduleError;

    fn try_from(stored: Stored) -> Result<Self, ScheduleError> {
        let zone = stored.zone;
        match (stored.cron, stored.every_ms, stored.anchor_ms, stored.at_ms) {
            (Some(text), None, None, None) => Self::cron(&text, zone),
            (None, Some(period), Some(anchor), None) => Self::every(Duration::from_millis(period), Timestamp::from_ms(anchor), zone),
            // It was in the future when it was made.
            (None, None, None, Some(at)) => Ok(Self { calendar: Calendar::Once(Timestamp::from_ms(at)), zone }),
            _ => Err(ScheduleError::Stored),
        }
    }
}

impl From<Schedule> for Stored {
    fn from(schedule: Schedule) -> Self {
        let none = Self { cron: None, every_ms: None, anchor_ms: None, at_ms: None, zone: schedule.zone };
        match schedule.calendar {
            Calendar::Cron(cron) => Self { cron: Some(cron.text().to_owned()), ..none },
            Calendar::Every(every) => Self { every_ms: Some(every.period_ms.unsigned_abs()), anchor_ms: Some(every.anchor.ms()), ..none },
            Calendar::Once(at) => Self { at_ms: Some(at.ms()), ..none },
        }
    }
}
