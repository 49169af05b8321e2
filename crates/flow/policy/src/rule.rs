//! One policy as the engine keeps it: its text, whom and what its scope speaks of, and its conditions taken apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::pst::{self, BinaryOp, Clause, Expr};
use cedar_policy::{ActionConstraint, Effect, Policy, PolicySet, PrincipalConstraint, ResourceConstraint};
use model::{Fact, PolicyId};

use crate::case::{Case, Side};
use crate::lint::{self, Sight};
use crate::shipped;

/// A policy that was checked.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: PolicyId,
    pub(crate) effect: Effect,
    /// As its author wrote it.
    pub(crate) text: String,
    /// Name of its file, and the byte at which it begins there.
    pub(crate) place: (String, usize),
    pub(crate) policy: Policy,
    /// Facts that its conditions ask for.
    pub(crate) facts: BTreeSet<Fact>,
    pub(crate) parts: Vec<Part>,
    scope: Scope,
}

/// A part of a policy's conditions that can be to blame for a denial.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) blamed: Blamed,
    /// One policy that permits exactly where the part holds.
    pub(crate) probe: PolicySet,
}

/// When a part is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blamed {
    /// In a permit's `unless`, in a forbid's `when`.
    WhenItHolds,
    /// In a permit's `when`, in a forbid's `unless`: each conjunct is a part of its own.
    WhenItFails,
}

#[derive(Debug)]
struct Scope {
    principal: PrincipalConstraint,
    action: ActionConstraint,
    resource: ResourceConstraint,
}

impl Rule {
    pub(crate) fn new(
        id: PolicyId,
        policy: Policy,
        text: &str,
        place: (String, usize),
    ) -> Result<Self, Box<pst::PstConstructionError>> {
        let tree = policy.to_pst().map_err(Box::new)?;
        let clauses = tree.body().clauses();
        let facts = lint::sights(clauses).into_iter().filter_map(|sight| match sight {
            Sight::Fact(fact) => fact.parse().ok(),
            Sight::Field(_) | Sight::WholeContext | Sight::BaseAction(_) => None,
        });
        let effect = policy.effect();
        let parts = clauses.iter().map(|clause| parts(effect, clause)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            id,
            effect,
            text: text.to_owned(),
            place,
            facts: facts.collect(),
            parts: parts.into_iter().flatten().collect(),
            scope: Scope {
                principal: policy.principal_constraint(),
                action: policy.action_constraint(),
                resource: policy.resource_constraint(),
            },
            policy,
        })
    }

    /// Whether the policy belongs to a shipped pack.
    pub(crate) fn is_shipped(&self) -> bool {
        self.id.as_str().starts_with(shipped::PREFIX)
    }

    /// Whether the policy has a say when an operator asks about the product's own operations.
    pub(crate) fn has_say_on_operators(&self) -> bool {
        self.is_shipped() || self.names_operations()
    }

    /// Whether the policy has a say when anybody else asks about them: every forbid does.
    pub(crate) fn has_say_on_operations(&self) -> bool {
        self.effect == Effect::Forbid || self.has_say_on_operators()
    }

    /// Whether the scope names the product's own tree, its operators' group or one of its local operators.
    pub(crate) fn names_operations(&self) -> bool {
        let resource = match &self.scope.resource {
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                shipped::is_operated(uid.id().unescaped())
            }
            ResourceConstraint::Any | ResourceConstraint::Is(_) => false,
        };
        let principal = match &self.scope.principal {
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
                let id: &str = uid.id().unescaped();
                id == shipped::OPERATORS || id.starts_with(shipped::LOCAL)
            }
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => false,
        };
        resource || principal
    }

    /// Whether the policy speaks of this principal, action and resource at all, whatever its conditions say.
    pub(crate) fn is_about(&self, case: &Case<'_>) -> bool {
        let principal = match &self.scope.principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::In(group) => case.principal.is_in(group),
            PrincipalConstraint::Eq(uid) => case.principal.uid == *uid,
            PrincipalConstraint::Is(kind) => case.principal.uid.type_name() == kind,
            PrincipalConstraint::IsIn(kind, group) => {
                case.principal.uid.type_name() == kind && case.principal.is_in(group)
            }
        };
        principal && self.is_about_doing(&case.action, &case.resource)
    }

    /// Whether the policy speaks of this action and resource, for some principal.
    pub(crate) fn is_about_doing(&self, action: &Side, resource: &Side) -> bool {
        let action = match &self.scope.action {
            ActionConstraint::Any => true,
            ActionConstraint::In(actions) => actions.iter().any(|uid| action.is_in(uid)),
            ActionConstraint::Eq(uid) => action.uid == *uid,
        };
        let resource = match &self.scope.resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::In(tree) => resource.is_in(tree),
            ResourceConstraint::Eq(uid) => resource.uid == *uid,
            ResourceConstraint::Is(kind) => resource.uid.type_name() == kind,
            ResourceConstraint::IsIn(kind, tree) => resource.uid.type_name() == kind && resource.is_in(tree),
        };
        action && resource
    }
}

fn parts(effect: Effect, clause: &Clause) -> Result<Vec<Part>, Box<pst::PstConstructionError>> {
    let blamed = match (effect, clause) {
        (Effect::Permit, Clause::Unless(_)) | (Effect::Forbid, Clause::When(_)) => Blamed::WhenItHolds,
        (Effect::Permit, Clause::When(_)) | (Effect::Forbid, Clause::Unless(_)) => Blamed::WhenItFails,
    };
    let whole = lint::body(clause);
    let exprs = match blamed {
        Blamed::WhenItHolds => vec![whole],
        Blamed::WhenItFails => conjuncts(whole),
    };
    exprs.into_iter().map(|expr| part(blamed, expr)).collect()
}

fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let Expr::BinaryOp { op: BinaryOp::And, left, right } = expr else { return vec![expr] };
    let mut all = conjuncts(left);
    all.extend(conjuncts(right));
    all
}

fn part(blamed: Blamed, expr: &Expr) -> Result<Part, Box<pst::PstConstructionError>> {
    let template = pst::Template::new(
        pst::PolicyID("part".into()),
        pst::Effect::Permit,
        pst::PrincipalConstraint::Any,
        pst::ActionConstraint::Any,
        pst::ResourceConstraint::Any,
    );
    let template = template.try_with_clauses([Clause::When(Arc::new(expr.clone()))]).map_err(Box::new)?;
    let policy = pst::StaticPolicy::try_from(template).map_err(|slot| Box::new(slot.into()))?;
    let mut probe = PolicySet::new();
    let added = probe.add(Policy::from_pst(pst::Policy::Static(policy)).map_err(Box::new)?);
    debug_assert!(added.is_ok(), "the first policy of a set collides with none");
    Ok(Part { text: expr.to_string(), blamed, probe })
}
