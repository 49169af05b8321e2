//! `agent.yaml`: one way in which a node proves itself, and a socket for each that is served.

use std::path::Path;

use yaml::{Reader, read};

use super::{Means, agent_settings, attestation};

fn means(text: &str) -> Result<Means, String> {
    let nodes = read(text).unwrap();
    let mut problems = Vec::new();
    let mut reader = Reader { file: "agent.yaml", problems: &mut problems };
    let found = attestation(&mut reader, &nodes[0], Path::new("/etc/countersign"));
    match found {
        Some(found) if problems.is_empty() => Ok(found.by),
        _ => Err(problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn the_tpm_is_the_kernels_unless_another_is_named() {
    let device = |path: &str| Means::Tpm { device: path.into(), certificates: None };
    assert_eq!(means("{source: machines, tpm: {}}"), Ok(device("/dev/tpmrm0")));
    let both = means("{source: machines, tpm: {device: tpm.sock, certificates: between.pem}}");
    let certificates = Some("/etc/countersign/between.pem".into());
    assert_eq!(both, Ok(Means::Tpm { device: "/etc/countersign/tpm.sock".into(), certificates }));
}

#[test]
fn a_node_proves_itself_in_one_way() {
    let one = "a node proves itself in exactly one way: `x509pop`, `tpm`, `k8s_psat`, `gcp_iit`, `azure_msi`, `aws_iid`, \
               `aws_sts`, `aws_jwt`";
    for several in ["{source: a}", "{source: a, tpm: {}, k8s_psat: {tokenFile: t}}"] {
        assert_eq!(means(several).unwrap_err(), one);
    }
    assert!(means("{source: a, tpm: {devices: b}}").is_err());
}

#[test]
fn brokers_and_workloads_have_sockets_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.yaml");
    let written = |broker: &str| {
        let text = format!(
            "environment: production\ntrustDomain: prod.acme.test\ndirectory: state\nservers: [\"https://127.0.0.1:1\"]\nca: ca.pem\n\
             socket: run/api.sock\nincubating: [broker]\nbroker: {{socket: {broker}, brokers: [{{id: \
             spiffe://prod.acme.test/mesh, references: [pid]}}]}}\n"
        );
        std::fs::write(&path, text).unwrap();
        agent_settings(&path).map(drop).map_err(|why| why.to_string())
    };
    assert_eq!(written("run/broker.sock"), Ok(()));
    let refused = written("run/api.sock").unwrap_err();
    assert!(refused.contains("broker: `socket` is that of workloads: expected another"), "{refused}");
}
