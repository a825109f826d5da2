//! The words of a server that are repeated: those that stand here, and no other.
//!
//! What a server says may be what it was told, in whatever field: a credential, a
//! token, a key in a query. A word out of a list is this program's own, and its
//! type says so (`&'static str`).

use serde::Deserialize;

/// Bytes of a refusal that are looked at for its word.
pub(super) const MAX_ERROR_BYTES: usize = 16 << 10;

/// OCI distribution specification, "Error Codes".
const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// Types of what comes instead of a plugin: a page, a listing, an archive, another
/// artifact.
const KINDS: [&str; 20] = [
    super::registry::MANIFEST,
    super::registry::INDEX,
    super::registry::WASM,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/gzip",
    "application/javascript",
    "application/json",
    "application/octet-stream",
    "application/xml",
    "application/zip",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
];

/// RFC 9110, 8.4.1, and the two newer ones.
const CODINGS: [&str; 5] = ["gzip", "deflate", "compress", "br", "zstd"];

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    code: String,
}

/// The word of a registry's refusal.
pub(super) fn code(bytes: &[u8]) -> Option<&'static str> {
    let refusals: Refusals = serde_json::from_slice(bytes).ok()?;
    let code = refusals.errors.into_iter().next()?.code;
    CODES.into_iter().find(|known| *known == code)
}

/// A type, without its parameters.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    let kind = text.split(';').next().unwrap_or_default();
    known(&KINDS, kind)
}

/// A way of packing.
pub(super) fn coding(text: &str) -> Option<&'static str> {
    known(&CODINGS, text)
}

fn known(words: &[&'static str], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|known| known.eq_ignore_ascii_case(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_server_says_only_known_words_are_repeated() {
        assert_eq!(code(br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"s3cret"}]}"#), Some("MANIFEST_UNKNOWN"));
        for other in [
            &b"<html>"[..],
            b"{}",
            br#"{"errors":[]}"#,
            br#"{"errors":[{"code":"T0K3NVALUE"}]}"#,
            br#"{"errors":[{"code":"DENIED T0K3N"}]}"#,
            br#"{"errors":[{"code":""}]}"#,
        ] {
            assert_eq!(code(other), None);
        }
        assert_eq!((kind("Text/HTML; charset=s3cret"), kind("s3cret; text/html"), kind("")), (Some("text/html"), None, None));
        assert_eq!((coding("GZIP"), coding("gzip, s3cret")), (Some("gzip"), None));
    }
}
