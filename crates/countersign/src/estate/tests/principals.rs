//! Principals, classes and groups that do not load, in exact words.

use super::{and, check, loaded, quickstart};

/// The line of the first line of a document put after the quickstart.
const AFTER: usize = 109;

/// The quickstart and one more document.
fn with(kind: &str, name: &str, spec: &str) -> String {
    and(&document(kind, name, spec))
}

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: countersign.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// The refusal of a document put after the quickstart, `down` lines below its first.
#[track_caller]
fn refused(yaml: &str, down: usize, column: usize, message: &str) {
    check(yaml, &format!("estate.yaml:{}:{column}: {message}", AFTER + down));
}

#[test]
fn a_principal_has_what_its_kind_needs() {
    check(
        &with("Principal", "x", "{kind: Job, purpose: \" \", risk: extreme}"),
        "estate.yaml:112:7: Principal: `id` is missing
estate.yaml:112:7: Principal: `owner` is missing
estate.yaml:112:28: expected text that is not empty
estate.yaml:112:39: `extreme` is not one of low, medium, high",
    );
    let principal =
        |kind: &str, id: &str| with("Principal", "x", &format!("{{kind: {kind}, id: \"{id}\", owner: a, purpose: b}}"));
    refused(&principal("Anonymous", "anonymous"), 3, 14, "`Anonymous` is nobody: no estate can declare it");
    refused(
        &principal("Human", "spiffe://prod.acme.test/alice"),
        3,
        25,
        "`spiffe://prod.acme.test/alice`: a Human has an id such as `human:<source>:<key>`",
    );
    refused(
        &principal("Agent", "human:people:x"),
        3,
        25,
        "`human:people:x`: a principal of kind Agent has a SPIFFE ID",
    );
    refused(
        &principal("Job", "spiffe://prod.acme.test"),
        3,
        23,
        "`spiffe://prod.acme.test` names the trust domain itself; a principal's id has a path",
    );
    refused(
        &principal("Human", "human:people:x"),
        0,
        1,
        "class `people` could make `human:people:x`, which is a principal of its own",
    );
    // the classes of this installation's operators are there in every estate
    refused(
        &principal("Human", "human:operators:admin"),
        0,
        1,
        "class `certified-operators` could make `human:operators:admin`, which is a principal of its own",
    );
    refused(
        &principal("Human", "human:local:0"),
        0,
        1,
        "class `local-operators` could make `human:local:0`, which is a principal of its own",
    );
}

#[test]
fn a_binding_is_a_key_that_its_source_can_prove() {
    check(
        &quickstart("key: [\"9001\", \"4711\"]", "key: [\"9001\"]"),
        "estate.yaml:66:36: source `github` has the key (repository_owner_id, repository_id): expected 2 value(s)",
    );
    check(
        &quickstart("source: github, key", "source: people, key"),
        "estate.yaml:66:23: source `people` proves Human, not Job",
    );
    check(
        &quickstart("source: github, key", "source: local, key"),
        "estate.yaml:66:23: `local` is not a trust source here",
    );
    check(
        &with(
            "Principal",
            "x",
            "{kind: Human, id: \"human:staff:x\", owner: a, purpose: b, bindings: [{source: people, key: [x]}]}",
        ),
        "estate.yaml:109:1: `human:staff:x` is bound to source `people`, all of whose keys fall under class `people`",
    );
}

#[test]
fn a_class_is_an_injective_template_over_its_source() {
    let class = |id: &str| quickstart("\"human:people:{sub}\"", &format!("\"{id}\""));
    let at = |message: &str| format!("estate.yaml:52:41: {message}");
    check(&class("human:people:{email}"), &at("`{email}` is not one of the source's `identityKey` claims"));
    check(
        &class("human:people:all"),
        &at("`{sub}` has to stand in the template exactly once, so that different keys give different ids"),
    );
    check(
        &class("spiffe://prod.acme.test/people/{sub}"),
        "estate.yaml:52:41: `spiffe://prod.acme.test/people/x`: a Human has an id such as `human:<source>:<key>`
estate.yaml:52:41: `spiffe://prod.acme.test/people/{sub}`: humans of source `people` have ids that start with `human:people:`",
    );
    check(
        &quickstart("source: people, kind: Human", "source: people, kind: Workload"),
        "estate.yaml:52:16: source `people` proves Human, not Workload",
    );
    check(
        &with(
            "PrincipalClass",
            "more",
            "{source: people, kind: Human, id: \"human:people:{sub}\", owner: a, purpose: b}",
        ),
        "estate.yaml:109:1: classes `people` and `more` both take every key of source `people`",
    );
}

#[test]
fn a_group_is_of_names_that_are_declared_once() {
    assert!(loaded(&with("Group", "readers", "{members: [reporter, people]}")).is_ok());
    check(
        &with("Group", "readers", "{members: [reporters]}"),
        "estate.yaml:112:18: `reporters` is neither a principal, a class nor a group here
  help: did you mean `reporter`?",
    );
    let twin = format!(
        "{}---\n{}",
        with("Group", "reporter", "{members: []}"),
        document("Group", "readers", "{members: [reporter]}")
    );
    check(
        &twin,
        "estate.yaml:117:18: `reporter` is the name of a Principal and of a Group
  help: rename one of them, so that it is plain who is a member",
    );
    let circle = format!("{}---\n{}", with("Group", "a", "{members: [b]}"), document("Group", "b", "{members: [a]}"));
    check(
        &circle,
        "estate.yaml:111:18: group `a` is a member of itself, through the groups that it is in
estate.yaml:116:18: group `b` is a member of itself, through the groups that it is in",
    );
}

#[test]
fn nobody_becomes_an_operator_by_an_estate() {
    let message = "`countersign-operators` is the group of this installation's operators";
    refused(&with("Group", "countersign-operators", "{members: [reporter]}"), 2, 18, message);
    check(
        &quickstart("groups: [ci-billing]", "groups: [countersign-operators]"),
        &format!("estate.yaml:65:12: {message}"),
    );
}

#[test]
fn a_class_member_of_a_group_is_one_by_its_policies_too() {
    let estate = loaded(&with("Group", "staff", "{members: [people]}")).ok().unwrap();
    let alice = estate.directory.principal(&"human:people:alice".parse().unwrap()).unwrap();
    assert_eq!(alice.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>(), ["staff"]);
}
