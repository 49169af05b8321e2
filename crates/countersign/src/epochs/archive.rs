//! What is kept of the estate over time: every applied epoch, and every estate by its digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Digest, Epoch, Generation, PrincipalId, Time, TrustDomain};
use serde::{Deserialize, Serialize};
use store::{KeptEpoch, Position, RevocationAct, State, StateFault};

use super::compile::{boot, for_replay};
use crate::estate::{Bundle, Change, Problem, Vars, load};
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
#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    pub bundle: Bundle,
    /// What was substituted; none where nothing is.
    pub vars: Option<BTreeMap<String, String>>,
    /// The environment of it that was in force; none where it was the only one.
    #[serde(default)]
    pub environment: Option<String>,
    /// When it was applied, RFC 3339: what `expires` was checked against.
    pub time: String,
}

/// Why what was applied before cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EpochsFailed {
    #[error(transparent)]
    State(#[from] StateFault),
    #[error("{what} is kept in a form that cannot be read")]
    Damaged { what: String, source: serde_json::Error },
    #[error("what is kept as estate `{digest}` is another one")]
    Exchanged { digest: Digest },
    #[error("`{digest}` names no estate that is kept here")]
    Unknown { digest: String },
    #[error("the estate of epoch {epoch} no longer loads: {}", .problems.first().map(ToString::to_string).unwrap_or_default())]
    Problems { epoch: u64, problems: Vec<Problem> },
    #[error("the trust domain of epoch {epoch} is `{found}`, and this installation's is `{expected}`")]
    OtherDomain { epoch: u64, found: TrustDomain, expected: TrustDomain },
    #[error("this process follows control, and puts nothing in force by itself")]
    Following,
    #[error("epoch {epoch} is of environment `{found}`, and this server of `{own}`: each has a state of its own")]
    Elsewhere { epoch: u64, found: String, own: String },
    #[error("this installation's trust domain has no issuer")]
    NoIssuer(#[from] IssuingFailed),
    #[error("the trust domain of epoch {epoch} has no issuer")]
    Issuer { epoch: u64, source: IssuingFailed },
}

/// The epochs and estates of an installation, for those who look back.
#[derive(Clone)]
pub struct Archive {
    /// None where only the ledger is at hand: then nothing was applied that is known of.
    state: Option<State>,
    operators: Vec<PrincipalId>,
}

impl Archive {
    /// The archive in `state`, of an installation with these operators.
    pub const fn new(state: Option<State>, operators: Vec<PrincipalId>) -> Self {
        Self { state, operators }
    }

    /// Who operates it on its machine.
    pub fn operators(&self) -> &[PrincipalId] {
        &self.operators
    }

    /// Every epoch that was applied up to this one, oldest first.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn history(&self, through: Position) -> Result<Vec<Applied>, EpochsFailed> {
        let Some(state) = &self.state else { return Ok(Vec::new()) };
        state.epochs_through(through).await?.iter().map(applied).collect()
    }

    /// Every revocation and restoration, oldest first.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn revocations(&self) -> Result<Vec<(u64, RevocationAct)>, EpochsFailed> {
        match &self.state {
            Some(state) => Ok(state.revocations().await?),
            None => Ok(Vec::new()),
        }
    }

    /// The snapshot that a record names, compiled again but for its key sets: what verification found stands in the record.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn snapshot(&self, digest: &str, position: Position) -> Result<guard::Snapshot, EpochsFailed> {
        if position.epoch == Epoch(0) {
            return Ok(boot(&self.operators, Arc::default()).snapshot);
        }
        let unknown = || EpochsFailed::Unknown { digest: digest.to_owned() };
        let digest: Digest = digest.strip_prefix("sha256:").unwrap_or(digest).parse().ok().ok_or_else(unknown)?;
        let kept = self.kept(digest).await?.ok_or_else(unknown)?;
        let estate = load(&kept.bundle, &kept.vars(), &self.operators, kept.environment.as_deref(), kept.time());
        let estate = estate.map_err(|problems| EpochsFailed::Problems { epoch: position.epoch.0, problems })?;
        Ok(for_replay(estate, digest, position.generation, position.epoch))
    }

    /// The estate with that digest.
    pub(super) async fn kept(&self, digest: Digest) -> Result<Option<Kept>, EpochsFailed> {
        let Some(state) = &self.state else { return Ok(None) };
        let Some(document) = state.estate(digest).await? else { return Ok(None) };
        let damaged = |source| EpochsFailed::Damaged { what: format!("estate `{digest}`"), source };
        let kept: Kept = serde_json::from_slice(&document).map_err(damaged)?;
        // whoever can write to the database does not decide what an estate says
        if kept.digest() != digest {
            return Err(EpochsFailed::Exchanged { digest });
        }
        Ok(Some(kept))
    }
}

impl Kept {
    /// Of an estate that is applied at `at`, under what is substituted there.
    pub(super) fn new(bundle: Bundle, vars: &Vars, environment: Option<String>, at: Time) -> Self {
        Self { bundle, vars: substituted(vars), environment, time: at.to_string() }
    }

    /// Its name by content.
    pub(super) fn digest(&self) -> Digest {
        self.bundle.digest(&self.vars())
    }

    /// The same, where `vars` are substituted.
    pub(super) fn under(self, vars: &Vars) -> Self {
        Self { vars: substituted(vars), ..self }
    }

    /// When it was applied.
    pub(super) fn time(&self) -> Time {
        // a time that we wrote; were it unreadable, the strictest reading is the earliest
        self.time.parse().unwrap_or(Time::MIN)
    }

    /// Refuses what is of another environment than `own`. One bundle has one digest, whichever environment of it was in force,
    /// and records must not name two by it.
    ///
    /// # Errors
    /// [`EpochsFailed::Elsewhere`].
    pub(super) fn check_environment(&self, own: Option<&str>, epoch: u64) -> Result<(), EpochsFailed> {
        match (self.environment.as_deref(), own) {
            (Some(found), Some(own)) if found != own => {
                Err(EpochsFailed::Elsewhere { epoch, found: found.to_owned(), own: own.to_owned() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn document(&self) -> Result<Vec<u8>, EpochsFailed> {
        serde_json::to_vec(self).map_err(|source| EpochsFailed::Damaged { what: "an estate".to_owned(), source })
    }

    fn vars(&self) -> Vars {
        self.vars.clone().map_or(Vars::Refused, Vars::Dev)
    }
}

fn substituted(vars: &Vars) -> Option<BTreeMap<String, String>> {
    match vars {
        Vars::Dev(vars) => Some(vars.clone()),
        Vars::Refused | Vars::Noted => None,
    }
}

impl Applied {
    /// Its place among all.
    pub(super) const fn position(&self) -> Position {
        Position { generation: Generation(self.generation), epoch: Epoch(self.epoch) }
    }
}

fn applied(epoch: &KeptEpoch) -> Result<Applied, EpochsFailed> {
    let damaged = |source| EpochsFailed::Damaged { what: format!("epoch {}", epoch.position), source };
    serde_json::from_str(&epoch.applied).map_err(damaged)
}
