//! The agent's own SVID: had by attestation of its node, kept on disk, renewed with itself at half of its life, and had by
//! another attestation once it counts no more, where the node can prove itself as often as it has to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::{Authorities, PeerCertificates};
use futures_util::FutureExt;
use issuer::NewKey;
use model::TrustDomain;
use net::causes::chain;
use net::svid::{Made, Minted, Saved, Unused, attestation_key, install, new_key, save, saved};
use net::tls::OwnSvid;
use net::{Stop, jittered, now};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use wire::agent::{AgentSvid, RenewRequest};

use crate::control::{ControlPlane, NoContact};
use crate::evidence::{Attestation, NotAttested, Proof};
use crate::known::Known;
use crate::settings::Settings;
use crate::trust;

/// Where it is kept.
const SVID: &str = "svid";
/// How often it is looked at whether the SVID is due.
const EVERY: Duration = Duration::from_secs(1);
/// Between two tries; doubled with each that fails.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);
/// How long control may take.
const WITHIN: Duration = Duration::from_secs(15);

/// Why the agent has no SVID.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    #[error("the node is not attested")]
    Node(#[from] NotAttested),
    #[error("the SVID is not renewed")]
    Control(#[from] NoContact),
    #[error("the SVID cannot be used")]
    Svid(#[from] Unused),
    #[error("what control minted does not hold")]
    Unsound(#[from] credential::Cause),
}

/// The SVID of the agent.
pub(crate) struct Identity {
    directory: PathBuf,
    own: Arc<OwnSvid>,
    control: Arc<ControlPlane>,
    /// The way to control without an SVID: one that was had before proves nothing beside evidence, and may have ended.
    stranger: ControlPlane,
    /// What an operator gave it for one use.
    token: Option<String>,
    /// How the node proves itself without anybody's help, and in which trust domain.
    node: Option<(Attestation, TrustDomain)>,
    /// Hears that control says to know the agent no more.
    doubt: Arc<Notify>,
    held: Option<Made>,
}

impl Identity {
    pub(crate) fn new(
        settings: &Settings,
        token: Option<String>,
        own: Arc<OwnSvid>,
        (control, stranger): (Arc<ControlPlane>, ControlPlane),
    ) -> Self {
        let node = settings.attestation.clone().map(|attestation| (attestation, settings.trust_domain.clone()));
        let directory = settings.directory.join(SVID);
        Self { directory, own, control, stranger, token, node, doubt: Arc::default(), held: None }
    }

    /// By which it hears that control says to know the agent no more.
    pub(crate) fn doubt(&self) -> Arc<Notify> {
        Arc::clone(&self.doubt)
    }

    /// The agent's SPIFFE ID, once it has one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.held.as_ref().map(|made| made.id.as_str())
    }

    /// Uses the SVID on disk, if it holds; gives whether it does.
    ///
    /// # Errors
    /// [`NoIdentity::Svid`] where there is one that cannot be read.
    pub(crate) fn resume(&mut self, authorities: &Authorities) -> Result<bool, NoIdentity> {
        let Some(Saved { chain, pkcs8 }) = saved(&self.directory)? else { return Ok(false) };
        let at = now();
        let Ok(found) = PeerCertificates::new(chain.clone()).check(authorities, at) else {
            return Ok(false);
        };
        if self.own.install(&chain, &pkcs8).is_err() {
            return Ok(false);
        }
        self.held = Some(Made::until(found.key.concat(), found.until, at));
        Ok(true)
    }

    /// Attests the node: with the token that is left, and else as the settings say. Gives whether there is a way.
    ///
    /// # Errors
    /// [`NoIdentity`].
    pub(crate) async fn attest(&mut self) -> Result<bool, NoIdentity> {
        let key = attestation_key(&self.directory)?;
        let proof = match (&self.token, &self.node) {
            (Some(token), _) => Proof::by_token(token, &key.request),
            (None, Some((attestation, domain))) => {
                Proof::of(attestation, domain, &key.request).await.map_err(NotAttested::from)?
            }
            (None, None) => return Ok(false),
        };
        let minted = self.present(proof).await;
        if !minted.as_ref().is_err_and(NotAttested::passes) {
            // it is good for one use, or for none
            self.token = None;
        }
        self.take(&key, &minted?)?;
        Ok(true)
    }

    async fn present(&self, proof: Proof) -> Result<AgentSvid, NotAttested> {
        let client = self.stranger.client().await?;
        let minted = timeout(WITHIN, proof.present(client)).await.or(Err(NoContact::Late));
        self.stranger.leave();
        minted?
    }

    /// Has another one minted, with the one that is held.
    ///
    /// # Errors
    /// [`NoIdentity`]; what was held stays in use.
    async fn renew(&mut self) -> Result<(), NoIdentity> {
        let key = new_key()?;
        let mut client = self.control.client().await?;
        let asked = RenewRequest { csr: Bytes::copy_from_slice(&key.request) };
        let minted = timeout(WITHIN, client.renew(asked)).await.or(Err(NoContact::Late))?.map_err(NoContact::from)?;
        self.take(&key, &minted.into_inner())
    }

    fn take(&mut self, key: &NewKey, minted: &AgentSvid) -> Result<(), NoIdentity> {
        let pem = |der: &Bytes| issuer::pem::encode("CERTIFICATE", der);
        let peer = PeerCertificates::new(minted.chain.iter().map(|der| der.to_vec()).collect());
        let ends = peer.ends().ok_or(NoContact::Answer)?;
        let minted = Minted {
            id: minted.id.clone(),
            svid: minted.chain.iter().map(pem).collect(),
            bundle: minted.authorities.iter().map(pem).collect(),
            credential_id: String::new(),
            expires: ends.to_string(),
        };
        install(&self.own, key, &minted)?;
        save(&self.directory, key, &minted)?;
        // a connection goes on as who opened it
        self.control.leave();
        self.held = Some(Made::new(&minted, now()));
        Ok(())
    }

    /// Renews it until asked to stop. One that control refuses is replaced by attesting the node again, if it can be.
    pub(crate) async fn keep(mut self, known: watch::Receiver<Arc<Known>>, domain: TrustDomain, mut stop: Stop) {
        let (mut wait, mut rest) = (EVERY, AGAIN);
        let mut counts = true;
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(wait) => {}
                () = self.doubt.notified() => counts = false,
            }
            wait = EVERY;
            let tainted = trust::own(&known.borrow(), &domain).is_some_and(|of| self.own.is_tainted(&of));
            if let Some(made) = self.held.as_mut().filter(|_| tainted) {
                made.hasten(now());
            }
            if counts && self.held.as_ref().is_some_and(|made| now() < made.due) {
                continue;
            }
            match self.anew(counts).await {
                Ok(()) => {
                    (counts, rest) = (true, AGAIN);
                    // what was heard until now is of the one before
                    let _ = self.doubt.notified().now_or_never();
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the agent's SVID is not renewed");
                    // asked in any case: what is left of it would count against the next connection
                    let turned_away = self.control.turned_away();
                    let refused = turned_away || matches!(&error, NoIdentity::Control(why) if why.is_refusal());
                    counts = counts && !refused && self.own.ends().is_some_and(|end| now() < end);
                    wait = jittered(rest);
                    rest = (rest * 2).min(AGAIN_AT_MOST);
                }
            }
        }
    }

    /// Another SVID: with the one that is held while it counts, and else by another attestation.
    async fn anew(&mut self, counts: bool) -> Result<(), NoIdentity> {
        if !counts && self.attest().await? {
            tracing::info!(id = self.id(), "attested again");
            return Ok(());
        }
        if !counts {
            tracing::error!(
                id = self.id(),
                "control does not accept the agent's SVID, and nothing else proves this node: start the agent with \
                 --enroll-token-file FILE, or say under `attestation` how it proves itself"
            );
        }
        self.renew().await
    }
}
