//! The task that keeps key sets: all that is known of them is its own, and every fetch is a task that it owns.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use credential::{BadKeySet, KeySet, UnknownKey};
use net::causes::chain;
use net::{FetchFailed, Remote, Stop, fetch, jittered};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep_until;

use super::kept::Kept;
use super::{Ask, KeyCounts, Waiting};
use crate::estate::RemoteKeys;
use crate::live::Current;

/// Most requests that wait for one source's keys.
const WAITING: usize = 256;

/// Keeps key sets.
///
/// INVARIANT: what was fetched is in force only while its age is looked at. A keeper that ends unasked takes it out of force.
pub struct Keeper {
    asks: mpsc::Receiver<Ask>,
    /// Where newer sets are put in force; `None` before anything is.
    live: Option<Current>,
    sets: Vec<Set>,
    fetches: JoinSet<Fetch>,
    /// Whether it was asked to stop: then the doors stop too, and let what they have begun end.
    stopping: bool,
}

/// One key set that is kept.
struct Set {
    keys: RemoteKeys,
    kept: Kept,
    /// Whether it is of what is in force: only then is it asked for ahead of time.
    followed: bool,
    due: Instant,
    /// One at a time.
    fetching: Option<Id>,
    waiting: Vec<Waiting>,
    /// Whether it is said that the set died of age.
    dead: bool,
    counts: KeyCounts,
}

/// How a fetch ended, and when it began.
struct Fetch {
    asked: Instant,
    came: Result<(KeySet, Option<Duration>), NotFetched>,
}

/// Why there is no newer key set.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error("it cannot be fetched")]
    Fetch(#[source] FetchFailed),
    #[error("what was fetched is not a key set that can be used")]
    KeySet(#[source] BadKeySet),
    #[error("the fetch was broken off")]
    BrokenOff(#[source] JoinError),
}

impl Keeper {
    pub(super) fn new(asks: mpsc::Receiver<Ask>) -> Self {
        Self { asks, live: None, sets: Vec::new(), fetches: JoinSet::new(), stopping: false }
    }

    /// Keeps key sets until asked to stop, or until nobody is left to ask.
    pub async fn run(mut self, mut stop: Stop) {
        loop {
            let wake = self.wakes(Instant::now());
            tokio::select! {
                () = stop.asked() => break,
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.hear(ask, Instant::now()),
                    None => break,
                },
                Some(done) = self.fetches.join_next_with_id() => {
                    let (id, ended) = match done {
                        Ok((id, ended)) => (id, Ok(ended)),
                        Err(error) => (error.id(), Err(error)),
                    };
                    self.ended(id, ended, Instant::now());
                }
                () = until(wake) => {}
            }
            self.tend(Instant::now());
        }
        self.stopping = true;
        self.fetches.shutdown().await;
    }

    fn hear(&mut self, ask: Ask, now: Instant) {
        match ask {
            Ask::Fetch { keys, waiting } => {
                if let Some(set) = known(&mut self.sets, &keys, now) {
                    set.waiting.push(waiting);
                    begin(set, &mut self.fetches, now);
                }
            }
            Ask::Follow { live } => self.follow(live, now),
            Ask::Look { unknown, waiting } => {
                let found = self.sets.iter_mut().find(|set| set.followed && set.keys.source == unknown.source);
                if let Some(set) = found {
                    look(set, &unknown, waiting, &mut self.fetches, now);
                }
            }
            Ask::Count { answer } => {
                let counts =
                    |set: &Set| KeyCounts { age: set.kept.age(now), failing: set.kept.failing(), ..set.counts.clone() };
                // whoever asked may have left
                let _ = answer.send(self.sets.iter().filter(|set| set.followed).map(counts).collect());
            }
        }
    }

    /// What is no longer in force is forgotten; a fetch for it that is under way ends unheard.
    fn follow(&mut self, live: Current, now: Instant) {
        let remotes = Arc::clone(&live.load().remotes);
        self.sets.retain(|set| remotes.iter().any(|keys| set.keys.are_where(keys)));
        for keys in remotes.iter() {
            if let Some(set) = known(&mut self.sets, keys, now) {
                set.kept.keep_as(keys);
                set.due = set.due.min(now + keys.refresh);
                set.followed = true;
                // the estate was compiled with what was fetched for it: since then, something newer may have come
                put_in_force(Some(&live), set, now);
            }
        }
        self.live = Some(live);
    }

    fn ended(&mut self, task: Id, ended: Result<Fetch, JoinError>, now: Instant) {
        let Some(set) = self.sets.iter_mut().find(|set| set.fetching == Some(task)) else { return };
        set.fetching = None;
        let came = ended.map_err(NotFetched::BrokenOff).and_then(|fetch| Ok((fetch.asked, fetch.came?)));
        let source = set.keys.source.as_str();
        let pause = match came {
            Ok((asked, (keys, max_age))) => {
                if set.kept.in_force(now).is_none_or(|known| known.digest() != keys.digest()) {
                    tracing::info!(source, keys = %keys.digest(), "a new key set");
                }
                set.dead = false;
                set.kept.came(Arc::new(keys), asked, max_age)
            }
            Err(error) => {
                set.counts.failures += 1;
                let age = set.kept.age(now).map(|age| age.as_secs());
                tracing::warn!(source, url = set.keys.remote.url(), error = chain(&error), age, "no newer key set");
                set.kept.failed()
            }
        };
        set.due = now + jittered(pause);
        put_in_force(self.live.as_ref(), set, now);
        for waiting in set.waiting.drain(..) {
            // whoever waited may have left
            let _ = waiting.send(set.kept.in_force(now).cloned());
        }
    }

    /// Asks for what is due, and takes out of force what is too old.
    fn tend(&mut self, now: Instant) {
        for set in self.sets.iter_mut().filter(|set| set.followed) {
            if set.due <= now {
                begin(set, &mut self.fetches, now);
            }
            if !set.dead && set.kept.in_force(now).is_none() {
                set.dead = true;
                tracing::warn!(
                    source = set.keys.source.as_str(),
                    "no key set that is young enough: its tokens are refused"
                );
                put_in_force(self.live.as_ref(), set, now);
            }
        }
    }

    /// When there is something to do.
    fn wakes(&self, now: Instant) -> Option<Instant> {
        let followed = self.sets.iter().filter(|set| set.followed);
        followed.flat_map(|set| [set.fetching.is_none().then_some(set.due), set.kept.dies(now)]).flatten().min()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(live) = self.live.as_ref().filter(|_| !self.stopping) else { return };
        tracing::error!("key sets are no longer kept: tokens of sources whose keys are fetched are refused");
        for set in &self.sets {
            exchange(live, set, None);
        }
    }
}

impl Set {
    fn new(keys: &RemoteKeys, now: Instant) -> Self {
        let source = keys.source.clone();
        Self {
            keys: keys.clone(),
            kept: Kept::new(keys, now),
            followed: false,
            due: now,
            fetching: None,
            waiting: Vec::new(),
            dead: false,
            counts: KeyCounts { source, age: None, fetches: 0, failures: 0, failing: 0, refetches: 0, refused: 0 },
        }
    }
}

/// What is kept of these keys, from here on if it was not before.
fn known<'a>(sets: &'a mut Vec<Set>, keys: &RemoteKeys, now: Instant) -> Option<&'a mut Set> {
    if !sets.iter().any(|set| set.keys.are_where(keys)) {
        sets.push(Set::new(keys, now));
    }
    sets.iter_mut().find(|set| set.keys.are_where(keys))
}

/// Asks for newer keys, unless that is under way.
fn begin(set: &mut Set, fetches: &mut JoinSet<Fetch>, now: Instant) {
    if set.fetching.is_none() {
        set.counts.fetches += 1;
        set.fetching = Some(fetches.spawn(fetched(set.keys.remote.clone(), now)).id());
    }
}

/// A token's key is not known: asks for newer keys, if that is within the budget, and lets whoever asks wait for the end of it.
fn look(set: &mut Set, unknown: &UnknownKey, waiting: Waiting, fetches: &mut JoinSet<Fetch>, now: Instant) {
    if set.fetching.is_none() && set.kept.asks_for(unknown.kid.as_deref(), now) {
        set.counts.refetches += 1;
        begin(set, fetches, now);
    }
    if set.fetching.is_some() && set.waiting.len() < WAITING {
        set.waiting.push(waiting);
    } else {
        set.counts.refused += 1;
    }
}

/// Puts in force what is known of a set.
fn put_in_force(live: Option<&Current>, set: &Set, now: Instant) {
    if let Some(live) = live {
        exchange(live, set, set.kept.in_force(now));
    }
}

/// Changes nothing where these keys are in force already, or the source's keys come from elsewhere by now.
fn exchange(live: &Current, set: &Set, keys: Option<&Arc<KeySet>>) {
    live.rcu(|live| live.with_keys(&set.keys, keys.cloned()).map_or_else(|| Arc::clone(live), Arc::new));
}

async fn fetched(remote: Remote, asked: Instant) -> Fetch {
    let came = match fetch(&remote).await {
        Ok(fetched) => match KeySet::parse(&fetched.document) {
            Ok(keys) => Ok((keys, fetched.max_age)),
            Err(bad) => Err(NotFetched::KeySet(bad)),
        },
        Err(failed) => Err(NotFetched::Fetch(failed)),
    };
    Fetch { asked, came }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => pending().await,
    }
}
