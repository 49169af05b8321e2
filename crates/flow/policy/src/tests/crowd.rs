//! A question that would be put to too many policies: found when an estate loads.

use std::sync::Arc;

use identity::{Class, Directory, Template};
use model::{PrincipalKind, Risk};

use super::{CI, annotated, directory, vocabulary};
use crate::{Engine, MaxCandidates, PolicyFile};

/// Compiles with a limit, and says the most candidates or the one problem.
fn check(limit: usize, directory: &Directory, policies: &[&str]) -> Result<usize, String> {
    let vocabulary = crate::Vocabulary { max_candidates: MaxCandidates(limit), ..vocabulary() };
    let file = PolicyFile { name: "p.cedar".to_owned(), text: annotated(policies) };
    match Engine::compile(&[file], &vocabulary, directory) {
        Ok(engine) => Ok(engine.most_candidates()),
        Err(problems) => {
            assert_eq!(problems.len(), 1, "{problems:#?}");
            let problem = &problems[0];
            let suggestion = problem.suggestion.as_deref().unwrap();
            Err(format!("{}:{}: {} | {suggestion}", problem.file, problem.line, problem.message))
        }
    }
}

const SUGGESTION: &str =
    "narrow their scopes by principal, action or resource, or raise `policy.maxCandidates` of the Environment";

#[test]
fn an_estate_has_at_most_sixty_four_policies_for_one_question() {
    let permit = "permit (principal, action, resource in Resource::\"billing\");";
    let policies = vec![permit; 65];
    assert_eq!(check(64, &directory(), &policies[..64]), Ok(64));
    let told = (0..10).map(|n| n.to_string()).collect::<Vec<_>>();
    let mut ids: Vec<String> = (0..65).map(|n| format!("p{n}")).collect();
    ids.sort();
    let listed = ids.iter().take(told.len()).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let expected = format!(
        "p.cedar:1: one question would be put to 65 policies, at most 64 may be: any `Workload` asking for any action on \
         `billing`; they are {listed} and 55 more | {SUGGESTION}"
    );
    assert_eq!(check(64, &directory(), &policies), Err(expected));
    assert_eq!(MaxCandidates::default(), MaxCandidates(64));
}

#[test]
fn a_higher_limit_lets_an_estate_load() {
    let policies = vec!["permit (principal, action, resource);"; 199];
    // with the shipped permit of public reads
    assert_eq!(check(200, &directory(), &policies), Ok(200));
}

#[test]
fn policies_about_everything_count_with_those_about_one_thing() {
    let policies = [
        "permit (principal, action, resource);",
        "permit (principal is Job, action in Action::\"read\", resource);",
        "forbid (principal in Group::\"machines\", action, resource in Resource::\"billing\");",
        "permit (principal == Job::\"spiffe://prod.acme.test/ci/billing\", action, resource == Resource::\"billing/invoices\");",
    ];
    assert_eq!(check(4, &directory(), &policies), Ok(4));
    let expected = format!(
        "p.cedar:1: one question would be put to 4 policies, at most 3 may be: `Job::\"{CI}\"` asking for `read` on \
         `billing/invoices`; they are `p0`, `p1`, `p2`, `p3` | {SUGGESTION}"
    );
    assert_eq!(check(3, &directory(), &policies), Err(expected));
}

#[test]
fn policies_that_never_meet_on_one_question_do_not_count_together() {
    let apart = [
        // one resource each; `==` does not reach below
        "permit (principal, action, resource == Resource::\"billing\");",
        "permit (principal, action, resource == Resource::\"billing/invoices\");",
        // one action each
        "permit (principal, action == Action::\"refund\", resource == Resource::\"billing/invoices/export\");",
        "permit (principal, action in Action::\"read\", resource == Resource::\"billing/invoices/export\");",
        // one kind or one principal each
        "permit (principal is Workload in Group::\"machines\", action, resource in Resource::\"public\");",
        "permit (principal == Agent::\"spiffe://prod.acme.test/agents/dunning\", action, resource in Resource::\"public\");",
        "permit (principal == Human::\"human:people:alice\", action, resource in Resource::\"public\");",
    ];
    // with the shipped permit of public reads
    assert_eq!(check(2, &directory(), &apart), Ok(2));
}

#[test]
fn the_groups_of_a_class_count_together() {
    let class = |groups: &[&str]| Class {
        name: "people".to_owned(),
        source: "okta".parse().unwrap(),
        kind: PrincipalKind::Human,
        template: Template::new("human:okta:{sub}", &["sub"]).unwrap(),
        owner: "people".parse().unwrap(),
        purpose: "a test".to_owned(),
        tenant: None,
        risk: Risk::Low,
        groups: groups.iter().map(|name| name.parse().unwrap()).collect::<Arc<[_]>>(),
    };
    let policies = [
        "permit (principal in Group::\"ci-billing\", action, resource == Resource::\"billing\");",
        "permit (principal in Group::\"machines\", action, resource == Resource::\"billing\");",
        "permit (principal == Human::\"human:okta:1\", action, resource == Resource::\"billing\");",
    ];
    let with = |groups: &[&str]| check(2, &Directory::new([], vec![class(groups)]).unwrap(), &policies);
    assert_eq!(with(&["machines"]), Ok(2));
    let expected = format!(
        "p.cedar:1: one question would be put to 3 policies, at most 2 may be: `Human::\"human:okta:1\"` asking for any \
         action on `billing`; they are `p0`, `p1`, `p2` | {SUGGESTION}"
    );
    assert_eq!(with(&["ci-billing"]), Err(expected));
}

#[test]
fn what_only_operators_meet_counts() {
    let policies =
        ["forbid (principal in Group::\"countersign-operators\", action, resource in Resource::\"countersign\");"];
    // with the shipped permit
    assert!(check(1, &directory(), &policies).is_err());
    assert_eq!(check(2, &directory(), &policies), Ok(2));
}
