//! Agents that control, or that they, do not accept any more: by a revocation in haste, or after they were away for long.

use std::fs;
use std::time::Duration;

use testkit::postgres::Postgres;

use super::attested::Racks;
use super::authorities::{living, standing};
use super::estate;
use crate::harness::{Installation, Sockets, until, until_within};

/// How long what is spread over seconds, or is tried again, may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes the authority that signs out of the bundle, before anybody has another SVID.
fn revoke_in_haste(installation: &Installation) {
    let [old] = standing(installation, "x509", "active").try_into().unwrap();
    for step in ["prepare", "activate", "taint", "revoke"] {
        let named: &[&str] = if step == "taint" || step == "revoke" { &[&old] } else { &[] };
        installation.cli(&[&["authority", step], named].concat()).ended(0);
    }
}

#[test]
fn an_agent_whose_authority_was_revoked_in_haste_attests_its_node_again() {
    let racks = Racks::new();
    let mut installation = Installation::serving(&racks.estate());
    let sockets = Sockets::new();
    let attestation = racks.device(&installation, "node-1");
    installation.attesting(&sockets, "node-1", &attestation);
    installation.start_attested("node-1");
    sockets.go("node-1", &["mtls"]).ended(0);
    // it is away meanwhile: it hears nothing, and finds its SVID worth nothing
    assert_eq!(installation.stop("node-1"), 0);
    revoke_in_haste(&installation);
    let svid = installation.home("node-1").join("svid/svid.pem");
    let own = || fs::read(&svid).expect("an SVID");
    let before = own();
    installation.launch("node-1", &[], &[]);
    let again = until_within(PATIENCE, || (own() != before).then_some(()));
    assert!(again.is_some(), "{}", installation.log("node-1"));
    let alone = || sockets.go("node-1", &["x509"]).out.contains("bundle prod.acme.test 1\n").then_some(());
    assert!(until_within(PATIENCE, alone).is_some(), "{}", installation.log("node-1"));
    sockets.go("node-1", &["mtls"]).ended(0);
    sockets.go("node-1", &["jwt", "billing"]).ended(0);
}

#[test]
fn an_agent_with_a_token_alone_says_how_it_is_let_in_again() {
    let (sockets, mut installation) = living("24h", "5s", &estate(""));
    // it is away, so that nothing is replaced meanwhile
    assert_eq!(installation.stop("node-1"), 0);
    revoke_in_haste(&installation);
    installation.launch("node-1", &[], &[]);
    let words = "control does not accept the agent's SVID, and nothing else proves this node: start the agent with \
                 --enroll-token-file FILE";
    let said = until_within(PATIENCE, || installation.log("node-1").contains(words).then_some(()));
    assert!(said.is_some(), "{}", installation.log("node-1"));
    assert_eq!(installation.stop("node-1"), 0);
    fs::remove_dir_all(installation.home("node-1").join("svid")).unwrap();
    installation.join(&sockets, "node-1");
    sockets.go("node-1", &["mtls"]).ended(0);
}

/// An agent that proves its node, and has a copy of the control plane's authorities as other machines do.
fn apart(sockets: &Sockets) -> Installation {
    let racks = Racks::new();
    let mut installation = Installation::serving(&racks.estate());
    let attestation = racks.device(&installation, "node-1");
    installation.attesting(sockets, "node-1", &attestation);
    let copy = installation.path("copied.pem");
    fs::copy(installation.dir().join("ca.pem"), &copy).unwrap();
    installation.edit("node-1.yaml", &[("ca: ca.pem", &format!("ca: {}", copy.display()))]);
    installation.start_attested("node-1");
    sockets.go("node-1", &["mtls"]).ended(0);
    installation
}

#[test]
fn an_agent_that_was_away_for_a_rotation_comes_back_and_one_that_missed_all_of_it_says_what_it_needs() {
    let sockets = Sockets::new();
    let mut installation = apart(&sockets);
    // its copy knows none of those that sign by now: it goes by what control said last
    for _ in 0..2 {
        let [old] = standing(&installation, "x509", "active").try_into().unwrap();
        for step in ["prepare", "activate"] {
            installation.cli(&["authority", step]).ended(0);
        }
        let bundle = installation.home("node-1").join("svid/bundle.pem");
        let knows_next = || fs::read_to_string(&bundle).unwrap();
        until("it has heard", || (knows_next().matches("BEGIN").count() == 2).then_some(()));
        assert_eq!(installation.stop("node-1"), 0);
        installation.start_attested("node-1");
        sockets.go("node-1", &["mtls"]).ended(0);
        installation.cli(&["authority", "taint", &old]).ended(0);
        let svid = || fs::read(installation.home("node-1").join("svid/svid.pem")).unwrap();
        let before = svid();
        assert!(
            until_within(PATIENCE, || (svid() != before).then_some(())).is_some(),
            "{}",
            installation.log("node-1")
        );
        installation.cli(&["authority", "revoke", &old]).ended(0);
        until("it has heard", || (knows_next().matches("BEGIN").count() == 1).then_some(()));
    }

    assert_eq!(installation.stop("node-1"), 0);
    revoke_in_haste(&installation);
    fs::remove_file(installation.home("node-1").join("svid/svid.pem")).unwrap();
    installation.launch("node-1", &[], &[]);
    let words = "none of the authorities that are known here vouches for control: copy its `ca.pem` to where `ca` of the settings says";
    installation.until_logged("node-1", words);
    fs::copy(installation.dir().join("ca.pem"), installation.path("copied.pem")).unwrap();
    let ready = installation.home("node-1").join("ready.json");
    assert!(until_within(PATIENCE, || ready.exists().then_some(())).is_some(), "{}", installation.log("node-1"));
    installation.until_ready("node-1");
    sockets.go("node-1", &["mtls"]).ended(0);
}

#[test]
fn an_agent_that_runs_while_all_is_exchanged_goes_on_once_it_is_told_whom_to_trust() {
    let sockets = Sockets::new();
    let mut installation = apart(&sockets);
    // control is away for the agent until nothing that it knows is left
    let address = installation.word("server", "/planes");
    assert_eq!(installation.stop("server"), 0);
    installation.edit("server.yaml", &[(address.trim_start_matches("https://"), "127.0.0.1:0")]);
    installation.start("server");
    revoke_in_haste(&installation);
    let elsewhere = installation.word("server", "/planes");
    let elsewhere = elsewhere.trim_start_matches("https://");
    assert_eq!(installation.stop("server"), 0);
    installation.edit("server.yaml", &[(elsewhere, address.trim_start_matches("https://"))]);
    installation.start("server");
    installation.until_logged("node-1", "none of the authorities that are known here vouches for control");
    fs::copy(installation.dir().join("ca.pem"), installation.path("copied.pem")).unwrap();
    let alone = || sockets.go("node-1", &["x509"]).out.contains("bundle prod.acme.test 1\n").then_some(());
    assert!(until_within(PATIENCE, alone).is_some(), "{}", installation.log("node-1"));
    let works = || (sockets.go("node-1", &["mtls"]).code == 0).then_some(());
    assert!(until_within(PATIENCE, works).is_some(), "{}", installation.log("node-1"));
}

#[test]
fn an_agent_that_is_evicted_at_one_node_of_control_is_let_go_by_the_others() {
    let Some(postgres) = Postgres::alone() else { return };
    postgres.make_database("evicted");
    let mut first = Installation::laid_out("production", "prod.acme.test");
    let url = first.path("state.url");
    fs::write(&url, postgres.url("evicted")).unwrap();
    first.edit("server.yaml", &[("state: state/state.db", &format!("stateUrlFile: {}", url.display()))]);
    let mut second = Installation::twin(&first);
    first.start("server");
    first.apply(&estate("  x509: {ttl: 2s}\n"), &[]).ended(0);
    second.start("server");
    let sockets = Sockets::new();
    second.join(&sockets, "node-1");
    sockets.go("node-1", &["x509"]).ended(0);
    first.cli(&["agent", "evict", "node-1"]).ended(0);
    // its stream ends at the other node, and nothing is minted there
    let let_go = until_within(PATIENCE, || (sockets.go("node-1", &["x509"]).code != 0).then_some(()));
    assert!(let_go.is_some(), "{}", second.log("server"));
    let words = "what was attested of the node counts no more";
    let said = until_within(PATIENCE, || second.log("node-1").contains(words).then_some(()));
    assert!(said.is_some(), "{}", second.log("node-1"));
    for node in [&first, &second] {
        let listed = node.cli(&["get", "agents", "--output", "json"]).ended(0).json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(0), "{listed}");
    }
    assert_eq!(second.stop("node-1"), 0);
    second.join(&sockets, "node-1");
    sockets.go("node-1", &["x509"]).ended(0);
}
