//! The redactor: what takes the values of a run's credentials out of
//! everything that leaves the run.
//!
//! Owns [`Redactor`]. Which shapes of a value are looked for is `forms`, how
//! they are found in a text is `scan`, and what happens to a text or a stream
//! in which some are found is `sieve`. Nothing here may write a value anywhere,
//! show one in an error, or have a `Debug` that prints one.
//!
//! # What is caught
//!
//! Every value of at least [`MIN_REDACTED_BYTES`] bytes: as it is, reversed,
//! percent-encoded, in base64 and base64url wherever it begins in the encoded
//! data, in hexadecimal, escaped for JSON once and twice, and escaped for HTML.
//! A value longer than [`PIECE_BYTES`] is looked for in overlapping pieces of
//! that many bytes, so a long part of it is removed like the whole. Of a value
//! in several lines, every line is removed by itself. A value of more than
//! [`LONG_BYTES`] is looked for in fewer forms: its lines as they are only, and
//! nothing escaped as only encoders do that were told to.
//!
//! # What is not
//!
//! Who can choose the encoding can get a value past any list of encodings:
//! compressed, encrypted, with a character put between each two, spelled in
//! words, in base32, in decimal, in UTF-16, letter case changed. (Another case
//! is not looked for because it is another value: nothing that checks the one
//! accepts the other, and forms in any case would remove ordinary words.) Nor
//! are chains of encodings other than those named above, hexadecimal with
//! separators, base64 with line breaks unless the value was encoded alone and
//! wrapped after 64 or 76 characters (a last line of fewer than 32 only where it
//! follows the one before), part of a value that is not a whole piece or line, and values of fewer than [`MIN_REDACTED_BYTES`] bytes. Where base64
//! has a value begin or end within a character, that character stays: at most
//! four bits of the value at either end.
//!
//! The redactor is thus the net under the rule that a guest sees no value it
//! was not granted; it does not replace the rule.

mod forms;
mod scan;
mod sieve;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use wardroom_core::blame::Blame;
use wardroom_core::credential::{MAX_VALUE_BYTES, MIN_REDACTED_BYTES, Redact, RedactStream};

pub use forms::{LONG_BYTES, PIECE_BYTES};
use scan::{Gathered, Patterns};
use sieve::{Sieve, Stream};

/// Bytes that the forms of all values may take together. Threat: memory, which
/// is taken anew by each execution. Twenty values of the largest size need a
/// third of this; of nothing but signs that each encoder escapes in a way of
/// its own, three quarters.
pub const MAX_FORM_BYTES: usize = 256 << 20;

/// Why a redactor cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedactorError {
    /// A value is longer than any credential may be.
    #[error("the value of `{name}` has {bytes} bytes, of which {MAX_VALUE_BYTES} can be redacted")]
    ValueTooLong {
        /// The credential's name.
        name: String,
        /// How long its value is.
        bytes: usize,
    },
    /// The values are too many and too long to be looked for together.
    #[error("the values need more than {MAX_FORM_BYTES} bytes of forms to be redacted")]
    TooMuch,
}

impl RedactorError {
    /// Who stored what cannot be redacted has to store less.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Operator
    }
}

/// Removes the values it was made of, in every form it looks for, and writes
/// `[redacted:NAME]` in their place.
///
/// Clones are cheap and count together. The forms are wiped when the last clone
/// and the last stream are dropped.
#[derive(Clone)]
pub struct Redactor(Arc<Known>);

/// What all clones and streams share.
struct Known {
    patterns: Patterns,
    /// What is written instead, by the index that the patterns carry.
    markers: Vec<String>,
    /// Spans removed. Only ever added to and read: no order is needed.
    removed: AtomicU64,
}

impl Redactor {
    /// Of credentials' names and values. Values of fewer than
    /// [`MIN_REDACTED_BYTES`] bytes are passed over.
    ///
    /// # Errors
    ///
    /// [`RedactorError::ValueTooLong`] for a value of more than
    /// [`MAX_VALUE_BYTES`], [`RedactorError::TooMuch`] where all forms together
    /// need more than [`MAX_FORM_BYTES`].
    pub fn new<'a>(values: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, RedactorError> {
        Self::within(MAX_FORM_BYTES, values)
    }

    /// Knows nothing and removes nothing.
    #[must_use]
    pub fn idle() -> Self {
        Self::knowing(Gathered::new(0).into_patterns(), Vec::new())
    }

    fn within<'a>(limit: usize, values: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, RedactorError> {
        let mut gathered = Gathered::new(limit);
        let mut names = Vec::new();
        for (name, value) in values {
            if value.len() > MAX_VALUE_BYTES {
                return Err(RedactorError::ValueTooLong { name: name.to_owned(), bytes: value.len() });
            }
            if value.len() >= MIN_REDACTED_BYTES {
                forms::gather(value, names.len(), &mut gathered);
                names.push(name);
            }
        }
        if gathered.is_over() {
            return Err(RedactorError::TooMuch);
        }
        let patterns = gathered.into_patterns();
        let markers = names.into_iter().map(|name| marker(name, &patterns)).collect();
        Ok(Self::knowing(patterns, markers))
    }

    fn knowing(patterns: Patterns, markers: Vec<String>) -> Self {
        Self(Arc::new(Known { patterns, markers, removed: AtomicU64::new(0) }))
    }

    /// How many bytes of memory the forms and their tables take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.0.patterns.memory_bytes()
    }
}

impl Known {
    /// A span ends: counts it and writes what stands for it.
    fn mark(&self, name: usize, out: &mut Vec<u8>) {
        self.removed.fetch_add(1, Ordering::Relaxed);
        out.extend_from_slice(self.markers.get(name).map_or("[-]", String::as_str).as_bytes());
    }
}

impl Redact for Redactor {
    fn is_idle(&self) -> bool {
        self.0.patterns.is_empty()
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A value of arbitrary bytes can end within a character.
            Cow::Owned(bytes) => {
                Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
            }
        }
    }

    fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(first) = self.0.patterns.first(bytes) else {
            return Cow::Borrowed(bytes);
        };
        let (clean, rest) = bytes.split_at_checked(first).unwrap_or((&[], bytes));
        let mut out = Vec::with_capacity(bytes.len());
        out.extend_from_slice(clean);
        Sieve::default().pass(&self.0, rest, true, &mut out);
        Cow::Owned(out)
    }

    fn stream(&self) -> Box<dyn RedactStream> {
        Box::new(Stream::new(Arc::clone(&self.0)))
    }

    fn count(&self) -> u64 {
        self.0.removed.load(Ordering::Relaxed)
    }
}

/// What is written for a credential. A name can be its own value, and `redacted`
/// can be one, and what is written must not be what was removed: then the
/// marker says less. The last is too short to be anything's form.
fn marker(name: &str, patterns: &Patterns) -> String {
    let plain = |byte: char| if byte.is_ascii_alphanumeric() || "-_.:".contains(byte) { byte } else { '_' };
    let named = format!("[redacted:{}]", name.chars().map(plain).collect::<String>());
    [named, "[redacted]".to_owned()]
        .into_iter()
        .find(|marker| patterns.first(marker.as_bytes()).is_none())
        .unwrap_or_else(|| "[-]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_beyond_the_limit_are_refused() {
        let values = || [("long", b"0123456789abcdefghij".as_slice())];
        assert!(matches!(Redactor::within(100, values()), Err(RedactorError::TooMuch)));
        assert!(Redactor::within(10_000, values()).is_ok());
    }
}
