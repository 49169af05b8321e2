//! One question in Cedar's terms, built from typed values.
//!
//! Nothing is checked against the schema here: what the snapshot knows of was checked when it was made, and of the rest
//! only texts differ from one question to the next, never which fields there are or of which type. A test holds every kind
//! of question against the schema.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Context, ContextCreationError, Entities, Entity, EntityUid, Request, RequestValidationError, RestrictedExpression,
};
use model::{Fact, PrincipalKind, Time};

use crate::engine::Facts;
use crate::entity::{BadEntity, Side, field, text};
use crate::scope::Matter;
use crate::shipped;
use crate::world::{Act, Place, World};

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
    #[error(transparent)]
    Entity(#[from] BadEntity),
    #[error("the context cannot be built: {0}")]
    Context(#[from] Box<ContextCreationError>),
    #[error("the request does not fit the schema: {0}")]
    Request(#[from] Box<RequestValidationError>),
}

/// A question, with the few entities that policies can look at when they answer it.
///
/// Level validation holds policies to principal, action, resource and parameters. Each carries *all* its ancestors, so
/// that the entities between need not be there.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) principal: Side,
    pub(crate) act: &'a Act,
    pub(crate) place: Cow<'a, Place>,
    pub(crate) matter: Matter,
    pub(crate) entities: Entities,
    params: EntityUid,
    facts: &'a Facts<'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        facts: &'a Facts<'a>,
        act: &'a Act,
        place: Cow<'a, Place>,
        world: &World,
    ) -> Result<Self, Unaskable> {
        let caller = facts.principal;
        let principal = world.principal(caller.kind, &caller.id, &caller.groups);
        let params = world.types.params();
        let own = [principal.entity(principal_attributes(facts))?, parameters(&params, &facts.question.params)?];
        let entities = place.entities.clone().add_entities(own.into_iter().chain(act.entity.clone()), None);
        let matter = match shipped::is_operated(place.resource.id.as_str()) {
            false => Matter::Business,
            true if world.is_operator(&caller.id) => Matter::Operators,
            true => Matter::Operations,
        };
        Ok(Self {
            principal,
            act,
            matter,
            place,
            entities: entities.map_err(Box::new).map_err(BadEntity::from)?,
            params,
            facts,
        })
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
        let (principal, action) = (self.principal.uid.clone(), self.act.side.uid.clone());
        let request = Request::new(principal, action, self.place.side.uid.clone(), context, None);
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

/// The one entity that holds a request's path parameters.
fn parameters(uid: &EntityUid, params: &[(String, String)]) -> Result<Entity, Unaskable> {
    let mut tags = BTreeMap::new();
    for (name, value) in params {
        if tags.insert(name.clone(), text(value)).is_some() {
            return Err(Unaskable::TwiceGiven { name: name.clone() });
        }
    }
    let entity = Entity::new_with_tags(uid.clone(), [], [], tags);
    Ok(entity.map_err(Box::new).map_err(BadEntity::from)?)
}

/// Cedar's form of an instant: milliseconds, the rest cut off.
fn datetime(time: Time) -> Option<String> {
    let micros = time.to_string();
    let millis = micros.strip_suffix('Z').and_then(|text| text.get(..text.len().checked_sub(3)?))?;
    Some(format!("{millis}Z"))
}
