//! Keys and quotes of TPMs, made here without one: what holds, and what a liar with every right on a machine may try. What a TPM itself
//! refuses, scenarios show with one.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls_pki_types::PrivatePkcs8KeyDer;
use testkit::{TestCa, mutate};

use super::super::{EndorsementKey, NodeProof, NodeTrust, Statement, TpmProof, TpmQuote, TpmTrust, tpm_qualifying};
use super::{CHALLENGE, NONCE, ca, domain, now, presented};
use crate::{Finding, Sources, digest_of};

/// Attributes of endorsement keys (L-2), and of attestation keys.
const ENDORSEMENT: u32 = 0x0003_00b2;
const ATTESTATION: u32 = 0x0005_0472;
const QUOTE: u16 = 0x8018;
const GENERATED: u32 = 0xff54_4347;

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A `TPMT_PUBLIC` of P-256.
fn public(attributes: u32, parameters: &[u8], point: &[u8]) -> Vec<u8> {
    let (x, y) = point[1..].split_at(32);
    [&[0, 0x23, 0, 0x0b][..], &attributes.to_be_bytes(), &[0, 0], parameters, &sized(x), &sized(y)].concat()
}

/// Parameters of such a key: AES-128 in CFB mode; nothing but ECDSA with SHA-256.
const SEALED_TO: &[u8] = &[0, 6, 0, 128, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10];
const SIGNS: &[u8] = &[0, 0x10, 0, 0x18, 0, 0x0b, 0, 3, 0, 0x10];

/// A machine: what is in its TPM.
struct Machine {
    certificates: Vec<Vec<u8>>,
    endorsement: Vec<u8>,
    attestation: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Machine {
    fn new(ca: &TestCa, shape: impl FnOnce(&mut CertificateParams)) -> Self {
        let (certificate, pkcs8) = ca.leaf("unused:", now(), |params| {
            params.subject_alt_names.clear();
            params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
            params.extended_key_usages.clear();
            shape(params);
        });
        let pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            certificates: vec![certificate],
            endorsement: public(ENDORSEMENT, SEALED_TO, pair.public_key_raw()),
            attestation: public(ATTESTATION, SIGNS, key.public_key().as_ref()),
            key,
        }
    }

    fn pub_hash(&self) -> model::Digest {
        digest_of(&EndorsementKey::read(&self.endorsement).unwrap().info().unwrap())
    }

    fn sign(&self, quoted: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&SystemRandom::new(), quoted).unwrap();
        let (r, s) = signature.as_ref().split_at(32);
        [&[0, 0x18, 0, 0x0b][..], &sized(r), &sized(s)].concat()
    }

    /// What it proves by this quote.
    fn proved(&self, sources: &Sources, quoted: &[u8], signature: &[u8]) -> Result<Finding, String> {
        let domain = domain();
        let quote = Some(TpmQuote { statement: statement(&domain), quoted, signature });
        let (certificates, endorsement, attestation) = (&self.certificates, &self.endorsement, &self.attestation);
        let proof = NodeProof::Tpm(TpmProof { certificates, endorsement, attestation, quote });
        presented(sources, "machines", proof, now())
    }

    /// What it proves by a quote as it should be.
    fn answers(&self, sources: &Sources) -> Result<Finding, String> {
        let quoted = quote(GENERATED, QUOTE, &statement(&domain()));
        self.proved(sources, &quoted, &self.sign(&quoted))
    }
}

fn statement(domain: &model::TrustDomain) -> Statement<'_> {
    Statement { source: "machines", ..super::statement(domain) }
}

/// A `TPMS_ATTEST`.
fn quote(magic: u32, kind: u16, statement: &Statement<'_>) -> Vec<u8> {
    quote_of(magic, kind, statement, &[0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0, 0])
}

fn quote_of(magic: u32, kind: u16, statement: &Statement<'_>, pcrs: &[u8]) -> Vec<u8> {
    let head = [&magic.to_be_bytes()[..], &kind.to_be_bytes(), &sized(b"name")].concat();
    let qualifying = sized(tpm_qualifying(statement).as_bytes());
    [head, qualifying, vec![0; 25], pcrs.to_vec(), sized(&[7; 32])].concat()
}

fn trusting(authorities: Option<&[&TestCa]>, listed: Option<&[model::Digest]>) -> Sources {
    let certificates = authorities.map(|all| all.iter().map(|ca| ca.certificate()).collect::<Vec<_>>());
    let listed = listed.map(|all| all.iter().copied().collect::<BTreeSet<_>>());
    let trust = NodeTrust::Tpm(TpmTrust::new(certificates.as_deref(), listed).unwrap());
    Sources::default().with_nodes([("machines".parse().unwrap(), trust)].into())
}

fn selectors(finding: &Finding) -> Vec<String> {
    finding.display.iter().map(|(name, value)| format!("{name}:{value}")).collect()
}

#[test]
fn a_machine_whose_tpm_has_both_keys_is_the_node_of_its_endorsement_key() {
    let ca = ca();
    let machine = Machine::new(&ca, |_| {});
    let key = machine.pub_hash();
    for sources in [
        trusting(Some(&[&ca]), None),
        trusting(None, Some(&[key])),
        trusting(Some(&[&ca]), Some(&[digest_of(b"another"), key])),
    ] {
        let finding = machine.answers(&sources).unwrap();
        assert_eq!(finding.key, [key.to_string()]);
        let pcrs = format!("tpm:pcrs:sha256:0-7:{}", "07".repeat(32));
        assert_eq!(selectors(&finding), [format!("tpm:pub_hash:{key}"), pcrs]);
    }
    // other PCRs say nothing of what was booted
    for pcrs in [&[0, 0, 0, 0][..], &[0, 0, 0, 1, 0, 0x0b, 3, 0x7f, 0, 0], &[0, 0, 0, 1, 0, 4, 3, 0xff, 0, 0]] {
        let quoted = quote_of(GENERATED, QUOTE, &statement(&domain()), pcrs);
        let finding = machine.proved(&trusting(Some(&[&ca]), None), &quoted, &machine.sign(&quoted)).unwrap();
        assert_eq!(selectors(&finding), [format!("tpm:pub_hash:{key}")]);
    }
}

#[test]
fn a_quote_of_another_exchange_or_for_another_request_proves_nothing() {
    let ca = ca();
    let (machine, sources) = (Machine::new(&ca, |_| {}), trusting(Some(&[&ca]), None));
    let (domain, other) = (domain(), "other.test".parse().unwrap());
    let this = statement(&domain);
    for (what, elsewhere) in [
        ("what was sealed in another exchange, or nothing that was sealed", Statement { challenge: &NONCE, ..this }),
        ("another nonce", Statement { nonce: &CHALLENGE, ..this }),
        ("a request for somebody else's key", Statement { request: b"another", ..this }),
        ("another source", Statement { source: "machine", ..this }),
        ("another trust domain", Statement { domain: &other, ..this }),
    ] {
        let quoted = quote(GENERATED, QUOTE, &elsewhere);
        let refused = machine.proved(&sources, &quoted, &machine.sign(&quoted)).unwrap_err();
        assert_eq!(
            refused, "signature_invalid: the TPM's quote is of another exchange, or for another request, or is none",
            "{what}"
        );
    }
    // what a restricted key signs for anybody does not start as what its TPM says, and other things that it says are no quotes
    for (magic, kind) in [(0xff54_4346, QUOTE), (GENERATED, 0x8017), (GENERATED, 0x8014)] {
        let quoted = quote(magic, kind, &this);
        assert!(machine.proved(&sources, &quoted, &machine.sign(&quoted)).is_err());
    }
    // the signature of a device's certificate is over other bytes
    assert_ne!(digest_of(&this.bytes()), tpm_qualifying(&this));
    let quoted = quote(GENERATED, QUOTE, &this);
    let refused = machine.proved(&sources, &quoted, &Machine::new(&ca, |_| {}).sign(&quoted)).unwrap_err();
    assert_eq!(refused, "signature_invalid: the signature does not verify");
    let long = [quoted.clone(), vec![0]].concat();
    assert!(machine.proved(&sources, &long, &machine.sign(&long)).is_err());
    let nothing = NodeProof::Tpm(TpmProof {
        certificates: &machine.certificates,
        endorsement: &machine.endorsement,
        attestation: &machine.attestation,
        quote: None,
    });
    assert!(presented(&sources, "machines", nothing, now()).is_err());
}

#[test]
fn a_key_that_may_be_known_outside_of_the_tpm_or_sign_anything_is_no_attestation_key() {
    let ca = ca();
    let sources = trusting(Some(&[&ca]), None);
    let with = |attributes: u32, parameters: &[u8]| {
        let mut machine = Machine::new(&ca, |_| {});
        machine.attestation = public(attributes, parameters, machine.key.public_key().as_ref());
        machine.answers(&sources)
    };
    assert!(with(ATTESTATION, SIGNS).is_ok());
    let refusal = "credential_malformed: the attestation key is none: it is made in its TPM, never leaves it, signs what that says \
                   alone, and is of P-256";
    for (what, bit) in [
        ("a duplicate of it may be elsewhere", 1),
        ("its parent may be", 4),
        ("somebody gave it to the TPM", 5),
        ("it signs what anybody gives it", 16),
        ("it does not sign", 18),
    ] {
        assert_eq!(with(ATTESTATION & !(1 << bit), SIGNS).unwrap_err(), refusal, "{what}");
    }
    assert_eq!(with(ATTESTATION | 1 << 17, SIGNS).unwrap_err(), refusal, "it decrypts, too");
    assert_eq!(with(ATTESTATION, &[0, 0x10, 0, 0x18, 0, 4, 0, 3, 0, 0x10]).unwrap_err(), refusal, "with SHA-1");
    assert_eq!(with(ENDORSEMENT, SEALED_TO).unwrap_err(), refusal);
}

#[test]
fn an_endorsement_key_that_nobody_vouches_for_is_no_nodes() {
    let ([ca, other], at) = ([ca(), ca()], now());
    let (machine, sources) = (Machine::new(&ca, |_| {}), trusting(Some(&[&ca]), None));
    let start = |refused: Result<Finding, String>, expected: &str| {
        let refused = refused.unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    };
    start(Machine::new(&other, |_| {}).answers(&sources), "chain_invalid: the certificate chain does not verify: ");
    // the certificate of a TPM that is somewhere else
    let stolen = Machine { certificates: Machine::new(&ca, |_| {}).certificates, ..Machine::new(&ca, |_| {}) };
    start(stolen.answers(&sources), "chain_invalid: the certificate is for another endorsement key");
    start(Machine { certificates: Vec::new(), ..Machine::new(&ca, |_| {}) }.answers(&sources), "chain_invalid: ");
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    start(
        Machine::new(&ca, |params| params.not_after = testkit::date(at.minus(hours(1)))).answers(&sources),
        "expired: ",
    );
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    start(
        Machine::new(&ca, authority).answers(&sources),
        "chain_invalid: the certificate chain does not verify: it is a CA",
    );
    let client =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    start(Machine::new(&ca, client).answers(&sources), "chain_invalid: the certificate chain does not verify: ");
    let endorses = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
    };
    assert!(Machine::new(&ca, endorses).answers(&sources).is_ok());
    // a key that signs is none to seal to, whatever certificate it has
    let mut signs = Machine::new(&ca, |_| {});
    signs.endorsement[4..8].copy_from_slice(&(ENDORSEMENT | 1 << 18).to_be_bytes());
    start(signs.answers(&sources), "credential_malformed: the endorsement key is none that can be used");
    let listed = trusting(Some(&[&ca]), Some(&[digest_of(b"another")]));
    start(machine.answers(&listed), &format!("principal_unknown: `{}` is not among ", machine.pub_hash()));
    start(machine.answers(&trusting(None, None)), "principal_unknown: ");
    start(machine.answers(&trusting(Some(&[]), None)), "chain_invalid: ");
}

#[test]
fn a_tpm_is_no_device_and_a_device_no_tpm() {
    let ca = ca();
    let machine = Machine::new(&ca, |_| {});
    let refused = machine.answers(&super::trusting(&[&ca])).unwrap_err();
    assert!(
        refused.starts_with("issuer_unknown: no trust source of this name vouches for nodes by `tpm`"),
        "{refused}"
    );
    let domain = domain();
    let possession = super::Possession { chain: &machine.certificates, statement: statement(&domain), signature: &[] };
    let sources = trusting(Some(&[&ca]), None);
    let refused = presented(&sources, "machines", NodeProof::X509Pop(possession), now()).unwrap_err();
    assert!(refused.starts_with("issuer_unknown: "), "{refused}");
}

#[test]
fn structures_that_were_changed_prove_nothing_and_stop_nothing() {
    let ca = ca();
    let (machine, sources) = (Machine::new(&ca, |_| {}), trusting(Some(&[&ca]), None));
    let quoted = quote(GENERATED, QUOTE, &statement(&domain()));
    let signature = machine.sign(&quoted);
    mutate(&quoted, 3_000, |changed| {
        assert!(machine.proved(&sources, changed, &signature).is_err() || changed == quoted);
    });
    mutate(&signature, 3_000, |changed| {
        // a number may have zeros before it
        let _ = machine.proved(&sources, &quoted, changed);
    });
    let mut changing = Machine::new(&ca, |_| {});
    let (endorsement, attestation) = (changing.endorsement.clone(), changing.attestation.clone());
    mutate(&endorsement, 3_000, |changed| {
        changing.endorsement = changed.to_vec();
        if let Ok(finding) = changing.answers(&sources) {
            // what is not of the key itself may be anything
            assert_eq!(finding.key, [machine_hash(&endorsement)]);
        }
    });
    changing.endorsement.clone_from(&endorsement);
    mutate(&attestation, 3_000, |changed| {
        changing.attestation = changed.to_vec();
        let _ = changing.answers(&sources);
    });
}

fn machine_hash(endorsement: &[u8]) -> String {
    digest_of(&EndorsementKey::read(endorsement).unwrap().info().unwrap()).to_string()
}
