//! What an outer authority signs: taken where an SVID below it verifies against the roots alone, and refused for everything else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use credential::PeerCertificates;
use issuer::lifecycle::{KeyKind, KeyStep};
use issuer::{CertificateRequest, NewKey, Order, Term, pem};
use model::{SpiffeId, Time, TrustDomain};
use net::causes::chain;
use net::{now, serial};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use store::{KeptAuthority, KeptUpstream, P256Signer, SealingKey, State};
use tempfile::TempDir;
use testkit::{TestCa, date, uri};

use super::{Answered, proved};
use crate::estate::{DiskUpstream, UpstreamSettings};
use crate::issuing::kept::Opened;
use crate::issuing::{By, Custody, Issuer, Issuers, Lives, Upstream};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn domain() -> TrustDomain {
    "prod.acme.test".parse().unwrap()
}

/// A folder with an outer authority in files, which ends after `life`.
struct Outer {
    dir: TempDir,
    root: Vec<u8>,
}

impl Outer {
    fn with(key: &KeyPair, life: Duration) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "Acme root");
        params.not_before = date(now().minus(HOUR));
        params.not_after = date(now().plus(life));
        let root = params.self_signed(key).unwrap().der().to_vec();
        let outer = Self { dir: TempDir::new().unwrap(), root };
        let certificate = pem::encode("CERTIFICATE", &outer.root);
        outer.write("outer.pem", &certificate, 0o644);
        outer.write("bundle.pem", &certificate, 0o644);
        outer.write("outer.key", &pem::encode("PRIVATE KEY", &key.serialize_der()), 0o600);
        outer
    }

    fn new() -> Self {
        Self::with(&KeyPair::generate().unwrap(), DAY * 365)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn upstream(&self) -> Upstream {
        let path = |name| self.dir.path().join(name);
        let (certificate, key, bundle) = (path("outer.pem"), path("outer.key"), path("bundle.pem"));
        Upstream::new(UpstreamSettings::Disk(DiskUpstream { certificate, key, bundle }))
    }

    async fn issuers(&self) -> Issuers {
        let state = State::open(&self.dir.path().join("state.db")).await.unwrap();
        let signing = (Custody::State, Some(self.upstream()));
        Issuers::new(self.dir.path().join("keys"), state, Lives::default(), signing)
    }

    /// Why an authority is not signed, without the folder.
    async fn refused(&self) -> String {
        let why = self.issuers().await.of(&domain(), now()).await.err().expect("refused");
        chain(&why).replace(&format!("{}/", self.dir.path().display()), "")
    }
}

fn minted(by: &Issuer, at: Time) -> PeerCertificates {
    let id: SpiffeId = "spiffe://prod.acme.test/a".parse().unwrap();
    let key = CertificateRequest::read(&NewKey::make().unwrap().request).unwrap();
    let order = Order { id: &id, key: &key, hosts: &[], ttl: HOUR, until: Time::MAX };
    PeerCertificates::new(by.authority.mint(&order, serial(), at).unwrap().into_chain())
}

#[tokio::test]
async fn an_authority_is_signed_by_a_key_of_any_kind_and_its_svids_verify_by_the_root_alone() {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let of = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    for (key, kind) in [(of(&PKCS_ECDSA_P256_SHA256), "P-256"), (of(&PKCS_ECDSA_P384_SHA384), "P-384"), (rsa, "RSA")] {
        let outer = Outer::with(&key, DAY * 365);
        let issuers = outer.issuers().await;
        let issuer = issuers.of(&domain(), now()).await.unwrap();
        assert_eq!(issuer.x509_authorities(), std::slice::from_ref(&outer.root), "{kind}");
        let root = super::bundle(&domain(), std::slice::from_ref(&outer.root)).unwrap();
        minted(&issuer, now()).check(&credential::Authorities::new([root]), now()).unwrap();
        let published = issuer.spiffe_bundle();
        let key = &published["keys"][0];
        assert!(key["crv"] == *kind || key["kty"] == *kind, "{published}");
    }
}

#[tokio::test]
async fn what_follows_is_signed_likewise_and_the_bundle_stays_as_it_is() {
    let outer = Outer::new();
    let issuers = outer.issuers().await;
    let before = issuers.of(&domain(), now()).await.unwrap();
    let by = By { actor: "human:local:0".to_owned(), record: "r".to_owned(), at: now() };
    let id = issuers.step(&domain(), KeyKind::X509, &KeyStep::Prepare, &by).await.unwrap();
    issuers.step(&domain(), KeyKind::X509, &KeyStep::Activate(id), &by).await.unwrap();
    let after = issuers.of(&domain(), now()).await.unwrap();
    assert_ne!(before.authority.public_point(), after.authority.public_point());
    assert_eq!(before.bundle_pem(), after.bundle_pem());
    minted(&before, now()).check(&after.authorities(), now()).unwrap();
    minted(&after, now()).check(&before.authorities(), now()).unwrap();
}

#[tokio::test]
async fn an_authority_never_outlives_the_outer_one() {
    let outer = Outer::with(&KeyPair::generate().unwrap(), HOUR / 2);
    let issuer = outer.issuers().await.of(&domain(), now()).await.unwrap();
    let ends = now().plus(HOUR / 2);
    assert!(issuer.authority.not_after() <= ends);
    assert!(minted(&issuer, now()).ends().unwrap() <= ends);
}

#[tokio::test]
async fn who_may_write_the_database_puts_no_other_root_above_an_authority() {
    let outer = Outer::new();
    outer.issuers().await.of(&domain(), now()).await.unwrap();
    let state = State::open(&outer.dir.path().join("state.db")).await.unwrap();
    let kept = state.authorities("prod.acme.test").await.unwrap().authorities;
    let kept = kept.into_iter().find(|one| one.upstream.is_some()).unwrap();
    let seal = SealingKey::open(&outer.dir.path().join("keys/seal.key")).unwrap().unwrap();
    let opens = |change: fn(&mut KeptUpstream, String)| {
        let mut forged = kept.clone();
        let upstream = forged.upstream.as_mut().unwrap();
        change(upstream, pem::encode("CERTIFICATE", &Outer::new().root));
        Opened::read(&domain(), forged, &seal).is_ok()
    };
    assert!(opens(|_, _| {}));
    assert!(!opens(|upstream, other| upstream.roots = other));
    assert!(!opens(|upstream, other| upstream.above += &other));
    assert!(Opened::read(&domain(), KeptAuthority { upstream: None, ..kept.clone() }, &seal).is_err());
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_refused_by_name() {
    const WHY: &str = "the upstream authority signed none for trust domain `prod.acme.test`: ";
    let check = async |outer: &Outer, expected: &str| assert_eq!(outer.refused().await, format!("{WHY}{expected}"));
    let outer = Outer::new();
    outer.write("outer.key", &fs::read_to_string(outer.dir.path().join("outer.key")).unwrap(), 0o644);
    let words = "cannot use its key: `outer.key` can be used by others than its owner (mode 644); `chmod 600` it, or make a new key";
    check(&outer, words).await;
    fs::remove_file(outer.dir.path().join("outer.key")).unwrap();
    check(&outer, "there is no key `outer.key`").await;
    outer.write("bundle.pem", "nothing", 0o644);
    check(&outer, "`bundle.pem` is not certificates in PEM: expected one PEM block `CERTIFICATE`").await;
    let other = Outer::new();
    let outer = Outer::new();
    outer.write("outer.key", &fs::read_to_string(other.dir.path().join("outer.key")).unwrap(), 0o600);
    check(&outer, "what it signed does not lead to the roots that are trusted for it: the certificate chain does not verify: InvalidSignatureForPublicKey").await;
    let outer = Outer::new();
    let stranger = TestCa::new("prod.acme.test", now(), |_| {});
    outer.write("bundle.pem", &pem::encode("CERTIFICATE", &stranger.certificate()), 0o644);
    check(&outer, "what it signed does not lead to the roots that are trusted for it: the certificate chain does not verify: UnknownIssuer")
        .await;
    let leaf = stranger.leaf("spiffe://prod.acme.test/a", now(), |_| {}).0;
    outer.write("outer.pem", &pem::encode("CERTIFICATE", &leaf), 0o644);
    check(&outer, "`outer.pem` is no authority's certificate: its SPIFFE ID has a path, as no authority's may").await;
}

/// Why an answer is refused that signs `key` like this.
fn answered(shape: impl FnOnce(&mut CertificateParams), asked: bool) -> Result<Time, String> {
    let ca = TestCa::new("prod.acme.test", now(), |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let (signer, pkcs8) = P256Signer::make().unwrap();
    let ours = KeyPair::try_from(pkcs8).unwrap();
    let key = if asked { ours } else { KeyPair::generate().unwrap() };
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![uri("spiffe://prod.acme.test")];
    params.not_before = date(now().minus(HOUR));
    params.not_after = date(now().plus(DAY));
    shape(&mut params);
    let certificate = ca.sign(&params, &key);
    let answer = Answered { chain: vec![certificate], roots: vec![ca.certificate()], outer: None };
    let proved = proved(&domain(), Box::new(signer), answer, Term { at: now(), life: HOUR, below: 0 });
    proved.map(|signed| signed.ends).map_err(|why| chain(&why))
}

#[test]
fn only_what_was_asked_for_is_taken() {
    let refused = |expected: &str, shape: fn(&mut CertificateParams)| {
        assert_eq!(answered(shape, true).unwrap_err(), expected);
    };
    answered(|_| {}, true).unwrap();
    assert_eq!(answered(|_| {}, false).unwrap_err(), "it signed another key than it was asked to");
    let none = "it signed no authority of trust domain `prod.acme.test`: ";
    refused(&format!("{none}it is not a CA"), |params| params.is_ca = IsCa::ExplicitNoCa);
    refused(&format!("{none}its key usage has no keyCertSign"), |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    });
    refused(&format!("{none}its SPIFFE ID is of trust domain `other.test`, not `prod.acme.test`"), |params| {
        params.subject_alt_names = vec![uri("spiffe://other.test")];
    });
    refused("its certificate names no trust domain", |params| {
        params.subject_alt_names = vec![SanType::DnsName("prod.acme.test".try_into().unwrap())];
    });
    refused("its certificate does not bound what stands below ours as asked: expected a path length of 0", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    refused("its certificate names our key otherwise than we do: SVIDs would not lead to it", |params| {
        params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![7; 20]);
    });
    let ended = answered(|params| params.not_after = date(now().minus(HOUR / 2)), true).unwrap_err();
    assert!(ended.starts_with("what it signed does not lead to the roots"), "{ended}");
}
