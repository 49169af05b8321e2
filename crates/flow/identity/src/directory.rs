//! Every principal of an environment, found by (source, key) or by id. Overlap is found here, when an estate loads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{GroupName, PrincipalId, PrincipalKind, SourceName};

use crate::principal::{Class, Principal};

/// Two ways to read one credential, or one id for two principals. Found when a directory is put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Overlap {
    #[error("two principals have the id `{id}`")]
    SameId { id: PrincipalId },
    #[error("`{first}` and `{second}` are bound to one key of source `{source_name}`")]
    SameKey { source_name: SourceName, first: PrincipalId, second: PrincipalId },
    #[error("`{id}` is bound to source `{source_name}`, all of whose keys fall under class `{class}`")]
    UnderClass { source_name: SourceName, id: PrincipalId, class: String },
    #[error("classes `{first}` and `{second}` both take every key of source `{source_name}`")]
    SameSource { source_name: SourceName, first: String, second: String },
    #[error("class `{class}` could make `{id}`, which is a principal of its own")]
    MakesPrincipal { class: String, id: PrincipalId },
    #[error("classes `{first}` and `{second}` could make one id")]
    MakesSame { first: String, second: String },
}

/// Who is behind a credential: a function from (source, key) to at most one principal.
#[derive(Debug, Default)]
pub struct Directory {
    bound: HashMap<SourceName, HashMap<Vec<String>, Arc<Principal>>>,
    by_id: HashMap<PrincipalId, Arc<Principal>>,
    classes: HashMap<SourceName, Class>,
}

impl Directory {
    /// Puts principals, each with the (source, key) tuples it is bound to, and classes together.
    ///
    /// # Errors
    /// Every [`Overlap`] there is: at run time one credential must have one reading.
    pub fn new(
        principals: impl IntoIterator<Item = (Principal, Vec<(SourceName, Vec<String>)>)>,
        classes: Vec<Class>,
    ) -> Result<Self, Vec<Overlap>> {
        let mut directory = Self::default();
        let mut overlaps = class_overlaps(&classes);
        for class in &classes {
            directory.classes.insert(class.source.clone(), class.clone());
        }
        for (principal, bindings) in principals {
            let principal = Arc::new(principal);
            for class in classes.iter().filter(|class| class.template.could_make(&principal.id)) {
                overlaps.push(Overlap::MakesPrincipal { class: class.name.clone(), id: principal.id.clone() });
            }
            for (source, key) in bindings {
                overlaps.extend(directory.bind(&principal, source, key));
            }
            if directory.by_id.insert(principal.id.clone(), Arc::clone(&principal)).is_some() {
                overlaps.push(Overlap::SameId { id: principal.id.clone() });
            }
        }
        if overlaps.is_empty() { Ok(directory) } else { Err(overlaps) }
    }

    /// The principal with this id: declared, or made by a class.
    pub fn principal(&self, id: &PrincipalId) -> Option<Arc<Principal>> {
        if let Some(principal) = self.by_id.get(id) {
            return Some(Arc::clone(principal));
        }
        // at most one class can make an id
        // tidy: order cannot matter
        self.classes.values().find_map(|class| class.principal_with_id(id)).map(Arc::new)
    }

    /// The kinds of principal that are in the same groups, each once: what can be said of a caller without its id.
    pub fn memberships(&self) -> BTreeSet<(PrincipalKind, Arc<[GroupName]>)> {
        // tidy: order cannot matter, they are put in order here
        let declared = self.by_id.values().map(|principal| (principal.kind, Arc::clone(&principal.groups)));
        // tidy: order cannot matter, likewise
        let made = self.classes.values().map(|class| (class.kind, Arc::clone(&class.groups)));
        declared.chain(made).collect()
    }

    /// The one principal that `source` knows by `key`. An SVID of the environment's own trust domain is its principal's
    /// binding: there is nothing to look up but the id that it names.
    pub(crate) fn known_by(&self, source: &SourceName, key: &[String]) -> Option<Arc<Principal>> {
        if source.as_str() == credential::SVIDS {
            let [id] = key else { return None };
            return self.principal(&PrincipalId::Spiffe(id.parse().ok()?));
        }
        if let Some(principal) = self.bound.get(source).and_then(|keys| keys.get(key)) {
            return Some(Arc::clone(principal));
        }
        self.classes.get(source)?.principal(key).map(Arc::new)
    }

    fn bind(&mut self, principal: &Arc<Principal>, source: SourceName, key: Vec<String>) -> Option<Overlap> {
        if let Some(class) = self.classes.get(&source) {
            return Some(Overlap::UnderClass {
                source_name: source,
                id: principal.id.clone(),
                class: class.name.clone(),
            });
        }
        let first = self.bound.entry(source.clone()).or_default().insert(key, Arc::clone(principal))?;
        Some(Overlap::SameKey { source_name: source, first: first.id.clone(), second: principal.id.clone() })
    }
}

fn class_overlaps(classes: &[Class]) -> Vec<Overlap> {
    let mut overlaps = Vec::new();
    for (index, first) in classes.iter().enumerate() {
        for second in classes.iter().skip(index + 1) {
            let names = (first.name.clone(), second.name.clone());
            if first.source == second.source {
                let source_name = first.source.clone();
                overlaps.push(Overlap::SameSource { source_name, first: names.0, second: names.1 });
            } else if first.template.overlaps(&second.template) {
                overlaps.push(Overlap::MakesSame { first: names.0, second: names.1 });
            }
        }
    }
    overlaps
}
