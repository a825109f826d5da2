//! Regular expressions: found, replaced, split at. Linear in the text, whatever
//! the pattern; patterns that would compile to much are refused.

use regex::{Captures, NoExpand, Regex, RegexBuilder, Replacer};

use crate::bindings::{Group, Occurrence, Replaced};
use crate::{MAX_OUTPUT, limited, too_long};

/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 4 << 20;
/// Places that are found and pieces that are split.
const MAX_PLACES: u32 = 10_000;
/// Places that are found unless somebody says otherwise.
const USUAL_PLACES: u32 = 1_000;

fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build();
    built.map_err(|error| format!("the pattern does not hold: {error}"))
}

pub(crate) fn find(text: &str, pattern: &str, limit: Option<u32>) -> Result<Vec<Occurrence>, String> {
    let limit = limited("limit", limit, USUAL_PLACES, MAX_PLACES)?;
    let pattern = compiled(pattern)?;
    let mut place = Place { text, bytes: 0, characters: 0 };
    let mut found = Vec::new();
    let mut size = 0;
    for captures in pattern.captures_iter(text).take(limit) {
        let Some(whole) = captures.get(0) else { continue };
        // Groups repeat what they lie in.
        size += captures.iter().flatten().map(|part| part.len()).sum::<usize>();
        if size > MAX_OUTPUT {
            return Err(too_long());
        }
        let (start, end) = (place.of(whole.start()), place.of(whole.end()));
        found.push(Occurrence { text: whole.as_str().to_owned(), start, end, groups: groups(&pattern, &captures) });
    }
    Ok(found)
}

fn groups(pattern: &Regex, captures: &Captures<'_>) -> Vec<Group> {
    let named = pattern.capture_names().zip(captures.iter()).skip(1);
    named.map(|(name, part)| Group { name: name.map(str::to_owned), text: part.map(|part| part.as_str().to_owned()) }).collect()
}

/// Counts characters up to a byte, going forward only.
struct Place<'a> {
    text: &'a str,
    bytes: usize,
    characters: u32,
}

impl Place<'_> {
    fn of(&mut self, byte: usize) -> u32 {
        let between = self.text.get(self.bytes..byte).unwrap_or_default();
        self.characters = self.characters.saturating_add(u32::try_from(between.chars().count()).unwrap_or(u32::MAX));
        self.bytes = byte;
        self.characters
    }
}

pub(crate) fn replace(text: &str, pattern: &str, replacement: &str, literal: bool, limit: Option<u32>) -> Result<Replaced, String> {
    let limit = limit.map(|limit| limited("limit", Some(limit), limit, u32::MAX)).transpose()?.unwrap_or(usize::MAX);
    let pattern = compiled(pattern)?;
    if literal { replace_by(text, &pattern, NoExpand(replacement), limit) } else { replace_by(text, &pattern, replacement, limit) }
}

fn replace_by(text: &str, pattern: &Regex, mut replacement: impl Replacer, limit: usize) -> Result<Replaced, String> {
    let (mut made, mut from, mut count) = (String::new(), 0, 0_u32);
    for captures in pattern.captures_iter(text).take(limit) {
        let Some(whole) = captures.get(0) else { continue };
        made.push_str(text.get(from..whole.start()).unwrap_or_default());
        replacement.replace_append(&captures, &mut made);
        from = whole.end();
        count += 1;
        // Looked at each time: a pattern that matches everywhere multiplies.
        if made.len() > MAX_OUTPUT {
            return Err(too_long());
        }
    }
    made.push_str(text.get(from..).unwrap_or_default());
    if made.len() > MAX_OUTPUT { Err(too_long()) } else { Ok(Replaced { text: made, count }) }
}

pub(crate) fn split(text: &str, pattern: &str, limit: Option<u32>) -> Result<Vec<String>, String> {
    let limit = limited("limit", limit, MAX_PLACES, MAX_PLACES)?;
    Ok(compiled(pattern)?.splitn(text, limit).map(str::to_owned).collect())
}
