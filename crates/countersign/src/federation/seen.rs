//! How federations fare: what is known of each, when it was asked for, and why there is nothing newer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::{Digest, Time, TrustDomain};
use serde_json::{Value, json};

use super::Federated;
use crate::estate::{Federation, Server};

/// What this process did for each federation, on the terms of then.
#[derive(Default)]
pub(super) struct Tries(Mutex<BTreeMap<TrustDomain, Tried>>);

#[derive(Debug, Clone)]
struct Tried {
    terms: Digest,
    fetches: u64,
    failures: u64,
    /// The last one that brought a bundle, be it the one that is known.
    fetched: Option<Time>,
    next: Option<Time>,
    /// Why the last one brought none.
    error: Option<String>,
}

/// One federation, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederationCounts {
    pub domain: TrustDomain,
    /// Since its bundle was last had here, as long as there is one that counts.
    pub age: Option<Duration>,
    pub is_known: bool,
    pub fetches: u64,
    pub failures: u64,
}

impl Tries {
    /// A fetch has ended at `at`; the next one comes `after` so long.
    pub(super) fn ended(&self, federation: &Federation, error: Option<String>, at: Time, after: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            || Tried { terms: federation.terms, fetches: 0, failures: 0, fetched: None, next: None, error: None };
        let one = all.entry(federation.domain.clone()).or_insert_with(fresh);
        if one.terms != federation.terms {
            *one = fresh();
        }
        one.fetches += 1;
        one.next = Some(at.plus(after));
        match error {
            Some(_) => one.failures += 1,
            None => one.fetched = Some(at),
        }
        one.error = error;
    }

    fn of(&self, federation: &Federation) -> Option<Tried> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&federation.domain).filter(|one| one.terms == federation.terms).cloned()
    }
}

impl Federated {
    /// Each federation in force, for people and programs.
    pub fn listed(&self, federations: &[Federation]) -> Value {
        let item = |federation: &Federation| {
            let (held, tried) = (self.of(federation), self.tries.of(federation));
            let bundle = held.as_ref().map(|held| &held.bundle);
            let time = |time: Option<Time>| time.map(|time| time.to_string());
            json!({
                "name": federation.name,
                "trust_domain": federation.domain.as_str(),
                "url": federation.remote.url(),
                "profile": match federation.server { Server::Web => "https_web", Server::Spiffe { .. } => "https_spiffe" },
                "standing": if bundle.is_some() { "known" } else { "unknown" },
                "sequence": bundle.and_then(|bundle| bundle.sequence()),
                "x509_authorities": bundle.map(|bundle| bundle.x509_authorities().len()),
                "changed": held.as_ref().map(|held| held.fetched.as_str()),
                "fetched": time(tried.as_ref().and_then(|tried| tried.fetched)),
                "next": time(tried.as_ref().and_then(|tried| tried.next)),
                "fetches": tried.as_ref().map_or(0, |tried| tried.fetches),
                "failures": tried.as_ref().map_or(0, |tried| tried.failures),
                "error": tried.as_ref().and_then(|tried| tried.error.as_deref()),
            })
        };
        json!({"kind": "Federation", "items": federations.iter().map(item).collect::<Vec<_>>()})
    }

    /// The same in numbers.
    pub fn counts(&self, federations: &[Federation], at: Time) -> Vec<FederationCounts> {
        let counts = |federation: &Federation| {
            let (held, tried) = (self.of(federation), self.tries.of(federation));
            // where another node had it, or this one before it was started, the bundle is as old as its last change
            let changed = held.as_ref().and_then(|held| held.fetched.parse().ok());
            let had = tried.as_ref().and_then(|tried| tried.fetched).max(changed);
            FederationCounts {
                domain: federation.domain.clone(),
                age: had.filter(|_| held.is_some()).map(|had| at.since(had)),
                is_known: held.is_some(),
                fetches: tried.as_ref().map_or(0, |tried| tried.fetches),
                failures: tried.as_ref().map_or(0, |tried| tried.failures),
            }
        };
        federations.iter().map(counts).collect()
    }
}
