//! The shipped Cedar schema, with the actions that an estate declares.

use std::collections::BTreeMap;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use model::{ActionName, BaseAction, PrincipalKind};

const SHIPPED: &str = include_str!("../../../../policy/schema.cedarschema");

/// What a declared action applies to: the same as its base action.
const APPLIES: &str = "appliesTo { principal: [Workload, Job, Agent, Partner, Human, Anonymous], resource: [Resource], \
                       context: Asked };";

/// The shipped schema, each declared action being a member of its base action.
///
/// # Errors
/// Cedar's complaint. Words that an [`ActionName`] can hold give none; a test declares each of Cedar's own.
pub(crate) fn schema(actions: &BTreeMap<ActionName, BaseAction>) -> Result<Schema, String> {
    let mut text = SHIPPED.to_owned();
    for (action, base) in actions.iter().filter(|(action, _)| action.base().is_none()) {
        // a word of `[a-z0-9_]`: nothing in it can end the string
        text.push_str(&format!("action \"{action}\" in [Action::\"{base}\"] {APPLIES}\n"));
    }
    match Schema::from_cedarschema_str(&text) {
        Ok((schema, warnings)) => warnings.map(|warning| warning.to_string()).next().map_or(Ok(schema), Err),
        Err(error) => Err(DetailedError::from(&error).message),
    }
}

/// The entity types of the schema, each parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    action: EntityTypeName,
    group: EntityTypeName,
    params: EntityTypeName,
    resource: EntityTypeName,
    kinds: BTreeMap<PrincipalKind, EntityTypeName>,
}

impl Types {
    pub(crate) fn new() -> Self {
        Self {
            action: named("Action"),
            group: named("Group"),
            params: named("Params"),
            resource: named("Resource"),
            kinds: PrincipalKind::ALL.iter().map(|kind| (*kind, named(kind.as_str()))).collect(),
        }
    }

    pub(crate) fn action(&self, id: &str) -> EntityUid {
        uid(&self.action, id)
    }

    pub(crate) fn group(&self, id: &str) -> EntityUid {
        uid(&self.group, id)
    }

    pub(crate) fn resource(&self, id: &str) -> EntityUid {
        uid(&self.resource, id)
    }

    /// The one entity that holds a request's path parameters.
    pub(crate) fn params(&self) -> EntityUid {
        uid(&self.params, "request")
    }

    pub(crate) fn principal(&self, kind: PrincipalKind, id: &str) -> EntityUid {
        match self.kinds.get(&kind) {
            Some(name) => uid(name, id),
            None => uid(&named(kind.as_str()), id),
        }
    }
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

fn named(text: &str) -> EntityTypeName {
    #[expect(
        clippy::expect_used,
        reason = "only the literals above and the kinds of principal, all of them plain words"
    )]
    text.parse().expect("a plain word names a type")
}
