//! Sample issuers: keys of their own under the dev directory, served as key sets, so that tokens are really signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use net::files::write_whole;
use net::{Door, Peer};

/// A sample issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// A CI system: RS256, with a `kid`.
    Github,
    /// A workload platform: PS256, one key without a `kid`.
    Platform,
    /// A company's people: ES256.
    People,
    /// A Kubernetes cluster, for its service accounts: RS256.
    Cluster,
}

/// Why a sample issuer's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    #[error("cannot read or write `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is not a key of this issuer", .path.display())]
    Rejected { path: PathBuf, source: aws_lc_rs::error::KeyRejected },
    #[error("the key cannot be made or used")]
    Crypto(#[from] aws_lc_rs::error::Unspecified),
}

/// The private key of a sample issuer.
pub enum SigningKey {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
}

impl Issuer {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Platform => "platform",
            Self::People => "people",
            Self::Cluster => "cluster",
        }
    }

    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Github | Self::Cluster => "RS256",
            Self::Platform => "PS256",
            Self::People => "ES256",
        }
    }

    pub const fn kid(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("github-1"),
            Self::Platform => None,
            Self::People => Some("people-1"),
            Self::Cluster => Some("cluster-1"),
        }
    }

    /// This issuer's key under `keys`; made there at first use.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn key(self, keys: &Path) -> Result<SigningKey, BadKey> {
        let path = keys.join(format!("{}.p8", self.name()));
        let io = |source| BadKey::Io { path: path.clone(), source };
        let pkcs8 = match fs::read(&path) {
            Ok(pkcs8) => pkcs8,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = self.generate()?;
                write_whole(&path, &made, 0o600).map_err(io)?;
                made
            }
            Err(error) => return Err(io(error)),
        };
        let rejected = |source| BadKey::Rejected { path: path.clone(), source };
        match self {
            Self::Github | Self::Platform | Self::Cluster => {
                RsaKeyPair::from_pkcs8(&pkcs8).map(Box::new).map(SigningKey::Rsa).map_err(rejected)
            }
            Self::People => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
                .map(SigningKey::P256)
                .map_err(rejected),
        }
    }

    /// The public key set, as this issuer publishes it.
    pub fn key_set(self, key: &SigningKey) -> Value {
        let mut jwk = Map::from_iter([("use".to_owned(), json!("sig")), ("alg".to_owned(), json!(self.algorithm()))]);
        jwk.extend(self.kid().map(|kid| ("kid".to_owned(), json!(kid))));
        let mut member = |name: &str, value: String| jwk.insert(name.to_owned(), Value::String(value));
        match key {
            SigningKey::Rsa(key) => {
                let public = key.public_key();
                member("kty", "RSA".to_owned());
                member("n", base64url(public.modulus().big_endian_without_leading_zero()));
                member("e", base64url(public.exponent().big_endian_without_leading_zero()));
            }
            SigningKey::P256(key) => {
                // an uncompressed point: 4, x, y
                let point = key.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
                member("kty", "EC".to_owned());
                member("crv", "P-256".to_owned());
                member("x", base64url(x));
                member("y", base64url(y));
            }
        }
        json!({"keys": [jwk]})
    }

    /// A compact JWS over `claims`.
    ///
    /// # Errors
    /// [`BadKey::Crypto`].
    pub fn sign(self, key: &SigningKey, claims: &Value) -> Result<String, BadKey> {
        let mut header =
            Map::from_iter([("alg".to_owned(), json!(self.algorithm())), ("typ".to_owned(), json!("JWT"))]);
        header.extend(self.kid().map(|kid| ("kid".to_owned(), json!(kid))));
        let header = Value::Object(header);
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match key {
            SigningKey::Rsa(key) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match self {
                    Self::Platform => &RSA_PSS_SHA256,
                    Self::Github | Self::People | Self::Cluster => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, signed.as_bytes(), &mut signature)?;
                signature
            }
            SigningKey::P256(key) => key.sign(&random, signed.as_bytes())?.as_ref().to_vec(),
        };
        Ok(format!("{signed}.{}", base64url(signature)))
    }

    fn generate(self) -> Result<Vec<u8>, BadKey> {
        Ok(match self {
            Self::Github | Self::Platform | Self::Cluster => {
                let pkcs8: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                pkcs8.as_ref().to_vec()
            }
            Self::People => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
                pkcs8.as_ref().to_vec()
            }
        })
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Serves the key sets of the issuers that are found by URL.
pub struct Issuers {
    documents: Vec<(String, Bytes)>,
}

impl Issuers {
    /// The key sets of issuers whose keys lie under `keys`, to be served at `url`.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(keys: &Path, url: &str) -> Result<Self, BadKey> {
        let mut documents = Vec::new();
        for issuer in [Issuer::Github, Issuer::People] {
            let name = issuer.name();
            let key_set = issuer.key_set(&issuer.key(keys)?);
            let discovery = json!({
                "issuer": format!("{url}/{name}"),
                "jwks_uri": format!("{url}/{name}/jwks"),
                "id_token_signing_alg_values_supported": [issuer.algorithm()],
            });
            documents.push((format!("/{name}/jwks"), Bytes::from(key_set.to_string())));
            documents.push((format!("/{name}/.well-known/openid-configuration"), Bytes::from(discovery.to_string())));
        }
        Ok(Self { documents })
    }
}

impl Door for Issuers {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        let found = self.documents.iter().find(|(path, _)| path == request.uri().path());
        let (status, body) = match found {
            Some((_, document)) if request.method() == Method::GET => (StatusCode::OK, document.clone()),
            Some(_) => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        };
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        answer
    }
}
