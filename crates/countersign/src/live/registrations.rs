//! The registrations in force, found by name and by node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Digest, SelectorIndex, Selectors};

use crate::estate::Registration;

/// A registration, and the digest of its document.
#[derive(Debug)]
pub struct Registered {
    pub registration: Registration,
    pub digest: Digest,
}

/// Every registration of an estate.
#[derive(Debug, Default)]
pub struct Registrations {
    by_name: HashMap<String, Arc<Registered>>,
    of_nodes: SelectorIndex<Arc<Registered>>,
}

impl Registrations {
    pub fn new(all: Vec<Registered>) -> Self {
        let all: Vec<Arc<Registered>> = all.into_iter().map(Arc::new).collect();
        let named = |registered: &Arc<Registered>| (registered.registration.name.clone(), Arc::clone(registered));
        let by_name = all.iter().map(named).collect();
        let asks = |registered: Arc<Registered>| (registered.registration.nodes.clone(), registered);
        Self { by_name, of_nodes: SelectorIndex::new(all.into_iter().map(asks).collect()) }
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Registered>> {
        self.by_name.get(name)
    }

    /// What a node of these selectors may hand out, by name.
    pub fn of_node(&self, node: &Selectors) -> BTreeMap<String, Arc<Registered>> {
        let named = |registered: &Arc<Registered>| (registered.registration.name.clone(), Arc::clone(registered));
        self.of_nodes.matching(node).map(named).collect()
    }
}
