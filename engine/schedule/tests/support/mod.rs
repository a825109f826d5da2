//! What the tests against the independent reckoner share: dice, expressions,
//! zones, and the reckoner itself.

use std::io::Write;
use std::process::{Command, Stdio};

use wardroom_core::clock::Timestamp;
use wardroom_schedule::calendar::Schedule;
use wardroom_schedule::zone::Zone;

/// Zones whose rules for 2025 every zone database of these years agrees on.
pub(crate) const ZONES: [&str; 34] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "Europe/Athens",
    "Europe/Chisinau",
    "Europe/Dublin",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Havana",
    "America/St_Johns",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Nuuk",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Lagos",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Jerusalem",
    "Asia/Tokyo",
    "Asia/Tehran",
    "Antarctica/Troll",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Eucla",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Kiritimati",
    "Pacific/Norfolk",
];

/// `SplitMix64` (Steele, Lea, Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    /// `WARDROOM_SEED` repeats a run.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("WARDROOM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_101);
        println!("WARDROOM_SEED={seed}");
        Self(seed)
    }

    /// 0 to one less than the bound.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) % bound.unsigned_abs()).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(i64::try_from(from.len()).unwrap());
        &from[usize::try_from(index).unwrap()]
    }

    /// A list of one to three values and ranges, with and without steps.
    fn list(&mut self, low: i64, high: i64, names: &[&str]) -> String {
        let parts: Vec<String> = (0..=self.below(3)).map(|_| self.part(low, high, names)).collect();
        parts.join(",")
    }

    fn part(&mut self, low: i64, high: i64, names: &[&str]) -> String {
        let (a, b) = (low + self.below(high - low + 1), low + self.below(high - low + 1));
        let (from, to) = (a.min(b), a.max(b));
        let name =
            |value: i64| names.get(usize::try_from(value - low).unwrap()).map_or_else(|| value.to_string(), |name| (*name).to_owned());
        let step = 1 + self.below((high - low).min(12));
        match self.below(6) {
            0 => format!("{from}-{to}"),
            1 => format!("{from}-{to}/{step}"),
            2 => format!("*/{step}"),
            3 => name(from),
            _ => from.to_string(),
        }
    }

    fn day_of_month(&mut self) -> String {
        match self.below(12) {
            0 => "L".to_owned(),
            1 => "LW".to_owned(),
            2 => format!("{}W", 1 + self.below(31)),
            3 => format!("{},L", 1 + self.below(28)),
            4..8 => self.list(1, 31, &[]),
            _ => "*".to_owned(),
        }
    }

    fn day_of_week(&mut self) -> String {
        const DAYS: [&str; 7] = ["sun", "Mon", "TUE", "wed", "thu", "fri", "sat"];
        match self.below(12) {
            0 => format!("{}L", self.below(8)),
            1 => format!("{}#{}", self.pick(&DAYS), 1 + self.below(5)),
            2 => "fri-sun".to_owned(),
            3 => "1-5".to_owned(),
            4..7 => self.list(0, 7, &DAYS),
            _ => "*".to_owned(),
        }
    }

    /// An expression with at most so many slots on a day. Many of them lie in
    /// the small hours, where clocks are changed.
    pub(crate) fn expression(&mut self, most: u64) -> String {
        const MONTHS: [&str; 12] = ["jan", "FEB", "mar", "Apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        loop {
            let second = if self.below(5) == 0 { format!("{} ", self.list(0, 59, &[])) } else { String::new() };
            let minute = if self.below(3) == 0 { self.list(0, 59, &[]) } else { self.below(60).to_string() };
            let hour = match self.below(4) {
                0 => "*".to_owned(),
                1 => self.list(0, 23, &[]),
                2 => self.below(24).to_string(),
                _ => self.below(4).to_string(),
            };
            let month = if self.below(4) == 0 { self.list(1, 12, &MONTHS) } else { "*".to_owned() };
            let text = format!("{second}{minute} {hour} {} {month} {}", self.day_of_month(), self.day_of_week());
            // How many slots a day has says a day of every month.
            let daily = text.split_whitespace().collect::<Vec<_>>();
            let daily = format!("{} * * *", daily[..daily.len() - 3].join(" "));
            let noon = |day: i64| Timestamp::from_ms((day * 24 + 12) * 3_600_000);
            let count = Schedule::cron(&daily, Zone::utc()).unwrap().count(noon(0), noon(1));
            if count <= most && Schedule::cron(&text, Zone::utc()).is_ok() {
                return text;
            }
        }
    }
}

/// What to ask the reckoner; the range in seconds, `from` not included.
pub(crate) struct Question {
    pub(crate) cron: String,
    pub(crate) zone: &'static str,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// The answers of `oracle.py`, in seconds; none where it cannot run, which is
/// said, and fails where `WARDROOM_REQUIRE_PARTS=1` says that all parts are
/// there.
pub(crate) fn ask(questions: &[Question]) -> Option<Vec<Vec<i64>>> {
    if !has_python() {
        println!("skipped: needs python3 with zoneinfo and its zone data (apt-get install python3 tzdata)");
        let required = std::env::var_os("WARDROOM_REQUIRE_PARTS").is_some_and(|value| value == "1");
        assert!(!required, "needs python3 with zoneinfo and its zone data, and WARDROOM_REQUIRE_PARTS=1 says that all parts are there");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle.py");
    let mut child = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = questions
        .iter()
        .map(|asked| {
            serde_json::json!({"cron": asked.cron, "zone": asked.zone, "from": asked.from, "until": asked.until}).to_string() + "\n"
        })
        .collect();
    // Its answers begin before it has read all questions.
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "oracle.py failed");
    let answers: Vec<Vec<i64>> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    Some(answers)
}

fn has_python() -> bool {
    let check = "import zoneinfo; zoneinfo.ZoneInfo('Australia/Lord_Howe')";
    Command::new("python3").args(["-c", check]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
