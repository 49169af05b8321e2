//! The estate over time: the last applied epoch is what planes decide by.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use model::{Epoch, Generation, Time};
use tokio::sync::Mutex;

use super::archive::{Applied, Archive, EpochsFailed};
use super::compile::{Beside, boot, compile};
use crate::estate::{Bundle, Change, Problem, Vars, changes, load};
use crate::issuing::{Issuer, Issuers, IssuingFailed};
use crate::keys::Keys;
use crate::live::{Current, Live};
use crate::net::Connections;

/// The only generation until control planes come back from backups.
pub(super) const GENERATION: Generation = Generation(1);

/// Why an estate is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyFailed {
    #[error("{} problem(s), the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    #[error("planned on epoch {planned}, but epoch {current} is in force: plan again")]
    Moved { planned: u64, current: u64 },
    #[error("its trust domain has no issuer")]
    Issuer(#[source] IssuingFailed),
    #[error("it cannot be kept")]
    Kept(#[source] EpochsFailed),
    #[error("refused: {}", .0.code.title())]
    Refused(guard::Refusal),
}

/// The epochs of an environment.
pub struct Epochs {
    archive: Archive,
    vars: BTreeMap<String, String>,
    keys: Keys,
    live: Current,
    issuers: Issuers,
    connections: Connections,
    /// Of the trust domain in force; none before the first epoch.
    issuer: ArcSwapOption<Issuer>,
    /// What is in force, as it was given; none before the first epoch.
    bundle: Mutex<Option<Bundle>>,
}

impl Epochs {
    /// Opens an archive and puts its last epoch in force, its key sets fetched by `keys`; before the first one, nothing is permitted but what the shipped
    /// packs give the operators.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn open(
        archive: Archive,
        vars: BTreeMap<String, String>,
        keys: Keys,
        issuers: Issuers,
        connections: Connections,
        at: Time,
    ) -> Result<Self, EpochsFailed> {
        archive.make()?;
        let live = Arc::new(ArcSwap::from_pointee(boot(archive.operators())));
        let (issuer, bundle) = (ArcSwapOption::empty(), Mutex::new(None));
        let epochs = Self { archive, vars, keys, live, issuers, connections, issuer, bundle };
        if let Some(last) = epochs.archive.history()?.pop() {
            let kept = epochs.archive.kept(&last.snapshot)?;
            let compiled = epochs.compiled(&kept.bundle, Epoch(last.epoch), kept.time(), at).await;
            let (live, issuer) = compiled.map_err(|why| match why {
                NotCompiled::Problems(problems) => EpochsFailed::Problems { epoch: last.epoch, problems },
                NotCompiled::Issuer(source) => EpochsFailed::Issuer { epoch: last.epoch, source },
            })?;
            // the substituted addresses may be new, and records name the estate by both
            epochs.archive.keep(&kept.bundle, &epochs.vars, live.snapshot.digest, at)?;
            epochs.put_in_force(live, issuer).await;
            *epochs.bundle.lock().await = Some(kept.bundle);
        }
        Ok(epochs)
    }

    pub fn live(&self) -> Current {
        Arc::clone(&self.live)
    }

    /// What is in force, as it was given.
    pub async fn bundle(&self) -> Option<Bundle> {
        self.bundle.lock().await.clone()
    }

    /// What applying `bundle` would change.
    ///
    /// # Errors
    /// Every [`Problem`] of an estate that does not load.
    pub fn plan(&self, bundle: &Bundle, at: Time) -> Result<Vec<Change>, Vec<Problem>> {
        let estate = load(bundle, &Vars::Dev(self.vars.clone()), self.archive.operators(), at)?;
        Ok(changes(&self.live.load().about.documents, &estate.documents))
    }

    /// Puts `bundle` in force as the next epoch, unless it changes nothing; its key sets are fetched anew either way.
    /// When this returns, every decision is made by it.
    ///
    /// # Errors
    /// [`ApplyFailed`]; what was in force stays in force.
    pub async fn apply(&self, bundle: Bundle, by: &Author, base: Option<u64>) -> Result<Applied, ApplyFailed> {
        let mut current = self.bundle.lock().await;
        let epoch = self.live.load().snapshot.epoch.0;
        if let Some(planned) = base.filter(|planned| *planned != epoch) {
            return Err(ApplyFailed::Moved { planned, current: epoch });
        }
        let unchanged = current.as_ref() == Some(&bundle);
        let next = Epoch(if unchanged { epoch } else { epoch + 1 });
        let (live, issuer) = self.compiled(&bundle, next, by.at, by.at).await.map_err(|why| match why {
            NotCompiled::Problems(problems) => ApplyFailed::Problems(problems),
            NotCompiled::Issuer(source) => ApplyFailed::Issuer(source),
        })?;
        let changes = changes(&self.live.load().about.documents, &live.about.documents);
        let changed = |kind: &str, name: &str| changes.iter().any(|one| one.kind == kind && one.name == name);
        let binders = live.about.binders.iter().filter(|(_, (kind, name))| changed(kind, name));
        let applied = Applied {
            binders: binders.map(|(key, binder)| (key.clone(), binder.clone())).collect(),
            generation: GENERATION.0,
            epoch: next.0,
            snapshot: live.snapshot.digest.to_string(),
            time: by.at.to_string(),
            by: by.principal.clone(),
            record: by.record.clone(),
            changes,
        };
        if !unchanged {
            self.archive.keep(&bundle, &self.vars, live.snapshot.digest, by.at).map_err(ApplyFailed::Kept)?;
            self.archive.append(&applied).map_err(ApplyFailed::Kept)?;
        }
        self.put_in_force(live, issuer).await;
        *current = Some(bundle);
        Ok(applied)
    }

    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Who issues for the trust domain in force.
    pub fn issuer(&self) -> Option<Arc<Issuer>> {
        self.issuer.load_full()
    }

    /// The connections to services, and this server's own SVID.
    pub const fn connections(&self) -> &Connections {
        &self.connections
    }

    async fn put_in_force(&self, live: Live, issuer: Arc<Issuer>) {
        self.connections.trust(issuer.authorities());
        self.issuer.store(Some(issuer));
        self.live.store(Arc::new(live));
        self.keys.follow(&self.live).await;
    }

    /// Compiles an estate that was applied at `applied`, to be in force from `at`.
    async fn compiled(
        &self,
        bundle: &Bundle,
        epoch: Epoch,
        applied: Time,
        at: Time,
    ) -> Result<(Live, Arc<Issuer>), NotCompiled> {
        let vars = Vars::Dev(self.vars.clone());
        let estate = load(bundle, &vars, self.archive.operators(), applied).map_err(NotCompiled::Problems)?;
        let issuer = self.issuers.of(&estate.environment.trust_domain, at).map_err(NotCompiled::Issuer)?;
        let fetched = self.keys.fetch(&estate.remote_keys()).await;
        let beside = Beside { issuer: &issuer, connections: &self.connections, fetched: &fetched };
        let live = compile(estate, bundle.digest(&vars), GENERATION, epoch, &beside);
        Ok((live, issuer))
    }
}

/// Why an estate cannot be put in force.
enum NotCompiled {
    Problems(Vec<Problem>),
    Issuer(IssuingFailed),
}

/// Who applies, when, and under which record.
#[derive(Debug, Clone)]
pub struct Author {
    pub principal: String,
    pub record: String,
    pub at: Time,
}
