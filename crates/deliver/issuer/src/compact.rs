//! Tokens in the compact serialisation (RFC 7515 §3.1), signed with ES256.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::Time;
use serde::Serialize;

use crate::signer::{Signer, SigningFailed};

#[derive(Serialize)]
pub(crate) struct Header<'a> {
    pub(crate) alg: &'a str,
    pub(crate) typ: &'a str,
    pub(crate) kid: &'a str,
}

impl Header<'_> {
    pub(crate) fn encoded(&self) -> String {
        encoded(self)
    }
}

/// A signed token; `header` is encoded already.
pub(crate) fn compact(header: &str, claims: &impl Serialize, signer: &dyn Signer) -> Result<String, SigningFailed> {
    let signed = format!("{header}.{}", encoded(claims));
    let signature = signer.sign_fixed(signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

/// A time as claims have it: whole seconds, never later.
pub(crate) fn seconds(time: Time) -> i64 {
    time.as_micros().div_euclid(1_000_000)
}

fn encoded(document: &impl Serialize) -> String {
    // structs of strings and numbers: serialising them cannot fail
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(document).unwrap_or_default())
}
