//! Keys that sign and never leave.

use std::ops::Deref;

use aws_lc_rs::digest::{SHA256, digest};
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
pub(crate) struct Certifying<S = Box<dyn Signer>>(pub(crate) S);

impl<S: Deref<Target: Signer>> PublicKeyData for Certifying<S> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl<S: Deref<Target: Signer>> SigningKey for Certifying<S> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign_asn1(message).or(Err(rcgen::Error::RemoteKeyError))
    }
}

/// A public key as rcgen asks for one.
struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// SHA-256 of a P-256 key as a SubjectPublicKeyInfo in DER (RFC 5480 §2), from its uncompressed point.
pub fn key_digest(point: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, &Point(point).subject_public_key_info()).as_ref());
    bytes
}

/// Names a key: the first 20 bytes of [`key_digest`], in hex. The certificates of an authority name it so (RFC 5280 §4.2.1.2), and so do
/// those that it signs (§4.2.1.1).
pub fn key_id(point: &[u8]) -> String {
    key_digest(point).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}
