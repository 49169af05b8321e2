//! The agent's own SVID: had by attestation of its node, kept on disk, and renewed with itself at half of its life.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::{Authorities, PeerCertificates};
use futures_util::stream;
use issuer::NewKey;
use model::{Time, TrustDomain};
use net::causes::chain;
use net::svid::{Made, Minted, Saved, Unused, install, new_key, save, saved};
use net::tls::OwnSvid;
use net::{Stop, jittered, now, spread};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use wire::agent::{AgentSvid, AttestRequest, Evidence, RenewRequest, attest_request, attest_response};

use crate::control::{Client, ControlPlane, NoContact};
use crate::known::Known;
use crate::trust;

/// How often it is looked at whether the SVID is due.
const EVERY: Duration = Duration::from_secs(1);
/// Longest that an SVID stays in use that a tainted authority signed.
const HASTE: Duration = Duration::from_secs(10);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);
/// How long control may take.
const WITHIN: Duration = Duration::from_secs(15);
/// How a node proves itself that has nothing but what an operator gave it.
const JOIN_TOKEN: &str = "join_token";

/// Why the agent has no SVID.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    #[error("the node is not attested")]
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
    held: Option<Made>,
}

impl Identity {
    pub(crate) const fn new(directory: PathBuf, own: Arc<OwnSvid>, control: Arc<ControlPlane>) -> Self {
        Self { directory, own, control, held: None }
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
        let Some(Saved { certificate, pkcs8 }) = saved(&self.directory)? else { return Ok(false) };
        let at = now();
        let Ok(found) = PeerCertificates::new(vec![certificate.clone()]).check(authorities, at) else {
            return Ok(false);
        };
        if self.own.install(&[certificate], &pkcs8).is_err() {
            return Ok(false);
        }
        self.held = Some(Made::until(found.key.concat(), found.until, at));
        Ok(true)
    }

    /// Attests the node with a join token.
    ///
    /// # Errors
    /// [`NoIdentity`].
    pub(crate) async fn join(&mut self, token: &str) -> Result<(), NoIdentity> {
        let key = new_key()?;
        let evidence = Evidence {
            method: JOIN_TOKEN.to_owned(),
            payload: Bytes::copy_from_slice(token.as_bytes()),
            csr: Bytes::copy_from_slice(&key.request),
        };
        let client = self.control.client().await?;
        let minted = timeout(WITHIN, attest(client, evidence)).await.or(Err(NoContact::Late))??;
        self.take(&key, &minted)
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
        let certificate = minted.chain.first().ok_or(NoContact::Answer)?;
        let pem = |der: &Bytes| issuer::pem::encode("CERTIFICATE", der);
        let peer = PeerCertificates::new(vec![certificate.to_vec()]);
        let ends = peer.ends().ok_or(NoContact::Answer)?;
        let minted = Minted {
            id: minted.id.clone(),
            svid: pem(certificate),
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

    /// What a tainted authority signed is due soon: not at once, for every agent hears of it in the same second.
    fn hasten(&mut self, authorities: &Authorities, at: Time) {
        let tainted = self.own.is_tainted(authorities);
        if let Some(made) = self.held.as_mut().filter(|made| tainted && made.due > at.plus(HASTE)) {
            made.due = at.plus(spread(HASTE));
        }
    }

    /// Renews it until asked to stop.
    pub(crate) async fn keep(mut self, known: watch::Receiver<Arc<Known>>, domain: TrustDomain, mut stop: Stop) {
        let mut wait = EVERY;
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(wait) => {}
            }
            wait = EVERY;
            if let Some(authorities) = trust::own(&known.borrow(), &domain) {
                self.hasten(&authorities, now());
            }
            if self.held.as_ref().is_some_and(|made| now() < made.due) {
                continue;
            }
            if let Err(error) = self.renew().await {
                tracing::warn!(error = chain(&error), "the agent's SVID is not renewed");
                wait = jittered(AGAIN);
            }
        }
    }
}

async fn attest(mut client: Client, evidence: Evidence) -> Result<AgentSvid, NoContact> {
    let first = AttestRequest { step: Some(attest_request::Step::Evidence(evidence)) };
    let mut said = client.attest(stream::iter([first])).await?.into_inner();
    match said.message().await?.and_then(|message| message.step) {
        Some(attest_response::Step::Svid(svid)) => Ok(svid),
        Some(attest_response::Step::Challenge(_)) | None => Err(NoContact::Answer),
    }
}
