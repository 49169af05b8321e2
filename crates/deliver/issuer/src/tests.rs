//! What is minted is looked at by the code that verifies it.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use credential::{Authorities, Bundle, PeerCertificates};
use model::{RecordId, SpiffeId, Time, TrustDomain};

use crate::{
    Authority, BACKDATE, CertificateRequest, JwtAuthority, JwtOrder, NewKey, Order, Published, PublishedCertificate,
    PublishedKey, Signer, SigningFailed, Term, WitAuthority, WitOrder,
};

struct MemorySigner(EcdsaKeyPair, EcdsaKeyPair);

impl MemorySigner {
    fn make() -> Box<Self> {
        Self::of(EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap().as_ref())
    }

    fn of(pkcs8: &[u8]) -> Box<Self> {
        let with = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).unwrap();
        Box::new(Self(with(&ECDSA_P256_SHA256_ASN1_SIGNING), with(&ECDSA_P256_SHA256_FIXED_SIGNING)))
    }
}

impl Signer for MemorySigner {
    fn sign_asn1(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.0.sign(&SystemRandom::new(), message).map(|signed| signed.as_ref().to_vec()).or(Err(SigningFailed))
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.1.sign(&SystemRandom::new(), message).map(|signed| signed.as_ref().to_vec()).or(Err(SigningFailed))
    }

    fn public_point(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Time {
    "2027-01-02T03:04:05.678901Z".parse().unwrap()
}

fn domain() -> TrustDomain {
    "prod.acme.test".parse().unwrap()
}

fn authority(life: Duration) -> Authority {
    Authority::found(domain(), MemorySigner::make(), [0xff; 16], Term { at: now(), life, below: 0 }).unwrap()
}

/// Mints, and gives what the SVID proves, or the words of the refusal.
fn check_mint(authority: &Authority, id: &str, ttl: Duration, until: Time) -> Result<credential::Finding, String> {
    let id: SpiffeId = id.parse().unwrap();
    let key = CertificateRequest::read(&NewKey::make().unwrap().request).unwrap();
    let order = Order { id: &id, key: &key, hosts: &["a.test".to_owned(), "127.0.0.1".to_owned()], ttl, until };
    let svid = authority.mint(&order, [0; 16], now()).map_err(|error| error.to_string())?;
    let certificates = [authority.certificate().to_vec()];
    let bundle = Bundle::new("spiffe".parse().unwrap(), domain(), &certificates, BACKDATE).unwrap();
    let peer = PeerCertificates::new(vec![svid.certificate]);
    peer.check(&Authorities::new([bundle]), now()).map_err(|cause| cause.to_string())
}

#[test]
fn what_is_minted_verifies_and_names_its_principal() {
    let finding = check_mint(&authority(24 * HOUR), "spiffe://prod.acme.test/a", HOUR, Time::MAX).unwrap();
    assert_eq!(finding.key, ["spiffe://prod.acme.test/a"]);
    assert_eq!(finding.expires.unwrap().to_string(), "2027-01-02T04:04:05.000000Z");
    assert_eq!(finding.issued.unwrap().to_string(), "2027-01-02T03:04:05.000000Z");
    assert_eq!(finding.credential_id, format!("serial:40{}", "00".repeat(15)));
}

#[test]
fn an_svid_never_outlives_its_authority_its_principal_or_its_permit() {
    let expires = |life, until| {
        let finding = check_mint(&authority(life), "spiffe://prod.acme.test/a", HOUR, until).unwrap();
        finding.expires.unwrap().to_string()
    };
    assert_eq!(expires(HOUR / 2, Time::MAX), "2027-01-02T03:34:05.000000Z");
    let soon = "2027-01-02T03:10:00.5Z".parse().unwrap();
    assert_eq!(expires(24 * HOUR, soon), "2027-01-02T03:10:00.000000Z");
}

#[test]
fn what_cannot_be_an_svid_is_not_minted() {
    let refused = |id, until| check_mint(&authority(24 * HOUR), id, HOUR, until).unwrap_err();
    assert_eq!(
        refused("spiffe://staging.acme.test/a", Time::MAX),
        "`spiffe://staging.acme.test/a` is not of trust domain `prod.acme.test`"
    );
    assert_eq!(
        refused("spiffe://prod.acme.test", Time::MAX),
        "`spiffe://prod.acme.test` has no path: it names the trust domain itself"
    );
    assert_eq!(
        refused("spiffe://prod.acme.test/a", now()),
        "the authority, or what the SVID may not outlive, has ended"
    );
}

#[test]
fn a_request_is_read_only_if_its_key_signed_it() {
    let mut request = NewKey::make().unwrap().request;
    assert!(CertificateRequest::read(&request).is_ok());
    let last = request.len() - 1;
    request[last] ^= 1;
    let why = CertificateRequest::read(&request).err().unwrap().to_string();
    assert!(why.starts_with("expected a certificate request (PKCS #10, in DER), signed by its own key: "), "{why}");
    let why = CertificateRequest::read(&vec![0x30; 17 * 1024]).err().unwrap().to_string();
    assert_eq!(why, "the certificate request has 17408 bytes; at most 16384 are read");
}

#[test]
fn an_authority_is_resumed_by_its_certificate_and_no_two_have_one_name() {
    let life = 24 * HOUR;
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
    let der = made.as_ref();
    let first = Authority::found(domain(), MemorySigner::of(der), [1; 16], Term { at: now(), life, below: 0 }).unwrap();
    let resumed =
        Authority::resume(domain(), MemorySigner::of(der), first.certificate().to_vec(), Vec::new(), first.not_after());
    let finding = check_mint(&resumed.unwrap(), "spiffe://prod.acme.test/a", HOUR, Time::MAX).unwrap();
    assert_eq!(finding.key_id, Some(crate::key_id(first.public_point())), "what it signs names it");
    let why = Authority::resume(domain(), MemorySigner::of(der), b"no certificate".to_vec(), Vec::new(), now())
        .err()
        .unwrap();
    assert_eq!(why.to_string(), "the certificate cannot be made");
    let other = authority(life);
    let name = |authority: &Authority| {
        let at = authority.certificate().windows(5).position(|part| part == [0x06, 0x03, 0x55, 0x04, 0x05]).unwrap();
        authority.certificate()[at..at + 47].to_vec()
    };
    assert_ne!(name(&first), name(&other));
}

/// SPIFFE_Trust_Domain_and_Bundle.md §4.1–§4.2, X509-SVID.md §6.1, JWT-SVID.md §6.1.
#[test]
fn a_bundle_has_every_authority_and_is_asked_for_ten_times_in_the_life_of_one() {
    let authorities = [authority(24 * HOUR), authority(24 * HOUR)];
    let jwt = JwtAuthority::new(&domain(), MemorySigner::make(), Time::MAX);
    let x509 = authorities.iter().map(|authority| {
        let (x, y) = authority.public_point()[1..].split_at(32);
        let key = PublishedKey::Ec { curve: "P-256", x: x.to_vec(), y: y.to_vec() };
        PublishedCertificate { certificate: authority.certificate().to_vec(), key }
    });
    let wit = MemorySigner::make().public_point().to_vec();
    let mut published = Published {
        x509: x509.collect(),
        jwt: vec![jwt.public_point().to_vec()],
        wit: vec![wit.clone()],
        sequence: 7,
        shortest: 24 * HOUR,
    };
    let served = crate::bundle(&published);
    let [first, second, token_key, wit_key] = served["keys"].as_array().unwrap().as_slice() else {
        panic!("four: {served}")
    };
    for (key, authority) in [first, second].into_iter().zip(&authorities) {
        assert_eq!((&key["use"], &key["kty"], &key["crv"]), (&"x509-svid".into(), &"EC".into(), &"P-256".into()));
        assert!(key.get("kid").is_none(), "{key}");
        let [certificate] = key["x5c"].as_array().unwrap().as_slice() else { panic!("one certificate: {key}") };
        let der = BASE64_STANDARD.decode(certificate.as_str().unwrap()).unwrap();
        assert_eq!(der, authority.certificate());
    }
    assert_eq!((&token_key["use"], &token_key["kid"]), (&"jwt-svid".into(), &jwt.kid().into()));
    assert_eq!((&served["spiffe_sequence"], &served["spiffe_refresh_hint"]), (&7.into(), &300.into()));
    // what the Workload API hands out has no key of another use, and says none
    let tokens = crate::jwt_keys(&published);
    assert_eq!(tokens["keys"].as_array().unwrap().len(), 1);
    assert!(tokens["keys"][0].get("use").is_none() && tokens["keys"][0]["kid"] == jwt.kid());
    let wits = crate::wit_keys(&published);
    assert_eq!(wits["keys"].as_array().unwrap().len(), 1);
    assert!(wits["keys"][0].get("use").is_none() && wits["keys"][0]["kid"] == wit_key["kid"]);
    assert_eq!(wit_key["use"], "wit-svid");
    assert!(wit_key["kid"] != token_key["kid"] && wit_key["x"] != token_key["x"], "one name for one key");
    for (seconds, hint) in [(1200, 120), (60, 6), (5, 1)] {
        published.shortest = Duration::from_secs(seconds);
        assert_eq!(crate::bundle(&published)["spiffe_refresh_hint"], hint);
    }
}

/// JWT-SVID.md §2–§3; `iss`, `iat`, `jti` and `kid` are asked for by relying parties beyond it.
#[test]
fn a_jwt_svid_says_who_for_whom_and_until_when() {
    let jwt = JwtAuthority::new(&domain(), MemorySigner::make(), Time::MAX);
    let id: SpiffeId = "spiffe://prod.acme.test/a".parse().unwrap();
    let audience = ["one".to_owned(), "two".to_owned()];
    let order = JwtOrder { id: &id, audience: &audience, ttl: HOUR, until: Time::MAX, record: RecordId::new([7; 16]) };
    let svid = jwt.mint(&order, now()).unwrap();
    let part = |nth: usize| {
        let part = svid.token.split('.').nth(nth).unwrap();
        serde_json::from_slice::<serde_json::Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), serde_json::json!({"alg": "ES256", "typ": "JWT", "kid": jwt.kid()}));
    assert_eq!(
        part(1),
        serde_json::json!({
            "iss": "spiffe://prod.acme.test", "sub": id.as_str(), "aud": ["one", "two"],
            "iat": 1_798_859_045, "exp": 1_798_862_645, "jti": RecordId::new([7; 16]).to_string(),
        })
    );
    assert_eq!(svid.expires.since(svid.issued), HOUR);
}

#[test]
fn a_jwt_svid_is_for_somebody_and_outlives_nothing() {
    let jwt = JwtAuthority::new(&domain(), MemorySigner::make(), Time::MAX);
    let mint = |id: &str, audience: &[String], until: Time| {
        let id: SpiffeId = id.parse().unwrap();
        let order = JwtOrder { id: &id, audience, ttl: HOUR, until, record: RecordId::new([7; 16]) };
        jwt.mint(&order, now()).map(|svid| svid.expires.to_string()).map_err(|why| why.to_string())
    };
    let (id, one) = ("spiffe://prod.acme.test/a", ["one".to_owned()]);
    let soon = "2027-01-02T03:10:00.5Z".parse().unwrap();
    assert_eq!(mint(id, &one, soon).unwrap(), "2027-01-02T03:10:00.000000Z");
    assert_eq!(mint(id, &[], soon).unwrap_err(), "a JWT-SVID is for somebody: it names at least one audience");
    assert_eq!(mint(id, &one, now()).unwrap_err(), "the authority, or what the SVID may not outlive, has ended");
    assert!(mint("spiffe://staging.acme.test/a", &one, soon).is_err());
    let short = JwtAuthority::new(&domain(), MemorySigner::make(), soon);
    let id: SpiffeId = id.parse().unwrap();
    let order = JwtOrder { id: &id, audience: &one, ttl: HOUR, until: Time::MAX, record: RecordId::new([7; 16]) };
    assert_eq!(short.mint(&order, now()).unwrap().expires.to_string(), "2027-01-02T03:10:00.000000Z");
    assert!(mint("spiffe://prod.acme.test", &one, soon).is_err());
}

/// WIT-SVID.md §2–§3: no audience, no issuer, and the key of who asked.
#[test]
fn a_wit_svid_says_whose_key_it_is_and_is_for_nobody_in_particular() {
    let signer = MemorySigner::make();
    let (kid, digest) = (crate::publish::thumbprint(signer.public_point()), crate::key_digest(signer.public_point()));
    let wit = WitAuthority::new(&domain(), signer, Time::MAX);
    let id: SpiffeId = "spiffe://prod.acme.test/a".parse().unwrap();
    let own = NewKey::make().unwrap();
    let key = CertificateRequest::read(&own.request).unwrap();
    let order = WitOrder { id: &id, key: &key, ttl: HOUR, until: Time::MAX, record: RecordId::new([7; 16]) };
    let svid = wit.mint(&order, now()).unwrap();
    let part = |nth: usize| {
        let part = svid.token.split('.').nth(nth).unwrap();
        serde_json::from_slice::<serde_json::Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), serde_json::json!({"alg": "ES256", "typ": "wit+jwt", "kid": kid}));
    let mut held: serde_json::Value = serde_json::from_str(&own.private_jwk().unwrap()).unwrap();
    let scalar = held.as_object_mut().unwrap().remove("d").unwrap();
    // the scalar stands behind the header of its PKCS #8
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(scalar.as_str().unwrap()).unwrap(), own.pkcs8[36..68]);
    assert_eq!((&held["alg"], &held["kty"], &held["crv"]), (&"ES256".into(), &"EC".into(), &"P-256".into()));
    assert_eq!(
        part(1),
        serde_json::json!({
            "sub": id.as_str(), "cnf": {"jwk": held},
            "iat": 1_798_859_045, "exp": 1_798_862_645, "jti": RecordId::new([7; 16]).to_string(),
        })
    );
    assert_eq!((svid.expires, svid.signed_by), (Time::from_unix_seconds(1_798_862_645), digest));
}

#[test]
fn a_wit_svid_outlives_nothing_and_is_bound_to_a_key_that_signs_what_it_says() {
    let wit = WitAuthority::new(&domain(), MemorySigner::make(), "2027-01-02T03:30:00Z".parse().unwrap());
    let mint = |id: &str, request: &[u8], until: Time| {
        let (id, key): (SpiffeId, _) = (id.parse().unwrap(), CertificateRequest::read(request).unwrap());
        let order = WitOrder { id: &id, key: &key, ttl: HOUR, until, record: RecordId::new([7; 16]) };
        wit.mint(&order, now()).map(|svid| svid.expires.to_string()).map_err(|why| why.to_string())
    };
    let (id, key) = ("spiffe://prod.acme.test/a", NewKey::make().unwrap().request);
    assert_eq!(mint(id, &key, Time::MAX).unwrap(), "2027-01-02T03:30:00.000000Z");
    let soon = "2027-01-02T03:10:00.5Z".parse().unwrap();
    assert_eq!(mint(id, &key, soon).unwrap(), "2027-01-02T03:10:00.000000Z");
    assert_eq!(mint(id, &key, now()).unwrap_err(), "the authority, or what the SVID may not outlive, has ended");
    assert!(
        mint("spiffe://staging.acme.test/a", &key, soon).is_err()
            && mint("spiffe://prod.acme.test", &key, soon).is_err()
    );
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = rcgen::CertificateParams::default().serialize_request(&other).unwrap();
    assert_eq!(mint(id, other.der(), soon).unwrap_err(), "a WIT-SVID is bound to a P-256 key");
}
