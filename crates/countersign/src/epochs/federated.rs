//! The bundles of other trust domains: kept by one node, and taken over by all.

use std::sync::Arc;

use model::TrustDomain;
use store::{KeptBundle, StateFault, Step};

use super::Epochs;
use crate::federation::Federated;

impl Epochs {
    pub const fn federated(&self) -> &Arc<Federated> {
        &self.federated
    }

    /// Keeps a bundle instead of the one whose number it has, and puts it in force.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn keep_federated(&self, bundle: &KeptBundle) -> Result<Step, StateFault> {
        let step = self.state.keep_federated(bundle).await?;
        self.take_federated().await?;
        Ok(step)
    }

    /// Forgets the bundle of a trust domain, if it is still the one of this number.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn forget_federated(&self, domain: &TrustDomain, seq: u64) -> Result<(), StateFault> {
        self.state.forget_federated(domain.as_str(), seq).await?;
        self.take_federated().await
    }

    /// Takes over what any node keeps.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn take_federated(&self) -> Result<(), StateFault> {
        // one after the other: what was read before must not come into force after what was read later
        let _one_at_a_time = self.taking.lock().await;
        if self.federated.take(self.state.federated().await?) {
            self.changed.send_replace(());
        }
        Ok(())
    }
}
