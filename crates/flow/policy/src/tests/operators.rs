//! The product's own operations: who may, and which policies have a say.

use std::sync::Arc;

use identity::Principal;

use super::{
    ALICE, CERTIFIED, CI, GATEWAY, OPERATOR, QUICKSTART, REPORTER, compile, decide, decide_as, directory, engine,
    principal, question, shown, vocabulary,
};
use crate::{Engine, Group};

#[test]
fn an_operator_over_a_kernel_channel_operates() {
    let engine = compile("").unwrap();
    let ask = |action: &str, facts: &[&str]| shown(&decide(&engine, OPERATOR, action, "countersign/estate", facts));
    assert_eq!(ask("administer", &["sender_bound"]), "allow, by countersign/operators");
    assert_eq!(ask("administer", &[]), "deny evidence_missing, missing sender_bound, by countersign/operators");
    assert_eq!(ask("read", &[]), "allow, by countersign/operators");
}

#[test]
fn an_operator_with_a_certificate_operates_as_a_local_one_does() {
    // a policy about everything does not lock them out
    let broad = engine(&["forbid (principal, action, resource);"]);
    let bound = decide(&broad, CERTIFIED, "administer", "countersign/estate", &["sender_bound"]);
    assert_eq!(shown(&bound), "allow, by countersign/operators");
    let unbound = decide(&broad, CERTIFIED, "administer", "countersign/estate", &[]);
    assert_eq!(shown(&unbound), "deny evidence_missing, missing sender_bound, by countersign/operators");
    // one may be told apart from the others
    let engine = engine(&[r#"forbid (principal == Human::"human:operators:admin", action, resource);"#]);
    let ask = |id: &str| shown(&decide(&engine, id, "administer", "countersign/estate", &["sender_bound"]));
    assert_eq!(ask(CERTIFIED), "deny forbidden, by p0");
    assert_eq!(ask(OPERATOR), "allow, by countersign/operators");
}

#[test]
fn an_id_that_looks_like_a_certified_operators_is_nobodys() {
    let engine = compile("").unwrap();
    let mut claimant = principal(ALICE);
    for id in ["human:operator:admin", "human:people:operators", "human:operators2:admin"] {
        claimant.id = id.parse().unwrap();
        let asked = decide_as(&engine, &claimant, &question("administer", "countersign/estate"), &["sender_bound"]);
        assert_eq!(shown(&asked), "deny no_permit", "{id}");
    }
}

#[test]
fn nobody_becomes_an_operator_by_naming_the_group() {
    // a principal that lists the group, and a group that says it is in it
    let mut claimant = principal(CI);
    claimant.groups = Arc::from(["countersign-operators".parse().unwrap(), "ci-billing".parse().unwrap()]);
    let mut vocabulary = vocabulary();
    vocabulary.groups[0].parents.push("countersign-operators".parse().unwrap());
    vocabulary
        .groups
        .push(Group { name: "countersign-operators".parse().unwrap(), parents: vec!["machines".parse().unwrap()] });
    let engine = Engine::compile(&[], &vocabulary, &directory()).unwrap();
    let ask = |principal: &Principal| {
        shown(&decide_as(&engine, principal, &question("administer", "countersign/estate"), &["sender_bound"]))
    };
    assert_eq!(ask(&claimant), "deny no_permit");
    assert_eq!(ask(&principal(OPERATOR)), "allow, by countersign/operators");
}

#[test]
fn nobody_becomes_a_plane_by_naming_the_group_or_by_a_path_that_looks_like_one() {
    let mut claimant = principal(REPORTER);
    claimant.groups = Arc::from(["countersign-planes".parse().unwrap()]);
    let engine = compile("").unwrap();
    let ask = |principal: &Principal| {
        shown(&decide_as(&engine, principal, &question("effect", "countersign/enrolment"), &[]))
    };
    assert_eq!(ask(&principal(GATEWAY)), "allow, by countersign/planes-enrol");
    assert_eq!(ask(&claimant), "deny no_permit");
    for path in
        ["/countersign/gateway", "/countersign/server", "/other/countersign/gateway/x", "/countersign/gateways/x"]
    {
        claimant.id = format!("spiffe://prod.acme.test{path}").parse().unwrap();
        assert_eq!(ask(&claimant), "deny no_permit", "{path}");
    }
}

#[test]
fn a_broad_policy_does_not_cut_gateways_off_and_one_that_names_them_does() {
    let ask = |policy: &str| {
        let engine = engine(&[policy]);
        shown(&decide(&engine, GATEWAY, "read", "countersign/feed", &[]))
    };
    assert_eq!(ask("forbid (principal is Workload, action, resource);"), "allow, by countersign/planes-follow");
    let named = r#"forbid (principal in Group::"countersign-planes", action, resource);"#;
    assert_eq!(ask(named), "deny forbidden, by p0");
}

#[test]
fn an_estate_may_narrow_what_operators_do() {
    let engine = engine(&[r#"forbid (principal in Group::"countersign-operators", action in Action::"effect",
        resource == Resource::"countersign/svids");"#]);
    let ask = |resource: &str| shown(&decide(&engine, OPERATOR, "effect", resource, &["sender_bound"]));
    assert_eq!(ask("countersign/svids"), "deny forbidden, by p0");
    assert_eq!(ask("countersign/keys"), "allow, by countersign/operators");
}

#[test]
fn an_operator_is_nobody_special_beyond_the_product() {
    let engine = compile(QUICKSTART).unwrap();
    assert_eq!(shown(&decide(&engine, OPERATOR, "read", "billing/invoices", &["sender_bound"])), "deny no_permit");
}

#[test]
fn a_policy_about_everything_neither_locks_operators_out_nor_lets_others_in() {
    let engine = engine(&[
        "permit (principal, action, resource);",
        "forbid (principal, action, resource);",
        "forbid (principal, action, resource) when { 9223372036854775807 + (context.depth + 1) > 0 };",
    ]);
    let ask = |id: &str| shown(&decide(&engine, id, "administer", "countersign/estate", &["sender_bound"]));
    assert_eq!(ask(OPERATOR), "allow, by countersign/operators");
    assert_eq!(ask(CI), "deny policy_error, by p2");
}

#[test]
fn a_forbid_that_does_not_name_the_product_still_holds_for_everybody_else() {
    let permit = r#"permit (principal == Job::"spiffe://prod.acme.test/ci/billing", action, resource in Resource::"countersign/estate");"#;
    let ask = |forbid: &str| {
        let engine = engine(&[permit, forbid]);
        shown(&decide(&engine, CI, "administer", "countersign/estate", &["sender_bound"]))
    };
    assert_eq!(ask("permit (principal, action, resource);"), "allow, by p0");
    for forbid in [
        r#"forbid (principal is Job, action, resource) unless { context.evidence.contains("protected_ref") };"#,
        r#"forbid (principal == Job::"spiffe://prod.acme.test/ci/billing", action, resource);"#,
        r#"forbid (principal, action, resource) when { resource in Resource::"countersign" };"#,
    ] {
        assert!(ask(forbid).starts_with("deny forbidden"), "{forbid}: {}", ask(forbid));
    }
}

#[test]
fn an_erring_policy_that_names_the_products_tree_denies() {
    let engine = engine(&[r#"forbid (principal, action, resource in Resource::"countersign/estate")
        when { 9223372036854775807 + (context.depth + 1) > 0 };"#]);
    let ask = |resource: &str| shown(&decide(&engine, OPERATOR, "read", resource, &[]));
    assert_eq!(ask("countersign/estate"), "deny policy_error, by p0");
    assert_eq!(ask("countersign/ledger"), "allow, by countersign/operators");
}
