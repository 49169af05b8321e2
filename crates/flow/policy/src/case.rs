//! One question in Cedar's terms, built from typed values.
//!
//! Nothing is checked against the schema here: what the snapshot knows of was checked when it was made, and of the rest
//! only texts differ from one question to the next, never which fields there are or of which type. A test holds every kind
//! of question against the schema.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Context, ContextCreationError, Entities, Entity, EntityUid, Request, RequestValidationError, RestrictedExpression,
};
use model::{Fact, PrincipalKind, Time};

use crate::engine::Facts;
use crate::entity::{BadEntity, Side, field, text};
use crate::index::Candidates;
use crate::scene::Scene;
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
    pub(crate) scene: Scene<'a>,
    pub(crate) entities: Entities,
    /// All fields of the context but the evidence.
    context: Vec<(String, RestrictedExpression)>,
    facts: &'a Facts<'a>,
}

impl<'a> Case<'a> {
    /// What `candidates` can look at.
    pub(crate) fn new(
        scene: Scene<'a>,
        facts: &'a Facts<'a>,
        world: &World,
        candidates: &Candidates<'_>,
    ) -> Result<Self, Unaskable> {
        let params = world.types.params();
        let caller = scene.principal.entity(principal_attributes(facts))?;
        let own = [caller, parameters(&params, &facts.question.params)?].into_iter();
        let entities = scene.place.entities.clone().add_entities(own.chain(scene.act.entity.clone()), None);
        let entities = entities.map_err(Box::new).map_err(BadEntity::from)?;
        let context = context(facts, params, candidates)?;
        Ok(Self { scene, entities, context, facts })
    }

    /// The request, as if exactly `evidence` were proved.
    pub(crate) fn request(&self, evidence: &BTreeSet<Fact>) -> Result<Request, Unaskable> {
        let evidence = RestrictedExpression::new_set(evidence.iter().map(|fact| text(fact.as_str())));
        let context = self.context.iter().cloned().chain([field("evidence", evidence)]);
        let context = Context::from_pairs(context).map_err(Box::new)?;
        let uid = |side: &Side| side.uid.clone();
        let Scene { principal, act, place, .. } = &self.scene;
        let request = Request::new(uid(principal), uid(&act.side), uid(&place.side), context, None);
        Ok(request.map_err(Box::new)?)
    }

    /// What is proved.
    pub(crate) fn evidence(&self) -> &BTreeSet<Fact> {
        &self.facts.evidence
    }
}

fn context(
    facts: &Facts<'_>,
    params: EntityUid,
    candidates: &Candidates<'_>,
) -> Result<Vec<(String, RestrictedExpression)>, Unaskable> {
    let none = || RestrictedExpression::new_set([]);
    let mut fields = vec![
        field("protocol", text(&facts.question.protocol)),
        field("service", text(&facts.question.service)),
        field("params", RestrictedExpression::new_entity_uid(params)),
        // earlier actors come with delegation; a call without it has none
        field("depth", RestrictedExpression::new_long(0)),
        field("actor_kinds", none()),
        field("actors", none()),
    ];
    // Cedar parses the name of its type each time, which is as dear as two policies; that a policy reads a field is seen
    // when it is compiled, since none may read the context but field by field
    if candidates.read_time {
        let now = datetime(facts.at).ok_or(Unaskable::Time { time: facts.at })?;
        fields.push(field("now", RestrictedExpression::new_datetime(now)));
    }
    Ok(fields)
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
