//! Readers that say what is there, sound or not. None of them decides.

pub(crate) mod certificate;
pub(crate) mod id;
pub(crate) mod jwk;
pub(crate) mod key;
pub(crate) mod path;
pub(crate) mod token;

/// Base64url without padding (RFC 7515 §2).
pub(crate) use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
