//! Sample issuers: keys of their own under the dev directory, served as key sets, so that tokens are really signed.

use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use net::{Door, Peer};
use serde_json::{Value, json};

use crate::fakes::{BadKey, Signing, SigningKey};

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

impl Issuer {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Platform => "platform",
            Self::People => "people",
            Self::Cluster => "cluster",
        }
    }

    const fn signing(self) -> Signing {
        match self {
            Self::Github | Self::Cluster => Signing::Rs256,
            Self::Platform => Signing::Ps256,
            Self::People => Signing::Es256,
        }
    }

    pub const fn algorithm(self) -> &'static str {
        self.signing().as_str()
    }

    const fn kid(self) -> Option<&'static str> {
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
        SigningKey::open(keys.join(format!("{}.p8", self.name())), self.signing(), self.kid())
    }
}

/// The public key set, as the issuer of a key publishes it.
pub fn key_set(key: &SigningKey) -> Value {
    json!({"keys": [key.jwk()]})
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
            let key_set = key_set(&issuer.key(keys)?);
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
