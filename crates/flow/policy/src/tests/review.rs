//! What could be permitted at all, and which policies speak of nothing that is asked.

use model::{ActionName, ResourceId};

use super::{QUICKSTART, directory, vocabulary};
use crate::{Engine, PolicyFile};

fn engine(more: &str) -> (Engine, String) {
    let text = format!("{QUICKSTART}{more}");
    let file = PolicyFile { name: "a.cedar".to_owned(), text: text.clone() };
    (Engine::compile(&[file], &vocabulary(), &directory()).unwrap(), text)
}

fn policy(id: &str, body: &str) -> String {
    format!("@id(\"{id}\") @owner(\"a\") @purpose(\"a\")\n{body}\n")
}

#[test]
fn only_what_a_permit_speaks_of_could_be_permitted() {
    let (engine, _) = engine(&policy(
        "refunds",
        "permit (principal, action == Action::\"refund\", resource == Resource::\"billing\");",
    ));
    let could =
        |action: &str, resource: &str| engine.could_permit(&action.parse().unwrap(), &resource.parse().unwrap());
    assert!(could("read", "billing/invoices"));
    assert!(could("read", "billing/invoices/export"));
    assert!(!could("read", "billing"), "permits below say nothing of what is above");
    assert!(could("write", "billing/invoices"), "whatever its conditions are");
    assert!(!could("write", "billing/invoices/export"), "`==` is that one resource");
    assert!(could("refund", "billing"));
    assert!(!could("effect", "billing"), "a member is not its base action");
    assert!(!could("administer", "billing/invoices"));
    assert!(could("read", "public/billing-api"), "by the shipped pack");
}

#[test]
fn a_policy_is_idle_where_nobody_asks() {
    let operators = policy("narrow", "forbid (principal, action, resource in Resource::\"countersign/keys\");");
    let effects = policy("effects", "forbid (principal, action in Action::\"effect\", resource);");
    let (engine, text) = engine(&format!("{operators}{effects}"));
    let (read, invoices): (ActionName, ResourceId) = ("read".parse().unwrap(), "billing/invoices".parse().unwrap());
    let idle: Vec<_> = engine.idle([(&read, &invoices)]).collect();
    let ids: Vec<_> = idle.iter().map(|written| written.id.as_str()).collect();
    assert_eq!(ids, ["dunning-writes-in-task", "effects"]);
    for written in &idle {
        assert_eq!(written.file, "a.cedar");
        assert!(text[written.at..].starts_with(&format!("@id(\"{}\")", written.id)), "{written:?}");
    }
    // a member of a base action is asked in it
    let refund: ActionName = "refund".parse().unwrap();
    assert!(!engine.idle([(&refund, &invoices)]).any(|written| written.id.as_str() == "effects"));
}

#[test]
fn resources_are_named_in_scopes_and_conditions() {
    let (engine, _) = engine(&policy(
        "not-root",
        "forbid (principal, action, resource) when { resource == Resource::\"billing\" && resource in [Resource::\"billing/invoices/export\"] };",
    ));
    let named: Vec<_> = engine.named_resources().iter().map(ToString::to_string).collect();
    assert_eq!(named, ["billing", "billing/invoices", "billing/invoices/export"]);
}
