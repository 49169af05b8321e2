//! A plane's SVID: had with an enrolment token at first contact, kept on disk, and renewed with itself at half of its life, or
//! when the plane is reached under other names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credential::{Authorities, PeerCertificates};
use issuer::Assertions;
use net::causes::chain;
use net::svid::{Made, Minted, Saved, Unused, install, new_key, request_pem, save, saved};
use net::tls::OwnSvid;
use net::{Stop, jittered, now};
use tokio::time::sleep;

use super::contact::{Contact, NoContact};
use crate::feed::EnrolRequest;
use crate::live::Current;

/// How often it is looked at whether the SVID is due.
const EVERY: Duration = Duration::from_secs(1);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);

/// Why a plane has no SVID.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    #[error("cannot enrol")]
    Enrol(#[from] NoContact),
    #[error("the SVID cannot be used")]
    Svid(#[from] Unused),
}

/// The SVID of one plane.
pub struct Identity {
    directory: PathBuf,
    own: Arc<OwnSvid>,
    contact: Arc<Contact>,
    /// The public key that signs what the plane tells services.
    assertion_key: String,
    /// What is in use, and under which names the plane was reached when it was minted; no names where it was found on disk.
    held: Option<(Made, Option<Vec<String>>)>,
}

impl Identity {
    pub fn new(directory: PathBuf, own: Arc<OwnSvid>, contact: Arc<Contact>, assertions: &Assertions) -> Self {
        let assertion_key = issuer::point_text(assertions.public_point());
        Self { directory, own, contact, assertion_key, held: None }
    }

    /// The plane's SPIFFE ID, once it has one.
    pub fn id(&self) -> Option<&str> {
        self.held.as_ref().map(|(made, _)| made.id.as_str())
    }

    /// Uses the SVID on disk, if it holds; gives whether it does.
    ///
    /// # Errors
    /// [`NoIdentity::Svid`] where there is one that cannot be read.
    pub fn resume(&mut self, authorities: &Authorities) -> Result<bool, NoIdentity> {
        let Some(Saved { chain, pkcs8 }) = saved(&self.directory)? else { return Ok(false) };
        let at = now();
        let Ok(found) = PeerCertificates::new(chain.clone()).check(authorities, at) else {
            return Ok(false);
        };
        if self.own.install(&chain, &pkcs8).is_err() {
            return Ok(false);
        }
        self.held = Some((Made::until(found.key.concat(), found.until, at), None));
        Ok(true)
    }

    /// Has an SVID minted: with a token at first contact, else with the one that is held.
    ///
    /// # Errors
    /// [`NoIdentity`]; what was held stays in use.
    pub async fn enrol(&mut self, token: Option<&str>, hosts: Option<Vec<String>>) -> Result<(), NoIdentity> {
        let key = new_key()?;
        let request = EnrolRequest { csr: request_pem(&key), assertion_key: self.assertion_key.clone() };
        let minted: Minted = self.contact.post("/v1/enrol", token, &request).await?;
        install(&self.own, &key, &minted)?;
        save(&self.directory, &key, &minted)?;
        self.held = Some((Made::new(&minted, now()), hosts));
        Ok(())
    }

    /// Renews it until asked to stop.
    pub async fn keep(mut self, live: Current, mut stop: Stop) {
        let mut wait = EVERY;
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(wait) => {}
            }
            wait = EVERY;
            let (hosts, known) = {
                let live = live.load();
                let tainted = self.own.is_tainted(live.snapshot.sources.authorities());
                if let Some((made, _)) = self.held.as_mut().filter(|_| tainted) {
                    made.hasten(now());
                }
                (live.hosts.to_vec(), live.domain.is_some())
            };
            let fits = |(made, names): &(Made, Option<Vec<String>>)| now() < made.due && names.as_ref() == Some(&hosts);
            if !known || self.held.as_ref().is_some_and(fits) {
                continue;
            }
            if let Err(error) = self.enrol(None, Some(hosts)).await {
                tracing::warn!(error = chain(&error), "the gateway's SVID is not renewed");
                wait = jittered(AGAIN);
            }
        }
    }
}
