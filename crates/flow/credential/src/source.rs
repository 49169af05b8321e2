//! Trust sources: the configured anchors that a credential is checked against.

use std::sync::Arc;
use std::time::Duration;

use model::{Fact, PrincipalKind, SourceName};

use crate::{Algorithm, ClaimPath, KeySet};

/// An issuer of tokens, and exactly what is accepted from it.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: SourceName,
    pub picked: Picked,
    /// Kinds of principal that a credential of this source can prove.
    pub proves: Vec<PrincipalKind>,
    /// Compared with `iss` byte for byte; empty where a source that is picked by its name takes any.
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
    pub keys: SourceKeys,
    pub cache: CredentialCache,
}

/// How a credential finds its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    /// By what it names as its issuer, which no other source has.
    ByIssuer,
    /// By the source's own name, which comes beside it: several may have one issuer, as clusters do.
    ByName,
}

/// The public keys of a source.
#[derive(Debug, Clone)]
pub enum SourceKeys {
    /// Part of the estate: there are no others.
    Given(Arc<KeySet>),
    /// Fetched from elsewhere: the last set that is known and not too old, if there is one. There may be a newer one.
    Fetched(Option<Arc<KeySet>>),
}

/// Whether a source's credentials that held are remembered: whoever measures may want to see what that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialCache {
    On,
    Off,
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

impl SourceKeys {
    /// The key set in force.
    pub fn in_force(&self) -> Option<&Arc<KeySet>> {
        match self {
            Self::Given(keys) => Some(keys),
            Self::Fetched(keys) => keys.as_ref(),
        }
    }
}
