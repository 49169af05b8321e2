//! The keys that sign certificates and tokens: in a file that only its owner reads, or in memory alone.

use std::path::Path;

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use issuer::{Signer, SigningFailed};

use crate::signer::{BadSigner, read_private, write_private};

/// A P-256 key: on disk in PKCS#8 in PEM (RFC 5958), readable by its owner alone, or wherever its PKCS#8 was kept.
pub struct P256Signer {
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
    random: SystemRandom,
}

impl P256Signer {
    /// Opens the key in `path`, or makes one there.
    ///
    /// # Errors
    /// [`BadSigner`].
    pub fn open(path: &Path) -> Result<Self, BadSigner> {
        let der = match read_private(path)? {
            Some(der) => der,
            None => {
                let der = new_pkcs8()?;
                write_private(path, &der)?;
                der
            }
        };
        let rejected = |source| BadSigner::Key { path: path.to_owned(), kind: "a P-256", source };
        Self::from_pkcs8(&der).map_err(rejected)
    }

    /// A new key, and its PKCS#8 for whoever keeps it.
    ///
    /// # Errors
    /// [`BadSigner::Making`].
    pub fn make() -> Result<(Self, Vec<u8>), BadSigner> {
        let der = new_pkcs8()?;
        Ok((Self::from_pkcs8(&der).or(Err(BadSigner::Making))?, der))
    }

    /// The key of this PKCS#8.
    ///
    /// # Errors
    /// [`KeyRejected`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyRejected> {
        Ok(Self {
            asn1: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)?,
            fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)?,
            random: SystemRandom::new(),
        })
    }
}

fn new_pkcs8() -> Result<Vec<u8>, BadSigner> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    Ok(made.or(Err(BadSigner::Making))?.as_ref().to_vec())
}

impl Signer for P256Signer {
    fn sign_asn1(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.asn1.sign(&self.random, message).map(|signature| signature.as_ref().to_vec()).or(Err(SigningFailed))
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.fixed.sign(&self.random, message).map(|signature| signature.as_ref().to_vec()).or(Err(SigningFailed))
    }

    fn public_point(&self) -> &[u8] {
        self.asn1.public_key().as_ref()
    }
}
