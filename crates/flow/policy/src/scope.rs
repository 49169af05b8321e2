//! What the scope of a policy speaks of, and where the policy has a say.

use std::collections::BTreeSet;

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};

use crate::entity::Side;
use crate::shipped;

/// The three constraints of a scope. Policies with the same are looked up, and evaluated, together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) principal: Term,
    pub(crate) action: Acts,
    pub(crate) resource: Term,
}

/// Which principals, or which resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    Any,
    Is(EntityTypeName),
    Eq(EntityUid),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

/// Which actions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Acts {
    Any,
    Eq(EntityUid),
    In(BTreeSet<EntityUid>),
}

/// On whom a policy has a say when they ask about the product's own operations; on all else every policy has one.
///
/// A permit only if it names them, so that a broad one lets nobody in; a forbid on operators likewise, so that a broad
/// one, or one that errs, does not lock out who would mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    Everybody,
    AllButOperators,
    Nobody,
}

/// What a question is about, and who asks, as far as it matters to a [`Say`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matter {
    /// Anything but the product's own operations.
    Business,
    /// The product's own operations, asked about by one of its operators.
    Operators,
    /// The product's own operations, asked about by anybody else.
    Operations,
}

impl Scope {
    pub(crate) fn of(policy: &Policy) -> Self {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Term::Any,
            PrincipalConstraint::Is(kind) => Term::Is(kind),
            PrincipalConstraint::Eq(uid) => Term::Eq(uid),
            PrincipalConstraint::In(uid) => Term::In(uid),
            PrincipalConstraint::IsIn(kind, uid) => Term::IsIn(kind, uid),
        };
        let action = match policy.action_constraint() {
            ActionConstraint::Any => Acts::Any,
            ActionConstraint::Eq(uid) => Acts::Eq(uid),
            ActionConstraint::In(uids) => Acts::In(uids.into_iter().collect()),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Term::Any,
            ResourceConstraint::Is(kind) => Term::Is(kind),
            ResourceConstraint::Eq(uid) => Term::Eq(uid),
            ResourceConstraint::In(uid) => Term::In(uid),
            ResourceConstraint::IsIn(kind, uid) => Term::IsIn(kind, uid),
        };
        Self { principal, action, resource }
    }

    /// Whether the product's own tree is named, the group of its operators or planes, or one of its operators.
    pub(crate) fn names_operations(&self) -> bool {
        let operated = |uid: &EntityUid| shipped::is_operated(uid.id().unescaped());
        let operator = |uid: &EntityUid| {
            let id: &str = uid.id().unescaped();
            shipped::is_shipped_group(id) || shipped::is_operators_id(id)
        };
        self.resource.uid().is_some_and(operated) || self.principal.uid().is_some_and(operator)
    }
}

impl Scope {
    /// Whether this action on this resource is spoken of, for some principal.
    pub(crate) fn is_about_doing(&self, action: &Side, resource: &Side) -> bool {
        let acts = match &self.action {
            Acts::Any => true,
            Acts::Eq(uid) => action.uid == *uid,
            Acts::In(uids) => uids.iter().any(|uid| action.is_in(uid)),
        };
        let places = match &self.resource {
            Term::Any => true,
            Term::Is(kind) => resource.uid.type_name() == kind,
            Term::Eq(uid) => resource.uid == *uid,
            Term::In(uid) => resource.is_in(uid),
            Term::IsIn(kind, uid) => resource.uid.type_name() == kind && resource.is_in(uid),
        };
        acts && places
    }
}

impl Term {
    /// The entity that is named.
    pub(crate) fn uid(&self) -> Option<&EntityUid> {
        match self {
            Self::Eq(uid) | Self::In(uid) | Self::IsIn(_, uid) => Some(uid),
            Self::Any | Self::Is(_) => None,
        }
    }
}

impl Say {
    pub(crate) fn of(id: &str, effect: Effect, scope: &Scope) -> Self {
        if id.starts_with(shipped::PREFIX) || scope.names_operations() {
            return Self::Everybody;
        }
        match effect {
            Effect::Forbid => Self::AllButOperators,
            Effect::Permit => Self::Nobody,
        }
    }

    pub(crate) fn is_heard(self, matter: Matter) -> bool {
        match matter {
            Matter::Business => true,
            Matter::Operators => self == Self::Everybody,
            Matter::Operations => self != Self::Nobody,
        }
    }
}
