//! What planes decide by: published by who issues, and taken over by who follows.

use std::sync::Arc;

use credential::{Authorities, BadBundle};
use model::{Epoch, Generation, TrustDomain};
use serde::{Deserialize, Serialize};
use store::{KeptEpoch, Position, RevocationAct, StateFault};

use super::archive::{EpochsFailed, Kept};
use super::compile::{Beside, compile};
use super::{Epochs, NotCompiled, Trust};
use crate::estate::Problem;
use crate::issuing::{IssuingFailed, bundle};

/// What planes are to decide by.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    pub generation: u64,
    pub epoch: u64,
    /// What was applied and by whom, as it is kept.
    pub applied: String,
    pub estate: Kept,
    /// Certificates in DER of those whose SVIDs are accepted.
    pub authorities: Vec<Vec<u8>>,
    /// Digests (SHA-256 of SubjectPublicKeyInfo) of those whose SVIDs are to be replaced; left out where there is none, for
    /// planes of an earlier build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tainted: Vec<[u8; 32]>,
}

impl Publication {
    pub const fn position(&self) -> Position {
        Position { generation: Generation(self.generation), epoch: Epoch(self.epoch) }
    }
}

/// Why what control published is not in force.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error(
        "{known} was in force already, and {published} is older: was a backup brought back? `apply --new-generation` says so"
    )]
    Older { known: Position, published: Position },
    #[error("{published} is another one here: was a backup brought back? `apply --new-generation` says so")]
    Another { published: Position },
    #[error("its authorities cannot be used")]
    Authorities(#[from] BadBundle),
    #[error("it does not load here: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    #[error("its trust domain is `{found}`, and this gateway's is `{expected}`")]
    OtherDomain { found: TrustDomain, expected: TrustDomain },
    #[error("this process says itself what is in force")]
    OwnWord,
    #[error("its trust domain has no issuer")]
    Issuer(#[source] IssuingFailed),
    #[error("it cannot be kept")]
    Kept(#[from] EpochsFailed),
    #[error("it cannot be kept")]
    State(#[from] StateFault),
}

impl Epochs {
    /// What is in force, for planes; none before the first epoch.
    ///
    /// # Errors
    /// [`EpochsFailed`].
    pub async fn publication(&self) -> Result<Option<Publication>, EpochsFailed> {
        let in_force = self.in_force.lock().await;
        let Some(last) = self.state.last_epoch().await? else { return Ok(None) };
        if in_force.position != Some(last.position) {
            // another node has applied it, and it is not in force here yet
            return Ok(None);
        }
        let unknown = || EpochsFailed::Unknown { digest: last.estate.to_string() };
        let estate = self.archive.kept(last.estate).await?.ok_or_else(unknown)?;
        let issuer = self.issuer();
        let (generation, epoch) = (last.position.generation.0, last.position.epoch.0);
        Ok(Some(Publication {
            generation,
            epoch,
            applied: last.applied,
            estate,
            authorities: issuer.iter().flat_map(|issuer| issuer.x509_authorities()).map(|der| der.to_vec()).collect(),
            tainted: issuer.map(|issuer| issuer.tainted()).unwrap_or_default(),
        }))
    }

    /// Puts in force what control published; older than what is in force, it changes nothing.
    ///
    /// # Errors
    /// [`NotTaken`]; what was in force stays in force.
    pub async fn take(&self, publication: Publication) -> Result<(), NotTaken> {
        let Trust::Control(assertions) = &self.trust else { return Err(NotTaken::OwnWord) };
        let mut in_force = self.in_force.lock().await;
        let position = publication.position();
        let kept = self.state.last_epoch().await?;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.position == position)
            && kept.estate != publication.estate.digest()
        {
            return Err(NotTaken::Another { published: position });
        }
        let last = kept.map(|kept| kept.position);
        if let Some(known) = in_force.position.max(last).filter(|known| position < *known) {
            return Err(NotTaken::Older { known, published: position });
        }
        let Publication { applied, estate: kept, authorities, tainted, .. } = publication;
        let domain = self.domain.as_ref().ok_or(NotTaken::OwnWord)?;
        let authorities = Authorities::new([bundle(domain, &authorities)?.tainting(&tainted)]);
        let loaded = self.loaded(&kept)?;
        let fetched = self.keys.fetch(&loaded.remote_keys()).await;
        let connections = &self.connections;
        let assertions = Arc::clone(assertions);
        let trusted = authorities.clone();
        let certified = Arc::clone(&self.certified);
        let beside = Beside { authorities, assertions, enrolment: None, certified, connections, fetched: &fetched };
        let live = compile(loaded, kept.digest(), position.generation, position.epoch, beside);
        if last < Some(position) {
            let epoch = KeptEpoch { position, estate: live.snapshot.digest, applied };
            self.state.append_epoch(last, &epoch, &kept.document()?).await?;
        }
        self.connections.trust(trusted);
        self.show(live).await;
        (in_force.position, in_force.bundle) = (Some(position), Some(kept.bundle));
        Ok(())
    }

    /// Puts revocations in force by control's word, with the numbers that they have there.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn take_acts(&self, acts: &[(u64, RevocationAct)]) -> Result<(), StateFault> {
        self.state.mirror_revocations(acts).await?;
        self.take_revocations().await
    }
}

impl From<NotCompiled> for NotTaken {
    fn from(why: NotCompiled) -> Self {
        match why {
            NotCompiled::Problems(problems) => Self::Problems(problems),
            NotCompiled::Issuer(source) => Self::Issuer(source),
            NotCompiled::Following => Self::OwnWord,
            NotCompiled::OtherDomain { found, expected } => Self::OtherDomain { found, expected },
        }
    }
}
