//! Key sets that lie elsewhere, kept fresh.
//!
//! One task asks for them ahead of time, keeps the last good set while no newer one can be had, and takes it out of force
//! when it is too old. What is fetched never weakens what is known: an answer that is no key set changes nothing. Nobody on
//! a request's path waits for a fetch, but for a token whose key is not known yet: within a budget, and for a short time.

mod keeper;
mod kept;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credential::{KeySet, Token, UnknownKey};
use model::SourceName;
use net::stop;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::estate::RemoteKeys;
use crate::live::{Current, Live};

pub use keeper::Keeper;

/// Most questions that wait for the keeper.
const ASKS: usize = 1024;
/// How long a request waits for a key that is not known yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Key sets by source; a source without one has none that could be had.
pub type FetchedKeys = BTreeMap<SourceName, Arc<KeySet>>;

/// Asks the keeper. A clone asks the same one.
#[derive(Clone)]
pub struct Keys {
    asks: mpsc::Sender<Ask>,
}

/// How one source's keys are kept; counted since it was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCounts {
    pub source: SourceName,
    /// Since the set in force was asked for; `None` without one.
    pub age: Option<Duration>,
    pub fetches: u64,
    pub failures: u64,
    /// Failures since the last fetch that brought a set.
    pub failing: u32,
    /// Fetches for a token whose key was not known.
    pub refetches: u64,
    /// Tokens whose key was not known and not asked for: asked for lately, or too many.
    pub refused: u64,
}

/// Who waits hears of the set in force once a fetch ended.
type Waiting = oneshot::Sender<Option<Arc<KeySet>>>;

enum Ask {
    /// Fetch anew for an estate that may be in force soon.
    Fetch {
        keys: RemoteKeys,
        waiting: Waiting,
    },
    /// From here on, keep the keys of what is in force, and no others.
    Follow {
        live: Current,
    },
    /// A token names a key that is not known.
    Look {
        unknown: UnknownKey,
        waiting: Waiting,
    },
    Count {
        answer: oneshot::Sender<Vec<KeyCounts>>,
    },
}

/// A keeper that is to be run, and how to ask it.
pub fn keeper() -> (Keys, Keeper) {
    let (asks, asked) = mpsc::channel(ASKS);
    (Keys { asks }, Keeper::new(asked))
}

/// Fetches key sets once, where nothing is kept.
pub async fn fetched_once(keys: &[RemoteKeys]) -> FetchedKeys {
    let ((asks, keeper), (stopper, stopped)) = (keeper(), stop());
    let (fetched, ()) = tokio::join!(
        async {
            let fetched = asks.fetch(keys).await;
            stopper.stop();
            fetched
        },
        keeper.run(stopped)
    );
    fetched
}

impl Keys {
    /// Fetches key sets anew, all at once: an issuer that does not answer delays no other. What cannot be fetched is the
    /// last set that is known from there and not too old.
    pub async fn fetch(&self, keys: &[RemoteKeys]) -> FetchedKeys {
        let mut asked = Vec::new();
        for keys in keys {
            let (waiting, hears) = oneshot::channel();
            let ask = Ask::Fetch { keys: keys.clone(), waiting };
            if self.asks.send(ask).await.is_ok() {
                asked.push((keys.source.clone(), hears));
            }
        }
        let mut fetched = FetchedKeys::new();
        for (source, hears) in asked {
            // the keeper's fetches have a deadline; one that stops tells nobody anything
            if let Ok(Some(keys)) = hears.await {
                fetched.insert(source, keys);
            }
        }
        fetched
    }

    /// Keeps the keys of what is in force from here on, and puts newer ones in force as they come.
    pub async fn follow(&self, live: &Current) {
        // a keeper that stopped keeps nothing
        let _ = self.asks.send(Ask::Follow { live: Arc::clone(live) }).await;
    }

    /// What is in force for a token: if it names a key that its source does not have, the source is asked first.
    pub async fn in_force_for(&self, live: &Current, token: Option<Token<'_>>) -> Arc<Live> {
        let unknown = |live: &Live| token.and_then(|token| UnknownKey::of(&live.snapshot.sources, token));
        let now = live.load_full();
        let Some(first) = unknown(&now) else { return now };
        let look = async {
            self.look_for(first).await;
            // a fetch that was under way may have begun before the key was published
            let still = unknown(&live.load_full());
            if let Some(still) = still {
                self.look_for(still).await;
            }
        };
        // found or not: what is in force says
        let _ = timeout(PATIENCE, look).await;
        live.load_full()
    }

    async fn look_for(&self, unknown: UnknownKey) {
        let (waiting, hears) = oneshot::channel();
        // a keeper with no room for a question is being flooded with them
        if self.asks.try_send(Ask::Look { unknown, waiting }).is_ok() {
            // one that may not ask hears at once that nobody answers
            let _ = hears.await;
        }
    }

    /// How each source's keys are kept.
    pub async fn counts(&self) -> Vec<KeyCounts> {
        let (answer, hears) = oneshot::channel();
        match self.asks.send(Ask::Count { answer }).await {
            Ok(()) => hears.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
