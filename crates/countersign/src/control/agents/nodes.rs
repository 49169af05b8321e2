//! What was attested of the nodes of agents, read from the state and remembered for a moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{Selector, Selectors, Time};
use store::{KeptAgent, State, StateFault};

/// How long what was read is good: another node of control may attest an agent anew, or evict it.
const FRESH: Duration = Duration::from_secs(5);
/// Most nodes that are remembered.
const MOST: usize = 20_000;
/// Certificates know whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Remembers nodes.
#[derive(Default)]
pub(in crate::control) struct Nodes {
    known: Mutex<HashMap<String, Arc<Node>>>,
}

/// A node as it was attested last.
pub(super) struct Node {
    pub(super) selectors: Arc<Selectors>,
    attested: Time,
    read: Instant,
    /// It was evicted, or attested anew, since.
    ended: AtomicBool,
}

impl Node {
    /// Whether nothing newer is known of it.
    pub(super) fn stands(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    fn is_fresh(&self) -> bool {
        self.stands() && self.read.elapsed() < FRESH
    }
}

impl Nodes {
    /// What holds of the node of an agent whose SVID was issued then; none if it was never attested, or if it was evicted or
    /// attested anew after that.
    ///
    /// # Errors
    /// [`StateFault`].
    pub(super) async fn of(
        &self,
        state: &State,
        agent: &str,
        issued: Option<Time>,
    ) -> Result<Option<Arc<Node>>, StateFault> {
        let known = self.lock().get(agent).filter(|node| node.is_fresh()).cloned();
        let node = match known {
            Some(node) => Some(node),
            None => self.read(state, agent).await?,
        };
        Ok(node.filter(|node| issued.is_some_and(|issued| issued.plus(SECOND) > node.attested)))
    }

    async fn read(&self, state: &State, agent: &str) -> Result<Option<Arc<Node>>, StateFault> {
        let kept = state.agent(agent).await?;
        let mut known = self.lock();
        let Some(kept) = kept else {
            known.remove(agent);
            return Ok(None);
        };
        if known.len() >= MOST {
            known.retain(|_, node| node.is_fresh());
        }
        let node = Arc::new(Node {
            selectors: Arc::new(selectors(&kept)),
            // one that cannot be read is after everything
            attested: kept.attested.parse().unwrap_or(Time::MAX),
            read: Instant::now(),
            ended: AtomicBool::new(false),
        });
        known.insert(agent.to_owned(), Arc::clone(&node));
        Ok(Some(node))
    }

    /// Nothing is known of an agent any more.
    pub(super) fn forget(&self, agent: &str) {
        if let Some(node) = self.lock().remove(agent) {
            node.ended.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Node>>> {
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
