//! What an estate says of its principals.

use std::sync::Arc;

use model::{GroupName, Owner, PrincipalId, PrincipalKind, Risk, SourceName, Time};

use crate::template::Template;

/// The canonical caller, with what its owners declared of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub id: PrincipalId,
    pub kind: PrincipalKind,
    pub owner: Owner,
    pub purpose: String,
    pub tenant: Option<String>,
    pub risk: Risk,
    /// Refused from this instant on; none for what a class makes.
    pub expires: Option<Time>,
    pub groups: Arc<[GroupName]>,
}

/// A family of principals: one for each key of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name in the estate, for messages.
    pub name: String,
    pub source: SourceName,
    pub kind: PrincipalKind,
    pub template: Template,
    pub owner: Owner,
    pub purpose: String,
    pub tenant: Option<String>,
    pub risk: Risk,
    pub groups: Arc<[GroupName]>,
}

impl Class {
    /// The one principal that `key` names, or `None` where the key can name none (a byte that an id cannot have).
    pub(crate) fn principal(&self, key: &[String]) -> Option<Principal> {
        Some(self.with_id(self.template.fill(key)?))
    }

    /// The principal of this class with that id, if the class could make it.
    pub(crate) fn principal_with_id(&self, id: &PrincipalId) -> Option<Principal> {
        self.template.could_make(id).then(|| self.with_id(id.clone()))
    }

    fn with_id(&self, id: PrincipalId) -> Principal {
        Principal {
            id,
            kind: self.kind,
            owner: self.owner.clone(),
            purpose: self.purpose.clone(),
            tenant: self.tenant.clone(),
            risk: self.risk,
            expires: None,
            groups: Arc::clone(&self.groups),
        }
    }
}
