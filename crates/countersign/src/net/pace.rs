//! How long a connection may take to say what it wants: a deadline for a head, another between requests.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Deadlines of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// From the first byte of a request (or from the start of the connection) to the end of its head.
    pub header: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub idle: Duration,
}

/// Where a connection stands; shared by its transport and its requests.
#[derive(Debug)]
pub(super) struct Pace {
    /// As it is while no request is being answered.
    phase: AtomicU8,
    /// Requests that are being answered.
    open: AtomicU32,
    reading: Reading,
    /// Who waits for bytes: an answer that ends has to start the deadline of the wait that it leaves behind.
    reader: Mutex<Option<Waker>>,
}

/// What bytes between two requests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The beginning of the next request (HTTP/1).
    ByRequest,
    /// Perhaps frames that belong to no request (HTTP/2): only a request ends the wait.
    ByConnection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Connected, nothing read yet.
    Fresh = 0,
    /// Some bytes of a head are read.
    Head = 1,
    /// A request is being answered.
    Busy = 2,
    /// Between two requests.
    Idle = 3,
}

impl Pace {
    pub(super) fn fresh(reading: Reading) -> Arc<Self> {
        let phase = AtomicU8::new(Phase::Fresh as u8);
        Arc::new(Self { phase, open: AtomicU32::new(0), reading, reader: Mutex::new(None) })
    }

    pub(super) fn head_complete(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.set(Phase::Idle);
    }

    /// Whether the connection ended within a head.
    pub(super) fn is_within_head(&self) -> bool {
        self.phase() == Phase::Head
    }

    fn answered(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.wake();
        }
    }

    fn phase(&self) -> Phase {
        if self.open.load(Ordering::Acquire) > 0 {
            return Phase::Busy;
        }
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Fresh,
            1 => Phase::Head,
            _ => Phase::Idle,
        }
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }
}

/// A transport that ends with `TimedOut` when its peer takes too long.
pub(super) struct Paced<T> {
    inner: T,
    pace: Arc<Pace>,
    pacing: Pacing,
    armed: Phase,
    sleep: Pin<Box<Sleep>>,
}

impl<T> Paced<T> {
    pub(super) fn new(inner: T, pace: Arc<Pace>, pacing: Pacing) -> Self {
        Self { inner, pace, pacing, armed: Phase::Fresh, sleep: Box::pin(sleep(pacing.header)) }
    }

    fn arm(&mut self, phase: Phase) {
        self.armed = phase;
        let after = match phase {
            Phase::Fresh | Phase::Head => self.pacing.header,
            Phase::Idle => self.pacing.idle,
            Phase::Busy => return,
        };
        self.sleep.as_mut().reset(Instant::now() + after);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let phase = self.pace.phase();
        if read.is_ready() {
            let begins = match self.pace.reading {
                Reading::ByRequest => matches!(phase, Phase::Fresh | Phase::Idle),
                Reading::ByConnection => phase == Phase::Fresh,
            };
            if buf.filled().len() > before && begins {
                self.pace.set(Phase::Head);
                self.arm(Phase::Head);
            }
            return read;
        }
        *self.pace.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // looked at again: an answer that ended just now found nobody to wake
        let phase = self.pace.phase();
        if phase != self.armed {
            self.arm(phase);
        }
        if phase != Phase::Busy && self.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// The body of an answer; when it ends, its connection waits for the next request.
pub(super) struct PacedBody<B> {
    inner: B,
    pace: Arc<Pace>,
}

impl<B> PacedBody<B> {
    pub(super) const fn new(inner: B, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for PacedBody<B> {
    fn drop(&mut self) {
        self.pace.answered();
    }
}
