//! The certificate with which an operator comes from elsewhere. It signs itself: it counts by its exact bytes, and not by
//! who signed it.

use std::time::Duration;

use model::{OperatorName, Time};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use crate::authority::{MintFailed, ORGANISATION, date, positive, whole_second};

/// A certificate that signs itself, and its key: for whoever made it, and nobody else.
pub struct OwnCertificate {
    /// In DER.
    pub certificate: Vec<u8>,
    /// PKCS #8, in DER.
    pub pkcs8: Vec<u8>,
}

impl OwnCertificate {
    /// Makes an operator's, with a fresh P-256 key, valid for `life` from `at`. It is a client's alone, names no service and
    /// signs nothing; its name is for people.
    ///
    /// # Errors
    /// [`MintFailed`].
    pub fn make(name: &OperatorName, serial: [u8; 16], at: Time, life: Duration) -> Result<Self, MintFailed> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, ORGANISATION);
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.serial_number = Some(positive(serial));
        params.not_before = date(at)?;
        params.not_after = date(whole_second(at.plus(life)))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Self { certificate, pkcs8: key.serialize_der() })
    }
}
