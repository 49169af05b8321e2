//! The SPIFFE Workload Endpoint (SPIFFE_Workload_Endpoint.md): gRPC on a local socket, for processes of this node.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use net::{Door, Peer};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use wire::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;

use crate::workload::{Node, Workloads};

/// Shows that whoever asks meant to: a browser, or a proxy that was talked into it, does not send it (§3).
const SECURITY_HEADER: &str = "workload.spiffe.io";
/// Longest message of a workload, in bytes.
const MAX_MESSAGE: usize = 256 * 1024;
/// How long a request may take to be there.
const WITHIN: Duration = Duration::from_secs(10);
const WORKLOAD_API: &str = "/SpiffeWorkloadAPI/";

/// What workloads find at the socket.
pub(crate) struct WorkloadDoor {
    workloads: SpiffeWorkloadApiServer<Workloads>,
}

impl WorkloadDoor {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let workloads = SpiffeWorkloadApiServer::new(Workloads::new(node));
        Self { workloads: workloads.max_decoding_message_size(MAX_MESSAGE) }
    }
}

impl Door for WorkloadDoor {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let (parts, body) = request.into_parts();
        // whole before anything is said: every request of this API is one message, and a client that is answered while it sends
        // may lose the answer
        let body = match timeout(WITHIN, Limited::new(body, MAX_MESSAGE).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_too_long_or_broken)) => {
                return Status::resource_exhausted(format!("a request has at most {MAX_MESSAGE} bytes")).into_http();
            }
            Err(_late) => return Status::deadline_exceeded("the request did not end in time").into_http(),
        };
        let mut request = Request::from_parts(parts, Full::new(body));
        let mut shown = request.headers().get_all(SECURITY_HEADER).iter();
        if shown.next().is_none_or(|value| value != "true") || shown.next().is_some() {
            return Status::invalid_argument("security header missing from request: `workload.spiffe.io: true`")
                .into_http();
        }
        if !request.uri().path().starts_with(WORKLOAD_API) {
            return Status::unimplemented("there is no such service here").into_http();
        }
        request.extensions_mut().insert(peer);
        match self.workloads.clone().call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}
