//! Rows on their way to the thread that writes, and in the journal: MessagePack, as
//! maps of named fields (<https://github.com/msgpack/msgpack/blob/master/spec.md>).
//!
//! Whoever waits for a short run waits until its row is packed. A text goes in as it
//! is, and comes out as a part of what it was packed into: it is copied once.

use rmp_serde::Deserializer;
use serde::{Deserialize, Serialize};

use crate::DbError;

/// Bytes of most rows.
pub(crate) const USUAL: usize = 1024;

/// How deep a row is nested at most. A file may hold anything: what is deeper would
/// need more stack than a thread has.
const MAX_DEPTH: usize = 16;

/// Puts a value behind others.
pub(crate) fn pack(value: &impl Serialize, into: &mut Vec<u8>) -> Result<(), DbError> {
    rmp_serde::encode::write_named(into, value).map_err(|error| DbError::Packed(error.to_string()))
}

/// A value alone.
pub(crate) fn packed(value: &impl Serialize) -> Result<Vec<u8>, DbError> {
    let mut bytes = Vec::with_capacity(USUAL);
    pack(value, &mut bytes)?;
    Ok(bytes)
}

/// What such bytes were of.
pub(crate) fn unpacked<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DbError> {
    let mut deserializer = Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut deserializer).map_err(|error| DbError::Packed(error.to_string()))
}
