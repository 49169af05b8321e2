//! The gateway's effect: one permitted request goes upstream, once.

use std::sync::Arc;
use std::time::Duration;

use audit::{OutcomeResult, Slot};
use guard::{Permit, Settled, Settlement};
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use model::Code;
use tokio::time::{Instant, sleep_until};

use super::answer::{self, AnswerBody, RECORD};
use super::body::{Broke, Owed, Relay, RequestBody, Transfer};
use super::head::Forward;
use super::headers;
use crate::live::Upstream;
use crate::net::now;

/// Why there is no answer to relay.
#[derive(Debug, Clone, Copy)]
struct Undelivered {
    code: Code,
    status: StatusCode,
}

/// Sends a permitted request to where its permit says, and relays the answer.
pub(super) async fn forward(
    client: &Client<HttpConnector, RequestBody>,
    permit: Permit<Forward, store::FileSlot>,
    body: Incoming,
) -> Response<AnswerBody> {
    let record = permit.id();
    let (errand, settlement) = permit.begin();
    let Forward { service, method, target, headers, in_flight } = errand;
    let upstream = &service.door;
    let transfer = Transfer::new();
    let body = RequestBody::new(body, Arc::clone(&transfer), upstream.limits.body, upstream.timeouts.body_idle);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri(upstream, target);
    *request.headers_mut() = headers;
    request.headers_mut().insert(RECORD, answer::header_of(record));
    match send(client, request, &transfer, upstream.timeouts.upstream).await {
        Ok(mut relayed) => {
            headers::for_caller(relayed.headers_mut());
            relayed.headers_mut().insert(RECORD, answer::header_of(record));
            let owed = Owed { settlement, status: relayed.status().as_u16(), transfer, in_flight };
            let idle = upstream.timeouts.body_idle;
            relayed.map(|body| AnswerBody::Relayed(Box::new(Relay::new(body, owed, idle))))
        }
        Err(why) => {
            failed(settlement, why, &transfer);
            answer::undelivered(why.code, why.status, record)
        }
    }
}

async fn send(
    client: &Client<HttpConnector, RequestBody>,
    request: Request<RequestBody>,
    transfer: &Transfer,
    within: Duration,
) -> Result<Response<Incoming>, Undelivered> {
    let mut sent = std::pin::pin!(client.request(request));
    loop {
        let until = transfer.last_activity() + within;
        tokio::select! {
            answer = sent.as_mut() => {
                return match answer {
                    // an upstream that changes protocols unasked gives no answer that could be relayed
                    Ok(answer) if answer.status() != StatusCode::SWITCHING_PROTOCOLS => Ok(answer),
                    Ok(_) | Err(_) => Err(undelivered(transfer.broke())),
                };
            }
            () = sleep_until(until) => if transfer.last_activity() + within <= Instant::now() {
                return Err(Undelivered { code: Code::UpstreamTimeout, status: StatusCode::GATEWAY_TIMEOUT });
            },
        }
    }
}

const fn undelivered(broke: Option<Broke>) -> Undelivered {
    let (code, status) = match broke {
        Some(Broke::TooLong) => (Code::RequestTooLarge, StatusCode::PAYLOAD_TOO_LARGE),
        Some(Broke::Stalled | Broke::Unreadable) => (Code::RequestMalformed, StatusCode::BAD_REQUEST),
        None => (Code::UpstreamUnreachable, StatusCode::BAD_GATEWAY),
    };
    Undelivered { code, status }
}

fn failed<S: Slot>(settlement: Settlement<S>, why: Undelivered, transfer: &Transfer) {
    let settled = Settled {
        result: OutcomeResult::Failed,
        status: Some(why.status.as_u16()),
        code: Some(why.code),
        bytes_in: Some(transfer.bytes()),
        bytes_out: Some(0),
    };
    settlement.settle(settled, now());
}

/// The service's address and the very target that was judged.
fn uri(upstream: &Upstream, target: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(upstream.authority.clone());
    parts.path_and_query = Some(target);
    // scheme, authority and path together are always a URI
    Uri::from_parts(parts).unwrap_or_default()
}
