//! SPIFFE IDs and trust domains, as strict as SPIFFE-ID.md §2 asks: what is not exactly right is refused, never repaired.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

const SCHEME: &str = "spiffe://";
/// Longest SPIFFE ID, in bytes (§2.3).
const MAX_ID: usize = 2048;
/// Longest trust domain name, in bytes (§2.3).
const MAX_TRUST_DOMAIN: usize = 255;

/// Why a text is not a SPIFFE ID or a trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpiffeId {
    #[error("a SPIFFE ID starts with `spiffe://`")]
    Scheme,
    #[error("the trust domain is empty")]
    EmptyTrustDomain,
    #[error("a trust domain has only lower-case letters, digits, `.`, `-` and `_`; found `{}`", .found.escape_debug())]
    TrustDomain { found: char },
    #[error("a path segment has only letters, digits, `.`, `-` and `_`; found `{}`", .found.escape_debug())]
    Path { found: char },
    #[error("a path segment cannot be empty, `.` or `..`, and a path does not end in `/`")]
    Segment,
    #[error("a SPIFFE ID has at most {MAX_ID} bytes, its trust domain at most {MAX_TRUST_DOMAIN}")]
    TooLong,
}

/// Name of a trust domain, such as `prod.acme.test`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

/// A SPIFFE ID, such as `spiffe://prod.acme.test/ci/billing`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Arc<str>,
    /// Where the path starts in `text`; `text.len()` without a path.
    path: usize,
}

impl TrustDomain {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SpiffeId {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path with its leading `/`; empty for a trust domain's own ID.
    pub fn path(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }

    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(self.text.get(SCHEME.len()..self.path).unwrap_or_default().into())
    }

    pub fn is_member_of(&self, domain: &TrustDomain) -> bool {
        self.text.get(SCHEME.len()..self.path) == Some(domain.as_str())
    }
}

impl FromStr for TrustDomain {
    type Err = BadSpiffeId;

    fn from_str(text: &str) -> Result<Self, BadSpiffeId> {
        check_trust_domain(text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for SpiffeId {
    type Err = BadSpiffeId;

    fn from_str(text: &str) -> Result<Self, BadSpiffeId> {
        if text.len() > MAX_ID {
            return Err(BadSpiffeId::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(BadSpiffeId::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        check_trust_domain(domain)?;
        if let Some(path) = path {
            path.split('/').try_for_each(check_segment)?;
        }
        Ok(Self { text: text.into(), path: SCHEME.len() + domain.len() })
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn check_trust_domain(text: &str) -> Result<(), BadSpiffeId> {
    if text.is_empty() {
        return Err(BadSpiffeId::EmptyTrustDomain);
    }
    if text.len() > MAX_TRUST_DOMAIN {
        return Err(BadSpiffeId::TooLong);
    }
    match text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_')) {
        Some(found) => Err(BadSpiffeId::TrustDomain { found }),
        None => Ok(()),
    }
}

fn check_segment(segment: &str) -> Result<(), BadSpiffeId> {
    if matches!(segment, "" | "." | "..") {
        return Err(BadSpiffeId::Segment);
    }
    match segment.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_')) {
        Some(found) => Err(BadSpiffeId::Path { found }),
        None => Ok(()),
    }
}
