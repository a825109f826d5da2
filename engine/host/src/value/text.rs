//! Names, patterns and words that the schema, both converters and the errors
//! share. Pure text: nothing here looks at a value.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::shape::{Int, Shape};
use super::{Place, SHOWN_CHARS, ValueError};

/// The largest whole number that every JSON reader keeps exact: 2^53 - 1
/// (RFC 8259, section 6).
pub(super) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The first number too large for an `f32`: halfway from its largest to the
/// next power of two, 2^128 - 2^103. Anything nearer rounds to the largest.
pub(super) const F32_OVERFLOW: f64 = 340_282_356_779_733_661_637_539_395_458_142_568_448.0;

/// Standard base64 with padding and no stray bits, so that one list has one text.
pub(super) const BASE64_PATTERN: &str = "^(?:[A-Za-z0-9+/]{4})*\
    (?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// The texts of the floats that JSON numbers lack.
pub(super) const FLOAT_PATTERN: &str = "^(?:NaN|-?Infinity)$";

/// The words for an option of an option.
pub(super) const NESTED_OPTION: &str = "an option of an option (null, or {\"some\": value or null})";

/// How many names an error lists.
const LISTED_NAMES: usize = 8;

/// Names longer than this are never compared for similarity: the work is the
/// product of both lengths.
const COMPARED_CHARS: usize = 64;

/// The JSON spelling of a WIT name: every `-` becomes `_`.
///
/// WIT names have no `_`, so that two of one type never become the same.
pub(super) fn json_name(wit: &str) -> String {
    wit.replace('-', "_")
}

/// Whether a key can stand after a dot in a path.
pub(super) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// A name for an error: cut, and without control characters.
pub(super) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// The error for a name that is none of `names`.
pub(super) fn unknown_name<'a>(
    place: &Place<'_>,
    kind: &'static str,
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> ValueError {
    ValueError::UnknownName {
        path: place.path(),
        kind,
        name: shown(name),
        near: nearest(name, names.clone()),
        // One more than an error lists, so that it can say that there are more.
        known: names.take(LISTED_NAMES + 1).map(shown).collect(),
    }
}

/// The end of [`ValueError::UnknownName`]: the near name, else what there is.
pub(super) fn names_hint(near: Option<&str>, known: &[String]) -> String {
    if let Some(near) = near {
        return format!(", the nearest is `{near}`");
    }
    let mut hint = String::new();
    for (index, name) in known.iter().take(LISTED_NAMES).enumerate() {
        let before = if index == 0 { ", it has " } else { ", " };
        let _infallible = write!(hint, "{before}`{name}`");
    }
    if known.len() > LISTED_NAMES {
        hint.push_str(" and more");
    }
    hint
}

fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let given: Vec<char> = name.chars().take(COMPARED_CHARS + 1).map(folded).collect();
    let allowed = 1 + given.len() / 4;
    names
        .filter(|known| known.len() <= COMPARED_CHARS && known.len().abs_diff(given.len()) <= allowed)
        .map(|known| (edit_distance(&given, known.chars().map(folded)), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.to_owned())
}

/// The usual misspelling is WIT's own spelling, or another case.
fn folded(c: char) -> char {
    if c == '-' { '_' } else { c.to_ascii_lowercase() }
}

/// Levenshtein's distance, one row at a time.
fn edit_distance(given: &[char], known: impl Iterator<Item = char>) -> usize {
    let mut row: Vec<usize> = (0..=given.len()).collect();
    for (index, k) in known.enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        let mut next = vec![left];
        for (g, above) in given.iter().zip(row.iter().skip(1)) {
            let substituted = diagonal + usize::from(*g != k);
            left = substituted.min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// A pattern for exactly the decimal texts of 0 to `u64::MAX`: digits only, no
/// leading zero.
pub(super) fn u64_pattern() -> String {
    format!("^(?:0|{})$", positive_pattern(u64::MAX))
}

/// A pattern for exactly the decimal texts of an `i64`: no `+`, no leading
/// zero, no `-0`.
pub(super) fn s64_pattern() -> String {
    // The negative range has one number more.
    format!("^(?:0|-?(?:{})|{})$", positive_pattern(i64::MAX.unsigned_abs()), i64::MIN)
}

/// Alternatives for 1 to `max`: all shorter numbers, then for each digit the
/// ones that are smaller there, then `max` itself.
fn positive_pattern(max: u64) -> String {
    let digits = max.to_string();
    let count = digits.len();
    let mut pattern = format!("[1-9][0-9]{{0,{}}}", count.saturating_sub(2));
    for (index, digit) in digits.bytes().enumerate() {
        let lowest = if index == 0 { b'1' } else { b'0' };
        if digit <= lowest {
            continue;
        }
        let prefix: String = digits.chars().take(index).collect();
        let below = digit - 1;
        let class =
            if below == lowest { char::from(lowest).to_string() } else { format!("[{}-{}]", char::from(lowest), char::from(below)) };
        let rest = match count - index - 1 {
            0 => String::new(),
            1 => "[0-9]".to_owned(),
            rest => format!("[0-9]{{{rest}}}"),
        };
        let _infallible = write!(pattern, "|{prefix}{class}{rest}");
    }
    pattern.push('|');
    pattern.push_str(&digits);
    pattern
}

/// Reads a decimal text in the one spelling that the patterns accept.
pub(super) fn decimal(text: &str) -> Option<i128> {
    // The longest is i64::MIN or u64::MAX: 20 characters.
    if text.len() > 20 {
        return None;
    }
    let value: i128 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// What was found instead, without repeating text.
pub(super) fn found(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) if text.is_empty() => "an empty string".to_owned(),
        Json::String(_) => "a string".to_owned(),
        Json::Array(items) => format!("an array of {}", items.len()),
        Json::Object(_) => "an object".to_owned(),
    }
}

/// What was found instead of a shape, where its kind of JSON was right.
pub(super) fn found_for(shape: &Shape, json: &Json) -> String {
    match (shape, json) {
        (Shape::Bytes, Json::String(_)) => "a string that is not base64".to_owned(),
        (Shape::Char, Json::String(text)) if !text.is_empty() => "a longer string".to_owned(),
        (Shape::Int(_) | Shape::F32 | Shape::F64, Json::String(_)) => "another string".to_owned(),
        (Shape::Variant(_) | Shape::Result(..), Json::Object(given)) if given.len() != 1 => {
            format!("an object with {} keys", given.len())
        }
        _ => found(json),
    }
}

/// A type in WIT's words with its article, its JSON form and its range.
pub(super) fn expected(shape: &Shape) -> String {
    let text = match shape {
        Shape::Bool => "a bool (true or false)",
        Shape::Int(int) => return integer(*int),
        Shape::F32 => "an f32 (a number up to 3.4028235e38 either way, or \"NaN\", \"Infinity\", \"-Infinity\")",
        Shape::F64 => "an f64 (a number, or \"NaN\", \"Infinity\", \"-Infinity\")",
        Shape::Char => "a char (a string of one character)",
        Shape::String => "a string",
        Shape::Bytes => "a list<u8> (standard base64 with padding, or an array of numbers from 0 to 255)",
        Shape::List(_) => "a list (an array)",
        Shape::FixedList(_, length) => return format!("a list of fixed length (an array of {length})"),
        Shape::Object(_) => "a map (an object)",
        Shape::Pairs(..) => "a map (an array of [key, value] pairs)",
        Shape::Record(_) => "a record (an object)",
        Shape::Tuple(shapes) => return format!("a tuple (an array of {})", shapes.len()),
        Shape::Variant(_) => "a variant (the case's name as a string, or {\"name\": value} where it carries one)",
        Shape::Enum(_) => "an enum (a case's name as a string)",
        Shape::Option(inner) if matches!(**inner, Shape::Option(_)) => NESTED_OPTION,
        Shape::Option(inner) => return format!("{}, or null", expected(inner)),
        Shape::Result(..) => "a result ({\"ok\": value} or {\"err\": value})",
        Shape::Flags(_) => "flags (an array of names)",
    };
    text.to_owned()
}

fn integer(int: Int) -> String {
    let (minimum, maximum) = int.range();
    let digits = if int.is_wide() { ", as a number or as a string of its digits" } else { "" };
    format!("{} ({minimum} to {maximum}{digits})", int.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_are_the_wit_names_with_underscores() {
        for (wit, json) in [("a", "a"), ("retry-after", "retry_after"), ("HTTP-url-2", "HTTP_url_2")] {
            assert_eq!(json_name(wit), json);
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let names = || ["count", "max_items", "name"].into_iter();
        for (given, near) in [
            ("cuont", Some("count")),
            ("maxItems", Some("max_items")),
            ("max-items", Some("max_items")),
            ("Name", Some("name")),
            ("destination", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, names()).as_deref(), near, "{given}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), names()), None);
    }

    #[test]
    fn edit_distance_counts_changes() {
        for (a, b, distance) in [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3)] {
            let given: Vec<char> = a.chars().collect();
            assert_eq!(edit_distance(&given, b.chars()), distance, "{a} {b}");
        }
    }

    #[test]
    fn decimal_texts_have_one_spelling() {
        for (text, value) in [
            ("0", Some(0)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("-0", None),
            ("+1", None),
            ("007", None),
            (" 1", None),
            ("1\n", None),
            ("1e3", None),
            ("", None),
            ("１", None),
            ("999999999999999999999", None),
        ] {
            assert_eq!(decimal(text), value, "{text:?}");
        }
    }

    #[test]
    fn the_pattern_of_a_small_maximum_is_readable() {
        assert_eq!(positive_pattern(255), "[1-9][0-9]{0,1}|1[0-9]{2}|2[0-4][0-9]|25[0-4]|255");
        assert_eq!(positive_pattern(305), "[1-9][0-9]{0,1}|[1-2][0-9]{2}|30[0-4]|305");
    }

    #[test]
    fn the_overflow_of_f32_is_half_a_step_beyond_its_maximum() {
        assert_eq!(F32_OVERFLOW, f64::from(f32::MAX) + 2_f64.powi(103));
    }
}
