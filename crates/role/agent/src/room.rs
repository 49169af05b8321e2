//! How many requests may be open at once: of one process, of one user, and of all of them. Whoever comes too many is told to
//! come again.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use http_body_util::BodyExt;
use net::Process;
use tonic::Status;
use tonic::body::Body;

/// Most that are open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub of_a_process: usize,
    /// Whoever may start a process may start many.
    pub of_a_user: usize,
    pub of_all: usize,
}

/// Where requests have room.
pub(crate) struct Rooms {
    most: Most,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_process: Counts<i32>,
    by_user: Counts<u32>,
}

/// How many of each are open. Only those have a number that have one open.
#[derive(Default)]
struct Counts<K>(HashMap<K, usize>);

/// The room of one request, for as long as it is held.
pub(crate) struct Room {
    rooms: Arc<Rooms>,
    pid: i32,
    uid: u32,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("the process has too many requests open: at most {most} at once")]
    Process { most: usize },
    #[error("the user has too many requests open: at most {most} at once")]
    User { most: usize },
    #[error("the agent has too many requests open: at most {most} at once")]
    All { most: usize },
}

impl Rooms {
    pub(crate) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// Room for another request of the process `pid`, which is of the user `uid`.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(crate) fn take(self: &Arc<Self>, pid: i32, uid: u32) -> Result<Room, NoRoom> {
        let Most { of_a_process, of_a_user, of_all } = self.most;
        let mut taken = self.lock();
        if taken.all >= of_all {
            return Err(NoRoom::All { most: of_all });
        }
        if taken.by_user.of(uid) >= of_a_user {
            return Err(NoRoom::User { most: of_a_user });
        }
        if taken.by_process.of(pid) >= of_a_process {
            return Err(NoRoom::Process { most: of_a_process });
        }
        taken.all += 1;
        taken.by_process.add(pid);
        taken.by_user.add(uid);
        drop(taken);
        Ok(Room { rooms: Arc::clone(self), pid, uid })
    }

    /// Room for another request of a process, as its caller is told.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) fn of(self: &Arc<Self>, process: &Process) -> Result<Room, Status> {
        self.take(process.pid(), process.credentials().uid).map_err(|why| Status::unavailable(why.to_string()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Held until the answer has ended.
    pub(crate) fn until_end(self, answer: Response<Body>) -> Response<Body> {
        answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &self;
                frame
            }))
        })
    }
}

impl<K: Copy + Eq + Hash> Counts<K> {
    fn of(&self, key: K) -> usize {
        self.0.get(&key).copied().unwrap_or(0)
    }

    fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    fn take_back(&mut self, key: K) {
        match self.0.get_mut(&key) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(self.0.remove(&key)),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.rooms.lock();
        taken.all = taken.all.saturating_sub(1);
        taken.by_process.take_back(self.pid);
        taken.by_user.take_back(self.uid);
    }
}
