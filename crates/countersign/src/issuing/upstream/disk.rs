//! An outer authority as files: its certificate and its key. They are read for every signature, so that its key is not kept in memory
//! and another certificate counts at once.

use credential::AuthorityCertificate;
use issuer::{CertificateRequest, OuterAuthority, Term};
use model::TrustDomain;
use net::serial;
use store::read_private;

use super::{UpstreamFailed, certificates};
use crate::estate::DiskUpstream;

/// The certificate that was asked for, and what is above it.
pub(super) fn sign(
    DiskUpstream { certificate, key, .. }: &DiskUpstream,
    domain: &TrustDomain,
    request: &[u8],
    term: Term,
) -> Result<Vec<Vec<u8>>, UpstreamFailed> {
    let above = certificates(certificate)?;
    let own = above.first().map(Vec::as_slice).unwrap_or_default();
    let read = AuthorityCertificate::read(own, domain);
    let read = read.map_err(|source| UpstreamFailed::Authority { path: certificate.clone(), source })?;
    let pkcs8 = read_private(key)?.ok_or_else(|| UpstreamFailed::NoKey { path: key.clone() })?;
    let outer = OuterAuthority::new(own, pkcs8, read.not_after)?;
    let signed = outer.sign(domain, &CertificateRequest::read(request)?, serial(), term)?;
    Ok([vec![signed], above].concat())
}
