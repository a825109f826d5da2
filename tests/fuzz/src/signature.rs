//! Signatures in the bytes of programs.

use wardroom_core::program::Format;
use wardroom_core::signature::{Carried, SIGNATURE_BYTES, SignerKey, Unsigned};

/// A format, and a program's bytes: one that carries a signature is spelled in
/// exactly one way, and one that carries none carries what it is given.
pub fn signature(bytes: &[u8]) {
    let Some((format, bytes)) = bytes.split_first() else { return };
    let format = match format % 4 {
        0 => Format::Component,
        1 => Format::Module,
        2 => Format::JavaScript,
        _ => Format::TypeScript,
    };
    match Carried::find(format, bytes) {
        Ok(Some(carried)) => {
            let again = Unsigned::new(format, carried.covered())
                .map(|unsigned| (unsigned.signed_text(), unsigned.with(carried.signer(), carried.signature())));
            assert_eq!(again, Ok((carried.signed_text(), bytes.to_vec())), "one signature has two spellings, or is of another text");
        }
        // A preamble that is cut has no sections behind it.
        Ok(None) if format.is_script() || bytes.len() >= 8 => {
            let signer = SignerKey::from_bytes([7; 32]);
            let signed =
                Unsigned::new(format, bytes).map(|unsigned| (unsigned.signed_text(), unsigned.with(signer, &[9; SIGNATURE_BYTES])));
            let found = signed.as_ref().map(|(_, bytes)| Carried::find(format, bytes));
            let found = found.map(|found| found.map(|found| found.map(|carried| (carried.signer(), carried.signed_text()))));
            let text = signed.as_ref().map(|(text, _)| text.clone()).unwrap_or_default();
            assert_eq!(found, Ok(Ok(Some((signer, text)))), "what was signed carries no signature, or another one");
        }
        Ok(None) | Err(_) => {}
    }
}
