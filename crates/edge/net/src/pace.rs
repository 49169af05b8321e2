//! How long a connection may take to say what it wants, and to take what it asked for: a deadline for a head, another between
//! requests, a third for bytes that stand ready.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

use super::rejected::Rejections;
use super::streams::Handed;

/// Deadlines of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// From the first byte of a request (or from the start of the connection) to the end of its head.
    pub header: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub idle: Duration,
    /// For which a peer may take nothing of an answer that stands ready.
    pub stall: Duration,
}

/// Where a connection stands; shared by its transport and its requests.
#[derive(Debug)]
pub(super) struct Pace {
    /// As it is while no request is being answered.
    phase: AtomicU8,
    /// Requests that are being answered.
    open: AtomicU32,
    reading: Reading,
    /// Hears that the connection is to end once what is open has ended.
    last: Notify,
    /// Streams that were rejected and not reported yet, and who waits for such.
    rejected: AtomicU32,
    rejects: Notify,
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
        let none = || AtomicU32::new(0);
        let (last, rejects) = (Notify::new(), Notify::new());
        let (open, rejected, reader) = (none(), none(), Mutex::new(None));
        Arc::new(Self { phase, open, reading, last, rejected, rejects, reader })
    }

    /// A request's head is there; the request is open until what is given is dropped.
    pub(super) fn head_complete(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.set(Phase::Idle);
        Open(Arc::clone(self))
    }

    /// Nothing more is to be answered once what is open has ended.
    pub(super) fn is_last(&self) {
        self.last.notify_one();
    }

    /// Returns once [`Self::is_last`] was said.
    pub(super) async fn ends(&self) {
        self.last.notified().await;
    }

    /// Returns once streams of this connection were rejected, and says how many.
    pub(super) async fn rejects(&self) -> u32 {
        loop {
            match self.rejected() {
                0 => self.rejects.notified().await,
                some => return some,
            }
        }
    }

    /// Streams that were rejected since this was last asked.
    pub(super) fn rejected(&self) -> u32 {
        self.rejected.swap(0, Ordering::AcqRel)
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

/// A request that is being answered. Whatever becomes of it, it is gone when this is.
pub(super) struct Open(Arc<Pace>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// A transport that ends with `TimedOut` when its peer takes too long.
pub(super) struct Paced<T> {
    inner: T,
    pace: Arc<Pace>,
    pacing: Pacing,
    armed: Phase,
    sleep: Pin<Box<Sleep>>,
    /// Whether the peer was told that the connection ends.
    told: Told,
    /// Runs while bytes stand ready that the peer does not take.
    stall: Option<Pin<Box<Sleep>>>,
    rejections: Rejections,
    lingering: Option<Lingering>,
}

/// The end of a connection whose peer may still be sending what nobody reads: a body that was refused by its head. Closed at
/// once, the answer would be lost to it (RFC 9112 §9.6).
struct Lingering {
    until: Pin<Box<Sleep>>,
    /// How many more bytes are read.
    left: usize,
}

/// How long, and for how many bytes, a peer is listened to that got its last answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

impl<T> Paced<T> {
    pub(super) fn new(inner: T, pace: Arc<Pace>, pacing: Pacing) -> Self {
        let sleep = Box::pin(sleep(pacing.header));
        let rejections = Rejections::default();
        let (armed, told, stall, lingering) = (Phase::Fresh, Told::No, None, None);
        Self { inner, pace, pacing, armed, sleep, told, stall, rejections, lingering }
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

    /// Whether the wait for bytes has lasted too long. HTTP/2 is told first, for a request may be on its way.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        if self.sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        if self.pace.reading == Reading::ByRequest || self.told == Told::Yes {
            return true;
        }
        self.told = Told::Yes;
        self.pace.is_last();
        self.sleep.as_mut().reset(Instant::now() + self.pacing.header);
        self.sleep.as_mut().poll(cx).is_ready()
    }

    /// What came of a write; one that has waited for too long fails.
    fn timed<R>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if wrote.is_ready() {
            self.stall = None;
            return wrote;
        }
        let within = self.pacing.stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(within)));
        if stall.as_mut().poll(cx).is_ready() {
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        } else {
            Poll::Pending
        }
    }

    /// Looks at what was sent.
    fn sent(&mut self, bytes: &[u8]) {
        if self.pace.reading == Reading::ByConnection {
            let rejected = self.rejections.sent(bytes);
            if rejected > 0 {
                self.pace.rejected.fetch_add(rejected, Ordering::AcqRel);
                self.pace.rejects.notify_one();
            }
        }
    }
}

impl Lingering {
    /// Reads and forgets, until the peer is done or has had its time. However it ends, the connection does.
    fn poll<T: AsyncRead + Unpin>(&mut self, inner: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut unread = [MaybeUninit::uninit(); 8 * 1024];
        loop {
            if self.left == 0 || self.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buf = ReadBuf::uninit(&mut unread);
            match Pin::new(&mut *inner).poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.left = self.left.saturating_sub(buf.filled().len());
                }
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(Ok(())),
            }
        }
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
        if phase != Phase::Busy && self.is_overdue(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = wrote {
            self.sent(buf.get(..count).unwrap_or_default());
        }
        self.timed(cx, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.timed(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
            let shut = self.timed(cx, shut);
            if self.pace.reading == Reading::ByConnection || !matches!(shut, Poll::Ready(Ok(()))) {
                return shut;
            }
        }
        let Self { inner, lingering, .. } = &mut *self;
        let lingering =
            lingering.get_or_insert_with(|| Lingering { until: Box::pin(sleep(LINGER)), left: LINGER_BYTES });
        lingering.poll(inner, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut count)) = wrote {
            for buf in bufs {
                let part = count.min(buf.len());
                self.sent(buf.get(..part).unwrap_or_default());
                count -= part;
            }
        }
        self.timed(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// The body of an answer; when it ends, its connection waits for the next request.
pub(super) struct PacedBody<B> {
    inner: B,
    handed: Option<Arc<Handed>>,
    _open: Open,
}

impl<B> PacedBody<B> {
    /// `handed` hears of each part that waits for the peer to take it, and of when it was taken.
    pub(super) const fn new(inner: B, open: Open, handed: Option<Arc<Handed>>) -> Self {
        Self { inner, handed, _open: open }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Some(handed) = &self.handed {
            // whoever asks for a part has taken the one before
            if frame.is_ready() { handed.out() } else { handed.taken() }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
