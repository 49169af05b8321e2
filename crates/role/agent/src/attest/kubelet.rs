//! The kubelet of this node, asked for its pods: with a token, over TLS, or without both at a loopback address.
//!
//! Those who ask at once share one list, which was asked for after each of them began: nobody is attested by an older one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use model::Selectors;
use net::{BadRemote, BadRoots, FetchFailed, Plain, Reach, Remote, Roots, Terms, fetch_on};
use tokio::sync::{AcquireError, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::container::Container;
use super::pods::{PodReference, Pods, SeveralPods};
use super::proc::{Unread, bounded};
use super::settings::{KubeletAuthority, KubernetesSettings};

/// Longest list, in bytes: a node has some hundred pods of some ten kilobytes.
const MAX_LIST: usize = 32 * 1024 * 1024;
const WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at whether a container is there.
const EVERY: Duration = Duration::from_millis(500);

/// The attestor.
#[derive(Debug)]
pub(super) struct Kubelet {
    url: String,
    authority: KubeletAuthority,
    token: Option<PathBuf>,
    /// How long a container is waited for that the kubelet does not report yet.
    patience: Duration,
    every: Duration,
    /// Who asks; the others wait for what it hears.
    turn: Semaphore,
    heard: Mutex<Option<Heard>>,
}

#[derive(Debug, Clone)]
struct Heard {
    asked: Instant,
    pods: Arc<Pods>,
}

/// Why a kubelet does not say what a container is.
#[derive(Debug, thiserror::Error)]
pub enum NoPod {
    #[error("the kubelet cannot be asked")]
    Remote(#[from] BadRemote),
    #[error("the kubelet does not answer")]
    Fetch(#[from] FetchFailed),
    #[error("the file of the kubelet's authorities cannot be used")]
    Authorities(#[from] BadRoots),
    #[error("a file for the kubelet cannot be used")]
    File(#[from] Unread),
    #[error("the token for the kubelet cannot stand in a request")]
    Token(#[from] InvalidHeaderValue),
    #[error("the kubelet's answer is not understood")]
    Form(#[from] serde_json::Error),
    #[error(transparent)]
    Several(#[from] SeveralPods),
    #[error("the kubelet did not report it within {} s", .patience.as_secs())]
    NotThere { patience: Duration },
    #[error("nothing is asked any more")]
    Closed(#[from] AcquireError),
}

impl Kubelet {
    pub(super) fn new(settings: &KubernetesSettings) -> Self {
        Self::asking(settings, EVERY)
    }

    pub(super) fn asking(settings: &KubernetesSettings, every: Duration) -> Self {
        Self {
            url: format!("{}/pods", settings.kubelet),
            authority: settings.authority.clone(),
            token: settings.token.clone(),
            patience: settings.patience,
            every,
            turn: Semaphore::new(1),
            heard: Mutex::default(),
        }
    }

    /// # Errors
    /// [`NoPod`].
    pub(super) async fn attest(&self, container: &Container) -> Result<Selectors, NoPod> {
        let patience = self.patience;
        let found = async {
            loop {
                if let Some(selectors) = self.pods(Instant::now()).await?.selectors(container)? {
                    return Ok(selectors);
                }
                sleep(self.every).await;
            }
        };
        // the state of a handshake is large
        timeout(patience, Box::pin(found)).await.unwrap_or(Err(NoPod::NotThere { patience }))
    }

    /// The UID of a pod of this node, and what holds of it; none where it is not here, or not any more.
    ///
    /// # Errors
    /// [`NoPod`] where the kubelet does not say.
    pub(super) async fn pod(
        &self,
        wanted: &PodReference,
        since: Instant,
    ) -> Result<Option<(String, Selectors)>, NoPod> {
        Ok(Box::pin(self.pods(since)).await?.meant(wanted))
    }

    /// A list that was asked for at `since` or later.
    async fn pods(&self, since: Instant) -> Result<Arc<Pods>, NoPod> {
        let _turn = self.turn.acquire().await?;
        let heard = || self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heard) = heard().clone().filter(|heard| heard.asked >= since) {
            return Ok(heard.pods);
        }
        let asked = Instant::now();
        let pods = Arc::new(self.ask().await?);
        *heard() = Some(Heard { asked, pods: Arc::clone(&pods) });
        Ok(pods)
    }

    async fn ask(&self) -> Result<Pods, NoPod> {
        // both files are exchanged from time to time
        let roots = match &self.authority {
            KubeletAuthority::File(file) => Roots::only(&bounded(file)?)?,
            KubeletAuthority::None => Roots::Platform,
            KubeletAuthority::DangerouslyAnyone => Roots::DangerouslyAnyone,
        };
        let remote = Remote::new(&self.url, Reach::Private, Plain::OnLoopback, roots)?;
        let authorization = self.token.as_ref().map(|file| authorization(bounded(file)?.trim())).transpose()?;
        let terms = Terms { authorization, most: MAX_LIST, within: WITHIN, ..Terms::public() };
        Ok(serde_json::from_slice(&fetch_on(&remote, &terms).await?.document)?)
    }
}

fn authorization(token: &str) -> Result<HeaderValue, NoPod> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}
