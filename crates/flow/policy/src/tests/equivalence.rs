//! The index answers as a scan of every policy does, in every word: random policy sets, random questions.
//!
//! A few hundred sets in each run; with `COUNTERSIGN_TEST_LONG=1`, ten thousand.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use identity::Principal;
use model::{BaseAction, Fact, Risk};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proptest::{collection, prop_assert, prop_assert_eq};

use super::scan::Scan;
use super::{
    ALICE, CI, DUNNING, OPERATOR, REPORTER, annotated, at, directory, evidence, principal, question, vocabulary,
};
use crate::{Engine, Facts, PolicyFile, Question, Vocabulary};

const IDS: &[&str] = &[CI, CI, REPORTER, DUNNING, ALICE, OPERATOR, "anonymous"];
const ACTIONS: &[&str] = &["read", "write", "administer", "effect", "refund", "list", "nothing"];
const RESOURCES: &[&str] = &[
    "billing",
    "billing/invoices",
    "billing/invoices/export",
    "crm",
    "crm/contacts/private",
    "public/billing-api",
    "public/unknown",
    "countersign",
    "countersign/ledger",
    "nowhere",
];
const GROUPS: &[&str] = &["ci-billing", "ci", "machines", "people", "countersign-operators", "undeclared"];
const FACTS: &[&str] = &["protected_ref", "sender_bound", "task_capability", "attested"];

/// The estate of the other tests, with more to tell apart: a second tree, whose middle is not declared, and more actions.
fn wide() -> Vocabulary {
    let mut wide = vocabulary();
    wide.actions =
        BTreeMap::from([("refund".parse().unwrap(), BaseAction::Effect), ("list".parse().unwrap(), BaseAction::Read)]);
    wide.groups.push(crate::Group { name: "people".parse().unwrap(), parents: vec!["machines".parse().unwrap()] });
    let billing = wide.resources[0].clone();
    for id in ["crm", "crm/contacts/private"] {
        wide.resources.push(crate::Resource { id: id.parse().unwrap(), ..billing.clone() });
    }
    wide
}

fn scope() -> impl Strategy<Value = String> {
    let principal = select(vec![
        "principal",
        "principal",
        "principal is Job",
        "principal is Human",
        "principal is Anonymous",
        "principal in Group::\"ci-billing\"",
        "principal in Group::\"machines\"",
        "principal in Group::\"people\"",
        "principal in Group::\"countersign-operators\"",
        "principal is Job in Group::\"ci\"",
        "principal is Workload in Group::\"machines\"",
        "principal == Job::\"spiffe://prod.acme.test/ci/billing\"",
        "principal in Job::\"spiffe://prod.acme.test/ci/billing\"",
        "principal is Job in Job::\"spiffe://prod.acme.test/ci/billing\"",
        "principal == Agent::\"spiffe://prod.acme.test/agents/dunning\"",
        "principal == Human::\"human:people:alice\"",
    ]);
    let action = select(vec![
        "action",
        "action",
        "action in Action::\"read\"",
        "action in Action::\"effect\"",
        "action == Action::\"refund\"",
        "action in [Action::\"write\", Action::\"effect\"]",
        "action in [Action::\"list\", Action::\"refund\"]",
        "action in [Action::\"read\", Action::\"list\"]",
    ]);
    let resource = select(vec![
        "resource",
        "resource",
        "resource is Resource",
        "resource in Resource::\"billing\"",
        "resource in Resource::\"billing/invoices\"",
        "resource == Resource::\"billing\"",
        "resource == Resource::\"billing/invoices\"",
        "resource is Resource in Resource::\"billing/invoices\"",
        "resource == Resource::\"crm/contacts/private\"",
        "resource in Resource::\"crm\"",
        "resource in Resource::\"public\"",
        "resource == Resource::\"public/billing-api\"",
        "resource in Resource::\"countersign\"",
        "resource == Resource::\"countersign/ledger\"",
    ]);
    (principal, action, resource)
        .prop_map(|(principal, action, resource)| format!("({principal}, {action}, {resource})"))
}

fn condition() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        6 => select(FACTS.to_vec()).prop_map(|fact| format!("context.evidence.contains(\"{fact}\")")),
        1 => Just("context.evidence.isEmpty()".to_owned()),
        2 => Just("resource.sensitivity == \"restricted\"".to_owned()),
        2 => Just("(resource has tenant && resource.tenant == \"acme\")".to_owned()),
        2 => Just("resource in Resource::\"billing/invoices\"".to_owned()),
        1 => Just("context.service == \"billing-api\"".to_owned()),
        1 => Just("context.now < datetime(\"2030-01-01\")".to_owned()),
        1 => Just("(context has now && context.now < datetime(\"2020-01-01\"))".to_owned()),
        1 => Just("(context.params.hasTag(\"invoice\") && context.params.getTag(\"invoice\") == \"1\")".to_owned()),
        2 => Just("9223372036854775807 + (context.depth + 1) > 0".to_owned()),
    ];
    let joined =
        (collection::vec(atom, 1..4), select(vec![" && ", " || "])).prop_map(|(atoms, operator)| atoms.join(operator));
    (select(vec!["when", "unless"]), joined).prop_map(|(word, body)| format!("{word} {{ {body} }}"))
}

fn policy() -> impl Strategy<Value = String> {
    (select(vec!["permit", "permit", "forbid"]), scope(), collection::vec(condition(), 0..3))
        .prop_map(|(effect, scope, conditions)| format!("{effect} {scope} {};", conditions.join(" ")))
}

/// Who asks: as the directory has it, or with whatever groups and attributes.
fn caller() -> impl Strategy<Value = (Principal, bool)> {
    let known = select(IDS.to_vec()).prop_map(|id| (principal(id), true));
    let groups = subsequence(GROUPS.to_vec(), 0..=GROUPS.len());
    let tenant = proptest::option::of(select(vec!["acme", "other"]));
    let other =
        (select(IDS.to_vec()), groups, tenant, select(Risk::ALL.to_vec())).prop_map(|(id, groups, tenant, risk)| {
            let groups = groups.iter().map(|name| name.parse().unwrap()).collect::<Arc<[_]>>();
            (Principal { groups, tenant: tenant.map(str::to_owned), risk, ..principal(id) }, false)
        });
    prop_oneof![known, other]
}

fn asked() -> impl Strategy<Value = (Question, BTreeSet<Fact>)> {
    let facts = subsequence(FACTS.to_vec(), 0..=FACTS.len());
    // most are fit to be asked about
    let params = prop_oneof![8 => Just(&[] as &[&str]), 6 => Just(&["1"] as _), 2 => Just(&["2"] as _), 1 => Just(&["1", "1"] as _)];
    (select(ACTIONS.to_vec()), select(RESOURCES.to_vec()), facts, params).prop_map(
        |(action, resource, facts, params)| {
            let params = params.iter().map(|invoice| ("invoice".to_owned(), (*invoice).to_owned())).collect();
            (Question { params, ..question(action, resource) }, evidence(&facts))
        },
    )
}

/// When some of the conditions have changed.
fn late() -> model::Time {
    "2031-01-01T00:00:00.000000Z".parse().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a test may be told to run longer")]
fn sets() -> u32 {
    if std::env::var_os("COUNTERSIGN_TEST_LONG").is_some() { 10_000 } else { 300 }
}

#[test]
fn the_index_answers_as_a_scan_of_every_policy_does() {
    let (vocabulary, directory) = (wide(), directory());
    let (answered, allowed, forbidden, erred) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |of: &Cell<u32>| of.set(of.get() + 1);
    let config = Config { cases: sets(), failure_persistence: None, ..Config::default() };
    let strategy = (collection::vec(policy(), 0..20), collection::vec((caller(), asked()), 24));
    let held = TestRunner::new(config).run(&strategy, |(policies, questions)| {
        let text = annotated(&policies.iter().map(String::as_str).collect::<Vec<_>>());
        let file = PolicyFile { name: "p.cedar".to_owned(), text: text.clone() };
        let engine = Engine::compile(&[file], &vocabulary, &directory)
            .map_err(|problems| TestCaseError::reject(format!("{problems:?}")))?;
        let scan = Scan::new(&text);
        for ((principal, is_known), (question, evidence)) in &questions {
            let facts = Facts { principal, evidence: evidence.clone(), question, at: at() };
            let met = Cell::new(0);
            let indexed = engine.decide_among(&facts, |scene| {
                let candidates = engine.index.candidates(scene);
                met.set(candidates.rules.len());
                candidates
            });
            prop_assert_eq!(&indexed, &scan.decide(&engine, &facts), "{:#?}\n{:#?}\n{}", principal, question, text);
            for at in [at(), late()] {
                let facts = Facts { at, evidence: evidence.clone(), ..facts };
                prop_assert_eq!(engine.decide_or_recall(&facts), engine.decide(&facts), "recalled\n{}", text);
            }
            prop_assert!(!is_known || met.get() <= engine.most_candidates());
            count(&answered);
            match indexed.code {
                None => count(&allowed),
                Some(model::Code::Forbidden) => count(&forbidden),
                Some(model::Code::PolicyError) => count(&erred),
                Some(_) => {}
            }
        }
        Ok(())
    });
    held.unwrap();
    // each kind of answer was among them, so that none was compared in vain
    let share = |of: &Cell<u32>| of.get() * 100 / answered.get();
    assert!([&allowed, &forbidden, &erred].into_iter().all(|of| share(of) >= 5), "{allowed:?} {forbidden:?} {erred:?}");
}
