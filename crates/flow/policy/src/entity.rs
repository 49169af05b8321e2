//! Entities and their attributes in Cedar's terms, from typed values.

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Entity, EntityAttrEvaluationError, EntityUid, RestrictedExpression};

/// Why an entity cannot be built. Strings for attributes give no cause for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadEntity {
    #[error("an entity cannot be built: {0}")]
    Attribute(#[from] Box<EntityAttrEvaluationError>),
    #[error("the entities do not fit the schema: {0}")]
    Entities(#[from] Box<EntitiesError>),
}

/// An entity and all that it is in, however far up: the entities between need not be there.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) uid: EntityUid,
    pub(crate) above: Vec<EntityUid>,
}

impl Side {
    pub(crate) fn is_in(&self, other: &EntityUid) -> bool {
        self.uid == *other || self.above.contains(other)
    }

    pub(crate) fn entity(&self, attributes: Vec<(String, RestrictedExpression)>) -> Result<Entity, BadEntity> {
        Ok(Entity::new_with_tags(self.uid.clone(), attributes, self.above.iter().cloned(), []).map_err(Box::new)?)
    }
}

pub(crate) fn field(name: &str, value: RestrictedExpression) -> (String, RestrictedExpression) {
    (name.to_owned(), value)
}

pub(crate) fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}
