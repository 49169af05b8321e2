//! Operators' certificates: whose they look like counts for nothing, and what none may say.

use std::sync::Arc;
use std::time::Duration;

use model::{Binding, Code, Time};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use testkit::{TestCa, date, key, operators_certificate, uri};

use crate::{
    Authorities, Bundle, Cause, Channel, CredentialKind, NotPinned, Operators, PeerCertificates, Presented, Revocable,
    Revocations, Sources, Standing, Step, examine, verify,
};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Time {
    "2027-01-02T03:04:05Z".parse().unwrap()
}

fn sound(_: &mut CertificateParams) {}

fn signed_by(key: &KeyPair, name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    operators_certificate(key, name, now(), shape)
}

fn of(name: &str) -> Vec<u8> {
    signed_by(&key(), name, sound)
}

fn pinned(certificates: &[(&str, &[u8])]) -> Result<Operators, NotPinned> {
    let mut operators = Operators::default();
    for (name, der) in certificates {
        operators.pin(name.parse().unwrap(), der)?;
    }
    Ok(operators)
}

fn sources(name: &str, der: &[u8]) -> Sources {
    Sources::default().with_operators(Arc::new(pinned(&[(name, der)]).unwrap()))
}

/// Whom a certificate proves, or the code for which it proves nobody.
fn proves(sources: &Sources, der: &[u8], at: Time) -> Result<String, Code> {
    let peer = PeerCertificates::new(vec![der.to_vec()]);
    let presented = Presented { channel: Some(Channel::Tls(&peer)), message: None };
    let proofs = verify(sources, &presented, at).map_err(|refused| refused.cause.code())?;
    Ok(proofs.channel().unwrap().finding().key.concat())
}

#[track_caller]
fn assert_unfit(shape: impl FnOnce(&mut CertificateParams), expected: &str) {
    let der = signed_by(&key(), "admin", shape);
    let NotPinned::Flaw(flaw) = pinned(&[("admin", &der)]).unwrap_err() else { panic!("another cause") };
    assert_eq!(flaw.to_string(), expected);
}

#[test]
fn a_pinned_certificate_proves_its_operator_bound_to_the_connection() {
    let der = signed_by(&key(), "whoever", sound);
    let peer = PeerCertificates::new(vec![der.clone()]);
    let presented = Presented { channel: Some(Channel::Tls(&peer)), message: None };
    let proofs = verify(&sources("admin", &der), &presented, now()).unwrap();
    let finding = proofs.channel().unwrap().finding();
    assert_eq!((finding.source.as_str(), finding.key.as_slice()), ("operators", &["admin".to_owned()][..]));
    assert_eq!((finding.kind, finding.binding), (CredentialKind::X509, Binding::Mtls));
    assert!(finding.binding.is_sender_bound());
    assert!(finding.credential_id.starts_with("serial:") && finding.key_thumbprint.is_some());
    assert_eq!((finding.digest, finding.issued), (crate::digest_of(&der), Some(now().minus(HOUR))));
    assert_eq!(finding.until, now().plus(HOUR).plus(Duration::from_secs(1)));
}

#[test]
fn a_certificate_that_only_looks_like_an_operators_proves_nobody() {
    let mine = key();
    let der = signed_by(&mine, "admin", sound);
    let sources = sources("admin", &der);
    assert_eq!(proves(&sources, &der, now()), Ok("admin".to_owned()));
    // the same name, under another key
    assert_eq!(proves(&sources, &of("admin"), now()), Err(Code::ChainInvalid));
    // the operator's own key, in a certificate that nobody pinned: one that lives longer
    let longer = signed_by(&mine, "admin", |params| params.not_after = date(now().plus(HOUR * 48)));
    assert_eq!(proves(&sources, &longer, now()), Err(Code::ChainInvalid));
    // the pinned one above a leaf of somebody else's
    let peer = PeerCertificates::new(vec![of("admin"), der]);
    assert_eq!(sources.check(&peer, now()).unwrap_err().code(), Code::ChainInvalid);
    assert_eq!(sources.check(&PeerCertificates::new(Vec::new()), now()).unwrap_err().code(), Code::ChainInvalid);
}

#[test]
fn an_operators_certificate_signs_nothing() {
    let mine = TestCa::new("prod.acme.test", now(), |params| {
        params.subject_alt_names = Vec::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let sources = sources("admin", &mine.certificate());
    let (leaf, _) = mine.leaf("spiffe://prod.acme.test/billing/reporter", now(), sound);
    let peer = PeerCertificates::new(vec![leaf, mine.certificate()]);
    assert_eq!(sources.check(&peer, now()).unwrap_err().code(), Code::IssuerUnknown);
}

#[test]
fn where_nobody_is_pinned_an_operators_certificate_is_nobodys() {
    let (ca, der) = (TestCa::new("prod.acme.test", now(), sound), of("admin"));
    let source = crate::SVIDS.parse().unwrap();
    let bundle = Bundle::new(source, "prod.acme.test".parse().unwrap(), &[ca.certificate()], HOUR).unwrap();
    let gateway = Sources::default().with_authorities(Authorities::new([bundle]));
    assert_eq!(proves(&gateway, &der, now()), Err(Code::ChainInvalid));
}

#[test]
fn an_operators_certificate_has_no_leeway() {
    let der = of("admin");
    let sources = sources("admin", &der);
    let second = Duration::from_secs(1);
    assert!(proves(&sources, &der, now().minus(HOUR)).is_ok());
    assert_eq!(proves(&sources, &der, now().minus(HOUR).minus(second)), Err(Code::NotYetValid));
    assert!(proves(&sources, &der, now().plus(HOUR)).is_ok());
    assert_eq!(proves(&sources, &der, now().plus(HOUR).plus(second)), Err(Code::Expired));
}

#[test]
fn what_is_refused_of_an_operators_certificate_names_its_source() {
    let der = of("admin");
    let peer = PeerCertificates::new(vec![der.clone()]);
    let presented = Presented { channel: Some(Channel::Tls(&peer)), message: None };
    let refused = verify(&sources("admin", &der), &presented, now().plus(HOUR * 2)).unwrap_err();
    assert_eq!((refused.kind, refused.source.unwrap().as_str()), (CredentialKind::X509, "operators"));
}

#[test]
fn an_operators_certificate_that_is_revoked_proves_nobody() {
    let der = of("admin");
    let sources = sources("admin", &der);
    let id = sources.check(&PeerCertificates::new(vec![der.clone()]), now()).unwrap().credential_id;
    for what in [Revocable::Credential(id), Revocable::Source("operators".parse().unwrap())] {
        let revocations = Revocations::new(1, [(what, now(), Standing::Revoked)]);
        let sources = sources.clone().with_revocations(Arc::new(revocations));
        assert_eq!(proves(&sources, &der, now()), Err(Code::Revoked));
        let examined = examine(&sources, &PeerCertificates::new(vec![der.clone()]), now());
        assert!(matches!(examined, Err((Step::Revocation, Cause::Revoked { .. }))), "{examined:?}");
    }
}

#[test]
fn what_no_operators_certificate_may_say() {
    let names = "it has a URI name, as no operator's certificate may: an operator is no service and has no SPIFFE ID";
    assert_unfit(|params| params.subject_alt_names = vec![uri("spiffe://prod.acme.test/countersign/server")], names);
    assert_unfit(|params| params.subject_alt_names = vec![uri("https://acme.test")], names);
    assert_unfit(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "it is a CA");
    let signs = "its key usage has keyCertSign or cRLSign";
    assert_unfit(|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign), signs);
    let unsigned = "its key usage has no digitalSignature";
    assert_unfit(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement], unsigned);
    let clients = "its extended key usage lacks clientAuth";
    assert_unfit(|params| params.extended_key_usages = Vec::new(), clients);
    assert_unfit(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], clients);
    let unreadable = pinned(&[("admin", b"no certificate")]).unwrap_err();
    assert_eq!(unreadable, NotPinned::Flaw(crate::Flaw::Unreadable));
}

#[test]
fn two_operators_share_neither_name_nor_key() {
    let (mine, der) = (key(), of("other"));
    let twice = pinned(&[("admin", &of("admin")), ("admin", &der)]).unwrap_err();
    assert_eq!(twice.to_string(), "operator `admin` has another certificate already");
    let shared = "its key is that of operator `admin`, and a key is one person's";
    assert_eq!(pinned(&[("admin", &der), ("other", &der)]).unwrap_err().to_string(), shared);
    let (first, second) = (signed_by(&mine, "admin", sound), signed_by(&mine, "other", sound));
    assert_ne!(first, second);
    assert_eq!(pinned(&[("admin", &first), ("other", &second)]).unwrap_err().to_string(), shared);
}

#[test]
fn whoever_is_pinned_shows_in_the_name_of_the_keys() {
    let (first, second) = (of("admin"), of("admin"));
    let digests = [Sources::default(), sources("admin", &first), sources("admin", &second), sources("other", &first)];
    let digests: std::collections::BTreeSet<_> =
        digests.iter().map(|sources| sources.keys_digest().to_string()).collect();
    assert_eq!(digests.len(), 4);
}
