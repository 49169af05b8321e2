//! `Environment`: the world that an estate's documents are of.

use std::collections::BTreeMap;

use guard::Staleness;
use model::{Risk, Tier, TrustDomain};
use policy::MaxCandidates;

use super::document::Document;
use super::problem::{At, Problem, nearest};
use super::read::Reader;
use super::yaml::Node;

/// Most policies for one question that can be allowed: more than an estate can have, so that nothing is refused for it.
const MOST_CANDIDATES: usize = 1_000_000;

/// An environment: a separate world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    pub trust_domain: TrustDomain,
    /// Where plain HTTP to loopback may be written.
    pub development: bool,
    pub risk_floor: BTreeMap<Risk, Tier>,
    /// How old a snapshot may be, by tier.
    pub staleness: Staleness,
    pub max_candidates: MaxCandidates,
}

/// The one environment that the documents are of.
pub(super) fn read(documents: &[Document], problems: &mut Vec<Problem>) -> Option<Environment> {
    let mut found = documents.iter().filter(|document| document.kind == "Environment");
    let Some(first) = found.next() else {
        let file = documents.first().map_or(".", |document| document.file.as_str());
        let problem = Problem::new(file, At::START, "the estate has no Environment");
        problems.push(problem.suggest("add a document of kind `Environment` with a `trustDomain`"));
        return None;
    };
    for other in found {
        let message = format!("`{}` is a second Environment; an estate has one", other.name);
        problems.push(Problem::new(&other.file, other.name_at, message));
    }
    for document in documents {
        if let Some((name, at)) = &document.environment
            && *name != first.name
        {
            let message = format!("environment `{name}` is not declared here");
            let suggestion = nearest(name, [first.name.as_str()]);
            problems.push(Problem { suggestion, ..Problem::new(&document.file, *at, message) });
        }
    }
    read_environment(&mut Reader { file: &first.file, problems }, first)
}

fn read_environment(reader: &mut Reader<'_>, document: &Document) -> Option<Environment> {
    let mut fields = reader.fields(&document.spec, "Environment")?;
    let trust_domain = fields.required(reader, "trustDomain");
    let development = fields.optional("development");
    let staleness = fields.optional("staleness");
    let risk_floor = fields.optional("riskFloor");
    let policy = fields.optional("policy");
    fields.close(reader);
    let mut ages = Staleness::default();
    if let Some(node) = staleness
        && let Some(mut fields) = reader.fields(node, "staleness")
    {
        for (tier, age) in [
            (Tier::Routine, &mut ages.routine),
            (Tier::Sensitive, &mut ages.sensitive),
            (Tier::Critical, &mut ages.critical),
        ] {
            *age = fields.optional(tier.as_str()).and_then(|node| reader.duration(node)).unwrap_or(*age);
        }
        fields.close(reader);
    }
    let mut floor = BTreeMap::from([(Risk::High, Tier::Sensitive)]);
    if let Some(node) = risk_floor
        && let Some(mut fields) = reader.fields(node, "riskFloor")
    {
        for risk in Risk::ALL {
            if let Some(tier) = fields.optional(risk.as_str()).and_then(|node| reader.parse(node)) {
                floor.insert(*risk, tier);
            }
        }
        fields.close(reader);
    }
    Some(Environment {
        name: document.name.clone(),
        trust_domain: reader.parse(trust_domain?)?,
        development: development.and_then(|node| reader.flag(node)).unwrap_or(false),
        risk_floor: floor,
        staleness: ages,
        max_candidates: policy.and_then(|node| max_candidates(reader, node)).unwrap_or_default(),
    })
}

fn max_candidates(reader: &mut Reader<'_>, policy: &Node) -> Option<MaxCandidates> {
    let mut fields = reader.fields(policy, "policy")?;
    let node = fields.optional("maxCandidates");
    fields.close(reader);
    let node = node?;
    let read = reader.text(node)?.parse().ok().filter(|most| (1..=MOST_CANDIDATES).contains(most));
    if read.is_none() {
        reader.problem(node.at, format!("`maxCandidates` is a number from 1 to {MOST_CANDIDATES}"));
    }
    read.map(MaxCandidates)
}
