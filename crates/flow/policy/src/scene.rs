//! Who asks for what: everything that the scope of a policy can look at.

use std::borrow::Cow;

use crate::engine::Facts;
use crate::entity::Side;
use crate::scope::Matter;
use crate::shipped;
use crate::world::{Act, Place, World};

#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) principal: Side,
    pub(crate) act: &'a Act,
    pub(crate) place: Cow<'a, Place>,
    pub(crate) matter: Matter,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(facts: &Facts<'_>, act: &'a Act, place: Cow<'a, Place>, world: &World) -> Self {
        let caller = facts.principal;
        let matter = match shipped::is_operated(place.resource.id.as_str()) {
            false => Matter::Business,
            true if world.is_operator(&caller.id) || shipped::group_of_part(&caller.id).is_some() => Matter::Operators,
            true => Matter::Operations,
        };
        Self { principal: world.principal(caller.kind, &caller.id, &caller.groups), act, place, matter }
    }
}
