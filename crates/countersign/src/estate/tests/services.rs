//! Services, resources and actions that do not load, in exact words.

use super::{and, check, loaded, quickstart};

#[test]
fn a_host_belongs_to_one_service_and_is_written_one_way() {
    let hosts = |hosts: &str| quickstart("hosts: [billing.acme.test, 127.0.0.1]", &format!("hosts: [{hosts}]"));
    let form = "expected a host in lower case, without port and trailing dot";
    check(&hosts("Billing.acme.test"), &format!("estate.yaml:101:11: `Billing.acme.test`: {form}"));
    check(&hosts("a, billing.acme.test."), &format!("estate.yaml:101:14: `billing.acme.test.`: {form}"));
    check(&hosts("\"a:8080\""), &format!("estate.yaml:101:11: `a:8080`: {form}"));
    check(&hosts("\"*\""), &format!("estate.yaml:101:11: `*`: {form}"));
    check(&hosts(""), "estate.yaml:101:10: expected at least one");
    check(&hosts("a, a"), "estate.yaml:101:14: host `a` belongs to service `billing-api` already");
    assert!(loaded(&hosts("\"::1\"")).is_ok());
}

#[test]
fn an_upstream_is_a_host_and_a_port() {
    let upstream = |url: &str| quickstart("\"${DEV_UPSTREAM}\"", &format!("\"{url}\""));
    for url in ["http://127.0.0.1:8080", "http://billing.internal", "http://[::1]:80/"] {
        assert!(loaded(&upstream(url)).is_ok(), "{url}");
    }
    let refused = [
        "http://a.test/base",
        "http://a.test?x",
        "http://u:p@a.test",
        "http://a.test:99999",
        "http://a.test:",
        "http://a.test#x",
        "a.test:80",
        "http://",
        "unix:/run/a.sock",
    ];
    for url in refused {
        check(&upstream(url), &format!("estate.yaml:102:19: `{url}`: expected `http://host:port`, without a path"));
    }
}

#[test]
fn a_service_with_a_spiffe_id_is_reached_by_tls_alone() {
    let upstream = |text: &str| quickstart("{url: \"${DEV_UPSTREAM}\"}", text);
    assert!(
        loaded(&upstream("{url: \"https://a.test:8443\", spiffeId: \"spiffe://prod.acme.test/billing/api\"}")).is_ok()
    );
    let hint = "a service that is reached by mutual TLS has an `https://` address and a `spiffeId`";
    check(
        &upstream("{url: \"https://a.test\"}"),
        &format!("estate.yaml:102:19: `https://a.test`: expected `http://host:port`, without a path; {hint}"),
    );
    check(
        &upstream("{url: \"http://a.test\", spiffeId: \"spiffe://prod.acme.test/billing/api\"}"),
        &format!("estate.yaml:102:19: `http://a.test`: expected `https://host:port`, without a path; {hint}"),
    );
    check(
        &upstream("{url: \"https://a.test\", spiffeId: \"spiffe://PROD/a\"}"),
        "estate.yaml:102:47: a trust domain has only lower-case letters, digits, `.`, `-` and `_`; found `P`",
    );
}

#[test]
fn an_operation_asks_one_thing() {
    let route = |route: &str| quickstart("{match: \"GET /healthz\", access: public}", &format!("{{{route}}}"));
    let either = "estate.yaml:104:7: expected either `access: public`, or `action` and `resource`";
    check(&route("match: GET /healthz"), either);
    check(&route("match: GET /healthz, action: read"), either);
    check(&route("match: GET /healthz, access: public, action: read, resource: billing"), either);
    check(
        &route("match: GET /healthz, access: everyone"),
        "estate.yaml:104:37: `everyone`: the only access that is written is `public`",
    );
    check(&route("match: \"TRACE /x\", access: public"), "estate.yaml:104:15: `TRACE` cannot be mapped");
    check(
        &route("match: \"GET /invoices/{other}\", access: public"),
        "estate.yaml:105:7: `GET /invoices/{invoice}` and `GET /invoices/{other}` match one request, and neither is the more literal one
  help: the other one stands at estate.yaml:104",
    );
}

#[test]
fn limits_and_timeouts_are_ones_that_can_be_kept() {
    let more = |fields: &str| format!("{}  {fields}\n", super::QUICKSTART);
    let estate =
        loaded(&more("limits: {requestLine: 4 KiB, headers: 1024, body: 1MiB, inFlight: 2, inFlightPerPrincipal: 1}"))
            .ok()
            .unwrap();
    let limits = estate.services[0].limits;
    assert_eq!((limits.request_line, limits.headers, limits.header_count), (4096, 1024, 100));
    assert_eq!((limits.body, limits.in_flight, limits.in_flight_per_principal), (Some(1 << 20), 2, 1));
    check(
        &more("limits: {headers: 1MiB, headerCount: 100000, body: lots, inFlight: 99999999999999999999}"),
        "estate.yaml:108:21: `headers` is at most 131072
estate.yaml:108:40: `headerCount` is at most 512
estate.yaml:108:54: `lots` is not a size such as `8KiB`, `1MiB` or a number of bytes
estate.yaml:108:70: `99999999999999999999` is not a size such as `8KiB`, `1MiB` or a number of bytes",
    );
    // an end that lies beyond what a clock can count to would stop the door
    check(
        &more("timeouts: {header: 0s, bodyIdle: 18446744073709551615s, upstream: soon}"),
        "estate.yaml:108:22: `header` lies between 1 ms and 24 h
estate.yaml:108:36: `bodyIdle` lies between 1 ms and 24 h
estate.yaml:108:69: `soon` is not a duration such as `30s`, `5m`, `1h` or `500ms`",
    );
}

#[test]
fn a_resource_hangs_in_a_tree_that_is_the_estates_own() {
    let resource =
        |name: &str| quickstart("    billing/invoices: {}", &format!("    billing/invoices: {{}}\n    {name}: {{}}"));
    check(&resource("billing/a/b"), "estate.yaml:95:5: `billing/a/b`: `billing/a` above it is not declared");
    check(&resource("countersign/estate"), "estate.yaml:95:5: `countersign` is a tree that is built in");
    check(&resource("public"), "estate.yaml:95:5: `public` is a tree that is built in");
    check(
        &resource("billing/../x"),
        "estate.yaml:95:5: `billing/../x`: a resource id is segments of letters, digits, `.`, `-` and `_`, with one `/` between",
    );
}

#[test]
fn a_declared_action_is_a_word_in_a_base_action() {
    let action = |name: &str, base: &str| {
        and(&format!(
            "apiVersion: countersign.dev/v1\nkind: Action\nmetadata: {{name: {name}}}\nspec: {{in: {base}}}\n"
        ))
    };
    let used =
        |yaml: String| yaml.replacen("\"POST /invoices\", action: write", "\"POST /invoices\", action: mark_paid", 1);
    assert!(loaded(&used(action("mark_paid", "write"))).is_ok());
    check(&action("read", "write"), "estate.yaml:111:18: `read` is a base action");
    check(&action("refund", "refund"), "estate.yaml:112:12: `refund` is not one of read, write, administer, effect");
    check(
        &action("Refund", "effect"),
        "estate.yaml:111:18: not the name of an action: `Refund`: expected lower-case letters, digits and `_`, starting with a letter",
    );
}
