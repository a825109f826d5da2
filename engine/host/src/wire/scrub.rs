//! Responses to a run that knows values of credentials: a server that echoes
//! what it was sent must not hand a value to the guest.
//!
//! ```text
//!  body ─▶ [unpack] ─▶ redactor ─▶ guest
//!          gzip, deflate, br      short bodies whole, long ones as they come
//! ```
//!
//! What describes the body follows: a short body has its new length, and keeps
//! its ETag where nothing was removed; a long one has neither.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures::TryStreamExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, response};
use http_body_util::{BodyExt as _, BodyStream};
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::StreamReader;
use wardroom_core::credential::{Redact, RedactStream};

use super::WireError;
use super::body::ResponseBody;

/// Bytes of a body that are gathered before the guest sees the head, so that
/// its length and ETag can be true.
const GATHERED: u64 = 1 << 20;
/// Bytes unpacked at a time: a packed body may be a thousand times its size,
/// and only so much of it is ever in memory.
const STEP: usize = 16 << 10;

/// What says something about a body's bytes, and is no longer true of others.
const DESCRIBING: [HeaderName; 4] = [header::CONTENT_LENGTH, header::ETAG, header::CONTENT_RANGE, header::ACCEPT_RANGES];
const DIGESTS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

/// Attached to a response whose body was unpacked to be looked through: how it
/// was packed, for whoever judges the bytes as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacked(pub(super) &'static str);

/// A response's body on its way to the guest.
pub struct AnswerBody(Answer);

enum Answer {
    /// Nothing is known that could stand in it.
    Plain(ResponseBody),
    /// Gathered and looked through.
    Gathered(Bytes),
    /// Looked through as it comes.
    Scrubbed(Box<Scrubbed>),
}

struct Scrubbed {
    bytes: Pin<Box<dyn AsyncRead + Send>>,
    redact: Box<dyn RedactStream>,
    /// What the ceiling leaves of what is unpacked.
    left: u64,
    limit: u64,
    ended: bool,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AnswerBody").finish_non_exhaustive()
    }
}

/// A response as the guest may see it.
pub(super) async fn response(
    mut parts: response::Parts,
    body: ResponseBody,
    limit: u64,
    redact: Option<&dyn Redact>,
) -> Result<Response<AnswerBody>, WireError> {
    let Some(redact) = redact.filter(|redact| !redact.is_idle()) else {
        return Ok(Response::from_parts(parts, AnswerBody(Answer::Plain(body))));
    };
    let encoding = Encoding::of(&parts.headers)?;
    scrub_fields(&mut parts.headers, redact);
    if body.is_end_stream() {
        return Ok(Response::from_parts(parts, AnswerBody(Answer::Gathered(Bytes::new()))));
    }
    let short = body.size_hint().exact().is_some_and(|length| length <= GATHERED) && encoding == Encoding::Identity;
    if short {
        return gathered(parts, body, redact).await;
    }
    forget(&mut parts.headers);
    parts.headers.remove(header::CONTENT_ENCODING);
    if encoding != Encoding::Identity {
        parts.extensions.insert(Unpacked(encoding.name()));
    }
    let scrubbed = Scrubbed { bytes: encoding.unpack(body), redact: redact.stream(), left: limit, limit, ended: false };
    Ok(Response::from_parts(parts, AnswerBody(Answer::Scrubbed(Box::new(scrubbed)))))
}

async fn gathered(mut parts: response::Parts, body: ResponseBody, redact: &dyn Redact) -> Result<Response<AnswerBody>, WireError> {
    let before = body.collect().await?.to_bytes();
    let after = match redact.bytes(&before) {
        std::borrow::Cow::Borrowed(_) => before,
        std::borrow::Cow::Owned(after) => {
            forget(&mut parts.headers);
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(after.len()));
            Bytes::from(after)
        }
    };
    Ok(Response::from_parts(parts, AnswerBody(Answer::Gathered(after))))
}

fn forget(headers: &mut HeaderMap) {
    for name in DESCRIBING {
        headers.remove(name);
    }
    for name in DIGESTS {
        headers.remove(name);
    }
}

/// Removes values from every field. Names are in lower case by now: one that
/// holds a value in that form goes whole.
fn scrub_fields(headers: &mut HeaderMap, redact: &dyn Redact) {
    let named: Vec<HeaderName> =
        headers.keys().filter(|name| matches!(redact.text(name.as_str()), std::borrow::Cow::Owned(_))).cloned().collect();
    for name in named {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        if let std::borrow::Cow::Owned(after) = redact.bytes(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&after).unwrap_or(HeaderValue::from_static("[redacted]"));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
}

impl Encoding {
    /// RFC 9110, 8.4. One coding at most: what is packed twice was packed to
    /// get past somebody.
    fn of(headers: &HeaderMap) -> Result<Self, WireError> {
        let mut found = Self::Identity;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let text = value.to_str().map_err(|_| WireError::Encoding)?;
            for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let coding = Self::named(word).ok_or(WireError::Encoding)?;
                match (found, coding) {
                    (_, Self::Identity) => {}
                    (Self::Identity, coding) => found = coding,
                    _ => return Err(WireError::Encoding),
                }
            }
        }
        Ok(found)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }

    fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            _ => None,
        }
    }

    fn unpack(self, body: ResponseBody) -> Pin<Box<dyn AsyncRead + Send>> {
        let frames = TryStreamExt::map_err(BodyStream::new(body), io::Error::other);
        // Trailers are no bytes of the body, and not looked through.
        let reader = StreamReader::new(Box::pin(frames.try_filter_map(|frame| std::future::ready(Ok(frame.into_data().ok())))));
        match self {
            Self::Identity => Box::pin(reader),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Self::Deflate => Box::pin(ZlibDecoder::new(reader)),
            Self::Brotli => Box::pin(BrotliDecoder::new(reader)),
        }
    }
}

impl Scrubbed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let mut out = Vec::new();
        while !self.ended && out.is_empty() {
            let mut space = [0; STEP];
            let mut piece = ReadBuf::new(&mut space);
            match ready!(self.bytes.as_mut().poll_read(cx, &mut piece)) {
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(wire_error(error))));
                }
                Ok(()) if piece.filled().is_empty() => {
                    self.ended = true;
                    self.redact.finish(&mut out);
                }
                Ok(()) => match self.left.checked_sub(piece.filled().len() as u64) {
                    Some(left) => {
                        self.left = left;
                        self.redact.push(piece.filled(), &mut out);
                    }
                    None => {
                        self.ended = true;
                        return Poll::Ready(Some(Err(WireError::ResponseBody { limit: self.limit })));
                    }
                },
            }
        }
        Poll::Ready((!out.is_empty()).then(|| Ok(Frame::data(out.into()))))
    }
}

/// What the connection says comes through the unpacking as it was; what the
/// unpacking says is about the server's bytes.
fn wire_error(error: io::Error) -> WireError {
    match error.downcast::<WireError>() {
        Ok(error) => error,
        Err(_) => WireError::Protocol { source: None },
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        match &mut self.0 {
            Answer::Plain(body) => Pin::new(body).poll_frame(cx),
            Answer::Gathered(bytes) if bytes.is_empty() => Poll::Ready(None),
            Answer::Gathered(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Answer::Scrubbed(scrubbed) => scrubbed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Answer::Plain(body) => body.is_end_stream(),
            Answer::Gathered(bytes) => bytes.is_empty(),
            Answer::Scrubbed(scrubbed) => scrubbed.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Answer::Plain(body) => body.size_hint(),
            Answer::Gathered(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Answer::Scrubbed(_) => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn one_coding_is_unpacked_and_no_other() {
        let of = |values: &[&'static str]| Encoding::of(&headers(values)).ok();
        assert_eq!(of(&[]), Some(Encoding::Identity));
        assert_eq!(of(&["GZip"]), Some(Encoding::Gzip));
        assert_eq!(of(&["identity, br"]), Some(Encoding::Brotli));
        assert_eq!(of(&["deflate"]), Some(Encoding::Deflate));
        for refused in [&["gzip, gzip"][..], &["gzip", "br"], &["zstd"], &["compress"], &["x"]] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
    }
}
