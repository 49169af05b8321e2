//! When each SVID is looked at again.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::Key;

/// What is due when; each SVID once.
#[derive(Default)]
pub(super) struct Due {
    /// Several may be due at one moment: a number tells them apart.
    in_order: BTreeMap<(Instant, u64), Key>,
    places: HashMap<Key, (Instant, u64)>,
    numbers: u64,
}

impl Due {
    /// Has one be due at `at`, and no more when it was before.
    pub(super) fn put(&mut self, key: Key, at: Instant) {
        self.numbers += 1;
        let place = (at, self.numbers);
        if let Some(before) = self.places.insert(key.clone(), place) {
            self.in_order.remove(&before);
        }
        self.in_order.insert(place, key);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.in_order.first_key_value().map(|((at, _), _)| *at)
    }

    /// One that is due by `at`: of several, the one that has been for longest.
    pub(super) fn take(&mut self, at: Instant) -> Option<Key> {
        let first = self.in_order.first_entry().filter(|first| first.key().0 <= at)?;
        let key = first.remove();
        self.places.remove(&key);
        Some(key)
    }
}
