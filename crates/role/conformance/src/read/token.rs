//! A JWS in compact serialization, taken apart.

use base64::Engine;
use serde_json::{Map, Value};

use super::BASE64URL;

/// A token's parts. Nothing of it is believed.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    /// Header, dot and payload, as they came.
    pub(crate) signed: String,
    pub(crate) signature: Vec<u8>,
}

impl Token {
    /// # Errors
    /// What is there instead.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return Err(format!("{} parts, not the three of compact serialization", parts.len()));
        };
        Ok(Self {
            header: object(header).ok_or("its header is no JSON object in base64url")?,
            claims: object(payload).ok_or("its payload is no JSON object in base64url")?,
            signed: format!("{header}.{payload}"),
            signature: BASE64URL
                .decode(signature)
                .map_err(|error| format!("its signature is no base64url: {error}"))?,
        })
    }

    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// The audience, which may be one string or an array of them (RFC 7519 §4.1.3).
    pub(crate) fn audience(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        }
    }

    /// Seconds since 1970; a fraction counts as its whole part.
    pub(crate) fn expires(&self) -> Option<i64> {
        let exp = self.claims.get("exp")?;
        #[expect(clippy::cast_possible_truncation, reason = "it saturates, and only its order is looked at")]
        exp.as_i64().or_else(|| exp.as_f64().map(|seconds| seconds as i64))
    }
}

/// A header or a payload, as it stands in a token.
pub(crate) fn encoded(object: &Map<String, Value>) -> String {
    BASE64URL.encode(Value::Object(object.clone()).to_string())
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64URL.decode(part).ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Value::Object(object) => Some(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}
