//! Envoy's secret discovery service (SDS, v3) under SPIRE's resource names: SVIDs as TLS certificates, bundles as validation
//! contexts. Whoever asks is attested as on the Workload API, and is given nothing that it would not be given there.

mod asked;
mod resource;
mod stream;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use wire::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use wire::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryService;

use self::asked::Asked;
use self::resource::{Resource, SECRET};
use self::stream::{Subject, secrets};
use crate::workload::{Caller, Node, process};

/// How long a first SVID is waited for where there is one answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Serves Envoys.
#[derive(Clone)]
pub(crate) struct Secrets {
    node: Arc<Node>,
}

impl Secrets {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Secrets {
    type DeltaSecretsStream = Streamed<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Streamed<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Err(Status::unimplemented("`DeltaSecrets` is not served: use `StreamSecrets`"))
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let caller = Caller::attested(Arc::clone(&self.node), process(&request)?).await?;
        Ok(Response::new(secrets(Subject::new(caller), request.into_inner()).boxed()))
    }

    async fn fetch_secrets(&self, request: Request<DiscoveryRequest>) -> Result<Response<DiscoveryResponse>, Status> {
        let mut subject = Subject::new(Caller::attested(Arc::clone(&self.node), process(&request)?).await?);
        let asked = Asked::read(request.into_inner(), None)?;
        let resources = timeout(WITHIN, subject.minted(&asked)).await;
        let resources =
            resources.map_err(|_late| Status::unavailable("the control plane has not minted an SVID yet"))??;
        let resources = resources.iter().map(Resource::encoded).collect();
        Ok(Response::new(DiscoveryResponse { resources, type_url: SECRET.to_owned(), ..DiscoveryResponse::default() }))
    }
}
