//! When a run that failed is tried again.
//!
//! Owns the rule and its arithmetic: waits that grow by a factor up to a cap,
//! scattered so that tasks which failed together do not return together. Never
//! judges whether a failure is worth another attempt, and draws no random
//! numbers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wardroom_core::limit::DurationText;
use wardroom_core::text::truncated;

/// Extra attempts that anybody may ask for.
pub const MAX_ATTEMPTS: u32 = 20;
/// The shortest wait before the first extra attempt.
pub const MIN_BASE: Duration = Duration::from_secs(1);
/// The wait before the first extra attempt unless somebody says otherwise.
pub const DEFAULT_BASE: Duration = Duration::from_secs(10);
/// By how much a wait is longer than the one before it, unless somebody says
/// otherwise.
pub const DEFAULT_FACTOR: u32 = 2;
/// The smallest factor: with less, waits would not grow.
pub const MIN_FACTOR: u32 = 2;
/// The largest factor.
pub const MAX_FACTOR: u32 = 10;
/// The longest wait unless somebody says otherwise.
pub const DEFAULT_CAP: Duration = Duration::from_secs(3600);
/// The longest wait that anybody may ask for, as base or as cap: a day.
pub const MAX_CAP: Duration = Duration::from_secs(86_400);
/// Percent of a wait that chance may take away, unless somebody says otherwise.
pub const DEFAULT_JITTER: u8 = 20;
/// The most that chance may take away: all of it.
pub const MAX_JITTER: u8 = 100;

/// The longest text that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// When a run that failed is tried again; by default never.
///
/// As text: `off`, `3`, or `3 base 10s factor 2 cap 1h jitter 20` with any of
/// these left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryRule {
    attempts: u32,
    base: Duration,
    factor: u32,
    cap: Duration,
    jitter: u8,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self { attempts: 0, base: DEFAULT_BASE, factor: DEFAULT_FACTOR, cap: DEFAULT_CAP, jitter: DEFAULT_JITTER }
    }
}

impl RetryRule {
    /// So many extra attempts, with the default waits.
    ///
    /// # Errors
    ///
    /// [`RetryError::Attempts`] beyond [`MAX_ATTEMPTS`].
    pub fn new(attempts: u32) -> Result<Self, RetryError> {
        Self { attempts, ..Self::default() }.checked()
    }

    /// With another first wait, [`MIN_BASE`] to the cap.
    ///
    /// # Errors
    ///
    /// [`RetryError::Base`].
    pub fn with_base(self, base: Duration) -> Result<Self, RetryError> {
        Self { base, ..self }.checked()
    }

    /// With another factor, [`MIN_FACTOR`] to [`MAX_FACTOR`].
    ///
    /// # Errors
    ///
    /// [`RetryError::Factor`].
    pub fn with_factor(self, factor: u32) -> Result<Self, RetryError> {
        Self { factor, ..self }.checked()
    }

    /// With another longest wait, the base to [`MAX_CAP`].
    ///
    /// # Errors
    ///
    /// [`RetryError::Cap`], and [`RetryError::Base`] where it is less than that.
    pub fn with_cap(self, cap: Duration) -> Result<Self, RetryError> {
        Self { cap, ..self }.checked()
    }

    /// With another part that chance takes away, in percent, 0 to
    /// [`MAX_JITTER`].
    ///
    /// # Errors
    ///
    /// [`RetryError::Jitter`].
    pub fn with_jitter(self, jitter: u8) -> Result<Self, RetryError> {
        Self { jitter, ..self }.checked()
    }

    /// Extra attempts after the first, 0 to [`MAX_ATTEMPTS`].
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait before the first extra attempt.
    #[must_use]
    pub fn base(&self) -> Duration {
        self.base
    }

    /// By how much a wait is longer than the one before it.
    #[must_use]
    pub fn factor(&self) -> u32 {
        self.factor
    }

    /// The longest wait.
    #[must_use]
    pub fn cap(&self) -> Duration {
        self.cap
    }

    /// Percent of a wait that chance may take away.
    #[must_use]
    pub fn jitter(&self) -> u8 {
        self.jitter
    }

    /// How long to wait after an attempt that failed, 1 the first; none where
    /// no more follow.
    ///
    /// The wait is `base × factor^(failed_attempt − 1)`, at most the cap; then
    /// up to [`RetryRule::jitter`] percent of it are taken away, in proportion
    /// to `random`, which should be evenly distributed. So it is never longer
    /// than the cap.
    #[must_use]
    pub fn delay(&self, failed_attempt: u32, random: u64) -> Option<Duration> {
        if failed_attempt == 0 || failed_attempt > self.attempts {
            return None;
        }
        let growth = u128::from(self.factor).saturating_pow(failed_attempt - 1);
        let full = self.base.as_millis().saturating_mul(growth).min(self.cap.as_millis());
        let taken = (full * u128::from(self.jitter) / 100 * u128::from(random)) >> 64;
        Some(Duration::from_millis(u64::try_from(full - taken).unwrap_or(u64::MAX)))
    }

    fn checked(self) -> Result<Self, RetryError> {
        if self.attempts > MAX_ATTEMPTS {
            return Err(RetryError::Attempts(self.attempts));
        }
        if !(MIN_FACTOR..=MAX_FACTOR).contains(&self.factor) {
            return Err(RetryError::Factor(self.factor));
        }
        if !(MIN_BASE..=MAX_CAP).contains(&self.cap) {
            return Err(RetryError::Cap(DurationText(self.cap)));
        }
        if !(MIN_BASE..=self.cap).contains(&self.base) {
            return Err(RetryError::Base { base: DurationText(self.base), cap: DurationText(self.cap) });
        }
        if self.jitter > MAX_JITTER {
            return Err(RetryError::Jitter(self.jitter));
        }
        Ok(self)
    }
}

/// A rule for retries that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// More than [`MAX_ATTEMPTS`].
    #[error("{0} attempts are out of range: expected 0 to {MAX_ATTEMPTS}")]
    Attempts(u32),
    /// Outside [`MIN_BASE`] to the cap.
    #[error("a base of {base} is out of range: expected {min} to the cap of {cap}", min = DurationText(MIN_BASE))]
    Base {
        /// The base given.
        base: DurationText,
        /// The cap beside it.
        cap: DurationText,
    },
    /// Outside [`MIN_FACTOR`] to [`MAX_FACTOR`].
    #[error("a factor of {0} is out of range: expected {MIN_FACTOR} to {MAX_FACTOR}")]
    Factor(u32),
    /// Outside [`MIN_BASE`] to [`MAX_CAP`].
    #[error("a cap of {0} is out of range: expected {min} to {max}", min = DurationText(MIN_BASE), max = DurationText(MAX_CAP))]
    Cap(DurationText),
    /// More than [`MAX_JITTER`].
    #[error("a jitter of {0} percent is out of range: expected 0 to {MAX_JITTER}")]
    Jitter(u8),
    /// A text that is no rule.
    #[error("`{0}` is no rule for retries: expected off, or 3 base 10s factor 2 cap 1h jitter 20 with any but the first left out")]
    Text(String),
}

impl FromStr for RetryRule {
    type Err = RetryError;

    fn from_str(text: &str) -> Result<Self, RetryError> {
        let unreadable = || RetryError::Text(truncated(text, MAX_SHOWN).to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let (attempts, pairs) = words.split_first().ok_or_else(unreadable)?;
        let attempts = if *attempts == "off" { 0 } else { attempts.parse().map_err(|_| unreadable())? };
        let mut rule = Self { attempts, ..Self::default() };
        let mut seen: Vec<&str> = Vec::new();
        for pair in pairs.chunks(2) {
            let [name, value] = pair else { return Err(unreadable()) };
            let duration = || value.parse::<DurationText>().map(|DurationText(duration)| duration).map_err(|_| unreadable());
            match *name {
                twice if seen.contains(&twice) => return Err(unreadable()),
                "base" => rule.base = duration()?,
                "factor" => rule.factor = value.parse().map_err(|_| unreadable())?,
                "cap" => rule.cap = duration()?,
                "jitter" => rule.jitter = value.trim_end_matches('%').parse().map_err(|_| unreadable())?,
                _ => return Err(unreadable()),
            }
            seen.push(name);
        }
        rule.checked()
    }
}

impl fmt::Display for RetryRule {
    /// What is as by default is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        match self.attempts {
            0 => f.write_str("off")?,
            attempts => write!(f, "{attempts}")?,
        }
        if self.base != usual.base {
            write!(f, " base {}", DurationText(self.base))?;
        }
        if self.factor != usual.factor {
            write!(f, " factor {}", self.factor)?;
        }
        if self.cap != usual.cap {
            write!(f, " cap {}", DurationText(self.cap))?;
        }
        if self.jitter != usual.jitter {
            write!(f, " jitter {}", self.jitter)?;
        }
        Ok(())
    }
}

wardroom_core::as_text!(RetryRule);

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> RetryRule {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn seconds(rule: RetryRule, random: u64) -> Vec<u64> {
        (1..).map_while(|attempt| rule.delay(attempt, random)).map(|delay| delay.as_secs()).collect()
    }

    #[test]
    fn nothing_is_tried_again_unless_somebody_says_so() {
        assert_eq!(RetryRule::default().delay(1, 0), None);
        assert_eq!(RetryRule::default(), rule("off"));
    }

    #[test]
    fn waits_grow_by_the_factor_up_to_the_cap() {
        assert_eq!(seconds(rule("5"), 0), [10, 20, 40, 80, 160]);
        assert_eq!(seconds(rule("6 base 1m factor 3 cap 10m"), 0), [60, 180, 540, 600, 600, 600]);
        assert_eq!(seconds(rule("20 base 1d factor 10 cap 1d"), 0), [86_400; 20]);
        assert_eq!((rule("3").delay(0, 0), rule("3").delay(4, 0), rule("3").delay(u32::MAX, 0)), (None, None, None));
    }

    #[test]
    fn chance_takes_away_a_part_and_adds_nothing() {
        assert_eq!(rule("1 base 10s jitter 0").delay(1, u64::MAX), Some(Duration::from_secs(10)));
        assert_eq!(rule("1 base 10s jitter 20").delay(1, 0), Some(Duration::from_secs(10)));
        assert_eq!(rule("1 base 10s jitter 20").delay(1, u64::MAX / 2), Some(Duration::from_millis(9001)));
        assert_eq!(rule("1 base 10s jitter 20").delay(1, u64::MAX), Some(Duration::from_millis(8001)));
        assert_eq!(rule("1 base 10s jitter 100").delay(1, u64::MAX), Some(Duration::from_millis(1)));
    }

    #[test]
    fn rules_are_texts_that_leave_out_what_is_usual() {
        for (text, shown) in [
            ("off", "off"),
            ("0", "off"),
            ("3", "3"),
            ("3 base 10s factor 2 cap 1h jitter 20%", "3"),
            ("3 jitter 5 base 60s", "3 base 1m jitter 5"),
            ("20 factor 10 cap 24h", "20 factor 10 cap 1d"),
        ] {
            assert_eq!(rule(text).to_string(), shown);
            assert_eq!(rule(shown), rule(text));
            assert_eq!(serde_json::from_str::<RetryRule>(&serde_json::to_string(&rule(text)).unwrap()).unwrap(), rule(text));
        }
    }

    #[test]
    fn rules_out_of_range_are_refused() {
        let refused = |text: &str| text.parse::<RetryRule>().unwrap_err();
        assert_eq!(refused("21"), RetryError::Attempts(21));
        assert!(matches!(refused("3 base 999ms"), RetryError::Base { .. }) && matches!(refused("3 base 2h"), RetryError::Base { .. }));
        assert!(rule("3 base 2h cap 2h").delay(1, 0).is_some());
        assert_eq!((refused("3 factor 1"), refused("3 factor 11")), (RetryError::Factor(1), RetryError::Factor(11)));
        assert!(matches!(refused("3 cap 25h"), RetryError::Cap(_)));
        assert_eq!(refused("3 jitter 101"), RetryError::Jitter(101));
        for text in ["", "three", "-1", "3 base", "3 bases 1s", "3 base 1s base 2s", "base 1s", "3 jitter 300", "3 base 1"] {
            assert!(matches!(refused(text), RetryError::Text(_)), "{text}");
        }
        assert_eq!(RetryRule::new(3).and_then(|rule| rule.with_base(Duration::from_secs(60))), Ok(rule("3 base 1m")));
        assert_eq!(RetryRule::new(3).and_then(|rule| rule.with_factor(0)), Err(RetryError::Factor(0)));
    }
}
