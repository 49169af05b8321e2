//! An estate like the quickstart's, and one helper for each kind of test.

mod cases;
mod crowd;
mod environments;
mod equivalence;
mod fails_closed;
mod memo;
mod operators;
mod properties;
mod quickstart;
mod reasons;
mod refusals;
mod review;
mod scan;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use identity::{Directory, Principal};
use model::{BaseAction, Fact, PrincipalKind, Risk, Tier, Time};

use crate::{
    Engine, Facts, Finding, Group, MaxCandidates, PolicyFile, PolicyProblem, Question, Resource, Tiers, Vocabulary,
};

pub(crate) const QUICKSTART: &str = include_str!("../../tests/quickstart.cedar");

pub(crate) const CI: &str = "spiffe://prod.acme.test/ci/billing";
pub(crate) const REPORTER: &str = "spiffe://prod.acme.test/billing/reporter";
pub(crate) const DUNNING: &str = "spiffe://prod.acme.test/agents/dunning";
pub(crate) const ALICE: &str = "human:people:alice";
pub(crate) const OPERATOR: &str = "human:local:1000";
pub(crate) const CERTIFIED: &str = "human:operators:admin";
pub(crate) const AGENT: &str = "spiffe://prod.acme.test/countersign/agent/node-1";
pub(crate) const GATEWAY: &str = "spiffe://prod.acme.test/countersign/gateway/edge-1";

pub(crate) fn vocabulary() -> Vocabulary {
    let tiers = Tiers { read: Tier::Routine, write: Tier::Routine, administer: Tier::Critical, effect: Tier::Critical };
    let resource = |id: &str, sensitivity: &str, tiers: Tiers| Resource {
        id: id.parse().unwrap(),
        owner: "team-billing".parse().unwrap(),
        tenant: Some("acme".to_owned()),
        sensitivity: sensitivity.to_owned(),
        tiers,
    };
    let group = |name: &str, parents: &[&str]| Group {
        name: name.parse().unwrap(),
        parents: parents.iter().map(|name| name.parse().unwrap()).collect(),
    };
    Vocabulary {
        environment: Some("production".parse().unwrap()),
        other_environments: BTreeSet::new(),
        actions: BTreeMap::from([("refund".parse().unwrap(), BaseAction::Effect)]),
        groups: vec![group("ci-billing", &["ci"]), group("ci", &["machines"]), group("machines", &[])],
        resources: vec![
            resource("billing", "internal", tiers),
            resource("billing/invoices", "internal", tiers),
            resource("billing/invoices/export", "restricted", Tiers { read: Tier::Sensitive, ..tiers }),
        ],
        facts: vec!["protected_ref".parse().unwrap()],
        risk_floor: BTreeMap::from([(Risk::High, Tier::Sensitive)]),
        operators: vec![OPERATOR.parse().unwrap()],
        services: vec!["billing-api".parse().unwrap()],
        max_candidates: MaxCandidates::default(),
    }
}

pub(crate) fn principal(id: &str) -> Principal {
    let (kind, groups, risk): (_, &[&str], _) = match id {
        CI => (PrincipalKind::Job, &["ci-billing"], Risk::Medium),
        REPORTER | AGENT | GATEWAY => (PrincipalKind::Workload, &[], Risk::Low),
        DUNNING => (PrincipalKind::Agent, &[], Risk::Medium),
        ALICE | OPERATOR | CERTIFIED => (PrincipalKind::Human, &[], Risk::Low),
        "anonymous" => (PrincipalKind::Anonymous, &[], Risk::Low),
        other => panic!("no principal `{other}` here"),
    };
    Principal {
        id: id.parse().unwrap(),
        kind,
        owner: "team-billing".parse().unwrap(),
        purpose: "a test".to_owned(),
        tenant: (kind == PrincipalKind::Job).then(|| "acme".to_owned()),
        risk,
        expires: None,
        groups: groups.iter().map(|name| name.parse().unwrap()).collect::<Arc<[_]>>(),
    }
}

pub(crate) fn directory() -> Directory {
    Directory::new([CI, REPORTER, DUNNING, ALICE, CERTIFIED].map(|id| (principal(id), Vec::new())), Vec::new()).unwrap()
}

pub(crate) fn compile(text: &str) -> Result<Engine, Vec<PolicyProblem>> {
    let file = PolicyFile { name: "billing.cedar".to_owned(), text: text.to_owned() };
    Engine::compile(&[file], &vocabulary(), &directory())
}

/// An engine with these policies alone; each is given what every policy has to have.
pub(crate) fn engine(policies: &[&str]) -> Engine {
    compile(&annotated(policies)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Policies with ids `p0`, `p1` …
pub(crate) fn annotated(policies: &[&str]) -> String {
    let with = |(index, policy): (usize, &&str)| format!("@id(\"p{index}\") @owner(\"o\") @purpose(\"p\")\n{policy}\n");
    policies.iter().enumerate().map(with).collect()
}

pub(crate) fn question(action: &str, resource: &str) -> Question {
    Question {
        action: action.parse().unwrap(),
        resource: resource.parse().unwrap(),
        protocol: "http".to_owned(),
        service: "billing-api".to_owned(),
        params: vec![("invoice".to_owned(), "1".to_owned())],
    }
}

pub(crate) fn at() -> Time {
    "2026-11-24T04:00:00.123456Z".parse().unwrap()
}

pub(crate) fn evidence(facts: &[&str]) -> BTreeSet<Fact> {
    facts.iter().map(|fact| fact.parse().unwrap()).collect()
}

pub(crate) fn decide(engine: &Engine, id: &str, action: &str, resource: &str, facts: &[&str]) -> Finding {
    decide_as(engine, &principal(id), &question(action, resource), facts)
}

pub(crate) fn decide_as(engine: &Engine, principal: &Principal, question: &Question, facts: &[&str]) -> Finding {
    engine.decide(&Facts { principal, evidence: evidence(facts), question, at: at() })
}

/// `allow`, or the code and what is missing, and the policies that decided.
pub(crate) fn shown(finding: &Finding) -> String {
    let names = |items: Vec<String>| items.join(" ");
    let mut text = match finding.code {
        None => "allow".to_owned(),
        Some(code) => format!("deny {code}"),
    };
    if !finding.missing.is_empty() {
        text.push_str(&format!(", missing {}", names(finding.missing.iter().map(ToString::to_string).collect())));
    }
    if !finding.policies.is_empty() {
        text.push_str(&format!(", by {}", names(finding.policies.iter().map(ToString::to_string).collect())));
    }
    text
}

/// The decisions of every principal, action and resource, by evidence; what evidence does not change is `*`.
pub(crate) fn table(engine: &Engine, ids: &[(&str, &str)], actions: &[&str], resources: &[&str]) -> String {
    const EVIDENCE: &[&[&str]] =
        &[&[], &["protected_ref"], &["sender_bound"], &["protected_ref", "sender_bound"], &["task_capability"]];
    let mut table = String::new();
    for (name, id) in ids {
        for resource in resources {
            for action in actions {
                let mut answers: Vec<(String, Vec<String>)> = Vec::new();
                for facts in EVIDENCE {
                    let finding = decide(engine, id, action, resource, facts);
                    let answer = format!("{:<9} {}", finding.tier.as_str(), shown(&finding));
                    let with = format!("[{}]", facts.join(" "));
                    match answers.iter_mut().find(|(known, _)| *known == answer) {
                        Some((_, all)) => all.push(with),
                        None => answers.push((answer, vec![with])),
                    }
                }
                let only = answers.len() == 1;
                for (answer, with) in answers {
                    let with = if only { "*".to_owned() } else { with.join(" ") };
                    table.push_str(&format!("{name:<9} {action:<10} {resource:<23} {answer}  <- {with}\n"));
                }
            }
        }
    }
    table
}

/// Compares with a file of the repository, named from this crate; `UPDATE=1` writes it instead.
#[allow(clippy::disallowed_methods, reason = "a test may read its golden file, and write it when asked to")]
pub(crate) fn check_golden(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "{} differs; with UPDATE=1 it becomes:\n{actual}", path.display());
}
