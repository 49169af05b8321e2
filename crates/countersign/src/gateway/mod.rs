//! The gateway: a reverse proxy for HTTP/1.1 and HTTP/2 whose every request passes both gates before a byte goes upstream.
//!
//! A request becomes (`Presented`, `Asked`) in [`head`]; what guard permits is done in [`forward`]; what it refuses
//! becomes an answer in [`answer`]. Nothing here decides.

mod answer;
mod body;
mod forward;
mod head;
mod headers;
mod standing;
mod voucher;

use std::sync::Arc;
use std::time::Duration;

use credential::{Channel, Message, PeerCertificates, Presented, Token};
use guard::{Asked, Call, Freshness};
use hyper::body::Incoming;
use hyper::{Request, Response};
use model::{Code, TraceId};
use net::tls::Check;
use net::{Door, LastAnswer, Pacing, Peer, now, record_id, trace_id};
use store::FileLedger;
use tokio::time::sleep;

use crate::gateway::answer::AnswerBody;
use crate::gateway::head::Read;
use crate::gateway::voucher::Vouchers;
use crate::keys::Keys;
use crate::live::{Current, End, ends};
use crate::pulse::Pulse;

/// The door's name in records.
const DOOR: &str = "gateway";
const PROTOCOL: &str = "http";
/// How often it is looked at whether a connection's certificates still hold.
const LOOK: Duration = Duration::from_secs(1);

/// The HTTP door.
pub struct Gateway {
    live: Current,
    keys: Keys,
    ledger: Arc<FileLedger>,
    pulse: Arc<Pulse>,
    vouchers: Vouchers,
}

impl Gateway {
    pub fn new(live: Current, keys: Keys, ledger: Arc<FileLedger>, pulse: Arc<Pulse>) -> Self {
        Self { live, keys, ledger, pulse, vouchers: Vouchers::default() }
    }

    /// Holds callers that present certificates to what is in force when they do.
    pub fn callers(&self) -> Arc<Check> {
        let (live, pulse) = (Arc::clone(&self.live), Arc::clone(&self.pulse));
        Arc::new(move |peer: &PeerCertificates| peer.check(live.load().snapshot.sources.authorities(), pulse.time()))
    }
}

impl Door for Gateway {
    type Body = AnswerBody;

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<AnswerBody> {
        let (at, freshness) = self.pulse.read(now());
        let (parts, body) = request.into_parts();
        let bearer = head::bearer(&parts);
        let token = bearer.as_ref().map(|value| Token::new(head::token(value)));
        // before anything is decided by what is in force, so that a request sees one state of it
        let live = self.keys.in_force_for(&self.live, token).await;
        let Read { trace, operation, asked, status } = head::read(&live.catalog, parts);
        let call = call(trace, Some(operation), freshness);
        let channel = match &peer {
            Peer::Tls(peer) | Peer::Vouched(_, peer) => Some(Channel::Tls(peer)),
            Peer::Network | Peer::Local(_) | Peer::Process(_) => None,
        };
        let presented = Presented { channel, message: token.map(Message::Bearer) };
        match guard::admit(&live.snapshot, self.ledger.as_ref(), &call, &presented, asked, at).await {
            Ok(permit) => {
                let voucher = self.vouchers.of(live.assertions.as_deref(), &permit, at);
                forward::forward((&self.live, &self.pulse), permit, voucher, body).await
            }
            Err(refusal) => {
                let mut answer = answer::refused(&refusal, status);
                if ends(&peer, &live, at).is_some() {
                    answer.extensions_mut().insert(LastAnswer);
                }
                answer
            }
        }
    }

    async fn unreadable(&self) {
        let (live, (at, freshness)) = (self.live.load_full(), self.pulse.read(now()));
        let call = call(trace_id(), None, freshness);
        let asked: Asked<head::Forward> = Asked::Unfit(Code::RequestMalformed);
        // the refusal needs no answer: hyper has sent its own, and the connection is closed
        let _ = guard::admit(&live.snapshot, self.ledger.as_ref(), &call, &Presented::default(), asked, at).await;
    }

    async fn handshake_failed(&self, peer: Option<PeerCertificates>) {
        let Some(peer) = peer else { return self.unreadable().await };
        let (live, (at, freshness)) = (self.live.load_full(), self.pulse.read(now()));
        let call = call(trace_id(), None, freshness);
        // what was presented is verified once more, for the record to say what became of it; nothing was asked
        let asked: Asked<head::Forward> = Asked::Unmapped { code: Code::OperationUnmapped, service: None };
        let presented = Presented { channel: Some(Channel::Tls(&peer)), message: None };
        // the handshake was refused: nobody is left to answer
        let _ = guard::admit(&live.snapshot, self.ledger.as_ref(), &call, &presented, asked, at).await;
    }

    async fn dismissed(&self, peer: &Peer) {
        match peer {
            Peer::Tls(_) | Peer::Vouched(..) => {
                // the first look comes late enough for a request to be refused, and recorded
                loop {
                    sleep(LOOK).await;
                    if ends(peer, &self.live.load(), self.pulse.time()) == Some(End::Revoked) {
                        return;
                    }
                }
            }
            Peer::Network | Peer::Local(_) | Peer::Process(_) => std::future::pending().await,
        }
    }

    fn pacing(&self) -> Pacing {
        self.live.load().pacing
    }
}

/// A call at this door.
fn call(trace: TraceId, operation: Option<String>, freshness: Freshness) -> Call {
    Call { id: record_id(), trace, door: DOOR, protocol: PROTOCOL, operation, freshness }
}
