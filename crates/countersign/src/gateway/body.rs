//! Bodies on their way: streamed, counted, never held whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use audit::{OutcomeResult, Slot};
use bytes::Bytes;
use guard::{Settled, Settlement};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use model::Code;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use crate::net::now;

/// What is known of a request's body while it is sent upstream.
#[derive(Debug)]
pub(super) struct Transfer {
    started: Instant,
    bytes: AtomicU64,
    /// Microseconds after `started` at which the last part went upstream.
    last: AtomicU64,
    broke: AtomicU8,
}

/// Why a request's body did not reach its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broke {
    #[error("the body is longer than the service takes")]
    TooLong,
    #[error("the body stalled")]
    Stalled,
    #[error("the body cannot be read")]
    Unreadable,
}

impl Transfer {
    pub(super) fn new() -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self { started: Instant::now(), bytes: zero(), last: zero(), broke: AtomicU8::new(0) })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn last_activity(&self) -> Instant {
        self.started + Duration::from_micros(self.last.load(Ordering::Acquire))
    }

    pub(super) fn broke(&self) -> Option<Broke> {
        match self.broke.load(Ordering::Acquire) {
            1 => Some(Broke::TooLong),
            2 => Some(Broke::Stalled),
            3 => Some(Broke::Unreadable),
            _ => None,
        }
    }

    fn sent(&self, bytes: usize) -> u64 {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(micros, Ordering::Release);
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
pub(super) struct RequestBody {
    inner: Incoming,
    transfer: Arc<Transfer>,
    most: Option<u64>,
    idle: Duration,
    stall: Pin<Box<Sleep>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, transfer: Arc<Transfer>, most: Option<u64>, idle: Duration) -> Self {
        Self { inner, transfer, most, idle, stall: Box::pin(sleep(idle)) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let Some(data) = frame.data_ref() else { return Poll::Ready(None) };
                let total = self.transfer.sent(data.len());
                if self.most.is_some_and(|most| total > most) {
                    return Poll::Ready(Some(Err(self.transfer.breaks(Broke::TooLong))));
                }
                let next = Instant::now() + self.idle;
                self.stall.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.transfer.breaks(Broke::Unreadable)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.stall.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Some(Err(self.transfer.breaks(Broke::Stalled))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What is owed once an answer has begun: its outcome.
pub(super) struct Owed<S: Slot> {
    pub settlement: Settlement<S>,
    pub status: u16,
    pub transfer: Arc<Transfer>,
    /// Held until the answer ends.
    pub in_flight: OwnedSemaphorePermit,
}

/// An upstream's answer on its way to the caller. However it ends, its outcome is recorded.
pub struct Relay<S: Slot> {
    inner: Incoming,
    owed: Option<Owed<S>>,
    bytes: u64,
    idle: Duration,
    stall: Pin<Box<Sleep>>,
}

/// Why an answer broke off after it had begun.
#[derive(Debug, thiserror::Error)]
pub enum BrokeOff {
    #[error("the upstream's answer broke off")]
    Upstream(#[source] hyper::Error),
    #[error("the upstream's answer stalled")]
    Stalled,
}

impl<S: Slot> Relay<S> {
    pub(super) fn new(inner: Incoming, owed: Owed<S>, idle: Duration) -> Self {
        Self { inner, owed: Some(owed), bytes: 0, idle, stall: Box::pin(sleep(idle)) }
    }

    fn settle(&mut self, result: OutcomeResult, code: Option<Code>) {
        let Some(owed) = self.owed.take() else { return };
        let settled = Settled {
            result,
            status: Some(owed.status),
            code,
            bytes_in: Some(owed.transfer.bytes()),
            bytes_out: Some(self.bytes),
        };
        owed.settlement.settle(settled, now());
        drop(owed.in_flight);
    }
}

impl<S: Slot + Unpin> Body for Relay<S> {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                let next = Instant::now() + self.idle;
                self.stall.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.settle(OutcomeResult::Failed, Some(Code::UpstreamUnreachable));
                Poll::Ready(Some(Err(BrokeOff::Upstream(error))))
            }
            Poll::Ready(None) => {
                self.settle(OutcomeResult::Delivered, None);
                Poll::Ready(None)
            }
            Poll::Pending if self.stall.as_mut().poll(cx).is_ready() => {
                self.settle(OutcomeResult::Failed, Some(Code::UpstreamTimeout));
                Poll::Ready(Some(Err(BrokeOff::Stalled)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<S: Slot> Drop for Relay<S> {
    fn drop(&mut self) {
        // dropped at its end, all of it was taken; before, the caller left
        let result = if self.inner.is_end_stream() { OutcomeResult::Delivered } else { OutcomeResult::Failed };
        self.settle(result, None);
    }
}
