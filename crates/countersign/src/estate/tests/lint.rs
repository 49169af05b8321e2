//! What `catalog lint` points out, in exact words.

use super::super::{Bundle, lint, load};
use super::{KEYS, POLICY, QUICKSTART, and, dev, now, quickstart};

/// What is found in an estate that loads, one finding a line; what every `GET` of the quickstart is told is left out.
fn found(yaml: &str, cedar: &str, api: &str) -> String {
    let files = [("estate.yaml", yaml), ("p/a.cedar", cedar), ("keys/platform.jwks.json", KEYS), ("api.json", api)];
    let bundle = Bundle::new(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let estate = load(&bundle, &dev(), &[], None, now()).map_err(|problems| problems[0].to_string()).unwrap();
    let findings =
        lint(&[estate], &bundle).into_iter().map(|one| format!("{}: {}", one.severity.as_str(), one.problem));
    findings.filter(|text| !text.contains("GET does not imply them")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(yaml: &str, expected: &str) {
    assert_eq!(found(yaml, POLICY, "{}"), expected);
}

fn route(route: &str) -> String {
    quickstart("  http:\n", &format!("  http:\n    - {{{route}}}\n"))
}

#[test]
fn the_quickstart_has_nothing_to_look_at() {
    check(QUICKSTART, "");
}

#[test]
fn an_operation_that_no_policy_ever_permits_is_pointed_out() {
    check(
        &route("match: \"PUT /invoices/{invoice}\", action: administer, resource: billing/invoices/export"),
        "warning: estate.yaml:104:7: `PUT /invoices/{invoice}` asks `administer` on `billing/invoices/export`, which no policy ever permits
  help: write a permit whose scope has both
note: estate.yaml:104:7: `PUT /invoices/{invoice}` asks `administer` on `billing/invoices/export`, whose tier is critical
  help: it is answered `approval_required` until approvals exist",
    );
}

#[test]
fn a_method_that_changes_things_asks_more_than_to_read() {
    let asks = |method: &str, access: &str| route(&format!("match: \"{method} /x\", {access}"));
    let said = |severity: &str, method: &str| {
        format!(
            "{severity}: estate.yaml:104:7: `{method} /x` asks `read`, though its method changes things
  help: ask `write` or `effect`, unless nothing changes"
        )
    };
    let read = "action: read, resource: billing/invoices";
    for method in ["DELETE", "PUT", "PATCH"] {
        check(&asks(method, read), &said("warning", method));
        check(&asks(method, "access: public"), &said("warning", method));
    }
    check(&asks("POST", read), &said("note", "POST"));
    check(&asks("OPTIONS", read), "");
    check(&asks("DELETE", "action: write, resource: billing/invoices"), "");
}

#[test]
fn a_resource_that_nobody_mentions_is_pointed_out() {
    let resource =
        |id: &str| quickstart("    billing/invoices: {}", &format!("    billing/invoices: {{}}\n    {id}: {{}}"));
    check(
        &resource("billing/refunds"),
        "warning: estate.yaml:95:5: no operation asks for `billing/refunds`, and no policy names it
  help: take it out, or map what it is for",
    );
    let names = "\n@id(\"no-refunds\") @owner(\"a\") @purpose(\"a\")\nforbid (principal, action, resource) when { resource == Resource::\"billing/refunds\" };\n";
    assert_eq!(found(&resource("billing/refunds"), &format!("{POLICY}{names}"), "{}"), "");
    // what is above a resource that is asked for is there for it
    let below = resource("billing/refunds").replacen(
        "    - {match: \"GET /export\"",
        "    - {match: \"GET /x\", action: read, resource: billing/refunds}\n    - {match: \"GET /export\"",
        1,
    );
    assert!(!found(&below, POLICY, "{}").contains("no operation asks"));
}

#[test]
fn a_service_whose_every_get_is_public_is_pointed_out() {
    let service = |http: &str| {
        and(&format!(
            "apiVersion: countersign.dev/v1\nkind: Service\nmetadata: {{name: open}}\nspec: {{hosts: [b.test], upstream: {{url: \"http://127.0.0.1:1\"}}, http: [{http}]}}\n"
        ))
    };
    check(
        &service("{match: GET /a, access: public}, {match: GET /b, access: public}"),
        "warning: estate.yaml:109:1: every GET of `open` is public\n  help: `access: public` is for what strangers may see",
    );
    check(&service("{match: GET /a, access: public}, {match: GET /b, action: read, resource: billing/invoices}"), "");
    check(&service("{match: POST /a, action: write, resource: billing/invoices}"), "");
}

#[test]
fn what_get_does_not_imply_is_told_once_a_path() {
    let yaml = quickstart(
        "    - {match: \"GET /healthz\", access: public}\n",
        "    - {match: \"HEAD /invoices/{id}\", action: read, resource: billing/invoices}\n    - {match: \"OPTIONS /export\", access: public}\n    - {match: \"HEAD /export\", access: public}\n",
    );
    let files = [("estate.yaml", yaml.as_str()), ("a.cedar", POLICY), ("keys/platform.jwks.json", KEYS)];
    let bundle = Bundle::new(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let estate = load(&bundle, &dev(), &[], None, now()).map_err(|problems| problems[0].to_string()).unwrap();
    let findings: Vec<String> = lint(&[estate], &bundle).iter().map(|one| one.problem.to_string()).collect();
    assert_eq!(
        findings,
        [
            "estate.yaml:107:7: `GET /invoices/{invoice}` is mapped, `OPTIONS` is not\n  help: GET does not imply them: map them if callers use them"
        ]
    );
}

#[test]
fn a_policy_about_what_nobody_asks_is_told() {
    let policy = "\n\n  @id(\"effects\") @owner(\"a\") @purpose(\"a\")\nforbid (principal, action in Action::\"effect\", resource);\n";
    assert_eq!(
        found(QUICKSTART, &format!("{POLICY}{policy}"), "{}"),
        format!("note: p/a.cedar:{}:3: no operation asks for what `effects` speaks of", POLICY.lines().count() + 3)
    );
}

#[test]
fn what_is_described_and_refused_is_told() {
    let yaml = QUICKSTART.replacen("  http:\n", "  openapi: {file: api.json, unmapped: refuse}\n  http:\n", 1);
    let api = r#"{"openapi": "3.1.0", "paths": {"/a": {"get": {}, "trace": {}}}}"#;
    assert_eq!(
        found(&yaml, POLICY, api),
        "note: api.json:1:39: `GET /a` is not mapped: callers are refused, as `unmapped: refuse` says
note: api.json:1:50: `TRACE /a` is not mapped: callers are refused, as `unmapped: refuse` says"
    );
}
