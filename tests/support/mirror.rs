//! Servers that hand back the credential they were sent, in every way that one
//! does: what a guest must not get.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::server::Request;

/// Every form that is handed back.
pub(crate) const FORMS: [&str; 24] = [
    "plain",
    "chunked",
    "single-bytes",
    "gzip",
    "gzip-chunked",
    "deflate",
    "br",
    "base64",
    "base64-in-text",
    "base64url",
    "hex",
    "HEX",
    "percent",
    "json",
    "json-twice",
    "reversed",
    "header",
    "location",
    "cookie",
    "etag",
    "range",
    "html",
    "late",
    "trailer",
];

/// The token of `Authorization: Bearer TOKEN`.
pub(crate) fn token(request: &Request) -> String {
    let field = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
    field.strip_prefix("Bearer ").unwrap_or(field).to_owned()
}

/// An answer, byte for byte.
pub(crate) fn answer(form: &str, request: &Request) -> Vec<u8> {
    let token = token(request);
    let text = |body: String| whole(&[], body.as_bytes());
    match form {
        "chunked" => chunked(&[], format!("you sent {token}, thanks").as_bytes(), 7),
        "single-bytes" => chunked(&[], format!("you sent {token}, thanks").as_bytes(), 1),
        "gzip" => whole(&["content-encoding: gzip"], &gzip(format!("you sent {token}").as_bytes())),
        "gzip-chunked" => chunked(&["content-encoding: gzip"], &gzip(format!("you sent {token}").as_bytes()), 3),
        "deflate" => whole(&["content-encoding: deflate"], &deflate(token.as_bytes())),
        "br" => whole(&["content-encoding: br"], &brotli(format!("you sent {token}").as_bytes())),
        "base64" => text(STANDARD.encode(&token)),
        "base64-in-text" => text(format!("{}|{}", STANDARD.encode(format!("a{token}z")), STANDARD.encode(format!("ab{token}z")))),
        "base64url" => text(URL_SAFE_NO_PAD.encode(format!("xx{token}"))),
        "hex" => text(hex(&token, false)),
        "HEX" => text(hex(&token, true)),
        "percent" => text(percent(&token)),
        "json" => text(serde_json::json!({ "token": token }).to_string()),
        "json-twice" => text(serde_json::json!({ "inner": serde_json::json!({ "token": token }).to_string() }).to_string()),
        "reversed" => text(token.chars().rev().collect()),
        "header" => whole(&[&format!("x-token: {token}")], b"see the header"),
        "location" => whole(&[&format!("content-location: /a?token={}", percent(&token))], b"see the header"),
        "cookie" => whole(&[&format!("set-cookie: t={token}; Path=/")], b"see the header"),
        "etag" => whole(&[&format!("etag: \"{token}\"")], b"see the tag"),
        "range" => whole(&["content-range: bytes 0-9/99", "accept-ranges: bytes"], token.as_bytes()),
        "html" => text(format!("<p>{}</p>", token.replace('&', "&amp;").replace('<', "&lt;"))),
        // Beyond what is gathered before the head is shown.
        "late" => text(format!("{}{token}", "x".repeat(3 << 20))),
        "trailer" => format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: {token}\r\n\r\n"
        )
        .into_bytes(),
        "transfer-gzip" => {
            let plain = chunked(&[], &gzip(token.as_bytes()), 9);
            let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: gzip, chunked\r\n\r\n".to_vec();
            let head = plain.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            answer.extend(&plain[head..]);
            answer
        }
        // Encodings that nobody asked for and that cannot be looked into.
        "zstd" => whole(&["content-encoding: zstd"], token.as_bytes()),
        "gzip-gzip" => whole(&["content-encoding: gzip, gzip"], &gzip(&gzip(token.as_bytes()))),
        // Announced as packed, and not: the token would pass as it is.
        "not-gzip" => whole(&["content-encoding: gzip"], token.as_bytes()),
        "characters" => text(token.chars().map(|c| format!("{c} ")).collect()),
        _ => text(format!("you sent {token}")),
    }
}

fn whole(fields: &[&str], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for field in fields {
        answer.extend(format!("{field}\r\n").into_bytes());
    }
    answer.extend(b"\r\n");
    answer.extend(body);
    answer
}

fn chunked(fields: &[&str], body: &[u8], size: usize) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n".to_vec();
    for field in fields {
        answer.extend(format!("{field}\r\n").into_bytes());
    }
    answer.extend(b"\r\n");
    for piece in body.chunks(size) {
        answer.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        answer.extend(piece);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    answer
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut packed, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    packed
}

pub(crate) fn hex(text: &str, upper: bool) -> String {
    text.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
}

pub(crate) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
