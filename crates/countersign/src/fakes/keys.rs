//! Keys of fakes: made once, and kept, so that what an estate trusts holds over a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use net::files::write_whole;
use serde_json::{Value, json};

/// Why a key of a fake cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFakeKey {
    #[error("cannot read or write `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not the key that it should be", .path.display())]
    Rejected { path: PathBuf, source: KeyRejected },
    #[error("the key cannot be made or used")]
    Crypto(#[from] Unspecified),
    #[error("no certificate can be made of the key")]
    Certificate(#[from] rcgen::Error),
}

/// Signs by RSA and SHA-256, PKCS #1.
pub(super) struct Rsa {
    pair: RsaKeyPair,
    pkcs8: Vec<u8>,
    name: &'static str,
}

/// Signs by P-384 and SHA-384.
pub(super) struct P384 {
    pair: EcdsaKeyPair,
    name: &'static str,
}

impl Rsa {
    pub(super) fn open(directory: &Path, name: &'static str) -> Result<Self, BadFakeKey> {
        let (path, pkcs8) = kept(directory, name, || {
            let pkcs8: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
            Ok(pkcs8.as_ref().to_vec())
        })?;
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(|source| BadFakeKey::Rejected { path, source })?;
        Ok(Self { pair, pkcs8, name })
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }

    pub(super) fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name,
            "n": base64url(n.big_endian_without_leading_zero()), "e": base64url(e.big_endian_without_leading_zero()),
        })
    }

    pub(super) fn token(&self, claims: &Value) -> Result<String, Unspecified> {
        let signed = unsigned("RS256", self.name, claims);
        Ok(format!("{signed}.{}", base64url(self.sign(signed.as_bytes())?)))
    }
}

impl P384 {
    pub(super) fn open(directory: &Path, name: &'static str) -> Result<Self, BadFakeKey> {
        let (path, pkcs8) = kept(directory, name, || {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new())?;
            Ok(made.as_ref().to_vec())
        })?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &pkcs8);
        Ok(Self { pair: pair.map_err(|source| BadFakeKey::Rejected { path, source })?, name })
    }

    pub(super) fn jwk(&self) -> Value {
        // an uncompressed point: 4, x, y
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        json!({
            "kty": "EC", "crv": "P-384", "use": "sig", "alg": "ES384", "kid": self.name,
            "x": base64url(x), "y": base64url(y),
        })
    }

    pub(super) fn token(&self, claims: &Value) -> Result<String, Unspecified> {
        let signed = unsigned("ES384", self.name, claims);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", base64url(signature)))
    }
}

fn unsigned(algorithm: &str, kid: &str, claims: &Value) -> String {
    let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
    format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()))
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn kept(
    directory: &Path,
    name: &str,
    make: impl FnOnce() -> Result<Vec<u8>, BadFakeKey>,
) -> Result<(PathBuf, Vec<u8>), BadFakeKey> {
    let path = directory.join(format!("{name}.pk8"));
    let io = |source| BadFakeKey::Io { path: path.clone(), source };
    let pkcs8 = match fs::read(&path) {
        Ok(pkcs8) => pkcs8,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = make()?;
            write_whole(&path, &made, 0o600).map_err(io)?;
            made
        }
        Err(error) => return Err(io(error)),
    };
    Ok((path, pkcs8))
}
