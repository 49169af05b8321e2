//! A certificate authority that signs whatever a test asks for, sound or not.

use std::time::Duration;

use model::Time;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

/// An authority, by its key and its own certificate.
pub struct TestCa {
    key: KeyPair,
    params: CertificateParams,
    certificate: Vec<u8>,
}

impl TestCa {
    /// A sound authority of a trust domain, valid for a day around `at`; `shape` may spoil it.
    pub fn new(domain: &str, at: Time, shape: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = key();
        let mut params = authority(domain, at);
        shape(&mut params);
        let certificate = params.self_signed(&key).expect("a certificate that rcgen can write").der().to_vec();
        Self { key, params, certificate }
    }

    /// An authority below this one, with its own key.
    pub fn below(&self, domain: &str, at: Time, shape: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = key();
        let mut params = authority(domain, at);
        params.distinguished_name.push(DnType::OrganizationalUnitName, "below");
        shape(&mut params);
        let certificate = params.signed_by(&key, &self.issuer()).expect("a certificate that rcgen can write");
        Self { key, params, certificate: certificate.der().to_vec() }
    }

    /// Its own certificate, in DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    /// Its public key, as an uncompressed point.
    pub fn public_key(&self) -> Vec<u8> {
        self.key.public_key_raw().to_vec()
    }

    /// A sound leaf with this SPIFFE ID, valid for an hour around `at`, and its key in PKCS #8; `shape` may spoil it.
    pub fn leaf(&self, id: &str, at: Time, shape: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, Vec<u8>) {
        let key = key();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "test");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![uri(id)];
        params.not_before = date(at.minus(HOUR));
        params.not_after = date(at.plus(HOUR));
        shape(&mut params);
        let leaf = params.signed_by(&key, &self.issuer()).expect("a certificate that rcgen can write");
        (leaf.der().to_vec(), key.serialize_der())
    }

    /// A certificate for this key, as it stands.
    pub fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer()).expect("a certificate that rcgen can write").der().to_vec()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// A sound operator's certificate, which signs itself, valid for an hour around `at`; `shape` may spoil it.
pub fn operators_certificate(
    key: &KeyPair,
    name: &str,
    at: Time,
    shape: impl FnOnce(&mut CertificateParams),
) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date(at.minus(HOUR));
    params.not_after = date(at.plus(HOUR));
    shape(&mut params);
    params.self_signed(key).expect("a certificate that rcgen can write").der().to_vec()
}

/// A URI name, as it stands.
pub fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).expect("ASCII"))
}

/// A time as certificates have it.
pub fn date(time: Time) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_micros() / 1_000_000).expect("a time within four digits")
}

const HOUR: Duration = Duration::from_secs(3600);

fn authority(domain: &str, at: Time) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, domain);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri(&format!("spiffe://{domain}"))];
    params.not_before = date(at.minus(12 * HOUR));
    params.not_after = date(at.plus(12 * HOUR));
    params
}

/// The public half of a key in PKCS #8, as an uncompressed point.
#[cfg(feature = "workload-api")]
pub(crate) fn public_key_of(pkcs8: &[u8]) -> Vec<u8> {
    let key = KeyPair::try_from(pkcs8).expect("a key that was made here");
    key.public_key_raw().to_vec()
}

/// A fresh P-256 key.
pub fn key() -> KeyPair {
    KeyPair::generate().expect("the system gives random bytes")
}
