//! An API that is described: its file maps it, callers get what that says, and `catalog` shows it before it is in force.

use serde_json::json;

use crate::harness::{DUNNING, Dev, Estate, Mint, Ran, Upstream, dunning_claims, folder, golden, normal, run};

const API: &str = r##"{
  "openapi": "3.1.0",
  "servers": [{"url": "https://billing.acme.test/v2"}],
  "paths": {
    "/invoices": {"post": {"tags": ["invoices"]}, "get": {"operationId": "list", "tags": ["invoices"]}},
    "/invoices/{invoice-id}": {"$ref": "#/components/pathItems/one"},
    "/reports/{report}.csv": {"get": {"summary": "for the people of the back office"}}
  },
  "components": {"pathItems": {"one": {
    "x-countersign": {"resource": "billing/invoices"},
    "get": {"operationId": "one", "x-countersign": {"action": "read"}},
    "delete": {"operationId": "drop", "x-countersign": {"action": "administer"}}
  }}}
}
"##;

/// The quickstart with its operations described by [`API`].
fn estate() -> Estate {
    let mut estate = Estate::ours().file("api/billing.json", API);
    let http = estate.yaml.find("  http:\n").expect("the routes");
    estate.yaml.truncate(http);
    estate.yaml.push_str(
        "  openapi:
    file: api/billing.json
    basePath: /v2
    unmapped: refuse
    mapping:
      - {tag: invoices, methods: [GET], action: read, resource: billing/invoices}
      - {match: \"POST /v2/invoices\", action: write, resource: billing/invoices}
  http:
    - {match: \"GET /healthz\", access: public}
",
    );
    estate
}

fn catalog(verb: &str, estate: &Estate, more: &[&str]) -> Ran {
    let folder = folder();
    estate.write(folder.path());
    run(&[&["catalog", verb, "-f", folder.path().to_str().expect("a plain path")], more].concat(), b"")
}

#[test]
fn callers_get_what_the_described_operations_ask() {
    let upstream = Upstream::start();
    let mut dev = Dev::serving(&estate().upstream(&upstream.url));
    let token = Mint::shared().dunning(&dunning_claims());
    let record = dev.record(dev.get("/v2/invoices/17", &token).is(200).record());
    assert_eq!(record["operation"], "GET /v2/invoices/{invoice-id}");
    assert_eq!(record["principal"]["id"], DUNNING);
    assert_eq!(record["inputs"]["context"]["params"], json!([["invoice-id", "17"]]));
    let verdict = &record["verdicts"][0];
    assert_eq!((&verdict["action"], &verdict["resource"]), (&json!("read"), &json!("billing/invoices")));
    assert_eq!(upstream.only("/invoices/17").target(), "/v2/invoices/17");

    dev.get("/v2/invoices", &token).is(200);
    assert_eq!(dev.call("POST", "/v2/invoices", Some(&token)).is(403).code(), "no_permit");
    assert_eq!(dev.call("DELETE", "/v2/invoices/17", Some(&token)).is(403).code(), "no_permit");
    dev.call("GET", "/healthz", None).is(200);
    for target in ["/invoices/17", "/v2/reports/may.csv", "/v2/invoices/17/lines"] {
        assert_eq!(dev.get(target, &token).is(403).code(), "operation_unmapped", "{target}");
    }
    // what was decided by the file is decided again from what was kept of it
    assert_eq!(dev.cli(&["replay", "--since", "1h", "--output", "json"]).ended(0).json()["differ"], json!([]));
    assert_eq!(dev.stop(), 0);
    dev.again();
    dev.get("/v2/invoices/17", &token).is(200);
}

#[test]
fn a_file_that_grows_is_a_change_of_its_service() {
    let dev = Dev::serving(&estate());
    let grown = API.replace(r#""/reports"#, r#""/notes": {"get": {"x-countersign": {"access": "public"}}}, "/reports"#);
    assert_ne!(grown, API);
    std::fs::write(dev.estate().join("api/billing.json"), grown).expect("it can be written");
    let applied = dev.cli(&["apply", "--yes", "-f", dev.estate().to_str().expect("a plain path"), "--output", "json"]);
    assert_eq!(
        applied.ended(0).json()["changes"],
        json!([{"kind": "Service", "name": "billing-api", "change": "changed"}])
    );
    // the sample API knows no such thing; that it was asked is the point
    dev.call("GET", "/v2/notes", None).is(404);
    assert!(dev.reached().iter().any(|reached| reached["target"] == "/v2/notes"));
}

#[test]
fn catalog_lists_what_operations_ask() {
    golden("cli/catalog-list.txt", &catalog("list", &estate(), &[]).ended(0).out);
    golden("cli/catalog-list.json", &normal(&catalog("list", &estate(), &["--output", "json"]).ended(0).json()));
}

#[test]
fn catalog_lint_says_what_deserves_a_look() {
    let sound = catalog("lint", &estate(), &[]).ended(1);
    golden("cli/catalog-lint.txt", &sound.out);
    assert!(sound.err.is_empty(), "{sound:?}");
    golden("cli/catalog-lint.json", &normal(&catalog("lint", &estate(), &["--output", "json"]).ended(1).json()));

    let quickstart = catalog("lint", &Estate::ours(), &["--output", "json"]).ended(0).json();
    assert_eq!((&quickstart["ok"], quickstart["findings"].as_array().expect("a list").len()), (&json!(true), 3));

    let strict = estate().replacing("    unmapped: refuse\n", "");
    let refused = catalog("lint", &strict, &["--output", "json"]).ended(3).json();
    assert_eq!(
        refused,
        json!({"ok": false, "findings": [{
            "severity": "error", "file": "api/billing.json", "line": 7, "column": 31,
            "message": "`GET /v2/reports/{report}.csv` is not mapped",
            "suggestion": "give it `x-countersign: {action: …, resource: …}` or an entry of `mapping`; `unmapped: refuse` has it refused",
        }]})
    );
    catalog("list", &strict, &[]).ended(3);
}
