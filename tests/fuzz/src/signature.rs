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
            let Ok(unsigned) = Unsigned::new(format, carried.covered()) else { panic!("what is signed carries a signature") };
            assert_eq!(unsigned.signed_text(), carried.signed_text(), "another text is signed than verified");
            assert_eq!(unsigned.with(carried.signer(), carried.signature()), bytes, "one signature has two spellings");
        }
        Ok(None) => {
            let Ok(unsigned) = Unsigned::new(format, bytes) else { panic!("what carries no signature can be given none") };
            // A preamble that is cut has no sections behind it.
            if !format.is_script() && bytes.len() < 8 {
                return;
            }
            let (signer, text) = (SignerKey::from_bytes([7; 32]), unsigned.signed_text());
            let signed = unsigned.with(signer, &[9; SIGNATURE_BYTES]);
            let Ok(Some(carried)) = Carried::find(format, &signed) else { panic!("what was signed carries no signature") };
            assert_eq!((carried.signer(), carried.signed_text()), (signer, text));
        }
        Err(_) => {}
    }
}
