//! What is minted is looked at by the code that verifies it.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use credential::{Authorities, Bundle, PeerCertificates};
use model::{RecordId, SpiffeId, Time, TrustDomain};

use crate::{Authority, BACKDATE, CertificateRequest, JwtAuthority, JwtOrder, NewKey, Order, Signer, SigningFailed};

struct MemorySigner(EcdsaKeyPair, EcdsaKeyPair);

impl MemorySigner {
    fn make() -> Box<Self> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
        let with = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref()).unwrap();
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
    Authority::found(domain(), MemorySigner::make(), [0xff; 16], now(), life).unwrap()
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

/// SPIFFE_Trust_Domain_and_Bundle.md §4.1–§4.2, X509-SVID.md §6.1.
#[test]
fn a_bundle_has_one_authority_of_each_kind_and_a_sequence_that_grows_with_each_certificate() {
    let (first, jwt) = (authority(24 * HOUR), JwtAuthority::new(&domain(), MemorySigner::make()));
    let served = crate::bundle(&first, &jwt);
    let [key, token_key] = served["keys"].as_array().unwrap().as_slice() else { panic!("two keys: {served}") };
    assert_eq!((&key["use"], &key["kty"], &key["crv"]), (&"x509-svid".into(), &"EC".into(), &"P-256".into()));
    assert!(key.get("kid").is_none(), "{key}");
    assert_eq!((&token_key["use"], &token_key["kid"]), (&"jwt-svid".into(), &jwt.kid().into()));
    let [certificate] = key["x5c"].as_array().unwrap().as_slice() else { panic!("one certificate: {key}") };
    let der = BASE64_STANDARD.decode(certificate.as_str().unwrap()).unwrap();
    assert_eq!(der, first.certificate());
    assert_eq!(served["spiffe_refresh_hint"], 300);
    let sequence = |authority: &Authority| crate::bundle(authority, &jwt)["spiffe_sequence"].as_u64().unwrap();
    assert_eq!(sequence(&first), sequence(&first));
    let next = Authority::found(domain(), MemorySigner::make(), [1; 16], now().plus(HOUR), 24 * HOUR).unwrap();
    assert!(sequence(&next) > sequence(&first));
}

/// JWT-SVID.md §2–§3; `iss`, `iat`, `jti` and `kid` are asked for by relying parties beyond it.
#[test]
fn a_jwt_svid_says_who_for_whom_and_until_when() {
    let jwt = JwtAuthority::new(&domain(), MemorySigner::make());
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
    let jwt = JwtAuthority::new(&domain(), MemorySigner::make());
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
    assert!(mint("spiffe://prod.acme.test", &one, soon).is_err());
}
