//! Keys that tokens name and their sources do not have yet: a reason to ask a source's own server once more.

use model::SourceName;

use crate::claims::Registered;
use crate::jws::Jws;
use crate::{SourceKeys, Sources, Token};

/// A key that a token names and its source, whose keys are fetched, does not have. Untrusted: anybody can write such a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    pub source: SourceName,
    /// An opaque name; none if the source has no keys at all.
    pub kid: Option<String>,
}

impl UnknownKey {
    /// Looks at a token that is about to be verified. Nothing of it is checked: that is what verification is for.
    pub fn of(sources: &Sources, token: Token<'_>) -> Option<Self> {
        // what is remembered was proved by a key that is there
        if !sources.are_fetched() || sources.recall(token.digest()).is_some() {
            return None;
        }
        let jws = Jws::read(token.bytes()).ok()?;
        let issuer = Registered::read(&jws.claims).ok()?.issuer;
        let source = &sources.with_issuer(issuer)?.source;
        let SourceKeys::Fetched(keys) = &source.keys else { return None };
        // a token that this source would refuse whatever its keys are is no reason to ask
        if !source.algorithms.iter().any(|algorithm| algorithm.as_str() == jws.header.alg) {
            return None;
        }
        let known = match (keys, &jws.header.kid) {
            (None, _) => false,
            (Some(keys), Some(kid)) => keys.named(kid).is_some(),
            // no name, no key that could be missing
            (Some(_), None) => true,
        };
        (!known).then(|| Self { source: source.name.clone(), kid: jws.header.kid })
    }
}
