//! The streams of one HTTP/2 connection: tasks that belong to it, each let go when its peer takes nothing of its answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    /// Of the stream whose task this is.
    static HANDED: Arc<Handed>;
}

/// Since when a part of an answer waits for its peer to take it. The library asks for the next part only then, so that an
/// answer itself never learns that nobody takes it.
#[derive(Debug, Default)]
pub(super) struct Handed(Mutex<Option<Instant>>);

impl Handed {
    /// Of the stream whose task this is, if it is a stream's.
    pub(super) fn here() -> Option<Arc<Self>> {
        HANDED.try_with(Arc::clone).ok()
    }

    pub(super) fn out(&self) {
        self.set(Some(Instant::now()));
    }

    pub(super) fn taken(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the streams of one connection, which joins them.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: Arc<Mutex<JoinSet<()>>>,
    stall: Duration,
}

impl Streams {
    /// `stall`: for how long a peer may take nothing.
    pub(super) fn new(stall: Duration) -> Self {
        Self { tasks: Arc::default(), stall }
    }

    /// Ends what is left: the connection is gone, and nobody is there to answer.
    pub(super) async fn end(&self) {
        let mut left = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        left.shutdown().await;
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let handed = Arc::<Handed>::default();
        let patient = Patient { stream: Box::pin(stream), handed: Arc::clone(&handed), stall: self.stall, wait: None };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(HANDED.scope(handed, patient));
    }
}

/// A stream, as long as its peer takes what it asked for. Whoever drops a stream resets it.
struct Patient<F> {
    stream: Pin<Box<F>>,
    handed: Arc<Handed>,
    stall: Duration,
    wait: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Patient<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = self.handed.since() else {
            self.wait = None;
            return Poll::Pending;
        };
        let end = since + self.stall;
        let wait = self.wait.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if wait.deadline() != end {
            wait.as_mut().reset(end);
        }
        wait.as_mut().poll(cx)
    }
}
