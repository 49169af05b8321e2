//! Evidence of nodes: what holds, and the attacks that must not.

mod aws;
mod aws_tokens;
mod review;
mod tokens;
mod tpm;

use std::time::Duration;

use model::{Binding, Time, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RsaKeySize,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use testkit::{TestCa, mutate};

use super::{Challenge, NodeAuthorities, NodeEvidence, NodeProof, NodeTrust, Possession, Statement};
use crate::{Message, Presented, Revocable, Revocations, Sources, Standing, digest_of, verify};

const CHALLENGE: Challenge = [1; 32];
const NONCE: Challenge = [2; 32];
const REQUEST: &[u8] = b"a certificate request";

fn now() -> Time {
    "2027-01-02T03:04:05Z".parse().unwrap()
}

fn domain() -> TrustDomain {
    "prod.acme.test".parse().unwrap()
}

fn ca() -> TestCa {
    TestCa::new("devices.test", now(), |params| params.subject_alt_names.clear())
}

fn below(ca: &TestCa) -> TestCa {
    ca.below("devices.test", now(), |params| params.subject_alt_names.clear())
}

fn device(ca: &TestCa, shape: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, Vec<u8>) {
    ca.leaf("x509pop://prod.acme.test/rack/b7", now(), |params| {
        params.distinguished_name.push(DnType::CommonName, "host-7");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        shape(params);
    })
}

fn trusting(authorities: &[&TestCa]) -> Sources {
    let certificates: Vec<_> = authorities.iter().map(|ca| ca.certificate()).collect();
    let trust = NodeTrust::X509Pop(NodeAuthorities::new(domain(), &certificates).unwrap());
    Sources::default().with_nodes([("racks".parse().unwrap(), trust)].into())
}

/// The statement of this control plane and this node.
fn statement(domain: &TrustDomain) -> Statement<'_> {
    Statement { domain, source: "racks", challenge: &CHALLENGE, nonce: &NONCE, request: REQUEST }
}

fn sign(pkcs8: &[u8], statement: &Statement<'_>) -> Vec<u8> {
    let key = PrivatePkcs8KeyDer::from(pkcs8.to_vec());
    rcgen::SigningKey::sign(&KeyPair::try_from(&key).unwrap(), &statement.bytes()).unwrap()
}

/// What evidence proves: key and selectors, or code and cause.
fn proved(sources: &Sources, chain: &[Vec<u8>], signature: &[u8], at: Time) -> Result<crate::Finding, String> {
    let domain = domain();
    let proof = NodeProof::X509Pop(Possession { chain, statement: statement(&domain), signature });
    presented(sources, "racks", proof, at)
}

fn presented(sources: &Sources, source: &str, proof: NodeProof<'_>, at: Time) -> Result<crate::Finding, String> {
    let evidence = NodeEvidence { source, proof };
    let presented = Presented { channel: None, message: Some(Message::Node(&evidence)) };
    let proofs = verify(sources, &presented, at).map_err(|refused| {
        assert_eq!(refused.source.is_some(), refused.cause.code() != model::Code::IssuerUnknown);
        format!("{}: {}", refused.cause.code(), refused.cause)
    })?;
    Ok(proofs.message().unwrap().finding().clone())
}

#[test]
fn a_device_that_holds_its_key_is_the_node_of_its_certificate() {
    let ca = ca();
    let between = below(&ca);
    let (leaf, key) = device(&between, |_| {});
    let signature = sign(&key, &statement(&domain()));
    let finding = proved(&trusting(&[&ca]), &[leaf.clone(), between.certificate()], &signature, now()).unwrap();
    assert_eq!((finding.source.as_str(), finding.binding), ("racks", Binding::Proof));
    assert_eq!(finding.key, [digest_of(&leaf).to_string()]);
    let names: Vec<&str> = finding.display.iter().map(|(name, _)| name.as_str()).collect();
    let authority = ["x509pop:ca:fingerprint", "x509pop:ca:sha256"];
    let expected = [&["x509pop:subject:cn", "x509pop:serialnumber"][..], &authority, &authority, &["x509pop:san:rack"]];
    assert_eq!(names, expected.concat());
    let value = |name: &str| finding.display.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!((value("x509pop:subject:cn"), value("x509pop:san:rack")), ("host-7".to_owned(), "b7".to_owned()));
    assert_eq!(
        finding.credential_id.trim_start_matches("serial:").trim_start_matches("00"),
        value("x509pop:serialnumber")
    );
    assert_eq!(value("x509pop:ca:fingerprint").len(), 40, "SHA-1, as SPIRE names it");
}

#[test]
fn a_signature_over_something_else_than_this_exchange_proves_nothing() {
    let ca = ca();
    let (leaf, key) = device(&ca, |_| {});
    let (sources, domain, other) = (trusting(&[&ca]), domain(), "other.test".parse().unwrap());
    let this = statement(&domain);
    let elsewhere: [(&str, Statement<'_>); 5] = [
        ("another challenge, as a replayed answer has", Statement { challenge: &NONCE, ..this }),
        ("another nonce", Statement { nonce: &CHALLENGE, ..this }),
        ("another request, for somebody else's key", Statement { request: b"another", ..this }),
        ("another source", Statement { source: "rack", ..this }),
        ("another trust domain", Statement { domain: &other, ..this }),
    ];
    for (what, statement) in elsewhere {
        let refused = proved(&sources, std::slice::from_ref(&leaf), &sign(&key, &statement), now()).unwrap_err();
        assert_eq!(refused, "signature_invalid: the signature does not verify", "{what}");
    }
    let (_, stolen) = device(&ca, |_| {});
    assert!(
        proved(&sources, std::slice::from_ref(&leaf), &sign(&stolen, &this), now()).is_err(),
        "a certificate without its key"
    );
    assert!(proved(&sources, std::slice::from_ref(&leaf), &[], now()).is_err());
    assert!(proved(&sources, &[leaf], &sign(&key, &this), now()).is_ok());
}

#[test]
fn no_two_statements_have_the_same_bytes() {
    let (domain, longer) = ("a.test".parse().unwrap(), "a.testr".parse().unwrap());
    let statement = |domain, source| Statement { source, ..statement(domain) }.bytes();
    assert_ne!(statement(&domain, "racks"), statement(&longer, "acks"));
}

#[test]
fn a_certificate_that_cannot_be_a_devices_or_is_of_others_is_refused() {
    let (ca, other) = (ca(), ca());
    let sources = trusting(&[&ca]);
    let refused = |ca: &TestCa, at: Time, shape: &dyn Fn(&mut CertificateParams)| {
        let (leaf, key) = device(ca, shape);
        proved(&sources, &[leaf], &sign(&key, &statement(&domain())), at).unwrap_err()
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (found, expected) in [
        (
            refused(&other, now(), &|_| {}),
            "chain_invalid: the certificate chain does not verify: InvalidSignatureForPublicKey",
        ),
        (
            refused(&ca, now(), &|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "chain_invalid: the certificate chain does not verify: it is a CA",
        ),
        (
            refused(&ca, now(), &|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
            "chain_invalid: the certificate chain does not verify: its key usage has no digitalSignature",
        ),
        (refused(&ca, now().plus(hours(2)), &|_| {}), "expired: expired at 2027-01-02T04:04:05.000000Z"),
        (
            refused(&ca, now().minus(hours(2)), &|_| {}),
            "not_yet_valid: `notBefore` lies ahead, at 2027-01-02T02:04:05.000000Z",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let server = refused(&ca, now(), &|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(server.starts_with("chain_invalid: "), "a server's certificate proves no node: {server}");
}

#[test]
fn long_chains_and_long_keys_cost_no_verification() {
    let root = ca();
    let (mut chain, mut last) = (Vec::new(), below(&root));
    for _ in 0..4 {
        chain.insert(0, last.certificate());
        last = below(&last);
    }
    let sources = trusting(&[&root]);
    // the fifth between the device and the root
    let (leaf, key) = device(&last, |_| {});
    let signature = sign(&key, &statement(&domain()));
    let long = [vec![leaf], vec![last.certificate()], chain].concat();
    let refused = proved(&sources, &long, &signature, now()).unwrap_err();
    assert_eq!(
        refused,
        "chain_invalid: the certificate chain does not verify: 6 certificates, or one that is too long"
    );
    assert!(proved(&sources, &[], &signature, now()).unwrap_err().contains("0 certificates"));
    let huge = vec![vec![0x30; 16 * 1024 + 1]];
    assert!(
        proved(&sources, &huge, &signature, now()).unwrap_err().contains("1 certificates, or one that is too long")
    );
    // nobody signed it: were it looked at who did, that would be the refusal
    let refused = proved(&sources, &[with_rsa_key(16_384)], &signature, now()).unwrap_err();
    assert_eq!(
        refused,
        "chain_invalid: the certificate chain does not verify: its key is neither RSA of 2048 to 8192 bits, P-256, P-384, \
         P-521 nor Ed25519"
    );
}

/// A certificate of an RSA key with a modulus of so many bits, which has no private half.
fn with_rsa_key(bits: usize) -> Vec<u8> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let params = CertificateParams::default();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let modulus = key.public_key_raw();
    let at = der.windows(modulus.len()).position(|part| part == modulus).unwrap();
    // RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }, and every length above it
    let mut number = vec![0xff; bits / 8];
    number.insert(0, 0);
    let integer = |tag: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], body].concat()
    };
    let public = integer(0x30, &[integer(0x02, &number), vec![0x02, 0x03, 1, 0, 1]].concat());
    let algorithm = &der[at - 20..at - 5];
    let info = integer(0x30, &[algorithm, &integer(0x03, &[vec![0], public].concat())].concat());
    // version to subject stand before the algorithm; nothing has to stand after the key
    let start = 8;
    let info_at = at - 24;
    let body = [&der[start..info_at], &info].concat();
    let signature = [
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00][..],
        &[0x03, 0x02, 0x00, 0x00],
    ]
    .concat();
    integer(0x30, &[integer(0x30, &body), signature].concat())
}

#[test]
fn a_source_is_picked_by_its_name_and_vouches_by_its_own_method() {
    let ca = ca();
    let (leaf, key) = device(&ca, |_| {});
    let (chain, domain) = (vec![leaf], domain());
    for source in ["", "other", "Racks", "racks\0"] {
        let statement = Statement { source, ..statement(&domain) };
        let signature = sign(&key, &statement);
        let proof = NodeProof::X509Pop(Possession { chain: &chain, statement, signature: &signature });
        assert_eq!(
            presented(&trusting(&[&ca]), source, proof, now()).unwrap_err(),
            "issuer_unknown: no trust source of this name vouches for nodes by `x509pop`"
        );
    }
}

#[test]
fn a_device_whose_certificate_is_revoked_is_no_node() {
    let ca = ca();
    let (leaf, key) = device(&ca, |_| {});
    let signature = sign(&key, &statement(&domain()));
    let sources = trusting(&[&ca]);
    let finding = proved(&sources, std::slice::from_ref(&leaf), &signature, now()).unwrap();
    for what in [
        Revocable::Credential(finding.credential_id.clone()),
        Revocable::Source(finding.source.clone()),
        Revocable::Key(finding.source.clone(), finding.key_id.clone().unwrap()),
    ] {
        let revoked = Revocations::new(1, [(what, now(), Standing::Revoked)]);
        let sources = sources.clone().with_revocations(revoked.into());
        assert!(proved(&sources, std::slice::from_ref(&leaf), &signature, now()).unwrap_err().starts_with("revoked: "));
    }
}

#[test]
fn a_certificate_or_signature_that_was_changed_proves_nothing_and_stops_nothing() {
    let ca = ca();
    let between = below(&ca);
    let (leaf, key) = device(&between, |_| {});
    let (sources, above) = (trusting(&[&ca]), between.certificate());
    let signature = sign(&key, &statement(&domain()));
    mutate(&leaf, 2_000, |changed| {
        let found = proved(&sources, &[changed.to_vec(), above.clone()], &signature, now());
        assert!(found.is_err() || changed == leaf);
    });
    mutate(&above, 2_000, |changed| {
        let found = proved(&sources, &[leaf.clone(), changed.to_vec()], &signature, now());
        assert!(found.is_err() || changed == above);
    });
    mutate(&signature, 500, |changed| {
        let found = proved(&sources, &[leaf.clone(), above.clone()], changed, now());
        assert!(found.is_err() || changed == signature);
    });
}
