//! What is due with authorities and was not done: why, and when it is tried again. Each kind waits for itself, so that an outer
//! authority that is away holds up nothing but its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use issuer::lifecycle::KeyKind;
use model::Time;
use serde_json::{Value, json};

/// How long nothing is tried after it failed: at first, and at most.
const REST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Steps that are overdue.
#[derive(Default)]
pub(super) struct Overdue(Mutex<BTreeMap<KeyKind, Failed>>);

struct Failed {
    since: Time,
    why: String,
    rest: Duration,
    again: Instant,
}

impl Overdue {
    /// Whether nothing is to be tried at `at`.
    pub fn rests(&self, kind: KeyKind, at: Instant) -> bool {
        self.with(|all| all.get(&kind).is_some_and(|failed| at < failed.again))
    }

    /// It was tried at `at`, in vain; each time it rests for twice as long, from `from` on.
    pub fn failed(&self, kind: KeyKind, why: String, at: Time, from: Instant) {
        self.with(|all| {
            let before = all.remove(&kind);
            let rest = before.as_ref().map_or(REST, |before| (before.rest * 2).min(LONGEST));
            let since = before.map_or(at, |before| before.since);
            all.insert(kind, Failed { since, why, rest, again: from + rest });
        });
    }

    /// Nothing is overdue any more.
    pub fn done(&self, kind: KeyKind) {
        self.with(|all| all.remove(&kind));
    }

    pub fn shown(&self) -> Value {
        let one = |(kind, failed): (&KeyKind, &Failed)| json!({"kind": kind.as_str(), "since": failed.since.to_string(), "why": failed.why});
        self.with(|all| all.iter().map(one).collect())
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<KeyKind, Failed>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
