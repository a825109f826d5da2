//! Entries of the journal: how an execution that is over lies in a file.
//!
//! ```text
//!  length   2 bytes, the lowest first, of the row
//!  check    2 bytes, the length with each bit turned round
//!  sum      4 bytes, the lowest first: CRC-32 of the row (RFC 1952, section 8)
//!  row      MessagePack (packed.rs)
//!  end      a line break: all before it was written
//! ```
//!
//! Entries follow each other; zeros follow the last. So an entry that was being
//! written when its process died is told from one that was damaged: nobody was
//! answered about the first. Behind a damaged one the next whole one is looked for.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::iter;

use data_encoding::HEXLOWER;
use serde::{Serialize, Serializer};

use crate::DbError;
use crate::executions::Over;
use crate::packed::{USUAL, pack, unpacked};

/// Bytes of an entry at most: a long record gains nothing by waiting for others.
pub(crate) const MAX_ENTRY: usize = 16 * 1024;
/// Bytes of its length, twice.
const LENGTH: usize = 4;
/// Bytes before its row.
const HEAD: usize = LENGTH + 4;
/// What follows its row.
const END: u8 = b'\n';

/// An execution that is over, as the journal has it.
#[derive(Debug)]
pub(crate) struct Entry(Vec<u8>);

impl Entry {
    pub(crate) fn of(over: &Over<'_>) -> Result<Self, DbError> {
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.extend_from_slice(&[0; HEAD]);
        pack(over, &mut bytes)?;
        if let Some((head, row)) = bytes.split_first_chunk_mut() {
            *head = head_of(row);
        }
        bytes.push(END);
        Ok(Self(bytes))
    }

    /// As it lies in a file; none of what is too long for one.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        Some(self.0.as_slice()).filter(|bytes| bytes.len() <= MAX_ENTRY)
    }

    pub(crate) fn over(&self) -> Result<Over<'_>, DbError> {
        unpacked(self.0.get(HEAD..self.0.len().saturating_sub(1)).unwrap_or_default())
    }
}

fn head_of(row: &[u8]) -> [u8; HEAD] {
    // What is longer is in no file.
    let length = u16::try_from(row.len()).unwrap_or(u16::MAX);
    let ([a, b], [c, d], [e, f, g, h]) = (length.to_le_bytes(), (!length).to_le_bytes(), crc32fast::hash(row).to_le_bytes());
    [a, b, c, d, e, f, g, h]
}

/// The length of a row, where it is one of an entry.
fn length_of([a, b, c, d]: [u8; LENGTH]) -> Option<usize> {
    let length = u16::from_le_bytes([a, b]);
    let is_one = u16::from_le_bytes([c, d]) == !length && HEAD + usize::from(length) < MAX_ENTRY;
    is_one.then_some(usize::from(length))
}

/// What is no entry, and was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable<'a>(pub(crate) &'a [u8]);

impl Serialize for Unreadable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("unreadable", HEXLOWER.encode(self.0))])
    }
}

/// What a file holds, as bytes. What comes after a length of zero was filed, or was
/// never an entry.
pub(crate) fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut file = BufReader::new(file);
    let mut bytes = Vec::new();
    loop {
        let at = bytes.len();
        file.by_ref().take(HEAD as u64).read_to_end(&mut bytes)?;
        let Some(length) = bytes.get(at..).and_then(|head| head.first_chunk::<LENGTH>()) else { return Ok(bytes) };
        if *length == [0; LENGTH] {
            bytes.truncate(at);
            return Ok(bytes);
        }
        match length_of(*length) {
            Some(length) => drop(file.by_ref().take(length as u64 + 1).read_to_end(&mut bytes)?),
            None => {
                file.read_to_end(&mut bytes)?;
                return Ok(bytes);
            }
        }
    }
}

/// The entries in what was read, in their order, and what is none.
pub(crate) fn found(bytes: &[u8]) -> impl Iterator<Item = Result<Over<'_>, Unreadable<'_>>> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut rest = bytes.get(..end).unwrap_or_default();
    iter::from_fn(move || {
        if let Some((row, behind)) = first_whole(rest) {
            let (entry, _) = rest.split_at(rest.len() - behind.len());
            rest = behind;
            // What does not wait is in no journal.
            return Some(unpacked(row).ok().filter(Over::may_wait).ok_or(Unreadable(entry)));
        }
        if is_torn(rest) {
            return None;
        }
        let is_next = |at: &usize| rest.get(*at..).and_then(first_whole).is_some();
        let (damaged, behind) = rest.split_at((1..rest.len()).find(is_next).unwrap_or(rest.len()));
        rest = behind;
        Some(Err(Unreadable(damaged)))
    })
}

/// The row of an entry with which this begins, and what is behind that.
fn first_whole(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, behind) = bytes.split_first_chunk::<HEAD>()?;
    let (row, behind) = behind.split_at_checked(length_of(*head.first_chunk()?)?)?;
    let (end, behind) = behind.split_first()?;
    (*end == END && head_of(row) == *head).then_some((row, behind))
}

/// Whether this is all that was written of an entry when its process died, if it is
/// anything.
fn is_torn(bytes: &[u8]) -> bool {
    match bytes.first_chunk().copied().map(length_of) {
        None => true,
        Some(Some(length)) => bytes.len() <= HEAD + length,
        Some(None) => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use wardroom_core::id::ExecutionId;

    use super::*;
    use crate::testing::{ending, line, start, succeeded};
    use crate::{Ending, StartRow};

    /// An entry of the journal, of an execution of this id.
    pub(crate) fn entry_of(id: ExecutionId) -> Vec<u8> {
        let row = StartRow { id, ..start("s") };
        let outcome = succeeded();
        let end = Ending { lines: vec![line("a"), line("b")], ..ending(&outcome) };
        Entry::of(&Over::of(&row, &end).unwrap()).unwrap().0
    }

    /// Longer than any that is in a file, and right otherwise.
    fn too_long() -> Vec<u8> {
        let outcome = succeeded();
        let end = Ending { lines: vec![line(&"x".repeat(MAX_ENTRY))], ..ending(&outcome) };
        let entry = Entry::of(&Over::of(&start("s"), &end).unwrap()).unwrap();
        assert!(entry.bytes().is_none() && entry.over().is_ok());
        entry.0
    }

    /// As it would be of a row that is nothing but these bytes.
    pub(crate) fn entry_around(row: &[u8]) -> Vec<u8> {
        [&head_of(row)[..], row, &[END]].concat()
    }

    pub(crate) fn row_of(entry: &[u8]) -> &[u8] {
        &entry[HEAD..entry.len() - 1]
    }

    /// Bytes with these in the place of others, once.
    pub(crate) fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    }

    /// How many entries there are; all of it can be read.
    pub(crate) fn count(bytes: &[u8]) -> usize {
        found(bytes).inspect(|found| assert!(found.is_ok())).count()
    }

    /// As they were written; what cannot be read, apart.
    fn parts(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        for found in found(bytes) {
            match found {
                Ok(over) => entries.push(Entry::of(&over).unwrap().0),
                Err(Unreadable(bytes)) => unreadable.push(bytes.to_vec()),
            }
        }
        (entries, unreadable)
    }

    fn three() -> [Vec<u8>; 3] {
        std::array::from_fn(|_| entry_of(ExecutionId::fresh()))
    }

    #[test]
    fn what_was_read_is_what_was_written() {
        let all = three();
        assert_eq!(parts(&[all.concat(), vec![0; 9000]].concat()), (all.to_vec(), Vec::new()));
        assert_eq!(parts(&[0; 100]), (Vec::new(), Vec::new()));
        assert_eq!(parts(b""), (Vec::new(), Vec::new()));
    }

    #[test]
    fn whatever_bit_is_wrong_costs_its_own_entry_and_that_is_not_silent() {
        let [first, second, third] = three();
        let whole = [&first[..], &second, &third].concat();
        for bit in 0..second.len() * 8 {
            let mut bytes = whole.clone();
            let damaged = &mut bytes[first.len()..first.len() + second.len()];
            damaged[bit / 8] ^= 1 << (bit % 8);
            let damaged = damaged.to_vec();
            assert_eq!(parts(&bytes), (vec![first.clone(), third.clone()], vec![damaged.clone()]), "{bit}");
            // As the last, with or without zeros behind it.
            bytes.truncate(first.len() + second.len());
            let last = parts(&bytes);
            bytes.extend([0; 500]);
            assert_eq!(parts(&bytes), last, "{bit}");
            assert_eq!(last, (vec![first.clone()], vec![damaged]), "{bit}");
        }
    }

    #[test]
    fn what_was_being_written_when_its_process_died_is_nothing() {
        let [first, second, _] = three();
        for length in 0..second.len() {
            let torn = [&first[..], &second[..length]].concat();
            assert_eq!(parts(&torn), (vec![first.clone()], Vec::new()), "{length}");
            assert_eq!(parts(&[&torn[..], &[0; 9000]].concat()), (vec![first.clone()], Vec::new()), "{length}");
        }
    }

    #[test]
    fn what_does_not_wait_or_is_of_another_kind_is_no_entry() {
        let row = |from: &[u8], to: &[u8]| entry_around(&replaced(row_of(&entry_of(ExecutionId::fresh())), from, to));
        let strange = [
            row(b"\xa9is_queued\xc2", b"\xa9is_queued\xc3"),
            row(b"\xa8followed\xc3", b"\xa8followed\xc2"),
            row(b"\xa7attempt\x01", b"\xa7attempt\x02"),
            row(b"\xa6cpu_us", b"\xa6gpu_us"),
            entry_around(b"x"),
            too_long(),
            // Deeper than a thread's stack.
            entry_around(&[&b"\x81\xa1x"[..], &[0x91; 15_000]].concat()),
        ];
        for strange in strange {
            assert_eq!(parts(&strange), (Vec::new(), vec![strange.clone()]));
        }
    }

    /// Random damage of every kind, from a fixed seed (xorshift, Marsaglia 2003).
    #[test]
    fn whatever_a_file_holds_it_is_read_to_its_end() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let all = three();
        for round in 0..3000 {
            let mut bytes = Vec::new();
            for _ in 0..random(6) {
                let entry = &all[random(all.len())];
                let cut = if random(3) == 0 { random(entry.len()) } else { entry.len() };
                bytes.extend_from_slice(&entry[..cut]);
            }
            for _ in 0..random(4) {
                if !bytes.is_empty() {
                    let at = random(bytes.len());
                    bytes[at] = [0, END, 0xff, u8::try_from(random(256)).unwrap()][random(4)];
                }
            }
            bytes.extend(vec![0; random(40)]);
            let mut left = bytes.len();
            for found in found(&bytes) {
                let length = match found {
                    Ok(over) => {
                        let entry = Entry::of(&over).unwrap().0;
                        assert!(all.contains(&entry), "{round}");
                        entry.len()
                    }
                    Err(Unreadable(bytes)) => bytes.len(),
                };
                assert!(length > 0 && length <= left, "{round}");
                left -= length;
            }
        }
    }
}
