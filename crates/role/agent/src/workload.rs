//! The SPIFFE Workload API (SPIFFE_Workload_API.md): X.509 and JWT profiles, and the WIT profile where the settings have it.

mod bundles;
mod claims;
mod held;
mod jwt;
mod pod;
mod serving;
mod stream;
mod wit;
mod x509;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use credential::validate_jwt_svid;
use futures_util::{Stream, StreamExt};
use model::{Selectors, SpiffeId, TrustDomain};
use net::causes::chain;
use net::{Peer, Process, now};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use wire::workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use wire::workload::{
    JwtBundlesRequest, JwtBundlesResponse, Jwtsvid, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, WitBundlesRequest, WitBundlesResponse, WitsvidRequest, WitsvidResponse,
    X509BundlesRequest, X509BundlesResponse, X509svidRequest, X509svidResponse,
};

use crate::attest::{Attestors, Look, NotAttested};
use crate::known::{Bundle, Identified, Known};
use crate::svids::{Svids, WitSvid, X509Svid};
use crate::tokens::Tokens;

pub(crate) use self::bundles::{jwt as jwt_bundles, x509 as x509_bundles};
pub(crate) use self::held::{Held, Standings, not_issued};
pub(crate) use self::jwt::{Token, tokens};
pub(crate) use self::pod::Pod;
pub(crate) use self::stream::{Caller, Life};

/// What the agent hands out to workloads.
pub(crate) struct Node {
    pub attestors: Attestors,
    pub known: watch::Receiver<Arc<Known>>,
    pub svids: Arc<Svids<X509Svid>>,
    /// None where the settings have no WIT-SVIDs.
    pub wits: Option<Arc<Svids<WitSvid>>>,
    pub tokens: Tokens,
    /// The trust domain of this node.
    pub domain: TrustDomain,
}

/// Serves workloads.
#[derive(Clone)]
pub(crate) struct Workloads {
    node: Arc<Node>,
}

pub(crate) type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Workloads {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        Caller::attested(Arc::clone(&self.node), process(request)?).await
    }
}

/// Who sent a request.
pub(crate) fn process<T>(request: &Request<T>) -> Result<Arc<Process>, Status> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Process(process)) => Ok(Arc::clone(process)),
        Some(Peer::Local(_) | Peer::Tls(_) | Peer::Vouched(..) | Peer::Network) | None => {
            Err(Status::internal("a request without a process"))
        }
    }
}

impl Node {
    /// Everything that holds of a process now.
    async fn attest(&self, process: &Process) -> Result<Selectors, Status> {
        self.attestors.attest(process).await.map_err(|why| refused(process, &why))
    }

    /// How a process looks to the kernel now.
    async fn look(&self, process: &Process) -> Result<Look, Status> {
        self.attestors.look(process).await.map_err(|why| refused(process, &why))
    }

    /// Who a process is. Before control has said anything, nobody can know.
    pub(crate) fn identities(&self, known: &Known, selectors: &Selectors) -> Result<Vec<Identified>, Status> {
        if !known.synced {
            return Err(Status::unavailable("the agent has not heard of the control plane yet"));
        }
        let identities = known.identities(selectors, now());
        if identities.is_empty() { Err(Status::permission_denied("no identity issued")) } else { Ok(identities) }
    }

    /// The bundles that these identities are given, by trust domain: the own one first.
    pub(crate) fn bundles<'k>(
        &self,
        known: &'k Known,
        identities: &[Identified],
    ) -> Vec<(&'k TrustDomain, &'k Bundle)> {
        let federated = identities.iter().flat_map(|identified| &identified.registration.federates_with);
        let mut wanted: Vec<&TrustDomain> = std::iter::once(&self.domain).chain(federated).collect();
        wanted.sort();
        wanted.dedup();
        wanted.into_iter().filter_map(|domain| known.bundles.get_key_value(domain)).collect()
    }
}

/// A process is told no more than whether it may try again.
fn refused(process: &Process, why: &NotAttested) -> Status {
    tracing::warn!(pid = process.pid(), why = chain(why), "a process is not attested");
    match why {
        NotAttested::Gone(_) => Status::permission_denied("the process has ended"),
        NotAttested::OtherUser { .. } | NotAttested::Changed { .. } => {
            Status::permission_denied("the process is not what it was when it connected: connect again")
        }
        NotAttested::Unread { .. }
        | NotAttested::Names(_)
        | NotAttested::Binary { .. }
        | NotAttested::Container { .. }
        | NotAttested::Engine { .. }
        | NotAttested::Kubernetes { .. } => {
            Status::unavailable("the process cannot be attested: the agent's log says why")
        }
    }
}

/// What of the attested is told to control: what the registration asks for, and what the id takes.
fn told(identified: &Identified, selectors: &Selectors) -> Vec<String> {
    let registration = &identified.registration;
    let concerns =
        |selector: &&model::Selector| registration.selectors.contains(*selector) || registration.id.takes(selector);
    selectors.iter().filter(concerns).map(ToString::to_string).collect()
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Workloads {
    type FetchX509SVIDStream = Streamed<X509svidResponse>;
    type FetchX509BundlesStream = Streamed<X509BundlesResponse>;
    type FetchJWTBundlesStream = Streamed<JwtBundlesResponse>;
    type FetchWITSVIDStream = Streamed<WitsvidResponse>;
    type FetchWITBundlesStream = Streamed<WitBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let caller = self.caller(&request).await?;
        Ok(Response::new(x509_svids(caller).boxed()))
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        let caller = self.caller(&request).await?;
        Ok(Response::new(bundles::x509(caller).boxed()))
    }

    async fn fetch_jwtsvid(&self, request: Request<JwtsvidRequest>) -> Result<Response<JwtsvidResponse>, Status> {
        let caller = self.caller(&request).await?;
        let JwtsvidRequest { audience, spiffe_id } = request.into_inner();
        let tokens = tokens(&caller, &audience, &spiffe_id).await?;
        let svid = |Token { id, svid, hint }| Jwtsvid { spiffe_id: id.to_string(), svid, hint };
        Ok(Response::new(JwtsvidResponse { svids: tokens.into_iter().map(svid).collect() }))
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        let caller = self.caller(&request).await?;
        Ok(Response::new(bundles::jwt(caller).boxed()))
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        let caller = self.caller(&request).await?;
        let ValidateJwtsvidRequest { audience, svid } = request.into_inner();
        if audience.is_empty() || svid.is_empty() {
            return Err(Status::invalid_argument("`audience` and `svid` are mandatory"));
        }
        let known = self.node.known.borrow().clone();
        let identities = self.node.identities(&known, caller.selectors())?;
        let bundles = self.node.bundles(&known, &identities);
        let keys = |domain: &TrustDomain| {
            let (_, bundle) = bundles.iter().find(|(of, _)| *of == domain)?;
            bundle.jwt_keys.as_ref()
        };
        match validate_jwt_svid(svid.as_bytes(), &audience, keys, now()) {
            Ok(valid) => {
                let claims = Some(claims::of(&valid.claims));
                Ok(Response::new(ValidateJwtsvidResponse { spiffe_id: valid.id.to_string(), claims }))
            }
            Err(why) => Err(Status::invalid_argument(chain(&why))),
        }
    }

    async fn fetch_witsvid(
        &self,
        request: Request<WitsvidRequest>,
    ) -> Result<Response<Self::FetchWITSVIDStream>, Status> {
        let svids = wit::kept(&self.node)?;
        let caller = self.caller(&request).await?;
        let spiffe_id = request.into_inner().spiffe_id;
        let only = if spiffe_id.is_empty() { None } else { Some(wanted(&spiffe_id)?) };
        Ok(Response::new(serving::svids(caller, svids, wit::Wit { only }).boxed()))
    }

    async fn fetch_wit_bundles(
        &self,
        request: Request<WitBundlesRequest>,
    ) -> Result<Response<Self::FetchWITBundlesStream>, Status> {
        wit::kept(&self.node)?;
        let caller = self.caller(&request).await?;
        Ok(Response::new(bundles::wits(caller).boxed()))
    }
}

fn wanted(spiffe_id: &str) -> Result<SpiffeId, Status> {
    spiffe_id.parse().map_err(|why| Status::invalid_argument(chain(&why)))
}

/// SVIDs of a workload, as the Workload API hands them out.
pub(crate) fn x509_svids(caller: Caller) -> impl Stream<Item = Result<X509svidResponse, Status>> {
    let svids = Arc::clone(&caller.node.svids);
    serving::svids(caller, svids, x509::X509)
}

/// The SPIFFE ID of a trust domain, by which bundles are keyed.
pub(crate) fn key_of(domain: &TrustDomain) -> String {
    format!("spiffe://{domain}")
}

/// Bundles by the SPIFFE IDs of their trust domains. One without authorities is not there, which takes back what was given.
fn keyed(
    bundles: &[(&TrustDomain, &Bundle)],
    of: impl Fn(&Bundle) -> &Bytes,
) -> std::collections::HashMap<String, Bytes> {
    let some = bundles.iter().filter(|(_, bundle)| !of(bundle).is_empty());
    some.map(|(domain, bundle)| (key_of(domain), of(bundle).clone())).collect()
}
