//! A pod of this node, for whom a broker asks: the kubelet is asked again and again whether it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Selectors;
use net::causes::chain;
use tokio::time::Instant;
use tonic::Status;

use super::stream::LOOK;
use crate::attest::{Attestors, NoPods, PodReference};

/// How long a kubelet may say nothing before nothing more is handed out for its pods.
const PATIENCE: Duration = Duration::from_secs(60);

/// One pod: another of its name is another.
pub(crate) struct Pod {
    uid: String,
    /// When the kubelet last said that it is there.
    heard: Instant,
    over: Arc<AtomicBool>,
}

impl Pod {
    /// The pod that is meant, and what holds of it; none where it is not on this node.
    ///
    /// # Errors
    /// [`NoPods`].
    pub(crate) async fn find(
        attestors: &Attestors,
        wanted: &PodReference,
    ) -> Result<Option<(Self, Selectors)>, NoPods> {
        let found = attestors.pod(wanted, Instant::now()).await?;
        let pod = |uid| Self { uid, heard: Instant::now(), over: Arc::default() };
        Ok(found.map(|(uid, selectors)| (pod(uid), selectors)))
    }

    pub(super) fn life(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }

    /// What holds of it now; none where the kubelet does not say, for a while.
    pub(super) async fn look(&mut self, attestors: &Attestors) -> Result<Option<Selectors>, Status> {
        let this = PodReference { key: None, uid: Some(self.uid.clone()) };
        // those who look within the same seconds share an answer
        let since = Instant::now().checked_sub(LOOK).unwrap_or_else(Instant::now);
        match attestors.pod(&this, since).await {
            Ok(Some((_, selectors))) => {
                self.heard = Instant::now();
                Ok(Some(selectors))
            }
            Ok(None) => {
                self.over.store(true, Ordering::Release);
                Err(Status::permission_denied("the pod is no more"))
            }
            Err(why) if self.heard.elapsed() < PATIENCE => {
                tracing::warn!(uid = self.uid, why = chain(&why), "whether a pod is there is not known for now");
                Ok(None)
            }
            Err(_) => Err(Status::unavailable("the kubelet does not say whether the pod is there")),
        }
    }
}
