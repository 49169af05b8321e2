//! A control plane of two nodes on one PostgreSQL database: what either applies is in force everywhere, and a gateway that loses
//! the one hears the other.

use std::fs;

use testkit::postgres::Postgres;

use super::{ci, estate, until_at};
use crate::harness::{Installation, Upstream, until};

const STALENESS: &str = "{routine: 1h, sensitive: 5m, critical: 30s}";

#[test]
fn a_gateway_that_loses_a_node_goes_on_with_the_other_and_neither_loses_a_change() {
    let Some(postgres) = Postgres::shared() else { return };
    postgres.make_database("nodes");
    let upstream = Upstream::start();
    let mut first = Installation::laid_out("production", "prod.acme.test");
    let url = first.path("state.url");
    fs::write(&url, postgres.url("nodes")).unwrap();
    let by_url = format!("stateUrlFile: {}", url.display());
    first.edit("server.yaml", &[("state: state/state.db", &by_url)]);
    let mut second = Installation::twin(&first);
    first.start("server");
    second.start("server");
    first.apply(&estate(&upstream, STALENESS), &[]).ended(0);
    until("the other node has it", || (second.position("server") == (1, 1)).then_some(()));
    let other = second.word("server", "/planes");
    first.also_at(&other);
    first.enrol("edge-1");
    // a token of either node is spent at both
    let token = first.path("edge-1.token");
    assert_eq!(second.attempt("thief", &token).code, 2);

    // what the node applies that the gateway does not hear
    let forbids = estate(&upstream, STALENESS).policy("nobody", "forbid (principal is Job, action, resource);");
    second.apply(&forbids, &[]).ended(0);
    until_at(&first, "edge-1", (1, 2));
    first.call("edge-1", "GET", "/invoices/1", Some(&ci())).is(403);
    second.cli(&["rollback", "1"]).ended(0);
    until_at(&first, "edge-1", (1, 3));
    second.cli(&["revoke", "source", "people", "--wait"]).ended(0);

    first.kill9("server");
    let revoked = second.cli(&["revoke", "principal", "billing-ci", "--output", "json"]).ended(0).json();
    until("it is heard from the other node", || {
        (first.call("edge-1", "GET", "/invoices/1", Some(&ci())).status == 401).then_some(())
    });
    until("and it says so there", || {
        let planes = second.cli(&["get", "planes", "--output", "json"]).ended(0).json();
        (planes["items"][0]["revocation_seq"] == revoked["revocation_seq"]).then_some(())
    });

    // without its database, a node does not know what is in force, and says nothing
    postgres_is_away(&postgres, || {
        until("nothing is heard", || {
            let log = first.log("edge-1");
            log.contains("it said nothing for").then_some(())
        });
    });
    until("heard again", || {
        second.cli(&["restore", "principal", "billing-ci"]);
        (first.call("edge-1", "GET", "/invoices/1", Some(&ci())).status == 200).then_some(())
    });
}

/// The server is killed, and started again on the same data.
fn postgres_is_away(postgres: &Postgres, meanwhile: impl FnOnce()) {
    postgres.kill();
    meanwhile();
    postgres.start_again();
}
