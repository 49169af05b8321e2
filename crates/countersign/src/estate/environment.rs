//! `Environment`: the worlds of an estate, and which of its documents are of which.
//!
//! INVARIANT: a page is left out only where it plainly is of another environment that is declared. Whatever else it says is
//! read, and refused if need be: the page left out could hold what a policy rests on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use guard::Staleness;
use model::{EnvironmentName, Risk, Tier, TrustDomain};
use policy::MaxCandidates;
use yaml::{At, Node, Problem, Reader, nearest};

use super::document::{Document, Page};

const KIND: &str = "Environment";

/// Most policies for one question that can be allowed: more than an estate can have, so that nothing is refused for it.
const MOST_CANDIDATES: usize = 1_000_000;

/// An environment: a separate world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: EnvironmentName,
    pub trust_domain: TrustDomain,
    /// Where plain HTTP to loopback may be written.
    pub development: bool,
    pub risk_floor: BTreeMap<Risk, Tier>,
    /// How old a snapshot may be, by tier.
    pub staleness: Staleness,
    pub max_candidates: MaxCandidates,
}

/// The environments that an estate declares, before one of them is read.
pub(super) struct Environments<'p> {
    /// In the order of their pages.
    declared: Vec<(EnvironmentName, &'p Page)>,
}

/// One environment, and those beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// None where the estate has none.
    pub own: Option<EnvironmentName>,
    pub others: BTreeSet<EnvironmentName>,
}

impl<'p> Environments<'p> {
    /// Those that have a name. One without is read, and refused, with whichever environment is asked for.
    pub(super) fn of(pages: &'p [Page]) -> Self {
        let declared = pages.iter().filter(|page| is_environment(page));
        Self { declared: declared.filter_map(|page| Some((claimed(page)?.parse().ok()?, page))).collect() }
    }

    /// Each with those beside it; of an estate without any, what there is.
    pub(super) fn all(&self) -> Vec<Choice> {
        let names: BTreeSet<&EnvironmentName> = self.declared.iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return vec![Choice::default()];
        }
        let others = |own| names.iter().filter(|name| **name != own).copied().cloned().collect();
        names.iter().map(|own| Choice { own: Some((*own).clone()), others: others(*own) }).collect()
    }

    /// The one of that name; without a name the only one.
    ///
    /// # Errors
    /// A [`Problem`] that lists those that there are.
    pub(super) fn choose(&self, wanted: Option<&str>) -> Result<Choice, Problem> {
        let mut all = self.all();
        let Some((_, last)) = self.declared.last() else { return Ok(Choice::default()) };
        let listed = all.iter().flat_map(|choice| &choice.own).map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let refused = |message: String, help: &str| {
            let at = last.node.at(&["metadata", "name"]).map_or(last.node.at, |node| node.at);
            Problem::new(&last.file, at, message).suggest(help)
        };
        let Some(wanted) = wanted else {
            return match all.pop() {
                Some(only) if all.is_empty() => Ok(only),
                _ => {
                    let message = format!("the estate has several environments: {}", listed.join(", "));
                    let help =
                        "choose one with --environment NAME, of an offline verb or of the server that is to serve it";
                    Err(refused(message, help))
                }
            };
        };
        let found = all.into_iter().find(|choice| choice.own.as_ref().is_some_and(|name| name.as_str() == wanted));
        found.ok_or_else(|| {
            let message = format!("the estate has no environment `{}`", wanted.escape_debug());
            refused(message, &format!("it has {}", listed.join(", ")))
        })
    }

    /// With two environments in one trust domain, a credential of the one would be one of the other.
    pub(super) fn check_domains(&self, problems: &mut Vec<Problem>) {
        let mut owners: HashMap<TrustDomain, &EnvironmentName> = HashMap::new();
        for (name, page) in &self.declared {
            let Some(node) = page.node.at(&["spec", "trustDomain"]) else { continue };
            let Some(domain) = node.text().and_then(|text| text.parse::<TrustDomain>().ok()) else { continue };
            let message = format!("`{domain}` is the trust domain of environment ");
            if let Some(first) = owners.insert(domain, name).filter(|first| *first != name) {
                let problem = Problem::new(&page.file, node.at, format!("{message}`{first}` already"));
                problems.push(problem.suggest("an environment is a world of its own, and so is its trust domain"));
            }
        }
    }
}

impl Choice {
    /// Whether a page is for this environment to read.
    pub(super) fn takes(&self, page: &Page) -> bool {
        let is_elsewhere = |name: &str| self.others.iter().any(|other| other.as_str() == name);
        !claimed(page).is_some_and(is_elsewhere)
    }

    /// The documents that are plainly of this environment; any other is a problem.
    pub(super) fn only_own(&self, documents: Vec<Document>, problems: &mut Vec<Problem>) -> Vec<Document> {
        let mut own = Vec::new();
        for document in documents {
            match self.misplaced(&document) {
                None => own.push(document),
                Some(problem) => problems.push(problem),
            }
        }
        own
    }

    /// The environment that is chosen.
    pub(super) fn read(&self, documents: &[Document], problems: &mut Vec<Problem>) -> Option<Environment> {
        let Some(document) = documents.iter().find(|document| document.kind == KIND) else {
            let file = documents.first().map_or(".", |document| document.file.as_str());
            let problem = Problem::new(file, At::START, "the estate has no Environment");
            problems.push(problem.suggest("add a document of kind `Environment` with a `trustDomain`"));
            return None;
        };
        spec(&mut Reader { file: &document.file, problems }, document)
    }

    /// Why a document, though it is of no other environment, is not of this one.
    fn misplaced(&self, document: &Document) -> Option<Problem> {
        let names = || self.own.iter().chain(&self.others).map(EnvironmentName::as_str);
        let Some((name, at)) = &document.environment else {
            let must_say = !self.others.is_empty() && document.kind != KIND;
            let message = "`metadata.environment` is missing: the estate has several environments";
            let listed: BTreeSet<String> = names().map(|name| format!("`{name}`")).collect();
            let help = || format!("say which one it is of: {}", listed.into_iter().collect::<Vec<_>>().join(" or "));
            return must_say.then(|| Problem::new(&document.file, document.at, message).suggest(help()));
        };
        if self.own.as_ref().is_some_and(|own| own.as_str() == name) {
            return None;
        }
        if names().any(|known| known == name) {
            let message = format!("environment `{}` is of no other one", document.name);
            return Some(Problem::new(&document.file, *at, message));
        }
        let problem = Problem::new(&document.file, *at, format!("environment `{name}` is not declared here"));
        Some(Problem { suggestion: nearest(name, names()), ..problem })
    }
}

/// The environment that a page says it is of, or is.
fn claimed(page: &Page) -> Option<&str> {
    page.text(if is_environment(page) { &["metadata", "name"] } else { &["metadata", "environment"] })
}

fn is_environment(page: &Page) -> bool {
    page.text(&["kind"]) == Some(KIND)
}

fn spec(reader: &mut Reader<'_>, document: &Document) -> Option<Environment> {
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
        name: document.name.parse().ok()?,
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
