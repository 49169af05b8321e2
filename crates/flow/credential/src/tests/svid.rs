//! X.509-SVIDs: what X509-SVID.md asks, line by line, and the certificates that break each line.

use std::time::Duration;

use model::{Binding, Code, Time};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};
use testkit::{TestCa, date, uri};

use crate::{
    Authorities, BadBundle, Bundle, Cause, Channel, PeerCertificates, Presented, Revocable, Revocations, Sources,
    Standing, Step, examine, verify,
};

const DOMAIN: &str = "prod.acme.test";
const ID: &str = "spiffe://prod.acme.test/billing/reporter";
const BACKDATE: Duration = Duration::from_secs(10);

fn now() -> Time {
    "2027-01-02T03:04:05Z".parse().unwrap()
}

fn sound(_: &mut CertificateParams) {}

fn trusting(authorities: &[&TestCa]) -> Authorities {
    let certificates: Vec<_> = authorities.iter().map(|ca| ca.certificate()).collect();
    let source = crate::SVIDS.parse().unwrap();
    Authorities::new([Bundle::new(source, DOMAIN.parse().unwrap(), &certificates, BACKDATE).unwrap()])
}

/// The cause for which a leaf of a trusted authority is refused.
fn check_leaf(id: &str, shape: impl FnOnce(&mut CertificateParams)) -> Option<String> {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let (leaf, _) = ca.leaf(id, now(), shape);
    cause(&trusting(&[&ca]), vec![leaf], now())
}

fn cause(authorities: &Authorities, chain: Vec<Vec<u8>>, at: Time) -> Option<String> {
    let refused = PeerCertificates::new(chain).check(authorities, at).err()?;
    Some(format!("{}: {refused}", refused.code()))
}

#[track_caller]
fn assert_refused(found: Option<String>, expected: &str) {
    assert_eq!(found.as_deref(), Some(expected));
}

#[test]
fn a_sound_svid_proves_its_id_bound_to_the_connection() {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let (leaf, _) = ca.leaf(ID, now(), sound);
    let peer = PeerCertificates::new(vec![leaf.clone()]);
    let sources = Sources::default().with_authorities(trusting(&[&ca]));
    let presented = Presented { channel: Some(Channel::Tls(&peer)), message: None };
    let proofs = verify(&sources, &presented, now()).unwrap();
    let finding = proofs.channel().unwrap().finding();
    assert_eq!((finding.key.as_slice(), finding.source.as_str()), (&[ID.to_owned()][..], "spiffe"));
    assert_eq!((finding.binding, finding.digest), (Binding::Mtls, crate::digest_of(&leaf)));
    assert!(finding.credential_id.starts_with("serial:") && finding.key_id.is_some());
    let second = Duration::from_secs(1);
    assert_eq!(finding.until, finding.expires.unwrap().plus(second));
    assert_eq!(finding.issued, Some(now().minus(Duration::from_secs(3600)).plus(BACKDATE)));
}

#[test]
fn a_chain_is_examined_step_by_step_and_proves_nobody() {
    let (ca, other) = (TestCa::new(DOMAIN, now(), sound), TestCa::new(DOMAIN, now(), sound));
    let sources = Sources::default().with_authorities(trusting(&[&ca]));
    let step = |ca: &TestCa, id: &str, at: Time| {
        let chain = PeerCertificates::new(vec![ca.leaf(id, now(), sound).0]);
        examine(&sources, &chain, at).map(|finding| finding.key.join(" ")).map_err(|(step, cause)| (step, cause.code()))
    };
    let later = now().plus(Duration::from_secs(7200));
    assert_eq!(step(&ca, ID, now()), Ok(ID.to_owned()));
    assert_eq!(step(&ca, "spiffe://prod.acme.test", later), Err((Step::Shape, Code::ChainInvalid)));
    assert_eq!(step(&other, "spiffe://other.test/a", later), Err((Step::Times, Code::Expired)));
    assert_eq!(step(&other, "spiffe://other.test/a", now()), Err((Step::Issuer, Code::IssuerUnknown)));
    assert_eq!(step(&other, ID, now()), Err((Step::Signature, Code::ChainInvalid)));
    let source = Revocable::Source(crate::SVIDS.parse().unwrap());
    let revoked = Revocations::new(1, [(source, now(), Standing::Revoked)]);
    let sources = sources.with_revocations(revoked.into());
    let (step, cause) =
        examine(&sources, &PeerCertificates::new(vec![ca.leaf(ID, now(), sound).0]), now()).unwrap_err();
    assert_eq!((step, cause.code()), (Step::Revocation, Code::Revoked));
    assert_eq!(examine(&sources, &PeerCertificates::new(Vec::new()), now()).unwrap_err().0, Step::Shape);
}

#[test]
fn an_intermediate_authority_may_sign_and_ends_the_proof_when_it_ends() {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let soon = now().plus(Duration::from_secs(60));
    let below = ca.below(DOMAIN, now(), |params| params.not_after = date(soon));
    let (leaf, _) = below.leaf(ID, now(), sound);
    let chain = vec![leaf, below.certificate()];
    let peer = PeerCertificates::new(chain.clone());
    assert_eq!(peer.check(&trusting(&[&ca]), now()).unwrap().until, soon.plus(Duration::from_secs(1)));
    // the memo of the first check does not outlive the authority
    let after = soon.plus(Duration::from_secs(1));
    assert_eq!(peer.check(&trusting(&[&ca]), after).unwrap_err().code(), Code::Expired);
    assert_refused(
        cause(&trusting(&[&ca]), chain, after),
        &format!(
            "chain_invalid: the certificate chain does not verify: {}",
            webpki::Error::CertExpired { time: unix(after), not_after: unix(soon) }
        ),
    );
}

fn unix(time: Time) -> rustls_pki_types::UnixTime {
    let seconds = u64::try_from(time.as_micros() / 1_000_000).unwrap();
    rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[test]
fn a_leaf_that_breaks_a_line_of_x509_svid_is_refused() {
    let chain = |why: &str| format!("chain_invalid: the certificate chain does not verify: {why}");
    // §2: exactly one URI name, which is a SPIFFE ID
    let two = check_leaf(ID, |params| params.subject_alt_names.push(uri("spiffe://prod.acme.test/billing/other")));
    assert_refused(two, &chain("it has 2 URI names; an SVID has exactly one"));
    let none = check_leaf(ID, |params| params.subject_alt_names = vec![SanType::DnsName("a.test".try_into().unwrap())]);
    assert_refused(none, &chain("it has 0 URI names; an SVID has exactly one"));
    let web = check_leaf("https://prod.acme.test/billing", sound);
    assert_refused(web, &chain("its URI name is not a SPIFFE ID: a SPIFFE ID starts with `spiffe://`"));
    let upper = check_leaf("spiffe://PROD.acme.test/billing", sound);
    assert!(upper.unwrap().starts_with(&chain("its URI name is not a SPIFFE ID: a trust domain has only")));
    // §3.1, §5.2: a path
    assert_refused(
        check_leaf("spiffe://prod.acme.test", sound),
        &chain("its SPIFFE ID has no path, as only an authority's may"),
    );
    // §4.1: no CA
    let ca = check_leaf(ID, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_refused(ca, &chain("it is a CA"));
    // §4.3: key usage
    let without = check_leaf(ID, |params| params.key_usages = Vec::new());
    assert_refused(without, &chain("its key usage is missing or not critical"));
    let agreement = check_leaf(ID, |params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    assert_refused(agreement, &chain("its key usage has no digitalSignature"));
    let signs = check_leaf(ID, |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign));
    assert_refused(signs, &chain("its key usage has keyCertSign or cRLSign"));
    let lists = check_leaf(ID, |params| params.key_usages.push(KeyUsagePurpose::CrlSign));
    assert_refused(lists, &chain("its key usage has keyCertSign or cRLSign"));
    // §4.4: both, or no extended key usage at all
    let half = check_leaf(ID, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_refused(half, &chain("its extended key usage lacks serverAuth or clientAuth"));
    assert_eq!(check_leaf(ID, |params| params.extended_key_usages = Vec::new()), None);
}

#[test]
fn other_names_and_an_empty_subject_do_no_harm() {
    let host = || SanType::DnsName("reporter.acme.test".try_into().unwrap());
    assert_eq!(check_leaf(ID, |params| params.subject_alt_names.push(host())), None);
    // rcgen makes the names critical then, as §3.1 asks
    assert_eq!(check_leaf(ID, |params| params.distinguished_name = DistinguishedName::new()), None);
}

#[test]
fn certificates_have_no_leeway() {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let (leaf, _) = ca.leaf(ID, now(), sound);
    let trusted = trusting(&[&ca]);
    let hour = Duration::from_secs(3600);
    let second = Duration::from_secs(1);
    let code = |at| PeerCertificates::new(vec![leaf.clone()]).check(&trusted, at).map_err(|cause| cause.code());
    assert!(code(now().plus(hour)).is_ok());
    assert_eq!(code(now().plus(hour).plus(second)).unwrap_err(), Code::Expired);
    assert!(code(now().minus(hour)).is_ok());
    assert_eq!(code(now().minus(hour).minus(second)).unwrap_err(), Code::NotYetValid);
}

#[test]
fn the_last_second_counts_for_requests_and_streams_alike() {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let (leaf, _) = ca.leaf(ID, now(), sound);
    let trusted = trusting(&[&ca]);
    let peer = PeerCertificates::new(vec![leaf]);
    let until = peer.check(&trusted, now()).unwrap().until;
    let micro = Duration::from_micros(1);
    assert_eq!(until, now().plus(Duration::from_secs(3601)));
    assert!(peer.check(&trusted, until.minus(micro)).is_ok());
    assert_eq!(peer.check(&trusted, until).unwrap_err().code(), Code::Expired);
}

#[test]
fn an_authority_that_signs_leaves_alone_has_none_below() {
    let check = |most: u8, between: usize| {
        let ca = TestCa::new(DOMAIN, now(), |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most)));
        let mut above = Vec::new();
        let mut last = None;
        for _ in 0..between {
            let middle = last.as_ref().unwrap_or(&ca).below(DOMAIN, now(), sound);
            above.insert(0, middle.certificate());
            last = Some(middle);
        }
        let (leaf, _) = last.as_ref().unwrap_or(&ca).leaf(ID, now(), sound);
        let chain = std::iter::once(leaf).chain(above).collect();
        cause(&trusting(&[&ca]), chain, now())
    };
    assert_eq!(check(0, 0), None);
    assert_eq!(check(1, 1), None);
    let refused = |below| {
        format!(
            "chain_invalid: the certificate chain does not verify: {below} authorities stand between it and one that allows fewer"
        )
    };
    assert_refused(check(0, 1), &refused(1));
    assert_refused(check(1, 2), &refused(2));
}

#[test]
fn a_chain_is_checked_against_the_bundle_of_its_own_trust_domain_alone() {
    let ours = TestCa::new(DOMAIN, now(), sound);
    let staging = TestCa::new("staging.acme.test", now(), sound);
    let (other_domain, _) = staging.leaf("spiffe://staging.acme.test/billing/reporter", now(), sound);
    assert_refused(
        cause(&trusting(&[&ours]), vec![other_domain.clone()], now()),
        "issuer_unknown: trust domain `staging.acme.test` is not trusted here",
    );
    // staging's authority claims a production id: its key is in staging's bundle, and that is not asked
    let bundle = |domain: &str, ca: &TestCa| {
        Bundle::new(domain.parse().unwrap(), domain.parse().unwrap(), &[ca.certificate()], BACKDATE).unwrap()
    };
    let both = Authorities::new([bundle(DOMAIN, &ours), bundle("staging.acme.test", &staging)]);
    let (forged, _) = staging.leaf(ID, now(), sound);
    assert_refused(
        cause(&both, vec![forged], now()),
        "chain_invalid: the certificate chain does not verify: UnknownIssuer",
    );
    assert_eq!(cause(&both, vec![other_domain], now()), None);
}

#[test]
fn an_empty_bundle_refuses_every_svid() {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let (leaf, _) = ca.leaf(ID, now(), sound);
    let refused = "chain_invalid: the certificate chain does not verify: UnknownIssuer";
    assert_refused(cause(&trusting(&[]), vec![leaf], now()), refused);
}

#[test]
fn a_bundle_that_changes_is_asked_again_on_the_same_connection() {
    let (old, new) = (TestCa::new(DOMAIN, now(), sound), TestCa::new(DOMAIN, now(), sound));
    let (leaf, _) = old.leaf(ID, now(), sound);
    let peer = PeerCertificates::new(vec![leaf]);
    assert!(peer.check(&trusting(&[&old]), now()).is_ok());
    assert!(peer.check(&trusting(&[&old, &new]), now()).is_ok());
    assert_eq!(peer.check(&trusting(&[&new]), now()).unwrap_err().code(), Code::ChainInvalid);
}

#[test]
fn authorities_that_may_not_sign_for_the_trust_domain_make_no_bundle() {
    let check = |shape: fn(&mut CertificateParams)| {
        let ca = TestCa::new(DOMAIN, now(), shape);
        let made = Bundle::new("spiffe".parse().unwrap(), DOMAIN.parse().unwrap(), &[ca.certificate()], BACKDATE);
        let BadBundle::Authority { place: 1, source } = made.err()? else { panic!("another cause") };
        Some(source.to_string())
    };
    assert_eq!(check(sound), None);
    assert_eq!(check(|params| params.subject_alt_names = Vec::new()), None);
    let refused = |shape, why: &str| assert_eq!(check(shape).as_deref(), Some(why));
    refused(|params| params.subject_alt_names = vec![uri(ID)], "its SPIFFE ID has a path, as no authority's may");
    refused(
        |params| params.subject_alt_names = vec![uri("spiffe://other.test")],
        "its SPIFFE ID is of trust domain `other.test`, not `prod.acme.test`",
    );
    refused(|params| params.is_ca = IsCa::NoCa, "it is not a CA");
    refused(|params| params.key_usages = Vec::new(), "its key usage is missing or not critical");
    refused(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign], "its key usage has no keyCertSign");
}

#[test]
fn a_leaf_never_signs_another() {
    // the leaf's own certificate stands where an authority's belongs
    let ca = TestCa::new(DOMAIN, now(), sound);
    let middle = ca.below(DOMAIN, now(), |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![uri("spiffe://prod.acme.test/billing")];
    });
    let (leaf, _) = middle.leaf(ID, now(), sound);
    let refused =
        "chain_invalid: the certificate chain does not verify: its SPIFFE ID has a path, as no authority's may";
    assert_refused(cause(&trusting(&[&ca]), vec![leaf, middle.certificate()], now()), refused);
}

#[test]
fn chains_are_bounded() {
    let ca = TestCa::new(DOMAIN, now(), sound);
    let (leaf, _) = ca.leaf(ID, now(), sound);
    let mut chain = vec![leaf];
    chain.extend(std::iter::repeat_n(ca.certificate(), 8));
    let refused = "chain_invalid: the certificate chain does not verify: 9 certificates, or one that is too long";
    assert_refused(cause(&trusting(&[&ca]), chain, now()), refused);
    let none = "chain_invalid: the certificate chain does not verify: it is not one X.509 certificate in DER";
    assert_refused(cause(&trusting(&[&ca]), Vec::new(), now()), none);
    let long = "chain_invalid: the certificate chain does not verify: 1 certificates, or one that is too long";
    assert_refused(cause(&trusting(&[&ca]), vec![vec![0x30; 17 * 1024]], now()), long);
}

proptest! {
    #[test]
    fn damaged_certificates_are_refused_and_never_panic(at in 0_usize..4096, byte: u8, cut in 0_usize..4096) {
        let ca = TestCa::new(DOMAIN, now(), sound);
        let (mut leaf, _) = ca.leaf(ID, now(), sound);
        let place = at % leaf.len();
        let before = leaf.get(place).copied();
        if let Some(target) = leaf.get_mut(place) { *target = byte; }
        let damaged = before != Some(byte);
        let found = PeerCertificates::new(vec![leaf.clone()]).check(&trusting(&[&ca]), now());
        prop_assert_eq!(found.is_err(), damaged);
        leaf.truncate(cut % leaf.len());
        let found = PeerCertificates::new(vec![leaf]).check(&trusting(&[&ca]), now());
        let unreadable = matches!(found, Err(Cause::ChainInvalid { .. }));
        prop_assert!(unreadable);
    }
}

#[test]
fn certificates_that_stand_one_after_the_other_are_read_apart_or_refused() {
    let ca = TestCa::new("prod.acme.test", now(), |_| {});
    let all = [ca.certificate(), ca.leaf("spiffe://prod.acme.test/a", now(), |_| {}).0, ca.certificate()];
    assert_eq!(crate::certificates_apart(&all.concat()).unwrap(), all);
    assert_eq!(crate::certificates_apart(&[]).unwrap(), Vec::<Vec<u8>>::new());
    let mut cut = all.concat();
    cut.pop();
    assert!(crate::certificates_apart(&cut).is_err());
    assert!(crate::certificates_apart(&ca.certificate().repeat(257)).is_err());
    testkit::mutate(&all.concat(), 2_000, |bytes| {
        if let Ok(apart) = crate::certificates_apart(bytes) {
            assert_eq!(apart.concat(), bytes, "nothing is left out");
        }
    });
}
