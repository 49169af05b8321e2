//! What a credential that held says, and what a refusal leaves standing beside it.

use std::collections::BTreeSet;

use model::{Binding, Time};

use crate::tests::issuer::{NOW, at, changed, every_key, proved, source};
use crate::{
    Cause, Channel, CredentialKind, EvidenceRule, Finding, Message, PeerCredentials, Presented, Source, Sources, Token,
    digest_of, verify,
};

const PEER: PeerCredentials = PeerCredentials { uid: 1000, gid: 100, pid: Some(42) };

fn of_peer() -> Finding {
    Finding {
        source: "local".parse().unwrap(),
        kind: CredentialKind::Kernel,
        binding: Binding::Kernel,
        key: vec!["1000".to_owned()],
        display: Vec::new(),
        facts: BTreeSet::new(),
        credential_id: "uid:1000".to_owned(),
        digest: digest_of(b"uid:1000,gid:100,pid:42"),
        issued: None,
        expires: None,
        until: Time::MAX,
        key_id: None,
        key_thumbprint: None,
    }
}

fn facts(changes: &[(&str, Option<&str>)]) -> Vec<String> {
    proved(source(), &changed(changes)).facts.iter().map(ToString::to_string).collect()
}

#[test]
fn a_finding_holds_what_was_proved() {
    let token = changed(&[("jti", Some(r#""run-7""#))]);
    let text = |text: &str| text.to_owned();
    let expected = Finding {
        source: "ci".parse().unwrap(),
        kind: CredentialKind::Jwt,
        binding: Binding::Bearer,
        key: vec![text("9001"), text("4711")],
        display: vec![(text("sub"), text("repo:acme/billing")), (text("repo.name"), text("acme/billing"))],
        facts: BTreeSet::from(["protected_ref".parse().unwrap()]),
        credential_id: text("run-7"),
        digest: digest_of(token.as_bytes()),
        issued: Some(at(NOW)),
        expires: Some(at(NOW + 300)),
        until: at(NOW + 360),
        key_id: Some("p256".to_owned()),
        key_thumbprint: Some(every_key().named("p256").unwrap().thumbprint()),
    };
    assert_eq!(proved(source(), &token), expected);
}

#[test]
fn a_fact_needs_all_its_conditions_and_strings() {
    assert_eq!(facts(&[]), ["protected_ref"]);
    assert_eq!(facts(&[("event", Some(r#""dispatch""#))]), ["protected_ref"]);
    for change in [
        ("event", Some(r#""pull_request""#)),
        ("event", Some(r#""push ""#)),
        ("event", Some(r#"["push"]"#)),
        ("event", None),
        ("ref_protected", Some("true")),
        ("ref_protected", Some(r#""false""#)),
        ("ref_protected", Some(r#""TRUE""#)),
        ("ref_protected", Some("null")),
    ] {
        assert!(facts(&[change]).is_empty(), "{change:?}");
    }
}

#[test]
fn a_rule_without_conditions_or_about_a_built_in_fact_establishes_nothing() {
    let conditions = source().evidence[0].conditions.clone();
    let evidence = vec![
        EvidenceRule { fact: "anything".parse().unwrap(), conditions: Vec::new() },
        EvidenceRule { fact: "no_value".parse().unwrap(), conditions: vec![("event".parse().unwrap(), Vec::new())] },
        EvidenceRule { fact: "approved".parse().unwrap(), conditions: conditions.clone() },
        EvidenceRule { fact: "sender_bound".parse().unwrap(), conditions },
    ];
    assert!(proved(Source { evidence, ..source() }, &changed(&[])).facts.is_empty());
}

#[test]
fn display_has_short_strings_only() {
    let display = |changes: &[(&str, Option<&str>)]| {
        let finding = proved(source(), &changed(changes));
        finding.display.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let quoted = |length: usize| format!(r#""{}""#, "x".repeat(length));
    assert_eq!(display(&[("run", Some("7"))]), ["sub", "repo.name"]);
    assert_eq!(display(&[("run", Some(&quoted(256)))]), ["sub", "repo.name", "run"]);
    assert_eq!(display(&[("run", Some(&quoted(257)))]), ["sub", "repo.name"]);
}

#[test]
fn a_credential_names_itself_or_is_named_by_its_digest() {
    let id = |jti: &str| {
        let token = changed(&[("jti", Some(&format!(r#""{jti}""#)))]);
        (proved(source(), &token).credential_id, format!("sha256:{}", digest_of(token.as_bytes())))
    };
    for jti in ["a", "urn:uuid:1", &"j".repeat(256)] {
        assert_eq!(id(jti).0, jti);
    }
    let borrowed = format!("sha256:{}", digest_of(b"of another"));
    for jti in ["", &"j".repeat(257), "a\\nb", "\\u001b[31m", "\\u0000", &borrowed] {
        let (found, by_digest) = id(jti);
        assert_eq!(found, by_digest, "{jti}");
    }
    let token = changed(&[]);
    assert_eq!(proved(source(), &token).credential_id, format!("sha256:{}", digest_of(token.as_bytes())));
}

#[test]
fn the_kernels_word_proves_a_local_user() {
    let presented = Presented { channel: Some(Channel::Kernel(PEER)), message: None };
    let proofs = verify(&Sources::default(), &presented, at(NOW)).unwrap();
    assert_eq!(proofs.channel().unwrap().finding(), &of_peer());
    assert!(proofs.message().is_none());
    let without_pid = PeerCredentials { pid: None, ..PEER };
    let presented = Presented { channel: Some(Channel::Kernel(without_pid)), message: None };
    let proofs = verify(&Sources::default(), &presented, at(NOW)).unwrap();
    assert_eq!(proofs.channel().unwrap().finding().digest, digest_of(b"uid:1000,gid:100"));
}

#[test]
fn channel_and_message_are_proved_side_by_side() {
    let token = changed(&[]);
    let sources = Sources::new([source()]).unwrap();
    let presented = Presented {
        channel: Some(Channel::Kernel(PEER)),
        message: Some(Message::Bearer(Token::new(token.as_bytes()))),
    };
    let proofs = verify(&sources, &presented, at(NOW)).unwrap();
    let sources: Vec<&str> = proofs.findings().map(|finding| finding.source.as_str()).collect();
    assert_eq!(sources, ["local", "ci"]);
}

#[test]
fn a_bad_message_is_refused_beside_a_good_channel() {
    let presented =
        Presented { channel: Some(Channel::Kernel(PEER)), message: Some(Message::Bearer(Token::new(b"x"))) };
    let refused = verify(&Sources::default(), &presented, at(NOW)).unwrap_err();
    assert_eq!(refused.cause, Cause::Parts { found: 1 });
    assert_eq!(refused.beside, Some(of_peer()));
    assert_eq!((refused.kind, refused.binding, refused.source), (CredentialKind::Jwt, Binding::Bearer, None));
}

#[test]
fn nothing_presented_proves_nothing() {
    let proofs = verify(&Sources::default(), &Presented::default(), at(NOW)).unwrap();
    assert_eq!(proofs.findings().count(), 0);
}

#[test]
fn a_digest_is_sha_256() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest_of(b"").to_string(), empty);
}
