//! Where the times of a wall clock lie in real time.
//!
//! A zone is a row of spans, each with one offset from UTC. Within one, the
//! wall clock runs evenly, so that a search is a search on the calendar. What
//! happens between two of them is the whole of daylight saving:
//!
//! ```text
//! gap    …01:59:59 │ 03:00:00…   fixed times of 02:xx fall on 03:00:00
//! fold   …02:59:59 │ 02:00:00…   fixed times of 02:xx are not looked for again
//! ```
//!
//! Works in whole seconds since 1970; knows nothing of schedules.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::civil::{DAY, Pattern};

/// The first second looked at: 0001-01-02T00:00:00Z.
const EARLIEST: i64 = -62_135_510_400;
/// The second after the last one looked at: 9999-12-30T00:00:00Z.
const LATEST: i64 = 253_402_128_000;
/// How long after a clock went back its repeated times can still go on. The
/// largest change so far was by a day (Alaska 1867, the Philippines 1844).
const LONGEST_FOLD: i64 = 3 * DAY;

/// A stretch of time in which a zone has one offset.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Its first second.
    start: i64,
    /// The second after its last.
    end: i64,
    /// From UTC to the wall clock, in seconds.
    offset: i64,
    /// The civil second up to which the wall clock had run before: beyond this
    /// span's first after a fold, short of it after a gap.
    seen: i64,
}

/// The first slot of `from..until`.
pub(crate) fn first(pattern: &Pattern, zone: &TimeZone, from: i64, until: i64) -> Option<i64> {
    let (from, until) = (from.max(EARLIEST), until.min(LATEST));
    forwards(zone, from, until).find_map(|span| span.first(pattern, from, until))
}

/// The last slot of `from..until`.
pub(crate) fn last(pattern: &Pattern, zone: &TimeZone, from: i64, until: i64) -> Option<i64> {
    let (from, until) = (from.max(EARLIEST), until.min(LATEST));
    let mut next = (from < until).then(|| until - 1);
    let spans = std::iter::from_fn(|| {
        let span = Span::at(zone, next?);
        next = Some(span.start - 1).filter(|second| *second >= from);
        Some(span)
    });
    spans.into_iter().find_map(|span| span.last(pattern, from, until))
}

/// How many slots there are in `from..until`.
pub(crate) fn count(pattern: &Pattern, zone: &TimeZone, from: i64, until: i64) -> u64 {
    let (from, until) = (from.max(EARLIEST), until.min(LATEST));
    forwards(zone, from, until).map(|span| span.count(pattern, from, until)).sum()
}

/// The spans that meet `from..until`, in order.
fn forwards(zone: &TimeZone, from: i64, until: i64) -> impl Iterator<Item = Span> + '_ {
    let mut next = from;
    std::iter::from_fn(move || {
        if next >= until {
            return None;
        }
        let span = Span::at(zone, next);
        next = span.end;
        Some(span)
    })
}

impl Span {
    fn at(zone: &TimeZone, second: i64) -> Self {
        let offset = offset_at(zone, second);
        // `preceding` looks strictly before.
        let changes = || zone.preceding(instant(second + 1)).map(|change| change.timestamp().as_second());
        let start = changes().next().unwrap_or(EARLIEST).max(EARLIEST);
        let end = zone.following(instant(second)).next().map_or(LATEST, |change| change.timestamp().as_second()).min(LATEST);
        let shown_before = |change: i64| change + offset_at(zone, change - 1);
        let seen = changes().take_while(|change| start - change < LONGEST_FOLD).map(shown_before).max().unwrap_or(start + offset);
        Self { start, end, offset, seen }
    }

    /// The civil seconds to search for slots of `from..until`.
    fn civil(&self, pattern: &Pattern, from: i64, until: i64) -> (i64, i64) {
        let first = if pattern.repeating { self.start + self.offset } else { self.seen };
        // What a gap swallowed belongs to the span's first second.
        let low = if from <= self.start { first } else { first.max(from + self.offset) };
        (low, until.min(self.end) + self.offset)
    }

    /// Where a civil second lies: at the span's start, if a gap swallowed it.
    fn real(&self, civil: i64) -> i64 {
        (civil - self.offset).max(self.start)
    }

    fn first(&self, pattern: &Pattern, from: i64, until: i64) -> Option<i64> {
        let (low, high) = self.civil(pattern, from, until);
        pattern.first(low, high).map(|civil| self.real(civil))
    }

    fn last(&self, pattern: &Pattern, from: i64, until: i64) -> Option<i64> {
        let (low, high) = self.civil(pattern, from, until);
        pattern.last(low, high).map(|civil| self.real(civil))
    }

    fn count(&self, pattern: &Pattern, from: i64, until: i64) -> u64 {
        let (low, high) = self.civil(pattern, from, until);
        // All of these are one instant, and so one slot.
        let after_start = (self.start + self.offset + 1).max(low);
        let at_start = pattern.count(low, after_start.min(high)).min(1);
        at_start + pattern.count(after_start, high)
    }
}

fn offset_at(zone: &TimeZone, second: i64) -> i64 {
    i64::from(zone.to_offset(instant(second)).seconds())
}

/// Every second looked at is within jiff's range.
fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
