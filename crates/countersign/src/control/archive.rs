//! What is kept of the estate over time: every applied epoch by number, every estate by digest.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::{Digest, Epoch, PrincipalId, Time};
use serde::{Deserialize, Serialize};

use super::compile::{boot, for_replay};
use super::epochs::GENERATION;
use crate::estate::{Bundle, Change, Problem, Vars, load};
use crate::files::write_whole;
use crate::issuing::IssuingFailed;

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
pub(super) struct Kept {
    pub bundle: Bundle,
    pub vars: BTreeMap<String, String>,
    /// When it was applied, RFC 3339: what `expires` was checked against.
    pub time: String,
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
    #[error("the trust domain of epoch {epoch} has no issuer")]
    Issuer { epoch: u64, source: IssuingFailed },
}

/// The epochs and estates under one directory.
#[derive(Debug, Clone)]
pub struct Archive {
    root: PathBuf,
    operators: Vec<PrincipalId>,
}

impl Archive {
    /// The archive under `root`, of an installation with these operators. Nothing is read or made yet.
    pub const fn new(root: PathBuf, operators: Vec<PrincipalId>) -> Self {
        Self { root, operators }
    }

    /// Makes the directories that are missing.
    ///
    /// # Errors
    /// [`EpochsFailed::Io`].
    pub(super) fn make(&self) -> Result<(), EpochsFailed> {
        for folder in ["epochs", "snapshots"] {
            let path = self.root.join(folder);
            fs::create_dir_all(&path).map_err(|source| EpochsFailed::Io { path, source })?;
        }
        Ok(())
    }

    pub(super) fn operators(&self) -> &[PrincipalId] {
        &self.operators
    }

    /// Every applied epoch, oldest first.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub fn history(&self) -> Result<Vec<Applied>, EpochsFailed> {
        let folder = self.root.join("epochs");
        let io = |source| EpochsFailed::Io { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // nothing was applied yet
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut files =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>().map_err(io)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files.iter().map(|path| read(path)).collect()
    }

    /// The snapshot that a record names, compiled again but for its key sets: what verification found stands in the record.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub fn snapshot(&self, digest: &str, epoch: u64) -> Result<guard::Snapshot, EpochsFailed> {
        if epoch == 0 {
            return Ok(boot(&self.operators).snapshot);
        }
        let kept = self.kept(digest)?;
        let vars = Vars::Dev(kept.vars.clone());
        let estate = load(&kept.bundle, &vars, &self.operators, kept.time());
        let estate = estate.map_err(|problems| EpochsFailed::Problems { epoch, problems })?;
        Ok(for_replay(estate, kept.bundle.digest(&vars), GENERATION, Epoch(epoch)))
    }

    /// Keeps an estate, with what was substituted in it.
    pub(super) fn keep(
        &self,
        bundle: &Bundle,
        vars: &BTreeMap<String, String>,
        digest: Digest,
        at: Time,
    ) -> Result<(), EpochsFailed> {
        let path = self.snapshot_file(&digest.to_string());
        if path.exists() {
            return Ok(());
        }
        let kept = Kept { bundle: bundle.clone(), vars: vars.clone(), time: at.to_string() };
        self.write(&path, &kept)
    }

    /// The estate with that digest.
    pub(super) fn kept(&self, digest: &str) -> Result<Kept, EpochsFailed> {
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        // only a digest becomes part of a path
        let parsed: Result<Digest, _> = digest.parse();
        let path = parsed.ok().map(|digest| self.snapshot_file(&digest.to_string())).filter(|path| path.exists());
        read(&path.ok_or_else(|| EpochsFailed::Unknown { digest: digest.to_owned() })?)
    }

    fn snapshot_file(&self, digest: &str) -> PathBuf {
        self.root.join("snapshots").join(format!("{digest}.json"))
    }

    /// Keeps an applied epoch: from here on it is the last one.
    pub(super) fn append(&self, applied: &Applied) -> Result<(), EpochsFailed> {
        self.write(&self.root.join("epochs").join(format!("{:020}.json", applied.epoch)), applied)
    }

    fn write(&self, path: &Path, document: &impl Serialize) -> Result<(), EpochsFailed> {
        let io = |source| EpochsFailed::Io { path: path.to_owned(), source };
        let bytes = serde_json::to_vec(document).map_err(|error| io(error.into()))?;
        write_whole(path, &bytes, 0o600).map_err(io)
    }
}

impl Kept {
    /// When it was applied.
    pub(super) fn time(&self) -> Time {
        // a time that we wrote; were it unreadable, the strictest reading is the earliest
        self.time.parse().unwrap_or(Time::MIN)
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, EpochsFailed> {
    let bytes = fs::read(path).map_err(|source| EpochsFailed::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| EpochsFailed::Damaged { path: path.to_owned(), source })
}
