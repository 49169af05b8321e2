//! What node agents ask of the control plane: gRPC at the listener for planes (`api/proto/countersign/agent/v1`), through the
//! same gates as everyone.

mod attest;
mod clusters;
mod errand;
mod follow;
mod line;
mod mint;
mod nodes;
mod sealed;
mod service;
mod sts;
mod tpm;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use credential::PeerCertificates;
use http::header;
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use net::{Door, Peer, now};
use serde_json::{Value, json};
use store::{KeptAgent, StateFault};
use tonic::codegen::Service;
use wire::agent::control_plane_server::ControlPlaneServer;

pub use self::clusters::Clusters;
pub(super) use self::nodes::Nodes;
use self::service::Agents;
use super::{Control, ControlBody, planes};
use crate::epochs::Epochs;
use crate::estate::OWN;

/// What a request of gRPC is of.
const GRPC: &[u8] = b"application/grpc";
/// Longest message of an agent, in bytes: 500 certificate requests of the longest kind.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Every agent, for people and programs.
pub(super) async fn listed(epochs: &Epochs) -> Result<Value, StateFault> {
    let agents = epochs.state().agents().await?;
    let (live, at) = (epochs.live().load_full(), now());
    let item = |agent: &KeptAgent| {
        json!({
            "name": planes::name(&agent.id),
            "id": agent.id,
            "standing": if planes::is_revoked(&agent.id, &live, at) { "revoked" } else { "attested" },
            "attested": agent.attested,
            "method": agent.method,
            "selectors": nodes::selectors(agent).iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    Ok(json!({"kind": "agents", "items": agents.iter().map(item).collect::<Vec<_>>()}))
}

/// Forgets an agent: its streams end, and it has to attest its node again. Its name is what `get agents` shows, or its SPIFFE ID.
pub(super) async fn evict(epochs: &Epochs, nodes: &Nodes, name: &str) -> Result<Value, NotEvicted> {
    let id = match (name.starts_with("spiffe://"), epochs.live().load().domain.as_ref()) {
        (true, _) => name.to_owned(),
        (false, Some(domain)) => {
            format!("spiffe://{domain}{OWN}/agent/{}", name.strip_prefix("agent/").unwrap_or(name))
        }
        (false, None) => return Err(NotEvicted::Unknown { name: name.to_owned() }),
    };
    if !epochs.state().evict(&id).await? {
        return Err(NotEvicted::Unknown { name: name.to_owned() });
    }
    nodes.forget(&id);
    Ok(json!({"id": id}))
}

/// Why no agent is forgotten.
#[derive(Debug, thiserror::Error)]
pub enum NotEvicted {
    #[error("no agent is called `{name}`: `countersign get agents` lists them")]
    Unknown { name: String },
    #[error("it cannot be kept")]
    Kept(#[from] StateFault),
}

/// The door for planes: gRPC for node agents, and for all others what operators have too.
pub struct Planes {
    control: Arc<Control>,
    agents: ControlPlaneServer<Agents>,
}

/// The body of an answer to a plane.
pub enum PlanesBody {
    Control(ControlBody),
    Grpc(tonic::body::Body),
}

impl Planes {
    /// `clusters` are asked about tokens of their nodes.
    pub fn new(control: Arc<Control>, clusters: Clusters) -> Self {
        let agents = ControlPlaneServer::new(Agents::new(Arc::clone(&control), clusters));
        Self { control, agents: agents.max_decoding_message_size(MAX_MESSAGE) }
    }
}

impl Door for Planes {
    type Body = PlanesBody;

    async fn answer(&self, mut request: Request<Incoming>, peer: Peer) -> Response<PlanesBody> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC)) {
            return self.control.answer(request, peer).await.map(PlanesBody::Control);
        }
        request.extensions_mut().insert(peer);
        match self.agents.clone().call(request).await {
            Ok(answer) => answer.map(PlanesBody::Grpc),
            Err(never) => match never {},
        }
    }

    async fn handshake_failed(&self, peer: Option<PeerCertificates>) {
        self.control.handshake_failed(peer).await;
    }

    async fn unreadable(&self) {
        self.control.unreadable().await;
    }

    async fn dismissed(&self, peer: &Peer) {
        self.control.dismissed(peer).await;
    }
}

impl Body for PlanesBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Control(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Grpc(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Control(body) => body.is_end_stream(),
            Self::Grpc(body) => body.is_end_stream(),
        }
    }
}
