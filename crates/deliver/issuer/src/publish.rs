//! What verifiers fetch: the key set of assertions, and the bundle of a trust domain.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::assertion::Assertions;
use crate::authority::Authority;
use crate::enrolment::Enrolments;

/// How often a bundle should be fetched, in seconds.
const REFRESH_HINT: u64 = 300;

/// The keys that sign assertions, as a JWK Set (RFC 7517 §5), and the `issuer` that assertions name.
pub fn key_set(assertions: &Assertions) -> Value {
    keys_of(assertions.issuer(), assertions.public_point())
}

/// The key that signs enrolment tokens, likewise.
pub fn enrolment_keys(enrolments: &Enrolments) -> Value {
    keys_of(enrolments.issuer(), enrolments.public_point())
}

fn keys_of(issuer: &str, point: &[u8]) -> Value {
    let mut key = jwk(point);
    if let Some(members) = key.as_object_mut() {
        members.insert("kid".to_owned(), json!(thumbprint(point)));
        members.insert("use".to_owned(), json!("sig"));
        members.insert("alg".to_owned(), json!("ES256"));
    }
    json!({"issuer": issuer, "keys": [key]})
}

/// The SPIFFE bundle of a trust domain (SPIFFE_Trust_Domain_and_Bundle.md §4, X509-SVID.md §6.1).
pub fn bundle(authority: &Authority) -> Value {
    // each certificate that follows ends later than the one before: that is the whole content of this bundle
    let sequence = authority.not_after().as_micros() / 1_000_000;
    let mut key = jwk(authority.public_point());
    if let Some(members) = key.as_object_mut() {
        members.insert("use".to_owned(), json!("x509-svid"));
        members.insert("x5c".to_owned(), json!([BASE64_STANDARD.encode(authority.certificate())]));
    }
    json!({"keys": [key], "spiffe_sequence": sequence, "spiffe_refresh_hint": REFRESH_HINT})
}

/// The public half of a P-256 key (RFC 7518 §6.2.1).
fn jwk(point: &[u8]) -> Value {
    let (x, y) = coordinates(point);
    json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
}

fn coordinates(point: &[u8]) -> (String, String) {
    // an uncompressed point: 4, x, y
    let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
    (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y))
}

/// RFC 7638 thumbprint of a P-256 key.
pub(crate) fn thumbprint(point: &[u8]) -> String {
    let (x, y) = coordinates(point);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}
