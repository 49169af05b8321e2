//! What one operation asks, wherever it is written: `access: public`, or `action` and `resource`.

use model::{ActionName, BaseAction, ResourceId};
use yaml::{At, Fields, Node, Reader, nearest};

use super::resources::Resources;
use crate::catalog::Asks;

/// The three fields as they are written, each perhaps missing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'n> {
    pub access: Option<&'n Node>,
    pub action: Option<&'n Node>,
    pub resource: Option<&'n Node>,
}

impl<'n> Said<'n> {
    pub(super) fn of(fields: &mut Fields<'n>) -> Self {
        let (access, action) = (fields.optional("access"), fields.optional("action"));
        Self { access, action, resource: fields.optional("resource") }
    }

    /// What holds where `self` is said nearer than `above`: a default is taken up field by field, but public is whole.
    pub(super) fn over(self, above: Self) -> Self {
        match self {
            Self { access: None, action: None, resource: None } => above,
            Self { access: Some(_), .. } => self,
            Self { access: None, action, resource } => {
                Self { access: None, action: action.or(above.action), resource: resource.or(above.resource) }
            }
        }
    }

    /// Reads it; `at` is where it stands.
    pub(super) fn asks(self, reader: &mut Reader<'_>, at: At, resources: &Resources) -> Option<Asks> {
        match (self.access, self.action, self.resource) {
            (Some(access), None, None) => match reader.text(access)? {
                "public" => Some(Asks::Public),
                other => {
                    reader.problem(access.at, format!("`{other}`: the only access that is written is `public`"));
                    None
                }
            },
            (None, Some(action), Some(resource)) => declared(reader, action, resource, resources),
            _ => {
                reader.problem(at, "expected either `access: public`, or `action` and `resource`");
                None
            }
        }
    }
}

fn declared(reader: &mut Reader<'_>, action: &Node, resource: &Node, resources: &Resources) -> Option<Asks> {
    let name: ActionName = reader.parse(action)?;
    let id: ResourceId = reader.parse(resource)?;
    if name.base().is_none() && !resources.actions.contains_key(&name) {
        let known = BaseAction::ALL.iter().map(|base| base.as_str());
        let known = known.chain(resources.actions.keys().map(ActionName::as_str));
        reader.suggest(action.at, format!("`{name}` is not an action here"), nearest(name.as_str(), known));
    }
    if !resources.has(&id) {
        let known = resources.resources.iter().map(|resource| resource.id.as_str());
        reader.suggest(resource.at, format!("`{id}` is not a resource here"), nearest(id.as_str(), known));
    }
    Some(Asks::Action { action: name, resource: id })
}
