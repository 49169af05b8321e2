//! The kubelet: a real server, with TLS and without, over the list of pods as kubelets write it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use net::causes::chain;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use testkit::mutate;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::super::cgroup::Cgroups;
use super::super::container::{Container, Engine};
use super::super::kubelet::Kubelet;
use super::super::pods::{PodReference, Pods};
use super::super::settings::{KubeletAuthority, KubernetesSettings};
use super::{Service, container, id, ok, texts};

const PODS: &[u8] = include_bytes!("samples/pods.json");
const NONE: &[u8] = br#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
const LEDGER: &[&str] = &[
    "k8s:container-image:registry.acme.test/ledger:3",
    "k8s:container-image:registry.acme.test/ledger@sha256:1e4c481d76e9ecbd3d8684891e0e46aa021a30920ca04936e1fdcc552747d941",
    "k8s:container-name:ledger",
    "k8s:node-name:node-1",
    "k8s:ns:billing",
    "k8s:pod-image-count:2",
    "k8s:pod-image:envoyproxy/envoy:v1.40.0",
    "k8s:pod-image:registry.acme.test/ledger:3",
    "k8s:pod-image:registry.acme.test/ledger@sha256:1e4c481d76e9ecbd3d8684891e0e46aa021a30920ca04936e1fdcc552747d941",
    "k8s:pod-init-image-count:1",
    "k8s:pod-init-image:registry.acme.test/migrate:3",
    "k8s:pod-init-image:registry.acme.test/migrate@sha256:5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592",
    "k8s:pod-label:app:ledger",
    "k8s:pod-label:tier:",
    "k8s:pod-name:ledger-7d9c5b8f6d-x2k4q",
    "k8s:pod-owner-uid:ReplicaSet:349d135e-3781-43e3-bc25-c900aedf1d0c",
    "k8s:pod-owner:ReplicaSet:ledger-7d9c5b8f6d",
    "k8s:pod-uid:2c48913c-b29f-11e7-9350-020968147796",
    "k8s:sa:ledger",
];

/// The container `ledger`, as a path says it.
fn ledger() -> Container {
    let path = format!("0::/kubepods/burstable/pod2c48913c-b29f-11e7-9350-020968147796/{}", id('a'));
    Cgroups::read(&path).unwrap().container().unwrap().unwrap()
}

fn settings(kubelet: String, authority: KubeletAuthority, token: Option<PathBuf>) -> KubernetesSettings {
    KubernetesSettings { kubelet, authority, token, patience: Duration::from_secs(20) }
}

fn asking(settings: &KubernetesSettings) -> Kubelet {
    Kubelet::asking(settings, Duration::from_millis(1))
}

/// A kubelet's read-only form.
async fn plain(answers: &[&[u8]]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (service, asked) = Service::new(answers);
    tokio::spawn(async move {
        for turn in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            service.answer(stream, turn).await;
        }
    });
    (url, asked)
}

/// A kubelet with a certificate of its own for `localhost`, which is put into `folder`.
async fn secured(folder: &Path, answer: &[u8]) -> (String, mpsc::Receiver<String>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.crt"), issuer::pem::encode("CERTIFICATE", certificate.der())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (service, asked) = Service::new(&[answer]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // who does not believe it leaves
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            service.answer(stream, 0).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_kubelet_is_asked_with_a_token_and_believed_under_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut asked) = secured(folder.path(), &ok(PODS)).await;
    let (ca, token) = (folder.path().join("ca.crt"), folder.path().join("token"));
    std::fs::write(&token, "account-token\n").unwrap();
    let kubelet = asking(&settings(url.clone(), KubeletAuthority::File(ca.clone()), Some(token.clone())));
    assert_eq!(texts(&kubelet.attest(&ledger()).await.unwrap()), LEDGER);
    let head = asked.recv().await.unwrap();
    assert!(head.starts_with("GET /pods HTTP/1.1\r\n") && head.contains("\r\nauthorization: Bearer account-token\r\n"));
    // a certificate for another name, or under another authority, gets no token
    let by_address = url.replace("localhost", "127.0.0.1");
    let other = folder.path().join("other.crt");
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&other, issuer::pem::encode("CERTIFICATE", stranger.cert.der())).unwrap();
    for (url, ca) in [(by_address.clone(), ca), (url, other)] {
        let kubelet = asking(&settings(url, KubeletAuthority::File(ca), Some(token.clone())));
        let why = chain(&kubelet.attest(&ledger()).await.unwrap_err());
        assert!(why.starts_with("the kubelet does not answer: no TLS with the server: "), "{why}");
    }
    assert!(asked.try_recv().is_err());
    let anyone = asking(&settings(by_address, KubeletAuthority::DangerouslyAnyone, Some(token)));
    assert_eq!(texts(&anyone.attest(&ledger()).await.unwrap()), LEDGER);
}

#[tokio::test]
async fn a_pod_that_is_not_reported_yet_is_waited_for() {
    let (url, mut asked) = plain(&[&ok(NONE), &ok(NONE), &ok(PODS)]).await;
    let kubelet = asking(&settings(url, KubeletAuthority::None, None));
    assert_eq!(texts(&kubelet.attest(&ledger()).await.unwrap()), LEDGER);
    for _ in 0..3 {
        assert!(!asked.recv().await.unwrap().contains("authorization"));
    }
}

#[tokio::test]
async fn a_pod_that_never_comes_is_not_waited_for_for_ever() {
    let (url, _asked) = plain(&[&ok(NONE)]).await;
    let hasty =
        KubernetesSettings { patience: Duration::from_millis(50), ..settings(url, KubeletAuthority::None, None) };
    let why = asking(&hasty).attest(&ledger()).await.unwrap_err();
    assert_eq!(chain(&why), "the kubelet did not report it within 0 s");
}

/// One list serves all who asked before it was asked for, and none who came later.
#[tokio::test]
async fn those_who_ask_at_once_share_a_list() {
    let (url, mut asked) = plain(&[&ok(PODS)]).await;
    let kubelet = Arc::new(asking(&settings(url, KubeletAuthority::None, None)));
    let mut attested = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let kubelet = Arc::clone(&kubelet);
        attested.spawn(async move { kubelet.attest(&ledger()).await.map(|selectors| selectors.len()) });
    }
    while let Some(one) = attested.join_next().await {
        assert_eq!(one.unwrap().unwrap(), LEDGER.len());
    }
    let mut lists = 0;
    while asked.try_recv().is_ok() {
        lists += 1;
    }
    assert!(lists < 10, "{lists}");
    assert_eq!(kubelet.attest(&ledger()).await.unwrap().len(), LEDGER.len());
    assert!(asked.recv().await.is_some(), "an older list was used");
}

#[tokio::test]
async fn a_kubelet_that_does_not_say_it_is_no_attestation() {
    for (answer, expected) in [
        (
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(),
            "the kubelet does not answer: the answer was 401",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec(),
            "the kubelet does not answer: the answer was 302",
        ),
        (ok(b"{\"items\":[{}]}"), "the kubelet's answer is not understood: missing field `metadata`"),
    ] {
        let (url, _asked) = plain(&[&answer]).await;
        let kubelet = asking(&settings(url, KubeletAuthority::None, None));
        let why = chain(&kubelet.attest(&ledger()).await.unwrap_err());
        assert!(why.starts_with(expected), "{why}");
    }
    let absent = settings("https://localhost:1".to_owned(), KubeletAuthority::File("/nonexistent".into()), None);
    let why = chain(&asking(&absent).attest(&ledger()).await.unwrap_err());
    assert!(why.starts_with("a file for the kubelet cannot be used: cannot read `/nonexistent`: "), "{why}");
}

#[tokio::test]
async fn files_for_a_kubelet_are_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, token) = (folder.path().join("ca.crt"), folder.path().join("token"));
    let (url, mut asked) = secured(folder.path(), &ok(PODS)).await;
    let said = async || {
        let settings = settings(url.clone(), KubeletAuthority::File(ca.clone()), Some(token.clone()));
        chain(&asking(&settings).attest(&ledger()).await.unwrap_err())
    };
    std::fs::write(&token, "two\nlines").unwrap();
    assert_eq!(said().await, "the token for the kubelet cannot stand in a request: failed to parse header value");
    std::fs::write(&ca, "").unwrap();
    assert_eq!(said().await, "the file of the kubelet's authorities cannot be used: it holds no certificate");
    assert!(asked.try_recv().is_err());
}

#[test]
fn a_container_is_of_one_pod() {
    let pods: Pods = serde_json::from_slice(PODS).unwrap();
    let found = |container: &Container| pods.selectors(container).unwrap().is_some();
    // of the agent's own pod: by its id alone
    assert!(found(&container(id('a'), Engine::Containerd)));
    // containers that run before the others
    assert!(found(&container(id('c'), Engine::Containerd)));
    assert!(!found(&container(id('b'), Engine::Containerd)));
    let elsewhere = format!("0::/kubepods/pod561fd272-d131-47ef-a01b-46a997a778f3/{}", id('a'));
    assert!(!found(&Cgroups::read(&elsewhere).unwrap().container().unwrap().unwrap()));
    let twice = String::from_utf8_lossy(PODS).replace(
        r#""status":{"phase":"Pending"}"#,
        &format!(r#""status":{{"containerStatuses":[{{"containerID":"containerd://{}"}}]}}"#, id('a')),
    );
    let pods: Pods = serde_json::from_str(&twice).unwrap();
    let several = pods.selectors(&container(id('a'), Engine::Containerd)).unwrap_err();
    assert_eq!(several.to_string(), "several pods have it");
    assert!(pods.selectors(&ledger()).unwrap().is_some());
}

#[test]
fn a_list_that_is_almost_right_is_read_or_not() {
    mutate(PODS, 2000, |bytes| {
        if let Ok(pods) = serde_json::from_slice::<Pods>(bytes) {
            let _ = pods.selectors(&ledger());
        }
    });
}

const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

#[test]
fn a_pod_that_is_named_is_that_one_and_has_no_container() {
    let pods: Pods = serde_json::from_slice(PODS).unwrap();
    let key = |namespace: &str, name: &str| Some((namespace.to_owned(), name.to_owned()));
    let ledger = || key("billing", "ledger-7d9c5b8f6d-x2k4q");
    let meant = |key, uid: Option<&str>| pods.meant(&PodReference { key, uid: uid.map(str::to_owned) });
    let of_pod: Vec<&str> = LEDGER.iter().filter(|one| !one.starts_with("k8s:container-")).copied().collect();
    for (key, uid) in [(ledger(), None), (None, Some(UID)), (ledger(), Some(UID))] {
        let (uid, selectors) = meant(key, uid).unwrap();
        assert_eq!((uid.as_str(), texts(&selectors).as_slice()), (UID, of_pod.as_slice()));
    }
    let other = UID.replace('2', "3");
    for (key, uid) in [
        (None, None),
        (key("shop", "ledger-7d9c5b8f6d-x2k4q"), None),
        (key("billing", "ledger"), Some(UID)),
        (ledger(), Some(other.as_str())),
        (None, Some(other.as_str())),
    ] {
        assert_eq!(meant(key, uid), None);
    }
    // whoever writes two pods of one UID means neither
    let list = String::from_utf8(PODS.to_vec()).unwrap();
    let (head, items) = list.split_once("\"items\":[").unwrap();
    let twice = format!("{head}\"items\":[{},{}", items.trim_end().strip_suffix("]}").unwrap(), items);
    let twice: Pods = serde_json::from_str(&twice).unwrap();
    assert_eq!(twice.meant(&PodReference { key: None, uid: Some(UID.to_owned()) }), None);
}
