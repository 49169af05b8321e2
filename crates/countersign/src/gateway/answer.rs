//! Refusals as HTTP: `application/problem+json` (RFC 9457), and no more than the peer may learn.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use guard::{Peer, Refusal};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use model::{Code, Fact, Layer, RecordId};
use serde::Serialize;

use super::body::{BrokeOff, Relay};

/// The id of the record of this answer.
pub(super) const RECORD: HeaderName = HeaderName::from_static("countersign-record");

/// What every caller hears who is not proved: never why.
const UNAUTHENTICATED: &str = "unauthenticated";

/// The body of an answer: ours, or the upstream's.
pub enum AnswerBody {
    Whole(Full<Bytes>),
    Relayed(Box<Relay<store::FileSlot>>),
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    layer: &'a str,
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<&'a str>>,
}

/// The answer to a request that guard refused; `unfit` is its status if it was not judged at all.
pub(super) fn refused(refusal: &Refusal, unfit: StatusCode) -> Response<AnswerBody> {
    let layer = refusal.code.layer();
    let status = match (layer, refusal.code) {
        (Layer::Identity, _) => StatusCode::UNAUTHORIZED,
        (Layer::Access, _) | (Layer::Protocol, Code::OperationUnmapped) => StatusCode::FORBIDDEN,
        (Layer::Protocol, _) => unfit,
        (Layer::System, _) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let missing = (refusal.peer == Peer::Proved).then(|| refusal.missing.iter().map(told).collect());
    problem(refusal.code, status, refusal.record, missing)
}

/// The answer to a request that was let through and could not be delivered.
pub(super) fn undelivered(code: Code, status: StatusCode, record: RecordId) -> Response<AnswerBody> {
    problem(code, status, Some(record), None)
}

/// The kind of fact that is missing: what an estate calls it is for its operators.
fn told(fact: &Fact) -> &str {
    if fact.is_built_in() { fact.as_str() } else { "evidence" }
}

fn problem(
    code: Code,
    status: StatusCode,
    record: Option<RecordId>,
    missing: Option<Vec<&str>>,
) -> Response<AnswerBody> {
    let layer = code.layer();
    let (name, title) = match layer {
        Layer::Identity => (UNAUTHENTICATED, "the caller is not authenticated"),
        Layer::Access | Layer::Protocol | Layer::System => (code.as_str(), code.title()),
    };
    let body = Problem {
        r#type: format!("urn:countersign:code:{name}"),
        title,
        status: status.as_u16(),
        code: name,
        layer: layer.as_str(),
        record: record.map(|record| record.to_string()),
        missing,
    };
    // a struct of strings and numbers: serialising it cannot fail
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let mut answer = Response::new(AnswerBody::Whole(Full::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(record) = record {
        headers.insert(RECORD, header_of(record));
    }
    answer
}

/// A record's id as a header value.
pub(super) fn header_of(record: RecordId) -> HeaderValue {
    // hex digits are always a header value
    HeaderValue::try_from(record.to_string()).unwrap_or(HeaderValue::from_static(""))
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Self::Relayed(relay) => Pin::new(relay.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Relayed(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Relayed(relay) => relay.size_hint(),
        }
    }
}
