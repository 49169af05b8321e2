//! SVIDs for workloads: each as its registration says, for a node that may hand it out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use credential::PeerCertificates;
use issuer::{BadRequest, CertificateRequest, JwtOrder, MintFailed, Order, WitOrder};
use model::{Code, PrincipalId, RecordId, Selectors, SpiffeId, Time};
use net::serial;
use wire::agent::{JwtSvid, WitSvid, X509Svid};

use super::errand::Claimed;
use crate::issuing::Issuer;
use crate::live::Live;
use crate::registry::{Registered, Registry};

/// Lifetime where a registration names none.
const JWT_TTL: Duration = Duration::from_secs(300);

/// Why a workload gets no SVID.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotMinted {
    #[error("nothing is in force here: apply an estate first")]
    NoEnvironment,
    #[error("no WIT-SVIDs are signed here")]
    NoWit,
    #[error("the node was never attested here")]
    NoNode,
    #[error("no registration `{name}` is in force")]
    Unknown { name: String },
    #[error("the registration `{name}` is another one by now")]
    Changed { name: String },
    #[error("the registration `{name}` is not for this node")]
    OtherNode { name: String },
    #[error("the workload has not every selector of the registration `{name}`")]
    OtherWorkload { name: String },
    #[error("`{id}` does not follow from the registration `{name}`")]
    OtherId { name: String, id: String },
    #[error("`{id}` is a control plane below this one, and the registration `{name}` does not say so")]
    Downstream { name: String, id: SpiffeId },
    #[error("`{id}` is a part of Countersign itself")]
    Own { id: SpiffeId },
    #[error("`{id}` is revoked")]
    Revoked { id: SpiffeId },
    #[error("the registration `{name}` or its principal has expired")]
    Expired { name: String },
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error("cannot mint")]
    Mint(#[from] MintFailed),
    #[error("this installation would refuse it itself: a weak key, most likely")]
    Unsound,
}

impl NotMinted {
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::NoEnvironment | Self::Changed { .. } => Code::SnapshotStale,
            Self::NoNode
            | Self::Unknown { .. }
            | Self::OtherNode { .. }
            | Self::OtherWorkload { .. }
            | Self::OtherId { .. }
            | Self::Downstream { .. }
            | Self::Own { .. } => Code::NoPermit,
            Self::Revoked { .. } => Code::Revoked,
            Self::Expired { .. } => Code::PrincipalExpired,
            Self::Mint(MintFailed::Ended | MintFailed::Signing(_)) => Code::KeysUnavailable,
            Self::NoWit => Code::OperationUnmapped,
            Self::Request(_) | Self::Mint(_) | Self::Unsound => Code::RequestMalformed,
        }
    }

    /// Whether the same may be minted in a moment, without anybody changing anything: an authority that has ended is replaced, and
    /// a token that does not sign may again.
    pub(super) const fn passes(&self) -> bool {
        matches!(
            self,
            Self::NoEnvironment | Self::Changed { .. } | Self::Mint(MintFailed::Ended | MintFailed::Signing(_))
        )
    }
}

/// What decides whether a workload may have an SVID.
pub(super) struct Minting<'a> {
    pub live: &'a Live,
    pub registry: &'a Registry,
    pub issuer: &'a Issuer,
    pub node: &'a Selectors,
    /// The permit ends then.
    pub until: Time,
    pub at: Time,
}

impl Minting<'_> {
    /// # Errors
    /// [`NotMinted`].
    pub(super) fn x509(&self, workload: &Claimed, request: &[u8]) -> Result<X509Svid, NotMinted> {
        let (registered, id, until) = self.entitled(workload)?;
        let registration = &registered.registration;
        let key = CertificateRequest::read(request)?;
        let ttl = registration.x509_ttl.unwrap_or(self.issuer.svid_life());
        let order = Order { id: &id, key: &key, hosts: &registration.dns_names, ttl, until };
        let svid = self.issuer.authority.mint(&order, serial(), self.at)?;
        // INVARIANT: nothing is handed out that our own door refuses: a weak key in a request, for one. That it is signed by our
        // authority is known
        if !PeerCertificates::new(vec![svid.certificate.clone()]).has_sound_leaf() {
            return Err(NotMinted::Unsound);
        }
        let expires = seconds(svid.not_after);
        Ok(X509Svid { chain: svid.into_chain().into_iter().map(Bytes::from).collect(), expires })
    }

    /// # Errors
    /// [`NotMinted`].
    pub(super) fn jwt(&self, workload: &Claimed, audience: &[String], record: RecordId) -> Result<JwtSvid, NotMinted> {
        let (registered, id, until) = self.entitled(workload)?;
        let ttl = registered.registration.jwt_ttl.unwrap_or(JWT_TTL);
        let order = JwtOrder { id: &id, audience, ttl, until, record };
        let svid = self.issuer.jwt.mint(&order, self.at)?;
        Ok(JwtSvid { token: svid.token, issued: seconds(svid.issued), expires: seconds(svid.expires) })
    }

    /// It lives as long as an X.509-SVID: both are bound to a key.
    ///
    /// # Errors
    /// [`NotMinted`].
    pub(super) fn wit(&self, workload: &Claimed, request: &[u8], record: RecordId) -> Result<WitSvid, NotMinted> {
        let authority = self.issuer.wit.as_ref().ok_or(NotMinted::NoWit)?;
        let (registered, id, until) = self.entitled(workload)?;
        let key = CertificateRequest::read(request)?;
        let ttl = registered.registration.x509_ttl.unwrap_or(self.issuer.svid_life());
        let svid = authority.mint(&WitOrder { id: &id, key: &key, ttl, until, record }, self.at)?;
        let signed_by = Bytes::copy_from_slice(&svid.signed_by);
        Ok(WitSvid { token: svid.token, expires: seconds(svid.expires), signed_by })
    }

    /// The registration by which the workload is who it is, its id, and until when.
    fn entitled(&self, workload: &Claimed) -> Result<(Arc<Registered>, SpiffeId, Time), NotMinted> {
        let name = || workload.registration.clone();
        let registered = self.registry.named(&workload.registration);
        let registered = registered.ok_or_else(|| NotMinted::Unknown { name: name() })?;
        if registered.digest.as_bytes().as_slice() != workload.digest {
            return Err(NotMinted::Changed { name: name() });
        }
        let registration = &registered.registration;
        if !registration.nodes.iter().all(|selector| self.node.contains(selector)) {
            return Err(NotMinted::OtherNode { name: name() });
        }
        let selectors: Selectors = workload.selectors.iter().filter_map(|selector| selector.parse().ok()).collect();
        if !registration.selectors.iter().all(|selector| selectors.contains(selector)) {
            return Err(NotMinted::OtherWorkload { name: name() });
        }
        let id = registration.id.expand(&selectors).ok().filter(|id| id.as_str() == workload.id);
        let id = id.ok_or_else(|| NotMinted::OtherId { name: name(), id: workload.id.clone() })?;
        // a template could make one
        if policy::is_part(&id) {
            return Err(NotMinted::Own { id });
        }
        // INVARIANT: who may have authorities signed is who is registered for it, by whatever other template its id could be made
        if !registration.downstream && !self.registry.downstream(&id).is_empty() {
            return Err(NotMinted::Downstream { name: name(), id });
        }
        let principal = PrincipalId::Spiffe(id.clone());
        let snapshot = &self.live.snapshot;
        if snapshot.sources.revocations().of_principal(&principal, Some(self.at)) {
            return Err(NotMinted::Revoked { id });
        }
        let declared = snapshot.directory.principal(&principal).and_then(|principal| principal.expires);
        let ends = [declared, registration.expires].into_iter().flatten().min().unwrap_or(Time::MAX);
        if ends <= self.at {
            return Err(NotMinted::Expired { name: name() });
        }
        Ok((registered, id, ends.min(self.until)))
    }
}

const fn seconds(time: Time) -> i64 {
    time.as_micros().div_euclid(1_000_000)
}
