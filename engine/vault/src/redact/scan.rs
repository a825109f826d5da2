//! Finding any of many forms in a text.
//!
//! Owns the forms themselves, in blocks of memory that are wiped when they are
//! dropped, and the two tables by which they are found. It must never copy a
//! form to memory that is not wiped: that, and that its size does not depend on
//! how long the forms are, is why this is not an automaton of a crate. An
//! Aho-Corasick automaton takes dozens of bytes for each byte of a form, and
//! twenty values of 64 KiB have a hundred megabytes of them.
//!
//! The scan is Wu and Manber's ("A fast algorithm for multi-pattern searching",
//! 1994). Every form has at least `window` bytes; a window of that size moves
//! over the text. The last four bytes in the window say how far the next place
//! is where a form could begin (`shifts`). Where that is here, the first eight
//! bytes say which forms it could be (`slots`), and a binary search among those
//! finds the one. Who writes the text can have every place of it be such a
//! place, so what is done at one must not grow with the number of forms that
//! begin alike: a value can have thousands.
//!
//! ```text
//!     form                     s e c r e t - v
//!     text       l o g   i n   s e c r e t - v a l u e
//!     window    [. . . . i n   s]                        in no form: move by five, the furthest
//!                         [. . . . c r e t]              ends two bytes before the window of a form does
//!                             [. . . . e t - v]          ends it: compare
//! ```

use zeroize::{Zeroize, Zeroizing};

/// Bytes by which a form is looked up.
const KEY_BYTES: usize = 8;
/// Bytes by which the window is moved.
const GRAM_BYTES: usize = 4;
/// The largest window. A larger one moves further, and is filled at more cost.
const MAX_WINDOW_BYTES: usize = 16;

/// Bytes that are compared at once.
const SHARED_BLOCK: usize = 16;

/// Bytes of the first block of forms, which is more than any form has; each is
/// twice the one before, up to the last figure.
const BLOCK_BYTES: (usize, usize) = (4 << 10, 1 << 20);

/// Forms on their way to become [`Patterns`].
pub(super) struct Gathered {
    blocks: Blocks,
    forms: Vec<Form>,
    /// The first form of the piece whose forms are being gathered.
    fresh: usize,
    /// Bytes that may still be added.
    left: usize,
    over: bool,
}

/// The forms' bytes. A block is filled and never grows: a vector that grows
/// leaves its old bytes behind, or costs as much again to wipe them.
#[derive(Default)]
struct Blocks(Vec<Zeroizing<Vec<u8>>>);

/// Where a form lies, and whose it is.
#[derive(Clone, Copy, Zeroize)]
struct Form {
    block: usize,
    start: usize,
    end: usize,
    name: usize,
}

impl Form {
    fn len(&self) -> usize {
        self.end - self.start
    }
}

impl Blocks {
    fn of(&self, form: &Form) -> &[u8] {
        self.0.get(form.block).and_then(|block| block.get(form.start..form.end)).unwrap_or_default()
    }

    fn add(&mut self, bytes: &[u8], name: usize) -> Form {
        let last = self.0.last().map_or(BLOCK_BYTES.0 / 2, |block| block.capacity());
        let full = self.0.last().is_none_or(|block| block.capacity() - block.len() < bytes.len());
        if full {
            let size = (last * 2).min(BLOCK_BYTES.1);
            self.0.push(Zeroizing::new(Vec::with_capacity(size)));
        }
        let index = self.0.len() - 1;
        let start = self.0.last_mut().map_or(0, |block| {
            block.extend_from_slice(bytes);
            block.len() - bytes.len()
        });
        Form { block: index, start, end: start + bytes.len(), name }
    }
}

impl Gathered {
    pub(super) fn new(limit: usize) -> Self {
        Self { blocks: Blocks::default(), forms: Vec::new(), fresh: 0, left: limit, over: false }
    }

    /// From here on forms are compared with each other only.
    pub(super) fn next_piece(&mut self) {
        self.fresh = self.forms.len();
    }

    /// Adds a form, unless the piece has it already: most encodings leave most
    /// values as they are. Forms shorter than a key are none.
    pub(super) fn add(&mut self, name: usize, form: &[u8]) {
        if form.len() < KEY_BYTES || self.has(form) {
            return;
        }
        match self.left.checked_sub(form.len()) {
            Some(left) => self.left = left,
            None => self.over = true,
        }
        if !self.over {
            self.forms.push(self.blocks.add(form, name));
        }
    }

    /// Whether a form did not fit.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    #[cfg(test)]
    pub(super) fn forms(&self) -> usize {
        self.forms.len()
    }

    #[cfg(test)]
    pub(super) fn longest(&self) -> usize {
        self.forms.iter().map(Form::len).max().unwrap_or_default()
    }

    fn has(&self, form: &[u8]) -> bool {
        let same = |known: &Form| self.blocks.of(known) == form;
        self.forms.iter().skip(self.fresh).any(same)
    }

    pub(super) fn into_patterns(self) -> Patterns {
        let blocks = self.blocks;
        let of = |form: &Form| blocks.of(form);
        let mut keyed = Vec::with_capacity(self.forms.len());
        keyed.extend(self.forms.into_iter().map(|form| Keyed { key: key(of(&form)).unwrap_or_default(), form }));
        // Neighbours by their bytes, and of two equal ones the first that was named.
        let order = |a: &Keyed, b: &Keyed| of(&a.form).cmp(of(&b.form)).then(a.form.name.cmp(&b.form.name));
        keyed.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| order(a, b)));
        keyed.dedup_by(|next, kept| of(&next.form) == of(&kept.form));
        let shortest = keyed.iter().map(|keyed| keyed.form.len()).min();
        let window = shortest.unwrap_or(MAX_WINDOW_BYTES).min(MAX_WINDOW_BYTES);
        let shifts = Shifts::new(window, keyed.len(), keyed.iter().map(|keyed| of(&keyed.form)));
        let slots = Slots::new(&keyed);
        let prefixes = Prefixes::new(keyed.iter().map(|keyed| of(&keyed.form)));
        Patterns { blocks, keyed, shifts, slots, prefixes }
    }
}

/// A form and its first bytes.
#[derive(Zeroize)]
struct Keyed {
    key: u64,
    form: Form,
}

/// All forms, ready to be found.
pub(super) struct Patterns {
    blocks: Blocks,
    /// In the order of their bytes, none twice.
    keyed: Vec<Keyed>,
    shifts: Shifts,
    slots: Slots,
    prefixes: Prefixes,
}

/// What a search came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A form stands here; it is the longest that does.
    Found { start: usize, end: usize, name: usize },
    /// No form begins before here, and what follows could become one. Where
    /// nothing could, here is the end of the text.
    Open(usize),
}

/// What stands at one place.
enum Here {
    Nothing,
    Form {
        end: usize,
        name: usize,
    },
    /// All there is of the text is the beginning of a form.
    Beginning,
}

impl Patterns {
    pub(super) fn is_empty(&self) -> bool {
        self.keyed.is_empty()
    }

    #[cfg(test)]
    pub(super) fn forms(&self) -> usize {
        self.keyed.len()
    }

    /// Where the first form in a whole text begins.
    pub(super) fn first(&self, text: &[u8]) -> Option<usize> {
        match self.next(text, 0, true) {
            Next::Found { start, .. } => Some(start),
            Next::Open(_) => None,
        }
    }

    /// The next form that begins at `from` or later. With `last`, nothing
    /// follows the text.
    pub(super) fn next(&self, text: &[u8], mut from: usize, last: bool) -> Next {
        if self.is_empty() {
            return Next::Open(text.len());
        }
        loop {
            let start = self.shifts.candidate(text, from);
            if start + self.shifts.window > text.len() {
                return Next::Open(if last { text.len() } else { self.beginning(text, start) });
            }
            match self.here(text, start, last) {
                Here::Nothing => from = start + 1,
                Here::Form { end, name } => return Next::Found { start, end, name },
                Here::Beginning => return Next::Open(start),
            }
        }
    }

    fn here(&self, text: &[u8], start: usize, last: bool) -> Here {
        let rest = text.get(start..).unwrap_or_default();
        let Some(key) = key(rest) else {
            return Here::Nothing;
        };
        let first = self.slots.first(&self.keyed, key);
        let (after, shared) = self.search(self.bucket(first, key), rest);
        // In their order what begins with all of the rest comes right after it.
        let follows = || self.keyed.get(first + after).is_some_and(|keyed| self.blocks.of(&keyed.form).starts_with(rest));
        if !last && follows() {
            return Here::Beginning;
        }
        let found = after.checked_sub(1).and_then(|before| self.longest(first + before, shared));
        found.map_or(Here::Nothing, |form| Here::Form { end: start + form.len(), name: form.name })
    }

    /// How many of these forms come before a text in their order or are all of
    /// it, and with how many bytes of the text the last of those begins. That
    /// many bytes are compared, and hardly more: what lies between two forms
    /// shares with the text what both do.
    fn search(&self, bucket: &[Keyed], text: &[u8]) -> (usize, usize) {
        let (mut low, mut high) = (0, bucket.len());
        let (mut below, mut above) = (KEY_BYTES, KEY_BYTES);
        while low < high {
            let middle = low.midpoint(high);
            let form = bucket.get(middle).map(|keyed| self.blocks.of(&keyed.form)).unwrap_or_default();
            let shared = shared(form, text, below.min(above));
            // Where one ends it is the first of the two.
            if form.get(shared) <= text.get(shared) {
                (low, below) = (middle + 1, shared);
            } else {
                (high, above) = (middle, shared);
            }
        }
        (low, below)
    }

    /// The longest form of at most so many bytes that this form begins with.
    /// Every form that stands where the text is begins the one before the text
    /// in their order.
    fn longest(&self, mut at: usize, bytes: usize) -> Option<&Form> {
        let fits = |at: usize| self.keyed.get(at).map(|keyed| &keyed.form).filter(|form| form.len() <= bytes);
        loop {
            if let Some(form) = fits(at) {
                return Some(form);
            }
            let link = self.prefixes.link(at)?;
            // None between here and there fits if the one there does not.
            let next = if fits(link.far).is_none() { link.far } else { link.near };
            if next == at {
                return None;
            }
            at = next;
        }
    }

    /// The first place from `from` on at which the rest of the text, shorter
    /// than the window, is the beginning of a form.
    fn beginning(&self, text: &[u8], from: usize) -> usize {
        (from..text.len()).find(|start| self.begins(text.get(*start..).unwrap_or_default())).unwrap_or(text.len())
    }

    /// Whether any form begins like this: the first that does not come before
    /// it in their order would.
    fn begins(&self, rest: &[u8]) -> bool {
        let of = |keyed: &Keyed| self.blocks.of(&keyed.form);
        let at = self.keyed.partition_point(|keyed| of(keyed) < rest);
        self.keyed.get(at).is_some_and(|keyed| of(keyed).starts_with(rest))
    }

    /// The forms with a key, of which this is the first. Most often it is the
    /// only one, so the end is looked for from here.
    fn bucket(&self, first: usize, key: u64) -> &[Keyed] {
        let from = self.keyed.get(first..).unwrap_or_default();
        let mut reach = 1;
        while from.get(reach).is_some_and(|keyed| keyed.key == key) {
            reach *= 2;
        }
        let near = from.get(..reach).unwrap_or(from);
        near.get(..near.partition_point(|keyed| keyed.key == key)).unwrap_or_default()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.0.iter().map(|block| block.capacity()).sum::<usize>()
            + self.keyed.capacity() * size_of::<Keyed>()
            + self.shifts.table.capacity()
            + self.slots.table.capacity() * size_of::<u32>()
            + self.prefixes.links.capacity() * size_of::<Link>()
    }
}

impl Drop for Patterns {
    /// Blocks wipe themselves. Keys are beginnings of forms, and some stand
    /// behind the vector's end, where duplicates were.
    fn drop(&mut self) {
        self.keyed.zeroize();
    }
}

/// How far the window may move, by the last bytes in it.
struct Shifts {
    window: usize,
    /// Distances by [`gram`]. They say which grams are in a form, so this is
    /// wiped as well.
    table: Zeroizing<Vec<u8>>,
    bits: u32,
}

impl Shifts {
    fn new<'a>(window: usize, forms: usize, all: impl Iterator<Item = &'a [u8]>) -> Self {
        // Sixteen places for each entry keep chance meetings rare. Beyond four megabytes the table would cost more
        // to read than they do.
        let bits = (forms * window * 16).next_power_of_two().ilog2().clamp(12, 22);
        let furthest = window + 1 - GRAM_BYTES;
        let mut table = Zeroizing::new(vec![u8::try_from(furthest).unwrap_or(1); 1 << bits]);
        for form in all {
            let grams = form.get(..window).unwrap_or_default().windows(GRAM_BYTES);
            for (gram, distance) in grams.zip((0..furthest).rev()) {
                if let Some(entry) = table.get_mut(place(gram, bits)) {
                    *entry = u8::try_from(distance).unwrap_or(0).min(*entry);
                }
            }
        }
        Self { window, table, bits }
    }

    /// The first place from `from` on where a form could begin; where none
    /// could, the first at which the window goes beyond the text.
    #[inline]
    fn candidate(&self, text: &[u8], from: usize) -> usize {
        let mut end = from + self.window;
        while let Some(gram) = text.get(end - GRAM_BYTES..end) {
            match self.table.get(place(gram, self.bits)) {
                Some(0) | None => break,
                Some(shift) => end += usize::from(*shift),
            }
        }
        end - self.window
    }
}

/// A gram's place in a table of so many bits.
#[inline]
fn place(gram: &[u8], bits: u32) -> usize {
    let gram = gram.first_chunk::<GRAM_BYTES>().map_or(0, |gram| u32::from_le_bytes(*gram));
    // Fibonacci hashing: the upper bits of a product depend on all of its factor's.
    (gram.wrapping_mul(0x9E37_79B1) >> (32 - bits)) as usize
}

/// Which form is the first with a key: an open table of indexes, at most half
/// full, in which zero is nothing.
struct Slots {
    table: Vec<u32>,
}

impl Slots {
    fn new(keyed: &[Keyed]) -> Self {
        let mut slots = Self { table: vec![0; (keyed.len() * 2 + 1).next_power_of_two()] };
        let mut before = None;
        for (index, Keyed { key, .. }) in keyed.iter().enumerate() {
            if before.replace(*key) != Some(*key) {
                slots.fill(*key, index);
            }
        }
        slots
    }

    fn fill(&mut self, key: u64, index: usize) {
        let mut at = self.start(key);
        while let Some(slot) = self.table.get_mut(at) {
            if *slot == 0 {
                // Forms are fewer than their bytes, which are fewer than this can count.
                *slot = u32::try_from(index + 1).unwrap_or(0);
                return;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// The index of the first form with this key, or one after the last.
    #[inline]
    fn first(&self, keyed: &[Keyed], key: u64) -> usize {
        let mut at = self.start(key);
        loop {
            match self.table.get(at) {
                None | Some(0) => return keyed.len(),
                Some(index) => {
                    let index = *index as usize - 1;
                    if keyed.get(index).is_some_and(|keyed| keyed.key == key) {
                        return index;
                    }
                }
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    #[inline]
    fn start(&self, key: u64) -> usize {
        let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        usize::try_from(mixed).unwrap_or(0) & (self.table.len() - 1)
    }
}

/// For each form which others it begins with: a value of lines of one letter
/// can have more than a hundred that do.
struct Prefixes {
    links: Vec<Link>,
}

/// From a form to others that it begins with, or to itself where it begins with
/// none.
#[derive(Clone, Copy)]
struct Link {
    /// The longest of them.
    near: usize,
    /// One so much shorter that any is reached in few steps: of the skips in
    /// Myers' "An applicative random-access stack", 1983.
    far: usize,
    /// How many there are.
    depth: usize,
}

impl Prefixes {
    /// Of forms in their order.
    fn new<'a>(forms: impl ExactSizeIterator<Item = &'a [u8]>) -> Self {
        let mut prefixes = Self { links: Vec::with_capacity(forms.len()) };
        // Each begins with those before it.
        let mut nested: Vec<(usize, &[u8])> = Vec::new();
        for (index, form) in forms.enumerate() {
            while nested.pop_if(|(_, outer)| !form.starts_with(outer)).is_some() {}
            let link = prefixes.next(index, nested.last().map(|(near, _)| *near));
            prefixes.links.push(link);
            nested.push((index, form));
        }
        prefixes
    }

    fn link(&self, at: usize) -> Option<Link> {
        self.links.get(at).copied()
    }

    fn next(&self, index: usize, near: Option<usize>) -> Link {
        let linked = |at: usize| self.link(at).map(|link| (at, link));
        let Some((near, link)) = near.and_then(linked) else {
            return Link { near: index, far: index, depth: 0 };
        };
        // Two skips of one length are joined to one.
        let joined = linked(link.far).and_then(|(_, far)| linked(far.far).map(|(at, further)| (at, far.depth, further.depth)));
        let far = joined.filter(|(_, far, further)| link.depth - far == far - further).map_or(near, |(at, ..)| at);
        Link { near, far, depth: link.depth + 1 }
    }
}

/// With how many equal bytes two texts begin, of which so many are known to be.
fn shared(a: &[u8], b: &[u8], known: usize) -> usize {
    let (a, b) = (a.get(known..).unwrap_or_default(), b.get(known..).unwrap_or_default());
    let blocks = a.as_chunks::<SHARED_BLOCK>().0.iter().zip(b.as_chunks::<SHARED_BLOCK>().0);
    let equal = blocks.take_while(|(a, b)| a == b).count() * SHARED_BLOCK;
    let left = a.iter().zip(b).skip(equal).take_while(|(a, b)| a == b).count();
    known + equal + left
}

/// The first bytes, in an order that numbers keep.
#[inline]
fn key(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<KEY_BYTES>().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(forms: &[&[u8]]) -> Patterns {
        let mut gathered = Gathered::new(16 << 20);
        for (name, form) in forms.iter().enumerate() {
            gathered.next_piece();
            gathered.add(name, form);
        }
        gathered.into_patterns()
    }

    /// A block that grew would leave forms behind that nothing wipes.
    #[test]
    fn blocks_are_filled_to_the_last_byte_and_never_grow() {
        let mut blocks = Blocks::default();
        let mut forms = Vec::new();
        for index in 0..5116_usize {
            let bytes = vec![u8::try_from(index % 251).unwrap(); 1 << 10];
            forms.push((blocks.add(&bytes, index), bytes));
        }
        let sizes: Vec<usize> = blocks.0.iter().map(|block| block.capacity() >> 10).collect();
        assert_eq!(sizes, [4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024, 1024]);
        assert!(blocks.0.iter().all(|block| block.len() == block.capacity()));
        assert!(forms.iter().all(|(form, bytes)| form.len() == bytes.len() && blocks.of(form) == bytes.as_slice()));
    }

    #[test]
    fn memory_is_that_of_the_forms_and_of_each_table() {
        let patterns = patterns(&[b"one form of them", b"another form of them"]);
        let Patterns { blocks, keyed, shifts, slots, prefixes } = &patterns;
        assert_eq!((keyed.capacity(), size_of::<Keyed>(), prefixes.links.capacity(), size_of::<Link>()), (2, 40, 2, 24));
        assert_eq!((blocks.0.len(), shifts.table.len(), slots.table.capacity()), (1, 1 << 12, 8));
        assert_eq!(patterns.memory_bytes(), (4 << 10) + 2 * 40 + (1 << 12) + 8 * 4 + 2 * 24);
    }

    /// All of them in one place would have every place of a text compared.
    #[test]
    fn grams_are_spread_over_the_whole_table() {
        for bits in [12, 22] {
            let places: std::collections::HashSet<usize> = (0..1_u32 << 12).map(|gram| place(&gram.to_le_bytes(), bits)).collect();
            assert!(places.len() > 1 << 11, "{} places of {bits} bits", places.len());
            assert!(places.iter().all(|place| *place < 1 << bits), "{bits} bits");
        }
    }

    #[test]
    fn of_many_that_begin_alike_any_is_reached_in_few_steps() {
        let longest = vec![b'a'; 2000];
        let forms: Vec<&[u8]> = (8..=longest.len()).map(|bytes| &longest[..bytes]).collect();
        let prefixes = Prefixes::new(forms.iter().copied());
        let last = forms.len() - 1;
        for wanted in 0..last {
            let (mut at, mut steps) = (last, 0);
            while at != wanted {
                let Link { near, far, .. } = prefixes.link(at).unwrap();
                at = if far >= wanted { far } else { near };
                steps += 1;
            }
            assert!(steps <= 3 * last.ilog2(), "{steps} steps from {last} to {wanted}");
        }
    }
}
