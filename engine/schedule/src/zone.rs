//! Time zones by their IANA names.
//!
//! Owns what counts as the name of a zone. Never keeps an offset: what a zone's
//! clock shows is asked of its rules, each time.

use std::fmt;
use std::str::FromStr;

use jiff::tz::{self, TimeZone};
use wardroom_core::clock::Timestamp;
use wardroom_core::text::{nearest, truncated};

/// The longest text that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// A time zone, such as `Europe/Berlin`.
///
/// Its rules are those of the zone database at the moment it was parsed.
#[derive(Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// Coordinated Universal Time, whose clock is never changed.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// The zone that this machine is set to; UTC where that cannot be told.
    ///
    /// It is taken by its name, so that a task keeps its zone when the machine
    /// travels: `system` itself is no zone.
    #[must_use]
    pub fn system() -> Self {
        TimeZone::system().iana_name().and_then(|name| name.parse().ok()).unwrap_or_else(Self::utc)
    }

    /// Its name, as the zone database writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An instant as the zone's clock shows it: `2026-12-01 09:00:00 +01:00`.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_millisecond(at.ms()) {
            Ok(instant) => instant.to_zoned(self.rules.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            // Beyond the year 9999: only a broken clock gets here.
            Err(_) => at.to_string(),
        }
    }

    pub(crate) fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A text that is no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// The zone database has none of that name.
    #[error(
        "there is no time zone `{name}`: expected an IANA name such as Europe/Berlin or UTC{}",
        near.as_ref().map_or_else(String::new, |near| format!(" (is `{near}` meant?)"))
    )]
    Unknown {
        /// The name given.
        name: String,
        /// A known name that is near.
        near: Option<String>,
    },
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Upper and lower case are alike.
    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let text = text.trim();
        let known = if is_a_name(text) { tz::db().get(text).ok() } else { None };
        match known.as_ref().and_then(TimeZone::iana_name) {
            Some(name) => Ok(Self { name: name.to_owned(), rules: TimeZone::clone(known.as_ref().unwrap_or(&TimeZone::UTC)) }),
            None => Err(ZoneError::Unknown { name: truncated(text, MAX_SHOWN).to_owned(), near: near(text) }),
        }
    }
}

/// No path in a file system, and none of the entries that depend on the
/// machine (`localtime`), count leap seconds (`right/…`) or stand for nothing.
fn is_a_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let entry = ["localtime", "posixrules", "factory", "etc/unknown"].contains(&lower.as_str());
    let tree = lower.starts_with("right/") || lower.starts_with("posix/");
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    plain && !entry && !tree && text.len() <= MAX_SHOWN
}

/// The zone of a city named alone, or one that is spelled nearly so.
fn near(text: &str) -> Option<String> {
    if text.len() > MAX_SHOWN {
        return None;
    }
    let wanted = text.trim().replace(' ', "_");
    let known: Vec<String> = tz::db().available().map(|name| name.as_str().to_owned()).filter(|name| is_a_name(name)).collect();
    let city = known.iter().find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&wanted)));
    city.map(String::as_str).or_else(|| nearest(&wanted, known.iter().map(String::as_str))).map(str::to_owned)
}

wardroom_core::as_text!(Zone);

#[cfg(test)]
mod tests {
    use super::*;

    fn near_of(text: &str) -> Option<String> {
        let Err(ZoneError::Unknown { near, .. }) = text.parse::<Zone>() else { panic!("{text} is a zone") };
        near
    }

    #[test]
    fn zones_are_known_by_their_iana_names() {
        for (text, name) in [("Europe/Berlin", "Europe/Berlin"), ("america/new_york", "America/New_York"), ("utc", "UTC")] {
            assert_eq!(text.parse::<Zone>().map(|zone| zone.to_string()), Ok(name.to_owned()));
        }
        assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::utc());
        assert!(Zone::system().name().parse::<Zone>().is_ok());
    }

    #[test]
    fn what_is_no_zone_is_refused_with_the_near_name() {
        assert_eq!(near_of("Europe/Belrin").as_deref(), Some("Europe/Berlin"));
        assert_eq!(near_of("Kathmandu").as_deref(), Some("Asia/Kathmandu"));
        assert_eq!(near_of("New York").as_deref(), Some("America/New_York"));
        for text in ["system", "", "+02:00", "localtime", "right/Europe/Berlin", "posix/UTC", "../etc/passwd", "Etc/Unknown", "CEST5"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
        assert_eq!(near_of(&"x".repeat(1_000_000)), None);
    }

    #[test]
    fn the_error_says_what_is_expected() {
        assert_eq!(
            "Berlin".parse::<Zone>().unwrap_err().to_string(),
            "there is no time zone `Berlin`: expected an IANA name such as Europe/Berlin or UTC (is `Europe/Berlin` meant?)"
        );
    }

    #[test]
    fn zones_are_stored_as_text() {
        let zone: Zone = "Asia/Kolkata".parse().unwrap();
        let json = serde_json::to_string(&zone).unwrap();
        assert_eq!(json, "\"Asia/Kolkata\"");
        assert_eq!(serde_json::from_str::<Zone>(&json).unwrap(), zone);
        assert!(serde_json::from_str::<Zone>("\"Mars/Phobos\"").is_err());
    }

    #[test]
    fn an_instant_is_shown_as_the_clock_of_the_zone_shows_it() {
        let zone: Zone = "Asia/Kolkata".parse().unwrap();
        assert_eq!(zone.local(Timestamp::from_ms(0)), "1970-01-01 05:30:00 +05:30");
    }
}
