//! Tokens of platforms: what each method takes for a node, and for whom it does not.

use std::time::Duration;

use super::super::{NodeEvidence, NodeMethod, NodeProof, NodeTrust, TokenRules};
use crate::tests::issuer::{NOW, at, claims, every_key, source, token};
use crate::{
    Algorithm, CredentialCache, Finding, Message, Picked, Presented, Source, SourceKeys, Sources, Token, verify,
};

const AUDIENCE: &str = r#""https://api.test""#;
const POD: &str = r#"{"namespace":"countersign","node":{"name":"node-7","uid":"0b1c"},"pod":{"name":"agent-x","uid":"5f6e"},
    "serviceaccount":{"name":"agent","uid":"77"}}"#;

/// What the methods trust, each by a source of its name and all by one key.
pub(super) fn trusting(issuer: &str, rules: TokenRules) -> Sources {
    let of_nodes = Source {
        name: "nodes".parse().unwrap(),
        picked: Picked::ByName,
        issuer: issuer.to_owned(),
        audiences: vec!["https://api.test".to_owned()],
        identity_key: rules.identity_key(),
        display: Vec::new(),
        evidence: Vec::new(),
        cache: CredentialCache::Off,
        ..source()
    };
    let trust = NodeTrust::Token(rules);
    Sources::new([of_nodes]).unwrap().with_nodes([("nodes".parse().unwrap(), trust)].into())
}

fn cluster() -> Sources {
    trusting("", TokenRules::kubernetes(vec!["countersign:agent".to_owned()]))
}

pub(super) fn signed(changes: &[(&str, Option<&str>)]) -> String {
    token(Algorithm::Es256, r#"{"alg":"ES256","kid":"p256"}"#, &claims(changes))
}

fn of_pod(changes: &[(&str, Option<&str>)]) -> String {
    let good = [("kubernetes.io", Some(POD)), ("iss", Some(r#""https://kubernetes.default.svc""#))];
    let kept = good.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    signed(&kept.chain(changes.iter().copied()).collect::<Vec<_>>())
}

pub(super) fn proved(sources: &Sources, method: NodeMethod, token: &str, seconds: i64) -> Result<Finding, String> {
    let evidence = NodeEvidence { source: "nodes", proof: NodeProof::Token(method, Token::new(token.as_bytes())) };
    let presented = Presented { channel: None, message: Some(Message::Node(&evidence)) };
    match verify(sources, &presented, at(seconds)) {
        Ok(proofs) => Ok(proofs.message().unwrap().finding().clone()),
        Err(refused) => Err(format!("{}: {}", refused.cause.code(), refused.cause)),
    }
}

pub(super) fn selectors(finding: &Finding) -> Vec<String> {
    finding.display.iter().map(|(name, value)| format!("{name}:{value}")).collect()
}

#[test]
fn an_agent_of_a_cluster_is_the_node_that_its_pod_is_on() {
    let finding = proved(&cluster(), NodeMethod::K8sPsat, &of_pod(&[]), NOW).unwrap();
    assert_eq!((finding.source.as_str(), finding.key.as_slice()), ("nodes", &["0b1c".to_owned()][..]));
    assert_eq!(
        selectors(&finding),
        [
            "k8s_psat:cluster:nodes",
            "k8s_psat:agent_ns:countersign",
            "k8s_psat:agent_sa:agent",
            "k8s_psat:agent_pod_name:agent-x",
            "k8s_psat:agent_pod_uid:5f6e",
            "k8s_psat:agent_node_name:node-7",
            "k8s_psat:agent_node_uid:0b1c",
        ]
    );
}

#[test]
fn a_token_that_is_for_others_or_of_others_is_no_nodes() {
    let other = POD.replace(r#""name":"agent","uid":"77""#, r#""name":"web","uid":"78""#);
    let joined = POD.replace(r#""countersign""#, r#""countersign:agent""#);
    let nowhere = POD.replace(r#""node":{"name":"node-7","uid":"0b1c"},"#, "");
    for (changes, expected) in [
        (("aud", Some(r#""https://kubernetes.default.svc""#)), "audience_wrong: the credential is not for us"),
        (("aud", Some(r#"["https://api.test","https://kubernetes.default.svc"]"#)), "audience_wrong: "),
        (
            ("kubernetes.io", Some(other.as_str())),
            "principal_unknown: `countersign:web` is not among those whose nodes this source vouches for",
        ),
        (("kubernetes.io", Some(joined.as_str())), "principal_unknown: `countersign:agent:agent` is not among"),
        (
            ("kubernetes.io", Some(nowhere.as_str())),
            r"credential_malformed: claim `kubernetes\.io.node.uid` is missing",
        ),
        (("kubernetes.io", None), r"credential_malformed: claim `kubernetes\.io.node.uid` is missing"),
        (("nbf", Some("1900000061")), "not_yet_valid: "),
        (("iat", Some("1900000061")), "not_yet_valid: "),
        (("exp", Some("1899999940")), "expired: "),
    ] {
        let refused = proved(&cluster(), NodeMethod::K8sPsat, &of_pod(&[changes]), NOW).unwrap_err();
        assert!(refused.starts_with(expected.trim_end_matches("the credential is not for us")), "{refused}");
    }
    // clocks may differ by a minute, and not by more
    assert!(proved(&cluster(), NodeMethod::K8sPsat, &of_pod(&[("iat", Some("1900000059"))]), NOW).is_ok());
}

#[test]
fn a_token_of_another_cluster_with_the_same_issuer_is_no_nodes() {
    let sources = cluster();
    // another cluster's key may have the name of ours
    let pod = claims(&[("kubernetes.io", Some(POD)), ("iss", Some(r#""https://kubernetes.default.svc""#))]);
    let other = token(Algorithm::Es384, r#"{"alg":"ES256","kid":"p256"}"#, &pod);
    assert_eq!(
        proved(&sources, NodeMethod::K8sPsat, &other, NOW).unwrap_err(),
        "signature_invalid: the signature does not verify"
    );
    let mut forged = of_pod(&[]);
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    assert_eq!(
        proved(&sources, NodeMethod::K8sPsat, &forged, NOW).unwrap_err(),
        "signature_invalid: the signature does not verify"
    );
}

#[test]
fn a_nodes_token_is_no_bearer_token_and_a_bearer_token_no_nodes() {
    let rules = TokenRules::kubernetes(vec!["countersign:agent".to_owned()]);
    let trust = NodeTrust::Token(rules.clone());
    let sources = Sources::new([Source { keys: SourceKeys::Given(every_key()), ..source() }]).unwrap();
    // a source of tokens of the same name vouches for no node
    let confused = sources.with_nodes([("ci".parse().unwrap(), trust)].into());
    let token = of_pod(&[]);
    let evidence =
        NodeEvidence { source: "ci", proof: NodeProof::Token(NodeMethod::K8sPsat, Token::new(token.as_bytes())) };
    let presented = Presented { channel: None, message: Some(Message::Node(&evidence)) };
    assert_eq!(verify(&confused, &presented, at(NOW)).unwrap_err().cause.code(), model::Code::IssuerUnknown);
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token.as_bytes()))) };
    let refused = verify(&cluster(), &presented, at(NOW)).unwrap_err();
    assert_eq!(refused.cause.code(), model::Code::IssuerUnknown);
    // and by another method than the source's
    assert_eq!(
        proved(&cluster(), NodeMethod::GcpIit, &token, NOW).unwrap_err(),
        "issuer_unknown: no trust source of this name vouches for nodes by `gcp_iit`"
    );
}

#[test]
fn an_instance_of_google_is_a_node_of_a_project_that_is_listed_and_a_human_is_none() {
    const GOOGLE: &str = "https://accounts.google.com";
    let sources = trusting(GOOGLE, TokenRules::google(vec!["acme-prod".to_owned()]));
    let instance = |project: &str| {
        format!(
            r#"{{"compute_engine":{{"instance_id":"8123","instance_name":"web-1","project_id":"{project}",
            "project_number":77,"zone":"europe-west6-a"}}}}"#
        )
    };
    let issuer = ("iss", Some(r#""https://accounts.google.com""#));
    let of = |project: &str| signed(&[issuer, ("google", Some(&instance(project)))]);
    let finding = proved(&sources, NodeMethod::GcpIit, &of("acme-prod"), NOW).unwrap();
    assert_eq!(finding.key, ["acme-prod", "8123"]);
    assert_eq!(
        selectors(&finding),
        [
            "gcp_iit:project-id:acme-prod",
            "gcp_iit:zone:europe-west6-a",
            "gcp_iit:instance-name:web-1",
            "gcp_iit:instance-id:8123"
        ]
    );
    assert_eq!(
        proved(&sources, NodeMethod::GcpIit, &of("acme-prod-2"), NOW).unwrap_err(),
        "principal_unknown: `acme-prod-2` is not among those whose nodes this source vouches for"
    );
    // the issuer is that of humans and of service accounts outside of instances, too
    let human = signed(&[issuer, ("email", Some(r#""ada@acme.test""#))]);
    assert_eq!(
        proved(&sources, NodeMethod::GcpIit, &human, NOW).unwrap_err(),
        "credential_malformed: claim `google.compute_engine.project_id` is missing"
    );
    let elsewhere = signed(&[("google", Some(&instance("acme-prod")))]);
    assert_eq!(
        proved(&sources, NodeMethod::GcpIit, &elsewhere, NOW).unwrap_err(),
        "issuer_unknown: no trust source has this issuer"
    );
}

#[test]
fn a_managed_identity_is_a_node_of_its_tenant() {
    let tenant = "6d7b";
    let sources = trusting("https://sts.windows.net/6d7b/", TokenRules::azure(vec![tenant.to_owned()]));
    let of = |tid: &str, issuer: &str| {
        let (tid, issuer) = (format!("\"{tid}\""), format!("\"https://sts.windows.net/{issuer}/\""));
        signed(&[("iss", Some(&issuer)), ("tid", Some(&tid)), ("sub", Some(r#""9e01""#)), ("aud", Some(AUDIENCE))])
    };
    let finding = proved(&sources, NodeMethod::AzureMsi, &of(tenant, tenant), NOW).unwrap();
    assert_eq!(finding.key, ["6d7b", "9e01"]);
    assert_eq!(selectors(&finding), ["azure_msi:tenant-id:6d7b", "azure_msi:principal-id:9e01"]);
    for (tid, issuer) in [("0000", tenant), (tenant, "0000"), ("0000", "0000")] {
        assert!(proved(&sources, NodeMethod::AzureMsi, &of(tid, issuer), NOW).is_err(), "{tid} of {issuer}");
    }
}

#[test]
fn a_nodes_token_holds_no_longer_than_its_source_says() {
    let finding = proved(&cluster(), NodeMethod::K8sPsat, &of_pod(&[]), NOW).unwrap();
    assert_eq!(finding.until, at(NOW + 300).plus(Duration::from_secs(60)));
}
