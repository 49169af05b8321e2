//! The admin listener: whether this process lives and is ready, and the public keys of what it signs. Never on the gateway's
//! port, and nothing secret.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::issuing::Issuer;
use crate::live::Current;
use crate::net::{Door, Peer};

/// The issuer in force, if there is one.
pub type IssuerNow = dyn Fn() -> Option<Arc<Issuer>> + Send + Sync;

/// Answers on the admin listener.
pub struct Admin {
    live: Current,
    issuer: Box<IssuerNow>,
}

impl Admin {
    pub fn new(live: Current, issuer: Box<IssuerNow>) -> Self {
        Self { live, issuer }
    }

    fn readiness(&self) -> (StatusCode, Value) {
        let live = self.live.load();
        if live.domain.is_none() {
            return (StatusCode::SERVICE_UNAVAILABLE, json!({"ready": false, "failing": "estate"}));
        }
        (StatusCode::OK, json!({"ready": true, "epoch": live.snapshot.epoch.0}))
    }

    fn published(&self, document: impl FnOnce(&Issuer) -> Value) -> (StatusCode, Value) {
        match (self.issuer)() {
            Some(issuer) => (StatusCode::OK, document(&issuer)),
            None => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "nothing is in force yet"})),
        }
    }
}

impl Door for Admin {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        let (status, document) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/livez") => (StatusCode::OK, json!({"live": true})),
            (&Method::GET, "/readyz") => self.readiness(),
            (&Method::GET, "/keys") => self.published(|issuer| issuer::key_set(&issuer.assertions)),
            (&Method::GET, "/bundle") => self.published(|issuer| issuer::bundle(&issuer.authority)),
            _ => {
                (StatusCode::NOT_FOUND, json!({"error": "no such thing; there are /livez, /readyz, /keys and /bundle"}))
            }
        };
        let mut answer = Response::new(Full::from(format!("{document}\n")));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }
}
