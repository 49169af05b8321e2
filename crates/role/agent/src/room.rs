//! How many requests may be open at once: of one process, and of all of them. Whoever comes too many is told to come again.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most that are open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub of_a_process: usize,
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
    /// Only processes that have a request open.
    by_process: HashMap<i32, usize>,
}

/// The room of one request, for as long as it is held.
pub(crate) struct Room {
    rooms: Arc<Rooms>,
    pid: i32,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("the process has too many requests open: at most {most} at once")]
    OfProcess { most: usize },
    #[error("the agent has too many requests open: at most {most} at once")]
    OfAll { most: usize },
}

impl Rooms {
    pub(crate) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// Room for another request of a process.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(crate) fn take(self: &Arc<Self>, pid: i32) -> Result<Room, NoRoom> {
        let Most { of_a_process, of_all } = self.most;
        let mut taken = self.lock();
        if taken.all >= of_all {
            return Err(NoRoom::OfAll { most: of_all });
        }
        if taken.by_process.get(&pid).is_some_and(|own| *own >= of_a_process) {
            return Err(NoRoom::OfProcess { most: of_a_process });
        }
        taken.all += 1;
        *taken.by_process.entry(pid).or_default() += 1;
        drop(taken);
        Ok(Room { rooms: Arc::clone(self), pid })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.rooms.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_process.get_mut(&self.pid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_process.remove(&self.pid);
            }
        }
    }
}
