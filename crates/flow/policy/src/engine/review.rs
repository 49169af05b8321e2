//! Policies beside what can be asked at all: for whoever reads an estate before it is in force. Looks at scopes alone, and
//! decides nothing.

use std::collections::BTreeSet;

use cedar_policy::Effect;
use model::{ActionName, PolicyId, ResourceId};

use super::Engine;
use crate::case::Side;
use crate::rule::Rule;

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
        let (action, resource) = self.sides(action, resource);
        let mut permits = self.rules.values().filter(|rule| rule.effect == Effect::Permit);
        permits.any(|rule| rule.is_about_doing(&action, &resource))
    }

    /// The estate's policies that speak of none of what is `asked`, nor of the product's own operations.
    pub fn idle<'a>(
        &'a self,
        asked: impl IntoIterator<Item = (&'a ActionName, &'a ResourceId)>,
    ) -> impl Iterator<Item = Written<'a>> {
        let asked: Vec<(Side, Side)> =
            asked.into_iter().map(|(action, resource)| self.sides(action, resource)).collect();
        let is_idle = move |rule: &&Rule| {
            !rule.names_operations() && !asked.iter().any(|(action, resource)| rule.is_about_doing(action, resource))
        };
        let own = self.rules.values().filter(|rule| !rule.is_shipped()).filter(is_idle);
        own.map(|rule| Written { id: &rule.id, file: &rule.place.0, at: rule.place.1 })
    }

    /// The resources that the estate's policies name, in scopes and conditions.
    pub fn named_resources(&self) -> BTreeSet<ResourceId> {
        let own = self.rules.values().filter(|rule| !rule.is_shipped());
        let literals = own.flat_map(|rule| rule.policy.entity_literals());
        literals
            .filter(|uid| self.types.resource(uid.id().unescaped()) == *uid)
            .filter_map(|uid| uid.id().unescaped().parse().ok())
            .collect()
    }

    fn sides(&self, action: &ActionName, resource: &ResourceId) -> (Side, Side) {
        let base = self.world.base(action).filter(|base| action.as_str() != base.as_str());
        let action = Side {
            uid: self.types.action(action.as_str()),
            above: base.iter().map(|base| self.types.action(base.as_str())).collect(),
        };
        let above = resource.and_ancestors().skip(1).map(|id| self.types.resource(id.as_str())).collect();
        (action, Side { uid: self.types.resource(resource.as_str()), above })
    }
}
