//! The sentences for operators, whole.

use super::{CI, REPORTER, annotated, decide, directory, engine, shown, vocabulary};
use crate::{Engine, PolicyFile, Vocabulary};

/// Decides a read of `billing` by the job of the quickstart, and shows answer and reason.
fn check(policies: &[&str], facts: &[&str], expected: &str) {
    let finding = decide(&engine(policies), CI, "read", "billing", facts);
    assert_eq!(format!("{}\n{}", shown(&finding), finding.reason), expected);
}

#[test]
fn allowed_by_every_permit_that_applies() {
    check(
        &["permit (principal, action, resource);", "permit (principal is Job, action, resource);"],
        &[],
        "allow, by p0 p1\npermitted by `p0`, `p1`",
    );
}

#[test]
fn no_permit_speaks_of_this() {
    check(
        &["permit (principal is Workload, action, resource);"],
        &[],
        "deny no_permit\nno policy lets this Job `read` `billing`",
    );
}

#[test]
fn a_permit_fails_on_the_conjuncts_that_do_not_hold() {
    check(
        &[r#"permit (principal, action, resource) when
            { principal has tenant && context.evidence.contains("task_capability") && context.depth > 0 };"#],
        &[],
        "deny no_permit\nno policy permits this: `p0` would, but `context.evidence.contains(\"task_capability\")` does \
         not hold and `context.depth > 0` does not hold",
    );
}

#[test]
fn a_permit_fails_on_its_unless() {
    check(
        &[r#"permit (principal, action, resource) unless { context.depth == 0 && principal has tenant };"#],
        &[],
        "deny no_permit\nno policy permits this: `p0` would, but `(context.depth == 0) && (principal has tenant)` holds",
    );
}

#[test]
fn a_conjunct_that_rests_on_an_earlier_one_is_not_blamed() {
    let policy = r#"permit (principal is Workload, action, resource)
        when { principal has tenant && principal.tenant == "acme" };"#;
    let finding = decide(&engine(&[policy]), REPORTER, "read", "billing", &[]);
    assert_eq!(finding.reason, "no policy permits this: `p0` would, but `principal has tenant` does not hold");
}

#[test]
fn a_forbid_fires_on_its_when_and_on_what_its_unless_lacks() {
    check(
        &[
            "permit (principal, action, resource);",
            r#"forbid (principal, action, resource) when { context.protocol == "http" }
                unless { context.evidence.contains("protected_ref") && context.depth == 0 };"#,
            "forbid (principal is Job, action, resource);",
        ],
        &[],
        "deny forbidden, by p1 p2\nforbidden by `p1`, because `context.protocol == \"http\"` holds and \
         `context.evidence.contains(\"protected_ref\")` does not hold; `p2`, which has no condition",
    );
}

#[test]
fn the_smallest_set_of_facts_that_helps_is_named() {
    let any_of_two = r#"permit (principal, action, resource) when
        { (context.evidence.contains("attested") && context.evidence.contains("approved"))
          || context.evidence.contains("task_capability") };"#;
    let finding = decide(&engine(&[any_of_two]), CI, "read", "billing", &[]);
    assert_eq!(shown(&finding), "deny no_permit, missing task_capability");
    let forbid = r#"forbid (principal, action, resource) unless { context.evidence.containsAll(["in_schedule"]) };"#;
    let finding = decide(&engine(&[any_of_two, forbid]), CI, "read", "billing", &["attested"]);
    assert_eq!(shown(&finding), "deny forbidden, missing approved in_schedule, by p1");
}

#[test]
fn a_fact_that_would_not_be_enough_is_not_named() {
    let finding = decide(
        &engine(&[
            r#"permit (principal, action, resource) when { context.evidence.contains("attested") && context.depth > 0 };"#,
        ]),
        CI,
        "read",
        "billing",
        &[],
    );
    assert_eq!(shown(&finding), "deny no_permit");
}

#[test]
fn a_fact_that_is_forbidden_is_not_advised() {
    check(
        &[
            r#"permit (principal, action, resource) when { context.evidence.contains("attested") };"#,
            r#"forbid (principal, action, resource) when { context.evidence.contains("attested") };"#,
        ],
        &[],
        "deny no_permit\nno policy permits this: `p0` would, but `context.evidence.contains(\"attested\")` does not hold",
    );
}

#[test]
fn too_many_facts_or_too_large_a_set_are_not_tried() {
    let names: Vec<String> = (0..9).map(|n| format!("fact_{n}")).collect();
    let vocabulary = Vocabulary { facts: names.iter().map(|name| name.parse().unwrap()).collect(), ..vocabulary() };
    let missing = |names: &[String]| {
        let all = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let policy = format!("permit (principal, action, resource) when {{ context.evidence.containsAll([{all}]) }};");
        let file = PolicyFile { name: "p.cedar".to_owned(), text: annotated(&[&policy]) };
        let engine = Engine::compile(&[file], &vocabulary, &directory()).unwrap();
        decide(&engine, CI, "read", "billing", &[]).missing.len()
    };
    assert_eq!((missing(&names[..3]), missing(&names[..4]), missing(&names)), (3, 0, 0));
}

#[test]
fn a_reason_is_bounded() {
    let long = format!("permit (principal, action, resource) when {{ context.service == \"{}\" }};", "x".repeat(5000));
    let policies: Vec<&str> = std::iter::repeat_n(long.as_str(), 20).collect();
    let finding = decide(&engine(&policies), CI, "read", "billing", &[]);
    assert!(finding.reason.len() < 2000, "{}", finding.reason.len());
    assert!(finding.reason.ends_with("does not hold; and 15 more"), "{}", finding.reason);
}
