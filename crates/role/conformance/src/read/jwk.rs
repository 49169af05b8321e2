//! Key sets as they are served, and whether a key verifies a token.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use serde_json::{Map, Value};

use super::BASE64URL;
use super::token::Token;

/// One member of `keys`.
pub(crate) type Jwk = Map<String, Value>;

/// The members of a JWK Set.
///
/// # Errors
/// What is there instead.
pub(crate) fn keys(document: &[u8]) -> Result<Vec<Jwk>, String> {
    let value: Value = serde_json::from_slice(document).map_err(|error| format!("no JSON: {error}"))?;
    keys_of(&value)
}

/// The members of a JWK Set that is part of a document.
///
/// # Errors
/// What is there instead.
pub(crate) fn keys_of(document: &Value) -> Result<Vec<Jwk>, String> {
    let keys = document.get("keys").ok_or("no `keys`")?;
    let keys = keys.as_array().ok_or("`keys` is no array")?;
    keys.iter().map(|key| key.as_object().cloned().ok_or_else(|| "a key that is no object".to_owned())).collect()
}

pub(crate) fn member<'a>(key: &'a Jwk, name: &str) -> Option<&'a str> {
    key.get(name).and_then(Value::as_str)
}

/// How a key is called in reports.
pub(crate) fn label(key: &Jwk) -> String {
    member(key, "kid").map_or_else(|| "a key without `kid`".to_owned(), |kid| format!("key `{kid}`"))
}

/// The public key as a certificate's bit string has it: an uncompressed point; of other kinds nothing.
pub(crate) fn point(key: &Jwk) -> Option<Vec<u8>> {
    let part = |name| BASE64URL.decode(member(key, name)?).ok();
    (member(key, "kty") == Some("EC")).then(|| Some([&[4], part("x")?.as_slice(), part("y")?.as_slice()].concat()))?
}

/// The modulus of an RSA key.
pub(crate) fn modulus(key: &Jwk) -> Option<Vec<u8>> {
    BASE64URL.decode(member(key, "n")?).ok()
}

/// Whether the token's signature is by this key, under the algorithm that the token names.
pub(crate) fn verifies(key: &Jwk, token: &Token) -> bool {
    let (signed, signature) = (token.signed.as_bytes(), token.signature.as_slice());
    let alg = token.header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if let Some(algorithm) = elliptic(alg) {
        return point(key).is_some_and(|it| UnparsedPublicKey::new(algorithm, it).verify(signed, signature).is_ok());
    }
    let (Some(parameters), Some(n)) = (rsa(alg), modulus(key)) else { return false };
    let e = member(key, "e").and_then(|e| BASE64URL.decode(e).ok()).unwrap_or_default();
    RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature).is_ok()
}

fn elliptic(alg: &str) -> Option<&'static dyn VerificationAlgorithm> {
    match alg {
        "ES256" => Some(&ECDSA_P256_SHA256_FIXED),
        "ES384" => Some(&ECDSA_P384_SHA384_FIXED),
        "ES512" => Some(&ECDSA_P521_SHA512_FIXED),
        _other => None,
    }
}

fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    match alg {
        "RS256" => Some(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Some(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Some(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Some(&RSA_PSS_2048_8192_SHA256),
        "PS384" => Some(&RSA_PSS_2048_8192_SHA384),
        "PS512" => Some(&RSA_PSS_2048_8192_SHA512),
        _other => None,
    }
}
