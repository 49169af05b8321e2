//! The SPIFFE Broker Endpoint and API (SPIFFE_Broker_Endpoint.md, SPIFFE_Broker_API.md), where the settings name them: their
//! standards are incubating. Who is listed, and proves it by its own SVID, is handed what workloads of this node would be handed
//! themselves: attested by the same attestors, minted for the same registrations, and no longer than they live.

mod asker;
mod door;
mod guarded;
mod reason;
mod reference;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use net::Process;
use net::causes::chain;
use tonic::{Request, Response, Status};
use wire::broker::api_server::Api;
use wire::broker::{
    FetchJwtsvidRequest, FetchJwtsvidResponse, Jwtsvid, SubscribeToJwtBundlesRequest, SubscribeToJwtBundlesResponse,
    SubscribeToX509BundlesRequest, SubscribeToX509BundlesResponse, SubscribeToX509svidRequest,
    SubscribeToX509svidResponse, WorkloadReference, X509svid,
};
use wire::workload;

use self::asker::Asker;
use self::guarded::{guarded, told};
use self::reference::Reference;
use crate::attest::{NoPods, PodReference};
use crate::workload::{Caller, Life, Node, Pod, Streamed, Token, jwt_bundles, tokens, x509_bundles, x509_svids};

pub(crate) use self::asker::Brokers;
pub(crate) use self::door::broker_door;
pub use self::settings::BrokerSettings;
pub(crate) use self::settings::broker_settings;

/// Serves brokers.
#[derive(Clone)]
struct Brokered {
    node: Arc<Node>,
}

impl Brokered {
    /// The workload that is meant, attested, and what says whether it is there.
    async fn meant<T>(
        &self,
        request: &Request<T>,
        reference: Option<&WorkloadReference>,
    ) -> Result<(Caller, Life, Asker), Status> {
        let asker = asked_by(request)?;
        let reference = Reference::read(reference).map_err(|why| reason::invalid(&chain(&why)))?;
        asker.may_name(&reference)?;
        tracing::info!(broker = %asker.id(), %reference, "a broker asks for a workload");
        match reference {
            Reference::Process(pid) => {
                let (caller, life) = self.process(pid).await?;
                Ok((caller, life, asker))
            }
            Reference::Pod(wanted) => {
                let caller = self.pod(&wanted).await?;
                let life = caller.life();
                Ok((caller, life, asker))
            }
        }
    }

    async fn process(&self, pid: i32) -> Result<(Caller, Life), Status> {
        // INVARIANT: pinned before anything is read of it: whoever gets its number later is another
        let process = Process::numbered(pid).map_err(|why| {
            tracing::info!(pid, why = chain(&why), "a broker names a process that is not there");
            reason::not_found("there is no such process")
        })?;
        let process = Arc::new(process);
        let life = Life::Process(Arc::clone(&process));
        match Caller::attested(Arc::clone(&self.node), process).await {
            Ok(caller) => Ok((caller, life)),
            Err(status) => Err(told(status, &life)),
        }
    }

    async fn pod(&self, wanted: &PodReference) -> Result<Caller, Status> {
        match Pod::find(&self.node.attestors, wanted).await {
            Ok(Some((pod, selectors))) => Ok(Caller::pod(Arc::clone(&self.node), pod, selectors)),
            Ok(None) => Err(reason::not_found("there is no such pod on this node")),
            Err(why @ NoPods::NoKubelet) => Err(reason::invalid(&chain(&why))),
            Err(why) => {
                tracing::warn!(why = chain(&why), "a pod cannot be attested");
                Err(Status::unavailable("the pod cannot be attested: the agent's log says why"))
            }
        }
    }

    /// A stream about the workload that is meant, of what `open` says.
    async fn stream<T, M: Send + 'static, S: Stream<Item = Result<M, Status>> + Send + 'static>(
        &self,
        request: Request<T>,
        reference: impl Fn(&T) -> Option<&WorkloadReference>,
        open: impl FnOnce(Caller) -> S,
    ) -> Result<Response<Streamed<M>>, Status> {
        let (caller, life, asker) = self.meant(&request, reference(request.get_ref())).await?;
        Ok(Response::new(guarded(open(caller), life, asker).boxed()))
    }
}

fn asked_by<T>(request: &Request<T>) -> Result<Asker, Status> {
    request.extensions().get::<Asker>().cloned().ok_or_else(|| Status::internal("a request of nobody"))
}

#[tonic::async_trait]
impl Api for Brokered {
    type SubscribeToX509SVIDStream = Streamed<SubscribeToX509svidResponse>;
    type SubscribeToX509BundlesStream = Streamed<SubscribeToX509BundlesResponse>;
    type SubscribeToJWTBundlesStream = Streamed<SubscribeToJwtBundlesResponse>;

    async fn subscribe_to_x509svid(
        &self,
        request: Request<SubscribeToX509svidRequest>,
    ) -> Result<Response<Self::SubscribeToX509SVIDStream>, Status> {
        let open = |caller| x509_svids(caller).map(|message| message.map(x509));
        self.stream(request, |asked| asked.reference.as_ref(), open).await
    }

    async fn subscribe_to_x509_bundles(
        &self,
        request: Request<SubscribeToX509BundlesRequest>,
    ) -> Result<Response<Self::SubscribeToX509BundlesStream>, Status> {
        let response = |message: workload::X509BundlesResponse| SubscribeToX509BundlesResponse {
            crl: message.crl,
            bundles: message.bundles,
        };
        let open = |caller| x509_bundles(caller).map(move |message| message.map(response));
        self.stream(request, |asked| asked.reference.as_ref(), open).await
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<FetchJwtsvidRequest>,
    ) -> Result<Response<FetchJwtsvidResponse>, Status> {
        let (caller, life, asker) = self.meant(&request, request.get_ref().reference.as_ref()).await?;
        let FetchJwtsvidRequest { audience, spiffe_id, .. } = request.into_inner();
        let tokens = tokens(&caller, &audience, &spiffe_id).await.map_err(|status| told(status, &life))?;
        // minting takes a while: who asked, and for whom, may be no more
        asker.still()?;
        if life.is_over() {
            return Err(reason::gone());
        }
        let svid = |Token { id, svid, hint }| Jwtsvid { spiffe_id: id.to_string(), svid, hint };
        Ok(Response::new(FetchJwtsvidResponse { svids: tokens.into_iter().map(svid).collect() }))
    }

    async fn subscribe_to_jwt_bundles(
        &self,
        request: Request<SubscribeToJwtBundlesRequest>,
    ) -> Result<Response<Self::SubscribeToJWTBundlesStream>, Status> {
        let response =
            |message: workload::JwtBundlesResponse| SubscribeToJwtBundlesResponse { bundles: message.bundles };
        let open = |caller| jwt_bundles(caller).map(move |message| message.map(response));
        self.stream(request, |asked| asked.reference.as_ref(), open).await
    }
}

/// The same message in the words of the other API.
fn x509(message: workload::X509svidResponse) -> SubscribeToX509svidResponse {
    let svid = |svid: workload::X509svid| X509svid {
        spiffe_id: svid.spiffe_id,
        x509_svid: svid.x509_svid,
        x509_svid_key: svid.x509_svid_key,
        bundle: svid.bundle,
        hint: svid.hint,
    };
    SubscribeToX509svidResponse {
        svids: message.svids.into_iter().map(svid).collect(),
        crl: message.crl,
        federated_bundles: message.federated_bundles,
    }
}
