//! Tiers, risk floors and the evidence they ask for.

use identity::Principal;
use model::{Risk, Tier};

use super::{
    CI, OPERATOR, REPORTER, compile, decide, decide_as, directory, engine, principal, question, shown, vocabulary,
};
use crate::{Engine, Resource, Tiers};

const PERMIT: &[&str] = &["permit (principal, action, resource);"];

#[test]
fn sensitive_needs_a_sender_bound_credential() {
    let engine = engine(PERMIT);
    let finding = decide(&engine, REPORTER, "read", "billing/invoices/export", &["attested"]);
    assert_eq!(shown(&finding), "deny evidence_missing, missing sender_bound, by p0");
    assert_eq!(finding.reason, "permitted by `p0`, but the tier is sensitive and the credential is not sender-bound");
    let finding = decide(&engine, REPORTER, "read", "billing/invoices/export", &["sender_bound"]);
    assert_eq!((shown(&finding).as_str(), finding.reason.as_str()), ("allow, by p0", "permitted by `p0`"));
}

#[test]
fn critical_is_refused_until_a_person_can_approve() {
    let engine = engine(PERMIT);
    let ask = |facts: &[&str]| shown(&decide(&engine, REPORTER, "refund", "billing", facts));
    assert_eq!(ask(&[]), "deny approval_required, missing approved attested sender_bound, by p0");
    assert_eq!(ask(&["sender_bound", "attested"]), "deny approval_required, missing approved, by p0");
    assert_eq!(ask(&["sender_bound", "provenance"]), "deny approval_required, missing approved, by p0");
    assert_eq!(ask(&["sender_bound", "attested", "approved"]), "deny approval_required, by p0");
    let finding = decide(&engine, REPORTER, "refund", "billing", &[]);
    assert_eq!(finding.reason, "permitted by `p0`, but the tier is critical and needs a person's approval");
}

#[test]
fn a_principals_risk_raises_the_tier_and_never_lowers_it() {
    let engine = engine(PERMIT);
    let ask = |risk: Risk, action: &str| {
        let principal = Principal { risk, ..principal(REPORTER) };
        decide_as(&engine, &principal, &question(action, "billing"), &[]).tier
    };
    assert_eq!(ask(Risk::Medium, "read"), Tier::Routine);
    assert_eq!(ask(Risk::High, "read"), Tier::Sensitive);
    assert_eq!(ask(Risk::High, "refund"), Tier::Critical);
    let tier = |risk, resource: &str| engine.tier(risk, &"read".parse().unwrap(), &resource.parse().unwrap());
    assert_eq!(tier(Risk::High, "billing"), Some(Tier::Sensitive));
    assert_eq!(tier(Risk::High, "public/billing-api"), Some(Tier::Routine));
    assert_eq!(tier(Risk::High, "nowhere"), None);
}

#[test]
fn a_refusal_by_policy_comes_before_one_by_tier() {
    let engine = engine(&[PERMIT[0], "forbid (principal, action, resource in Resource::\"billing/invoices/export\");"]);
    let finding = decide(&engine, REPORTER, "read", "billing/invoices/export", &[]);
    assert_eq!((shown(&finding).as_str(), finding.tier), ("deny forbidden, by p1", Tier::Sensitive));
}

#[test]
fn public_operations_are_routine_for_whoever_asks() {
    let engine = compile("").unwrap();
    let risky = Principal { risk: Risk::High, ..principal(CI) };
    let finding = decide_as(&engine, &risky, &question("read", "public/billing-api"), &[]);
    assert_eq!((shown(&finding).as_str(), finding.tier), ("allow, by countersign/public-read", Tier::Routine));
}

#[test]
fn an_estate_may_forbid_a_public_operation() {
    let engine = engine(&[r#"forbid (principal is Anonymous, action, resource == Resource::"public/billing-api");"#]);
    let ask = |id: &str| shown(&decide(&engine, id, "read", "public/billing-api", &[]));
    assert_eq!(ask("anonymous"), "deny forbidden, by p0");
    assert_eq!(ask(CI), "allow, by countersign/public-read");
}

#[test]
fn nothing_that_an_estate_declares_takes_the_place_of_a_built_in_resource() {
    let mut vocabulary = vocabulary();
    let routine = vocabulary.resources[0].tiers;
    vocabulary.resources.push(Resource {
        id: "countersign/estate".parse().unwrap(),
        tiers: Tiers { administer: Tier::Routine, ..routine },
        ..vocabulary.resources[0].clone()
    });
    vocabulary.resources.push(Resource { id: "countersign/mine".parse().unwrap(), ..vocabulary.resources[0].clone() });
    let engine = Engine::compile(&[], &vocabulary, &directory()).unwrap();
    let finding = decide(&engine, OPERATOR, "administer", "countersign/estate", &[]);
    assert_eq!(shown(&finding), "deny evidence_missing, missing sender_bound, by countersign/operators");
    assert!(!engine.has_resource(&"countersign/mine".parse().unwrap()));
}
