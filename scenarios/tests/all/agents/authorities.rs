//! Agents and workloads over the lives of the keys that sign for them.

use std::time::Duration;

use super::{estate, joined_to};
use crate::harness::{Estate, Installation, Sockets, until, until_within};

/// How long a change may take that is spread over seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// An installation with one node that has joined, whose authorities live for so long, and SVIDs by default.
pub(super) fn living(ca: &str, svids: &str, estate: &Estate) -> (Sockets, Installation) {
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    let lives = format!("authority: {{caTtl: {ca}, jwtTtl: {ca}, svidTtl: {svids}}}\nstate: state/state.db");
    installation.edit("server.yaml", &[("state: state/state.db", &lives)]);
    installation.start("server");
    installation.apply(estate, &[]).ended(0);
    joined_to(installation)
}

/// Ids of the authorities of a kind in this standing.
pub(super) fn standing(installation: &Installation, kind: &str, standing: &str) -> Vec<String> {
    let shown = installation.cli(&["authority", "show", "--kind", kind, "--output", "json"]).ended(0).json();
    let items = shown["items"].as_array().expect("items").iter().filter(|item| item["standing"] == standing);
    items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// The agent's own SVID, as it keeps it.
pub(super) fn own_svid(installation: &Installation) -> Vec<u8> {
    std::fs::read(installation.home("node-1").join("svid/svid.pem")).expect("an SVID")
}

#[test]
fn what_a_tainted_authority_signed_is_replaced_while_a_workload_watches_and_a_revoked_one_is_no_more() {
    let (sockets, installation) = living("24h", "5s", &estate(""));
    let before = sockets.go("node-1", &["signer"]).ended(0).out;
    let tokens = sockets.go("node-1", &["kid", "billing"]).ended(0).out;
    let agents = own_svid(&installation);
    for kind in ["x509", "jwt"] {
        let [old] = standing(&installation, kind, "active").try_into().unwrap();
        for step in ["prepare", "activate"] {
            installation.cli(&["authority", step, "--kind", kind]).ended(0);
        }
        // what is held is held on: nothing was wrong with it
        installation.cli(&["authority", "taint", &old, "--kind", kind]).ended(0);
        // bounded: every agent and every SVID has a moment of its own within seconds
        until_within(PATIENCE, || {
            let (args, held): (&[&str], _) =
                if kind == "x509" { (&["signer"], &before) } else { (&["kid", "billing"], &tokens) };
            let now = sockets.go("node-1", args).ended(0).out;
            (now != *held).then_some(())
        })
        .expect("another authority's SVID");
        if kind == "x509" {
            // an agent whose SVID is of a revoked authority would have to be attested anew
            until_within(PATIENCE, || (own_svid(&installation) != agents).then_some(()))
                .expect("another SVID of the agent");
        }
        installation.cli(&["authority", "revoke", &old, "--kind", kind]).ended(0);
    }
    until("one authority", || {
        let got = sockets.go("node-1", &["x509"]).ended(0).out;
        got.contains("bundle prod.acme.test 1\n").then_some(())
    });
    sockets.go("node-1", &["jwt", "billing"]).ended(0);
    sockets.go("node-1", &["mtls"]).ended(0);
}

/// With authorities that live for half a minute: the agent's own SVID, its trust in control, and workloads' SVIDs go on.
#[test]
fn an_agent_goes_on_over_the_lives_of_authorities_and_without_control_between() {
    let (sockets, mut installation) = living("30s", "5s", &estate("  x509: {ttl: 2s}\n"));
    let mut seen = std::collections::BTreeSet::new();
    let mut away = false;
    let lives = if std::env::var_os("COUNTERSIGN_TEST_LONG").is_some() { 4 } else { 2 };
    until_within(PATIENCE * lives, || {
        seen.extend(standing(&installation, "x509", "active"));
        for ask in [&["mtls"][..], &["jwt", "billing"]] {
            let ran = sockets.go("node-1", ask);
            let shown = installation.cli(&["authority", "show"]).out;
            assert_eq!(ran.code, 0, "{ran:?}\n{shown}\n{}", installation.log("server"));
        }
        if seen.len() + 1 == lives as usize && !away {
            away = true;
            installation.stop("server");
            installation.start("server");
            installation.until_ready("node-1");
        }
        (seen.len() >= lives as usize).then_some(())
    })
    .expect("one authority after the other");
    installation.stop("node-1");
    installation.start("node-1");
    installation.until_ready("node-1");
    sockets.go("node-1", &["mtls"]).ended(0);
}
