//! The task that asks for the bundles of other trust domains: each at its own pace, one question at a time, and never sooner
//! because one failed (SPIFFE_Federation.md §6.2).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use credential::{Authorities, BadBundle, BadSpiffeBundle, SpiffeBundle};
use model::TrustDomain;
use net::causes::chain;
use net::{FetchFailed, Fetched, Stop, fetch, fetch_from, jittered, now, tls};
use store::{KeptBundle, StateFault, Step};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep_until;

use super::Held;
use crate::epochs::Epochs;
use crate::estate::{Federation, Server};
use crate::issuing::authorities_of;

/// The pace of a bundle that says none, and the slowest and quickest that one may ask for.
const UNSAID: Duration = Duration::from_secs(300);
const QUICKEST: Duration = Duration::from_secs(60);
const SLOWEST: Duration = Duration::from_secs(24 * 3600);

/// Why there is no newer bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotHad {
    #[error("it cannot be fetched")]
    Fetch(#[from] FetchFailed),
    #[error("what was fetched is no bundle")]
    Bundle(#[from] BadSpiffeBundle),
    #[error("the fetch was broken off")]
    BrokenOff(#[from] JoinError),
    #[error("its sequence {found} lies behind {known}, which is known")]
    Older { found: u64, known: u64 },
    #[error("other authorities under the sequence {sequence}, which is known")]
    Disputed { sequence: u64 },
    #[error("it cannot be kept")]
    State(#[from] StateFault),
    #[error("another node keeps one at this moment")]
    Crowded,
    #[error("the authorities by which its server is known cannot be used")]
    Authorities(#[from] BadBundle),
}

/// One federation that is in force.
struct Asked {
    federation: Federation,
    due: Instant,
    /// One at a time.
    fetching: Option<Id>,
}

struct Keeper {
    epochs: Arc<Epochs>,
    asked: Vec<Asked>,
    /// What is in force no more, and may be kept still. A bundle of a federation that this node never had in force is another
    /// node's, which is ahead.
    left: Vec<Federation>,
    /// Whether it was looked at what is kept from before this process began.
    looked: bool,
    fetches: JoinSet<Result<Fetched, NotHad>>,
}

/// Keeps the bundles of the trust domains with which what is in force federates, until asked to stop.
pub async fn keep(epochs: Arc<Epochs>, mut stop: Stop) {
    let mut changed = epochs.changed();
    let mut keeper = Keeper { epochs, asked: Vec::new(), left: Vec::new(), looked: false, fetches: JoinSet::new() };
    loop {
        changed.mark_unchanged();
        keeper.follow(Instant::now()).await;
        keeper.begin(Instant::now());
        let wake = keeper.asked.iter().filter(|one| one.fetching.is_none()).map(|one| one.due).min();
        tokio::select! {
            () = stop.asked() => break,
            _ = changed.changed() => {}
            Some(ended) = keeper.fetches.join_next_with_id() => {
                let (id, came) = match ended {
                    Ok((id, came)) => (id, came),
                    Err(error) => (error.id(), Err(error.into())),
                };
                keeper.ended(id, came).await;
            }
            () = async { match wake { Some(at) => sleep_until(at.into()).await, None => std::future::pending().await } } => {}
        }
    }
    keeper.fetches.shutdown().await;
}

impl Keeper {
    /// What is no longer in force is asked for no more, and forgotten; a fetch for it that is under way ends unheard.
    async fn follow(&mut self, at: Instant) {
        let live = self.epochs.live().load_full();
        if live.domain.is_none() {
            // nothing is in force yet, which says nothing of what will be
            return;
        }
        let left = self.asked.extract_if(.., |one| !live.federations.contains(&one.federation));
        self.left.extend(left.map(|one| one.federation));
        for federation in live.federations.iter() {
            if !self.asked.iter().any(|one| one.federation == *federation) {
                self.asked.push(Asked { federation: federation.clone(), due: at, fetching: None });
            }
        }
        let stands = |one: &Federation| live.federations.iter().any(|other| other.terms == one.terms);
        self.left.retain(|one| !stands(one));
        let federated = self.epochs.federated();
        let mut gone: Vec<(TrustDomain, u64)> =
            self.left.iter().filter_map(|one| Some((one.domain.clone(), federated.of(one)?.seq))).collect();
        if !std::mem::replace(&mut self.looked, true) {
            let counts = |domain: &TrustDomain| {
                live.federations.iter().any(|one| one.domain == *domain && federated.of(one).is_some())
            };
            let all = federated.all();
            gone.extend(
                all.iter().filter(|(domain, _)| !counts(domain)).map(|(domain, held)| (domain.clone(), held.seq)),
            );
        }
        for (domain, seq) in gone {
            self.forget(&domain, seq).await;
        }
        self.left.retain(|one| federated.of(one).is_some());
    }

    async fn forget(&self, domain: &TrustDomain, seq: u64) {
        tracing::info!(%domain, "no longer federated: its bundle is forgotten");
        if let Err(error) = self.epochs.forget_federated(domain, seq).await {
            // it counts no more, whether it is kept or not; the next look tries again
            tracing::warn!(%domain, error = chain(&error), "its bundle is still kept");
        }
    }

    fn begin(&mut self, at: Instant) {
        for one in self.asked.iter_mut().filter(|one| one.due <= at && one.fetching.is_none()) {
            let known = self.epochs.federated().of(&one.federation);
            one.fetching = Some(self.fetches.spawn(fetched(one.federation.clone(), known)).id());
        }
    }

    async fn ended(&mut self, id: Id, came: Result<Fetched, NotHad>) {
        let Some(one) = self.asked.iter_mut().find(|one| one.fetching == Some(id)) else { return };
        one.fetching = None;
        let federation = &one.federation;
        let done = match came {
            Ok(fetched) => take(&self.epochs, federation, &fetched.document).await,
            Err(error) => Err(error),
        };
        let error = done.err().map(|error| chain(&error));
        if let Some(error) = &error {
            let (domain, url) = (&federation.domain, federation.remote.url());
            tracing::warn!(%domain, url, error, "no newer bundle of a federated trust domain");
        }
        let federated = self.epochs.federated();
        let after = jittered(pace(federation, federated.of(federation).as_ref()));
        one.due = Instant::now() + after;
        federated.tries.ended(federation, error, now(), after);
    }
}

/// How long after a question the next one is asked.
pub(super) fn pace(federation: &Federation, known: Option<&Held>) -> Duration {
    let said = match known {
        Some(known) => known.bundle.refresh_hint().unwrap_or(UNSAID).clamp(QUICKEST, SLOWEST),
        None => QUICKEST,
    };
    federation.refresh.unwrap_or(said)
}

async fn fetched(federation: Federation, known: Option<Held>) -> Result<Fetched, NotHad> {
    match &federation.server {
        Server::Web => Ok(fetch(&federation.remote).await?),
        Server::Spiffe { id, bootstrap } => {
            let trusted = known.as_ref().map_or(&**bootstrap, |known| &known.bundle);
            let authorities: Arc<Authorities> =
                Arc::new(authorities_of(&federation.domain, trusted.x509_authorities())?);
            let check = tls::only(id.clone(), move || Arc::clone(&authorities));
            Ok(fetch_from(&federation.remote, check).await?)
        }
    }
}

/// Keeps what was fetched, if it is newer than what is known.
async fn take(epochs: &Epochs, federation: &Federation, document: &Bytes) -> Result<(), NotHad> {
    let found = SpiffeBundle::parse(&federation.domain, document)?;
    // another node may have kept one meanwhile
    epochs.take_federated().await?;
    let known = epochs.federated().of(federation);
    let seen = epochs.federated().all().get(&federation.domain).map_or(0, |held| held.seq);
    if !is_news(federation, known.as_ref(), &found)? {
        return Ok(());
    }
    let kept = KeptBundle {
        domain: federation.domain.to_string(),
        seq: seen,
        terms: federation.terms.to_string(),
        fetched: now().to_string(),
        document: document.to_vec(),
    };
    match epochs.keep_federated(&kept).await? {
        Step::Kept { .. } => {
            let (x509, sequence) = (found.x509_authorities().len(), found.sequence());
            tracing::info!(domain = %federation.domain, x509, sequence, "the bundle of a federated trust domain");
            Ok(())
        }
        Step::Moved => Err(NotHad::Crowded),
    }
}

/// Whether a bundle is to be kept instead of what is known (§4.2): never one that lies behind it.
pub(super) fn is_news(federation: &Federation, known: Option<&Held>, found: &SpiffeBundle) -> Result<bool, NotHad> {
    let bootstrap = match &federation.server {
        Server::Web => None,
        Server::Spiffe { bootstrap, .. } => Some(&**bootstrap),
    };
    let Some(before) = known.map(|known| &*known.bundle).or(bootstrap) else { return Ok(true) };
    let same = before.trusts_as(found);
    match (before.sequence(), found.sequence()) {
        (Some(known), Some(found)) if found < known => Err(NotHad::Older { found, known }),
        (Some(known), Some(found)) if found == known && !same => Err(NotHad::Disputed { sequence: known }),
        // its pace may be another, or a sequence begins
        _ => Ok(known.is_none_or(|known| *known.bundle != *found)),
    }
}
