//! Liveness, readiness and numbers of the agent, over plain HTTP for those who watch it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::{Request, Response};
use net::tls::OwnSvid;
use net::{Door, Peer, now};
use tonic::body::Body;

use crate::workload::Node;

pub(crate) struct Admin {
    pub node: Arc<Node>,
    pub own: Arc<OwnSvid>,
}

impl Admin {
    /// What is not as it should be; nothing when the agent can serve.
    fn amiss(&self) -> Option<&'static str> {
        if self.own.ends().is_none_or(|end| end <= now()) {
            return Some("the agent has no SVID that holds");
        }
        if !self.node.known.borrow().synced {
            return Some("the control plane was not heard yet");
        }
        None
    }

    fn metrics(&self) -> String {
        let ends = self.own.ends().map_or(0, |end| end.as_micros() / 1_000_000);
        format!(
            "# HELP countersign_agent_svids X.509-SVIDs of workloads that are kept.
# TYPE countersign_agent_svids gauge
countersign_agent_svids {}
# HELP countersign_agent_svid_ends_seconds When the agent's own SVID ends, in seconds since 1970.
# TYPE countersign_agent_svid_ends_seconds gauge
countersign_agent_svid_ends_seconds {ends}
",
            self.node.svids.len()
        )
    }
}

impl Door for Admin {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, _: Peer) -> Response<Body> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/livez") => (StatusCode::OK, "ok\n".to_owned()),
            (&Method::GET, "/readyz") => match self.amiss() {
                None => (StatusCode::OK, "ok\n".to_owned()),
                Some(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("{what}\n")),
            },
            (&Method::GET, "/metrics") => (StatusCode::OK, self.metrics()),
            _ => (StatusCode::NOT_FOUND, "not here\n".to_owned()),
        };
        let mut answer = Response::new(Body::new(http_body_util::Full::new(Bytes::from(text))));
        *answer.status_mut() = status;
        answer
    }
}
