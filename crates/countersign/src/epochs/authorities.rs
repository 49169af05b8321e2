//! Who vouches for the trust domain in force, and its authorities: changed by one node, and taken over by all.

use std::sync::Arc;

use issuer::Assertions;
use issuer::lifecycle::{KeyKind, KeyStep};
use model::Time;

use super::{Author, Epochs, EpochsFailed};
use crate::issuing::{By, Issuers, IssuingFailed, NotShared, NotStepped};

/// Who vouches for the trust domain in force.
pub enum Trust {
    /// This process issues for it, and nobody follows it.
    Alone(Issuers),
    /// This process issues for it, and planes enrol here.
    Issues(Issuers),
    /// Control does, and says whose SVIDs are accepted; this process has a key of its own for assertions.
    Control(Arc<Assertions>),
}

impl Trust {
    /// None where control issues.
    pub(super) const fn issuers(&self) -> Option<&Issuers> {
        match self {
            Self::Alone(issuers) | Self::Issues(issuers) => Some(issuers),
            Self::Control(_) => None,
        }
    }
}

/// Why nothing was done with an authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityFailed {
    #[error("nothing is in force here: apply an estate first")]
    NoEnvironment,
    #[error("this gateway accepts the authorities that its control plane names: change them there")]
    Following,
    #[error(transparent)]
    NotStepped(#[from] NotStepped),
    #[error("it is done, and not in force here yet")]
    Unread(#[source] IssuingFailed),
}

/// Why keys of a control plane below are not published.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    #[error("nothing is in force here that could publish them")]
    NoEnvironment,
    #[error(transparent)]
    Shared(#[from] NotShared),
    #[error("they are kept, and not in force here yet")]
    Unread(#[source] IssuingFailed),
}

impl Epochs {
    /// Publishes the keys of JWT-SVIDs of a control plane below, and those alone of it.
    ///
    /// # Errors
    /// [`NotPublished`].
    pub async fn share(&self, owner: &str, keys: &[(Vec<u8>, Time)], by: &Author) -> Result<(), NotPublished> {
        let (Some(issuers), Some(issuer)) = (self.trust.issuers(), self.issuer()) else {
            return Err(NotPublished::NoEnvironment);
        };
        let _one_at_a_time = self.in_force.lock().await;
        let at = by.at;
        let by = By { actor: by.principal.clone(), record: by.record.clone(), at };
        issuers.share(issuer.domain(), owner, keys, &by).await?;
        self.show_authorities(at).await.map_err(NotPublished::Unread)
    }

    /// Says to the outer control plane what is to be published there, and puts in force what it says; nothing where there is none.
    ///
    /// # Errors
    /// [`IssuingFailed`]; what it said before counts on.
    pub async fn exchange(&self, at: Time) -> Result<(), IssuingFailed> {
        let (Some(issuers), Some(issuer)) = (self.trust.issuers(), self.issuer()) else { return Ok(()) };
        if !issuers.exchange(issuer.domain(), at).await? {
            return Ok(());
        }
        let _one_at_a_time = self.in_force.lock().await;
        self.show_authorities(at).await
    }

    /// Takes a step in the life of an authority, and puts it in force; gives the authority's id.
    ///
    /// # Errors
    /// [`AuthorityFailed`].
    pub async fn step_authority(&self, kind: KeyKind, step: &KeyStep, by: &Author) -> Result<String, AuthorityFailed> {
        let issuers = self.trust.issuers().ok_or(AuthorityFailed::Following)?;
        let issuer = self.issuer().ok_or(AuthorityFailed::NoEnvironment)?;
        let _one_at_a_time = self.in_force.lock().await;
        let by = By { actor: by.principal.clone(), record: by.record.clone(), at: by.at };
        let id = issuers.step(issuer.domain(), kind, step, &by).await?;
        self.show_authorities(by.at).await.map_err(AuthorityFailed::Unread)?;
        Ok(id)
    }

    /// Puts in force what other nodes did with authorities.
    pub(super) async fn take_authorities(&self, at: Time) -> Result<(), EpochsFailed> {
        Ok(self.show_authorities(at).await?)
    }

    async fn show_authorities(&self, at: Time) -> Result<(), IssuingFailed> {
        let (Some(issuers), Some(issuer)) = (self.trust.issuers(), self.issuer()) else { return Ok(()) };
        let newer = issuers.of(issuer.domain(), at).await?;
        if newer.sequence() == issuer.sequence() {
            return Ok(());
        }
        let authorities = newer.authorities();
        self.issue(newer);
        self.live.rcu(|live| match live.domain {
            Some(_) => live.with_authorities(authorities.clone()),
            // before the first epoch, nobody is accepted but operators
            None => (**live).clone(),
        });
        self.changed.send_replace(());
        Ok(())
    }
}
