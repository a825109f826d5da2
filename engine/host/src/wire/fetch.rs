//! Requests of our own: what the operator named is fetched through the same wire,
//! with the same receipts, as what a guest asks for.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Body as _;
use wardroom_core::capability::net::GrantedRequest;

use super::scrub::{AnswerBody, Unpacked};
use super::{Call, Wire, WireError};

/// An answer whose head was read.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: HeaderMap,
    unpacked: Option<&'static str>,
    body: AnswerBody,
}

impl Wire {
    /// Sends a request that has no body.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn ask(&self, granted: GrantedRequest, headers: &[(&str, &str)], call: Call<'_>) -> Result<Answer, WireError> {
        let mut request = Request::new(Empty::<Bytes>::new());
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).map_err(|_| WireError::Target)?;
            let mut value = HeaderValue::try_from(*value).map_err(|_| WireError::Target)?;
            value.set_sensitive(name == header::AUTHORIZATION);
            request.headers_mut().append(name, value);
        }
        let response: Response<AnswerBody> = self.send(request, granted, call).await?;
        let (parts, body) = response.into_parts();
        let unpacked = parts.extensions.get::<Unpacked>().map(|Unpacked(coding)| *coding);
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, unpacked, body })
    }
}

impl Answer {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The values of a header that are text, in order.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// How its body came packed, where it was unpacked to be looked through: its
    /// bytes are not those that came.
    #[must_use]
    pub const fn unpacked(&self) -> Option<&'static str> {
        self.unpacked
    }

    /// Bytes that the server says its body has, where it says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes of the body; nothing at its end.
    ///
    /// # Errors
    ///
    /// [`WireError`]; among others [`WireError::ResponseBody`] at the first byte
    /// too many, and [`WireError::Incomplete`] where it ends too early.
    pub async fn bytes(&mut self) -> Result<Option<Bytes>, WireError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}
