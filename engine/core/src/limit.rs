//! Limits: every ceiling of a run, with its default, its maximum and the
//! threat it answers; and the texts in which people write sizes and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Milliseconds that a run may take unless somebody says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);
/// The longest deadline anybody may ask for: 30 minutes.
pub const MAX_DEADLINE: Duration = Duration::from_secs(1800);
/// Bytes that all memories and tables of a run may hold together.
pub const DEFAULT_MEMORY: u64 = 64 * MIB;
/// The most memory anybody may ask for: what a 32-bit memory can hold.
pub const MAX_MEMORY: u64 = 4096 * MIB;
/// Bytes of log text kept of one run; then one marker. A guest in a loop would
/// otherwise fill the disk.
pub const DEFAULT_LOG_BYTES: u64 = MIB;
/// Bytes of result kept of one run.
pub const DEFAULT_OUTPUT_BYTES: u64 = MIB;
/// Bytes of result that `--output FILE` lets through.
pub const MAX_OUTPUT_BYTES: u64 = 1024 * MIB;
/// HTTP requests of one run. A loop would otherwise be a flood in the
/// operator's name.
pub const DEFAULT_HTTP_REQUESTS: u64 = 1000;
/// Bytes of one HTTP body, in either direction.
pub const DEFAULT_HTTP_BODY: u64 = 64 * MIB;
/// Bytes that the arguments of one host call may claim in the host's own
/// memory: a guest can *claim* a string of 4 GiB for nothing.
pub const HOSTCALL_BYTES: u64 = 8 * MIB;
/// Handles (streams, descriptors, requests, pollables) open at once. What the
/// host keeps behind a handle is no memory of the guest's, and so in no budget
/// but this: `host/imports/requests.rs` has the sum.
pub const MAX_HANDLES: usize = 512;
/// Core instances, memories and tables of one run, each.
pub const MAX_INSTANCES: usize = 100;
/// Bytes of a program's file. A reader would otherwise hold whatever it is
/// pointed at.
pub const MAX_PROGRAM_BYTES: u64 = 64 * MIB;
/// Bytes of a script's source text.
pub const MAX_SCRIPT_BYTES: u64 = 4 * MIB;
/// Bytes of a plugin's manifest: it is read before anybody looked at it.
pub const MAX_MANIFEST_BYTES: usize = 64 << 10;
/// Plugins that one data folder holds: each is a row that lists walk through.
pub const MAX_PLUGINS: u64 = 1000;
/// Functions of one plugin: each may become a tool that an assistant is shown.
pub const MAX_PLUGIN_FUNCTIONS: usize = 256;
/// Bytes of everything that is kept of a plugin beside its own: names, texts and
/// schemas. A few hundred bytes of component can describe megabytes of them.
pub const MAX_PLUGIN_METADATA: usize = 1 << 20;
/// What a tool may take unless its plugin expects less of itself: an assistant
/// waits for it.
pub const TOOL_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of the params of one run, as JSON text.
pub const MAX_PARAMS_BYTES: u64 = MIB;
/// Bytes of standard input handed to a command.
pub const MAX_STDIN_BYTES: u64 = 64 * MIB;
/// Seconds of processor time that compiling one component may take.
pub const MAX_COMPILE_CPU_SECONDS: u64 = 60;
/// Bytes of address space that the compiling child may take.
pub const MAX_COMPILE_MEMORY: u64 = 2048 * MIB;
/// Refusals kept of one run; a guest may try a million.
pub const MAX_REFUSALS: usize = 100;
/// Bytes kept of each text of a refusal, and of a host's name: a guest may ask
/// for a path of megabytes.
pub const MAX_REFUSAL_TEXT: usize = 1024;
/// Hosts kept of one run.
pub const MAX_HOSTS: usize = 100;
/// Bytes of state anybody may grant to one subject.
pub const MAX_STATE_BYTES: u64 = 16 * MIB;
/// Bytes of a key of the state.
pub const MAX_STATE_KEY: usize = 256;
/// Bytes of random data that one host call may ask for.
pub const MAX_RANDOM_BYTES: u64 = MIB;

/// Rows that one query answers with; then the answer says that it was cut. A
/// table is as long as the disk allows, an answer lies in memory.
pub const MAX_SQLITE_ROWS: usize = 10_000;
/// Bytes of the rows of one query, for the same reason.
pub const MAX_SQLITE_ANSWER: usize = 4 << 20;
/// Bytes of one value on its way through SQLite. `randomblob(2000000000)` is a
/// few letters of SQL and two gigabytes of ours.
pub const MAX_SQLITE_VALUE: usize = 16 << 20;
/// Bytes of one statement's text, which becomes a program many times its size.
pub const MAX_SQLITE_STATEMENT: usize = 256 << 10;
/// Statements of one transaction; whoever holds a database longer keeps its
/// other users waiting.
pub const MAX_SQLITE_STATEMENTS: usize = 10_000;
/// Bytes of address space for the process that works on a run's databases:
/// sorting, grouping and recursion take what they are given.
pub const MAX_SQLITE_MEMORY: u64 = 512 * MIB;
/// How long a statement waits for whoever has locked the database; then the
/// program is told, and may do something better than wait.
pub const SQLITE_BUSY_WAIT: Duration = Duration::from_secs(5);

/// The ceilings of one run.
///
/// They stand in files that a later version may find: one that is renamed needs its
/// old name as an alias, a new one a default that says what held without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From start to end, host calls included.
    #[serde(rename = "deadline_ms", with = "as_ms")]
    pub deadline: Duration,
    /// Bytes of all memories and tables together.
    pub memory: u64,
    /// Units of work (about one per WebAssembly instruction); none: not
    /// counted.
    pub fuel: Option<u64>,
    /// Bytes of log text kept.
    pub log_bytes: u64,
    /// Bytes of result kept.
    pub output_bytes: u64,
    /// HTTP requests.
    pub http_requests: u64,
    /// Bytes of one HTTP body, in either direction.
    pub http_body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: DEFAULT_DEADLINE,
            memory: DEFAULT_MEMORY,
            fuel: None,
            log_bytes: DEFAULT_LOG_BYTES,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            http_requests: DEFAULT_HTTP_REQUESTS,
            http_body: DEFAULT_HTTP_BODY,
        }
    }
}

/// Limits that somebody named; the others stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedLimits {
    /// As [`Limits::deadline`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// As [`Limits::memory`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<SizeText>,
    /// As [`Limits::fuel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
}

impl NamedLimits {
    /// What the operator said holds, up to the maxima.
    ///
    /// # Errors
    ///
    /// [`LimitError`] names the limit and its range.
    pub fn over(&self, base: &Limits) -> Result<Limits, LimitError> {
        let mut limits = base.clone();
        if let Some(DurationText(deadline)) = self.timeout {
            if deadline.is_zero() || deadline > MAX_DEADLINE {
                return Err(LimitError::Deadline(DurationText(deadline)));
            }
            limits.deadline = deadline;
        }
        if let Some(SizeText(memory)) = self.memory {
            if !(64 * KIB..=MAX_MEMORY).contains(&memory) {
                return Err(LimitError::Memory(SizeText(memory)));
            }
            limits.memory = memory;
        }
        if let Some(fuel) = self.fuel {
            if fuel == 0 {
                return Err(LimitError::Fuel);
            }
            limits.fuel = Some(fuel);
        }
        Ok(limits)
    }

    /// What a program expects of itself may lower a limit, never raise one:
    /// raising is the operator's.
    #[must_use]
    pub fn lowering(&self, base: &Limits) -> Limits {
        let mut limits = base.clone();
        if let Some(DurationText(deadline)) = self.timeout {
            limits.deadline = deadline.clamp(Duration::from_millis(1), base.deadline);
        }
        if let Some(SizeText(memory)) = self.memory {
            limits.memory = memory.min(base.memory);
        }
        limits.fuel = self.fuel.map_or(base.fuel, |fuel| Some(fuel.min(base.fuel.unwrap_or(u64::MAX))));
        limits
    }
}

/// A limit out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// A deadline of zero, or beyond [`MAX_DEADLINE`].
    #[error("a timeout of {0} is out of range: expected 1ms to {max}", max = DurationText(MAX_DEADLINE))]
    Deadline(DurationText),
    /// Less than one page, or beyond [`MAX_MEMORY`].
    #[error("a memory limit of {0} is out of range: expected 64KiB to {max}", max = SizeText(MAX_MEMORY))]
    Memory(SizeText),
    /// A fuel budget of nothing.
    #[error("a fuel budget of 0 runs nothing: expected 1 or more")]
    Fuel,
    /// A text that is no duration.
    #[error("`{0}` is no duration: expected a whole number with ms, s, m, h or d, like 30s")]
    DurationText(String),
    /// A text that is no size.
    #[error("`{0}` is no size: expected a whole number of bytes, or one with KiB, MiB or GiB, like 64MiB")]
    SizeText(String),
}

/// A duration as people write it: `500ms`, `30s`, `5m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationText(pub Duration);

const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for DurationText {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        scaled(text, &DURATION_UNITS).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(|| LimitError::DurationText(text.to_owned()))
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_scaled(f, ms, &DURATION_UNITS, "ms")
    }
}

/// A number of bytes as people write it: `1048576`, `64KiB`, `8MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeText(pub u64);

const SIZE_UNITS: [(&str, u64); 5] = [("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", KIB), ("B", 1), ("", 1)];

impl FromStr for SizeText {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        scaled(text, &SIZE_UNITS).map(Self).ok_or_else(|| LimitError::SizeText(text.to_owned()))
    }
}

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, &SIZE_UNITS, "B")
    }
}

/// Digits, then a unit, nothing else.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The largest unit that leaves a whole number.
fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    match units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => write!(f, "{}{unit}", value / factor),
        None => write!(f, "{value}{zero}"),
    }
}

crate::as_text!(DurationText, SizeText);

mod as_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_shown_in_the_largest_whole_unit() {
        for (text, ms, shown) in [("30s", 30_000, "30s"), ("90000ms", 90_000, "90s"), ("2 h", 7_200_000, "2h"), ("0s", 0, "0ms")] {
            let DurationText(duration) = text.parse().unwrap();
            assert_eq!(duration.as_millis(), ms);
            assert_eq!(DurationText(duration).to_string(), shown);
        }
        for (text, bytes, shown) in [("64MiB", 64 * MIB, "64MiB"), ("1024", 1024, "1KiB"), ("1500", 1500, "1500B")] {
            let SizeText(size) = text.parse().unwrap();
            assert_eq!((size, SizeText(size).to_string()), (bytes, shown.to_owned()));
        }
    }

    #[test]
    fn nonsense_is_no_duration_and_no_size() {
        for text in ["", "s", "-1s", "1.5s", "30", "1w", "99999999999999999999d", "18446744073709551615d"] {
            assert!(matches!(text.parse::<DurationText>(), Err(LimitError::DurationText(_))), "{text}");
        }
        for text in ["", "MiB", "1 TiB", "-1", "1.5GiB", "64mib", "18446744073709551615GiB"] {
            assert!(matches!(text.parse::<SizeText>(), Err(LimitError::SizeText(_))), "{text}");
        }
    }

    #[test]
    fn a_program_lowers_its_limits_and_only_the_operator_raises_them() {
        let wish = NamedLimits { memory: Some(SizeText(MAX_MEMORY)), timeout: Some(DurationText(Duration::from_secs(1))), fuel: None };
        let own = wish.lowering(&Limits::default());
        assert_eq!((own.memory, own.deadline), (DEFAULT_MEMORY, Duration::from_secs(1)));
        let operators = wish.over(&Limits::default()).unwrap();
        assert_eq!(operators.memory, MAX_MEMORY);
    }

    #[test]
    fn limits_out_of_range_are_refused() {
        let with = |timeout: u64, memory: u64, fuel: Option<u64>| {
            NamedLimits { timeout: Some(DurationText(Duration::from_millis(timeout))), memory: Some(SizeText(memory)), fuel }
                .over(&Limits::default())
        };
        assert!(with(1, 64 * KIB, Some(1)).is_ok());
        assert!(matches!(with(0, MIB, None), Err(LimitError::Deadline(_))));
        assert!(matches!(with(1_800_001, MIB, None), Err(LimitError::Deadline(_))));
        assert!(matches!(with(1, KIB, None), Err(LimitError::Memory(_))));
        assert!(matches!(with(1, MAX_MEMORY + 1, None), Err(LimitError::Memory(_))));
        assert!(matches!(with(1, MIB, Some(0)), Err(LimitError::Fuel)));
    }
}
