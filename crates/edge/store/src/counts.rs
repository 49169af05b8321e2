//! Judgements that are counted instead of recorded one by one, by source and code.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use audit::Counted;
use model::{Code, RecordId, Time};

/// Most sources that are told apart at once; the rest are counted together, as `null`.
const SOURCES: usize = 1024;

/// Counters that were not written yet.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<(Option<String>, Code), Count>);

#[derive(Debug, Clone, Copy)]
struct Count {
    id: RecordId,
    first: Time,
    last: Time,
    count: u64,
}

impl Counts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts one more and gives the counter's id, which is `id` if it is the first.
    pub(crate) fn add(&mut self, code: Code, source: Option<&str>, id: RecordId, at: Time) -> RecordId {
        self.insert((source.map(str::to_owned), code), Count { id, first: at, last: at, count: 1 })
    }

    /// Adds what could not be written; its ids were given out first and stay.
    pub(crate) fn merge(&mut self, mut earlier: Self) {
        std::mem::swap(self, &mut earlier);
        for (key, count) in earlier.0 {
            self.insert(key, count);
        }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (Counted, Time)> {
        self.0.iter().map(|((source, code), count)| {
            let counted = Counted {
                id: count.id.to_string(),
                source: source.clone(),
                code: code.to_string(),
                first: count.first.to_string(),
                last: count.last.to_string(),
                count: count.count,
            };
            (counted, count.last)
        })
    }

    fn insert(&mut self, key: (Option<String>, Code), more: Count) -> RecordId {
        let full = self.0.len() >= SOURCES && !self.0.contains_key(&key);
        let key = if full { (None, key.1) } else { key };
        match self.0.entry(key) {
            Entry::Vacant(entry) => entry.insert(more).id,
            Entry::Occupied(mut entry) => {
                let count = entry.get_mut();
                count.first = count.first.min(more.first);
                count.last = count.last.max(more.last);
                count.count = count.count.saturating_add(more.count);
                count.id
            }
        }
    }
}
