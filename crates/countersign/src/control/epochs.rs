//! The estate over time: every applied epoch is kept, and the last one is what planes decide by.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::{Digest, Epoch, Generation, PrincipalId, Time};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::compile::{boot, compile};
use crate::estate::{Bundle, Change, Problem, Vars, changes, load};
use crate::files::write_whole;
use crate::live::{Current, Live};

/// The only generation until control planes come back from backups.
const GENERATION: Generation = Generation(1);

/// One applied epoch, as it is kept and as `explain` names it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Applied {
    pub generation: u64,
    pub epoch: u64,
    /// Digest of the estate and of what was substituted in it.
    pub snapshot: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who applied it.
    pub by: String,
    /// The record of the application.
    pub record: String,
    pub changes: Vec<Change>,
    /// What binds credentials to principals, of the documents that changed: an id or `source:NAME`, and kind and name.
    pub binders: BTreeMap<String, (String, String)>,
}

/// An estate as it is kept: enough to compile it again.
#[derive(Serialize, Deserialize)]
struct Kept {
    bundle: Bundle,
    vars: BTreeMap<String, String>,
    /// When it was applied, RFC 3339: what `expires` was checked against.
    time: String,
}

/// Why what was applied before cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EpochsFailed {
    #[error("cannot read or write `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is damaged", .path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("`{digest}` names no estate that is kept here")]
    Unknown { digest: String },
    #[error("the estate of epoch {epoch} no longer loads: {}", .problems.first().map(ToString::to_string).unwrap_or_default())]
    Problems { epoch: u64, problems: Vec<Problem> },
}

/// Why an estate is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyFailed {
    #[error("{} problem(s), the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    #[error("planned on epoch {planned}, but epoch {current} is in force: plan again")]
    Moved { planned: u64, current: u64 },
    #[error("it cannot be kept")]
    Kept(#[source] EpochsFailed),
    #[error("refused: {}", .0.code.title())]
    Refused(guard::Refusal),
}

/// The epochs of an environment.
pub struct Epochs {
    root: PathBuf,
    vars: BTreeMap<String, String>,
    operators: Vec<PrincipalId>,
    live: Current,
    /// What is in force, as it was given; none before the first epoch.
    bundle: Mutex<Option<Bundle>>,
}

impl Epochs {
    /// Opens what is kept under `root` and puts the last epoch in force; before the first one, nothing is permitted but
    /// what the shipped packs give the operators.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn open(
        root: PathBuf,
        vars: BTreeMap<String, String>,
        operators: Vec<PrincipalId>,
        at: Time,
    ) -> Result<Self, EpochsFailed> {
        for folder in ["epochs", "snapshots"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(|source| EpochsFailed::Io { path, source })?;
        }
        let live = Arc::new(ArcSwap::from_pointee(boot(&operators)));
        let epochs = Self { root, vars, operators, live, bundle: Mutex::new(None) };
        if let Some(last) = epochs.history()?.pop() {
            let kept = epochs.kept(&last.snapshot)?;
            let problems = |problems| EpochsFailed::Problems { epoch: last.epoch, problems };
            let live = epochs.compiled(&kept.bundle, &epochs.vars, Epoch(last.epoch), time_of(&kept)).await;
            let live = live.map_err(problems)?;
            // the substituted addresses may be new, and records name the estate by both
            epochs.keep(&kept.bundle, live.snapshot.digest, at)?;
            epochs.live.store(Arc::new(live));
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
        let estate = load(bundle, &Vars::Dev(self.vars.clone()), &self.operators, at)?;
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
        let live = self.compiled(&bundle, &self.vars, next, by.at).await.map_err(ApplyFailed::Problems)?;
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
            self.keep(&bundle, live.snapshot.digest, by.at).map_err(ApplyFailed::Kept)?;
            self.write(&self.epoch_file(next.0), &applied).map_err(ApplyFailed::Kept)?;
        }
        self.live.store(Arc::new(live));
        *current = Some(bundle);
        Ok(applied)
    }

    /// Every applied epoch, oldest first.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub fn history(&self) -> Result<Vec<Applied>, EpochsFailed> {
        let folder = self.root.join("epochs");
        let io = |source| EpochsFailed::Io { path: folder.clone(), source };
        let mut files = fs::read_dir(&folder)
            .map_err(io)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(io)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files.iter().map(|path| read(path)).collect()
    }

    /// The snapshot that a record names, compiled again; its key sets are not: replay needs none.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn snapshot(&self, digest: &str, epoch: u64) -> Result<guard::Snapshot, EpochsFailed> {
        if epoch == 0 {
            return Ok(boot(&self.operators).snapshot);
        }
        let kept = self.kept(digest)?;
        let live = self.compiled(&kept.bundle, &kept.vars, Epoch(epoch), time_of(&kept)).await;
        live.map(|live| live.snapshot).map_err(|problems| EpochsFailed::Problems { epoch, problems })
    }

    async fn compiled(
        &self,
        bundle: &Bundle,
        vars: &BTreeMap<String, String>,
        epoch: Epoch,
        at: Time,
    ) -> Result<Live, Vec<Problem>> {
        let vars = Vars::Dev(vars.clone());
        let estate = load(bundle, &vars, &self.operators, at)?;
        Ok(compile(estate, bundle.digest(&vars), GENERATION, epoch).await)
    }

    fn keep(&self, bundle: &Bundle, digest: Digest, at: Time) -> Result<(), EpochsFailed> {
        let path = self.snapshot_file(&digest.to_string());
        if path.exists() {
            return Ok(());
        }
        let kept = Kept { bundle: bundle.clone(), vars: self.vars.clone(), time: at.to_string() };
        self.write(&path, &kept)
    }

    fn kept(&self, digest: &str) -> Result<Kept, EpochsFailed> {
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        // only a digest becomes part of a path
        let parsed: Result<Digest, _> = digest.parse();
        let path = parsed.ok().map(|digest| self.snapshot_file(&digest.to_string())).filter(|path| path.exists());
        read(&path.ok_or_else(|| EpochsFailed::Unknown { digest: digest.to_owned() })?)
    }

    fn snapshot_file(&self, digest: &str) -> PathBuf {
        self.root.join("snapshots").join(format!("{digest}.json"))
    }

    fn epoch_file(&self, epoch: u64) -> PathBuf {
        self.root.join("epochs").join(format!("{epoch:020}.json"))
    }

    fn write(&self, path: &Path, document: &impl Serialize) -> Result<(), EpochsFailed> {
        let io = |source| EpochsFailed::Io { path: path.to_owned(), source };
        let bytes = serde_json::to_vec(document).map_err(|error| io(error.into()))?;
        write_whole(path, &bytes, 0o600).map_err(io)
    }
}

/// Who applies, when, and under which record.
#[derive(Debug, Clone)]
pub struct Author {
    pub principal: String,
    pub record: String,
    pub at: Time,
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, EpochsFailed> {
    let bytes = fs::read(path).map_err(|source| EpochsFailed::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| EpochsFailed::Damaged { path: path.to_owned(), source })
}

fn time_of(kept: &Kept) -> Time {
    // a time that we wrote; were it unreadable, the strictest reading is the earliest
    kept.time.parse().unwrap_or(Time::MIN)
}
