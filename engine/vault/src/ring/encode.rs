//! How a value is written where it stands.

use wardroom_core::credential::CredentialKind;
use zeroize::Zeroizing;

/// The form that a place gives a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is, where a header may carry it.
    Header,
    /// Percent-encoded, as one piece of a path.
    Path,
    /// Percent-encoded.
    Query,
    /// Escaped as within a JSON string.
    Json,
    /// As `application/x-www-form-urlencoded` writes it.
    Form,
    /// As it is.
    Raw,
}

impl Encoding {
    /// What a body of this type wants.
    pub(super) fn of_body(content_type: Option<&[u8]>) -> Self {
        let text = String::from_utf8_lossy(content_type.unwrap_or_default()).to_ascii_lowercase();
        let essence = text.split(';').next().unwrap_or_default().trim();
        if essence == "application/json" || essence.ends_with("+json") {
            Self::Json
        } else if essence == "application/x-www-form-urlencoded" {
            Self::Form
        } else {
            Self::Raw
        }
    }

    /// Whether what stands before a placeholder would take the beginning of the
    /// value into an escape of its own: a server that hands back what it decoded
    /// would hand back the value in a form that nobody looks for.
    pub(super) fn swallows(self, before: &[u8]) -> bool {
        match self {
            Self::Path | Self::Query | Self::Form => {
                let head = before.len() - hex_run(before).min(1);
                before.ends_with(b"%") || before.get(..head).is_some_and(|head| head.ends_with(b"%"))
            }
            Self::Json => {
                let open = |head: &[u8]| head.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
                let unicode = (0..=hex_run(before).min(3)).any(|digits| {
                    let head = before.get(..before.len() - digits).unwrap_or_default();
                    head.strip_suffix(b"u").is_some_and(open)
                });
                open(before) || unicode
            }
            Self::Header | Self::Raw => false,
        }
    }

    /// Whether whoever reads the place takes `%77` for `w`.
    pub(super) const fn is_percent(self) -> bool {
        matches!(self, Self::Path | Self::Query | Self::Form)
    }

    /// The value in this form; `None` where it has none. Everything is wiped
    /// that does not become part of the request.
    pub(super) fn write(self, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Header if !fits_header(value) => None,
            // Nothing, `.` and `..` would make another path of it (RFC 3986, 5.2.4).
            Self::Path if matches!(value, b"" | b"." | b"..") => None,
            Self::Header | Self::Raw => Some(Zeroizing::new(value.to_vec())),
            Self::Path | Self::Query => Some(percent_encoded(value)),
            Self::Json => json_escaped(value),
            Self::Form => Some(form_encoded(value)),
        }
    }
}

/// RFC 9110, 5.5: visible characters, space, tab, and bytes beyond ASCII. A
/// line break would begin a header of its own.
pub(super) fn fits_header(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
}

/// Everything but the unreserved characters of RFC 3986, 2.3.
pub(super) fn percent_encoded(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() * 3));
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(*byte);
        } else {
            let hex = |digit: u8| char::from_digit(u32::from(digit), 16).map_or(b'0', |c| c.to_ascii_uppercase() as u8);
            out.extend([b'%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    out
}

/// Takes `%XX` for the byte, once; anything else stays.
pub(super) fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

fn json_escaped(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(value).ok()?;
    // An escape is six bytes at most (`\u0000`).
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 6 + 2));
    serde_json::to_writer(&mut *out, text).ok()?;
    out.pop();
    out.drain(..1);
    Some(out)
}

fn form_encoded(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    url::form_urlencoded::byte_serialize(value).for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    out
}

fn hex_run(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).count()
}

/// Bytes of a piece of an address from which on it is as secret as the whole.
/// Shorter ones are words such as `services` and `hooks`.
const SECRET_PIECE: usize = 12;

/// What else of a value is as secret as the whole: of an address what follows
/// its host, and its long pieces; of a form every text in it.
pub(super) fn parts(kind: CredentialKind, value: &[u8]) -> Vec<Vec<u8>> {
    match (kind, std::str::from_utf8(value)) {
        (CredentialKind::Url, Ok(text)) => address_parts(text),
        (CredentialKind::Form, Ok(text)) => form_parts(text),
        _ => Vec::new(),
    }
}

fn address_parts(text: &str) -> Vec<Vec<u8>> {
    // As it was stored, and as it stands in the request line.
    let stored = text.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..))).map(str::to_owned);
    let sent = url::Url::parse(text).ok();
    let line = sent.as_ref().map(|url| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned());
    let query = sent.as_ref().and_then(|url| url.query().map(str::to_owned));
    let bare = stored.as_ref().and_then(|path| path.strip_prefix('/')).map(str::to_owned);
    let mut parts: Vec<Vec<u8>> =
        [stored, line, query, bare].into_iter().flatten().filter(|part| part.len() > 1).map(String::into_bytes).collect();
    if let Some(url) = &sent {
        let pieces = url.path_segments().into_iter().flatten().map(str::to_owned);
        let fields = url.query_pairs().map(|(_, value)| value.into_owned());
        parts.extend(pieces.chain(fields).filter(|piece| piece.len() >= SECRET_PIECE).map(String::into_bytes));
    }
    parts.dedup();
    parts
}

fn form_parts(text: &str) -> Vec<Vec<u8>> {
    let fields = match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => return Vec::new(),
    };
    let texts = fields.into_iter().filter_map(|(_, field)| match field {
        serde_json::Value::String(text) => Some(text.into_bytes()),
        _ => None,
    });
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(encoding: Encoding, value: &str) -> Option<String> {
        encoding.write(value.as_bytes()).map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn every_place_has_its_form() {
        let value = "a b/\"é\n~";
        assert_eq!(written(Encoding::Query, value).as_deref(), Some("a%20b%2F%22%C3%A9%0A~"));
        assert_eq!(written(Encoding::Form, value).as_deref(), Some("a+b%2F%22%C3%A9%0A%7E"));
        assert_eq!(written(Encoding::Json, value).as_deref(), Some("a b/\\\"é\\n~"));
        assert_eq!(written(Encoding::Raw, value).as_deref(), Some(value));
        assert_eq!(written(Encoding::Header, value), None);
        assert_eq!(written(Encoding::Path, ".."), None);
        assert!(Encoding::Json.write(b"\xff").is_none() && Encoding::Header.write(b"\xff").is_some());
    }

    #[test]
    fn the_type_of_a_body_is_read_without_its_parameters() {
        let of = |text: &str| Encoding::of_body(Some(text.as_bytes()));
        assert_eq!(of("Application/JSON; charset=utf-8"), Encoding::Json);
        assert_eq!(of("application/vnd.api+json"), Encoding::Json);
        assert_eq!(of("application/x-www-form-urlencoded"), Encoding::Form);
        assert!(of("text/plain") == Encoding::Raw && Encoding::of_body(None) == Encoding::Raw);
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(percent_decoded(b"%77%2577%zz%7"), b"w%77%zz%7");
    }

    #[test]
    fn the_parts_of_a_value_are_known() {
        let texts = |kind, value: &str| -> Vec<String> {
            parts(kind, value.as_bytes()).into_iter().map(|part| String::from_utf8_lossy(&part).into_owned()).collect()
        };
        assert_eq!(texts(CredentialKind::Url, "https://h.example/a/b?k=v"), ["/a/b?k=v", "k=v", "a/b?k=v"]);
        let long = "https://h.example/services/0123456789ab?k=a%20long%20value";
        let pieces = ["0123456789ab", "a long value"].map(str::to_owned);
        assert!(pieces.iter().all(|piece| texts(CredentialKind::Url, long).contains(piece)));
        assert_eq!(texts(CredentialKind::Url, "https://h.example"), [""; 0]);
        assert_eq!(texts(CredentialKind::Form, r#"{"user":"me","port":5,"password":"p\"w"}"#), ["me", "p\"w"]);
        assert_eq!(texts(CredentialKind::ApiKey, "https://h.example/a"), [""; 0]);
    }
}
