//! The reference that the index is held against: every policy is put to Cedar, in one set, and no scope is looked up.

use std::collections::BTreeMap;

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, Policy, PolicySet, PrincipalConstraint, ResourceConstraint,
};
use model::PolicyId;

use crate::entity::Side;
use crate::index::Candidates;
use crate::rule::{Parts, Rule};
use crate::scene::Scene;
use crate::{Engine, Facts, Finding, shipped};

/// Policies read anew from their texts, so that whatever gets lost on the way into an index is still here.
pub(crate) struct Scan {
    all: PolicySet,
    /// Those that have a say when an operator asks about the product's own operations.
    operating: PolicySet,
    /// Those that have a say when anybody else does.
    guarding: PolicySet,
    rules: BTreeMap<PolicyId, Rule>,
}

impl Scan {
    pub(crate) fn new(text: &str) -> Self {
        let packs = shipped::packs().map(|pack| pack.text).concat();
        let read: PolicySet = format!("{packs}{text}").parse().unwrap();
        let named = |policy: &Policy| policy.new_id(cedar_policy::PolicyId::new(policy.annotation("id").unwrap()));
        let policies: Vec<Policy> = read.policies().map(named).collect();
        let only = |has_say: fn(&Policy) -> bool| {
            PolicySet::from_policies(policies.iter().filter(|policy| has_say(policy)).cloned()).unwrap()
        };
        let mut parts = Parts::default();
        let mut rule = |policy: &Policy| {
            let id: PolicyId = policy.id().to_string().parse().unwrap();
            let rule = Rule::new(id.clone(), policy.effect(), policy.to_pst().unwrap().body().clauses(), &mut parts);
            (id, rule.unwrap())
        };
        let rules = policies.iter().map(&mut rule).collect();
        Self {
            all: only(|_| true),
            operating: only(has_say_on_operators),
            guarding: only(has_say_on_operations),
            rules,
        }
    }

    pub(crate) fn decide(&self, engine: &Engine, facts: &Facts<'_>) -> Finding {
        engine.decide_among(facts, |scene| {
            let of_the_product = |uid: &cedar_policy::EntityUid| shipped::is_shipped_group(uid.id().unescaped());
            let operator = scene.principal.above.iter().any(of_the_product);
            let set = match (shipped::is_operated(scene.place.resource.id.as_str()), operator) {
                (false, _) => &self.all,
                (true, true) => &self.operating,
                (true, false) => &self.guarding,
            };
            let about = set.policies().filter(|policy| is_about(policy, scene));
            let rules = about.filter_map(|policy| self.rules.get(&policy.id().to_string().parse().ok()?)).collect();
            Candidates { sets: vec![set], rules, read_time: true, read_params: true }
        })
    }
}

fn has_say_on_operators(policy: &Policy) -> bool {
    let id: &str = policy.id().as_ref();
    id.starts_with("countersign/") || names_operations(policy)
}

fn has_say_on_operations(policy: &Policy) -> bool {
    policy.effect() == Effect::Forbid || has_say_on_operators(policy)
}

fn names_operations(policy: &Policy) -> bool {
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
            shipped::is_operated(uid.id().unescaped())
        }
        ResourceConstraint::Any | ResourceConstraint::Is(_) => false,
    };
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
            let id: &str = uid.id().unescaped();
            shipped::is_shipped_group(id) || id.starts_with("human:local:")
        }
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => false,
    };
    resource || principal
}

/// Whether a policy speaks of this principal, action and resource at all, whatever its conditions say.
fn is_about(policy: &Policy, scene: &Scene<'_>) -> bool {
    let (principal, action, resource) = (&scene.principal, &scene.act.side, &scene.place.side);
    let is_a = |side: &Side, kind: &EntityTypeName| side.uid.type_name() == kind;
    let principal = match &policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::In(group) => principal.is_in(group),
        PrincipalConstraint::Eq(uid) => principal.uid == *uid,
        PrincipalConstraint::Is(kind) => is_a(principal, kind),
        PrincipalConstraint::IsIn(kind, group) => is_a(principal, kind) && principal.is_in(group),
    };
    let action = match &policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.iter().any(|uid| action.is_in(uid)),
        ActionConstraint::Eq(uid) => action.uid == *uid,
    };
    let resource = match &policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::In(tree) => resource.is_in(tree),
        ResourceConstraint::Eq(uid) => resource.uid == *uid,
        ResourceConstraint::Is(kind) => is_a(resource, kind),
        ResourceConstraint::IsIn(kind, tree) => is_a(resource, kind) && resource.is_in(tree),
    };
    principal && action && resource
}
