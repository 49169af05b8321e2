//! The quickstart's decision table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{BaseAction, Time};

use super::{
    AGENT, ALICE, CI, DUNNING, GATEWAY, OPERATOR, QUICKSTART, REPORTER, annotated, at, check_golden, compile, decide,
    decide_as, directory, engine, evidence, principal, question, shown, table, vocabulary,
};
use crate::{Engine, Facts, PolicyFile, Vocabulary};

const BASE: &[&str] = &["read", "write", "administer", "effect"];

#[test]
fn the_quickstart_answers_as_its_table_says() {
    let engine = compile(QUICKSTART).unwrap();
    let ids = [("ci", CI), ("reporter", REPORTER), ("dunning", DUNNING), ("alice", ALICE)];
    let actions = ["read", "write", "administer", "effect", "refund"];
    let resources = ["billing", "billing/invoices", "billing/invoices/export", "countersign/estate"];
    check_golden("tests/quickstart.golden", &table(&engine, &ids, &actions, &resources));
}

#[test]
fn the_public_pack_answers_as_its_table_says() {
    let engine = compile("").unwrap();
    let ids = [("anonymous", "anonymous"), ("ci", CI), ("alice", ALICE), ("operator", OPERATOR)];
    let resources = ["public/billing-api", "billing", "countersign/estate"];
    check_golden("../../../policy/packs/public.golden", &table(&engine, &ids[..3], BASE, &resources));
}

#[test]
fn the_operators_pack_answers_as_its_table_says() {
    let engine = compile("").unwrap();
    let ids = [("operator", OPERATOR), ("alice", ALICE)];
    let resources = [
        "countersign/enrolment",
        "countersign/estate",
        "countersign/feed",
        "countersign/keys",
        "countersign/ledger",
        "countersign/planes",
        "countersign/svids",
        "billing",
    ];
    check_golden("../../../policy/packs/operators.golden", &table(&engine, &ids, BASE, &resources));
}

#[test]
fn the_planes_pack_answers_as_its_table_says() {
    let engine = compile("").unwrap();
    let ids = [("gateway", GATEWAY), ("reporter", REPORTER)];
    let resources =
        ["countersign", "countersign/enrolment", "countersign/estate", "countersign/feed", "countersign/keys"];
    check_golden("../../../policy/packs/planes.golden", &table(&engine, &ids, BASE, &resources));
}

#[test]
fn the_agents_pack_answers_as_its_table_says() {
    let engine = compile("").unwrap();
    let ids = [("agent", AGENT), ("gateway", GATEWAY), ("reporter", REPORTER)];
    let resources = [
        "countersign",
        "countersign/attestation",
        "countersign/enrolment",
        "countersign/feed",
        "countersign/svids",
        "countersign/workloads",
    ];
    check_golden("../../../policy/packs/agents.golden", &table(&engine, &ids, BASE, &resources));
}

#[test]
fn the_nested_pack_answers_as_its_table_says() {
    let engine = compile("").unwrap();
    let ids = [("reporter", REPORTER), ("ci", CI), ("agent", AGENT), ("gateway", GATEWAY), ("alice", ALICE)];
    check_golden("../../../policy/packs/nested.golden", &table(&engine, &ids, BASE, &["countersign/nested"]));
}

#[test]
fn the_shipped_schema_is_the_one_that_is_promised() {
    let promised = "entity Group;
entity Params tags String;                       // has: context.params.hasTag(\"invoice\") && \
                    context.params.getTag(\"invoice\") == \"1\"
entity Resource in [Resource] = { owner: String, tenant?: String, sensitivity: String };
entity Workload, Job, Agent, Partner, Human in [Group] = { owner: String, purpose: String, risk: String, tenant?: \
                    String };
entity Anonymous;
type Asked = { evidence: Set<String>, protocol: String, service: String, now: datetime, params: Params, depth: Long, \
                    actor_kinds: Set<String>, actors: Set<String> };
action read, write, administer, effect appliesTo { principal: [Workload, Job, Agent, Partner, Human, Anonymous], \
                    resource: [Resource], context: Asked };
";
    assert_eq!(include_str!("../../../../../policy/schema.cedarschema"), promised);
}

#[test]
fn every_part_of_the_context_can_be_read() {
    let engine = engine(&[
        r#"permit (principal is Job, action, resource) when {
        context.evidence == ["protected_ref"] && context.service == "billing-api" && context.depth == 0
        && context.actors.isEmpty() && context.actor_kinds.isEmpty()
        && context.now == datetime("2026-11-24T04:00:00.123Z")
        && context.params.hasTag("invoice") && context.params.getTag("invoice") == "1" && !context.params.hasTag("x")
        && principal.owner == "team-billing" && principal.purpose == "a test" && principal.risk == "medium"
        && principal has tenant && principal.tenant == "acme"
        && resource.owner == "team-billing" && resource has tenant && resource.sensitivity == "internal"
    };"#,
        r#"forbid (principal, action, resource) when { context.protocol == "grpc" };"#,
    ]);
    let finding = decide(&engine, CI, "read", "billing", &["protected_ref"]);
    assert_eq!(shown(&finding), "allow, by p0", "{}", finding.reason);
}

#[test]
fn the_time_before_1970_and_the_last_one_can_be_decided_at() {
    let policy = r#"permit (principal, action, resource) when { context.now < datetime("1970-01-01") };"#;
    let engine = engine(&[policy]);
    let ask = |at: Time| {
        let (principal, question) = (principal(REPORTER), question("read", "billing"));
        shown(&engine.decide(&Facts { principal: &principal, evidence: BTreeSet::new(), question: &question, at }))
    };
    assert_eq!(ask(Time::MIN), "allow, by p0");
    assert_eq!(ask(Time::from_micros(-1)), "allow, by p0");
    assert_eq!(ask(Time::from_micros(0)), "deny no_permit");
    assert_eq!(ask(Time::MAX), "deny no_permit");
}

#[test]
fn a_policy_about_a_group_reaches_groups_in_it_and_not_groups_above() {
    let engine = |group: &str| engine(&[&format!("permit (principal in Group::\"{group}\", action, resource);")]);
    let mut above = principal(CI);
    above.groups = Arc::from(["machines".parse().unwrap()]);
    for group in ["ci-billing", "ci", "machines"] {
        assert_eq!(shown(&decide(&engine(group), CI, "read", "billing", &[])), "allow, by p0", "{group}");
    }
    assert_eq!(shown(&decide_as(&engine("machines"), &above, &question("read", "billing"), &[])), "allow, by p0");
    assert_eq!(shown(&decide_as(&engine("ci"), &above, &question("read", "billing"), &[])), "deny no_permit");
}

#[test]
fn groups_that_are_in_one_another_are_one_group() {
    let mut vocabulary = vocabulary();
    vocabulary.groups[2].parents = vec!["ci".parse().unwrap()];
    let text = annotated(&["permit (principal in Group::\"ci\", action, resource);"]);
    let files = [PolicyFile { name: "p.cedar".to_owned(), text }];
    let engine = Engine::compile(&files, &vocabulary, &directory()).unwrap();
    assert_eq!(shown(&decide(&engine, CI, "read", "billing", &[])), "allow, by p0");
}

#[test]
fn a_declared_action_is_in_its_base_action_and_in_no_other() {
    let engine = |base: &str| engine(&[&format!("forbid (principal, action in Action::\"{base}\", resource);")]);
    assert_eq!(shown(&decide(&engine("effect"), REPORTER, "refund", "billing", &[])), "deny forbidden, by p0");
    assert_eq!(shown(&decide(&engine("write"), REPORTER, "refund", "billing", &[])), "deny no_permit");
}

#[test]
fn a_declared_action_may_have_any_word_as_its_name() {
    for word in ["in", "is", "has", "like", "if", "true", "action", "principal", "permit", "__cedar", "context"] {
        let Ok(name) = word.parse() else { continue };
        let actions = BTreeMap::from([(name, BaseAction::Read)]);
        let engine = Engine::compile(&[], &Vocabulary { actions, ..vocabulary() }, &directory());
        let engine = engine.unwrap_or_else(|problems| panic!("{word}: {problems:?}"));
        assert_eq!(
            shown(&decide(&engine, OPERATOR, word, "countersign/ledger", &[])),
            "allow, by countersign/operators"
        );
    }
}

#[test]
fn the_texts_of_policies_are_the_estates_own_and_as_written() {
    let engine = compile(QUICKSTART).unwrap();
    let texts: Vec<(&str, String)> = engine.policy_texts().collect();
    assert_eq!(texts.len(), 5);
    assert!(texts.iter().all(|(id, text)| text.starts_with(&format!("@id(\"{id}\")")) && text.ends_with(';')));
    assert!(texts.iter().all(|(_, text)| QUICKSTART.contains(text.as_str())));
}

#[test]
fn evidence_is_what_findings_establish_and_how_they_are_bound() {
    let finding = |binding: model::Binding, facts: &[&str]| credential::Finding {
        source: "github".parse().unwrap(),
        kind: credential::CredentialKind::Jwt,
        binding,
        key: Vec::new(),
        display: Vec::new(),
        facts: evidence(facts),
        credential_id: String::new(),
        digest: model::Digest::new([0; 32]),
        issued: None,
        expires: None,
        until: at(),
        key_id: None,
        key_thumbprint: None,
    };
    let bearer = finding(model::Binding::Bearer, &["protected_ref"]);
    let kernel = finding(model::Binding::Kernel, &[]);
    assert_eq!(Engine::evidence_of(&[]), evidence(&[]));
    assert_eq!(Engine::evidence_of(std::slice::from_ref(&bearer)), evidence(&["protected_ref"]));
    assert_eq!(Engine::evidence_of(&[kernel, bearer]), evidence(&["protected_ref", "sender_bound"]));
}
