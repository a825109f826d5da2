//! Paths of scopes and requests, compared in one form or not at all.
//!
//! A server may decode a path twice, take `%2f` for a slash, `\` for `/`, merge
//! `//`, or cut a segment at `;`. Each of these readings could lead out of the
//! folder that a scope names. So where a scope has a path, a request whose path
//! has more than one plausible reading is refused rather than guessed at.

use std::fmt;

/// Why a path has more than one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// `%2f`, `%5c`, or their look-alikes beyond ASCII.
    #[error("an encoded slash or backslash")]
    Slash,
    /// `%` without two hexadecimal digits behind it.
    #[error("a broken percent-encoding")]
    Percent,
    /// `%25` before two more hexadecimal digits.
    #[error("a doubled percent-encoding")]
    Doubled,
    /// A control character, encoded or not.
    #[error("a control character")]
    Control,
    /// Bytes that are no UTF-8, such as the overlong `%c0%af`.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// `//` anywhere.
    #[error("an empty segment")]
    EmptySegment,
    /// `.` or `..`, encoded or with a parameter (`..;x`).
    #[error("a dot segment")]
    DotSegment,
}

/// Where a scope's paths begin.
///
/// `/` (or nothing) means every path. `/repos/` means itself and all below,
/// `/repos` also itself without the slash; neither means `/repos-evil`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PathPrefix(String);

impl PathPrefix {
    pub(super) fn any() -> Self {
        Self("/".to_owned())
    }

    /// Reads a path that the WHATWG parser has already been through.
    pub(super) fn new(path: &str) -> Result<Self, Ambiguity> {
        normal(path).map(Self)
    }

    pub(super) fn is_any(&self) -> bool {
        self.0 == "/"
    }

    /// Whether a request's path lies within.
    ///
    /// # Errors
    ///
    /// [`Ambiguity`] where this prefix means anything and the path cannot be
    /// told.
    pub(super) fn matches(&self, path: &str) -> Result<bool, Ambiguity> {
        if self.is_any() {
            return Ok(true);
        }
        normal(path).map(|path| self.holds(&path))
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        self.is_any() || self.holds(&other.0)
    }

    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || self.0.ends_with('/') || rest.starts_with('/'))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() { Ok(()) } else { f.write_str(&self.0) }
    }
}

/// The one form: unreserved characters plain, every other escape upper-case.
fn normal(path: &str) -> Result<String, Ambiguity> {
    let (text, bytes) = decode(path)?;
    let decoded = String::from_utf8(bytes).map_err(|_| Ambiguity::NotUtf8)?;
    if decoded.chars().any(is_slash_alike) {
        return Err(Ambiguity::Slash);
    }
    let mut segments = text.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Ambiguity::EmptySegment);
        }
        if is_dots(segment) {
            return Err(Ambiguity::DotSegment);
        }
    }
    Ok(text)
}

/// Whether a path as typed holds a `.` or `..` segment in any spelling.
pub(super) fn has_dot_segment(path: &str) -> bool {
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace('\\', "/");
    plain.split('/').any(is_dots)
}

/// `.`, `..`, and the same with a parameter behind, which some servers cut off
/// before they resolve.
fn is_dots(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or(segment);
    let name = name.split("%3B").next().unwrap_or(name);
    name == "." || name == ".."
}

/// The path in its one form, and the bytes it stands for.
fn decode(path: &str) -> Result<(String, Vec<u8>), Ambiguity> {
    let mut text = String::with_capacity(path.len());
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            if byte == b'\\' {
                return Err(Ambiguity::Slash);
            }
            if byte.is_ascii_control() {
                return Err(Ambiguity::Control);
            }
            text.push(char::from(byte));
            bytes.push(byte);
            continue;
        }
        let value = escape(&mut rest).ok_or(Ambiguity::Percent)?;
        match value {
            b'/' | b'\\' => return Err(Ambiguity::Slash),
            b'%' if escape(&mut rest.clone()).is_some() => return Err(Ambiguity::Doubled),
            value if value.is_ascii_control() => return Err(Ambiguity::Control),
            value if is_unreserved(value) => text.push(char::from(value)),
            value => text.push_str(&format!("%{value:02X}")),
        }
        bytes.push(value);
    }
    Ok((text, bytes))
}

fn escape(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(rest.next()?).to_digit(16);
    let value = digit()? * 16 + digit()?;
    u8::try_from(value).ok()
}

/// RFC 3986, 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Characters that best-fit conversion on some servers turns into a separator
/// or a dot.
const fn is_slash_alike(c: char) -> bool {
    matches!(
        c,
        '\u{2024}' | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29f8}' | '\u{fe52}' | '\u{fe68}' | '\u{ff0e}' | '\u{ff0f}' | '\u{ff3c}'
    )
}
