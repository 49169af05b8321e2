//! Private keys as the Workload API hands them out: PKCS #8 in DER.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};

const CURVES: &[&EcdsaSigningAlgorithm] =
    &[&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];

/// The public half, as a certificate's bit string has it; none where the bytes are no plain PKCS #8 in DER of a kind that
/// is known here.
pub(crate) fn public_half(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let elliptic = CURVES.iter().find_map(|curve| EcdsaKeyPair::from_pkcs8(curve, pkcs8).ok());
    if let Some(key) = elliptic {
        return Some(key.public_key().as_ref().to_vec());
    }
    if let Ok(key) = RsaKeyPair::from_pkcs8(pkcs8) {
        return Some(key.public_key().as_ref().to_vec());
    }
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(|key| key.public_key().as_ref().to_vec())
}

/// Signs as a JWS does, with whatever algorithm the key allows: the algorithm's name, and a function from what is signed
/// to the signature.
pub(crate) struct JwsSigner {
    pub(crate) alg: &'static str,
    key: Kind,
}

enum Kind {
    Elliptic(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl JwsSigner {
    /// With a key that somebody else made.
    pub(crate) fn with(pkcs8: &[u8]) -> Option<Self> {
        let curves: [(&str, &'static EcdsaSigningAlgorithm); 3] = [
            ("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            ("ES384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            ("ES512", &ECDSA_P521_SHA512_FIXED_SIGNING),
        ];
        let elliptic = |(alg, curve)| {
            EcdsaKeyPair::from_pkcs8(curve, pkcs8).ok().map(|key| Self { alg, key: Kind::Elliptic(key) })
        };
        let rsa = || RsaKeyPair::from_pkcs8(pkcs8).ok().map(|key| Self { alg: "RS256", key: Kind::Rsa(key) });
        let edwards = || {
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .ok()
                .map(|key| Self { alg: "EdDSA", key: Kind::Edwards(key) })
        };
        curves.into_iter().find_map(elliptic).or_else(rsa).or_else(edwards)
    }

    /// With a fresh P-256 key.
    pub(crate) fn fresh() -> Option<Self> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .ok()
            .map(|key| Self { alg: "ES256", key: Kind::Elliptic(key) })
    }

    /// With a fresh Ed25519 key.
    pub(crate) fn fresh_edwards() -> Option<Self> {
        Ed25519KeyPair::generate().ok().map(|key| Self { alg: "EdDSA", key: Kind::Edwards(key) })
    }

    pub(crate) fn public_half(&self) -> Vec<u8> {
        match &self.key {
            Kind::Elliptic(key) => key.public_key().as_ref().to_vec(),
            Kind::Rsa(key) => key.public_key().as_ref().to_vec(),
            Kind::Edwards(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn sign(&self, signed: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.key {
            Kind::Elliptic(key) => Some(key.sign(&random, signed).ok()?.as_ref().to_vec()),
            Kind::Edwards(key) => Some(key.sign(signed).as_ref().to_vec()),
            Kind::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, signed, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}
