//! What happens to a text in which forms are found: every byte that is part of
//! any of them goes, and one marker stands for all that touch the same bytes.
//!
//! Owns [`Sieve`], which a whole text passes at once and a stream in pieces,
//! and [`Stream`]. What a stream gives is what the whole would give, however it
//! was cut.

use std::sync::Arc;

use wardroom_core::credential::RedactStream;
use zeroize::{Zeroize, Zeroizing};

use super::Known;
use super::scan::Next;

/// What is known of a text between two pieces of it.
///
/// ```text
///     text      . . . . a b c d e f 1 2 g h i j . . . .
///     forms             [a b c d e f 1 2]
///                               [e f 1 2 g h i j]
///     removed           [                      ]         one span, named after the form it begins with
/// ```
#[derive(Default)]
pub(super) struct Sieve {
    /// A span that has begun and may yet grow.
    span: Option<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    name: usize,
    /// Where the forms found so far end. Nothing of the text before it is written.
    end: usize,
}

impl Sieve {
    /// Passes text on to `out`, and says how many bytes of it are done with.
    /// The next call's text begins with the others. With `last`, all are.
    pub(super) fn pass(&mut self, known: &Known, text: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let mut from = 0;
        loop {
            match known.patterns.next(text, from, last) {
                Next::Found { start, end, name } => {
                    match &mut self.span {
                        Some(span) if start < span.end => span.end = span.end.max(end),
                        span => {
                            let kept = close(known, span.replace(Span { name, end }), out);
                            out.extend_from_slice(text.get(kept..start).unwrap_or_default());
                        }
                    }
                    from = start + 1;
                }
                Next::Open(open) => return self.pause(known, text, open, out),
            }
        }
    }

    /// No form begins before `open`. What a later one could still overlap stays.
    fn pause(&mut self, known: &Known, text: &[u8], open: usize, out: &mut Vec<u8>) -> usize {
        if let Some(span) = &mut self.span
            && span.end > open
        {
            span.end -= open;
            return open;
        }
        let kept = close(known, self.span.take(), out);
        out.extend_from_slice(text.get(kept..open).unwrap_or_default());
        open
    }
}

/// Ends a span, if there is one, and says from where on text is to be kept.
fn close(known: &Known, span: Option<Span>, out: &mut Vec<u8>) -> usize {
    span.map_or(0, |span| {
        known.mark(span.name, out);
        span.end
    })
}

/// A stream on its way through a [`Sieve`].
pub(super) struct Stream {
    known: Arc<Known>,
    sieve: Sieve,
    /// What may be the beginning of a form: never more than the longest form
    /// between two pieces.
    held: Zeroizing<Vec<u8>>,
}

impl Stream {
    pub(super) fn new(known: Arc<Known>) -> Self {
        Self { known, sieve: Sieve::default(), held: Zeroizing::default() }
    }
}

impl RedactStream for Stream {
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Self { known, sieve, held } = self;
        if held.is_empty() {
            let done = sieve.pass(known, piece, false, out);
            held.extend_from_slice(piece.get(done..).unwrap_or_default());
        } else {
            held.extend_from_slice(piece);
            let done = sieve.pass(known, held, false, out);
            held.drain(..done);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.sieve.pass(&self.known, &self.held, true, out);
        self.held.zeroize();
    }
}
