//! What each described operation asks is said once; what nobody says is refused and taken by nothing else.

use super::{API, check, check_with, estate, mapped};
use crate::catalog::Match;

#[test]
fn an_operation_that_nothing_maps_does_not_load() {
    let unmapped = "api.yaml:8:5: `DELETE /invoices/{invoice-id}` is not mapped
  help: give it `x-countersign: {action: …, resource: …}` or an entry of `mapping`; `unmapped: refuse` has it refused";
    check(API, unmapped);
    check_with("  openapi: {file: api.yaml, unmapped: error}", API, unmapped);
    check_with(
        "  openapi: {file: api.yaml, unmapped: ignore}",
        API,
        "estate.yaml:103:39: `ignore`: expected `error`, or `refuse` to have what is not mapped refused when asked for",
    );
    let refused = "  openapi: {file: api.yaml, unmapped: refuse}";
    assert_eq!(mapped(refused, "api.yaml", API), ["GET /invoices/{invoice-id}: read billing/invoices"]);
}

#[test]
fn the_service_maps_what_the_file_does_not() {
    let mapping = |entries: &str| format!("  openapi:\n    file: api.yaml\n    mapping:\n{entries}");
    let asks = "action: write, resource: billing/invoices";
    for entry in
        ["operationId: dropInvoice", "match: \"DELETE /invoices/{invoice-id}\"", "tag: invoices, methods: [DELETE]"]
    {
        let service = mapping(&format!("      - {{{entry}, {asks}}}"));
        assert_eq!(
            mapped(&service, "api.yaml", API),
            [
                "GET /invoices/{invoice-id}: read billing/invoices",
                "DELETE /invoices/{invoice-id}: write billing/invoices"
            ]
        );
    }
    // an entry that names the operation goes before one that names its tag
    let both = format!(
        "      - {{tag: invoices, methods: [DELETE], access: public}}\n      - {{operationId: dropInvoice, {asks}}}"
    );
    assert_eq!(mapped(&mapping(&both), "api.yaml", API)[1], "DELETE /invoices/{invoice-id}: write billing/invoices");
}

#[test]
fn an_operation_is_mapped_once() {
    let mapping = |entries: &[&str]| {
        let asks = "action: write, resource: billing/invoices";
        let entries = entries.iter().map(|entry| format!("      - {{{entry}, {asks}}}\n"));
        format!("  openapi:\n    file: api.yaml\n    mapping:\n{}", entries.collect::<String>())
    };
    check_with(
        &mapping(&["operationId: dropInvoice", "operationId: getInvoice"]),
        API,
        "estate.yaml:107:9: `GET /invoices/{invoice-id}` has an `x-countersign` too, at api.yaml:7; keep one of the two",
    );
    check_with(
        &mapping(&["operationId: dropInvoice", "match: \"DELETE /invoices/{invoice-id}\""]),
        API,
        "estate.yaml:107:9: `DELETE /invoices/{invoice-id}` is mapped by the entry of line 106 already",
    );
    let two_tags = API.replacen("tags: [invoices]", "tags: [invoices, drops]", 1);
    check_with(
        &mapping(&["tag: drops, methods: [DELETE]", "tag: invoices, methods: [DELETE, PUT]"]),
        &two_tags,
        "estate.yaml:107:9: `DELETE /invoices/{invoice-id}` is mapped by the entry of line 106 already
  help: an entry that names the operation goes before those of its tags",
    );
    let http = "  http:\n    - {match: \"GET /invoices/{other}\", access: public}\n  openapi: {file: api.yaml, unmapped: refuse}";
    check_with(
        http,
        API,
        "api.yaml:4:5: `GET /invoices/{invoice-id}` and `GET /invoices/{other}` match one request, and neither is the more literal one
  help: the other one stands at estate.yaml:104",
    );
    // a literal beats a brace here too
    let literal = http.replace("{other}", "latest");
    assert_eq!(mapped(&literal, "api.yaml", API).len(), 2);
}

#[test]
fn what_is_refused_is_not_taken_by_a_brace_beside_it() {
    let api = "openapi: 3.0.0
paths:
  /users/{user}: {get: {x-countersign: {action: read, resource: billing}}, post: {x-countersign: {access: public}}}
  /users/export: {get: {}}
";
    let services = estate("  openapi: {file: api.yaml, unmapped: refuse}", "api.yaml", api).ok().unwrap();
    let finds = |method: &str, path: &str| matches!(services[0].routes.find(method, path), Match::Route { .. });
    assert!(finds("GET", "/users/1") && finds("POST", "/users/export"));
    assert!(!finds("GET", "/users/export"), "refused, whatever `{{user}}` could be");
    check_with(
        "  openapi: {file: api.yaml, unmapped: refuse}",
        &api.replace("/users/export: {get: {}}", "/users/{id}: {get: {}}"),
        "api.yaml:4:17: `GET /users/{id}` and `GET /users/{user}` match one request, and neither is the more literal one
  help: the other one stands at api.yaml:3",
    );
}

#[test]
fn what_cannot_be_refused_apart_is_not_passed_over() {
    let api = "openapi: 3.0.0
paths:
  /jobs/{job}: {post: {x-countersign: {action: write, resource: billing}}}
  /jobs/{job}:cancel: {post: {}}
  /files/{file}.csv: {get: {}}
";
    let refuse = "  openapi: {file: api.yaml, unmapped: refuse}";
    check_with(
        refuse,
        api,
        "api.yaml:4:24: `POST /jobs/{job}:cancel` is not mapped, and cannot be refused apart: `POST /jobs/{job}` takes its requests
  help: if that is meant, leave `POST /jobs/{job}` unmapped too, and write it under `http`",
    );
    // what its braces stand between is looked at
    let beside = api.replace("/jobs/{job}:", "/jobs/all:");
    assert!(estate(refuse, "api.yaml", &beside.replace("/jobs/all:cancel", "/jobs/{job}:cancel")).is_ok());
    assert!(estate(refuse, "api.yaml", &beside.replace("/jobs/all:cancel", "/jobs/{job}ll")).is_err());
    let bare = api.replace("x-countersign: {action: write, resource: billing}", "");
    let by_hand = format!("  http: [{{match: \"POST /jobs/{{id}}\", action: write, resource: billing}}]\n{refuse}");
    let services = estate(&by_hand, "api.yaml", &bare).map_err(|problems| problems[0].to_string()).unwrap();
    let unmapped: Vec<_> = services[0].unmapped.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(unmapped, ["GET /files/{file}.csv"]);
}

#[test]
fn a_route_under_http_maps_what_the_file_describes() {
    let http =
        |entry: &str| format!("  http:\n    - {{match: \"{entry}\", access: public}}\n  openapi: {{file: api.yaml}}");
    assert_eq!(
        mapped(&http("DELETE /invoices/{id}"), "api.yaml", API),
        ["DELETE /invoices/{id}: public", "GET /invoices/{invoice-id}: read billing/invoices"]
    );
    let other = "api.yaml:8:5: `DELETE /invoices/{invoice-id}` is not mapped
  help: give it `x-countersign: {action: …, resource: …}` or an entry of `mapping`; `unmapped: refuse` has it refused";
    check_with(&http("DELETE /invoices/latest"), API, other);
}

#[test]
fn an_entry_of_a_mapping_is_for_some_operation() {
    let entry = |entry: &str| {
        format!(
            "  openapi:\n    file: api.yaml\n    unmapped: refuse\n    mapping:\n      - {{{entry}, access: public}}"
        )
    };
    let refused = |text: &str, expected: &str| check_with(&entry(text), API, &format!("estate.yaml:107:{expected}"));
    refused(
        "operationId: dropInvoces",
        "9: no operation of `api.yaml` has the operationId `dropInvoces`\n  help: did you mean `dropInvoice`?",
    );
    refused(
        "match: \"DELETE /invoices/{invoice}\"",
        "9: `api.yaml` has no operation `DELETE /invoices/{invoice}`\n  help: did you mean `DELETE /invoices/{invoice-id}`?",
    );
    refused(
        "tag: invoice, methods: [DELETE]",
        "9: no operation of `api.yaml` has the tag `invoice` and one of DELETE\n  help: did you mean `invoices`?",
    );
    refused(
        "tag: invoices, methods: [PUT, HEAD]",
        "9: no operation of `api.yaml` has the tag `invoices` and one of PUT, HEAD",
    );
    let one = "9: expected one of `operationId`, `match`, and `tag` with `methods`";
    refused("tag: invoices", one);
    refused("operationId: a, match: GET /", one);
    refused("operationId: a, methods: [GET]", one);
    refused("tag: a, methods: [get]", "28: `get`: expected one of GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE");
    refused("tag: a, methods: [TRACE]", "28: `TRACE`: expected one of GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE");
    refused("tag: a, methods: []", "27: expected at least one");
    refused(
        "operationid: dropInvoice",
        "9: expected one of `operationId`, `match`, and `tag` with `methods`\nestate.yaml:107:10: mapping: unknown field `operationid`\n  help: did you mean `operationId`?",
    );
    check_with(
        "  openapi: {file: api.yaml, mapping: [{operationId: dropInvoice, action: write}]}",
        API,
        "estate.yaml:103:39: expected either `access: public`, or `action` and `resource`",
    );
}
