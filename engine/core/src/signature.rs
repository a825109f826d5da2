//! Signatures of programs: where one lies in a program's bytes, what of them it
//! covers, and which text is signed. Nothing here knows a cipher: whether a
//! signature holds is the vault's to say.
//!
//! ```text
//!  component, module   … 00 74 12 "wardroom-signature" 01 KEY(32) SIGNATURE(64)   the last section
//!  script              … //# wardroom-signature=1:KEY(64 hex):SIGNATURE(128 hex)\n    the last line
//!
//!  signed is the text  wardroom-plugin-signature-v1\nFORMAT\nsha256:DIGEST\n
//! ```
//!
//! `DIGEST` is the SHA-256 of every byte before the signature, and nothing comes
//! after it, so that there is no byte which it does not cover: not the preamble,
//! not the manifest. One signature has one spelling. The first line of the text
//! keeps what is signed here apart from whatever else the key may sign, and FORMAT
//! keeps the same bytes apart that are JavaScript under one name and TypeScript
//! under another.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::id::Digest;
use crate::program::Format;

/// The custom section in which a component or module carries its signature.
pub const SIGNATURE_SECTION: &str = "wardroom-signature";
/// The beginning of the line in which a script carries it.
pub const SIGNATURE_LINE: &str = "//# wardroom-signature=";
/// The form that is written, and the only one that is read.
const VERSION: u8 = 1;
/// What every signed text begins with.
const DOMAIN: &str = "wardroom-plugin-signature-v1";

/// Bytes of a signer's key (RFC 8032, 5.1.5).
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature (RFC 8032, 5.1.6).
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes of the section's contents: version, key, signature.
const DATA_BYTES: usize = 1 + KEY_BYTES + SIGNATURE_BYTES;
/// Bytes of the section behind its size.
const BODY_BYTES: usize = 1 + SIGNATURE_SECTION.len() + DATA_BYTES;
/// Preamble of components and modules.
const PREAMBLE_BYTES: usize = 8;

/// Who signs: the public half of an Ed25519 key, `ed25519:` and 64 hex digits. It
/// is its own id: there is no shorter one that two keys could share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignerKey([u8; KEY_BYTES]);

impl SignerKey {
    /// What a signer's key begins with, as text.
    pub const PREFIX: &str = "ed25519:";

    /// From the 32 bytes of an encoded point. Whether it is one is not asked here.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, HEXLOWER.encode_display(&self.0))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no signer's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no signer's key: expected `ed25519:` and 64 lower-case hex digits")]
pub struct SignerKeyError(pub String);

impl FromStr for SignerKey {
    type Err = SignerKeyError;

    fn from_str(text: &str) -> Result<Self, SignerKeyError> {
        let hex = text.strip_prefix(Self::PREFIX).map(str::as_bytes);
        hex.and_then(unhex).map(Self).ok_or_else(|| SignerKeyError(text.to_owned()))
    }
}

impl TryFrom<String> for SignerKey {
    type Error = SignerKeyError;

    fn try_from(text: String) -> Result<Self, SignerKeyError> {
        text.parse()
    }
}

impl From<SignerKey> for String {
    fn from(key: SignerKey) -> Self {
        key.to_string()
    }
}

/// A signature that cannot be read, or cannot be put where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureFormError {
    /// The sections end where they should not.
    #[error("the program is no valid WebAssembly: its section at byte {0} does not end within it")]
    Sections(usize),
    /// There is something behind it: code, or a second signature.
    #[error("the program's signature at byte {0} is not the last thing in it: expected one signature, and nothing behind it")]
    NotLast(usize),
    /// A form that this build does not know.
    #[error("the program's signature has the form {0}: expected {VERSION}, the one that this Wardroom knows")]
    Version(String),
    /// Cut, longer, or spelled in another way.
    #[error("the program's signature at byte {0} is not spelled as one")]
    Form(usize),
    /// It is signed already.
    #[error("the program carries a signature already, by {0}")]
    Signed(SignerKey),
}

/// A signature as it lies in a program, and the bytes that it covers. That it is
/// there says nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried<'a> {
    format: Format,
    covered: &'a [u8],
    signer: SignerKey,
    signature: [u8; SIGNATURE_BYTES],
}

impl<'a> Carried<'a> {
    /// Looks for a program's signature; none where it has none.
    ///
    /// # Errors
    ///
    /// [`SignatureFormError`] where there is one that cannot be read, or where the
    /// bytes do not let themselves be looked through.
    pub fn find(format: Format, bytes: &'a [u8]) -> Result<Option<Self>, SignatureFormError> {
        let found = if format.is_script() { line(bytes)? } else { section(bytes)? };
        Ok(found.map(|Found { covered, signer, signature }| Self { format, covered, signer, signature }))
    }

    /// Who is said to have signed.
    #[must_use]
    pub const fn signer(&self) -> SignerKey {
        self.signer
    }

    /// The signature's 64 bytes.
    #[must_use]
    pub const fn signature(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.signature
    }

    /// The program without it.
    #[must_use]
    pub const fn covered(&self) -> &'a [u8] {
        self.covered
    }

    /// The text that is signed.
    #[must_use]
    pub fn signed_text(&self) -> String {
        signed_text(self.format, self.covered)
    }
}

/// A program without a signature, ready to be given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    format: Format,
    bytes: Vec<u8>,
}

impl Unsigned {
    /// A program that carries none. A script without a line break at its end gets
    /// one, which is signed with the rest.
    ///
    /// # Errors
    ///
    /// [`SignatureFormError::Signed`], or why the bytes cannot be looked through.
    pub fn new(format: Format, bytes: &[u8]) -> Result<Self, SignatureFormError> {
        if let Some(carried) = Carried::find(format, bytes)? {
            return Err(SignatureFormError::Signed(carried.signer));
        }
        let mut bytes = bytes.to_vec();
        if format.is_script() && !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        Ok(Self { format, bytes })
    }

    /// The text that is to be signed.
    #[must_use]
    pub fn signed_text(&self) -> String {
        signed_text(self.format, &self.bytes)
    }

    /// The program with its signature.
    #[must_use]
    pub fn with(self, signer: SignerKey, signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
        let mut bytes = self.bytes;
        if self.format.is_script() {
            let line = format!("{SIGNATURE_LINE}{VERSION}:{}:{}\n", HEXLOWER.encode(&signer.0), HEXLOWER.encode(signature));
            bytes.extend_from_slice(line.as_bytes());
        } else {
            bytes.extend_from_slice(&head());
            bytes.push(VERSION);
            bytes.extend_from_slice(&signer.0);
            bytes.extend_from_slice(signature);
        }
        bytes
    }
}

fn signed_text(format: Format, covered: &[u8]) -> String {
    let digest = Digest::from_bytes(sha2::Sha256::digest(covered).into());
    format!("{DOMAIN}\n{}\n{digest}\n", format.name())
}

struct Found<'a> {
    covered: &'a [u8],
    signer: SignerKey,
    signature: [u8; SIGNATURE_BYTES],
}

/// The section up to its contents: a custom one (binary format 5.5.3), its size,
/// the length of its name, its name. Both numbers have one byte.
fn head() -> Vec<u8> {
    const {
        assert!(BODY_BYTES < 0x80 && SIGNATURE_SECTION.len() < 0x80);
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    let numbers = [0, BODY_BYTES as u8, SIGNATURE_SECTION.len() as u8];
    [&numbers, SIGNATURE_SECTION.as_bytes()].concat()
}

/// Walks over the sections at the top of a program; what they hold is not its own.
fn section(bytes: &[u8]) -> Result<Option<Found<'_>>, SignatureFormError> {
    let mut at = PREAMBLE_BYTES;
    while at < bytes.len() {
        let cut = || SignatureFormError::Sections(at);
        let (id, rest) = bytes.get(at..).and_then(<[u8]>::split_first).ok_or_else(cut)?;
        let (size, rest) = leb128(rest).ok_or_else(cut)?;
        let body = rest.get(..size).ok_or_else(cut)?;
        let end = bytes.len() - rest.len() + size;
        if *id == 0 && custom_name(body) == Some(SIGNATURE_SECTION.as_bytes()) {
            if end != bytes.len() {
                return Err(SignatureFormError::NotLast(at));
            }
            return contents(bytes, at).map(Some);
        }
        at = end;
    }
    Ok(None)
}

/// The name of a custom section, where it has a readable one.
fn custom_name(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = leb128(body)?;
    rest.get(..length)
}

/// An unsigned number of 32 bits in LEB128 (binary format 5.2.2), and what follows.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let number = u32::try_from(number).ok()?;
            return Some((usize::try_from(number).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

/// The signature of a section that begins here and is the last.
fn contents(bytes: &[u8], at: usize) -> Result<Found<'_>, SignatureFormError> {
    let form = || SignatureFormError::Form(at);
    let (covered, section) = bytes.split_at_checked(at).ok_or_else(form)?;
    // Another spelling of the same numbers would be another program by one signature.
    let Some([version, data @ ..]) = section.strip_prefix(head().as_slice()) else {
        // A longer or shorter one has another size, and so is it of another version.
        let version = custom_version(section);
        return Err(version
            .filter(|version| *version != VERSION)
            .map_or_else(form, |version| SignatureFormError::Version(version.to_string())));
    };
    if *version != VERSION {
        return Err(SignatureFormError::Version(version.to_string()));
    }
    let (signer, signature) = data.split_first_chunk::<KEY_BYTES>().ok_or_else(form)?;
    let signature = signature.try_into().map_err(|_| form())?;
    Ok(Found { covered, signer: SignerKey(*signer), signature })
}

/// The first byte of a signature section's contents, however it is spelled.
fn custom_version(section: &[u8]) -> Option<u8> {
    let (_, body) = leb128(section.get(1..)?)?;
    let (length, rest) = leb128(body)?;
    rest.get(length).copied()
}

/// Looks for the line; it has to be the last, and there is but one.
fn line(bytes: &[u8]) -> Result<Option<Found<'_>>, SignatureFormError> {
    let prefix = SIGNATURE_LINE.as_bytes();
    let begins = |at: &usize| bytes.get(*at..).is_some_and(|rest| rest.starts_with(prefix));
    let after_break = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index + 1);
    let Some(at) = std::iter::once(0).chain(after_break).find(begins) else { return Ok(None) };
    let form = || SignatureFormError::Form(at);
    let (covered, text) = bytes.split_at_checked(at).ok_or_else(form)?;
    let behind = text.iter().position(|byte| *byte == b'\n').map(|end| text.len() - end - 1);
    if behind.is_some_and(|behind| behind > 0) {
        return Err(SignatureFormError::NotLast(at));
    }
    let mut parts = text.strip_prefix(prefix).ok_or_else(form)?.splitn(3, |byte| *byte == b':');
    let (version, signer, signature) = (parts.next().ok_or_else(form)?, parts.next(), parts.next());
    if version != VERSION.to_string().as_bytes() {
        let version: String = String::from_utf8_lossy(version).trim_end().chars().take(8).collect();
        return Err(SignatureFormError::Version(version));
    }
    let signer = signer.and_then(unhex).ok_or_else(form)?;
    let signature = signature.and_then(|text| text.strip_suffix(b"\n")).and_then(unhex).ok_or_else(form)?;
    Ok(Some(Found { covered, signer: SignerKey(signer), signature }))
}

/// Lower case alone: one key and one signature have one text.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    HEXLOWER.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    const FORMATS: [Format; 4] = [Format::Component, Format::Module, Format::JavaScript, Format::TypeScript];

    fn key(n: u8) -> SignerKey {
        SignerKey::from_bytes([n; KEY_BYTES])
    }

    fn signed(format: Format, bytes: &[u8]) -> Vec<u8> {
        Unsigned::new(format, bytes).unwrap().with(key(7), &[9; SIGNATURE_BYTES])
    }

    /// A component of nothing but one custom section.
    fn with_section(bytes: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
        let name = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        let size = u8::try_from(name.len() + data.len()).unwrap();
        // Always two bytes: sizes may be written so.
        [bytes, &[0, size & 0x7f | 0x80, size >> 7], &name, data].concat()
    }

    #[test]
    fn a_signers_key_has_exactly_one_text() {
        let text = key(0xab).to_string();
        assert_eq!(text.parse(), Ok(key(0xab)));
        assert_eq!(serde_json::from_str::<SignerKey>(&format!("\"{text}\"")).unwrap(), key(0xab));
        for wrong in
            [text.to_uppercase(), format!("{text}0"), text[..71].to_owned(), text.replace("ed25519:", ""), text.replace("ab", "+a")]
        {
            assert_eq!(wrong.parse::<SignerKey>(), Err(SignerKeyError(wrong)));
        }
    }

    #[test]
    fn the_signed_text_names_domain_format_and_digest() {
        let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(signed_text(Format::JavaScript, b""), format!("wardroom-plugin-signature-v1\njava_script\n{nothing}\n"));
        let texts: std::collections::BTreeSet<String> = FORMATS.map(|format| signed_text(format, b"")).into();
        assert_eq!(texts.len(), FORMATS.len());
    }

    #[test]
    fn a_program_without_one_carries_none() {
        for bytes in [EMPTY.to_vec(), with_section(EMPTY, "other", b"x"), with_section(EMPTY, "wardroom-signatur", &[1; 97])] {
            assert_eq!(Carried::find(Format::Component, &bytes), Ok(None));
        }
        for text in ["", "return 1;", "// # wardroom-signature=\n", "let a = '//# wardroom-signature=';", " //# wardroom-signature=1:"] {
            assert_eq!(Carried::find(Format::JavaScript, text.as_bytes()), Ok(None), "{text}");
        }
        // What a component holds is not its own.
        let inner = signed(Format::Component, EMPTY);
        let size = u8::try_from(inner.len()).unwrap();
        let outer = [EMPTY, &[4, size & 0x7f | 0x80, size >> 7], &inner].concat();
        assert_eq!(Carried::find(Format::Component, &outer), Ok(None));
    }

    #[test]
    fn nothing_stands_behind_a_signature_and_there_is_but_one() {
        let one = signed(Format::Component, EMPTY);
        let again = Unsigned { format: Format::Component, bytes: one.clone() }.with(key(1), &[1; SIGNATURE_BYTES]);
        for bytes in [with_section(&one, "other", b""), again] {
            assert_eq!(Carried::find(Format::Component, &bytes), Err(SignatureFormError::NotLast(8)));
        }
        for extra in [&[0_u8][..], b"x", &[0, 5, 1]] {
            let bytes = [&one, extra].concat();
            assert_eq!(Carried::find(Format::Component, &bytes), Err(SignatureFormError::NotLast(8)), "{extra:?}");
        }
        let one = signed(Format::JavaScript, b"return 1;");
        let again = Unsigned { format: Format::JavaScript, bytes: one.clone() }.with(key(1), &[1; SIGNATURE_BYTES]);
        for bytes in [[&one, &b"return 2;"[..]].concat(), [&one, &b"\n"[..]].concat(), again] {
            assert_eq!(Carried::find(Format::JavaScript, &bytes), Err(SignatureFormError::NotLast(10)));
        }
    }

    #[test]
    fn an_unknown_form_is_named() {
        let mut bytes = signed(Format::Component, EMPTY);
        let at = bytes.len() - DATA_BYTES;
        bytes[at] = 2;
        assert_eq!(Carried::find(Format::Component, &bytes), Err(SignatureFormError::Version("2".to_owned())));
        let longer = with_section(EMPTY, SIGNATURE_SECTION, &[3; 100]);
        assert_eq!(Carried::find(Format::Component, &longer), Err(SignatureFormError::Version("3".to_owned())));
        let empty = with_section(EMPTY, SIGNATURE_SECTION, b"");
        assert_eq!(Carried::find(Format::Component, &empty), Err(SignatureFormError::Form(8)));
        let text = String::from_utf8(signed(Format::JavaScript, b"")).unwrap().replace("=1:", "=12:");
        assert_eq!(Carried::find(Format::JavaScript, text.as_bytes()), Err(SignatureFormError::Version("12".to_owned())));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let data = [&[VERSION][..], &[7; KEY_BYTES], &[9; SIGNATURE_BYTES]].concat();
        // The same section, with a size of two bytes.
        let spelled = with_section(EMPTY, SIGNATURE_SECTION, &data);
        assert_eq!(Carried::find(Format::Component, &spelled), Err(SignatureFormError::Form(8)));
        let text = String::from_utf8(signed(Format::JavaScript, b"")).unwrap();
        for other in [text.replace('7', "A"), text.trim_end().to_owned(), text.replace('\n', "\r\n"), format!("{} \n", text.trim_end())] {
            assert_eq!(Carried::find(Format::JavaScript, other.as_bytes()), Err(SignatureFormError::Form(0)), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_attached_is_found_and_covers_all_before_it(sections in prop::collection::vec(("[a-z]{0,9}", prop::collection::vec(any::<u8>(), 0..40)), 0..5)) {
            let bytes = sections.iter().fold(EMPTY.to_vec(), |bytes, (name, data)| with_section(&bytes, name, data));
            let whole = signed(Format::Component, &bytes);
            let carried = Carried::find(Format::Component, &whole).unwrap().unwrap();
            prop_assert_eq!((carried.covered(), carried.signer(), carried.signature()), (&bytes[..], key(7), &[9; SIGNATURE_BYTES]));
            prop_assert_eq!(carried.signed_text(), Unsigned::new(Format::Component, &bytes).unwrap().signed_text());
            prop_assert_eq!(Unsigned::new(Format::Component, &whole), Err(SignatureFormError::Signed(key(7))));
        }

        #[test]
        fn scripts_are_covered_to_their_last_line(text in "([a-z/#= \r]{0,30}\n){0,4}[a-z]{0,9}") {
            prop_assume!(!text.contains(SIGNATURE_LINE));
            let whole = signed(Format::TypeScript, text.as_bytes());
            let carried = Carried::find(Format::TypeScript, &whole).unwrap().unwrap();
            let covered = std::str::from_utf8(carried.covered()).unwrap();
            prop_assert!(covered == text || covered.strip_suffix('\n') == Some(&text), "{:?}", covered);
        }

        #[test]
        fn a_cut_signature_is_never_taken_for_none(kept in 1_usize..118) {
            let whole = signed(Format::Component, EMPTY);
            prop_assert_eq!(Carried::find(Format::Component, &whole[..EMPTY.len() + kept]), Err(SignatureFormError::Sections(8)));
        }

        #[test]
        fn any_bytes_are_looked_through_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), format in 0_usize..4) {
            let bytes = if format < 2 { [EMPTY, &bytes].concat() } else { [SIGNATURE_LINE.as_bytes(), &bytes].concat() };
            if let Ok(Some(carried)) = Carried::find(FORMATS[format], &bytes) {
                let again = Unsigned::new(FORMATS[format], carried.covered()).unwrap().with(carried.signer(), carried.signature());
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
