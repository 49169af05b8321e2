//! The gateway's effect: one permitted request goes upstream, once.

use std::sync::Arc;

use audit::{OutcomeResult, Slot};
use guard::{Permit, Settled, Settlement};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use model::{Code, Time};
use net::{Broke, Lease, RequestBody, Transfer};
use tokio::time::{Instant, sleep_until};

use super::answer::{self, AnswerBody, RECORD};
use super::body::{Owed, Relay};
use super::head::Forward;
use super::headers;
use super::standing::{Standing, TICK};
use super::voucher::ASSERTION;
use crate::live::{Current, Upstream};
use crate::pulse::Pulse;

/// Why there is no answer to relay.
#[derive(Debug, Clone, Copy)]
struct Undelivered {
    code: Code,
    status: StatusCode,
}

/// Sends a permitted request to where its permit says, with the gateway's word for its caller, and relays the answer.
pub(super) async fn forward(
    here: (&Current, &Arc<Pulse>),
    permit: Permit<Forward, store::FileSlot>,
    voucher: Option<HeaderValue>,
    body: Incoming,
) -> Response<AnswerBody> {
    let record = permit.id();
    let standing = Standing::new(here, permit.caller().resolution(), permit.deadline());
    let (errand, settlement) = permit.begin();
    let Forward { service, method, target, headers, place } = errand;
    let upstream = &service.door;
    let transfer = Transfer::new();
    let body = RequestBody::new(body, Arc::clone(&transfer), upstream.limits.body, upstream.timeouts.body_idle);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers;
    request.headers_mut().insert(RECORD, answer::header_of(record));
    if let Some(voucher) = voucher {
        request.headers_mut().insert(ASSERTION, voucher);
    }
    match send(upstream, request, &transfer, &standing).await {
        Ok((mut relayed, lease)) => {
            headers::for_caller(relayed.headers_mut());
            relayed.headers_mut().insert(RECORD, answer::header_of(record));
            let status = relayed.status().as_u16();
            let owed = Owed { settlement, status, transfer, place, lease, standing };
            let idle = upstream.timeouts.body_idle;
            relayed.map(|body| AnswerBody::Relayed(Box::new(Relay::new(body, owed, idle))))
        }
        Err(why) => {
            failed(settlement, why, &transfer, standing.time());
            answer::undelivered(why.code, why.status, record)
        }
    }
}

async fn send(
    upstream: &Upstream,
    request: Request<RequestBody>,
    transfer: &Transfer,
    standing: &Standing,
) -> Result<(Response<Incoming>, Lease), Undelivered> {
    let within = upstream.timeouts.upstream;
    let mut sent = std::pin::pin!(upstream.pool.send(request));
    loop {
        let until = (transfer.last_activity() + within).min(Instant::now() + TICK);
        tokio::select! {
            answer = sent.as_mut() => {
                return match answer {
                    // an upstream that changes protocols unasked gives no answer that could be relayed
                    Ok((answer, _)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => Err(undelivered(None)),
                    Ok(answer) => Ok(answer),
                    Err(error) => {
                        tracing::debug!(error = net::causes::chain(&error), "no answer");
                        Err(undelivered(transfer.broke()))
                    }
                };
            }
            () = sleep_until(until) => {
                if let Some(code) = standing.ended() {
                    return Err(Undelivered { code, status: StatusCode::UNAUTHORIZED });
                }
                if transfer.last_activity() + within <= Instant::now() {
                    return Err(Undelivered { code: Code::UpstreamTimeout, status: StatusCode::GATEWAY_TIMEOUT });
                }
            }
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

fn failed<S: Slot>(settlement: Settlement<S>, why: Undelivered, transfer: &Transfer, at: Time) {
    let settled = Settled {
        result: OutcomeResult::Failed,
        status: Some(why.status.as_u16()),
        code: Some(why.code),
        bytes_in: Some(transfer.bytes()),
        bytes_out: Some(0),
    };
    settlement.settle(settled, at);
}
