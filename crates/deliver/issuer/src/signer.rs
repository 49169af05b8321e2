//! Keys that sign and never leave.

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

/// A P-256 key. One key has one purpose: certificates, or tokens.
pub trait Signer: Send + Sync {
    /// An ECDSA signature with SHA-256, in ASN.1 (RFC 3279 §2.2.3): for certificates.
    ///
    /// # Errors
    /// [`SigningFailed`].
    fn sign_asn1(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;

    /// An ECDSA signature with SHA-256, as `r` and `s` of 32 bytes each (RFC 7518 §3.4): for tokens.
    ///
    /// # Errors
    /// [`SigningFailed`].
    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;

    /// The public key as an uncompressed point: 4, `x`, `y` (SEC 1 §2.3.3).
    fn public_point(&self) -> &[u8];
}

/// The key did not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key did not sign")]
pub struct SigningFailed;

/// A signer as rcgen asks for one.
pub(crate) struct Certifying<'a>(pub(crate) &'a dyn Signer);

impl PublicKeyData for Certifying<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Certifying<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign_asn1(message).or(Err(rcgen::Error::RemoteKeyError))
    }
}
