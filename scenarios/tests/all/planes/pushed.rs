//! What control puts in force is in force at every gateway, and it says who is behind.

use serde_json::json;

use super::{ci, until_at, with_gateway};
use crate::harness::{Conn, End, request, until};

const LONG: &str = "{routine: 1h, sensitive: 5m, critical: 30s}";

#[test]
fn what_is_applied_and_rolled_back_reaches_every_gateway() {
    let (upstream, mut installation) = with_gateway(LONG);
    installation.enrol("edge-2");
    assert_eq!(installation.call("edge-1", "GET", "/invoices/1", Some(&ci())).status, 200);
    let narrower = super::estate(&upstream, LONG).policy("no-ci", r#"forbid (principal is Job, action, resource);"#);
    installation.apply(&narrower, &[]).ended(0);
    for name in ["edge-1", "edge-2"] {
        until_at(&installation, name, (1, 2));
        installation.call(name, "GET", "/invoices/1", Some(&ci())).is(403);
    }
    installation.cli(&["rollback", "1"]).ended(0);
    for name in ["edge-1", "edge-2"] {
        until_at(&installation, name, (1, 3));
        let answer = installation.call(name, "GET", "/invoices/1", Some(&ci())).is(200);
        // what a gateway decided can be explained and decided again where it was decided
        installation.cli_at(name, &["explain", answer.record()]).ended(0);
        let replayed = installation.cli_at(name, &["replay", "--since", "10m", "--output", "json"]).ended(0).json();
        assert_eq!(replayed["checked"], replayed["agreed"], "{replayed}");
    }
}

#[test]
fn a_revocation_is_in_force_everywhere_when_it_returns_or_it_names_who_is_missing() {
    let (_upstream, mut installation) = with_gateway(LONG);
    installation.enrol("edge-2");
    let token = ci();
    let answers = |installation: &crate::harness::Installation| {
        ["edge-1", "edge-2"].map(|name| installation.call(name, "GET", "/invoices/1", Some(&token)).status)
    };
    assert_eq!(answers(&installation), [200, 200]);
    // a connection that is open when its principal is revoked gets no other answer
    let mut open = Conn::open(installation.word("edge-1", "/gateway/http").trim_start_matches("http://"));
    open.send(&request("GET", "/invoices/1", Some(&token), &[]));
    assert_eq!(open.answer().status, 200);
    let revoked =
        installation.cli(&["revoke", "principal", "billing-ci", "--wait", "--output", "json"]).ended(0).json();
    assert_eq!(revoked["acknowledged"], json!(["gateway/edge-1", "gateway/edge-2"]));
    assert_eq!(answers(&installation), [401, 401]);
    open.send(&request("GET", "/invoices/1", Some(&token), &[]));
    let last = open.answer();
    assert!(last.status == 401 || last.end == End::Closed, "{last:?}");
    // at a gateway, operators look, and change nothing
    let there = installation.cli_at("edge-1", &["restore", "principal", "billing-ci"]).ended(3);
    assert!(there.err.contains("revoke it there"), "{there:?}");
    let folder = installation.path("estate");
    let there = installation.cli_at("edge-1", &["apply", "--yes", "-f", folder.to_str().unwrap()]).ended(3);
    assert!(there.err.contains("apply it there"), "{there:?}");
    installation.stop("edge-2");
    let missing = installation.cli(&["revoke", "source", "people", "--wait", "--output", "json"]).ended(1);
    assert_eq!(missing.json()["missing"], json!(["gateway/edge-2"]), "{missing:?}");
    assert!(missing.err.contains("not yet in force at: gateway/edge-2"), "{missing:?}");
    // one that comes back hears of it before anything else
    installation.start("edge-2");
    until("edge-2 hears of it", || {
        let listed = installation.cli(&["get", "planes", "--output", "json"]).ended(0).json();
        (listed["items"][1]["revocation_seq"] == missing.json()["revocation_seq"]).then_some(())
    });
}

#[test]
fn a_gateway_that_is_revoked_hears_nothing_more_and_is_not_waited_for() {
    let (upstream, installation) = with_gateway(LONG);
    let id = "spiffe://prod.acme.test/countersign/gateway/edge-1";
    let revoked = installation.cli(&["revoke", "principal", id, "--wait", "--output", "json"]).ended(0).json();
    assert_eq!((&revoked["acknowledged"], &revoked["missing"]), (&json!([]), &json!([])), "{revoked}");
    until("the feed is refused", || installation.log("edge-1").contains("control refused (401").then_some(()));
    installation
        .apply(&super::estate(&upstream, LONG).policy("later", "forbid (principal is Job, action, resource);"), &[]);
    until("another try", || (installation.log("edge-1").matches("control refused (401").count() > 1).then_some(()));
    assert_eq!(installation.position("edge-1"), (1, 1));
}
