//! A request's body on its way upstream: streamed, counted, within limits, never held whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// What is known of a request's body while it is sent upstream.
#[derive(Debug)]
pub struct Transfer {
    started: Instant,
    bytes: AtomicU64,
    /// Microseconds after `started` at which the last part went upstream.
    last: AtomicU64,
    broke: AtomicU8,
    ended: AtomicBool,
}

/// Why a request's body did not reach its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broke {
    #[error("the body is longer than the service takes")]
    TooLong,
    #[error("the body stalled")]
    Stalled,
    #[error("the body cannot be read")]
    Unreadable,
}

impl Transfer {
    pub fn new() -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            started: Instant::now(),
            bytes: zero(),
            last: zero(),
            broke: AtomicU8::new(0),
            ended: AtomicBool::new(false),
        })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub fn last_activity(&self) -> Instant {
        self.started + Duration::from_micros(self.last.load(Ordering::Acquire))
    }

    /// Whether all of it went upstream.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub fn broke(&self) -> Option<Broke> {
        match self.broke.load(Ordering::Acquire) {
            1 => Some(Broke::TooLong),
            2 => Some(Broke::Stalled),
            3 => Some(Broke::Unreadable),
            _ => None,
        }
    }

    fn sent(&self, bytes: usize) -> u64 {
        if bytes > 0 {
            let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.last.store(micros, Ordering::Release);
        }
        let bytes = bytes as u64;
        self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes
    }

    fn breaks(&self, why: Broke) -> Broke {
        let code = match why {
            Broke::TooLong => 1,
            Broke::Stalled => 2,
            Broke::Unreadable => 3,
        };
        self.broke.store(code, Ordering::Release);
        why
    }
}

/// A request's body as it goes upstream: data only (trailers could carry identity), within the service's limits.
pub struct RequestBody {
    inner: Incoming,
    transfer: Arc<Transfer>,
    most: Option<u64>,
    idle: Duration,
    stall: Pin<Box<Sleep>>,
}

impl RequestBody {
    pub fn new(inner: Incoming, transfer: Arc<Transfer>, most: Option<u64>, idle: Duration) -> Self {
        Self { inner, transfer, most, idle, stall: Box::pin(sleep(idle)) }
    }

    fn end<T>(&self) -> Option<T> {
        self.transfer.ended.store(true, Ordering::Release);
        None
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let Some(data) = frame.data_ref() else { return Poll::Ready(self.end()) };
                let total = self.transfer.sent(data.len());
                if self.most.is_some_and(|most| total > most) {
                    return Poll::Ready(Some(Err(self.transfer.breaks(Broke::TooLong))));
                }
                // a part without bytes is no progress
                if !data.is_empty() {
                    let next = Instant::now() + self.idle;
                    self.stall.as_mut().reset(next);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.transfer.breaks(Broke::Unreadable)))),
            Poll::Ready(None) => Poll::Ready(self.end()),
            Poll::Pending if self.stall.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Some(Err(self.transfer.breaks(Broke::Stalled))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        let ended = self.inner.is_end_stream();
        if ended {
            self.transfer.ended.store(true, Ordering::Release);
        }
        ended
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
