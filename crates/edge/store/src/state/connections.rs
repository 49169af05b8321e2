//! Connections that are kept open and lent one by one.
//!
//! sqlx has a pool of its own. It waits without a bound for a connection that fell silent, and for closing it, so that a
//! server that loses its power would empty it for a quarter of an hour. Here such a connection is only dropped.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Longest that a connection takes to be there.
const CONNECTING: Duration = Duration::from_secs(3);
/// Longest that one that was idle takes to answer.
const ANSWERING: Duration = Duration::from_secs(1);
/// Most connections at once; who comes later waits.
const MOST: usize = 8;

pub(super) struct Connections<C: Connection> {
    options: C::Options,
    idle: Mutex<Vec<C>>,
    room: Arc<Semaphore>,
}

/// A connection in use. Dropped in the middle of something it is closed, and what it had begun is undone.
pub(super) struct Lent<C: Connection> {
    connection: C,
    from: Arc<Connections<C>>,
    _room: OwnedSemaphorePermit,
}

impl<C: Connection> Connections<C> {
    /// Nothing is opened yet.
    pub(super) fn new(options: C::Options) -> Arc<Self> {
        Arc::new(Self { options, idle: Mutex::new(Vec::new()), room: Arc::new(Semaphore::new(MOST)) })
    }

    pub(super) async fn lend(self: &Arc<Self>) -> Result<Lent<C>, Error> {
        let room = Arc::clone(&self.room).acquire_owned().await.or(Err(Error::PoolClosed))?;
        let connection = match self.answering().await {
            Some(connection) => connection,
            None => timeout(CONNECTING, self.options.connect()).await.or(Err(Error::PoolTimedOut))??,
        };
        Ok(Lent { connection, from: Arc::clone(self), _room: room })
    }

    /// Lends nothing any more, and closes what is not in use.
    pub(super) async fn close(&self) {
        self.room.close();
        for connection in self.take_all() {
            // nothing is open on it, so that nothing is lost if it does not close in time
            let _ = timeout(ANSWERING, connection.close()).await;
        }
    }

    /// An idle connection whose other end is there. If one is not, the others are not trusted either: each would cost its
    /// caller the wait.
    async fn answering(&self) -> Option<C> {
        let mut connection = self.idle().pop()?;
        if matches!(timeout(ANSWERING, connection.ping()).await, Ok(Ok(()))) {
            return Some(connection);
        }
        drop(self.take_all());
        None
    }

    fn take_all(&self) -> Vec<C> {
        std::mem::take(&mut *self.idle())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<C>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Connection> Lent<C> {
    /// Gives back a connection on which nothing is open.
    pub(super) fn give_back(self) {
        if !self.from.room.is_closed() {
            self.from.idle().push(self.connection);
        }
    }
}

impl<C: Connection> Deref for Lent<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C: Connection> DerefMut for Lent<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}
