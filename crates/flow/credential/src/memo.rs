//! What held before, remembered by the digest of its exact bytes.
//!
//! INVARIANT: a memo changes how soon an answer comes, and never which. It belongs to one source under one key set and goes
//! with them; only credentials that held enter it, so that a flood of bad ones finds no room; and whenever what is remembered
//! is asked for, its times are looked at, and the certificate that it may be bound to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Digest, Time};

use crate::Finding;

/// Most credentials that one source's memo holds; beyond that, those that were not asked for lately go.
pub(crate) const CAPACITY: usize = 10_000;
/// Parts with a lock of their own.
const SHARDS: usize = 16;
/// Most credentials in each half of a shard.
const HALF: usize = CAPACITY / SHARDS / 2;

/// A credential that held, and when it holds again.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) finding: Arc<Finding>,
    /// From this instant on. Until when is part of the finding.
    pub(crate) from: Time,
    /// The client certificate that it is bound to: without it, it proves nothing.
    pub(crate) certificate: Option<Digest>,
}

pub(crate) struct Memo {
    shards: [Mutex<Shard>; SHARDS],
}

/// Two halves: what is asked for moves to the young one, and when that is full, the old one is forgotten as a whole.
#[derive(Default)]
struct Shard {
    young: HashMap<Digest, Held>,
    old: HashMap<Digest, Held>,
}

impl Held {
    /// What it proves on a channel that proved this certificate, at this instant.
    pub(crate) fn proves(&self, certificate: Option<Digest>, at: Time) -> Option<Arc<Finding>> {
        let bound = self.certificate.is_none() || self.certificate == certificate;
        (bound && self.from <= at && at < self.finding.until).then(|| Arc::clone(&self.finding))
    }
}

impl Memo {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    pub(crate) fn recall(&self, digest: Digest) -> Option<Held> {
        let mut shard = self.shard(digest)?;
        let (held, forgotten) = shard.find(digest)?;
        drop(shard);
        drop(forgotten);
        Some(held)
    }

    pub(crate) fn remember(&self, digest: Digest, held: Held) {
        let Some(mut shard) = self.shard(digest) else { return };
        let forgotten = shard.put(digest, held);
        drop(shard);
        // many findings may go at once: nobody else waits for it
        drop(forgotten);
    }

    fn shard(&self, digest: Digest) -> Option<MutexGuard<'_, Shard>> {
        let [.., last] = *digest.as_bytes();
        let shard = self.shards.get(usize::from(last) % SHARDS)?;
        // a shard is whole between any two of its lines
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn find(&mut self, digest: Digest) -> Option<(Held, HashMap<Digest, Held>)> {
        if let Some(held) = self.young.get(&digest) {
            return Some((held.clone(), HashMap::new()));
        }
        let held = self.old.remove(&digest)?;
        let forgotten = self.put(digest, held.clone());
        Some((held, forgotten))
    }

    /// Gives what is forgotten for it.
    fn put(&mut self, digest: Digest, held: Held) -> HashMap<Digest, Held> {
        let full = self.young.len() >= HALF && !self.young.contains_key(&digest);
        let forgotten =
            if full { std::mem::replace(&mut self.old, std::mem::take(&mut self.young)) } else { HashMap::new() };
        self.young.insert(digest, held);
        forgotten
    }
}

/// Shows nothing of what it holds, and takes no lock for it.
impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}
