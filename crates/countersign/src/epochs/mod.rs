//! The estate over time: the last applied epoch is what planes decide by. Any number of nodes apply and follow at once.

mod archive;
mod authorities;
mod compile;
mod federated;
mod publication;
mod revocations;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use credential::Operators;
use model::{Epoch, Generation, PrincipalId, Time, TrustDomain};
use net::causes::chain;
use net::{Connections, Stop, now};
use serde::{Deserialize, Serialize};
use store::{Append, Changed, KeptEpoch, KeptRegistration, Position, RevocationAct, State, StateFault};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use self::compile::{Beside, compile};
use crate::estate::{Bundle, Change, Estate, Problem, Registration, Vars, changes, load};
use crate::federation::Federated;
use crate::feed::Reached;
use crate::issuing::{Issuer, IssuingFailed};
use crate::keys::Keys;
use crate::live::{Current, Live};
use crate::registry::{self, Registry};

pub use archive::{Applied, Archive, EpochsFailed, Kept};
pub use authorities::{AuthorityFailed, NotPublished, Trust};
pub use compile::{boot, compile_alone};
pub use publication::{NotTaken, Publication};
pub use revocations::{RESTORE, REVOKE, fold, listed, revocable, words};

/// The generation that begins on nothing. Another begins when a control plane comes back from a backup.
const FIRST: Generation = Generation(1);
/// How often it is looked for what other nodes applied.
const LOOK: Duration = Duration::from_millis(250);
/// Most registrations that are read at once.
const REGISTRATIONS: u64 = 10_000;
/// How long nothing is tried after it failed.
const REST: Duration = Duration::from_secs(2);
/// Most changes that are read in one look; what they are about is asked for once.
const CHANGES: u64 = 1024;

/// Why an estate is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyFailed {
    #[error("{} problem(s), the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    #[error("planned on epoch {planned}, but epoch {current} is in force: plan again")]
    Moved { planned: u64, current: u64 },
    #[error("its trust domain has no issuer")]
    Issuer(#[source] IssuingFailed),
    #[error("its trust domain is `{found}`, and this installation's is `{expected}`")]
    OtherDomain { found: TrustDomain, expected: TrustDomain },
    #[error("this gateway decides by what its control plane applies: apply it there")]
    Following,
    #[error("what is in force cannot be read")]
    Unread(#[source] EpochsFailed),
    #[error("it may not be kept: plan again, to see what is in force")]
    Kept(#[source] EpochsFailed),
    #[error("refused: {}", .0.code.title())]
    Refused(guard::Refusal),
}

/// Why an earlier epoch does not come back.
#[derive(Debug, thiserror::Error)]
pub enum RollBackFailed {
    #[error("epoch {epoch} was never in force here")]
    Unknown { epoch: u64 },
    #[error("what was in force cannot be read")]
    Unread(#[source] EpochsFailed),
    #[error(transparent)]
    Apply(#[from] ApplyFailed),
}

/// What a process that has epochs is told when it starts, and no estate says.
pub struct Setting {
    /// Who operates it on this machine.
    pub operators: Vec<PrincipalId>,
    /// Who operates it from elsewhere.
    pub certified: Operators,
    /// The environment that it serves; none where estates have one alone.
    pub environment: Option<String>,
    /// What is substituted in its estates.
    pub vars: Vars,
    pub keys: Keys,
    pub trust: Trust,
    pub connections: Connections,
    /// The one trust domain that it serves; any, if none is named.
    pub domain: Option<TrustDomain>,
}

/// The epochs of an environment.
pub struct Epochs {
    state: State,
    archive: Archive,
    environment: Option<String>,
    vars: Vars,
    keys: Keys,
    live: Current,
    trust: Trust,
    domain: Option<TrustDomain>,
    certified: Arc<Operators>,
    connections: Connections,
    /// Of the trust domain in force, or of the one that this process serves; none before either is known, and where control
    /// issues.
    issuer: ArcSwapOption<Issuer>,
    in_force: Mutex<InForce>,
    registry: Arc<Registry>,
    /// The bundles of other trust domains.
    federated: Arc<Federated>,
    taking: Mutex<()>,
    /// The last registration that was taken, by the change that it was put in and its name.
    registered: Mutex<(u64, String)>,
    /// Every revocation and restoration, oldest first.
    acts: ArcSwap<Vec<(u64, RevocationAct)>>,
    /// Tells who waits that something else is in force.
    changed: watch::Sender<()>,
    /// When it was last seen that nothing newer is kept.
    looked: std::sync::Mutex<Option<Instant>>,
}

/// What this node has put in force.
#[derive(Default)]
struct InForce {
    /// None before the first epoch.
    position: Option<Position>,
    /// The estate as it was given.
    bundle: Option<Bundle>,
    /// The last change that was looked at.
    seen: u64,
}

impl Epochs {
    /// Puts the last epoch in force that `state` knows; before the first one, nothing is permitted but what the shipped packs
    /// give the operators. Where control issues, nothing is in force before control has said what is: see [`Epochs::take`].
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn open(state: State, setting: Setting, at: Time) -> Result<Self, EpochsFailed> {
        let Setting { operators, certified, environment, vars, keys, trust, connections, domain } = setting;
        let certified = Arc::new(certified);
        let live = Arc::new(ArcSwap::from_pointee(boot(&operators, Arc::clone(&certified))));
        let archive = Archive::new(Some(state.clone()), operators);
        let epochs = Self {
            state,
            archive,
            environment,
            vars,
            keys,
            live,
            trust,
            domain,
            certified,
            connections,
            issuer: ArcSwapOption::empty(),
            in_force: Mutex::default(),
            registry: Arc::default(),
            federated: Arc::default(),
            taking: Mutex::default(),
            registered: Mutex::default(),
            acts: ArcSwap::default(),
            changed: watch::Sender::new(()),
            looked: std::sync::Mutex::default(),
        };
        epochs.take_revocations().await?;
        epochs.take_registrations().await?;
        epochs.take_federated().await?;
        if let (Trust::Issues(issuers), Some(domain)) = (&epochs.trust, &epochs.domain) {
            // before the first epoch too: operators come over TLS to apply it
            epochs.issue(issuers.of(domain, at).await?);
        }
        if !epochs.follows_control() {
            epochs.look(at).await?;
        }
        Ok(epochs)
    }

    pub fn live(&self) -> Current {
        Arc::clone(&self.live)
    }

    /// What is in force, as it was given.
    pub async fn bundle(&self) -> Option<Bundle> {
        self.in_force.lock().await.bundle.clone()
    }

    /// Every revocation and restoration, oldest first.
    pub fn acts(&self) -> Arc<Vec<(u64, RevocationAct)>> {
        self.acts.load_full()
    }

    /// Where this process is: what it decides by, told apart from all else that ever had the same numbers.
    pub fn reached(&self) -> Reached {
        let live = self.live.load();
        let (generation, epoch) = (live.snapshot.generation.0, live.snapshot.epoch.0);
        let snapshot = live.snapshot.digest.to_string();
        let (revocation_seq, revocation_record) =
            self.acts.load().last().map(|(seq, act)| (*seq, act.record.clone())).unwrap_or_default();
        Reached { generation, epoch, snapshot, revocation_seq, revocation_record }
    }

    /// Whether control says what is in force here.
    pub const fn follows_control(&self) -> bool {
        matches!(self.trust, Trust::Control(_))
    }

    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What is registered.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Keeps registrations, or that there are none any more of these names, and puts that in force.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn register(&self, put: &[(String, Option<String>)], by: &Author) -> Result<u64, StateFault> {
        let seq = self.state.put_registrations(put, &by.record).await?;
        self.take_registrations().await?;
        Ok(seq)
    }

    /// Takes what was registered since this was last done, here or by another node.
    async fn take_registrations(&self) -> Result<(), StateFault> {
        let mut registered = self.registered.lock().await;
        loop {
            let (seq, name) = &*registered;
            let kept = self.state.registrations_since((*seq, name), REGISTRATIONS).await?;
            let Some(last) = kept.last() else { return Ok(()) };
            *registered = (last.seq, last.name.clone());
            let read = |kept: KeptRegistration| match kept.document.map(|json| registry::read(kept.name.clone(), &json))
            {
                Some(Ok(registration)) => Some((kept.name, Some(registration))),
                Some(Err(error)) => {
                    // only this program writes them; what cannot be read is nobody's
                    tracing::error!(name = kept.name, error = chain(&error), "a registration cannot be read");
                    Some((kept.name, None))
                }
                None => Some((kept.name, None)),
            };
            self.registry.take_own(kept.into_iter().filter_map(read).collect());
        }
    }

    /// Hears whenever something else is in force, or revoked.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether nothing newer was kept `within` so long: a process that cannot read its state does not know what is in force.
    pub fn is_current(&self, within: Duration) -> bool {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_some_and(|looked| looked.elapsed() <= within)
    }

    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Who issues for the trust domain in force, or for the one that this process serves.
    pub fn issuer(&self) -> Option<Arc<Issuer>> {
        self.issuer.load_full()
    }

    /// The connections to services, and this server's own SVID.
    pub const fn connections(&self) -> &Connections {
        &self.connections
    }

    /// What applying `bundle` would change.
    ///
    /// # Errors
    /// Every [`Problem`] of an estate that does not load.
    pub fn plan(&self, bundle: &Bundle, at: Time) -> Result<Vec<Change>, Vec<Problem>> {
        let estate = self.estate(bundle, at)?;
        Ok(changes(&self.live.load().about.documents, &estate.documents))
    }

    /// Puts `bundle` in force as the next epoch, unless it changes nothing; its key sets are fetched anew either way.
    /// When this returns, every decision of this node is made by it, and other nodes follow.
    ///
    /// # Errors
    /// [`ApplyFailed`]; what was in force stays in force.
    pub async fn apply(&self, bundle: Bundle, by: &Author, how: How) -> Result<Applied, ApplyFailed> {
        if self.follows_control() {
            return Err(ApplyFailed::Following);
        }
        let mut in_force = self.in_force.lock().await;
        self.catch_up(&mut in_force, by.at).await.map_err(ApplyFailed::Unread)?;
        let epoch = in_force.epoch();
        if let Some(planned) = how.base.filter(|planned| *planned != epoch) {
            return Err(ApplyFailed::Moved { planned, current: epoch });
        }
        let same = in_force.bundle.as_ref() == Some(&bundle) && how.generation == NextGeneration::Same;
        let unchanged = in_force.position.filter(|_| same);
        let position = unchanged.unwrap_or_else(|| in_force.next(how.generation));
        let kept = Kept::new(bundle, &self.vars, self.environment.clone(), by.at);
        let compiled = self.compiled(&kept, position, by.at).await.map_err(|why| match why {
            NotCompiled::Problems(problems) => ApplyFailed::Problems(problems),
            NotCompiled::Issuer(source) => ApplyFailed::Issuer(source),
            NotCompiled::Following => ApplyFailed::Following,
            NotCompiled::OtherDomain { found, expected } => ApplyFailed::OtherDomain { found, expected },
        })?;
        let applied = self.applied(&compiled.live, by);
        if unchanged.is_none() {
            let kept =
                self.keep(&applied, &compiled.live, &kept, in_force.position).await.map_err(ApplyFailed::Kept)?;
            if let Append::Moved { current } = kept {
                let current = current.map_or(0, |position| position.epoch.0);
                return Err(ApplyFailed::Moved { planned: epoch, current });
            }
        }
        self.put_in_force(compiled).await;
        (in_force.position, in_force.bundle) = (Some(position), Some(kept.bundle));
        Ok(applied)
    }

    /// Brings back what was in force in an earlier epoch, as a new one.
    ///
    /// # Errors
    /// [`RollBackFailed`]; what was in force stays in force.
    pub async fn roll_back(&self, epoch: u64, by: &Author) -> Result<Applied, RollBackFailed> {
        let unread = RollBackFailed::Unread;
        let last = self.state.last_epoch().await.map_err(EpochsFailed::from).map_err(unread)?;
        let unknown = || RollBackFailed::Unknown { epoch };
        let last = last.ok_or_else(unknown)?.position;
        let history = self.state.epochs_through(last).await.map_err(EpochsFailed::from).map_err(unread)?;
        // epochs start anew in no generation, so that the number alone names one
        let earlier = history.iter().rev().find(|kept| kept.position.epoch.0 == epoch).ok_or_else(unknown)?;
        let kept = self.archive.kept(earlier.estate).await.map_err(unread)?.ok_or_else(unknown)?;
        Ok(self.apply(kept.bundle, by, How::default()).await?)
    }

    /// Keeps a revocation, and puts it in force: when this returns, no decision of this node is made without it.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn revoke(&self, act: &RevocationAct) -> Result<u64, StateFault> {
        let _one_at_a_time = self.in_force.lock().await;
        let seq = self.state.append_revocation(act).await?;
        self.take_revocations().await?;
        Ok(seq)
    }

    async fn take_revocations(&self) -> Result<(), StateFault> {
        let acts = self.state.revocations().await?;
        let revocations = revocations::current(&acts);
        self.live.rcu(|live| live.with_revocations(Arc::clone(&revocations)));
        // afterwards: whoever asks how far this process is hears of what is in force
        self.acts.store(Arc::new(acts));
        self.changed.send_replace(());
        Ok(())
    }

    /// Puts in force what other nodes apply, until asked to stop. What cannot be had leaves in force what is.
    pub async fn follow(&self, mut stop: Stop) {
        let mut wait = LOOK;
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(wait) => {}
            }
            wait = match self.look(now()).await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::error!(error = chain(&error), "cannot follow what other nodes apply");
                    REST
                }
            };
        }
    }

    async fn look(&self, at: Time) -> Result<(), EpochsFailed> {
        let mut in_force = self.in_force.lock().await;
        let looked = Instant::now();
        let changes = self.state.changes_since(in_force.seen, CHANGES).await?;
        if let Some(last) = changes.last() {
            // first: what is revoked must not wait for an estate that has to be compiled
            self.take_revocations().await?;
            self.take_registrations().await?;
            if changes.iter().any(|change| matches!(change.what, Changed::Authorities(_))) {
                self.take_authorities(at).await?;
            }
            self.catch_up(&mut in_force, at).await?;
            if changes.iter().any(|change| matches!(change.what, Changed::Federated(_))) {
                self.take_federated().await?;
            }
            in_force.seen = last.seq;
        }
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked);
        Ok(())
    }

    /// Puts the last epoch in force, if it is not yet.
    async fn catch_up(&self, in_force: &mut InForce, at: Time) -> Result<(), EpochsFailed> {
        let Some(last) = self.state.last_epoch().await? else { return Ok(()) };
        if in_force.position >= Some(last.position) {
            return Ok(());
        }
        let unknown = || EpochsFailed::Unknown { digest: last.estate.to_string() };
        let kept = self.archive.kept(last.estate).await?.ok_or_else(unknown)?;
        let epoch = last.position.epoch.0;
        kept.check_environment(self.environment.as_deref(), epoch)?;
        let compiled = self.compiled(&kept, last.position, at).await;
        let compiled = compiled.map_err(|why| match why {
            NotCompiled::Problems(problems) => EpochsFailed::Problems { epoch, problems },
            NotCompiled::Issuer(source) => EpochsFailed::Issuer { epoch, source },
            NotCompiled::Following => EpochsFailed::Following,
            NotCompiled::OtherDomain { found, expected } => EpochsFailed::OtherDomain { epoch, found, expected },
        })?;
        let kept = kept.under(&self.vars);
        let digest = compiled.live.snapshot.digest;
        if digest != last.estate {
            // the substituted addresses are others, and records name the estate by both
            self.state.keep_estate(digest, &kept.document()?).await?;
        }
        self.put_in_force(compiled).await;
        (in_force.position, in_force.bundle) = (Some(last.position), Some(kept.bundle));
        Ok(())
    }

    async fn put_in_force(&self, compiled: Compiled) {
        let Compiled { live, issuer, registrations } = compiled;
        self.issue(issuer);
        self.registry.take_estate(registrations);
        self.show(live).await;
    }

    fn issue(&self, issuer: Arc<Issuer>) {
        self.connections.trust(issuer.authorities());
        self.issuer.store(Some(issuer));
    }

    async fn show(&self, live: Live) {
        // INVARIANT: whatever is put in force stands under the revocations of now
        retire(self.live.rcu(|now| live.with_revocations(now.snapshot.sources.shared_revocations())));
        self.keys.follow(&self.live).await;
        self.changed.send_replace(());
    }

    async fn keep(
        &self,
        applied: &Applied,
        live: &Live,
        kept: &Kept,
        last: Option<Position>,
    ) -> Result<Append, EpochsFailed> {
        let damaged = |source| EpochsFailed::Damaged { what: "an epoch".to_owned(), source };
        let document = serde_json::to_string(applied).map_err(damaged)?;
        let epoch = KeptEpoch { position: applied.position(), estate: live.snapshot.digest, applied: document };
        let begins = last.is_some_and(|last| last.generation < epoch.position.generation);
        if begins {
            let standing = revocations::standing(&self.state.revocations().await?);
            return Ok(self.state.begin_generation(last, &epoch, &kept.document()?, &standing).await?);
        }
        Ok(self.state.append_epoch(last, &epoch, &kept.document()?).await?)
    }

    fn applied(&self, live: &Live, by: &Author) -> Applied {
        let changes = changes(&self.live.load().about.documents, &live.about.documents);
        let changed = |kind: &str, name: &str| changes.iter().any(|one| one.kind == kind && one.name == name);
        let binders = live.about.binders.iter().filter(|(_, (kind, name))| changed(kind, name));
        Applied {
            binders: binders.map(|(key, binder)| (key.clone(), binder.clone())).collect(),
            generation: live.snapshot.generation.0,
            epoch: live.snapshot.epoch.0,
            snapshot: live.snapshot.digest.to_string(),
            time: by.at.to_string(),
            by: by.principal.clone(),
            record: by.record.clone(),
            changes,
        }
    }

    /// Compiles an estate, to be in force from `at` by this process's own word.
    async fn compiled(&self, kept: &Kept, position: Position, at: Time) -> Result<Compiled, NotCompiled> {
        let mut estate = self.loaded(kept)?;
        let issuers = self.trust.issuers().ok_or(NotCompiled::Following)?;
        let enrols = matches!(self.trust, Trust::Issues(_));
        let issuer = issuers.of(&estate.environment.trust_domain, at).await.map_err(NotCompiled::Issuer)?;
        let fetched = self.keys.fetch(&estate.remote_keys()).await;
        let beside = Beside {
            authorities: issuer.authorities(),
            assertions: Arc::clone(issuer.assertions()),
            enrolment: enrols.then(|| issuer.enrolment_source()),
            certified: Arc::clone(&self.certified),
            connections: &self.connections,
            fetched: &fetched,
        };
        let digest = kept.bundle.digest(&self.vars);
        let registrations = std::mem::take(&mut estate.registrations);
        let live = compile(estate, digest, position.generation, position.epoch, beside);
        Ok(Compiled { live, issuer, registrations })
    }

    /// An estate as it is read here.
    fn loaded(&self, kept: &Kept) -> Result<Estate, NotCompiled> {
        let estate = self.estate(&kept.bundle, kept.time()).map_err(NotCompiled::Problems)?;
        let found = &estate.environment.trust_domain;
        match &self.domain {
            Some(expected) if expected != found => {
                Err(NotCompiled::OtherDomain { found: found.clone(), expected: expected.clone() })
            }
            Some(_) | None => Ok(estate),
        }
    }

    /// The environment of it that this process serves.
    fn estate(&self, bundle: &Bundle, at: Time) -> Result<Estate, Vec<Problem>> {
        load(bundle, &self.vars, self.archive.operators(), self.environment.as_deref(), at)
    }
}

/// Frees what is in force no more once nobody decides by it: a large estate takes a second to free, and no request should
/// be the one that does.
fn retire(old: Arc<Live>) {
    tokio::spawn(async move {
        while Arc::strong_count(&old) > 1 {
            sleep(LOOK).await;
        }
        // a runtime that stops frees it as well
        let _ = spawn_blocking(move || drop(old)).await;
    });
}

impl InForce {
    /// 0 before the first one.
    fn epoch(&self) -> u64 {
        self.position.map_or(0, |position| position.epoch.0)
    }

    fn next(&self, next: NextGeneration) -> Position {
        let generation = match (self.position, next) {
            (None, _) => FIRST,
            (Some(position), NextGeneration::Same) => position.generation,
            (Some(position), NextGeneration::New) => Generation(position.generation.0 + 1),
        };
        Position { generation, epoch: Epoch(self.epoch() + 1) }
    }
}

/// An estate that can be put in force.
struct Compiled {
    live: Live,
    issuer: Arc<Issuer>,
    registrations: Vec<Registration>,
}

/// Why an estate cannot be put in force.
enum NotCompiled {
    Problems(Vec<Problem>),
    Issuer(IssuingFailed),
    Following,
    OtherDomain { found: TrustDomain, expected: TrustDomain },
}

/// How an estate is applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// The epoch that was planned on.
    pub base: Option<u64>,
    pub generation: NextGeneration,
}

/// The generation of the next epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NextGeneration {
    #[default]
    Same,
    /// A backup was brought back: planes may have seen epochs that this state does not know.
    New,
}

/// Who applies, when, and under which record.
#[derive(Debug, Clone)]
pub struct Author {
    pub principal: String,
    pub record: String,
    pub at: Time,
}

#[cfg(test)]
mod tests;
