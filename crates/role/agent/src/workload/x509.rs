//! `FetchX509SVID`: every identity of the workload, all of it in each message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use wire::workload::{X509svid, X509svidResponse};

use super::held::{Held, Standings, not_issued};
use super::keyed;
use super::stream::Caller;
use crate::known::{Identified, Known};
use crate::svids::X509Svid;

/// How long a first SVID is waited for.
const WITHIN: Duration = Duration::from_secs(5);

/// Messages for one workload, until it ends or is nobody any more.
pub(super) fn svids(caller: Caller) -> impl Stream<Item = Result<X509svidResponse, Status>> {
    let serving = Serving { caller, held: Held::default(), sent: None, asked: Instant::now() };
    stream::unfold(Some(serving), |serving| async move {
        let mut serving = serving?;
        match serving.next().await {
            Ok(message) => Some((Ok(message), Some(serving))),
            Err(status) => Some((Err(status), None)),
        }
    })
}

struct Serving {
    caller: Caller,
    held: Held,
    /// What the message before was made of.
    sent: Option<(Vec<Arc<X509Svid>>, Arc<Known>)>,
    asked: Instant,
}

impl Serving {
    async fn next(&mut self) -> Result<X509svidResponse, Status> {
        loop {
            let known = self.caller.known();
            let identities = self.caller.node.identities(&known, self.caller.selectors())?;
            self.held.only(&self.caller, identities).await;
            if let Some(message) = self.message(&known)? {
                return Ok(message);
            }
            let deadline = if self.sent.is_some() { None } else { Some(self.asked + WITHIN) };
            let late = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.caller.changed(self.held.changed()) => changed?,
                () = late => return Err(Status::unavailable("the control plane has not minted an SVID yet")),
            }
        }
    }

    /// The message that is due; none while nothing is there yet, or nothing is new.
    fn message(&mut self, known: &Arc<Known>) -> Result<Option<X509svidResponse>, Status> {
        let Standings { ready, refused, awaited } = self.held.now();
        // the first message has every identity, or says which one is missing by not being sent
        if awaited && self.sent.is_none() {
            return Ok(None);
        }
        if ready.is_empty() {
            return match refused {
                Some(code) => Err(not_issued(&code)),
                None => Ok(None),
            };
        }
        let made_of: Vec<_> = ready.iter().map(|(_, svid)| Arc::clone(svid)).collect();
        let same = |(svids, before): &(Vec<Arc<X509Svid>>, Arc<Known>)| {
            let pairs = || svids.iter().zip(&made_of);
            svids.len() == made_of.len()
                && pairs().all(|(one, other)| Arc::ptr_eq(one, other))
                && Arc::ptr_eq(before, known)
        };
        if self.sent.as_ref().is_some_and(same) {
            return Ok(None);
        }
        let identities: Vec<Identified> = ready.iter().map(|(identified, _)| identified.clone()).collect();
        let message = self.response(known, &ready, &identities)?;
        self.sent = Some((made_of, Arc::clone(known)));
        Ok(Some(message))
    }

    fn response(
        &self,
        known: &Known,
        ready: &[(Identified, Arc<X509Svid>)],
        identities: &[Identified],
    ) -> Result<X509svidResponse, Status> {
        let node = &self.caller.node;
        let own = known.bundles.get(&node.domain).filter(|bundle| !bundle.x509.is_empty());
        let own = own.ok_or_else(|| Status::unavailable("there is no bundle of the own trust domain yet"))?;
        let mut hints: HashMap<&str, ()> = HashMap::new();
        let svids = ready.iter().map(|(identified, svid)| {
            // a hint that was given before tells nothing apart
            let hint = identified.registration.hint.as_str();
            let hint = if hints.insert(hint, ()).is_none() { hint } else { "" };
            X509svid {
                spiffe_id: svid.id.to_string(),
                x509_svid: svid.chain.clone(),
                x509_svid_key: svid.key.clone(),
                bundle: own.x509.clone(),
                hint: hint.to_owned(),
            }
        });
        let svids = svids.collect();
        let mut federated = node.bundles(known, identities);
        federated.retain(|(domain, _)| **domain != node.domain);
        let federated_bundles = keyed(&federated, |bundle| &bundle.x509);
        Ok(X509svidResponse { svids, crl: Vec::new(), federated_bundles })
    }
}
