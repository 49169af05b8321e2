//! How many strangers' refusals are recorded in full: so many a second for each source, and some more at once.
//!
//! INVARIANT: time is the monotonic clock's: a wall clock that is set back or forth neither closes a budget nor opens it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one record costs of its source's time: 100 a second.
const EACH: Duration = Duration::from_millis(10);
/// Records of one source that may come at once.
const BURST: u32 = 500;
/// No source has an empty name.
const NO_SOURCE: &str = "";

/// For each source, the instant up to which its time is spent. One whose instant has passed has its whole burst again,
/// like one that was never seen. (The generic cell rate algorithm: one instant is a whole token bucket.)
#[derive(Debug, Default)]
pub(crate) struct Budget(BTreeMap<String, Instant>);

/// Whether one more is recorded in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afford {
    Record,
    Count,
}

impl Budget {
    /// Spends one record's worth, if there is so much.
    pub(crate) fn spend(&mut self, source: Option<&str>, now: Instant) -> Afford {
        let source = source.unwrap_or(NO_SOURCE);
        let spent = self.0.get(source).map_or(now, |spent| now.max(*spent)) + EACH;
        if spent > now + BURST * EACH {
            return Afford::Count;
        }
        match self.0.get_mut(source) {
            Some(known) => *known = spent,
            None => {
                // sources come from estates, which come and go: only those are kept that have spent something
                self.0.retain(|_, spent| *spent > now);
                self.0.insert(source.to_owned(), spent);
            }
        }
        Afford::Record
    }
}
