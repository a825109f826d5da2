//! Which headers cross the wire.
//!
//! The framing of a message is ours alone: Host comes from the checked target,
//! Transfer-Encoding from the client, and whatever concerns the connection
//! itself is dropped in both directions. A guest that sets them gains nothing,
//! and two parsers along the way never see two framings (request smuggling).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use wardroom_core::capability::net::HttpTarget;

use super::{MAX_REQUEST_HEAD_BYTES, WireError};

/// Headers of the connection rather than of the message (RFC 9110, 7.6.1),
/// those that would change the framing or the protocol, and Host.
const HOP_BY_HOP: [&str; 13] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a guest may neither set nor see this header.
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

/// The headers as they leave.
///
/// # Errors
///
/// [`WireError::ContentLength`], [`WireError::RequestHead`].
pub(super) fn outgoing(guest: HeaderMap, target: &HttpTarget, body_length: Option<u64>) -> Result<HeaderMap, WireError> {
    let mut headers = without_hop_by_hop(guest);
    check_length(&headers, body_length)?;
    let host = HeaderValue::try_from(target.authority()).map_err(|_| WireError::Target)?;
    headers.insert(header::HOST, host);
    // name, colon, space, value, line end
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > MAX_REQUEST_HEAD_BYTES {
        return Err(WireError::RequestHead { limit: MAX_REQUEST_HEAD_BYTES });
    }
    Ok(headers)
}

/// The headers as the guest sees them.
pub(super) fn incoming(server: HeaderMap) -> HeaderMap {
    without_hop_by_hop(server)
}

/// Also drops what `Connection` names, as every intermediary must.
/// Whether a response is framed by its length or in chunks, and not packed on
/// the way besides (RFC 9112, 6.1): what nobody unpacks nobody looks through.
pub(super) fn is_plainly_framed(server: &HeaderMap) -> bool {
    let codings = server.get_all(header::TRANSFER_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"chunked"))
}

fn without_hop_by_hop(mut headers: HeaderMap) -> HeaderMap {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // It must not be used to take the length away from under the framing.
        .filter(|name| name != header::CONTENT_LENGTH)
        .collect();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    for name in listed {
        headers.remove(name);
    }
    headers
}

/// One length, digits only (RFC 9110, 8.6), and that of the body where it is
/// known before it is sent.
fn check_length(headers: &HeaderMap, body_length: Option<u64>) -> Result<(), WireError> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let text = value.as_bytes();
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let length: Option<u64> = value.to_str().ok().and_then(|text| text.parse().ok());
    let fits = length.is_some() && (body_length.is_none() || body_length == length);
    if digits && fits && values.next().is_none() { Ok(()) } else { Err(WireError::ContentLength) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        map
    }

    fn target() -> HttpTarget {
        HttpTarget::parse("POST", "http://h.example:81/").unwrap()
    }

    #[test]
    fn the_host_is_that_of_the_target_and_framing_is_ours() {
        let mut guest = map(&[("Host", "evil.example"), ("x-kept", "1"), ("connection", "close, x-listed"), ("x-listed", "1")]);
        for name in HOP_BY_HOP {
            guest.append(name, HeaderValue::from_static("chunked"));
        }
        let sent = outgoing(guest, &target(), None).unwrap();
        assert_eq!(sent, map(&[("host", "h.example:81"), ("x-kept", "1")]));
    }

    #[test]
    fn a_length_is_one_number_and_the_right_one() {
        let right = |value: &str, body| outgoing(map(&[("content-length", value)]), &target(), body).is_ok();
        assert!(right("5", Some(5)) && right("5", None));
        for value in ["+5", "5, 5", "", "0x5", "99999999999999999999", "6"] {
            assert!(!right(value, Some(5)), "{value}");
        }
        let twice = map(&[("content-length", "5"), ("content-length", "5")]);
        assert!(matches!(outgoing(twice, &target(), None), Err(WireError::ContentLength)));
        let hidden = map(&[("content-length", "5"), ("connection", "content-length")]);
        assert!(outgoing(hidden, &target(), None).unwrap().contains_key("content-length"));
    }

    #[test]
    fn a_response_is_framed_in_one_way() {
        for plain in [&[][..], &[("transfer-encoding", "chunked")], &[("transfer-encoding", "Chunked")]] {
            assert!(is_plainly_framed(&map(plain)));
        }
        for packed in ["gzip, chunked", "gzip", "chunked, deflate", "identity"] {
            assert!(!is_plainly_framed(&map(&[("transfer-encoding", packed)])), "{packed}");
        }
    }

    #[test]
    fn a_head_beyond_the_cap_is_refused() {
        let fits = map(&[("x", &"a".repeat(MAX_REQUEST_HEAD_BYTES - 100))]);
        assert!(outgoing(fits, &target(), None).is_ok());
        let long = map(&[("x", &"a".repeat(MAX_REQUEST_HEAD_BYTES))]);
        assert!(matches!(outgoing(long, &target(), None), Err(WireError::RequestHead { .. })));
    }
}
