//! What is remembered of an answer, and that nothing comes of it but time.

use super::{CI, REPORTER, at, engine, evidence, principal, question};
use crate::{Engine, Facts, Finding, Question};
use identity::Principal;
use model::{Code, Risk, Time};

const READS: &str = "permit (principal, action in Action::\"read\", resource);";

fn ask(engine: &Engine, principal: &Principal, question: &Question, facts: &[&str], at: Time) -> Finding {
    let facts = Facts { principal, evidence: evidence(facts), question, at };
    let recalled = engine.decide_or_recall(&facts);
    assert_eq!(recalled, engine.decide(&facts));
    recalled
}

/// Asks twice, and gives both answers.
fn twice(policy: &str, first: &Question, then: &Question, after: Time) -> [Option<Code>; 2] {
    let engine = engine(&[policy]);
    let caller = principal(CI);
    [ask(&engine, &caller, first, &[], at()).code, ask(&engine, &caller, then, &[], after).code]
}

fn reading(params: &[(&str, &str)]) -> Question {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Question { params, ..question("read", "billing/invoices") }
}

#[test]
fn what_reads_the_time_is_decided_at_every_time() {
    let policy = "permit (principal, action, resource) when { context.now < datetime(\"2026-12-01\") };";
    let late = "2026-12-01T00:00:00.000000Z".parse().unwrap();
    assert_eq!(twice(policy, &reading(&[]), &reading(&[]), late), [None, Some(Code::NoPermit)]);
}

#[test]
fn what_reads_parameters_is_decided_for_every_parameter() {
    let policy = "permit (principal, action, resource) when { context.params.hasTag(\"invoice\") && context.params.getTag(\"invoice\") == \"1\" };";
    let [one, other] = ["1", "2"].map(|invoice| reading(&[("invoice", invoice)]));
    assert_eq!(twice(policy, &one, &other, at()), [None, Some(Code::NoPermit)]);
}

#[test]
fn a_parameter_that_is_given_twice_is_refused_beside_what_is_remembered() {
    let (once, again) = (reading(&[("a", "1")]), reading(&[("a", "1"), ("b", "1"), ("a", "1")]));
    assert_eq!(twice(READS, &once, &again, at()), [None, Some(Code::PolicyError)]);
    assert_eq!(twice(READS, &again, &once, at()), [Some(Code::PolicyError), None]);
}

#[test]
fn what_a_caller_is_and_proves_is_part_of_what_is_remembered() {
    let forbid = "forbid (principal, action, resource) unless { context.evidence.contains(\"protected_ref\") && principal has risk && principal.risk == \"medium\" && context.service == \"billing-api\" && context.protocol == \"http\" };";
    let engine = engine(&[READS, forbid]);
    let asked = question("read", "billing/invoices");
    let ci = principal(CI);
    let allowed = |principal: &Principal, question: &Question, facts: &[&str]| {
        ask(&engine, principal, question, facts, at()).code.is_none()
    };
    assert!(allowed(&ci, &asked, &["protected_ref"]));
    assert!(!allowed(&ci, &asked, &[]));
    assert!(!allowed(&Principal { risk: Risk::Low, ..ci.clone() }, &asked, &["protected_ref"]));
    assert!(!allowed(&principal(REPORTER), &asked, &["protected_ref"]));
    assert!(!allowed(&ci, &Question { service: "other".to_owned(), ..asked.clone() }, &["protected_ref"]));
    assert!(!allowed(&ci, &Question { protocol: "nats".to_owned(), ..asked.clone() }, &["protected_ref"]));
    assert!(allowed(&ci, &asked, &["protected_ref"]));
}
