//! The forms in which a value is looked for.
//!
//! Owns the list of encodings, each written down once, and the cutting of long
//! values and of values in lines. Encoders write to scratch memory that is
//! large enough from the beginning and wiped at the end.

use zeroize::Zeroizing;

use super::scan::Gathered;

/// Bytes from which on a value is looked for in pieces. A guest that prints the
/// first thousand bytes of a certificate's key has printed it all the same.
pub const PIECE_BYTES: usize = 128;
/// Bytes from which on a value is looked for in fewer forms: not in those that
/// take most memory and that no program makes by itself of so much text.
pub const LONG_BYTES: usize = 4 << 10;
/// Bytes that neighbouring pieces share, so that their forms overlap in every
/// encoding and the whole value is one span.
const OVERLAP_BYTES: usize = 16;
/// Bytes from which on a line is looked for by itself. Shorter ones are often
/// words that anything contains.
const MIN_LINE_BYTES: usize = 16;
/// Characters after which encoders of base64 begin a new line: PEM, and MIME.
const WRAPS: [usize; 2] = [64, 76];
/// Characters from which on such a line is looked for by itself. Threat: who can
/// have texts redacted and sees what is left learns by trying what stands at the
/// end of a value, if little enough of it is a form.
const MIN_WRAPPED_BYTES: usize = 32;
/// No encoding makes more of a piece than this many times its bytes.
const LARGEST_GROWTH: usize = 12;

type Digits = [u8; 16];
const LOWER: &Digits = b"0123456789abcdef";
const UPPER: &Digits = b"0123456789ABCDEF";
const CASES: [&Digits; 2] = [LOWER, UPPER];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Bits at a value's beginning that share a character with unknown bytes before
/// it, where none, one, or two of those are in its group of three.
const LEADING_BITS: [u32; 3] = [0, 4, 2];

/// Adds every form of a value.
pub(super) fn gather(value: &[u8], name: usize, into: &mut Gathered) {
    let scratch = || Zeroizing::new(Vec::with_capacity(PIECE_BYTES * LARGEST_GROWTH));
    let mut forms = Forms { name, long: value.len() > LONG_BYTES, into, one: scratch(), two: scratch() };
    forms.part(value);
    forms.lines(value);
    forms.wrapped(value);
}

struct Forms<'a> {
    name: usize,
    long: bool,
    into: &'a mut Gathered,
    one: Zeroizing<Vec<u8>>,
    /// For what is encoded twice.
    two: Zeroizing<Vec<u8>>,
}

impl Forms<'_> {
    fn part(&mut self, part: &[u8]) {
        for piece in pieces(part) {
            self.into.next_piece();
            self.into.add(self.name, piece);
            self.percent(piece);
            self.base64(piece);
            self.hex(piece);
            self.write(|out| out.extend(piece.iter().rev()));
            if let Ok(text) = std::str::from_utf8(piece) {
                self.write(|out| text.chars().rev().for_each(|char| put(out, char)));
                self.json(text);
                self.html(text);
            }
        }
    }

    fn raw(&mut self, part: &[u8]) {
        for piece in pieces(part) {
            self.into.next_piece();
            self.into.add(self.name, piece);
        }
    }

    /// A key that is printed with other line ends, or indented, is the same key.
    /// What frames it (`-----BEGIN PRIVATE KEY-----`) is in every such file.
    fn lines(&mut self, value: &[u8]) {
        let line = |line: &&[u8]| line.len() >= MIN_LINE_BYTES && line.len() < value.len() && !line.starts_with(b"-----");
        for line in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(line) {
            if self.long {
                self.raw(line);
            } else {
                self.part(line);
            }
        }
    }

    /// The value encoded alone, as tools do that wrap what they encode.
    fn wrapped(&mut self, value: &[u8]) {
        for wrap in WRAPS {
            let mut encoded = Zeroizing::new(Vec::with_capacity(value.len().div_ceil(3) * 4));
            base64(value, 0, BASE64, &mut encoded);
            if encoded.len() <= wrap {
                return;
            }
            for line in encoded.chunks(wrap).filter(|line| line.len() >= MIN_WRAPPED_BYTES) {
                self.into.next_piece();
                self.into.add(self.name, line);
            }
            self.last_line(&encoded, wrap);
        }
    }

    /// The last line can be too short to be looked for without the one before.
    /// With it there is enough that cannot be tried.
    fn last_line(&mut self, encoded: &[u8], wrap: usize) {
        let last = encoded.chunks(wrap).next_back().unwrap_or_default();
        let before = encoded.len().saturating_sub(last.len());
        let near = encoded.get(before.saturating_sub(OVERLAP_BYTES)..before).unwrap_or_default();
        for end in ["\n", "\r\n", "\\n", "\\r\\n"] {
            self.write(|out| {
                out.extend_from_slice(near);
                out.extend_from_slice(end.as_bytes());
                out.extend_from_slice(last);
            });
        }
    }

    fn write(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.one.clear();
        encode(&mut self.one);
        self.into.add(self.name, &self.one);
    }

    /// Encodes what was written last once more.
    fn write_again(&mut self, encode: impl FnOnce(&[u8], &mut Vec<u8>)) {
        self.two.clear();
        encode(&self.one, &mut self.two);
        self.into.add(self.name, &self.two);
    }

    fn percent(&mut self, piece: &[u8]) {
        // The others leave such a piece as it is.
        let all = if piece.iter().all(u8::is_ascii_alphanumeric) { &[EVERY_BYTE] } else { PERCENT_SETS };
        for digits in CASES {
            for set in all {
                self.write(|out| percent(piece, set, digits, out));
            }
        }
    }

    /// At all three places in a group of three bytes; and what of it needs to be
    /// escaped where it is put in a URL or in JSON.
    fn base64(&mut self, piece: &[u8]) {
        for leading in LEADING_BITS {
            self.write(|out| base64(piece, leading, BASE64_URL, out));
            self.write(|out| base64(piece, leading, BASE64, out));
            if self.long || self.one.iter().all(u8::is_ascii_alphanumeric) {
                continue;
            }
            for digits in CASES {
                self.write_again(|encoded, out| percent(encoded, &UNRESERVED, digits, out));
                self.write_again(|encoded, out| json(text_of(encoded), &Json { slash: false, escaped: every_sign, digits }, out));
            }
            self.write_again(|encoded, out| json(text_of(encoded), &SLASHED, out));
        }
    }

    fn hex(&mut self, piece: &[u8]) {
        for digits in CASES {
            self.write(|out| piece.iter().for_each(|byte| hex(*byte, digits, out)));
            let escapes: &[&[u8]] = if self.long { &[] } else { &[b"\\x", b"\\\\x"] };
            for escape in escapes {
                self.write(|out| {
                    for byte in piece {
                        out.extend_from_slice(escape);
                        hex(*byte, digits, out);
                    }
                });
            }
        }
        // As languages print bytes: only what is not printable is in hexadecimal.
        self.write(|out| out.extend(piece.escape_ascii()));
    }

    /// Once, and once more: results of programs are put in JSON by the program,
    /// and that again by the engine.
    fn json(&mut self, text: &str) {
        if self.long {
            for style in json_styles(text, COMMON_JSON_SETS) {
                self.write(|out| json(text, &style, out));
                self.write_again(|once, out| json(text_of(once), &SERDE, out));
            }
            return;
        }
        let styles = || json_styles(text, JSON_SETS.len());
        for style in styles() {
            self.write(|out| json(text, &style, out));
            for outer in [SERDE, SLASHED] {
                self.write_again(|once, out| json(text_of(once), &outer, out));
            }
        }
        self.write(|out| json(text, &SERDE, out));
        for style in styles() {
            self.write_again(|once, out| json(text_of(once), &style, out));
        }
    }

    fn html(&mut self, text: &str) {
        for entities in HTML_SETS {
            self.write(|out| {
                for char in text.chars() {
                    match entities.iter().find(|(plain, _)| *plain == char) {
                        Some((_, entity)) => out.extend_from_slice(entity.as_bytes()),
                        None => put(out, char),
                    }
                }
            });
        }
    }
}

/// A part in pieces that overlap, cut between characters where it is text.
fn pieces(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = std::str::from_utf8(part).ok();
    let count = part.len().saturating_sub(PIECE_BYTES).div_ceil(PIECE_BYTES - OVERLAP_BYTES) + 1;
    (0..count).map(move |index| {
        let start = index * (PIECE_BYTES - OVERLAP_BYTES);
        let end = (start + PIECE_BYTES).min(part.len());
        // The last is as long as the others: what is left over could be too short for a form.
        let start = start.min(part.len().saturating_sub(PIECE_BYTES));
        let (start, end) = text.map_or((start, end), |text| (text.floor_char_boundary(start), text.ceil_char_boundary(end)));
        part.get(start..end).unwrap_or_default()
    })
}

/// What an encoder leaves as it is, and what it makes of a space.
struct PercentSet {
    kept: fn(u8) -> bool,
    plus: bool,
}

const UNRESERVED: PercentSet = PercentSet { kept: |byte| unreserved(byte), plus: false };
const EVERY_BYTE: PercentSet = PercentSet { kept: |_| false, plus: false };
/// One for each family of encoders: they agree on letters and digits only.
const PERCENT_SETS: &[PercentSet] = &[
    UNRESERVED,
    // JavaScript's `encodeURIComponent`.
    PercentSet { kept: |byte| unreserved(byte) || b"!*'()".contains(&byte), plus: false },
    // JavaScript's `encodeURI`.
    PercentSet { kept: |byte| unreserved(byte) || b"!*'();/?:@&=+$,#".contains(&byte), plus: false },
    // Python's `quote`, and what else encodes a path.
    PercentSet { kept: |byte| unreserved(byte) || byte == b'/', plus: false },
    // Forms, as the URL standard of the web encodes them.
    PercentSet { kept: |byte| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte), plus: true },
    // Forms, as Python and Go encode them.
    PercentSet { kept: |byte| unreserved(byte), plus: true },
    EVERY_BYTE,
];

/// Of RFC 3986, section 2.3.
fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent(bytes: &[u8], set: &PercentSet, digits: &Digits, out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b' ' if set.plus => out.push(b'+'),
            byte if (set.kept)(*byte) => out.push(*byte),
            byte => {
                out.push(b'%');
                hex(*byte, digits, out);
            }
        }
    }
}

/// The characters of base64 that follow from these bytes alone, of whose first
/// so many bits are another character's.
fn base64(bytes: &[u8], leading: u32, alphabet: &[u8; 64], out: &mut Vec<u8>) {
    let (mut held, mut bits) = (0_u32, 0);
    for (index, byte) in bytes.iter().enumerate() {
        held = ((held << 8) | u32::from(*byte)) & 0xFFFF;
        bits += if index == 0 { 8 - leading } else { 8 };
        while bits >= 6 {
            bits -= 6;
            out.extend(alphabet.get(((held >> bits) & 63) as usize));
        }
    }
}

fn hex(byte: u8, digits: &Digits, out: &mut Vec<u8>) {
    out.extend(digits.get(usize::from(byte >> 4)));
    out.extend(digits.get(usize::from(byte & 15)));
}

/// How an encoder of JSON writes a string, beyond what the standard demands.
struct Json {
    /// A slash with a backslash before it.
    slash: bool,
    /// What is written as `\uXXXX` although it need not be.
    escaped: fn(char) -> bool,
    digits: &'static Digits,
}

const SERDE: Json = Json { slash: false, escaped: |_| false, digits: LOWER };
const SLASHED: Json = Json { slash: true, ..SERDE };
/// How many of them come first that are used without being told to.
const COMMON_JSON_SETS: usize = 3;
/// One for each family of encoders.
const JSON_SETS: [fn(char) -> bool; 5] = [
    |_| false,
    // Python, and PHP.
    |char| !char.is_ascii(),
    // Go.
    markup,
    // PHP, where told to.
    |char| markup(char) || !char.is_ascii(),
    // .NET.
    every_sign,
];

/// The styles that make something of their own of this text, of so many
/// families.
fn json_styles(text: &str, sets: usize) -> impl Iterator<Item = Json> {
    let slashes: &[bool] = if text.contains('/') { &[false, true] } else { &[false] };
    let control = text.contains(char::is_control);
    let sets = JSON_SETS.iter().take(sets).enumerate().map(|(index, set)| (index, *set, text.contains(*set)));
    sets.filter(|(index, _, acts)| *index == 0 || *acts).flat_map(move |(_, escaped, acts)| {
        let cases = if acts || control { &CASES } else { CASES.get(..1).unwrap_or_default() };
        slashes.iter().flat_map(move |slash| cases.iter().map(move |digits| Json { slash: *slash, escaped, digits }))
    })
}

/// What could end a script in a page.
fn markup(char: char) -> bool {
    matches!(char, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

fn every_sign(char: char) -> bool {
    markup(char) || !char.is_ascii() || matches!(char, '"' | '\'' | '+' | '`' | '\u{7F}')
}

fn json(text: &str, style: &Json, out: &mut Vec<u8>) {
    for char in text.chars() {
        let short = match char {
            char if (style.escaped)(char) => None,
            '"' | '\\' => Some(char),
            '/' if style.slash => Some('/'),
            '\u{8}' => Some('b'),
            '\u{C}' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '\0'..'\u{20}' => None,
            char => {
                put(out, char);
                continue;
            }
        };
        out.push(b'\\');
        match short {
            Some(short) => put(out, short),
            None => units(char, style.digits, out),
        }
    }
}

/// What follows the backslash, for each half of a character beyond 16 bits.
fn units(char: char, digits: &Digits, out: &mut Vec<u8>) {
    for (index, unit) in char.encode_utf16(&mut [0; 2]).iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"u" } else { b"\\u" });
        unit.to_be_bytes().iter().for_each(|byte| hex(*byte, digits, out));
    }
}

/// What was encoded once from text is text.
fn text_of(once: &[u8]) -> &str {
    std::str::from_utf8(once).unwrap_or_default()
}

type Entities = &'static [(char, &'static str)];
/// Encoders agree on three signs, and on nothing about the others.
const HTML_SETS: [Entities; 7] = [
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&apos;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;"), ('/', "&#x2F;")],
];

fn put(out: &mut Vec<u8>, char: char) {
    match u8::try_from(char) {
        Ok(byte) if byte.is_ascii() => out.push(byte),
        _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(value: &[u8]) -> Gathered {
        let mut gathered = Gathered::new(1 << 20);
        gather(value, 0, &mut gathered);
        gathered
    }

    /// As it is and reversed, every byte after a `%`, in hexadecimal and with
    /// each of two escapes, all in two cases; and base64 at three places.
    const FEW: usize = 2 + 2 + 6 + 3;

    #[test]
    fn an_ordinary_token_has_few_forms() {
        // Long enough for its base64 to fill a line exactly, and to go beyond one.
        let value = b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
        assert_eq!(gathered(&value[..48]).forms(), FEW);
        assert_eq!(gathered(value).forms(), FEW + 1 + 4, "a whole line, and a short one with four line ends");
    }

    #[test]
    fn equal_pieces_are_looked_for_once() {
        let gathered = gathered(&[b'x'; 1000]);
        assert!(gathered.forms() > 50);
        let patterns = gathered.into_patterns();
        // Lines of base64 that begin at another place of a group are further forms.
        assert!(patterns.forms() < 25, "{}", patterns.forms());
    }

    #[test]
    fn scratch_memory_never_grows() {
        // What grows most in each encoding: quotes, control characters, and signs of two and four bytes.
        for sign in ["\"", "\u{1}", "/", "+", "\u{FF}", "\u{1F980}", "'"] {
            let value = sign.repeat(200);
            let longest = PIECE_BYTES * LARGEST_GROWTH;
            assert!(gathered(value.as_bytes()).longest() <= longest, "{sign}");
        }
    }
}
