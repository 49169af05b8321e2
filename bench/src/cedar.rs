//! Cedar alone: all policies in one set, put to its authorizer. Entities and requests are ready made, so that only its own
//! work is timed.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression,
};

use crate::estate::{Asked, Estate};

/// One question in Cedar's terms.
pub struct Case {
    request: Request,
    entities: Entities,
}

/// Every policy of an estate.
pub fn policies(estate: &Estate) -> PolicySet {
    let mut all = PolicySet::new();
    for file in &estate.files {
        let read: PolicySet = file.text.parse().expect("policies that Cedar reads");
        for policy in read.policies() {
            all.add(named(policy)).expect("ids are unique");
        }
    }
    all
}

fn named(policy: &Policy) -> Policy {
    policy.new_id(PolicyId::new(policy.annotation("id").expect("an id")))
}

pub fn case(asked: &Asked) -> Case {
    let (principal, question) = (&asked.principal, &asked.question);
    let (caller, action) =
        (uid(principal.kind.as_str(), principal.id.as_str()), uid("Action", question.action.as_str()));
    let resource = uid("Resource", question.resource.as_str());
    let params = uid("Params", "request");
    let attributes = [
        ("owner", principal.owner.as_str()),
        ("purpose", &principal.purpose),
        ("risk", principal.risk.as_str()),
        ("tenant", principal.tenant.as_deref().unwrap_or_default()),
    ];
    let groups = principal.groups.iter().map(|group| uid("Group", group.as_str()));
    let above = question.resource.and_ancestors().skip(1).map(|id| uid("Resource", id.as_str()));
    let team = principal.owner.as_str();
    let sensitivity = if question.resource.as_str().ends_with("/export") { "restricted" } else { "internal" };
    let entities = [
        Entity::new_with_tags(caller.clone(), attributes.map(text), groups, []),
        Entity::new_with_tags(
            resource.clone(),
            [("owner", team), ("sensitivity", sensitivity), ("tenant", team)].map(text),
            above,
            [],
        ),
        Entity::new_with_tags(params.clone(), [], [], question.params.iter().map(|(name, value)| text((name, value)))),
        Entity::new_with_tags(uid("Action", "refund"), [], [uid("Action", "effect")], []),
    ];
    let entities = entities.map(|entity| entity.expect("an entity of strings"));
    let evidence = asked.evidence.iter().map(|fact| RestrictedExpression::new_string(fact.to_string()));
    let none = || RestrictedExpression::new_set([]);
    let context = Context::from_pairs([
        ("evidence".to_owned(), RestrictedExpression::new_set(evidence)),
        text(("protocol", &question.protocol)),
        text(("service", &question.service)),
        ("now".to_owned(), RestrictedExpression::new_datetime("2026-11-24T04:00:00.000Z")),
        ("params".to_owned(), RestrictedExpression::new_entity_uid(params)),
        ("depth".to_owned(), RestrictedExpression::new_long(0)),
        ("actor_kinds".to_owned(), none()),
        ("actors".to_owned(), none()),
    ]);
    let context = context.expect("a context of plain values");
    Case {
        request: Request::new(caller, action, resource, context, None).expect("nothing to check"),
        entities: Entities::from_entities(entities, None).expect("no cycle"),
    }
}

/// Whether Cedar allows.
pub fn allows(policies: &PolicySet, case: &Case) -> bool {
    Authorizer::new().is_authorized(&case.request, policies, &case.entities).decision() == Decision::Allow
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().expect("a type"), cedar_policy::EntityId::new(id))
}

fn text((name, value): (&str, &str)) -> (String, RestrictedExpression) {
    (name.to_owned(), RestrictedExpression::new_string(value.to_owned()))
}
