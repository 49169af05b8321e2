//! What is asked of a certificate beside its signature: what X509-SVID.md asks (exactly one SPIFFE ID, and the flags of its
//! role), and what an operator's keeps.

use std::time::Duration;

use model::{BadSpiffeId, Digest, SpiffeId, Time, TrustDomain};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::{Cause, digest_of};

/// Shortest RSA modulus, in bits.
const MIN_RSA: usize = 2048;
/// Longest RSA modulus, in bits: verifying costs the square of it.
const MAX_RSA: usize = 8192;
/// Certificates know whole seconds, and hold to the end of the last (RFC 5280 §4.1.2.5).
pub(crate) const LAST_SECOND: Duration = Duration::from_secs(1);

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("it is not one X.509 certificate in DER")]
    Unreadable,
    #[error("{certificates} certificates, or one that is too long")]
    TooLong { certificates: usize },
    #[error("it has {found} URI names; an SVID has exactly one")]
    UriNames { found: usize },
    #[error("its URI name is not a SPIFFE ID: {source}")]
    SpiffeId { source: BadSpiffeId },
    #[error("its SPIFFE ID has no path, as only an authority's may")]
    NoPath,
    #[error("its SPIFFE ID has a path, as no authority's may")]
    Pathful,
    #[error("its SPIFFE ID is of trust domain `{found}`, not `{expected}`")]
    OtherDomain { found: TrustDomain, expected: TrustDomain },
    #[error("it is a CA")]
    IsAuthority,
    #[error("it is not a CA")]
    NotAuthority,
    #[error("its key usage is missing or not critical")]
    KeyUsage,
    #[error("its key usage has no digitalSignature")]
    NoSignature,
    #[error("its key usage has keyCertSign or cRLSign")]
    Signs,
    #[error("its key usage has no keyCertSign")]
    SignsNot,
    #[error("its extended key usage lacks serverAuth or clientAuth")]
    ExtendedKeyUsage,
    #[error("it has a URI name, as no operator's certificate may: an operator is no service and has no SPIFFE ID")]
    NamesService,
    #[error("its extended key usage lacks clientAuth")]
    NoClientAuth,
    #[error("its subject is empty and its names are not critical")]
    NamesNotCritical,
    #[error("its key is neither RSA of {MIN_RSA} to {MAX_RSA} bits, P-256, P-384, P-521 nor Ed25519")]
    WeakKey,
    #[error("its key is not RSA")]
    NotRsa,
    #[error("an extension stands in it twice or cannot be read")]
    Extension,
    #[error("{below} authorities stand between it and one that allows fewer")]
    TooDeep { below: usize },
    #[error("its validity cannot be read")]
    Validity,
    #[error("{why}")]
    Path { why: String },
}

/// What a certificate of either sort says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Particulars {
    pub(crate) serial: String,
    /// Of its own public key.
    pub(crate) key: Digest,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

impl Particulars {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Result<Self, Flaw> {
        let (not_before, not_after) = validity(certificate)?;
        Ok(Self {
            serial: hex(certificate.raw_serial()),
            key: digest_of(certificate.public_key().raw),
            not_before,
            not_after,
        })
    }

    /// The first instant at which it proves nothing more.
    pub(crate) fn ends(&self) -> Time {
        self.not_after.plus(LAST_SECOND)
    }

    /// Times of certificates have no leeway.
    pub(crate) fn hold_at(&self, at: Time) -> Result<(), Cause> {
        if self.ends() <= at {
            return Err(Cause::Expired { at: self.not_after });
        }
        if at < self.not_before {
            return Err(Cause::NotYetValid { claim: "notBefore", at: self.not_before });
        }
        Ok(())
    }
}

/// One certificate in DER, and nothing after it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Flaw> {
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) | Err(_) => Err(Flaw::Unreadable),
    }
}

/// The SPIFFE ID of a leaf that keeps every rule of one (§2, §3.1, §4.1–4.4, §5.2).
pub(crate) fn check_leaf(certificate: &X509Certificate<'_>) -> Result<SpiffeId, Flaw> {
    let id = spiffe_id(certificate)?.ok_or(Flaw::UriNames { found: 0 })?;
    if id.path().is_empty() {
        return Err(Flaw::NoPath);
    }
    if is_authority(certificate)? {
        return Err(Flaw::IsAuthority);
    }
    let usage = certificate.key_usage().or(Err(Flaw::Extension))?.filter(|usage| usage.critical);
    check_leaf_usage(usage.ok_or(Flaw::KeyUsage)?.value)?;
    if let Some(extended) = certificate.extended_key_usage().or(Err(Flaw::Extension))?
        && !(extended.value.server_auth && extended.value.client_auth)
    {
        return Err(Flaw::ExtendedKeyUsage);
    }
    let names = certificate.subject_alternative_name().or(Err(Flaw::Extension))?;
    if certificate.subject().iter().next().is_none() && names.is_some_and(|names| !names.critical) {
        return Err(Flaw::NamesNotCritical);
    }
    check_key(certificate)?;
    Ok(id)
}

/// Whether a certificate may sign for `domain` (§3.2, §4.1, §4.3).
pub(crate) fn check_authority(certificate: &X509Certificate<'_>, domain: &TrustDomain) -> Result<(), Flaw> {
    if let Some(id) = spiffe_id(certificate)? {
        if !id.path().is_empty() {
            return Err(Flaw::Pathful);
        }
        if !id.is_member_of(domain) {
            return Err(Flaw::OtherDomain { found: id.trust_domain(), expected: domain.clone() });
        }
    }
    let usage = certificate.key_usage().or(Err(Flaw::Extension))?;
    if is_authority(certificate)? && !usage.is_some_and(|usage| usage.critical) {
        return Err(Flaw::KeyUsage);
    }
    check_signer(certificate)
}

/// Whether a certificate may sign others, of whatever names (RFC 5280 §4.2.1.3, §4.2.1.9).
pub(crate) fn check_signer(certificate: &X509Certificate<'_>) -> Result<(), Flaw> {
    if !is_authority(certificate)? {
        return Err(Flaw::NotAuthority);
    }
    let usage = certificate.key_usage().or(Err(Flaw::Extension))?;
    if !usage.ok_or(Flaw::KeyUsage)?.value.key_cert_sign() {
        return Err(Flaw::SignsNot);
    }
    check_key(certificate)
}

/// Whether a certificate may be a device's: its key signs handshakes and the like. What names it has is its authority's matter.
pub(crate) fn check_device(certificate: &X509Certificate<'_>) -> Result<(), Flaw> {
    if is_authority(certificate)? {
        return Err(Flaw::IsAuthority);
    }
    if let Some(usage) = certificate.key_usage().or(Err(Flaw::Extension))? {
        check_leaf_usage(usage.value)?;
    }
    check_key(certificate)
}

/// Whether a certificate may be of a TPM's endorsement key, which encrypts and signs nothing.
pub(crate) fn check_endorsement(certificate: &X509Certificate<'_>) -> Result<(), Flaw> {
    if is_authority(certificate)? {
        return Err(Flaw::IsAuthority);
    }
    if let Some(usage) = certificate.key_usage().or(Err(Flaw::Extension))?
        && (usage.value.key_cert_sign() || usage.value.crl_sign())
    {
        return Err(Flaw::Signs);
    }
    check_key(certificate)
}

/// Whether a certificate may be an operator's. Nobody's signature on it is looked at: it counts by its exact bytes.
pub(crate) fn check_operator(certificate: &X509Certificate<'_>) -> Result<(), Flaw> {
    if !uris(certificate)?.is_empty() {
        return Err(Flaw::NamesService);
    }
    if is_authority(certificate)? {
        return Err(Flaw::IsAuthority);
    }
    if let Some(usage) = certificate.key_usage().or(Err(Flaw::Extension))? {
        check_leaf_usage(usage.value)?;
    }
    let extended = certificate.extended_key_usage().or(Err(Flaw::Extension))?;
    if !extended.is_some_and(|extended| extended.value.client_auth) {
        return Err(Flaw::NoClientAuth);
    }
    check_key(certificate)
}

/// A leaf's key signs handshakes, and never certificates.
fn check_leaf_usage(usage: &KeyUsage) -> Result<(), Flaw> {
    if !usage.digital_signature() {
        return Err(Flaw::NoSignature);
    }
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(Flaw::Signs);
    }
    Ok(())
}

/// From when until when, both inclusive.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> Result<(Time, Time), Flaw> {
    let time = |seconds: i64| seconds.checked_mul(1_000_000).map(Time::from_micros).ok_or(Flaw::Validity);
    let validity = certificate.validity();
    Ok((time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?))
}

/// The one URI name, which is a SPIFFE ID; none where there is no URI name.
pub(crate) fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<Option<SpiffeId>, Flaw> {
    match uris(certificate)?.as_slice() {
        [] => Ok(None),
        [only] => only.parse().map(Some).map_err(|source| Flaw::SpiffeId { source }),
        several => Err(Flaw::UriNames { found: several.len() }),
    }
}

pub(crate) fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<&'a str>, Flaw> {
    // x509-parser finds an extension only where it stands once
    let names = certificate.subject_alternative_name().or(Err(Flaw::Extension))?;
    let names = names.map_or(&[] as &[GeneralName<'_>], |names| names.value.general_names.as_slice());
    if names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
        return Err(Flaw::Extension);
    }
    Ok(names.iter().filter_map(uri).collect())
}

fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    if let GeneralName::URI(uri) = name { Some(uri) } else { None }
}

fn is_authority(certificate: &X509Certificate<'_>) -> Result<bool, Flaw> {
    let constraints = certificate.basic_constraints().or(Err(Flaw::Extension))?;
    Ok(constraints.is_some_and(|constraints| constraints.value.ca))
}

/// `pathLenConstraint` (RFC 5280 §4.2.1.9).
pub(crate) fn most_below(certificate: &X509Certificate<'_>) -> Result<Option<usize>, Flaw> {
    let constraints = certificate.basic_constraints().or(Err(Flaw::Extension))?;
    let most = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    // a number that this machine cannot count to bounds nothing here
    Ok(most.and_then(|most| usize::try_from(most).ok()))
}

/// Whether its key can sign by RSA, and is strong enough.
pub(crate) fn check_rsa(certificate: &X509Certificate<'_>) -> Result<(), Flaw> {
    if certificate.public_key().algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
        return Err(Flaw::NotRsa);
    }
    check_key(certificate)
}

fn check_key(certificate: &X509Certificate<'_>) -> Result<(), Flaw> {
    let key = certificate.public_key();
    let sound = if key.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        matches!(key.parsed(), Ok(PublicKey::RSA(rsa)) if (MIN_RSA..=MAX_RSA).contains(&rsa.key_size()))
    } else if key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        curve.is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve))
    } else {
        key.algorithm.algorithm == OID_SIG_ED25519
    };
    if sound { Ok(()) } else { Err(Flaw::WeakKey) }
}

/// The key identifier of the authority that signed, as lower-case hex (RFC 5280 §4.2.1.1).
pub(crate) fn authority_key(certificate: &X509Certificate<'_>) -> Option<String> {
    certificate.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(identifier) = extension.parsed_extension() else { return None };
        let id = identifier.key_identifier.as_ref()?.0;
        Some(hex(id))
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
