//! Tokens of service accounts: made for pods, and looked at as an API server does, which knows what there is by now.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use credential::{
    Algorithm, CredentialCache, ExtraAudiences, Finding, KeySet, Message, Picked, Presented, Source, SourceKeys,
    Sources, Token, verify,
};
use model::PrincipalKind;
use net::now;
use serde_json::{Map, Value, json};

use super::super::issuers::{Issuer, key_set};
use super::world::{Name, Refusal, World, uid};
use crate::fakes::{BadKey, SigningKey};

/// Whom a token is for that says nothing: the API server itself.
const OWN: &str = "https://kubernetes.default.svc";
/// Shortest and longest life of a token, in seconds.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 24 * 3600;
/// What a token says under `kubernetes.io`.
const CLAIMS: &[&str] =
    &["namespace", "serviceaccount.name", "serviceaccount.uid", "pod.name", "pod.uid", "node.name", "node.uid"];

/// The cluster's key.
pub(super) struct Signing {
    key: SigningKey,
    issuer: String,
}

impl Signing {
    pub(super) fn open(directory: &Path) -> Result<Self, BadKey> {
        Ok(Self { key: Issuer::Cluster.key(directory)?, issuer: String::new() })
    }

    pub(super) fn at(self, issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), ..self }
    }

    pub(super) fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer, "jwks_uri": format!("{}/openid/v1/jwks", self.issuer),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [Issuer::Cluster.algorithm()],
        })
    }

    pub(super) fn jwks(&self) -> Value {
        key_set(&self.key)
    }

    /// `TokenRequest`: a token of a service account, bound to a pod of it if one is named.
    pub(super) fn request(&self, world: &World, account: &Name, body: &Value) -> Result<Value, Refusal> {
        let account_uid = world.account(account).ok_or_else(|| gone("serviceaccounts", &account.1))?;
        let spec = body.get("spec").cloned().unwrap_or_default();
        let audiences = match words(spec.get("audiences")) {
            none if none.is_empty() => vec![OWN.to_owned()],
            some => some,
        };
        let seconds = spec.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(3600);
        if seconds < SHORTEST {
            return Err(Refusal::Invalid(
                "spec.expirationSeconds: may not specify a duration less than 10 minutes".to_owned(),
            ));
        }
        let at = now().as_micros() / 1_000_000;
        let expires = at + seconds.min(LONGEST);
        let mut own = Map::new();
        own.insert("namespace".to_owned(), json!(account.0));
        own.insert("serviceaccount".to_owned(), json!({"name": account.1, "uid": account_uid}));
        if let Some(bound) = spec.get("boundObjectRef").filter(|bound| !bound.is_null()) {
            let word = |name: &str| bound.get(name).and_then(Value::as_str).unwrap_or_default();
            if (word("kind"), word("apiVersion")) != ("Pod", "v1") {
                return Err(Refusal::Invalid("spec.boundObjectRef: only pods are bound to here".to_owned()));
            }
            let name = (account.0.clone(), word("name").to_owned());
            let pod = world.pod(&name).ok_or_else(|| gone("pods", &name.1))?;
            if pod.account != account.1 || ![pod.uid.as_str(), ""].contains(&word("uid")) {
                return Err(Refusal::Invalid(
                    "spec.boundObjectRef: the pod is another, or of another account".to_owned(),
                ));
            }
            let node = world.node(&pod.node).map(|node| node.uid.clone());
            own.insert("pod".to_owned(), json!({"name": name.1, "uid": pod.uid}));
            own.insert("node".to_owned(), json!({"name": pod.node, "uid": node}));
        }
        let claims = json!({
            "iss": self.issuer, "sub": username(account), "aud": audiences,
            "iat": at, "nbf": at, "exp": expires, "jti": uid(), "kubernetes.io": own,
        });
        let token = self.key.token(&claims);
        let token = token.map_err(|_unspecified| Refusal::Invalid("the key does not sign".to_owned()))?;
        Ok(json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": account.1},
            "spec": spec,
            "status": {"token": token, "expirationTimestamp": model::Time::from_unix_seconds(expires).to_string()},
        }))
    }

    /// `TokenReview`: what holds of a token, for one of the audiences that are asked for.
    pub(super) fn review(&self, world: &World, body: &Value) -> Value {
        let asked = match words(body.pointer("/spec/audiences")) {
            none if none.is_empty() => vec![OWN.to_owned()],
            some => some,
        };
        let token = body.pointer("/spec/token").and_then(Value::as_str).unwrap_or_default();
        let status = match self.user(world, token, &asked) {
            Ok((user, audiences)) => json!({"authenticated": true, "user": user, "audiences": audiences}),
            Err(why) => json!({"user": {}, "error": format!("[invalid bearer token, {why}]")}),
        };
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
            "spec": {"token": token, "audiences": asked}, "status": status,
        })
    }

    fn user(&self, world: &World, token: &str, asked: &[String]) -> Result<(Value, Vec<String>), &'static str> {
        let found = asked.iter().filter_map(|audience| Some((audience, self.read(token, audience)?)));
        let (audiences, mut read): (Vec<&String>, Vec<Finding>) = found.unzip();
        let finding = read.pop().ok_or("it is not of this cluster, has ended, or is for others")?;
        let word = |path: &str| {
            let found = finding.display.iter().find(|(name, _)| name.as_str() == format!(r"kubernetes\.io.{path}"));
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let account = (word("namespace"), word("serviceaccount.name"));
        if world.account(&account) != Some(&word("serviceaccount.uid")) {
            return Err("service account token has been invalidated");
        }
        let mut extra = Map::new();
        let mut add = |key: &str, value: String| {
            extra.insert(format!("authentication.kubernetes.io/{key}"), json!([value]));
        };
        add("credential-id", format!("JTI={}", finding.credential_id));
        let pod = (account.0.clone(), word("pod.name"));
        if !pod.1.is_empty() {
            if world.pod(&pod).map(|pod| &pod.uid) != Some(&word("pod.uid")) {
                return Err("service account token has been invalidated");
            }
            for key in ["pod-name", "pod-uid", "node-name", "node-uid"] {
                add(key, word(&key.replace('-', ".")));
            }
        }
        let of_namespace = format!("system:serviceaccounts:{}", account.0);
        let user = json!({
            "username": username(&account), "uid": word("serviceaccount.uid"),
            "groups": ["system:serviceaccounts", of_namespace, "system:authenticated"], "extra": extra,
        });
        Ok((user, audiences.into_iter().cloned().collect()))
    }

    /// What a token says that this key signed, for this audience and perhaps for others.
    fn read(&self, token: &str, audience: &str) -> Option<Finding> {
        let path = |text: &str| text.parse().ok();
        let source = Source {
            name: "cluster".parse().ok()?,
            picked: Picked::ByIssuer,
            proves: vec![PrincipalKind::Workload],
            issuer: self.issuer.clone(),
            audiences: vec![audience.to_owned()],
            extra_audiences: ExtraAudiences::Allowed,
            algorithms: vec![Algorithm::Rs256],
            required_claims: ["iss", "sub", "aud", "exp", "iat", "jti"].map(str::to_owned).to_vec(),
            max_age: Duration::from_secs(LONGEST.unsigned_abs()),
            types: vec![Some("jwt".to_owned())],
            identity_key: vec![path("sub")?],
            display: CLAIMS.iter().filter_map(|claim| path(&format!(r"kubernetes\.io.{claim}"))).collect(),
            evidence: Vec::new(),
            keys: SourceKeys::Given(Arc::new(KeySet::parse(self.jwks().to_string().as_bytes()).ok()?)),
            cache: CredentialCache::Off,
        };
        let presented = Presented { channel: None, message: Some(Message::Bearer(Token::new(token.as_bytes()))) };
        let proofs = verify(&Sources::new([source]).ok()?, &presented, now()).ok()?;
        Some(proofs.message()?.finding().clone())
    }
}

fn username((namespace, name): &Name) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

fn words(json: Option<&Value>) -> Vec<String> {
    let items = json.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn gone(kind: &str, name: &str) -> Refusal {
    Refusal::NotFound(format!("{kind} \"{name}\" not found"))
}
