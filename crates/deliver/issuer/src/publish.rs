//! What verifiers fetch: the key set of assertions, and the bundle of a trust domain.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::assertion::Assertions;
use crate::enrolment::Enrolments;

/// Length of an uncompressed point, in bytes.
const POINT: usize = 65;
/// How often a bundle should be fetched, in seconds, where authorities live long enough.
const LONGEST_HINT: u64 = 300;

/// The keys that sign assertions, as a JWK Set (RFC 7517 §5), and the `issuer` that assertions name. `others` are the keys of
/// planes that sign for the same issuer, as uncompressed points.
pub fn key_set(assertions: &Assertions, others: &[Vec<u8>]) -> Value {
    keys_of(assertions.issuer(), std::iter::once(assertions.public_point()).chain(others.iter().map(Vec::as_slice)))
}

/// The key that signs enrolment tokens, likewise.
pub fn enrolment_keys(enrolments: &Enrolments) -> Value {
    keys_of(enrolments.issuer(), [enrolments.public_point()])
}

/// A P-256 public key as an uncompressed point, from base64url; `None` for anything else.
pub fn read_point(text: &str) -> Option<Vec<u8>> {
    let point = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let well_formed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_slice()).is_ok();
    (well_formed && point.len() == POINT).then_some(point)
}

/// What [`read_point`] reads.
pub fn point_text(point: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(point)
}

fn keys_of<'a>(issuer: &str, points: impl IntoIterator<Item = &'a [u8]>) -> Value {
    json!({"issuer": issuer, "keys": points.into_iter().map(signing_key).collect::<Vec<_>>()})
}

fn signing_key(point: &[u8]) -> Value {
    let mut key = jwk(point);
    if let Some(members) = key.as_object_mut() {
        members.insert("kid".to_owned(), json!(thumbprint(point)));
        members.insert("use".to_owned(), json!("sig"));
        members.insert("alg".to_owned(), json!("ES256"));
    }
    key
}

/// What a trust domain publishes of its authorities.
pub struct Published {
    pub x509: Vec<PublishedCertificate>,
    /// Public keys of JWT-SVIDs, as uncompressed points.
    pub jwt: Vec<Vec<u8>>,
    /// Those of WIT-SVIDs likewise; nothing where none are signed.
    pub wit: Vec<Vec<u8>>,
    /// Greater with every change of all this.
    pub sequence: u64,
    /// The shortest life of an authority.
    pub shortest: Duration,
}

/// An authority of X.509-SVIDs.
pub struct PublishedCertificate {
    /// In DER.
    pub certificate: Vec<u8>,
    pub key: PublishedKey,
}

/// The public key of an authority; numbers are big-endian, without leading zeros for RSA (RFC 7518 §6.2.1, §6.3.1; RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishedKey {
    Ec { curve: &'static str, x: Vec<u8>, y: Vec<u8> },
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519 { x: Vec<u8> },
}

/// The SPIFFE bundle of a trust domain (SPIFFE_Trust_Domain_and_Bundle.md §4, X509-SVID.md §6.1, JWT-SVID.md §6.1, WIT-SVID.md §6.1). It should be fetched
/// ten times in the life of an authority, and each five minutes at least, so that a key is known before it signs.
pub fn bundle(published: &Published) -> Value {
    let certificate = |one: &PublishedCertificate| {
        let mut key = certificate_key(&one.key);
        if let Some(members) = key.as_object_mut() {
            members.insert("use".to_owned(), json!("x509-svid"));
            members.insert("x5c".to_owned(), json!([BASE64_STANDARD.encode(&one.certificate)]));
        }
        key
    };
    let jwt = published.jwt.iter().map(|point| token_key(point, Some("jwt-svid")));
    let wit = published.wit.iter().map(|point| token_key(point, Some("wit-svid")));
    let keys: Vec<Value> = published.x509.iter().map(certificate).chain(jwt).chain(wit).collect();
    let hint = (published.shortest.as_secs() / 10).clamp(1, LONGEST_HINT);
    json!({"keys": keys, "spiffe_sequence": published.sequence, "spiffe_refresh_hint": hint})
}

/// The keys of JWT-SVIDs alone, as a plain JWK Set: what the Workload API hands out (SPIFFE_Workload_API.md §6.2.2).
pub fn jwt_keys(published: &Published) -> Value {
    plain_set(&published.jwt)
}

/// Those of WIT-SVIDs alone, likewise (§7.2.2).
pub fn wit_keys(published: &Published) -> Value {
    plain_set(&published.wit)
}

fn plain_set(points: &[Vec<u8>]) -> Value {
    json!({"keys": points.iter().map(|point| token_key(point, None)).collect::<Vec<_>>()})
}

/// Named by its thumbprint: no two keys of a bundle have one name, whatever they are used for.
fn token_key(point: &[u8], usage: Option<&str>) -> Value {
    let mut key = jwk(point);
    if let Some(members) = key.as_object_mut() {
        members.insert("kid".to_owned(), json!(thumbprint(point)));
        if let Some(usage) = usage {
            members.insert("use".to_owned(), json!(usage));
        }
    }
    key
}

/// A P-256 key to which a token is bound: what it signs with stands in it (WIT-SVID.md §3.2).
pub(crate) fn bound_key(point: &[u8]) -> Value {
    let mut key = jwk(point);
    if let Some(members) = key.as_object_mut() {
        members.insert("alg".to_owned(), json!("ES256"));
    }
    key
}

fn certificate_key(key: &PublishedKey) -> Value {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    match key {
        PublishedKey::Ec { curve, x, y } => json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)}),
        PublishedKey::Rsa { modulus, exponent } => json!({"kty": "RSA", "n": text(modulus), "e": text(exponent)}),
        PublishedKey::Ed25519 { x } => json!({"kty": "OKP", "crv": "Ed25519", "x": text(x)}),
    }
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
