//! Tokens that have to be refused, made from what the server gave and from own keys.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::read::BASE64URL;
use crate::read::id::domain_id;
use crate::read::jwk::{Jwk, member, point};
use crate::read::key::JwsSigner;
use crate::read::token::{Token, encoded};
use crate::seen::{Attack, JwtSvid, Svid};

/// A trust domain that nobody has a bundle of: of a name that is reserved (RFC 6761 §6.4).
const NOBODYS_DOMAIN: &str = "spiffe://conformance.invalid/workload";
/// `SubjectPublicKeyInfo` of a P-256 key, up to its point (RFC 5480 §2).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// How long ago an expired token ended, in seconds: far beyond any leeway.
const LONG_AGO: i64 = 86_400;

/// What attacks are made of.
pub(super) struct Material<'a> {
    audience: &'a str,
    token: &'a Token,
    svids: &'a [Svid],
    keys: &'a [Jwk],
}

impl<'a> Material<'a> {
    /// None without a genuine token.
    pub(super) fn of(
        audiences: &'a [String; 2],
        tokens: &'a [JwtSvid],
        svids: &'a [Svid],
        keys: &'a [Jwk],
    ) -> Option<Self> {
        let [audience, _] = audiences;
        let token = tokens.first()?.token.as_ref().ok()?;
        Some(Self { audience, token, svids, keys })
    }

    /// Every token, and the audience for which it is shown.
    pub(super) fn tokens(&self) -> Vec<(Attack, String, String)> {
        let other = format!("{}.other", self.audience);
        let mut made = vec![(Attack::OtherAudience, other, self.genuine())];
        let mut add = |attack, token: Option<String>| {
            made.extend(token.map(|token| (attack, self.audience.to_owned(), token)));
        };
        add(Attack::Flattened, Some(self.flattened()));
        add(Attack::General, Some(self.general()));
        add(Attack::Unsigned, Some(self.unsigned()));
        for secret in self.public_secrets() {
            add(Attack::Hmac, Some(self.hmac(&secret)));
        }
        add(Attack::EdDsa, JwsSigner::fresh_edwards().and_then(|key| self.signed(&key, json!({}), &self.token.claims)));
        add(Attack::EmbeddedKey, self.embedded());
        for svid in self.svids.iter().take(1) {
            let key = JwsSigner::with(&svid.key);
            add(Attack::OtherUse, key.and_then(|key| self.signed(&key, json!({}), &self.token.claims)));
        }
        add(Attack::WithoutExpiry, Some(self.altered(|claims| drop(claims.remove("exp")))));
        add(Attack::WithoutAudience, Some(self.altered(|claims| drop(claims.remove("aud")))));
        let ended = self.token.expires().unwrap_or_default().min(net::now().as_micros() / 1_000_000) - LONG_AGO;
        add(Attack::Expired, Some(self.altered(|claims| drop(claims.insert("exp".to_owned(), json!(ended))))));
        let other = format!("{}/conformance/another", domain_id(self.token.text("sub").unwrap_or_default()));
        add(Attack::OtherSubject, Some(self.altered(|claims| drop(claims.insert("sub".to_owned(), json!(other))))));
        add(Attack::OtherDomain, self.of_other_domain());
        made
    }

    fn genuine(&self) -> String {
        format!("{}.{}", self.token.signed, self.signature())
    }

    fn signature(&self) -> String {
        BASE64URL.encode(&self.token.signature)
    }

    /// RFC 7515 §7.2.2.
    fn flattened(&self) -> String {
        let (protected, payload) = self.token.signed.split_once('.').unwrap_or_default();
        json!({"protected": protected, "payload": payload, "signature": self.signature()}).to_string()
    }

    /// RFC 7515 §7.2.1.
    fn general(&self) -> String {
        let (protected, payload) = self.token.signed.split_once('.').unwrap_or_default();
        let signatures = [json!({"protected": protected, "signature": self.signature()})];
        json!({"payload": payload, "signatures": signatures}).to_string()
    }

    /// RFC 7518 §3.6.
    fn unsigned(&self) -> String {
        format!("{}.{}.", encoded(&self.header("none", json!({}))), encoded(&self.token.claims))
    }

    /// What a careless verifier would take for the secret: the public key in its usual spellings.
    fn public_secrets(&self) -> Vec<Vec<u8>> {
        let Some(key) = self.keys.iter().find(|key| member(key, "kid") == self.token.parameter("kid")) else {
            return Vec::new();
        };
        let mut secrets = vec![Value::Object(key.clone()).to_string().into_bytes()];
        if let Some(point) = point(key) {
            let der = [P256_SPKI.as_slice(), &point].concat();
            let text = BASE64_STANDARD.encode(&der);
            let lines: Vec<&str> =
                text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
            secrets.extend([point, der, pem.into_bytes()]);
        }
        secrets
    }

    fn hmac(&self, secret: &[u8]) -> String {
        let signed = format!("{}.{}", encoded(&self.header("HS256", json!({}))), encoded(&self.token.claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", BASE64URL.encode(tag.as_ref()))
    }

    /// By a key of our own, which the header offers as `jwk` (RFC 7515 §4.1.3).
    fn embedded(&self) -> Option<String> {
        let key = JwsSigner::fresh()?;
        let half = key.public_half();
        let (x, y) = half.get(1..)?.split_at_checked(32)?;
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": BASE64URL.encode(x), "y": BASE64URL.encode(y)});
        self.signed(&key, json!({"jwk": jwk}), &self.token.claims)
    }

    fn of_other_domain(&self) -> Option<String> {
        let mut claims = self.token.claims.clone();
        claims.insert("sub".to_owned(), json!(NOBODYS_DOMAIN));
        self.signed(&JwsSigner::fresh()?, json!({}), &claims)
    }

    /// Other claims under the genuine header and signature.
    fn altered(&self, alter: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.token.claims.clone();
        alter(&mut claims);
        format!("{}.{}.{}", encoded(&self.token.header), encoded(&claims), self.signature())
    }

    fn signed(&self, key: &JwsSigner, more: Value, claims: &Map<String, Value>) -> Option<String> {
        let signed = format!("{}.{}", encoded(&self.header(key.alg, more)), encoded(claims));
        Some(format!("{signed}.{}", BASE64URL.encode(key.sign(signed.as_bytes())?)))
    }

    /// The genuine `kid`, so that a verifier finds a key.
    fn header(&self, alg: &str, more: Value) -> Map<String, Value> {
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(alg));
        header.insert("typ".to_owned(), json!("JWT"));
        if let Some(kid) = self.token.parameter("kid") {
            header.insert("kid".to_owned(), json!(kid));
        }
        if let Value::Object(more) = more {
            header.extend(more);
        }
        header
    }
}
