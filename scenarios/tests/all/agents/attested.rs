//! Nodes that prove themselves by what they have already: each time anew, by nobody's help, and by nothing that can be replayed.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::Time;
use serde_json::{Value, json};
use testkit::TestCa;

use super::registration;
use crate::harness::{Estate, Installation, Mint, Sockets, until, until_within};

/// Whose devices are nodes here.
pub(super) struct Racks {
    ca: TestCa,
    at: Time,
}

impl Racks {
    pub(super) fn new() -> Self {
        let micros = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_micros();
        let at = Time::from_micros(i64::try_from(micros).expect("before 294247"));
        Self { ca: TestCa::new("racks.acme.test", at, |params| params.subject_alt_names.clear()), at }
    }

    pub(super) fn estate(&self) -> Estate {
        let registered = registration("web", super::own_uid(), "").replace("node:name:node-1", "x509pop:san:rack:b7");
        Estate::empty()
            .document(
                "kind: TrustSource\nmetadata: {name: racks}\nspec:\n  proves: [Workload]\n  \
                 x509pop: {authorities: {file: racks.pem}}",
            )
            .file("racks.pem", &pem("CERTIFICATE", &self.ca.certificate()))
            .document(&registered)
    }

    /// A device of these racks, and the settings by which its agent proves it.
    pub(super) fn device(&self, installation: &Installation, name: &str) -> String {
        let (certificate, key) = self.ca.leaf("x509pop://prod.acme.test/rack/b7", self.at, |_| {});
        let write = |ending: &str, text: String| {
            let path: PathBuf = installation.path(&format!("{name}.{ending}"));
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (cert, key) = (write("pem", pem("CERTIFICATE", &certificate)), write("key", pem("PRIVATE KEY", &key)));
        format!("{{source: racks, x509pop: {{cert: {cert}, key: {key}}}}}")
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

/// An installation with one node that proves itself by its device's certificate.
fn attested() -> (Sockets, Installation, Racks) {
    let racks = Racks::new();
    let mut installation = Installation::serving(&racks.estate());
    let sockets = Sockets::new();
    let attestation = racks.device(&installation, "node-1");
    installation.attesting(&sockets, "node-1", &attestation);
    installation.start_attested("node-1");
    (sockets, installation, racks)
}

pub(super) fn agents(installation: &Installation) -> Vec<Value> {
    let listed = installation.cli(&["get", "agents", "--output", "json"]).ended(0).json();
    listed["items"].as_array().expect("a list").clone()
}

fn attestations(installation: &Installation) -> usize {
    let records = installation.records("server");
    let granted = |record: &&Value| record["operation"] == "attest" && record["verdicts"][0]["decision"] == "allow";
    records.iter().filter(granted).count()
}

#[test]
fn a_device_is_the_node_of_its_certificate_and_is_known_by_what_was_attested() {
    let (_sockets, installation, _racks) = attested();
    let [agent] = agents(&installation).try_into().unwrap();
    let id = agent["id"].as_str().unwrap().to_owned();
    let fingerprint = id.strip_prefix("spiffe://prod.acme.test/countersign/agent/x509pop/racks/").unwrap();
    assert_eq!(fingerprint.len(), 64, "SHA-256 of the certificate");
    let selectors: Vec<&str> = agent["selectors"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(selectors.contains(&"x509pop:san:rack:b7") && selectors.contains(&"node:method:x509pop"), "{selectors:?}");
    assert_eq!(agent["method"], "x509pop");
    let records = installation.records("server");
    let record = records.iter().find(|record| record["operation"] == "attest").unwrap();
    let presented = &record["presented"][0];
    assert_eq!(
        (&presented["source"], &presented["kind"], &presented["binding"]),
        (&json!("racks"), &json!("x509pop"), &json!("proof"))
    );
    assert_eq!((&record["principal"]["id"], &presented["key"]), (&json!(id), &json!([fingerprint])));
    assert_eq!(installation.cli(&["replay", record["id"].as_str().unwrap()]).code, 0);
    let told = installation.cli(&["get", "agents"]).ended(0).out;
    assert!(told.contains("x509pop:san:rack:b7"), "{told}");
}

#[test]
fn a_device_of_others_is_no_node_and_learns_nothing() {
    let (sockets, installation, _racks) = attested();
    let strangers = Racks::new().device(&installation, "node-2");
    installation.attesting(&sockets, "node-2", &strangers);
    let refused = installation.attempt_attested("node-2");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("control says: who asks is not proved (record "), "{refused:?}");
    let records = installation.records("server");
    let code = |code: &str| records.iter().any(|record| record["verdicts"][0]["code"] == code);
    assert!(code("chain_invalid"));
    // a certificate without its key
    let stolen = fs::read_to_string(installation.path("node-1.pem")).unwrap();
    fs::write(installation.path("node-2.pem"), stolen).unwrap();
    let refused = installation.attempt_attested("node-2");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("does not sign for the certificate"), "{refused:?}");
}

#[test]
fn an_agent_whose_svid_is_lost_proves_its_node_again_by_itself() {
    let (_sockets, mut installation, _racks) = attested();
    let [before] = agents(&installation).try_into().unwrap();
    assert_eq!(installation.stop("node-1"), 0);
    fs::remove_dir_all(installation.home("node-1").join("svid")).unwrap();
    installation.start_attested("node-1");
    let [after] = agents(&installation).try_into().unwrap();
    assert_eq!(before["id"], after["id"]);
    assert_ne!(before["attested"], after["attested"]);
}

/// Lets connections through to control, and cuts each of them where the agent would hear one part more than over the one
/// before it: control has said it, and it is lost.
fn cutting(control: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (control, cuts) = (control.to_owned(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&cuts);
    thread::spawn(move || {
        for (most, agent) in listener.incoming().enumerate() {
            let (Ok(mut agent), Ok(mut server)) = (agent, TcpStream::connect(&control)) else { return };
            let (mut asks, mut asked) = (agent.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut asks, &mut asked));
            let counted = Arc::clone(&counted);
            thread::spawn(move || {
                let mut part = [0; 16 * 1024];
                for _ in 0..most {
                    let Ok(read @ 1..) = server.read(&mut part) else { return };
                    if agent.write_all(&part[..read]).is_err() {
                        return;
                    }
                }
                let _ = server.read(&mut part);
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = (agent.shutdown(std::net::Shutdown::Both), server.shutdown(std::net::Shutdown::Both));
            });
        }
    });
    (address, cuts)
}

/// An agent that has its SVID, although each exchange with control was cut one part later than the one before it.
fn had_at_last(installation: &mut Installation, more: &[&str]) {
    let planes = installation.word("server", "/planes");
    let (relay, cuts) = cutting(planes.trim_start_matches("https://"));
    installation.edit("node-1.yaml", &[(&planes, &format!("https://{relay}"))]);
    installation.launch("node-1", more, &[]);
    // from the handshake on to the SVID itself: it has one only once a whole exchange came through
    let svid = installation.home("node-1").join("svid/svid.pem");
    let had = until_within(Duration::from_secs(60), || svid.exists().then_some(()));
    assert!(had.is_some(), "{}", installation.log("node-1"));
    assert!(cuts.load(Ordering::SeqCst) >= 3, "the exchange was cut at {} steps", cuts.load(Ordering::SeqCst));
    let [agent] = agents(installation).try_into().unwrap();
    assert_eq!(agent["standing"], "attested");
}

#[test]
fn an_attestation_that_breaks_at_any_step_locks_no_node_out() {
    let racks = Racks::new();
    let mut installation = Installation::serving(&racks.estate());
    let sockets = Sockets::new();
    let attestation = racks.device(&installation, "node-1");
    installation.attesting(&sockets, "node-1", &attestation);
    had_at_last(&mut installation, &[]);
}

#[test]
fn a_token_that_was_spent_for_an_answer_that_was_lost_is_the_same_agents_still() {
    let mut installation = Installation::serving(&super::estate(""));
    let sockets = Sockets::new();
    let token = installation.token_for("agent", "node-1");
    installation.agent_settings(&sockets, "node-1");
    had_at_last(&mut installation, &["--enroll-token-file", token.to_str().unwrap()]);
    // more than one where an answer was cut, which is for the machine to say
    assert!(attestations(&installation) >= 1);
    let other = installation.attempt_to_join(&sockets, "node-2", &token);
    assert_eq!(other.code, 2, "{other:?}");
}

#[test]
fn an_agent_that_is_evicted_hears_no_more_until_its_node_is_attested_again() {
    let (_sockets, installation, _racks) = attested();
    let [before] = agents(&installation).try_into().unwrap();
    let name = before["name"].as_str().unwrap();
    let evicted = installation.cli(&["agent", "evict", name]).ended(0).out;
    assert_eq!(evicted.trim(), format!("evicted {}: it has to attest its node again", before["id"].as_str().unwrap()));
    until("another attestation", || (attestations(&installation) == 2).then_some(()));
    installation.until_logged("node-1", "attested again");
    let [after] = agents(&installation).try_into().unwrap();
    assert_eq!(after["id"], before["id"]);
    let records = installation.records("server");
    let evicts = records.iter().find(|record| record["operation"] == "agent evict").unwrap();
    assert_eq!(evicts["inputs"]["context"]["params"], json!([["agent", name]]));
    // one that control does not know, and one that was evicted and is not there to come back
    let nobody = installation.cli(&["agent", "evict", "node-7"]);
    assert_eq!(nobody.code, 3);
    assert_eq!(nobody.err.trim(), "countersign: no agent is called `node-7`: `countersign get agents` lists them");
}

#[test]
fn an_agent_that_is_revoked_attests_no_more() {
    let (_sockets, installation, _racks) = attested();
    let [agent] = agents(&installation).try_into().unwrap();
    installation.cli(&["revoke", "principal", agent["id"].as_str().unwrap()]).ended(0);
    let refused = |record: &Value| record["operation"] == "attest" && record["verdicts"][0]["code"] == "revoked";
    until("a refusal", || installation.records("server").iter().any(refused).then_some(()));
    let [agent] = agents(&installation).try_into().unwrap();
    assert_eq!(agent["standing"], "revoked");
    assert_eq!(attestations(&installation), 1);
}

#[test]
fn an_agent_with_a_token_alone_is_evicted_for_good() {
    let installation = Installation::serving(&super::estate(""));
    let sockets = Sockets::new();
    let mut installation = installation;
    installation.join(&sockets, "node-1");
    installation.cli(&["agent", "evict", "node-1"]).ended(0);
    installation.until_logged("node-1", "what was attested of the node counts no more: it was evicted");
    assert_eq!(installation.stop("node-1"), 0);
    installation.join(&sockets, "node-1");
}

/// The settings of an agent in a pod of a cluster, which projects this token.
fn projected(installation: &Installation, name: &str, token: &str) -> String {
    let path = installation.path(&format!("{name}.projected"));
    fs::write(&path, format!("{token}\n")).unwrap();
    format!("{{source: prod-eu, k8s_psat: {{tokenFile: {}}}}}", path.display())
}

#[test]
fn an_agent_in_a_cluster_is_the_node_of_its_pod_by_a_projected_token() {
    let mint = Mint::shared();
    let source = |name: &str, key: &str| {
        format!(
            "kind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Workload]\n  kubernetes:\n    audience: countersign\n    \
             serviceAccounts: [\"countersign:agent\"]\n    jwks: {{inline: {}}}",
            json!({"keys": [mint.key(key)]})
        )
    };
    // two clusters of one issuer
    let estate = Estate::empty().document(&source("prod-eu", "github")).document(&source("prod-us", "people"));
    let mut installation = Installation::serving(&estate);
    let sockets = Sockets::new();
    let claims = |account: &str, audience: &str| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        json!({
            "iss": "https://kubernetes.default.svc.cluster.local", "sub": format!("system:serviceaccount:countersign:{account}"),
            "aud": [audience], "iat": now, "nbf": now, "exp": now + 3600,
            "kubernetes.io": {
                "namespace": "countersign", "node": {"name": "worker-7", "uid": "0b1c2d"},
                "pod": {"name": "agent-x", "uid": "5f6e"}, "serviceaccount": {"name": account, "uid": "77"},
            },
        })
    };
    let refused = [
        (mint.alice(&claims("agent", "countersign")), "key_unknown"),
        (mint.ci(&claims("agent", "kubernetes")), "audience_wrong"),
        (mint.ci(&claims("web", "countersign")), "principal_unknown"),
    ];
    for (number, (token, code)) in refused.iter().enumerate() {
        let name = format!("node-{number}");
        let attestation = projected(&installation, &name, token);
        installation.attesting(&sockets, &name, &attestation);
        let ended = installation.attempt_attested(&name);
        assert_eq!(ended.code, 2, "{code}: {ended:?}");
        let records = installation.records("server");
        let last = records.iter().rfind(|record| record["operation"] == "attest").unwrap();
        assert_eq!(last["verdicts"][0]["code"], *code);
        assert_eq!(last["presented"][0]["source"], "prod-eu");
    }
    let token = mint.ci(&claims("agent", "countersign"));
    let attestation = projected(&installation, "node-9", &token);
    installation.attesting(&sockets, "node-9", &attestation);
    installation.start_attested("node-9");
    let [agent] = agents(&installation).try_into().unwrap();
    assert_eq!(agent["id"], "spiffe://prod.acme.test/countersign/agent/k8s_psat/prod-eu/0b1c2d");
    let selectors: Vec<&str> = agent["selectors"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for selector in ["k8s_psat:cluster:prod-eu", "k8s_psat:agent_sa:agent", "k8s_psat:agent_node_name:worker-7"] {
        assert!(selectors.contains(&selector), "{selectors:?}");
    }
}
