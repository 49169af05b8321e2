//! The estate: YAML documents and `.cedar` policies become what the gates and the gateway decide by. Everything that can be
//! wrong is found here, at its place, before anything is in force.

mod amazon;
mod asks;
mod bundle;
mod clusters;
mod document;
mod environment;
mod federations;
mod groups;
mod key_sets;
mod lint;
mod node_sources;
mod openapi;
mod principals;
mod registrations;
mod resources;
mod routes;
mod services;
mod settings;
mod sources;
pub mod spire;
mod upstream;
mod vars;

use std::collections::{BTreeMap, HashMap};

use credential::{NodeSources, Source, Sources};
use identity::Directory;
use model::{Digest, PrincipalId, ResourceId, SourceName, Time};
use policy::{Engine, PolicyFile, PolicyProblem, Vocabulary};
use serde::{Deserialize, Serialize};
use yaml::{At, Place, printable};

pub use yaml::Problem;

use self::document::{Descriptions, Document, Page};
use self::environment::{Choice, Environment, Environments};
use self::routes::Declared;

pub use bundle::{Bundle, BundleError};
pub use clusters::ClusterSettings;
pub use document::kinds;
pub use federations::{Federation, Server};
pub use key_sets::{Jwks, RemoteKeys};
pub use lint::{Finding, Severity, lint};
pub use openapi::{Ask, Outline, Outlined, outline};
pub use policy::OWN;
pub use principals::operators;
pub use registrations::{Registration, read_registrations};
pub use services::Service;
pub use settings::{
    BundleServer, GatewaySettings, ServerSettings, StateSettings, TokenSettings, gateway_settings, server_settings,
};
pub use sources::{ENROLMENT, ENROLMENT_ISSUER};
pub use upstream::{DiskUpstream, OpenBaoUpstream, SpiffeUpstream, UpstreamSettings};
pub use vars::Vars;
pub use yaml::{BadSettings, read_duration};

/// Most problems, or notes, of one answer: an estate of nothing but problems must not become a larger answer.
const MAX_PROBLEMS: usize = 1_000;

/// An estate that loads.
pub struct Estate {
    pub environment: Environment,
    pub sources: Vec<(Source, Jwks)>,
    /// Parties that vouch for nodes.
    pub nodes: NodeSources,
    /// Where each source is declared.
    pub source_places: BTreeMap<SourceName, Place>,
    pub directory: Directory,
    pub engine: Engine,
    pub services: Vec<Service>,
    pub registrations: Vec<Registration>,
    pub federations: Vec<Federation>,
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
            Jwks::Here(_) | Jwks::Nowhere => None,
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

/// Loads one environment of an estate: the one of that name, or else the only one. What is of another one is not seen in it.
/// `operators` are who may operate the server it is for; `now` is what `expires` is checked against.
///
/// # Errors
/// Every [`Problem`] there is, by file and place, up to a thousand.
pub fn load(
    bundle: &Bundle,
    vars: &Vars,
    operators: &[PrincipalId],
    environment: Option<&str>,
    now: Time,
) -> Result<Estate, Vec<Problem>> {
    let written = Written::read(bundle).map_err(told)?;
    let choice = written.environments().choose(environment).map_err(|problem| vec![problem])?;
    written.load(choice, vars, operators, now).map_err(told)
}

/// Loads every environment of an estate, each by itself.
///
/// # Errors
/// Every [`Problem`] of any of them, once.
pub fn load_all(
    bundle: &Bundle,
    vars: &Vars,
    operators: &[PrincipalId],
    now: Time,
) -> Result<Vec<Estate>, Vec<Problem>> {
    let written = Written::read(bundle).map_err(told)?;
    let (mut estates, mut problems) = (Vec::new(), Vec::new());
    for choice in written.environments().all() {
        match written.load(choice, vars, operators, now) {
            Ok(estate) => estates.push(estate),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(estates) } else { Err(told(problems)) }
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

/// Problems as they are told: in order, each once, and not too many.
fn told(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// What is written in a bundle, of whichever environment.
struct Written<'a> {
    bundle: &'a Bundle,
    pages: Vec<Page>,
    descriptions: Descriptions,
}

impl<'a> Written<'a> {
    fn read(bundle: &'a Bundle) -> Result<Self, Vec<Problem>> {
        let (pages, descriptions) = document::pages(bundle)?;
        Ok(Self { bundle, pages, descriptions })
    }

    fn environments(&self) -> Environments<'_> {
        Environments::of(&self.pages)
    }

    fn load(&self, choice: Choice, vars: &Vars, operators: &[PrincipalId], now: Time) -> Result<Estate, Vec<Problem>> {
        let (mut problems, mut notes) = (Vec::new(), Vec::new());
        let loading =
            Loading { written: self, choice, vars, operators, now, problems: &mut problems, notes: &mut notes };
        match loading.load() {
            Some(estate) if problems.is_empty() => {
                notes.truncate(MAX_PROBLEMS);
                Ok(Estate { notes, ..estate })
            }
            _ => Err(problems),
        }
    }
}

/// One environment being loaded.
struct Loading<'a> {
    written: &'a Written<'a>,
    choice: Choice,
    vars: &'a Vars,
    operators: &'a [PrincipalId],
    now: Time,
    problems: &'a mut Vec<Problem>,
    notes: &'a mut Vec<Problem>,
}

impl Loading<'_> {
    fn load(self) -> Option<Estate> {
        let Written { bundle, pages, descriptions } = self.written;
        let own = pages.iter().filter(|page| self.choice.takes(page));
        let documents = document::read(own, self.vars, self.problems, self.notes);
        let documents = self.choice.only_own(documents, self.problems);
        document::check_unique(&documents, self.problems);
        if self.problems.is_empty() {
            document::check_named(pages, descriptions, self.problems);
            self.written.environments().check_domains(self.problems);
        }
        if !self.problems.is_empty() {
            // what could not be read would only be missed elsewhere
            return None;
        }
        let environment = self.choice.read(&documents, self.problems)?;
        let development = environment.development || !matches!(self.vars, Vars::Refused);
        let reading = sources::Reading { bundle, domain: &environment.trust_domain, development };
        let sources = sources::read(&documents, &reading, self.problems);
        check_issuers(&documents, &sources.tokens, self.problems);
        let resources = resources::read(&documents, self.problems);
        let declared = Declared { resources: &resources, bundle, descriptions };
        let services = services::read(&documents, &declared, self.problems);
        let registrations = registrations::read(&documents, &environment.trust_domain, self.problems);
        let federations = federations::read(&documents, bundle, &environment.trust_domain, self.problems);
        let people = principals::read(&documents, &environment, &sources, self.now, self.problems);
        if !self.problems.is_empty() {
            // policies would only name what is not declared because of them
            return None;
        }
        let mut policies = Vec::new();
        for (name, text) in bundle.with_ending(&[".cedar"]) {
            policies.push(PolicyFile { name: name.to_owned(), text: text.to_owned() });
        }
        let facts = sources.tokens.iter().flat_map(|(source, _)| source.evidence.iter().map(|rule| rule.fact.clone()));
        let vocabulary = Vocabulary {
            environment: self.choice.own,
            other_environments: self.choice.others,
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
                self.problems.extend(found.into_iter().map(of_policy));
                return None;
            }
        };
        let places = documents.iter().filter(|document| document.kind == "TrustSource");
        let places = places.filter_map(|document| Some((document.name.parse().ok()?, document.place())));
        let mut digests = document::digests(&documents, bundle);
        for (id, text) in engine.policy_texts() {
            digests.insert(("Policy".to_owned(), id.to_string()), credential::digest_of(text.as_bytes()));
        }
        Some(Estate {
            environment,
            sources: sources.tokens,
            nodes: sources.nodes,
            source_places: places.collect(),
            directory,
            engine,
            services,
            registrations,
            federations,
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

/// A policy's problem, as one of the estate.
fn of_policy(problem: PolicyProblem) -> Problem {
    let PolicyProblem { file, line, column, message, suggestion } = problem;
    let suggestion = suggestion.as_deref().map(printable);
    Problem { file, line, column, message: printable(&message), suggestion }
}

#[cfg(test)]
mod tests;
