//! What the sample API does with a gateway's assertion: the same as any service should, with the published keys.

use std::sync::Arc;
use std::time::Duration;

use credential::{
    Algorithm, CredentialCache, ExtraAudiences, KeySet, Message, Picked, Presented, Source, SourceKeys, Sources, Token,
    verify,
};
use http::{HeaderMap, HeaderValue};
use model::Code;
use tokio::sync::Mutex;

use net::{Plain, Reach, Remote, Roots, fetch, now};

const HEADER: &str = "countersign-assertion";
/// Whom assertions for the quickstart's service are for.
const AUDIENCE: &str = "billing-api";
/// Longest life of an assertion.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Verifies assertions with the keys that an admin listener publishes.
pub(super) struct Verifier {
    keys_url: String,
    published: Mutex<Option<Published>>,
}

#[derive(Clone)]
struct Published {
    issuer: String,
    keys: Arc<KeySet>,
}

/// What an assertion says.
pub(super) enum Caller {
    /// There was none.
    Unnamed,
    Named(String),
    Refused(Code),
}

impl Verifier {
    pub(super) fn new(admin: &str) -> Self {
        Self { keys_url: format!("{admin}/keys"), published: Mutex::default() }
    }

    /// Who the caller is, by the gateway's word.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Caller {
        let mut values = headers.get_all(HEADER).iter();
        let token = match (values.next(), values.next()) {
            (None, _) => return Caller::Unnamed,
            (Some(only), None) => only,
            (Some(_), Some(_)) => return Caller::Refused(Code::RequestAmbiguous),
        };
        let known = self.published.lock().await.clone();
        let verified = match verified(token, known) {
            Err(Code::IssuerUnknown | Code::KeyUnknown | Code::KeysUnavailable | Code::SignatureInvalid) => {
                // the keys may be new
                let fetched = published(&self.keys_url).await;
                self.published.lock().await.clone_from(&fetched);
                verified(token, fetched)
            }
            held => held,
        };
        verified.map_or_else(Caller::Refused, Caller::Named)
    }
}

fn verified(token: &HeaderValue, published: Option<Published>) -> Result<String, Code> {
    let Published { issuer, keys } = published.ok_or(Code::KeysUnavailable)?;
    let source = Source {
        name: "gateway".parse().or(Err(Code::CredentialMalformed))?,
        picked: Picked::ByIssuer,
        proves: Vec::new(),
        issuer,
        audiences: vec![AUDIENCE.to_owned()],
        extra_audiences: ExtraAudiences::Refused,
        algorithms: vec![Algorithm::Es256],
        required_claims: ["iss", "sub", "aud", "exp", "iat", "txn"].map(str::to_owned).to_vec(),
        max_age: MAX_AGE,
        types: vec![Some("txntoken+jwt".to_owned())],
        identity_key: vec!["sub".parse().or(Err(Code::CredentialMalformed))?],
        display: Vec::new(),
        evidence: Vec::new(),
        keys: SourceKeys::Given(keys),
        // each is presented once
        cache: CredentialCache::Off,
    };
    let sources = Sources::new([source]).or(Err(Code::CredentialMalformed))?;
    let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token.as_bytes()))) };
    let proofs = verify(&sources, &presented, now()).map_err(|refused| refused.cause.code())?;
    let finding = proofs.findings().next().ok_or(Code::CredentialMissing)?;
    Ok(finding.key.concat())
}

/// Who signs, and with which keys, as the gateway's admin listener says.
async fn published(url: &str) -> Option<Published> {
    let remote = Remote::new(url, Reach::Loopback, Plain::OnLoopback, Roots::Platform).ok()?;
    let json = fetch(&remote).await.ok()?.document;
    let document: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let issuer = document.get("issuer")?.as_str()?.to_owned();
    Some(Published { issuer, keys: Arc::new(KeySet::parse(&json).ok()?) })
}
