//! What is due with authorities and was not done: why, and when it is tried again. Each kind waits for itself, so that an outer
//! authority that is away holds up nothing but its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use issuer::lifecycle::KeyKind;
use model::Time;
use serde_json::{Value, json};
use tokio::time::Instant;

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
    /// Whether nothing is to be tried for now.
    pub fn rests(&self, kind: KeyKind) -> bool {
        self.with(|all| all.get(&kind).is_some_and(|failed| Instant::now() < failed.again))
    }

    /// It was tried at `at`, in vain; each time it rests for twice as long.
    pub fn failed(&self, kind: KeyKind, why: String, at: Time) {
        self.with(|all| {
            let before = all.remove(&kind);
            let rest = before.as_ref().map_or(REST, |before| (before.rest * 2).min(LONGEST));
            let since = before.map_or(at, |before| before.since);
            all.insert(kind, Failed { since, why, rest, again: Instant::now() + rest });
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
mod tests {
    use issuer::lifecycle::KeyKind;
    use tokio::time::{Duration, advance};

    use super::Overdue;

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_rests_for_longer_and_holds_up_nothing_else() {
        let (overdue, at) = (Overdue::default(), net::now());
        let second = Duration::from_secs(1);
        for rest in [10, 20, 40, 80, 160, 300, 300] {
            overdue.failed(KeyKind::X509, "away".to_owned(), at);
            advance(second * (rest - 1)).await;
            assert!(overdue.rests(KeyKind::X509) && !overdue.rests(KeyKind::Jwt));
            advance(second).await;
            assert!(!overdue.rests(KeyKind::X509));
        }
        assert_eq!(overdue.shown()[0]["why"], "away");
        overdue.done(KeyKind::X509);
        assert_eq!(overdue.shown(), serde_json::json!([]));
    }
}
