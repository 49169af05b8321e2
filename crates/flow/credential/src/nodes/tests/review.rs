//! What an API server says of a token: what follows from it, what is asked next, and what changes nothing for whoever is not a node.

use serde_json::{Value, json};
use testkit::mutate;

use super::super::{
    Answers, NodeEvidence, NodeMethod, NodeProof, NodeTrust, Review, ReviewQuestion, ReviewedKeys, TokenRules,
    review_question,
};
use crate::tests::issuer::{NOW, at, claims, source, token};
use crate::{
    Algorithm, CredentialCache, Finding, Message, Picked, Presented, Source, SourceKeys, Sources, Token, verify,
};

const AUDIENCE: &str = "https://api.test";
const POD: &str = r#"{"namespace":"countersign","node":{"name":"node-7","uid":"0b1c"},"pod":{"name":"agent-x","uid":"5f6e"},
    "serviceaccount":{"name":"agent","uid":"77"}}"#;

fn cluster(keys: ReviewedKeys, node_labels: &[&str]) -> Sources {
    let labels = node_labels.iter().map(|label| (*label).to_owned()).collect();
    let rules =
        TokenRules::kubernetes(vec!["countersign:agent".to_owned()]).reviewed(Review { keys, node_labels: labels });
    let of_nodes = Source {
        name: "prod-eu".parse().unwrap(),
        picked: Picked::ByName,
        issuer: String::new(),
        audiences: vec![AUDIENCE.to_owned()],
        identity_key: rules.identity_key(),
        display: Vec::new(),
        evidence: Vec::new(),
        cache: CredentialCache::Off,
        keys: if keys == ReviewedKeys::Checked { source().keys } else { SourceKeys::Fetched(None) },
        ..source()
    };
    Sources::new([of_nodes]).unwrap().with_nodes([("prod-eu".parse().unwrap(), NodeTrust::Token(rules))].into())
}

fn signed(changes: &[(&str, Option<&str>)]) -> String {
    let good = [("kubernetes.io", Some(POD)), ("iss", Some(r#""https://kubernetes.default.svc""#))];
    let kept = good.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let changes = kept.chain(changes.iter().copied()).collect::<Vec<_>>();
    token(Algorithm::Es256, r#"{"alg":"ES256","kid":"p256"}"#, &claims(&changes))
}

/// A review of version 1.30 and later.
fn review() -> Value {
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {"creationTimestamp": null},
        "spec": {"token": "…", "audiences": [AUDIENCE]},
        "status": {
            "authenticated": true, "audiences": [AUDIENCE],
            "user": {
                "username": "system:serviceaccount:countersign:agent", "uid": "77",
                "groups": ["system:serviceaccounts"],
                "extra": {
                    "authentication.kubernetes.io/pod-name": ["agent-x"],
                    "authentication.kubernetes.io/pod-uid": ["5f6e"],
                    "authentication.kubernetes.io/node-name": ["node-7"],
                    "authentication.kubernetes.io/node-uid": ["0b1c"],
                },
            },
        },
    })
}

/// One of a version that says nothing of nodes.
fn older() -> Value {
    let mut review = review();
    let extra = review["status"]["user"]["extra"].as_object_mut().unwrap();
    extra.retain(|name, _| name.contains("/pod-"));
    review
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "countersign", "name": "agent-x", "uid": "5f6e"},
        "spec": {"nodeName": "node-7", "serviceAccountName": "agent"},
    })
}

fn node() -> Value {
    let labels = json!({"topology.kubernetes.io/zone": "a", "role": "edge"});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-7", "uid": "0b1c", "labels": labels}})
}

fn answers(parts: [Option<Value>; 3]) -> Answers {
    let [review, pod, node] = parts.map(|part| part.map(|json| json.to_string().into_bytes()));
    Answers { review, pod, node }
}

fn proved(sources: &Sources, token: &str, answers: &Answers) -> Result<Finding, String> {
    let proof = NodeProof::Reviewed(Token::new(token.as_bytes()), answers);
    let evidence = NodeEvidence { source: "prod-eu", proof };
    let presented = Presented { channel: None, message: Some(Message::Node(&evidence)) };
    match verify(sources, &presented, at(NOW)) {
        Ok(proofs) => Ok(proofs.message().unwrap().finding().clone()),
        Err(refused) => Err(format!("{}: {}", refused.cause.code(), refused.cause)),
    }
}

fn asks(sources: &Sources, token: &str, answers: &Answers) -> Option<ReviewQuestion> {
    review_question(sources, &"prod-eu".parse().unwrap(), Token::new(token.as_bytes()), answers, at(NOW))
}

fn selectors(finding: &Finding) -> Vec<String> {
    finding.display.iter().map(|(name, value)| format!("{name}:{value}")).collect()
}

#[test]
fn a_token_that_its_api_server_authenticates_is_the_node_of_its_pod() {
    let token = signed(&[]);
    for keys in [ReviewedKeys::Checked, ReviewedKeys::None] {
        let sources = cluster(keys, &[]);
        let asked = asks(&sources, &token, &Answers::default()).unwrap();
        assert_eq!(asked, ReviewQuestion::Token { audiences: vec![AUDIENCE.to_owned()] });
        let answered = answers([Some(review()), None, None]);
        assert_eq!(asks(&sources, &token, &answered), None);
        let finding = proved(&sources, &token, &answered).unwrap();
        assert_eq!((finding.source.as_str(), finding.key.as_slice()), ("prod-eu", &["0b1c".to_owned()][..]));
        assert_eq!(
            selectors(&finding),
            [
                "k8s_psat:cluster:prod-eu",
                "k8s_psat:agent_ns:countersign",
                "k8s_psat:agent_sa:agent",
                "k8s_psat:agent_pod_name:agent-x",
                "k8s_psat:agent_pod_uid:5f6e",
                "k8s_psat:agent_node_name:node-7",
                "k8s_psat:agent_node_uid:0b1c",
            ]
        );
    }
}

#[test]
fn what_the_review_leaves_out_is_asked_of_the_pod_and_the_node_and_has_to_fit() {
    let (sources, token) = (cluster(ReviewedKeys::None, &["topology.kubernetes.io/zone"]), signed(&[]));
    let asked = asks(&sources, &token, &answers([Some(older()), None, None])).unwrap();
    assert_eq!(asked, ReviewQuestion::Pod { namespace: "countersign".to_owned(), name: "agent-x".to_owned() });
    let asked = asks(&sources, &token, &answers([Some(older()), Some(pod()), None])).unwrap();
    assert_eq!(asked, ReviewQuestion::Node { name: "node-7".to_owned() });
    let all = answers([Some(older()), Some(pod()), Some(node())]);
    assert_eq!(asks(&sources, &token, &all), None);
    let finding = proved(&sources, &token, &all).unwrap();
    assert_eq!(finding.key, ["0b1c"]);
    let labels: Vec<String> = selectors(&finding).into_iter().filter(|one| one.contains("label")).collect();
    assert_eq!(labels, ["k8s_psat:agent_node_label:topology.kubernetes.io/zone:a"]);

    let changed = |mut json: Value, pointer: &str, to: Value| {
        *json.pointer_mut(pointer).unwrap() = to;
        Some(json)
    };
    let fits = |review: Value, pod, node| proved(&sources, &token, &answers([Some(review), pod, node]));
    for (pod, node, expected) in [
        // another pod came by the same name
        (
            changed(pod(), "/metadata/uid", json!("9")),
            Some(node()),
            "binding_mismatch: what the API server of the cluster says of the token does not fit: its pod's uid",
        ),
        (changed(pod(), "/metadata/name", json!("agent-y")), Some(node()), "binding_mismatch: "),
        (changed(pod(), "/spec/serviceAccountName", json!("web")), Some(node()), "binding_mismatch: "),
        (changed(pod(), "/spec/nodeName", json!("node-8")), Some(node()), "binding_mismatch: "),
        (changed(pod(), "/kind", json!("Secret")), Some(node()), "keys_unavailable: "),
        (Some(pod()), changed(node(), "/metadata/uid", json!("")), "keys_unavailable: "),
        (Some(pod()), None, "keys_unavailable: "),
        (None, Some(node()), "keys_unavailable: "),
    ] {
        let refused = fits(older(), pod, node).unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let other = changed(node(), "/metadata/uid", json!("ffff"));
    assert!(fits(review(), None, other).unwrap_err().ends_with("its node's uid"));
}

#[test]
fn a_token_that_its_api_server_does_not_authenticate_is_no_nodes() {
    let token = signed(&[]);
    let extra = |name: &str| format!("/status/user/extra/authentication.kubernetes.io~1{name}");
    let none = json!({"authenticated": false, "error": "[invalid bearer token, pod \"agent-x\" is gone\n]"});
    for (pointer, to, expected) in [
        (
            "/status",
            none,
            "revoked: the API server of the cluster says that the token does not hold: [invalid bearer token, pod \\\"agent-x\\\" is gone\\n]",
        ),
        ("/status", json!({}), "revoked: "),
        ("/status/authenticated", json!("true"), "revoked: "),
        ("/status/authenticated", json!(1), "revoked: "),
        // a server that knows nothing of audiences
        ("/status/audiences", json!(null), "audience_wrong: "),
        ("/status/audiences", json!([]), "audience_wrong: "),
        ("/status/audiences", json!(["https://kubernetes.default.svc"]), "audience_wrong: "),
        (
            "/status/user/username",
            json!("system:serviceaccount:countersign:web"),
            "principal_unknown: `countersign:web` ",
        ),
        ("/status/user/username", json!("system:serviceaccount:countersign:agent:x"), "principal_unknown: "),
        ("/status/user/username", json!("ada@acme.test"), "principal_unknown: `ada@acme.test` "),
        (
            "/status/user/extra",
            json!({}),
            "binding_mismatch: what the API server of the cluster says of the token does not fit: it is bound to no pod",
        ),
        (&extra("pod-uid"), json!(["5f6e", "5f6f"]), "keys_unavailable: "),
        (&extra("pod-name"), json!(["../../nodes/x"]), "keys_unavailable: "),
        (&extra("node-uid"), json!("0b1c"), "keys_unavailable: "),
        (&extra("node-uid"), json!([".."]), "keys_unavailable: "),
        ("/kind", json!("Status"), "keys_unavailable: "),
        ("/apiVersion", json!("authentication.k8s.io/v1beta1"), "keys_unavailable: "),
    ] {
        let mut said = review();
        *said.pointer_mut(pointer).unwrap() = to;
        let answered = answers([Some(said), None, None]);
        let sources = cluster(ReviewedKeys::None, &[]);
        let refused = proved(&sources, &token, &answered).unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
        // and there is nothing more to be asked of it
        assert_eq!(asks(&sources, &token, &answered), None, "{refused}");
    }
}

#[test]
fn without_an_answer_nothing_is_proved_whatever_the_keys_say() {
    let (sources, token) = (cluster(ReviewedKeys::Checked, &[]), signed(&[]));
    let refused = proved(&sources, &token, &Answers::default()).unwrap_err();
    assert_eq!(
        refused,
        "keys_unavailable: the API server of the cluster was not asked whether the token holds, or gave no answer that can be used"
    );
    let evidence =
        NodeEvidence { source: "prod-eu", proof: NodeProof::Token(NodeMethod::K8sPsat, Token::new(token.as_bytes())) };
    let presented = Presented { channel: None, message: Some(Message::Node(&evidence)) };
    assert_eq!(verify(&sources, &presented, at(NOW)).unwrap_err().cause.code(), model::Code::KeysUnavailable);
}

#[test]
fn an_api_server_is_not_asked_about_what_could_not_hold() {
    let forged = {
        let mut forged = signed(&[]);
        forged.replace_range(forged.len() - 8.., "AAAAAAAA");
        forged
    };
    let yes = answers([Some(review()), None, None]);
    let keyed = cluster(ReviewedKeys::Checked, &[]);
    for (token, code) in [
        (forged.as_str(), "signature_invalid"),
        (&signed(&[("aud", Some(r#""https://kubernetes.default.svc""#))]), "audience_wrong"),
        (&signed(&[("exp", Some("1899999940"))]), "expired"),
        ("nonsense", "credential_malformed"),
    ] {
        assert_eq!(asks(&keyed, token, &Answers::default()), None, "{code}");
        assert!(
            proved(&keyed, token, &yes).unwrap_err().starts_with(code),
            "{code}: an API server that says yes to it"
        );
        let unkeyed = cluster(ReviewedKeys::None, &[]);
        if token != forged {
            assert_eq!(asks(&unkeyed, token, &Answers::default()), None, "{code}");
            assert!(proved(&unkeyed, token, &yes).unwrap_err().starts_with(code), "{code}");
        }
    }
    // keys and API server have to speak of one node
    let mut other = review();
    other["status"]["user"]["extra"]["authentication.kubernetes.io/node-uid"] = json!(["ffff"]);
    let refused = proved(&keyed, &signed(&[]), &answers([Some(other), None, None])).unwrap_err();
    assert!(refused.starts_with("binding_mismatch: "), "{refused}");
}

#[test]
fn an_answer_that_was_changed_stops_nothing() {
    let (sources, token) = (cluster(ReviewedKeys::None, &["role"]), signed(&[]));
    let (review, pod, node) = (older().to_string(), pod().to_string(), node().to_string());
    mutate(review.as_bytes(), 2_000, |changed| {
        let answers =
            Answers { review: Some(changed.to_vec()), pod: Some(pod.clone().into()), node: Some(node.clone().into()) };
        let _ = (asks(&sources, &token, &answers), proved(&sources, &token, &answers));
    });
    mutate(node.as_bytes(), 2_000, |changed| {
        let answers = Answers {
            review: Some(review.clone().into()),
            pod: Some(pod.clone().into()),
            node: Some(changed.to_vec()),
        };
        if let Ok(finding) = proved(&sources, &token, &answers) {
            assert!(selectors(&finding).contains(&"k8s_psat:agent_node_name:node-7".to_owned()));
        }
    });
}
