//! Authorities as somebody else signed them: what one says of itself, and whether it is the one that was asked for.

use model::{Time, TrustDomain};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::certificate::{self, Flaw};
use crate::digest_of;

/// Most certificates that are read one after the other.
const MOST_APART: usize = 256;

/// What a certificate of an authority says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_digest: [u8; 32],
    pub key: AuthorityKey,
    pub not_after: Time,
    /// How many may stand below it, one under the other; none where it does not say.
    pub below: Option<usize>,
    /// Who signed it, as it names the key: of a Countersign authority, its id.
    pub signed_by: Option<String>,
}

/// The public key of an authority; numbers are big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorityKey {
    Ec { curve: &'static str, x: Vec<u8>, y: Vec<u8> },
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519 { x: Vec<u8> },
}

/// Why what came back from an outer authority is not what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    #[error("it signed no authority of trust domain `{domain}`")]
    Authority { domain: TrustDomain, source: Flaw },
    #[error("its certificate names no trust domain")]
    NoDomain,
    #[error("it signed another key than it was asked to")]
    Key,
    #[error("its certificate names our key otherwise than we do: SVIDs would not lead to it")]
    KeyName,
    #[error("its certificate does not bound what stands below ours as asked: expected a path length of {expected}")]
    PathLength { expected: u8 },
}

impl AuthorityCertificate {
    /// Reads the certificate of an authority that may sign for `domain`, in DER.
    ///
    /// # Errors
    /// [`Flaw`] where it may not (X509-SVID.md §3.2, §4.1, §4.3).
    pub fn read(der: &[u8], domain: &TrustDomain) -> Result<Self, Flaw> {
        let parsed = certificate::parse(der)?;
        certificate::check_authority(&parsed, domain)?;
        let (_, not_after) = certificate::validity(&parsed)?;
        let key_digest = *digest_of(parsed.public_key().raw).as_bytes();
        let below = certificate::most_below(&parsed)?;
        let signed_by = certificate::authority_key(&parsed);
        Ok(Self { key_digest, key: key(&parsed).ok_or(Flaw::WeakKey)?, not_after, below, signed_by })
    }
}

/// Whether a certificate is that of the authority of `domain` with this key (SHA-256 of its SubjectPublicKeyInfo), with at most so many
/// below it. Who signed it is not looked at.
///
/// # Errors
/// [`NotAsked`].
pub fn check_asked(der: &[u8], domain: &TrustDomain, key: &[u8; 32], below: u8) -> Result<(), NotAsked> {
    let authority = |source| NotAsked::Authority { domain: domain.clone(), source };
    let parsed = certificate::parse(der).map_err(authority)?;
    certificate::check_authority(&parsed, domain).map_err(authority)?;
    if certificate::spiffe_id(&parsed).map_err(authority)?.is_none() {
        return Err(NotAsked::NoDomain);
    }
    if digest_of(parsed.public_key().raw).as_bytes() != key {
        return Err(NotAsked::Key);
    }
    if own_name(&parsed).is_some_and(|name| key.get(..20) != Some(name)) {
        return Err(NotAsked::KeyName);
    }
    if certificate::most_below(&parsed).map_err(authority)? != Some(usize::from(below)) {
        return Err(NotAsked::PathLength { expected: below });
    }
    Ok(())
}

/// Certificates in DER that stand one after the other, as a Workload API hands them out (SPIFFE_Workload_API.md §5.2.1), apart.
///
/// # Errors
/// [`Flaw`] where something else stands there, or more than anybody has.
pub fn certificates_apart(mut all: &[u8]) -> Result<Vec<Vec<u8>>, Flaw> {
    let mut apart = Vec::new();
    while !all.is_empty() {
        let (rest, _) = X509Certificate::from_der(all).or(Err(Flaw::Unreadable))?;
        let (one, _) = all.split_at(all.len() - rest.len());
        if apart.len() == MOST_APART {
            return Err(Flaw::TooLong { certificates: apart.len() + 1 });
        }
        apart.push(one.to_vec());
        all = rest;
    }
    Ok(apart)
}

/// What a certificate calls its own key (RFC 5280 §4.2.1.2).
fn own_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| {
        let ParsedExtension::SubjectKeyIdentifier(name) = extension.parsed_extension() else { return None };
        Some(name.0)
    })
}

fn key(certificate: &X509Certificate<'_>) -> Option<AuthorityKey> {
    let key = certificate.public_key();
    match key.parsed().ok()? {
        PublicKey::RSA(rsa) => Some(AuthorityKey::Rsa { modulus: number(rsa.modulus), exponent: number(rsa.exponent) }),
        PublicKey::EC(point) => {
            let oid = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let (_, curve) = [(OID_EC_P256, "P-256"), (OID_NIST_EC_P384, "P-384"), (OID_NIST_EC_P521, "P-521")]
                .into_iter()
                .find(|(known, _)| *known == oid)?;
            // an uncompressed point: 4, x, y
            let (four, rest) = point.data().split_first()?;
            let (x, y) = rest.split_at(rest.len() / 2);
            (*four == 4).then(|| AuthorityKey::Ec { curve, x: x.to_vec(), y: y.to_vec() })
        }
        // what was checked is of a known kind, and of those the parser does not know this one alone
        PublicKey::Unknown(x) => Some(AuthorityKey::Ed25519 { x: x.to_vec() }),
        PublicKey::DSA(_) | PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) => None,
    }
}

/// DER leads a number with a zero where its first bit is set.
fn number(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().skip_while(|byte| **byte == 0).copied().collect()
}
