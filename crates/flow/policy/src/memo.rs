//! Answers that will be the same when they are asked for again, remembered.
//!
//! INVARIANT: a memo changes how soon an answer comes, and never which. It belongs to one engine and goes with it; what a
//! candidate reads of the time or of parameters keeps an answer out; and an answer is given again only for the same
//! principal, in all that its owners declared, with the same evidence, and for the same question but for parameters. What
//! explains or replays a decision decides afresh.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use identity::Principal;
use model::{ActionName, Fact, PrincipalId, ResourceId};

use crate::decide::Question;
use crate::engine::{Facts, Finding};

/// Most answers in each half; beyond that, those that were not asked for lately go.
const HALF: usize = 5_000;

/// What most answers differ by.
type Key = (PrincipalId, ActionName, ResourceId, BTreeSet<Fact>);
type Half = HashMap<Key, Arc<Held>>;

#[derive(Default)]
pub(crate) struct Memo(Mutex<Halves>);

/// What is asked for moves to the young half, and when that is full, the old one is forgotten as a whole.
#[derive(Default)]
struct Halves {
    young: Half,
    old: Half,
}

struct Held {
    principal: Principal,
    protocol: String,
    service: String,
    finding: Finding,
}

impl Memo {
    pub(crate) fn recall(&self, facts: &Facts<'_>) -> Option<Finding> {
        let (held, forgotten) = self.halves().find(key(facts))?;
        drop(forgotten);
        held.answers(facts).then(|| held.finding.clone())
    }

    pub(crate) fn remember(&self, facts: &Facts<'_>, finding: &Finding) {
        let Question { protocol, service, .. } = facts.question;
        let (protocol, service) = (protocol.clone(), service.clone());
        let held = Held { principal: facts.principal.clone(), protocol, service, finding: finding.clone() };
        let forgotten = self.halves().put(key(facts), Arc::new(held));
        // many answers may go at once: nobody else waits for it
        drop(forgotten);
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        // both halves are whole between any two lines
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Halves {
    fn find(&mut self, key: Key) -> Option<(Arc<Held>, Half)> {
        if let Some(held) = self.young.get(&key) {
            return Some((Arc::clone(held), HashMap::new()));
        }
        let held = self.old.remove(&key)?;
        let forgotten = self.put(key, Arc::clone(&held));
        Some((held, forgotten))
    }

    /// Gives what is forgotten for it.
    fn put(&mut self, key: Key, held: Arc<Held>) -> Half {
        let full = self.young.len() >= HALF && !self.young.contains_key(&key);
        let forgotten =
            if full { std::mem::replace(&mut self.old, std::mem::take(&mut self.young)) } else { HashMap::new() };
        self.young.insert(key, held);
        forgotten
    }
}

impl Held {
    fn answers(&self, facts: &Facts<'_>) -> bool {
        let Question { protocol, service, params, .. } = facts.question;
        let same = self.principal == *facts.principal && self.protocol == *protocol && self.service == *service;
        // a parameter that is given twice is refused, whoever reads it
        same && !params.iter().enumerate().any(|(n, (name, _))| params.iter().take(n).any(|(other, _)| other == name))
    }
}

fn key(facts: &Facts<'_>) -> Key {
    let Question { action, resource, .. } = facts.question;
    (facts.principal.id.clone(), action.clone(), resource.clone(), facts.evidence.clone())
}

/// Shows nothing of what it holds, and takes no lock for it.
impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}
