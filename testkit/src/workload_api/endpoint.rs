//! The sockets: a Unix socket with gRPC, and a port of loopback with the bundle. Both end with their owner.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::Time;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use wire::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;

use super::fault::Fault;
use super::material::Material;
use super::service::{Service, now};

const HEADER: &str = "workload.spiffe.io";
/// RPCs that answer with a stream.
const STREAMS: [&str; 3] = ["FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"];

/// A running server.
pub struct WorkloadApi {
    folder: TempDir,
    bundle: SocketAddr,
    /// Its tasks, which end with it.
    _tasks: JoinSet<()>,
}

impl WorkloadApi {
    /// A sound one.
    pub async fn sound() -> Self {
        Self::start(None).await
    }

    /// One with this fault, and no other.
    pub async fn with(fault: Fault) -> Self {
        Self::start(Some(fault)).await
    }

    async fn start(fault: Option<Fault>) -> Self {
        let material = Arc::new(Material::new(fault, Time::from_unix_seconds(now())));
        let folder = tempfile::tempdir().expect("a directory");
        let unix = UnixListener::bind(folder.path().join("api.sock")).expect("a socket");
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let bundle = tcp.local_addr().expect("its address");
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_api(unix, Arc::clone(&material)));
        tasks.spawn(serve_bundle(tcp, material));
        Self { folder, bundle, _tasks: tasks }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    /// Where its trust domain's bundle is published.
    pub fn bundle_url(&self) -> String {
        format!("http://{}/bundle", self.bundle)
    }
}

async fn serve_api(listener: UnixListener, material: Arc<Material>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_connection(stream, Arc::clone(&material)));
    }
}

async fn serve_connection(stream: UnixStream, material: Arc<Material>) {
    let fault = material.fault;
    let rpcs = SpiffeWorkloadApiServer::new(Service(material));
    let service = service_fn(move |request: Request<Incoming>| {
        let mut rpcs = rpcs.clone();
        async move {
            if fault == Some(Fault::Silent) {
                pending::<()>().await;
            }
            match refused(fault, request.uri().path(), request.headers()) {
                Some(status) => Ok(status.into_http::<Body>()),
                None => rpcs.call(request).await,
            }
        }
    });
    // a client that has gone away wants no more
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// What is refused before an RPC is looked at.
fn refused(fault: Option<Fault>, path: &str, headers: &HeaderMap) -> Option<Status> {
    let rpc = path.rsplit('/').next().unwrap_or_default();
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
    let optional = match fault {
        Some(Fault::HeaderOptional) => given.is_none(),
        Some(Fault::HeaderOptionalOnStreams) => given.is_none() && STREAMS.contains(&rpc),
        Some(Fault::HeaderOptionalOnValidation) => rpc == "ValidateJWTSVID",
        Some(Fault::HeaderOfAnyCase) => given.is_some_and(|value| value.eq_ignore_ascii_case("true")),
        _ => false,
    };
    if given != Some("true") && !optional {
        let text = "security header missing from request";
        return Some(match fault {
            Some(Fault::HeaderRefusedOtherwise) => Status::permission_denied(text),
            _ => Status::invalid_argument(text),
        });
    }
    let unknown = !(rpc.ends_with("SVID") || rpc.ends_with("Bundles"));
    (unknown && fault == Some(Fault::UnknownRpcRefusedOtherwise)).then(|| Status::not_found("no such method"))
}

async fn serve_bundle(listener: TcpListener, material: Arc<Material>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let material = Arc::clone(&material);
        let service = service_fn(move |_: Request<Incoming>| {
            let (status, document) = material.published();
            let mut response = Response::new(Full::new(Bytes::from(document)));
            *response.status_mut() = status.try_into().expect("a status");
            async move { Ok::<_, Infallible>(response) }
        });
        connections.spawn(async move {
            // likewise
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
