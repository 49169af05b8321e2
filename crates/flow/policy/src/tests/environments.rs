//! Policies of several environments in one estate: each is compiled in its own, and seen in no other.

use std::collections::BTreeSet;

use super::{CI, compile, decide, directory, shown, vocabulary};
use crate::{Engine, PolicyFile, PolicyProblem, Vocabulary};

/// Compiles what production has in an estate that has staging too.
fn production(text: &str) -> Result<Engine, Vec<PolicyProblem>> {
    let other_environments = BTreeSet::from(["staging".parse().unwrap()]);
    let file = PolicyFile { name: "billing.cedar".to_owned(), text: text.to_owned() };
    Engine::compile(&[file], &Vocabulary { other_environments, ..vocabulary() }, &directory())
}

#[track_caller]
fn refused(found: Result<Engine, Vec<PolicyProblem>>, expected: &[&str]) {
    let told = |p: &PolicyProblem| {
        let help = p.suggestion.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{}:{}:{}: {}{help}", p.file, p.line, p.column, p.message)
    };
    assert_eq!(found.err().unwrap_or_default().iter().map(told).collect::<Vec<_>>(), expected);
}

fn policy(annotations: &str, effect: &str) -> String {
    format!("@id(\"a\") @owner(\"o\") @purpose(\"p\") {annotations}\n{effect} (principal, action, resource);\n")
}

#[test]
fn a_policy_of_another_environment_permits_and_forbids_nothing_here() {
    let engine = |text: &str| production(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let asked = |engine: &Engine| shown(&decide(engine, CI, "read", "billing/invoices", &[]));
    let (here, there) =
        (policy("@environment(\"production\")", "permit"), policy("@environment(\"staging\")", "permit"));
    assert_eq!(asked(&engine(&here)), "allow, by a");
    assert_eq!(asked(&engine(&there)), "deny no_permit");
    // nor does it take an id, or count as one of the estate's
    let both = engine(&format!("{here}{}", policy("@environment(\"staging\")", "forbid")));
    assert_eq!(asked(&both), "allow, by a");
    assert_eq!(both.policy_texts().count(), 1);
}

#[test]
fn what_a_policy_of_another_environment_names_is_not_looked_at_here() {
    let there = "@environment(\"staging\") permit (principal in Group::\"nobody\", action, resource);";
    assert!(production(there).is_ok());
    // what Cedar cannot read says of no environment that it is its own
    refused(
        production("@environment(\"staging\") permit (principal, action);"),
        &[
            "billing.cedar:1:50: this policy is missing the `resource` variable in the scope | policy scopes must contain a `principal`, `action`, and `resource` element in that order",
        ],
    );
}

#[test]
fn a_policy_says_of_which_environment_it_is_where_there_are_several() {
    refused(
        production(&policy("", "permit")),
        &[
            "billing.cedar:1:1: the policy has no `@environment(\"…\")`, and the estate has several environments | say which one it is for: `@environment(\"production\")` or `@environment(\"staging\")`",
        ],
    );
    assert!(compile(&policy("", "permit")).is_ok(), "where there is one, it goes without saying");
    for compiled in [compile, production] {
        refused(
            compiled(&policy("@environment(\"prodction\")", "permit")),
            &["billing.cedar:1:36: environment `prodction` is not declared here | did you mean `production`?"],
        );
    }
    refused(production(&policy("@environment", "permit")), &["billing.cedar:1:36: `@environment` is empty"]);
}
