//! Trust sources: the configured anchors that a credential is checked against.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Fact, PrincipalKind, SourceName};

use crate::{Algorithm, Authorities, ClaimPath, KeySet};

/// An issuer of tokens, and exactly what is accepted from it.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: SourceName,
    /// Kinds of principal that a credential of this source can prove.
    pub proves: Vec<PrincipalKind>,
    /// Compared with `iss` byte for byte.
    pub issuer: String,
    /// A token names exactly one of these; never empty.
    pub audiences: Vec<String>,
    pub extra_audiences: ExtraAudiences,
    pub algorithms: Vec<Algorithm>,
    /// Top-level claims; `iss`, `exp` and `aud` are required of every source.
    pub required_claims: Vec<String>,
    pub max_age: Duration,
    /// Accepted `typ` header values, compared without case and without `application/`; `None` stands for an absent one.
    pub types: Vec<Option<String>>,
    /// Claims that together name one principal, in order; JSON strings. Never empty.
    pub identity_key: Vec<ClaimPath>,
    pub display: Vec<ClaimPath>,
    pub evidence: Vec<EvidenceRule>,
    /// The key set in force; `None` while it cannot be had.
    pub keys: Option<Arc<KeySet>>,
}

/// Whether a token may name audiences beside the one that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraAudiences {
    Refused,
    Allowed,
}

/// A fact, and the conditions on claims that establish it: all must hold, each by one of its values.
#[derive(Debug, Clone)]
pub struct EvidenceRule {
    pub fact: Fact,
    pub conditions: Vec<(ClaimPath, Vec<String>)>,
}

/// Two sources with one issuer: the untrusted `iss` could not pick between them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trust sources `{first}` and `{second}` have the same issuer `{issuer}`")]
pub struct SharedIssuer {
    pub first: SourceName,
    pub second: SourceName,
    pub issuer: String,
}

/// Every trust source of an environment: issuers of tokens, and bundles of trust domains.
#[derive(Debug, Default)]
pub struct Sources {
    by_issuer: HashMap<String, Source>,
    authorities: Authorities,
}

impl Sources {
    /// # Errors
    /// [`SharedIssuer`] if two sources have one issuer.
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Result<Self, SharedIssuer> {
        let mut by_issuer: HashMap<String, Source> = HashMap::new();
        for source in sources {
            if let Some(first) = by_issuer.get(&source.issuer) {
                return Err(SharedIssuer {
                    first: first.name.clone(),
                    second: source.name,
                    issuer: first.issuer.clone(),
                });
            }
            by_issuer.insert(source.issuer.clone(), source);
        }
        Ok(Self { by_issuer, authorities: Authorities::default() })
    }

    /// These sources, and the bundles of the trust domains whose SVIDs are accepted beside them.
    #[must_use]
    pub fn with_authorities(self, authorities: Authorities) -> Self {
        Self { authorities, ..self }
    }

    pub const fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// The source that a token's (untrusted) `iss` picks.
    pub(crate) fn with_issuer(&self, issuer: &str) -> Option<&Source> {
        self.by_issuer.get(issuer)
    }
}
