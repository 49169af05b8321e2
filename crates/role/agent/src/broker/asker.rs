//! Who asks as a broker: proved by its own X509-SVID, and listed.

use std::sync::Arc;

use credential::{Authorities, PeerCertificates};
use model::{SpiffeId, Time, TrustDomain};
use net::causes::chain;
use net::tls::Check;
use net::{Peer, Process, now};
use tokio::sync::watch;
use tonic::Status;

use super::reason;
use super::reference::Reference;
use super::settings::{Listed, ReferenceKind};
use crate::known::Known;
use crate::trust;

/// Who may ask, and by whose authorities it is proved.
pub(crate) struct Brokers {
    listed: Vec<Arc<Listed>>,
    pub check: Arc<Check>,
}

/// A broker that asks.
#[derive(Clone)]
pub(super) struct Asker {
    listed: Arc<Listed>,
    process: Arc<Process>,
    certificates: Arc<PeerCertificates>,
    check: Arc<Check>,
    until: Time,
}

impl Brokers {
    /// `before` are the authorities of the trust domain until control says them.
    pub(crate) fn new(
        listed: Vec<Listed>,
        domain: TrustDomain,
        known: watch::Receiver<Arc<Known>>,
        before: Authorities,
    ) -> Self {
        let before = Arc::new(before);
        let trusted = move || trust::own(&known.borrow(), &domain).unwrap_or_else(|| Arc::clone(&before));
        let check: Arc<Check> = Arc::new(move |peer: &PeerCertificates| peer.check(&trusted(), now()));
        Self { listed: listed.into_iter().map(Arc::new).collect(), check }
    }

    /// Who sent a request, if it may ask anything.
    ///
    /// # Errors
    /// `Unauthenticated` for who is not proved, and `PermissionDenied` for who is not listed.
    pub(super) fn of(&self, peer: &Peer) -> Result<Asker, Status> {
        let Peer::Vouched(process, certificates) = peer else {
            return Err(Status::unauthenticated("a broker shows its own X509-SVID"));
        };
        let finding = (self.check)(certificates).map_err(|why| unproved(&why))?;
        let [id] = finding.key.as_slice() else { return Err(Status::unauthenticated("an SVID has one SPIFFE ID")) };
        let Some(listed) = self.listed.iter().find(|listed| listed.id.as_str() == id) else {
            tracing::warn!(id, pid = process.pid(), "who is not listed asks as a broker");
            return Err(Status::permission_denied("this SPIFFE ID is not listed as a broker of this node"));
        };
        Ok(Asker {
            listed: Arc::clone(listed),
            process: Arc::clone(process),
            certificates: Arc::clone(certificates),
            check: Arc::clone(&self.check),
            until: finding.until,
        })
    }
}

impl Asker {
    pub(super) fn id(&self) -> &SpiffeId {
        &self.listed.id
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// When its SVID ends.
    pub(super) const fn until(&self) -> Time {
        self.until
    }

    /// Holds while it is proved still: its SVID may end, and its authority may be no more, while it listens.
    pub(super) fn still(&self) -> Result<(), Status> {
        (self.check)(&self.certificates).map(|_finding| ()).map_err(|why| unproved(&why))
    }

    /// Holds if it may name a workload so.
    pub(super) fn may_name(&self, reference: &Reference) -> Result<(), Status> {
        let kind = reference.kind();
        if !self.listed.references.contains(&kind) {
            let text = format!("this broker may not name workloads by references of the kind `{}`", kind.as_str());
            return Err(Status::permission_denied(text));
        }
        // §3.1.2: what is process 7 to it may be another to us
        if kind == ReferenceKind::Pid && !self.process.numbers_as_we_do() {
            return Err(reason::invalid(
                "the broker's numbers of processes are not this node's: it is in a PID namespace below",
            ));
        }
        Ok(())
    }
}

fn unproved(why: &credential::Cause) -> Status {
    tracing::info!(why = chain(why), "a broker is not proved");
    Status::unauthenticated("the broker's X509-SVID does not hold, or not any more: connect again with another")
}
