//! What becomes of slots that were missed, and of runs that would overlap.
//!
//! Owns the two rules' words and which of them contradict one another. Never
//! applies them: `due` does the one, the execution's queue the other.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wardroom_core::clock::Timestamp;
use wardroom_core::text::{nearest, truncated};

use crate::calendar::{Calendar, Schedule};

/// From this period on, a missed slot is worth catching up unless somebody says
/// otherwise; below it, the next one is soon enough.
pub const LATEST_FROM_PERIOD: Duration = Duration::from_secs(3600);

/// The longest text that an error repeats, in bytes.
const MAX_SHOWN: usize = 40;

/// What becomes of slots that were missed: machine off or asleep, nobody
/// serving, clock set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissedRule {
    /// They are written down as missed.
    Skip,
    /// The newest runs late, the others are written down as missed.
    Latest,
    /// All run late, within the bounds of [`due`](crate::due::due).
    All,
}

impl MissedRule {
    /// `latest` for what is due once, or every hour or more rarely; `skip` for
    /// what comes more often.
    #[must_use]
    pub fn default_for(schedule: &Schedule, now: Timestamp) -> Self {
        let rare = schedule.typical_period(now).is_none_or(|period| period >= LATEST_FROM_PERIOD);
        if rare || matches!(schedule.calendar(), Calendar::Once(_)) { Self::Latest } else { Self::Skip }
    }
}

/// What becomes of a slot whose task is still running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OverlapRule {
    /// It does not run.
    #[default]
    Skip,
    /// It runs when the one before has ended.
    Queue,
    /// The one before is cancelled.
    CancelPrevious,
    /// Both run.
    Allow,
}

/// Rules that do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A word that is none of the rule's.
    #[error(
        "`{word}` is no rule for {what}: expected {expected}{}",
        near.map_or_else(String::new, |near| format!(" (is `{near}` meant?)"))
    )]
    Word {
        /// What the rule is for: `missed slots`.
        what: &'static str,
        /// The word given.
        word: String,
        /// The words there are.
        expected: String,
        /// A known word that is near.
        near: Option<&'static str>,
    },
    /// Without a schedule there are no slots to miss.
    #[error("the rule `{0}` for missed slots has nothing to apply to: expected a schedule beside it")]
    NoSchedule(MissedRule),
    /// What is caught up would be dropped or cancelled at once.
    #[error(
        "the rule `all` for missed slots contradicts the rule `{0}` for overlapping runs, which leaves one of them: \
         expected `queue` or `allow` there, or `latest` here"
    )]
    AllOfOne(OverlapRule),
}

/// Refuses rules that contradict one another: missed slots of a task without a
/// schedule, and catching up all of them where only one of several runs is let
/// live.
///
/// # Errors
///
/// [`RuleError::NoSchedule`] and [`RuleError::AllOfOne`].
pub fn check_rules(schedule: Option<&Schedule>, missed: Option<MissedRule>, overlap: OverlapRule) -> Result<(), RuleError> {
    match (schedule, missed, overlap) {
        (None, Some(missed), _) => Err(RuleError::NoSchedule(missed)),
        (Some(_), Some(MissedRule::All), OverlapRule::Skip | OverlapRule::CancelPrevious) => Err(RuleError::AllOfOne(overlap)),
        _ => Ok(()),
    }
}

macro_rules! words {
    ($name:ident, $what:literal, $($word:literal => $variant:ident),+) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }

        impl FromStr for $name {
            type Err = RuleError;

            fn from_str(text: &str) -> Result<Self, RuleError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(unknown($what, other, &[$($word),+])),
                }
            }
        }

        wardroom_core::as_text!($name);
    };
}
words!(MissedRule, "missed slots", "skip" => Skip, "latest" => Latest, "all" => All);
words!(OverlapRule, "overlapping runs", "skip" => Skip, "queue" => Queue, "cancel-previous" => CancelPrevious, "allow" => Allow);

fn unknown(what: &'static str, word: &str, known: &[&'static str]) -> RuleError {
    let word = truncated(word, MAX_SHOWN);
    let near = nearest(word, known.iter().copied()).and_then(|near| known.iter().copied().find(|word| *word == near));
    RuleError::Word { what, word: word.to_owned(), expected: known.join(", "), near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Zone;

    fn cron(text: &str) -> Schedule {
        Schedule::cron(text, Zone::utc()).unwrap()
    }

    #[test]
    fn rules_are_words() {
        for rule in [MissedRule::Skip, MissedRule::Latest, MissedRule::All] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        for rule in [OverlapRule::Skip, OverlapRule::Queue, OverlapRule::CancelPrevious, OverlapRule::Allow] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
            assert_eq!(serde_json::from_str::<OverlapRule>(&serde_json::to_string(&rule).unwrap()).unwrap(), rule);
        }
        assert_eq!(serde_json::to_string(&OverlapRule::CancelPrevious).unwrap(), "\"cancel-previous\"");
        assert_eq!(OverlapRule::default(), OverlapRule::Skip);
        let error = "lastest".parse::<MissedRule>().unwrap_err();
        assert_eq!(error.to_string(), "`lastest` is no rule for missed slots: expected skip, latest, all (is `latest` meant?)");
        assert!("Skip".parse::<OverlapRule>().is_err() && "".parse::<MissedRule>().is_err());
    }

    #[test]
    fn what_comes_rarely_is_caught_up_unless_somebody_says_otherwise() {
        let now = Timestamp::from_ms(1_700_000_000_000);
        let every = |seconds| Schedule::every(Duration::from_secs(seconds), now, Zone::utc()).unwrap();
        for (schedule, rule) in [
            (cron("0 9 * * *"), MissedRule::Latest),
            (cron("@hourly"), MissedRule::Latest),
            (cron("*/30 * * * *"), MissedRule::Skip),
            (every(3600), MissedRule::Latest),
            (every(3599), MissedRule::Skip),
            (Schedule::at("2026-12-01 09:00", Zone::utc(), now).unwrap(), MissedRule::Latest),
        ] {
            assert_eq!(MissedRule::default_for(&schedule, now), rule, "{schedule:?}");
        }
    }

    #[test]
    fn rules_that_contradict_one_another_are_refused() {
        let schedule = cron("@hourly");
        let check = |missed, overlap| check_rules(Some(&schedule), missed, overlap);
        for overlap in [OverlapRule::Skip, OverlapRule::CancelPrevious] {
            assert_eq!(check(Some(MissedRule::All), overlap), Err(RuleError::AllOfOne(overlap)));
            assert_eq!(check(Some(MissedRule::Latest), overlap), Ok(()));
            assert_eq!(check(None, overlap), Ok(()));
        }
        for overlap in [OverlapRule::Queue, OverlapRule::Allow] {
            assert_eq!(check(Some(MissedRule::All), overlap), Ok(()));
        }
        assert_eq!(check_rules(None, Some(MissedRule::Skip), OverlapRule::Skip), Err(RuleError::NoSchedule(MissedRule::Skip)));
        assert_eq!(check_rules(None, None, OverlapRule::Queue), Ok(()));
    }
}
