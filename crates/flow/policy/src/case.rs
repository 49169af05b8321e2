//! One question in Cedar's terms, built from typed values and checked against the schema.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Context, ContextCreationError, Entities, Entity, EntityUid, Request, RequestValidationError, RestrictedExpression,
    Schema,
};
use model::{Fact, PrincipalKind, Time};

use crate::engine::Facts;
use crate::schema::Types;
use crate::shipped;
use crate::vocabulary::Resource;
use crate::world::World;

/// Why a question cannot be put to Cedar. It is answered with a denial then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unaskable {
    #[error("there is no action `{action}`")]
    NoAction { action: String },
    #[error("there is no resource `{resource}`")]
    NoResource { resource: String },
    #[error("the parameter `{name}` is given twice")]
    TwiceGiven { name: String },
    #[error("the time `{time}` cannot be written")]
    Time { time: Time },
    #[error("an entity cannot be built: {0}")]
    Attribute(#[from] Box<cedar_policy::EntityAttrEvaluationError>),
    #[error("the entities do not fit the schema: {0}")]
    Entities(#[from] Box<cedar_policy::entities_errors::EntitiesError>),
    #[error("the context cannot be built: {0}")]
    Context(#[from] Box<ContextCreationError>),
    #[error("the request does not fit the schema: {0}")]
    Request(#[from] Box<RequestValidationError>),
}

/// An entity and all that it is in.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) uid: EntityUid,
    pub(crate) above: Vec<EntityUid>,
}

impl Side {
    pub(crate) fn is_in(&self, other: &EntityUid) -> bool {
        self.uid == *other || self.above.contains(other)
    }
}

/// A question, with the few entities that policies can look at when they answer it.
///
/// Level validation holds policies to principal, resource and parameters. Each carries *all* its ancestors, so that the
/// entities between need not be there.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) principal: Side,
    pub(crate) action: Side,
    pub(crate) resource: Side,
    pub(crate) entities: Entities,
    params: EntityUid,
    facts: &'a Facts<'a>,
    schema: &'a Schema,
}

impl<'a> Case<'a> {
    /// Whether the question is about one of the product's own operations.
    pub(crate) fn is_about_operations(&self) -> bool {
        shipped::is_operated(self.resource.uid.id().unescaped())
    }

    /// Whether the caller is one of this installation's operators.
    pub(crate) fn is_asked_by_operator(&self) -> bool {
        self.principal.above.iter().any(|group| {
            let id: &str = group.id().unescaped();
            id == shipped::OPERATORS
        })
    }

    pub(crate) fn new(
        facts: &'a Facts<'a>,
        resource: &Resource,
        world: &World,
        types: &Types,
        schema: &'a Schema,
    ) -> Result<Self, Unaskable> {
        let question = facts.question;
        let base = world.base(&question.action).filter(|base| question.action.as_str() != base.as_str());
        let groups = world.groups_of(facts.principal);
        let principal = Side {
            uid: types.principal(facts.principal.kind, facts.principal.id.as_str()),
            above: groups.iter().map(|name| types.group(name)).collect(),
        };
        let action = Side {
            uid: types.action(question.action.as_str()),
            above: base.iter().map(|base| types.action(base.as_str())).collect(),
        };
        let above = resource.id.and_ancestors().skip(1);
        let resource_side = Side {
            uid: types.resource(resource.id.as_str()),
            above: above.map(|id| types.resource(id.as_str())).collect(),
        };
        let params = types.params();
        let entities = [
            entity(&principal, principal_attributes(facts))?,
            entity(&resource_side, resource_attributes(resource))?,
            Entity::new_with_tags(params.clone(), [], [], tags(&question.params)?).map_err(Box::new)?,
        ];
        // with the schema come the actions and what they are in
        let entities = Entities::from_entities(entities, Some(schema)).map_err(Box::new)?;
        Ok(Self { principal, action, resource: resource_side, entities, params, facts, schema })
    }

    /// The request, as if exactly `evidence` were proved.
    pub(crate) fn request(&self, evidence: &BTreeSet<Fact>) -> Result<Request, Unaskable> {
        let question = self.facts.question;
        let none = || RestrictedExpression::new_set([]);
        let now = datetime(self.facts.at).ok_or(Unaskable::Time { time: self.facts.at })?;
        let context = Context::from_pairs([
            field("evidence", RestrictedExpression::new_set(evidence.iter().map(|fact| text(fact.as_str())))),
            field("protocol", text(&question.protocol)),
            field("service", text(&question.service)),
            field("now", RestrictedExpression::new_datetime(now)),
            field("params", RestrictedExpression::new_entity_uid(self.params.clone())),
            // earlier actors come with delegation; a call without it has none
            field("depth", RestrictedExpression::new_long(0)),
            field("actor_kinds", none()),
            field("actors", none()),
        ])
        .map_err(Box::new)?;
        let (principal, action) = (self.principal.uid.clone(), self.action.uid.clone());
        let request = Request::new(principal, action, self.resource.uid.clone(), context, Some(self.schema));
        Ok(request.map_err(Box::new)?)
    }

    /// What is proved.
    pub(crate) fn evidence(&self) -> &BTreeSet<Fact> {
        &self.facts.evidence
    }
}

fn principal_attributes(facts: &Facts<'_>) -> Vec<(String, RestrictedExpression)> {
    let principal = facts.principal;
    if principal.kind == PrincipalKind::Anonymous {
        return Vec::new();
    }
    let mut attributes = vec![
        field("owner", text(principal.owner.as_str())),
        field("purpose", text(&principal.purpose)),
        field("risk", text(principal.risk.as_str())),
    ];
    attributes.extend(principal.tenant.iter().map(|tenant| field("tenant", text(tenant))));
    attributes
}

fn resource_attributes(resource: &Resource) -> Vec<(String, RestrictedExpression)> {
    let mut attributes =
        vec![field("owner", text(resource.owner.as_str())), field("sensitivity", text(&resource.sensitivity))];
    attributes.extend(resource.tenant.iter().map(|tenant| field("tenant", text(tenant))));
    attributes
}

fn entity(side: &Side, attributes: Vec<(String, RestrictedExpression)>) -> Result<Entity, Unaskable> {
    Ok(Entity::new_with_tags(side.uid.clone(), attributes, side.above.iter().cloned(), []).map_err(Box::new)?)
}

fn tags(params: &[(String, String)]) -> Result<Vec<(String, RestrictedExpression)>, Unaskable> {
    let mut tags = BTreeMap::new();
    for (name, value) in params {
        if tags.insert(name.clone(), text(value)).is_some() {
            return Err(Unaskable::TwiceGiven { name: name.clone() });
        }
    }
    Ok(tags.into_iter().collect())
}

fn field(name: &str, value: RestrictedExpression) -> (String, RestrictedExpression) {
    (name.to_owned(), value)
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

/// Cedar's form of an instant: milliseconds, the rest cut off.
fn datetime(time: Time) -> Option<String> {
    let micros = time.to_string();
    let millis = micros.strip_suffix('Z').and_then(|text| text.get(..text.len().checked_sub(3)?))?;
    Some(format!("{millis}Z"))
}
