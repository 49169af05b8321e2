//! Certificate signing requests (RFC 2986): only the public key is taken from one, and the proof that its holder made it.

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PublicKey, PublicKeyData};

use crate::publish::bound_key;

/// Longest request, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The public key of a request whose signature verifies.
pub struct CertificateRequest(pub(crate) PublicKey);

/// Why bytes are no certificate request.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    #[error("the certificate request has {found} bytes; at most {MAX_BYTES} are read")]
    TooLong { found: usize },
    #[error("expected a certificate request (PKCS #10, in DER), signed by its own key: {reason}")]
    Unreadable { reason: String },
}

impl CertificateRequest {
    /// Reads a request in DER and verifies its signature. What it asks for beside its key is not looked at: names and
    /// lifetime come from whoever permits.
    ///
    /// # Errors
    /// [`BadRequest`].
    pub fn read(der: &[u8]) -> Result<Self, BadRequest> {
        if der.len() > MAX_BYTES {
            return Err(BadRequest::TooLong { found: der.len() });
        }
        let request = CertificateSigningRequestParams::from_der(&der.to_vec().into());
        let request = request.map_err(|error| BadRequest::Unreadable { reason: error.to_string() })?;
        Ok(Self(request.public_key))
    }

    /// Its key as a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7).
    pub fn key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// Its public key, as it stands in a certificate; an uncompressed point for P-256.
    pub(crate) fn point(&self) -> &[u8] {
        self.0.der_bytes()
    }

    /// Its key as an uncompressed point, if it is a P-256 one.
    pub(crate) fn p256(&self) -> Option<&[u8]> {
        (self.0.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256).then(|| self.point())
    }
}

/// A P-256 key and the request that asks for its certificate. The key is for whoever made it, and nobody else.
pub struct NewKey {
    /// PKCS #8, in DER.
    pub pkcs8: Vec<u8>,
    /// PKCS #10, in DER.
    pub request: Vec<u8>,
}

impl NewKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`rcgen::Error`] without the system's randomness.
    pub fn make() -> Result<Self, rcgen::Error> {
        Self::of(&KeyPair::generate()?)
    }

    /// A key that was made before, in PKCS #8.
    ///
    /// # Errors
    /// [`rcgen::Error`] where it is no key.
    pub fn kept(pkcs8: &[u8]) -> Result<Self, rcgen::Error> {
        Self::of(&KeyPair::try_from(pkcs8)?)
    }

    /// The key as a private JWK (RFC 7517 §4, RFC 7518 §6.2.2); none where it is not a P-256 one.
    pub fn private_jwk(&self) -> Option<String> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).ok()?;
        let scalar: EcPrivateKeyBin<'_> = key.private_key().as_be_bytes().ok()?;
        let scalar = BASE64_URL_SAFE_NO_PAD.encode(scalar.as_ref());
        let mut jwk = bound_key(key.public_key().as_ref());
        jwk.as_object_mut()?.insert("d".to_owned(), scalar.into());
        Some(jwk.to_string())
    }

    fn of(key: &KeyPair) -> Result<Self, rcgen::Error> {
        let request = CertificateParams::default().serialize_request(key)?;
        Ok(Self { pkcs8: key.serialize_der(), request: request.der().to_vec() })
    }
}
