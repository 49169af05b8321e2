//! Everything that a question can be about: actions, resources, groups, and the proof that each pair demands.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use identity::Principal;
use model::{ActionName, BaseAction, GroupName, PrincipalId, ResourceId, Risk, Tier};

use crate::shipped;
use crate::vocabulary::{Resource, Vocabulary};

/// An estate's declarations and the built-in ones, ready to be asked about.
#[derive(Debug)]
pub(crate) struct World {
    actions: BTreeMap<ActionName, BaseAction>,
    resources: BTreeMap<ResourceId, Resource>,
    /// Each group with every group that it is in, however far up.
    groups: BTreeMap<GroupName, BTreeSet<GroupName>>,
    operators: BTreeSet<PrincipalId>,
    risk_floor: BTreeMap<Risk, Tier>,
}

impl World {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        let mut actions = vocabulary.actions.clone();
        actions.extend(BaseAction::ALL.iter().map(|base| (ActionName::from(*base), *base)));
        let declared = vocabulary.resources.iter().filter(|resource| !shipped::is_built_in(&resource.id)).cloned();
        let resources = declared.chain(shipped::resources());
        Self {
            actions,
            resources: resources.map(|resource| (resource.id.clone(), resource)).collect(),
            groups: closures(vocabulary),
            operators: vocabulary.operators.iter().cloned().collect(),
            risk_floor: vocabulary.risk_floor.clone(),
        }
    }

    /// The base action that an action is, or is in.
    pub(crate) fn base(&self, action: &ActionName) -> Option<BaseAction> {
        self.actions.get(action).copied()
    }

    pub(crate) fn resource(&self, id: &ResourceId) -> Option<Cow<'_, Resource>> {
        let declared = self.resources.get(id).map(Cow::Borrowed);
        declared.or_else(|| shipped::public(id).map(Cow::Owned))
    }

    /// The proof that an action on a resource demands of a principal of this risk.
    pub(crate) fn tier(&self, risk: Risk, base: BaseAction, resource: &Resource) -> Tier {
        let asked = resource.tiers.of(base);
        if shipped::is_public(&resource.id) {
            return asked;
        }
        asked.max(self.risk_floor.get(&risk).copied().unwrap_or(Tier::Routine))
    }

    /// Every group that a principal is in, whether directly or through another group.
    pub(crate) fn groups_of<'a>(&'a self, principal: &'a Principal) -> BTreeSet<&'a str> {
        let mut all = BTreeSet::new();
        for name in principal.groups.iter().filter(|name| !is_operators(name)) {
            all.insert(name.as_str());
            all.extend(self.groups.get(name).into_iter().flatten().map(GroupName::as_str));
        }
        // INVARIANT: nothing else makes an operator; an estate's word for the group was left out above and in `closures`
        if self.operators.contains(&principal.id) {
            all.insert(shipped::OPERATORS);
        }
        all
    }

    pub(crate) fn actions(&self) -> impl Iterator<Item = &ActionName> {
        self.actions.keys()
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = &ResourceId> {
        self.resources.keys()
    }
}

fn is_operators(name: &GroupName) -> bool {
    name.as_str() == shipped::OPERATORS
}

fn closures(vocabulary: &Vocabulary) -> BTreeMap<GroupName, BTreeSet<GroupName>> {
    let mut parents: BTreeMap<&GroupName, Vec<&GroupName>> = BTreeMap::new();
    for group in vocabulary.groups.iter().filter(|group| !is_operators(&group.name)) {
        parents.entry(&group.name).or_default().extend(group.parents.iter().filter(|name| !is_operators(name)));
    }
    let above = |name: &GroupName| {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            for parent in parents.get(name).into_iter().flatten() {
                if found.insert((*parent).clone()) {
                    open.push(parent);
                }
            }
        }
        found
    };
    parents.keys().map(|name| ((*name).clone(), above(name))).collect()
}
