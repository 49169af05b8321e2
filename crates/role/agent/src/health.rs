//! gRPC's health checks (`grpc.health.v1`): a service serves once control was heard, and then on, whether control is there or
//! not.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use wire::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer;
use wire::grpc::health::v1::health_check_response::ServingStatus;
use wire::grpc::health::v1::health_server::Health;
use wire::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use wire::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;

use crate::known::Known;

/// What is asked about; the empty name is for all of it.
const SERVICES: [&str; 3] = ["", SpiffeWorkloadApiServer::<()>::NAME, SecretDiscoveryServiceServer::<()>::NAME];

/// Says how the agent is.
#[derive(Clone)]
pub(crate) struct Healthy {
    known: watch::Receiver<Arc<Known>>,
}

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

impl Healthy {
    pub(crate) const fn new(known: watch::Receiver<Arc<Known>>) -> Self {
        Self { known }
    }
}

#[tonic::async_trait]
impl Health for Healthy {
    type WatchStream = Statuses;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no such service here"));
        }
        Ok(Response::new(response(serving(&self.known.borrow()))))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Statuses>, Status> {
        let known = self.known.clone();
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            // none comes later, but the call goes on
            let unknown = stream::iter([Ok(response(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.chain(stream::pending()).boxed()));
        }
        let statuses = stream::unfold((known, None), |(mut known, said)| async move {
            loop {
                let now = serving(&known.borrow_and_update());
                if said != Some(now) {
                    return Some((Ok(response(now)), (known, Some(now))));
                }
                // an error means that the agent is ending
                known.changed().await.ok()?;
            }
        });
        Ok(Response::new(statuses.boxed()))
    }
}

const fn serving(known: &Known) -> ServingStatus {
    if known.synced { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
