//! What is registered: by the estate, and beside it, put by itself. Changes one by one, is found by name and by node, and may
//! have a million entries.

mod document;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use credential::digest_of;
use model::{Digest, Selector, SelectorIndex, Selectors, SpiffeId};
use tokio::sync::watch;

use crate::estate::Registration;

pub use document::{BadDocument, read, write};

/// Most changes that are remembered, so that whoever hears of them knows whether they concern it.
const REMEMBERED: usize = 4_096;

/// A registration, and what tells it from the one that had its name before.
#[derive(Debug)]
pub struct Registered {
    pub registration: Registration,
    pub digest: Digest,
    pub origin: Origin,
}

/// By whom it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Estate,
    /// Put by itself.
    Own,
}

/// Everything that is registered.
pub struct Registry {
    inner: RwLock<Inner>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    /// Of one name, the estate's counts.
    of_estate: HashMap<String, Arc<Registered>>,
    own: HashMap<String, Arc<Registered>>,
    of_nodes: SelectorIndex<Arc<Registered>>,
    /// Control planes below this one: few.
    downstream: BTreeMap<SpiffeId, Vec<Arc<Registered>>>,
    /// What selectors of nodes were concerned by each version.
    changes: VecDeque<(u64, Box<[Selector]>)>,
    version: u64,
}

impl Registered {
    fn new(registration: Registration, origin: Origin) -> Arc<Self> {
        let digest = digest_of(format!("{}\n{}", registration.name, write(&registration)).as_bytes());
        Arc::new(Self { registration, digest, origin })
    }

    /// Whose it is, if it is that of a control plane below.
    fn downstream(&self) -> Option<SpiffeId> {
        self.registration.id.fixed().filter(|_| self.registration.downstream)
    }
}

impl Registry {
    /// Hears of every new version.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The registrations of the estate in force: whatever is not among them is not registered by it.
    pub fn take_estate(&self, registrations: Vec<Registration>) {
        let new: HashMap<String, Arc<Registered>> = registrations
            .into_iter()
            .map(|registration| (registration.name.clone(), Registered::new(registration, Origin::Estate)))
            .collect();
        self.change(|inner| {
            let gone: Vec<String> = inner.of_estate.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
            for name in gone {
                inner.exchange(&name, |inner| _ = inner.of_estate.remove(&name));
            }
            // tidy: order cannot matter
            for (name, registered) in new {
                if inner.of_estate.get(&name).is_none_or(|before| before.digest != registered.digest) {
                    inner.exchange(&name.clone(), |inner| _ = inner.of_estate.insert(name, registered));
                }
            }
        });
    }

    /// What was put by itself, or deleted.
    pub fn take_own(&self, put: Vec<(String, Option<Registration>)>) {
        self.change(|inner| {
            for (name, registration) in put {
                inner.exchange(&name.clone(), |inner| match registration {
                    Some(registration) => _ = inner.own.insert(name, Registered::new(registration, Origin::Own)),
                    None => _ = inner.own.remove(&name),
                });
            }
        });
    }

    pub fn named(&self, name: &str) -> Option<Arc<Registered>> {
        self.read().effective(name).cloned()
    }

    /// The registrations of a control plane below this one; empty for everybody else.
    pub fn downstream(&self, id: &SpiffeId) -> Vec<Arc<Registered>> {
        self.read().downstream.get(id).cloned().unwrap_or_default()
    }

    /// What a node of these selectors may hand out, by name, and the version that this is of.
    pub fn of_node(&self, node: &Selectors) -> (u64, BTreeMap<String, Arc<Registered>>) {
        let inner = self.read();
        let named = |registered: &Arc<Registered>| (registered.registration.name.clone(), Arc::clone(registered));
        (inner.version, inner.of_nodes.matching(node).map(named).collect())
    }

    /// Whether anything that changed after a version may concern a node. Where that is not remembered, it may.
    pub fn concerns(&self, since: u64, node: &Selectors) -> bool {
        let inner = self.read();
        if since >= inner.version {
            return false;
        }
        if inner.changes.front().is_none_or(|(first, _)| *first > since + 1) {
            return true;
        }
        let mut newer = inner.changes.iter().rev().take_while(|(version, _)| *version > since);
        newer.any(|(_, nodes)| nodes.iter().all(|selector| node.contains(selector)))
    }

    /// Names of up to `most` registrations, in their order, and how many there are in all.
    pub fn listed(&self, most: usize) -> (Vec<Arc<Registered>>, usize) {
        let inner = self.read();
        let shadowed = |name: &String| inner.of_estate.contains_key(name);
        let own = inner.own.iter().filter(|(name, _)| !shadowed(name)).map(|(_, registered)| registered);
        let mut all: Vec<&Arc<Registered>> = inner.of_estate.values().chain(own).collect();
        all.sort_unstable_by(|one, other| one.registration.name.cmp(&other.registration.name));
        (all.iter().take(most).map(|registered| Arc::clone(registered)).collect(), all.len())
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let version = {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            change(&mut inner);
            inner.version
        };
        self.version.send_if_modified(|known| std::mem::replace(known, version) != version);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self { inner: RwLock::default(), version: watch::Sender::new(0) }
    }
}

impl Inner {
    fn effective(&self, name: &str) -> Option<&Arc<Registered>> {
        self.of_estate.get(name).or_else(|| self.own.get(name))
    }

    /// Changes what is registered under a name, and what is found by it.
    fn exchange(&mut self, name: &str, change: impl FnOnce(&mut Self)) {
        let before = self.effective(name).cloned();
        change(self);
        let after = self.effective(name).cloned();
        if before.as_ref().map(|one| one.digest) == after.as_ref().map(|one| one.digest) {
            return;
        }
        if let Some(before) = &before {
            if let Some(id) = before.downstream()
                && let Some(all) = self.downstream.get_mut(&id)
            {
                all.retain(|one| one.registration.name != name);
                self.downstream.retain(|_, all| !all.is_empty());
            }
            self.of_nodes.remove(&before.registration.nodes, |one| one.registration.name == name);
        }
        if let Some(after) = &after {
            if let Some(id) = after.downstream() {
                self.downstream.entry(id).or_default().push(Arc::clone(after));
            }
            self.of_nodes.insert(after.registration.nodes.clone(), Arc::clone(after));
        }
        for concerned in before.iter().chain(&after) {
            self.version += 1;
            if self.changes.len() >= REMEMBERED {
                self.changes.pop_front();
            }
            self.changes.push_back((self.version, concerned.registration.nodes.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
