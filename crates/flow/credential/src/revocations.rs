//! What counts no more: credentials, keys, sources and principals that an operator revoked.

use std::collections::HashMap;
use std::fmt;

use model::{PrincipalId, SourceName, Time};

use crate::Finding;

/// One thing that is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revocable {
    Principal(PrincipalId),
    /// By the id that records give it.
    Credential(String),
    /// One key of a source, by its `kid`.
    Key(SourceName, String),
    Source(SourceName),
}

/// How a revocation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of it counts.
    Revoked,
    /// What was issued after the revocation counts again.
    Restored,
}

/// Every revocation up to a number.
#[derive(Debug, Clone, Default)]
pub struct Revocations {
    seq: u64,
    entries: HashMap<Revocable, (Time, Standing)>,
}

impl Revocations {
    /// These revocations; `seq` is the number of the last change among them.
    pub fn new(seq: u64, entries: impl IntoIterator<Item = (Revocable, Time, Standing)>) -> Self {
        Self { seq, entries: entries.into_iter().map(|(what, at, standing)| (what, (at, standing))).collect() }
    }

    /// Every revocation, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (&Revocable, Time, Standing)> {
        // tidy: order cannot matter
        self.entries.iter().map(|(what, (at, standing))| (what, *at, *standing))
    }

    /// Number of the last change that is taken into account; 0 before the first.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// What of a finding is revoked, if anything is.
    pub fn of_finding(&self, finding: &Finding) -> Option<Revocable> {
        if self.entries.is_empty() {
            return None;
        }
        let key = finding.key_id.clone().map(|key| Revocable::Key(finding.source.clone(), key));
        let credential = Revocable::Credential(finding.credential_id.clone());
        let named = [Some(credential), key, Some(Revocable::Source(finding.source.clone()))];
        named.into_iter().flatten().find(|what| self.hits(what, finding.issued))
    }

    /// Whether a principal is revoked for credentials of which the oldest was issued then; `None` where one does not say.
    pub fn of_principal(&self, id: &PrincipalId, issued: Option<Time>) -> bool {
        !self.entries.is_empty() && self.hits(&Revocable::Principal(id.clone()), issued)
    }

    /// What was issued at a time that is not known was issued before.
    fn hits(&self, what: &Revocable, issued: Option<Time>) -> bool {
        self.entries.get(what).is_some_and(|(at, standing)| match standing {
            Standing::Revoked => true,
            Standing::Restored => issued.is_none_or(|issued| issued <= *at),
        })
    }
}

impl fmt::Display for Revocable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(id) => write!(f, "principal `{id}`"),
            Self::Credential(id) => write!(f, "credential `{}`", id.escape_debug()),
            Self::Key(source, kid) => write!(f, "key `{source}/{}`", kid.escape_debug()),
            Self::Source(source) => write!(f, "source `{source}`"),
        }
    }
}
