//! What was attested of the nodes of agents, read from the state and remembered for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{Selector, Selectors};
use store::{KeptAgent, State, StateFault};

/// How long what was read is good: another node of control may attest an agent anew.
const FRESH: Duration = Duration::from_secs(5);
/// Most nodes that are remembered.
const MOST: usize = 20_000;

/// Remembers nodes.
#[derive(Default)]
pub(super) struct Nodes {
    known: Mutex<HashMap<String, (Instant, Arc<Selectors>)>>,
}

impl Nodes {
    /// What holds of the node of an agent; none if it was never attested.
    ///
    /// # Errors
    /// [`StateFault`].
    pub(super) async fn of(&self, state: &State, agent: &str) -> Result<Option<Arc<Selectors>>, StateFault> {
        if let Some((read, selectors)) = self.lock().get(agent)
            && read.elapsed() < FRESH
        {
            return Ok(Some(Arc::clone(selectors)));
        }
        let kept = state.agent(agent).await?;
        let mut known = self.lock();
        let Some(kept) = kept else {
            known.remove(agent);
            return Ok(None);
        };
        if known.len() >= MOST {
            known.retain(|_, (read, _)| read.elapsed() < FRESH);
        }
        let selectors = Arc::new(selectors(&kept));
        known.insert(agent.to_owned(), (Instant::now(), Arc::clone(&selectors)));
        Ok(Some(selectors))
    }

    /// Nothing is known of an agent any more.
    pub(super) fn forget(&self, agent: &str) {
        self.lock().remove(agent);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Arc<Selectors>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was attested, and what holds of every node: `node:any`, its name, its method and its SPIFFE ID.
pub(super) fn selectors(kept: &KeptAgent) -> Selectors {
    let name = kept.id.split_once("/countersign/agent/").map_or("", |(_, name)| name);
    let own = [("node", "any"), ("node:name", name), ("node:method", &kept.method), ("node:id", &kept.id)];
    let own = own.into_iter().filter_map(|(kind, value)| Selector::of(kind, value));
    kept.selectors.iter().cloned().chain(own).collect()
}
