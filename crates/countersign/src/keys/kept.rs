//! What is known of one source's keys, and when to ask for newer ones. No clock, no socket: instants are arguments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use credential::{KeySet, digest_of};
use model::Digest;

use crate::estate::RemoteKeys;

/// The first pause after a fetch that failed; each further one is twice as long.
const RETRY: Duration = Duration::from_secs(1);
/// The longest pause after a fetch that failed.
const MAX_RETRY: Duration = Duration::from_secs(60);
/// Fetches for tokens with unknown keys: so many at once, and then one in each interval.
pub(super) const BURST: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a key that was asked for is not asked for again.
const ASKED_LATELY: Duration = Duration::from_secs(30);

/// One source's keys.
pub(super) struct Kept {
    refresh: Duration,
    max_stale: Duration,
    known: Option<Known>,
    /// Fetches that failed since the last good one.
    failures: u32,
    budget: Budget,
    /// Keys that were asked for lately. INVARIANT: as many as the budget allows within that time, and no more.
    asked_for: Vec<(Digest, Instant)>,
}

/// The last set that was good.
struct Known {
    set: Arc<KeySet>,
    /// When it was asked for: it may be as old as that.
    asked: Instant,
}

/// A bucket that fills with time.
struct Budget {
    left: u32,
    since: Instant,
}

impl Kept {
    pub(super) fn new(keys: &RemoteKeys, now: Instant) -> Self {
        Self {
            refresh: keys.refresh,
            max_stale: keys.max_stale,
            known: None,
            failures: 0,
            budget: Budget { left: BURST, since: now },
            asked_for: Vec::new(),
        }
    }

    /// Keeps them so from here on.
    pub(super) fn keep_as(&mut self, keys: &RemoteKeys) {
        self.refresh = keys.refresh;
        self.max_stale = keys.max_stale;
    }

    /// The last set that is known, unless it is too old.
    pub(super) fn in_force(&self, now: Instant) -> Option<&Arc<KeySet>> {
        let known = self.known.as_ref()?;
        (now < known.asked + self.max_stale).then_some(&known.set)
    }

    /// When the set in force will be too old.
    pub(super) fn dies(&self, now: Instant) -> Option<Instant> {
        self.in_force(now)?;
        Some(self.known.as_ref()?.asked + self.max_stale)
    }

    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.in_force(now)?;
        Some(now.saturating_duration_since(self.known.as_ref()?.asked))
    }

    /// Fetches that failed since the last good one.
    pub(super) const fn failing(&self) -> u32 {
        self.failures
    }

    /// A set that was asked for at `asked` came; gives how long it is taken to be the newest.
    pub(super) fn came(&mut self, set: Arc<KeySet>, asked: Instant, max_age: Option<Duration>) -> Duration {
        self.failures = 0;
        self.known = Some(Known { set, asked });
        let within = |age: Duration| age.clamp(self.refresh / 4, self.refresh * 4);
        // ahead of its end in any case
        max_age.map_or(self.refresh, within).min(self.max_stale / 2)
    }

    /// None came; gives when to ask again.
    pub(super) fn failed(&mut self) -> Duration {
        let pause = RETRY.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        pause.min(MAX_RETRY).min(self.refresh)
    }

    /// Whether a token's unknown key is a reason to ask now; if so, it is taken to be asked for.
    pub(super) fn asks_for(&mut self, kid: Option<&str>, now: Instant) -> bool {
        let kid = digest_of(kid.unwrap_or_default().as_bytes());
        self.asked_for.retain(|(_, at)| now.saturating_duration_since(*at) < ASKED_LATELY);
        if self.asked_for.iter().any(|(known, _)| *known == kid) || !self.budget.take(now) {
            return false;
        }
        self.asked_for.push((kid, now));
        true
    }
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        while self.left < BURST && self.since + INTERVAL <= now {
            self.left += 1;
            self.since += INTERVAL;
        }
        if self.left == BURST {
            self.since = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
