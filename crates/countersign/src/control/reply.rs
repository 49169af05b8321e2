//! Answers of the control door.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use guard::Refusal;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame};
use model::{Code, Layer};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// An answer.
pub(super) enum Reply {
    Json(StatusCode, Value),
    /// One JSON document a line, as they come.
    Lines(mpsc::Receiver<Bytes>),
}

/// The body of an answer.
pub enum ControlBody {
    Whole(Full<Bytes>),
    Lines(mpsc::Receiver<Bytes>),
}

impl Reply {
    pub(super) fn ok(document: &impl Serialize) -> Self {
        match serde_json::to_value(document) {
            Ok(document) => Self::Json(StatusCode::OK, document),
            Err(error) => Self::failed(&error),
        }
    }

    /// The request names something that is not there, or is not what it should be.
    pub(super) fn invalid(why: &str) -> Self {
        Self::Json(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why}))
    }

    pub(super) fn failed(error: &dyn std::error::Error) -> Self {
        let why = net::causes::chain(error);
        tracing::error!(error = why, "a control operation failed");
        Self::Json(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": why}))
    }

    /// All that a stranger learns of why it is not let in.
    pub(super) fn unauthenticated(record: Option<&str>) -> Self {
        let code = "unauthenticated";
        let document = json!({"error": "who asks is not proved", "code": code, "layer": "identity", "record": record});
        Self::Json(StatusCode::UNAUTHORIZED, document)
    }

    /// What guard refused to a peer on the network: one that is not proved learns nothing of why.
    pub(super) fn refused_abroad(refusal: &Refusal, why: Option<String>) -> Self {
        if refusal.peer == guard::Peer::Unproved || refusal.code.layer() == Layer::Identity {
            return Self::unauthenticated(refusal.record.map(|record| record.to_string()).as_deref());
        }
        Self::refused(refusal, why)
    }

    /// What guard refused; `why` says more where the request itself cannot be understood.
    pub(super) fn refused(refusal: &Refusal, why: Option<String>) -> Self {
        let status = match (refusal.code.layer(), refusal.code) {
            (Layer::System, _) => StatusCode::SERVICE_UNAVAILABLE,
            (Layer::Protocol, Code::OperationUnmapped) => StatusCode::NOT_FOUND,
            (Layer::Protocol, _) => StatusCode::UNPROCESSABLE_ENTITY,
            (Layer::Identity | Layer::Access, _) => StatusCode::FORBIDDEN,
        };
        let document = json!({
            "error": why.unwrap_or_else(|| refusal.code.title().to_owned()),
            "code": refusal.code.as_str(),
            "layer": refusal.code.layer().as_str(),
            "record": refusal.record.map(|record| record.to_string()),
            "missing": refusal.missing.iter().map(|fact| fact.as_str()).collect::<Vec<_>>(),
        });
        Self::Json(status, document)
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Json(status, _) => *status,
            Self::Lines(_) => StatusCode::OK,
        }
    }
}

impl From<Reply> for Response<ControlBody> {
    fn from(reply: Reply) -> Self {
        let (status, kind, body) = match reply {
            Reply::Json(status, document) => {
                (status, "application/json", ControlBody::Whole(Full::from(format!("{document}\n"))))
            }
            Reply::Lines(lines) => (StatusCode::OK, "application/x-ndjson", ControlBody::Lines(lines)),
        };
        let mut answer = Self::new(body);
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        answer
    }
}

impl Body for ControlBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Self::Lines(lines) => lines.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line)))),
        }
    }
}
