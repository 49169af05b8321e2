//! The endpoint (SPIFFE_Broker_Endpoint.md): gRPC over mutual TLS on a local socket, for who is listed.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use net::{Door, Peer};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use wire::broker::api_server::ApiServer;

use super::Brokered;
use super::asker::Brokers;
use crate::door::{MAX_MESSAGE, is_meant, reflection, service, single};
use crate::room::{Most, Room, Rooms};
use crate::workload::Node;

/// Shows that whoever asks meant to (§3).
const SECURITY_HEADER: &str = "broker.spiffe.io";
/// Most requests that are open at once: a broker has some for each workload of its node.
const MOST: Most = Most { of_a_process: 2_048, of_a_user: 4_096, of_all: 8_192 };

/// What brokers find at the socket.
struct BrokerDoor<R> {
    rooms: Arc<Rooms>,
    brokers: Arc<Brokers>,
    api: ApiServer<Brokered>,
    reflection: ServerReflectionServer<R>,
}

/// The door of this node's brokers.
pub(crate) fn broker_door(node: &Arc<Node>, brokers: Arc<Brokers>) -> impl Door {
    BrokerDoor {
        rooms: Rooms::new(MOST),
        brokers,
        api: ApiServer::new(Brokered { node: Arc::clone(node) }).max_decoding_message_size(MAX_MESSAGE),
        reflection: reflection(wire::DESCRIBED_TO_BROKERS).max_decoding_message_size(MAX_MESSAGE),
    }
}

impl<R: ServerReflection> Door for BrokerDoor<R> {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        match self.admitted(request, &peer).await {
            Ok((request, room)) => room.until_end(self.served(request).await),
            Err(status) => status.into_http(),
        }
    }

    fn streams(&self) -> u32 {
        1_024
    }
}

impl<R: ServerReflection> BrokerDoor<R> {
    /// A request that is to be served, and its room.
    async fn admitted(&self, request: Request<Incoming>, peer: &Peer) -> Result<(Request<Body>, Room), Status> {
        if !is_meant(request.headers(), SECURITY_HEADER) {
            return Err(Status::invalid_argument("security header missing from request: `broker.spiffe.io: true`"));
        }
        // whoever may ask nothing takes no room
        let asker = self.brokers.of(peer)?;
        let room = self.rooms.of(asker.process())?;
        let mut request = single(request).await?;
        request.extensions_mut().insert(asker);
        Ok((request, room))
    }

    async fn served(&self, request: Request<Body>) -> Response<Body> {
        let answered = match service(request.uri().path()) {
            ApiServer::<Brokered>::NAME => self.api.clone().call(request).await,
            name if name == ServerReflectionServer::<R>::NAME => self.reflection.clone().call(request).await,
            _ => Ok(Status::unimplemented("there is no such service here").into_http()),
        };
        match answered {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}
