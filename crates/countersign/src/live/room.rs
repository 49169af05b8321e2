//! Room for requests in flight at one service: so many in all, and so many of one principal, so that no caller takes what
//! is there for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guard::NoRoom;
use model::PrincipalId;

/// The room of one service.
#[derive(Debug)]
pub struct Room {
    most: usize,
    most_each: usize,
    taken: Mutex<Taken>,
}

/// Who is in flight. Names nobody who is not, so that it holds no more names than there is room.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<PrincipalId, usize>,
}

/// One request's place. Dropped, it is free again.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    principal: PrincipalId,
    weight: usize,
}

impl Room {
    /// Room for `most` requests, of which `most_each` may be one principal's.
    pub fn new(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Self { most, most_each, taken: Mutex::default() })
    }

    /// Takes a place that counts as `weight`. Callers of public operations without a credential are one principal together.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn take(self: &Arc<Self>, principal: &PrincipalId, weight: usize) -> Result<Place, NoRoom> {
        let mut taken = self.taken();
        let theirs = taken.each.get(principal).copied().unwrap_or(0);
        let (all, theirs) = (taken.all.saturating_add(weight), theirs.saturating_add(weight));
        if all > self.most || theirs > self.most_each {
            return Err(NoRoom);
        }
        taken.all = all;
        taken.each.insert(principal.clone(), theirs);
        Ok(Place { room: Arc::clone(self), principal: principal.clone(), weight })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all = taken.all.saturating_sub(self.weight);
        match taken.each.get_mut(&self.principal) {
            Some(theirs) if *theirs > self.weight => *theirs -= self.weight,
            _ => drop(taken.each.remove(&self.principal)),
        }
    }
}

#[cfg(test)]
mod tests;
