//! The audit log's chain: what a row's hash and code are, byte by byte.
//!
//! Pure: it must never open a file or the database. `audit` keeps the rows,
//! `audit_key` the current key.
//!
//! ```text
//!  hash_i   = SHA-256( "wardroom audit 1"      16 bytes
//!                    ‖ hash_(i-1)              32 bytes; zeros before row 1
//!                    ‖ chain                   16 bytes
//!                    ‖ seq                     8 bytes, big-endian
//!                    ‖ at_ms                   8 bytes, big-endian, two's complement
//!                    ‖ event ‖ subject ‖ actor each: length in 8 bytes, big-endian, then UTF-8
//!                    ‖ session ‖ execution     each: 00, or 01 and then as above
//!                    ‖ attempt                 00, or 01 and then 8 bytes, big-endian
//!                    ‖ detail )                length in 8 bytes, then the JSON text as stored
//!  mac_i    = HMAC-SHA256( key_i, hash_i )
//!  key_i+1  = HMAC-SHA256( key_i, "wardroom audit evolve" )
//! ```
//!
//! Every field is of fixed length or preceded by its length, so no two rows have
//! the same bytes. One key serves two purposes because their messages differ in
//! length (32 and 21 bytes) and so are never the same.
//!
//! The hashes alone show a change by whoever does not compute them anew. The
//! codes show it by anybody who came later: the key of a row is gone when the
//! row is committed, and from a later key no earlier one follows. That is a
//! forward-secure code as in Bellare and Yee, "Forward Integrity for Secure
//! Audit Logs" (1997) and "Forward-Security in Private-Key Cryptography"
//! (CT-RSA 2003), used for a log on a machine that may fall as in Schneier and
//! Kelsey, "Secure Audit Logs to Support Computer Forensics" (ACM TISSEC, 1999).
//! Whoever holds the first key ([`AuditRoot`]) can check every row.
//!
//! What this cannot show: what is written by whoever holds the current key from
//! then on, and rows whose loss goes with a key file that is as old as they are
//! missing (a folder set back as a whole).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::DbError;

const ROW_PREFIX: &[u8; 16] = b"wardroom audit 1";
const EVOLVE: &[u8] = b"wardroom audit evolve";
/// What the first row is chained to.
pub(crate) const NO_HASH: Hash = [0; 32];

/// The hash of a row.
pub(crate) type Hash = [u8; 32];

/// Which chain a row belongs to: 16 random bytes, new with each first key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId([u8; 16]);

impl ChainId {
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChainId {
    type Err = NoChainId;

    fn from_str(text: &str) -> Result<Self, NoChainId> {
        from_hex(text).map(|bytes| Self(*bytes)).ok_or(NoChainId)
    }
}

impl Serialize for ChainId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that names no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no chain: expected 32 lower-case hex digits")]
pub struct NoChainId;

/// The first key of a chain, with the chain's id: what proves every row of it.
///
/// Handed out once, to be sealed; wiped when dropped.
pub struct AuditRoot(Zeroizing<[u8; Self::BYTES]>);

impl AuditRoot {
    /// Bytes of a root: 16 of the chain's id, then 32 of the key.
    pub const BYTES: usize = 48;

    /// A new chain's.
    ///
    /// # Errors
    ///
    /// [`DbError::Random`] where the system has no random bytes.
    pub fn fresh() -> Result<Self, DbError> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| DbError::Random)?;
        Ok(Self(bytes))
    }

    /// One that was sealed and opened again; `None` where it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Whose it is.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        let mut id = [0; 16];
        id.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        ChainId(id)
    }

    pub(crate) fn of(chain: ChainId, key: &ChainKey) -> Self {
        let mut root = Zeroizing::new([0; Self::BYTES]);
        let bytes = chain.0.iter().chain(key.0.iter());
        root.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(root)
    }

    pub(crate) fn key(&self) -> ChainKey {
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(self.0.iter().skip(16)).for_each(|(to, from)| *to = *from);
        ChainKey(key)
    }
}

/// The key of one row.
pub(crate) struct ChainKey(Zeroizing<[u8; 32]>);

impl ChainKey {
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }

    pub(crate) fn expose_hex(&self) -> Zeroizing<String> {
        // Made in its final size, so that no copy of a key stays behind.
        Zeroizing::new(HEXLOWER.encode(self.0.as_slice()))
    }

    /// The next row's key.
    pub(crate) fn evolve(&self) -> Self {
        let mut next = Zeroizing::new([0; 32]);
        next.copy_from_slice(&self.hmac().chain_update(EVOLVE).finalize().into_bytes());
        Self(next)
    }

    /// The key so many rows further on.
    pub(crate) fn evolve_by(self, rows: u64) -> Self {
        (0..rows).fold(self, |key, _| key.evolve())
    }

    pub(crate) fn code(&self, hash: &Hash) -> [u8; 32] {
        self.hmac().chain_update(hash).finalize().into_bytes().into()
    }

    pub(crate) fn proves(&self, hash: &Hash, code: &[u8]) -> bool {
        self.hmac().chain_update(hash).verify_slice(code).is_ok()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        // A code of each, so that the keys themselves are not compared byte by
        // byte in a time that tells where they differ.
        other.proves(&NO_HASH, &self.code(&NO_HASH))
    }

    fn hmac(&self) -> Hmac<Sha256> {
        // RFC 2104: a key shorter than the hash's block is filled with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.0.iter()).for_each(|(to, from)| *to = *from);
        Hmac::new((&*block).into())
    }
}

/// What of a row is hashed, in that order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) chain: ChainId,
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) event: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) session: Option<&'a str>,
    pub(crate) execution: Option<&'a str>,
    pub(crate) attempt: Option<u64>,
    pub(crate) detail: &'a str,
}

impl Fields<'_> {
    /// The row's hash after the one before it.
    pub(crate) fn hash(&self, before: &Hash) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(ROW_PREFIX);
        hasher.update(before);
        hasher.update(self.chain.bytes());
        hasher.update(self.seq.to_be_bytes());
        hasher.update(self.at_ms.to_be_bytes());
        [self.event, self.subject, self.actor].into_iter().for_each(|text| put(&mut hasher, text));
        [self.session, self.execution].into_iter().for_each(|text| put_optional(&mut hasher, text, put));
        put_optional(&mut hasher, self.attempt, |hasher, attempt| hasher.update(attempt.to_be_bytes()));
        put(&mut hasher, self.detail);
        hasher.finalize().into()
    }
}

fn put(hasher: &mut Sha256, text: &str) {
    hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
    hasher.update(text);
}

fn put_optional<T>(hasher: &mut Sha256, value: Option<T>, put: impl Fn(&mut Sha256, T)) {
    hasher.update([u8::from(value.is_some())]);
    if let Some(value) = value {
        put(hasher, value);
    }
}

/// Bytes of exactly this number, in lower-case hex.
fn from_hex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let is_whole = HEXLOWER.decode_len(text.len()) == Ok(N);
    (is_whole && HEXLOWER.decode_mut(text.as_bytes(), bytes.as_mut_slice()).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ChainKey {
        ChainKey(Zeroizing::new([byte; 32]))
    }

    const ROW: Fields<'static> = Fields {
        chain: ChainId([3; 16]),
        seq: 1,
        at_ms: 2,
        event: "e",
        subject: "s",
        actor: "guest",
        session: None,
        execution: None,
        attempt: None,
        detail: "{}",
    };

    /// Written out by hand once more, so that the format is not only what the
    /// code happens to do.
    #[test]
    fn a_rows_bytes_are_those_of_the_drawing() {
        let mut bytes = b"wardroom audit 1".to_vec();
        bytes.extend([9; 32]);
        bytes.extend([3; 16]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(b"\0\0\0\0\0\0\0\x01e\0\0\0\0\0\0\0\x01s\0\0\0\0\0\0\0\x05guest");
        bytes.extend(b"\x01\0\0\0\0\0\0\0\x01t\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x02{}");
        let row = Fields { session: Some("t"), attempt: Some(7), ..ROW };
        assert_eq!(row.hash(&[9; 32]), <[u8; 32]>::from(Sha256::digest(bytes)));
    }

    #[test]
    fn rows_that_differ_anywhere_have_different_hashes() {
        let others = [
            Fields { chain: ChainId([4; 16]), ..ROW },
            Fields { seq: 2, ..ROW },
            Fields { at_ms: -2, ..ROW },
            Fields { event: "es", subject: "", ..ROW },
            Fields { subject: "t", ..ROW },
            Fields { actor: "engine", ..ROW },
            Fields { session: Some(""), ..ROW },
            Fields { execution: Some(""), ..ROW },
            Fields { attempt: Some(0), ..ROW },
            Fields { detail: "{ }", ..ROW },
        ];
        let mut hashes: Vec<Hash> = others.iter().map(|row| row.hash(&NO_HASH)).collect();
        hashes.extend([ROW.hash(&NO_HASH), ROW.hash(&[1; 32])]);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), others.len() + 2);
    }

    /// Computed with Python's `hmac`.
    #[test]
    fn codes_are_hmac_sha256() {
        let code = HEXLOWER.encode(&key(0x0b).code(&[0x61; 32]));
        assert_eq!(code, "8ad0719ef348b8b3d9d647cf3b39d33c0656892293a9f3fc0e9e3ec6eadfefb6");
        assert_eq!(key(0x0b).evolve().expose_hex().as_str(), "602129e3e4156ff7e0b83dee44d6c3d561fd25fcd5e5a7749243c2b9d5c0e055");
    }

    #[test]
    fn a_key_proves_its_own_row_alone() {
        let (first, second) = (key(1), key(1).evolve());
        let code = first.code(&[5; 32]);
        assert!(first.proves(&[5; 32], &code));
        assert!(!second.proves(&[5; 32], &code) && !first.proves(&[6; 32], &code) && !first.proves(&[5; 32], &code[..31]));
        assert!(key(1).evolve_by(3).is(&second.evolve().evolve()) && !key(1).is(&second));
    }

    #[test]
    fn a_root_is_a_chain_and_its_first_key() {
        let root = AuditRoot::of(ChainId([3; 16]), &key(4));
        let again = AuditRoot::from_bytes(root.expose_bytes()).unwrap();
        assert!(again.chain() == ChainId([3; 16]) && again.key().is(&key(4)));
        assert!(AuditRoot::from_bytes(&[0; 47]).is_none());
        let (one, other) = (AuditRoot::fresh().unwrap(), AuditRoot::fresh().unwrap());
        assert!(one.chain() != other.chain() && !one.key().is(&other.key()));
    }

    #[test]
    fn a_chain_has_exactly_one_text() {
        let chain = ChainId([0xab; 16]);
        assert_eq!(chain.to_string().parse(), Ok(chain));
        for wrong in ["", "ab", "+a", &"AB".repeat(16), &"ab".repeat(17), &"g0".repeat(16)] {
            assert_eq!(wrong.parse::<ChainId>(), Err(NoChainId), "{wrong}");
        }
    }
}
