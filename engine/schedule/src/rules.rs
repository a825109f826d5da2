//! What becomes of slots that were missed, and of runs that would overlap.
//!
//! Owns the two rules' words and which of them contradict one another. Never
//! applies them: `due` does the one, the execution's queue the other.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
#[non_exhaustive]
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
#[non_exhaustive]
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

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
words!(MissedRule, "missed slots", "skip" => Skip, "latest" => Latest, "all" => All);
words!(OverlapRule, "overlapping runs", "skip" => Skip, "queue" => Queue, "cancel-previous" => CancelPrevious, "allow" => Allow);

fn unknown(what: &'static str, word: &str, known: &[&'static str]) -> RuleError {
    let word = truncated(word, MAX_SHOWN);
    let near = nearest(word, known.iter().copied()).and_then(|near| known.iter().copied().find(|word| *word == near));
    RuleError::Word { what, word: word.to_owned(), expected: known.join(", "), near }
}
