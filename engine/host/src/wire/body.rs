//! Bodies with a ceiling, counted while they stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, timeout};
use wardroom_core::credential::{MAX_FILLED_BODY_BYTES, PLACEHOLDER_PREFIX, PLACEHOLDER_RANDOM_HEX, holds_placeholder};

use super::{BoxError, Slot, WireError};

/// A request's body: what is held back of it, and what is still to come.
pub(super) struct Source<B> {
    front: Bytes,
    /// `None`: the front is all of it.
    rest: Option<Pin<Box<B>>>,
}

impl<B> Source<B> {
    /// Nothing held back.
    pub(super) fn streaming(body: B) -> Self {
        Self { front: Bytes::new(), rest: Some(Box::pin(body)) }
    }

    /// All of it.
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self { front: bytes.into(), rest: None }
    }

    /// The body, where all of it is here.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.rest.is_none().then_some(&self.front)
    }
}

impl<B> Source<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Takes in a body up to [`MAX_FILLED_BODY_BYTES`]; what is longer stays a
    /// stream.
    pub(super) async fn hold(body: B, patience: Duration) -> Result<Self, WireError> {
        let mut rest = Box::pin(body);
        let mut front = Vec::new();
        let whole = timeout(patience, async {
            while front.len() <= MAX_FILLED_BODY_BYTES {
                match poll_fn(|cx| rest.as_mut().poll_frame(cx)).await {
                    // A guest's trailers are not sent, and end its body.
                    None => return Ok(true),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => front.extend_from_slice(&data),
                        Err(_) => return Ok(true),
                    },
                    Some(Err(_)) => return Err(WireError::Incomplete),
                }
            }
            Ok(false)
        });
        let whole = whole.await.map_err(|_| WireError::FirstByteTimeout)??;
        Ok(Self { front: front.into(), rest: (!whole).then_some(rest) })
    }
}

/// Why a body was stopped: the HTTP client hands an error of the body on in
/// more than one shape, or not at all.
#[derive(Debug, Default)]
pub(super) struct Stop {
    over: AtomicBool,
    placeholder: AtomicBool,
}

impl Stop {
    /// It was longer than allowed.
    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A placeholder stood in it.
    pub(super) fn placeholder(&self) -> bool {
        self.placeholder.load(Ordering::Relaxed)
    }
}

/// A request's body that fails at its first byte too many, and where a
/// placeholder turns up in what is streamed.
pub(super) struct RequestBody<B> {
    source: Source<B>,
    left: u64,
    /// The last bytes sent, as many as a placeholder can begin with unseen;
    /// `None` for a body that the vault has seen whole.
    seam: Option<Vec<u8>>,
    stop: Arc<Stop>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(source: Source<B>, limit: u64) -> (Self, Arc<Stop>) {
        let stop = Arc::new(Stop::default());
        let seam = source.rest.is_some().then(Vec::new);
        (Self { source, left: limit, seam, stop: Arc::clone(&stop) }, stop)
    }

    fn pass(&mut self, data: Bytes) -> Result<Frame<Bytes>, BoxError> {
        let Some(left) = self.left.checked_sub(length(&data)) else {
            self.stop.over.store(true, Ordering::Relaxed);
            return Err(Stopped.into());
        };
        self.left = left;
        if self.finds_placeholder(&data) {
            self.stop.placeholder.store(true, Ordering::Relaxed);
            return Err(Stopped.into());
        }
        Ok(Frame::data(data))
    }

    fn finds_placeholder(&mut self, data: &Bytes) -> bool {
        const SEAM: usize = PLACEHOLDER_PREFIX.len() + PLACEHOLDER_RANDOM_HEX - 1;
        let Some(seam) = &mut self.seam else { return false };
        seam.extend(data.iter().take(SEAM));
        let found = holds_placeholder(seam) || holds_placeholder(data);
        if data.len() > SEAM {
            seam.clear();
            seam.extend_from_slice(data.get(data.len() - SEAM..).unwrap_or_default());
        } else if let Some(before) = seam.len().checked_sub(SEAM) {
            drop(seam.drain(..before));
        }
        found
    }
}

/// The rest of a request's body is not sent.
#[derive(Debug, thiserror::Error)]
#[error("the request's body was stopped")]
struct Stopped;

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.source.front.is_empty() {
            let front = std::mem::take(&mut self.source.front);
            return Poll::Ready(Some(self.pass(front)));
        }
        let Some(rest) = &mut self.source.rest else { return Poll::Ready(None) };
        let Some(frame) = ready!(rest.as_mut().poll_frame(cx)) else { return Poll::Ready(None) };
        // A guest's trailers would be a second chance at the headers dropped.
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { return Poll::Ready(None) };
        Poll::Ready(Some(self.pass(data)))
    }

    fn is_end_stream(&self) -> bool {
        self.source.front.is_empty() && self.source.rest.as_ref().is_none_or(|rest| rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let front = length(&self.source.front);
        let rest = self.source.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), |rest| rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(front.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(front.saturating_add(upper));
        }
        hint
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
pub(super) struct ResponseBody {
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
