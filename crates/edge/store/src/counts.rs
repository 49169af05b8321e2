//! Judgements that are counted instead of recorded one by one, by source and code.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use audit::Counted;
use model::{Code, RecordId, Time};

/// Most sources that are told apart at once; the rest are counted together, as `null`.
const SOURCES: usize = 1024;

/// Counters that were not written yet. All have one id: if each had its own, two strangers' answers would show whether both
/// were refused for one cause, which no stranger may hear.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    id: Option<RecordId>,
    counters: BTreeMap<(Option<String>, Code), Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    first: Time,
    last: Time,
    count: u64,
}

impl Counts {
    pub(crate) fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Counts one more and gives the counters' id, which is `id` if it is the first.
    pub(crate) fn add(&mut self, code: Code, source: Option<&str>, id: RecordId, at: Time) -> RecordId {
        self.insert((source.map(str::to_owned), code), Count { first: at, last: at, count: 1 });
        *self.id.get_or_insert(id)
    }

    /// Adds what could not be written; its id was given out first and stays.
    pub(crate) fn merge(&mut self, mut earlier: Self) {
        std::mem::swap(self, &mut earlier);
        self.id = self.id.or(earlier.id);
        for (key, count) in earlier.counters {
            self.insert(key, count);
        }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (Counted, Time)> {
        let id = self.id.as_ref().map(ToString::to_string).unwrap_or_default();
        self.counters.iter().map(move |((source, code), count)| {
            let counted = Counted {
                id: id.clone(),
                source: source.clone(),
                code: code.to_string(),
                first: count.first.to_string(),
                last: count.last.to_string(),
                count: count.count,
            };
            (counted, count.last)
        })
    }

    /// How many of each code, whatever their source.
    pub(crate) fn by_code(&self) -> impl Iterator<Item = (Code, u64)> {
        self.counters.iter().map(|((_, code), count)| (*code, count.count))
    }

    /// One line a counter: what is counted instead of recorded is logged no more often than it is written.
    pub(crate) fn log(&self) {
        for (Counted { id: record, source, code, count, .. }, _) in self.records() {
            tracing::warn!(record, source, code, count, "counted");
        }
    }

    fn insert(&mut self, key: (Option<String>, Code), more: Count) {
        let full = self.counters.len() >= SOURCES && !self.counters.contains_key(&key);
        let key = if full { (None, key.1) } else { key };
        match self.counters.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(more)),
            Entry::Occupied(mut entry) => {
                let count = entry.get_mut();
                count.first = count.first.min(more.first);
                count.last = count.last.max(more.last);
                count.count = count.count.saturating_add(more.count);
            }
        }
    }
}
