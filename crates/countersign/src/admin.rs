//! The admin listener: whether this process lives and is ready, its numbers, and the public keys of what it signs. Never on
//! the gateway's port, and nothing secret.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use issuer::Assertions;
use net::{Door, Peer, now};
use serde_json::{Value, json};

use crate::issuing::Issuer;
use crate::metrics;
use crate::vitals::Vitals;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NOTHING_ELSE: &str = "no such thing; there are /livez, /readyz, /metrics, /keys and /bundle";
const METRICS: HeaderValue = HeaderValue::from_static(metrics::CONTENT_TYPE);

/// The issuer in force, if there is one.
pub type IssuerNow = dyn Fn() -> Option<Arc<Issuer>> + Send + Sync;

/// Where published keys come from.
pub enum Source {
    Issuer(Box<IssuerNow>),
    /// A plane signs assertions with a key of its own; the bundle is published by control.
    Plane(Arc<Assertions>),
}

/// Answers on the admin listener.
pub struct Admin {
    vitals: Arc<Vitals>,
    source: Source,
}

impl Admin {
    pub const fn new(vitals: Arc<Vitals>, source: Source) -> Self {
        Self { vitals, source }
    }

    /// Whether the least that is asked here is decided; if not, the part that fails is named.
    fn readiness(&self) -> (StatusCode, Value) {
        let live = self.vitals.live().load();
        let failing = |part: &str| (StatusCode::SERVICE_UNAVAILABLE, json!({"ready": false, "failing": part}));
        if live.domain.is_none() {
            return failing("estate");
        }
        if self.vitals.freshness(now()).age > live.snapshot.staleness.routine {
            return failing("control");
        }
        (StatusCode::OK, json!({"ready": true, "epoch": live.snapshot.epoch.0}))
    }

    fn keys(&self) -> (StatusCode, Value) {
        match &self.source {
            Source::Issuer(_) => {
                self.published(|issuer| issuer::key_set(issuer.assertions(), &issuer.plane_keys().load()))
            }
            Source::Plane(assertions) => (StatusCode::OK, issuer::key_set(assertions, &[])),
        }
    }

    fn published(&self, document: impl FnOnce(&Issuer) -> Value) -> (StatusCode, Value) {
        let Source::Issuer(issuer) = &self.source else {
            return (StatusCode::NOT_FOUND, json!({"error": "the control plane publishes it"}));
        };
        match issuer() {
            Some(issuer) => (StatusCode::OK, document(&issuer)),
            None => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "nothing is in force yet"})),
        }
    }
}

impl Door for Admin {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: Peer) -> Response<Full<Bytes>> {
        if (request.method(), request.uri().path()) == (&Method::GET, "/metrics") {
            let page = metrics::page(&self.vitals.look().await);
            return reply(StatusCode::OK, METRICS, page);
        }
        let (status, document) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/livez") => (StatusCode::OK, json!({"live": true})),
            (&Method::GET, "/readyz") => self.readiness(),
            (&Method::GET, "/keys") => self.keys(),
            (&Method::GET, "/bundle") => self.published(|issuer| issuer.spiffe_bundle().clone()),
            _ => (StatusCode::NOT_FOUND, json!({"error": NOTHING_ELSE})),
        };
        reply(status, JSON, format!("{document}\n"))
    }
}

fn reply(status: StatusCode, kind: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}
