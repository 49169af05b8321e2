//! Tokens by an independent library: PyJWT and cryptography in one long-lived process that ends with its input.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::AUDIENCE;
use super::scripted::Scripted;

/// Keys that stories share: name, algorithm, `kid`.
const KEYS: &[(&str, &str, Option<&str>)] = &[
    ("github", "RS256", Some("gh-1")),
    ("platform", "PS256", None),
    ("people", "ES256", Some("pe-1")),
    // what a stranger would make: the same names, another key
    ("stranger", "RS256", Some("gh-1")),
    ("stranger-ec", "ES256", Some("pe-1")),
];

/// The minting process.
pub struct Mint(Mutex<Pipes>);

struct Pipes {
    process: Scripted,
    keys: BTreeMap<String, Value>,
}

impl Mint {
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Mint> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let mint = Self(Mutex::new(Pipes { process: Scripted::start("mint.py"), keys: BTreeMap::new() }));
        for (name, algorithm, kid) in KEYS {
            mint.make(name, algorithm, *kid);
        }
        mint
    }

    /// Makes a key, once; gives its public JWK.
    pub fn make(&self, name: &str, algorithm: &str, kid: Option<&str>) -> Value {
        let mut pipes = lock(&self.0);
        if let Some(known) = pipes.keys.get(name) {
            return known.clone();
        }
        let jwk = pipes.process.ask(&json!({"do": "key", "name": name, "alg": algorithm, "kid": kid}))["jwk"].clone();
        pipes.keys.insert(name.to_owned(), jwk.clone());
        jwk
    }

    /// The public JWK of a key that was made.
    pub fn key(&self, name: &str) -> Value {
        lock(&self.0).keys[name].clone()
    }

    fn ask(&self, question: &Value) -> Value {
        lock(&self.0).process.ask(question)
    }

    /// A token as PyJWT makes it. `headers` go over what it would write.
    pub fn token(&self, key: &str, algorithm: &str, headers: &Value, claims: &Value) -> String {
        let asked = json!({"do": "mint", "key": key, "alg": algorithm, "headers": headers, "claims": claims});
        text(&self.ask(&asked), "token")
    }

    pub fn ci(&self, claims: &Value) -> String {
        self.token("github", "RS256", &json!({"kid": "gh-1"}), claims)
    }

    pub fn dunning(&self, claims: &Value) -> String {
        self.token("platform", "PS256", &json!({}), claims)
    }

    pub fn alice(&self, claims: &Value) -> String {
        self.token("people", "ES256", &json!({"kid": "pe-1"}), claims)
    }

    /// A compact JWS over exactly these bytes.
    pub fn raw(&self, key: &str, algorithm: &str, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        format!("{signed}.{}", self.signature(key, algorithm, &signed))
    }

    /// The signature over exactly this text, in base64url. `ES…/der`: as DER; `HS256/pem` and the like: keyed with the
    /// public key, as text or DER.
    pub fn signature(&self, key: &str, algorithm: &str, signed: &str) -> String {
        text(&self.ask(&json!({"do": "sign", "key": key, "alg": algorithm, "signed": signed})), "signature")
    }
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().expect("text").to_owned()
}

pub fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn epoch_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("a sane clock")
}

/// What a release job's token says.
pub fn ci_claims() -> Value {
    let now = epoch_seconds();
    json!({
        "iss": "https://issuer.acme.test/github", "sub": "repo:acme/billing:ref:refs/heads/main", "aud": AUDIENCE,
        "iat": now - 2, "nbf": now - 2, "exp": now + 300, "jti": "scenario", "repository": "acme/billing",
        "repository_owner": "acme", "repository_id": "4711", "repository_owner_id": "9001", "ref": "refs/heads/main",
        "ref_protected": "true", "event_name": "push", "run_id": "1001",
    })
}

/// What the agent's token says: an opaque issuer, and no `iat`.
pub fn dunning_claims() -> Value {
    json!({
        "iss": "workload-identity-issuer", "sub": "dunning-agent", "aud": AUDIENCE, "exp": epoch_seconds() + 300,
    })
}

/// What a person's token says.
pub fn alice_claims() -> Value {
    let now = epoch_seconds();
    json!({"iss": "https://issuer.acme.test/people", "sub": "alice", "aud": AUDIENCE, "iat": now - 2, "exp": now + 300})
}

/// One test that fails while it asks does not take the others along.
fn lock(pipes: &Mutex<Pipes>) -> MutexGuard<'_, Pipes> {
    pipes.lock().unwrap_or_else(PoisonError::into_inner)
}
