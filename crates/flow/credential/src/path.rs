//! Paths of certificates up to an authority that is trusted (RFC 5280 §6), and with what they may be signed.

use std::time::Duration;

use model::Time;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, aws_lc_rs as algorithms};

use crate::authorities::Authority;
use crate::certificate::{self, Flaw, LAST_SECOND};

/// With what certificates may be signed: nothing with SHA-1, nothing weak.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// A path that verifies.
pub(crate) struct Path {
    /// The first instant at which it has ended.
    pub(crate) ends: Time,
    /// The authorities between the leaf and the one that is trusted, in DER, those of them that the path goes through.
    pub(crate) through: Vec<Vec<u8>>,
    /// Those that are trusted and have signed it: places among the anchors. More than one has the same name and key.
    pub(crate) anchors: Vec<usize>,
}

/// What an endorsement key's certificate is for (`tcg-kp-EKCertificate`, 2.23.133.8.1).
const ENDORSEMENT: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];

/// Path validation up to one of `anchors`. What else an authority in the chain has to be was checked before.
pub(crate) fn verify(chain: &[Vec<u8>], anchors: &[Authority], at: Time) -> Result<Path, Flaw> {
    verify_for(chain, anchors, KeyUsage::client_auth(), at)
}

/// The same for the certificate of a TPM's endorsement key.
pub(crate) fn verify_endorsement(chain: &[Vec<u8>], anchors: &[Authority], at: Time) -> Result<Path, Flaw> {
    verify_for(chain, anchors, KeyUsage::required_if_present(ENDORSEMENT), at)
}

fn verify_for(chain: &[Vec<u8>], anchors: &[Authority], usage: KeyUsage, at: Time) -> Result<Path, Flaw> {
    let path = |error: webpki::Error| Flaw::Path { why: error.to_string() };
    let (leaf, above) = chain.split_first().ok_or(Flaw::Unreadable)?;
    let mut ends = certificate::validity(&certificate::parse(leaf)?)?.1;
    for der in above {
        ends = ends.min(certificate::validity(&certificate::parse(der)?)?.1);
    }
    let valid = |authority: &&Authority| authority.not_before <= at && at < authority.not_after.plus(LAST_SECOND);
    let trusted: Vec<TrustAnchor<'static>> =
        anchors.iter().filter(valid).map(|authority| authority.anchor.clone()).collect();
    let above: Vec<CertificateDer<'_>> = above.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let leaf = CertificateDer::from(leaf.as_slice());
    let leaf = EndEntityCert::try_from(&leaf).map_err(path)?;
    let seconds = u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let verified = leaf.verify_for_usage(ALGORITHMS, &trusted, &above, time, usage, None, None).map_err(path)?;
    let same = |authority: &Authority| authority.anchor == *verified.anchor();
    let signed: Vec<(usize, &Authority)> =
        anchors.iter().enumerate().filter(|(_, authority)| same(authority)).collect();
    let anchor_ends = signed.iter().map(|(_, authority)| authority.not_after).max();
    let through: Vec<Vec<u8>> = verified.intermediate_certificates().map(|one| one.der().to_vec()).collect();
    // webpki takes no path length from an anchor, and an authority may be founded to sign leaves alone
    let below = through.len();
    if signed.iter().all(|(_, authority)| authority.most_below.is_some_and(|most| most < below)) {
        return Err(Flaw::TooDeep { below });
    }
    let ends = ends.min(anchor_ends.unwrap_or(ends)).plus(LAST_SECOND);
    Ok(Path { ends, through, anchors: signed.into_iter().map(|(place, _)| place).collect() })
}
