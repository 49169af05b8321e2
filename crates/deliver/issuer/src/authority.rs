//! The X.509 authority of one trust domain.

use std::net::IpAddr;
use std::time::Duration;

use model::{SpiffeId, Time, TrustDomain};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::outer::{Term, signed_below};
use crate::request::CertificateRequest;
use crate::signer::{Certifying, Signer, SigningFailed, key_id};

/// How far before its making a certificate is valid, for clocks that are behind.
pub const BACKDATE: Duration = Duration::from_secs(10);

/// The organisation that every certificate names: a name for people, never an identity.
pub(crate) const ORGANISATION: &str = "Countersign";

/// The attribute `serialNumber` of a name (X.520 §6.2.9).
const SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];

/// Signs SVIDs of one trust domain.
pub struct Authority {
    domain: TrustDomain,
    issuer: Issuer<'static, Certifying>,
    certificate: Vec<u8>,
    /// What stands between an SVID and what verifiers trust, in DER, its own certificate first; nothing where they trust that.
    above: Vec<Vec<u8>>,
    not_after: Time,
}

/// What is to be minted.
pub struct Order<'a> {
    pub id: &'a SpiffeId,
    pub key: &'a CertificateRequest,
    /// Names under which a server is reached, beside its SPIFFE ID (X509-SVID.md §2).
    pub hosts: &'a [String],
    pub ttl: Duration,
    /// What the SVID may not outlive: its principal, its permit.
    pub until: Time,
}

/// A leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svid {
    /// In DER.
    pub certificate: Vec<u8>,
    /// The certificates that are handed out with it, who signed it first.
    pub above: Vec<Vec<u8>>,
    pub serial: [u8; 16],
    pub not_after: Time,
}

impl Svid {
    /// All of it, leaf first.
    pub fn into_chain(self) -> Vec<Vec<u8>> {
        let mut chain = vec![self.certificate];
        chain.extend(self.above);
        chain
    }
}

/// Why nothing was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintFailed {
    #[error("`{id}` is not of trust domain `{domain}`")]
    OtherDomain { id: SpiffeId, domain: TrustDomain },
    #[error("`{id}` has no path: it names the trust domain itself")]
    NoPath { id: SpiffeId },
    #[error("the authority, or what the SVID may not outlive, has ended")]
    Ended,
    #[error("`{host}` is no name of a host")]
    Host { host: String },
    #[error("the time {time} cannot be written in a certificate")]
    Time { time: Time },
    #[error("a JWT-SVID is for somebody: it names at least one audience")]
    NoAudience,
    #[error("a WIT-SVID is bound to a P-256 key")]
    OtherKey,
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

impl Authority {
    /// Signs the authority's own certificate.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn found(
        domain: TrustDomain,
        signer: Box<dyn Signer>,
        serial: [u8; 16],
        Term { at, life, below }: Term,
    ) -> Result<Self, MintFailed> {
        let not_after = whole_second(at.plus(life));
        let mut params = authority_params(&domain, &key_id(signer.public_point()), below)?;
        params.serial_number = Some(positive(serial));
        params.not_before = date(at.minus(BACKDATE))?;
        params.not_after = date(not_after)?;
        let signer = Certifying(signer);
        let certificate = params.self_signed(&signer)?.der().to_vec();
        Ok(Self { domain, issuer: Issuer::new(params, signer), certificate, above: Vec::new(), not_after })
    }

    /// What an outer authority is to sign for the authority of `domain` that has this key, with so many below it: a certificate
    /// request in DER.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn request(domain: &TrustDomain, signer: &dyn Signer, below: u8) -> Result<Vec<u8>, MintFailed> {
        let params = authority_params(domain, &key_id(signer.public_point()), below)?;
        Ok(params.serialize_request(&Certifying(signer))?.der().to_vec())
    }

    /// The authority whose certificate was signed before and that ends at `not_after`; what it mints is handed out with
    /// `above`, which begins with that certificate unless verifiers trust it.
    ///
    /// # Errors
    /// [`MintFailed::Certificate`] where it is none.
    pub fn resume(
        domain: TrustDomain,
        signer: Box<dyn Signer>,
        certificate: Vec<u8>,
        above: Vec<Vec<u8>>,
        not_after: Time,
    ) -> Result<Self, MintFailed> {
        let issuer = Issuer::from_ca_cert_der(&certificate.as_slice().into(), Certifying(signer))?;
        Ok(Self { domain, issuer, certificate, above, not_after })
    }

    pub const fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Its own certificate, in DER: what a bundle holds, unless an outer authority signed it.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The public key, as an uncompressed point.
    pub fn public_point(&self) -> &[u8] {
        self.issuer.key().0.public_point()
    }

    pub const fn not_after(&self) -> Time {
        self.not_after
    }

    /// A certificate for an authority of the same trust domain below this one, in DER. It ends with the first of its term and this
    /// one. Of the request, the key alone counts; whether another may stand below was looked at before.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn certify(&self, request: &CertificateRequest, serial: [u8; 16], term: Term) -> Result<Vec<u8>, MintFailed> {
        signed_below(&self.issuer, self.not_after, (&self.domain, request), serial, term)
    }

    /// What stands between what it signs and what verifiers trust, in DER, its own certificate first; nothing where they trust that.
    pub fn above(&self) -> &[Vec<u8>] {
        &self.above
    }

    /// Mints an X.509-SVID (X509-SVID.md §2–§4). It ends with the first of its lifetime, `order.until` and the authority.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn mint(&self, order: &Order<'_>, serial: [u8; 16], at: Time) -> Result<Svid, MintFailed> {
        let id = order.id;
        names_a_workload(id, &self.domain)?;
        let not_after = whole_second(at.plus(order.ttl).min(order.until).min(self.not_after));
        if not_after <= at {
            return Err(MintFailed::Ended);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, ORGANISATION);
        params.serial_number = Some(positive(serial));
        params.not_before = date(at.minus(BACKDATE))?;
        params.not_after = date(not_after)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![uri(id.as_str())?];
        for host in order.hosts {
            params.subject_alt_names.push(name(host)?);
        }
        let certificate = params.signed_by(&order.key.0, &self.issuer)?.der().to_vec();
        Ok(Svid { certificate, above: self.above.clone(), serial: positive_bytes(serial), not_after })
    }
}

/// # Errors
/// [`MintFailed`] where an SVID of `domain` cannot be for `id`.
pub(crate) fn names_a_workload(id: &SpiffeId, domain: &TrustDomain) -> Result<(), MintFailed> {
    if !id.is_member_of(domain) {
        return Err(MintFailed::OtherDomain { id: id.clone(), domain: domain.clone() });
    }
    if id.path().is_empty() { Err(MintFailed::NoPath { id: id.clone() }) } else { Ok(()) }
}

/// What every certificate of an authority says, whatever its dates: its name and its flags (X509-SVID.md §3.2, §4.1, §4.3). No
/// two authorities have one name: a verifier that looks for issuers by name tries one key, and not all that there ever were.
pub(crate) fn authority_params(domain: &TrustDomain, key: &str, below: u8) -> Result<CertificateParams, MintFailed> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANISATION);
    params.distinguished_name.push(DnType::CommonName, domain.as_str());
    params.distinguished_name.push(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), key);
    // with none below, it signs leaves alone
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri(&format!("spiffe://{domain}"))?];
    Ok(params)
}

fn uri(text: &str) -> Result<SanType, MintFailed> {
    Ok(SanType::URI(Ia5String::try_from(text)?))
}

fn name(host: &str) -> Result<SanType, MintFailed> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    Ia5String::try_from(host).map(SanType::DnsName).or(Err(MintFailed::Host { host: host.to_owned() }))
}

/// A serial number is positive (RFC 5280 §4.1.2.2), and never so small that DER would shorten it.
const fn positive_bytes(mut serial: [u8; 16]) -> [u8; 16] {
    let [first, ..] = &mut serial;
    *first = (*first & 0x3f) | 0x40;
    serial
}

pub(crate) fn positive(serial: [u8; 16]) -> SerialNumber {
    SerialNumber::from_slice(&positive_bytes(serial))
}

pub(crate) fn date(time: Time) -> Result<OffsetDateTime, MintFailed> {
    OffsetDateTime::from_unix_timestamp(time.as_micros().div_euclid(1_000_000)).or(Err(MintFailed::Time { time }))
}

/// Certificates know whole seconds only: never later than asked.
pub(crate) fn whole_second(time: Time) -> Time {
    Time::from_unix_seconds(time.as_micros().div_euclid(1_000_000))
}
