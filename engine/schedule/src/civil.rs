//! The times on a wall clock that a cron expression matches, on a calendar
//! without zones: found forwards and backwards, and counted without walking.
//!
//! A civil second is the number of seconds from 1970-01-01 00:00:00 to what a
//! clock on the wall shows, as if its day had always 86,400 of them. Where such
//! a time lies in real time is decided in `span`.

/// Seconds of a day on a wall clock.
pub(crate) const DAY: i64 = 86_400;

/// What a cron expression matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Bit n: second n.
    pub(crate) seconds: u64,
    /// Bit n: minute n.
    pub(crate) minutes: u64,
    /// Bit n: hour n.
    pub(crate) hours: u64,
    /// Bit n: month n, January 1.
    pub(crate) months: u64,
    /// The days (bit n: day n) of a month of 28 + i days whose first is
    /// weekday j, Sunday 0. No rule of a cron expression looks at anything else,
    /// so 28 sets say all of it.
    pub(crate) days: [[u64; 7]; 4],
    /// The second, minute or hour has a `*`.
    pub(crate) repeating: bool,
}

impl Pattern {
    /// There is a month with a day: 30 February alone has none. All 28 shapes
    /// occur within the 400 years after which the calendar repeats itself.
    pub(crate) fn ever_matches(&self) -> bool {
        let lengths = |month: u32| match month {
            2 => 0..2,
            4 | 6 | 9 | 11 => 2..3,
            _ => 3..4,
        };
        (1..=12).filter(|month| has(self.months, *month)).any(|month| {
            self.days.iter().enumerate().any(|(i, shapes)| lengths(month).contains(&i) && shapes.iter().any(|days| *days != 0))
        })
    }

    /// The first matching civil second of `from..until`.
    pub(crate) fn first(&self, from: i64, until: i64) -> Option<i64> {
        if from >= until {
            return None;
        }
        let today = from.div_euclid(DAY);
        let later_today = || self.first_time(from.rem_euclid(DAY)).filter(|_| self.day_matches(today)).map(|time| today * DAY + time);
        let another_day = || Some(self.first_day(today + 1, (until - 1).div_euclid(DAY))? * DAY + self.first_time(0)?);
        later_today().or_else(another_day).filter(|second| *second < until)
    }

    /// The last matching civil second of `from..until`.
    pub(crate) fn last(&self, from: i64, until: i64) -> Option<i64> {
        if from >= until {
            return None;
        }
        let newest = until - 1;
        let today = newest.div_euclid(DAY);
        let earlier_today = || self.last_time(newest.rem_euclid(DAY)).filter(|_| self.day_matches(today)).map(|time| today * DAY + time);
        let another_day = || Some(self.last_day(from.div_euclid(DAY), today - 1)? * DAY + self.last_time(DAY - 1)?);
        earlier_today().or_else(another_day).filter(|second| *second >= from)
    }

    /// How many civil seconds of `from..until` match.
    pub(crate) fn count(&self, from: i64, until: i64) -> u64 {
        if from >= until {
            return 0;
        }
        let (first_day, last_day) = (from.div_euclid(DAY), until.div_euclid(DAY));
        let whole = self.count_days(first_day, last_day) * self.times_before(DAY);
        let begun = |day: i64, second: i64| if self.day_matches(day) { self.times_before(second.rem_euclid(DAY)) } else { 0 };
        whole + begun(last_day, until) - begun(first_day, from)
    }

    fn day_matches(&self, day: i64) -> bool {
        let date = Date::of(day);
        has(self.days_of(&date.month), date.day)
    }

    /// The matching days of one month.
    fn days_of(&self, month: &Month) -> u64 {
        if !has(self.months, month.number()) {
            return 0;
        }
        let shapes = usize::try_from(month.days() - 28).ok().and_then(|length| self.days.get(length));
        shapes.and_then(|shapes| shapes.get(month.first_weekday())).copied().unwrap_or(0)
    }

    /// The first matching day of `from..=last`.
    fn first_day(&self, from: i64, last: i64) -> Option<i64> {
        let start = Date::of(from);
        let (mut month, mut day) = (start.month, start.day);
        while month.first_day() <= last {
            if let Some(found) = next_in(self.days_of(&month), day) {
                return Some(month.first_day() + i64::from(found) - 1).filter(|found| *found <= last);
            }
            (month, day) = (month.next(), 1);
        }
        None
    }

    /// The last matching day of `first..=until`.
    fn last_day(&self, first: i64, until: i64) -> Option<i64> {
        let end = Date::of(until);
        let (mut month, mut day) = (end.month, end.day);
        while month.first_day() + 30 >= first {
            if let Some(found) = previous_in(self.days_of(&month), day) {
                return Some(month.first_day() + i64::from(found) - 1).filter(|found| *found >= first);
            }
            (month, day) = (month.previous(), 31);
        }
        None
    }

    /// How many days of `from..until` match.
    fn count_days(&self, from: i64, until: i64) -> u64 {
        let (start, end) = (Date::of(from), Date::of(until));
        let before = |date: &Date| u64::from(below(self.days_of(&date.month), date.day).count_ones());
        let mut months = 0;
        let mut month = start.month;
        while month < end.month {
            months += u64::from(self.days_of(&month).count_ones());
            month = month.next();
        }
        months + before(&end) - before(&start)
    }

    /// The first matching second of a day, from the given one on.
    fn first_time(&self, from: i64) -> Option<i64> {
        let (h, m, s) = clock(from);
        let in_minute = || next_in(self.seconds, s).filter(|_| has(self.hours, h) && has(self.minutes, m)).map(|s| time(h, m, s));
        let in_hour =
            || next_in(self.minutes, m + 1).filter(|_| has(self.hours, h)).and_then(|m| Some(time(h, m, next_in(self.seconds, 0)?)));
        let later = || Some(time(next_in(self.hours, h + 1)?, next_in(self.minutes, 0)?, next_in(self.seconds, 0)?));
        in_minute().or_else(in_hour).or_else(later)
    }

    /// The last matching second of a day, up to and with the given one.
    fn last_time(&self, until: i64) -> Option<i64> {
        let (h, m, s) = clock(until);
        let last = |set: u64| previous_in(set, 63);
        let in_minute = || previous_in(self.seconds, s).filter(|_| has(self.hours, h) && has(self.minutes, m)).map(|s| time(h, m, s));
        let in_hour = || {
            let minute = previous_in(self.minutes, m.checked_sub(1)?).filter(|_| has(self.hours, h))?;
            Some(time(h, minute, last(self.seconds)?))
        };
        let earlier = || Some(time(previous_in(self.hours, h.checked_sub(1)?)?, last(self.minutes)?, last(self.seconds)?));
        in_minute().or_else(in_hour).or_else(earlier)
    }

    /// How many seconds of a day before the given one match.
    fn times_before(&self, second: i64) -> u64 {
        let (h, m, s) = clock(second);
        let count = |set: u64| u64::from(set.count_ones());
        let minute = if has(self.minutes, m) { count(below(self.seconds, s)) } else { 0 };
        let hour = if has(self.hours, h) { count(below(self.minutes, m)) * count(self.seconds) + minute } else { 0 };
        count(below(self.hours, h)) * count(self.minutes) * count(self.seconds) + hour
    }
}

/// Hour, minute and second of a second of the day; 24:00:00 for the one after
/// the last.
fn clock(second: i64) -> (u32, u32, u32) {
    let part = |value: i64| u32::try_from(value).unwrap_or(0);
    (part(second / 3600), part(second / 60 % 60), part(second % 60))
}

fn time(hour: u32, minute: u32, second: u32) -> i64 {
    i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
}

fn has(set: u64, bit: u32) -> bool {
    set.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
}

/// The members less than a number.
fn below(set: u64, bit: u32) -> u64 {
    set & 1_u64.checked_shl(bit).map_or(u64::MAX, |one| one - 1)
}

/// The smallest member from a number on.
fn next_in(set: u64, from: u32) -> Option<u32> {
    let rest = set & !below(u64::MAX, from);
    (rest != 0).then(|| rest.trailing_zeros())
}

/// The largest member up to and with a number.
fn previous_in(set: u64, until: u32) -> Option<u32> {
    let rest = below(set, until + 1);
    (rest != 0).then(|| 63 - rest.leading_zeros())
}

/// Months since January of the year 0, on the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Month(i64);

impl Month {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }

    fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// 1 to 12.
    fn number(self) -> u32 {
        u32::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1)
    }

    /// Days from 1970-01-01 to its first. The year begins in March here, so
    /// that the leap day is the last: the algorithm of Howard Hinnant's
    /// `days_from_civil`.
    fn first_day(self) -> i64 {
        let since_march = self.0 - 2;
        let (year, month) = (since_march.div_euclid(12), since_march.rem_euclid(12));
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        // 719,468 days from 0000-03-01 to 1970-01-01.
        year * 365 + leap_days + (153 * month + 2) / 5 - 719_468
    }

    /// 28 to 31.
    fn days(self) -> i64 {
        self.next().first_day() - self.first_day()
    }

    /// Sunday is 0. 1970-01-01 was a Thursday.
    fn first_weekday(self) -> usize {
        usize::try_from((self.first_day() + 4).rem_euclid(7)).unwrap_or(0)
    }
}

/// A day of the calendar.
struct Date {
    month: Month,
    /// 1 to 31.
    day: u32,
}

impl Date {
    /// From days since 1970-01-01.
    fn of(day: i64) -> Self {
        // Months of 30.4 days hit the month itself or one beside it.
        let mut month = Month((day * 4800).div_euclid(146_097) + 1970 * 12);
        while month.first_day() > day {
            month = month.previous();
        }
        while month.next().first_day() <= day {
            month = month.next();
        }
        Self { month, day: u32::try_from(day - month.first_day() + 1).unwrap_or(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        let (mut expected, mut day) = (jiff::civil::date(1899, 12, 31), -25_568);
        while expected < jiff::civil::date(2105, 1, 1) {
            let date = Date::of(day);
            let found = (date.month.0.div_euclid(12), i64::from(date.month.number()), i64::from(date.day));
            assert_eq!(found, (i64::from(expected.year()), i64::from(expected.month()), i64::from(expected.day())), "{expected}");
            assert_eq!(date.month.days(), i64::from(expected.days_in_month()), "{expected}");
            let weekday = expected.first_of_month().weekday().to_sunday_zero_offset();
            assert_eq!(date.month.first_weekday(), usize::try_from(weekday).unwrap(), "{expected}");
            (expected, day) = (expected.tomorrow().unwrap(), day + 1);
        }
        for (day, year) in [(-719_162, 1), (2_932_896, 9999)] {
            assert_eq!(Date::of(day).month.0.div_euclid(12), year);
        }
    }

    #[test]
    fn sets_are_searched_up_to_their_edges() {
        let set = 1 | 1 << 5 | 1 << 63;
        assert_eq!((next_in(set, 0), next_in(set, 6), next_in(set, 64)), (Some(0), Some(63), None));
        assert_eq!((previous_in(set, 63), previous_in(set, 62), previous_in(set, 0)), (Some(63), Some(5), Some(0)));
        assert_eq!((below(set, 0), below(set, 5), below(set, 64)), (0, 1, set));
        assert!(has(set, 63) && !has(set, 64) && !has(set, 1));
    }
}
