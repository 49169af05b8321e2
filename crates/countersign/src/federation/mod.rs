//! Trust domains with which this one federates: whom each trusts, as it last said itself.
//!
//! One bundle a trust domain, never pooled and never merged. What was had counts as long as a Federation is in force, and had on
//! its terms: with the document, the trust is gone.

mod keeper;
mod seen;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use credential::SpiffeBundle;
use model::TrustDomain;
use net::causes::chain;
use store::KeptBundle;

use crate::estate::Federation;

pub use keeper::keep;
pub use seen::FederationCounts;

/// The bundles of other trust domains.
#[derive(Default)]
pub struct Federated {
    held: ArcSwap<BTreeMap<TrustDomain, Held>>,
    tries: seen::Tries,
}

/// A bundle as it was last had.
#[derive(Debug, Clone)]
pub struct Held {
    pub bundle: Arc<SpiffeBundle>,
    /// The change that it was kept by.
    pub seq: u64,
    /// RFC 3339.
    pub fetched: String,
    terms: String,
}

impl Federated {
    /// Takes over what is kept; says whether that is anything else than before.
    pub fn take(&self, kept: Vec<KeptBundle>) -> bool {
        let numbers = |held: &BTreeMap<TrustDomain, Held>| held.iter().map(|(of, one)| (of.clone(), one.seq)).collect();
        let new: BTreeMap<TrustDomain, Held> = kept.into_iter().filter_map(held).collect();
        let after: Vec<_> = numbers(&new);
        let before: Vec<_> = numbers(&self.held.swap(Arc::new(new)));
        before != after
    }

    /// The bundle that was had on the terms of a federation; none before there was one.
    pub fn of(&self, federation: &Federation) -> Option<Held> {
        let held = self.held.load();
        held.get(&federation.domain).filter(|held| held.terms == federation.terms.to_string()).cloned()
    }

    /// Everything that is kept, by trust domain.
    fn all(&self) -> Arc<BTreeMap<TrustDomain, Held>> {
        self.held.load_full()
    }
}

fn held(kept: KeptBundle) -> Option<(TrustDomain, Held)> {
    let KeptBundle { domain: name, seq, terms, fetched, document } = kept;
    let domain: TrustDomain = name.parse().ok()?;
    match SpiffeBundle::parse(&domain, &document) {
        Ok(bundle) => Some((domain, Held { bundle: Arc::new(bundle), seq, fetched, terms })),
        Err(error) => {
            // only this program writes them; of what cannot be read nobody is trusted
            tracing::error!(name, error = chain(&error), "the bundle of a federated trust domain cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests;
