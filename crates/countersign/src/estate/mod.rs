//! The estate: YAML documents and `.cedar` policies become what the gates and the gateway decide by. Everything that can be
//! wrong is found here, at its place, before anything is in force.

mod asks;
mod bundle;
mod document;
mod environment;
mod groups;
mod key_sets;
mod lint;
mod openapi;
mod principals;
mod problem;
mod read;
mod resources;
mod routes;
mod services;
mod sources;
mod surrogates;
mod vars;
mod yaml;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use credential::{Source, Sources};
use identity::Directory;
use model::{Digest, PrincipalId, ResourceId, Time};
use policy::{Engine, PolicyFile, Vocabulary};
use serde::{Deserialize, Serialize};

use self::document::Document;
use self::environment::Environment;
use self::problem::{At, Place};
use self::routes::Declared;

pub use bundle::{Bundle, BundleError};
pub use document::kinds;
pub use key_sets::{Jwks, RemoteKeys};
pub use lint::{Finding, Severity, lint};
pub use openapi::{Ask, Outline, Outlined, outline};
pub use policy::OWN;
pub use principals::local_operators;
pub use problem::Problem;
pub use read::read_duration;
pub use services::Service;
pub use sources::{ENROLMENT, ENROLMENT_ISSUER};
pub use vars::Vars;

/// Most problems, or notes, of one answer: an estate of nothing but problems must not become a larger answer.
const MAX_PROBLEMS: usize = 1_000;

/// An estate that loads.
pub struct Estate {
    pub environment: Environment,
    pub sources: Vec<(Source, Jwks)>,
    pub directory: Directory,
    pub engine: Engine,
    pub services: Vec<Service>,
    /// Where each resource is declared.
    pub resources: BTreeMap<ResourceId, Place>,
    /// Digest of every document and policy, by kind and name: what a plan compares.
    pub documents: BTreeMap<(String, String), Digest>,
    /// Ids of the principals, by name.
    pub principals: HashMap<String, PrincipalId>,
    /// What binds credentials to principals: an id or `source:NAME`, and the document that says so.
    pub binders: BTreeMap<String, (String, String)>,
    pub notes: Vec<Problem>,
}

impl Estate {
    /// The key sets that lie elsewhere.
    pub fn remote_keys(&self) -> Vec<RemoteKeys> {
        let remote = |(_, jwks): &(Source, Jwks)| match jwks {
            Jwks::Url(keys) => Some(keys.clone()),
            Jwks::Here(_) => None,
        };
        self.sources.iter().filter_map(remote).collect()
    }
}

/// A difference between two estates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: String,
    pub name: String,
    pub change: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

/// Loads an estate. `operators` are who may operate the server it is for; `now` is what `expires` is checked against.
///
/// # Errors
/// Every [`Problem`] there is, by file and place, up to a thousand.
pub fn load(bundle: &Bundle, vars: &Vars, operators: &[PrincipalId], now: Time) -> Result<Estate, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let loaded = Loading { bundle, vars, operators, now, problems: &mut problems, notes: &mut notes }.load();
    match loaded {
        Some(estate) if problems.is_empty() => {
            notes.truncate(MAX_PROBLEMS);
            Ok(Estate { notes, ..estate })
        }
        _ => {
            problems.sort();
            problems.dedup();
            problems.truncate(MAX_PROBLEMS);
            Err(problems)
        }
    }
}

/// What lies between two estates, by kind and name.
pub fn changes(old: &BTreeMap<(String, String), Digest>, new: &BTreeMap<(String, String), Digest>) -> Vec<Change> {
    let change = |key: &(String, String), change| Change { kind: key.0.clone(), name: key.1.clone(), change };
    let mut changes: Vec<Change> = Vec::new();
    for (key, digest) in new {
        match old.get(key) {
            None => changes.push(change(key, ChangeKind::Added)),
            Some(before) if before != digest => changes.push(change(key, ChangeKind::Changed)),
            Some(_) => {}
        }
    }
    changes.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| change(key, ChangeKind::Removed)));
    changes
}

struct Loading<'a> {
    bundle: &'a Bundle,
    vars: &'a Vars,
    operators: &'a [PrincipalId],
    now: Time,
    problems: &'a mut Vec<Problem>,
    notes: &'a mut Vec<Problem>,
}

impl Loading<'_> {
    fn load(self) -> Option<Estate> {
        let (documents, descriptions) = document::read(self.bundle, self.vars, self.problems, self.notes);
        if !self.problems.is_empty() {
            // what could not be read would only be missed elsewhere
            return None;
        }
        let environment = environment::read(&documents, self.problems)?;
        let development = environment.development || !matches!(self.vars, Vars::Refused);
        let sources = sources::read(&documents, self.bundle, development, self.problems);
        check_issuers(&documents, &sources, self.problems);
        let resources = resources::read(&documents, self.problems);
        let declared = Declared { resources: &resources, bundle: self.bundle, descriptions: &descriptions };
        let services = services::read(&documents, &declared, self.problems);
        let people = principals::read(&documents, &environment, &sources, self.now, self.problems);
        if !self.problems.is_empty() {
            // policies would only name what is not declared because of them
            return None;
        }
        let mut policies = Vec::new();
        for (name, text) in self.bundle.with_ending(&[".cedar"]) {
            policies.push(PolicyFile { name: name.to_owned(), text: text.to_owned() });
        }
        let facts = sources.iter().flat_map(|(source, _)| source.evidence.iter().map(|rule| rule.fact.clone()));
        let vocabulary = Vocabulary {
            environment: environment.name.parse().ok(),
            other_environments: BTreeSet::new(),
            actions: resources.actions,
            groups: people.groups,
            resources: resources.resources,
            facts: facts.collect(),
            risk_floor: environment.risk_floor.clone(),
            operators: self.operators.to_vec(),
            services: services.iter().map(|service| service.name.clone()).collect(),
            max_candidates: environment.max_candidates,
        };
        let directory = directory(&documents, people.principals, people.classes, self.problems)?;
        let engine = match Engine::compile(&policies, &vocabulary, &directory) {
            Ok(engine) => engine,
            Err(found) => {
                self.problems.extend(found.into_iter().map(Problem::from));
                return None;
            }
        };
        let mut digests = document::digests(&documents, self.bundle);
        for (id, text) in engine.policy_texts() {
            digests.insert(("Policy".to_owned(), id.to_string()), credential::digest_of(text.as_bytes()));
        }
        Some(Estate {
            environment,
            sources,
            directory,
            engine,
            services,
            resources: resources.places,
            documents: digests,
            principals: people.names,
            binders: people.binders,
            notes: Vec::new(),
        })
    }
}

fn directory(
    documents: &[Document],
    principals: Vec<principals::Bound>,
    classes: Vec<identity::Class>,
    problems: &mut Vec<Problem>,
) -> Option<Directory> {
    let places: HashMap<PrincipalId, (String, At)> =
        principals.iter().map(|(principal, _, place)| (principal.id.clone(), place.clone())).collect();
    let bound = principals.into_iter().map(|(principal, bindings, _)| (principal, bindings));
    let overlaps = match Directory::new(bound, classes) {
        Ok(directory) => return Some(directory),
        Err(overlaps) => overlaps,
    };
    let class_place = |name: &str| {
        let found = documents.iter().find(|document| document.kind == "PrincipalClass" && document.name == name);
        found.map(|document| (document.file.clone(), document.at))
    };
    for overlap in overlaps {
        let place = match &overlap {
            identity::Overlap::SameId { id }
            | identity::Overlap::SameKey { second: id, .. }
            | identity::Overlap::UnderClass { id, .. }
            | identity::Overlap::MakesPrincipal { id, .. } => places.get(id).cloned(),
            identity::Overlap::SameSource { second, .. } | identity::Overlap::MakesSame { second, .. } => {
                class_place(second)
            }
        };
        let (file, at) = place.unwrap_or_else(|| (String::new(), At::START));
        problems.push(Problem::new(&file, at, overlap.to_string()));
    }
    None
}

/// The untrusted `iss` picks the source: two with one issuer could not be told apart.
fn check_issuers(documents: &[Document], sources: &[(Source, Jwks)], problems: &mut Vec<Problem>) {
    if let Err(shared) = Sources::new(sources.iter().map(|(source, _)| source.clone())) {
        let second = shared.second.to_string();
        let found = documents.iter().find(|document| document.kind == "TrustSource" && document.name == second);
        if let Some(document) = found {
            problems.push(Problem::new(&document.file, document.at, shared.to_string()));
        }
    }
}

#[cfg(test)]
mod tests;
