//! Text for people: making a guest's words harmless on a terminal, and finding
//! the name somebody meant.

/// Types that are written as their own text, in JSON and TOML as for people: by
/// `Display`, and back by `FromStr`, whose error says what was expected.
///
/// The crate that uses it depends on `serde`.
#[macro_export]
macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as ::serde::Deserialize>::deserialize(deserializer)?.parse().map_err(::serde::de::Error::custom)
            }
        }
    )+};
}

/// A guest's text as it may stand on a terminal: control characters (C0 but
/// line break and tab, DEL, C1), bidirectional overrides and other invisible
/// format characters are shown as `\u{…}`, so that no log line can move the
/// cursor, forge a prompt or reorder what is read.
#[must_use]
pub fn for_terminal(text: &str) -> String {
    // Most is plain, and seen to be so at a glance.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) {
            safe.push(c);
        } else {
            safe.extend(c.escape_unicode());
        }
    }
    safe
}

/// As [`for_terminal`], on one line: line breaks and tabs are shown as well.
#[must_use]
pub fn for_terminal_line(text: &str) -> String {
    for_terminal(text).replace('\n', "\\n").replace('\t', "\\t")
}

fn is_harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // Soft hyphen, Arabic letter mark, zero-width and directional marks,
        // separators, overrides and isolates, invisible operators, the byte
        // order mark, interlinear annotations, tags (Unicode category Cf, Zl,
        // Zp, and what Trojan Source, CVE-2021-42574, used).
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => false,
        c => !c.is_control(),
    }
}

/// `^[a-z][a-z0-9-]{0,47}$`: the one form of what people name (tasks, plugins).
#[must_use]
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    first && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') && text.len() <= MAX_NAME
}

/// Bytes of a name at most.
pub const MAX_NAME: usize = 48;

/// The longest start of a text that fits into so many bytes, at a character's
/// boundary.
#[must_use]
pub fn truncated(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or("")
}

/// The known name nearest to a wrong one, where one is near enough to offer.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near_enough = wrong.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance in characters, by one row of the table.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&to) {
            let best = (diagonal + usize::from(a != *b)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_guest_says_moves_the_cursor() {
        assert_eq!(for_terminal("\u{1b}[2J\r\u{8}ok\n\tü"), "\\u{1b}[2J\\u{d}\\u{8}ok\n\tü");
        assert_eq!(for_terminal("\u{9b}31m\u{7f}\u{202e}"), "\\u{9b}31m\\u{7f}\\u{202e}");
        assert_eq!(for_terminal_line("a\nb\tc"), "a\\nb\\tc");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(truncated("aü", 2), "a");
        assert_eq!(truncated("aü", 3), "aü");
        assert_eq!(truncated("", 0), "");
    }

    #[test]
    fn a_slip_of_the_finger_is_offered_the_name_meant() {
        assert_eq!(nearest("raed", ["read", "write", "net"]), Some("read"));
        assert_eq!(nearest("nett", ["read", "write", "net"]), Some("net"));
        assert_eq!(nearest("sockets", ["read", "write", "net"]), None);
        assert_eq!((edit_distance("kitten", "sitting"), edit_distance("", "abc")), (3, 3));
    }
}
