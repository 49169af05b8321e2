//! The SPIFFE Workload Endpoint (SPIFFE_Workload_Endpoint.md): gRPC on a local socket, for processes of this node. Beside the
//! Workload API there are Envoy's secret discovery, health and reflection, each a service of its own (§7).

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use net::{Door, Peer};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use wire::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer;
use wire::grpc::health::v1::health_server::HealthServer;
use wire::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;

use crate::health::Healthy;
use crate::room::{Most, Room, Rooms};
use crate::sds::Secrets;
use crate::workload::{Node, Workloads};

/// Shows that whoever asks meant to: a browser, or a proxy that was talked into it, does not send it (§3).
const SECURITY_HEADER: &str = "workload.spiffe.io";
/// Longest message of a workload, in bytes.
pub(crate) const MAX_MESSAGE: usize = 256 * 1024;
/// How long a request of one message may take to be there.
const WITHIN: Duration = Duration::from_secs(10);
/// Most requests that are open at once. Of a user half: on many nodes nearly all that runs is of one user.
const MOST: Most = Most { of_a_process: 256, of_a_user: 8_192, of_all: 16_384 };
/// Whose requests are many messages.
const STREAMED: [&str; 3] = [
    "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
    "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// What workloads find at the socket.
struct WorkloadDoor<R> {
    rooms: Arc<Rooms>,
    workloads: SpiffeWorkloadApiServer<Workloads>,
    secrets: SecretDiscoveryServiceServer<Secrets>,
    health: HealthServer<Healthy>,
    reflection: ServerReflectionServer<R>,
}

/// The door of this node's workloads.
pub(crate) fn workload_door(node: &Arc<Node>) -> impl Door {
    let workloads = SpiffeWorkloadApiServer::new(Workloads::new(Arc::clone(node)));
    let secrets = SecretDiscoveryServiceServer::new(Secrets::new(Arc::clone(node)));
    WorkloadDoor {
        rooms: Rooms::new(MOST),
        workloads: workloads.max_decoding_message_size(MAX_MESSAGE),
        secrets: secrets.max_decoding_message_size(MAX_MESSAGE),
        health: HealthServer::new(Healthy::new(node.known.clone())).max_decoding_message_size(MAX_MESSAGE),
        reflection: reflection(wire::DESCRIBED).max_decoding_message_size(MAX_MESSAGE),
    }
}

#[expect(clippy::expect_used, reason = "the descriptors are compiled in, and every agent that starts reads them")]
pub(crate) fn reflection(described: &'static [u8]) -> ServerReflectionServer<impl ServerReflection> {
    let described = tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(described);
    described.build_v1().expect("descriptors")
}

impl<R: ServerReflection> Door for WorkloadDoor<R> {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        match self.admitted(request, peer).await {
            Ok((request, room)) => room.until_end(self.served(request).await),
            Err(status) => status.into_http(),
        }
    }
}

impl<R: ServerReflection> WorkloadDoor<R> {
    /// A request that is to be served, and its room.
    async fn admitted(&self, request: Request<Incoming>, peer: Peer) -> Result<(Request<Body>, Room), Status> {
        let Peer::Process(process) = &peer else { return Err(Status::internal("a request without a process")) };
        let room = self.rooms.of(process)?;
        let mut request = single(request).await?;
        let named = service(request.uri().path()) == SpiffeWorkloadApiServer::<Workloads>::NAME;
        if named && !is_meant(request.headers(), SECURITY_HEADER) {
            let text = "security header missing from request: `workload.spiffe.io: true`";
            return Err(Status::invalid_argument(text));
        }
        request.extensions_mut().insert(peer);
        Ok((request, room))
    }

    async fn served(&self, request: Request<Body>) -> Response<Body> {
        let answered = match service(request.uri().path()) {
            SpiffeWorkloadApiServer::<Workloads>::NAME => self.workloads.clone().call(request).await,
            SecretDiscoveryServiceServer::<Secrets>::NAME => self.secrets.clone().call(request).await,
            HealthServer::<Healthy>::NAME => self.health.clone().call(request).await,
            name if name == ServerReflectionServer::<R>::NAME => self.reflection.clone().call(request).await,
            _ => Ok(Status::unimplemented("there is no such service here").into_http()),
        };
        match answered {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

/// The service that a path names.
pub(crate) fn service(path: &str) -> &str {
    path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(service, _)| service)
}

/// Whether a request has this header exactly once, with `true`.
pub(crate) fn is_meant(headers: &HeaderMap, header: &'static str) -> bool {
    let mut shown = headers.get_all(header).iter();
    shown.next().is_some_and(|value| value == "true") && shown.next().is_none()
}

/// A request of one message, once that is there; one of many as it comes.
pub(crate) async fn single(request: Request<Incoming>) -> Result<Request<Body>, Status> {
    let (parts, body) = request.into_parts();
    let body =
        if STREAMED.contains(&parts.uri.path()) { Body::new(body) } else { Body::new(Full::new(whole(body).await?)) };
    Ok(Request::from_parts(parts, body))
}

/// Whole before anything is said: the request is one message, and a client that is answered while it sends may lose the answer.
async fn whole(body: Incoming) -> Result<bytes::Bytes, Status> {
    match timeout(WITHIN, Limited::new(body, MAX_MESSAGE).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_too_long_or_broken)) => {
            Err(Status::resource_exhausted(format!("a request has at most {MAX_MESSAGE} bytes")))
        }
        Err(_late) => Err(Status::deadline_exceeded("the request did not end in time")),
    }
}
