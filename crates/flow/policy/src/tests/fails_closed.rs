//! A policy that errs is never skipped, whatever Cedar alone would do with it.

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression};
use identity::Principal;

use super::{
    CI, REPORTER, annotated, compile, decide, decide_as, directory, engine, principal, question, shown, vocabulary,
};
use crate::{Engine, PolicyFile};

/// Passes strict validation and overflows whenever it is evaluated.
const OVERFLOW: &str = "9223372036854775807 + (context.depth + 1) > 0";

const PERMIT: &str = "permit (principal, action, resource);";

#[test]
fn cedar_alone_allows_what_an_erring_forbid_should_have_stopped() {
    let set: PolicySet =
        format!("{PERMIT} forbid (principal, action, resource) when {{ {OVERFLOW} }};").parse().unwrap();
    let uid = |text: &str| text.parse::<EntityUid>().unwrap();
    let context = Context::from_pairs([("depth".to_owned(), RestrictedExpression::new_long(0))]).unwrap();
    let (principal, action, resource) = (uid(r#"Job::"ci""#), uid(r#"Action::"read""#), uid(r#"Resource::"billing""#));
    let request = Request::new(principal, action, resource, context, None).unwrap();
    let response = Authorizer::new().is_authorized(&request, &set, &Entities::empty());
    assert_eq!(response.decision(), Decision::Allow);
    assert_eq!(response.diagnostics().errors().count(), 1);
}

#[test]
fn an_erring_forbid_denies() {
    let engine = engine(&[PERMIT, &format!("forbid (principal, action, resource) when {{ {OVERFLOW} }};")]);
    let finding = decide(&engine, REPORTER, "read", "billing", &[]);
    assert_eq!(shown(&finding), "deny policy_error, by p1");
    assert_eq!(
        finding.reason,
        "cannot be evaluated: `p1`: integer overflow while attempting to add the values `9223372036854775807` and `1`"
    );
}

#[test]
fn an_erring_permit_denies_beside_a_sound_one() {
    let engine = engine(&[PERMIT, &format!("permit (principal, action, resource) when {{ {OVERFLOW} }};")]);
    assert_eq!(shown(&decide(&engine, REPORTER, "read", "billing", &[])), "deny policy_error, by p1");
}

#[test]
fn an_error_is_told_before_a_forbid() {
    let erring = format!("permit (principal, action, resource) when {{ {OVERFLOW} }};");
    let engine = engine(&["forbid (principal, action, resource);", &erring]);
    assert_eq!(shown(&decide(&engine, REPORTER, "read", "billing", &[])), "deny policy_error, by p1");
}

#[test]
fn an_erring_policy_about_others_does_not_matter() {
    let engine = engine(&[PERMIT, &format!("forbid (principal is Job, action, resource) when {{ {OVERFLOW} }};")]);
    assert_eq!(shown(&decide(&engine, REPORTER, "read", "billing", &[])), "allow, by p0");
    assert_eq!(shown(&decide(&engine, CI, "read", "billing", &[])), "deny policy_error, by p1");
}

#[test]
fn a_public_read_is_denied_by_an_erring_policy() {
    let engine = engine(&[&format!("forbid (principal, action, resource) when {{ {OVERFLOW} }};")]);
    assert_eq!(shown(&decide(&engine, "anonymous", "read", "public/billing-api", &[])), "deny policy_error, by p0");
}

#[test]
fn an_empty_estate_denies() {
    let engine = compile("").unwrap();
    let finding = decide(&engine, REPORTER, "read", "billing", &["sender_bound", "attested", "approved"]);
    assert_eq!(shown(&finding), "deny no_permit");
}

#[test]
fn what_is_not_declared_cannot_be_asked_about() {
    let engine = engine(&[PERMIT]);
    let ask = |action: &str, resource: &str| {
        let finding = decide(&engine, REPORTER, action, resource, &["sender_bound"]);
        format!("{} {}: {}", finding.tier, shown(&finding), finding.reason)
    };
    assert_eq!(ask("refund2", "billing"), "critical deny policy_error: there is no action `refund2`");
    assert_eq!(ask("read", "billing/nope"), "critical deny policy_error: there is no resource `billing/nope`");
    assert_eq!(ask("read", "countersign/nope"), "critical deny policy_error: there is no resource `countersign/nope`");
    assert_eq!(ask("read", "public/a/b"), "critical deny policy_error: there is no resource `public/a/b`");
    assert!(!engine.has_action(&"refund2".parse().unwrap()) && engine.has_action(&"refund".parse().unwrap()));
    assert!(!engine.has_resource(&"billing/nope".parse().unwrap()) && engine.has_resource(&"billing".parse().unwrap()));
}

#[test]
fn a_parameter_that_is_given_twice_is_not_chosen_from() {
    let engine = engine(&[PERMIT]);
    let mut question = question("read", "billing");
    question.params = vec![("invoice".to_owned(), "1".to_owned()), ("invoice".to_owned(), "2".to_owned())];
    let finding = decide_as(&engine, &principal(REPORTER), &question, &[]);
    assert_eq!(shown(&finding), "deny policy_error");
    assert_eq!(finding.reason, "the parameter `invoice` is given twice");
}

#[test]
fn a_caller_that_names_no_tenant_is_not_of_an_empty_one() {
    let engine = engine(&[r#"permit (principal is Workload, action, resource)
        when { principal has tenant && resource has tenant && principal.tenant == resource.tenant };"#]);
    assert_eq!(shown(&decide(&engine, REPORTER, "read", "billing", &[])), "deny no_permit");
    let reporter = Principal { tenant: Some("acme".to_owned()), ..principal(REPORTER) };
    assert_eq!(shown(&decide_as(&engine, &reporter, &question("read", "billing"), &[])), "allow, by p0");
    let other = Principal { tenant: Some("other".to_owned()), ..reporter };
    assert_eq!(shown(&decide_as(&engine, &other, &question("read", "billing"), &[])), "deny no_permit");
}

#[test]
fn a_forbid_on_a_tree_reaches_every_resource_in_it() {
    // the resource between is left out: the forbid on the root must not be lost with it
    let mut vocabulary = vocabulary();
    vocabulary.resources.remove(1);
    let text = annotated(&[PERMIT, "forbid (principal, action, resource in Resource::\"billing\");"]);
    let files = [PolicyFile { name: "p.cedar".to_owned(), text }];
    let engine = Engine::compile(&files, &vocabulary, &directory()).unwrap();
    let finding = decide(&engine, REPORTER, "read", "billing/invoices/export", &["sender_bound"]);
    assert_eq!(shown(&finding), "deny forbidden, by p1");
}
