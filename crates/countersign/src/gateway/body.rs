//! An upstream's answer on its way to the caller: streamed, counted, and cut when what let it through has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use audit::{OutcomeResult, Slot};
use bytes::Bytes;
use guard::{Settled, Settlement};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use model::Code;
use net::{Lease, Transfer};
use tokio::time::{Instant, Sleep, sleep};

use super::headers;
use super::standing::{Standing, TICK};
use crate::live::Place;

/// What is owed once an answer has begun: its outcome.
pub(super) struct Owed<S: Slot> {
    pub settlement: Settlement<S>,
    pub status: u16,
    pub transfer: Arc<Transfer>,
    /// Held until the answer ends.
    pub place: Option<Place>,
    /// The upstream's connection, for the next request.
    pub lease: Lease,
    /// What let it through, as long as that stands.
    pub standing: Standing,
}

/// An upstream's answer on its way to the caller. However it ends, its outcome is recorded.
pub struct Relay<S: Slot> {
    inner: Incoming,
    owed: Option<Owed<S>>,
    bytes: u64,
    idle: Duration,
    /// When the last part came.
    last: Instant,
    tick: Pin<Box<Sleep>>,
}

/// Why an answer broke off after it had begun.
#[derive(Debug, thiserror::Error)]
pub enum BrokeOff {
    #[error("the upstream's answer broke off")]
    Upstream(#[source] hyper::Error),
    #[error("the upstream's answer stalled")]
    Stalled,
    #[error("what let the answer through has ended")]
    Ended,
}

impl<S: Slot> Relay<S> {
    pub(super) fn new(inner: Incoming, owed: Owed<S>, idle: Duration) -> Self {
        let tick = Box::pin(sleep(TICK.min(idle)));
        Self { inner, owed: Some(owed), bytes: 0, idle, last: Instant::now(), tick }
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
        owed.settlement.settle(settled, owed.standing.time());
        if result == OutcomeResult::Delivered && owed.transfer.ended() {
            owed.lease.give_back();
        }
        drop(owed.place);
    }

    /// Whether the stream has to end although more may come, and why.
    fn overdue(&self) -> Option<(Code, BrokeOff)> {
        if let Some(code) = self.owed.as_ref().and_then(|owed| owed.standing.ended()) {
            return Some((code, BrokeOff::Ended));
        }
        (self.last.elapsed() >= self.idle).then_some((Code::UpstreamTimeout, BrokeOff::Stalled))
    }

    /// Ends the stream.
    fn cut<T>(&mut self, (code, why): (Code, BrokeOff)) -> Poll<Option<Result<T, BrokeOff>>> {
        self.settle(OutcomeResult::Failed, Some(code));
        Poll::Ready(Some(Err(why)))
    }
}

impl<S: Slot + Unpin> Body for Relay<S> {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        if self.tick.as_mut().poll(cx).is_ready() {
            if let Some(why) = self.overdue() {
                return self.cut(why);
            }
            let next = Instant::now() + TICK.min(self.idle);
            self.tick.as_mut().reset(next);
            // armed again: the next tick wakes this stream
            let _ = self.tick.as_mut().poll(cx);
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.last = Instant::now();
                Poll::Ready(Some(Ok(cleared(frame))))
            }
            Poll::Ready(Some(Err(error))) => self.cut((Code::UpstreamUnreachable, BrokeOff::Upstream(error))),
            Poll::Ready(None) => {
                self.settle(OutcomeResult::Delivered, None);
                Poll::Ready(None)
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

/// Trailers are headers that come late: an upstream speaks for us in neither.
fn cleared(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::for_caller(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

impl<S: Slot> Drop for Relay<S> {
    fn drop(&mut self) {
        // dropped at its end, all of it was taken; before, the caller left
        let result = if self.inner.is_end_stream() { OutcomeResult::Delivered } else { OutcomeResult::Failed };
        self.settle(result, None);
    }
}
