//! The gateway: an HTTP/1.1 reverse proxy whose every request passes both gates before a byte goes upstream.
//!
//! A request becomes (`Presented`, `Asked`) in [`head`]; what guard permits is done in [`forward`]; what it refuses
//! becomes an answer in [`answer`]. Nothing here decides.

mod answer;
mod body;
mod forward;
mod head;
mod headers;

use std::sync::Arc;

use credential::{Message, Presented};
use guard::{Asked, Call};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use model::Code;
use store::FileLedger;

use crate::gateway::answer::AnswerBody;
use crate::gateway::body::RequestBody;
use crate::gateway::head::Read;
use crate::live::Current;
use crate::net::{Door, Pacing, Peer, now, record_id, trace_id};

/// The door's name in records.
const DOOR: &str = "gateway";
const PROTOCOL: &str = "http";

/// The HTTP door.
pub struct Gateway {
    live: Current,
    ledger: Arc<FileLedger>,
    client: Client<HttpConnector, RequestBody>,
}

impl Gateway {
    pub fn new(live: Current, ledger: Arc<FileLedger>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(std::time::Duration::from_secs(5)));
        let client = Client::builder(TokioExecutor::new())
            // shorter than the keep-alive of common servers: a pooled connection should not die under a request
            .pool_idle_timeout(std::time::Duration::from_secs(4))
            .pool_timer(TokioTimer::new())
            // nothing is sent twice: what may have reached the upstream is answered, never repeated
            .retry_canceled_requests(false)
            .set_host(false)
            .build(connector);
        Self { live, ledger, client }
    }
}

impl Door for Gateway {
    type Body = AnswerBody;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<AnswerBody> {
        let at = now();
        let live = self.live.load_full();
        let (parts, body) = request.into_parts();
        let Read { trace, operation, bearer, asked, status } = head::read(&live.catalog, parts);
        let call = Call { id: record_id(), trace, door: DOOR, protocol: PROTOCOL, operation: Some(operation) };
        let presented =
            Presented { channel: None, message: bearer.as_ref().map(|value| Message::Bearer(head::token(value))) };
        match guard::admit(&live.snapshot, self.ledger.as_ref(), &call, &presented, asked, at).await {
            Ok(permit) => forward::forward(&self.client, permit, body).await,
            Err(refusal) => answer::refused(&refusal, status),
        }
    }

    async fn unreadable(&self) {
        let live = self.live.load_full();
        let call = Call { id: record_id(), trace: trace_id(), door: DOOR, protocol: PROTOCOL, operation: None };
        let asked: Asked<head::Forward> = Asked::Unfit(Code::RequestMalformed);
        // the refusal needs no answer: hyper has sent its own, and the connection is closed
        let _ = guard::admit(&live.snapshot, self.ledger.as_ref(), &call, &Presented::default(), asked, now()).await;
    }

    fn pacing(&self) -> Pacing {
        self.live.load().pacing
    }
}
