//! How this process is: what it decides by and how old that is, its ledger in numbers, its key sets and its certificates.
//! Read by those who watch it; it decides nothing.

use std::sync::Arc;
use std::time::Duration;

use credential::MemoCounts;
use guard::{Clock, Freshness, Staleness};
use model::Time;
use net::now;
use net::tls::OwnSvid;
use store::{Figures, FileLedger};

use crate::epochs::Epochs;
use crate::federation::{Federated, FederationCounts};
use crate::keys::{KeyCounts, Keys};
use crate::live::Current;
use crate::pulse::Pulse;

/// Where to look.
pub struct Vitals {
    live: Current,
    pulse: Arc<Pulse>,
    ledger: Arc<FileLedger>,
    keys: Keys,
    federated: Arc<Federated>,
    own: Arc<OwnSvid>,
    started: Time,
}

/// What was seen at one moment.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Time,
    pub started: Time,
    pub generation: u64,
    pub epoch: u64,
    pub revocation_seq: u64,
    /// None before there is an environment.
    pub trust_domain: Option<String>,
    /// Since control was last heard to say that this is in force; zero where the process says so itself.
    pub age: Duration,
    /// From which age on each tier is refused.
    pub staleness: Staleness,
    pub clock: Clock,
    pub ledger: Figures,
    pub keys: Vec<KeyCounts>,
    pub memos: Vec<MemoCounts>,
    pub federations: Vec<FederationCounts>,
    /// When the process's own SVID ends; none before it has one.
    pub svid_ends: Option<Time>,
    /// When the last authority of its trust domain ends.
    pub authority_ends: Option<Time>,
}

impl Vitals {
    pub fn new(epochs: &Epochs, pulse: Arc<Pulse>, ledger: Arc<FileLedger>, keys: Keys) -> Arc<Self> {
        let (own, federated) = (Arc::clone(epochs.connections().own()), Arc::clone(epochs.federated()));
        Arc::new(Self { live: epochs.live(), pulse, ledger, keys, federated, own, started: now() })
    }

    pub const fn live(&self) -> &Current {
        &self.live
    }

    pub fn freshness(&self, at: Time) -> Freshness {
        self.pulse.freshness(at)
    }

    /// How the process is now.
    pub async fn look(&self) -> Seen {
        let (live, at) = (self.live.load_full(), now());
        let snapshot = &live.snapshot;
        let freshness = self.freshness(at);
        let authorities = snapshot.sources.authorities();
        Seen {
            at,
            started: self.started,
            generation: snapshot.generation.0,
            epoch: snapshot.epoch.0,
            revocation_seq: snapshot.sources.revocations().seq(),
            trust_domain: live.domain.as_ref().map(ToString::to_string),
            age: freshness.age,
            staleness: snapshot.staleness,
            clock: freshness.clock,
            ledger: self.ledger.figures(),
            keys: self.keys.counts().await,
            memos: snapshot.sources.memo_counts(),
            federations: self.federated.counts(&live.federations, at),
            svid_ends: self.own.ends(),
            authority_ends: live.domain.as_ref().and_then(|domain| authorities.ends(domain)),
        }
    }
}
