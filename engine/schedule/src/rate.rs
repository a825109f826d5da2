//! How often something may start.
//!
//! Owns the limit and its arithmetic over a sliding window: in no stretch of
//! time as long as the period are there more starts than the count. Never keeps
//! the starts: the caller has them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wardroom_core::clock::Timestamp;
use wardroom_core::limit::DurationText;
use wardroom_core::text::truncated;

/// The most starts that a limit can let through in a period.
pub const MAX_COUNT: u32 = 10_000;
/// The shortest period of a limit.
pub const MIN_RATE_PERIOD: Duration = Duration::from_secs(1);
/// The longest period of a limit: 30 days.
pub const MAX_RATE_PERIOD: Duration = Duration::from_secs(30 * 86_400);

/// The longest text that an error repeats, in bytes.
const MAX_SHOWN: usize = 40;

/// So many starts in a period: `10/1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    count: u32,
    period: Duration,
}

impl RateLimit {
    /// `count` starts (1 to [`MAX_COUNT`]) in any `period` ([`MIN_RATE_PERIOD`]
    /// to [`MAX_RATE_PERIOD`]).
    ///
    /// # Errors
    ///
    /// [`RateError::Count`] and [`RateError::Period`].
    pub fn new(count: u32, period: Duration) -> Result<Self, RateError> {
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(RateError::Count(count));
        }
        if !(MIN_RATE_PERIOD..=MAX_RATE_PERIOD).contains(&period) {
            return Err(RateError::Period(DurationText(period)));
        }
        Ok(Self { count, period })
    }

    /// How many starts.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// In which time.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// When the next start is allowed: `now`, or later. Starts older than the
    /// period need not be among `starts`; their order is of no importance.
    ///
    /// A start leaves the window exactly one period after it. A start in the
    /// future, as a clock that was set back leaves behind, counts as one now,
    /// so that nothing is blocked for longer than a period.
    #[must_use]
    pub fn earliest(&self, starts: &[Timestamp], now: Timestamp) -> Timestamp {
        let period = i64::try_from(self.period.as_millis()).unwrap_or(i64::MAX);
        let mut leaving: Vec<i64> =
            starts.iter().map(|start| start.ms().min(now.ms()).saturating_add(period)).filter(|end| *end > now.ms()).collect();
        leaving.sort_unstable();
        // All but `count - 1` of them have to be gone.
        let allowed = usize::try_from(self.count).unwrap_or(usize::MAX);
        leaving.len().checked_sub(allowed).and_then(|index| leaving.get(index)).map_or(now, |end| Timestamp::from_ms(*end))
    }
}

/// A limit that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// Outside 1 to [`MAX_COUNT`].
    #[error("a rate of {0} starts is out of range: expected 1 to {MAX_COUNT}")]
    Count(u32),
    /// Outside [`MIN_RATE_PERIOD`] to [`MAX_RATE_PERIOD`].
    #[error("a rate's period of {0} is out of range: expected {min} to {max}", min = DurationText(MIN_RATE_PERIOD), max = DurationText(MAX_RATE_PERIOD))]
    Period(DurationText),
    /// A text that is no limit.
    #[error("`{0}` is no rate: expected a count and a period, like 10/1h")]
    Text(String),
}

impl FromStr for RateLimit {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let unreadable = || RateError::Text(truncated(text, MAX_SHOWN).to_owned());
        let (count, period) = text.split_once('/').ok_or_else(unreadable)?;
        let DurationText(period) = period.parse().map_err(|_| unreadable())?;
        Self::new(count.trim().parse().map_err(|_| unreadable())?, period)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, DurationText(self.period))
    }
}

wardroom_core::as_text!(RateLimit);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str) -> RateLimit {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn of_a_thousand_requests_ten_pass() {
        let limit = limit("10/1h");
        let mut starts = Vec::new();
        for request in 0..1000 {
            // All within the hour.
            let now = at(request * 3600);
            if limit.earliest(&starts, now) == now {
                starts.push(now);
            }
        }
        assert_eq!(starts.len(), 10);
    }

    #[test]
    fn the_next_start_is_allowed_when_the_oldest_leaves_the_window() {
        let limit = limit("2/10s");
        assert_eq!(limit.earliest(&[], at(5)), at(5));
        assert_eq!(limit.earliest(&[at(1000)], at(2000)), at(2000));
        assert_eq!(limit.earliest(&[at(4000), at(1000)], at(5000)), at(11_000));
        assert_eq!(limit.earliest(&[at(4000), at(1000)], at(10_999)), at(11_000));
        assert_eq!(limit.earliest(&[at(4000), at(1000)], at(11_000)), at(11_000));
        // Overdrawn, as after a limit was lowered.
        assert_eq!(limit.earliest(&[at(1000), at(2000), at(3000), at(4000)], at(5000)), at(13_000));
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_for_one_period_at_most() {
        let limit = limit("1/1m");
        assert_eq!(limit.earliest(&[at(86_400_000)], at(0)), at(60_000));
    }

    #[test]
    fn limits_are_texts_within_their_range() {
        for (text, shown) in [("10/1h", "10/1h"), ("1/1s", "1/1s"), ("10000/30d", "10000/30d"), ("5 / 60m", "5/1h")] {
            assert_eq!(limit(text).to_string(), shown);
            assert_eq!(serde_json::from_str::<RateLimit>(&serde_json::to_string(&limit(text)).unwrap()).unwrap(), limit(text));
        }
        let refused = |text: &str| text.parse::<RateLimit>().unwrap_err();
        assert_eq!((refused("0/1h"), refused("10001/1h")), (RateError::Count(0), RateError::Count(10_001)));
        assert!(matches!(refused("1/999ms"), RateError::Period(_)) && matches!(refused("1/31d"), RateError::Period(_)));
        for text in ["", "10", "10/", "/1h", "10/h", "-1/1h", "10/1h/1h", "ten/1h"] {
            assert!(matches!(refused(text), RateError::Text(_)), "{text}");
        }
    }

    proptest! {
        /// As many requests as one likes, at any times: no window holds more
        /// than the count, and none is refused that would have fitted.
        #[test]
        fn no_window_holds_more_than_the_count(count in 1_u32..6, period in 1_i64..20, gaps in prop::collection::vec(0_i64..5000, 1..150)) {
            let period_ms = period * 1000;
            let limit = RateLimit::new(count, Duration::from_millis(period_ms.unsigned_abs())).unwrap();
            let allowed = usize::try_from(count).unwrap();
            let (mut now, mut starts) = (0, Vec::<Timestamp>::new());
            for gap in gaps {
                now += gap;
                let in_window = starts.iter().filter(|start| start.ms() + period_ms > now).count();
                let earliest = limit.earliest(&starts, at(now));
                prop_assert_eq!(earliest == at(now), in_window < allowed);
                prop_assert!(earliest >= at(now) && earliest.ms() <= now + period_ms);
                if earliest == at(now) {
                    starts.push(earliest);
                }
            }
            for start in &starts {
                let together = starts.iter().filter(|other| (start.ms()..start.ms() + period_ms).contains(&other.ms())).count();
                prop_assert!(together <= allowed);
            }
        }
    }
}
