//! `attestors` of `agent.yaml`, and every problem that it can have.

use std::path::Path;
use std::time::Duration;

use yaml::{Reader, read};

use super::super::settings::{
    DockerSettings, KubeletAuthority, KubernetesSettings, PodmanSettings, UnixSettings, WorkloadAttestors,
};

fn settings(text: &str) -> Result<WorkloadAttestors, Vec<String>> {
    let nodes = read(text).unwrap();
    let mut problems = Vec::new();
    let mut reader = Reader { file: "agent.yaml", problems: &mut problems };
    let found = WorkloadAttestors::read(&mut reader, &nodes[0], Path::new("/etc/countersign"), |name| {
        (name == "NODE_NAME").then(|| "node-7".to_owned())
    });
    match found {
        Some(found) if problems.is_empty() => Ok(found),
        _ => Err(problems.iter().map(|problem| format!("{}: {}", problem.line, problem.message)).collect()),
    }
}

const NONE: WorkloadAttestors =
    WorkloadAttestors { unix: None, docker: None, podman: None, kubernetes: None, systemd: false };

#[test]
fn exactly_those_that_are_named_are_switched_on() {
    assert_eq!(
        settings("unix: {discoverPath: true, maxHashed: 1KiB}\nsystemd: {}"),
        Ok(WorkloadAttestors {
            unix: Some(UnixSettings { discover_path: true, max_hashed: 1024 }),
            systemd: true,
            ..NONE
        })
    );
    assert_eq!(settings("unix: {}\nsystemd: {}"), Ok(WorkloadAttestors::default()));
    let docker = Some(DockerSettings { socket: "/var/run/docker.sock".into() });
    assert_eq!(settings("docker: {}"), Ok(WorkloadAttestors { docker, ..NONE }));
    let users = Some("/run/user/{uid}/podman/podman.sock".to_owned());
    let podman = Some(PodmanSettings { socket: "/etc/countersign/p.sock".into(), users });
    assert_eq!(
        settings("podman: {socket: p.sock, dangerouslyTrustUsers: '/run/user/{uid}/podman/podman.sock'}"),
        Ok(WorkloadAttestors { podman, ..NONE })
    );
}

#[test]
fn a_kubelet_is_verified_unless_danger_is_written_out() {
    let kubernetes = |text: &str| settings(&format!("kubernetes: {text}")).map(|found| found.kubernetes.unwrap());
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let secure = KubernetesSettings {
        kubelet: "https://node-1:10250".to_owned(),
        authority: KubeletAuthority::File(format!("{account}/ca.crt").into()),
        token: Some(format!("{account}/token").into()),
        patience: Duration::from_secs(30),
    };
    assert_eq!(kubernetes("{kubelet: 'https://node-1:10250/'}"), Ok(secure.clone()));
    let by_variable = KubernetesSettings { kubelet: "https://node-7:10250".to_owned(), ..secure.clone() };
    assert_eq!(kubernetes("{nodeEnv: NODE_NAME}"), Ok(by_variable));
    let files = KubernetesSettings {
        authority: KubeletAuthority::File("/etc/countersign/kubelet.pem".into()),
        token: Some("/etc/countersign/token".into()),
        patience: Duration::from_secs(5),
        ..secure.clone()
    };
    let text = "{kubelet: 'https://node-1:10250', ca: kubelet.pem, token: token, patience: 5s}";
    assert_eq!(kubernetes(text), Ok(files));
    let anyone = KubernetesSettings { authority: KubeletAuthority::DangerouslyAnyone, ..secure.clone() };
    let text = "{kubelet: 'https://node-1:10250', dangerouslySkipKubeletVerification: true}";
    assert_eq!(kubernetes(text), Ok(anyone));
    let plain = KubernetesSettings {
        kubelet: "http://127.0.0.1:10255".to_owned(),
        authority: KubeletAuthority::None,
        token: None,
        ..secure
    };
    assert_eq!(kubernetes("{kubelet: 'http://127.0.0.1:10255'}"), Ok(plain));
}

#[test]
fn every_problem_is_said() {
    let unused = "1: it would not be used: the kubelet is not verified, or asked without TLS";
    for (text, expected) in [
        ("{}", vec!["1: attestors: expected at least one"]),
        ("[]", vec!["1: attestors: expected a mapping"]),
        ("unix: true", vec!["1: unix: expected a mapping"]),
        (
            "unix: {discoverPath: yes, maxHashed: big}\ndockr: {}",
            vec![
                "1: expected `true` or `false`",
                "1: `big` is not a size such as `8KiB`, `1MiB` or a number of bytes",
                "2: attestors: unknown field `dockr`",
            ],
        ),
        ("systemd: {id: x}", vec!["1: systemd: unknown field `id`"]),
        (
            "podman: {dangerouslyTrustUsers: /run/podman.sock}",
            vec!["1: expected an absolute path with one `{uid}` in it, such as `/run/user/{uid}/podman/podman.sock`"],
        ),
        ("kubernetes: {}", vec!["1: kubernetes: expected either `kubelet` or `nodeEnv`"]),
        (
            "kubernetes: {kubelet: 'https://a:1', nodeEnv: A}",
            vec!["1: kubernetes: expected either `kubelet` or `nodeEnv`"],
        ),
        ("kubernetes: {nodeEnv: NO_SUCH_VARIABLE}", vec!["1: the environment has no `NO_SUCH_VARIABLE`"]),
        (
            "kubernetes: {kubelet: 'https://a:1/pods'}",
            vec!["1: `https://a:1/pods`: expected `https://HOST:PORT`, and nothing behind it"],
        ),
        ("kubernetes: {kubelet: 'ftp://a'}", vec!["1: `ftp://a`: expected `https://`"]),
        ("kubernetes: {kubelet: 'http://127.0.0.1:10255', ca: x, token: y}", vec![unused, unused]),
        ("kubernetes: {kubelet: 'https://a:1', ca: x, dangerouslySkipKubeletVerification: true}", vec![unused]),
        ("kubernetes: {kubelet: 'https://a:1', patience: 1h}", vec!["1: expected at most `5m`"]),
    ] {
        assert_eq!(settings(text), Err(expected.iter().map(|&line| line.to_owned()).collect()), "{text}");
    }
}
