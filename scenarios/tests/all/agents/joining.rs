//! First contact of a node: a token is good for one use, for agents alone, and an agent goes on by its SVID.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use serde_json::json;

use super::{estate, joined};
use crate::harness::{Installation, Sockets, finish, until};

const AGENT: &str = "spiffe://prod.acme.test/countersign/agent/node-1";

#[test]
fn a_node_that_joined_is_known_by_its_own_svid_and_no_secret_is_told() {
    let (_sockets, installation) = joined(&estate(""));
    let records = installation.records("server");
    let attested = records.iter().find(|record| record["operation"] == "attest").expect("it is recorded");
    assert_eq!(
        (&attested["principal"]["id"], &attested["presented"][0]["source"]),
        (&json!(AGENT), &json!("enrolment"))
    );
    assert_eq!(attested["protocol"], "grpc");
    let follows = records.iter().find(|record| record["operation"] == "follow").expect("it is recorded");
    assert_eq!((&follows["principal"]["id"], &follows["presented"][0]["binding"]), (&json!(AGENT), &json!("mtls")));
    let token = fs::read_to_string(installation.path("node-1.token")).unwrap();
    let signature = token.trim().rsplit('.').next().unwrap();
    for text in [installation.log("server"), installation.log("node-1"), serde_json::to_string(&records).unwrap()] {
        assert!(!text.contains(signature));
    }
    let key = installation.home("node-1").join("svid/svid.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_join_token_is_good_for_one_use_also_if_many_try_at_once() {
    let (sockets, mut installation) = joined(&estate(""));
    let again = installation.attempt_to_join(&sockets, "node-2", &installation.path("node-1.token"));
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.err.contains("control says: who asks is not proved (record "), "{again:?}");

    let fresh = installation.token_for("agent", "node-3");
    let names: Vec<String> = (0..4).map(|number| format!("node-3{number}")).collect();
    for name in &names {
        installation.agent_settings(&sockets, name);
    }
    let taken = installation.word("server", "/admin").trim_start_matches("http://").to_owned();
    thread::scope(|scope| {
        for name in &names {
            // whoever is let in finds that nobody could come: it ends by itself
            let (installation, fresh) = (&installation, &fresh);
            installation.edit(&format!("{name}.yaml"), &[("admin: 127.0.0.1:0", &format!("admin: {taken}"))]);
            scope.spawn(move || {
                let token = fresh.to_str().unwrap();
                let config = installation.dir().join(format!("{name}.yaml"));
                let args = ["--config", config.to_str().unwrap(), "--enroll-token-file", token];
                let mut agent = crate::harness::command(&crate::harness::agent_binary(), &args);
                agent.env("COUNTERSIGN_LOG", "info");
                finish(agent, b"")
            });
        }
    });
    let records = installation.records("server");
    let code =
        |wanted: &str| records.iter().filter(|record| record["kind"] == "outcome" && record["code"] == wanted).count();
    assert_eq!(code("replayed"), 4, "one of five at first, three of four after it");
    let own = installation.home("node-1");
    assert!(own.join("ready.json").exists());
    installation.stop("node-1");
}

#[test]
fn a_token_for_a_gateway_joins_no_node_and_one_for_an_agent_enrols_no_gateway() {
    let installation = Installation::serving(&estate(""));
    let sockets = Sockets::new();
    let gateways = installation.token("edge-1");
    let refused = installation.attempt_to_join(&sockets, "node-1", &gateways);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("no_permit: "), "{refused:?}");
    let agents = installation.token_for("agent", "node-1");
    let refused = installation.attempt("edge-1", &agents);
    assert_eq!(refused.code, 2, "{refused:?}");
    // it was not spent by that
    assert!(installation.records("server").iter().all(|record| record["code"] != "replayed"));
}

#[test]
fn an_agent_goes_on_by_its_svid_and_without_one_needs_another_token() {
    let (sockets, mut installation) = joined(&estate(""));
    assert_eq!(installation.stop("node-1"), 0);
    installation.start("node-1");
    installation.until_ready("node-1");
    sockets.go("node-1", &["x509"]).ended(0);
    assert_eq!(installation.stop("node-1"), 0);
    // the token is the same key's still, and no other's
    fs::remove_dir_all(installation.home("node-1").join("svid")).unwrap();
    let refused = installation.attempt_to_join(&sockets, "node-1", &installation.path("node-1.token"));
    assert_eq!(refused.code, 2, "{refused:?}");
    installation.join(&sockets, "node-1");
    sockets.go("node-1", &["x509"]).ended(0);
}

#[test]
fn an_agent_that_is_revoked_has_nothing_minted_and_hears_nothing_more() {
    let (sockets, installation) = joined(&estate("  x509: {ttl: 2s}\n"));
    sockets.go("node-1", &["x509"]).ended(0);
    installation.cli(&["revoke", "principal", AGENT]).ended(0);
    installation.until_logged("node-1", "nothing more is heard of control");
    until("no SVID", || (sockets.go("node-1", &["x509"]).code != 0).then_some(()));
    let records = installation.records("server");
    assert!(records.iter().any(|record| record["verdicts"][0]["code"] == "revoked"), "{records:?}");
}

#[test]
fn a_socket_that_others_could_exchange_is_not_served() {
    let installation = Installation::serving(&estate(""));
    let sockets = Sockets::new();
    let settings = installation.agent_settings(&sockets, "node-1");
    let token = installation.token_for("agent", "node-1");
    let folder = sockets.of("node-1").parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = installation.attempt_to_join(&sockets, "node-1", &token);
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = format!(
        "others than its owner may write into `{}` (mode 777), and could put another socket there: `chmod go-w` it",
        folder.display()
    );
    assert!(refused.err.contains(&said), "{refused:?}");
    assert!(settings.exists());
}

#[test]
fn the_unit_of_an_agent_is_not_root_and_has_a_folder_for_the_socket() {
    let installation = Installation::laid_out("production", "prod.acme.test");
    let read = |name: &str| fs::read_to_string(installation.dir().join(name)).unwrap();
    let (unit, settings) = (read("units/countersign-agent.service"), read("agent.yaml"));
    assert!(
        settings.contains("\nsocket: /run/countersign/agent.sock ")
            && unit.contains("\nRuntimeDirectory=countersign\n")
    );
    assert!(
        settings.contains("\ndirectory: /var/lib/countersign-agent ")
            && unit.contains("\nStateDirectory=countersign-agent\n")
    );
    assert!(unit.contains("\nUser=countersign-agent\n") && unit.contains("\nRuntimeDirectoryMode=0755\n"));
}
