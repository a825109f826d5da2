//! The stand-in of a value: what it looks like, and where one stands.
//!
//! ```text
//!  wardroom_3f9c…           the placeholder: a fixed word and 32 hex digits (128 random bits)
//!  https://3f9c….wardroom.invalid/   that of a kind `url`: an address on a host that cannot exist
//! ```
//!
//! Lower-case letters, digits and `_` only: no header, address, JSON or form
//! changes one on its way, and case folding neither.

/// What every placeholder in a text begins with.
pub const PLACEHOLDER_PREFIX: &str = "wardroom_";
/// Hex digits that follow: 128 random bits.
pub const PLACEHOLDER_RANDOM_HEX: usize = 32;
/// What the host of every `url` placeholder ends with; `.invalid` never
/// resolves (RFC 6761, 6.4).
pub const PLACEHOLDER_HOST_SUFFIX: &str = ".wardroom.invalid";

/// Whether something that looks like a placeholder stands in these bytes, of
/// this execution or of any other, in any case.
#[must_use]
pub fn holds_placeholder(bytes: &[u8]) -> bool {
    let word = |window: &[u8]| window.eq_ignore_ascii_case(PLACEHOLDER_PREFIX.as_bytes());
    let host = PLACEHOLDER_HOST_SUFFIX.as_bytes();
    let prefixed = bytes.windows(PLACEHOLDER_PREFIX.len()).enumerate().filter(|(_, window)| word(window)).any(|(at, _)| {
        let tail = bytes.get(at + PLACEHOLDER_PREFIX.len()..).unwrap_or_default();
        tail.len() >= PLACEHOLDER_RANDOM_HEX && tail.iter().take(PLACEHOLDER_RANDOM_HEX).all(u8::is_ascii_hexdigit)
    });
    prefixed || bytes.windows(host.len()).any(|window| window.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_found_in_any_case_and_nothing_else_is() {
        let hex = "0123456789abcdef0123456789ABCDEF";
        assert!(holds_placeholder(format!("x{PLACEHOLDER_PREFIX}{hex}y").as_bytes()));
        assert!(holds_placeholder(format!("WARDROOM_WARDROOM_{hex}").as_bytes()));
        assert!(holds_placeholder(format!("https://{hex}.Wardroom.INVALID/a").as_bytes()));
        assert!(!holds_placeholder(format!("{PLACEHOLDER_PREFIX}{}", &hex[1..]).as_bytes()));
        assert!(!holds_placeholder(b"wardroom_notes and wardroom") && !holds_placeholder(b""));
    }
}
