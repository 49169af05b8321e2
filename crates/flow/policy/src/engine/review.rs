//! Policies beside what can be asked at all: for whoever reads an estate before it is in force. Looks at scopes alone, and
//! decides nothing.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy};
use model::{ActionName, PolicyId, ResourceId};

use super::Engine;
use crate::answer::policy_id;
use crate::entity::Side;
use crate::scope::Scope;
use crate::shipped;

/// A policy of the estate, and where it is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Written<'a> {
    pub id: &'a PolicyId,
    pub file: &'a str,
    /// The byte of the file at which it begins.
    pub at: usize,
}

impl Engine {
    /// Whether some permit speaks of this action on this resource; where none does, nobody may, whatever is proved.
    pub fn could_permit(&self, action: &ActionName, resource: &ResourceId) -> bool {
        let Some((action, resource)) = self.sides(action, resource) else { return false };
        let mut permits = self.index.policies().filter(|policy| policy.effect() == Effect::Permit);
        permits.any(|policy| Scope::of(policy).is_about_doing(&action, &resource))
    }

    /// The estate's policies that speak of none of what is `asked`, nor of the product's own operations; by id.
    pub fn idle<'a>(
        &'a self,
        asked: impl IntoIterator<Item = (&'a ActionName, &'a ResourceId)>,
    ) -> impl Iterator<Item = Written<'a>> {
        let asked: Vec<(Side, Side)> =
            asked.into_iter().filter_map(|(action, resource)| self.sides(action, resource)).collect();
        let is_idle = |policy: &&Policy| {
            let scope = Scope::of(policy);
            let about = |(action, resource): &(Side, Side)| scope.is_about_doing(action, resource);
            !scope.names_operations() && !asked.iter().any(about)
        };
        let idle: BTreeSet<PolicyId> = self.own().filter(is_idle).map(|policy| policy_id(policy.id())).collect();
        let places = self.places.iter().filter(move |(id, _)| idle.contains(*id));
        places.map(|(id, (file, at))| Written { id, file, at: *at })
    }

    /// The resources that the estate's policies name, in scopes and conditions.
    pub fn named_resources(&self) -> BTreeSet<ResourceId> {
        let literals = self.own().flat_map(Policy::entity_literals);
        literals
            .filter(|uid| self.world.types.resource(uid.id().unescaped()) == *uid)
            .filter_map(|uid| uid.id().unescaped().parse().ok())
            .collect()
    }

    fn own(&self) -> impl Iterator<Item = &Policy> {
        self.index.policies().filter(|policy| !AsRef::<str>::as_ref(policy.id()).starts_with(shipped::PREFIX))
    }

    fn sides(&self, action: &ActionName, resource: &ResourceId) -> Option<(Side, Side)> {
        Some((self.world.act(action)?.side.clone(), self.world.place(resource)?.side.clone()))
    }
}
