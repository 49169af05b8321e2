//! An outer authority whose key lies here: it signs the certificates of authorities below it.

use std::time::Duration;

use model::{Time, TrustDomain};
use rcgen::{Issuer, KeyPair, SigningKey};

use crate::authority::{BACKDATE, MintFailed, authority_params, date, positive, whole_second};
use crate::request::CertificateRequest;
use crate::signer::key_id;

/// Signs authorities of trust domains.
pub struct OuterAuthority {
    issuer: Issuer<'static, KeyPair>,
    not_after: Time,
}

/// For how long an authority is to be signed, and how many may stand below it, one under the other.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    pub at: Time,
    pub life: Duration,
    pub below: u8,
}

impl OuterAuthority {
    /// The authority with this certificate (DER), which ends at `not_after`, and this key (PKCS #8: P-256, P-384, RSA or Ed25519).
    ///
    /// # Errors
    /// [`MintFailed::Certificate`].
    pub fn new(certificate: &[u8], pkcs8: Vec<u8>, not_after: Time) -> Result<Self, MintFailed> {
        let key = KeyPair::try_from(pkcs8)?;
        Ok(Self { issuer: Issuer::from_ca_cert_der(&certificate.into(), key)?, not_after })
    }

    /// A certificate for the authority of `domain` that asks for one, in DER. It ends with the first of its term and this
    /// authority. Of the request, the key alone counts.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn sign(
        &self,
        domain: &TrustDomain,
        request: &CertificateRequest,
        serial: [u8; 16],
        term: Term,
    ) -> Result<Vec<u8>, MintFailed> {
        signed_below(&self.issuer, self.not_after, (domain, request), serial, term)
    }
}

/// The certificate of an authority below `issuer`, which ends at `not_after`.
pub(crate) fn signed_below(
    issuer: &Issuer<'_, impl SigningKey>,
    not_after: Time,
    (domain, request): (&TrustDomain, &CertificateRequest),
    serial: [u8; 16],
    term: Term,
) -> Result<Vec<u8>, MintFailed> {
    let not_after = whole_second(term.at.plus(term.life).min(not_after));
    if not_after <= term.at {
        return Err(MintFailed::Ended);
    }
    let mut params = authority_params(domain, &key_id(request.point()), term.below)?;
    params.serial_number = Some(positive(serial));
    params.not_before = date(term.at.minus(BACKDATE))?;
    params.not_after = date(not_after)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params.signed_by(&request.0, issuer)?.der().to_vec())
}
