//! Keys of sample parties: made once, and kept, so that what an estate trusts holds over a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use net::files::write_whole;
use serde_json::{Map, Value, json};

/// How a sample party signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    Rs256,
    Ps256,
    Es256,
    Es384,
}

/// By what signatures of a kind are made.
enum Means {
    Rsa(&'static dyn RsaEncoding),
    /// On a curve of this name.
    Ecdsa(&'static str, &'static EcdsaSigningAlgorithm),
}

/// Why a sample party's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    #[error("cannot read or write `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not a key of this issuer", .path.display())]
    Rejected { path: PathBuf, source: KeyRejected },
    #[error("the key cannot be made or used")]
    Crypto(#[from] Unspecified),
}

/// The private key of a sample party.
pub struct SigningKey {
    pair: Pair,
    pkcs8: Vec<u8>,
    signing: Signing,
    kid: Option<&'static str>,
}

/// A key, with what it signs by: the padding, or the name of its curve.
enum Pair {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair, &'static str),
}

impl Signing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    fn means(self) -> Means {
        match self {
            Self::Rs256 => Means::Rsa(&RSA_PKCS1_SHA256),
            Self::Ps256 => Means::Rsa(&RSA_PSS_SHA256),
            Self::Es256 => Means::Ecdsa("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            Self::Es384 => Means::Ecdsa("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        }
    }

    fn generate(self) -> Result<Vec<u8>, Unspecified> {
        Ok(match self.means() {
            Means::Rsa(_) => {
                let pkcs8: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                pkcs8.as_ref().to_vec()
            }
            Means::Ecdsa(_, by) => EcdsaKeyPair::generate_pkcs8(by, &SystemRandom::new())?.as_ref().to_vec(),
        })
    }
}

impl SigningKey {
    /// The key in this file; made there at first use.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn open(path: PathBuf, signing: Signing, kid: Option<&'static str>) -> Result<Self, BadKey> {
        let io = |source| BadKey::Io { path: path.clone(), source };
        let pkcs8 = match fs::read(&path) {
            Ok(pkcs8) => pkcs8,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = signing.generate()?;
                write_whole(&path, &made, 0o600).map_err(io)?;
                made
            }
            Err(error) => return Err(io(error)),
        };
        let pair = match signing.means() {
            Means::Rsa(padding) => RsaKeyPair::from_pkcs8(&pkcs8).map(|pair| Pair::Rsa(Box::new(pair), padding)),
            Means::Ecdsa(curve, by) => EcdsaKeyPair::from_pkcs8(by, &pkcs8).map(|pair| Pair::Ecdsa(pair, curve)),
        };
        let pair = pair.map_err(|source| BadKey::Rejected { path, source })?;
        Ok(Self { pair, pkcs8, signing, kid })
    }

    /// The key of this name of a fake, which is its `kid` too.
    pub(super) fn named(directory: &Path, name: &'static str, signing: Signing) -> Result<Self, BadKey> {
        Self::open(directory.join(format!("{name}.pk8")), signing, Some(name))
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair, _) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
        }
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        let mut jwk =
            Map::from_iter([("use".to_owned(), json!("sig")), ("alg".to_owned(), json!(self.signing.as_str()))]);
        jwk.extend(self.kid.map(|kid| ("kid".to_owned(), json!(kid))));
        let mut member = |name: &str, value: &str| jwk.insert(name.to_owned(), json!(value));
        match &self.pair {
            Pair::Rsa(pair, _) => {
                let public = pair.public_key();
                member("kty", "RSA");
                member("n", &base64url(public.modulus().big_endian_without_leading_zero()));
                member("e", &base64url(public.exponent().big_endian_without_leading_zero()));
            }
            Pair::Ecdsa(pair, curve) => {
                // an uncompressed point: 4, x, y
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
                member("kty", "EC");
                member("crv", curve);
                member("x", &base64url(x));
                member("y", &base64url(y));
            }
        }
        Value::Object(jwk)
    }

    /// A compact JWS over `claims`.
    ///
    /// # Errors
    /// [`Unspecified`].
    pub fn token(&self, claims: &Value) -> Result<String, Unspecified> {
        let mut header =
            Map::from_iter([("alg".to_owned(), json!(self.signing.as_str())), ("typ".to_owned(), json!("JWT"))]);
        header.extend(self.kid.map(|kid| ("kid".to_owned(), json!(kid))));
        let header = Value::Object(header);
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        Ok(format!("{signed}.{}", base64url(self.sign(signed.as_bytes())?)))
    }
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
