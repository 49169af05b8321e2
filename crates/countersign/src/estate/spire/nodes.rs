//! What an entry's parent is in selectors of nodes: a node by its agent's SPIFFE ID, a group of nodes by what it asks for, another
//! workload by its own parent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Selector, Selectors, SpiffeId};

use super::carry::selectors;
use super::entry::Entry;

/// Path of the parent of groups of nodes.
pub(super) const SERVER: &str = "/spire/server";
/// Below it are nodes, by the method that attested them.
const AGENTS: &str = "/spire/agent/";
/// Most ids that are looked at above one entry.
const MOST_ABOVE: usize = 100;
/// Most ways in which the nodes of one entry are known.
const MOST_WAYS: usize = 64;

/// The ways in which nodes are known: all selectors of one of them hold.
pub(super) type Ways = Arc<BTreeSet<Selectors>>;

/// Why no node is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoNodes {
    #[error("its parent `{parent}` is the id of no entry here, and of no agent")]
    Unknown { parent: SpiffeId },
    #[error(
        "its parent `{parent}` is one node, and nothing that is attested here names it: register it with `nodes` of your own"
    )]
    Unnamed { parent: SpiffeId },
    #[error("the parents above `{parent}` lead back to it and to no node")]
    Cycle { parent: SpiffeId },
    #[error("the parents above `{parent}` lead to no node: what is said of them is above")]
    Nowhere { parent: SpiffeId },
    #[error("more than {MOST_ABOVE} ids are above `{parent}`")]
    TooDeep { parent: SpiffeId },
    #[error("the nodes of `{parent}` are known in more than {MOST_WAYS} ways")]
    TooMany { parent: SpiffeId },
}

/// What an entry says of the id that it is for.
enum Says {
    /// It is a group of the nodes of which these hold; none where they are no selectors.
    Group(Option<Selectors>),
    /// It is where its parent is.
    Below(SpiffeId),
}

/// Every id that may be a parent.
pub(super) struct Nodes {
    said: BTreeMap<SpiffeId, Vec<Says>>,
    children: BTreeSet<SpiffeId>,
    found: BTreeMap<SpiffeId, Result<Ways, NoNodes>>,
}

impl Nodes {
    pub(super) fn new(entries: &[(&Entry, SpiffeId, SpiffeId)]) -> Self {
        let mut said: BTreeMap<SpiffeId, Vec<Says>> = BTreeMap::new();
        for (entry, id, parent) in entries {
            let says =
                if parent.path() == SERVER { Says::Group(selectors(entry).ok()) } else { Says::Below(parent.clone()) };
            said.entry(id.clone()).or_default().push(says);
        }
        let children = entries.iter().map(|(_, _, parent)| parent.clone()).collect();
        Self { said, children, found: BTreeMap::new() }
    }

    pub(super) fn has_children(&self, id: &SpiffeId) -> bool {
        self.children.contains(id)
    }

    /// The nodes of whatever stands below `parent`.
    pub(super) fn of(&mut self, parent: &SpiffeId) -> Result<Ways, NoNodes> {
        if let Some(found) = self.found.get(parent) {
            return found.clone();
        }
        let found = self.look(parent).map(Arc::new);
        self.found.insert(parent.clone(), found.clone());
        found
    }

    /// What to say of a parent that was asked for, if there is something.
    pub(super) fn chosen(&self, parent: &SpiffeId) -> Option<String> {
        let ways = self.found.get(parent)?.as_ref().ok()?;
        let way = |way: &Selectors| way.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" and ");
        let ways = ways.iter().map(way).collect::<Vec<_>>().join(", or ");
        Some(match agent(parent) {
            Some(Agent { method: "join_token", .. }) => {
                format!("one node, now {ways}: let it join anew, under that name (`enroll token --role agent --name`)")
            }
            Some(_) => format!("one node, now {ways}: let it be attested anew"),
            None => format!("nodes of which {ways} hold: let them be attested anew"),
        })
    }

    fn look(&self, parent: &SpiffeId) -> Result<BTreeSet<Selectors>, NoNodes> {
        let (mut ways, mut seen, mut open) = (BTreeSet::new(), BTreeSet::from([parent]), vec![parent]);
        let (mut unnamed, mut unknown, mut returns) = (false, false, false);
        while let Some(id) = open.pop() {
            let agent = agent(id);
            match agent.as_ref().map(Agent::selectors) {
                Some(Some(selectors)) => _ = ways.insert(selectors),
                Some(None) => unnamed = true,
                None => {}
            }
            let said = self.said.get(id).map(Vec::as_slice).unwrap_or_default();
            unknown |= agent.is_none() && said.is_empty();
            for says in said {
                match says {
                    Says::Group(Some(selectors)) => _ = ways.insert(selectors.clone()),
                    Says::Group(None) => unknown = true,
                    Says::Below(above) if seen.insert(above) => open.push(above),
                    Says::Below(_) => returns = true,
                }
            }
            if seen.len() > MOST_ABOVE {
                return Err(NoNodes::TooDeep { parent: parent.clone() });
            }
        }
        let parent = || parent.clone();
        if ways.len() > MOST_WAYS {
            return Err(NoNodes::TooMany { parent: parent() });
        }
        if !ways.is_empty() {
            return Ok(shortest(&ways));
        }
        Err(match (unnamed, unknown, returns, seen.len()) {
            (true, ..) => NoNodes::Unnamed { parent: parent() },
            (_, true, _, 1) => NoNodes::Unknown { parent: parent() },
            (_, false, true, _) => NoNodes::Cycle { parent: parent() },
            _ => NoNodes::Nowhere { parent: parent() },
        })
    }
}

/// Without those that ask for all that another one asks for, and more: they are of no other node.
fn shortest(ways: &BTreeSet<Selectors>) -> BTreeSet<Selectors> {
    let covered = |way: &Selectors| ways.iter().any(|other| other != way && other.is_subset(way));
    ways.iter().filter(|way| !covered(way)).cloned().collect()
}

/// A node, as SPIRE names its agent unless it is told otherwise.
struct Agent<'a> {
    method: &'a str,
    rest: Vec<&'a str>,
}

fn agent(id: &SpiffeId) -> Option<Agent<'_>> {
    let (method, rest) = id.path().strip_prefix(AGENTS)?.split_once('/')?;
    Some(Agent { method, rest: rest.split('/').collect() })
}

impl Agent<'_> {
    /// What holds of this node and of no other; none where an id does not say as much.
    fn selectors(&self) -> Option<Selectors> {
        let pairs: Vec<(&str, &str)> = match (self.method, self.rest.as_slice()) {
            ("join_token", [token]) => vec![("node:method", "join_token"), ("node:name", token)],
            ("k8s_psat", [cluster, uid]) => vec![("k8s_psat:cluster", cluster), ("k8s_psat:agent_node_uid", uid)],
            ("aws_iid", [_, region, instance]) => {
                vec![("aws_iid:region", region), ("aws_iid:instance:id", instance)]
            }
            _ => return None,
        };
        pairs.into_iter().map(|(name, value)| Selector::of(name, value)).collect()
    }
}
