//! Bodies with a ceiling, counted while they stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::{BoxError, Slot, WireError};

/// A request's body that fails at its first byte too many.
pub(super) struct RequestBody<B> {
    inner: Pin<Box<B>>,
    left: u64,
    /// Set when the ceiling was hit: the HTTP client hands an error of the body
    /// on in more than one shape, or not at all.
    over: Arc<AtomicBool>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, limit: u64) -> (Self, Arc<AtomicBool>) {
        let over = Arc::new(AtomicBool::new(false));
        (Self { inner: Box::pin(inner), left: limit, over: Arc::clone(&over) }, over)
    }
}

/// The request's body is longer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("the request's body is longer than allowed")]
struct OverLimit;

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(frame) = ready!(self.inner.as_mut().poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(Into::into)?;
        // A guest's trailers would be a second chance at the headers dropped.
        let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
        let Some(left) = self.left.checked_sub(length(&data)) else {
            self.over.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(OverLimit.into())));
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What keeps a response alive; dropped with its end.
#[derive(Debug)]
pub(super) struct Lifeline {
    /// Moves bytes between socket and body.
    driver: JoinHandle<()>,
    _slot: Slot,
}

impl Lifeline {
    pub(super) fn new(driver: JoinHandle<()>, slot: Slot) -> Self {
        Self { driver, _slot: slot }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // In most states it ends by itself once nobody listens; not while a
        // request's body is still being sent.
        self.driver.abort();
    }
}

/// A response's body: capped, and never silent for long.
///
/// Ends with one error at most; after it, or after the last byte, the
/// connection is closed and its slot is free.
#[derive(Debug)]
pub struct ResponseBody {
    incoming: Incoming,
    left: u64,
    limit: u64,
    patience: Duration,
    /// Runs only while somebody waits: a guest may pause as long as it likes.
    silence: Pin<Box<Sleep>>,
    waiting: bool,
    /// None once the body has ended.
    lifeline: Option<Lifeline>,
}

impl ResponseBody {
    /// # Errors
    ///
    /// [`WireError::ResponseBody`] where the server says at once that it is
    /// going to be too long.
    pub(super) fn new(incoming: Incoming, limit: u64, patience: Duration, lifeline: Lifeline) -> Result<Self, WireError> {
        if incoming.size_hint().lower() > limit {
            return Err(WireError::ResponseBody { limit });
        }
        let silence = Box::pin(tokio::time::sleep(patience));
        // A response without a body frees its slot at once.
        let lifeline = (!incoming.is_end_stream()).then_some(lifeline);
        Ok(Self { incoming, left: limit, limit, patience, silence, waiting: false, lifeline })
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let Poll::Ready(next) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.wait(cx).map(|()| Some(Err(WireError::BetweenBytesTimeout)));
        };
        self.waiting = false;
        Poll::Ready(match next {
            None => None,
            Some(Err(error)) => Some(Err(WireError::from_hyper(error))),
            Some(Ok(frame)) => Some(self.count(frame)),
        })
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waiting {
            self.waiting = true;
            let end = Instant::now() + self.patience;
            self.silence.as_mut().reset(end);
        }
        self.silence.as_mut().poll(cx)
    }

    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, WireError> {
        let taken = frame.data_ref().map_or(0, length);
        self.left = self.left.checked_sub(taken).ok_or(WireError::ResponseBody { limit: self.limit })?;
        Ok(frame)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        if self.lifeline.is_none() {
            return Poll::Ready(None);
        }
        let next = ready!(self.step(cx));
        if !matches!(next, Some(Ok(_))) {
            self.lifeline = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.lifeline.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.lifeline.is_none() { SizeHint::with_exact(0) } else { self.incoming.size_hint() }
    }
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}
