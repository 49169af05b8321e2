//! What a server makes of a token that is shown to it: sound, but for its fault.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use tonic::Status;

use super::fault::Fault;
use super::material::{DOMAIN, Material, WORKLOAD};

/// `SubjectPublicKeyInfo` of a P-256 key, up to its point (RFC 5480 §2).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A token's parts.
struct Parts<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Material {
    /// The SPIFFE ID and the claims of a token that holds for `audience` at `now`.
    pub(super) fn validate(
        &self,
        token: &str,
        audience: &str,
        now: i64,
    ) -> Result<(String, Map<String, Value>), Status> {
        let refused = || Status::invalid_argument("the token does not hold");
        if self.fault == Some(Fault::GoodTokenRefused) {
            return Err(refused());
        }
        if token.starts_with('{') && self.fault == Some(Fault::JsonAccepted) {
            return Ok((WORKLOAD.to_owned(), Map::new()));
        }
        let parts = Parts::of(token).ok_or_else(refused)?;
        if !self.is_fooled(&parts, now) && !self.holds(&parts, audience, now) {
            return Err(refused());
        }
        let id = parts.claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = if self.fault == Some(Fault::OtherIdValidated) { format!("{DOMAIN}/somebody-else") } else { id };
        Ok((id, parts.claims))
    }

    /// Whether the fault makes it believe a token that it has not looked at.
    fn is_fooled(&self, parts: &Parts<'_>, now: i64) -> bool {
        let alg = parts.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        match self.fault {
            Some(Fault::AlgNoneAccepted) => alg == "none",
            Some(Fault::HmacAccepted) => {
                let der = [P256_SPKI.as_slice(), self.jwt_key.public_key().as_ref()].concat();
                let text = BASE64_STANDARD.encode(der);
                let (first, second) = text.split_at(64);
                let pem = format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n");
                let key = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
                alg == "HS256" && hmac::verify(&key, parts.signed.as_bytes(), &parts.signature).is_ok()
            }
            Some(Fault::EmbeddedKeyBelieved) => parts.header.get("jwk").is_some_and(|jwk| {
                let part = |name: &str| {
                    let text = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
                    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default()
                };
                parts.is_signed_by(&[&[4], part("x").as_slice(), part("y").as_slice()].concat())
            }),
            Some(Fault::ExpiredAccepted) => parts.expires().is_some_and(|exp| exp <= now),
            Some(Fault::ExpiryOptional) => parts.expires().is_none(),
            Some(Fault::AudienceOptional) => !parts.claims.contains_key("aud"),
            Some(Fault::DomainIgnored) => !parts.is_of_the_domain(),
            _ => false,
        }
    }

    fn holds(&self, parts: &Parts<'_>, audience: &str, now: i64) -> bool {
        let allowed = |name: &String| matches!(name.as_str(), "alg" | "kid" | "typ");
        let header = self.fault == Some(Fault::ExtraHeader) || parts.header.keys().all(allowed);
        let alg = parts.header.get("alg").and_then(Value::as_str) == Some("ES256");
        let x509_key = self.fault == Some(Fault::X509KeyVerifies)
            && self.svids.first().is_some_and(|svid| parts.is_signed_by(&crate::ca::public_key_of(&svid.key)));
        let signature = self.fault == Some(Fault::SignatureIgnored)
            || parts.is_signed_by(self.jwt_key.public_key().as_ref())
            || x509_key;
        let is_audience = match parts.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        };
        let is_audience =
            is_audience || (self.fault == Some(Fault::AudienceIgnored) && parts.claims.contains_key("aud"));
        header
            && alg
            && Self::is_key_id(&parts.header)
            && parts.is_of_the_domain()
            && signature
            && is_audience
            && parts.expires().is_some_and(|exp| exp > now)
    }
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let object = |part: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { header: object(header)?, claims: object(payload)?, signed, signature })
    }

    fn is_signed_by(&self, point: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }

    fn is_of_the_domain(&self) -> bool {
        let sub = self.claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        sub.strip_prefix(DOMAIN).is_some_and(|path| path.starts_with('/'))
    }

    fn expires(&self) -> Option<i64> {
        self.claims.get("exp").and_then(Value::as_i64)
    }
}
