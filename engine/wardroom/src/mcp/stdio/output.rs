//! Messages on their way out: each in one piece, and several in one write.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use rmcp::service::{RoleServer, TxJsonRpcMessage};
use tokio::io::AsyncWrite;

/// Bytes of memory that are kept for the next messages.
const KEPT: usize = 64 * 1024;

/// Where messages go: the library's, and those beside it.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Out>>);

struct Out {
    to: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whole messages.
    bytes: Vec<u8>,
    /// How much of them is out.
    gone: usize,
    waiting: Arc<Waiting>,
}

/// Who wait until all is out. What is written to tells one of them alone, who may
/// not come back: so it tells this.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Output {
    pub(super) fn new(to: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self(Arc::new(Mutex::new(Out { to, bytes: Vec::new(), gone: 0, waiting: Arc::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message behind the others, to go out with them.
    ///
    /// # Errors
    ///
    /// Where it is no JSON: then no part of it goes out.
    pub(super) fn put(&self, message: &TxJsonRpcMessage<RoleServer>) -> serde_json::Result<()> {
        let mut out = self.lock();
        let before = out.bytes.len();
        let put = serde_json::to_writer(&mut out.bytes, message);
        match put {
            Ok(()) => out.bytes.push(b'\n'),
            Err(_) => out.bytes.truncate(before),
        }
        put
    }

    /// Whether all is out.
    pub(super) fn poll_out(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_out(context)
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, waker: &Waker) {
        let mut waiting = self.lock();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let waiting = mem::take(&mut *self.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Out {
    fn poll_out(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let all = Waker::from(self.waiting.clone());
        if let Poll::Ready(out) = self.poll_all(&mut Context::from_waker(&all)) {
            return Poll::Ready(out);
        }
        self.waiting.add(context.waker());
        // It may have been told since.
        self.poll_all(&mut Context::from_waker(&all))
    }

    fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.gone..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.to).poll_write(context, rest) {
                Poll::Ready(Ok(written)) if written > 0 => self.gone += written,
                Poll::Ready(written) => {
                    // Nobody reads any more.
                    (self.bytes, self.gone) = (Vec::new(), 0);
                    return Poll::Ready(Err(written.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into())));
                }
                Poll::Pending => {
                    if self.gone > self.bytes.len() / 2 {
                        self.bytes.drain(..mem::take(&mut self.gone));
                    }
                    return Poll::Pending;
                }
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.gone = 0;
        Pin::new(&mut self.to).poll_flush(context)
    }
}

impl AsyncWrite for Output {
    /// Takes all: what the library writes is whole messages.
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_out(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.lock();
        ready!(out.poll_out(context))?;
        Pin::new(&mut out.to).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use rmcp::model::{EmptyResult, JsonRpcMessage, RequestId, ServerResult};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::unix::pipe;

    use super::*;

    fn answer(id: i64) -> TxJsonRpcMessage<RoleServer> {
        JsonRpcMessage::response(ServerResult::EmptyResult(EmptyResult {}), RequestId::Number(id))
    }

    /// A test that waits for ever would say nothing.
    async fn soon<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), work).await.unwrap()
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_and_nothing_is_lost_where_a_client_reads_late() {
        let (sender, mut receiver) = pipe::pipe().unwrap();
        let output = Output::new(Box::new(sender));
        // More than a pipe takes.
        let long = vec![b'x'; 1 << 20];
        let writers = ["a", "b", "c"].map(|_| {
            let (mut output, long) = (output.clone(), long.clone());
            tokio::spawn(async move {
                output.write_all(&long).await.unwrap();
                output.flush().await.unwrap();
            })
        });
        tokio::task::yield_now().await;
        output.put(&answer(1)).unwrap();
        // This one asks last, and goes away.
        assert!(poll_fn(|context| Poll::Ready(output.poll_out(context))).await.is_pending());
        let mut read = vec![0; 3 << 20];
        soon(receiver.read_exact(&mut read)).await.unwrap();
        assert!(read.iter().all(|byte| *byte == b'x'));
        for writer in writers {
            soon(writer).await.unwrap();
        }
        soon(poll_fn(|context| output.poll_out(context))).await.unwrap();
        let mut last = [0; 100];
        let count = receiver.read(&mut last).await.unwrap();
        assert_eq!(std::str::from_utf8(&last[..count]).unwrap(), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    }

    #[tokio::test]
    async fn where_nobody_reads_any_more_nothing_is_kept() {
        let (sender, receiver) = pipe::pipe().unwrap();
        drop(receiver);
        let output = Output::new(Box::new(sender));
        output.put(&answer(1)).unwrap();
        assert!(poll_fn(|context| output.poll_out(context)).await.is_err());
        assert!(output.lock().bytes.is_empty());
    }
}
