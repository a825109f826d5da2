//! HMAC (RFC 2104).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use wardroom_core::credential::HmacHash;

/// The code over the pieces, one after the other.
pub(super) fn code(hash: HmacHash, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    // A key of any length is one: longer than a block it is hashed first.
    macro_rules! over {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(key).map(|mut mac| {
                pieces.iter().for_each(|piece| mac.update(piece));
                mac.finalize().into_bytes().to_vec()
            })
        };
    }
    let code = match hash {
        HmacHash::Sha1 => over!(Sha1),
        HmacHash::Sha256 => over!(Sha256),
        HmacHash::Sha512 => over!(Sha512),
    };
    code.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn rfc_4231_is_reproduced() {
        let long = [0xaa; 131];
        let cases: [(&[u8], &[u8], &str, &str); 3] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ];
        for (key, message, sha256, sha512) in cases {
            assert_eq!(HEXLOWER.encode(&code(HmacHash::Sha256, key, &[message])), sha256);
            assert_eq!(HEXLOWER.encode(&code(HmacHash::Sha512, key, &[message])), sha512);
        }
    }

    #[test]
    fn rfc_2202_is_reproduced() {
        assert_eq!(HEXLOWER.encode(&code(HmacHash::Sha1, &[0x0b; 20], &[b"Hi There"])), "b617318655057264e28bc0b6fb378c8ef146be00");
        assert_eq!(
            HEXLOWER.encode(&code(HmacHash::Sha1, b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(HEXLOWER.encode(&code(HmacHash::Sha1, &[0xaa; 20], &[&[0xdd; 50]])), "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
        let larger = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(HEXLOWER.encode(&code(HmacHash::Sha1, &[0xaa; 80], &[larger.as_bytes()])), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }
}
