//! What is due with authorities and was not done: why, and when it is tried again. Each waits for itself, so that an outer
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

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A step in the life of an authority of this kind.
    Step(KeyKind),
    /// What is published for control planes that stand below no more is to be withdrawn.
    Withdrawal,
}

/// What is overdue.
#[derive(Default)]
pub(super) struct Overdue(Mutex<BTreeMap<Due, Failed>>);

struct Failed {
    since: Time,
    why: String,
    rest: Duration,
    again: Instant,
}

impl Due {
    pub fn each() -> impl Iterator<Item = Self> {
        KeyKind::ALL.into_iter().map(Self::Step).chain([Self::Withdrawal])
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Step(kind) => kind.as_str(),
            Self::Withdrawal => "withdrawal",
        }
    }
}

impl From<KeyKind> for Due {
    fn from(kind: KeyKind) -> Self {
        Self::Step(kind)
    }
}

impl Overdue {
    /// Whether nothing is to be tried at `at`.
    pub fn rests(&self, due: impl Into<Due>, at: Instant) -> bool {
        self.with(|all| all.get(&due.into()).is_some_and(|failed| at < failed.again))
    }

    /// It was tried at `at`, in vain; each time it rests for twice as long, from `from` on.
    pub fn failed(&self, due: impl Into<Due>, why: String, at: Time, from: Instant) {
        let due = due.into();
        self.with(|all| {
            let before = all.remove(&due);
            let rest = before.as_ref().map_or(REST, |before| (before.rest * 2).min(LONGEST));
            let since = before.map_or(at, |before| before.since);
            all.insert(due, Failed { since, why, rest, again: from + rest });
        });
    }

    /// Nothing is overdue any more.
    pub fn done(&self, due: impl Into<Due>) {
        self.with(|all| all.remove(&due.into()));
    }

    pub fn shown(&self) -> Value {
        let one = |(due, failed): (&Due, &Failed)| json!({"kind": due.as_str(), "since": failed.since.to_string(), "why": failed.why});
        self.with(|all| all.iter().map(one).collect())
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<Due, Failed>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
