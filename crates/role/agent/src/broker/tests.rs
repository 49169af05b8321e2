//! What brokers may name, whatever they send, and what settings say of them.

use std::path::Path;

use prost_types::Any;
use testkit::mutate;
use wire::Message;
use wire::broker::{
    KubernetesObjectKey, KubernetesObjectReference, KubernetesObjectType, WorkloadPidReference, WorkloadReference,
};
use wire::google::rpc;
use yaml::{Reader, read};

use super::reason;
use super::reference::Reference;
use super::settings::{BrokerSettings, broker_settings};
use crate::attest::PodReference;

const UID: &str = "0fa1b2c3-4d5e-6f70-8192-a3b4c5d6e7f8";

fn packed(name: &str, message: &impl Message) -> WorkloadReference {
    let type_url = format!("type.googleapis.com/{name}");
    WorkloadReference { reference: Some(Any { type_url, value: message.encode_to_vec() }) }
}

fn pid(pid: i32) -> WorkloadReference {
    packed("spiffe.broker.WorkloadPIDReference", &WorkloadPidReference { pid })
}

fn object((plural, group): (&str, &str), key: Option<(&str, &str)>, uid: &str) -> WorkloadReference {
    let of = KubernetesObjectType { plural: plural.to_owned(), group: group.to_owned() };
    let key =
        key.map(|(namespace, name)| KubernetesObjectKey { namespace: namespace.to_owned(), name: name.to_owned() });
    let reference = KubernetesObjectReference { r#type: Some(of), key, uid: uid.to_owned() };
    packed("spiffe.broker.KubernetesObjectReference", &reference)
}

const PODS: (&str, &str) = ("pods", "core");

#[track_caller]
fn refused(reference: Option<&WorkloadReference>, words: &str) {
    assert_eq!(Reference::read(reference).unwrap_err().to_string(), words);
}

#[test]
fn one_process_or_one_pod_is_meant() {
    assert_eq!(Reference::read(Some(&pid(7))), Ok(Reference::Process(7)));
    let key = Some(("shop".to_owned(), "checkout".to_owned()));
    for (said, uid, meant) in [
        (Some(("shop", "checkout")), "", PodReference { key: key.clone(), uid: None }),
        (None, UID, PodReference { key: None, uid: Some(UID.to_owned()) }),
        (Some(("shop", "checkout")), UID, PodReference { key, uid: Some(UID.to_owned()) }),
    ] {
        assert_eq!(Reference::read(Some(&object(PODS, said, uid))), Ok(Reference::Pod(meant)));
    }
}

#[test]
fn what_means_nobody_is_refused_and_says_why() {
    let missing = "a request names exactly one workload: there is no reference";
    refused(None, missing);
    refused(Some(&WorkloadReference { reference: None }), missing);
    for (name, found) in [("", "type.googleapis.com/"), ("spiffe.broker.workloadpidreference", "")] {
        let words = if found.is_empty() { format!("type.googleapis.com/{name}") } else { found.to_owned() };
        let words = format!("a reference of type `{words}` is not understood here");
        refused(Some(&packed(name, &WorkloadPidReference { pid: 7 })), &words);
    }
    let bare = Any { type_url: "spiffe.broker.WorkloadPIDReference".to_owned(), value: Vec::new() };
    let words = "a reference of type `spiffe.broker.WorkloadPIDReference` is not understood here";
    refused(Some(&WorkloadReference { reference: Some(bare) }), words);
    refused(Some(&pid(i32::MIN)), "`-2147483648` is no number of a process: expected a positive one");
    // the literal word for what has no group, and never no word
    let words = "an object of Kubernetes is named by `plural` and `group` of its type: for pods, `pods` and `core`";
    refused(Some(&object(("pods", ""), None, UID)), words);
    for other in [("pods", "apps"), ("Pods", "core"), ("nodes", "core"), ("deployments", "apps")] {
        let words = "this agent knows the pods of its node, and no other object of Kubernetes";
        refused(Some(&object(other, None, UID)), words);
    }
    let words = "the key of a pod has `namespace` and `name`, of 1 to 253 bytes each";
    for (namespace, name) in [("", "checkout"), ("shop", ""), ("shop", &"a".repeat(254))] {
        refused(Some(&object(PODS, Some((namespace, name)), UID)), words);
    }
    for uid in ["0fa1b2c3", &UID.replace('-', ""), &UID.replace('0', "g"), &format!("{UID}-")] {
        refused(Some(&object(PODS, None, uid)), "`uid` is no UID as Kubernetes gives them");
    }
    let words = "an object of Kubernetes is named by `key`, by `uid`, or by both";
    refused(Some(&object(PODS, None, "")), words);
}

#[test]
fn whatever_a_broker_sends_means_somebody_or_is_refused() {
    for good in [pid(7), object(PODS, Some(("shop", "checkout")), UID)] {
        mutate(&good.encode_to_vec(), 20_000, |bytes| {
            let Ok(reference) = WorkloadReference::decode(bytes) else { return };
            match Reference::read(Some(&reference)) {
                Ok(Reference::Process(pid)) => assert!(pid > 0),
                Ok(Reference::Pod(PodReference { key, uid })) => assert!(key.is_some() || uid.is_some()),
                Err(_) => {}
            }
        });
    }
}

#[test]
fn reasons_are_of_the_standard() {
    let status = reason::not_entitled("no identity issued");
    let details = rpc::Status::decode(status.details()).unwrap();
    assert_eq!((details.code, details.message.as_str()), (7, "no identity issued"));
    let [info] = details.details.as_slice() else { panic!("one detail: {details:?}") };
    assert_eq!(info.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = rpc::ErrorInfo::decode(info.value.as_slice()).unwrap();
    assert_eq!((info.domain.as_str(), info.reason.as_str()), ("spiffe.io", "WORKLOAD_NOT_ENTITLED"));
}

fn settings(text: &str) -> Result<BrokerSettings, Vec<String>> {
    let nodes = read(text).unwrap();
    let mut problems = Vec::new();
    let mut reader = Reader { file: "agent.yaml", problems: &mut problems };
    let domain = "prod.acme.test".parse().unwrap();
    let found = broker_settings(&mut reader, &nodes[0], Path::new("/etc/countersign"), Some(&domain));
    match found {
        Some(found) if problems.is_empty() => Ok(found),
        _ => Err(problems.iter().map(|problem| problem.message.clone()).collect()),
    }
}

#[test]
fn each_broker_is_listed_with_what_it_may_name() {
    let listed =
        |id: &str, references: &str| format!("{{socket: b.sock, brokers: [{{id: {id}, references: {references}}}]}}");
    let found = settings(&listed("spiffe://prod.acme.test/mesh", "[pid]")).unwrap();
    assert_eq!(found.socket, Path::new("/etc/countersign/b.sock"));
    assert_eq!((found.brokers.len(), found.brokers[0].id.as_str()), (1, "spiffe://prod.acme.test/mesh"));
    for (id, references, problem) in [
        ("spiffe://prod.acme.test/mesh", "[port]", "`port`: expected `pid` or `kubernetes`"),
        ("spiffe://prod.acme.test/mesh", "[]", "expected at least one"),
        (
            "spiffe://other.test/mesh",
            "[pid]",
            "`spiffe://other.test/mesh`: a broker is a workload of the agent's own trust domain",
        ),
        (
            "spiffe://prod.acme.test",
            "[pid]",
            "`spiffe://prod.acme.test`: a broker is a workload of the agent's own trust domain",
        ),
    ] {
        assert_eq!(settings(&listed(id, references)).unwrap_err(), [problem]);
    }
    assert_eq!(settings("{socket: b.sock, brokers: []}").unwrap_err(), ["expected at least one"], "nobody by default");
}
