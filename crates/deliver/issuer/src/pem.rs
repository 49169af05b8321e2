//! PEM (RFC 7468): blocks of one label.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const LINE: usize = 64;

/// Text that is not exactly one PEM block of the expected label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one PEM block `{label}`")]
pub struct BadPem {
    pub label: &'static str,
}

/// One block with this label.
pub fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (nth, character) in body.chars().enumerate() {
        if nth > 0 && nth % LINE == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

/// What the one block with this label holds.
///
/// # Errors
/// [`BadPem`].
pub fn decode(label: &'static str, pem: &str) -> Result<Vec<u8>, BadPem> {
    let bad = BadPem { label };
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let body = pem.trim().strip_prefix(&begin).and_then(|rest| rest.strip_suffix(&end)).ok_or(bad)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).or(Err(bad))
}

/// What each of several blocks holds, all with this label: one at least.
///
/// # Errors
/// [`BadPem`].
pub fn decode_all(label: &'static str, pem: &str) -> Result<Vec<Vec<u8>>, BadPem> {
    let end = format!("-----END {label}-----");
    let blocks = pem.trim().split_inclusive(end.as_str());
    let found = blocks.map(|block| decode(label, block)).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(BadPem { label }) } else { Ok(found) }
}
