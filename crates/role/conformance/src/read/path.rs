//! Path validation (RFC 5280 §6) from a leaf to the authorities of a bundle.

use std::time::Duration;

use model::Time;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage};

use super::certificate::Certificate;

/// How a path went.
pub(crate) enum Path {
    Valid,
    Invalid(String),
    /// It cannot be said: something else is wrong, which other lines report.
    Unclear(&'static str),
}

pub(crate) fn validate(leaf: &Certificate, above: &[&Certificate], bundle: &[Certificate], at: Time) -> Path {
    if leaf.is_authority {
        return Path::Unclear("the leaf is a CA");
    }
    let roots: Vec<CertificateDer<'_>> = bundle.iter().map(|it| CertificateDer::from(it.der.as_slice())).collect();
    let anchors: Vec<TrustAnchor<'_>> =
        roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
    let above: Vec<CertificateDer<'_>> = above.iter().map(|it| CertificateDer::from(it.der.as_slice())).collect();
    let der = CertificateDer::from(leaf.der.as_slice());
    let entity = match EndEntityCert::try_from(&der) {
        Ok(entity) => entity,
        Err(error) => return Path::Invalid(error.to_string()),
    };
    let seconds = u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let verified = |usage: KeyUsage| {
        entity.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &above, time, usage, None, None).map(|_| ())
    };
    // which usages a leaf has to have is another line
    match verified(KeyUsage::client_auth()).or_else(|_| verified(KeyUsage::server_auth())) {
        Ok(()) | Err(Error::RequiredEkuNotFoundContext(_)) => Path::Valid,
        Err(error) => Path::Invalid(error.to_string()),
    }
}
