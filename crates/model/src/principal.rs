//! Who a caller can be: five kinds of principal, kept apart, and the identifiers that name them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::spiffe::{BadSpiffeId, SpiffeId};
use crate::words;

words! {
    /// The kinds of principal. A credential proves one kind, and one kind never passes for another.
    pub enum PrincipalKind {
        Workload = "Workload",
        Job = "Job",
        Agent = "Agent",
        Partner = "Partner",
        Human = "Human",
        /// Nobody: callers of public operations without a credential. No estate can declare one.
        Anonymous = "Anonymous",
    }
}

/// Why a text is not the id of a principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPrincipalId {
    #[error("`{text}`: expected `spiffe://…` or `human:<source>:<key>`")]
    Shape { text: String },
    #[error("`{text}` is not a SPIFFE ID")]
    Spiffe { text: String, source: BadSpiffeId },
    #[error("`{text}`: the parts of a human's id have only letters, digits, `.`, `-`, `_` and percent triplets")]
    Human { text: String },
}

/// The canonical id of a principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalId {
    /// A machine's: no human has one, so that no SVID can be minted for a human.
    Spiffe(SpiffeId),
    Human(HumanId),
    Anonymous,
}

/// `human:<source>:<key>`, with one `:` between the claims of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanId(Arc<str>);

impl HumanId {
    /// `text` as it stands in a human's id: bytes outside `[A-Za-z0-9._-]` become percent triplets.
    pub fn encode(text: &str) -> String {
        let mut encoded = String::with_capacity(text.len());
        for byte in text.bytes() {
            if is_plain(byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        encoded
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PrincipalId {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Spiffe(id) => id.as_str(),
            Self::Human(id) => id.as_str(),
            Self::Anonymous => "anonymous",
        }
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PrincipalId {
    type Err = BadPrincipalId;

    fn from_str(text: &str) -> Result<Self, BadPrincipalId> {
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        if text.starts_with("spiffe:") {
            let id =
                SpiffeId::from_str(text).map_err(|source| BadPrincipalId::Spiffe { text: text.to_owned(), source })?;
            return Ok(Self::Spiffe(id));
        }
        let Some(parts) = text.strip_prefix("human:") else {
            return Err(BadPrincipalId::Shape { text: text.to_owned() });
        };
        if parts.split(':').count() < 2 || !parts.split(':').all(is_encoded) {
            return Err(BadPrincipalId::Human { text: text.to_owned() });
        }
        Ok(Self::Human(HumanId(text.into())))
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether `text` is what [`HumanId::encode`] writes: upper-case triplets, and none for a byte that needs none.
fn is_encoded(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if is_plain(byte) {
            continue;
        }
        let digit = |d: Option<u8>| match d {
            Some(d @ b'0'..=b'9') => Some(d - b'0'),
            Some(d @ b'A'..=b'F') => Some(d - b'A' + 10),
            _ => None,
        };
        match (byte, digit(bytes.next()), digit(bytes.next())) {
            (b'%', Some(high), Some(low)) if !is_plain(high * 16 + low) => {}
            _ => return false,
        }
    }
    !text.is_empty()
}
