//! Standard output and error of a guest: captured under a cap, or split into
//! log lines. A guest never writes to a stream of ours.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wardroom_core::credential::{Redact, RedactStream};
use wardroom_core::log::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::notes::Notes;

/// Bytes that a guest may write in one call.
const CHUNK: usize = 64 << 10;
/// Bytes of one line of a guest that never breaks lines.
const LINE_BYTES: usize = 16 << 10;

/// Where a guest's bytes go, once the redactor has let them pass.
#[derive(Clone)]
pub(crate) struct Capture(Arc<Mutex<Gauge>>);

struct Gauge {
    redact: Box<dyn RedactStream>,
    /// What the redactor has let pass; empty between two writes.
    clean: Vec<u8>,
    sink: Sink,
}

enum Sink {
    /// Kept as the result.
    Kept { bytes: Vec<u8>, cap: usize, truncated: bool },
    /// Split into log lines.
    Lines { notes: Arc<Notes>, level: Level, partial: Vec<u8> },
}

impl Capture {
    /// Keeps up to `cap` bytes and drops the rest.
    pub(crate) fn keeping(cap: u64, redact: &dyn Redact) -> Self {
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        Self::into(Sink::Kept { bytes: Vec::new(), cap, truncated: false }, redact)
    }

    /// Sends each line to the notes.
    pub(crate) fn lines(notes: Arc<Notes>, level: Level) -> Self {
        let sink = Sink::Lines { notes: notes.clone(), level, partial: Vec::new() };
        Self::into(sink, notes.redactor())
    }

    fn into(sink: Sink, redact: &dyn Redact) -> Self {
        Self(Arc::new(Mutex::new(Gauge { redact: redact.stream(), clean: Vec::new(), sink })))
    }

    fn write(&self, bytes: &[u8]) {
        let Gauge { redact, clean, sink } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        redact.push(bytes, clean);
        sink.take(clean);
        clean.clear();
    }

    /// What was kept, and whether something was dropped; a last line without a
    /// line break is said.
    pub(crate) fn finish(&self) -> (Vec<u8>, bool) {
        let Gauge { redact, clean, sink } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        redact.finish(clean);
        sink.take(clean);
        clean.clear();
        match sink {
            Sink::Kept { bytes, truncated, .. } => (std::mem::take(bytes), *truncated),
            Sink::Lines { notes, level, partial } => {
                if !partial.is_empty() {
                    say(notes, *level, partial);
                }
                (Vec::new(), false)
            }
        }
    }
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) {
        match self {
            Self::Kept { bytes: kept, cap, truncated } => {
                let room = cap.saturating_sub(kept.len()).min(bytes.len());
                kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
                *truncated |= room < bytes.len();
            }
            Self::Lines { notes, level, partial } => {
                for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                    partial.extend_from_slice(piece);
                    if piece.ends_with(b"\n") || partial.len() >= LINE_BYTES {
                        say(notes, *level, partial);
                    }
                }
            }
        }
    }
}

fn say(notes: &Notes, level: Level, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line);
    notes.say(level, text.trim_end_matches(['\n', '\r']));
    line.clear();
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    // The default goes through a task of its own, and what it still holds is
    // lost when a guest traps.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Capture {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Self::write(&self, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
