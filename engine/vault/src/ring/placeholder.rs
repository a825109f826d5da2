//! The placeholders of one execution: drawn, and found again in bytes.
//!
//! A placeholder is no secret, the guest holds it; what matters is that none of
//! this ring is mistaken, and that what merely looks like one stops a request.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use wardroom_core::credential::{PLACEHOLDER_HOST_SUFFIX, PLACEHOLDER_PREFIX, PLACEHOLDER_RANDOM_HEX, holds_placeholder};

/// Random bytes of a placeholder.
const RANDOM_BYTES: usize = PLACEHOLDER_RANDOM_HEX / 2;

/// Draws the random part of a placeholder, in lower-case hex.
///
/// # Errors
///
/// Where the system has no random numbers to give.
pub(super) fn draw() -> Result<String, getrandom::Error> {
    let mut random = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    Ok(HEXLOWER.encode(&random))
}

/// What stands in a text.
pub(super) fn text_of(hex: &str) -> String {
    format!("{PLACEHOLDER_PREFIX}{hex}")
}

/// What stands where a request goes.
pub(super) fn address_of(hex: &str) -> String {
    format!("https://{hex}{PLACEHOLDER_HOST_SUFFIX}/")
}

/// A placeholder of this ring, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Which credential of the ring.
    pub(super) entry: usize,
}

/// Something looks like a placeholder and is none of this ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign;

/// Every placeholder of a ring, by its random part.
///
/// Two maps, so that the digits of one form are nothing in the other.
#[derive(Default)]
pub(super) struct Marks {
    texts: HashMap<Vec<u8>, usize>,
    addresses: HashMap<Vec<u8>, usize>,
}

impl Marks {
    pub(super) fn add(&mut self, hex: &str, is_address: bool, entry: usize) {
        let map = if is_address { &mut self.addresses } else { &mut self.texts };
        map.insert(hex.as_bytes().to_vec(), entry);
    }

    /// The credential whose whole address this host is.
    pub(super) fn address(&self, host: &str) -> Option<usize> {
        let hex = host.strip_suffix(PLACEHOLDER_HOST_SUFFIX)?;
        self.addresses.get(hex.as_bytes()).copied()
    }

    /// Every placeholder of the ring in these bytes, from left to right and
    /// apart from each other.
    ///
    /// # Errors
    ///
    /// [`Foreign`] where anything beside them looks like a placeholder.
    pub(super) fn find(&self, bytes: &[u8]) -> Result<Vec<Found>, Foreign> {
        let mut found = self.texts_in(bytes);
        found.extend(self.hosts_in(bytes));
        found.sort_by_key(|found| found.start);
        let mut end = 0;
        for one in &found {
            // Neither form can begin within the other; were it so, the bytes
            // would be nothing that this ring wrote.
            let between = bytes.get(end..one.start).ok_or(Foreign)?;
            if holds_placeholder(between) {
                return Err(Foreign);
            }
            end = one.end;
        }
        if holds_placeholder(bytes.get(end..).unwrap_or_default()) { Err(Foreign) } else { Ok(found) }
    }

    fn texts_in(&self, bytes: &[u8]) -> Vec<Found> {
        let prefix = PLACEHOLDER_PREFIX.as_bytes();
        let starts = bytes.windows(prefix.len()).enumerate().filter(|(_, window)| *window == prefix);
        let found = starts.filter_map(|(start, _)| {
            let random = start + prefix.len();
            let end = random + PLACEHOLDER_RANDOM_HEX;
            let entry = *self.texts.get(bytes.get(random..end)?)?;
            Some(Found { start, end, entry })
        });
        if self.texts.is_empty() { Vec::new() } else { found.collect() }
    }

    fn hosts_in(&self, bytes: &[u8]) -> Vec<Found> {
        let suffix = PLACEHOLDER_HOST_SUFFIX.as_bytes();
        let ends = bytes.windows(suffix.len()).enumerate().filter(|(_, window)| window.eq_ignore_ascii_case(suffix));
        let found = ends.filter_map(|(at, _)| {
            let start = at.checked_sub(PLACEHOLDER_RANDOM_HEX)?;
            let entry = *self.addresses.get(&bytes.get(start..at)?.to_ascii_lowercase())?;
            Some(Found { start, end: at + suffix.len(), entry })
        });
        if self.addresses.is_empty() { Vec::new() } else { found.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00112233445566778899aabbccddeeff";
    const TWO: &str = "ffeeddccbbaa99887766554433221100";

    fn marks() -> Marks {
        let mut marks = Marks::default();
        marks.add(ONE, false, 0);
        marks.add(TWO, true, 1);
        marks
    }

    fn entries(text: &str) -> Result<Vec<(usize, usize)>, Foreign> {
        Ok(marks().find(text.as_bytes())?.into_iter().map(|found| (found.start, found.entry)).collect())
    }

    #[test]
    fn a_draw_is_of_lower_case_hex_and_never_the_same() {
        let (one, two) = (draw().unwrap(), draw().unwrap());
        assert!(one != two && one.len() == 32 && one.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    }

    #[test]
    fn known_ones_are_found_exactly_and_apart() {
        let text = text_of(ONE);
        assert_eq!(entries(&format!("Bearer {text}")), Ok(vec![(7, 0)]));
        assert_eq!(entries(&format!("{text}{text}")), Ok(vec![(0, 0), (41, 0)]));
        assert_eq!(entries(&format!("wardroom_{text}ab")), Ok(vec![(9, 0)]));
        assert_eq!(entries(&format!("to {}", address_of(TWO))), Ok(vec![(11, 1)]));
        assert_eq!(entries(&format!("{}.WARDROOM.Invalid", TWO.to_uppercase())), Ok(vec![(0, 1)]));
    }

    #[test]
    fn what_only_looks_like_one_is_foreign() {
        let text = text_of(ONE);
        for foreign in [
            text.to_uppercase(),
            text_of(TWO),
            address_of(ONE),
            format!("{text}.wardroom.invalid"),
            format!("{text} {}", text_of(TWO)),
            format!("{} {}", address_of(TWO), text_of(TWO)),
            "x.wardroom.invalid".to_owned(),
        ] {
            assert_eq!(entries(&foreign), Err(Foreign), "{foreign}");
        }
        assert_eq!(entries("wardroom_ and wardroom.invalid"), Ok(Vec::new()));
    }
}
