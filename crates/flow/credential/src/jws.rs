//! Compact JWS (RFC 7515 §3.1), read strictly. Nothing here is believed: the signature is checked elsewhere.
//!
//! Of the header only `alg`, `kid` and `typ` are read. `jwk`, `jku`, `x5u`, `x5c` and `x5t` are never looked at: a key comes
//! from the configured source, never from the credential that it would have to prove.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Cause;
use crate::json::{self, Object};

/// Longest credential that is read, in bytes.
pub(crate) const MAX_TOKEN: usize = 8192;

/// Header parameters that change what the bytes mean: extensions that must be understood (RFC 7515 §4.1.11), the unencoded
/// payload (RFC 7797), encryption and compression (RFC 7516), a nested token (RFC 7519 §5.2).
const REFUSED: &[&str] = &["crit", "b64", "zip", "enc", "cty"];

/// A token of the right shape.
pub(crate) struct Jws<'a> {
    pub(crate) header: Header,
    pub(crate) claims: Object,
    /// The claims as they came, without base64.
    pub(crate) payload: Vec<u8>,
    /// What was signed: header, dot and payload, as they came.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// What the header says. Untrusted: it may pick among what the source allows, and no more.
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
    /// Whether it has parameters beside these.
    pub(crate) names_others: bool,
}

impl<'a> Jws<'a> {
    /// # Errors
    /// A [`Cause`] of [`crate::Step::Shape`].
    pub(crate) fn read(token: &'a [u8]) -> Result<Self, Cause> {
        if token.len() > MAX_TOKEN {
            return Err(Cause::TooLong { found: token.len(), most: MAX_TOKEN });
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Cause::Parts { found: token.split(|byte| *byte == b'.').count() });
        };
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let (header, claims) = (Header::read(header)?, decode(payload, "payload")?);
        Ok(Self {
            header,
            claims: read_object(&claims, "payload")?,
            payload: claims,
            signed,
            signature: decode(signature, "signature")?,
        })
    }
}

impl Header {
    fn read(part: &[u8]) -> Result<Self, Cause> {
        let header = read_object(&decode(part, "header")?, "header")?;
        if let Some(name) = REFUSED.iter().find(|name| header.find(name).is_some()) {
            return Err(Cause::HeaderRefused { name });
        }
        let alg = text(&header, "alg")?.ok_or(Cause::HeaderType { name: "alg" })?;
        let (kid, typ) = (text(&header, "kid")?, text(&header, "typ")?);
        let names_others = header.len() > 1 + usize::from(kid.is_some()) + usize::from(typ.is_some());
        Ok(Self { alg, kid, typ, names_others })
    }
}

fn text(header: &Object, name: &'static str) -> Result<Option<String>, Cause> {
    let found = header.find(name);
    found.map(|json| json.as_str().map(str::to_owned).ok_or(Cause::HeaderType { name })).transpose()
}

fn read_object(json: &[u8], name: &'static str) -> Result<Object, Cause> {
    json::read_object(json).ok_or(Cause::Json { part: name })
}

/// Base64url without padding; bits behind the last byte must be zero, so that one value has one spelling.
fn decode(part: &[u8], name: &'static str) -> Result<Vec<u8>, Cause> {
    URL_SAFE_NO_PAD.decode(part).ok().ok_or(Cause::Base64 { part: name })
}
