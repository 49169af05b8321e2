//! Nodes of a Kubernetes cluster whose API server is asked: what is gone there proves nothing here, and no answer is no yes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Cluster, Estate, Installation, Sockets, command, finish, peer};

const REVIEW: &str = "tokenReview: {nodeLabels: [topology.kubernetes.io/zone]}";

fn source(name: &str, more: &str) -> String {
    format!(
        "kind: TrustSource\nmetadata: {{name: {name}}}\nspec:\n  proves: [Workload]\n  kubernetes:\n    audience: countersign\n    \
         serviceAccounts: [\"countersign:agent\"]\n    {more}"
    )
}

/// A control plane that may ask this API server about tokens of `prod-eu`.
fn asking(cluster: &Cluster, estate: &Estate) -> Installation {
    let mut installation = Installation::laid_out("production", "prod.acme.test");
    let settings = installation.dir().join("server.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{text}{}", cluster.settings("prod-eu"))).unwrap();
    installation.start("server");
    installation.apply(estate, &[]).ended(0);
    installation
}

/// The settings of a node's agent into whose pod this token is projected.
fn projected(installation: &Installation, sockets: &Sockets, name: &str, (source, token): (&str, &str)) {
    let path = installation.path(&format!("{name}.projected"));
    fs::write(&path, token).unwrap();
    let attestation = format!("{{source: {source}, k8s_psat: {{tokenFile: {}}}}}", path.display());
    installation.attesting(sockets, name, &attestation);
}

fn last_attestation(installation: &Installation) -> Value {
    let records = installation.records("server");
    records.into_iter().rfind(|record| record["operation"] == "attest").expect("an attestation")
}

#[test]
fn a_pod_that_is_gone_is_no_node_whatever_its_token_says() {
    let cluster = Cluster::start();
    let estate = Estate::empty()
        .document(&source("prod-eu", REVIEW))
        .document(&source("keyed", &format!("jwks: {{inline: {}}}", cluster.jwks())));
    let mut installation = asking(&cluster, &estate);
    let sockets = Sockets::new();
    let token = cluster.token("agent-x", "countersign");
    projected(&installation, &sockets, "node-1", ("prod-eu", &token));
    installation.start_attested("node-1");
    let listed = installation.cli(&["get", "agents", "--output", "json"]).ended(0).json();
    let agent = &listed["items"][0];
    let node = cluster.done("GET", "/api/v1/nodes/worker-7", &Value::Null)["metadata"]["uid"].clone();
    let id = format!("spiffe://prod.acme.test/countersign/agent/k8s_psat/prod-eu/{}", node.as_str().unwrap());
    assert_eq!(agent["id"], json!(id));
    for selector in [
        "k8s_psat:cluster:prod-eu",
        "k8s_psat:agent_pod_name:agent-x",
        "k8s_psat:agent_node_label:topology.kubernetes.io/zone:a",
    ] {
        assert!(agent["selectors"].as_array().unwrap().contains(&json!(selector)), "{agent}");
    }
    assert_eq!(installation.cli(&["replay", last_attestation(&installation)["id"].as_str().unwrap()]).code, 0);

    let refused = |name: &str, source: &str, token: &str, code: &str| {
        projected(&installation, &sockets, name, (source, token));
        let ended = installation.attempt_attested(name);
        assert_eq!(ended.code, 2, "{code}: {ended:?}");
        assert!(ended.err.contains("who asks is not proved (record "), "{ended:?}");
        let record = last_attestation(&installation);
        assert_eq!(record["verdicts"][0]["code"], code, "{record}");
        record
    };
    refused("node-2", "prod-eu", &cluster.token("agent-x", "vault"), "audience_wrong");
    cluster.done("DELETE", "/api/v1/namespaces/countersign/pods/agent-x", &Value::Null);
    let record = refused("node-3", "prod-eu", &token, "revoked");
    let why = "the API server of the cluster says that the token does not hold: [invalid bearer token, service account token has \
               been ";
    assert!(record.to_string().contains(why), "{record}");
    // another pod by the same name is another pod
    cluster.pod("agent-x");
    refused("node-4", "prod-eu", &token, "revoked");
    // by the cluster's keys alone nobody notices
    projected(&installation, &sockets, "node-5", ("keyed", &token));
    installation.start_attested("node-5");
}

#[test]
fn an_api_server_that_cannot_be_asked_lets_nobody_in_and_nobody_give_up() {
    let mut cluster = Cluster::start();
    let estate =
        Estate::empty().document(&source("prod-eu", "tokenReview: {}")).document(&source("prod-us", "tokenReview: {}"));
    let mut installation = asking(&cluster, &estate);
    let sockets = Sockets::new();
    let token = cluster.token("agent-x", "countersign");
    // no API server is written for this one
    projected(&installation, &sockets, "node-1", ("prod-us", &token));
    installation.launch("node-1", &[], &[]);
    installation.until_logged("node-1", "control says: who asks cannot be proved now (record ");
    installation.until_logged("server", "no API server is written for it");
    assert_eq!(last_attestation(&installation)["verdicts"][0]["code"], "keys_unavailable");
    // the reviewer's own token counts no more
    fs::write(cluster.path("d/kubernetes/reviewer.token"), "another").unwrap();
    projected(&installation, &sockets, "node-2", ("prod-eu", &token));
    installation.launch("node-2", &[], &[]);
    installation.until_logged("server", "the answer was 401 Unauthorized, not 200");
    assert_eq!(cluster.asked("reviewer", "GET", "/api/v1/nodes/worker-7", &Value::Null).0, 401);
    let admin = fs::read_to_string(cluster.path("d/kubernetes/admin.token")).unwrap();
    fs::write(cluster.path("d/kubernetes/reviewer.token"), admin).unwrap();
    installation.until_logged("node-2", "attested");
    // nobody is there
    cluster.stop();
    projected(&installation, &sockets, "node-3", ("prod-eu", &token));
    installation.launch("node-3", &[], &[]);
    installation.until_logged("node-3", "control says: who asks cannot be proved now (record ");
}

#[test]
fn the_sample_api_server_gives_nobody_more_than_a_real_one() {
    let cluster = Cluster::start();
    let review = |token: &str| {
        let body = json!({"spec": {"token": token, "audiences": ["countersign"]}});
        cluster.asked("reviewer", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", &body)
    };
    let token = cluster.token("agent-x", "countersign");
    let (status, said) = review(&token);
    assert_eq!((status, &said["status"]["authenticated"]), (201, &json!(true)), "{said}");
    let forged = format!("{}AAAA", token.get(..token.len() - 4).unwrap());
    for refused in [forged.as_str(), "", "a.b.c", &cluster.token("agent-x", "vault")] {
        let said = review(refused).1;
        assert!(said["status"].get("authenticated").is_none() && said["status"]["error"].is_string(), "{said}");
    }
    for (who, method, path, status) in [
        ("nobody", "GET", "/api/v1/nodes/worker-7", 401),
        ("reviewer", "GET", "/api/v1/nodes/worker-7", 200),
        ("reviewer", "DELETE", "/api/v1/namespaces/countersign/pods/agent-x", 403),
        ("admin", "GET", "/api/v1/namespaces/countersign/pods/agent-y", 404),
        ("admin", "GET", "/api/v1/secrets", 404),
    ] {
        assert_eq!(cluster.asked(who, method, path, &Value::Null).0, status, "{who} {method} {path}");
    }
}

#[test]
fn the_official_client_of_kubernetes_finds_a_cluster_there() {
    let cluster = Cluster::start();
    let python = peer("COUNTERSIGN_TEST_KUBERNETES", "a Python with `kubernetes`, as `./test` pins it");
    let token = fs::read_to_string(cluster.path("d/kubernetes/admin.token")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/kube.py");
    let mut client = command(&python, &[script.to_str().unwrap(), &cluster.url]);
    client.arg(cluster.path("ca.pem")).arg(token);
    let seen = finish(client, b"").ended(0).json();
    let node = seen["node"].clone();
    let ours = json!({
        "authenticated": true, "audiences": ["countersign"], "user": "system:serviceaccount:edge:agent", "node": [node],
    });
    assert_eq!(seen["ours"], ours);
    let refused = json!({"authenticated": false, "audiences": null, "user": null, "node": null});
    assert_eq!((&seen["others"], &seen["gone"]), (&refused, &refused));
    assert_eq!(
        (&seen["label"], &seen["pods"], &seen["reason"]),
        (&json!("b"), &json!(["agent-y"]), &json!("NotFound"))
    );
}
